package queue

import (
	"errors"
	"github.com/tipring/tipring/appliance/store"
)

// Counters count what was finished since the database was made, and what is on its way now.
type Counters struct {
	Sent, Failed, Unknown, Canceled int // jobs
	Received                        int // faxes
	Active, Calling                 int // jobs now
	OutWaiting, OutHeld             int // outbox items now
	Undelivered                     int // of these, received faxes
}

var counters = store.NewTable[int]("counters")

const countReceived = "received"

// count adds one to a counter.
func count(tx *store.Tx, name string) error {
	n, err := counters.Get(tx, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return counters.Put(tx, name, n+1)
}

// Counters returns the counters.
func (q *Queue) Counters() (Counters, error) {
	var c Counters
	err := q.view("counters", func(tx *store.Tx) error {
		for name, to := range map[string]*int{string(Sent): &c.Sent, string(Failed): &c.Failed, string(Unknown): &c.Unknown,
			string(Canceled): &c.Canceled, countReceived: &c.Received} {
			n, err := counters.Get(tx, name)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
			*to = n
		}
		err := eachActive(tx, func(j Job) error {
			c.Active++
			if j.State == Calling {
				c.Calling++
			}
			return nil
		})
		if err != nil {
			return err
		}
		return eachUnsent(tx, func(o Out) error {
			if o.State == OutHeld {
				c.OutHeld++
			} else {
				c.OutWaiting++
			}
			if o.Kind == KindFax {
				c.Undelivered++
			}
			return nil
		})
	})
	return c, err
}
