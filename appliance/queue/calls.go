package queue

import (
	"slices"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// Call is the record of one call, either way, connected or not.
type Call struct {
	ID         CallID         `json:"id"`
	Line       string         `json:"line"` // "" for a one-off call
	Outgoing   bool           `json:"outgoing"`
	Number     string         `json:"number,omitempty"` // dialed, or the caller's
	RemoteID   string         `json:"remote_id,omitempty"`
	Start      time.Time      `json:"start"`
	End        time.Time      `json:"end"`
	Code       t30.Code       `json:"code"`
	Text       string         `json:"text,omitempty"`
	Pages      int            `json:"pages"`
	Modulation string         `json:"modulation,omitempty"`
	Rate       int            `json:"rate_bps,omitempty"`
	ECM        bool           `json:"ecm,omitempty"`
	Coding     t30.Coding     `json:"coding,omitempty"`
	Resolution t30.Resolution `json:"resolution,omitempty"`
	Job        JobID          `json:"job,omitempty"`  // the one it was dialed for
	Jobs       []CallJob      `json:"jobs,omitempty"` // all that had their turn in it, Job first; nil: no other than Job
	Fax        FaxID          `json:"fax,omitempty"`
	Transcript string         `json:"transcript,omitempty"`      // spool file: JSON lines of spans, then of t30.Event
	Size       int64          `json:"transcript_size,omitempty"` // octets of that file

	// Spans are kept in the transcript's file; a record that was read has none, see CallLog.Details.
	Spans []t30.Span `json:"-"`
}

// CallJob is what a call brought one of several jobs that shared it.
type CallJob struct {
	Job   JobID    `json:"job"`
	Code  t30.Code `json:"code"`
	Pages int      `json:"pages"` // confirmed in this call
}

// AllJobs returns the jobs of the call, the one it was dialed for first; nil for a call without any.
func (c Call) AllJobs() []CallJob {
	if c.Jobs == nil && c.Job != "" {
		return []CallJob{{c.Job, c.Code, c.Pages}}
	}
	return c.Jobs
}

const (
	// maxCalls is how many call records are kept.
	maxCalls = 1000
	// maxTranscript bounds a transcript file, in octets.
	maxTranscript = 4 << 20
	// maxTranscripts bounds all of them together. The oldest go first; their records stay.
	maxTranscripts = 128 << 20
)

// CallOf fills a record from a report. Its End is reckoned from its Start by what the call took, whatever was done to the
// clock meanwhile: the spans add up to that.
func CallOf(line string, outgoing bool, number string, r t30.Report) Call {
	if !r.Start.IsZero() && !r.End.IsZero() {
		r.Start, r.End = r.Start.Round(0), r.Start.Round(0).Add(r.End.Sub(r.Start))
	}
	c := Call{Line: line, Outgoing: outgoing, Number: number, RemoteID: r.Remote.ID, Start: r.Start, End: r.End, Code: r.Code,
		Text: r.Text, Pages: r.Sent + r.Received, ECM: r.ECM, Coding: r.Format.Coding, Resolution: r.Format.Resolution, Spans: r.Spans}
	if r.Modulation.Rate > 0 {
		c.Modulation, c.Rate = r.Modulation.Scheme.String(), r.Modulation.Rate
	}
	return c
}

// CallLog is the list of calls in a data folder. A [Queue] keeps one; a one-off call makes its own over the same store.
type CallLog struct{ st *store.Store }

// NewCallLog returns the store's list of calls.
func NewCallLog(st *store.Store) CallLog { return CallLog{st} }

// Record keeps a call with its transcript and lets the oldest go. A transcript that cannot be stored (disk full) is left
// out: the call's outcome is worth more.
func (l CallLog) Record(c Call, events []t30.Event) (CallID, error) {
	if len(events) > 0 || len(c.Spans) > 0 {
		if name, size, err := l.writeTranscript(c.Spans, events); err == nil {
			c.Transcript, c.Size = name, size
		}
	}
	if c.Start.IsZero() { // it came to no call at all
		c.Start = time.Now()
	}
	if c.End.Before(c.Start) {
		c.End = c.Start
	}
	err := l.st.Update(func(tx *store.Tx) (err error) {
		c.ID, err = putCall(tx, c)
		if err != nil {
			return err
		}
		return l.trim(tx)
	})
	if err != nil && c.Transcript != "" {
		_ = l.st.Remove(c.Transcript)
	}
	return c.ID, wrap("record call", err)
}

// putCall gives c its id and puts it into the list.
func putCall(tx *store.Tx, c Call) (CallID, error) {
	id, err := tx.NewID(time.Now())
	if err != nil {
		return "", err
	}
	c.ID = CallID(id)
	return c.ID, calls.Put(tx, id, c)
}

// cutCall records a call that the program's end cut off and returns its id. A record that is there already is taken; if it is
// a cut one too, j, one of several jobs in that call, is added to it. A received fax has no job.
func cutCall(tx *store.Tx, c Call, j CallJob) (CallID, error) {
	var known *Call
	err := calls.EachBack(tx, func(_ string, k Call) error {
		if k.Start.Before(c.Start) {
			return store.ErrStop
		}
		if k.Line == c.Line && k.Job == c.Job && k.Fax == c.Fax {
			known = &k
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case known == nil:
		if c.Pages = j.Pages; j.Job != c.Job {
			c.Jobs = []CallJob{j}
		}
		return putCall(tx, c)
	case j.Job == "" || known.Code != t30.CodeNone || slices.ContainsFunc(known.AllJobs(), func(k CallJob) bool { return k.Job == j.Job }):
		return known.ID, nil
	}
	list := append(slices.Clone(known.AllJobs()), j)
	if j.Job == known.Job {
		list = append([]CallJob{j}, known.Jobs...)
	}
	known.Jobs, known.Pages = list, known.Pages+j.Pages
	return known.ID, calls.Put(tx, string(known.ID), *known)
}

// trim lets the oldest calls go beyond maxCalls, and the oldest transcripts beyond maxTranscripts.
func (l CallLog) trim(tx *store.Tx) error {
	var gone, bare []Call
	count, size := 0, int64(0)
	err := calls.EachBack(tx, func(_ string, c Call) error {
		count++
		switch size += c.Size; {
		case count > maxCalls:
			gone = append(gone, c)
		case size > maxTranscripts && c.Transcript != "":
			bare = append(bare, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range bare {
		l.remove(tx, c.Transcript)
		c.Transcript, c.Size = "", 0
		if err := calls.Put(tx, string(c.ID), c); err != nil {
			return err
		}
	}
	return l.delete(tx, gone)
}

// purge lets the calls go that ended before a time.
func (l CallLog) purge(tx *store.Tx, before time.Time) error {
	var old []Call
	err := calls.Each(tx, func(_ string, c Call) error {
		if c.End.Before(before) {
			old = append(old, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.delete(tx, old)
}

func (l CallLog) delete(tx *store.Tx, list []Call) error {
	for _, c := range list {
		l.remove(tx, c.Transcript)
		if err := calls.Delete(tx, string(c.ID)); err != nil {
			return err
		}
	}
	return nil
}

// remove takes a file out of the spool after the transaction; what fails is left for the next start's sweep.
func (l CallLog) remove(tx *store.Tx, name string) {
	if name != "" {
		tx.OnCommit(func() { _ = l.st.Remove(name) })
	}
}

// Call returns one call. Errors: ErrNotFound.
func (l CallLog) Call(id CallID) (Call, error) {
	var c Call
	err := l.st.View(func(tx *store.Tx) (err error) {
		c, err = calls.Get(tx, string(id))
		return err
	})
	return c, wrap("call", err)
}

// Calls returns the newest calls, newest first, at most limit (0: all).
func (l CallLog) Calls(limit int) ([]Call, error) {
	var list []Call
	err := l.st.View(func(tx *store.Tx) error {
		return calls.EachBack(tx, func(_ string, c Call) error {
			if list = append(list, c); len(list) == limit {
				return store.ErrStop
			}
			return nil
		})
	})
	return list, wrap("calls", err)
}

// CallLog returns the queue's list of calls.
func (q *Queue) CallLog() CallLog { return CallLog{q.st} }

// RecordCall is [CallLog.Record].
func (q *Queue) RecordCall(c Call, events []t30.Event) (CallID, error) {
	id, err := q.CallLog().Record(c, events)
	q.notify()
	return id, err
}

// Call is [CallLog.Call].
func (q *Queue) Call(id CallID) (Call, error) { return q.CallLog().Call(id) }

// Calls is [CallLog.Calls].
func (q *Queue) Calls(limit int) ([]Call, error) { return q.CallLog().Calls(limit) }

// Transcript returns a call's events; nil when none were kept. See [CallLog.Details].
func (q *Queue) Transcript(c Call) ([]t30.Event, error) {
	_, events, err := q.CallLog().Details(c)
	return events, err
}
