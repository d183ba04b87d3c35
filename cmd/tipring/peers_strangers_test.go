//go:build peers

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/modem/virtual"
)

// strangerPatience is for one call of one page on a busy machine.
const strangerPatience = 4 * time.Minute

// stranger is fax software that nobody here wrote, on one of our virtual modems.
type stranger struct {
	name    string
	classes []string
	// receive makes it wait for a call on the line's second modem and returns what tells that it waits, and the pages it got.
	receive func(t *testing.T, l *lineProc, class string) (waits func() bool, pages func() []pbm)
	// send makes it send the page, a TIFF file, from the line's first modem to the second, and returns when it says that it did.
	send func(t *testing.T, l *lineProc, class, tif string)
}

var strangers = []stranger{
	{"HylaFAX", []string{"1", "2", "2.0"}, receiveHylafax, sendHylafax},
	{"mgetty", []string{"2", "2.0"}, receiveMgetty, sendMgetty},
	{"efax", []string{"1", "2", "2.0"}, receiveEfax, sendEfax},
}

// TestLine_Strangers: our virtual modems of each class are good for software that never saw our driver, both ways; at the other end of
// the line our driver works a Class 1 modem.
func TestLine_Strangers(t *testing.T) {
	t.Parallel()
	need(t, "tiffsplit", "tifftopnm", "pbmtog3")
	for _, s := range strangers {
		for _, class := range s.classes {
			t.Run(s.name+"/class "+class+"/receives", func(t *testing.T) {
				t.Parallel()
				strangerReceives(t, s, class)
			})
			t.Run(s.name+"/class "+class+"/sends", func(t *testing.T) {
				t.Parallel()
				strangerSends(t, s, class)
			})
		}
	}
}

func strangerReceives(t *testing.T, s stranger, class string) {
	page := shortPage(t)
	l := startLine(t)
	waits, pages := s.receive(t, l, class)
	waitFor(t, strangerPatience, s.name+" that waits", waits)
	time.Sleep(time.Second)
	r, status := callJSON(t, strangerPatience, "send", "--modem", l.tty(0), "--to", "5550101", "--id", "5550100", "--header", "none", page)
	if status != exitOK || r.Outcome != "sent" || r.Pages != 1 {
		t.Errorf("status %d, %+v", status, r)
	}
	got := pages()
	if len(got) != 1 {
		t.Fatalf("%d pages", len(got))
	}
	if err := samePage(libtiffPages(t, page)[0], got[0], 0); err != nil {
		t.Error(err)
	}
	l.checkOneCarrier("5550100")
}

func strangerSends(t *testing.T, s stranger, class string) {
	page, out := shortPage(t), t.TempDir()
	l := startLine(t)
	rx := start(t, tipringBin, "receive", "--modem", l.tty(1), "--out", out, "--id", "5550101", "--count", "1", "--json")
	waitFor(t, strangerPatience, "modem set-up", func() bool { return l.settled("5550101") })
	s.send(t, l, class, page)
	if rc := rx.wait(strangerPatience); rc != exitOK {
		t.Errorf("receive ended with %d", rc)
	}
	files, _ := filepath.Glob(filepath.Join(out, "*.tif"))
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	samePages(t, page, files[0], 40) // efax puts a header band on top
	l.checkOneCarrier("5550100")
}

// checkOneCarrier: the page went over the line once, and its sender's modem never ran dry.
func (l *lineProc) checkOneCarrier(sender string) {
	l.t.Helper()
	images := 0
	for _, e := range l.events(virtual.EventSignal, sender) {
		if e.Page > 0 {
			images++
		}
	}
	if images != 1 {
		l.t.Errorf("%d carriers with a page, want 1", images)
	}
	if n := len(l.events(virtual.EventUnder, sender)); n > 0 {
		l.t.Errorf("the page ran dry %d times", n)
	}
}

// settled tells whether a modem has been set up: commands came, and for two seconds none more.
func (l *lineProc) settled(modem string) bool {
	at := l.events(virtual.EventCommand, modem)
	return len(at) > 3 && time.Since(at[len(at)-1].At) > 2*time.Second
}

// shortPage is the letter's last page as a file of its own.
func shortPage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("tiffsplit", repoFile(t, letter), filepath.Join(dir, "p")).CombinedOutput(); err != nil {
		t.Fatalf("tiffsplit: %v %s", err, out)
	}
	return filepath.Join(dir, "paac.tif")
}

// hylafaxClasses are HylaFAX's names of the service classes (ModemType).
var hylafaxClasses = map[string]string{"1": "Class1", "2": "Class2", "2.0": "Class2.0"}

func receiveHylafax(t *testing.T, l *lineProc, class string) (waits func() bool, pages func() []pbm) {
	h := startHylafax(t, l.tty(1), "ModemType: "+hylafaxClasses[class])
	h.run("faxgetty", "-q", h.spool, h.port)
	waits = func() bool {
		b, _ := os.ReadFile(filepath.Join(h.spool, "status", h.id))
		return strings.Contains(string(b), "idle") && l.settled("5550101")
	}
	return waits, func() []pbm { return libtiffPages(t, h.received(strangerPatience)) }
}

func sendHylafax(t *testing.T, l *lineProc, class, tif string) {
	h := startHylafax(t, l.tty(0), "ModemType: "+hylafaxClasses[class])
	if rc := h.send(tif, 1, "number:5550101", "external:5550101").wait(strangerPatience); rc != faxsendDone {
		t.Errorf("faxsend ended with %d", rc)
	}
}

func receiveMgetty(t *testing.T, l *lineProc, class string) (waits func() bool, pages func() []pbm) {
	m := newMgetty(t, l.tty(1))
	p := m.receive(class)
	return func() bool { return l.settled("5550101") }, func() []pbm {
		got := m.received(1, strangerPatience)
		p.wait(strangerPatience)
		return got
	}
}

func sendMgetty(t *testing.T, l *lineProc, class, tif string) {
	if rc := newMgetty(t, l.tty(0)).send(class, "5550101", g3Pages(t, tif)...).wait(strangerPatience); rc != 0 {
		t.Errorf("sendfax ended with %d", rc)
	}
}

// efaxClass is efax's -o for a service class.
var efaxClass = map[string]string{"1": "-o1", "2": "-o2", "2.0": "-o0"}

func receiveEfax(t *testing.T, l *lineProc, class string) (waits func() bool, pages func() []pbm) {
	cmd := exec.Command("efax", "-d", l.tty(1), efaxClass[class], "-vewin", "-c", efaxCaps("v17"), "-l", "5550101", "-r", "got", "-iS0=1", "-w")
	cmd.Dir = t.TempDir()
	p := &proc{t: t, name: "efax", cmd: cmd, out: &lockedBuffer{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	p.run()
	return func() bool { return l.settled("5550101") }, func() []pbm {
		if rc := p.wait(strangerPatience); rc != 0 {
			t.Errorf("efax ended with %d", rc)
		}
		return libtiffPages(t, filepath.Join(cmd.Dir, "got.001"))
	}
}

func sendEfax(t *testing.T, l *lineProc, class, tif string) {
	args := []string{"-d", l.tty(0), efaxClass[class], "-vewin", "-c", efaxCaps("v17"), "-h", "", "-l", "5550100", "-t", "T5550101"}
	if rc := start(t, "efax", append(args, g3Pages(t, tif)...)...).wait(strangerPatience); rc != 0 {
		t.Errorf("efax ended with %d", rc)
	}
}
