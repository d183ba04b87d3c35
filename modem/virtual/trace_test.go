package virtual_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// A transcript without a lock of its own: the port's lines come from the engine's pauses too, which run beside its work.
// (Under the race detector the append alone would tell.)
func TestSession_TraceOneEventAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newOffice(t, virtual.Options{Delay: 50 * time.Millisecond})
		defer f.close()
		var both [2][]t30.Event
		record := func(to *[]t30.Event) func(t30.Event) {
			var busy atomic.Bool
			return func(e t30.Event) {
				if !busy.CompareAndSwap(false, true) {
					t.Errorf("%v %s came while another event was being written", e.Layer, e.Text)
					return
				}
				*to = append(*to, e)
				for range 100 {
					runtime.Gosched()
				}
				busy.Store(false)
			}
		}
		out := t30.Session{Send: t30test.Docs(t30test.NewDocument(1, 3, 200)), Trace: record(&both[0])}
		in := t30.Session{Sink: &t30test.Sink{}, Trace: record(&both[1])}
		if sent, got := f.call(f.caller, f.callee, calleeNumber, out, in); !sent.OK() || !got.OK() {
			t.Errorf("%v, %v", sent.Code, got.Code)
		}
		for i, log := range both {
			seen := map[t30.Layer]int{}
			for _, e := range log {
				seen[e.Layer]++
			}
			if seen[t30.LayerAT] == 0 || seen[t30.LayerFrame] == 0 {
				t.Errorf("transcript %d has %v: the modem's lines and the engine's are wanted", i, seen)
			}
		}
	})
}
