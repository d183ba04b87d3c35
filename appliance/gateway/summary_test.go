package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/t30"
)

func TestSummary_Subject(t *testing.T) {
	job := func(s queue.State) queue.Notice { return queue.Notice{State: s, Number: "5550100"} }
	sent, failed, unknown, canceled := job(queue.Sent), job(queue.Failed), job(queue.Unknown), job(queue.Canceled)
	open := []queue.OpenJob{{Number: "5550101"}}
	for _, c := range []struct {
		s    queue.Summary
		want string
	}{
		{queue.Summary{Jobs: []queue.Notice{sent, sent, sent}, Subject: "Plan"}, "3 faxes sent: Plan"},
		{queue.Summary{Jobs: []queue.Notice{failed, sent, sent}}, "2 of 3 faxes sent, 1 NOT sent"},
		{queue.Summary{Jobs: []queue.Notice{failed, failed}}, "2 faxes NOT sent"},
		{queue.Summary{Jobs: []queue.Notice{failed, unknown, canceled, sent}}, "1 of 4 faxes sent, 1 NOT sent, 1 to be checked, 1 canceled"},
		{queue.Summary{Jobs: []queue.Notice{unknown, canceled}}, "Faxes: 1 to be checked, 1 canceled"},
		{queue.Summary{Jobs: []queue.Notice{failed, canceled}}, "Faxes: 1 NOT sent, 1 canceled"},
		{queue.Summary{Jobs: []queue.Notice{sent}, Open: open}, "1 fax sent, 1 still under way"},
		{queue.Summary{Jobs: []queue.Notice{sent}, Before: 2, Subject: "Plan"}, "1 fax sent (2 reported before): Plan"},
	} {
		if got := summarySubject(c.s); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// A mail to several numbers: one notice tells of all, what failed first; a number that stands twice is named.
func TestSummary_OneMailForAll(t *testing.T) {
	b := newBench(t, nil)
	if _, err := b.post(simple("1", "Plan", "Text."), "anna@example.org", "5550100@fax.example", "5550101@fax.example", "5550102.to=Jane_Doe@fax.example", "5550103@fax.example NOTIFY=NEVER", "5550100@fax.example"); err != nil {
		t.Fatal(err)
	}
	b.work()
	jobs := b.allJobs()
	if len(jobs) != 4 || len(b.mails) != 0 {
		t.Fatalf("%d jobs, %d mails", len(jobs), len(b.mails))
	}
	if err := b.q.FailJob(jobs[3].ID, "Silent."); err != nil {
		t.Fatal(err)
	}
	if err := b.q.FailJob(jobs[1].ID, "The reason."); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		j, ok, err := b.q.NextJob(time.Now().Add(time.Hour), "one")
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		for n := 1; n <= j.Pages; n++ {
			for _, err := range []error{b.q.PageStarted(j.ID, n), b.q.PageSent(j.ID, n), b.q.ConfirmPage(j.ID, n, t30.PageResult{})} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		b.work()
		if len(b.mails) != 0 {
			t.Fatal("told before the last ended")
		}
		if _, err := b.q.EndAttempt(j.ID, queue.Outcome{Report: t30.Report{Code: t30.CodeOK, Start: time.Now(), FaxHeard: true}}); err != nil {
			t.Fatal(err)
		}
	}
	b.work()
	if len(b.mails) != 1 || b.mails[0].to[0] != "anna@example.org" {
		t.Fatalf("%d mails", len(b.mails))
	}
	text := b.mails[0].body(t)
	wantWords(t, text, "2 of 3 faxes sent, 1 NOT sent: Plan", "Your fax to 5550101 was NOT sent. What happened: The reason.", "address it only to those who did not get it",
		"5550100: ", "Jane Doe (5550102): ", "sent, 2 of 2 pages confirmed", "Nothing was sent for 5550100: the number stands twice")
	m, _ := b.mails[0].parsed(t)
	if got := m.Header.Values("X-Tipring-Job"); len(got) != 3 || m.Header.Get("Auto-Submitted") != "auto-replied" || m.Header.Get("In-Reply-To") != "<1@example.org>" {
		t.Errorf("%+v", m.Header)
	}
}

// Nobody waits longer than an hour for a busy number among others.
func TestSummaries_TellsWithinTheHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		if _, err := b.post(simple("1", "Plan", "Text."), "anna@example.org", "5550100@fax.example", "5550101@fax.example"); err != nil {
			t.Fatal(err)
		}
		b.work()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.g.Summaries(ctx) }()
		time.Sleep(3 * time.Hour) // nothing has ended
		synctest.Wait()
		if err := b.q.FailJob(b.allJobs()[0].ID, "The reason."); err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Minute)
		b.work()
		if len(b.mails) != 0 {
			t.Fatal("told too early")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		b.work()
		if len(b.mails) != 1 {
			t.Fatalf("%d mails", len(b.mails))
		}
		wantWords(t, b.mails[0].body(t), "1 fax NOT sent, 1 still under way: Plan", "The fax to 5550101 is still under way. Another notice tells how it ended.")
		if err := b.q.FailJob(b.allJobs()[1].ID, "The reason."); err != nil {
			t.Fatal(err)
		}
		b.work()
		if len(b.mails) != 2 {
			t.Fatalf("%d mails", len(b.mails))
		}
		wantWords(t, b.mails[1].body(t), "1 fax NOT sent (1 reported before): Plan")
		cancel()
		<-done
	})
}
