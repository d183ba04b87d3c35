package gateway

import (
	"slices"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/queue"
)

// An address that is looked up later leads to a mailbox that has its parts already, and to another: only that one gets more. The
// parts themselves are not looked up again.
func TestParts_LateRecipientsGetNothingTwice(t *testing.T) {
	p := &people{down: map[string]bool{"late@contoso.test": true}, boxes: map[string][]string{"bob@contoso.test": {"bob@contoso.test"}}}
	b := newBench(t, func(o *Options) { o.Recipients, o.RecipientWait, o.MaxMail = p, 10*time.Minute, 150<<10 })
	fax := b.receivePages(noise(1, 300), noise(2, 300))
	b.deliverTo(fax, "bob@contoso.test", "late@contoso.test")
	b.work()
	if got := b.served(); !slices.Equal(got, []string{"bob@contoso.test", "bob@contoso.test"}) {
		t.Fatalf("%v", got)
	}
	if f, err := b.q.Fax(fax.ID); err != nil || !f.Delivered.IsZero() {
		t.Fatalf("delivered while an address waits: %+v, %v", f, err)
	}
	p.set("late@contoso.test", "bob@contoso.test", "ann@contoso.test")
	b.workAll()
	want := []string{"ann@contoso.test", "ann@contoso.test", "bob@contoso.test", "bob@contoso.test"}
	got := b.served()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	o, err := b.q.Out(fax.Delivery)
	if err != nil || o.State != queue.OutSplit || len(o.Parted) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	if f, err := b.q.Fax(fax.ID); err != nil || f.Delivered.IsZero() {
		t.Errorf("%+v, %v", f, err)
	}
}
