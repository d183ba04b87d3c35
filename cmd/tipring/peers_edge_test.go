//go:build peers

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

// edge is a site as beside a Microsoft 365 tenant, of servers that nobody here wrote: mail comes in through Postfix as edge
// server, which takes it by mutual TLS from the tenant's hosts and hands it on by mutual TLS; ours goes out to OpenSMTPD by
// mutual TLS. unbound is the resolver.
type edge struct {
	t       *testing.T
	box     *box
	postfix *smtptest.Postfix
	in      string // Postfix, for the tenant's hosts
	ca      *smtptest.Authority
	swaks   string
	tenant  string // PEM file with the certificate of the tenant's hosts
}

// The tenant's host by its SPF record, and another host on the same net.
const (
	tenantHost  = "127.0.7.7"
	foreignHost = "127.0.7.8"
)

func startEdge(t *testing.T, device string, s *sink) *edge {
	t.Helper()
	ca := smtptest.NewAuthority(t, "Test Authority")
	e := &edge{t: t, ca: ca, in: smtptest.FreeAddr(t), swaks: smtptest.Swaks(t), tenant: smtptest.PEMFile(t, ca.Issue("mail.protection.test"))}
	dns, out := smtptest.FreeAddr(t), smtptest.FreeAddr(t)
	smtptest.StartUnbound(t, dns, smtptest.Zone{Apex: "example.org.", Plain: true, Records: []string{
		"example.org. 60 IN TXT \"v=spf1 ip4:" + tenantHost + " -all\"", "mx.example.org. 60 IN A 127.0.0.1"}})
	e.box = newBox(t, device, "mx.example.org:"+smtptest.Port(out), "[dns]\nservers = [\""+dns+"\"]\n")
	e.secure()
	e.startPostfix()
	e.startOpenSMTPD(out, s)
	e.box.p = start(t, "env", "SSL_CERT_FILE="+ca.PEMFile(), tipringBin, "serve", "--config", e.box.config)
	waitFor(t, 30*time.Second, "mail port of serve", func() bool { _, ok := e.mail(e.box.smtp, "--quit-after", "CONNECT"); return ok })
	return e
}

// secure writes mutual TLS into the box's connectors, both ways.
func (e *edge) secure() {
	text, err := os.ReadFile(e.box.config)
	if err != nil {
		e.t.Fatal(err)
	}
	own := smtptest.PEMFile(e.t, e.ca.IssueRSA("box.example.org"))
	for after, lines := range map[string]string{
		"senders = [\"example.org\"]\n": fmt.Sprintf("require = [\"spf\"]\nrequire_tls = true\nclient_names = [\"edge.example.org\"]\ntrusted_relays = [\"127.0.0.1/32\"]\ntls_cert = %[1]q\ntls_key = %[1]q\n", own),
		"name = \"out\"\n":              fmt.Sprintf("tls = \"required\"\ncertificate = %[1]q\ncertificate_key = %[1]q\n", own),
	} {
		if !strings.Contains(string(text), after) {
			e.t.Fatalf("the box's configuration has no %q", after)
		}
		text = []byte(strings.Replace(string(text), after, after+lines, 1))
	}
	if err := os.WriteFile(e.box.config, text, 0o600); err != nil {
		e.t.Fatal(err)
	}
}

func (e *edge) startPostfix() {
	own, roots := smtptest.PEMFile(e.t, e.ca.Issue("edge.example.org")), e.ca.PEMFile()
	e.postfix = smtptest.StartPostfix(e.t, []string{smtptest.Smtpd(e.in, "smtpd_tls_security_level=encrypt", "smtpd_tls_req_ccert=yes")},
		"myhostname = edge.example.org", "mynetworks =", "relay_domains = fax.example.org", "transport_maps = inline:{fax.example.org=relay:[127.0.0.1]:"+smtptest.Port(e.box.smtp)+"}",
		"smtpd_relay_restrictions = permit_auth_destination, reject", "smtpd_tls_cert_file = "+own, "smtpd_tls_key_file = "+own, "smtpd_tls_CAfile = "+roots,
		"smtp_tls_security_level = secure", "smtp_tls_secure_cert_match = box.example.org", "smtp_tls_cert_file = "+own, "smtp_tls_key_file = "+own, "smtp_tls_CAfile = "+roots)
}

func (e *edge) startOpenSMTPD(listen string, s *sink) {
	chain, key := smtptest.PEM(e.t, e.ca.IssueRSA("mx.example.org"))
	smtptest.StartOpenSMTPD(e.t, smtptest.Setup{Listen: []string{listen}, Files: map[string]string{"etc/mx.crt": chain, "etc/mx.key": key, "etc/ca.pem": e.ca.PEM()},
		Conf: "ca test cert \"/etc/ca.pem\"\npki server cert \"/etc/mx.crt\"\npki server key \"/etc/mx.key\"\n" +
			"listen on 127.0.0.1 port " + smtptest.Port(listen) + " hostname mx.example.org tls-require verify pki server ca test\n" +
			"action out relay host smtp+notls://" + s.addr + "\nmatch from any for domain example.org action out\n"})
}

// mail hands a mail to a server with swaks; it returns what was said and whether it was taken.
func (e *edge) mail(server string, args ...string) (string, bool) {
	out, err := exec.Command(e.swaks, append([]string{"--server", server, "--from", "anna@example.org", "--to", "5550100@fax.example.org", "--ehlo", "out1.protection.test",
		"--header", "Subject: Through the edge", "--body", "Dear office,\nthis came through the edge server.\n"}, args...)...).CombinedOutput()
	return string(out), err == nil
}

// TestServe_BehindAnEdgeServer: a mail of the tenant's goes through Postfix to the fax line, the notice goes out through OpenSMTPD; what
// comes another way is refused: past the edge, to the edge without the tenant's certificate, and from a host for which SPF
// does not speak, which only the edge server's Received field shows.
func TestServe_BehindAnEdgeServer(t *testing.T) {
	t.Parallel()
	smtptest.Program(t, "postfix")
	got := filepath.Join(t.TempDir(), "got.tif")
	line := startSoftline(t, "fax:answer,out="+got+",ident=5550100", "--calls", "0")
	s := newSink(t)
	e := startEdge(t, line.pty, s)
	certificate := []string{"-tls", "--tls-cert", e.tenant, "--tls-key", e.tenant}
	from := func(ip string) []string { return append([]string{"--local-interface", ip}, certificate...) }

	for _, c := range []struct {
		name, server, words string
		args                []string
	}{
		{"past the edge, in the clear", e.box.smtp, "5.7.0", nil},
		{"past the edge, without a certificate", e.box.smtp, "takes mail only from clients with a TLS certificate", []string{"-tls"}},
		{"past the edge, with the tenant's certificate", e.box.smtp, "takes mail only from clients with a TLS certificate", certificate},
		{"to the edge in the clear", e.in, "530 5.7.0", nil},
		{"to the edge without a certificate", e.in, "", []string{"-tls"}},
	} {
		if out, ok := e.mail(c.server, c.args...); ok || !strings.Contains(out, c.words) {
			t.Errorf("%s:\n%s", c.name, out)
		}
	}
	if out, ok := e.mail(e.in, append(from(foreignHost), "--header", "X-Foreign: yes")...); !ok {
		t.Fatalf("the edge does not take it: %s", out)
	}
	waitFor(t, time.Minute, "refusal of the foreign host's mail", func() bool {
		return strings.Contains(e.postfix.Log(), "status=bounced") && strings.Contains(e.postfix.Log(), "said: 550 5.7.")
	})
	if out, ok := e.mail(e.in, from(tenantHost)...); !ok {
		t.Fatalf("the edge does not take it: %s", out)
	}
	m := s.waitMail(4*time.Minute, "notice", func(m sunk) bool { return strings.Contains(m.to, "anna@example.org") })
	mentions(t, m, "5550100", "Through the edge")
	if by := strings.Join(m.header["Received"], "\n"); !strings.Contains(by, "by mx.example.org (OpenSMTPD) with ESMTPS") || !strings.Contains(by, ":YES)") {
		t.Errorf("the notice did not come by mutual TLS:\n%s", by)
	}
	if pages := libtiffPages(t, got); len(pages) != 1 || ink(pages[0], 100, pages[0].h) < 500 {
		t.Errorf("%d pages", len(pages))
	}
	if j := e.box.waitJob(10*time.Second, "sent job", func(j control.Job) bool { return j.State == control.JobSent }); j.Pages != 1 {
		t.Errorf("%d pages", j.Pages)
	}
	if n := len(e.box.jobs()); n != 1 {
		t.Errorf("%d jobs, want that of the tenant's mail alone", n)
	}
	if n := len(noticesOf(s.mails())); n != 1 {
		t.Errorf("%d notices, want 1", n)
	}
}
