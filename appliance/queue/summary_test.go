package queue

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// expand makes a mail with a job of one page for each number; a number that begins with "!" wants no notices.
func expand(t testing.TB, q *Queue, numbers ...string) []JobID {
	t.Helper()
	file, err := q.st.WriteFile(store.Mails, []byte("mail"))
	must(t, err)
	mail, err := q.AcceptMail(Envelope{From: "ann@contoso.test", MessageID: "<m@contoso.test>"}, file)
	must(t, err)
	doc, err := q.st.WriteFile(store.Documents, []byte("tiff"))
	must(t, err)
	var list []NewJob
	for _, n := range numbers {
		j := NewJob{Sender: "ann@contoso.test", Number: strings.TrimPrefix(n, "!"), Subject: "Plan", Document: doc, Pages: 1}
		if strings.HasPrefix(n, "!") {
			j.Sender = ""
		}
		list = append(list, j)
	}
	ids, err := q.ExpandMail(mail, Expansion{Jobs: list, Repeated: []string{"5550199"}})
	must(t, err)
	return ids
}

// told returns, for each notice in order, the states by number, and what was still open.
func told(t testing.TB, q *Queue) (list []Summary) {
	t.Helper()
	all, err := q.Outs(0)
	must(t, err)
	slices.Reverse(all)
	for _, o := range all {
		var s Summary
		switch o.Kind {
		case KindSummary:
			must(t, json.Unmarshal(o.Payload, &s))
			if len(o.To) != 1 || o.To[0] != "ann@contoso.test" || len(o.Jobs) != len(s.Jobs) || s.Subject != "Plan" || s.MessageID == "" {
				t.Errorf("%+v", o)
			}
		case KindNotice:
			var n Notice
			must(t, json.Unmarshal(o.Payload, &n))
			s = Summary{Jobs: []Notice{n}, Repeated: n.Repeated}
		default:
			continue
		}
		list = append(list, s)
	}
	return list
}

func states(s Summary) (list []string) {
	for _, n := range s.Jobs {
		list = append(list, n.Number+" "+string(n.State))
	}
	return list
}

func TestSummary_OneForAllRecipients(t *testing.T) {
	q := open(t, eager())
	ids := expand(t, q, "5550100", "5550101", "!5550102", "5550103")
	must(t, q.CancelJob(ids[0], ""))
	must(t, q.CancelJob(ids[2], ""))
	q, _ = reopen(t, q)
	if got := told(t, q); len(got) != 0 {
		t.Fatalf("told too early: %+v", got)
	}
	must(t, q.FailJob(ids[1], "No."))
	j := claim(t, q, "east")
	sendPage(t, q, j.ID, 1)
	end(t, q, j.ID, t30.CodeOK)
	got := told(t, q)
	want := []string{"5550101 failed", "5550100 canceled", "5550103 sent"}
	if len(got) != 1 || !slices.Equal(states(got[0]), want) || len(got[0].Open) != 0 || got[0].Before != 0 || !slices.Equal(got[0].Repeated, []string{"5550199"}) {
		t.Fatalf("%+v", got)
	}
	for _, id := range []JobID{ids[0], ids[1], ids[3]} {
		if j, err := q.Job(id); err != nil || j.Notice == "" {
			t.Errorf("%+v, %v", j, err)
		}
	}
	if at, err := q.NextReportAt(time.Now()); err != nil || !at.IsZero() {
		t.Errorf("something waits still: %v, %v", at, err)
	}
}

func TestSummary_OneRecipientIsToldAtOnce(t *testing.T) {
	q := open(t, eager())
	ids := expand(t, q, "!5550100", "5550101")
	must(t, q.FailJob(ids[1], "No."))
	if n := wantFinal(t, q, ids[1], Failed); !slices.Equal(n.Repeated, []string{"5550199"}) {
		t.Errorf("%+v", n)
	}
}

// What has ended is told within the hour, whatever the rest does, also when the program was not running then.
func TestSummary_NobodyWaitsForHours(t *testing.T) {
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			q := open(t, eager())
			ids := expand(t, q, "5550100", "5550101", "5550102")
			must(t, q.FailJob(ids[0], "No."))
			began := time.Now()
			time.Sleep(20 * time.Minute)
			must(t, q.FailJob(ids[1], "No."))
			if restart {
				q, _ = reopen(t, q)
			}
			at, err := q.NextReportAt(time.Now())
			if err != nil || !at.Equal(began.Add(DefaultReportAfter)) {
				t.Fatalf("due %v after the first end, %v", at.Sub(began), err)
			}
			time.Sleep(time.Until(at) - time.Second)
			if n, err := q.ReportDue(time.Now()); n != 0 || err != nil {
				t.Fatalf("%d made too early, %v", n, err)
			}
			time.Sleep(time.Second)
			for want := 1; want >= 0; want-- { // the second time there is nothing
				if n, err := q.ReportDue(time.Now()); n != want || err != nil {
					t.Fatalf("%d made, want %d, %v", n, want, err)
				}
			}
			must(t, q.FailJob(ids[2], "No."))
			got := told(t, q)
			if len(got) != 2 || len(got[0].Jobs) != 2 || len(got[0].Open) != 1 || got[0].Before != 0 || len(got[1].Jobs) != 1 || len(got[1].Open) != 0 || got[1].Before != 2 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestSummary_ClockWentBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, eager())
		ids := expand(t, q, "5550100", "5550101")
		must(t, q.FailJob(ids[0], "No."))
		if n, err := q.ReportDue(time.Now().Add(-48 * time.Hour)); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

func TestSummary_HeldJobDoesNotSilenceTheOthers(t *testing.T) {
	t.Run("held before", func(t *testing.T) {
		q := open(t, eager())
		ids := expand(t, q, "5550100", "5550101")
		must(t, q.HoldJob(ids[0], "by hand"))
		must(t, q.FailJob(ids[1], "No."))
		wantHeld(t, q, ids)
	})
	t.Run("held after", func(t *testing.T) {
		q := open(t, eager())
		ids := expand(t, q, "5550100", "5550101")
		must(t, q.FailJob(ids[1], "No."))
		must(t, q.HoldJob(ids[0], "by hand"))
		wantHeld(t, q, ids)
	})
}

func wantHeld(t *testing.T, q *Queue, ids []JobID) {
	t.Helper()
	got := told(t, q)
	if len(got) != 1 || len(got[0].Jobs) != 1 || len(got[0].Open) != 1 || got[0].Open[0].State != Held || got[0].Open[0].Text != "by hand" {
		t.Fatalf("%+v", got)
	}
	must(t, q.ReleaseJob(ids[0]))
	must(t, q.FailJob(ids[0], "No."))
	if got := told(t, q); len(got) != 2 || got[1].Before != 1 || len(got[1].Open) != 0 {
		t.Errorf("%+v", got)
	}
}

// An emergency number ends while the mail's jobs are being made.
func TestSummary_EmergencyAmongOthers(t *testing.T) {
	q := open(t, eager())
	ids := expand(t, q, "911", "5550101")
	if got := told(t, q); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	must(t, q.FailJob(ids[1], "No."))
	if got := told(t, q); len(got) != 1 || len(got[0].Jobs) != 2 {
		t.Errorf("%+v", got)
	}
}

// A database from before summaries: each end has its own notice already, and is not told again.
func TestSummary_OldDatabase(t *testing.T) {
	q := open(t, eager())
	ids := expand(t, q, "5550100", "5550101", "5550102")
	must(t, q.update("old", func(tx *store.Tx) error {
		j, err := jobs.Get(tx, string(ids[0]))
		if err != nil {
			return err
		}
		j.State, j.Ended = Failed, time.Now()
		if j.Notice, err = q.addOut(tx, NewOut{Kind: KindNotice, To: []string{j.Sender}, Job: j.ID, Payload: noticeOf(j)}); err != nil {
			return err
		}
		if err := active.Delete(tx, string(j.ID)); err != nil {
			return err
		}
		return jobs.Put(tx, string(j.ID), j)
	}))
	q, _ = reopen(t, q)
	must(t, q.FailJob(ids[1], "No."))
	must(t, q.FailJob(ids[2], "No."))
	if got := told(t, q); len(got) != 2 || len(got[0].Jobs) != 1 || len(got[1].Jobs) != 2 || got[1].Before != 1 {
		t.Errorf("%+v", got)
	}
}

// A fax that nobody was told of outlives its retention.
func TestSummary_UntoldJobIsNotPurged(t *testing.T) {
	q := open(t, eager())
	ids := expand(t, q, "5550100", "5550101")
	must(t, q.FailJob(ids[0], "No."))
	must(t, q.Purge(time.Now().Add(time.Hour), Retention{Jobs: time.Minute}))
	if _, err := q.Job(ids[0]); err != nil {
		t.Fatal(err)
	}
	must(t, q.FailJob(ids[1], "No."))
	must(t, q.Purge(time.Now().Add(time.Hour), Retention{Jobs: time.Minute}))
	if got := told(t, q); len(got) != 1 || len(got[0].Jobs) != 2 {
		t.Errorf("%+v", got)
	}
	if _, err := q.Job(ids[0]); err == nil {
		t.Error("a job that was told of is kept")
	}
}
