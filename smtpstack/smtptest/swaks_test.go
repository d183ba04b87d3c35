package smtptest_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tipring/tipring/smtpstack/receive"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

// TestSenders_Swaks: swaks hands mail to the receive connector, octets as they are in a file. It knows no parameters of MAIL and RCPT: no DSN, SIZE,
// 8BITMIME, SMTPUTF8; no CHUNKING; and it checks a certificate's issuer, not its name. It sends only, nothing can be sent to it.
func TestSenders_Swaks(t *testing.T) {
	t.Parallel()
	swaks := smtptest.Swaks(t)
	ca := smtptest.NewAuthority(t, "Test Authority")
	to := connectors(t, ca)
	roots, client := ca.PEMFile(), smtptest.PEMFile(t, ca.Issue("peer.test"))
	file := filepath.Join(t.TempDir(), "mail")
	if err := os.WriteFile(file, []byte(stuffed(mail)+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check := []string{"--tls-verify", "--tls-ca-path", roots}
	show := []string{"--tls-cert", client, "--tls-key", client}
	for _, tt := range []struct {
		way     way
		args    []string
		refused string // in its transcript; "": the mail is taken
	}{
		{plain, []string{"-pipeline"}, ""},
		{starttls, []string{"-tls"}, ""},
		{implicit, append([]string{"--tls-on-connect"}, check...), ""},
		{verified, append([]string{"-tls", "-pipeline"}, check...), ""},
		{mutual, append(append([]string{"-tls"}, check...), show...), ""},
		{noCert, append([]string{"-tls"}, show...), noClientCert},
		{downgrade, []string{"-tls"}, "did not advertise STARTTLS"},
	} {
		t.Run(string(tt.way), func(t *testing.T) {
			t.Parallel()
			r, from := to[tt.way], senderOf("swaks", tt.way)
			args := append([]string{"--server", r.addr, "--helo", "peer.test", "--from", from, "--to", "15551234@" + tt.way.domain(), "--no-data-fixup", "--data", "@" + file}, tt.args...)
			out, err := exec.Command(swaks, args...).CombinedOutput()
			if tt.refused != "" {
				if err == nil || !strings.Contains(string(out), tt.refused) || len(r.all()) > 0 {
					t.Errorf("%v, %d taken\n%s", err, len(r.all()), out)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			m := r.from(t, from, func() string { return string(out) })
			whole(t, m, mail)
			if (m.env.TLS != nil) != (tt.way != plain) || (m.env.ClientName == "peer.test") != (tt.way == mutual) {
				t.Errorf("TLS %+v, client name %q", m.env.TLS, m.env.ClientName)
			}
			if pieces, _ := r.dialogue(from); tt.way == plain && !pipelined(pieces) {
				t.Errorf("not pipelined: %q", pieces)
			}
		})
	}
}

// TestSenders_SwaksAsProxy: swaks speaks the PROXY protocol as a load balancer in front of us does: who it names is the client.
func TestSenders_SwaksAsProxy(t *testing.T) {
	t.Parallel()
	swaks := smtptest.Swaks(t)
	r := newRecorder(t, "127.0.0.1", "proxied.test", func(c *receive.Config) {
		c.Proxies, c.Networks = c.Networks, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	})
	for _, tt := range []struct {
		name, version, family, source string
		taken                         bool
	}{
		{"v1", "1", "TCP4", "192.0.2.7", true},
		{"v1-v6", "1", "TCP6", "2001:db8::7", true},
		{"v2", "2", "AF_INET", "192.0.2.8", true},
		{"v2-v6", "2", "AF_INET6", "2001:db8::8", true},
		{"v1-foreign", "1", "TCP4", "198.51.100.7", false},
		{"v2-foreign", "2", "AF_INET", "198.51.100.7", false},
		{"none", "", "", "", false},
	} {
		from := senderOf("proxied", way(tt.name))
		args := []string{"--server", r.addr, "--helo", "peer.test", "--from", from, "--to", "15551234@proxied.test", "--body", "x", "--timeout", "20"}
		if tt.version != "" {
			args = append(args, "--proxy-version", tt.version, "--proxy-family", tt.family, "--proxy-source", tt.source, "--proxy-source-port", "4711",
				"--proxy-dest", strings.ReplaceAll(tt.source, "7", "1"), "--proxy-dest-port", "25")
		}
		out, err := exec.Command(swaks, args...).CombinedOutput()
		if (err == nil) != tt.taken {
			t.Errorf("%s: %v\n%s", tt.name, err, out)
			continue
		}
		if !tt.taken {
			continue
		}
		if e := r.from(t, from, func() string { return string(out) }).env; e.Client.String() != tt.source || e.Peer.String() != "127.0.0.1" {
			t.Errorf("%s: client %v behind %v", tt.name, e.Client, e.Peer)
		}
	}
}
