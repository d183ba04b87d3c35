package t30_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

const ms = time.Millisecond

// timesOf keys the parts by side and name.
func timesOf(r t30.Report) map[string]t30.Part {
	out := map[string]t30.Part{}
	for _, p := range t30.Breakdown(r) {
		out[string(p.Dir)+string(p.Name)] = p
	}
	return out
}

// addsUp holds a report's spans against its times: no gap, no overlap, every share inside, nothing unexplained.
func addsUp(t *testing.T, r t30.Report) {
	t.Helper()
	at := r.Start
	for i, s := range r.Spans {
		if s.Before < 0 || s.Duration < 0 || !s.Start.Add(-s.Before).Equal(at) {
			t.Fatalf("span %d begins at %v after %v, the one before ended at %v", i, s.Start.Sub(r.Start), s.Before, at.Sub(r.Start))
		}
		at = s.Start.Add(s.Duration)
		sum := time.Duration(0)
		for _, sh := range s.Shares {
			if sh.Time < 0 || sh.Least < 0 {
				t.Errorf("span %d: negative share %+v", i, sh)
			}
			sum += sh.Time
		}
		if sum != s.Before+s.Duration {
			t.Errorf("span %d (%v %v): shares of %v in %v", i, s.Dir, s.Kind, sum, s.Before+s.Duration)
		}
	}
	if !at.Equal(r.End) {
		t.Errorf("the last span ends at %v, the call at %v", at.Sub(r.Start), r.End.Sub(r.Start))
	}
	if all, _ := t30.SumParts(t30.Breakdown(r), ""); all != r.End.Sub(r.Start) {
		t.Errorf("parts of %v in a call of %v", all, r.End.Sub(r.Start))
	}
	if p, ok := timesOf(r)["-"+string(t30.PartRest)]; ok {
		t.Errorf("unexplained: %v", p.Time)
	}
}

// The simulated wire makes a V.21 signal of 1 s of preamble, (octets + FCS + flag) x 8 / 300 and 20 ms; a carrier of its training,
// its octets and 10 ms. The zeros inserted in frames are taken out of the 20 ms.
func TestBreakdown_OfAKnownCall(t *testing.T) {
	for _, c := range []struct {
		name   string
		scheme t30.Schemes
		rate   int
		train  time.Duration // of TCF and page
		data   time.Duration // of one page of 9600 octets
	}{
		{"V.27ter 2400", t30.Schemes(t30.V27ter), 2400, 2 * 943 * ms, 32 * time.Second},
		{"V.27ter 4800", t30.Schemes(t30.V27ter), 4800, 2 * 708 * ms, 16 * time.Second},
		{"V.29 9600", t30.Schemes(t30.V27ter | t30.V29), 9600, 2 * 253 * ms, 8 * time.Second},
		{"V.17 12000", t30test.All.Schemes, 12000, (1393 + 142) * ms, 6400 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := sending(t30test.Config{}, &t30test.Sink{}, t30test.NewDocument(1, 1, 300))
			k.caller.NoECM = true
			k.caller.Limit = t30.Capabilities{Schemes: c.scheme, MaxRate: c.rate}
			o := k.run(t)
			wantOK(t, o)
			addsUp(t, o.sent)
			addsUp(t, o.got)
			sent, got := timesOf(o.sent), timesOf(o.got)
			// Ours are DCS, EOP and DCN; the modulation changes before TCF, page and EOP. Theirs are DIS, CFR and MCF; it changes before CFR,
			// and MCF follows EOP.
			for name, want := range map[string]time.Duration{
				">V.21 preamble": 3 * time.Second,
				">training":      c.train,
				">TCF":           1500 * ms,
				">page data":     c.data,
				">thinking":      0,
				"<TCF":           0,
				"-unexplained":   0,
			} {
				if sent[name].Time != want {
					t.Errorf("caller %s %v, want %v", name, sent[name].Time, want)
				}
			}
			for name, want := range map[string]time.Duration{">pause": 3 * 55 * ms, ">TCF": 1350 * ms, ">V.21 preamble": 3 * 850 * ms, "<pause": 55 * ms} {
				if sent[name].Least != want || sent[name].Clause == "" {
					t.Errorf("caller %s at least %v (%s), want %v", name, sent[name].Least, sent[name].Clause, want)
				}
			}
			if d := sent["<pause"].Time; d < 2*55*ms || d > 2*75*ms {
				t.Errorf("the called station paused for %v twice", d)
			}
			for _, p := range []string{"training", "TCF", "page data"} {
				if a, b := sent[">"+p], got["<"+p]; a.Time != b.Time || a.Least != b.Least {
					t.Errorf("%s: the caller sent %v, the called station heard %v", p, a, b)
				}
			}
			if got[">page data"].Time+got[">training"].Time+got[">TCF"].Time != 0 {
				t.Errorf("the called station sent a carrier: %v", got)
			}
		})
	}
}

// What each end says of the other's signals is what the other says of its own, but for what the wire adds at the end of a signal.
func TestBreakdown_BothEndsAgree(t *testing.T) {
	for _, ecm := range []bool{false, true} {
		t.Run(fmt.Sprintf("ecm %v", ecm), func(t *testing.T) {
			k := sending(t30test.Config{}, &t30test.Sink{}, t30test.NewDocument(7, 5, 900))
			k.caller.NoECM = !ecm
			o := k.run(t)
			wantOK(t, o)
			sent, got := t30.Breakdown(o.sent), t30.Breakdown(o.got)
			for _, pair := range [][2]t30.Dir{{t30.Out, t30.In}, {t30.In, t30.Out}} {
				_, a := t30.SumParts(sent, pair[0])
				_, b := t30.SumParts(got, pair[1])
				if (a-b).Abs() > time.Microsecond || a == 0 { // bits are rounded to nanoseconds frame by frame
					t.Errorf("at least %v as seen by the caller, %v by the called station", a, b)
				}
			}
		})
	}
}

// A slow disk of the receiver is its own thinking, and the far end's thinking to the sender.
func TestBreakdown_Thinking(t *testing.T) {
	k := sending(t30test.Config{}, &t30test.Sink{FinishDelay: 900 * ms}, t30test.NewDocument(1, 1, 300))
	k.caller.NoECM = true
	o := k.run(t)
	wantOK(t, o)
	addsUp(t, o.sent)
	addsUp(t, o.got)
	// Beyond the pause, which passes meanwhile.
	if d := timesOf(o.got)[">thinking"].Time; d < 825*ms || d > 900*ms {
		t.Errorf("receiver's thinking %v", d)
	}
	if d := timesOf(o.sent)["<thinking"].Time; d < 825*ms || d > 960*ms {
		t.Errorf("as seen by the sender %v", d)
	}
}

// once is a fault of the first item that fits.
func once(f t30test.Fault, fits func(t30test.Item) bool) func(t30test.Item) t30test.Fault {
	done := false
	return func(i t30test.Item) t30test.Fault {
		if done || !fits(i) {
			return t30test.None
		}
		done = true
		return f
	}
}

// again lists the spans that repeat something.
func again(r t30.Report) string {
	var list []string
	for _, s := range r.Spans {
		if s.Again {
			list = append(list, string(s.Dir)+string(s.Kind))
		}
	}
	return strings.Join(list, " ")
}

// What is sent again is told apart and counts for nothing in what the recommendations demand.
func TestSpans_Again(t *testing.T) {
	for _, c := range []struct {
		name  string
		ecm   bool
		fault t30test.Fault
		fits  func(t30test.Item) bool
		again string // kinds and directions of the spans at the sender
		heard string // and at the receiver
	}{
		{"TCF spoilt", false, t30test.Corrupt, func(i t30test.Item) bool { return i.Kind == "tcf" }, ">frames >tcf <frames", "<frames <tcf >frames"},
		{"MCF lost", false, t30test.Drop, func(i t30test.Item) bool { return i.Frame != nil && i.Frame.FCF() == t30.FcfMCF }, ">frames", "<frames >frames"},
		{"EOP spoilt", false, t30test.Corrupt, func(i t30test.Item) bool { return i.Frame != nil && i.Frame.FCF() == t30.FcfEOP }, ">frames", ""},
		{"CFR lost", false, t30test.Drop, func(i t30test.Item) bool { return i.Frame != nil && i.Frame.FCF() == t30.FcfCFR }, ">frames >tcf", "<frames <tcf >frames"},
		{"frame of a block lost", true, t30test.Drop, func(i t30test.Item) bool { return i.Frame != nil && i.Frame.FCF() == t30.FcfFCD && i.N > 10 },
			">block >frames <frames", "<block <frames >frames"},
		{"DIS lost", false, t30test.Drop, func(i t30test.Item) bool { return i.Frame != nil && i.Frame.FCF() == t30.FcfDIS }, "", ">frames"},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := map[bool]outcome{}
			for _, clean := range []bool{true, false} {
				k := sending(t30test.Config{}, &t30test.Sink{}, t30test.NewDocument(1, 1, 300))
				k.caller.NoECM = !c.ecm
				if !clean {
					k.cfg.Choose = once(c.fault, c.fits)
				}
				calls[clean] = k.run(t)
				wantOK(t, calls[clean])
				addsUp(t, calls[clean].sent)
				addsUp(t, calls[clean].got)
			}
			_, clean := t30.SumParts(t30.Breakdown(calls[true].sent), t30.Out)
			_, least := t30.SumParts(t30.Breakdown(calls[false].sent), t30.Out)
			if c.name != "TCF spoilt" && (clean-least).Abs() > time.Microsecond { // that one falls to a lower rate
				t.Errorf("at least %v, without the fault %v", least, clean)
			}
			if got := again(calls[false].sent); got != c.again {
				t.Errorf("again at the sender: %q, want %q", got, c.again)
			}
			if got := again(calls[false].got); got != c.heard {
				t.Errorf("again at the receiver: %q, want %q", got, c.heard)
			}
		})
	}
}

// A page that is refused three times gives way to the next, which is new.
func TestSpans_RefusedPageIsAgainTheNextIsNot(t *testing.T) {
	sink := &t30test.Sink{Judge: func(n int, _ []byte) t30.Quality {
		if n < 3 {
			return t30.Quality{Lines: 100, BadLines: 90, LongestBad: 90}
		}
		return t30.Quality{Lines: 100}
	}}
	k := sending(t30test.Config{}, sink, t30test.NewDocument(1, 2, 300))
	k.caller.NoECM = true
	o := k.run(t)
	for side, r := range map[string]t30.Report{"sender": o.sent, "receiver": o.got} {
		addsUp(t, r)
		var pages []bool
		for _, s := range r.Spans {
			if s.Kind == t30.KindPage && s.Octets > 0 {
				pages = append(pages, s.Again)
			}
		}
		if !slices.Equal(pages, []bool{false, true, true, false}) {
			t.Errorf("%s: pages sent again %v", side, pages)
		}
	}
}

// Whatever happens on the line, the parts of both ends add up to the call.
func TestBreakdown_AddsUpOnBadLines(t *testing.T) {
	for seed := uint64(1); seed <= 150; seed++ {
		cfg := t30test.Config{Seed: seed, DropFrame: 0.05, CorruptFrame: 0.05, CorruptPage: 0.1, CutCarrier: 0.05, DropCarrier: 0.1, HangUp: 0.02,
			Delay: time.Duration(seed%4) * 30 * ms}
		k := sending(cfg, &t30test.Sink{SyncDelay: time.Duration(seed%3) * 100 * ms}, t30test.NewDocument(seed, 3, 600))
		k.caller.NoECM = seed%2 == 0
		o := k.run(t)
		addsUp(t, o.sent)
		addsUp(t, o.got)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// quick is a line on which time runs ten times as fast as it should.
type quick struct{ t30.Line }

func (q quick) SendFrames(context.Context, ...t30.Frame) error { time.Sleep(150 * ms); return nil }

func (q quick) ReceiveFrame(context.Context, time.Duration) (t30.Frame, error) {
	time.Sleep(100 * ms)
	return t30.NewFrame(t30.FcfDCN, true, true), nil
}

func (q quick) Silence(context.Context, time.Duration) error { time.Sleep(7 * ms); return nil }

func TestBreakdown_LineFasterThanReal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := t30test.Pair(t30test.Config{}, t30test.All, t30test.All)
		k := station("1")
		k.Sink = &t30test.Sink{}
		rep, err := t30.Answer(t.Context(), quick{b}, k)
		if err != nil {
			t.Fatal(err)
		}
		addsUp(t, rep)
		p := timesOf(rep)
		if p[">V.21 preamble"].Time == 0 || p[">V.21 frames"].Time == 0 || p[">modem latency"].Time != 0 {
			t.Errorf("parts %v", p)
		}
		time.Sleep(time.Second)
	})
}

// phone is a modem that takes its time to dial and to answer.
type phone struct {
	line t30.Line
	err  error
}

func (p phone) Capabilities() t30.Capabilities { return t30test.All }

func (p phone) Dial(context.Context, string) (t30.Line, error) {
	time.Sleep(12 * time.Second)
	return p.line, p.err
}

func (p phone) WaitRing(context.Context) (t30.Ringing, error) { return p, nil }
func (p phone) Rings() <-chan t30.Ring                        { return nil }
func (p phone) Ignore() error                                 { return nil }

func (p phone) Answer(context.Context, t30.AnswerMode) (t30.Line, error) {
	time.Sleep(6 * time.Second)
	return p.line, p.err
}

func TestSpans_DialAndAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := t30test.Pair(t30test.Config{}, t30test.All, t30test.All)
		caller, called := station("1"), station("2")
		caller.Send, called.Sink = t30test.Docs(t30test.NewDocument(1, 1, 100)), &t30test.Sink{}
		done := make(chan t30.Report, 1)
		go func() {
			time.Sleep(6 * time.Second)
			in, _ := t30.NewTerminal(phone{line: b}).WaitCall(t.Context())
			rep, _ := in.Answer(t.Context(), t30.AnswerFax, called)
			done <- rep
		}()
		sent, err := t30.NewTerminal(phone{line: a}).Call(t.Context(), "2", caller)
		got := <-done
		if err != nil || sent.Code != t30.CodeOK || got.Code != t30.CodeOK {
			t.Fatal(err, sent.Code, got.Code)
		}
		addsUp(t, sent)
		addsUp(t, got)
		if p := timesOf(sent)["-dialing and answer"]; p.Time != 12*time.Second || p.Least != 0 {
			t.Errorf("dialing %v", p)
		}
		if p := timesOf(got)[">answering, CED"]; p.Time != 6*time.Second || p.Least != 4400*ms {
			t.Errorf("answering %v", p)
		}
		time.Sleep(time.Second)
	})
}

func TestSpans_WithoutConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := &t30.CallError{Code: t30.CodeBusy, Text: "BUSY"}
		rep, err := t30.NewTerminal(phone{err: busy}).Call(t.Context(), "2", station("1"))
		if err != nil || rep.Code != t30.CodeBusy {
			t.Fatal(err, rep.Code)
		}
		addsUp(t, rep)
		if len(rep.Spans) != 1 || rep.Spans[0].Kind != t30.KindDial {
			t.Errorf("spans %v", rep.Spans)
		}
	})
}

// A Terminal that runs T.30 by itself has no spans: its time is shown as what it is.
func TestBreakdown_WithoutSpans(t *testing.T) {
	start := time.Now()
	list := t30.Breakdown(t30.Report{Start: start, End: start.Add(time.Minute)})
	if len(list) != 1 || list[0].Name != t30.PartRest || list[0].Time != time.Minute || list[0].Least != 0 {
		t.Errorf("parts %v", list)
	}
	if list := t30.Breakdown(t30.Report{}); len(list) != 0 {
		t.Errorf("parts of no call: %v", list)
	}
}
