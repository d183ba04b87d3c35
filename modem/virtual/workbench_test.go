package virtual_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// bench is an exchange with a modem that has a habit, at callerNumber, and another one.
type bench struct {
	t              *testing.T
	s              switchOff
	ex             *virtual.Exchange
	vm             *virtual.Modem // with the habit
	strange, other *modem.Modem
	log            []string
}

func (s switchOff) newBench(t *testing.T, name string, off bool) (*bench, error) {
	t.Helper()
	o, err := virtual.Personality(name)
	if err != nil {
		t.Fatal(err)
	}
	if s.change != nil {
		s.change(&o)
	}
	b := &bench{t: t, s: s, ex: virtual.NewExchange(virtual.Options{Delay: 20 * time.Millisecond, Faults: s.faults})}
	in := s.in
	if in == "" {
		in = "1"
	}
	b.vm = b.ex.NewModem(callerNumber, o)
	if b.other, err = open(t, b.ex.NewModem(calleeNumber, s.far), modem.Options{Class: in}); err != nil {
		t.Fatal(err)
	}
	if b.strange, err = open(t, b.vm, s.options(name, off)); err != nil {
		b.close()
		return nil, err
	}
	if class := b.strange.Identity().Class; class != s.class {
		b.close()
		return nil, fmt.Errorf("opened in Class %s", class)
	}
	return b, nil
}

func open(t *testing.T, vm *virtual.Modem, o modem.Options) (*modem.Modem, error) {
	t.Helper()
	port, err := vm.Open()
	if err != nil {
		t.Fatal(err)
	}
	return modem.New(t.Context(), port, o)
}

func (b *bench) close() {
	for _, m := range []*modem.Modem{b.strange, b.other} {
		if m != nil {
			m.Close()
		}
	}
	b.ex.Close()
}

// note keeps a line for the test's log.
func (b *bench) note(format string, args ...any) { b.log = append(b.log, fmt.Sprintf(format, args...)) }

// benchCall is one call of a bench.
type benchCall struct {
	sent, got t30.Report
	err, back error
	sink      *t30test.Sink
	ring      t30.Ring // its last
}

// call sends doc from one modem to the other.
func (b *bench) call(back bool, doc *t30test.Document, mode t30.AnswerMode, judge func(int, []byte) t30.Quality) (c benchCall) {
	from, to, number := b.strange, b.other, calleeNumber
	if back {
		from, to, number = b.other, b.strange, callerNumber
	}
	c.sink = &t30test.Sink{Judge: judge}
	done := make(chan struct{})
	ctx := b.t.Context()
	go func() {
		defer close(done)
		in, err := to.WaitCall(ctx)
		if err != nil {
			c.back = err
			return
		}
		until := time.After(7 * time.Second) // the caller ID and the second ring
		for wait := true; wait; {
			select {
			case r, more := <-in.Rings():
				if wait = more; more {
					c.ring = r
				}
			case <-until:
				wait = false
			}
		}
		c.got, c.back = in.Answer(ctx, mode, t30.Session{Me: t30.Station{ID: "2"}, Sink: c.sink, NoECM: !b.s.ecm})
	}()
	c.sent, c.err = from.Call(ctx, number, t30.Session{Me: t30.Station{ID: "1"}, Send: t30test.Docs(doc), NoECM: !b.s.ecm})
	if c.sent.Connected || c.err != nil {
		select {
		case <-done:
		case <-time.After(10 * time.Minute):
		}
	}
	select {
	case <-done:
	default: // it never rang
		to.Close()
		<-done
	}
	b.note("%v %q %v, %v %q %v, %d pages kept", c.sent.Code, c.sent.Text, c.err, c.got.Code, c.got.Text, c.back, len(c.sink.Kept()))
	return c
}

// whole tells whether the document has arrived. The first octet of a page may be spoilt: nothing goes before it.
func (c benchCall) whole(doc *t30test.Document) bool {
	kept := c.sink.Kept()
	if c.err != nil || c.back != nil || !c.sent.OK() || !c.got.OK() || len(kept) != len(doc.Pages) {
		return false
	}
	for i, p := range doc.Pages {
		if len(kept[i]) == 0 || !bytes.Equal(kept[i][1:], bytes.TrimRight(p.Data[1:], "\x00")) {
			return false
		}
	}
	return true
}

// document has two pages as the table wants them.
func (b *bench) document(seed uint64) *t30test.Document {
	doc := t30test.NewDocument(seed, 2, 400)
	if b.s.pages != nil {
		for i := range doc.Pages {
			doc.Pages[i].Data = b.s.pages()
		}
	}
	return doc
}

// bothWays: a fax from the modem with the habit and one to it arrive whole, and the modem has lost no octet.
func bothWays(b *bench) bool {
	for i, back := range []bool{false, true} {
		if doc := b.document(uint64(i)); !b.call(back, doc, t30.AnswerFax, nil).whole(doc) {
			return false
		}
	}
	if n := b.vm.Stats().Lost; n > 0 {
		b.note("%d octets lost", n)
		return false
	}
	return true
}

// looseDLE is page data with DLE octets, none before an octet that would mean something behind it.
func looseDLE() []byte {
	for seed := uint64(1); ; seed++ {
		page := t30test.MakePage(seed, 150)
		loose := bytes.Count(page, []byte{0x10}) > 10
		for _, c := range "\x10\x1a\x03\x07\x51\x53" {
			loose = loose && !bytes.Contains(page, []byte{0x10, byte(c)})
		}
		if loose {
			return page
		}
	}
}

// tellsCaller: the ringing tells who calls.
func tellsCaller(b *bench) bool {
	doc := b.document(1)
	c := b.call(true, doc, t30.AnswerFax, nil)
	b.note("caller %q", c.ring.Caller)
	return c.whole(doc) && c.ring.Caller == calleeNumber
}

// tellsPattern: the ringing tells its pattern.
func tellsPattern(b *bench) bool {
	doc := b.document(1)
	c := b.call(true, doc, t30.AnswerFax, nil)
	b.note("pattern %q", c.ring.Pattern)
	return c.whole(doc) && c.ring.Pattern == "B"
}

// seesTelephone: a telephone in use on the same line is told from a line without dial tone.
func seesTelephone(b *bench) bool {
	b.vm.LiftTelephone(true)
	rep, err := b.strange.Call(b.t.Context(), calleeNumber, t30.Session{Send: t30test.Docs(b.document(1))})
	b.note("%v %q %v", rep.Code, rep.Text, err)
	return rep.Code == t30.CodeLineInUse
}

// hearsLate: a DIS that comes 32 s after a spoilt one, within T1 (35 s), is answered.
func hearsLate(b *bench) bool {
	tester := b.ex.NewTester("5550150")
	dcs := make(chan bool, 1)
	go func() {
		dcs <- false == (tester.Answer(b.t.Context()) != nil) && answersDIS(b.t, tester)
	}()
	rep, err := b.strange.Call(b.t.Context(), tester.Number(), t30.Session{Send: t30test.Docs(b.document(1))})
	ok := <-dcs
	b.note("%v %q %v", rep.Code, rep.Text, err)
	return ok
}

// answersDIS plays the called machine: a DIS that is spoilt, one 32 s later, and what comes in answer.
func answersDIS(t *testing.T, tester *virtual.Tester) bool {
	defer tester.Hangup()
	time.Sleep(5 * time.Second)
	dis := t30test.SignalFrame{Frame: t30.NewFrame(t30.FcfDIS, false, true, 0, 0x0e, 0)}
	for i, pause := range []time.Duration{0, 32 * time.Second} {
		time.Sleep(pause)
		dis.Bad = i == 0
		if err := tester.Send(t.Context(), &t30test.Signal{Kind: t30test.SignalV21, Frames: []t30test.SignalFrame{dis}}); err != nil {
			return false
		}
	}
	for {
		s, err := tester.Hear(t.Context(), 10*time.Second)
		if err != nil {
			return false
		}
		if s.Kind == t30test.SignalV21 {
			return true
		}
	}
}

// sendsRTC: the page ends with return to control although the modem adds none.
func sendsRTC(b *bench) bool {
	doc := &t30test.Document{Pages: []t30test.Page{whitePage()}}
	kept := b.call(false, doc, t30.AnswerFax, allGood).sink.Kept()
	return len(kept) == 1 && endsWithRTC(kept[0])
}

// judgesPages: a page of which half is bad is not confirmed, whatever the modem says of it.
func judgesPages(b *bench) bool {
	c := b.call(true, b.document(1), t30.AnswerFax, lies)
	return c.got.Received == 0 && c.sent.Sent == 0
}

// answersAdaptively: a fax that the modem tells from data and voice by itself.
func answersAdaptively(b *bench) bool {
	doc := b.document(1)
	return b.call(true, doc, t30.AnswerAdaptive, nil).whole(doc)
}

// lineBits packs bits, the first one lowest.
func lineBits(s string) []byte {
	var b []byte
	for i, c := range s {
		if i%8 == 0 {
			b = append(b, 0)
		}
		if c == '1' {
			b[i/8] |= 1 << (i % 8)
		}
	}
	return b
}

const eolBits = "000000000001"

// whitePage is 300 white lines of MH with a return to control.
func whitePage() t30test.Page {
	line := eolBits + "010011011" + "00110101"
	s := strings.Repeat(line, 300) + strings.Repeat(eolBits, 6)
	return t30test.Page{Format: t30.PageFormat{Resolution: t30.Standard, Width: t30.WidthA4, Coding: t30.MH}, Data: lineBits(s)}
}

// endsWithRTC tells whether a page ends with EOL upon EOL, whatever the octets' boundaries.
func endsWithRTC(data []byte) bool {
	bits := ""
	for _, c := range data[max(0, len(data)-20):] {
		for i := range 8 {
			bits += fmt.Sprint(c >> i & 1)
		}
	}
	return strings.HasSuffix(strings.TrimRight(bits, "0"), strings.Repeat(eolBits, 6))
}

func allGood(int, []byte) t30.Quality { return t30.Quality{Lines: 100} }

// lies: half of the page is bad, whatever the modem's own check says of it.
func lies(int, []byte) t30.Quality { return t30.Quality{Lines: 100, BadLines: 50, LongestBad: 50} }

// bug is a mistake to be made in a copy of one file (go test -overlay).
type bug struct{ file, right, wrong string }

// apply is the file with the mistake.
func (b bug) apply(t *testing.T) string {
	t.Helper()
	src, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(src), b.right); n != 1 {
		t.Fatalf("%s: the right code stands there %d times: %s", b.file, n, b.right)
	}
	return strings.Replace(string(src), b.right, b.wrong, 1)
}
