//go:build peers

package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack/smtptest"
)

// TestServe_DANE: the whole appliance delivers by MX with unbound as its validating resolver. Notices to a domain whose TLSA
// record fits its Postfix arrive; those to domains with another record, or with one that does not validate, wait, and the
// queue says why.
func TestServe_DANE(t *testing.T) {
	t.Parallel()
	smtptest.Program(t, "postfix")
	ip, ca, s := smtptest.LoopbackIP(t), smtptest.NewAuthority(t, "Unknown Authority"), newSink(t)
	cert := ca.Issue("elsewhere.example")
	pem := smtptest.PEMFile(t, cert)
	postfix := smtptest.StartPostfix(t, []string{smtptest.Smtpd(ip+":25", "smtpd_tls_security_level=may")},
		"smtpd_tls_cert_file = "+pem, "smtpd_tls_key_file = "+pem, "smtpd_tls_received_header = yes", "relayhost = ["+s.addr[:strings.LastIndexByte(s.addr, ':')]+"]:"+smtptest.Port(s.addr))
	zone := smtptest.Zone{Apex: "dane.example.", Expired: []string{"_25._tcp.mx.old.dane.example. TLSA"}}
	right, wrong := sha256.Sum256(cert.Leaf.RawSubjectPublicKeyInfo), sha256.Sum256(nil)
	for name, sum := range map[string][32]byte{"good": right, "wrong": wrong, "old": right} {
		domain := name + ".dane.example."
		zone.Records = append(zone.Records, domain+" 60 IN MX 10 mx."+domain, "mx."+domain+" 60 IN A "+ip, fmt.Sprintf("_25._tcp.mx.%s 60 IN TLSA 3 1 1 %x", domain, sum))
	}
	smtptest.StartUnbound(t, ip+":53", zone)

	b := newBox(t, "/dev/nothing-is-plugged-in", "", "[dns]\nservers = [\""+ip+"\"]\nvalidating = true\n")
	text, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), `senders = ["example.org"]`, `senders = ["good.dane.example", "wrong.dane.example", "old.dane.example"]`, 1))
	if err := os.WriteFile(b.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	for _, name := range []string{"wrong", "old", "good"} { // mail that cannot be faxed is answered at once
		if out, ok := b.swaks("--from", "anna@"+name+".dane.example", "--to", "5550100@fax.example.org", "--header", "Subject: "+name, "--body", " "); !ok {
			t.Fatalf("%s: %s", name, out)
		}
	}
	m := s.waitMail(time.Minute, "notice", func(m sunk) bool { return strings.Contains(m.to, "anna@good.dane.example") })
	if by := strings.Join(m.header["Received"], "\n"); !strings.Contains(by, "(using TLSv1.3 with cipher") {
		t.Errorf("not by TLS:\n%s", by)
	}
	waitFor(t, time.Minute, "the others in the queue, with the reason", func() bool {
		out, _ := exec.Command(tipringBin, "queue", "mail", "--data", b.data).CombinedOutput()
		return strings.Contains(string(out), "DANE demands protection of mx.wrong.dane.example") && strings.Contains(string(out), "SERVFAIL")
	})
	if log := postfix.Log(); strings.Contains(log, "to=<anna@wrong") || strings.Contains(log, "to=<anna@old") || len(s.mails()) != 1 {
		t.Errorf("%d mails arrived\n%s", len(s.mails()), log)
	}
	if page := b.get("/status.json"); strings.Contains(page, "does not validate") {
		t.Errorf("an alarm about the resolver: %s", page)
	}
}
