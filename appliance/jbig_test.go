package appliance

import (
	"testing"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/t30"
)

// TestRun_JBIGWhereBothLinesSaySo: a line's coding holds for sending and for receiving, and the fax arrives.
func TestRun_JBIGWhereBothLinesSaySo(t *testing.T) {
	t.Parallel()
	r := newRig(t, 20)
	for i := range r.cfg.Lines {
		r.cfg.Lines[i].Coding = "jbig"
	}
	r.start()
	if err := r.mail("letter", "A short letter.", demoReceiver); err != nil {
		t.Fatal(err)
	}
	r.waitState("letter", demoReceiver, queue.Sent)
	eventually(t, "the fax as a mail", func() bool { return r.with("Fax from "+demoSender, "application/pdf") == 1 })
	eventually(t, "two call records", func() bool {
		calls, err := r.app.q.Calls(0)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range calls {
			if c.Coding != t30.JBIG || !c.ECM {
				t.Fatalf("line %s: %v, ECM %v", c.Line, c.Coding, c.ECM)
			}
		}
		return len(calls) == 2
	})
}
