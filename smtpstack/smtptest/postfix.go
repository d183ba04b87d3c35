package smtptest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Postfix is a running instance of Postfix: its queue and configuration are below Dir.
type Postfix struct {
	t   testing.TB
	Dir string
}

// The services that each instance has, beside those that listen.
const postfixMaster = `
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// StartPostfix starts an instance. services are further lines of master.cf, like "127.0.0.1:2525 inet n - n - - smtpd";
// settings are lines of main.cf. Its name is peer.test, it relays for the loopback network as Postfix does by default,
// and asks no DNS.
func StartPostfix(t testing.TB, services []string, settings ...string) *Postfix {
	t.Helper()
	prog := Program(t, "postfix")
	needRoot(t, "Postfix")
	p := &Postfix{t, openTemp(t, "postfix")}
	main := append([]string{
		"compatibility_level = 3.6", "queue_directory = " + p.Dir + "/spool", "data_directory = " + p.Dir + "/data", "mail_owner = postfix",
		"myhostname = peer.test", "mydestination =", "alias_maps =", "alias_database =", "local_recipient_maps =",
		"inet_interfaces = loopback-only", "inet_protocols = ipv4", "smtp_dns_support_level = disabled",
		"maillog_file = " + p.Dir + "/log", "maillog_file_prefixes = " + p.Dir,
	}, settings...)
	for _, sub := range []string{"spool", "data"} {
		if err := os.Mkdir(filepath.Join(p.Dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.Write("conf/main.cf", strings.Join(main, "\n")+"\n")
	p.Write("conf/master.cf", strings.Join(services, "\n")+postfixMaster)
	mustRun(t, "chown", "-R", "postfix", p.Dir+"/data")
	mustRun(t, prog, "-c", p.Dir+"/conf", "check") // makes the queue's folders
	lib, err := exec.Command(Program(t, "postconf"), "-h", "daemon_directory").Output()
	if err != nil {
		t.Fatalf("postconf: %v", err)
	}
	out := run(t, "", strings.TrimSpace(string(lib))+"/master", "-c", p.Dir+"/conf", "-d")
	var listen []string
	for _, s := range services {
		if addr, kind, _ := strings.Cut(s, " "); strings.HasPrefix(kind, "inet") {
			listen = append(listen, addr)
		}
	}
	explain := func() string { return out.String() + p.Log() }
	await(t, "Postfix", func() bool { return strings.Contains(p.Log(), "daemon started") }, explain)
	awaitListeners(t, "Postfix", listen, explain)
	return p
}

// Write writes a file below Dir that all may read; tables ("texthash:") can be written before StartPostfix only into
// folders of the test's own.
func (p *Postfix) Write(name, content string) {
	p.t.Helper()
	write(p.t, filepath.Join(p.Dir, name), content, 0o644)
}

// Log is what the instance has logged.
func (p *Postfix) Log() string {
	b, _ := os.ReadFile(p.Dir + "/log")
	return string(b)
}

// Smtpd is the line of master.cf for a server on a loopback address, with settings of its own like "smtpd_tls_security_level=none".
func Smtpd(addr string, settings ...string) string {
	line := addr + " inet n - n - - smtpd"
	for _, s := range settings {
		line += " -o " + s
	}
	return line
}

// Sendmail hands a mail to the instance as local programs do.
func (p *Postfix) Sendmail(mail string, args ...string) {
	p.t.Helper()
	cmd := exec.Command(Program(p.t, "sendmail"), append([]string{"-C", p.Dir + "/conf"}, args...)...)
	cmd.Stdin = strings.NewReader(mail)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("sendmail %v: %v\n%s", args, err, out)
	}
}
