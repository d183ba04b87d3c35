package appliance

import (
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack/exchange"
)

// newRelayOffice has a connector for printers, and one way to the tenant: submission as officeBox.
func newRelayOffice(t *testing.T, relayFrom string) (*office, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := newOffice(t, func(c *Config) {
		c.Lines = nil
		c.Send = []SendConfig{{Name: "submission", Host: "smtp.office365.com:587", TLS: "required", Username: officeBox, PasswordFile: file}}
		c.Receive = append(c.Receive, ReceiveConfig{Name: "lan", Listen: []string{"127.0.0.1:0"}, Networks: []string{"127.0.0.0/8"}, Senders: []string{"contoso.com"},
			RelayConfig: RelayConfig{RelayTo: []string{"contoso.com"}, RelayVia: "submission", RelayFrom: relayFrom}})
		c.applyConnectorDefaults()
	})
	o.peer.Change(func(w *exchange.World) {
		tenant := &w.Tenants[0]
		tenant.BasicAuth = true
		tenant.Boxes[0].Password = "correct horse"
		tenant.Boxes = append(tenant.Boxes, exchange.Mailbox{Address: "scan@contoso.com"})
	})
	return o, o.app.SMTPAddrs()[1]
}

// prints hands a mail in as an old printer does: no TLS, no sign-in, no Date, no Message-ID, octets beyond ASCII.
func (o *office) prints(addr, to string) {
	o.t.Helper()
	c, err := smtp.Dial(addr)
	if err != nil {
		o.t.Fatal(err)
	}
	defer c.Close()
	for _, err := range []error{c.Hello("printer"), c.Mail("scan@contoso.com"), c.Rcpt(to)} {
		if err != nil {
			o.t.Fatal(err)
		}
	}
	w, err := c.Data()
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := w.Write([]byte("From: Drucker 3. Stock <scan@contoso.com>\r\nTo: " + to + "\r\nSubject: Gescannt f\xfcr Sie\r\n\r\nGr\xfc\xdfe\r\n")); err != nil {
		o.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		o.t.Fatal(err)
	}
}

// relayed are the mails that the tenant took for an address.
func (o *office) relayed(to string) (list []exchange.Message) {
	for _, m := range o.peer.Messages() {
		if slices.Contains(m.To, to) {
			list = append(list, m)
		}
	}
	return list
}

// The mailbox that submits may send as itself only: it takes the printer's place, and the printer's address is answered.
func TestRelay_ThroughTheTenantAsTheMailbox(t *testing.T) {
	o, addr := newRelayOffice(t, officeBox)
	o.prints(addr, "jane@contoso.com")
	o.eventually("the scan is delivered", func() bool { return len(o.relayed("jane@contoso.com")) == 1 })
	m := o.relayed("jane@contoso.com")[0]
	text := string(m.Data)
	for _, want := range []string{"<" + officeBox + ">", "Reply-To: ", "<scan@contoso.com>", "Subject: =?utf-8?B?", "Message-ID: <", ".relay@box.contoso.com>", "Date: ", "Gr=FC=DFe"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if m.From != officeBox || strings.ContainsFunc(text, func(r rune) bool { return r > 0x7e }) {
		t.Errorf("MAIL FROM %s\n%q", m.From, text)
	}

	// A mailbox that does not exist: the tenant says so, and the operators and the printer's mailbox hear of it.
	o.prints(addr, "gone@contoso.com")
	o.eventually("the report", func() bool { return len(o.relayed("ops@contoso.com")) == 1 })
	report := o.relayed("ops@contoso.com")[0]
	if text := string(report.Data); !slices.Contains(report.To, "scan@contoso.com") || !strings.Contains(text, "gone@contoso.com") || !strings.Contains(text, "multipart/report") || !strings.Contains(text, "Status: 5.1.10") {
		t.Errorf("to %v\n%s", report.To, text)
	}
}

// Kept as the printer's, the mail needs Send As: it is held with the remedy until that is granted, then it goes out once.
func TestRelay_ThroughTheTenantNeedsSendAs(t *testing.T) {
	o, addr := newRelayOffice(t, keepFrom)
	o.prints(addr, "jane@contoso.com")
	o.eventually("the alarm", func() bool {
		a, ok := o.alarm("mail-held")
		return ok && strings.Contains(a.Text, "5.7.60") && strings.Contains(a.Remedy, "SendAs")
	})
	o.eventually("the mail is held", func() bool { // the alarm comes first
		held, err := o.app.q.Unsent()
		if err != nil || len(held) != 1 || held[0].Kind != queue.KindRelay {
			t.Fatalf("%+v, %v", held, err)
		}
		return held[0].State == queue.OutHeld
	})
	o.peer.Change(func(w *exchange.World) { w.Tenants[0].Boxes[0].SendAs = []string{"scan@contoso.com"} })
	if err := o.app.RetryMail(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.eventually("the scan is delivered", func() bool { return len(o.relayed("jane@contoso.com")) == 1 })
	o.eventually("the end of the alarm", func() bool {
		_, ok := o.alarm("mail-held")
		return !ok
	})
	if m := o.relayed("jane@contoso.com")[0]; m.From != "scan@contoso.com" {
		t.Errorf("MAIL FROM %s", m.From)
	}
}
