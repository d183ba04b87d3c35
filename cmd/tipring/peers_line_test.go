//go:build peers

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tipring/tipring/modem/virtual"
)

// lineProc is a running `tipring line`.
type lineProc struct {
	*proc
	dir, log string
}

// startLine starts `tipring line` with two modems and waits for its ports.
func startLine(t *testing.T, options ...string) *lineProc {
	t.Helper()
	dir := t.TempDir()
	l := &lineProc{dir: dir, log: filepath.Join(dir, "log")}
	l.proc = start(t, tipringBin, append([]string{"line", "--dir", dir, "--json", "--log", l.log}, options...)...)
	waitFor(t, 10*time.Second, "second port", func() bool { _, err := os.Stat(l.tty(1)); return err == nil })
	t.Cleanup(func() {
		if log, err := os.ReadFile(l.log); err == nil && t.Failed() {
			t.Logf("the exchange's log ends:\n%s", tail(string(log), 6000))
		}
	})
	return l
}

func (l *lineProc) tty(n int) string { return filepath.Join(l.dir, "ttyF"+strconv.Itoa(n)) }

// events returns the log's events of one kind about one modem.
func (l *lineProc) events(kind virtual.EventKind, modem string) (list []virtual.Event) {
	b, err := os.ReadFile(l.log)
	if err != nil {
		l.t.Fatal(err)
	}
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		var e virtual.Event
		if json.Unmarshal(sc.Bytes(), &e) == nil && e.Kind == kind && e.Modem == modem {
			list = append(list, e)
		}
	}
	return list
}

// stop ends it as an operator does, after which nothing may be left of it.
func (l *lineProc) stop() {
	l.t.Helper()
	if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		l.t.Fatal(err)
	}
	if rc := l.wait(10 * time.Second); rc != exitOK {
		l.t.Errorf("tipring line ended with %d", rc)
	}
	if left, _ := filepath.Glob(filepath.Join(l.dir, "ttyF*")); len(left) > 0 {
		l.t.Errorf("left behind: %v", left)
	}
}

// TestLine_EfaxToEfax: two programs that nobody here wrote, over our modems, in real time.
func TestLine_EfaxToEfax(t *testing.T) {
	need(t, "efax", "pbmtog3", "tiffsplit", "tifftopnm")
	t.Parallel()
	l := startLine(t)
	page := g3Pages(t, repoFile(t, letter))[2]
	cmd := exec.Command("efax", "-d", l.tty(1), "-vewin", "-c", efaxCaps("v17"), "-l", "5550101", "-r", "got", "-iS0=1", "-w")
	cmd.Dir = t.TempDir()
	rx := &proc{t: t, name: "receiving efax", cmd: cmd, out: &lockedBuffer{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = rx.out, rx.out
	rx.run()
	waitFor(t, 15*time.Second, "efax that waits", func() bool {
		at := l.events(virtual.EventCommand, "5550101")
		return len(at) > 0 && strings.Contains(at[len(at)-1].Text, "S0=1")
	})
	time.Sleep(time.Second)
	tx := start(t, "efax", "-d", l.tty(0), "-vewin", "-c", efaxCaps("v17"), "-h", "", "-l", "5550100", "-t", "T5550101", page)
	if rc := tx.wait(3 * time.Minute); rc != 0 {
		t.Errorf("sending efax ended with %d", rc)
	}
	if rc := rx.wait(30 * time.Second); rc != 0 {
		t.Errorf("receiving efax ended with %d", rc)
	}
	l.stop()
	if t.Failed() {
		return
	}
	want, got := libtiffPages(t, repoFile(t, letter))[2], libtiffPages(t, filepath.Join(cmd.Dir, "got.001"))
	if len(got) != 1 {
		t.Fatalf("%d pages", len(got))
	}
	if err := samePage(want, got[0], 40); err != nil { // efax puts a header band on top
		t.Error(err)
	}
	var images []virtual.Event
	for _, e := range l.events(virtual.EventSignal, "5550100") {
		if e.Page > 0 {
			images = append(images, e)
		}
	}
	if len(images) != 1 || !strings.HasPrefix(images[0].Text, "v17/14400") {
		t.Errorf("carriers with a page: %+v", images)
	}
}
