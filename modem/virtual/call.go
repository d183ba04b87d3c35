package virtual

import (
	"strings"
	"time"
)

// callState is how far a call came.
type callState int

const (
	dialed callState = iota
	ringing
	connected
	ended
)

// call is one call, from the last dialed digit until both sides are on hook.
type call struct {
	ex     *Exchange
	id     int
	number string
	state  callState
	caller subscriber
	callee subscriber // nil: nobody, or no modem
	wires  [2]*wire
	faults Faults
	images int
	rings  int
	timers []*timer
}

// dial sets up a call for caller, who is off hook and gets its outcome by callProgress.
func (ex *Exchange) dial(caller subscriber, number string) {
	ex.lastID++
	c := &call{ex: ex, id: ex.lastID, number: number, caller: caller, faults: ex.faults}
	ex.calls[c] = struct{}{}
	caller.at().call = c
	caller.trace(Event{Kind: EventDial, Text: number})
	c.in(postDialDelay, c.route)
}

// in runs f after d of line time unless the call has ended.
func (c *call) in(d time.Duration, f func()) {
	c.timers = append(c.timers, c.ex.after(d, f))
}

// route finds the called line.
func (c *call) route() {
	o := c.ex.outcome(c.number, false)
	lines := c.ex.numbers[c.number]
	if o == Normal && len(lines) == 0 {
		o = Unknown
	}
	if o == Normal {
		for _, m := range lines {
			if m != c.caller && m.idle() {
				c.ring(m)
				return
			}
		}
		o = Busy
	}
	c.caller.trace(Event{Kind: EventOutcome, Text: o.String()})
	switch o {
	case Busy:
		c.in(busyRecognition, func() { c.caller.callProgress(progressBusy) })
	case NoAnswer:
		c.caller.callProgress(progressRingback)
	case Voice:
		c.caller.callProgress(progressRingback)
		c.in(ringCycle, c.connect)
	default:
		c.in(specialTones, func() { c.caller.callProgress(progressRefused) })
	}
}

// ring seizes the called line and rings it.
func (c *call) ring(m subscriber) {
	c.state, c.callee, m.at().incoming = ringing, m, c
	c.caller.callProgress(progressRingback)
	c.in(firstRing, c.ringOnce)
}

func (c *call) ringOnce() {
	m := c.callee
	c.rings++
	m.trace(Event{Kind: EventRing, Call: c.id})
	if c.rings == 1 {
		c.in(ringOn+500*time.Millisecond, func() { m.callerID(c.caller.at().number, c.number) })
	}
	c.in(ringCycle, c.ringOnce)
	m.ring()
}

// answered is called when the rung subscriber has gone off hook.
func (c *call) answered() {
	h := c.callee.at()
	h.incoming, h.call = nil, c
	c.callee.trace(Event{Kind: EventAnswer})
	c.connect()
}

// connect joins both sides.
func (c *call) connect() {
	c.stopTimers()
	c.state = connected
	c.wires[0] = &wire{ex: c.ex, call: c, dir: 0, to: c.callee}
	c.wires[1] = &wire{ex: c.ex, call: c, dir: 1, to: c.caller}
	if c.faults.DropAfter > 0 {
		c.dropIn(c.faults.DropAfter)
	}
	c.caller.callProgress(progressAnswered)
}

// wire is the direction away from m; nil if there is none.
func (c *call) wire(m subscriber) *wire {
	switch {
	case c.state != connected:
		return nil
	case m == c.caller:
		return c.wires[0]
	}
	return c.wires[1]
}

// hangup takes m out of the call. The other side's line is dropped a little later.
func (c *call) hangup(m subscriber) {
	m.trace(Event{Kind: EventHangup})
	m.at().call = nil
	other := c.callee
	if m == c.callee {
		other = c.caller
	}
	c.stopTimers()
	was := c.state
	c.state = ended
	if other != nil && other.at().incoming == c { // rang and was not answered
		other.ringStopped()
		other = nil
	}
	for _, w := range c.wires {
		if w != nil && w.to == m {
			w.cut()
		}
	}
	if was != connected || other == nil || other.at().call != c {
		c.end()
		return
	}
	late := c.ex.opts.Delay
	if !other.at().prompt {
		late += c.ex.opts.HangupDelay
	}
	c.in(late, func() {
		if h := other.at(); h.call == c {
			h.call = nil
			other.lineDropped()
		}
		c.end()
	})
}

// dropIn lets the exchange drop the line for both sides.
func (c *call) dropIn(d time.Duration) {
	c.in(d, func() {
		if c.state != connected {
			return
		}
		c.state = ended
		c.caller.trace(Event{Kind: EventHangup, Text: "line fault"})
		for _, m := range []subscriber{c.caller, c.callee} {
			if m != nil && m.at().call == c {
				m.at().call = nil
				m.lineDropped()
			}
		}
		c.end()
	})
}

// end forgets the call.
func (c *call) end() {
	c.state = ended
	c.stopTimers()
	for _, w := range c.wires {
		if w != nil {
			w.cut()
		}
	}
	delete(c.ex.calls, c)
}

func (c *call) stopTimers() {
	for _, t := range c.timers {
		t.stop()
	}
	c.timers = nil
}

// progress is what a dialing modem hears.
type progress int

const (
	progressRingback progress = iota
	progressBusy
	progressRefused // special information tones
	progressAnswered
)

// callerID shows the caller's number to m, and the dialed one if the trunk tells it: formatted caller ID of V.253.
func (m *Modem) callerID(caller, dialed string) {
	if !m.opts.ReportFirst {
		m.tellCaller(caller, dialed)
	}
}

func (m *Modem) tellCaller(caller, dialed string) {
	if !m.opts.CallerID || !m.set.callerID || m.act != nil || m.incoming == nil {
		return
	}
	m.info(strings.Join(m.report(caller, dialed), m.crlf()))
}
