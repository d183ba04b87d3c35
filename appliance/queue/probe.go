package queue

import (
	"time"

	"github.com/tipring/tipring/appliance/store"
)

// Items that are held because a send connector or the organisation behind it is not set up rightly are tried again by
// themselves, slowly and one at a time: when that one is delivered, the others of its connector may go too.

// NextProbe takes the held item that was tried least recently among those of a connector for which due is true, and counts
// the attempt; ok is false when there is none. Like an item of NextOut it must be settled.
func (q *Queue) NextProbe(due func(connector string) bool) (o Out, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	find := func(tx *store.Tx) error {
		ok = false
		return eachUnsent(tx, func(c Out) error {
			if c.State == OutHeld && c.HeldBy != "" && c.sendable() && !q.sending[c.ID] && (!ok || c.HeldAt.Before(o.HeldAt)) && due(c.HeldBy) {
				o, ok = c, true
			}
			return nil
		})
	}
	if err := q.view("next probe", find); err != nil || !ok {
		return Out{}, false, err
	}
	err = q.st.Update(func(tx *store.Tx) error {
		if err := find(tx); err != nil || !ok {
			return err
		}
		o.Attempts++
		return putOut(tx, o)
	})
	if err != nil || !ok {
		return Out{}, false, wrap("next probe", err)
	}
	q.sending[o.ID] = true
	return o, true, nil
}

// HeldBy returns the connectors that hold mail, each with the number of its held items that have recipients.
func (q *Queue) HeldBy() (map[string]int, error) {
	held := map[string]int{}
	err := q.view("held outbox", func(tx *store.Tx) error {
		return eachUnsent(tx, func(o Out) error {
			if o.State == OutHeld && o.HeldBy != "" && o.sendable() {
				held[o.HeldBy]++
			}
			return nil
		})
	})
	return held, err
}

// ReleaseHeld makes the items that a connector holds due at once, and returns how many.
func (q *Queue) ReleaseHeld(connector string) (int, error) {
	return q.releaseOuts(func(o Out) bool { return o.State == OutHeld && o.HeldBy == connector })
}

// releaseOuts makes the unsent items that match and have recipients due at once.
func (q *Queue) releaseOuts(match func(Out) bool) (int, error) {
	n := 0
	err := q.update("release outbox", func(tx *store.Tx) error {
		var list []Out
		err := eachUnsent(tx, func(o Out) error {
			if o.sendable() && match(o) {
				list = append(list, o)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, o := range list {
			o.State, o.NotBefore = OutPending, time.Time{}
			if err := putOut(tx, o); err != nil {
				return err
			}
		}
		n = len(list)
		return nil
	})
	return n, err
}
