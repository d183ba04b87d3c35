package gateway

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/t30"
)

// sendAll has every waiting job sent.
func (b *bench) sendAll() {
	b.t.Helper()
	for {
		j, ok, err := b.q.NextJob(time.Now().Add(time.Hour), "one")
		if err != nil {
			b.t.Fatal(err)
		}
		if !ok {
			return
		}
		for n := 1; n <= j.Pages; n++ {
			for _, err := range []error{b.q.PageStarted(j.ID, n), b.q.PageSent(j.ID, n), b.q.ConfirmPage(j.ID, n, t30.PageResult{})} {
				if err != nil {
					b.t.Fatal(err)
				}
			}
		}
		if _, err := b.q.EndAttempt(j.ID, queue.Outcome{Report: t30.Report{Code: t30.CodeOK, Start: time.Now(), FaxHeard: true}}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// postDSN hands in a mail whose server asks for reports.
func (b *bench) postDSN(notify ...string) {
	b.t.Helper()
	env := smtpstack.Envelope{From: "anna@example.org", Client: netip.MustParseAddr("192.0.2.1"), Helo: "mail.example", Received: time.Now(), EnvelopeID: "env+1", Return: "FULL"}
	for i, n := range notify {
		r := smtpstack.Recipient{Address: "555010" + string(rune('0'+i)) + ".fine@fax.example", OriginalRecipient: "rfc822;fax" + string(rune('0'+i)) + "@example.org"}
		r.Fax.Number = "555010" + string(rune('0'+i))
		r.Notify, _ = smtpstack.ParseNotify(n)
		env.To = append(env.To, r)
	}
	s, err := b.g.Backend().Begin(context.Background(), env)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := s.Write([]byte(strings.ReplaceAll(simple("1", "Secret plan", "Confidential words."), "\n", "\r\n"))); err != nil {
		b.t.Fatal(err)
	}
	if _, err := s.Commit(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

func TestReport_EchoesWhatWasAsked(t *testing.T) {
	for _, c := range []struct {
		notify string
		sent   bool
		report string // the action reported; "": none
	}{
		{"SUCCESS", true, "delivered"}, {"SUCCESS,FAILURE", true, "delivered"}, {"FAILURE", true, ""}, {"", true, ""},
		{"FAILURE", false, "failed"}, {"SUCCESS,FAILURE,DELAY", false, "failed"}, {"SUCCESS", false, ""}, {"", false, ""},
	} {
		b := newBench(t, func(o *Options) { o.FaxDomains = []string{"fax.example"} })
		b.postDSN(c.notify)
		b.work()
		if c.sent {
			b.sendAll()
		} else if err := b.q.FailJob(b.allJobs()[0].ID, "The reason."); err != nil {
			t.Fatal(err)
		}
		b.work()
		if len(b.mails) != 1 {
			t.Fatalf("%+v: %d mails", c, len(b.mails))
		}
		text := b.mails[0].text
		if c.report == "" {
			if strings.Contains(text, "delivery-status") {
				t.Errorf("%+v: a report nobody asked for", c)
			}
			continue
		}
		wantWords(t, text, "multipart/report; report-type=delivery-status", "message/delivery-status", "Original-Envelope-Id: env+1\r\n", "Original-Recipient: rfc822;fax0@example.org\r\n",
			"Final-Recipient: rfc822; 5550100.fine@fax.example\r\n", "Action: "+c.report+"\r\n", "Reporting-MTA: dns; box.example", "text/rfc822-headers", "Subject: Secret plan")
		if strings.Contains(text, "Confidential") {
			t.Error("the content goes back")
		}
		wantWords(t, b.mails[0].body(t), "5550100")
	}
}

// Of several recipients, those are in the report that were asked for.
func TestReport_Summary(t *testing.T) {
	b := newBench(t, nil)
	b.postDSN("SUCCESS", "FAILURE", "NEVER", "SUCCESS,FAILURE")
	b.work()
	jobs := b.allJobs()
	for _, i := range []int{2, 3} {
		if err := b.q.FailJob(jobs[i].ID, "The reason."); err != nil {
			t.Fatal(err)
		}
	}
	b.sendAll()
	b.work()
	if len(b.mails) != 1 {
		t.Fatalf("%d mails", len(b.mails))
	}
	text := b.mails[0].text
	wantWords(t, text, "fax0@example.org\r\nFinal-Recipient: rfc822; 5550100.fine@fax.example\r\nAction: delivered\r\nStatus: 2.1.5",
		"fax3@example.org\r\nFinal-Recipient: rfc822; 5550103.fine@fax.example\r\nAction: failed\r\nStatus: 5.0.0")
	if strings.Count(text, "Final-Recipient") != 2 || strings.Contains(text, "5550102") {
		t.Errorf("%s", text)
	}
}

// Nobody knows whether it arrived: no machine is told that it failed, which might send it again.
func TestReport_Unknown(t *testing.T) {
	b := newBench(t, nil)
	n := queue.Notice{State: queue.Unknown, Number: "5550100", Notify: "SUCCESS,FAILURE", Code: t30.CodeHungUpC}
	r := b.g.deliveryReport([]queue.Notice{n})
	if r == nil || r.Recipients[0].Action != "relayed" || r.Recipients[0].Final != "5550100@box.example" {
		t.Errorf("%+v", r)
	}
}

// A text that was cut is named too.
func TestNotice_NamesDamage(t *testing.T) {
	b := newBench(t, nil)
	if _, err := b.post(simple("1", "Plan", strings.Repeat("words and words\n", 80<<10)), "anna@example.org", "5550100@fax.example"); err != nil {
		t.Fatal(err)
	}
	b.work()
	b.sendAll()
	b.work()
	if len(b.mails) != 1 {
		t.Fatalf("%d mails", len(b.mails))
	}
	wantWords(t, b.mails[0].body(t), "The mail could not be read whole: The text is longer than 1048576 bytes and was cut. Please check what was faxed")
}

// So are characters that no font has.
func TestNotice_NamesBoxes(t *testing.T) {
	b := newBench(t, nil)
	b.notes = []raster.Note{{Boxes: "😀 👍"}, {Input: 1, Name: "plan.txt", Boxes: "𝄞"}}
	mail := "From: anna@example.org\nSubject: Plan\nMessage-ID: <1@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n" +
		"--b\nContent-Type: text/plain\n\nwords\n--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename=plan.txt\n\nplan\n--b--\n"
	if _, err := b.post(mail, "anna@example.org", "5550100@fax.example"); err != nil {
		t.Fatal(err)
	}
	b.work()
	b.sendAll()
	b.work()
	if len(b.mails) != 1 {
		t.Fatalf("%d mails", len(b.mails))
	}
	wantWords(t, b.mails[0].body(t), "Shown as boxes on the fax, because this appliance has no font for them: 😀 👍 (in the mail's text).",
		"Shown as boxes on the fax, because this appliance has no font for them: 𝄞 (in plan.txt).")
}

// What of a mail is not on the fax stands in the notice.
func TestNotice_NamesWhatWasLeftOut(t *testing.T) {
	b := newBench(t, nil)
	mail := "From: anna@example.org\nSubject: Plan\nMessage-ID: <1@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n" +
		"--b\nContent-Type: text/plain\n\nWords.\n--b\nContent-Type: text/calendar; name=\"invite.ics\"\nContent-Disposition: attachment; filename=\"invite.ics\"\n\nBEGIN:VCALENDAR\n--b--\n"
	if _, err := b.post(mail, "anna@example.org", "5550100@fax.example"); err != nil {
		t.Fatal(err)
	}
	b.work()
	b.sendAll()
	b.work()
	if len(b.mails) != 1 {
		t.Fatalf("%d mails", len(b.mails))
	}
	wantWords(t, b.mails[0].body(t), "Fax sent to 5550100: Plan", "Not on the fax: invite.ics: appointment (iCalendar)", "send it again as PDF")
}

// A receipt comes where it is allowed, asked for by the mail's own sender and the fax was sent; the notice comes in any case.
func TestReceipt(t *testing.T) {
	const ask = "Disposition-Notification-To: anna@example.org\n"
	for _, c := range []struct {
		name    string
		allowed bool
		field   string
		sent    bool
		want    bool
	}{
		{"asked and allowed", true, ask, true, true},
		{"not allowed", false, ask, true, false},
		{"not asked", true, "", true, false},
		{"to somebody else", true, "Disposition-Notification-To: victim@example.com\n", true, false},
		{"no answers wanted", true, ask + "X-Auto-Response-Suppress: All\n", true, false},
		{"not sent", true, ask, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, func(o *Options) { o.Receipts = c.allowed })
			if _, err := b.post(c.field+simple("1", "Plan", "Confidential words."), "anna@example.org", "5550100@fax.example"); err != nil {
				t.Fatal(err)
			}
			b.work()
			if c.sent {
				b.sendAll()
			} else if err := b.q.FailJob(b.allJobs()[0].ID, "The reason."); err != nil {
				t.Fatal(err)
			}
			b.work()
			receipts, notices := 0, 0
			for _, m := range b.mails {
				if !strings.Contains(m.text, "report-type=disposition-notification") {
					notices++
					continue
				}
				receipts++
				wantWords(t, m.text, "Disposition: automatic-action/MDN-sent-automatically; dispatched", "Original-Message-ID: <1@example.org>", "Final-Recipient: rfc822; 5550100@fax.example")
				if strings.Contains(m.text, "Confidential") {
					t.Error("the content goes back")
				}
			}
			if notices != 1 || receipts > 1 || (receipts == 1) != c.want {
				t.Errorf("%d notices, %d receipts", notices, receipts)
			}
		})
	}
}
