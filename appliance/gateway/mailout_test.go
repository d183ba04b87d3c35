package gateway

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/smtpstack/resolve"
	"github.com/tipring/tipring/smtpstack/send"
	"github.com/tipring/tipring/smtpstack/verify"
	"github.com/tipring/tipring/t30"
)

var (
	unauthenticated = smtpstack.Reply{Code: 550, Enhanced: "5.7.64", Text: "TenantAttribution; Relay Access Denied"}
	noMailbox       = smtpstack.Reply{Code: 550, Enhanced: "5.1.1", Text: "no such mailbox"}
	later           = smtpstack.Reply{Code: 451, Enhanced: "4.3.0", Text: "try again"}
	never           = smtpstack.Reply{Code: 554, Enhanced: "5.6.0", Text: "content refused"}
)

// failedJob makes a notice: a job that failed before any call.
func (b *bench) failedJob() queue.Job {
	b.t.Helper()
	j, err := b.q.AddJob(queue.NewJob{Sender: "anna@example.org", Number: "5550100", Subject: "Plan"})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.q.FailJob(j.ID, "The reason."); err != nil {
		b.t.Fatal(err)
	}
	return j
}

func (b *bench) alarmed(code string) bool {
	for _, a := range b.g.alarms.List() {
		if strings.HasPrefix(a.Code, code) && a.Text != "" && a.Remedy != "" {
			return true
		}
	}
	return false
}

func (b *bench) unsent() []queue.Out {
	b.t.Helper()
	list, err := b.q.Unsent()
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

func TestMailOut_NoticeOnce(t *testing.T) {
	b := newBench(t, nil)
	j := b.failedJob()
	b.work()
	b.work()
	if len(b.mails) != 1 || b.mails[0].to[0] != "anna@example.org" {
		t.Fatalf("%d mails", len(b.mails))
	}
	m, _ := b.mails[0].parsed(t)
	j, _ = b.q.Job(j.ID)
	out, err := b.q.Out(j.Notice)
	if err != nil || m.MessageID != out.MessageID || m.Header.Get("Auto-Submitted") != "auto-replied" || m.Header.Get("X-Auto-Response-Suppress") != "All" {
		t.Errorf("header of the notice: %s %+v %v", m.MessageID, m.Header, err)
	}
	wantWords(t, b.mails[0].body(t), "Fax NOT sent to 5550100: Plan", "The reason.")
}

func TestMailOut_ConfigurationHolds(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Fallback = "ops@example.org" })
	b.failedJob()
	b.replies["anna@example.org"] = []smtpstack.Reply{unauthenticated}
	b.work()
	if list := b.unsent(); len(b.mails) != 0 || len(list) != 1 || list[0].State != queue.OutHeld || list[0].To[0] != "anna@example.org" {
		t.Fatalf("%d mails, outbox %+v", len(b.mails), list)
	}
	if !b.alarmed("mail-held") {
		t.Fatalf("alarms: %+v", b.g.alarms.List())
	}
	if _, err := b.q.ReleaseOuts(); err != nil {
		t.Fatal(err)
	}
	b.work()
	if len(b.mails) != 1 || len(b.unsent()) != 0 || b.alarmed("mail-held") {
		t.Errorf("%d mails, outbox %+v, alarms %+v", len(b.mails), b.unsent(), b.g.alarms.List())
	}
}

// A connector that knows when its limit ends is not asked again before.
func TestMailOut_WaitsAsLongAsTheConnectorSays(t *testing.T) {
	b := newBench(t, nil)
	v := b.g.judge([]send.Result{
		{To: "a@example.org", Class: smtpstack.Throttle, RetryAfter: 7 * time.Hour},
		{To: "b@example.org", Class: smtpstack.Throttle},
		{To: "c@example.org", Class: smtpstack.Delivered, RetryAfter: 9 * time.Hour},
	})
	if v.pause != 7*time.Hour || len(v.left) != 2 || len(v.done) != 1 {
		t.Errorf("%+v", v)
	}
}

// Our mail is signed with the key of its From; what is signed is what goes out.
func TestMailOut_IsSigned(t *testing.T) {
	key := testDKIMKey(t, "example.org")
	name, record, err := key.Record()
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(o *Options) { o.DKIM = []*message.DKIMKey{key} })
	b.failedJob()
	b.work()
	if len(b.mails) != 1 {
		t.Fatalf("%d mails", len(b.mails))
	}
	v, err := verify.New(verify.Config{}, &resolve.Fake{TXTs: map[string][]string{name: {record}}})
	if err != nil {
		t.Fatal(err)
	}
	check := func(text string) verify.Result {
		d := v.Client(t.Context(), verify.Client{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "box.example", MailFrom: "fax@example.org"})
		if err := v.Message(t.Context(), d, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		return d.DKIM.Result
	}
	if got := check(b.mails[0].text); got != verify.Pass {
		t.Errorf("signature: %v\n%s", got, b.mails[0].text)
	}
	if got := check(strings.Replace(b.mails[0].text, "reason", "season", 1)); got == verify.Pass {
		t.Error("a changed mail passes")
	}
}

func TestMailOut_RecipientGoesToFallback(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Fallback = "ops@example.org" })
	b.failedJob()
	b.replies["anna@example.org"] = []smtpstack.Reply{noMailbox}
	b.work()
	if len(b.mails) != 1 || b.mails[0].to[0] != "ops@example.org" || len(b.unsent()) != 0 {
		t.Fatalf("mails %+v, outbox %+v", b.mails, b.unsent())
	}
	wantWords(t, b.mails[0].body(t), "This notice is for anna@example.org", "The reason.")
}

func TestMailOut_NothingIsDropped(t *testing.T) {
	for name, c := range map[string]struct {
		fallback string
		replies  map[string][]smtpstack.Reply
		alarm    string
	}{
		"no fallback":           {"", map[string][]smtpstack.Reply{"anna@example.org": {noMailbox}}, "mail-recipient/"},
		"fallback refused too":  {"ops@example.org", map[string][]smtpstack.Reply{"anna@example.org": {noMailbox}, "ops@example.org": {noMailbox}}, "mail-recipient/"},
		"content never taken":   {"ops@example.org", map[string][]smtpstack.Reply{"anna@example.org": {never}}, "mail-refused/"},
		"fallback is the party": {"anna@example.org", map[string][]smtpstack.Reply{"anna@example.org": {noMailbox}}, "mail-recipient/"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(o *Options) { o.Fallback = c.fallback })
			b.failedJob()
			b.replies = c.replies
			b.work()
			if list := b.unsent(); len(b.mails) != 0 || len(list) != 1 || list[0].State != queue.OutHeld || len(list[0].To) != 1 {
				t.Fatalf("%d mails, outbox %+v", len(b.mails), list)
			}
			if !b.alarmed(c.alarm) {
				t.Errorf("alarms: %+v", b.g.alarms.List())
			}
		})
	}
}

func TestMailOut_TemporaryIsTriedLater(t *testing.T) {
	b := newBench(t, nil)
	b.failedJob()
	b.replies["anna@example.org"] = []smtpstack.Reply{later}
	b.work()
	list := b.unsent()
	if len(list) != 1 || list[0].State != queue.OutPending || time.Until(list[0].NotBefore) < backoff(1)/2 || len(b.g.alarms.List()) != 0 {
		t.Fatalf("outbox %+v, alarms %+v", list, b.g.alarms.List())
	}
}

// A recipient that was served is not served again when another's mailbox makes the mail wait.
func TestMailOut_EachRecipientOnce(t *testing.T) {
	b := newBench(t, nil)
	id, err := b.q.AddOut(queue.NewOut{Kind: queue.KindAlarm, To: []string{"a@x.example", "b@x.example", "c@x.example"}, Payload: queue.Alarm{Subject: "s", Text: "t"}})
	if err != nil {
		t.Fatal(err)
	}
	b.replies["b@x.example"] = []smtpstack.Reply{later}
	b.work()
	if _, err := b.q.ReleaseOuts(); err != nil {
		t.Fatal(err)
	}
	b.work()
	if len(b.mails) != 2 || len(b.mails[0].to) != 2 || len(b.mails[1].to) != 1 || b.mails[1].to[0] != "b@x.example" {
		t.Fatalf("%+v", b.mails)
	}
	m0, _ := b.mails[0].parsed(t)
	m1, _ := b.mails[1].parsed(t)
	if o, err := b.q.Out(id); err != nil || o.State != queue.OutDone || m0.MessageID != m1.MessageID || m0.MessageID != o.MessageID {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestNoticeText(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	tests := []struct {
		name    string
		n       queue.Notice
		subject string
		words   []string
		not     []string
	}{
		{"sent", queue.Notice{State: queue.Sent, Pages: 3, Confirmed: 3, Calls: 1, RemoteID: "+1 555 0100"}, "Fax sent to 5550100",
			[]string{"The other side confirmed all 3 pages.", "+1 555 0100", "3 of 3 confirmed", "22 November 2026"}, []string{"poor", "NOT"}},
		{"sent, one page, poor", queue.Notice{State: queue.Sent, Pages: 1, Confirmed: 1, Poor: 1, Calls: 1}, "Fax sent to 5550100", []string{"its one page", "One page was confirmed as received in poor quality"}, nil},
		{"busy", queue.Notice{State: queue.Failed, Code: t30.CodeBusy, Text: "The number was busy.", Pages: 2, Calls: 5}, "Fax NOT sent to 5550100",
			[]string{"What happened: The number was busy.", "called 5 times", "send the mail again"}, []string{"arrived", "may have"}},
		{"broken off", queue.Notice{State: queue.Failed, Text: "The call was cut off.", Pages: 4, Confirmed: 2, Doubt: 3, Calls: 3}, "Fax NOT sent to 5550100",
			[]string{"NOT sent completely", "Pages 1 to 2 of 4 arrived", "Page 3 may have arrived as well", "2 of 4 confirmed"}, nil},
		{"unknown", queue.Notice{State: queue.Unknown, Pages: 1, Doubt: 1, Calls: 1}, "Please check: fax to 5550100 may not have arrived",
			[]string{"not known whether the last page arrived", "will not be sent again by itself", "ask the recipient"}, []string{"NOT sent"}},
		{"canceled", queue.Notice{State: queue.Canceled, Text: "The fax was canceled by an operator.", Pages: 2, Confirmed: 1, Calls: 1}, "Fax canceled: 5550100",
			[]string{"was canceled.", "Page 1 of 2 arrived", "Nothing more will be sent"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.n.Number, tt.n.Job, tt.n.Created, tt.n.Ended = "5550100", "1m8212a5h", at, at.Add(time.Minute)
			if got := noticeSubject(tt.n); got != tt.subject {
				t.Errorf("subject %q", got)
			}
			text := noticeLetter(tt.n).Text()
			wantWords(t, text, tt.words...)
			for _, w := range tt.not {
				if strings.Contains(text, w) {
					t.Errorf("%q is in:\n%s", w, text)
				}
			}
		})
	}
}

// receiveFax puts a fax of two pages into the spool, as a call would.
func (b *bench) receiveFax(verdict t30.Verdict, r t30.Report) queue.Fax {
	b.t.Helper()
	ctx := b.t.Context()
	k := b.g.NewKeeper(queue.NewFax{Line: "one", Caller: "5550142"})
	sink := call.NewSink(k, nil)
	f := t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MMR}
	for range 2 {
		bm := imaging.New(1728, 300)
		for x := 100; x < 900; x++ {
			bm.SetBlack(x, 150)
		}
		data, err := t4.Append(nil, bm, t4.Line(imaging.MMR, imaging.Fine))
		if err != nil {
			b.t.Fatal(err)
		}
		w, err := sink.BeginPage(ctx, t30.Remote{ID: "+1 555 0142"}, f)
		if err != nil {
			b.t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			b.t.Fatal(err)
		}
		if err := w.Finish(ctx, verdict); err != nil {
			b.t.Fatal(err)
		}
	}
	fax, ok, err := k.Finish(r)
	if err != nil || !ok {
		b.t.Fatal(ok, err)
	}
	return fax
}

func TestFaxMail(t *testing.T) {
	for _, c := range []struct {
		as       control.FileType
		end      string
		magic    string
		complete bool
	}{{control.PDF, ".pdf", "%PDF-", true}, {control.TIFF, ".tif", "II*\x00", true}, {control.PDF, ".pdf", "%PDF-", false}} {
		b := newBench(t, func(o *Options) { o.FaxType = c.as })
		rep := t30.Report{Code: t30.CodeOK, Received: 2}
		if !c.complete {
			rep.Code = t30.CodeHungUpC
		}
		fax := b.receiveFax(t30.Good, rep)
		if err := b.q.UpdateOut(fax.Delivery, func(o *queue.Out) error {
			o.To, o.State = []string{"desk@example.org"}, queue.OutPending
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		b.work()
		if len(b.mails) != 1 {
			t.Fatalf("%d mails", len(b.mails))
		}
		m, files := b.mails[0].parsed(t)
		if len(files) != 1 || m.Header.Get("X-FaxNumberOfPages") != "2" || m.Header.Get("Content-Class") != "fax" {
			t.Errorf("%d files, header %+v", len(files), m.Header)
		}
		for name, data := range files {
			if !strings.HasSuffix(name, c.end) || !strings.HasPrefix(data, c.magic) {
				t.Errorf("attachment %s", name)
			}
		}
		text := b.mails[0].body(t)
		wantWords(t, text, "Fax from +1 555 0142 (called from 5550142), 2 pages", string(fax.ID))
		if strings.Contains(text, "INCOMPLETE") == c.complete {
			t.Errorf("complete %v:\n%s", c.complete, text)
		}
		if f, err := b.q.Fax(fax.ID); err != nil || f.Delivered.IsZero() || f.Document == "" {
			t.Errorf("%+v, %v", f, err)
		}
		page, err := b.g.OpenPage(fax.ID, 2, 200)
		if err != nil {
			t.Fatal(err)
		}
		if png, err := io.ReadAll(page); err != nil || !strings.HasPrefix(string(png), "\x89PNG") {
			t.Errorf("page: %d octets, %v", len(png), err)
		}
	}
}

// A fax without a recipient is kept and held, not lost.
func TestFaxMail_NoRouteIsHeld(t *testing.T) {
	b := newBench(t, nil)
	b.receiveFax(t30.Good, t30.Report{Code: t30.CodeOK, Received: 2})
	b.work()
	if list := b.unsent(); len(list) != 1 || list[0].State != queue.OutHeld || len(b.mails) != 0 {
		t.Errorf("outbox %+v", list)
	}
}

func TestAlarms_LastOverRestarts(t *testing.T) {
	b := newBench(t, nil)
	var told []control.Alarm
	a, err := OpenAlarms(b.st, func(v control.Alarm) { told = append(told, v) })
	if err != nil {
		t.Fatal(err)
	}
	a.Raise("line-lost/one", "The modem is gone.", "Plug it in.")
	a.Raise("line-lost/one", "The modem is gone.", "Plug it in.")
	a.Raise("clock", "No time.", "Set it.")
	if !a.Clear("clock") || a.Clear("clock") {
		t.Error("Clear does not tell whether there was an alarm")
	}
	again, err := OpenAlarms(b.st, nil)
	if err != nil {
		t.Fatal(err)
	}
	if list := again.List(); len(told) != 2 || len(list) != 1 || list[0].Code != "line-lost/one" || list[0].Remedy != "Plug it in." || list[0].Since.IsZero() {
		t.Errorf("told %d, list %+v", len(told), list)
	}
	if list := a.List(); list[0].Count != 2 {
		t.Errorf("count %d", list[0].Count)
	}
}

// A mail server that hangs keeps its own mail only.
func TestMailOut_OneHangsOthersGo(t *testing.T) {
	hang, sentOne := make(chan struct{}), make(chan struct{}, 1)
	first := make(chan struct{}, 1)
	first <- struct{}{}
	b := newBench(t, func(o *Options) {
		o.Deliver = func(_ context.Context, m send.Message) send.Report {
			select {
			case <-first:
				<-hang
			default:
				sentOne <- struct{}{}
			}
			return send.Report{Results: []send.Result{{To: m.To[0], Class: smtpstack.Delivered, Reply: smtpstack.Reply{Code: 250}}}}
		}
	})
	b.failedJob()
	b.failedJob()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { _ = b.g.Deliver(ctx) })
	}
	<-sentOne
	close(hang)
	for len(b.unsent()) > 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	wg.Wait()
}
