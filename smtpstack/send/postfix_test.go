package send

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/exchange"
)

const postfixMaster = `
%s inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// startPostfix starts an instance of a test's own with these lines of main.cf and returns its smtpd's address and the
// log's text.
func startPostfix(t *testing.T, settings ...string) (addr string, log func() string) {
	t.Helper()
	prog := peer(t, "postfix")
	if os.Getuid() != 0 {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatal("Postfix starts as root only")
		}
		t.Skip("Postfix starts as root only")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	l.Close()
	dir, err := os.MkdirTemp("", "tipring-postfix-") // t.TempDir is closed to Postfix's own user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	log = func() string { b, _ := os.ReadFile(dir + "/log"); return string(b) }
	main := append([]string{"compatibility_level = 3.6", "queue_directory = " + dir + "/spool", "data_directory = " + dir + "/data", "mail_owner = postfix",
		"myhostname = mail.test", "alias_maps =", "alias_database =", "local_recipient_maps =", "inet_interfaces = loopback-only", "inet_protocols = ipv4",
		"smtp_dns_support_level = disabled", "maillog_file = " + dir + "/log", "maillog_file_prefixes = " + dir}, settings...)
	for _, sub := range []string{"", "conf", "spool", "data"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"main.cf": strings.Join(main, "\n") + "\n", "master.cf": fmt.Sprintf(postfixMaster, addr)} {
		if err := os.WriteFile(filepath.Join(dir, "conf", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range [][]string{{"chmod", "755", dir}, {"chown", "-R", "postfix", dir + "/data"}, {prog, "-c", dir + "/conf", "start"}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s\n%s", c, err, out, log())
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command(prog, "-c", dir+"/conf", "stop").CombinedOutput(); err != nil {
			t.Errorf("postfix stop: %v\n%s", err, out)
		}
	})
	return addr, log
}

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
	addr, log := startPostfix(t, "mydestination = dest.test", "local_transport = discard:", "default_transport = smtp:["+host+"]:"+port,
		"smtpd_tls_security_level = encrypt", "smtpd_tls_cert_file = "+certs+"/cert", "smtpd_tls_key_file = "+certs+"/key",
		"smtpd_tls_ask_ccert = yes", "smtpd_tls_CAfile = "+certs+"/root", "smtpd_tls_loglevel = 1",
		"smtpd_relay_restrictions = permit_tls_all_clientcerts, reject_unauth_destination")
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
			t.Errorf("%s: %+v\n%s\n%s", tt.name, r, transcript(rep), log())
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
	waitForFile(t, dir, log, "Original-Envelope-Id: job 12+3", "Original-Recipient: rfc822;uno@dest.test", "Action: ")
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
