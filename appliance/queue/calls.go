package queue

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// Call is the record of one call, either way.
type Call struct {
	ID         CallID         `json:"id"`
	Line       string         `json:"line"`
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
	Job        JobID          `json:"job,omitempty"`
	Fax        FaxID          `json:"fax,omitempty"`
	Transcript string         `json:"transcript,omitempty"` // spool file: JSON lines of t30.Event
}

const (
	// maxCalls is how many call records are kept.
	maxCalls = 1000
	// maxTranscript bounds a transcript file, in octets.
	maxTranscript = 4 << 20
)

// CallOf fills a record from a report.
func CallOf(line string, outgoing bool, number string, r t30.Report) Call {
	c := Call{Line: line, Outgoing: outgoing, Number: number, RemoteID: r.Remote.ID, Start: r.Start, End: r.End, Code: r.Code,
		Text: r.Text, Pages: r.Sent + r.Received, ECM: r.ECM, Coding: r.Format.Coding, Resolution: r.Format.Resolution}
	if r.Modulation.Rate > 0 {
		c.Modulation, c.Rate = r.Modulation.Scheme.String(), r.Modulation.Rate
	}
	return c
}

// RecordCall keeps a call with its transcript and lets the oldest go. A transcript that cannot be stored (disk full)
// is left out: the call's outcome is worth more.
func (q *Queue) RecordCall(c Call, events []t30.Event) (CallID, error) {
	if len(events) > 0 {
		if name, err := q.writeTranscript(events); err == nil {
			c.Transcript = name
		}
	}
	err := q.update("record call", func(tx *store.Tx) error {
		id, err := tx.NewID(time.Now())
		if err != nil {
			return err
		}
		c.ID = CallID(id)
		if err := calls.Put(tx, id, c); err != nil {
			return err
		}
		return q.trimCalls(tx)
	})
	if err != nil && c.Transcript != "" {
		_ = q.st.Remove(c.Transcript)
	}
	return c.ID, err
}

func (q *Queue) trimCalls(tx *store.Tx) error {
	surplus := calls.Len(tx) - maxCalls
	var old []Call
	err := calls.Each(tx, func(_ string, c Call) error {
		if len(old) >= surplus {
			return store.ErrStop
		}
		old = append(old, c)
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range old {
		q.remove(tx, c.Transcript)
		if err := calls.Delete(tx, string(c.ID)); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue) writeTranscript(events []t30.Event) (string, error) {
	f, err := q.st.Create(store.Transcripts)
	if err != nil {
		return "", err
	}
	w := bufio.NewWriter(f)
	size := 0
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			return "", errors.Join(err, f.Abort())
		}
		if size += len(line) + 1; size > maxTranscript {
			break
		}
		w.Write(append(line, '\n')) // the error is Flush's
	}
	if err := w.Flush(); err != nil {
		return "", errors.Join(err, f.Abort())
	}
	return f.Name(), f.Commit()
}

// Transcript reads a call's transcript; nil when it has none.
func (q *Queue) Transcript(c Call) ([]t30.Event, error) {
	if c.Transcript == "" {
		return nil, nil
	}
	f, err := q.st.OpenFile(c.Transcript)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var events []t30.Event
	for d := json.NewDecoder(io.LimitReader(f, maxTranscript)); ; {
		var e t30.Event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return events, nil
		} else if err != nil {
			return events, wrap("transcript", err)
		}
		events = append(events, e)
	}
}

// Call returns one call. Errors: ErrNotFound.
func (q *Queue) Call(id CallID) (Call, error) {
	var c Call
	err := q.view("call", func(tx *store.Tx) (err error) {
		c, err = calls.Get(tx, string(id))
		return err
	})
	return c, err
}

// Calls returns the newest calls, newest first, at most limit (0: all).
func (q *Queue) Calls(limit int) ([]Call, error) {
	var list []Call
	err := q.view("calls", func(tx *store.Tx) error {
		return calls.EachBack(tx, func(_ string, c Call) error {
			if list = append(list, c); len(list) == limit {
				return store.ErrStop
			}
			return nil
		})
	})
	return list, err
}
