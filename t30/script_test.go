package t30_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// peer is a far end that a test plays by hand, for what our own engine never does.
type peer struct {
	t *testing.T
	l *t30test.End
	x bool
}

// say sends one signal of one frame.
func (p peer) say(fcf t30.FCF, fif ...byte) {
	ctx := p.t.Context()
	_ = p.l.Silence(ctx, 75*time.Millisecond)
	if err := p.l.SendFrames(ctx, t30.NewFrame(fcf, p.x, true, fif...)); err != nil {
		p.t.Logf("peer: send %v: %v", fcf, err)
	}
}

// hear waits for a final frame and wants it to be fcf.
func (p peer) hear(fcf t30.FCF) t30.Frame {
	p.t.Helper()
	for {
		f, err := p.l.ReceiveFrame(p.t.Context(), 30*time.Second)
		if err != nil {
			p.t.Errorf("peer waits for %v: %v", fcf, err)
			return nil
		}
		if !f.Final() {
			continue
		}
		if f.FCF() != fcf {
			p.t.Errorf("peer heard %v, waits for %v", f, fcf)
		}
		return f
	}
}

// dcs are DCS fields for V.29 9600: MH standard without ECM, and MMR with it.
var (
	dcsPlain = []byte{0, 0x06, 0x70}
	dcsECM   = []byte{0, 0x06, 0x70, 0x44}
	v29      = t30.Modulation{Scheme: t30.V29, Rate: 9600}
)

// train sends a DCS with its TCF and waits for CFR.
func (p peer) train(dcs []byte) {
	p.t.Helper()
	p.say(t30.FcfDCS, dcs...)
	p.tcf()
	p.hear(t30.FcfCFR)
}

func (p peer) tcf() {
	_ = p.l.Silence(p.t.Context(), 75*time.Millisecond)
	_ = p.l.SendTCF(p.t.Context(), v29, 1500*time.Millisecond)
}

func (p peer) page(n int) {
	_ = p.l.Silence(p.t.Context(), 75*time.Millisecond)
	_ = p.l.SendPage(p.t.Context(), v29, bytes.NewReader(t30test.MakePage(uint64(n), 400)))
}

// block sends ECM frames from to to of a block.
func (p peer) block(from, to int) {
	var frames []t30.Frame
	for i := from; i < to; i++ {
		frames = append(frames, t30.NewFrame(t30.FcfFCD, false, false, append([]byte{byte(i)}, make([]byte, 256)...)...))
	}
	rcp := t30.NewFrame(t30.FcfRCP, false, false)
	_ = p.l.Silence(p.t.Context(), 75*time.Millisecond)
	_ = p.l.SendBlock(p.t.Context(), v29, append(frames, rcp, rcp, rcp))
}

// take receives one carrier.
func (p peer) take(m t30.Modulation) {
	p.t.Helper()
	var b bytes.Buffer
	if err := p.l.ReceivePage(p.t.Context(), m, 10*time.Second, &b); err != nil {
		p.t.Errorf("peer waits for %v: %v", m, err)
	}
}

func (p peer) takeBlock(m t30.Modulation) (n int) {
	p.t.Helper()
	err := p.l.ReceiveBlock(p.t.Context(), m, 10*time.Second, func(f t30.Frame) {
		if f.FCF() == t30.FcfFCD {
			n++
		}
	})
	if err != nil {
		p.t.Errorf("peer waits for a block at %v: %v", m, err)
	}
	return n
}

// played runs our engine in one role against a peer.
func played(t *testing.T, called bool, s t30.Session, play func(p peer)) (rep t30.Report, log []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s.Trace = recorder(t, &log)
		a, b := t30test.Pair(t30test.Config{}, t30test.All, t30test.All)
		done := make(chan struct{})
		go func() {
			defer close(done)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if called {
				rep, _ = t30.Answer(ctx, b, s)
			} else {
				rep, _ = t30.Originate(ctx, a, s)
			}
		}()
		p := peer{t: t, l: a, x: true}
		if !called {
			p.l, p.x = b, false
		}
		play(p)
		<-done
		time.Sleep(time.Second)
	})
	if t.Failed() {
		t.Logf("%v %s\n%s", rep.Code, rep.Text, strings.Join(log, "\n"))
	}
	return rep, log
}

// wantTaken wants a transition to have been made.
func wantTaken(t *testing.T, log []string, edge string) {
	t.Helper()
	for _, l := range log {
		if strings.HasSuffix(l, edge) {
			return
		}
	}
	t.Errorf("no %s in\n%s", edge, strings.Join(log, "\n"))
}

func TestAnswer_OddCallers(t *testing.T) {
	for _, c := range []struct {
		name, edge string
		play       func(p peer)
		received   int
	}{
		{"DCS at once after EOM", "after-eom -> settings", func(p peer) {
			p.hear(t30.FcfDIS)
			p.train(dcsPlain)
			p.page(1)
			p.say(t30.FcfEOM)
			p.hear(t30.FcfMCF)
			p.train(dcsPlain)
			p.page(2)
			p.say(t30.FcfEOP)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}, 2},
		{"DCS after EOP", "after-eop -> settings", func(p peer) {
			p.hear(t30.FcfDIS)
			p.train(dcsPlain)
			p.page(1)
			p.say(t30.FcfEOP)
			p.hear(t30.FcfMCF)
			p.train(dcsPlain)
			p.page(2)
			p.say(t30.FcfEOP)
			p.hear(t30.FcfMCF)
		}, 2},
		{"CRP for CFR", "command -> receive", func(p peer) {
			p.hear(t30.FcfDIS)
			p.train(dcsPlain)
			p.say(t30.FcfCRP)
			p.hear(t30.FcfCFR)
			p.page(1)
			p.say(t30.FcfPRP)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}, 1},
		{"CRP for FTT", "await-dcs -> await-dcs", func(p peer) {
			p.hear(t30.FcfDIS)
			p.say(t30.FcfDCS, dcsPlain...)
			p.hear(t30.FcfFTT)
			p.say(t30.FcfCRP)
			p.hear(t30.FcfFTT)
			p.train(dcsPlain)
			p.page(1)
			p.say(t30.FcfEOP)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}, 1},
		{"DCS again in place of TCF", "tcf -> await-dcs", func(p peer) {
			p.hear(t30.FcfDIS)
			p.say(t30.FcfDCS, dcsPlain...)
			p.train(dcsPlain)
			p.page(1)
			p.say(t30.FcfEOP)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}, 1},
		{"MPS three times", "answer -> receive", func(p peer) {
			p.hear(t30.FcfDIS)
			p.train(dcsPlain)
			p.page(1)
			for range 3 {
				p.say(t30.FcfMPS)
				p.hear(t30.FcfMCF)
				_ = p.l.Silence(p.t.Context(), 1700*time.Millisecond)
			}
			p.page(2)
			p.say(t30.FcfEOP)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}, 2},
		{"PPS without fields, RR for a lost PPR", "pps -> pps", func(p peer) {
			p.hear(t30.FcfDIS)
			p.train(dcsECM)
			p.block(0, 10)
			p.say(t30.FcfPPS)
			p.say(t30.FcfPPS, byte(t30.FcfEOP), 0, 0, 11)
			f := p.hear(t30.FcfPPR)
			if fif := f.FIF(); len(fif) != 32 || fif[0] != 0 || fif[1] != 0xfc || fif[31] != 0xff {
				p.t.Errorf("PPR % x", fif)
			}
			p.say(t30.FcfRR)
			p.hear(t30.FcfPPR)
			p.block(10, 12)
			p.say(t30.FcfPPS, byte(t30.FcfEOP), 0, 0, 1)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}, 1},
		{"EOR-EOM, then a good page", "pps -> after-eom", func(p peer) {
			p.hear(t30.FcfDIS)
			p.train(dcsECM)
			p.block(0, 10)
			p.say(t30.FcfPPS, byte(t30.FcfEOM), 0, 0, 11)
			p.hear(t30.FcfPPR)
			p.say(t30.FcfEOR, byte(t30.FcfEOM))
			p.hear(t30.FcfERR)
			p.hear(t30.FcfDIS)
			p.train(dcsECM)
			p.block(0, 3)
			p.say(t30.FcfPPS, byte(t30.FcfEOP), 1, 0, 2)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}, 1},
		{"EOR-NULL, then the rest of the page", "pps -> receive-block", func(p peer) {
			p.hear(t30.FcfDIS)
			p.train(dcsECM)
			p.block(0, 10)
			p.say(t30.FcfPPS, byte(t30.FcfNULL), 0, 0, 11)
			p.hear(t30.FcfPPR)
			p.say(t30.FcfEOR, byte(t30.FcfNULL))
			p.hear(t30.FcfERR)
			p.block(0, 3)
			p.say(t30.FcfPPS, byte(t30.FcfEOP), 0, 1, 2)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			sink := &t30test.Sink{}
			rep, log := played(t, true, t30.Session{Sink: sink}, c.play)
			wantTaken(t, log, c.edge)
			if rep.Received != c.received {
				t.Errorf("received %d, want %d: %v %s", rep.Received, c.received, rep.Code, rep.Text)
			}
		})
	}
}

func TestAnswer_PolledAfterEOM(t *testing.T) {
	doc, sink := t30test.NewDocument(1, 1, 400), &t30test.Sink{}
	rep, log := played(t, true, t30.Session{Sink: sink, Send: t30test.Docs(doc)}, func(p peer) {
		p.hear(t30.FcfDIS)
		p.train(dcsPlain)
		p.page(1)
		p.say(t30.FcfEOM)
		p.hear(t30.FcfMCF)
		p.say(t30.FcfDTC, 0, 0x06, 0x70)
		p.hear(t30.FcfDCS)
		p.take(v29)
		p.say(t30.FcfCFR)
		p.take(v29)
		p.hear(t30.FcfEOP)
		p.say(t30.FcfMCF)
		p.hear(t30.FcfDCN)
	})
	wantTaken(t, log, "after-eom -> choose")
	if rep.Code != t30.CodeOK || rep.Sent != 1 || rep.Received != 1 {
		t.Errorf("%+v", rep)
	}
}

func TestPoll_SeveralDocuments(t *testing.T) {
	theirs := []*t30test.Document{t30test.NewDocument(1, 1, 400), t30test.NewDocument(2, 1, 400)}
	sink := &t30test.Sink{}
	k := sending(t30test.Config{}, &t30test.Sink{})
	k.caller.Send, k.caller.Poll, k.caller.Sink = nil, &t30.Poll{}, sink
	k.answer.Send = t30test.Docs(theirs...)
	o := k.run(t)
	wantOK(t, o)
	wantPages(t, o, sink, theirs...)
	if !o.heard("after-eom -> ask") {
		t.Error("no DTC after EOM")
	}
}

// disECM is a DIS of a receiver with ECM at V.27ter and V.29.
var disECM = []byte{0, 0x0e, 0xf0, 0x04}

func TestSend_OddReceivers(t *testing.T) {
	// four lets the sender come to its fourth PPR, asked for through RNR.
	four := func(p peer, m t30.Modulation) {
		for i := range 4 {
			p.takeBlock(m)
			p.hear(t30.FcfPPS)
			if i == 3 {
				p.say(t30.FcfRNR)
				p.hear(t30.FcfRR)
			}
			p.say(t30.FcfPPR, 0x01)
		}
	}
	slow := []byte{0, 0x02, 0xf0, 0x04} // V.27ter at 2400 only
	for _, c := range []struct {
		name, edge string
		dis        []byte
		code       t30.Code
		play       func(p peer)
	}{
		{"fourth PPR after RNR", "not-ready -> continue", disECM, t30.CodeOK, func(p peer) {
			p.hear(t30.FcfDCS)
			p.take(v29)
			p.say(t30.FcfCFR)
			four(p, v29)
			f := p.hear(t30.FcfCTC)
			if !bytes.Equal(f.FIF(), []byte{0, 0x0c}) {
				p.t.Errorf("CTC % x, want V.29 7200", f.FIF())
			}
			p.say(t30.FcfCTR)
			if n := p.takeBlock(t30.Modulation{Scheme: t30.V29, Rate: 7200}); n != 1 {
				p.t.Errorf("%d frames after CTR, want 1", n)
			}
			p.hear(t30.FcfPPS)
			p.say(t30.FcfMCF)
			p.hear(t30.FcfDCN)
		}},
		{"fourth PPR after RNR at the lowest rate", "not-ready -> give-up", slow, t30.CodeECMGivenUp, func(p peer) {
			p.hear(t30.FcfDCS)
			m := t30.Modulation{Scheme: t30.V27ter, Rate: 2400}
			p.take(m)
			p.say(t30.FcfCFR)
			four(p, m)
			p.hear(t30.FcfEOR)
			p.say(t30.FcfERR)
			p.hear(t30.FcfDCN)
		}},
		{"RTN for PPS-EOP", "partial -> refused", disECM, t30.CodePageRefused, func(p peer) {
			p.hear(t30.FcfDCS)
			p.take(v29)
			p.say(t30.FcfCFR)
			p.takeBlock(v29)
			p.hear(t30.FcfPPS)
			p.say(t30.FcfRTN)
			p.hear(t30.FcfDCN)
		}},
		{"RTN after RNR", "not-ready -> refused", disECM, t30.CodePageRefused, func(p peer) {
			p.hear(t30.FcfDCS)
			p.take(v29)
			p.say(t30.FcfCFR)
			p.takeBlock(v29)
			p.hear(t30.FcfPPS)
			p.say(t30.FcfRNR)
			p.hear(t30.FcfRR)
			p.say(t30.FcfRTN)
			p.hear(t30.FcfDCN)
		}},
		{"PIN", "partial -> disconnect", disECM, t30.CodeInterrupted, func(p peer) {
			p.hear(t30.FcfDCS)
			p.take(v29)
			p.say(t30.FcfCFR)
			p.takeBlock(v29)
			p.hear(t30.FcfPPS)
			p.say(t30.FcfPIN)
			p.hear(t30.FcfDCN)
		}},
		{"an answer in no table", "partial -> disconnect", disECM, t30.CodeProtocol, func(p peer) {
			p.hear(t30.FcfDCS)
			p.take(v29)
			p.say(t30.FcfCFR)
			p.takeBlock(v29)
			p.hear(t30.FcfPPS)
			p.say(t30.FcfNULL)
			p.hear(t30.FcfDCN)
		}},
		{"RNR for ever", "not-ready -> disconnect", disECM, t30.CodeReceiverBusy, func(p peer) {
			p.hear(t30.FcfDCS)
			p.take(v29)
			p.say(t30.FcfCFR)
			p.takeBlock(v29)
			p.hear(t30.FcfPPS)
			for {
				p.say(t30.FcfRNR)
				if f, err := p.l.ReceiveFrame(p.t.Context(), 5*time.Second); err != nil || f.FCF() != t30.FcfRR {
					break
				}
			}
		}},
		{"DIS three times for DCS", "train-reply -> disconnect", disECM, t30.CodeNoReplyDCS, func(p peer) {
			for range 3 {
				p.hear(t30.FcfDCS)
				p.take(v29)
				p.say(t30.FcfDIS, disECM...)
			}
			p.hear(t30.FcfDCN)
		}},
		{"no fax receiver", "choose -> disconnect", []byte{0, 0x0c, 0xf0}, t30.CodeCannotReceive, func(p peer) { p.hear(t30.FcfDCN) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := t30test.NewDocument(1, 1, 400)
			rep, log := played(t, false, t30.Session{Send: t30test.Docs(doc)}, func(p peer) {
				p.say(t30.FcfDIS, c.dis...)
				c.play(p)
			})
			wantTaken(t, log, c.edge)
			if rep.Code != c.code || len(doc.Ended()) != 1 || rep.Unknown != (c.code == t30.CodeProtocol) {
				t.Errorf("%v %s, unknown %v, want %v", rep.Code, rep.Text, rep.Unknown, c.code)
			}
		})
	}
}

// TestSend_DISAfterEOMLeavesItOpen: the answer to the last page's EOM is lost and phase B comes; the page goes out again, and the line
// drops in it. The first copy may be there.
func TestSend_DISAfterEOMLeavesItOpen(t *testing.T) {
	docs := []*t30test.Document{t30test.NewDocument(1, 1, 400), t30test.NewDocument(2, 1, 400)}
	for _, refuse := range []bool{false, true} {
		rep, log := played(t, false, t30.Session{Send: t30test.Docs(docs...)}, func(p peer) {
			p.say(t30.FcfDIS, 0, 0x0e, 0xf0)
			p.hear(t30.FcfDCS)
			p.take(v29)
			p.say(t30.FcfCFR)
			p.take(v29)
			for range 2 {
				p.hear(t30.FcfEOM)
				p.say(t30.FcfDIS, 0, 0x0e, 0xf0)
			}
			p.hear(t30.FcfDCS)
			p.take(v29)
			p.say(t30.FcfCFR)
			p.take(v29)
			p.hear(t30.FcfEOM)
			if refuse {
				p.say(t30.FcfRTN)
			}
			_ = p.l.Hangup()
		})
		wantTaken(t, log, "post -> choose")
		if e := docs[0].Ended(); len(e) != 1 || !e[0].Unknown || e[0].Sent != 0 || rep.Sent != 0 {
			t.Errorf("refused %v: document ended %+v", refuse, e)
		}
		docs = []*t30test.Document{t30test.NewDocument(1, 1, 400), t30test.NewDocument(2, 1, 400)}
	}
}

// TestSend_DISInADocumentChangesNothing: a DIS that comes before a page's answer names less than the one agreed on. It may not
// change what the next page is coded for.
func TestSend_DISInADocumentChangesNothing(t *testing.T) {
	doc := t30test.NewDocument(1, 2, 400)
	rep, _ := played(t, false, t30.Session{Send: t30test.Docs(doc)}, func(p peer) {
		p.say(t30.FcfDIS, 0, 0x4e, 0xf0) // fine
		p.hear(t30.FcfDCS)
		p.take(v29)
		p.say(t30.FcfCFR)
		p.take(v29)
		p.hear(t30.FcfMPS)
		p.say(t30.FcfDIS, 0, 0x0e, 0xf0)
		p.hear(t30.FcfMPS)
		p.say(t30.FcfMCF)
		p.take(v29)
		p.hear(t30.FcfEOP)
		p.say(t30.FcfMCF)
		p.hear(t30.FcfDCN)
	})
	if rep.Code != t30.CodeOK || rep.Sent != 2 || rep.Format.Resolution != t30.Fine {
		t.Errorf("%+v", rep)
	}
}
