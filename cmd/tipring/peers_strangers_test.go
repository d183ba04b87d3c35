//go:build peers

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tipring/tipring/modem/virtual"
)

// strangerPatience is for one call of one page on a busy machine.
const strangerPatience = 4 * time.Minute

// stranger is fax software that nobody here wrote, on one of our virtual modems.
type stranger struct {
	name   string
	modems []strangersModem
	// receive makes it wait for a call on the line's second modem and returns what tells that it waits, and the pages it got.
	receive func(t *testing.T, l *lineProc, class string) (waits func() bool, pages func() ([]pbm, error))
	// send makes it send the page, a TIFF file, from the line's first modem to the second, and returns when it says that it did.
	send func(t *testing.T, l *lineProc, class, tif string) error
}

// strangersModem is a virtual modem in a service class.
type strangersModem struct{ class, personality string }

var strangers = []stranger{
	{"HylaFAX", []strangersModem{{"1", "generic"}, {"2", "rockwell"}, {"2.0", "usr"}, {"2.1", "multitech"}}, receiveHylafax, sendHylafax},
	{"mgetty", []strangersModem{{"2", "rockwell"}, {"2.0", "class2.0"}}, receiveMgetty, sendMgetty},
	{"efax", []strangersModem{{"1", "generic"}, {"2", "rockwell"}, {"2.0", "usr"}}, receiveEfax, sendEfax},
}

// TestLine_Strangers: our virtual modems of each class are good for software that never saw our driver, both ways; at the other end of
// the line our driver works a Class 1 modem.
func TestLine_Strangers(t *testing.T) {
	t.Parallel()
	need(t, "tiffsplit", "tifftopnm", "pbmtog3")
	for _, s := range strangers {
		for _, m := range s.modems {
			for way, call := range map[string]func(*testing.T, stranger, strangersModem) error{"receives": strangerReceives, "sends": strangerSends} {
				t.Run(s.name+"/class "+m.class+" "+m.personality+"/"+way, func(t *testing.T) {
					t.Parallel()
					inTime(t, func() error { return call(t, s, m) })
				})
			}
		}
	}
}

func strangerReceives(t *testing.T, s stranger, m strangersModem) error {
	page := shortPage(t)
	l := startLine(t, "--modem", "5550100:generic", "--modem", "5550101:"+m.personality)
	defer l.stop()
	waits, pages := s.receive(t, l, m.class)
	waitFor(t, strangerPatience, s.name+" that waits", waits)
	time.Sleep(time.Second)
	r, status := callJSON(t, strangerPatience, "send", "--modem", l.tty(0), "--to", "5550101", "--id", "5550100", "--header", "none", page)
	if status != exitOK || r.Outcome != "sent" || r.Pages != 1 {
		return fmt.Errorf("send: status %d, %+v", status, r)
	}
	got, err := pages()
	if err != nil {
		return err
	}
	if len(got) != 1 {
		return fmt.Errorf("%d pages", len(got))
	}
	return errors.Join(samePage(libtiffPages(t, page)[0], got[0], 0), l.oneCarrier("5550100"), l.usedClass("5550101", m.class))
}

func strangerSends(t *testing.T, s stranger, m strangersModem) error {
	page, out := shortPage(t), t.TempDir()
	l := startLine(t, "--modem", "5550100:"+m.personality, "--modem", "5550101:generic")
	defer l.stop()
	rx := start(t, tipringBin, "receive", "--modem", l.tty(1), "--out", out, "--id", "5550101", "--count", "1", "--json")
	waitFor(t, strangerPatience, "modem set-up", func() bool { return l.settled("5550101") })
	if err := s.send(t, l, m.class, page); err != nil {
		return err
	}
	if rc := rx.wait(strangerPatience); rc != exitOK {
		return fmt.Errorf("receive ended with %d: %s", rc, rx.out.String())
	}
	files, _ := filepath.Glob(filepath.Join(out, "*.tif"))
	if len(files) != 1 {
		return fmt.Errorf("files %v", files)
	}
	got := libtiffPages(t, files[0])
	if len(got) != 1 {
		return fmt.Errorf("%d pages", len(got))
	}
	return errors.Join(samePage(libtiffPages(t, page)[0], got[0], 40), l.oneCarrier("5550100"), l.usedClass("5550100", m.class)) // efax puts a header band on top
}

// oneCarrier: the page went over the line once, and its sender's modem never ran dry.
func (l *lineProc) oneCarrier(sender string) error {
	images := 0
	for _, e := range l.events(virtual.EventSignal, sender) {
		if e.Page > 0 {
			images++
		}
	}
	if n := len(l.events(virtual.EventUnder, sender)); images != 1 || n > 0 {
		return fmt.Errorf("%d carriers with a page, want 1; they ran dry %d times", images, n)
	}
	return nil
}

// usedClass: that service class was the last that the modem was put into for a fax.
func (l *lineProc) usedClass(modem, class string) error {
	last := ""
	for _, e := range l.events(virtual.EventCommand, modem) {
		if _, c, ok := strings.Cut(strings.ToUpper(e.Text), "+FCLASS="); ok && !strings.HasPrefix(c, "?") && !strings.HasPrefix(c, "0") {
			last = c
		}
	}
	if last != class {
		return fmt.Errorf("class %q was used, not %s", last, class)
	}
	return nil
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

// hylafaxModems are HylaFAX's settings by service class; those for a Rockwell and a Courier are from its own prototypes, rc144ac and usr-2.0.
var hylafaxModems = map[string][]string{
	"1": {"ModemType: Class1"}, "2.0": {"ModemType: Class2.0", "Class2ECMType: 2.0", "Class2NRCmd: AT+FNR=1,1,1,0", "Class2SendRTC: yes", "Class2APQueryCmd: none"},
	"2":   {"ModemType: Class2", "ModemRecvFillOrder: MSB2LSB", `Class2RecvDataTrigger: "\022"`},
	"2.1": {"ModemType: Class2.1"},
}

func receiveHylafax(t *testing.T, l *lineProc, class string) (waits func() bool, pages func() ([]pbm, error)) {
	h := startHylafax(t, l.tty(1), hylafaxModems[class]...)
	p := h.run("faxgetty", "-q", h.spool, h.port)
	waits = func() bool {
		b, _ := os.ReadFile(filepath.Join(h.spool, "status", h.id))
		return strings.Contains(string(b), "idle") && l.settled("5550101")
	}
	return waits, func() ([]pbm, error) {
		defer syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it would wait for the next call
		return libtiffPages(t, h.received(strangerPatience)), nil
	}
}

// sendHylafax sends MH in the classes in which the modem runs T.30: started without its scheduler, faxsend takes MMR there without error correction.
func sendHylafax(t *testing.T, l *lineProc, class, tif string) error {
	h := startHylafax(t, l.tty(0), hylafaxModems[class]...)
	job := []string{"number:5550101", "external:5550101"}
	if class != "1" {
		job = append(job, "desireddf:0", "desiredec:0", "desiredbr:5")
	}
	p := h.send(tif, 1, job...)
	return ended("faxsend", p, faxsendDone)
}

// ended waits for a program and makes an error of another status.
func ended(name string, p *proc, status int) error {
	if rc := p.wait(strangerPatience); rc != status {
		return fmt.Errorf("%s ended with %d", name, rc)
	}
	return nil
}

func receiveMgetty(t *testing.T, l *lineProc, class string) (waits func() bool, pages func() ([]pbm, error)) {
	m := newMgetty(t, l.tty(1))
	p := m.receive(class)
	return func() bool { return l.settled("5550101") }, func() ([]pbm, error) {
		p.wait(strangerPatience) // it ends after a call; its status tells nothing
		return m.received()
	}
}

func sendMgetty(t *testing.T, l *lineProc, class, tif string) error {
	return ended("sendfax", newMgetty(t, l.tty(0)).send(class, "5550101", g3Pages(t, tif)...), 0)
}

// efaxClass is efax's -o for a service class.
var efaxClass = map[string]string{"1": "-o1", "2": "-o2", "2.0": "-o0"}

func receiveEfax(t *testing.T, l *lineProc, class string) (waits func() bool, pages func() ([]pbm, error)) {
	cmd := exec.Command("efax", "-d", l.tty(1), efaxClass[class], "-vewin", "-c", efaxCaps("v17"), "-l", "5550101", "-r", "got", "-iS0=1", "-w")
	cmd.Dir = t.TempDir()
	p := &proc{t: t, name: "efax", cmd: cmd, out: &lockedBuffer{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	p.run()
	return func() bool { return l.settled("5550101") }, func() ([]pbm, error) {
		if err := ended("efax", p, 0); err != nil {
			return nil, err
		}
		return libtiffPages(t, filepath.Join(cmd.Dir, "got.001")), nil
	}
}

func sendEfax(t *testing.T, l *lineProc, class, tif string) error {
	args := []string{"-d", l.tty(0), efaxClass[class], "-vewin", "-c", efaxCaps("v17"), "-h", "", "-l", "5550100", "-t", "T5550101"}
	return ended("efax", start(t, "efax", append(args, g3Pages(t, tif)...)...), 0)
}
