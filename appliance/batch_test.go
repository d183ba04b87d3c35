package appliance

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
)

// waitAll waits until the jobs of these subjects are sent and returns them.
func (r *rig) waitAll(number string, subjects ...string) []queue.Job {
	r.t.Helper()
	var list []queue.Job
	for _, s := range subjects {
		list = append(list, r.waitState(s, number, queue.Sent))
	}
	return list
}

// mailAll sends a mail of some pages for each subject; mails that come together are expanded in any order, so each waits for the job before.
func (r *rig) mailAll(number string, pages int, subjects ...string) {
	r.t.Helper()
	for _, s := range subjects {
		if err := r.mail(s, longText(pages), number); err != nil {
			r.t.Fatal(err)
		}
		eventually(r.t, "the job of "+s, func() bool { return r.job(s, number).ID != "" })
	}
}

// Three jobs to one number make one call, three documents in it, and each sender gets a notice.
func TestRun_JobsToOneNumberShareACall(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	r.start()
	r.mailAll(demoReceiver, 2, "first", "second", "third")
	jobs := r.waitAll(demoReceiver, "first", "second", "third")
	if n := r.ex.exchange.Calls(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	pages := 0
	for i, j := range jobs {
		pages += j.Pages
		a := j.LastAttempt()
		if len(j.Attempts) != 1 || a.Pages != j.Pages || a.Code != t30.CodeOK || (a.Rode == jobs[0].ID) != (i > 0) || a.Call != jobs[0].LastAttempt().Call {
			t.Errorf("job %d: %+v", i, a)
		}
	}
	eventually(t, "all mail is out", func() bool { return r.with("Fax sent to") == 3 && r.with("Fax from") == 1 })
	if r.with("X-FaxNumberOfPages: "+fmt.Sprint(pages)) != 1 {
		t.Errorf("not %d pages arrived: %v", pages, r.mails)
	}
	v, err := r.app.Job(context.Background(), string(jobs[1].ID))
	if err != nil || !strings.Contains(v.Attempts[0].Text, "in the same call as job "+string(jobs[0].ID)) {
		t.Errorf("%+v, %v", v, err)
	}
	c, err := r.app.CallRecord(context.Background(), string(jobs[0].LastAttempt().Call), false)
	if err != nil || c.JobID != string(jobs[0].ID) || c.Pages != pages || len(c.Jobs) != len(jobs) {
		t.Fatalf("the call's record: %+v, %v", c, err)
	}
	for i, j := range jobs {
		if got := c.Jobs[i]; got.ID != string(j.ID) || got.Pages != j.Pages || got.Code != int(t30.CodeOK) {
			t.Errorf("job %d in the call's record: %+v", i, got)
		}
	}
}

// Stopped in the middle of a call of three: what is confirmed is never sent again, each job has one notice.
func TestRun_StoppedInASharedCall(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	r.start()
	r.mailAll(demoReceiver, 2, "first", "second", "third")
	eventually(t, "second job's first page confirmed", func() bool { return len(r.job("second", demoReceiver).Done) >= 1 })
	r.stop()
	r.start()
	first := r.job("first", demoReceiver)
	if first.State != queue.Sent || len(first.Attempts) != 1 {
		t.Errorf("the first job is %s after %d attempts", first.State, len(first.Attempts))
	}
	jobs := r.waitAll(demoReceiver, "second", "third")
	for _, j := range jobs {
		if got := j.Arrived(); len(got) != j.Pages {
			t.Errorf("job %s: pages %v of %d", j.Subject, got, j.Pages)
		}
	}
	if a := jobs[0].Attempts; len(a) != 2 || a[1].FirstPage < 2 {
		t.Errorf("the second job's attempts: %+v", a)
	}
	eventually(t, "all mail is out", func() bool {
		c, err := r.app.q.Counters()
		return err == nil && c.OutWaiting == 0
	})
	if n := r.with("Fax sent to"); n != 3 {
		t.Errorf("%d notices of 3", n)
	}
}

// A far end behind a line that carries no V.17: the second call begins at V.29, also after a restart; the number
// forgotten, the third begins at the best again.
func TestRun_RememberedNumber(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	r.ex.exchange.SetFaults(virtual.Faults{TrainRate: 9600})
	r.start()
	r.mailAll(demoReceiver, 1, "learns")
	if a := r.waitAll(demoReceiver, "learns")[0].LastAttempt(); a.Begun != (queue.Hint{}) {
		t.Errorf("the first call: %+v", a)
	}
	r.stop()
	r.start()
	r.mailAll(demoReceiver, 1, "knows")
	j := r.waitAll(demoReceiver, "knows")[0]
	if a := j.LastAttempt(); a.Begun.MaxRate != 9600 || a.Modulation != "v29" || a.Rate != 9600 {
		t.Errorf("the second call: %+v", a)
	}
	v, err := r.app.Job(context.Background(), string(j.ID))
	if err != nil || !strings.Contains(v.Attempts[0].Text, "begun at V.29 9600 as remembered since") {
		t.Errorf("%+v, %v", v, err)
	}
	ev, err := r.app.Transcript(context.Background(), "one")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ev {
		if strings.HasPrefix(e.Text, "FTT") {
			t.Errorf("training failed in the call that knows: %v", e)
		}
	}
	if err := r.app.q.Memory().Forget(demoReceiver); err != nil {
		t.Fatal(err)
	}
	r.ex.exchange.SetFaults(virtual.Faults{})
	r.mailAll(demoReceiver, 1, "forgot")
	if a := r.waitAll(demoReceiver, "forgot")[0].LastAttempt(); a.Begun != (queue.Hint{}) || a.Rate != 14400 {
		t.Errorf("the third call: %+v", a)
	}
}
