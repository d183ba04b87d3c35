package smtptest

import (
	"os"
	"path/filepath"
	"testing"
)

// StartOpenSMTPD starts OpenSMTPD; Conf is its smtpd.conf.
func StartOpenSMTPD(t testing.TB, setup Setup) *Server {
	t.Helper()
	j := newJail(t, unpacked(t, "usr/sbin/smtpd"), setup.Hosts)
	for _, sub := range []string{"var/spool/smtpd", "var/lib/opensmtpd/empty", "usr/libexec/opensmtpd"} {
		if err := os.MkdirAll(filepath.Join(j.dir, sub), 0o711); err != nil {
			t.Fatal(err)
		}
	}
	j.write("etc/smtpd.conf", setup.Conf, 0o600)
	j.write("etc/ssl/certs/ca-certificates.crt", setup.Roots, 0o644)
	for name, content := range setup.Files {
		j.write(name, content, 0o600)
	}
	out := run(t, j.dir, j.prog, "-d", "-T", "mta")
	awaitListeners(t, "OpenSMTPD", setup.Listen, out.String)
	return &Server{out.String}
}
