package queue

import (
	"errors"
	"testing"
	"time"
)

// A received fax does not wait behind a pile of scans; among themselves the oldest goes first.
func TestNextOut_OwnMailFirst(t *testing.T) {
	q := open(t, Options{})
	var ids []OutID
	for _, kind := range []OutKind{KindRelay, KindRelay, KindAlarm, KindNotice} {
		id, err := q.AddOut(NewOut{Kind: kind, To: []string{"a@example.org"}})
		must(t, err)
		ids = append(ids, id)
	}
	for i, want := range []OutID{ids[2], ids[3], ids[0], ids[1]} {
		o, ok, err := q.NextOut(time.Now())
		must(t, err)
		if !ok || o.ID != want {
			t.Errorf("number %d is %s %s", i+1, o.Kind, o.ID)
		}
	}
	if err := q.DropOut(ids[0], "x"); !errors.Is(err, ErrState) {
		t.Errorf("given up on its way: %v", err)
	}
}
