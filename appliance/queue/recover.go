package queue

import (
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// Recovery is what Open put right after the last run ended, for the log.
type Recovery struct {
	Resumed  []JobID         // were calling; go on at their first unconfirmed page
	Finished []JobID         // were calling; every page was confirmed
	Unknown  []JobID         // were calling; the last page was out, its confirmation not recorded
	Failed   []JobID         // were calling; the program stopped in their calls again and again
	Partial  []FaxID         // were being received
	Files    []store.Finding // spool files out of step
}

// spoolKinds are the spool folders whose files the queue's records name.
var spoolKinds = []store.Kind{store.Mails, store.Documents, store.Pages, store.Faxes, store.Transcripts}

func (q *Queue) recover() (Recovery, error) {
	rec, err := q.recoverCalls(func(string) bool { return true })
	if err != nil {
		return rec, err
	}
	rec.Files, err = q.st.Sweep(namedFiles, spoolKinds...)
	return rec, err
}

// RecoverLine ends what a line's worker left open, as Open does for all lines: its job and its incoming fax. Call it
// before a worker that failed begins again, so that no job stays calling for ever.
func (q *Queue) RecoverLine(line string) (Recovery, error) {
	rec, err := q.recoverCalls(func(l string) bool { return l == line })
	q.notify()
	return rec, wrap("recover line", err)
}

// recoverCalls ends the open calls of the lines that match.
func (q *Queue) recoverCalls(match func(line string) bool) (Recovery, error) {
	var rec Recovery
	err := q.st.Update(func(tx *store.Tx) error {
		rec = Recovery{}
		if err := q.recoverJobs(tx, match, &rec); err != nil {
			return err
		}
		return q.recoverFaxes(tx, match, &rec)
	})
	return rec, err
}

func (q *Queue) recoverJobs(tx *store.Tx, match func(string) bool, rec *Recovery) error {
	var list []Job
	err := eachActive(tx, func(j Job) error {
		if j.State == Calling && match(j.Line) {
			list = append(list, j)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, j := range list {
		if err := q.recoverJob(tx, &j); err != nil {
			return err
		}
		switch j.State {
		case Sent:
			rec.Finished = append(rec.Finished, j.ID)
		case Unknown:
			rec.Unknown = append(rec.Unknown, j.ID)
		case Waiting:
			rec.Resumed = append(rec.Resumed, j.ID)
		default:
			rec.Failed = append(rec.Failed, j.ID)
		}
	}
	return nil
}

// recoverJob ends the attempt that the last run left open. A page was opened only when a fax machine had answered,
// which ends the ledger's row.
func (q *Queue) recoverJob(tx *store.Tx, j *Job) error {
	now := time.Now()
	a := j.LastAttempt()
	a.End, a.Code, a.Text = now, t30.CodeNone, "the program stopped during the call"
	if now.After(a.Start) {
		a.Seconds = now.Sub(a.Start).Seconds()
	}
	if a.Rode != "" && j.Opened == 0 && !j.Cancel {
		j.giveBack() // the crash came before its turn in the other job's call
		return jobs.Put(tx, string(j.ID), *j)
	}
	if a.Rode == "" {
		if err := q.ledger.end(tx, j.Number, t30.CodeNone, true, j.Opened > 0); err != nil {
			return err
		}
	}
	cut := Call{Line: a.Line, Outgoing: true, Number: j.Number, RemoteID: a.RemoteID, Start: a.Start, End: now, Text: a.Text, Job: j.ID}
	if a.Rode != "" { // the call is the other job's
		cut.Job = a.Rode
		if first, err := jobs.Get(tx, string(a.Rode)); err == nil && first.LastAttempt() != nil {
			cut.Start = first.LastAttempt().Start
		}
	}
	var err error
	if a.Call, err = cutCall(tx, cut, CallJob{j.ID, t30.CodeNone, a.Pages}); err != nil {
		return err
	}
	if err := q.settle(tx, j, now, t30.CodeNone, j.lastInDoubt()); err != nil {
		return err
	}
	return jobs.Put(tx, string(j.ID), *j)
}

func (q *Queue) recoverFaxes(tx *store.Tx, match func(string) bool, rec *Recovery) error {
	var list []Fax
	err := faxes.Each(tx, func(_ string, f Fax) error {
		if f.State == FaxReceiving && match(f.Line) {
			list = append(list, f)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, f := range list {
		end := FaxEnd{Text: "the program stopped during the call"}
		cut := Call{Line: f.Line, Number: f.Caller, RemoteID: f.RemoteID, Start: f.Started, End: time.Now(), Text: end.Text, Fax: f.ID}
		if _, err := cutCall(tx, cut, CallJob{Pages: len(f.Pages)}); err != nil {
			return err
		}
		if err := q.finishFax(tx, &f, end); err != nil {
			return err
		}
		rec.Partial = append(rec.Partial, f.ID)
	}
	return nil
}

// namedFiles yields every spool file that a record names.
func namedFiles(tx *store.Tx, yield func(string)) error {
	err := mails.Each(tx, func(_ string, m Mail) error { yield(m.File); return nil })
	if err != nil {
		return err
	}
	if err := jobs.Each(tx, func(_ string, j Job) error { yield(j.Document); return nil }); err != nil {
		return err
	}
	err = faxes.Each(tx, func(_ string, f Fax) error {
		for _, p := range f.Pages {
			yield(p.File)
		}
		yield(f.Document)
		return nil
	})
	if err != nil {
		return err
	}
	return calls.Each(tx, func(_ string, c Call) error { yield(c.Transcript); return nil })
}
