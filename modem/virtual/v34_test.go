package virtual_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// V.34 fax between the product's driver and virtual modems, in virtual time. No modem of metal has been tried.

// v34End is one modem and its driver.
type v34End struct {
	vm  virtual.ModemOptions
	mod modem.Options
}

// superG3 is an end with V.34 all through.
func superG3() v34End {
	return v34End{virtual.ModemOptions{V34: 33600, ECM: true}, modem.Options{V34: true}}
}

// newV34Talk is newTalk with modems of V.34.
func newV34Talk(t *testing.T, o virtual.Options, caller, callee v34End) *suiteTalk {
	t.Helper()
	k := &suiteTalk{t: t, ex: virtual.NewExchange(o)}
	for i, s := range []*side{&k.caller, &k.callee} {
		e := []v34End{caller, callee}[i]
		s.ctx = t.Context()
		s.vm = k.ex.NewModem([]string{callerNumber, calleeNumber}[i], e.vm)
		s.s.Me.ID = []string{"+1 555 0100", "+49 30 5550101"}[i]
		s.s.Trace = s.trace
		port, err := s.vm.Open()
		if err != nil {
			t.Fatal(err)
		}
		if s.term, err = modem.New(t.Context(), port, e.mod); err != nil {
			t.Fatal(err)
		}
		s.class = s.term.Identity().Class
	}
	return k
}

// v34Call runs f in virtual time.
func v34Call(t *testing.T, o virtual.Options, caller, callee v34End, f func(*testing.T, *suiteTalk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := newV34Talk(t, o, caller, callee)
		defer k.done()
		f(t, k)
	})
}

// fax sends a document and returns it with what came of it.
func (k *suiteTalk) fax(seed uint64, pages, lines int) (*t30test.Document, *t30test.Sink) {
	k.t.Helper()
	doc, sink := t30test.NewDocument(seed, pages, lines), &t30test.Sink{}
	k.caller.s.Send, k.callee.s.Sink = t30test.Docs(doc), sink
	k.call()
	return doc, sink
}

// faxed is fax of which all has to arrive, at a rate; above 14400 it is one of V.34.
func (k *suiteTalk) faxed(seed uint64, pages, lines, rate int) {
	k.t.Helper()
	doc, sink := k.fax(seed, pages, lines)
	k.ok()
	k.whole(&k.caller, &k.callee, sink, doc)
	k.used(rate)
}

// used holds the reports of both sides against the rate that the last call should have been at.
func (k *suiteTalk) used(rate int) {
	k.t.Helper()
	want := t30.Modulation{Scheme: t30.V17, Rate: rate}
	if rate > 14400 {
		want.Scheme = t30.V34
	}
	for _, s := range []*side{&k.caller, &k.callee} {
		got := s.rep.Modulation
		got.Short = false
		if got != want || want.Scheme == t30.V34 && !s.rep.ECM || s.rep.Trouble != 0 {
			k.t.Errorf("%v, error correction %v, trouble %v; want %v", got, s.rep.ECM, s.rep.Trouble, want)
		}
		if v34 := strings.Contains(strings.Join(s.log, "\n"), "+F34:"); v34 != (want.Scheme == t30.V34) {
			k.t.Errorf("+F34: reported: %v", v34)
		}
	}
}

func TestV34_Send(t *testing.T) {
	for _, delay := range []time.Duration{0, 30 * time.Millisecond, 250 * time.Millisecond} {
		t.Run(fmt.Sprint(delay), func(t *testing.T) {
			v34Call(t, virtual.Options{Delay: delay}, superG3(), superG3(), func(t *testing.T, k *suiteTalk) {
				k.faxed(1, 3, 900, 33600)
				if a, b := k.caller.rep.Remote.ID, k.callee.rep.Remote.ID; a != "+49 30 5550101" || b != "+1 555 0100" {
					t.Errorf("far ends %q and %q", a, b)
				}
				for _, s := range []*side{&k.caller, &k.callee} {
					if log := strings.Join(s.log, "\n"); strings.Contains(log, "AT+FTH") || strings.Contains(log, "AT+FRM") {
						t.Error("a command of V.21 or V.17 in a call over V.34")
					}
					if n := t30.PartPreamble; hasPart(s.rep, n) || !hasPart(s.rep, t30.PartControl) {
						t.Errorf("%v in a call over V.34, or no %v: %v", n, t30.PartControl, t30.Breakdown(s.rep))
					}
				}
			})
		})
	}
}

func hasPart(r t30.Report, name t30.PartName) bool {
	for _, p := range t30.Breakdown(r) {
		if p.Name == name && (p.Time > 0 || p.Least > 0) {
			return true
		}
	}
	return false
}

// TestV34_BackAndForth: several calls on the same modems, in both directions, with V.34 and without.
func TestV34_BackAndForth(t *testing.T) {
	v34Call(t, virtual.Options{Delay: 20 * time.Millisecond}, superG3(), superG3(), func(t *testing.T, k *suiteTalk) {
		for i := range 4 {
			k.caller.log, k.callee.log = nil, nil
			k.caller.s.NoECM = i == 2
			doc, sink := k.fax(uint64(i), 2, 200)
			k.ok()
			k.whole(&k.caller, &k.callee, sink, doc)
			want := t30.V34
			if i == 2 { // error correction is no choice in V.34: without it the call is none
				want = t30.V17
			}
			if got := k.callee.rep.Modulation.Scheme; got != want {
				t.Errorf("call %d: %v, want %v", i, got, want)
			}
			time.Sleep(10 * time.Second)
		}
		var got t30.Report
		back, sink := t30test.NewDocument(9, 2, 200), &t30test.Sink{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			in, err := k.caller.term.WaitCall(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if got, err = in.Answer(t.Context(), t30.AnswerFax, t30.Session{Sink: sink}); err != nil {
				t.Error(err)
			}
		}()
		sent, err := k.callee.term.Call(t.Context(), callerNumber, t30.Session{Send: t30test.Docs(back)})
		<-done
		if err != nil || !sent.OK() || sent.Modulation.Scheme != t30.V34 || got.Received != 2 || len(sink.Kept()) != 2 {
			t.Errorf("the other way: %v %q at %v, %d received, %v", sent.Code, sent.Text, sent.Modulation, got.Received, err)
		}
	})
}

// TestV34_SeveralDocuments: EOM takes both ends back to phase B on the control channel.
func TestV34_SeveralDocuments(t *testing.T) {
	v34Call(t, virtual.Options{}, superG3(), superG3(), func(t *testing.T, k *suiteTalk) {
		a, b, sink := t30test.NewDocument(1, 2, 150), t30test.NewDocument(2, 1, 2500), &t30test.Sink{}
		b.Pages[0].Format.Resolution = t30.Standard // another DCS, and several blocks
		k.caller.s.Send, k.callee.s.Sink = t30test.Docs(a, b), sink
		k.call()
		k.ok()
		k.whole(&k.caller, &k.callee, sink, a, b)
		k.used(33600)
	})
}

// TestV34_Without: calls that are none of V.34 lose nothing by it.
func TestV34_Without(t *testing.T) {
	none := v34End{}
	off := v34End{superG3().vm, modem.Options{Class: "1.0"}}
	unasked := off
	unasked.vm.V34Unasked = true
	for _, c := range []struct {
		name           string
		caller, callee v34End
		session        func(*t30.Session)
	}{
		{"the callee's modem has it not", superG3(), none, nil},
		{"the caller's modem has it not", none, superG3(), nil},
		{"the callee has it off", superG3(), off, nil},
		{"the caller has it off", off, superG3(), nil},
		{"both have it off, the modems would", unasked, unasked, nil},
		{"the caller has it off, the modem would", unasked, superG3(), nil},
		{"the callee has it off, the modem would", superG3(), unasked, nil},
		{"a highest rate", superG3(), superG3(), func(s *t30.Session) { s.Limit.MaxRate = 14400 }},
		{"V.17 at most", superG3(), superG3(), func(s *t30.Session) { s.Limit.Schemes = t30.Schemes(t30.V27ter | t30.V29 | t30.V17) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			v34Call(t, virtual.Options{Delay: 20 * time.Millisecond}, c.caller, c.callee, func(t *testing.T, k *suiteTalk) {
				if c.session != nil {
					c.session(&k.caller.s)
				}
				k.faxed(3, 2, 200, 14400)
			})
		})
	}
}

// TestV34_NotOffered: V.34 is on, the modem has it not: it is used in its best class, and somebody is told.
func TestV34_NotOffered(t *testing.T) {
	v34Call(t, virtual.Options{}, v34End{mod: modem.Options{V34: true}}, v34End{mod: modem.Options{V34: true, Class: "1"}}, func(t *testing.T, k *suiteTalk) {
		for _, s := range []*side{&k.caller, &k.callee} {
			if w := strings.Join(s.term.Warnings(), "\n"); s.class != "1" || !strings.Contains(w, "V.34") {
				t.Errorf("Class %s, warnings %q", s.class, w)
			}
		}
		k.faxed(3, 1, 200, 14400)
	})
}

// TestV34_Poll: polls go without V.34, at both ends.
func TestV34_Poll(t *testing.T) {
	v34Call(t, virtual.Options{}, superG3(), superG3(), func(t *testing.T, k *suiteTalk) {
		out, back := t30test.NewDocument(1, 1, 150), t30test.NewDocument(2, 2, 150)
		outSink, backSink := &t30test.Sink{}, &t30test.Sink{}
		k.caller.s.Send, k.caller.s.Poll, k.caller.s.Sink = t30test.Docs(out), &t30.Poll{}, backSink
		k.callee.s.Send, k.callee.s.Sink = t30test.Docs(back), outSink
		k.call()
		k.ok()
		k.whole(&k.caller, &k.callee, outSink, out)
		k.whole(&k.callee, &k.caller, backSink, back)
		k.used(14400)
	})
}

// TestV34_Rates: the slower modem's rate is used.
func TestV34_Rates(t *testing.T) {
	slow := superG3()
	slow.vm.V34 = 21600
	for name, ends := range map[string][2]v34End{"caller": {slow, superG3()}, "callee": {superG3(), slow}} {
		t.Run(name, func(t *testing.T) {
			v34Call(t, virtual.Options{}, ends[0], ends[1], func(t *testing.T, k *suiteTalk) { k.faxed(4, 1, 300, 21600) })
		})
	}
}

// TestV34_Noise: frames that do not arrive are sent again.
func TestV34_Noise(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults virtual.Faults
		rate   int
	}{
		{"bit errors", virtual.Faults{BER: 3e-5, Seed: 1}, 33600},
		{"hits", virtual.Faults{Hits: []virtual.Hit{{Page: 1, At: 500 * time.Millisecond, Length: time.Second}, {Page: 4, At: 0, Length: 300 * time.Millisecond}}}, 33600},
	} {
		t.Run(c.name, func(t *testing.T) {
			v34Call(t, virtual.Options{Delay: 10 * time.Millisecond, Faults: c.faults}, superG3(), superG3(), func(t *testing.T, k *suiteTalk) {
				k.faxed(7, 3, 900, c.rate)
				if !strings.Contains(strings.Join(k.callee.log, "\n"), "> frame PPR") {
					t.Error("nothing was spoilt: the test shows nothing")
				}
			})
		})
	}
}

// TestV34_ControlNoise: commands and answers on the control channel that are spoilt are repeated; whatever becomes of a call, both sides agree on
// what arrived, and most faxes do.
func TestV34_ControlNoise(t *testing.T) {
	whole, spoilt := 0, 0
	for seed := range uint64(12) {
		f := virtual.Faults{BER: 1e-5, ControlBER: 6e-4, Seed: seed}
		v34Call(t, virtual.Options{Delay: 10 * time.Millisecond, Faults: f}, superG3(), superG3(), func(t *testing.T, k *suiteTalk) {
			doc, sink := k.fax(seed, 3, 600)
			k.keeps(&k.caller, &k.callee, sink, doc)
			if k.caller.err != nil || k.callee.err != nil {
				t.Errorf("seed %d: %v, %v", seed, k.caller.err, k.callee.err)
			}
			if k.caller.rep.OK() && k.callee.rep.OK() {
				whole++
			}
			spoilt += strings.Count(strings.Join(k.caller.log, "\n")+strings.Join(k.callee.log, "\n"), "frame check sequence wrong")
		})
	}
	if whole < 10 || spoilt < 6 {
		t.Errorf("%d of 12 calls went well, %d control frames were spoilt", whole, spoilt)
	}
}

// TestV34_NewRate: a line that does not carry the rate agreed on is given a slower one, by T.31's DLE PPH; CTC is not sent.
func TestV34_NewRate(t *testing.T) {
	v34Call(t, virtual.Options{Faults: virtual.Faults{TrainRate: 26400}}, superG3(), superG3(), func(t *testing.T, k *suiteTalk) {
		k.faxed(7, 2, 900, 24000)
		log := strings.Join(k.caller.log, "\n")
		if !strings.Contains(log, "<DLE><P288><DLE><PPH>") || strings.Contains(log, "CTC") {
			t.Errorf("no new rate was asked for, or by CTC:\n%s", log)
		}
	})
}

// TestV34_GivenUp: after the fourth PPR the block is given up (EOR), and the next call is to go without V.34.
func TestV34_GivenUp(t *testing.T) {
	v34Call(t, virtual.Options{Faults: virtual.Faults{TrainRate: 4800}}, superG3(), superG3(), func(t *testing.T, k *suiteTalk) {
		doc, sink := k.fax(8, 1, 300)
		k.keeps(&k.caller, &k.callee, sink, doc)
		if r := k.caller.rep; r.Code != t30.CodeECMGivenUp || r.Sent != 0 || r.Trouble != t30.TroubleV34 || k.caller.err != nil {
			t.Errorf("%v %q, %d sent, trouble %v, %v", r.Code, r.Text, r.Sent, r.Trouble, k.caller.err)
		}
		if log := strings.Join(k.caller.log, "\n"); strings.Count(log, "< frame PPR") != 4 || !strings.Contains(log, "> frame EOR") || strings.Contains(log, "CTC") {
			t.Error("not four PPR and EOR")
		}
		k.again()
	})
}

// TestV34_Incompatible: V.8 succeeds and the modems find no rate: no carrier, and V.34 is suspected.
func TestV34_Incompatible(t *testing.T) {
	fast, slow := superG3(), superG3()
	fast.vm.V34Least, slow.vm.V34 = 24000, 9600
	v34Call(t, virtual.Options{}, fast, slow, func(t *testing.T, k *suiteTalk) {
		_, _ = k.fax(8, 1, 300)
		if r := k.caller.rep; r.Code != t30.CodeNoCarrier || r.Trouble != t30.TroubleV34 || k.caller.err != nil {
			t.Errorf("%v %q, trouble %v, %v", r.Code, r.Text, r.Trouble, k.caller.err)
		}
		k.caller.s.Limit.MaxRate = 14400 // what the memory of numbers makes of it
		time.Sleep(10 * time.Second)
		doc, sink := k.fax(9, 1, 300)
		k.ok()
		k.whole(&k.caller, &k.callee, sink, doc)
	})
}

// TestV34_Drops: the line is dropped at any time of a call. Both ends notice, in time, with a code for it, and the next call goes well.
func TestV34_Drops(t *testing.T) {
	codes := map[t30.Code]bool{}
	for after := time.Second; after < 24*time.Second; after += 700 * time.Millisecond {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			v34Call(t, virtual.Options{Delay: 10 * time.Millisecond, Faults: virtual.Faults{DropAfter: after}}, superG3(), superG3(), func(t *testing.T, k *suiteTalk) {
				doc, sink := k.fax(9, 3, 1500)
				k.keeps(&k.caller, &k.callee, sink, doc)
				for _, s := range []*side{&k.caller, &k.callee} {
					switch {
					case s.err != nil || s.rep.OK() || s.took > after+40*time.Second:
						t.Errorf("%v %q after %v, %v", s.rep.Code, s.rep.Text, s.took, s.err)
					case s.rep.Code != t30.CodeNoCarrier && s.rep.Code != t30.CodeHungUpB && s.rep.Code != t30.CodeHungUpC:
						t.Errorf("%v %q", s.rep.Code, s.rep.Text)
					}
					codes[s.rep.Code] = true
				}
				k.again()
			})
		})
	}
	if len(codes) != 3 {
		t.Errorf("codes %v: not every phase was met", codes)
	}
}

// TestV34_Canceled: we end the call at any time of it; the far end notices.
func TestV34_Canceled(t *testing.T) {
	for which := range 2 {
		for after := 5 * time.Second; after < 24*time.Second; after += 1300 * time.Millisecond {
			t.Run(fmt.Sprintf("side %d after %v", which, after), func(t *testing.T) {
				v34Call(t, virtual.Options{}, superG3(), superG3(), func(t *testing.T, k *suiteTalk) {
					s, other := &k.caller, &k.callee
					if which == 1 {
						s, other = other, s
					}
					var cancel context.CancelFunc
					s.ctx, cancel = context.WithCancel(t.Context())
					time.AfterFunc(after, cancel)
					doc, sink := k.fax(11, 3, 1500)
					k.keeps(&k.caller, &k.callee, sink, doc)
					if s.took > after+15*time.Second || !errors.Is(s.err, context.Canceled) {
						t.Errorf("canceled: %v %q, %v, %v after it", s.rep.Code, s.rep.Text, s.err, s.took-after)
					}
					if other.rep.OK() || other.took > after+90*time.Second || other.err != nil {
						t.Errorf("other side: %v %q, %v after it, %v", other.rep.Code, other.rep.Text, other.took-after, other.err)
					}
					k.again()
				})
			})
		}
	}
}

// TestV34_Unplugged: the modem is pulled out of its computer.
func TestV34_Unplugged(t *testing.T) {
	for which := range 2 {
		for after := 8 * time.Second; after < 24*time.Second; after += 1700 * time.Millisecond {
			t.Run(fmt.Sprintf("side %d after %v", which, after), func(t *testing.T) {
				v34Call(t, virtual.Options{}, superG3(), superG3(), func(t *testing.T, k *suiteTalk) {
					s, other := &k.caller, &k.callee
					if which == 1 {
						s, other = other, s
					}
					k.gone = true
					time.AfterFunc(after, s.vm.Unplug)
					doc, sink := k.fax(12, 3, 1500)
					k.keeps(&k.caller, &k.callee, sink, doc)
					if !errors.Is(s.err, at.ErrPortLost) || s.rep.OK() || s.took > after+5*time.Second {
						t.Errorf("pulled: %v %q, %v, %v after it", s.rep.Code, s.rep.Text, s.err, s.took-after)
					}
					if other.rep.OK() || other.err != nil || other.took > after+60*time.Second {
						t.Errorf("other side: %v %q, %v, %v after it", other.rep.Code, other.rep.Text, other.err, other.took-after)
					}
				})
			})
		}
	}
}
