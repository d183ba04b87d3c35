package appliance

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/send"
)

// town is two appliances and a mail server between them: what one sends to a domain of the other is handed in there; what
// people get is answered by a program that knows no manners: it answers everything, to the From field, from the person's own
// address, and marks nothing as automatic.
type town struct {
	t     *testing.T
	boxes map[string]*rig // by fax domain

	mu      sync.Mutex
	passed  int // mails handed over to anybody
	answers int
	refused int
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{t: t, boxes: map[string]*rig{}}
	for i, here := range []string{"fax.one.example", "fax.two.example"} {
		there := []string{"fax.two.example", "fax.one.example"}[i]
		r := newRig(t, 20)
		r.cfg.FaxDomains, r.cfg.Hostname = []string{here}, "box."+here
		r.cfg.Receive[0].Senders = []string{"*"}
		r.cfg.Receive[0].MessagesPerMinute, r.cfg.Receive[0].ConnectionsPerMinute, r.cfg.Receive[0].ErrorsPerHour = 1_000_000, 1_000_000, 1_000_000
		// The worst that somebody could configure: alarms, refused mail and received faxes all go to the other appliance, and what
		// we write comes from an address that takes mail.
		r.cfg.Mail.From, r.cfg.Mail.Fallback = "postmaster@"+here, "postmaster@"+there
		r.cfg.Routes.Default = []string{demoReceiver + "@" + there, "desk@people.example"}
		r.deps.Deliver = w.deliver
		w.boxes[here] = r
	}
	for _, r := range w.boxes {
		r.start()
	}
	return w
}

// deliver is both appliances' send connector.
func (w *town) deliver(_ context.Context, m send.Message) send.Report {
	f, err := m.Open()
	if err != nil {
		w.t.Error(err)
		return send.Report{}
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		w.t.Error(err)
	}
	var rep send.Report
	for _, to := range m.To {
		rep.Results = append(rep.Results, w.handOver(m.From, to, string(text)))
	}
	return rep
}

func (w *town) handOver(from, to, text string) send.Result {
	_, domain, _ := strings.Cut(to, "@")
	res := send.Result{To: to, Class: smtpstack.Delivered, Reply: smtpstack.Reply{Code: 250}}
	box := w.boxes[domain]
	if box != nil {
		if err := submit(box.app.SMTPAddrs()[0], from, []string{to}, text); err != nil {
			w.mu.Lock()
			w.refused++
			w.mu.Unlock()
			res.Reply = smtpstack.Reply{Code: 550, Enhanced: "5.7.1", Text: err.Error()}
			res.Class = smtpstack.BadRecipient
			if strings.Contains(err.Error(), "450") {
				res.Reply.Code, res.Class = 450, smtpstack.Throttle
			}
			return res
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.passed++; box == nil {
		w.answers++
		go w.answer(to, text)
	}
	return res
}

// answer is the auto-responder.
func (w *town) answer(person, text string) {
	m, err := mail.ReadMessage(bytes.NewReader([]byte(text)))
	if err != nil {
		w.t.Error(err)
		return
	}
	list, err := m.Header.AddressList("From")
	if err != nil {
		w.t.Error(err)
		return
	}
	w.mu.Lock()
	n := w.answers
	w.mu.Unlock()
	w.handOver(person, list[0].Address, fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: Away: %s\r\nMessage-ID: <away%d@people.example>\r\n\r\nI am away.\r\n", person, list[0].Address, m.Header.Get("Subject"), n))
}

// count lets everything happen that can, as if hours had passed: waits until nothing moves, makes due what waits for its time, and
// so on.
func (w *town) count(rounds int) (passed []int) {
	w.t.Helper()
	for range rounds {
		var was int
		for quiet := 0; quiet < 4; time.Sleep(250 * time.Millisecond) {
			w.mu.Lock()
			now := w.passed + w.refused
			w.mu.Unlock()
			quiet++
			if now != was || w.busy() {
				quiet = 0
			}
			was = now
		}
		w.mu.Lock()
		passed = append(passed, w.passed)
		w.mu.Unlock()
		for _, r := range w.boxes {
			if _, err := r.app.q.ReleaseOuts(); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return passed
}

// busy tells whether a job runs.
func (w *town) busy() bool {
	for _, r := range w.boxes {
		jobs, err := r.app.q.ActiveJobs()
		pending, err2 := r.app.q.PendingMails(0)
		if err != nil || err2 != nil || len(jobs)+len(pending) > 0 {
			return true
		}
	}
	return false
}

// TestLoop_TwoAppliances: two appliances that send each other all they have, with a program between them that answers everything,
// come to rest.
func TestLoop_TwoAppliances(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	one := w.boxes["fax.one.example"]
	hand := func(to, text string) {
		t.Helper()
		if err := submit(one.app.SMTPAddrs()[0], "anna@people.example", []string{to}, text); err != nil {
			t.Fatal(err)
		}
	}
	// A fax that arrives on the own second line, one that fails, a mail to the postmaster, and an alarm.
	hand(demoReceiver+"@fax.one.example", letterFrom("anna@people.example", "good"))
	hand(demoBusy+"@fax.one.example", letterFrom("anna@people.example", "bad"))
	hand("postmaster@fax.one.example", letterFrom("anna@people.example", "question"))
	one.app.alarms.Raise("test", "Something is wrong.", "Look after it.")
	if err := one.app.q.AddAlarm("test", queue.Alarm{Subject: "again"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the jobs ended", func() bool {
		c, err := one.app.q.Counters()
		return err == nil && c.Sent+c.Failed >= 2
	})
	const rounds = 5
	passed := w.count(rounds)
	t.Logf("mails that passed, after each round: %v; %d refused, %d answers written", passed, w.refused, w.answers)
	if last := passed[rounds-1]; last > 100 || last != passed[rounds-2] {
		t.Errorf("the mails do not come to rest: %v", passed)
	}
	for domain, r := range w.boxes {
		if n := r.ex.exchange.Calls(); domain == "fax.two.example" && n != 0 {
			t.Errorf("%s made %d calls", domain, n)
		}
		c, err := r.app.q.Counters()
		if err != nil || c.Sent+c.Failed > 2 {
			t.Errorf("%s: %+v, %v", domain, c, err)
		}
	}
}
