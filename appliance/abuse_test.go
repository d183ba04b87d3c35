package appliance

import (
	"bufio"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/textproto"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// fortress is a whole appliance as users set it up, with a connector for Exchange Online that wants the tenant proven, one for the
// LAN, and one whose networks we are not in. This machine passes for one of Microsoft's hosts: SPF holds for every tenant.
type fortress struct {
	*rig
	exchange, lan, outside string // addresses
	ours, theirs           *message.DKIMKey
}

// Numbers: what begins with 555 may be dialed, but not what begins with 5559.
const premium = "19005550199"

func newFortress(t *testing.T, change ...func(*Config)) *fortress {
	t.Helper()
	f := &fortress{rig: newRig(t, 20)}
	r := ReceiveConfig{Listen: []string{"127.0.0.1:0"}, Networks: []string{"127.0.0.0/8"}, MaxSizeMB: 35, MaxRecipients: 100}
	r.ErrorsPerHour, r.MessagesPerMinute, r.ConnectionsPerMinute, r.RecipientsPerHour = 1_000_000, 1_000_000, 1_000_000, 1_000_000
	ex, lan, out := r, r, r
	ex.Name, ex.Senders, ex.Require = "exchange", []string{"contoso.com"}, []string{"tenant"}
	lan.Name, lan.Senders = "lan", []string{"example.org", "alerts@fabrikam.com"}
	out.Name, out.Senders, out.Networks = "outside", []string{"*"}, []string{"192.0.2.0/24"}
	f.cfg.Receive = []ReceiveConfig{ex, lan, out}
	f.cfg.Dial.Allow, f.cfg.Dial.Deny, f.cfg.Dial.Prefix = []string{"555"}, []string{"5559"}, "9,"
	f.cfg.applyConnectorDefaults()
	for _, c := range change {
		c(&f.cfg)
	}
	dns := &resolve.Fake{TXTs: map[string][]string{}}
	for _, d := range []string{"contoso.com", "fabrikam.com", "example.org"} {
		dns.TXTs[d] = []string{"v=spf1 ip4:127.0.0.0/8 -all"}
	}
	f.ours, f.theirs = dkimKey(t, dns, "contoso.com"), dkimKey(t, dns, "fabrikam.com")
	f.deps.Resolver = dns
	f.start()
	f.exchange, f.lan, f.outside = f.app.SMTPAddrs()[0], f.app.SMTPAddrs()[1], f.app.SMTPAddrs()[2]
	return f
}

func dkimKey(t *testing.T, dns *resolve.Fake, domain string) *message.DKIMKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := message.ParseDKIMKey(domain, "s1", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	name, text, err := key.Record()
	if err != nil {
		t.Fatal(err)
	}
	dns.TXTs[strings.TrimSuffix(name, ".")] = []string{text}
	return key
}

func signed(t *testing.T, text string, key *message.DKIMKey) string {
	t.Helper()
	fields, err := message.SignDKIM(strings.NewReader(text), key)
	if err != nil {
		t.Fatal(err)
	}
	return fields + text
}

// talk is a raw SMTP dialogue. Who makes too many mistakes is cut off by the server, and dials again.
type talk struct {
	t    *testing.T
	addr string
	conn net.Conn
	r    *textproto.Reader
}

func dialTalk(t *testing.T, addr string) *talk {
	t.Helper()
	c := &talk{t: t, addr: addr}
	c.dial()
	t.Cleanup(func() { c.conn.Close() })
	return c
}

func (c *talk) dial() {
	if c.conn != nil {
		c.conn.Close()
	}
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		c.t.Error(err)
		runtime.Goexit() // t.Fatal is for the test's own goroutine
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	c.conn, c.r = conn, textproto.NewReader(bufio.NewReader(conn))
	if greeting, hello := c.reply(), c.say("EHLO mail.example.org"); greeting != 220 || hello != 250 {
		c.t.Errorf("greeted with %d, %d", greeting, hello)
	}
}

// say sends a line and returns the reply's code, 0 when there is none.
func (c *talk) say(line string) int {
	fmt.Fprintf(c.conn, "%s\r\n", line)
	return c.reply()
}

func (c *talk) reply() int {
	code, _, err := c.r.ReadResponse(0)
	if err != nil && code == 0 {
		return 0
	}
	return code
}

// hand tries to hand a mail in, and tells whether it had its 250. Each try is judged by the server: one that is cut off is tried
// again on a new connection.
func (c *talk) hand(from, to, text string) bool {
	for range 3 {
		steps := []struct {
			line string
			want int
		}{{"MAIL FROM:" + from, 250}, {"RCPT TO:" + to, 250}, {"DATA", 354}, {text + "\r\n.", 250}}
		code, done := 0, 0
		for done < len(steps) {
			if code = c.say(steps[done].line); code != steps[done].want {
				break
			}
			done++
		}
		switch {
		case done == len(steps):
			return true
		case code == 0 || code == 421:
			c.dial()
		default:
			if code = c.say("RSET"); code == 0 || code == 421 {
				c.dial()
			}
			return false
		}
	}
	c.t.Errorf("from %q to %q: cut off each time, not judged", from, to)
	return false
}

// untouched fails the test when anything has come of what was tried: a mail, a job, a call, a mail of ours.
func (f *fortress) untouched() {
	f.t.Helper()
	mails, err := f.app.q.PendingMails(0)
	if err != nil {
		f.t.Fatal(err)
	}
	jobs, err := f.app.q.Jobs(0)
	if err != nil {
		f.t.Fatal(err)
	}
	outs, err := f.app.q.Outs(0)
	if err != nil {
		f.t.Fatal(err)
	}
	if len(mails)+len(jobs)+len(outs) > 0 || f.ex.exchange.Calls() > 0 || f.with("") > 0 {
		f.t.Errorf("%d mails taken, %d jobs, %d calls, %d mails of ours made, %d sent", len(mails), len(jobs), f.ex.exchange.Calls(), len(outs), f.with(""))
	}
}

// letterTo is a mail for the connector on which its sender is at home: signed by the tenant where that is asked for.
func (f *fortress) letter(addr, subject string) (from, text string) {
	if addr == f.exchange {
		return "<anna@contoso.com>", signed(f.t, letterFrom("anna@contoso.com", subject), f.ours)
	}
	return "<anna@example.org>", letterFrom("anna@example.org", subject)
}

// TestAbuse_TheHarnessCanFax: what a legitimate sender does works on both connectors, so that what fails below fails for its fault.
func TestAbuse_TheHarnessCanFax(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	f.ex.exchange.NewModem("9"+demoReceiver, virtual.ModemOptions{})
	for i, addr := range []string{f.exchange, f.lan} {
		from, text := f.letter(addr, fmt.Sprint("control", i))
		if !dialTalk(t, addr).hand(from, "<"+demoReceiver+"@"+demoFax+">", text) {
			t.Errorf("connector %d does not take it", i)
		}
	}
	from, text := f.letter(f.lan, "outside")
	if dialTalk(t, f.outside).hand(from, "<"+demoReceiver+"@"+demoFax+">", text) {
		t.Error("taken from outside")
	}
	eventually(t, "two jobs", func() bool { jobs, _ := f.app.q.Jobs(0); return len(jobs) == 2 })
}

// TestAbuse_OpenRelay: no trick makes a recipient of somebody who is not a fax number here.
func TestAbuse_OpenRelay(t *testing.T) {
	t.Parallel()
	if len(relayTricks) < 40 {
		t.Fatalf("only %d tricks", len(relayTricks))
	}
	f := newFortress(t)
	for _, addr := range []string{f.exchange, f.lan, f.outside} {
		from, text := f.letter(addr, "relay")
		c := dialTalk(t, addr)
		for _, trick := range relayTricks {
			for _, sender := range []string{from, "<>", "<spammer@elsewhere.example>"} {
				if c.hand(sender, trick.rcpt, text) {
					t.Errorf("%s: %s from %s was taken", trick.name, trick.rcpt, sender)
				}
			}
		}
	}
	f.untouched()
}

// TestAbuse_OpenFax: no trick makes the appliance dial what no rule allows.
func TestAbuse_OpenFax(t *testing.T) {
	t.Parallel()
	if len(dialTricks) < 40 || len(senderTricks) < 40 || len(fromTricks) < 20 {
		t.Fatalf("only %d numbers, %d senders, %d From fields", len(dialTricks), len(senderTricks), len(fromTricks))
	}
	f := newFortress(t)
	good := "<" + demoReceiver + "@" + demoFax + ">"
	t.Run("numbers", func(t *testing.T) {
		for _, addr := range []string{f.exchange, f.lan} {
			from, text := f.letter(addr, "numbers")
			c := dialTalk(t, addr)
			for _, trick := range dialTricks {
				if c.hand(from, "<"+trick.local+"@"+demoFax+">", text) {
					t.Errorf("%s: %s was taken", trick.name, trick.local)
				}
			}
		}
	})
	t.Run("subjects", func(t *testing.T) {
		for _, subject := range subjectTricks {
			from, text := f.letter(f.lan, subject)
			if dialTalk(t, f.lan).hand(from, "<"+premium+"@"+demoFax+">", text) {
				t.Errorf("%q was taken", subject)
			}
		}
	})
	t.Run("senders", func(t *testing.T) {
		c := dialTalk(t, f.lan)
		for _, trick := range senderTricks {
			if c.hand(trick.from, good, letterFrom("anna@example.org", "senders")) {
				t.Errorf("%s: %s was taken", trick.name, trick.from)
			}
		}
	})
	t.Run("authors", func(t *testing.T) {
		c := dialTalk(t, f.exchange)
		for _, trick := range fromTricks {
			for who, text := range map[string]string{"nobody": trick.header + "Subject: authors\r\n\r\nhello\r\n", "another tenant": ""} {
				if text == "" {
					unsigned := trick.header + "Subject: authors\r\n\r\nhello\r\n"
					fields, err := message.SignDKIM(strings.NewReader(unsigned), f.theirs)
					if err != nil {
						continue // it has no From to sign
					}
					text = fields + unsigned
				}
				for _, from := range []string{"<anna@contoso.com>", "<eve@fabrikam.com>"} {
					if c.hand(from, good, text) {
						t.Errorf("%s, signed by %s, from %s: was taken", trick.name, who, from)
					}
				}
			}
		}
	})
	f.untouched()
}

// TestAbuse_Smuggling: what hides in a mail is text of that mail, and nothing else.
func TestAbuse_Smuggling(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	hidden := "MAIL FROM:<anna@example.org>\r\nRCPT TO:<" + demoReceiver + "@" + demoFax + ">\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n"
	if len(smugglingForms) < 30 {
		t.Fatalf("only %d forms", len(smugglingForms))
	}
	bound := fmt.Sprintf("<%s@%s>", demoBusy, demoFax)
	for name, form := range smugglingForms {
		c := dialTalk(t, f.lan)
		if c.say("MAIL FROM:<anna@example.org>") != 250 || c.say("RCPT TO:"+bound) != 250 || c.say("DATA") != 354 {
			t.Fatalf("%s: the dialogue before it", name)
		}
		// The mail carries a mark of machines, so that even the honest one is refused: anything that is taken was smuggled.
		fmt.Fprintf(c.conn, "Auto-Submitted: auto-generated\r\nSubject: honest\r\n\r\nbody%s%s\r\n.\r\nQUIT\r\n", form, hidden)
		if code := c.reply(); code != 550 {
			t.Errorf("%s: the honest mail got %d", name, code)
		}
		if code := c.reply(); code != 221 {
			t.Errorf("%s: then came %d, not the reply to QUIT", name, code)
		}
	}
	for name, script := range smugglingScripts(hidden) {
		c := dialTalk(t, f.lan)
		fmt.Fprint(c.conn, script)
		for range 20 {
			switch code := c.reply(); {
			case code == 0:
				goto next
			case code == 354, code == 250, code == 220, code == 503, code >= 500, code == 221:
			default:
				t.Errorf("%s: reply %d", name, code)
			}
			if c.conn.SetReadDeadline(time.Now().Add(300*time.Millisecond)) != nil {
				break
			}
		}
	next:
		c.conn.Close()
	}
	f.untouched()
}
