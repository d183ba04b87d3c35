package t30_test

import (
	"bytes"
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

var (
	seeds    = flag.Uint64("seeds", 1000, "random lines to call over")
	seedFrom = flag.Uint64("seed", 1, "the first of them")
)

// TestCall_RandomFaults holds the promises over lines at their worst: no call hangs, with ECM no page is called good
// that differs, without ECM none that is not whole, and the sender never counts
// a page that the receiver has not stored.
func TestCall_RandomFaults(t *testing.T) {
	whole := 0
	for seed := *seedFrom; seed < *seedFrom+*seeds; seed++ {
		ecm := seed%2 == 0
		docs := []*t30test.Document{t30test.NewDocument(seed, 1+int(seed%3), 1000), t30test.NewDocument(seed+5000, 1, 2500)}
		sink := &t30test.Sink{}
		cfg := t30test.Config{
			Seed: seed, DropFrame: .05, CorruptFrame: .05, CorruptPage: .1, CutCarrier: .05, DropCarrier: .05, HangUp: .01,
			Delay: time.Duration(seed%5) * 50 * time.Millisecond,
		}
		k := sending(cfg, sink, docs...)
		k.caller.NoECM = !ecm
		o := k.run(t)
		if o.sent.Code == t30.CodeOK {
			whole++
		}
		checkPromises(t, seed, ecm, o, sink, docs)
		if t.Failed() {
			o.dump(t)
			t.Fatalf("replay: go test -run RandomFaults -seed %d -seeds 1", seed)
		}
	}
	t.Logf("%d of %d calls ended well", whole, *seeds)
	if *seeds >= 100 && uint64(whole) < *seeds/4 {
		t.Errorf("only %d of %d calls ended well", whole, *seeds)
	}
}

func checkPromises(t *testing.T, seed uint64, ecm bool, o outcome, sink *t30test.Sink, docs []*t30test.Document) {
	t.Helper()
	var all [][]byte // pages in the order sent, without those refused: of these no copy counts
	confirmed, refused := 0, 0
	for _, d := range docs {
		for i, p := range d.Pages {
			if !slices.Contains(d.RefusedPages(), i+1) {
				all = append(all, bytes.TrimRight(p.Data, "\x00"))
			}
		}
		confirmed += len(d.ConfirmedPages())
		refused += len(d.RefusedPages())
	}
	if o.sent.Refused != refused || refused > 0 && o.sent.Code == t30.CodeOK {
		t.Errorf("seed %d: %d pages refused, report says %d, %v", seed, refused, o.sent.Refused, o.sent.Code)
	}
	if through := len(docs[0].ConfirmedPages()) + len(docs[0].RefusedPages()); through < len(docs[0].Pages) && len(docs[1].ConfirmedPages()) > 0 {
		t.Errorf("seed %d: second document before the first was confirmed", seed)
	}
	for i, d := range docs {
		if n := len(d.Ended()); n > 1 || i == 0 && n == 0 && o.sent.FaxHeard && o.heard("choose -> dcs") {
			t.Errorf("seed %d: document %d ended %d times", seed, i, n)
		}
	}
	kept := sink.Kept()
	if o.sent.Sent != confirmed || len(kept) < confirmed {
		t.Errorf("seed %d: %d pages kept, %d confirmed, report says %d", seed, len(kept), confirmed, o.sent.Sent)
	}
	if len(kept) > confirmed+1 && !ecm || len(kept) > len(all) {
		t.Errorf("seed %d: %d pages kept, %d confirmed of %d", seed, len(kept), confirmed, len(all))
	}
	for i, k := range kept {
		switch {
		case i >= len(all):
		case ecm && !bytes.Equal(k, all[i]):
			t.Errorf("seed %d: page %d kept as good, but differs", seed, i+1)
		case !ecm && len(k) != len(all[i]):
			t.Errorf("seed %d: page %d has %d octets, want %d", seed, i+1, len(k), len(all[i]))
		}
	}
	for _, p := range sink.Pages() {
		if !p.Done {
			t.Errorf("seed %d: a page was never finished", seed)
		}
	}
	if o.took > 30*time.Minute {
		t.Errorf("seed %d: call took %v", seed, o.took)
	}
}
