package smtptest

import (
	"os"
	"path/filepath"
	"testing"
)

// StartExim starts Exim.
func StartExim(t testing.TB, setup Setup) *Server {
	t.Helper()
	j := newJail(t, unpacked(t, "usr/sbin/exim4"), setup.Hosts)
	owned := func(name string) {
		if err := os.Chown(filepath.Join(j.dir, name), eximUser, eximUser); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"var/spool/exim4", "var/log/exim4"} {
		if err := os.MkdirAll(filepath.Join(j.dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
		owned(sub)
	}
	j.write("etc/exim4/exim4.conf", setup.Conf, 0o644)
	for name, content := range setup.Files {
		j.write(name, content, 0o600) // it gives up root before it delivers
		owned(name)
	}
	out := run(t, j.dir, j.prog, "-bdf", "-q1m")
	log := func() string {
		main, _ := os.ReadFile(filepath.Join(j.dir, "var/log/exim4/mainlog"))
		return out.String() + string(main)
	}
	awaitListeners(t, "Exim", setup.Listen, log)
	return &Server{log}
}
