package appliance

import (
	"context"
	"io"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/send"
)

// envelopes is a mail server that keeps what it was handed.
type envelopes struct {
	mu  sync.Mutex
	got []envelope
}

type envelope struct{ from, to, text string }

func (e *envelopes) deliver(_ context.Context, m send.Message) (rep send.Report) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f, err := m.Open()
	if err != nil {
		return rep
	}
	defer f.Close()
	text, _ := io.ReadAll(f)
	for _, to := range m.To {
		e.got = append(e.got, envelope{m.From, to, string(text)})
		rep.Results = append(rep.Results, send.Result{To: to, Class: smtpstack.Delivered, Reply: smtpstack.Reply{Code: 250}})
	}
	return rep
}

// to waits for a mail to an address.
func (e *envelopes) to(t *testing.T, address string) (found envelope) {
	t.Helper()
	eventually(t, "mail to "+address, func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, one := range e.got {
			if one.to == address {
				found = one
				return true
			}
		}
		return false
	})
	return found
}

// handIn hands a mail in as a device does it: in the clear, and without the SMTPUTF8 that net/smtp always asks for.
func handIn(addr, from, to, text string) error {
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, _, err := c.ReadResponse(220); err != nil {
		return err
	}
	for _, step := range []struct {
		line string
		want int
	}{{"EHLO device.fabrikam.test", 250}, {"MAIL FROM:<" + from + ">", 250}, {"RCPT TO:<" + to + ">", 250}, {"DATA", 354}, {text + ".", 250}} {
		if err := c.PrintfLine("%s", step.line); err != nil {
			return err
		}
		if _, _, err := c.ReadResponse(step.want); err != nil {
			return err
		}
	}
	return nil
}

// A device's mail is sent on with a sender address of ours, and what bounces to that finds the device, also after a
// restart; nobody else's mail goes anywhere by it.
func TestRun_BouncesFindBack(t *testing.T) {
	t.Parallel()
	var server envelopes
	r := newRig(t, 12)
	r.deps.Deliver = server.deliver
	in := &r.cfg.Receive[0]
	in.Senders, in.RelayTo = []string{"fabrikam.test"}, []string{"contoso.test"}
	r.cfg.SRS.Domain = "bounce.example.net"
	r.start()
	if err := handIn(r.app.SMTPAddrs()[0], "scanner@fabrikam.test", "ann@contoso.test", letterFrom("scanner@fabrikam.test", "scan")); err != nil {
		t.Fatal(err)
	}
	ours := server.to(t, "ann@contoso.test").from
	if !strings.HasPrefix(ours, "SRS0=") || !strings.HasSuffix(ours, "=fabrikam.test=scanner@bounce.example.net") {
		t.Fatalf("MAIL FROM is %s", ours)
	}
	r.stop()
	r.start()
	addr := r.app.SMTPAddrs()[0]
	bounce := letterFrom("MAILER-DAEMON@contoso.test", "Undeliverable")
	for _, c := range []struct{ from, to, want string }{
		{"eve@fabrikam.test", ours, `550 "5.7.1`},
		{"", strings.Replace(ours, "=scanner@", "=victim@", 1), `550 "5.1.1`},
		{"", strings.Replace(ours, "=fabrikam.test=", "=example.org=", 1), `550 "5.1.1`},
		{"", "someone@bounce.example.net", "550"},
		{"", ours, ""},
	} {
		err := handIn(addr, c.from, c.to, bounce)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("from <%s> to %s: %v, want %q", c.from, c.to, err, c.want)
		}
	}
	if back := server.to(t, "scanner@fabrikam.test"); back.from != "" || !strings.Contains(back.text, "Undeliverable") {
		t.Errorf("MAIL FROM <%s>:\n%s", back.from, back.text)
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	for _, one := range server.got {
		if strings.HasPrefix(one.to, "victim@") || strings.HasSuffix(one.to, "example.org") && one.to != demoMailbox {
			t.Errorf("mail went to %s", one.to)
		}
	}
}
