package smtptest

import (
	"os/exec"
	"syscall"
	"testing"
)

// Finger is Postfix's posttls-finger, which says how Postfix would judge a server's TLS.
type Finger struct{ jail *jail }

// NewFinger returns one that asks this name server, port 53.
func NewFinger(t testing.TB, nameserver string) *Finger {
	t.Helper()
	j := newJail(t, Program(t, "posttls-finger"), nil)
	j.write("etc/resolv.conf", "nameserver "+nameserver+"\noptions edns0 trust-ad\n", 0o644)
	j.write("etc/postfix/main.cf", "compatibility_level = 3.6\ninet_protocols = ipv4\nsmtp_dns_support_level = dnssec\nmyhostname = finger.test\n", 0o644)
	return &Finger{j}
}

// Ask runs it with these arguments and returns what it says.
func (f *Finger) Ask(args ...string) string {
	f.jail.t.Helper()
	cmd := exec.Command(f.jail.prog, args...)
	cmd.Env = []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: f.jail.dir, Pdeathsig: syscall.SIGKILL}
	cmd.Dir = "/"
	out, _ := cmd.CombinedOutput() // its status tells no more than its words
	return string(out)
}
