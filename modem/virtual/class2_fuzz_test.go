package virtual_test

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// pause is the octet of a fuzzed dialogue at which the DTE waits for the modem.
const pause = '~'

// FuzzClass2Commands lets a DTE say whatever it likes to a modem in Class 2, 2.0 or 2.1, with the product's driver at the far end, which
// answers or calls. The modem neither panics nor hangs, frames its answers, delivers each page that the far end has confirmed, and
// takes commands again afterwards.
func FuzzClass2Commands(f *testing.F) {
	const (
		page  = "\x00\x08\x80\x10\x10\x55\x12\x34\x00\x08\x80\x00\x08\x80\x00\x08\x80"
		dial2 = "AT+FLID=\"4711\";+FCR=1\r~AT+FDCC=1,5,0,2,3,2,0,0\r~ATDT5550101\r~"
		dial0 = "AT+FLI=\"4711\";+FCR=1;+FNR=1,1,1,1\r~AT+FCC=1,5,2,2,3,1,0,0\r~ATDT5550101\r~"
		ata   = "AT+FCR=1\r~~ATA\r~AT+FDR\r~"
	)
	for _, s := range []struct {
		class byte
		say   string
		calls bool // the far end calls
	}{
		{0, dial2 + "AT+FDIS=1,3,0,2,0,0,0,0\r~AT+FDT\r~" + page + "\x10\x03~AT+FET=0\r~AT+FDT\r~" + page + "\x10\x03~AT+FET=2\r~", false},
		{0, dial2 + "AT+FDT=3,1,0,2\r~" + strings.Repeat(page, 40) + "\x10\x03~AT+FET=1\r~AT+FDIS=0,1,0,0,0,0,0,0\r~AT+FDT\r~" + page + "\x10\x03~AT+FET=2\r~", false},
		{0, dial2 + "AT+FDT\r~" + page + "\x10\x03~AT+FK\r~", false},
		{0, dial2 + "AT+FDT\r~" + page + "\x18~\x10\x03~AT+FET=3\r~AT+FET=2\r~ATH\r", false},
		{0, "AT+FSPL=1;+FCIG=\"1\"\r~" + dial2 + "AT+FDR\r~\x11~AT+FPTS=1\r~AT+FDR\r~\x11~AT+FDR\r~", false},
		{0, ata + "\x11~AT+FPTS=2\r~AT+FDR\r~\x12\x11~AT+FDR\r~AT+FDR\r~", true},
		{0, ata + "\x11~\x18~AT+FK\r", true},
		{0, "AT+FLPL=1;+FCR=1\r~~ATA\r~AT+FDR\r~\x11~AT+FDR\r~AT+FDT\r~" + page + "\x10\x03~AT+FET=2\r~", true},
		{0, "AT+FAA=1;+FCR=1\r~~ATA\r~AT+FDCS?;+FDIS?;+FPTS?\r~AT+FCLASS=0\r", true},
		{1, dial0 + "AT+FIS=1,5,0,2,0,0,0,0\r~AT+FDT\r~" + page + "\x10,~AT+FPS?\r~AT+FDT\r~" + page + "\x10.~AT+FPS?\r~", false},
		{1, dial0 + "AT+FDT\r~" + page + "\x10\x1a\x10\x1b\x10!\x10;~AT+FIS?\r~AT+FDT\r~\x10\x10\x10.~AT+FKS\r~", false},
		{1, ata + "\x12~AT+FPS?\r~AT+FPS=2\r~AT+FDR\r~\x12~AT+FDR\r~AT+FHS?\r", true},
		{2, "AT+FAP=1,1,1;+FSA=\"77\";+FPW=\"1\"\r~" + dial0 + "AT+FDT\r~" + strings.Repeat(page, 9) + "\x10.~", false},
		{2, "AT+FAP=1,1,1;+FPA=\"77\";+FSP=1;+FPI=\"1\"\r~" + dial0 + "AT+FDR\r~\x12~AT+FDR\r~", false},
		{2, "AT+FLP=1;+FAA=0\r~" + ata + "\x12~AT+FDR\r~\x12~AT+FDR\r~AT+FDT\r~" + page + "\x10.~", true},
		{0, "AT+FDIS=,,,,9\r~AT+FSA=\"\r~AT+FDT\r~AT+FDR\r~AT+FET=2\r~AT+FK\r~AT+FCLASS=2.0\r~AT+FCC=?;+FIS=7F,5\r~", false},
	} {
		f.Add(s.class, s.calls, s.say)
	}
	f.Fuzz(func(t *testing.T, class byte, calls bool, say string) {
		if len(say) > 2000 || strings.Count(say, string(pause)) > 40 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			k := newFuzzed(t, []string{"2", "2.0", "2.1"}[class%3])
			k.far(calls)
			for i, piece := range strings.Split(say, string(pause)) {
				if i > 0 {
					k.wait()
				}
				k.send(piece)
			}
			time.Sleep(5 * time.Minute) // every state that waits for the DTE has ended
			k.end()
		})
	})
}

// fuzzed is a modem whose DTE says anything, and the far end.
type fuzzed struct {
	t      *testing.T
	ex     *virtual.Exchange
	vm     *virtual.Modem
	port   virtual.DTE
	driver *modem.Modem
	doc    *t30test.Document // of the far end

	mu    sync.Mutex
	out   []byte // what the modem said
	more  chan struct{}
	plain bool // answers have the form that they have after ATE0V1Q0
	gone  chan struct{}
	over  chan struct{} // the far end's call
}

func newFuzzed(t *testing.T, class string) *fuzzed {
	k := &fuzzed{t: t, plain: true, doc: t30test.NewDocument(1, 2, 60), more: make(chan struct{}, 1), gone: make(chan struct{}), over: make(chan struct{})}
	k.ex = virtual.NewExchange(virtual.Options{Trace: k.trace})
	all := virtual.ModemOptions{Classes: []string{"0", "1", "2", "2.0", "2.1"}, ECM: true}
	k.vm = k.ex.NewModem(callerNumber, all)
	k.driver = openDriver(t, k.ex.NewModem(calleeNumber, all), "1")
	k.port = k.open()
	go k.read()
	k.send("ATE0+FCLASS=" + class + "\r")
	k.wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.out, k.plain = nil, true
	return k
}

func (k *fuzzed) open() virtual.DTE {
	port, err := k.vm.Open()
	if err != nil {
		k.t.Fatal(err)
	}
	return port
}

// changesForm are commands after which answers look another way: E, Q, V, S3, S4, S5, Z, &F. What is between extended commands counts.
var (
	extended    = regexp.MustCompile(`[+#*$-][A-Za-z]+(=[^;]*|\?)?`)
	changesForm = regexp.MustCompile(`[EQVSZF/]`)
)

func (k *fuzzed) trace(e virtual.Event) {
	if e.Modem != callerNumber {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case e.Kind == virtual.EventCommand && changesForm.MatchString(strings.ToUpper(extended.ReplaceAllString(e.Text, ""))):
		k.plain = false
	case e.Kind == virtual.EventResult && strings.HasPrefix(e.Text, "CONNECT "): // a data call
		k.plain = false
	}
}

func (k *fuzzed) read() {
	defer close(k.gone)
	buf := make([]byte, 512)
	for {
		n, err := k.port.Read(buf)
		k.mu.Lock()
		k.out = append(k.out, buf[:n]...)
		k.mu.Unlock()
		select {
		case k.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (k *fuzzed) send(s string) {
	if s == "" {
		return
	}
	done := make(chan error, 1)
	go func() {
		_, err := k.port.Write([]byte(s))
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			k.t.Fatal(err)
		}
	case <-time.After(5 * time.Minute):
		k.t.Fatalf("the modem does not take %q", s)
	}
}

// final are the answers after which a DTE goes on.
var final = regexp.MustCompile("\r\n(OK|CONNECT|ERROR|NO CARRIER|RING|NO ANSWER|BUSY|\\+FPTS[^\r]*)\r\n|\x10\x03")

// wait waits until the modem has said something final since the last time, for a minute at most.
func (k *fuzzed) wait() {
	k.mu.Lock()
	from := len(k.out)
	k.mu.Unlock()
	for timeout := time.After(time.Minute); ; {
		k.mu.Lock()
		done := final.Match(k.out[from:])
		k.mu.Unlock()
		if done {
			time.Sleep(50 * time.Millisecond) // and XON
			return
		}
		select {
		case <-k.more:
		case <-timeout:
			return
		}
	}
}

// far starts the far end: it answers, sends and takes pages, and lets itself be polled or polls.
func (k *fuzzed) far(calls bool) {
	s := t30.Session{Me: t30.Station{ID: "1"}, Send: t30test.Docs(k.doc), Sink: &t30test.Sink{}}
	ctx := k.t.Context()
	go func() {
		defer close(k.over)
		if calls {
			s.Poll = &t30.Poll{}
			_, _ = k.driver.Call(ctx, callerNumber, s)
			return
		}
		if ring, err := k.driver.WaitCall(ctx); err == nil {
			_, _ = ring.Answer(ctx, t30.AnswerFax, s)
		}
	}()
}

// end looks at what was said, and whether the modem takes commands in a new session.
func (k *fuzzed) end() {
	t := k.t
	if err := k.port.SetDTR(false); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute) // the far end notices
	if err := k.port.Close(); err != nil {
		t.Fatal(err)
	}
	<-k.gone
	pages := 0
	if k.plain {
		var ok bool
		if pages, ok = unframe(k.out); !ok {
			t.Errorf("not framed: %q", k.out)
		}
		if n := len(k.doc.ConfirmedPages()); n > pages {
			t.Errorf("%d pages were confirmed, %d delivered: %q", n, pages, k.out)
		}
	}
	k.port, k.out, k.gone = k.open(), nil, make(chan struct{})
	go k.read()
	k.send("\rAT&F\r")
	time.Sleep(time.Second)
	k.send("ATE0V1Q0+FCLASS?\r")
	k.wait()
	if k.plain && !bytes.HasSuffix(k.out, []byte("\r\n0\r\n\r\nOK\r\n")) {
		t.Errorf("afterwards: %q", k.out)
	}
	_ = k.port.Close()
	<-k.gone
	_ = k.driver.Close()
	<-k.over
	_ = k.ex.Close()
}

// lines is what a modem says between two pages: lines of printable characters, each between CR LF, and XON behind CONNECT.
var lines = regexp.MustCompile("^(\r\n[ -~]+\r\n(\x11)?)*$")

// unframe holds what a modem said against the form that it has, and counts the pages that it delivered whole.
func unframe(out []byte) (pages int, ok bool) {
	for {
		talk, rest, found := bytes.Cut(out, []byte("\r\nCONNECT\r\n"))
		if !found || len(rest) == 0 {
			return pages, lines.Match(talk)
		}
		if !lines.Match(talk) {
			return pages, false
		}
		if rest[0] == 0x11 || bytes.HasPrefix(rest, []byte("\r\n")) {
			out = bytes.TrimPrefix(rest, []byte{0x11})
			continue
		}
		i := 0
		for ; i+1 < len(rest) && !(rest[i] == 0x10 && rest[i+1] == 0x03); i++ {
			if rest[i] == 0x10 {
				i++
			}
		}
		if i+1 >= len(rest) {
			return pages, true // cut off
		}
		pages++
		out = rest[i+2:]
	}
}
