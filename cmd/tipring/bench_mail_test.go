//go:build peers && bench

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack/smtptest"
)

// make bench-mail: the same smtp-source run (messages of 50 kB, 20 sessions) into Postfix, which puts each message into its hold
// queue and does nothing more with it, and into a whole `tipring serve`, which makes jobs and fax pages of them behind the 250,
// with a line that sends. Both sync what they acknowledge, on one file system. Judged: messages per second at least
// Postfix's, and serve under 100 MB resident at its peak.

const (
	mailRounds   = 5
	mailSessions = 20
	mailOctets   = 50_000
	mailMemory   = 100 << 20 // octets
)

// unlimited lifts the limits per client and sender: the whole load comes from one address.
const unlimited = manyMails + `
[[receive]]
name = "load"
listen = [%q]
networks = ["127.0.0.0/8"]
senders = ["example.org"]
connections_per_client = 50
connections_per_minute = 1000000
messages_per_minute = 1000000
recipients_per_hour = 1000000
`

func TestMailLoad(t *testing.T) {
	need(t, "smtp-source", "postfix")
	count := 500
	if s := os.Getenv("TIPRING_BENCH_MESSAGES"); s != "" {
		var err error
		if count, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	other := holdingPostfix(t)
	ttys := exchange(t, "1")
	ours := smtptest.FreeAddr(t)
	b := newBox(t, ttys[0], newSink(t).addr, fmt.Sprintf(unlimited, ours))
	b.start()
	var ratios []float64
	for i := range mailRounds {
		b.p.cmd.Process.Signal(syscall.SIGSTOP) // what it does behind the 250 is not to slow Postfix down
		p := mailsPerSecond(t, other, count)
		b.p.cmd.Process.Signal(syscall.SIGCONT)
		o := mailsPerSecond(t, ours, count)
		ratios = append(ratios, o/p)
		t.Logf("round %d: Postfix %.0f messages/s, serve %.0f, ratio %.2f, serve at %d MB", i+1, p, o, o/p, b.peakRSS()>>20)
	}
	if n := len(b.spooled("mail")); n != mailRounds*count {
		t.Errorf("%d mails of %d are in the spool", n, mailRounds*count)
	}
	slices.Sort(ratios) // the middle one: the machine may have other things to do now and then
	ratio, peak := ratios[len(ratios)/2], b.peakRSS()
	fmt.Printf("ratio mail in %.2f\nmemory %d MB\n", ratio, peak>>20)
	if ratio < 1 {
		t.Errorf("Postfix takes mail faster: ratio %.2f", ratio)
	}
	if peak >= mailMemory {
		t.Errorf("serve used %d MB", peak>>20)
	}
}

// mailsPerSecond hands count mails to a server.
func mailsPerSecond(t *testing.T, addr string, count int) float64 {
	t.Helper()
	began := time.Now()
	out, err := exec.Command("smtp-source", "-s", strconv.Itoa(mailSessions), "-m", strconv.Itoa(count), "-l", strconv.Itoa(mailOctets),
		"-f", "anna@example.org", "-t", "5550101@fax.example.org", addr).CombinedOutput()
	if err != nil {
		t.Fatalf("smtp-source %s: %v\n%s", addr, err, out)
	}
	return float64(count) / time.Since(began).Seconds()
}

// holdingPostfix is an instance of Postfix that takes all mail into its hold queue; it returns its address.
func holdingPostfix(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("Postfix starts as root only")
	}
	dir, err := os.MkdirTemp("", "tipring-postfix-") // t.TempDir is closed to Postfix's own user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	addr := smtptest.FreeAddr(t)
	main := []string{"compatibility_level = 3.6", "queue_directory = " + dir + "/spool", "data_directory = " + dir + "/data", "mail_owner = postfix",
		"myhostname = peer.test", "mydestination =", "alias_maps =", "alias_database =", "local_recipient_maps =", "inet_interfaces = loopback-only",
		"inet_protocols = ipv4", "smtp_dns_support_level = disabled", "maillog_file = " + dir + "/log", "maillog_file_prefixes = " + dir,
		"mynetworks = 127.0.0.0/8", "smtpd_relay_restrictions = permit_mynetworks, reject",
		"smtpd_recipient_restrictions = check_recipient_access static:HOLD, permit_mynetworks, reject", "smtpd_client_connection_count_limit = 0"}
	files := map[string]string{"main.cf": strings.Join(main, "\n") + "\n", "master.cf": addr + " inet n - n - - smtpd\n" + holdingMaster}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"conf", "spool", "data"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, "conf", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run("chown", "-R", "postfix", dir+"/data")
	run("postfix", "-c", dir+"/conf", "start")
	t.Cleanup(func() { run("postfix", "-c", dir+"/conf", "stop") })
	return addr
}

const holdingMaster = `pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

// spooled are the spool's files of a kind.
func (b *box) spooled(kind string) []string {
	names, _ := filepath.Glob(filepath.Join(b.data, "spool", kind, "*"))
	return names
}
