package t30test

import (
	"bytes"
	"context"
	"time"

	"github.com/tipring/tipring/t30"
)

// Tester returns the caller's or answerer's end as a tester's. It takes the end over: no method of the End itself may
// be used then. The faults of the wire's Config do not touch what a tester sends.
func (e *End) Tester() Tester { return &wireTester{e} }

type wireTester struct{ e *End }

// Tones implements Tester: the wire begins where CED ends.
func (t *wireTester) Tones() bool { return false }

// Grain implements Tester: the way there and back.
func (t *wireTester) Grain() time.Duration { return 2 * t.e.w.cfg.Delay }

// Hangup implements Tester.
func (t *wireTester) Hangup() error { return t.e.Hangup() }

// Send implements Tester.
func (t *wireTester) Send(ctx context.Context, s *Signal) error {
	out := &sound{mod: s.Mod, silent: s.Untrained, kind: s.Kind}
	switch s.Kind {
	case SignalV21:
		out.v21 = true
		t.frames(out, s, 300, orElse(s.Lead, preamble))
		out.length += 20 * time.Millisecond // closing flags
	case SignalBlock:
		t.frames(out, s, s.Mod.Rate, orElse(s.Lead, training(s.Mod)))
		out.length += 10 * time.Millisecond
	case SignalCarrier:
		out.ready = orElse(s.Lead, training(s.Mod))
		out.length = out.ready + bitTime(len(s.Octets), s.Mod.Rate) + 10*time.Millisecond
		for at := 0; at < len(s.Octets); at += pieceBytes {
			d := s.Octets[at:min(at+pieceBytes, len(s.Octets))]
			out.pieces = append(out.pieces, piece{from: out.ready + bitTime(at, s.Mod.Rate), to: out.ready + bitTime(at+len(d), s.Mod.Rate), octets: d})
		}
	default:
		out.silent, out.length = true, s.Length
	}
	if s.Cut > 0 {
		out.shorten(out.ready + time.Duration(float64(out.length-out.ready)*s.Cut))
	}
	if gone(t.e.peer().hung) {
		return t30.ErrHungUp
	}
	return t.e.play(ctx, out, 0)
}

func orElse(d, usual time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return usual
}

// frames puts a signal's frames into out.
func (t *wireTester) frames(out *sound, s *Signal, rate int, lead time.Duration) {
	out.ready, out.length = lead, lead
	octets := 0
	for _, f := range s.Frames {
		p := piece{from: out.length, frame: bytes.Clone(f.Frame), bad: f.Bad}
		octets += len(f.Frame) + 3
		p.to = lead + bitTime(octets, rate)
		if f.Clip {
			p.to -= bitTime(2, rate) // gone in the FCS
		}
		out.length = p.to
		if s.Kind == SignalV21 || !f.Bad { // a block's receiver does not tell of bad frames
			out.pieces = append(out.pieces, p)
		}
	}
}

// shorten lets a carrier be lost.
func (s *sound) shorten(to time.Duration) {
	s.cut, s.length = true, to
	for i, p := range s.pieces {
		if p.to > to {
			s.pieces = s.pieces[:i]
			return
		}
	}
}

// Hear implements Tester.
func (t *wireTester) Hear(ctx context.Context, wait time.Duration) (*Signal, error) {
	e := t.e
	deadline := time.Now().Add(wait)
	for {
		e.mu.Lock()
		var s *sound
		if len(e.inbox) > 0 {
			s = e.inbox[0]
		}
		e.mu.Unlock()
		if s != nil && !s.start.After(deadline) {
			return t.whole(ctx, s)
		}
		if s == nil && gone(e.peer().hung) {
			return nil, t30.ErrHungUp
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil, t30.ErrTimeout
		}
		timer := time.NewTimer(left)
		select {
		case <-e.wake:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-e.peer().hung:
		}
		timer.Stop()
	}
}

// whole waits for the end of a sound and tells it.
func (t *wireTester) whole(ctx context.Context, s *sound) (*Signal, error) {
	timer := time.NewTimer(time.Until(s.end()))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	t.e.done(s)
	out := &Signal{Kind: s.kind, Mod: s.mod, Lead: s.ready, Start: s.start, End: s.end()}
	if s.v21 {
		out.Kind = SignalV21
	}
	for _, p := range s.pieces {
		if p.octets != nil {
			out.Octets = append(out.Octets, p.octets...)
		} else {
			out.Frames = append(out.Frames, SignalFrame{Frame: p.frame, Bad: p.bad})
		}
	}
	if s.cut {
		out.Cut = float64(s.length) / float64(max(1, s.length))
	}
	return out, nil
}

func gone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
