//go:build peers

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mgetty is mgetty+sendfax on one port. Its folders are compiled in, so it runs in a mount namespace in which they are its own.
type mgetty struct {
	t        *testing.T
	dir, tty string // its folders; the port's name below /dev
}

// mgettyModes are mgetty's names of the service classes (-C).
var mgettyModes = map[string]string{"2": "cls2", "2.0": "c2.0"}

// mgettyJail mounts the folders of $1 over the system's and runs the rest.
const mgettyJail = `for d in etc:/etc log:/var/log spool:/var/spool run:/run; do mount --bind "$1/${d%%:*}" "${d#*:}" || exit 99; done; shift; exec "$@"`

func newMgetty(t *testing.T, pty string) *mgetty {
	t.Helper()
	for _, p := range []string{"mgetty", "sendfax"} {
		need(t, unpackedPeer(t, p))
	}
	need(t, "unshare", "g3topbm")
	if err := exec.Command("unshare", "-m", "true").Run(); err != nil {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatalf("mgetty needs a mount namespace: %v", err)
		}
		t.Skipf("mgetty needs a mount namespace: %v", err)
	}
	port, err := os.Readlink(pty)
	if err != nil {
		t.Fatal(err)
	}
	m := &mgetty{t: t, dir: t.TempDir(), tty: strings.TrimPrefix(port, "/dev/")}
	for _, d := range []string{"etc/mgetty", "log/mgetty/fax", "spool/fax/incoming", "run/lock"} {
		if err := os.MkdirAll(filepath.Join(m.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"passwd": "root:x:0:0::/root:/bin/sh\nuucp:x:10:10::/:/bin/false\n", "group": "root:x:0:\ntty:x:5:\nuucp:x:10:\ndialout:x:20:\n", "issue": "",
		"mgetty/mgetty.config": "debug 9\nfax-id 5550333\nspeed 115200\n", "mgetty/sendfax.config": "debug 9\nfax-id 5550333\n",
	} {
		if err := os.WriteFile(filepath.Join(m.dir, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(m.show)
	return m
}

// unpackedPeer is a program that cannot be installed beside another peer (testdata/peers/install).
func unpackedPeer(t *testing.T, name string) string {
	return repoFile(t, filepath.Join("testdata/peers/root/usr/sbin", name))
}

func (m *mgetty) run(program string, args ...string) *proc {
	m.t.Helper()
	cmd := exec.Command("unshare", append([]string{"-m", "sh", "-c", mgettyJail, "sh", m.dir, unpackedPeer(m.t, program)}, args...)...)
	cmd.Dir = m.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	p := &proc{t: m.t, name: program, cmd: cmd, out: &lockedBuffer{}, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.run()
	return p
}

// receive starts an mgetty, which ends after its first call.
func (m *mgetty) receive(class string) *proc {
	m.t.Helper()
	return m.run("mgetty", "-x", "9", "-C", mgettyModes[class], "-n", "1", m.tty)
}

// send starts a sendfax with bare T.4 files; its status 0 is its good end.
func (m *mgetty) send(class, number string, g3 ...string) *proc {
	m.t.Helper()
	return m.run("sendfax", append([]string{"-v", "-x", "9", "-C", mgettyModes[class], "-l", m.tty, number}, g3...)...)
}

// received decodes the files of one page each with netpbm.
func (m *mgetty) received() ([]pbm, error) {
	files, _ := filepath.Glob(filepath.Join(m.dir, "spool/fax/incoming/f*"))
	var pages []pbm
	for _, f := range files {
		out, err := exec.Command("g3topbm", "-width", "1728", f).Output()
		if err != nil {
			return nil, fmt.Errorf("g3topbm %s: %w", f, err)
		}
		pages = append(pages, parsePBM(m.t, out))
	}
	return pages, nil
}

// show prints mgetty's logs when the test failed.
func (m *mgetty) show() {
	if !m.t.Failed() {
		return
	}
	for _, pattern := range []string{"log/mgetty/mg_*", "log/mgetty/fax/*"} {
		logs, _ := filepath.Glob(filepath.Join(m.dir, pattern))
		for _, name := range logs {
			b, _ := os.ReadFile(name)
			m.t.Logf("%s ends:\n%s", filepath.Base(name), tail(string(b), 6000))
		}
	}
}
