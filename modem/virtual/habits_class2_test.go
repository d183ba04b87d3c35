package virtual_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// Each habit of a Class 2 modem that FACTS names, on a virtual modem that has it: with the driver's work-around, which the modem's
// profile brings, the fax is whole; without it, it is not.

// habit is a modem with a habit at one end of a call; the other end is a Class 1 modem by the book.
type habit struct {
	name        string // of a personality
	class       string
	change      func(*virtual.ModemOptions)
	quirks, off map[string]any // of class2: what the profile does not know; what switches the work-around off
	sends       bool
	page        func() t30test.Page // nil: one of MakePage
	judge       func(int, []byte) t30.Quality
	whole       func(page t30test.Page, kept []byte) bool // nil: the same octets
	adaptive    bool
	most        time.Duration // that the call takes with the work-around; 0: not checked
}

// run makes one call and tells whether its page arrived as it should.
func (h habit) run(t *testing.T, quirks map[string]any) bool {
	t.Helper()
	o, err := virtual.Personality(h.name)
	if err != nil {
		t.Fatal(err)
	}
	if h.change != nil {
		h.change(&o)
	}
	ex := virtual.NewExchange(virtual.Options{})
	defer ex.Close()
	open := func(number string, o virtual.ModemOptions, mo modem.Options) *modem.Modem {
		port, err := ex.NewModem(number, o).Open()
		if err != nil {
			t.Fatal(err)
		}
		m, err := modem.New(t.Context(), port, mo)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	strange := modem.Options{Class: h.class, Quirks: map[string]any{"class2": quirks}}
	from, to := open(callerNumber, o, strange), open(calleeNumber, virtual.ModemOptions{}, modem.Options{})
	if !h.sends {
		from.Close()
		to.Close()
		ex.Close()
		ex = virtual.NewExchange(virtual.Options{})
		from, to = open(callerNumber, virtual.ModemOptions{}, modem.Options{}), open(calleeNumber, o, strange)
	}
	defer from.Close()
	defer to.Close()

	doc, sink := t30test.NewDocument(1, 1, 150), &t30test.Sink{Judge: h.judge}
	if h.page != nil {
		doc.Pages[0] = h.page()
	}
	got := make(chan t30.Report, 1)
	go func() {
		in, err := to.WaitCall(t.Context())
		if err != nil {
			t.Error(err)
			got <- t30.Report{}
			return
		}
		mode := t30.AnswerFax
		if h.adaptive {
			mode = t30.AnswerAdaptive
		}
		rep, _ := in.Answer(t.Context(), mode, t30.Session{Sink: sink, NoECM: true})
		got <- rep
	}()
	start := time.Now()
	rep, err := from.Call(t.Context(), calleeNumber, t30.Session{Send: t30test.Docs(doc), NoECM: true})
	back := <-got
	kept := sink.Kept()
	t.Logf("quirks %v: %v %q, %v %q, %d pages, %v, after %v", quirks, rep.Code, rep.Text, back.Code, back.Text, len(kept), err, time.Since(start))
	if err != nil || !rep.OK() || !back.OK() || len(kept) != 1 {
		return false
	}
	if h.most > 0 && time.Since(start) > h.most {
		return false
	}
	if h.whole != nil {
		return h.whole(doc.Pages[0], kept[0])
	}
	return bytes.Equal(kept[0], bytes.TrimRight(doc.Pages[0].Data, "\x00"))
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
	s := ""
	for range 300 {
		s += eolBits + "010011011" + "00110101"
	}
	for range 6 {
		s += eolBits
	}
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
	for len(bits) > 0 && bits[len(bits)-1] == '0' {
		bits = bits[:len(bits)-1]
	}
	want := ""
	for range 6 {
		want += eolBits
	}
	return len(bits) >= len(want) && bits[len(bits)-len(want):] == want
}

func allGood(int, []byte) t30.Quality { return t30.Quality{Lines: 100} }

// lies: half of the page is bad, whatever the modem's own check says of it.
func lies(int, []byte) t30.Quality { return t30.Quality{Lines: 100, BadLines: 50, LongestBad: 50} }

func TestHabits_Class2(t *testing.T) {
	for name, h := range map[string]habit{
		"Rockwell wants DC2":           {name: "rockwell", class: "2", off: map[string]any{"trigger": "dc1"}},
		"Rockwell reverses bits":       {name: "rockwell", class: "2", off: map[string]any{"received_bits": "direct"}},
		"MultiTech wants DC2":          {name: "multitech", class: "2.1", off: map[string]any{"trigger": "dc1"}},
		"early MultiTech does not":     {name: "multitech-early", class: "2", off: map[string]any{"received_bits": "reversed"}},
		"most of Class 2 reverse bits": {name: "class2", class: "2", off: map[string]any{"received_bits": "direct"}},
		"Class 2.0 wants DC2":          {name: "class2.0", class: "2.0", off: map[string]any{"trigger": "dc1"}},
		"USR leaves RTC out":           {name: "usr", class: "2.0", sends: true, off: map[string]any{"no_rtc": true}, page: whitePage, judge: allGood, whole: func(_ t30test.Page, kept []byte) bool { return endsWithRTC(kept) }},
		"no XON comes":                 {name: "class2", class: "2", sends: true, change: func(o *virtual.ModemOptions) { o.Class2Habits.NoXON = true }, quirks: map[string]any{"no_xon": true}, off: map[string]any{}, most: 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if !h.run(t, h.quirks) {
					t.Error("with the work-around the fax is not whole")
				}
				if h.run(t, h.off) {
					t.Error("without the work-around it is as well: the habit or the work-around does nothing")
				}
			})
		})
	}
}

// TestHabits_CopyQualityLies: a page that our decoder calls bad is not confirmed, although the modem says that it is good. Trusting the
// modem instead confirms it.
func TestHabits_CopyQualityLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := habit{name: "class2", class: "2", judge: lies}
		if h.run(t, nil) {
			t.Error("a bad page was confirmed")
		}
		if !h.run(t, map[string]any{"trust_quality": true}) {
			t.Error("the modem's own check does not call it good: the test proves nothing")
		}
	})
}

// TestHabits_NeedNoQuirk: what the driver copes with in every modem.
func TestHabits_NeedNoQuirk(t *testing.T) {
	for name, h := range map[string]habit{
		"+FPS? is not known":         {name: "class2.0", class: "2.0", sends: true, change: func(o *virtual.ModemOptions) { o.Class2Habits.NoPPR = true }},
		"+FAA only inside the class": {name: "class2", class: "2", adaptive: true, change: func(o *virtual.ModemOptions) { o.Class2Habits.AdaptInClass = true }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if !h.run(t, nil) {
					t.Error("the fax is not whole")
				}
			})
		})
	}
}

// TestHabits_CorruptMMR: a modem whose MMR is corrupt is never asked for it.
func TestHabits_CorruptMMR(t *testing.T) {
	for quirk, want := range map[bool]t30.Coding{false: t30.MMR, true: t30.MR} {
		synctest.Test(t, func(t *testing.T) {
			ex := virtual.NewExchange(virtual.Options{})
			defer ex.Close()
			o, _ := virtual.Personality("class2.0")
			port, err := ex.NewModem(callerNumber, o).Open()
			if err != nil {
				t.Fatal(err)
			}
			m, err := modem.New(t.Context(), port, modem.Options{Class: "2.0", Quirks: map[string]any{"class2": map[string]any{"no_mmr": quirk}}})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if c := m.Capabilities().Codings; !c.Has(want) || c.Has(t30.MMR) == quirk {
				t.Errorf("no_mmr %v: codings %v", quirk, c)
			}
		})
	}
}
