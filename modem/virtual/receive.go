package virtual

import (
	"slices"
	"time"
)

// reception is what a modem's ear has of one signal.
type reception struct {
	sig     *signal
	start   time.Duration // line time at this end
	before  time.Duration // silence before it
	trained bool
	ended   bool
	locked  bool // a receiver is or was in step with it
	over    bool // it began while the modem transmitted
	missed  bool // its training passed unheard
	octets  []byte
	items   []item // of V.21
	skip    bool   // the rest of a frame is to be thrown away
	final   bool   // its last frame delivered had the final bit: its end is no news
	def     deframer
}

// item is an octet of a frame, or its end.
type item uint16

const (
	endGood item = 0x100 + iota
	endBad
)

// Limits of what an ear keeps for a slow DTE.
const (
	maxItems      = 16 << 10
	maxOctets     = 256 << 10
	maxReceptions = 8
)

// carrierLoss is how long a receiver takes to notice the end of a high-speed carrier.
const carrierLoss = 30 * time.Millisecond

// flagsToConnect are the flags in a row that make a V.21 signal.
const flagsToConnect = 3

// flagsToRefuse are the flags in a row (0.2 s) that make a V.21 signal which goes on after its frames the wrong carrier.
const flagsToRefuse = 8

// ear is a modem's receiver: it follows the signals on the line whether or not a command listens.
type ear struct {
	m           *Modem
	list        []*reception  // oldest first
	longTrained bool          // a V.17 long training was received in this call: short ones can be
	quiet       time.Duration // line time since when the line is silent at this end
}

func (e *ear) clear() { e.list, e.longTrained = nil, false }

// deafen is called when the modem begins to transmit: half duplex.
func (e *ear) deafen() {
	keep := e.list[:0]
	for _, r := range e.list {
		if !r.ended {
			r.missed, r.over, r.locked = r.sig.mod != v21, false, false
			r.octets, r.items, r.skip = nil, nil, false
			r.def.reset()
			keep = append(keep, r)
		}
	}
	e.list = keep
}

// hear takes what comes off the line.
func (e *ear) hear(ev lineEvent) {
	if ev.kind == carrierOn {
		e.begin(ev.sig)
	}
	var r *reception
	for _, x := range e.list {
		if x.sig == ev.sig {
			r = x
		}
	}
	if r == nil {
		return
	}
	switch ev.kind {
	case trained:
		r.trained = true
	case lineData:
		e.data(r, ev.data)
	case carrierOff:
		if r.sig.mod != v21 && r.sig.mod.rate > 0 {
			e.m.ex.after(carrierLoss, func() { e.end(r) })
			return
		}
		e.end(r)
		return
	}
	e.changed()
}

// end is called when the loss of r's carrier has been noticed.
func (e *ear) end(r *reception) {
	r.ended = true
	e.quiet = e.m.ex.now()
	e.changed()
}

func (e *ear) changed() {
	if e.m.fax != nil {
		e.m.fax.notify()
	}
	if e.m.act != nil {
		e.m.act.heard()
	}
}

func (e *ear) begin(s *signal) {
	now := e.m.ex.now()
	keep := e.list[:0]
	for _, r := range e.list {
		if !r.ended || r.locked && len(r.items) > 0 || e.fresh(r) {
			keep = append(keep, r)
		}
	}
	e.list = keep
	if len(e.list) >= maxReceptions {
		e.list = e.list[1:]
	}
	over := e.m.tx != nil && s.mod != v21
	r := &reception{sig: s, start: now, over: over, missed: over}
	if e.m.tx == nil && !slices.ContainsFunc(e.list, func(r *reception) bool { return !r.ended }) {
		r.before = now - e.quiet
	}
	r.def.octet = func(b byte) { r.item(item(b)) }
	r.def.end = func(good bool) {
		if good {
			r.item(endGood)
		} else {
			r.item(endBad)
		}
	}
	e.list = append(e.list, r)
}

func (r *reception) item(i item) {
	if r.skip {
		r.skip = i < endGood
		return
	}
	if len(r.items) < maxItems {
		r.items = append(r.items, i)
	}
}

func (e *ear) data(r *reception, b []byte) {
	switch {
	case r.missed:
	case r.sig.mod == v21:
		if e.m.tx != nil {
			r.def.reset()
			r.items = nil
			return
		}
		for _, c := range b {
			r.def.push(c)
		}
	case !r.locked && !e.fresh(r) || len(r.octets)+len(b) > maxOctets:
		r.missed, r.octets = true, nil
	default:
		r.octets = append(r.octets, b...)
	}
}

// undeafen is called when the modem has ceased to transmit. A carrier that began over the tail of its own signal is still
// good for a receiver that can start so late: software that answers a frame at once, without T.30's 75 ms, does that.
func (e *ear) undeafen() {
	e.quiet = e.m.ex.now()
	for _, r := range e.list {
		if r.over && !r.trained && !r.ended && e.fresh(r) {
			r.missed, r.over = false, false
		}
	}
}

// fresh tells whether a receiver that starts now can still get into step with r's beginning.
func (e *ear) fresh(r *reception) bool { return e.m.ex.now()-r.start <= e.late(r.sig.mod) }

// firmwareLate is how late a modem that runs T.30 itself may be for a signal: on a busy machine its goroutine does not get its turn at once.
const firmwareLate = 700 * time.Millisecond

// late is how long after its beginning a signal can still be received.
func (e *ear) late(mod *modulation) time.Duration {
	if e.m.fax != nil {
		return max(firmwareLate, e.m.ex.catchUp(mod))
	}
	return e.m.ex.catchUp(mod)
}

// remove forgets r.
func (e *ear) remove(r *reception) {
	for i, x := range e.list {
		if x == r {
			e.list = append(e.list[:i], e.list[i+1:]...)
			return
		}
	}
}

// receiveFrame is +FRH=3, and ATD after the answer.
type receiveFrame struct {
	m       *Modem
	dial    bool   // after ATD: go on over false starts
	deaf    bool   // not in a fax class: nothing to hear
	timer   *timer // S7
	cng     *tone
	r       *reception
	resumed bool // r was locked before this command
	told    bool // CONNECT given
	count   int  // octets delivered
	waits   bool // the frame is delivered with DLE ETX, its OK waits for the end of the carrier
}

// falseStart is how long a false start of +FRH=3 lasts.
const falseStart = 60 * time.Millisecond

// listen is +FRH=3, with the misbehaviour that the modem's options ask for.
func (m *Modem) listen() {
	m.listens++
	m.framesSent = false
	if n := m.opts.FalseStarts; n > 0 && m.listens%n == 0 {
		a := &silence{m: m}
		m.start(a)
		m.result(resConnect)
		a.timer = m.ex.after(falseStart, func() { m.finish(resNoCarrier) })
		return
	}
	a := &receiveFrame{m: m}
	if d := m.opts.ListenLimit; d > 0 {
		a.timer = m.ex.after(d, func() { m.finish(resOK) })
	}
	m.start(a)
}

// heard implements T.31 8.3.6: CONNECT on flags, the frame's octets with FCS, DLE ETX, then OK, or ERROR for a bad FCS;
// NO CARRIER when the carrier is lost.
func (a *receiveFrame) heard() {
	m := a.m
	if a.deaf || m.tx != nil {
		return
	}
	if a.dial && m.mayV34() && m.ear.hears(toneANSam) {
		m.startV34(true)
		return
	}
	if a.r == nil && !a.pick() {
		return
	}
	r := a.r
	if !a.told && (len(r.items) > 0 || r.def.flags >= flagsToConnect && !r.ended) {
		a.connect()
	}
	if !a.waits && a.told && a.frame() {
		return
	}
	if !r.ended {
		return
	}
	if a.waits {
		m.finish(resOK)
		return
	}
	m.ear.remove(r)
	switch {
	case a.told:
		m.finishData(resNoCarrier)
	case a.resumed && !r.final:
		m.finish(resNoCarrier)
	default:
		a.r = nil
	}
}

// pick looks for a V.21 signal to receive.
func (a *receiveFrame) pick() bool {
	e := &a.m.ear
	for _, r := range append([]*reception(nil), e.list...) {
		switch {
		case r.sig.mod != v21:
		case r.ended && len(r.items) == 0:
			e.remove(r)
		default:
			if !r.locked && !e.fresh(r) { // in the middle of it: from the next flag on
				r.items, r.skip = nil, false
				r.def.reset()
				if r.ended {
					e.remove(r)
					continue
				}
			}
			a.r, a.resumed, r.locked = r, r.locked, true
			return true
		}
	}
	return false
}

func (a *receiveFrame) connect() {
	a.told = true
	a.timer.stop()
	a.cng.stop()
	a.m.result(resConnect)
}

// frame delivers octets; true: the frame is complete and the command finished.
func (a *receiveFrame) frame() bool {
	r := a.r
	var out []byte
	for i, it := range r.items {
		if it < endGood {
			if a.count++; a.count == 2 {
				r.final = it&0x10 != 0
			}
			out = append(out, byte(it))
			continue
		}
		r.items = r.items[i+1:]
		a.m.emit(a.m.shielded(a.m.unchecked(out)))
		switch {
		case it == endGood && r.final && !r.ended && a.m.opts.OKAtCarrierEnd:
			a.waits = true
			a.m.emit([]byte{dle, etx})
			return false
		case it == endGood:
			a.m.finishData(resOK)
		default:
			a.m.badFrame()
		}
		return true
	}
	if a.m.opts.NoFCS { // it is not known yet where the check sequence is
		a.count -= len(out)
		return false
	}
	a.m.emit(a.m.shielded(out))
	r.items = nil
	return false
}

// badFrame ends the reception of a frame whose check sequence is wrong; Class 1.0 says so in the data too (T.31 Table B.1).
func (m *Modem) badFrame() {
	if m.set.class != "1.0" {
		m.finishData(resError)
		return
	}
	m.held = []byte{dle, bel}
	m.finish(resError)
	m.emit(nil)
}

// input: any octet but XON and XOFF aborts (T.31 8.3.6).
func (a *receiveFrame) input(b []byte) int {
	if b[0] == xon || b[0] == xof {
		return 1
	}
	switch {
	case a.waits:
		a.m.finish(resOK)
	case a.told:
		a.r.skip = a.r.def.count > 0 // the rest of this frame
		a.m.finishData(resOK)
	case a.dial:
		a.m.hangup()
		a.m.finish(resNoCarrier)
	default:
		a.m.finish(resOK)
	}
	return 1
}

func (a *receiveFrame) dropped() { a.m.end(a.told && !a.waits, resNoCarrier) }

func (a *receiveFrame) stop() {
	a.timer.stop()
	a.cng.stop()
}

// receivePage is +FRM.
type receivePage struct {
	m    *Modem
	mod  *modulation
	r    *reception
	told bool
}

// heard implements T.31 8.3.4: CONNECT when training is done, data, DLE ETX and NO CARRIER at the end; +FCERROR for
// V.21, or with +FAR=1 its frame as +FRH=3 gives it.
func (a *receivePage) heard() {
	m := a.m
	if a.r == nil && !a.pick() {
		return
	}
	r := a.r
	if r.trained && !a.told {
		a.told = true
		if a.mod.v17 && !a.mod.short {
			m.ear.longTrained = true
		}
		m.result(resConnect)
	}
	if a.told && len(r.octets) > 0 {
		m.emit(m.shielded(r.octets))
		r.octets = nil
	}
	if !r.ended {
		return
	}
	m.ear.remove(r)
	if !a.told { // cut off in training
		a.r = nil
		return
	}
	m.finishData(resNoCarrier)
}

// pick looks for the carrier; a V.21 signal ends the command. false: there is nothing to deliver.
func (a *receivePage) pick() bool {
	e := &a.m.ear
	for _, r := range e.list {
		switch {
		case r.ended && r.sig.mod == v21:
		case r.sig.mod == v21:
			need := flagsToConnect
			if r.locked { // the closing flags of the frame before are no news
				need = flagsToRefuse
			}
			if r.def.flags >= need || r.def.count > 0 {
				a.v21()
				return false
			}
		case r.sig.mod != a.mod || r.missed || !e.fresh(r) || a.mod.short && !e.longTrained:
		default:
			r.locked = true
			a.r = r
			return true
		}
	}
	return false
}

// v21 is the wrong carrier.
func (a *receivePage) v21() {
	m := a.m
	if m.set.far && m.opts.SilentFAR {
		return
	}
	if !m.set.far && m.opts.WrongCarrierIsError {
		m.finish(resError)
		return
	}
	if !m.set.far {
		m.finish(resFCError)
		return
	}
	m.result(resFRH3)
	m.start(&receiveFrame{m: m})
}

// input: any octet but XON and XOFF aborts (T.31 8.3.4).
func (a *receivePage) input(b []byte) int {
	if b[0] == xon || b[0] == xof {
		return 1
	}
	if a.r != nil {
		a.r.missed, a.r.octets = true, nil
	}
	a.m.end(a.told, resOK)
	return 1
}

func (a *receivePage) dropped() { a.m.end(a.told, resNoCarrier) }

func (a *receivePage) stop() {}

// receiveSilence is +FRS: OK when the line has been quiet for so long (T.31 8.3.2). What it hears meanwhile is lost.
// Sped up, silence before a signal that a DTE in step with the line would still have waited out counts, and the signal
// is kept: else +FRS after a page would eat the answer whenever the DTE is a millisecond late.
type receiveSilence struct {
	m     *Modem
	need  time.Duration
	timer *timer
}

func (a *receiveSilence) heard() {
	for _, r := range a.m.ear.list {
		if a.m.ex.opts.Speed > 1 && a.m.ear.fresh(r) && r.before >= a.need && !r.locked {
			a.m.finish(resOK)
			return
		}
		if !r.ended {
			a.timer.stop()
			a.timer = nil
			return
		}
	}
	a.m.ear.list = nil
	if a.timer == nil {
		a.timer = a.m.ex.after(a.need, func() { a.m.finish(resOK) })
	}
}

// input: any octet aborts with OK.
func (a *receiveSilence) input(b []byte) int {
	a.m.finish(resOK)
	return 1
}

func (a *receiveSilence) dropped() { a.m.finish(resNoCarrier) }
func (a *receiveSilence) stop()    { a.timer.stop() }
