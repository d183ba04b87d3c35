package queue

import (
	"fmt"
	"slices"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// PageStarted records that page n (from 1, of the whole document) is opened for the line, again after RTN or fall-back
// too, before any of it is sent.
func (q *Queue) PageStarted(id JobID, n int) error {
	return q.page("page started", id, n, func(j *Job) error {
		j.Opened = max(j.Opened, n)
		j.LastOut = min(j.LastOut, n-1)
		return nil
	})
}

// PageSent records that page n is out whole and the command by which it may be confirmed follows: from here until
// ConfirmPage or RefusePage it cannot be known, after a crash, whether the far end has the page.
func (q *Queue) PageSent(id JobID, n int) error {
	return q.page("page sent", id, n, func(j *Job) error {
		j.LastOut = max(j.LastOut, n)
		return nil
	})
}

// ConfirmPage records that the far end confirmed page n; the pages of an attempt are confirmed or refused in order. A
// confirmed page is never sent again.
func (q *Queue) ConfirmPage(id JobID, n int, r t30.PageResult) error {
	return q.page("confirm page", id, n, func(j *Job) error {
		if want := j.expected(); n != want {
			return fmt.Errorf("%w: page %d confirmed, page %d of %d expected", ErrState, n, want, j.Pages)
		}
		a := j.LastAttempt()
		a.Pages++
		j.Done = append(j.Done, PageDone{Page: n, At: time.Now(), Attempt: len(j.Attempts) - 1, Poor: r.Poor, Retries: r.Retries,
			Octets: r.Octets, Seconds: r.Seconds})
		return nil
	})
}

// RefusePage records that the far end refused page n for good (RTN again and again) and the call goes on with the next
// page: the next attempt sends the page again.
func (q *Queue) RefusePage(id JobID, n int, _ t30.PageResult) error {
	return q.page("refuse page", id, n, func(j *Job) error {
		if want := j.expected(); n != want {
			return fmt.Errorf("%w: page %d refused, page %d of %d expected", ErrState, n, want, j.Pages)
		}
		j.Refused = append(j.Refused, n)
		return nil
	})
}

// expected returns the page that this attempt confirms or refuses next; 0: none is left.
func (j Job) expected() int {
	for _, n := range j.Pending() {
		if !slices.Contains(j.Refused, n) {
			return n
		}
	}
	return 0
}

// page changes a job that a line has in what is known of its page n.
func (q *Queue) page(op string, id JobID, n int, f func(j *Job) error) error {
	_, err := q.calling(op, id, func(_ *store.Tx, j *Job) error {
		if n < 1 || n > j.Pages {
			return fmt.Errorf("%w: page %d of %d", ErrState, n, j.Pages)
		}
		return f(j)
	})
	return err
}
