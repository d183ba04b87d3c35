package t30

import (
	"errors"
	"slices"
	"time"
)

// lineQuiet tells whether it is certain that nothing is on the line: then T2 ends the call. A carrier that never trained has to be waited out.
func (c *call) lineQuiet() bool {
	l, ok := c.line.Line.(Listener)
	if !ok {
		return false
	}
	quiet, err := l.Quiet(c.ctx)
	return err == nil && quiet
}

// untilV21 listens for a carrier, for T2. A V.21 signal in its place ends that only if it is for us: it is then in c.sig,
// and early is set. An echo of ours, a spoilt frame or noise that the modem took for V.21 does not: the carrier may begin
// right after it. want are the signals for us.
func (c *call) untilV21(listen func(wait time.Duration) error, want []FCF) error {
	deadline := time.Now().Add(waitCarrier)
	for spoilt := 0; ; {
		began := time.Now()
		err := listen(max(0, time.Until(deadline)))
		c.spoken, c.rx.quiet = true, time.Now()
		if !errors.Is(err, ErrV21) {
			return err
		}
		got, bad, err := c.glanceAtV21(want)
		if err != nil || got {
			return errOr(err, ErrV21)
		}
		if bad && spoilt < maxTries-1 { // the sender is there and will repeat it
			spoilt++
			deadline = time.Now().Add(timerT2)
		}
		if time.Now().After(deadline) {
			return ErrTimeout
		}
		if err := c.slow(began); err != nil {
			return err
		}
	}
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// glanceAtV21 reads the V.21 signal that is on the line now. got: it is one of want or DCN; bad: a frame of it was spoilt.
func (c *call) glanceAtV21(want []FCF) (got, bad bool, err error) {
	r := &c.rx
	r.glance, r.blurred = true, false
	deadline := time.Now().Add(glanceAt)
	err = c.receive(&deadline)
	r.glance = false
	switch {
	case err == nil && c.sig.fcf != FcfDCN && !slices.Contains(want, c.sig.fcf):
		c.trace(LayerFrame, Note, "%v makes no sense here", c.sig.fcf)
		return false, false, nil
	case err == nil:
		r.early = true
		return true, false, nil
	case errors.Is(err, ErrTimeout), errors.Is(err, errNothing):
		return false, r.blurred, nil
	}
	return false, false, err
}

// awaitEarly is awaitCommand, unless a signal that is wanted came early.
func (c *call) awaitEarly(wait time.Duration, want ...FCF) error {
	early := c.rx.early
	c.rx.early = false
	if early && (c.sig.fcf == FcfDCN || slices.Contains(want, c.sig.fcf)) {
		return nil
	}
	return c.awaitCommand(wait, want...)
}
