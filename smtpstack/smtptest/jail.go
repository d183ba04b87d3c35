package smtptest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// jail is a root folder with one program, the libraries it needs, users and a few files of /etc: for servers whose
// folders and users are compiled in, and for programs that only ask the name server of /etc/resolv.conf.
type jail struct {
	t    testing.TB
	dir  string
	prog string // its path inside
}

// The users and the group of each jail; Exim and OpenSMTPD insist on theirs.
const (
	jailPasswd = "root:x:0:0::/:/bin/false\nopensmtpd:x:901:901::/var/lib/opensmtpd/empty:/bin/false\n" +
		"opensmtpq:x:902:902::/var/lib/opensmtpd/empty:/bin/false\nDebian-exim:x:903:903::/var/spool/exim4:/bin/false\npostfix:x:904:904::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n"
	jailGroup = "root:x:0:\nmail:x:8:\nopensmtpd:x:901:\nopensmtpq:x:902:\nDebian-exim:x:903:\npostfix:x:904:\npostdrop:x:905:\nnogroup:x:65534:\n"
	eximUser  = 903
)

// Setup is what a server in a jail is started with.
type Setup struct {
	Conf   string            // its configuration file
	Roots  string            // OpenSMTPD: authorities (PEM) by which it verifies servers
	Files  map[string]string // files by the name they have for it, like "etc/server.pem"; only the server can read them
	Hosts  map[string]string // loopback addresses by name
	Listen []string          // addresses on which it must come up
}

// Server is a running mail server in a jail.
type Server struct{ log func() string }

// Log is what the server has said.
func (s *Server) Log() string { return s.log() }

var libraryPath = regexp.MustCompile(`/\S+`)

// newJail makes a jail for a program; hosts are loopback addresses by name, for its /etc/hosts.
func newJail(t testing.TB, prog string, hosts map[string]string) *jail {
	t.Helper()
	needRoot(t, filepath.Base(prog))
	j := &jail{t: t, dir: openTemp(t, filepath.Base(prog)), prog: "/usr/sbin/" + filepath.Base(prog)}
	libs, err := exec.Command("ldd", prog).CombinedOutput()
	if err != nil || strings.Contains(string(libs), "not found") {
		Missing(t, "%s lacks libraries: %v\n%s", prog, err, libs)
	}
	j.copy(prog, j.prog)
	for _, lib := range libraryPath.FindAllString(string(libs), -1) {
		if !strings.HasPrefix(lib, "/0x") {
			j.copy(lib, lib)
		}
	}
	names := "127.0.0.1 localhost\n"
	for name, ip := range hosts {
		names += ip + " " + name + "\n"
	}
	for name, content := range map[string]string{"etc/passwd": jailPasswd, "etc/group": jailGroup, "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
		"etc/hosts": names, "etc/resolv.conf": "nameserver 127.0.0.1\n"} {
		j.write(name, content, 0o644)
	}
	for _, sub := range []string{"dev", "tmp", "var/run", "var/log"} {
		if err := os.MkdirAll(filepath.Join(j.dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	null := filepath.Join(j.dir, "dev/null")
	if err := syscall.Mknod(null, syscall.S_IFCHR|0o666, 1<<8|3); err != nil {
		Missing(t, "no device file can be made here: %v", err)
	}
	if err := os.Chmod(null, 0o666); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return j
}

// copy takes a file of the machine in. No links: what happens to files in here must not happen to the machine's.
func (j *jail) copy(from, to string) {
	j.t.Helper()
	in, err := os.Open(from)
	if err != nil {
		j.t.Fatal(err)
	}
	defer in.Close()
	to = filepath.Join(j.dir, to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		j.t.Fatal(err)
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		j.t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		j.t.Fatal(fmt.Errorf("copy %s: %w", from, err))
	}
	if err := out.Close(); err != nil {
		j.t.Fatal(err)
	}
}

func (j *jail) write(name, content string, mode os.FileMode) {
	j.t.Helper()
	write(j.t, filepath.Join(j.dir, name), content, mode)
}
