package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// Outcome is what became of one call for a job.
type Outcome struct {
	Report t30.Report
	Err    error  // of Terminal.Call: our modem, disk or context failed, or ErrRinging
	Call   CallID // its record, "" none
	// Own is what our side could use in the call, its limits applied: what a call that ended at less says of the far end.
	// Zero fields: everything.
	Own t30.Capabilities
	// Followed tells that another document stood behind this one in the call: its last page was to be followed by EOM.
	Followed bool
}

// code is the report's, or what the error stands for.
func (o Outcome) code() t30.Code {
	switch {
	case errors.Is(o.Err, t30.ErrRinging):
		return t30.CodeGlare
	case o.Report.Code != t30.CodeNone && (o.Err == nil || o.Report.Code != t30.CodeOK):
		return o.Report.Code
	case errors.Is(o.Err, context.Canceled), errors.Is(o.Err, context.DeadlineExceeded):
		return t30.CodeCanceled
	case o.Err != nil:
		return t30.CodeModem
	}
	return t30.CodeProtocol // a report without a code: nothing can be built on it
}

// dialed tells whether the exchange may have seen the number.
func (o Outcome) dialed() bool {
	switch ClassOf(o.code()) {
	case ClassNoDialTone, ClassLineInUse, ClassGlare, ClassModemWait:
		return false
	case ClassFault, ClassCanceled:
		return !o.Report.Start.IsZero()
	}
	return true
}

// fax tells whether a fax machine answered.
func (o Outcome) fax() bool { return o.Report.FaxHeard || o.Report.Sent > 0 }

// maxUndialed is how many attempts a job keeps before one that was not dialed gives way to the next.
const maxUndialed = 20

// NextJob gives line the oldest job whose time has come, that the dial rule allows and to whose destination no other
// line has a call. The dial is in the ledger and the attempt in the job, durably, when it returns. ok is false when
// there is none. Errors: ErrClock: nothing is dialed while the clock is not set.
func (q *Queue) NextJob(now time.Time, line string) (j Job, ok bool, err error) {
	if !ClockSet(now) {
		return Job{}, false, ErrClock
	}
	find := func(tx *store.Tx) (err error) {
		j, ok, err = q.pick(tx, now, line)
		return err
	}
	// Looked for in a read transaction first: an empty write would cost a sync.
	if err := q.view("next job", find); err != nil || !ok {
		return Job{}, false, err
	}
	err = q.update("next job", func(tx *store.Tx) error {
		if err := find(tx); err != nil || !ok {
			return err
		}
		if err := q.ledger.begin(tx, now, j.Number); err != nil {
			return err
		}
		far, err := q.memory.get(tx, j.Number)
		if err != nil {
			return err
		}
		known, since := far.Hint(now)
		a := Attempt{Start: now, Line: line, Begun: j.Hint.with(known)}
		if a.Begun != j.Hint {
			a.Remembered = since
		}
		return j.begin(tx, a)
	})
	if err != nil || !ok {
		return Job{}, false, err
	}
	return j, true, nil
}

// begin records an attempt.
func (j *Job) begin(tx *store.Tx, a Attempt) error {
	j.State, j.Line, j.Text, j.LastOut, j.Opened, j.Refused = Calling, a.Line, "", 0, 0, nil
	if last := j.LastAttempt(); last != nil && (last.Undialed || last.idle()) && len(j.Attempts) >= maxUndialed {
		j.Attempts = j.Attempts[:len(j.Attempts)-1] // a line without dial tone for days must not fill the record
	}
	a.FirstPage = j.Next()
	j.Attempts = append(j.Attempts, a)
	return jobs.Put(tx, string(j.ID), *j)
}

func (q *Queue) pick(tx *store.Tx, now time.Time, line string) (Job, bool, error) {
	taken := map[string]bool{}
	var due []Job
	err := eachActive(tx, func(j Job) error {
		switch {
		case j.State == Calling:
			taken[digitsOf(j.Number)] = true
		case j.State == Waiting && (!now.Before(j.NotBefore) || j.DeadLine != "" && j.DeadLine != line):
			due = append(due, j)
		}
		return nil
	})
	if err != nil {
		return Job{}, false, err
	}
	for _, j := range due {
		if taken[digitsOf(j.Number)] {
			continue
		}
		_, err := q.ledger.check(tx, now, j.Number)
		if err == nil {
			return j, true, nil
		}
		if !errors.Is(err, ErrRedial) && !errors.Is(err, ErrEmergency) {
			return Job{}, false, err
		}
	}
	return Job{}, false, nil
}

// NextJobAt returns the earliest time at which a job that waits now may be called; zero: none waits. It may be in the
// past. A job to whose destination another line has a call does not count: the end of that call is a change.
func (q *Queue) NextJobAt(now time.Time) (time.Time, error) {
	taken, first := map[string]bool{}, map[string]time.Time{}
	err := q.view("next job", func(tx *store.Tx) error {
		return eachActive(tx, func(j Job) error {
			to := digitsOf(j.Number)
			if j.State == Calling {
				taken[to] = true
			}
			if j.State != Waiting {
				return nil
			}
			due := j.NotBefore
			if due.IsZero() {
				due = j.Created
			}
			var r *RedialError
			if _, err := q.ledger.check(tx, now, j.Number); errors.As(err, &r) && r.Until.After(due) {
				due = r.Until
			}
			if at, ok := first[to]; !ok || due.Before(at) {
				first[to] = due
			}
			return nil
		})
	})
	var next time.Time
	for to, at := range first {
		if !taken[to] && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, err
}

// calling changes a job that a line has.
func (q *Queue) calling(op string, id JobID, f func(tx *store.Tx, j *Job) error) (Job, error) {
	return q.change(op, id, func(tx *store.Tx, j *Job) error {
		if j.State != Calling || len(j.Attempts) == 0 {
			return fmt.Errorf("%w: job %s is %s", ErrState, id, j.State)
		}
		return f(tx, j)
	})
}

// EndAttempt records how the call ended and takes the job to what follows: its final state with the final notice, or
// waiting for the next attempt. It returns the job as it then is.
func (q *Queue) EndAttempt(id JobID, o Outcome) (Job, error) {
	return q.calling("end attempt", id, func(tx *store.Tx, j *Job) error {
		now, code := time.Now(), o.code()
		a := j.LastAttempt()
		if a.Rode == "" { // else the dial is the other job's
			if err := q.ledger.end(tx, j.Number, code, o.dialed(), o.fax()); err != nil {
				return err
			}
		}
		fillAttempt(a, now, code, o)
		left := j.Pending()
		doubt := o.Report.Unknown && len(left) == 1 && !slices.Contains(j.Refused, left[0])
		switch {
		case doubt:
			j.LastOut = left[0]
		case !o.Report.Unknown:
			j.LastOut = 0 // the engine saw the call to its end: nothing is in doubt
		}
		if err := q.remember(tx, now, *j, o); err != nil {
			return err
		}
		return q.settle(tx, j, now, code, doubt)
	})
}

// remember lets the memory learn from an attempt that has ended. What went well in a shared call is told once, by the
// job that dialed.
func (q *Queue) remember(tx *store.Tx, now time.Time, j Job, o Outcome) error {
	a := j.LastAttempt()
	return q.memory.change(tx, now, j.Number, func(f *FarEnd) {
		if a.Rode == "" || a.Code != t30.CodeOK {
			f.learn(now, o)
		}
		switch {
		case a.Rode != "" && a.Pages > 0:
			f.Alone = Habit{}
		case o.Followed && o.Report.Unknown && len(j.Pending()) == 1:
			f.Alone.note(now, firm, rateLife) // EOM was out, and with EOP the page might be known to have arrived
		case a.Rode != "" && j.Opened > 0:
			if w := eomFault(a.Code); w > 0 {
				f.Alone.note(now, w, rateLife)
			}
		}
	})
}

// eomFault tells how much the end of a call at EOM or in the document after it says against a second document: silence and
// DCN a lot, a dropped line could be chance, all else nothing.
func eomFault(c t30.Code) int {
	switch c {
	case t30.CodeHungUpB, t30.CodeDCNInB, t30.CodeNoReplyDCS, t30.CodeNoReplyPage, t30.CodeDCNAfterPage, t30.CodeNoFax:
		return firm
	case t30.CodeHungUpC, t30.CodeProtocol:
		return hintOnly
	}
	return 0
}

func fillAttempt(a *Attempt, now time.Time, code t30.Code, o Outcome) {
	r := o.Report
	a.End, a.Code, a.Text, a.ECM, a.RemoteID, a.Call = now, code, r.Text, r.ECM, r.Remote.ID, o.Call
	a.Seconds = now.Sub(a.Start).Seconds()
	if r.Modulation.Rate > 0 {
		a.Modulation, a.Rate = r.Modulation.Scheme.String(), r.Modulation.Rate
	}
	if !r.Start.IsZero() && r.End.After(r.Start) {
		a.Seconds = r.End.Sub(r.Start).Seconds()
	}
	a.Undialed = !o.dialed()
	if o.Err != nil {
		a.Fault = o.Err.Error()
	}
}

// settle decides what follows an attempt that has ended. doubt: the last page went out and nobody knows if it arrived.
func (q *Queue) settle(tx *store.Tx, j *Job, now time.Time, code t30.Code, doubt bool) error {
	a := j.LastAttempt()
	a.Doubt = j.inDoubt()
	canceled, reason := j.Cancel, j.Text
	j.Line, j.Cancel, j.Code, j.DeadLine = "", false, code, ""
	switch {
	case j.Pages > 0 && len(j.Done) == j.Pages:
		return q.finish(tx, j, Sent, t30.CodeOK, "")
	case doubt:
		which := "The last page"
		if a.Doubt != j.Pages {
			which = fmt.Sprintf("Page %d", a.Doubt)
		}
		return q.finish(tx, j, Unknown, code, which+" was sent, but whether it was received is not known: its confirmation was lost.")
	case canceled:
		return q.finish(tx, j, Canceled, t30.CodeCanceled, reason)
	}
	class := ClassOf(code)
	if a.idle() && class != ClassSource && class != ClassRestart {
		j.State, j.Text = Waiting, "" // the call was another job's: its next one costs this one no try
		return nil
	}
	if a.Pages > 0 {
		j.Tries = nil // progress: the counts begin again
	}
	if j.Tries == nil {
		j.Tries = Tries{}
	}
	j.Tries[class]++
	if code == t30.CodeOK {
		code = t30.CodeProtocol // "ok" with pages missing: the report contradicts itself
		j.Code = code
	}
	d := q.o.Policy.Decide(code, j.Tries[class], j.Hint)
	if d.Final || (q.o.Policy.MaxCalls > 0 && j.Calls() >= q.o.Policy.MaxCalls) {
		return q.finish(tx, j, Failed, code, Explain(code))
	}
	j.State, j.Text, j.NotBefore, j.Hint = Waiting, Explain(code), now.Add(q.o.Policy.spread(code, d.After)), d.Hint
	if class == ClassNoDialTone || class == ClassLineInUse || class == ClassGlare {
		j.DeadLine = a.Line
	}
	return nil
}
