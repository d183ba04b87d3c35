package t30_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// numbered are ECM frames whose data tells them apart, and page what they make.
func numbered(seed byte, n, size int) (frames []t30.Frame, page []byte) {
	for i := range n {
		data := bytes.Repeat([]byte{seed + byte(i) | 1}, size)
		frames = append(frames, t30.NewFrame(t30.FcfFCD, false, false, append([]byte{byte(i)}, data...)...))
		page = append(page, data...)
	}
	return frames, page
}

// blockOf sends ECM frames as they are, with so many RCP.
func (p peer) blockOf(m t30.Modulation, rcps int, frames ...t30.Frame) {
	frames = slices.Clone(frames)
	for range rcps {
		frames = append(frames, t30.NewFrame(t30.FcfRCP, false, false))
	}
	p.quiet(75 * time.Millisecond)
	_ = p.l.SendBlock(p.t.Context(), m, frames)
}

// unheard sends a carrier that does not train at the other end.
func (p peer) unheard(d time.Duration) {
	p.quiet(75 * time.Millisecond)
	m := t30.Modulation{Scheme: t30.V27ter, Rate: 2400}
	_ = p.l.SendPage(p.t.Context(), m, bytes.NewReader(make([]byte, int(d.Seconds()*2400/8))))
}

func (p peer) pps(second t30.FCF, page, block, count byte, answer t30.FCF) t30.Frame {
	p.t.Helper()
	p.say(t30.FcfPPS, byte(second), page, block, count)
	return p.hear(answer)
}

func TestHabit_ECMBlocks(t *testing.T) {
	f, _ := numbered(1, 12, 256)
	g, _ := numbered(101, 12, 256)
	v17 := t30.Modulation{Scheme: t30.V17, Rate: 14400}
	runHabits(t, []habit{
		{"PPS lost and repeated", callerFault(t30.FcfPPS, 1, 2, t30test.Drop), nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsECM)
			p.blockOf(v29, 3, f...)
			for range 2 {
				p.say(t30.FcfPPS, byte(t30.FcfEOP), 0, 0, 11)
				p.quiet(t4Time)
			}
			p.pps(t30.FcfEOP, 0, 0, 11, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"PPS again and again, MCF not heard", t30test.Config{}, nil, t30.CodeOK, 2, func(p peer) {
			p.train(dcsECM)
			p.blockOf(v29, 3, f...)
			p.pps(t30.FcfMPS, 0, 0, 11, t30.FcfMCF)
			p.quiet(t4Time)
			p.pps(t30.FcfMPS, 0, 0, 11, t30.FcfMCF)
			p.pps(t30.FcfMPS, 0, 0, 11, t30.FcfMCF)
			p.blockOf(v29, 3, g...)
			p.pps(t30.FcfEOP, 1, 0, 11, t30.FcfMCF)
			p.pps(t30.FcfEOP, 1, 0, 11, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"the whole block again, MCF not heard", t30test.Config{}, nil, t30.CodeOK, 2, func(p peer) {
			p.train(dcsECM)
			p.blockOf(v29, 3, f...)
			p.pps(t30.FcfMPS, 0, 0, 11, t30.FcfMCF)
			p.blockOf(v29, 3, f...)
			p.pps(t30.FcfMPS, 0, 0, 11, t30.FcfMCF)
			p.blockOf(v29, 3, g...)
			p.pps(t30.FcfEOP, 1, 0, 11, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"counters that stand still", t30test.Config{}, nil, t30.CodeOK, 4, func(p peer) {
			p.train(dcsECM)
			p.blockOf(v29, 3, f...)
			p.pps(t30.FcfMPS, 0, 0, 11, t30.FcfMCF)
			p.blockOf(v29, 3, g...)
			p.pps(t30.FcfMPS, 0, 0, 11, t30.FcfMCF)
			p.unheard(20 * time.Second) // the third page
			p.pps(t30.FcfMPS, 0, 0, 11, t30.FcfPPR)
			p.blockOf(v29, 3, f...)
			p.pps(t30.FcfMPS, 0, 0, 11, t30.FcfMCF)
			p.pps(t30.FcfMPS, 0, 0, 11, t30.FcfMCF)
			p.blockOf(v29, 3, g...)
			p.pps(t30.FcfEOP, 0, 0, 11, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"partial count of what is sent again", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsECM)
			p.blockOf(v29, 3, f[:9]...)
			p.pps(t30.FcfEOP, 0, 0, 11, t30.FcfPPR)
			p.blockOf(v29, 3, f[9:11]...)
			p.pps(t30.FcfEOP, 0, 0, 1, t30.FcfPPR)
			p.blockOf(v29, 3, f[11])
			p.pps(t30.FcfEOP, 0, 0, 0, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"RCP lost", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsECM)
			p.blockOf(v29, 0, f...)
			p.pps(t30.FcfEOP, 0, 0, 11, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"the carrier never trained", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsECM)
			p.unheard(25 * time.Second)
			if ppr := p.pps(t30.FcfEOP, 0, 0, 11, t30.FcfPPR); len(ppr.FIF()) != 32 || ppr.FIF()[0] != 0xff || ppr.FIF()[1] != 0xff {
				p.t.Errorf("PPR % x, want all", ppr.FIF())
			}
			p.blockOf(v29, 3, f...)
			p.pps(t30.FcfEOP, 0, 0, 11, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"CTC to another modulation", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) {
			p.say(t30.FcfDCS, 0, 0x22, 0x70, 0x44)
			p.quiet(75 * time.Millisecond)
			_ = p.l.SendTCF(p.t.Context(), v17, 1500*time.Millisecond)
			p.hear(t30.FcfCFR)
			short := v17
			short.Short = true
			p.blockOf(short, 3, f[:5]...)
			p.pps(t30.FcfEOP, 0, 0, 11, t30.FcfPPR)
			p.say(t30.FcfCTC, 0, 0x06)
			p.hear(t30.FcfCTR)
			p.blockOf(v29, 3, f[5:]...)
			p.pps(t30.FcfEOP, 0, 0, 6, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"CTC repeated, CTR not heard", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsECM)
			p.blockOf(v29, 3, f[:5]...)
			p.pps(t30.FcfEOP, 0, 0, 11, t30.FcfPPR)
			for range 2 {
				p.say(t30.FcfCTC, 0, 0x0e)
				p.hear(t30.FcfCTR)
			}
			p.blockOf(t30.Modulation{Scheme: t30.V29, Rate: 7200}, 3, f[5:]...)
			p.pps(t30.FcfEOP, 0, 0, 6, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"RR without RNR", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsECM)
			p.blockOf(v29, 3, f...)
			p.pps(t30.FcfEOP, 0, 0, 11, t30.FcfMCF)
			p.say(t30.FcfRR)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"PPS of a block that never came, after the last", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsECM)
			p.blockOf(v29, 3, f...)
			p.pps(t30.FcfEOP, 0, 0, 11, t30.FcfMCF)
			p.say(t30.FcfPPS, byte(t30.FcfEOP), 1, 0, 11)
			p.quiet(t4Time)
			p.say(t30.FcfDCN)
		}},
		{"CRP for a PPS that we did not hear", t30test.Config{}, nil, t30.CodeOK, 2, func(p peer) {
			p.train(dcsECM)
			p.blockOf(v29, 3, f...)
			p.pps(t30.FcfMPS, 0, 0, 11, t30.FcfMCF)
			p.blockOf(v29, 3, g...)
			p.say(t30.FcfCRP) // MCF now would be for the second page
			p.quiet(t4Time)
			p.pps(t30.FcfEOP, 1, 0, 11, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"PRI-Q", t30test.Config{}, nil, t30.CodeOK, 2, func(p peer) {
			p.train(dcsECM)
			p.blockOf(v29, 3, f...)
			p.pps(t30.FcfPRM, 0, 0, 11, t30.FcfMCF)
			p.blockOf(v29, 3, g...)
			p.pps(t30.FcfPRP, 1, 0, 11, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
	})
}

// What was received is the page, in whatever order and shape its frames came.
func TestHabit_ECMFramesOutOfOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		dcs  []byte
		send func(p peer, f []t30.Frame)
	}{
		{"backwards, some twice", 256, dcsECM, func(p peer, f []t30.Frame) {
			r := slices.Clone(f)
			slices.Reverse(r)
			p.blockOf(v29, 3, append(r, f[3], f[7])...)
		}},
		{"64 octets", 64, []byte{0, 0x06, 0x70, 0x4c}, func(p peer, f []t30.Frame) { p.blockOf(v29, 3, f...) }},
		{"frames of another size and none", 64, []byte{0, 0x06, 0x70, 0x4c}, func(p peer, f []t30.Frame) {
			long := t30.NewFrame(t30.FcfFCD, false, false, append([]byte{2}, make([]byte, 256)...)...)
			short := t30.NewFrame(t30.FcfFCD, false, false)
			p.blockOf(v29, 3, append([]t30.Frame{short, long, {0x55, 0x03, 0x06, 1, 2}}, f...)...)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, want := numbered(1, 12, c.size)
			sink := &t30test.Sink{}
			rep, _ := calledBy(t, t30test.Config{}, t30.Session{Sink: sink}, func(p peer) {
				p.hear(t30.FcfDIS)
				p.train(c.dcs)
				c.send(p, f)
				p.pps(t30.FcfEOP, 0, 0, 11, t30.FcfMCF)
				p.say(t30.FcfDCN)
			})
			if kept := sink.Kept(); rep.Code != t30.CodeOK || len(kept) != 1 || !bytes.Equal(kept[0], want) {
				t.Errorf("%v, kept %d pages", rep.Code, len(kept))
			}
		})
	}
}

// A page that became durable while the call went down is received, though the far end may not know.
func TestHabit_HangsUpWhileThePageIsStored(t *testing.T) {
	f, _ := numbered(1, 3, 256)
	sink := &t30test.Sink{FinishDelay: 20 * time.Second}
	rep, _ := calledBy(t, t30test.Config{}, t30.Session{Sink: sink}, func(p peer) {
		p.hear(t30.FcfDIS)
		p.train(dcsECM)
		p.blockOf(v29, 3, f...)
		p.pps(t30.FcfEOP, 0, 0, 2, t30.FcfRNR)
		_ = p.l.Hangup()
	})
	if rep.Received != 1 || len(sink.Kept()) != 1 || rep.Code != t30.CodeHungUpC {
		t.Errorf("%v, received %d, kept %d", rep.Code, rep.Received, len(sink.Kept()))
	}
}
