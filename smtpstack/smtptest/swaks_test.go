package smtptest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
