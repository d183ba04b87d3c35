package appliance

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack/resolve"
	"github.com/tipring/tipring/smtpstack/verify"
)

// letterFrom is a mail whose From field and subject are given.
func letterFrom(from, subject string) string {
	return fmt.Sprintf("From: %s\r\nTo: fax\r\nSubject: %s\r\nMessage-ID: <%s@example.org>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\nhello\r\n", from, subject, subject)
}

// proving is a rig whose connector wants SPF, and a DNS that has it for example.org on this machine.
func proving(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, 12)
	r.cfg.Receive[0].Senders, r.cfg.Receive[0].Require = []string{"example.org", "bob@example.net"}, []string{"spf"}
	r.deps.Resolver = &resolve.Fake{TXTs: map[string][]string{
		"example.org":  {"v=spf1 ip4:127.0.0.1 -all"},
		"example.net":  {"v=spf1 ip4:127.0.0.0/8 -all"},
		"fabrikam.com": {"v=spf1 -all"},
	}, Fail: map[string]error{"example.com": resolve.ErrTemporary}}
	r.start()
	return r
}

func TestRun_SendersAreProven(t *testing.T) {
	t.Parallel()
	r := proving(t)
	addr, to := r.app.SMTPAddrs()[0], []string{demoReceiver + "@" + demoFax}
	for _, c := range []struct{ name, mailFrom, from, want string }{
		{"good", "anna@example.org", "Anna <anna@example.org>", ""},
		{"rewritten", "bounce+anna@example.org", "anna@example.org", ""},
		{"listed address", "bob@example.net", "bob@example.net", ""},
		{"unlisted address", "eve@example.net", "eve@example.net", `550 "5.7.1`},
		{"from of another", "anna@example.org", "boss@fabrikam.com", `550 "5.7`},
		{"forged", "boss@fabrikam.com", "boss@fabrikam.com", `550 "5.7`},
		{"two authors", "anna@example.org", "anna@example.org, boss@fabrikam.com", `550 "5.7`},
		{"DNS is down", "carl@example.com", "carl@example.com", `451 "4.7`},
	} {
		err := submit(addr, c.mailFrom, to, letterFrom(c.from, strings.ReplaceAll(c.name, " ", "-")))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	j := r.waitState("rewritten", demoReceiver, queue.Sent)
	if j.Sender != "anna@example.org" {
		t.Errorf("the notice goes to %q, not to who wrote the mail", j.Sender)
	}
	m, err := r.app.q.Mail(j.Mail)
	if err != nil {
		t.Fatal(err)
	}
	var d verify.Verdict
	if err := json.Unmarshal(m.Verdict, &d); err != nil || d.SPF.Result != verify.Pass || !d.SPFAligned || d.From != "anna@example.org" || m.Connector != "demo" {
		t.Errorf("verdict kept: %v %s", err, m.Verdict)
	}
}

func TestRun_PermissionsHoldForTheProvenSender(t *testing.T) {
	t.Parallel()
	r := proving(t)
	addr, to := r.app.SMTPAddrs()[0], []string{demoReceiver + "@" + demoFax}
	put := func(who string, p directory.Permission) {
		t.Helper()
		if _, err := r.app.people.Put(directory.Entry{Kind: directory.User, Name: who, Permission: &p}); err != nil {
			t.Fatal(err)
		}
	}
	put("anna@example.org", directory.Permission{FaxesPerDay: 1})
	put("bob@example.net", directory.Permission{Deny: true})
	if err := submit(addr, "bob@example.net", to, letterFrom("bob@example.net", "denied")); err == nil || !strings.HasPrefix(err.Error(), `550 "5.7.1`) {
		t.Errorf("denied: %v", err)
	}
	if err := submit(addr, "carl@example.org", to, letterFrom("carl@example.org", "nobody")); err == nil || !strings.HasPrefix(err.Error(), `550 "5.7.1`) {
		t.Errorf("without a permission: %v", err)
	}
	if err := submit(addr, "anna@example.org", to, letterFrom("anna@example.org", "first")); err != nil {
		t.Fatalf("allowed: %v", err)
	}
	r.waitState("first", demoReceiver, queue.Sent)
	if err := submit(addr, "anna@example.org", to, letterFrom("anna@example.org", "second")); err == nil || !strings.HasPrefix(err.Error(), `550 "5.7.1`) {
		t.Errorf("beyond the day's faxes: %v", err)
	}
}

// Behind an edge server it is the host in the header that SPF is asked about, not the edge server's.
func TestRun_SendersBehindATrustedRelay(t *testing.T) {
	t.Parallel()
	r := newRig(t, 12)
	c := &r.cfg.Receive[0]
	c.Senders, c.Require, c.TrustedRelays = []string{"example.org"}, []string{"spf"}, []string{"127.0.0.0/8"}
	r.deps.Resolver = &resolve.Fake{TXTs: map[string][]string{"example.org": {"v=spf1 ip4:192.0.2.1 -all"}}}
	r.start()
	for ip, want := range map[string]string{"192.0.2.1": "", "192.0.2.2": `550 "5.7`} {
		text := fmt.Sprintf("Received: from mx.example.org (mx.example.org [%s]) by edge.example.com with ESMTP; Sun, 22 Nov 2026 12:00:00 +0000\r\n", ip) +
			letterFrom("anna@example.org", "via-"+ip)
		err := submit(r.app.SMTPAddrs()[0], "anna@example.org", []string{demoReceiver + "@" + demoFax}, text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", ip, err, want)
		}
	}
}
