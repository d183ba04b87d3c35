package queue

import (
	"fmt"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// AddJob makes one job outside any mail: a local submission.
func (q *Queue) AddJob(n NewJob) (Job, error) {
	var j Job
	err := q.update("add job", func(tx *store.Tx) (err error) {
		if j, err = q.addJob(tx, n); err != nil {
			return err
		}
		return q.refuseEmergency(tx, &j)
	})
	return j, err
}

func (q *Queue) addJob(tx *store.Tx, n NewJob) (Job, error) {
	now := time.Now()
	id, err := tx.NewID(now)
	if err != nil {
		return Job{}, err
	}
	j := Job{ID: JobID(id), NewJob: n, Created: now, State: Preparing}
	if n.Document != "" {
		j.State = Waiting
	}
	if err := active.Put(tx, id, struct{}{}); err != nil {
		return Job{}, err
	}
	return j, jobs.Put(tx, id, j)
}

// refuseEmergency ends a new job to a number that is never dialed, once all jobs of its mail are there.
func (q *Queue) refuseEmergency(tx *store.Tx, j *Job) error {
	if !q.ledger.IsEmergency(j.Number) {
		return nil
	}
	return q.finish(tx, j, Failed, t30.CodeNone, "Emergency numbers are never dialed.")
}

// change runs f on one job in a transaction. A final job is never changed again: ErrState.
func (q *Queue) change(op string, id JobID, f func(tx *store.Tx, j *Job) error) (Job, error) {
	var j Job
	err := q.update(op, func(tx *store.Tx) (err error) {
		if j, err = jobs.Get(tx, string(id)); err != nil {
			return err
		}
		if j.State.Final() {
			return fmt.Errorf("%w: job %s is %s", ErrState, id, j.State)
		}
		if err := f(tx, &j); err != nil {
			return err
		}
		return jobs.Put(tx, string(id), j)
	})
	return j, err
}

// BeginPrepare counts a run of the renderer for the job before it starts, so that a document that takes the whole
// process down is seen after the restart (PrepareRuns).
func (q *Queue) BeginPrepare(id JobID) (Job, error) {
	return q.change("begin prepare", id, func(_ *store.Tx, j *Job) error {
		if j.State != Preparing {
			return fmt.Errorf("%w: job %s is %s", ErrState, id, j.State)
		}
		j.PrepareRuns++
		return nil
	})
}

// PausePrepare takes back a run of the renderer that came to nothing through no fault of the document, and says in text what is
// waited for, for people.
func (q *Queue) PausePrepare(id JobID, text string) error {
	_, err := q.change("pause prepare", id, func(_ *store.Tx, j *Job) error {
		if j.State != Preparing {
			return fmt.Errorf("%w: job %s is %s", ErrState, id, j.State)
		}
		j.PrepareRuns, j.Text = max(j.PrepareRuns-1, 0), text
		return nil
	})
	return err
}

// SetDocument gives a job in Preparing its document, a committed spool file of pages pages, and lets it wait for a
// line. Several jobs may have one document. omitted names what of the mail is not in it, for the notice.
func (q *Queue) SetDocument(id JobID, file string, pages int, omitted ...string) error {
	_, err := q.change("set document", id, func(_ *store.Tx, j *Job) error {
		if j.State != Preparing || pages < 1 {
			return fmt.Errorf("%w: job %s is %s, document of %d pages", ErrState, id, j.State, pages)
		}
		j.Document, j.Pages, j.State, j.Text, j.Omitted = file, pages, Waiting, "", omitted
		return nil
	})
	return err
}

// KeepDocument gives a job in Preparing its document as SetDocument does, but leaves it in Preparing: something else has to
// be found out before it may wait for a line; text says what, for people.
func (q *Queue) KeepDocument(id JobID, file string, pages int, text string, omitted ...string) error {
	_, err := q.change("keep document", id, func(_ *store.Tx, j *Job) error {
		if j.State != Preparing || pages < 1 {
			return fmt.Errorf("%w: job %s is %s, document of %d pages", ErrState, id, j.State, pages)
		}
		j.Document, j.Pages, j.Text, j.Omitted = file, pages, text, omitted
		return nil
	})
	return err
}

// FailJob ends a job that no line has, with the reason for its sender: a document that cannot be rendered, a number
// that no rule permits.
func (q *Queue) FailJob(id JobID, reason string) error {
	_, err := q.change("fail job", id, func(tx *store.Tx, j *Job) error {
		if j.State == Calling {
			return fmt.Errorf("%w: job %s is calling", ErrState, id)
		}
		return q.finish(tx, j, Failed, t30.CodeNone, reason)
	})
	return err
}

// CancelJob ends a job by hand. One that a line has is marked: the line's worker looks for Job.Cancel after each
// change, ends the call, and EndAttempt then ends the job as it deserves.
func (q *Queue) CancelJob(id JobID, reason string) error {
	_, err := q.change("cancel job", id, func(tx *store.Tx, j *Job) error {
		if j.State == Calling {
			j.Cancel, j.Text = true, reason
			return nil
		}
		return q.finish(tx, j, Canceled, t30.CodeCanceled, reason)
	})
	return err
}

// HoldJob keeps a waiting job from being sent until ReleaseJob. Others of its mail that have ended no longer wait for it.
func (q *Queue) HoldJob(id JobID, reason string) error {
	_, err := q.change("hold job", id, func(tx *store.Tx, j *Job) error {
		if j.State != Waiting && j.State != Held {
			return fmt.Errorf("%w: job %s is %s", ErrState, id, j.State)
		}
		j.State, j.Text = Held, reason
		if err := jobs.Put(tx, string(id), *j); err != nil {
			return err
		}
		return q.reportBeside(tx, *j)
	})
	return err
}

// ReleaseJob lets a held job go on at once.
func (q *Queue) ReleaseJob(id JobID) error {
	_, err := q.change("release job", id, func(_ *store.Tx, j *Job) error {
		if j.State != Held {
			return fmt.Errorf("%w: job %s is %s", ErrState, id, j.State)
		}
		j.State, j.Text, j.NotBefore = Waiting, "", time.Time{}
		return nil
	})
	return err
}

// RetryJob makes a waiting or held job due at once; the dial rule still holds.
func (q *Queue) RetryJob(id JobID) error {
	_, err := q.change("retry job", id, func(_ *store.Tx, j *Job) error {
		if j.State != Waiting && j.State != Held {
			return fmt.Errorf("%w: job %s is %s", ErrState, id, j.State)
		}
		j.State, j.NotBefore = Waiting, time.Time{}
		return nil
	})
	return err
}

// Job returns one job. Errors: ErrNotFound.
func (q *Queue) Job(id JobID) (Job, error) {
	var j Job
	err := q.view("job", func(tx *store.Tx) (err error) {
		j, err = jobs.Get(tx, string(id))
		return err
	})
	return j, err
}

// Jobs returns the newest jobs, newest first, at most limit (0: all).
func (q *Queue) Jobs(limit int) ([]Job, error) {
	var list []Job
	err := q.view("jobs", func(tx *store.Tx) error {
		return jobs.EachBack(tx, func(_ string, j Job) error {
			if list = append(list, j); len(list) == limit {
				return store.ErrStop
			}
			return nil
		})
	})
	return list, err
}

// ActiveJobs returns the jobs that are not final, oldest first; with states, those in one of them.
func (q *Queue) ActiveJobs(states ...State) ([]Job, error) {
	var list []Job
	err := q.view("active jobs", func(tx *store.Tx) error {
		return eachActive(tx, func(j Job) error {
			for _, s := range states {
				if j.State == s {
					list = append(list, j)
				}
			}
			if len(states) == 0 {
				list = append(list, j)
			}
			return nil
		})
	})
	return list, err
}

// PreparingJobs returns the jobs in Preparing that have no document yet and that skip, if not nil, does not pass over, of the oldest mail
// that has any, looking from the job from on; "": from the oldest. Jobs begin so and never become so again: the first one's id is
// where to look from the next time.
func (q *Queue) PreparingJobs(from JobID, skip func(JobID) bool) ([]Job, error) {
	var list []Job
	err := q.view("preparing jobs", func(tx *store.Tx) error {
		return active.EachFrom(tx, string(from), func(id string, _ struct{}) error {
			j, err := jobs.Get(tx, id)
			switch {
			case err != nil:
				return err
			case j.State != Preparing || j.Document != "" || skip != nil && skip(j.ID):
			case len(list) > 0 && j.Mail != list[0].Mail:
				return store.ErrStop // a mail's jobs are made together
			default:
				list = append(list, j)
			}
			return nil
		})
	})
	return list, err
}

func eachActive(tx *store.Tx, f func(Job) error) error {
	return active.Each(tx, func(id string, _ struct{}) error {
		j, err := jobs.Get(tx, id)
		if err != nil {
			return err
		}
		return f(j)
	})
}

// finish takes a job to its final state and makes its final notice, in the caller's transaction; one of several of a mail
// may wait for the others (see report). It is the only way into a final state.
func (q *Queue) finish(tx *store.Tx, j *Job, s State, code t30.Code, text string) error {
	if j.State.Final() {
		return fmt.Errorf("%w: job %s is %s already", ErrState, j.ID, j.State)
	}
	j.State, j.Code, j.Text, j.Ended, j.Line, j.Cancel = s, code, text, time.Now(), "", false
	if err := active.Delete(tx, string(j.ID)); err != nil {
		return err
	}
	if err := count(tx, string(s)); err != nil {
		return err
	}
	if s == Sent && j.Receipt != "" {
		if _, err := q.addOut(tx, NewOut{Kind: KindReceipt, To: []string{j.Receipt}, Job: j.ID, Payload: noticeOf(*j)}); err != nil {
			return err
		}
	}
	return q.report(tx, j)
}
