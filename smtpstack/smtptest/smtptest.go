// Package smtptest runs mail and DNS servers that nobody here wrote, for tests: Postfix, OpenSMTPD and Exim with
// configurations, queues and ports of a test's own, and unbound with DNSSEC zones that are signed here. Only tests
// import it.
//
// OpenSMTPD and Exim cannot be installed beside Postfix: testdata/peers/install unpacks their packages below
// testdata/peers/root, and they run in a root folder of their own (chroot) that has the users they want. All of them
// are started as root, on loopback addresses, and killed by process id when the test ends.
package smtptest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to come up on a busy machine.
const patience = time.Minute

// Missing skips the test for want of a peer, or fails it with TIPRING_PEERS=required.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("TIPRING_PEERS") == "required" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Program finds another software's installed program, or calls Missing.
func Program(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/sbin/"} {
		if p, err := exec.LookPath(dir + name); err == nil {
			return p
		}
	}
	Missing(t, "%s is not installed", name)
	return ""
}

// Swaks finds swaks with all it needs for TLS.
func Swaks(t testing.TB) string {
	t.Helper()
	prog := Program(t, "swaks")
	if out, _ := exec.Command(prog, "--support").CombinedOutput(); !strings.Contains(string(out), "TLS supported") {
		Missing(t, "swaks cannot do TLS: libnet-ssleay-perl is not installed")
	}
	return prog
}

// unpacked finds a file of a package that testdata/peers/install has unpacked.
func unpacked(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			continue
		}
		file := filepath.Join(dir, "testdata/peers/root", name)
		if _, err := os.Stat(file); err != nil {
			Missing(t, "%s is not there: testdata/peers/install unpacks it", file)
		}
		return file
	}
	t.Fatal("no go.mod above the working directory")
	return ""
}

// needRoot is for servers that change to users of their own.
func needRoot(t testing.TB, what string) {
	t.Helper()
	if os.Getuid() != 0 {
		Missing(t, "%s starts as root only", what)
	}
}

// output keeps what a process says.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// run starts a server in a process group of its own, which is killed when the test ends, and with the test's process at
// the latest. chroot may be "".
func run(t testing.TB, chroot, prog string, args ...string) *output {
	t.Helper()
	out := new(output)
	cmd := exec.Command(prog, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: chroot, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if chroot != "" {
		cmd.Dir = "/"
	}
	cmd.WaitDelay = 5 * time.Second // a child that is slow to die still holds the output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
	return out
}

// await polls until ok, or ends the test with what explain says.
func await(t testing.TB, what string, ok func() bool, explain func() string) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in %v\n%s", what, patience, explain())
		}
	}
}

func awaitListeners(t testing.TB, what string, addrs []string, explain func() string) {
	t.Helper()
	for _, a := range addrs {
		await(t, what+" on "+a, func() bool {
			c, err := net.Dial("tcp", a)
			if err == nil {
				c.Close()
			}
			return err == nil
		}, explain)
	}
}

// openTemp is a temporary folder that servers' own users may enter, unlike that of testing.T.
func openTemp(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tipring-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t testing.TB, file, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func mustRun(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out))
	}
}
