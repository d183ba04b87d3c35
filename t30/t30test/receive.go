package t30test

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/tipring/tipring/t30"
)

// flagsHeard is how much of a V.21 preamble a modem needs to know it.
const flagsHeard = 100 * time.Millisecond

// Quiet implements t30.Listener.
func (e *End) Quiet(context.Context) (bool, error) {
	s := e.heard()
	return s == nil || s.start.After(time.Now()), nil
}

// late is how long after a carrier began a receiver may come and still train on it.
const late = 60 * time.Millisecond

// heard returns the first signal that is not over yet, forgetting older ones; nil: none.
func (e *End) heard() *sound {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.inbox) > 0 && !e.inbox[0].end().After(time.Now()) {
		e.inbox = e.inbox[1:]
	}
	if len(e.inbox) == 0 {
		return nil
	}
	return e.inbox[0]
}

// done forgets a signal that has been heard to its end.
func (e *End) done(s *sound) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.inbox) > 0 && e.inbox[0] == s {
		e.inbox = e.inbox[1:]
	}
}

// wait waits for a signal to be on the line, up to the deadline.
func (e *End) wait(ctx context.Context, deadline time.Time) (*sound, error) {
	for {
		if e.HungUp() {
			return nil, t30.ErrHungUp
		}
		left := time.Until(deadline)
		s := e.heard()
		if s != nil {
			if d := time.Until(s.start); d <= 0 {
				return s, nil
			} else if d < left {
				if err := e.sleep(ctx, d); err != nil {
					return nil, err
				}
				continue
			}
		}
		if left <= 0 {
			return nil, t30.ErrTimeout
		}
		t := time.NewTimer(left)
		select {
		case <-e.wake:
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		case <-e.gone:
		}
		t.Stop()
	}
}

// until waits for a point of a signal.
func (e *End) until(ctx context.Context, s *sound, d time.Duration) error {
	return e.sleep(ctx, max(0, time.Until(s.start.Add(d))))
}

// ReceiveFrame implements t30.Line.
func (e *End) ReceiveFrame(ctx context.Context, wait time.Duration) (t30.Frame, error) {
	deadline := time.Now().Add(wait)
	for {
		s, err := e.wait(ctx, deadline)
		if err != nil {
			return nil, err
		}
		if !s.v21 { // a modem in +FRH hears nothing in it
			if err := e.skip(ctx, s, deadline); err != nil {
				return nil, err
			}
			continue
		}
		now := time.Since(s.start)
		began := s.next > 0 || now < preamble-flagsHeard
		for s.next < len(s.pieces) && s.pieces[s.next].from < now-20*time.Millisecond {
			s.next++ // missed its beginning
		}
		if s.next < len(s.pieces) {
			p := s.pieces[s.next]
			s.next++
			if err := e.until(ctx, s, p.to); err != nil {
				return nil, err
			}
			if p.bad {
				return nil, t30.ErrFCS
			}
			if p.frame.Final() {
				err = e.until(ctx, s, s.length)
				e.done(s)
			}
			return p.frame, err
		}
		if err := e.until(ctx, s, s.length); err != nil {
			return nil, err
		}
		e.done(s)
		if began {
			return nil, t30.ErrCarrierLost
		}
	}
}

// skip lets a signal pass that is of no use here.
func (e *End) skip(ctx context.Context, s *sound, deadline time.Time) error {
	if s.end().After(deadline) {
		if err := e.sleep(ctx, time.Until(deadline)); err != nil {
			return err
		}
		return t30.ErrTimeout
	}
	if err := e.sleep(ctx, time.Until(s.end())); err != nil {
		return err
	}
	e.done(s)
	return nil
}

// receive waits for a carrier of m and gives its pieces to f as they come.
func (e *End) receive(ctx context.Context, m t30.Modulation, wait time.Duration, f func(piece) error) error {
	deadline := time.Now().Add(wait)
	for {
		s, err := e.wait(ctx, deadline)
		if err != nil {
			return err
		}
		if s.v21 {
			if err := e.until(ctx, s, flagsHeard); err != nil {
				return err
			}
			return t30.ErrV21
		}
		if s.silent || s.mod != m || time.Since(s.start) > late {
			if err := e.skip(ctx, s, deadline); err != nil {
				return err
			}
			continue
		}
		for _, p := range s.pieces {
			if err := e.until(ctx, s, p.to); err != nil {
				return err
			}
			if err := f(p); err != nil {
				return err
			}
		}
		if err := e.until(ctx, s, s.length); err != nil {
			return err
		}
		e.done(s)
		if s.cut {
			return fmt.Errorf("t30test: receive %v: %w", m, t30.ErrCarrierLost)
		}
		return nil
	}
}

// ReceivePage implements t30.Line.
func (e *End) ReceivePage(ctx context.Context, m t30.Modulation, wait time.Duration, w io.Writer) error {
	return e.receive(ctx, m, wait, func(p piece) error {
		if p.octets == nil {
			return nil
		}
		_, err := w.Write(p.octets)
		return err
	})
}

// ReceiveBlock implements t30.Line.
func (e *End) ReceiveBlock(ctx context.Context, m t30.Modulation, wait time.Duration, f func(t30.Frame)) error {
	return e.receive(ctx, m, wait, func(p piece) error {
		if p.frame != nil {
			f(p.frame)
		}
		return nil
	})
}
