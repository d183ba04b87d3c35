package appliance

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/send"
)

// rig is an appliance on two virtual modems; its mail server is the test.
type rig struct {
	t      *testing.T
	cfg    Config
	deps   Deps
	ex     demoExchange
	policy queue.Policy

	mu    sync.Mutex
	mails []string

	app  *Appliance
	stop func()
}

func newRig(t *testing.T, speed float64) *rig {
	t.Helper()
	r := &rig{t: t, ex: newDemoExchange(speed), policy: queue.DefaultPolicy().Faster(1000)}
	t.Cleanup(func() { r.ex.exchange.Close() })
	o := DemoOptions{SMTPAddr: "127.0.0.1:0", WebAddr: "127.0.0.1:0"}.withDefaults()
	r.cfg = demoConfig(o, filepath.Join(t.TempDir(), "data"), "127.0.0.1:1")
	r.deps = Deps{Log: testLog(t), Open: r.ex.open, Render: renderHere, Deliver: r.deliver, Policy: &r.policy, Dial: &queue.DialRule{Gap: time.Millisecond}}
	return r
}

func (r *rig) deliver(_ context.Context, m send.Message) send.Report {
	var rep send.Report
	f, err := m.Open()
	if err != nil {
		r.t.Error(err)
		return rep
	}
	defer f.Close()
	b, _ := io.ReadAll(f)
	for _, to := range m.To {
		rep.Results = append(rep.Results, send.Result{To: to, Class: smtpstack.Delivered, Reply: smtpstack.Reply{Code: 250}})
		r.mu.Lock()
		r.mails = append(r.mails, string(b))
		r.mu.Unlock()
	}
	return rep
}

// with counts the mails that have all the words.
func (r *rig) with(words ...string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, m := range r.mails {
		m = strings.ReplaceAll(m, "=\r\n", "") // where quoted-printable divides a line
		all := true
		for _, w := range words {
			all = all && strings.Contains(m, w)
		}
		if all {
			n++
		}
	}
	return n
}

// start runs the appliance until stop.
func (r *rig) start() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan *Appliance, 1)
	done := make(chan error, 1)
	d := r.deps
	d.Ready = func(a *Appliance) { ready <- a }
	go func() { done <- Run(ctx, r.cfg, d) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	})
	r.t.Cleanup(r.stop)
	select {
	case r.app = <-ready:
	case err := <-done:
		done <- nil
		r.t.Fatalf("Run: %v", err)
	}
}

// mail sends a mail to numbers by SMTP.
func (r *rig) mail(subject, body string, numbers ...string) error {
	var to []string
	for _, n := range numbers {
		to = append(to, n+"@"+demoFax)
	}
	text := fmt.Sprintf("From: anna@example.org\r\nTo: %s\r\nSubject: %s\r\nMessage-ID: <%s@example.org>\r\n\r\n%s\r\n", to[0], subject, subject, strings.ReplaceAll(body, "\n", "\r\n"))
	return submit(r.app.SMTPAddrs()[0], "anna@example.org", to, text)
}

func (r *rig) job(subject, number string) queue.Job {
	r.t.Helper()
	jobs, err := r.app.q.Jobs(0)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, j := range jobs {
		if j.Subject == subject && j.Number == number {
			return j
		}
	}
	return queue.Job{}
}

func (r *rig) waitState(subject, number string, s queue.State) queue.Job {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("job %q to %s is %s", subject, number, s), func() bool {
		j := r.job(subject, number)
		if j.State.Final() && j.State != s {
			r.t.Fatalf("job %q is %s: %s", subject, j.State, j.Text)
		}
		return j.State == s
	})
	return r.job(subject, number)
}

// submit hands a mail in, under TLS as mail servers do it: with whatever certificate there is (RFC 7435).
func submit(addr, from string, to []string, text string) error {
	return submitAuth(addr, nil, from, to, text)
}

// submitAs signs in first.
func submitAs(addr, user, password, from, to, text string) error {
	return submitAuth(addr, smtp.PlainAuth("", user, password, "localhost"), from, []string{to}, text)
}

func submitAuth(addr string, auth smtp.Auth, from string, to []string, text string) error {
	return submitTLS(addr, &tls.Config{InsecureSkipVerify: true}, auth, from, to, text)
}

func submitTLS(addr string, tc *tls.Config, auth smtp.Auth, from string, to []string, text string) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	c, err := smtp.NewClient(nc, "localhost")
	if err != nil {
		return err
	}
	if err := c.StartTLS(tc); err != nil {
		return err
	}
	if auth != nil {
		if err := c.Auth(auth); err != nil {
			return err
		}
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, a := range to {
		if err := c.Rcpt(a); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// text of n pages, about.
func longText(pages int) string {
	var b strings.Builder
	for i := range pages * 55 {
		fmt.Fprintf(&b, "This is line %d of a long letter.\n", i+1)
	}
	return b.String()
}

func TestRun_MailBecomesFaxBecomesMail(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	r.start()
	if err := r.mail("letter", longText(2), demoReceiver, demoBusy); err != nil {
		t.Fatal(err)
	}
	j := r.waitState("letter", demoReceiver, queue.Sent)
	r.waitState("letter", demoBusy, queue.Failed)
	eventually(t, "two mails", func() bool { return r.with("") == 2 })
	if r.with("1 of 2 faxes sent, 1 NOT sent", fmt.Sprintf("%d of %d pages confirmed", j.Pages, j.Pages), "Your fax to "+demoBusy+" was NOT sent", "was busy", "called 5 times") != 1 ||
		r.with("Fax from "+demoSender, "X-FaxNumberOfPages: "+fmt.Sprint(j.Pages), "application/pdf", "cid:page1") != 1 {
		t.Errorf("mails: %v", r.mails)
	}
	if n := r.ex.exchange.Calls(); n != 6 {
		t.Errorf("%d calls, want 1 and 5", n)
	}
	if err := r.mail("x", "y", "911"); err == nil || !strings.Contains(err.Error(), "550") {
		t.Errorf("emergency number: %v", err)
	}
}

// The modem is pulled in the middle of a page: the line alarms, nothing else stops, and with the modem back the fax
// goes on where it was.
func TestRun_ModemPulledAndPluggedIn(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	r.start()
	if err := r.mail("pulled", longText(4), demoReceiver); err != nil {
		t.Fatal(err)
	}
	eventually(t, "first page confirmed", func() bool { return len(r.job("pulled", demoReceiver).Done) >= 1 })
	r.ex.modems["one"].Unplug()
	alarmed := func() bool {
		s, err := r.app.Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range s.Alarms {
			if a.Code == "line-lost/one" {
				return true
			}
		}
		return false
	}
	eventually(t, "alarm", alarmed)
	if j := r.job("pulled", demoReceiver); j.State != queue.Waiting {
		t.Errorf("job is %s", j.State)
	}
	r.ex.modems["one"].Plug()
	j := r.waitState("pulled", demoReceiver, queue.Sent)
	if alarmed() {
		t.Error("the alarm stays")
	}
	if first := j.Attempts[len(j.Attempts)-1].FirstPage; first < 2 {
		t.Errorf("the last attempt began at page %d", first)
	}
	eventually(t, "notice", func() bool { return r.with("Fax sent to") == 1 })
	if r.with("line one") == 0 {
		t.Error("no alarm by mail")
	}
}

// Stopped in the middle of a fax and started again: it goes on at the first unconfirmed page, with one notice.
func TestRun_StoppedAndStartedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	r.start()
	if err := r.mail("again", longText(4), demoReceiver); err != nil {
		t.Fatal(err)
	}
	eventually(t, "first page confirmed", func() bool { return len(r.job("again", demoReceiver).Done) >= 1 })
	r.stop()
	r.start()
	j := r.waitState("again", demoReceiver, queue.Sent)
	last := j.Attempts[len(j.Attempts)-1]
	if len(j.Attempts) < 2 || last.FirstPage < 2 {
		t.Errorf("attempts: %+v", j.Attempts)
	}
	eventually(t, "all mail is out", func() bool {
		c, err := r.app.q.Counters()
		return err == nil && c.OutWaiting == 0
	})
	if r.with("Fax sent to") != 1 || r.with("incomplete") == 0 {
		t.Errorf("mails: %v", r.mails)
	}
	received, err := r.app.Faxes(context.Background(), 0)
	if err != nil || len(received) < 2 {
		t.Fatalf("%+v, %v", received, err)
	}
	pages := 0
	for _, f := range received {
		pages += f.Pages
	}
	if pages < j.Pages {
		t.Errorf("%d pages arrived of %d", pages, j.Pages)
	}
}

func TestRun_CanceledOnTheLine(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	r.start()
	if err := r.mail("stop", longText(4), demoReceiver); err != nil {
		t.Fatal(err)
	}
	eventually(t, "first page confirmed", func() bool { return len(r.job("stop", demoReceiver).Done) >= 1 })
	id := string(r.job("stop", demoReceiver).ID)
	if err := r.app.CancelJob(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	j := r.waitState("stop", demoReceiver, queue.Canceled)
	if len(j.Done) == j.Pages {
		t.Error("all pages went out")
	}
	eventually(t, "notice", func() bool { return r.with("Fax canceled", "arrived at the other side") == 1 })
	if err := r.app.CancelJob(context.Background(), id); known(err) == nil {
		t.Error("canceled twice")
	}
	// The line takes the next job.
	if err := r.mail("next", "hello", demoReceiver); err != nil {
		t.Fatal(err)
	}
	r.waitState("next", demoReceiver, queue.Sent)
}

// A worker that panics is started again and the others never stop.
func TestRun_PanickingWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	var once sync.Once
	r.deps.Render = func(ctx context.Context, job raster.Job, out *os.File) (raster.Result, error) {
		once.Do(func() { panic("renderer bug") })
		return renderHere(ctx, job, out)
	}
	r.start()
	if err := r.mail("panic", "hello", demoReceiver); err != nil {
		t.Fatal(err)
	}
	r.waitState("panic", demoReceiver, queue.Sent)
}

// Both lines ring each other's numbers at the same time: whoever rings first is answered, both faxes arrive.
func TestRun_Glare(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	for i := range r.cfg.Lines {
		r.cfg.Lines[i].Send, r.cfg.Lines[i].Receive = true, true
	}
	r.ex.exchange.NewModem("5550109", virtual.ModemOptions{}) // nobody's
	r.start()
	for i := range 3 {
		for _, n := range []string{demoReceiver, demoSender} {
			if err := r.mail(fmt.Sprintf("glare%d", i), "hello", n); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 3 {
		for _, n := range []string{demoReceiver, demoSender} {
			j := r.job(fmt.Sprintf("glare%d", i), n)
			eventually(t, "ended", func() bool { j = r.job(fmt.Sprintf("glare%d", i), n); return j.State.Final() })
			if j.State != queue.Sent && j.Code != 10 { // a line may call itself: busy
				t.Errorf("job %d to %s: %s %s", i, n, j.State, j.Text)
			}
		}
	}
}

func TestRun_OneApplianceForAFolder(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	r.start()
	if err := Run(context.Background(), r.cfg, r.deps); err == nil {
		t.Error("a second appliance started in the same folder")
	}
	if _, err := control.Dial(r.cfg.Data); err != nil {
		t.Errorf("the first one's socket is gone: %v", err)
	}
}
