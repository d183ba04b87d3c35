package class1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/hdlc"
)

// V.34 fax: T.31 Amendment 1, Annex B. Not yet tried on hardware. After +F34: and CONNECT there are no commands any more: frames of the
// control and the primary channel, and codes, go both ways until DLE EOT. The modem does flags, zero insertion and check sequences on both channels.

const (
	channelWait = 15 * time.Second       // for a change of channel: ones, silence, resynchronization, a new agreement on rates
	blockGap    = 15 * time.Second       // without an octet in a received block: the sender may pause between frames
	rateWait    = 500 * time.Millisecond // from the code of a channel to that of its rate
	frameRest   = time.Second            // for the rest of a control frame that has begun
	v34Step     = 4800                   // bit/s, how much slower to ask for. Field: HylaFAX
	v34Least    = 4800                   // bit/s, not asked for less: 2400 takes a symbol rate of its own
	v34Turns    = 3                      // tries to change to the primary channel, each ended by a retrain
	maxV34Frame = maxBlockFrame + 2 + 64 // octets, check sequence included; a longer one is none of T.30's
)

// v34Line is one call over V.34, a [t30.V34Line].
type v34Line struct {
	*line
	primary, control atomic.Int64 // rates, bit/s

	// Of the running method:
	dec       at.V34Decoder
	buf       []byte   // of the frame that is coming
	long      bool     // it is longer than any
	onPrimary bool     // the channel selected
	retrained bool     // the control channel went, and will come back
	early     v34Event // a control frame that came in place of the primary channel
	slower    bool
}

var _ t30.V34Line = (*v34Line)(nil)

func newV34Line(p *Phone, r v34Rates) *v34Line {
	l := &v34Line{line: newLine(p, inV34)}
	l.primary.Store(int64(r.primary))
	l.control.Store(int64(r.control))
	l.ch.Note("V.34: primary channel %d bit/s, control channel %d bit/s", r.primary, r.control)
	return l
}

// V34 implements [t30.V34Line].
func (l *v34Line) V34() (primary, control int) { return int(l.primary.Load()), int(l.control.Load()) }

// Slower implements [t30.V34Line].
func (l *v34Line) Slower() { l.slower = true }

// v34Event is one thing that the modem said.
type v34Event struct {
	kind  v34Kind
	frame []byte // without its check sequence
}

type v34Kind int

const (
	v34None     v34Kind = iota
	v34Frame            // a good frame
	v34Spoilt           // a bad one
	v34Selected         // the other channel is selected, or the control channel is back after a retrain
	v34Rated            // the rate of the channel selected was told
)

// next waits for an event. Errors: t30.ErrTimeout; t30.ErrHungUp after DLE EOT.
func (l *v34Line) next(ctx context.Context, within time.Duration) (v34Event, error) {
	until := time.Now().Add(within)
	for {
		had := len(l.buf)
		var code at.V34Code
		var err error
		l.buf, code, err = l.ch.ReadV34(ctx, &l.dec, l.buf, max(0, time.Until(until)))
		switch {
		case errors.Is(err, at.ErrNoReply):
			return v34Event{}, t30.ErrTimeout
		case err != nil:
			return v34Event{}, err
		case !l.onPrimary && endsInResult(l.buf):
			l.state = commandState
			return v34Event{}, fmt.Errorf("V.34: %w (%q)", t30.ErrHungUp, strings.TrimSpace(string(l.buf)))
		case len(l.buf) > maxV34Frame:
			l.buf, l.long = l.buf[:0], true
		}
		if len(l.buf) > had && !l.onPrimary { // a frame on the line may end
			until = later(until, time.Now().Add(frameRest))
		}
		if e, err := l.code(code); e.kind != v34None || err != nil {
			return e, err
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// code takes what a code means.
func (l *v34Line) code(k at.V34Code) (v34Event, error) {
	switch k {
	case at.V34FrameEnd, at.V34BadFrame:
		return l.frame(k == at.V34FrameEnd), nil
	case at.V34EOT:
		l.state = v34Ended
		return v34Event{}, fmt.Errorf("V.34: %w (EOT)", t30.ErrHungUp)
	case at.V34Retrain:
		l.buf, l.retrained = l.buf[:0], true
	case at.V34Primary, at.V34Control:
		was := l.onPrimary
		l.buf, l.long, l.onPrimary = l.buf[:0], false, k == at.V34Primary
		if was != l.onPrimary || l.retrained {
			l.retrained = false
			return v34Event{kind: v34Selected}, nil
		}
	default:
		p, c := k.PrimaryRate(), k.ControlRate()
		if p > 0 {
			l.primary.Store(int64(p))
		}
		if c > 0 {
			l.control.Store(int64(c))
		}
		if p > 0 && l.onPrimary || c > 0 && !l.onPrimary {
			return v34Event{kind: v34Rated}, nil
		}
	}
	return v34Event{}, nil
}

// frame ends a frame.
func (l *v34Line) frame(good bool) v34Event {
	f, long := l.buf, l.long
	l.buf, l.long = nil, false
	switch {
	case len(f) == 0 && !long: // DLE ETX behind DLE FERR, of modems that send both
		return v34Event{}
	case long || !good || len(f) < hdlc.MinFrame+2 || !l.p.cfg.Quirks.NoFCS && !hdlc.Good(f):
		return v34Event{kind: v34Spoilt}
	}
	return v34Event{v34Frame, f[:len(f)-2]}
}

// selected waits until a channel is selected, and then for its rate, which comes behind it. ok is false when the control channel was retrained in
// place of a change to the primary one.
func (l *v34Line) selected(ctx context.Context, primary bool, within time.Duration) (ok bool, err error) {
	if l.onPrimary == primary {
		return true, nil
	}
	for until := time.Now().Add(within); l.onPrimary != primary; {
		e, err := l.next(ctx, time.Until(until))
		switch {
		case errors.Is(err, t30.ErrTimeout):
			return false, fmt.Errorf("V.34: %w (the channel did not change)", t30.ErrHungUp)
		case err != nil:
			return false, err
		case e.kind == v34Selected && l.onPrimary != primary:
			return false, nil
		}
	}
	switch e, err := l.next(ctx, rateWait); {
	case err != nil && !errors.Is(err, t30.ErrTimeout):
		return false, err
	case e.kind == v34Frame, e.kind == v34Spoilt: // of a modem that tells no rates
		l.early = e
	}
	return true, nil
}

// SendFrames implements [t30.Line]: on the control channel.
func (l *v34Line) SendFrames(ctx context.Context, frames ...t30.Frame) error {
	return l.method(ctx, "send frames", func(ctx context.Context) error {
		if _, err := l.selected(ctx, false, channelWait); err != nil {
			return err
		}
		_, rate := l.V34()
		for _, f := range frames {
			l.noteFrame(f)
			if err := l.send(ctx, f); err != nil {
				return err
			}
			// At most 20 % of inserted zeros; check sequence and two flags.
			if err := phone.Sleep(ctx, airTime(int64(len(f)+4), rate)*6/5); err != nil {
				return err
			}
		}
		return nil
	})
}

// send gives the modem one frame, for whichever channel is selected.
func (l *v34Line) send(ctx context.Context, f []byte) error {
	sctx, cancel := context.WithTimeoutCause(ctx, stallWait, ErrStalled)
	defer cancel()
	err := l.ch.WriteV34Frame(sctx, f)
	if err != nil && errors.Is(context.Cause(sctx), ErrStalled) {
		err = ErrStalled
	}
	return err
}

// ReceiveFrame implements [t30.Line]: from the control channel.
func (l *v34Line) ReceiveFrame(ctx context.Context, wait time.Duration) (t30.Frame, error) {
	var f t30.Frame
	err := l.method(ctx, "receive frame", func(ctx context.Context) error {
		until := time.Now().Add(wait)
		for {
			e := l.early
			l.early = v34Event{}
			if e.kind == v34None {
				var err error
				if e, err = l.next(ctx, time.Until(until)); err != nil {
					return err
				}
			}
			switch {
			case e.kind == v34Frame && !l.onPrimary:
				f = e.frame
				l.noteFrame(f)
				return nil
			case e.kind == v34Spoilt && !l.onPrimary:
				return t30.ErrFCS
			}
		}
	})
	return f, err
}

// SendBlock implements [t30.Line]: over the primary channel, and back to the control channel.
func (l *v34Line) SendBlock(ctx context.Context, _ t30.Modulation, frames []t30.Frame) error {
	return l.method(ctx, "send block", func(ctx context.Context) error {
		if err := l.toPrimary(ctx); err != nil {
			return err
		}
		rate, _ := l.V34()
		if l.slower { // Field: HylaFAX asks at this moment, when the channel has just changed
			l.slower = false
			if err := l.ch.WriteV34(ctx, at.V34RateCode(min(rate, max(v34Least, rate-v34Step))), at.V34NewRate); err != nil {
				return err
			}
		}
		start, total := time.Now(), int64(0)
		for _, f := range frames {
			if err := l.send(ctx, f); err != nil {
				return err
			}
			total += int64(len(f) + 4)
			if _, err := l.next(ctx, 0); err != nil && !errors.Is(err, t30.ErrTimeout) {
				return err
			}
			if !l.onPrimary { // a retrain; the far end will ask for what it has not got
				return nil
			}
		}
		if err := l.ch.WriteV34(ctx, at.V34Control); err != nil {
			return err
		}
		off := start.Add(airTime(total, rate) * 6 / 5)
		_, err := l.selected(ctx, false, max(0, time.Until(off))+channelWait)
		l.ch.Note("%d octets sent at V.34 %d bit/s", total, rate)
		return err
	})
}

// toPrimary changes to the primary channel, again after a retrain of the control channel.
func (l *v34Line) toPrimary(ctx context.Context) error {
	for range v34Turns {
		if _, err := l.selected(ctx, false, channelWait); err != nil {
			return err
		}
		if err := l.ch.WriteV34(ctx, at.V34Primary); err != nil {
			return err
		}
		if ok, err := l.selected(ctx, true, channelWait); ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("V.34: %w (the control channel is retrained again and again)", t30.ErrHungUp)
}

// ReceiveBlock implements [t30.Line]: what comes over the primary channel, until the control channel is back. A channel that goes without an
// RCP gives t30.ErrCarrierLost.
func (l *v34Line) ReceiveBlock(ctx context.Context, _ t30.Modulation, wait time.Duration, f func(t30.Frame)) error {
	return l.method(ctx, "receive block", func(ctx context.Context) error {
		for until := time.Now().Add(wait); !l.onPrimary; {
			e, err := l.next(ctx, time.Until(until))
			switch {
			case err != nil:
				return err
			case !l.onPrimary && (e.kind == v34Frame || e.kind == v34Spoilt):
				l.early = e
				return t30.ErrV21
			}
		}
		done := false
		for l.onPrimary {
			e, err := l.next(ctx, blockGap)
			switch {
			case errors.Is(err, t30.ErrTimeout):
				return t30.ErrCarrierLost
			case err != nil:
				return err
			case e.kind == v34Frame && (!done || len(e.frame) == hdlc.MinFrame):
				done = done || len(e.frame) == hdlc.MinFrame && e.frame[fcf] == rcp
				f(e.frame)
			}
		}
		if !done {
			return t30.ErrCarrierLost
		}
		return nil
	})
}

// errNotV34 is returned by the methods that a call over V.34 has no use for.
var errNotV34 = errors.New("class1: there is none in a call over V.34")

// SendTCF implements [t30.Line].
func (l *v34Line) SendTCF(context.Context, t30.Modulation, time.Duration) error { return errNotV34 }

// SendPage implements [t30.Line].
func (l *v34Line) SendPage(context.Context, t30.Modulation, io.Reader) error { return errNotV34 }

// ReceivePage implements [t30.Line].
func (l *v34Line) ReceivePage(context.Context, t30.Modulation, time.Duration, io.Writer) error {
	return errNotV34
}

// Silence implements [t30.Line].
func (l *v34Line) Silence(ctx context.Context, d time.Duration) error {
	return l.method(ctx, "silence", func(ctx context.Context) error { return phone.Sleep(ctx, d) })
}

// Quiet implements [t30.Listener]: the modem does not tell, and a primary channel that never trained has to be waited out.
func (l *v34Line) Quiet(context.Context) (bool, error) { return false, nil }
