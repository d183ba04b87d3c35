package queue

import (
	"fmt"

	"github.com/tipring/tipring/appliance/store"
)

// sendable tells whether anything can become of an item: without a recipient somebody has to name one.
func (o Out) sendable() bool { return len(o.To)+len(o.Waiting) > 0 }

// AmendOut changes an item that the caller has taken by NextOut or NextProbe, which stays taken, and returns it as it is now.
// What f records is durable before anything is sent by it. Errors: ErrState of an item that is final.
func (q *Queue) AmendOut(id OutID, f func(*Out)) (Out, error) {
	var o Out
	err := q.update("amend outbox", func(tx *store.Tx) (err error) {
		if o, err = outs.Get(tx, string(id)); err != nil {
			return err
		}
		if o.State.final() {
			return fmt.Errorf("%w: outbox item %s is %s", ErrState, id, o.State)
		}
		f(&o)
		return putOut(tx, o)
	})
	return o, err
}
