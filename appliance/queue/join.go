package queue

import (
	"fmt"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// maxRiders bounds the jobs that ride in one call, so that no notice waits for hours on the call's end.
const maxRiders = 20

// JoinCall finds another job for the call that first has: one that waits for the same number with the same station,
// subaddress and password, whose time has come, and that a call begun as used says may serve (see [Attempt.Begun]). Its
// attempt is recorded, durably, when it returns; the ledger counts no dial. End it with EndAttempt, or GiveBack if its
// turn does not come. ok is false when there is none, or when the number's far end takes one document a call only.
func (q *Queue) JoinCall(now time.Time, first JobID, used Hint) (j Job, ok bool, err error) {
	find := func(tx *store.Tx) (err error) {
		j, ok, err = q.rider(tx, now, first, used)
		return err
	}
	if err := q.view("join call", find); err != nil || !ok {
		return Job{}, false, err
	}
	err = q.update("join call", func(tx *store.Tx) error {
		if err := find(tx); err != nil || !ok {
			return err
		}
		f, err := jobs.Get(tx, string(first))
		if err != nil {
			return err
		}
		a := Attempt{Start: now, Line: f.Line, Rode: first, Begun: used}
		if last := f.LastAttempt(); last != nil {
			a.Remembered = last.Remembered
		}
		return j.begin(tx, a)
	})
	if err != nil || !ok {
		return Job{}, false, err
	}
	return j, true, nil
}

func (q *Queue) rider(tx *store.Tx, now time.Time, first JobID, used Hint) (Job, bool, error) {
	f, err := jobs.Get(tx, string(first))
	if err != nil {
		return Job{}, false, err
	}
	if f.State != Calling {
		return Job{}, false, fmt.Errorf("%w: job %s is %s", ErrState, first, f.State)
	}
	if far, err := q.memory.get(tx, f.Number); err != nil || far.TakesOne(now) {
		return Job{}, false, err
	}
	var found Job
	riders := 0
	err = eachActive(tx, func(j Job) error {
		a := j.LastAttempt()
		switch {
		case j.State == Calling && a != nil && a.Rode == first:
			riders++
		case found.ID == "" && j.State == Waiting && !now.Before(j.NotBefore) && j.rides(f) && used.with(j.Hint) == used:
			found = j
		}
		return nil
	})
	return found, err == nil && found.ID != "" && riders < maxRiders, err
}

// rides tells whether a job's document may follow f's in one call: what is said once a call must be the same.
func (j Job) rides(f Job) bool {
	return j.Number == f.Number && j.StationID == f.StationID && j.Subaddress == f.Subaddress && j.Password == f.Password
}

// GiveBack lets a job that joined a call and whose turn did not come wait as before, as if it had not been asked.
func (q *Queue) GiveBack(id JobID) error {
	_, err := q.calling("give back", id, func(tx *store.Tx, j *Job) error {
		if a := j.LastAttempt(); a.Rode == "" || a.Pages > 0 {
			return fmt.Errorf("%w: job %s is on the line", ErrState, id)
		}
		if j.Cancel {
			return q.finish(tx, j, Canceled, t30.CodeCanceled, j.Text)
		}
		j.giveBack()
		return nil
	})
	return err
}

func (j *Job) giveBack() {
	j.Attempts = j.Attempts[:len(j.Attempts)-1]
	j.State, j.Line, j.Opened, j.LastOut = Waiting, "", 0, 0
}
