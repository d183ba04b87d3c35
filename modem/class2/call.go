package class2

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

// Limits of waits. The modem keeps T.30's timers; these end what it does not.
const (
	phaseBWait = 60 * time.Second  // from +FCON to the end of the far end's identification: T1 and slack
	trainWait  = 180 * time.Second // from +FDT to CONNECT: three trainings at each rate
	startWait  = 180 * time.Second // from +FDR to CONNECT: our answer, trainings, T1 after EOM
	xonWait    = 15 * time.Second  // for XON; a modem that sends none is sent the page then
	postWait   = 90 * time.Second  // for the answer to a page: three commands, or T5 of RNR
	firstWait  = 60 * time.Second  // for a received page's first octet
	dataGap    = 30 * time.Second  // without an octet in a received page
	commandEnd = 60 * time.Second  // for the command that follows a received page
	byeWait    = 6 * time.Second   // for the hang-up that follows a call's last page
	lateResult = 3 * time.Second   // for the OK that follows a hang-up
)

// blockTime is how long an ECM block of 64 KiB takes at rate bit/s.
func blockTime(rate int) time.Duration { return airTime(256*260, rate) }

// airTime is how long octets take at rate bit/s.
func airTime(octets int64, rate int) time.Duration {
	return time.Duration(octets) * 8 * time.Second / time.Duration(max(rate, 2400))
}

// patience lengthens a wait by what error correction may take meanwhile: a block four times again.
func (c *call) patience(d time.Duration) time.Duration {
	if c.dcs[pEC] > 0 {
		d += 5 * blockTime(modulation(c.dcs[pBR]).Rate)
	}
	return d
}

// modemState is what the modem does between two steps.
type modemState int

const (
	inCommands  modemState = iota // takes commands
	inAction                      // runs one
	inSending                     // takes page data
	inReceiving                   // delivers page data
)

// errHung ends a step because the modem has hung up: c.hung says why.
var errHung = errors.New("class2: the modem hung up")

// step is one part of a call; it returns the next, nil at its end.
type step func() step

// call is one call from +FCON to on hook.
type call struct {
	ctx  context.Context
	m    *Modem
	d    *dialect
	q    Quirks
	s    t30.Session
	own  t30.Capabilities
	plan *plan

	caller  bool
	sending bool // +FDT was the last action, not +FDR
	state   modemState

	// What the modem told.
	far     t30.Remote
	polled  bool // DTC came: the far end wants our document
	dcs     params
	newDCS  bool // since it was last looked at
	status  status
	post    post
	newPost bool
	hung    *hangup

	tx sender
	rx receiver

	rep t30.Report
	err error
}

func newCall(ctx context.Context, m *Modem, p *plan, start time.Time) *call {
	c := &call{ctx: ctx, m: m, d: m.d, q: m.cfg.Quirks, s: p.s, own: p.own, plan: p, caller: p.caller, state: inAction}
	c.rep.Start, c.rep.Connect, c.rep.Connected, c.rep.FaxHeard = start, time.Now(), true, true
	c.tx.br = br(c.own.MaxRate, c.own.Schemes)
	if c.caller {
		c.tx.docs = c.s.Send
	}
	return c
}

// run walks the steps, hangs up and reports.
func (c *call) run(first step) (t30.Report, error) {
	for next := first; next != nil; {
		if c.ctx.Err() != nil {
			c.broken(c.ctx.Err())
			break
		}
		next = next()
	}
	if err := c.hangup(); err != nil {
		c.trace(t30.LayerCall, t30.Note, "hang up: %v", err)
	}
	c.rep.End = time.Now()
	if c.rep.Code == t30.CodeNone {
		c.end(t30.CodeProtocol, "ended without an outcome")
	}
	c.rep.Unknown, c.rep.Trouble, c.rep.Remote = c.tx.doubt, c.trouble(), c.far
	c.rx.close(c)
	c.tx.close(c)
	if c.rep.Code == t30.CodeOK && c.rep.Refused > 0 {
		c.rep.Code, c.rep.Text = t30.CodePageRefused, fmt.Sprintf("%d pages refused", c.rep.Refused)
	}
	c.trace(t30.LayerCall, t30.Note, "ended: %v %s", c.rep.Code, c.rep.Text)
	return c.rep, c.err
}

// trouble is what the call leads to suspect of the far end.
func (c *call) trouble() (t t30.Trouble) {
	fast := c.own.MaxRate > 9600 && c.far.Capabilities.MaxRate > 9600
	if c.rep.Code == t30.CodeTraining && fast {
		t |= t30.TroubleV17
	}
	if c.tx.ecm && c.tx.onLine && c.rep.Sent == 0 && (c.rep.Code == t30.CodeNoReplyPage || c.rep.Code == t30.CodeECMGivenUp) {
		t |= t30.TroubleECM
	}
	return t
}

// end sets the outcome; the first one stands.
func (c *call) end(code t30.Code, format string, args ...any) {
	if c.rep.Code == t30.CodeNone {
		c.rep.Code, c.rep.Text = code, fmt.Sprintf(format, args...)
	}
}

// bye ends the call.
func (c *call) bye(code t30.Code, format string, args ...any) step {
	c.end(code, format, args...)
	return nil
}

func (c *call) fault(err error) {
	if c.err == nil {
		c.err = err
	}
}

// broken ends the call for an error.
func (c *call) broken(err error) step {
	switch {
	case c.ctx.Err() != nil:
		c.end(t30.CodeCanceled, "%v", context.Cause(c.ctx))
		c.fault(context.Cause(c.ctx))
	case errors.Is(err, errHung):
		return c.hungUp()
	default:
		c.end(t30.CodeModem, "%v", err)
		c.fault(err)
	}
	return nil
}

// hungUp ends the call as the modem did.
func (c *call) hungUp() step {
	h := c.hung
	switch {
	case h == nil || h.code == t30.CodeOK || h.code == t30.CodeNoLine: // within a call the line is gone, whosever doing
		return c.bye(c.dropped(), "the far end hung up")
	case h.fault:
		c.end(h.code, "%s", h.text)
		c.fault(fmt.Errorf("class2: %s", h.text))
		return nil
	}
	if h.inPage {
		c.tx.doubt = false
	}
	return c.bye(h.code, "%s", h.text)
}

// dropped is the code for a line dropped now.
func (c *call) dropped() t30.Code {
	if c.rep.Sent > 0 || c.rep.Received > 0 || c.tx.onLine || c.rx.onLine {
		return t30.CodeHungUpC
	}
	return t30.CodeHungUpB
}

// refusedBy is the end of a call for a result that an action command must not have.
func (c *call) refusedBy(cmd string, l at.Line) step {
	switch {
	case c.hung != nil:
		return c.hungUp()
	case l.Code == at.Error:
		c.end(t30.CodeModem, "%s: %s", cmd, l.Text)
		c.fault(fmt.Errorf("class2: %s: %w", cmd, at.ErrCommand))
		return nil
	}
	return c.bye(c.dropped(), "%s: %s", cmd, l.Text)
}

// command sends a command and waits for its final result. errHung if the modem has hung up before.
func (c *call) command(cmd string, within time.Duration) (at.Line, error) {
	for {
		l, ok := c.m.ch.Arrived()
		if !ok {
			break
		}
		c.take(l)
	}
	if c.hung != nil {
		return at.Line{}, errHung
	}
	if err := c.m.ch.Send(c.ctx, cmd); err != nil {
		return at.Line{}, fmt.Errorf("class2: %w", err)
	}
	l, err := c.result(within)
	if err != nil && c.ctx.Err() == nil {
		err = fmt.Errorf("class2: %s: %w", cmd, err)
	}
	return l, err
}

// result waits for a final result and takes what comes before it. After a hang-up that is the end, with or without one.
func (c *call) result(within time.Duration) (at.Line, error) {
	c.state = inAction
	until := time.Now().Add(within)
	for {
		l, err := c.m.ch.NextLine(c.ctx, max(time.Until(until), time.Millisecond))
		switch {
		case errors.Is(err, at.ErrNoReply) && c.hung != nil:
			c.state = inCommands
			return at.Line{At: time.Now(), Code: at.NoCarrier, Text: "no result after the hang-up"}, nil
		case err != nil:
			return l, err
		case l.Code.Final():
			c.state = inCommands
			return l, nil
		}
		hung := c.hung != nil
		c.take(l)
		if c.hung != nil && !hung {
			until = time.Now().Add(lateResult)
		}
	}
}

func (c *call) trace(l t30.Layer, d t30.Dir, format string, args ...any) {
	if c.s.Trace != nil {
		c.s.Trace(t30.Event{At: time.Now(), Layer: l, Dir: d, Text: fmt.Sprintf(format, args...)})
	}
}
