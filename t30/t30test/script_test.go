package t30test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
)

// fake is a device that a test plays by hand, to do what a script must not let pass.
type fake struct {
	t    Tester
	last time.Time // end of the last signal
	x    bool
}

// put sends a signal some time after the last one.
func (f *fake) put(after time.Duration, s *Signal) {
	time.Sleep(time.Until(f.last.Add(after)))
	_ = f.t.Send(context.Background(), s)
	f.last = time.Now()
}

// say sends frames, given in the words of a script, 75 ms after the last signal.
func (f *fake) say(words ...string) { f.sayAfter(75*time.Millisecond, words...) }

func (f *fake) sayAfter(after time.Duration, words ...string) {
	specs, err := frameList(words)
	if err != nil {
		panic(err)
	}
	s := &Signal{Kind: SignalV21}
	for i := range specs {
		s.Frames = append(s.Frames, specs[i].build(f.x, i == len(specs)-1))
	}
	f.put(after, s)
}

// hear passes n signals of the tester.
func (f *fake) hear(n int) {
	for range n {
		if _, err := f.t.Hear(context.Background(), time.Minute); err != nil {
			return
		}
		f.last = time.Now()
	}
}

func (f *fake) carrier(m t30.Modulation, octets []byte) {
	f.put(75*time.Millisecond, &Signal{Kind: SignalCarrier, Mod: m, Octets: octets})
}

var v29 = t30.Modulation{Scheme: t30.V29, Rate: 9600}

// block sends frames of data, 256 octets each.
func (f *fake) block(m t30.Modulation, data []byte, rcp int, list ...int) {
	s := &Signal{Kind: SignalBlock, Mod: m}
	for _, n := range list {
		fr := t30.Frame{0xff, 0x03, 0x06, byte(n)}
		s.Frames = append(s.Frames, SignalFrame{Frame: append(fr, data[n*256:min(n*256+256, len(data))]...)})
	}
	for range rcp {
		s.Frames = append(s.Frames, SignalFrame{Frame: t30.Frame{0xff, 0x03, 0x86}})
	}
	f.put(75*time.Millisecond, s)
}

// play plays a script against a fake device.
func play(t *testing.T, text string, device func(f *fake)) (played error) {
	t.Helper()
	s, err := ParseScript("self.t30", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	d := s.Device()
	synctest.Test(t, func(t *testing.T) {
		a, b := Pair(Config{}, All, All)
		if !s.Answers {
			a, b = b, a
		}
		f := &fake{t: b.Tester(), last: time.Now(), x: !s.Answers}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			played = s.Play(ctx, a.Tester(), d)
		}()
		device(f)
		<-ctx.Done()
		synctest.Wait()
	})
	return played
}

const answering = `case X: x
clause T.30
device answers id="+12 3"
< CSI "+12 3" DIS v29 ecm !poll
> DCS v29/9600
> TCF v29/9600
< CFR
> CRP
< CFR repeat 2
> DCN
< on-hook
= outcome ok
`

// answered is a device that does what answering wants, with one step of its own.
func answered(wrong map[string]func(f *fake)) func(f *fake) {
	do := func(f *fake, name string, right func()) {
		if w, ok := wrong[name]; ok {
			w(f)
			return
		}
		right()
	}
	return func(f *fake) {
		do(f, "DIS", func() { f.say("CSI", `"+12 3"`, "DIS", "v29", "ecm") })
		f.hear(2)
		do(f, "CFR", func() { f.say("CFR") })
		f.hear(1)
		do(f, "again", func() {
			f.say("CFR")
			f.sayAfter(3*time.Second, "CFR")
		})
		f.hear(1)
		do(f, "on-hook", func() { _ = f.t.Hangup() })
	}
}

// TestScript_WrongAnswerer: each judgement of a signal can fail.
func TestScript_WrongAnswerer(t *testing.T) {
	if err := play(t, answering, answered(nil)); err != nil {
		t.Fatalf("the right device fails: %v", err)
	}
	says := func(words ...string) func(f *fake) { return func(f *fake) { f.say(words...) } }
	for _, c := range []struct {
		name, step, want string
		do               func(f *fake)
	}{
		{"no DIS", "DIS", "seen nothing", func(f *fake) { time.Sleep(50 * time.Second) }},
		{"on hook at once", "DIS", "hang up", func(f *fake) { _ = f.t.Hangup() }},
		{"DIS late", "DIS", "seen nothing", func(f *fake) { f.sayAfter(41*time.Second, "CSI", `"+12 3"`, "DIS", "v29", "ecm") }},
		{"no CSI", "DIS", "expected CSI", says("DIS", "v29", "ecm")},
		{"another CSI", "DIS", "expected CSI [", says("CSI", `"+12 4"`, "DIS", "v29", "ecm")},
		{"CSI too short", "DIS", "expected CSI [", says("CSI", "[04 04]", "DIS", "v29", "ecm")},
		{"no V.29", "DIS", "with v29", says("CSI", `"+12 3"`, "DIS", "v27ter", "ecm")},
		{"no ECM", "DIS", "with ecm", says("CSI", `"+12 3"`, "DIS", "v29")},
		{"polls", "DIS", "with !poll", says("CSI", `"+12 3"`, "DIS", "v29", "ecm", "poll")},
		{"extend bits", "DIS", "extend bits", says("CSI", `"+12 3"`, "DIS", "[00 72 00 20]")},
		{"final in CSI", "DIS", "expected control", says("CSI", `"+12 3"`, "final", "DIS", "v29", "ecm")},
		{"DIS not final", "DIS", "expected control", says("CSI", `"+12 3"`, "DIS", "v29", "ecm", "more")},
		{"FCS of CSI", "DIS", "good FCS", says("CSI", `"+12 3"`, "bad-fcs", "DIS", "v29", "ecm")},
		{"CFR before", "DIS", "expected CSI", says("CFR", "CSI", `"+12 3"`, "DIS", "v29", "ecm")},
		{"address", "DIS", "address", says("FRAME", "A2", "C8", "01", "00", "72", "20")},
		{"two octets", "DIS", "address, control and FCF", says("FRAME", "FF", "C8")},
		{"FTT", "CFR", "expected CFR, seen FTT", says("FTT")},
		{"X bit", "CFR", "X bit", says("CFR", "x=1")},
		{"CFR with a FIF", "CFR", "octets in the FIF", says("CFR", "[00]")},
		{"CFR at once", "CFR", "seen after 20ms", func(f *fake) { f.sayAfter(20*time.Millisecond, "CFR") }},
		{"CFR late", "CFR", "seen nothing", func(f *fake) { f.sayAfter(2600*time.Millisecond, "CFR") }},
		{"carrier", "CFR", "expected V.21", func(f *fake) { f.carrier(v29, make([]byte, 100)) }},
		{"preamble", "CFR", "preamble", func(f *fake) {
			f.put(75*time.Millisecond, &Signal{Kind: SignalV21, Lead: 800 * time.Millisecond, Frames: []SignalFrame{{Frame: t30.NewFrame(t30.FcfCFR, false, true)}}})
		}},
		{"once too few", "again", "seen nothing", says("CFR")},
		{"again too soon", "again", "seen after 2s", func(f *fake) { f.say("CFR"); f.sayAfter(2*time.Second, "CFR") }},
		{"once too many", "on-hook", "expected on-hook, seen CFR", says("CFR")},
		{"stays", "on-hook", "seen none", func(*fake) { time.Sleep(10 * time.Second) }},
		{"on hook before DCN", "again", "hang up", func(f *fake) { f.say("CFR"); f.sayAfter(3*time.Second, "CFR"); _ = f.t.Hangup() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := play(t, answering, answered(map[string]func(*fake){c.step: c.do}))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "X:") {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

const calling = `case X: x
clause T.30
device calls id="1"
document 1 page lines=100
> DIS v29 ecm
< DCS v29/9600 MH ecm
< TCF v29/9600
> CFR
< BLOCK v29/9600 frames=0-12
< PPS-EOP page=0 block=0 frames=13
> PPR missing=0,3 of=13
< BLOCK v29/9600 frames=0,3
< PPS-EOP
> MCF
< nothing for 1s
< DCN within 1s..2s
= outcome ok
`

// TestScript_WrongCaller: each judgement of carriers and ECM can fail.
func TestScript_WrongCaller(t *testing.T) {
	page := MakePage(1, 100)
	all := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	v27 := t30.Modulation{Scheme: t30.V27ter, Rate: 4800}
	spoilt := bytes.Clone(page)
	spoilt[900] ^= 1
	device := func(step string, wrong func(f *fake)) func(f *fake) {
		do := func(f *fake, name string, right func()) {
			if name == step {
				wrong(f)
				return
			}
			right()
		}
		return func(f *fake) {
			f.hear(1)
			do(f, "DCS", func() { f.say("DCS", "v29/9600", "ecm") })
			do(f, "TCF", func() { f.carrier(v29, make([]byte, 1800)) })
			f.hear(1)
			do(f, "block", func() { f.block(v29, page, 3, all...) })
			do(f, "PPS", func() { f.say("PPS-EOP", "page=0", "block=0", "frames=13") })
			f.hear(1)
			do(f, "again", func() { f.block(v29, page, 3, 0, 3) })
			f.say("PPS-EOP", "page=0", "block=0", "frames=2")
			f.hear(1)
			do(f, "DCN", func() { f.sayAfter(1500*time.Millisecond, "DCN") })
		}
	}
	if err := play(t, calling, device("", nil)); err != nil {
		t.Fatalf("the right device fails: %v", err)
	}
	says := func(words ...string) func(f *fake) { return func(f *fake) { f.say(words...) } }
	for _, c := range []struct {
		name, step, want string
		do               func(f *fake)
	}{
		{"no ECM", "DCS", "with ecm", says("DCS", "v29/9600")},
		{"64 octets", "DCS", "with ecm", says("DCS", "v29/9600", "ecm/64")},
		{"rate", "DCS", "with v29/9600", says("DCS", "v29/7200", "ecm")},
		{"coding", "DCS", "with MH", says("DCS", "v29/9600", "ecm", "MMR")},
		{"TCF rate", "TCF", "expected v29/9600", func(f *fake) { f.carrier(v27, make([]byte, 900)) }},
		{"TCF short", "TCF", "zeros", func(f *fake) { f.carrier(v29, make([]byte, 1600)) }},
		{"TCF long", "TCF", "zeros", func(f *fake) { f.carrier(v29, make([]byte, 2000)) }},
		{"TCF not zero", "TCF", "zeros", func(f *fake) { f.carrier(v29, bytes.Repeat([]byte{0, 0, 4}, 600)) }},
		{"TCF ends in ones", "TCF", "TCF's end", func(f *fake) { f.carrier(v29, append(make([]byte, 1800), bytes.Repeat([]byte{255}, 300)...)) }},
		{"TCF late", "TCF", "seen nothing", func(f *fake) {
			f.put(200*time.Millisecond, &Signal{Kind: SignalCarrier, Mod: v29, Octets: make([]byte, 1800)})
		}},
		{"page without ECM", "block", "expected block", func(f *fake) { f.carrier(v29, page) }},
		{"block rate", "block", "expected v29/9600", func(f *fake) { f.block(v27, page, 3, all...) }},
		{"frame left out", "block", "seen frame 2 after 1", func(f *fake) { f.block(v29, page, 3, append([]int{0}, all[2:]...)...) }},
		{"last frame left out", "block", "seen the first 12", func(f *fake) { f.block(v29, page, 3, all[:12]...) }},
		{"no RCP", "block", "RCP, seen 0", func(f *fake) { f.block(v29, page, 0, all...) }},
		{"data", "block", "in frame 3", func(f *fake) { f.block(v29, spoilt, 3, all...) }},
		{"PPS page", "PPS", "page=0", says("PPS-EOP", "page=1", "frames=13")},
		{"PPS block", "PPS", "block=0", says("PPS-EOP", "block=1", "frames=13")},
		{"PPS frames", "PPS", "frames=13", says("PPS-EOP", "frames=12")},
		{"PPS-MPS", "PPS", "expected PPS-EOP, seen PPS-MPS", says("PPS-MPS", "frames=13")},
		{"PPS X bit", "PPS", "X bit", says("PPS-EOP", "frames=13", "x=0")},
		{"PPS second X bit", "PPS", "second field", says("PPS-EOP", "[74 00 00 30]")},
		{"all again", "again", "seen frame 1 after 1", func(f *fake) { f.block(v29, page, 3, all...) }},
		{"DCN early", "DCN", "expected no signal", says("DCN")},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := play(t, calling, device(c.step, c.do))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestScript_Page: a page of another document, or cut short, does not pass; answers to what comes in between do.
func TestScript_Page(t *testing.T) {
	const text = `case X: x
clause T.30
device calls
document 1 page
? CRP > DIS v29
? FTT
> DIS v29
< DCS within 8s
< PAGE v29/9600 gap 55ms..95ms
= sent nothing
`
	page := MakePage(1, 100)
	for _, c := range []struct {
		name, want string
		page       []byte
	}{{"right", "", page}, {"fill", "", append(bytes.Clone(page), 0, 0, 0)}, {"other", "another", MakePage(2, 100)}, {"short", "another", page[:3000]}} {
		err := play(t, text, func(f *fake) {
			f.hear(1)
			f.say("CRP")
			f.hear(1)
			f.say("FTT")
			f.say("DCS", "v29/9600")
			f.carrier(v29, c.page)
		})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestScript_Judge: each line about the end can fail.
func TestScript_Judge(t *testing.T) {
	const head = "case X: x\nclause T.30\ndevice answers\ndocument 2 pages\n< DIS\n= "
	page := MakePage(1001, 100)
	sink := func(d *Device, pages ...[]byte) {
		for _, p := range pages {
			w, _ := d.Sink.BeginPage(t.Context(), t30.Remote{}, t30.PageFormat{})
			_, _ = w.Write(p)
			_ = w.Finish(t.Context(), t30.Good)
		}
	}
	for _, c := range []struct {
		want string
		good bool
		do   func(d *Device) t30.Report
	}{
		{"outcome ok", true, func(*Device) t30.Report { return t30.Report{Code: t30.CodeOK} }},
		{"outcome ok", false, func(*Device) t30.Report { return t30.Report{Code: t30.CodePageLost} }},
		{"outcome not ok", false, func(*Device) t30.Report { return t30.Report{Code: t30.CodeOK} }},
		{"outcome page lost", true, func(*Device) t30.Report { return t30.Report{Code: t30.CodePageLost} }},
		{"received pages 1", true, func(d *Device) t30.Report { sink(d, page); return t30.Report{Received: 1} }},
		{"received pages 1", false, func(d *Device) t30.Report { sink(d, page); return t30.Report{Received: 0} }},
		{"received pages 1", false, func(d *Device) t30.Report { sink(d, page[1:]); return t30.Report{Received: 1} }},
		{"received nothing", false, func(d *Device) t30.Report { sink(d, page); return t30.Report{} }},
		{"sent pages 1-2", true, func(d *Device) t30.Report {
			doc := d.Documents[0]
			for n := range 2 {
				_ = doc.Sent(n + 1)
				_ = doc.Confirmed(n+1, t30.PageResult{})
			}
			return t30.Report{Sent: 2}
		}},
		{"sent pages 1-2", false, func(*Device) t30.Report { return t30.Report{Sent: 2} }},
		{"sent pages 2", false, func(d *Device) t30.Report {
			_ = d.Documents[0].Sent(1)
			_ = d.Documents[0].Confirmed(1, t30.PageResult{})
			return t30.Report{Sent: 1}
		}},
		{"format fine MR B4", true, func(*Device) t30.Report {
			return t30.Report{Format: t30.PageFormat{Resolution: t30.Fine, Coding: t30.MR, Width: t30.WidthB4, Length: t30.LengthUnlimited}}
		}},
		{"format fine MR", false, func(*Device) t30.Report {
			return t30.Report{Format: t30.PageFormat{Resolution: t30.Fine, Coding: t30.MR, Width: t30.WidthB4}}
		}},
		{"modulation v17/12000 short", true, func(*Device) t30.Report {
			return t30.Report{Modulation: t30.Modulation{Scheme: t30.V17, Rate: 12000, Short: true}}
		}},
		{"modulation v17/12000", false, func(*Device) t30.Report { return t30.Report{} }},
		{`remote id "1"`, true, func(*Device) t30.Report { return t30.Report{Remote: t30.Remote{ID: "1"}} }},
		{`remote sub "1"`, false, func(*Device) t30.Report { return t30.Report{Remote: t30.Remote{ID: "1"}} }},
	} {
		s, err := ParseScript("self.t30", strings.NewReader(head+c.want+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		d := s.Device()
		d.sent[1] = page
		if err := s.Judge(c.do(d), d); (err == nil) != c.good {
			t.Errorf("%s: %v", c.want, err)
		}
	}
}

// TestParseScript_Errors: what is no script is refused with its line.
func TestParseScript_Errors(t *testing.T) {
	head := "case X: x\nclause T.30\ndevice answers\n"
	for _, c := range []struct{ text, want string }{
		{"", "no case line"},
		{"case X: x\n", "no clause line"},
		{"case X: x\nclause T.30\n", "no device line"},
		{head + "< DIS\n", "no = line"},
		{head + "= outcome ok\n", "nothing is asked of the device"},
		{"case a b: x\n", "case NAME"},
		{"Case\n", ":1: a line begins"},
		{"case X: x\n< DIS\n", ":2: a step before"},
		{"device sits\n", "answers, or calls"},
		{head + "device ecm=on\n", ":4: a device has no"},
		{head + "device modulations=v34bis\n", "not known"},
		{head + "document 2\n", "2 pages"},
		{head + "document 2 pages red\n", "no \"red\""},
		{head + "> XYZ\n", "no signal"},
		{head + "> DCS purple\n", "no \"purple\""},
		{head + "> DCS [0g]\n", "no octets"},
		{head + "> DCS [00\n", "no closing"},
		{head + "> TCF\n", "which rate"},
		{head + "> TCF v29/14400\n", "no modulation"},
		{head + "> TCF v29/9600 blue\n", "not a time"},
		{head + "> BLOCK v29/9600\n", "which frames"},
		{head + "> BLOCK v29/9600 frames=9-2\n", "not a number"},
		{head + "> BLOCK v29/9600 frames=0-256\n", "not a number"},
		{head + "> BLOCK v29/9600 frames=5,1\n", "lowest to the highest"},
		{head + "> BLOCK v29/9600 frames=0 size=100\n", "64 or 256"},
		{head + "> !CFR\n", "no meaning"},
		{head + "> CFR after\n", "after what"},
		{head + "> CFR after 3\n", "not a time"},
		{head + "> CFR after 11m\n", "not a time"},
		{head + "< DIS within 3s..2s\n", "ends before"},
		{head + "< nothing\n", "how long"},
		{head + "< DIS repeat 0\n", "not a number"},
		{head + "? ? > RR\n", "no signal"},
		{head + "> ECHO MCF\n", "no meaning"},
		{head + "= outcome splendid\n", "no outcome"},
		{head + "= sent 2\n", "sent pages"},
		{head + "= format purple\n", "purple"},
		{head + "= luck 2\n", "= has no"},
		{head + "< CSI \"123456789012345678901\" DIS\n", "20 characters"},
	} {
		_, err := ParseScript("f", strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "f:") {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

// TestFields_AgreeWithT30 holds known fields of T.30 Table 2 against the words.
func TestFields_AgreeWithT30(t *testing.T) {
	for _, c := range []struct {
		words string
		fif   []byte
	}{
		{"DCS v27ter/4800 MH standard 20ms", []byte{0x00, 0x50, 0x00}},
		{"DCS v27ter/2400 fine 0ms", []byte{0x00, 0x42, 0x0e}},
		{"DCS v29/9600 MR B4 unlimited 5ms", []byte{0x00, 0x61, 0x98}},
		{"DCS v29/7200 A3 length-B4 40ms", []byte{0x00, 0x70, 0x62}},
		{"DCS v17/14400 ecm/64 0ms", []byte{0x00, 0x44, 0x0f, 0x30}},
		{"DCS v17/12000 MMR ecm 0ms", []byte{0x00, 0x54, 0x0f, 0x22}},
		{"DIS v17 fine MR 10/5ms poll", []byte{0x00, 0xf7, 0x06}},
		{"DIS v29 !receive", []byte{0x00, 0x30, 0x00}},
		{"DTC v27ter sub pwd", []byte{0x00, 0x50, 0x01, 0x01, 0x01, 0x01, 0xc0}},
	} {
		f, err := frameList(strings.Fields(c.words))
		if err != nil {
			t.Fatal(err)
		}
		if got := f[0].fif(false); !bytes.Equal(got, c.fif) {
			t.Errorf("%s: % X, want % X", c.words, got, c.fif)
		}
		if err := f[0].matches(f[0].build(false, true).Frame, false); err != nil {
			t.Errorf("%s does not match itself: %v", c.words, err)
		}
	}
}

func FuzzParseScript(f *testing.F) {
	files, _ := filepath.Glob("../../testdata/t30/*.t30")
	for i, name := range files {
		if b, err := os.ReadFile(name); err == nil && i%8 == 0 {
			f.Add(string(b))
		}
	}
	f.Add(answering)
	f.Add(calling)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseScript("fuzz", strings.NewReader(text))
		if err != nil {
			return
		}
		if s.Name == "" || len(s.steps) > maxSteps+maxRepeat {
			t.Errorf("%q with %d steps", s.Name, len(s.steps))
		}
		d := s.Device()
		p := &player{s: s, d: d}
		for _, st := range s.steps {
			if st.do == sendFrames {
				for _, fr := range p.frames(st.frames[0], 0).Frames {
					_ = frameName(fr.Frame)
				}
			}
		}
		if err := s.Judge(t30.Report{}, d); err != nil && !strings.Contains(err.Error(), ":") {
			t.Error(err)
		}
	})
}
