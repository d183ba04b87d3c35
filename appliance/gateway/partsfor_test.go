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

// However often a server refuses what by every estimate fits, dividing comes to an end, and each step is smaller than the one before.
func TestSplit_ComesToAnEnd(t *testing.T) {
	b := newBench(t, nil)
	fax := b.receivePages(noise(1, 20), noise(2, 20), noise(3, 20))
	o, err := b.q.Out(fax.Delivery)
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int64{0, 1 << 20, 3 << 20} { // unknown, less than the mail had, more than it had
		left, steps := []queue.Out{o}, 0
		withheld := map[int]bool{}
		for ; len(left) > 0; steps++ {
			if steps > 100 {
				t.Fatalf("limit %d: no end", limit)
			}
			now := left[0]
			left = left[1:]
			was, err := deliveryOf(now)
			if err != nil {
				t.Fatal(err)
			}
			parts, err := b.g.split(now, []string{"desk@example.org"}, 2<<20, limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(parts) == 0 {
				if !was.Withheld || was.First != was.Last {
					t.Errorf("limit %d: the end is %+v", limit, was)
				}
				withheld[was.First] = true
			}
			for _, p := range parts {
				if d := p.Payload.(queue.Delivery); d == was {
					t.Fatalf("limit %d: %+v again", limit, d)
				}
				left = append(left, queue.Out{ID: "x", Kind: p.Kind, Fax: p.Fax, Payload: asJSON(t, p.Payload)})
			}
		}
		if len(withheld) != 3 {
			t.Errorf("limit %d: %v", limit, withheld)
		}
	}
}
