//go:build peers

package main

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

// startNames is a name server for which every name is this host.
func startNames(t *testing.T) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			rr, _ := dns.NewRR(q.Question[0].Name + " 60 IN A 127.0.0.1")
			a.Answer = append(a.Answer, rr)
		}
		_ = w.WriteMsg(a)
	})
	for _, srv := range []*dns.Server{{Listener: l, Handler: answer}, {PacketConn: pc, Handler: answer}} {
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		go srv.ActivateAndServe()
		<-started
		t.Cleanup(func() { srv.Shutdown() })
	}
	return pc.LocalAddr().String()
}

// issuer is who issued the certificate that the box shows for STARTTLS.
func (b *box) issuer() string {
	c, err := smtp.Dial(b.smtp)
	if err != nil {
		return ""
	}
	defer c.Close()
	if c.StartTLS(&tls.Config{InsecureSkipVerify: true}) != nil {
		return ""
	}
	st, _ := c.TLSConnectionState()
	if st.PeerCertificates[0].VerifyHostname("box.zone.test") != nil {
		return "of another host"
	}
	return st.PeerCertificates[0].Issuer.CommonName
}

// TestACME_Certificate: pebble is Let's Encrypt's own test server. While it cannot reach the box, that shows a certificate of its own making and
// raises the alarm; then it gets one, clears the alarm, and has it after a restart too.
func TestACME_Certificate(t *testing.T) {
	t.Parallel()
	challenge := smtptest.FreeAddr(t)
	_, port, _ := net.SplitHostPort(challenge)
	var number int
	fmt.Sscan(port, &number)
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "test", ValidityPeriod: 90 * 24 * 3600}})
	validation := va.New(quiet, number, 0, true, startNames(t), store)
	front := wfe.New(quiet, store, validation, authority, []string{"pebble.test"}, true, false, 1, 1)
	pebble := httptest.NewTLSServer(front.Handler())
	t.Cleanup(pebble.Close)
	root := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pebble.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	// Another program sits on the port of the challenge.
	other, err := net.Listen("tcp", challenge)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := other.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	b := newLAN(t, smtptest.FreeAddr(t), "acme = true\n", fmt.Sprintf("[acme]\nagreed = true\ndirectory = %q\nca_file = %q\nhttp = %q\nemail = \"it@example.org\"\n", pebble.URL+wfe.DirectoryPath, root, challenge))
	b.start()
	alarmed := func() bool {
		c, err := control.Dial(b.data)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(s.Alarms, func(a control.Alarm) bool { return a.Code == "acme" && strings.Contains(a.Remedy, "port 80") })
	}
	if by := b.issuer(); by == "" || strings.Contains(by, "Pebble") {
		t.Errorf("before there is a certificate: one by %q", by)
	}
	waitFor(t, 3*time.Minute, "the alarm", func() bool { time.Sleep(time.Second); return alarmed() })
	other.Close()
	waitFor(t, 5*time.Minute, "pebble's certificate", func() bool { time.Sleep(time.Second); return strings.Contains(b.issuer(), "Pebble") })
	waitFor(t, time.Minute, "the alarm to go", func() bool { time.Sleep(time.Second); return !alarmed() })
	b.kill()
	pebble.Close()
	b.start()
	waitFor(t, time.Minute, "the certificate after a restart", func() bool { time.Sleep(200 * time.Millisecond); return strings.Contains(b.issuer(), "Pebble") })
}
