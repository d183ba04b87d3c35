package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tipring/tipring/modem/virtual"
)

func TestLine_Usage(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--modems 0", "--modems must be 1 to 64"},
		{"--modems 65", "--modems must be 1 to 64"},
		{"--speed 0", "--speed must be"},
		{"--speed 101", "--speed must be"},
		{"--speed NaN", "--speed must be"},
		{"--ber 0.6", "--ber must be"},
		{"--ber NaN", "--ber must be"},
		{"--delay 2s", "--delay must be"},
		{"--delay -1ms", "--delay must be"},
		{"--train-rate -1", "cannot be negative"},
		{"--drop-page -1", "cannot be negative"},
		{"--modem 5550199", "NUMBER:PERSONALITY"},
		{"--modem x:rockwell", "NUMBER:PERSONALITY"},
		{"--modem 5550199:amstrad", "no such personality"},
		{"--modem 5550199:rockwell --modem 5550199:usr", "two modems on 5550199"},
		{"--script 5550199", "NUMBER=OUTCOME"},
		{"--script x=busy", "NUMBER=OUTCOME"},
		{"--script 5550199=engaged", "engaged"},
		{"--script 5550199=ok,", "no such outcome"},
		{"--nonsense", "nonsense"},
		{"ttyF0", "no arguments"},
	} {
		var errs bytes.Buffer
		status := lineMain(t.Context(), strings.Fields(c.args), streams{err: &errs, out: &errs})
		if status != exitUsage || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%s: status %d, %q", c.args, status, errs.String())
		}
	}
}

// runningLine is lineMain in a goroutine.
type runningLine struct {
	t      *testing.T
	dir    string
	log    string
	cancel context.CancelFunc
	status chan int
	mu     sync.Mutex
	out    bytes.Buffer
	errs   bytes.Buffer // read after the end
	more   chan struct{}
}

// Write takes standard output.
func (l *runningLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.out.Write(p)
	select {
	case l.more <- struct{}{}:
	default:
	}
	return n, err
}

// runTestLine starts two modems and waits until both are told.
func runTestLine(t *testing.T, args ...string) *runningLine {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &runningLine{t: t, dir: t.TempDir(), cancel: cancel, status: make(chan int, 1), more: make(chan struct{}, 1)}
	l.log = filepath.Join(l.dir, "log")
	args = append([]string{"--dir", l.dir, "--json", "--log", l.log}, args...)
	go func() { l.status <- lineMain(ctx, args, streams{out: l, err: &l.errs}) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-l.status:
		case <-time.After(10 * time.Second):
			t.Error("tipring line does not end")
		}
	})
	for range 2 {
		for l.lines() < 2 {
			select {
			case <-l.more:
			case s := <-l.status:
				l.status <- s
				t.Fatalf("ended with %d: %s", s, l.errs.String())
			}
		}
	}
	return l
}

func (l *runningLine) lines() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.out.String(), "\n")
}

// stop ends it and returns the events of its log.
func (l *runningLine) stop() (events []virtual.Event) {
	l.t.Helper()
	l.cancel()
	status := <-l.status
	l.status <- status
	if status != exitOK {
		l.t.Errorf("status %d: %s", status, l.errs.String())
	}
	b, err := os.ReadFile(l.log)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, s := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		var e virtual.Event
		if err := json.Unmarshal([]byte(s), &e); err != nil {
			l.t.Fatalf("log line %q: %v", s, err)
		}
		events = append(events, e)
	}
	return events
}

// serialPort is the slave side of a pty, as other people's software opens it.
type serialPort struct {
	*os.File
	t   *testing.T
	got []byte
}

func openSerial(t *testing.T, name string) *serialPort {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &serialPort{File: f, t: t}
}

func (p *serialPort) say(s string) {
	p.t.Helper()
	if _, err := p.WriteString(s); err != nil {
		p.t.Fatal(err)
	}
}

// hear reads until want and returns what came before it.
func (p *serialPort) hear(want string) string {
	p.t.Helper()
	if err := p.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	b := make([]byte, 1024)
	for {
		if before, after, ok := bytes.Cut(p.got, []byte(want)); ok {
			p.got = append([]byte(nil), after...)
			return string(before)
		}
		n, err := p.Read(b)
		if err != nil {
			p.t.Fatalf("waiting for %q: %v; got %q", want, err, p.got)
		}
		p.got = append(p.got, b[:n]...)
	}
}

func (p *serialPort) cmd(line, want string) string {
	p.t.Helper()
	p.say(line + "\r")
	return p.hear("\r\n" + want + "\r\n")
}

func TestLine_PortsScriptsAndLog(t *testing.T) {
	l := runTestLine(t, "--speed", "20", "--script", "5550199=busy,nodialtone", "--script", "5550198=noanswer")
	for i, want := range []string{"5550100", "5550101"} {
		var m struct{ Number, Device string }
		if err := json.Unmarshal([]byte(strings.Split(l.out.String(), "\n")[i]), &m); err != nil || m.Number != want {
			t.Errorf("line %d: %q %v", i, l.out.String(), err)
		}
		if to, err := os.Readlink(m.Device); err != nil || !strings.HasPrefix(to, "/dev/pts/") || filepath.Dir(m.Device) != l.dir {
			t.Errorf("device %s is %q, %v", m.Device, to, err)
		}
	}
	a := openSerial(t, filepath.Join(l.dir, "ttyF0"))
	a.cmd("ATE0", "OK")
	a.cmd("AT+FCLASS=1", "OK")
	a.cmd("ATDT5550199", "BUSY")
	a.cmd("ATDT5550199", "NO DIALTONE")
	a.cmd("ATS7=20DT5550198", "NO ANSWER")
	a.Close()
	time.Sleep(10 * ptyPoll)
	b := openSerial(t, filepath.Join(l.dir, "ttyF0")) // can be opened again
	b.cmd("AT", "OK")
	events := l.stop()
	left, _ := filepath.Glob(filepath.Join(l.dir, "tty*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	var seen []string
	for _, e := range events {
		if e.Modem != "5550100" || e.At.IsZero() {
			t.Errorf("event %+v", e)
		}
		switch e.Kind {
		case virtual.EventOpen, virtual.EventClose, virtual.EventDial, virtual.EventOutcome:
			seen = append(seen, strings.TrimSpace(string(e.Kind)+" "+e.Text))
		}
	}
	want := "open, dial 5550199, outcome busy, outcome nodialtone, dial 5550198, outcome noanswer, close, open, close"
	if got := strings.Join(seen, ", "); got != want {
		t.Errorf("log tells %s\nwant %s", got, want)
	}
}

func TestLine_Personality(t *testing.T) {
	l := runTestLine(t, "--modem", "5550177:rockwell", "--modem", "5550178:usr")
	for i, want := range []struct{ number, class, ask, maker string }{
		{"5550177", "2", "AT+FMFR?", "ROCKWELL"}, {"5550178", "2.0", "AT+FMI?", "U.S. Robotics, Inc."},
	} {
		if line := strings.Split(l.out.String(), "\n")[i]; !strings.Contains(line, want.number) {
			t.Errorf("line %d: %q", i, line)
		}
		p := openSerial(t, filepath.Join(l.dir, "ttyF"+strconv.Itoa(i)))
		p.cmd("ATE0", "OK")
		p.cmd("AT+FCLASS="+want.class, "OK")
		if got := strings.TrimSpace(p.cmd(want.ask, "OK")); got != want.maker {
			t.Errorf("%s is made by %q", want.number, got)
		}
	}
	l.stop()
}

// connect lets the first modem call the second until V.21 is heard.
func connect(t *testing.T, a, b *serialPort) {
	t.Helper()
	for _, p := range []*serialPort{a, b} {
		p.cmd("ATE0", "OK")
		p.cmd("AT+FCLASS=1", "OK")
	}
	a.say("ATDT5550101\r")
	b.hear("\r\nRING\r\n")
	b.cmd("ATA", "CONNECT")
	b.say("\xff\x13\x80\x00\x46\x00\x10\x03")
	b.hear("\r\nOK\r\n")
	a.hear("\r\nCONNECT\r\n")
	a.hear("\x10\x03\r\nOK\r\n")
}

func TestLine_ClosedPortHangsUp(t *testing.T) {
	hangups := []struct {
		name string
		do   func(t *testing.T, p *serialPort)
	}{
		{"port closed", func(t *testing.T, p *serialPort) { p.Close() }},
		{"speed 0", func(t *testing.T, p *serialPort) {
			raw, err := p.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			err = raw.Control(func(fd uintptr) {
				tio, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
				if err == nil {
					tio.Cflag = tio.Cflag&^uint32(unix.CBAUD) | unix.B0
					err = unix.IoctlSetTermios(int(fd), unix.TCSETS, tio)
				}
				if err != nil {
					t.Error(err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, c := range hangups {
		t.Run(c.name, func(t *testing.T) {
			l := runTestLine(t, "--speed", "10")
			a, b := openSerial(t, filepath.Join(l.dir, "ttyF0")), openSerial(t, filepath.Join(l.dir, "ttyF1"))
			connect(t, a, b)
			b.say("AT+FRH=3\r")
			c.do(t, a)
			b.hear("\r\nNO CARRIER\r\n")
			hungUp := false
			for _, e := range l.stop() {
				hungUp = hungUp || e.Kind == virtual.EventHangup && e.Modem == "5550100"
			}
			if !hungUp {
				t.Error("the log tells of no hang-up")
			}
		})
	}
}

func TestLine_LinksInTheWay(t *testing.T) {
	dir := t.TempDir()
	stale, file := filepath.Join(dir, "ttyF0"), filepath.Join(dir, "ttyF1")
	if err := os.Symlink("/nowhere", stale); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if status := lineMain(t.Context(), []string{"--dir", dir}, streams{out: &out, err: &errs}); status != exitLocal {
		t.Errorf("status %d", status)
	}
	if !strings.HasPrefix(out.String(), "5550100 "+stale) {
		t.Errorf("a stale link was not replaced: %q", out.String())
	}
	if !strings.Contains(errs.String(), "ttyF1") {
		t.Errorf("the error does not name the file: %q", errs.String())
	}
	if _, err := os.Lstat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link is left behind: %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("somebody's file is now %q, %v", b, err)
	}
}
