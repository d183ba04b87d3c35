package t30_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// Bits of a DCS FIF, T.30 Table 2: bit n is bit (n-1)%8 of octet (n-1)/8.
func dcsWith(octets int, bits ...int) []byte {
	f := make([]byte, octets)
	for i := 2; i < octets-1; i++ {
		f[i] |= 0x80 // extend
	}
	for _, n := range append(bits, 10, 11, 21, 22, 23) { // receive, V.29 9600, 0 ms
		f[(n-1)/8] |= 1 << ((n - 1) % 8)
	}
	return f
}

// A DCS is taken as far as our DIS offered what it commands; else DCN, once the sender listens again.
func TestAnswer_DCSHoldsToTheDIS(t *testing.T) {
	some := t30.Capabilities{
		Codings:     t30.Codings(t30.MH | t30.MR | t30.MMR),
		Resolutions: t30.Resolutions(t30.Standard | t30.Fine | t30.Superfine), Widths: t30.Widths(t30.WidthA4),
	}
	wide, inch, mh := some, some, some
	wide.Widths |= t30.Widths(t30.WidthA3)
	inch.Resolutions = t30.Resolutions(t30.Standard | t30.Res200 | t30.Res300 | t30.Res400 | t30.Res600)
	mh.Codings = t30.Codings(t30.MH)
	for _, c := range []struct {
		name  string
		limit t30.Capabilities
		noECM bool
		dcs   []byte
		ok    bool
	}{
		{"standard", some, false, dcsWith(3), true},
		{"fine", some, false, dcsWith(3, 15), true},
		{"200 dpi for fine", some, false, dcsWith(6, 15, 44), true},
		{"fine for 200 dpi", inch, false, dcsWith(3, 15), true},
		{"superfine", some, false, dcsWith(6, 41), true},
		{"superfine not offered", inch, false, dcsWith(6, 41), false},
		{"300 dpi", inch, false, dcsWith(6, 42), true},
		{"300 dpi not offered", some, false, dcsWith(6, 42), false},
		{"R16", inch, false, dcsWith(6, 43), true},
		{"400 dpi not offered", some, false, dcsWith(6, 43, 44), false},
		{"600 dpi", inch, false, dcsWith(14, 105), true},
		{"600 dpi not offered", some, false, dcsWith(14, 105), false},
		{"B4 not offered", some, false, dcsWith(3, 17), false},
		{"A3 not offered", some, false, dcsWith(3, 18), false},
		{"B4 within A3", wide, false, dcsWith(3, 17), true},
		{"A3", wide, false, dcsWith(3, 18), true},
		{"B4 length not offered", some, false, dcsWith(3, 19), true},
		{"MR", some, false, dcsWith(3, 16), true},
		{"MR not offered", mh, false, dcsWith(3, 16), false},
		{"ECM, 64-octet frames", some, false, dcsWith(4, 27, 28), true},
		{"ECM not offered", some, true, dcsWith(4, 27), false},
		{"MMR", some, false, dcsWith(4, 27, 31), true},
		{"MMR without ECM", some, false, dcsWith(4, 31), false},
		{"JBIG", some, false, dcsWith(10, 27, 78), false},
		{"octets beyond the table", some, false, append(dcsWith(17), 0x80, 0xff, 0x7f), true},
		{"too short", some, false, []byte{0}, false},
		{"a rate in no table", some, false, dcsWith(3, 12, 13, 14), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			sink := &t30test.Sink{}
			rep, _ := calledBy(t, t30test.Config{}, t30.Session{Sink: sink, Limit: c.limit, NoECM: c.noECM}, func(p peer) {
				p.hear(t30.FcfDIS)
				p.say(t30.FcfDCS, c.dcs...)
				p.tcf()
				if c.ok {
					p.hear(t30.FcfCFR)
					p.say(t30.FcfDCN)
				} else {
					p.hear(t30.FcfDCN)
				}
			})
			if !c.ok && (rep.Code != t30.CodeIncompatible || len(sink.Pages()) != 0) {
				t.Errorf("%v %s, %d pages", rep.Code, rep.Text, len(sink.Pages()))
			}
		})
	}
}

// What our DIS says is read back as what we can do.
func TestAnswer_DISIsReadBack(t *testing.T) {
	res := func(r ...t30.Resolution) (s t30.Resolutions) {
		for _, x := range r {
			s |= t30.Resolutions(x)
		}
		return s | t30.Resolutions(t30.Standard)
	}
	a4 := t30.Widths(t30.WidthA4)
	b4 := a4 | t30.Widths(t30.WidthB4)
	for _, want := range []t30.Capabilities{
		{Resolutions: res(), Widths: a4, Length: t30.LengthUnlimited},
		{Resolutions: res(t30.Fine), Widths: b4, Length: t30.LengthB4},
		{Resolutions: res(t30.Fine, t30.Superfine), Widths: b4 | t30.Widths(t30.WidthA3), Length: t30.LengthUnlimited, ECM64: true},
		{Resolutions: res(t30.Res200), Widths: a4, Length: t30.LengthUnlimited},
		{Resolutions: res(t30.Res200, t30.Res300), Widths: a4, Length: t30.LengthUnlimited},
		{Resolutions: res(t30.Fine, t30.R16), Widths: a4, Length: t30.LengthUnlimited},
		{Resolutions: res(t30.Res200, t30.Res400, t30.Res600), Widths: a4, Length: t30.LengthUnlimited},
		{Resolutions: res(t30.Fine, t30.Superfine, t30.R16, t30.Res200, t30.Res300, t30.Res400, t30.Res600), Widths: a4, Length: t30.LengthUnlimited},
	} {
		k := sending(t30test.Config{}, &t30test.Sink{}, t30test.NewDocument(1, 1, 50))
		k.answer.Limit = want
		got := k.run(t).sent.Remote.Capabilities
		if got.Resolutions != want.Resolutions || got.Widths != want.Widths || got.Length != want.Length || got.ECM64 != want.ECM64 || !got.ECM || got.Codings.Has(t30.JBIG) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// A rate that was not offered is answered with FTT: the sender falls back by itself.
func TestAnswer_RateNotOfferedIsFTT(t *testing.T) {
	for _, l := range []t30.Capabilities{
		{Schemes: t30.Schemes(t30.V27ter | t30.V29)}, {Schemes: t30.Schemes(t30.V27ter | t30.V29), MaxRate: 7200},
	} {
		sink := &t30test.Sink{}
		rep, _ := calledBy(t, t30test.Config{}, t30.Session{Sink: sink, Limit: l}, func(p peer) {
			p.hear(t30.FcfDIS)
			m := t30.Modulation{Scheme: t30.V17, Rate: 14400}
			if l.MaxRate > 0 {
				m = v29
			}
			p.say(t30.FcfDCS, 0, map[bool]byte{false: 0x22, true: 0x06}[l.MaxRate > 0], 0x70)
			p.quiet(75 * time.Millisecond)
			_ = p.l.SendTCF(p.t.Context(), m, 1500*time.Millisecond)
			p.hear(t30.FcfFTT)
			m = t30.Modulation{Scheme: t30.V29, Rate: 7200}
			p.say(t30.FcfDCS, 0, 0x0e, 0x70)
			p.quiet(75 * time.Millisecond)
			_ = p.l.SendTCF(p.t.Context(), m, 1500*time.Millisecond)
			p.hear(t30.FcfCFR)
			p.say(t30.FcfDCN)
		})
		if rep.Modulation.Rate != 7200 {
			t.Errorf("%v", rep.Modulation)
		}
	}
}

// CTC has to hold to the DIS as well.
func TestAnswer_CTCNotOffered(t *testing.T) {
	s := t30.Session{Sink: &t30test.Sink{}, Limit: t30.Capabilities{Schemes: t30.Schemes(t30.V27ter | t30.V29)}}
	rep, _ := calledBy(t, t30test.Config{}, s, func(p peer) {
		p.hear(t30.FcfDIS)
		p.train(dcsECM)
		p.block(0, 3)
		p.pps(t30.FcfEOP, 0, 0, 9, t30.FcfPPR)
		p.say(t30.FcfCTC, 0, 0x22)
		p.hear(t30.FcfDCN)
	})
	if rep.Code != t30.CodeIncompatible {
		t.Errorf("%v %s", rep.Code, rep.Text)
	}
}

// PRI-Q get the plain answers: no operator is offered, none is promised.
func TestAnswer_PRIQ(t *testing.T) {
	rep, _ := calledBy(t, t30test.Config{}, t30.Session{Sink: judged(goodPage, poorPage, badPage, goodPage)}, func(p peer) {
		p.hear(t30.FcfDIS)
		p.train(dcsPlain)
		p.pageEnds(1, t30.FcfPRM, t30.FcfMCF)
		p.pageEnds(2, t30.FcfPRE, t30.FcfRTP)
		p.hear(t30.FcfDIS)
		p.train(dcsPlain)
		p.pageEnds(3, t30.FcfPRP, t30.FcfRTN)
		p.train(dcsPlain)
		p.pageEnds(3, t30.FcfPRP, t30.FcfMCF)
		p.say(t30.FcfDCN)
	})
	if rep.Code != t30.CodeOK || rep.Received != 3 {
		t.Errorf("%v, %d received", rep.Code, rep.Received)
	}
}

// shelf offers one document to those who name it.
type shelf struct {
	name string
	doc  *t30test.Document
	far  []t30.Remote
}

func (s *shelf) Next(_ context.Context, far t30.Remote) (t30.PageSource, error) {
	s.far = append(s.far, far)
	if len(s.far) > 1 || far.Selective != s.name {
		return nil, io.EOF
	}
	return s.doc, nil
}

func TestAnswer_Polled(t *testing.T) {
	dtc := []byte{0, 0x06, 0x70}
	id := func(s string) []byte {
		b := []byte("                    ")
		for i := range s {
			b[i] = s[len(s)-1-i]
		}
		return b
	}
	frames := func(sep, pwd string) (f []t30.Frame) {
		f = append(f, t30.NewFrame(t30.FcfCIG, true, false, id("+1 555")...))
		if sep != "" {
			f = append(f, t30.NewFrame(t30.FcfSEP, true, false, id(sep)...))
		}
		if pwd != "" {
			f = append(f, t30.NewFrame(t30.FcfPWD, true, false, id(pwd)...))
		}
		return append(f, t30.NewFrame(t30.FcfDTC, true, true, dtc...))
	}
	for _, c := range []struct {
		name     string
		ask      []t30.Frame
		password string
		answer   t30.FCF
		code     t30.Code
	}{
		{"the document asked for", frames("42", ""), "", t30.FcfDCS, t30.CodeOK},
		{"with its password", frames("42", "77"), "77", t30.FcfDCS, t30.CodeOK},
		{"another document", frames("43", ""), "", t30.FcfDCN, t30.CodeNothingToPoll},
		{"none named", frames("", ""), "", t30.FcfDCN, t30.CodeNothingToPoll},
		{"a wrong password", frames("42", "78"), "77", t30.FcfDCN, t30.CodePassword},
		{"no password", frames("42", ""), "77", t30.FcfDCN, t30.CodePassword},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &shelf{name: "42", doc: t30test.NewDocument(1, 1, 100)}
			rep, _ := calledBy(t, t30test.Config{}, t30.Session{Send: s, NeedPassword: c.password}, func(p peer) {
				if f := p.hear(t30.FcfDIS); !t30Bit(f.FIF(), 9) || !t30Bit(f.FIF(), 47) || t30Bit(f.FIF(), 10) {
					p.t.Errorf("DIS %v does not offer a document", f)
				}
				p.raw(c.ask...)
				p.hear(c.answer)
				if c.answer == t30.FcfDCS {
					p.fetch()
				}
			})
			if rep.Code != c.code || (rep.Sent == 1) != (c.code == t30.CodeOK) {
				t.Errorf("%v %s, sent %d", rep.Code, rep.Text, rep.Sent)
			}
			if c.code != t30.CodePassword && (len(s.far) == 0 || s.far[0].ID != "+1 555") {
				t.Errorf("asked for %+v", s.far)
			}
		})
	}
}

// fetch takes the page of one document after its DCS.
func (p peer) fetch() {
	p.t.Helper()
	p.take(v29)
	p.say(t30.FcfCFR)
	p.take(v29)
	p.hear(t30.FcfEOP)
	p.say(t30.FcfMCF)
	p.hear(t30.FcfDCN)
}

func t30Bit(fif []byte, n int) bool {
	return (n-1)/8 < len(fif) && fif[(n-1)/8]>>((n-1)%8)&1 == 1
}

// A caller that answers DIS with DIS wants our document, if there is one for everybody.
func TestAnswer_DISInPlaceOfDTC(t *testing.T) {
	dis := []byte{0, 0x06 | 0x02, 0x70}
	for _, c := range []struct {
		name     string
		doc      bool
		password string
		code     t30.Code
	}{{"a document", true, "", t30.CodeOK}, {"one with a password", true, "77", t30.CodePassword}, {"none", false, "", t30.CodeNoDocument}} {
		t.Run(c.name, func(t *testing.T) {
			s := t30.Session{Sink: &t30test.Sink{}, NeedPassword: c.password}
			doc := t30test.NewDocument(1, 1, 100)
			if c.doc {
				s.Send = t30test.Docs(doc)
			}
			rep, _ := calledBy(t, t30test.Config{}, s, func(p peer) {
				p.hear(t30.FcfDIS)
				p.say(t30.FcfDIS, dis...)
				if c.code != t30.CodeOK {
					p.hear(t30.FcfDCN)
					return
				}
				p.hear(t30.FcfDCS)
				p.fetch()
			})
			if rep.Code != c.code {
				t.Errorf("%v %s", rep.Code, rep.Text)
			}
		})
	}
}

// T1 runs anew in the phase B after EOM, and ends in DCN.
func TestAnswer_T1AfterEOM(t *testing.T) {
	var from time.Time
	rep, _ := calledBy(t, t30test.Config{}, t30.Session{Sink: &t30test.Sink{}}, func(p peer) {
		p.hear(t30.FcfDIS)
		p.train(dcsPlain)
		p.pageEnds(1, t30.FcfEOM, t30.FcfMCF)
		from = time.Now()
		for n := 0; ; n++ {
			f, err := p.l.ReceiveFrame(p.t.Context(), 10*time.Second)
			if err != nil || f.FCF() == t30.FcfDCN {
				if n < 7 || err != nil {
					p.t.Errorf("after %d DIS: %v, %v", n, f, err)
				}
				break
			}
		}
		if d := time.Since(from); d < 6*time.Second+30*time.Second || d > 7*time.Second+42*time.Second {
			p.t.Errorf("DCN %v after MCF, want T2 and T1", d)
		}
	})
	if rep.Code != t30.CodeNoDocument || rep.Received != 1 {
		t.Errorf("%v %s", rep.Code, rep.Text)
	}
}

// Our answer comes at the low end of T.30's 75 ± 20 ms, and storing runs meanwhile.
func TestAnswer_AtTheLowEndOfThePause(t *testing.T) {
	const signal = time.Second + 6*8*time.Second/300 + 20*time.Millisecond // preamble, MCF with FCS and flag, closing flags
	for _, disk := range []time.Duration{0, 40 * time.Millisecond, 200 * time.Millisecond} {
		calledBy(t, t30test.Config{}, t30.Session{Sink: &t30test.Sink{FinishDelay: disk}}, func(p peer) {
			p.hear(t30.FcfDIS)
			p.say(t30.FcfDCS, dcsPlain...)
			p.tcf()
			from := time.Now()
			p.hear(t30.FcfCFR)
			if d := time.Since(from) - signal; d < 55*time.Millisecond || d > 60*time.Millisecond {
				p.t.Errorf("CFR after %v", d)
			}
			p.page(1)
			p.say(t30.FcfEOP)
			from = time.Now()
			p.hear(t30.FcfMCF)
			if d, least := time.Since(from)-signal, max(disk, 55*time.Millisecond); d < least || d > least+5*time.Millisecond {
				p.t.Errorf("MCF after %v, disk %v", d, disk)
			}
			p.say(t30.FcfDCN)
		})
	}
}

// The limits of a page without ECM go by the paper, not by the line.
func TestAnswer_QualityLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		dcs    []byte
		q      t30.Quality
		answer t30.FCF
	}{
		{"whole", dcsWith(3), t30.Quality{Lines: 1000}, t30.FcfMCF},
		{"2 %", dcsWith(3), t30.Quality{Lines: 1000, BadLines: 20, LongestBad: 1}, t30.FcfMCF},
		{"above 2 %", dcsWith(3), t30.Quality{Lines: 1000, BadLines: 21, LongestBad: 1}, t30.FcfRTP},
		{"5 %", dcsWith(3), t30.Quality{Lines: 1000, BadLines: 50, LongestBad: 1}, t30.FcfRTP},
		{"above 5 %", dcsWith(3), t30.Quality{Lines: 1000, BadLines: 51, LongestBad: 1}, t30.FcfRTN},
		{"3 lines in a row", dcsWith(3), t30.Quality{Lines: 1000, BadLines: 3, LongestBad: 3}, t30.FcfMCF},
		{"4 lines in a row", dcsWith(3), t30.Quality{Lines: 1000, BadLines: 4, LongestBad: 4}, t30.FcfRTP},
		{"6 lines in a row", dcsWith(3), t30.Quality{Lines: 1000, BadLines: 6, LongestBad: 6}, t30.FcfRTN},
		{"6 in fine", dcsWith(3, 15), t30.Quality{Lines: 1000, BadLines: 6, LongestBad: 6}, t30.FcfMCF},
		{"10 in fine", dcsWith(3, 15), t30.Quality{Lines: 1000, BadLines: 10, LongestBad: 10}, t30.FcfRTP},
		{"11 in fine", dcsWith(3, 15), t30.Quality{Lines: 1000, BadLines: 11, LongestBad: 11}, t30.FcfRTN},
		{"20 in superfine", dcsWith(6, 41), t30.Quality{Lines: 2000, BadLines: 20, LongestBad: 20}, t30.FcfRTP},
		{"21 in superfine", dcsWith(6, 41), t30.Quality{Lines: 2000, BadLines: 21, LongestBad: 21}, t30.FcfRTN},
	} {
		t.Run(c.name, func(t *testing.T) {
			calledBy(t, t30test.Config{}, t30.Session{Sink: judged(c.q)}, func(p peer) {
				p.hear(t30.FcfDIS)
				p.train(c.dcs)
				p.pageEnds(1, t30.FcfEOP, c.answer)
				p.say(t30.FcfDCN)
			})
		})
	}
}
