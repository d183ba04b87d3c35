package queue

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

func join(t testing.TB, q *Queue, first JobID) Job {
	t.Helper()
	j, ok, err := q.JoinCall(time.Now().Add(time.Second), first, Hint{})
	if err != nil || !ok {
		t.Fatalf("JoinCall: %v, %v", ok, err)
	}
	return j
}

func dials(t testing.TB, q *Queue, number string) int {
	t.Helper()
	var d dialed
	must(t, q.st.View(func(tx *store.Tx) (err error) { d, err = ledger.Get(tx, digitsOf(number)); return err }))
	return d.Total
}

func TestJoinCall_OneDialForAll(t *testing.T) {
	q := open(t, eager())
	a, b, c := addJob(t, q, "5550100", 1).ID, addJob(t, q, "5550100", 2).ID, addJob(t, q, "5550100", 1).ID
	if claim(t, q, "east").ID != a || join(t, q, a).ID != b {
		t.Fatal("not the oldest first")
	}
	if _, ok, err := q.NextJob(time.Now().Add(time.Second), "west"); ok || err != nil {
		t.Errorf("another line calls the number: %v", err)
	}
	sendPage(t, q, a, 1)
	sendPage(t, q, b, 1)
	if j := join(t, q, a); j.ID != c || j.LastAttempt().Rode != a || j.LastAttempt().Line != "east" {
		t.Fatalf("joined %+v", j)
	}
	if _, ok, err := q.JoinCall(time.Now().Add(time.Second), a, Hint{}); ok || err != nil {
		t.Errorf("a fourth of three, %v", err)
	}
	end(t, q, a, t30.CodeOK)
	if j := end(t, q, b, t30.CodeHungUpC); j.State != Waiting || j.Next() != 2 || j.Calls() != 1 {
		t.Errorf("cut off in the middle: %s at page %d, %d calls", j.State, j.Next(), j.Calls())
	}
	must(t, q.GiveBack(c))
	if j, err := q.Job(c); err != nil || j.State != Waiting || len(j.Attempts) != 0 {
		t.Errorf("given back: %+v, %v", j, err)
	}
	wantFinal(t, q, a, Sent)
	if n := dials(t, q, "5550100"); n != 1 {
		t.Errorf("the ledger counts %d dials", n)
	}
	check(t, q)
}

func TestJoinCall_Conflicts(t *testing.T) {
	q := open(t, eager())
	add := func(n NewJob) JobID {
		doc, err := q.st.WriteFile(store.Documents, []byte("tiff"))
		must(t, err)
		n.Document, n.Pages = doc, 1
		j, err := q.AddJob(n)
		must(t, err)
		return j.ID
	}
	first := add(NewJob{Number: "5550100", Subaddress: "1", Password: "2", StationID: "+1"})
	same := NewJob{Number: "5550100", Subaddress: "1", Password: "2", StationID: "+1"}
	for _, change := range []func(n *NewJob){
		func(n *NewJob) { n.Number = "5550101" }, func(n *NewJob) { n.Number = "555*0100" }, func(n *NewJob) { n.Subaddress = "" },
		func(n *NewJob) { n.Password = "3" }, func(n *NewJob) { n.StationID = "+2" }, func(n *NewJob) { n.NotBefore = time.Now().Add(time.Hour) },
	} {
		n := same
		change(&n)
		add(n)
	}
	held := add(same)
	must(t, q.HoldJob(held, "by hand"))
	if claim(t, q, "east").ID != first {
		t.Fatal("not the first")
	}
	if j, ok, err := q.JoinCall(time.Now().Add(time.Second), first, Hint{}); ok || err != nil {
		t.Errorf("%+v rides, %v", j.NewJob, err)
	}
	must(t, q.ReleaseJob(held))
	if j := join(t, q, first); j.ID != held {
		t.Errorf("%s rides", j.ID)
	}
	if _, _, err := q.JoinCall(time.Now(), held+"x", Hint{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such job: %v", err)
	}
	if err := q.GiveBack(first); !errors.Is(err, ErrState) {
		t.Errorf("the dialed job given back: %v", err)
	}
}

// TestJoinCall_SlowerJobRidesOnlyInASlowCall: a job that failed at full rate is not sent so again.
func TestJoinCall_SlowerJobRidesOnlyInASlowCall(t *testing.T) {
	q := open(t, eager())
	slow := addJob(t, q, "5550100", 1).ID
	claim(t, q, "east")
	end(t, q, slow, t30.CodeHungUpC)
	must(t, q.HoldJob(slow, ""))
	first := addJob(t, q, "5550100", 1).ID
	claim(t, q, "east")
	must(t, q.ReleaseJob(slow))
	for _, tt := range []struct {
		used Hint
		want bool
	}{{Hint{}, false}, {Hint{MaxRate: 14400}, false}, {Hint{MaxRate: 9600}, true}, {Hint{4800, true}, true}} {
		j, ok, err := q.JoinCall(time.Now().Add(time.Second), first, tt.used)
		if err != nil || ok != tt.want {
			t.Errorf("in a call at %+v: %v, %v", tt.used, ok, err)
		}
		if ok {
			must(t, q.GiveBack(j.ID))
		}
	}
}

// TestJoinCall_FarEndThatTakesOne: a far end that stumbles over the second document costs the second job no try and is
// remembered.
func TestJoinCall_FarEndThatTakesOne(t *testing.T) {
	q := open(t, eager())
	a, b := addJob(t, q, "5550100", 1).ID, addJob(t, q, "5550100", 1).ID
	claim(t, q, "east")
	join(t, q, a)
	sendPage(t, q, a, 1)
	must(t, q.PageStarted(b, 1))
	end(t, q, a, t30.CodeOK)
	if j := end(t, q, b, t30.CodeNoReplyDCS); j.State != Waiting || len(j.Tries) != 0 || j.Calls() != 0 || j.Hint != (Hint{}) {
		t.Fatalf("the second job: %+v", j)
	}
	c := addJob(t, q, "5550100", 1).ID
	if j := claim(t, q, "east"); j.ID != b {
		t.Fatal("not the waiting one")
	}
	if _, ok, err := q.JoinCall(time.Now().Add(time.Second), b, Hint{}); ok || err != nil {
		t.Errorf("%s rides with it, %v", c, err)
	}
	// Its time over, it is tried again; a second document that goes through clears it.
	if f, err := q.memory.List(); err != nil || len(f) != 1 || !f[0].TakesOne(time.Now()) || f[0].TakesOne(time.Now().Add(rateLife)) {
		t.Errorf("remembered %+v, %v", f, err)
	}
}

// TestEndAttempt_NoAnswerToEOM: the last page of a document that another follows is in doubt; the next call goes alone.
func TestEndAttempt_NoAnswerToEOM(t *testing.T) {
	q := open(t, eager())
	a := addJob(t, q, "5550100", 1).ID
	claim(t, q, "east")
	must(t, q.PageStarted(a, 1))
	must(t, q.PageSent(a, 1))
	o := call(t30.CodeNoReplyPage, 0, fast, false, v17)
	o.Followed, o.Report.Unknown = true, true
	endWith(t, q, a, o)
	wantFinal(t, q, a, Unknown)
	if f, err := q.memory.List(); err != nil || len(f) != 1 || !f[0].TakesOne(time.Now()) {
		t.Errorf("remembered %+v, %v", f, err)
	}
}

// TestRecover_Riders: a crash in a call of three, the first sent, the second in the middle, the third not begun.
func TestRecover_Riders(t *testing.T) {
	for _, begun := range []bool{false, true} {
		q := open(t, eager())
		a, b, c := addJob(t, q, "5550100", 1).ID, addJob(t, q, "5550100", 3).ID, addJob(t, q, "5550100", 1).ID
		claim(t, q, "east")
		join(t, q, a)
		join(t, q, a)
		sendPage(t, q, a, 1)
		sendPage(t, q, b, 1)
		must(t, q.PageStarted(b, 2))
		if begun {
			must(t, q.PageStarted(c, 1))
			must(t, q.PageSent(c, 1))
		}
		q, rec := reopen(t, q)
		wantFinal(t, q, a, Sent)
		j, err := q.Job(b)
		if err != nil || j.State != Waiting || j.Next() != 2 {
			t.Errorf("the second: %s at page %d, %v", j.State, j.Next(), err)
		}
		j, err = q.Job(c)
		if want := map[bool]State{false: Waiting, true: Unknown}[begun]; err != nil || j.State != want || begun != (len(j.Attempts) == 1) {
			t.Errorf("the third is %s with %d attempts, %v; want %s", j.State, len(j.Attempts), err, want)
		}
		want := []CallJob{{Job: a, Pages: 1}, {Job: b, Pages: 1}}
		if begun {
			want = append(want, CallJob{Job: c})
		}
		list, err := q.Calls(0)
		if err != nil || len(list) != 1 || list[0].Job != a || !slices.Equal(list[0].Jobs, want) || list[0].Pages != 2 {
			t.Errorf("calls %+v, %v; want one, its jobs %v", list, err, want)
		}
		if len(rec.Finished) != 1 || len(rec.Resumed)+len(rec.Unknown) != 2 || dials(t, q, "5550100") != 1 {
			t.Errorf("recovery %+v, %d dials", rec, dials(t, q, "5550100"))
		}
		check(t, q)
	}
}

func TestJoinCall_CanceledWhileItWaitsInTheCall(t *testing.T) {
	q := open(t, eager())
	a, b := addJob(t, q, "5550100", 1).ID, addJob(t, q, "5550100", 1).ID
	claim(t, q, "east")
	join(t, q, a)
	must(t, q.CancelJob(b, "by hand"))
	must(t, q.GiveBack(b))
	wantFinal(t, q, b, Canceled)
	end(t, q, a, t30.CodeBusy)
	check(t, q)
}

func TestJoinCall_Bounded(t *testing.T) {
	q := open(t, eager())
	first := addJob(t, q, "5550100", 1).ID
	for range maxRiders + 1 {
		addJob(t, q, "5550100", 1)
	}
	claim(t, q, "east")
	for range maxRiders {
		join(t, q, first)
	}
	if _, ok, err := q.JoinCall(time.Now().Add(time.Second), first, Hint{}); ok || err != nil {
		t.Errorf("more than %d ride, %v", maxRiders, err)
	}
}

// TestJoinCall_LearnsOnce: a call that fell one step is one observation, however many documents were in it.
func TestJoinCall_LearnsOnce(t *testing.T) {
	q := open(t, eager())
	a, b := addJob(t, q, "5550100", 1).ID, addJob(t, q, "5550100", 1).ID
	claim(t, q, "east")
	join(t, q, a)
	for _, id := range []JobID{a, b} {
		sendPage(t, q, id, 1)
		endWith(t, q, id, call(t30.CodeOK, 1, step, true, v17))
	}
	if h, _, err := q.memory.Begin(time.Now(), "5550100"); err != nil || h != (Hint{}) {
		t.Errorf("after one call: %+v, %v", h, err)
	}
	// A line that drops once in the second document is chance, twice in a row is not.
	for n := 1; n <= 2; n++ {
		a, b := addJob(t, q, "5550100", 1).ID, addJob(t, q, "5550100", 1).ID
		claim(t, q, "east")
		join(t, q, a)
		sendPage(t, q, a, 1)
		must(t, q.PageStarted(b, 1))
		endWith(t, q, a, call(t30.CodeOK, 1, fast, true, v17))
		endWith(t, q, b, call(t30.CodeHungUpC, 0, fast, true, v17))
		must(t, q.CancelJob(b, ""))
		f, err := q.memory.List()
		if err != nil || len(f) != 1 || f[0].TakesOne(time.Now()) != (n == 2) {
			t.Errorf("after %d: %+v, %v", n, f, err)
		}
	}
}
