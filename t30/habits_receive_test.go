package t30_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// calledBy runs our engine as the called station against a caller played by hand, on a wire with faults.
func calledBy(t *testing.T, cfg t30test.Config, s t30.Session, play func(p peer)) (rep t30.Report, log []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s.Trace = recorder(t, &log)
		a, b := t30test.Pair(cfg, t30test.All, t30test.All)
		done := make(chan struct{})
		go func() {
			defer close(done)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			rep, _ = t30.Answer(ctx, b, s)
		}()
		play(peer{t: t, l: a, x: true})
		<-done
		time.Sleep(time.Second)
	})
	if t.Failed() {
		t.Logf("%v %s\n%s", rep.Code, rep.Text, strings.Join(log, "\n"))
	}
	return rep, log
}

// raw sends frames as they are, after the usual pause.
func (p peer) raw(frames ...t30.Frame) {
	p.quiet(75 * time.Millisecond)
	if err := p.l.SendFrames(p.t.Context(), frames...); err != nil {
		p.t.Logf("peer: %v", err)
	}
}

func (p peer) quiet(d time.Duration) { _ = p.l.Silence(p.t.Context(), d) }

// gone wants the line to be dropped within d.
func (p peer) gone(d time.Duration) {
	p.t.Helper()
	if f, err := p.l.ReceiveFrame(p.t.Context(), d); !errors.Is(err, t30.ErrHungUp) {
		p.t.Errorf("heard %v, %v; want the line dropped", f, err)
	}
}

// pageEnds sends a page, a post-message command and wants an answer to it.
func (p peer) pageEnds(n int, command, answer t30.FCF) {
	p.t.Helper()
	p.page(n)
	p.say(command)
	p.hear(answer)
}

// callerFault spoils the nth to last frame fcf of the caller.
func callerFault(fcf t30.FCF, from, to int, f t30test.Fault) t30test.Config {
	choose := nth(fcf, from, to, f)
	return t30test.Config{Choose: func(it t30test.Item) t30test.Fault {
		if it.Dir != t30test.FromCaller {
			return t30test.None
		}
		return choose(it)
	}}
}

// t4Time is the sender's wait before it repeats a command.
const t4Time = 3 * time.Second

func echo(fcf t30.FCF, fif ...byte) t30.Frame { return t30.NewFrame(fcf, false, true, fif...) }

// noRTC is a sink whose pages end without RTC.
func noRTC() *t30test.Sink {
	return &t30test.Sink{Judge: func(int, []byte) t30.Quality { return t30.Quality{Lines: 400, NoRTC: true} }}
}

// habit is something that callers in the field do, and what has to become of the call.
type habit struct {
	name     string
	cfg      t30test.Config
	sink     *t30test.Sink
	code     t30.Code
	received int
	play     func(p peer)
}

func runHabits(t *testing.T, habits []habit) {
	t.Helper()
	for _, h := range habits {
		t.Run(h.name, func(t *testing.T) {
			if h.sink == nil {
				h.sink = &t30test.Sink{}
			}
			rep, _ := calledBy(t, h.cfg, t30.Session{Sink: h.sink}, func(p peer) {
				p.hear(t30.FcfDIS)
				h.play(p)
			})
			if rep.Code != h.code || rep.Received != h.received || len(h.sink.Kept()) != h.received {
				t.Errorf("%v %q, received %d, kept %d; want %v, %d", rep.Code, rep.Text, rep.Received, len(h.sink.Kept()), h.code, h.received)
			}
			for i, pg := range h.sink.Pages() {
				if !pg.Done {
					t.Errorf("page %d was never finished", i+1)
				}
			}
		})
	}
}

func TestHabit_EchoOfOurSignals(t *testing.T) {
	runHabits(t, []habit{
		{"CFR", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsPlain)
			p.raw(echo(t30.FcfCFR))
			p.pageEnds(1, t30.FcfEOP, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"MCF to MPS", t30test.Config{}, nil, t30.CodeOK, 2, func(p peer) {
			p.train(dcsPlain)
			p.pageEnds(1, t30.FcfMPS, t30.FcfMCF)
			p.raw(echo(t30.FcfMCF))
			p.pageEnds(2, t30.FcfEOP, t30.FcfMCF)
			p.raw(echo(t30.FcfMCF))
			p.say(t30.FcfDCN)
		}},
		{"FTT", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) {
			p.say(t30.FcfDCS, dcsPlain...)
			p.hear(t30.FcfFTT)
			p.raw(echo(t30.FcfFTT))
			p.train(dcsPlain)
			p.pageEnds(1, t30.FcfEOP, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"RTN", t30test.Config{}, judged(badPage, goodPage), t30.CodeOK, 1, func(p peer) {
			p.train(dcsPlain)
			p.pageEnds(1, t30.FcfMPS, t30.FcfRTN)
			p.raw(echo(t30.FcfRTN))
			p.train(dcsPlain)
			p.pageEnds(1, t30.FcfEOP, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"ECM: CFR, PPR, MCF", t30test.Config{}, nil, t30.CodeOK, 2, func(p peer) {
			p.train(dcsECM)
			p.raw(echo(t30.FcfCFR))
			p.block(0, 10)
			p.say(t30.FcfPPS, byte(t30.FcfMPS), 0, 0, 10)
			ppr := p.hear(t30.FcfPPR)
			p.raw(ppr)
			p.block(10, 11)
			p.say(t30.FcfPPS, byte(t30.FcfMPS), 0, 0, 0)
			p.hear(t30.FcfMCF)
			p.raw(echo(t30.FcfMCF))
			p.block(0, 3)
			p.say(t30.FcfPPS, byte(t30.FcfEOP), 1, 0, 2)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"ECM: CTR, ERR", t30test.Config{}, nil, t30.CodeECMGivenUp, 1, func(p peer) {
			p.train(dcsECM)
			p.block(0, 10)
			p.say(t30.FcfCTC, 0, 0x06)
			p.hear(t30.FcfCTR)
			p.raw(echo(t30.FcfCTR))
			p.block(10, 11)
			p.say(t30.FcfPPS, byte(t30.FcfMPS), 0, 0, 11)
			p.hear(t30.FcfPPR)
			p.say(t30.FcfEOR, byte(t30.FcfMPS))
			p.hear(t30.FcfERR)
			p.raw(echo(t30.FcfERR))
			p.block(0, 3)
			p.say(t30.FcfPPS, byte(t30.FcfEOP), 1, 0, 2)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
	})
}

// The identity of our own CSI must not become the caller's.
func TestHabit_EchoOfDIS(t *testing.T) {
	s := t30.Session{Me: t30.Station{ID: "12345"}, Sink: &t30test.Sink{}}
	rep, _ := calledBy(t, t30test.Config{}, s, func(p peer) {
		csi, err := p.l.ReceiveFrame(p.t.Context(), time.Second)
		if err != nil || csi.FCF() != t30.FcfCSI {
			p.t.Fatal(csi, err)
		}
		dis := p.hear(t30.FcfDIS)
		p.raw(csi, dis)
		p.train(dcsPlain)
		p.pageEnds(1, t30.FcfEOP, t30.FcfMCF)
		p.say(t30.FcfDCN)
	})
	if rep.Code != t30.CodeOK || rep.Remote.ID != "" {
		t.Errorf("%v, caller is %q", rep.Code, rep.Remote.ID)
	}
}

func TestHabit_SpoiltAndRepeatedCommands(t *testing.T) {
	runHabits(t, []habit{
		{"EOP spoilt twice", callerFault(t30.FcfEOP, 1, 2, t30test.Corrupt), nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsPlain)
			p.page(1)
			for range 2 {
				p.say(t30.FcfEOP)
				p.quiet(t4Time)
			}
			p.say(t30.FcfEOP)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"MPS at once again and again", t30test.Config{}, nil, t30.CodeOK, 2, func(p peer) {
			p.train(dcsPlain)
			p.pageEnds(1, t30.FcfMPS, t30.FcfMCF)
			for range 2 {
				p.say(t30.FcfMPS)
				p.hear(t30.FcfMCF)
			}
			p.pageEnds(2, t30.FcfEOP, t30.FcfMCF)
			p.say(t30.FcfEOP)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"EOM again after T4", t30test.Config{}, nil, t30.CodeOK, 2, func(p peer) {
			p.train(dcsPlain)
			p.pageEnds(1, t30.FcfEOM, t30.FcfMCF)
			p.quiet(t4Time)
			p.say(t30.FcfEOM)
			p.hear(t30.FcfMCF)
			p.hear(t30.FcfDIS)
			p.train(dcsPlain)
			p.pageEnds(2, t30.FcfEOP, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"TSI spoilt, DCS good, in place of the page", callerFault(t30.FcfTSI, 1, 1, t30test.Corrupt), nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsPlain) // the caller did not hear CFR
			p.quiet(t4Time)
			p.raw(t30.NewFrame(t30.FcfTSI, true, false, []byte("12345")...), t30.NewFrame(t30.FcfDCS, true, true, dcsPlain...))
			p.tcf()
			p.hear(t30.FcfCFR)
			p.pageEnds(1, t30.FcfEOP, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"DCS spoilt in place of the page", callerFault(t30.FcfDCS, 2, 2, t30test.Corrupt), nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsPlain)
			p.quiet(t4Time)
			p.say(t30.FcfDCS, dcsPlain...)
			p.tcf()
			p.quiet(t4Time)
			p.train(dcsPlain)
			p.pageEnds(1, t30.FcfEOP, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"frames out of turn", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) {
			p.say(t30.FcfCFR)
			p.say(t30.FcfRR)
			p.train(dcsPlain)
			p.page(1)
			p.say(t30.FcfMCF)
			p.say(t30.FcfFTT)
			p.say(t30.FcfEOP)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfFTT)
			p.say(t30.FcfDCN)
		}},
		{"a frame that is none", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsPlain)
			p.page(1)
			p.raw(t30.Frame{0x7e, 0x13, 0x2e})
			p.say(t30.FcfEOP)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
	})
}

// Noise that the modem takes for V.21: a preamble and no frame, or only a spoilt one. The page that follows is not missed.
func TestHabit_NoiseLikeV21BeforeThePage(t *testing.T) {
	for name, f := range map[string]t30test.Fault{"no frame": t30test.Drop, "a spoilt frame": t30test.Corrupt} {
		noise := callerFault(t30.FcfNULL, 1, 99, f)
		burst := func(p peer) {
			p.raw(t30.NewFrame(t30.FcfNULL, false, true))
			p.quiet(300 * time.Millisecond)
		}
		runHabits(t, []habit{
			{name, noise, nil, t30.CodeOK, 1, func(p peer) {
				p.train(dcsPlain)
				burst(p)
				p.pageEnds(1, t30.FcfEOP, t30.FcfMCF)
				p.say(t30.FcfDCN)
			}},
			{name + ", ECM", noise, nil, t30.CodeOK, 1, func(p peer) {
				p.train(dcsECM)
				burst(p)
				burst(p)
				p.block(0, 10)
				p.say(t30.FcfPPS, byte(t30.FcfEOP), 0, 0, 9)
				p.hear(t30.FcfMCF)
				p.say(t30.FcfDCN)
			}},
		})
	}
}

func TestHabit_EndOfTheCall(t *testing.T) {
	for _, h := range []habit{
		{"DCN clipped", callerFault(t30.FcfDCN, 1, 1, t30test.Corrupt), nil, t30.CodeOK, 1, func(p peer) { p.say(t30.FcfDCN) }},
		{"DCN all but gone", callerFault(t30.FcfDCN, 1, 1, t30test.Drop), nil, t30.CodeOK, 1, func(p peer) { p.say(t30.FcfDCN) }},
		{"no DCN, the line dropped", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) { _ = p.l.Hangup() }},
		{"no DCN, silence", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) { p.gone(8 * time.Second) }},
	} {
		end := h.play
		plain, ecm := h, h
		plain.play = func(p peer) {
			p.train(dcsPlain)
			p.pageEnds(1, t30.FcfEOP, t30.FcfMCF)
			end(p)
		}
		ecm.name += ", ECM"
		ecm.play = func(p peer) {
			p.train(dcsECM)
			p.block(0, 10)
			p.say(t30.FcfPPS, byte(t30.FcfEOP), 0, 0, 9)
			p.hear(t30.FcfMCF)
			end(p)
		}
		runHabits(t, []habit{plain, ecm})
	}
}

func TestHabit_PageCutOff(t *testing.T) {
	runHabits(t, []habit{
		{"no RTC", t30test.Config{}, noRTC(), t30.CodeOK, 1, func(p peer) {
			p.train(dcsPlain)
			p.pageEnds(1, t30.FcfEOP, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"no RTC, EOP spoilt", callerFault(t30.FcfEOP, 1, 1, t30test.Corrupt), noRTC(), t30.CodeOK, 1, func(p peer) {
			p.train(dcsPlain)
			p.page(1)
			p.say(t30.FcfEOP)
			p.quiet(t4Time)
			p.say(t30.FcfEOP)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"the carrier lost, its rest not heard", t30test.Config{}, noRTC(), t30.CodeOK, 1, func(p peer) {
			p.train(dcsPlain)
			p.page(1)
			p.quiet(30 * time.Second)
			p.say(t30.FcfEOP)
			p.hear(t30.FcfRTN)
			p.train(dcsPlain)
			p.pageEnds(1, t30.FcfEOP, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"RTC, and the command late", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsPlain)
			p.page(1)
			p.quiet(4 * time.Second)
			p.say(t30.FcfEOP)
			p.hear(t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
		{"nothing after it", t30test.Config{}, noRTC(), t30.CodeNoPostMessage, 0, func(p peer) {
			p.train(dcsPlain)
			p.page(1)
			p.gone(55 * time.Second)
		}},
		{"a new DCS in place of its end", t30test.Config{}, nil, t30.CodeOK, 1, func(p peer) {
			p.train(dcsPlain)
			p.page(1)
			p.train(dcsPlain)
			p.pageEnds(1, t30.FcfEOP, t30.FcfMCF)
			p.say(t30.FcfDCN)
		}},
	})
}

// A page that a new DCS cut off is kept as a damaged one, which gives way to a better copy.
func TestHabit_PageCutOffByDCSIsKeptAsDamaged(t *testing.T) {
	sink := &t30test.Sink{}
	calledBy(t, t30test.Config{}, t30.Session{Sink: sink}, func(p peer) {
		p.hear(t30.FcfDIS)
		p.train(dcsPlain)
		p.page(1)
		p.train(dcsPlain)
		p.pageEnds(1, t30.FcfEOP, t30.FcfMCF)
		p.say(t30.FcfDCN)
	})
	if pg := sink.Pages(); len(pg) != 2 || pg[0].Verdict != t30.BadKept || pg[1].Verdict != t30.Good {
		t.Errorf("%d pages: %+v", len(pg), pg)
	}
}

// A sender that goes on with its next page as if RTN or RTP were MCF.
func TestHabit_GoesOnAfterRTN(t *testing.T) {
	for _, c := range []struct {
		name     string
		first    t30.Quality
		answer   t30.FCF
		code     t30.Code
		received int
	}{
		{"RTN", badPage, t30.FcfRTN, t30.CodePageRefused, 2},
		{"RTP", poorPage, t30.FcfRTP, t30.CodeOK, 3},
	} {
		sink := judged(c.first, goodPage, goodPage)
		rep, log := calledBy(t, t30test.Config{}, t30.Session{Sink: sink}, func(p peer) {
			p.hear(t30.FcfDIS)
			p.train(dcsPlain)
			p.pageEnds(1, t30.FcfMPS, c.answer)
			p.pageEnds(2, t30.FcfMPS, t30.FcfMCF)
			p.pageEnds(3, t30.FcfEOP, t30.FcfMCF)
			p.say(t30.FcfDCN)
		})
		wantTaken(t, log, "await-dcs -> command")
		if pg := sink.Pages(); rep.Code != c.code || rep.Received != c.received || len(pg) != 3 {
			t.Errorf("%s: %v %s, %d received, %d pages kept", c.name, rep.Code, rep.Text, rep.Received, len(pg))
		}
	}
}

// Without an end in sight a caller that is refused is not listened to for ever.
func TestHabit_NeverAnythingGood(t *testing.T) {
	rep, _ := calledBy(t, t30test.Config{}, t30.Session{Sink: &t30test.Sink{}}, func(p peer) {
		p.hear(t30.FcfDIS)
		for range 100 {
			p.say(t30.FcfDCS, dcsPlain...)
			if f, err := p.l.ReceiveFrame(p.t.Context(), 5*time.Second); err != nil || f.FCF() != t30.FcfFTT {
				return
			}
		}
	})
	if rep.Code != t30.CodeTraining {
		t.Errorf("FTT for ever: %v %s", rep.Code, rep.Text)
	}
	sink := &t30test.Sink{Judge: func(int, []byte) t30.Quality { return badPage }}
	rep, _ = calledBy(t, t30test.Config{}, t30.Session{Sink: sink}, func(p peer) {
		p.hear(t30.FcfDIS)
		p.train(dcsPlain)
		for range 100 {
			p.page(1)
			p.say(t30.FcfMPS)
			if f, err := p.l.ReceiveFrame(p.t.Context(), 5*time.Second); err != nil || f.FCF() != t30.FcfRTN {
				return
			}
		}
	})
	if rep.Code != t30.CodePageRefused {
		t.Errorf("RTN for ever: %v %s", rep.Code, rep.Text)
	}
}

func TestHabit_TrainingCheckWithErrors(t *testing.T) {
	const octets = 1800 // 1.5 s at 9600 bit/s
	for _, c := range []struct {
		name   string
		tcf    func(b []byte) []byte
		answer t30.FCF
	}{
		{"noise before and after", func(b []byte) []byte { return bytes.Join([][]byte{noisy(90), b[:1620], noisy(90)}, nil) }, t30.FcfCFR},
		{"a hit, 1 s of zeros left", func(b []byte) []byte { copy(b[300:], noisy(100)); return b }, t30.FcfCFR},
		{"more than a tenth not zero", func(b []byte) []byte { return append(b[:1300], noisy(400)...) }, t30.FcfFTT},
		{"no second of zeros", func(b []byte) []byte { b[600], b[1200] = 1, 1; return b }, t30.FcfFTT},
		{"0.9 s only", func(b []byte) []byte { return b[:1080] }, t30.FcfFTT},
		{"1.2 s, the end cut", func(b []byte) []byte { return b[:1440] }, t30.FcfCFR},
		{"ones", func(b []byte) []byte { return bytes.Repeat([]byte{0xff}, len(b)) }, t30.FcfFTT},
	} {
		t.Run(c.name, func(t *testing.T) {
			calledBy(t, t30test.Config{}, t30.Session{Sink: &t30test.Sink{}}, func(p peer) {
				p.hear(t30.FcfDIS)
				p.say(t30.FcfDCS, dcsPlain...)
				p.quiet(75 * time.Millisecond)
				_ = p.l.SendPage(p.t.Context(), v29, bytes.NewReader(c.tcf(make([]byte, octets))))
				p.hear(c.answer)
				p.say(t30.FcfDCN)
			})
		})
	}
}

func noisy(n int) []byte { return bytes.Repeat([]byte{0x5b}, n) }
