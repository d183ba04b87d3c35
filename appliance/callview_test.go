package appliance

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/t30"
)

// Every call of the appliance has a record, sent and received, and says where its seconds went; also after a restart.
func TestRun_EveryCallIsRecorded(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	r.start()
	if err := r.mail("letter", "One page.\n", demoReceiver, demoBusy); err != nil {
		t.Fatal(err)
	}
	j := r.waitState("letter", demoReceiver, queue.Sent)
	busy := r.waitState("letter", demoBusy, queue.Failed)
	var list []control.CallRecord
	eventually(t, "records of all calls", func() (ok bool) {
		var err error
		if list, err = r.app.Calls(context.Background(), 0); err != nil {
			t.Fatal(err)
		}
		return len(list) == r.ex.exchange.Calls()+1 // the answered one is a call on both lines
	})
	r.stop()
	r.start()
	dirs := map[string]int{}
	for _, c := range list {
		full, err := r.app.CallRecord(context.Background(), c.ID, false)
		if err != nil {
			t.Fatal(err)
		}
		dirs[c.Direction]++
		sum := 0.0
		for _, p := range full.Parts {
			sum += p.Seconds
		}
		if len(full.Signals) == 0 || math.Abs(sum-full.Seconds) > 1e-6 || full.Transcript != nil {
			t.Errorf("call %+v: parts of %.6f s", full, sum)
		}
		switch {
		case c.Code == int(t30.CodeBusy):
			if c.JobID != string(busy.ID) || len(full.Signals) != 1 || full.Signals[0].Kind != string(t30.KindDial) {
				t.Errorf("busy: %+v", full)
			}
		case c.Direction == "out":
			if view := jobView(j); c.JobID != string(j.ID) || len(view.Attempts) != 1 || view.Attempts[0].CallID != c.ID {
				t.Errorf("the job's call is %+v, its attempts %+v", c, view.Attempts)
			}
		case c.FaxID == "" || c.Pages != 1:
			t.Errorf("received: %+v", c)
		}
	}
	if dirs["in"] != 1 {
		t.Errorf("calls %v", dirs)
	}
	c, err := r.app.CallRecord(context.Background(), list[0].ID, true)
	if err != nil || len(c.Transcript) == 0 {
		t.Errorf("transcript of %+v, %v", c, err)
	}
	if _, err := r.app.CallRecord(context.Background(), "0", false); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("no such call: %v", err)
	}
}
