//go:build peers

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The peer tests run the product's own binary against programs that nobody here wrote, in real time.

var tipringBin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "tipring-peers-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		tipringBin = filepath.Join(dir, "tipring")
		if out, err := exec.Command("go", "build", "-trimpath", "-o", tipringBin, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
		if err := warmPDF(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// pdfCache is the compiled PDF engine. Every box begins with a copy: compiling takes a core for seconds, and a dozen of
// them at once would starve the calls that run in real time.
var pdfCache string

func warmPDF(dir string) error {
	cmd := exec.Command(tipringBin, "convert", "-o", filepath.Join(dir, "warm.tif"), "../../testdata/pages/invoice.pdf")
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("convert: %w: %s", err, out)
	}
	pdfCache = filepath.Join(dir, "cache", "tipring")
	_, err := os.Stat(pdfCache)
	return err
}

// need skips the test when a peer is missing, or fails it when peers are required (CI).
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("TIPRING_PEERS") == "required" {
				t.Fatalf("peer missing: %s", p)
			}
			t.Skipf("peer missing: %s", p)
		}
	}
}

func repoFile(t *testing.T, name string) string {
	t.Helper()
	p, err := filepath.Abs(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const letter = "testdata/pages/letter3.tif"

// proc is a running program whose output is kept.
type proc struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	out  *lockedBuffer
	done chan struct{}
	err  error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a program until the test ends at the latest; its output is shown when the test fails.
func start(t *testing.T, name string, args ...string) *proc {
	t.Helper()
	p := &proc{t: t, name: filepath.Base(name), out: &lockedBuffer{}, done: make(chan struct{})}
	p.cmd = exec.Command(name, args...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.run()
	return p
}

func (p *proc) run() {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	p.t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
		if p.t.Failed() {
			p.t.Logf("%s said:\n%s", p.name, tail(p.out.String(), 4000))
		}
	})
}

// wait returns the exit status, or fails the test after d.
func (p *proc) wait(d time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(d):
		p.t.Fatalf("%s did not end within %v", p.name, d)
	}
	return p.cmd.ProcessState.ExitCode()
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}

// softline is a running softline with a modem on a pty.
type softline struct {
	*proc
	pty, log string
}

// startSoftline starts softline with our modem as station A and far as station B; "%d" stays for softline.
func startSoftline(t *testing.T, far string, options ...string) *softline {
	t.Helper()
	return startSoftlineAs(t, "", far, options...)
}

// startSoftlineAs is startSoftline with modem station options such as "nmbr=5550199".
func startSoftlineAs(t *testing.T, modemOptions, far string, options ...string) *softline {
	t.Helper()
	bin := repoFile(t, "testdata/softline/softline")
	need(t, bin)
	dir := t.TempDir()
	s := &softline{pty: filepath.Join(dir, "ttyS"), log: filepath.Join(dir, "softline.log")}
	station := "modem:" + s.pty
	if modemOptions != "" {
		station += "," + modemOptions
	}
	args := []string{"--log", s.log}
	if !strings.HasPrefix(far, "modem:") {
		// The line waits for a busy machine. Not with a foreign program on it: efax makes its pauses by the wall clock,
		// and they would vanish from the line.
		args = append(args, "--elastic", "400")
	}
	args = append(args, options...)
	s.proc = start(t, bin, append(args, station, far)...)
	for _, port := range modemPorts(station, far) {
		waitFor(t, 30*time.Second, "softline's port", func() bool { _, err := os.Lstat(port); return err == nil })
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("softline's log ends:\n%s", tail(s.readLog(), 6000))
		}
	})
	return s
}

// modemPorts are the ptys of those stations that are modems: "modem:PATH,options".
func modemPorts(stations ...string) []string {
	var ports []string
	for _, s := range stations {
		if rest, ok := strings.CutPrefix(s, "modem:"); ok {
			port, _, _ := strings.Cut(rest, ",")
			ports = append(ports, port)
		}
	}
	return ports
}

func (s *softline) readLog() string {
	b, _ := os.ReadFile(s.log)
	return string(b)
}

// readEvents returns all of the log.
func (s *softline) readEvents() []map[string]any {
	var list []map[string]any
	for sc := bufio.NewScanner(strings.NewReader(s.readLog())); sc.Scan(); {
		var e map[string]any
		if json.Unmarshal(sc.Bytes(), &e) == nil {
			list = append(list, e)
		}
	}
	return list
}

// events returns the log's events of one kind.
func (s *softline) events(kind string) []map[string]any {
	return slices.DeleteFunc(s.readEvents(), func(e map[string]any) bool { return e["ev"] != kind })
}

// eventsOf is events of one station.
func (s *softline) eventsOf(station, kind string) []map[string]any {
	return slices.DeleteFunc(s.events(kind), func(e map[string]any) bool { return e["st"] != station })
}

func waitFor(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("no %s within %v", what, d)
}

// tipring runs the binary until it ends.
func tipring(t *testing.T, limit time.Duration, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, tipringBin, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("tipring %s: %v", args[0], err)
	}
	if ctx.Err() != nil {
		t.Errorf("tipring %s did not end within %v", args[0], limit)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("tipring %s said:\n%s%s", args[0], tail(errs.String(), 6000), tail(out.String(), 2000))
		}
	})
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// callJSON runs send or receive with --json and returns the one object it prints.
func callJSON(t *testing.T, limit time.Duration, args ...string) (callResult, int) {
	t.Helper()
	out, _, status := tipring(t, limit, append(args, "--json")...)
	var r callResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("--json printed %q: %v", out, err)
	}
	return r, status
}

// pbm is one page as netpbm's packed bytes, decoded by libtiff: a decoder that is not ours.
type pbm struct {
	w, h int
	rows []byte
}

// libtiffPages decodes every page of a TIFF with libtiff's tools.
func libtiffPages(t *testing.T, file string) []pbm {
	t.Helper()
	need(t, "tiffsplit", "tifftopnm")
	dir := t.TempDir()
	if out, err := exec.Command("tiffsplit", file, filepath.Join(dir, "p")).CombinedOutput(); err != nil {
		t.Fatalf("tiffsplit %s: %v %s", file, err, out)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "p*"))
	var pages []pbm
	for _, n := range names {
		out, err := exec.Command("tifftopnm", n).Output()
		if err != nil {
			t.Fatalf("tifftopnm %s: %v", n, err)
		}
		pages = append(pages, parsePBM(t, out))
	}
	return pages
}

func parsePBM(t *testing.T, b []byte) pbm {
	t.Helper()
	f := bytes.Fields(b[:min(len(b), 64)])
	if len(f) < 3 || string(f[0]) != "P4" {
		t.Fatalf("no PBM: %q", b[:min(len(b), 16)])
	}
	w, _ := strconv.Atoi(string(f[1]))
	h, _ := strconv.Atoi(string(f[2]))
	size := (w + 7) / 8 * h
	return pbm{w, h, b[len(b)-size:]}
}

// samePages fails unless got has exactly the pages of want. above is how many foreign rows got may have on top of each page
// (the header band of a far end that puts one there): those rows are looked for, all of want's must follow.
func samePages(t *testing.T, want, got string, above int) {
	t.Helper()
	w, g := libtiffPages(t, want), libtiffPages(t, got)
	if len(w) != len(g) {
		t.Fatalf("%d pages, want %d", len(g), len(w))
	}
	for i := range w {
		if err := samePage(w[i], g[i], above); err != nil {
			t.Errorf("page %d: %v", i+1, err)
		}
	}
}

func samePage(w, g pbm, above int) error {
	if w.w != g.w {
		return fmt.Errorf("width %d, want %d", g.w, w.w)
	}
	extra := g.h - w.h
	if extra < 0 || extra > above {
		return fmt.Errorf("%d rows, want %d", g.h, w.h)
	}
	stride := (w.w + 7) / 8
	for off := 0; off <= extra; off++ {
		if bytes.Equal(g.rows[off*stride:off*stride+len(w.rows)], w.rows) {
			return nil
		}
	}
	bad := 0
	for y := 0; y < w.h; y++ {
		if !bytes.Equal(g.rows[(extra+y)*stride:(extra+y+1)*stride], w.rows[y*stride:(y+1)*stride]) {
			bad++
		}
	}
	return fmt.Errorf("%d of %d rows differ", bad, w.h)
}
