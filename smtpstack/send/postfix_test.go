package send

import (
	"crypto/tls"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/exchange"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

// TestPeer_Postfix: STARTTLS demanded, relaying by a client certificate whose chain must be whole, pipelining, and a
// notification of success that carries our DSN parameters.
func TestPeer_Postfix(t *testing.T) {
	hop, dir := sink(t)
	pki, err := exchange.New(exchange.World{})
	if err != nil {
		t.Fatal(err)
	}
	serverCert, pool := selfSigned(t, "mail.test")
	certs := t.TempDir()
	writePEM(t, certs+"/cert", certs+"/key", *serverCert)
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pki.Root().Raw})
	if err := os.WriteFile(certs+"/root", root, 0o644); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(hop)
	addr := smtptest.FreeAddr(t)
	p := smtptest.StartPostfix(t, []string{smtptest.Smtpd(addr)}, "mydestination = dest.test", "local_transport = discard:", "default_transport = smtp:["+host+"]:"+port,
		"smtpd_tls_security_level = encrypt", "smtpd_tls_cert_file = "+certs+"/cert", "smtpd_tls_key_file = "+certs+"/key",
		"smtpd_tls_ask_ccert = yes", "smtpd_tls_CAfile = "+certs+"/root", "smtpd_tls_loglevel = 1",
		"myhostname = mail.test", "smtpd_relay_restrictions = permit_tls_all_clientcerts, reject_unauth_destination")
	client, err := pki.ClientCertificate("fax.example.com")
	if err != nil {
		t.Fatal(err)
	}
	short := tls.Certificate{Certificate: client.Certificate[:1], PrivateKey: client.PrivateKey}
	cfg := func(policy TLSPolicy, certificates ...tls.Certificate) Config {
		return Config{Host: "mail.test", TLS: policy, TLSConfig: &tls.Config{RootCAs: pool, Certificates: certificates}, Dial: dialTCP(addr)}
	}
	for _, tt := range []struct {
		name, to string
		cfg      Config
		want     smtpstack.Class
	}{
		{"no TLS", "a@dest.test", cfg(NoTLS), smtpstack.Configuration},
		{"TLS", "a@dest.test", cfg(Required), smtpstack.Delivered},
		{"no certificate, relay", "a@else.test", cfg(Required), smtpstack.Configuration},
		{"chain cut short, relay", "a@else.test", cfg(Required, short), smtpstack.Configuration},
		{"whole chain, relay", "a@else.test", cfg(Required, client), smtpstack.Delivered},
	} {
		rep := deliver(t, tt.cfg, message(tt.to))
		if r := rep.Results[0]; r.Class != tt.want {
			t.Errorf("%s: %+v\n%s\n%s", tt.name, r, transcript(rep), p.Log())
		}
	}
	m := message("one@dest.test", "two@dest.test", "malformed@-.test", "x@else.test")
	m.DSN = &DSN{Return: "HDRS", EnvelopeID: "job 12+3", Notify: []string{"SUCCESS", "FAILURE"}, Original: map[string]string{"one@dest.test": "uno@dest.test"}}
	rep := deliver(t, cfg(Required), m)
	for i, want := range []smtpstack.Class{smtpstack.Delivered, smtpstack.Delivered, smtpstack.BadRecipient, smtpstack.Configuration} {
		if rep.Results[i].Class != want {
			t.Errorf("%+v\n%s", rep.Results[i], transcript(rep))
		}
	}
	waitForFile(t, dir, p.Log, "Original-Envelope-Id: job 12+3", "Original-Recipient: rfc822;uno@dest.test", "Action: ")
}

// waitForFile waits until one file of smtp-sink has all these words.
func waitForFile(t *testing.T, dir string, explain func() string, words ...string) {
	t.Helper()
	for range 400 {
		files, _ := filepath.Glob(filepath.Join(dir, "mail.*"))
	file:
		for _, f := range files {
			raw, _ := os.ReadFile(f)
			for _, w := range words {
				if !strings.Contains(string(raw), w) {
					continue file
				}
			}
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Errorf("no mail with %q\n%s", words, explain())
}
