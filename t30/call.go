package t30

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// call is one run of the flow charts over one Line. One goroutine owns it.
type call struct {
	ctx  context.Context
	line *timed
	s    Session
	own  Capabilities // what we can do, limits applied

	x        bool // our X bit: we received the last DIS (T.30 5.3.6.1)
	caller   bool
	spoken   bool // a signal of either side was on the line: pause before the next
	sig      signal
	patience int // spoilt signals that start the wait for a command anew
	far      Remote
	farCan   struct{ receive bool }
	sent     Frame      // final frame of our last signal: its echo
	ours     []Frame    // all frames of that signal
	quieting chan error // the pause before our next signal, nil: not begun
	v34      V34Line    // the line, in a call over V.34
	nominal  bool       // a signal was lost: no more durations from the low end of their tolerance

	tx sender
	rx receiver

	rep Report
	err error
}

func newCall(ctx context.Context, l Line, s Session) *call {
	c := &call{ctx: ctx, s: s, v34: begunV34(l)}
	c.s.NoECM = s.NoECM && c.v34 == nil
	if c.own = limited(l.Capabilities(), c.s); c.v34 == nil {
		c.own.Schemes &^= Schemes(V34)
	}
	c.rep.Start = time.Now()
	c.line = newTimed(l, c.rep.Start)
	if d, ok := l.(Dialed); ok {
		c.far.Dialed = d.Dialed()
	}
	c.rep.Connect, c.rep.Connected = c.rep.Start, true
	return c
}

// run walks the places from p on, hangs up and reports.
func (c *call) run(p place) (Report, error) {
	for p != placeEnd {
		if c.ctx.Err() != nil {
			c.broken(c.ctx.Err())
			break
		}
		next := c.step(p)
		if !allowed(p, next) {
			c.trace(LayerPlace, Note, "%v -> %v is in no chart", p, next)
		} else {
			c.trace(LayerPlace, Note, "%v -> %v", p, next)
		}
		p = next
	}
	if c.quieting != nil {
		_ = c.quiet(pauseBrisk)
	}
	if err := c.line.Hangup(); err != nil && c.err == nil && c.rep.Code == CodeOK {
		c.trace(LayerCall, Note, "hang up: %v", err)
	}
	c.rep.End, c.rep.Spans = c.line.report()
	if c.rep.Code == CodeNone {
		c.end(CodeProtocol, "ended without an outcome")
	}
	c.rep.Unknown, c.rep.Trouble = c.tx.unknown(), c.trouble()
	c.rep.Remote = c.far
	c.rx.close(c)
	c.tx.close(c)
	if c.rep.Code == CodeOK && c.rep.Refused > 0 {
		c.rep.Code, c.rep.Text = CodePageRefused, fmt.Sprintf("%d pages refused", c.rep.Refused)
		if c.tx.givenUp {
			c.rep.Code = CodeECMGivenUp
		}
	}
	c.trace(LayerCall, Note, "ended: %v %s", c.rep.Code, c.rep.Text)
	return c.rep, c.err
}

// end sets the outcome; the first one stands.
func (c *call) end(code Code, format string, args ...any) {
	if c.rep.Code == CodeNone {
		c.rep.Code, c.rep.Text = code, fmt.Sprintf(format, args...)
	}
}

// bye ends the call with DCN.
func (c *call) bye(code Code, format string, args ...any) place {
	c.end(code, format, args...)
	return placeDisconnect
}

// broken ends the call for an error that the charts do not handle.
func (c *call) broken(err error) place {
	switch {
	case c.ctx.Err() != nil:
		c.end(CodeCanceled, "%v", context.Cause(c.ctx))
		c.fault(context.Cause(c.ctx))
	case errors.Is(err, ErrHungUp):
		c.end(c.dropped(), "%v", err)
	default:
		c.end(CodeModem, "%v", err)
		c.fault(err)
	}
	return placeEnd
}

func (c *call) fault(err error) {
	if c.err == nil {
		c.err = err
	}
}

// farDCN ends the call because the far end did.
func (c *call) farDCN(code Code) place {
	c.end(code, "DCN received")
	return placeEnd
}

// dropped is the code for a line dropped now.
func (c *call) dropped() Code {
	if c.rep.Sent > 0 || c.rep.Received > 0 || c.tx.onLine || c.rx.onLine {
		return CodeHungUpC
	}
	if c.caller && !c.rep.FaxHeard {
		return CodeNoFax // most likely a person
	}
	return CodeHungUpB
}

// quit is the code for a DCN received now.
func (c *call) quit() Code {
	if c.dropped() == CodeHungUpC {
		return CodeDCNAfterPage
	}
	return CodeDCNInB
}

// disconnect sends DCN (T.30 5.3.6.1.8) and goes on hook.
func (c *call) disconnect() place {
	if err := c.send(NewFrame(FcfDCN, c.x, true)); err != nil {
		c.trace(LayerCall, Note, "DCN: %v", err)
		if c.rep.Code == CodeNone {
			return c.broken(err)
		}
		return placeEnd
	}
	_ = c.line.Silence(c.ctx, afterDCN) // a line that drops or a context that ends cuts it short
	return placeEnd
}

func (c *call) trace(l Layer, d Dir, format string, args ...any) {
	if c.s.Trace != nil {
		c.s.Trace(Event{At: time.Now(), Layer: l, Dir: d, Text: fmt.Sprintf(format, args...)})
	}
}
