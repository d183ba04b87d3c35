//go:build peers

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// faxsendDone is the exit status of a faxsend whose job is done: HylaFAX counts retry 0, failed 1, done 2.
const faxsendDone = 2

// faxsend is the program itself: Debian's faxsend on the PATH may be a script that mounts /etc/hylafax over the system's spool.
func faxsend(t *testing.T) string {
	t.Helper()
	const behind = "/usr/lib/hylafax/bin/faxsend"
	if _, err := os.Stat(behind); err == nil {
		return behind
	}
	need(t, "faxsend")
	return "faxsend"
}

// hylafax is HylaFAX's own sender and receiver on one port, with a spool of their own and no daemon: faxsend is given a
// job file, faxgetty answers. It wants root, because both open the port as root and work as uucp.
type hylafax struct {
	t               *testing.T
	spool, port, id string   // folder; device; HylaFAX's name for the device
	settings        []string // lines of the port's configuration
}

// startHylafax makes the spool for the modem at pty, a name that softline gave; settings are lines of HylaFAX's configuration.
func startHylafax(t *testing.T, pty string, settings ...string) *hylafax {
	t.Helper()
	need(t, "faxgetty")
	uid, gid := faxUser(t)
	port, err := os.Readlink(pty) // HylaFAX names ports by their place in /dev
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "tipring-hylafax-") // not t.TempDir: uucp has to get in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := &hylafax{t: t, spool: dir, port: port, id: strings.ReplaceAll(strings.TrimPrefix(port, "/dev/"), "/", "_"), settings: settings}
	for _, d := range strings.Fields("archive bin client config dev docq doneq etc info lock log pollq recvq sendq status tmp") {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.copyIn("/etc/hylafax/dialrules", "etc/dialrules")
	for _, script := range []string{"faxrcvd", "wedged", "notify"} { // they would mail
		h.write("bin/"+script, "#!/bin/sh\nexit 0\n")
	}
	h.write("etc/config", h.config())
	h.write("etc/config."+h.id, h.config()+h.modemConfig())
	err = filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(p, uid, gid)
	})
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.show)
	return h
}

// faxUser is who HylaFAX is on Debian; the test is skipped, or fails where peers are required, when it cannot become that.
func faxUser(t *testing.T) (uid, gid int) {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatal("HylaFAX needs root")
		}
		t.Skip("HylaFAX needs root")
	}
	u, err := user.Lookup("uucp")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid
}

func (h *hylafax) config() string {
	return "CountryCode: 1\nAreaCode: 555\nLongDistancePrefix: 1\nInternationalPrefix: 011\nDialStringRules: etc/dialrules\n" +
		"UUCPLockDir: " + filepath.Join(h.spool, "lock") + "\n"
}

// modemConfig is HylaFAX's own Class 1 defaults; only the rests after a reset, which are not on the line, are short.
func (h *hylafax) modemConfig() string {
	return strings.Join(append([]string{
		"FAXNumber: 5550333", "LocalIdentifier: 5550333", "ServerTracing: 0x1", "SessionTracing: 0xFFF", "RingsBeforeAnswer: 1",
		"ModemType: Class1", "ModemRate: 19200", "ModemFlowControl: none", `ModemResetCmds: ""`, "ModemDialCmd: ATDT%s",
		"ModemResetDelay: 200", "ModemSoftResetCmdDelay: 200", "PageChop: none", `TagLineFormat: ""`,
	}, h.settings...), "\n") + "\n"
}

func (h *hylafax) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.spool, name), []byte(text), 0o755); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hylafax) copyIn(from, name string) {
	h.t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write(name, string(b))
}

// run starts one of HylaFAX's programs in the spool. A shell stands between: a program that changes its user no longer
// dies with its parent.
func (h *hylafax) run(program string, args ...string) *proc {
	h.t.Helper()
	const guard = `"$@" & p=$!; trap 'kill -9 $p' TERM; wait $p`
	cmd := exec.Command("sh", append([]string{"-c", guard, "sh", program}, args...)...)
	cmd.Dir = h.spool
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	p := &proc{t: h.t, name: filepath.Base(program), cmd: cmd, out: &lockedBuffer{}, done: make(chan struct{})}
	p.run()
	h.t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	return p
}

// send starts one call with a Group 3 or 4 TIFF; the status faxsendDone is its good end. job are further lines of the job file.
func (h *hylafax) send(tif string, pages int, job ...string) *proc {
	h.t.Helper()
	uid, gid := faxUser(h.t)
	h.copyIn(tif, "docq/doc.tif")
	h.write("sendq/q1", strings.Join(append([]string{
		"jobid:1", "groupid:1", "tts:0", "killtime:2000000000", "state:6", "jobtype:facsimile", "client:localhost", "owner:uucp",
		"mailaddr:nobody", "sender:test", "notify:none", "number:5550100", "external:5550100", "modem:" + h.id, "faxnumber:5550333",
		"npages:0", fmt.Sprint("totpages:", pages), "ntries:0", "ndials:0", "totdials:0", "tottries:0", "maxdials:1", "maxtries:1",
		"pagewidth:216", "pagelength:297", "resolution:196", "usexvres:1", "useccover:0", "pagechop:none", "desiredtl:1", "tagline:",
		"priority:127", "schedpri:127", "desiredst:0",
		// One group of three a page, as its scheduler writes them: nothing special, then another page (S) or the end (P).
		"pagehandling:" + strings.Repeat("00S", pages-1) + "00P",
	}, append(job, "fax:0::docq/doc.tif")...), "\n")+"\n")
	for _, f := range []string{"docq/doc.tif", "sendq/q1"} {
		if err := os.Chown(filepath.Join(h.spool, f), uid, gid); err != nil {
			h.t.Fatal(err)
		}
	}
	return h.run(faxsend(h.t), "-m", h.id, "sendq/q1")
}

// receive starts a faxgetty, and returns when it has set up its modem.
func (h *hylafax) receive(line *softline, station string) *proc {
	h.t.Helper()
	p := h.run("faxgetty", "-q", h.spool, h.port)
	waitFor(h.t, 30*time.Second, "faxgetty that waits", func() bool {
		b, _ := os.ReadFile(filepath.Join(h.spool, "status", h.id))
		return strings.Contains(string(b), "idle") && len(line.eventsOf(station, "at")) > 10
	})
	time.Sleep(300 * time.Millisecond)
	return p
}

// received waits for the one fax in the queue of received ones to be whole, and returns it.
func (h *hylafax) received(d time.Duration) string {
	h.t.Helper()
	var files []string
	waitFor(h.t, d, "fax in HylaFAX's queue", func() bool {
		files, _ = filepath.Glob(filepath.Join(h.spool, "recvq", "fax*.tif"))
		log, _ := filepath.Glob(filepath.Join(h.spool, "log", "xferfaxlog"))
		return len(files) == 1 && len(log) == 1
	})
	return files[0]
}

// show prints HylaFAX's session logs when the test failed.
func (h *hylafax) show() {
	if !h.t.Failed() {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(h.spool, "log", "c*"))
	for _, name := range logs {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		b, _ := io.ReadAll(f)
		f.Close()
		h.t.Logf("HylaFAX's %s ends:\n%s", filepath.Base(name), tail(string(b), 5000))
	}
}

// startWithHylafax is a line between our modem and HylaFAX's.
func startWithHylafax(t *testing.T, options ...string) (*softline, *hylafax) {
	t.Helper()
	pty := filepath.Join(t.TempDir(), "ttyHyla")
	line := startSoftline(t, "modem:"+pty, options...)
	return line, startHylafax(t, pty)
}

func TestSend_ToHylafax(t *testing.T) {
	t.Parallel()
	line, hyla := startWithHylafax(t)
	hyla.receive(line, "B")
	r, status := callJSON(t, 6*time.Minute, "send", "--modem", line.pty, "--to", "5550333", "--header", "none", "--id", "5550199", repoFile(t, letter))
	if status != exitOK {
		t.Errorf("status %d", status)
	}
	checkCall(t, r, "sent", "v17", 14400, true, "mmr")
	if strings.TrimSpace(r.RemoteID) != "5550333" {
		t.Errorf("remote id %q", r.RemoteID)
	}
	samePages(t, repoFile(t, letter), hyla.received(20*time.Second), 0)
}

func TestReceive_FromHylafax(t *testing.T) {
	t.Parallel()
	line, hyla := startWithHylafax(t)
	out := t.TempDir()
	rx := start(t, tipringBin, "receive", "--modem", line.pty, "--out", out, "--id", "5550100", "--count", "1", "--json")
	waitFor(t, 15*time.Second, "modem set-up", func() bool { return len(line.eventsOf("A", "rsp")) > 6 })
	time.Sleep(time.Second)
	if rc := hyla.send(repoFile(t, letter), 3).wait(5 * time.Minute); rc != faxsendDone {
		t.Errorf("faxsend ended with %d", rc)
	}
	if rc := rx.wait(20 * time.Second); rc != exitOK {
		t.Errorf("receive ended with %d", rc)
	}
	files, _ := filepath.Glob(filepath.Join(out, "*.tif"))
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	samePages(t, repoFile(t, letter), files[0], 0)
}
