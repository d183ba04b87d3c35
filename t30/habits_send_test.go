package t30_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// DIS fields of receivers without minimum scan line time.
var (
	disPlain = []byte{0, 0x0e, 0x70}       // V.27ter, V.29
	disV17   = []byte{0, 0x2e, 0xf0, 0x04} // V.17 too, ECM
	disSlow  = []byte{0, 0x02, 0xf0, 0x04} // V.27ter 2400, ECM
)

var slow = t30.Modulation{Scheme: t30.V27ter, Rate: 2400}

func v17(rate int, short bool) t30.Modulation {
	return t30.Modulation{Scheme: t30.V17, Rate: rate, Short: short}
}

// trained takes DCS and TCF and answers with CFR.
func (p peer) trained(m t30.Modulation) {
	p.t.Helper()
	p.hear(t30.FcfDCS)
	p.take(m)
	p.say(t30.FcfCFR)
}

// blockAndPPS takes a block at m and its PPS, which it returns.
func (p peer) blockAndPPS(m t30.Modulation, frames int) t30.Frame {
	p.t.Helper()
	if n := p.takeBlock(m); n != frames {
		p.t.Errorf("%d frames, want %d", n, frames)
	}
	return p.hear(t30.FcfPPS)
}

// echoes waits for a signal and sends the same back, as a line does that echoes, after d.
func (p peer) echoes(fcf t30.FCF, d time.Duration) {
	p.t.Helper()
	var frames []t30.Frame
	for {
		f, err := p.l.ReceiveFrame(p.t.Context(), 30*time.Second)
		if err != nil {
			p.t.Errorf("peer waits for %v: %v", fcf, err)
			return
		}
		frames = append(frames, f)
		if f.Final() {
			break
		}
	}
	if f := frames[len(frames)-1]; f.FCF() != fcf {
		p.t.Errorf("peer heard %v, waits for %v", f, fcf)
	}
	_ = p.l.Silence(p.t.Context(), d)
	_ = p.l.SendFrames(p.t.Context(), frames...)
}

// farHabit is a far end that receives in a way of its own.
type farHabit struct {
	name      string
	docs      []int // pages of each document; nil: one of one
	lines     int   // of each page; 0: 400, 50 ECM frames
	dis       []byte
	play      func(p peer)
	code      t30.Code
	confirmed []int // pages of the first document
	refused   []int
	trouble   t30.Trouble
	unknown   bool
	edge      string // "": any
}

func (h farHabit) run(t *testing.T) {
	if h.docs == nil {
		h.docs = []int{1}
	}
	if h.lines == 0 {
		h.lines = 400
	}
	var docs []*t30test.Document
	for i, pages := range h.docs {
		docs = append(docs, t30test.NewDocument(uint64(i+1), pages, h.lines))
	}
	s := station("+49 30 5550100")
	s.Send = t30test.Docs(docs...)
	rep, log := played(t, false, s, func(p peer) {
		p.say(t30.FcfDIS, h.dis...)
		h.play(p)
	})
	d := docs[0]
	e := d.Ended()
	if rep.Code != h.code || rep.Trouble != h.trouble || rep.Unknown != h.unknown || len(e) != 1 ||
		!slices.Equal(d.ConfirmedPages(), h.confirmed) || !slices.Equal(d.RefusedPages(), h.refused) {
		t.Errorf("%v %q, trouble %q, unknown %v, confirmed %v, refused %v, ended %v; want %v, %q, %v, %v, %v\n%s", rep.Code, rep.Text, rep.Trouble,
			rep.Unknown, d.ConfirmedPages(), d.RefusedPages(), e, h.code, h.trouble, h.unknown, h.confirmed, h.refused, joined(log))
	}
	if rep.Remote.ID == "+49 30 5550100" {
		t.Error("our own TSI, come back, was taken for the far end's identity")
	}
	if h.edge != "" {
		wantTaken(t, log, h.edge)
	}
}

func joined(log []string) (s string) {
	for _, l := range log {
		s += l + "\n"
	}
	return s
}

func TestSendHabit_EchoOfOurSignals(t *testing.T) {
	for _, d := range []time.Duration{0, 300 * time.Millisecond} {
		farHabit{dis: disECM, code: t30.CodeOK, confirmed: []int{1}, play: func(p peer) {
			p.echoes(t30.FcfDCS, d) // and with it our TSI
			p.say(t30.FcfDIS, disECM...)
			p.hear(t30.FcfDCS)
			p.take(v29)
			p.say(t30.FcfCFR)
			p.takeBlock(v29)
			p.echoes(t30.FcfPPS, d)
			p.say(t30.FcfRNR)
			p.echoes(t30.FcfRR, d)
			p.say(t30.FcfMCF)
			p.hear(t30.FcfDCN)
		}}.run(t)
		farHabit{dis: disPlain, code: t30.CodeOK, confirmed: []int{1}, play: func(p peer) {
			p.trained(v29)
			p.take(v29)
			p.echoes(t30.FcfEOP, d)
			p.say(t30.FcfMCF)
			p.hear(t30.FcfDCN)
		}}.run(t)
	}
}

func TestSendHabit_LateCFR(t *testing.T) {
	farHabit{name: "begins within T4", dis: disPlain, code: t30.CodeOK, confirmed: []int{1}, play: func(p peer) {
		p.hear(t30.FcfDCS)
		p.take(v29)
		_ = p.l.Silence(p.t.Context(), 2900*time.Millisecond)
		p.say(t30.FcfCFR)
		p.take(v29)
		p.hear(t30.FcfEOP)
		p.say(t30.FcfMCF)
		p.hear(t30.FcfDCN)
	}}.run(t)
	farHabit{name: "meets our DCS", dis: disPlain, code: t30.CodeOK, confirmed: []int{1}, play: func(p peer) {
		p.hear(t30.FcfDCS)
		p.take(v29)
		_ = p.l.Silence(p.t.Context(), 3300*time.Millisecond)
		p.say(t30.FcfCFR) // while we send DCS again, which it misses
		_ = p.l.Silence(p.t.Context(), 620*time.Millisecond)
		p.take(v29) // our TCF, a page to it
		p.say(t30.FcfCFR)
		p.take(v29)
		p.hear(t30.FcfEOP)
		p.say(t30.FcfMCF)
		p.hear(t30.FcfDCN)
	}}.run(t)
}

func TestSendHabit_BeginsAnewInPlaceOfAnAnswer(t *testing.T) {
	for _, h := range []farHabit{
		{name: "MPS", docs: []int{2}, dis: disPlain, code: t30.CodeOK, confirmed: []int{1, 2}, edge: "post -> choose", play: func(p peer) {
			p.trained(v29)
			p.take(v29)
			for range 2 {
				p.hear(t30.FcfMPS)
				p.say(t30.FcfDIS, disPlain...)
			}
			p.trained(v29)
			for _, cmd := range []t30.FCF{t30.FcfMPS, t30.FcfEOP} {
				p.take(v29)
				p.hear(cmd)
				p.say(t30.FcfMCF)
			}
			p.hear(t30.FcfDCN)
		}},
		{name: "once only", dis: disPlain, code: t30.CodeOK, confirmed: []int{1}, play: func(p peer) {
			p.trained(v29)
			p.take(v29)
			p.hear(t30.FcfEOP)
			p.say(t30.FcfDIS, disPlain...)
			p.hear(t30.FcfEOP)
			p.say(t30.FcfMCF)
			p.hear(t30.FcfDCN)
		}},
		{name: "PPS-EOP, and gone", dis: disECM, code: t30.CodeHungUpC, unknown: true, edge: "partial -> choose", play: func(p peer) {
			p.trained(v29)
			p.takeBlock(v29)
			for range 2 {
				p.hear(t30.FcfPPS)
				p.say(t30.FcfDIS, disECM...)
			}
			p.hear(t30.FcfDCS)
			_ = p.l.Hangup()
		}},
		{name: "RR, second block", lines: 3000, dis: disECM, code: t30.CodeOK, confirmed: []int{1}, edge: "not-ready -> choose", play: func(p peer) {
			p.trained(v29)
			p.blockAndPPS(v29, 256)
			p.say(t30.FcfMCF)
			p.blockAndPPS(v29, 119)
			p.say(t30.FcfRNR)
			for range 2 {
				p.hear(t30.FcfRR)
				p.say(t30.FcfDIS, disECM...)
			}
			p.trained(v29)
			p.blockAndPPS(v29, 256)
			p.say(t30.FcfMCF)
			p.blockAndPPS(v29, 119)
			p.say(t30.FcfMCF)
			p.hear(t30.FcfDCN)
		}},
		{name: "for ever", dis: disPlain, code: t30.CodeNoReplyPage, unknown: true, play: func(p peer) {
			for range 3 {
				p.trained(v29)
				p.take(v29)
				for range 2 {
					p.hear(t30.FcfEOP)
					p.say(t30.FcfDIS, disPlain...)
				}
			}
			p.hear(t30.FcfDCN)
		}},
	} {
		t.Run(h.name, h.run)
	}
}

func TestSendHabit_OddPPR(t *testing.T) {
	for _, c := range []struct {
		name string
		fif  []byte
		want int // frames sent again
	}{
		{"empty", nil, 1},
		{"one octet", []byte{0x05}, 2},
		{"all of 255 octets", slices.Repeat([]byte{0xff}, 100), 50},
		{"frames beyond the block only", append(make([]byte, 7), slices.Repeat([]byte{0xff}, 25)...), 1},
	} {
		farHabit{name: c.name, dis: disECM, code: t30.CodeOK, confirmed: []int{1}, play: func(p peer) {
			p.trained(v29)
			p.blockAndPPS(v29, 50)
			p.say(t30.FcfPPR, c.fif...)
			if f := p.blockAndPPS(v29, c.want); f.FIF()[3] != byte(c.want-1) {
				p.t.Errorf("%s: %v, want a count of %d", c.name, f, c.want)
			}
			p.say(t30.FcfMCF)
			p.hear(t30.FcfDCN)
		}}.run(t)
	}
}

func TestSendHabit_LateCTR(t *testing.T) {
	next := t30.Modulation{Scheme: t30.V29, Rate: 7200}
	farHabit{dis: disECM, code: t30.CodeOK, confirmed: []int{1}, play: func(p peer) {
		p.trained(v29)
		for i := range 4 {
			p.blockAndPPS(v29, []int{50, 1, 1, 1}[i])
			p.say(t30.FcfPPR, 0x02)
		}
		p.hear(t30.FcfCTC)
		_ = p.l.Silence(p.t.Context(), 3300*time.Millisecond)
		p.say(t30.FcfCTR) // while we send CTC again
		p.hear(t30.FcfCTC)
		p.say(t30.FcfCTR)
		p.blockAndPPS(next, 1)
		p.say(t30.FcfMCF)
		p.hear(t30.FcfDCN)
	}}.run(t)
}

// A far end that answers a block twice speaks while we send the next one, and misses it.
func TestSendHabit_AnswersABlockTwice(t *testing.T) {
	farHabit{lines: 3000, dis: disECM, code: t30.CodeOK, confirmed: []int{1}, play: func(p peer) {
		p.trained(v29)
		p.blockAndPPS(v29, 256)
		p.say(t30.FcfMCF)
		p.say(t30.FcfMCF)
		f := p.hear(t30.FcfPPS)
		if f.FIF()[2] != 1 {
			p.t.Errorf("%v, want block 1", f)
		}
		p.say(t30.FcfPPR, slices.Repeat([]byte{0xff}, 32)...)
		p.blockAndPPS(v29, 119)
		p.say(t30.FcfMCF)
		p.hear(t30.FcfDCN)
	}}.run(t)
}

// What answers a block inside a page confirms no page.
func TestSendHabit_AnswersOfAPageInsideIt(t *testing.T) {
	next := t30.Modulation{Scheme: t30.V29, Rate: 7200}
	begin := func(p peer, answer t30.FCF) {
		p.trained(v29)
		p.blockAndPPS(v29, 256)
		p.say(answer)
	}
	for _, h := range []farHabit{
		{name: "RTP", code: t30.CodeOK, confirmed: []int{1}, play: func(p peer) {
			begin(p, t30.FcfRTP)
			p.blockAndPPS(v29, 119)
			p.say(t30.FcfMCF)
			p.hear(t30.FcfDCN)
		}},
		{name: "RTN, last page", code: t30.CodePageRefused, refused: []int{1}, play: func(p peer) {
			begin(p, t30.FcfRTN)
			p.hear(t30.FcfDCN)
		}},
		{name: "RTN, pages follow", docs: []int{2}, code: t30.CodeOK, confirmed: []int{1, 2}, play: func(p peer) {
			begin(p, t30.FcfRTN)
			p.trained(next)
			for range 2 {
				p.blockAndPPS(next, 256)
				p.say(t30.FcfMCF)
				p.blockAndPPS(next, 119)
				p.say(t30.FcfMCF)
			}
			p.hear(t30.FcfDCN)
		}},
		{name: "PIP", code: t30.CodeInterrupted, play: func(p peer) {
			begin(p, t30.FcfPIP)
			p.hear(t30.FcfDCN)
		}},
		{name: "an answer in no table", code: t30.CodeProtocol, play: func(p peer) {
			begin(p, t30.FcfNULL)
			p.hear(t30.FcfDCN)
		}},
	} {
		h.lines, h.dis = 3000, disECM
		t.Run(h.name, h.run)
	}
}

// deafTo lets a far end ask for the whole block four times at each rate, up to CTC or EOR.
func (p peer) deafTo(frames int, list ...t30.Modulation) {
	p.t.Helper()
	for i, m := range list {
		for range 4 {
			p.blockAndPPS(m, frames)
			p.say(t30.FcfPPR, slices.Repeat([]byte{0xff}, 32)...)
		}
		if i+1 < len(list) {
			p.hear(t30.FcfCTC)
			p.say(t30.FcfCTR)
		}
	}
}

func TestSendHabit_FumblesECM(t *testing.T) {
	all := []t30.Modulation{v29, {Scheme: t30.V29, Rate: 7200}, {Scheme: t30.V27ter, Rate: 4800}, slow}
	for _, h := range []farHabit{
		{name: "every frame missing at all rates", dis: disECM, code: t30.CodeECMGivenUp, refused: []int{1}, trouble: t30.TroubleECM, play: func(p peer) {
			p.trained(v29)
			p.deafTo(50, all...)
			p.hear(t30.FcfEOR)
			p.say(t30.FcfERR)
			p.hear(t30.FcfDCN)
		}},
		{name: "PPS never answered", dis: disECM, code: t30.CodeNoReplyPage, unknown: true, trouble: t30.TroubleECM, play: func(p peer) {
			p.trained(v29)
			p.takeBlock(v29)
			for range 3 {
				p.hear(t30.FcfPPS)
			}
			p.hear(t30.FcfDCN)
		}},
		{name: "a noisy line is no fumbling", dis: disSlow, code: t30.CodeECMGivenUp, refused: []int{1}, play: func(p peer) {
			p.trained(slow)
			p.blockAndPPS(slow, 50)
			for range 3 {
				p.say(t30.FcfPPR, 0x03)
				p.blockAndPPS(slow, 2)
			}
			p.say(t30.FcfPPR, 0x03)
			p.hear(t30.FcfEOR)
			p.say(t30.FcfERR)
			p.hear(t30.FcfDCN)
		}},
	} {
		t.Run(h.name, h.run)
	}
}

func TestSendHabit_FumblesV17(t *testing.T) {
	for _, h := range []farHabit{
		{name: "never trains", code: t30.CodeOK, confirmed: []int{1}, trouble: t30.TroubleV17, play: func(p peer) {
			for _, rate := range []int{14400, 12000, 9600} {
				p.hear(t30.FcfDCS)
				p.take(v17(rate, false))
				p.say(t30.FcfFTT)
			}
			p.trained(v29)
			p.blockAndPPS(v29, 50)
			p.say(t30.FcfMCF)
			p.hear(t30.FcfDCN)
		}},
		{name: "is silent after its TCF", code: t30.CodeNoReplyDCS, trouble: t30.TroubleV17, play: func(p peer) {
			for range 3 {
				p.hear(t30.FcfDCS)
				p.take(v17(14400, false))
			}
			p.hear(t30.FcfDCN)
		}},
		{name: "never gets its short training", code: t30.CodeOK, confirmed: []int{1}, trouble: t30.TroubleV17, play: func(p peer) {
			p.trained(v17(14400, false))
			for i, rate := range []int{14400, 12000, 9600} {
				for n := range 4 {
					p.blockAndPPS(v17(rate, i == 0 || n > 0), 50)
					p.say(t30.FcfPPR, slices.Repeat([]byte{0xff}, 32)...)
				}
				p.hear(t30.FcfCTC)
				p.say(t30.FcfCTR)
			}
			p.blockAndPPS(v29, 50)
			p.say(t30.FcfMCF)
			p.hear(t30.FcfDCN)
		}},
		{name: "trains at the second rate", code: t30.CodeOK, confirmed: []int{1}, play: func(p peer) {
			p.hear(t30.FcfDCS)
			p.take(v17(14400, false))
			p.say(t30.FcfFTT)
			p.trained(v17(12000, false))
			p.blockAndPPS(v17(12000, true), 50)
			p.say(t30.FcfMCF)
			p.hear(t30.FcfDCN)
		}},
	} {
		h.dis = disV17
		t.Run(h.name, h.run)
	}
}

func TestTrouble_String(t *testing.T) {
	if s := fmt.Sprint(t30.Trouble(0), t30.TroubleV17, t30.TroubleECM|t30.TroubleV17); s != " v17 v17+ecm" {
		t.Errorf("%q", s)
	}
}

func TestECM_GivenUpAndOn(t *testing.T) {
	give := func(p peer, m t30.Modulation, second t30.FCF) {
		p.deafTo(50, m)
		if f := p.hear(t30.FcfEOR); len(f.FIF()) != 1 || t30.FCF(f.FIF()[0]&^1) != second {
			p.t.Errorf("%v, want EOR-%v", f, second)
		}
		p.say(t30.FcfERR)
	}
	for _, h := range []farHabit{
		{name: "MPS", docs: []int{3}, confirmed: []int{2, 3}, refused: []int{1}, edge: "give-up -> block", play: func(p peer) {
			p.trained(slow)
			give(p, slow, t30.FcfMPS)
			for n := range 2 {
				if f := p.blockAndPPS(slow, 50); f.FIF()[1] != byte(n+1) {
					p.t.Errorf("%v, want page %d", f, n+1)
				}
				p.say(t30.FcfMCF)
			}
			p.hear(t30.FcfDCN)
		}},
		{name: "twice", docs: []int{3}, refused: []int{1, 2}, trouble: t30.TroubleECM, play: func(p peer) {
			p.trained(slow)
			give(p, slow, t30.FcfMPS)
			give(p, slow, t30.FcfEOP)
			p.hear(t30.FcfDCN)
		}},
		{name: "EOM", docs: []int{1, 1}, refused: []int{1}, edge: "give-up -> identify", play: func(p peer) {
			p.trained(slow)
			give(p, slow, t30.FcfEOM)
			_ = p.l.Silence(p.t.Context(), 6*time.Second)
			p.say(t30.FcfDIS, disSlow...)
			p.trained(slow)
			p.blockAndPPS(slow, 50)
			p.say(t30.FcfMCF)
			p.hear(t30.FcfDCN)
		}},
		{name: "inside a page", docs: []int{2}, lines: 3000, play: func(p peer) {
			p.trained(slow)
			p.deafTo(256, slow)
			p.hear(t30.FcfEOR)
			p.say(t30.FcfRNR)
			p.hear(t30.FcfRR)
			p.say(t30.FcfERR)
			p.hear(t30.FcfDCN)
		}, trouble: t30.TroubleECM},
	} {
		h.dis, h.code = disSlow, t30.CodeECMGivenUp
		t.Run(h.name, h.run)
	}
}
