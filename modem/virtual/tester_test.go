package virtual

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// onTesters runs f in virtual time with two testers in a call.
func onTesters(t *testing.T, o Options, f func(t *testing.T, a, b *Tester)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ex := NewExchange(o)
		defer ex.Close()
		a, b := ex.NewTester("1"), ex.NewTester("2")
		answered := make(chan error, 1)
		go func() { answered <- b.Answer(t.Context()) }()
		if err := a.Dial(t.Context(), "2"); err != nil {
			t.Fatal(err)
		}
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
		f(t, a, b)
	})
}

// heardOf sends s from one end and returns what the other hears.
func heardOf(t *testing.T, from, to *Tester, s *t30test.Signal) *t30test.Signal {
	t.Helper()
	if err := from.Send(t.Context(), s); err != nil {
		t.Fatalf("send %v: %v", s, err)
	}
	got, err := to.Hear(t.Context(), time.Second)
	if err != nil {
		t.Fatalf("hear %v: %v", s, err)
	}
	return got
}

var (
	mcf  = t30.NewFrame(t30.FcfMCF, false, true)
	full = t30test.SignalFrame{Frame: t30.NewFrame(t30.FcfFCD, false, false, append([]byte{7}, bytes.Repeat([]byte{0x7e, 0xff}, 128)...)...)}
	last = t30test.SignalFrame{Frame: t30.NewFrame(t30.FcfRCP, false, false)}
)

// TestTester_HeardAsSent: each kind of signal, and each way in which it can be wrong.
func TestTester_HeardAsSent(t *testing.T) {
	v29 := t30.Modulation{Scheme: t30.V29, Rate: 9600}
	v17 := t30.Modulation{Scheme: t30.V17, Rate: 14400, Short: true}
	data := bytes.Repeat([]byte{0x12, 0x00, 0xfe, 0x81}, 300)
	spoilt := t30test.SignalFrame{Frame: mcf, Bad: true}
	for _, c := range []struct {
		name       string
		sent, want t30test.Signal
		length     time.Duration
	}{
		{"V.21", t30test.Signal{Kind: t30test.SignalV21, Frames: []t30test.SignalFrame{{Frame: t30.NewFrame(t30.FcfCSI, false, false, 1, 2, 3)}, {Frame: mcf}}},
			t30test.Signal{Kind: t30test.SignalV21, Lead: time.Second, Frames: []t30test.SignalFrame{{Frame: t30.NewFrame(t30.FcfCSI, false, false, 1, 2, 3)}, {Frame: mcf}}},
			time.Second + 18*8*time.Second/300},
		{"V.21, FCS wrong, long preamble", t30test.Signal{Kind: t30test.SignalV21, Lead: 2 * time.Second, Frames: []t30test.SignalFrame{spoilt}},
			t30test.Signal{Kind: t30test.SignalV21, Lead: 2 * time.Second, Frames: []t30test.SignalFrame{spoilt}}, 2*time.Second + 8*8*time.Second/300},
		{"V.21, clipped", t30test.Signal{Kind: t30test.SignalV21, Frames: []t30test.SignalFrame{{Frame: mcf, Clip: true}}},
			t30test.Signal{Kind: t30test.SignalV21, Lead: time.Second, Frames: []t30test.SignalFrame{{Frame: mcf[:1], Bad: true}}}, time.Second + 5*8*time.Second/300},
		{"page", t30test.Signal{Kind: t30test.SignalCarrier, Mod: v29, Octets: data},
			t30test.Signal{Kind: t30test.SignalCarrier, Mod: v29, Octets: data, Lead: 253 * time.Millisecond}, 1253 * time.Millisecond},
		{"page, cut", t30test.Signal{Kind: t30test.SignalCarrier, Mod: v29, Octets: data, Cut: 0.5},
			t30test.Signal{Kind: t30test.SignalCarrier, Mod: v29, Octets: data[:600], Lead: 253 * time.Millisecond}, 753 * time.Millisecond},
		{"page, untrained", t30test.Signal{Kind: t30test.SignalCarrier, Mod: v29, Octets: data, Untrained: true},
			t30test.Signal{Kind: t30test.SignalCarrier, Mod: v29}, 1253 * time.Millisecond},
		{"block", t30test.Signal{Kind: t30test.SignalBlock, Mod: v17, Frames: []t30test.SignalFrame{full, {Frame: full.Frame, Bad: true}, last, last}},
			t30test.Signal{Kind: t30test.SignalBlock, Mod: v17, Lead: 142 * time.Millisecond, Frames: []t30test.SignalFrame{full, {Frame: full.Frame, Bad: true}, last, last}},
			690 * time.Millisecond},
		{"CED", t30test.Signal{Kind: t30test.SignalCED, Length: 3 * time.Second}, t30test.Signal{Kind: t30test.SignalCED}, 3 * time.Second},
		{"CNG", t30test.Signal{Kind: t30test.SignalCNG, Length: time.Second / 2}, t30test.Signal{Kind: t30test.SignalCNG}, time.Second / 2},
		{"noise", t30test.Signal{Kind: t30test.SignalNoise, Length: time.Minute}, t30test.Signal{Kind: t30test.SignalNoise}, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			const delay = 40 * time.Millisecond
			onTesters(t, Options{Delay: delay}, func(t *testing.T, a, b *Tester) {
				for _, way := range [][2]*Tester{{a, b}, {b, a}} {
					start := time.Now()
					got := heardOf(t, way[0], way[1], &c.sent)
					if got.Kind != c.want.Kind || got.Mod != c.want.Mod || !bytes.Equal(got.Octets, c.want.Octets) || !slices.EqualFunc(got.Frames, c.want.Frames, sameFrame) {
						t.Errorf("heard %v %+v, want %v", got, got.Frames, &c.want)
					}
					if d := got.Lead - c.want.Lead; d.Abs() > 30*time.Millisecond {
						t.Errorf("preamble or training of %v, want %v", got.Lead, c.want.Lead)
					}
					if got.Start.Sub(start) != delay {
						t.Errorf("began after %v, want the line's %v", got.Start.Sub(start), delay)
					}
					if d := got.End.Sub(got.Start) - c.length; d.Abs() > 60*time.Millisecond {
						t.Errorf("lasted %v, want %v", got.End.Sub(got.Start), c.length)
					}
				}
			})
		})
	}
}

func sameFrame(a, b t30test.SignalFrame) bool { return bytes.Equal(a.Frame, b.Frame) && a.Bad == b.Bad }

// TestTester_HangupSeenAtOnce: the far end hears what came before the hang-up, and then of it, at its very moment.
func TestTester_HangupSeenAtOnce(t *testing.T) {
	onTesters(t, Options{}, func(t *testing.T, a, b *Tester) {
		const at = 700 * time.Millisecond
		start := time.Now()
		time.AfterFunc(at, func() { _ = a.Hangup() })
		if err := a.Send(t.Context(), &t30test.Signal{Kind: t30test.SignalNoise, Length: time.Second}); !errors.Is(err, t30.ErrHungUp) {
			t.Errorf("sending over our own hang-up: %v", err)
		}
		s, err := b.Hear(t.Context(), time.Minute)
		if err != nil || s.Kind != t30test.SignalNoise || s.End.Sub(start) != at {
			t.Errorf("heard %v until %v, %v", s, s.End.Sub(start), err)
		}
		start = time.Now()
		if _, err := b.Hear(t.Context(), time.Minute); !errors.Is(err, t30.ErrHungUp) || time.Since(start) > 0 {
			t.Errorf("after the hang-up: %v, %v later", err, time.Since(start))
		}
		if err := b.Send(t.Context(), &t30test.Signal{Kind: t30test.SignalCED, Length: time.Second}); !errors.Is(err, t30.ErrHungUp) {
			t.Errorf("sending after the hang-up: %v", err)
		}
	})
}

// TestTester_OwnHangup: nothing is heard after it, not even what had begun.
func TestTester_OwnHangup(t *testing.T) {
	onTesters(t, Options{}, func(t *testing.T, a, b *Tester) {
		go func() { _ = b.Send(t.Context(), &t30test.Signal{Kind: t30test.SignalNoise, Length: time.Minute}) }()
		time.AfterFunc(time.Second, func() { _ = a.Hangup() })
		start := time.Now()
		if s, err := a.Hear(t.Context(), time.Hour); !errors.Is(err, t30.ErrHungUp) || time.Since(start) != time.Second {
			t.Errorf("heard %v, %v after %v", s, err, time.Since(start))
		}
	})
}

// TestTester_HearWaits: the wait bounds a signal's beginning, not its end.
func TestTester_HearWaits(t *testing.T) {
	onTesters(t, Options{}, func(t *testing.T, a, b *Tester) {
		start := time.Now()
		if _, err := b.Hear(t.Context(), time.Second); !errors.Is(err, t30.ErrTimeout) || time.Since(start) != time.Second {
			t.Errorf("%v after %v, want a time-out after 1s", err, time.Since(start))
		}
		go func() {
			time.Sleep(900 * time.Millisecond)
			_ = a.Send(t.Context(), &t30test.Signal{Kind: t30test.SignalCED, Length: 3 * time.Second})
		}()
		if s, err := b.Hear(t.Context(), time.Second); err != nil || s.End.Sub(s.Start) != 3*time.Second {
			t.Errorf("heard %v, %v", s, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Hear(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("canceled: %v", err)
		}
	})
}

func TestTester_DialFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ex := NewExchange(Options{})
		defer ex.Close()
		a := ex.NewTester("1")
		ex.NewTester("2")
		ex.Script("2", Busy)
		for number, want := range map[string]t30.Code{"2": t30.CodeBusy, "3": t30.CodeNotInService} {
			var refused *t30.CallError
			if err := a.Dial(t.Context(), number); !errors.As(err, &refused) || refused.Code != want {
				t.Errorf("dialing %s: %v, want %v", number, err, want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ex.Script("2", NoAnswer)
		if err := a.Dial(ctx, "2"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nobody answers: %v", err)
		}
		if !a.idle() {
			t.Error("the line is still in use")
		}
	})
}
