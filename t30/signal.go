package t30

import (
	"bytes"
	"errors"
	"slices"
	"time"
)

// signal is one received V.21 signal: its final frame.
type signal struct {
	fcf   FCF
	fif   []byte
	ident Remote    // what its other frames tell
	at    time.Time // when its final frame was in
}

// errNothing is returned by receive in a glance that found our own echo, or nothing before the carrier went.
var errNothing = errors.New("t30: nothing for us")

// send sends one signal after the pause that parts it from what was on the line before.
func (c *call) send(frames ...Frame) error {
	if err := c.quiet(pauseBrisk); err != nil {
		return err
	}
	for _, f := range frames {
		c.trace(LayerFrame, Out, "%s", frameText(c.v34, f))
	}
	c.sent, c.ours = frames[len(frames)-1], frames
	return c.line.SendFrames(c.ctx, frames...)
}

// startQuiet begins the pause before a signal of ours, of at least d: pauseBrisk, or pauseCarrier before a carrier. Until quiet, which
// has to come before anything else on the line, there is time for work of our own: a page to be coded, a record to be written.
func (c *call) startQuiet(d time.Duration) {
	if c.quieting != nil {
		return
	}
	done := make(chan error, 1)
	c.quieting = done
	if d = c.gap(d); d <= 0 {
		done <- nil
		return
	}
	go func() { done <- c.line.Silence(c.ctx, d) }()
}

// quiet returns at the end of the pause before a signal of ours, begun by it or before with d.
func (c *call) quiet(d time.Duration) error {
	c.startQuiet(d)
	err := <-c.quieting
	c.quieting, c.spoken, c.rx.quiet = nil, true, time.Time{}
	return err
}

// gap is how long the line still has to be quiet before we may send: d, reckoned from when the far end's signal was over.
func (c *call) gap(d time.Duration) time.Duration {
	if c.v34 != nil { // the modem turns the line round
		return 0
	}
	if c.nominal {
		d = pause
	}
	switch {
	case !c.spoken:
		return 0
	case c.rx.quiet.IsZero():
		return d
	}
	return d - time.Since(c.rx.quiet)
}

// unanswered tells whether the command sent last is to be repeated: nothing came in time, or CRP (T.30 5.3.6.1.8).
func (c *call) unanswered(err error) bool {
	again := errors.Is(err, ErrTimeout) || err == nil && c.sig.fcf == FcfCRP
	c.nominal = c.nominal || again
	return again
}

// reply sends a signal of one frame without or with a FIF.
func (c *call) reply(fcf FCF, fif ...byte) error { return c.send(NewFrame(fcf, c.x, true, fif...)) }

// receive waits until the deadline for a signal's beginning and puts it into c.sig. Bad frames, noise and our own echo are
// passed over. Errors: ErrTimeout, and those that end the call.
func (c *call) receive(deadline *time.Time) error {
	var in bool // inside a signal: its first frames have come
	var ident Remote
	for range maxFrames {
		left := time.Until(*deadline)
		if in {
			left = max(left, timerT4) // a signal that has begun may end
		}
		if left <= 0 {
			return ErrTimeout
		}
		began := time.Now()
		f, err := c.line.ReceiveFrame(c.ctx, left)
		switch {
		case err == nil:
		case errors.Is(err, ErrTimeout):
			return ErrTimeout
		case errors.Is(err, ErrFCS), errors.Is(err, ErrCarrierLost), errors.Is(err, ErrV21):
			c.trace(LayerFrame, In, "%v", err)
			in = false
			c.spoilt(deadline)
			if c.rx.glance && errors.Is(err, ErrCarrierLost) { // the signal is over: the page may begin at once
				return errNothing
			}
			if err := c.slow(began); err != nil {
				return err
			}
			continue
		default:
			return err
		}
		c.spoken, c.rx.quiet = true, time.Now()
		echo := c.echo(f)
		if echo || !f.Valid() {
			c.trace(LayerFrame, In, "ignored: %v", f)
			if echo {
				in, ident = false, Remote{} // what came before it was ours too
			}
			if echo && c.rx.glance && f.Final() {
				return errNothing
			}
			if err := c.slow(began); err != nil {
				return err
			}
			continue
		}
		c.rep.FaxHeard = true
		c.trace(LayerFrame, In, "%s", frameText(c.v34, f))
		if !f.Final() {
			in = true
			noteIdent(&ident, f)
			continue
		}
		c.sig = signal{fcf: f.FCF(), fif: bytes.Clone(f.FIF()), ident: ident, at: time.Now()}
		return nil
	}
	return ErrTimeout
}

// echo tells whether f is a frame of our own last signal, come back.
func (c *call) echo(f Frame) bool {
	return slices.ContainsFunc(c.ours, func(o Frame) bool { return bytes.Equal(f, o) })
}

// spoilt takes notice of a signal that was not understood: the sender is there and will repeat it, so that the wait begins
// anew, as often as patience allows. A modem may tell of one such signal more than once.
func (c *call) spoilt(deadline *time.Time) {
	now := time.Now()
	same := c.rx.blurred && now.Sub(c.rx.quiet) < sameSignal
	c.rx.quiet, c.rx.blurred = now, true
	switch {
	case c.rx.glance: // more frames of the same signal would follow at once
		*deadline = now.Add(glanceNext)
	case c.patience > 0 && !same:
		c.patience--
		if again := now.Add(c.rx.renew); again.After(*deadline) {
			*deadline = again
		}
	}
}

// slow makes a receive that failed at once take falseStart, so that a line that does nothing else makes no busy loop.
func (c *call) slow(began time.Time) error {
	if time.Since(began) >= falseStart {
		return nil
	}
	select {
	case <-time.After(falseStart):
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

// noteIdent keeps what a non-final frame tells.
func noteIdent(r *Remote, f Frame) {
	switch f.FCF() {
	case FcfCSI, FcfCIG, FcfTSI:
		r.ID = decodeIdent(f.FIF())
	case FcfNSF, FcfNSC, FcfNSS:
		r.NSF = bytes.Clone(f.FIF())
	case FcfSUB:
		r.Subaddress = decodeIdent(f.FIF())
	case FcfSEP:
		r.Selective = decodeIdent(f.FIF())
	case FcfPWD, FcfSID:
		r.Password = decodeIdent(f.FIF())
	}
}

// identified takes over what a DIS, DTC or DCS that is acted on tells of the far end. One that comes where none is wanted changes
// nothing in the midst of a document.
func (c *call) identified() {
	r := c.sig.ident
	switch c.sig.fcf {
	case FcfDIS, FcfDTC:
		caps, receive, poll := decodeDIS(c.sig.fif)
		caps.ECM = caps.ECM || c.v34 != nil // Field: some leave the bit out in V.34, where it is no choice
		r.Capabilities, r.CanPoll = caps, poll
		c.farCan.receive = receive
	case FcfDCS:
		r.Capabilities, r.CanPoll = c.far.Capabilities, c.far.CanPoll
	default:
		return
	}
	if r.ID == "" {
		r.ID = c.far.ID
	}
	if r.NSF == nil {
		r.NSF = c.far.NSF
	}
	r.Dialed = c.far.Dialed
	c.far = r
}

// await receives until a signal that want names has come, up to wait; others are passed over. DCN always is wanted;
// FcfNULL wants any field that is in no table.
func (c *call) await(wait time.Duration, want ...FCF) error {
	deadline := time.Now().Add(wait)
	for {
		if time.Until(deadline) <= 0 {
			return ErrTimeout
		}
		if err := c.receive(&deadline); err != nil {
			return err
		}
		if c.sig.fcf == FcfDCN {
			return nil
		}
		got := c.sig.fcf
		if _, known := fcfNames[got]; !known {
			got = FcfNULL
		}
		if slices.Contains(want, got) {
			return nil
		}
		c.trace(LayerFrame, Note, "%v makes no sense here", c.sig.fcf)
	}
}

// awaitCommand is await for the receiver: a spoilt signal means that the sender is there and will repeat it, so T2
// begins anew, as often as a command is repeated.
func (c *call) awaitCommand(wait time.Duration, want ...FCF) error {
	c.patience, c.rx.renew = maxTries-1, timerT2
	err := c.await(wait, want...)
	c.patience = 0
	return err
}
