package queue

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// eager retries at once and has no redial limits.
func eager() Options {
	return Options{Policy: DefaultPolicy().Faster(1 << 30), Dial: DialRule{Gap: 1}, Domain: "fax.test", AlarmTo: []string{"op@fax.test"}}
}

func openAt(t testing.TB, dir string, o Options) (*Queue, Recovery) {
	t.Helper()
	st, err := store.Open(dir, store.Options{LockTimeout: 50 * time.Millisecond, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	q, rec, err := Open(st, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return q, rec
}

// reopen ends q as a crash does, as far as the database can tell, and opens it again.
func reopen(t testing.TB, q *Queue) (*Queue, Recovery) {
	t.Helper()
	check(t, q)
	q.st.Close()
	return openAt(t, q.st.Dir(), q.o)
}

func check(t testing.TB, q *Queue) {
	t.Helper()
	if err := q.st.Check(); err != nil {
		t.Errorf("database damaged: %v", err)
	}
}

func open(t testing.TB, o Options) *Queue {
	q, _ := openAt(t, t.TempDir(), o)
	t.Cleanup(func() { _ = q.st.Close() })
	return q
}

// addJob makes a job of some pages that waits.
func addJob(t testing.TB, q *Queue, number string, pages int) Job {
	t.Helper()
	doc, err := q.st.WriteFile(store.Documents, []byte("tiff"))
	if err != nil {
		t.Fatal(err)
	}
	j, err := q.AddJob(NewJob{Sender: "ann@contoso.test", Number: number, Document: doc, Pages: pages})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func claim(t testing.TB, q *Queue, line string) Job {
	t.Helper()
	j, ok, err := q.NextJob(time.Now().Add(time.Second), line)
	if err != nil || !ok {
		t.Fatalf("NextJob: %v, %v", ok, err)
	}
	return j
}

// sendPage has page n go out and be confirmed.
func sendPage(t testing.TB, q *Queue, id JobID, n int) {
	t.Helper()
	must(t, q.PageStarted(id, n))
	must(t, q.PageSent(id, n))
	must(t, q.ConfirmPage(id, n, t30.PageResult{}))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func end(t testing.TB, q *Queue, id JobID, code t30.Code) Job {
	t.Helper()
	return endWith(t, q, id, Outcome{Report: t30.Report{Code: code, Start: time.Now(), FaxHeard: code >= t30.CodeCannotReceive || code == t30.CodeOK}})
}

func endWith(t testing.TB, q *Queue, id JobID, o Outcome) Job {
	t.Helper()
	j, err := q.EndAttempt(id, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// notices returns the payloads of a job's notices in the outbox, done ones too.
func notices(t testing.TB, q *Queue, id JobID) []Notice {
	t.Helper()
	all, err := q.Outs(0)
	if err != nil {
		t.Fatal(err)
	}
	var list []Notice
	for _, o := range all {
		if o.Kind == KindNotice && o.Job == id {
			var n Notice
			must(t, json.Unmarshal(o.Payload, &n))
			list = append(list, n)
		}
	}
	return list
}

func wantFinal(t testing.TB, q *Queue, id JobID, s State) Notice {
	t.Helper()
	j, err := q.Job(id)
	if err != nil || j.State != s {
		t.Fatalf("job %s is %s (%s), %v; want %s", id, j.State, j.Text, err, s)
	}
	list := notices(t, q, id)
	if len(list) != 1 || list[0].State != s {
		t.Fatalf("notices of job %s: %+v, want one with state %s", id, list, s)
	}
	return list[0]
}

func TestMail_AcceptedIsExpandedOnce(t *testing.T) {
	q := open(t, eager())
	file, err := q.st.WriteFile(store.Mails, []byte("From: ann"))
	must(t, err)
	id, err := q.AcceptMail(Envelope{From: "ann@contoso.test", To: []string{"5550100@fax.test", "5550101@fax.test"}}, file)
	must(t, err)
	q, _ = reopen(t, q)
	list, err := q.PendingMails(0)
	if err != nil || len(list) != 1 || list[0].ID != id || list[0].From != "ann@contoso.test" {
		t.Fatalf("PendingMails after a restart: %+v, %v", list, err)
	}
	jobs := []NewJob{{Sender: "ann@contoso.test", Number: "5550100"}, {Sender: "ann@contoso.test", Number: "5550101"}}
	first, err := q.ExpandMail(id, Expansion{Jobs: jobs})
	must(t, err)
	again, err := q.ExpandMail(id, Expansion{Jobs: jobs})
	must(t, err)
	if len(first) != 2 || len(again) != 2 || again[0] != first[0] || again[1] != first[1] {
		t.Errorf("expanded to %v, then to %v", first, again)
	}
	if all, _ := q.Jobs(0); len(all) != 2 || all[0].State != Preparing || all[0].Mail != id {
		t.Errorf("jobs %+v", all)
	}
	if list, _ := q.PendingMails(0); len(list) != 0 {
		t.Errorf("still pending: %+v", list)
	}
}

func TestJob_SentAfterAllPages(t *testing.T) {
	q := open(t, eager())
	id := addJob(t, q, "5550100", 2).ID
	j := claim(t, q, "east")
	if j.ID != id || j.State != Calling || len(j.Attempts) != 1 || j.Attempts[0].Line != "east" {
		t.Fatalf("claimed %+v", j)
	}
	sendPage(t, q, id, 1)
	if err := q.ConfirmPage(id, 1, t30.PageResult{}); !errors.Is(err, ErrState) {
		t.Errorf("the same page confirmed twice: %v", err)
	}
	must(t, q.ConfirmPage(id, 2, t30.PageResult{Poor: true}))
	endWith(t, q, id, Outcome{Report: t30.Report{Code: t30.CodeOK, Sent: 2, SentPoor: 1, Remote: t30.Remote{ID: "+1 555 0100"}}})
	n := wantFinal(t, q, id, Sent)
	if n.Confirmed != 2 || n.Poor != 1 || n.Calls != 1 || n.RemoteID != "+1 555 0100" {
		t.Errorf("notice %+v", n)
	}
	if _, err := q.EndAttempt(id, Outcome{}); !errors.Is(err, ErrState) {
		t.Errorf("EndAttempt of an ended job: %v", err)
	}
	if err := q.CancelJob(id, ""); !errors.Is(err, ErrState) {
		t.Errorf("CancelJob of an ended job: %v", err)
	}
	wantFinal(t, q, id, Sent)
	if c, err := q.Counters(); err != nil || c.Sent != 1 || c.Active != 0 || c.OutWaiting != 1 {
		t.Errorf("counters %+v, %v", c, err)
	}
	check(t, q)
}

// TestRecover takes a job to each point of a call, crashes, and looks where it goes on.
func TestRecover(t *testing.T) {
	tests := []struct {
		name  string
		call  func(t *testing.T, q *Queue, id JobID)
		want  State
		next  int // the page it goes on at
		doubt int
	}{
		{"dialing", func(*testing.T, *Queue, JobID) {}, Waiting, 1, 0},
		{"page 1 opened", func(t *testing.T, q *Queue, id JobID) { must(t, q.PageStarted(id, 1)) }, Waiting, 1, 0},
		{"page 1 out", func(t *testing.T, q *Queue, id JobID) {
			must(t, q.PageStarted(id, 1))
			must(t, q.PageSent(id, 1))
		}, Waiting, 1, 1},
		{"page 1 refused and opened again", func(t *testing.T, q *Queue, id JobID) {
			must(t, q.PageStarted(id, 1))
			must(t, q.PageSent(id, 1))
			must(t, q.PageStarted(id, 1))
		}, Waiting, 1, 0},
		{"page 1 out, page 2 coded ahead", func(t *testing.T, q *Queue, id JobID) {
			must(t, q.PageStarted(id, 1))
			must(t, q.PageSent(id, 1))
			must(t, q.PageStarted(id, 2))
		}, Waiting, 1, 1},
		{"page 1 confirmed", func(t *testing.T, q *Queue, id JobID) { sendPage(t, q, id, 1) }, Waiting, 2, 0},
		{"last page opened", func(t *testing.T, q *Queue, id JobID) {
			sendPage(t, q, id, 1)
			sendPage(t, q, id, 2)
			must(t, q.PageStarted(id, 3))
		}, Waiting, 3, 0},
		{"last page out", func(t *testing.T, q *Queue, id JobID) {
			sendPage(t, q, id, 1)
			sendPage(t, q, id, 2)
			must(t, q.PageStarted(id, 3))
			must(t, q.PageSent(id, 3))
		}, Unknown, 3, 3},
		{"last page confirmed", func(t *testing.T, q *Queue, id JobID) {
			for n := 1; n <= 3; n++ {
				sendPage(t, q, id, n)
			}
		}, Sent, 4, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := open(t, eager())
			id := addJob(t, q, "5550100", 3).ID
			claim(t, q, "east")
			tt.call(t, q, id)
			q, rec := reopen(t, q)
			j, err := q.Job(id)
			must(t, err)
			if j.State != tt.want || j.Next() != tt.next || j.LastAttempt().Doubt != tt.doubt || j.LastAttempt().End.IsZero() {
				t.Errorf("%s, next page %d, doubt %d; want %s, %d, %d", j.State, j.Next(), j.LastAttempt().Doubt, tt.want, tt.next, tt.doubt)
			}
			if got := len(rec.Resumed) + 2*len(rec.Unknown) + 3*len(rec.Finished); got != map[State]int{Waiting: 1, Unknown: 2, Sent: 3}[tt.want] {
				t.Errorf("recovery %+v", rec)
			}
			if tt.want.Final() {
				wantFinal(t, q, id, tt.want)
			} else if j := claim(t, q, "west"); j.LastAttempt().FirstPage != tt.next {
				t.Errorf("goes on at page %d, want %d", j.LastAttempt().FirstPage, tt.next)
			}
			q, rec = reopen(t, q)
			if tt.want.Final() && (len(rec.Resumed)+len(rec.Unknown)+len(rec.Finished) != 0 || len(notices(t, q, id)) != 1) {
				t.Errorf("the second restart did something: %+v", rec)
			}
		})
	}
}

func TestRecover_EndlessCrashesEnd(t *testing.T) {
	q := open(t, eager())
	id := addJob(t, q, "5550100", 1).ID
	tries := DefaultPolicy().Retries[ClassRestart].Tries
	for range tries {
		claim(t, q, "east")
		q, _ = reopen(t, q)
	}
	if n := wantFinal(t, q, id, Failed); n.Calls != tries {
		t.Errorf("%d calls, want %d", n.Calls, tries)
	}
}

func TestRecoverLine(t *testing.T) {
	q := open(t, routed())
	east, west := addJob(t, q, "5550100", 1).ID, addJob(t, q, "5550101", 1).ID
	claim(t, q, "east")
	claim(t, q, "west")
	must(t, q.PageSent(west, 1))
	r := q.Reception(NewFax{Line: "east", Dialed: "0100"})
	must(t, r.PutPage(t30.Remote{}, 1, FaxPage{File: pageFile(t, q)}))
	rec, err := q.RecoverLine("east")
	if err != nil || len(rec.Resumed) != 1 || rec.Resumed[0] != east || len(rec.Partial) != 1 || len(rec.Unknown) != 0 {
		t.Errorf("%+v, %v", rec, err)
	}
	if j, _ := q.Job(west); j.State != Calling {
		t.Errorf("the other line's job is %s", j.State)
	}
	if f := mustFax(t, q, r.ID()); f.State != FaxPartial {
		t.Errorf("the fax is %s", f.State)
	}
}

func TestCancelJob(t *testing.T) {
	q := open(t, eager())
	waiting, calling := addJob(t, q, "5550100", 1).ID, addJob(t, q, "5550101", 1).ID
	must(t, q.CancelJob(waiting, "by Ann"))
	wantFinal(t, q, waiting, Canceled)
	claim(t, q, "east")
	must(t, q.CancelJob(calling, "by Ann"))
	if j, _ := q.Job(calling); j.State != Calling || !j.Cancel {
		t.Fatalf("%+v", j)
	}
	endWith(t, q, calling, Outcome{Err: context.Canceled})
	if n := wantFinal(t, q, calling, Canceled); n.Text != "by Ann" {
		t.Errorf("text %q", n.Text)
	}
}

func TestHold(t *testing.T) {
	q := open(t, eager())
	id := addJob(t, q, "5550100", 1).ID
	must(t, q.HoldJob(id, "operator"))
	if _, ok, _ := q.NextJob(time.Now(), "east"); ok {
		t.Error("a held job was given out")
	}
	must(t, q.ReleaseJob(id))
	if err := q.ReleaseJob(id); !errors.Is(err, ErrState) {
		t.Errorf("released twice: %v", err)
	}
	claim(t, q, "east")
}

func TestPrepare(t *testing.T) {
	q := open(t, eager())
	j, err := q.AddJob(NewJob{Sender: "ann@contoso.test", Number: "5550100"})
	must(t, err)
	if j, err = q.BeginPrepare(j.ID); err != nil || j.PrepareRuns != 1 {
		t.Fatalf("%+v, %v", j, err)
	}
	q, _ = reopen(t, q)
	if list, err := q.ActiveJobs(Preparing); err != nil || len(list) != 1 || list[0].PrepareRuns != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	doc, err := q.st.WriteFile(store.Documents, []byte("tiff"))
	must(t, err)
	must(t, q.SetDocument(j.ID, doc, 1))
	if err := q.SetDocument(j.ID, doc, 1); !errors.Is(err, ErrState) {
		t.Errorf("a second document: %v", err)
	}
	claim(t, q, "east")
	k, err := q.AddJob(NewJob{Sender: "ann@contoso.test", Number: "5550101"})
	must(t, err)
	must(t, q.FailJob(k.ID, "The PDF is damaged."))
	if n := wantFinal(t, q, k.ID, Failed); n.Text != "The PDF is damaged." {
		t.Errorf("%+v", n)
	}
}

func TestNextJob_OneCallPerDestination(t *testing.T) {
	q := open(t, eager())
	first := addJob(t, q, "555-0100", 1).ID
	second := addJob(t, q, "555,0100", 1).ID
	other := addJob(t, q, "5550101", 1).ID
	if j := claim(t, q, "east"); j.ID != first {
		t.Errorf("first %s", j.ID)
	}
	if j := claim(t, q, "west"); j.ID != other {
		t.Errorf("got %s; %s goes to a number that has a call", j.ID, second)
	}
	if _, ok, _ := q.NextJob(time.Now(), "north"); ok {
		t.Error("two calls to one destination")
	}
	end(t, q, first, t30.CodeNotInService)
	if j := claim(t, q, "north"); j.ID != second {
		t.Errorf("third %s", j.ID)
	}
}

func TestNextJobAt(t *testing.T) {
	q := open(t, eager())
	now := time.Now()
	at := func() time.Time {
		t.Helper()
		at, err := q.NextJobAt(now)
		must(t, err)
		return at
	}
	if !at().IsZero() {
		t.Error("an empty queue has a next job")
	}
	later, err := q.AddJob(NewJob{Number: "5550101", Document: "doc/none", Pages: 1, NotBefore: now.Add(time.Hour)})
	must(t, err)
	if !at().Equal(later.NotBefore) {
		t.Errorf("next at %v, want %v", at(), later.NotBefore)
	}
	addJob(t, q, "5550100", 1)
	addJob(t, q, "5550100", 1)
	if !at().Before(now.Add(time.Minute)) {
		t.Errorf("next at %v, want now", at())
	}
	claim(t, q, "east")
	if !at().Equal(later.NotBefore) {
		t.Errorf("next at %v although the destination has a call", at())
	}
}

// TestBusy_AtThePolicysTimes runs a line's worker in virtual time against a busy number.
func TestBusy_AtThePolicysTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(noon)) // a bubble's clock begins in 2000: not set
		exact := DefaultPolicy()
		exact.Spread = 0
		q := open(t, Options{Policy: exact})
		id := addJob(t, q, "5550100", 1).ID
		var calls []time.Duration
		for {
			changed := q.Changed()
			j, ok, err := q.NextJob(time.Now(), "east")
			must(t, err)
			if ok {
				calls = append(calls, time.Since(noon))
				if end(t, q, j.ID, t30.CodeBusy).State.Final() {
					break
				}
				continue
			}
			at, err := q.NextJobAt(time.Now())
			must(t, err)
			must(t, q.Wait(t.Context(), changed, at))
		}
		want := []time.Duration{0, 3 * time.Minute, 8 * time.Minute, 18 * time.Minute, 38 * time.Minute}
		if !slices.Equal(calls, want) {
			t.Errorf("called at %v, want %v", calls, want)
		}
		if n := wantFinal(t, q, id, Failed); n.Code != t30.CodeBusy || !n.Ended.Equal(noon.Add(38*time.Minute)) {
			t.Errorf("%+v", n)
		}
	})
}

func TestNextJob_ClockAndEmergency(t *testing.T) {
	q := open(t, eager())
	addJob(t, q, "5550100", 1)
	if _, _, err := q.NextJob(time.Unix(1000, 0), "east"); !errors.Is(err, ErrClock) {
		t.Errorf("with an unset clock: %v, want ErrClock", err)
	}
	for _, number := range []string{"911", "112", "9,911", "9w112", "9 1 1", "0,999"} {
		j := addJob(t, q, number, 1)
		wantFinal(t, q, j.ID, Failed)
		if err := q.Ledger().Begin(time.Now(), number); !errors.Is(err, ErrEmergency) {
			t.Errorf("Begin(%s): %v, want ErrEmergency", number, err)
		}
	}
	for _, number := range []string{"9!911", "9t112", "0P911", "9@911"} {
		if !q.Ledger().IsEmergency(number) {
			t.Errorf("%s is not seen to be an emergency number", number)
		}
	}
	if q.Ledger().IsEmergency("9115550100") || q.Ledger().IsEmergency("5550112") {
		t.Error("a longer number is taken for an emergency number")
	}
}

func TestWait(t *testing.T) {
	q := open(t, eager())
	changed := q.Changed()
	addJob(t, q, "5550100", 1)
	must(t, q.Wait(context.Background(), changed, time.Time{}))
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		must(t, q.Wait(t.Context(), make(chan struct{}), start.Add(time.Hour)))
		if d := time.Since(start); d != time.Hour {
			t.Errorf("waited %v", d)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := q.Wait(ctx, q.Changed(), time.Time{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
