package virtual

import (
	"slices"
	"time"
)

// V.34 fax as the DTE sees it (T.31 Amendment 1, Annex B). On the line there are V.8's signals, the start-up with its agreement on rates
// (mph), the control channel, both ways at once and never silent, and the primary channel from source to recipient, each with about the time that
// V.34 clause 12 gives it. No line is probed: the rate agreed on is the lower of both modems' highest. The caller is the source.

// Signals of V.8 and V.34.
var (
	toneANSam = &modulation{name: "ansam"}
	toneCM    = &modulation{name: "cm"}
	toneJM    = &modulation{name: "jm"}
	v34Start  = &modulation{name: "v34 start-up"} // clauses 12.2 to 12.4: probing, training, MPh
	v34MPh    = &modulation{name: "v34 mph"}      // 12.4 alone: new rates
	v34Ctl    = [...]*modulation{                 // 12.6: Sh, ALT, E before data
		{name: "v34 control/1200", rate: 1200, train: 110 * time.Millisecond, ctl: true}, {name: "v34 control/2400", rate: 2400, train: 110 * time.Millisecond, ctl: true},
	}
	v34Pri = primaries()
)

// primaries are the carriers of the primary channel by rate, the slowest first; training is 12.5.1's resynchronization.
func primaries() (list [14]*modulation) {
	for i := range list {
		rate := (i + 1) * 2400
		list[i] = &modulation{name: "v34/" + itoa(rate), rate: rate, train: 200 * time.Millisecond}
	}
	return list
}

// Timing, line time.
const (
	quietTe      = time.Second             // T.30 6.1, V.8 8.1.1: silence between ANSam and CM
	menuTime     = 650 * time.Millisecond  // two sequences of CM or JM
	menuWait     = 4 * time.Second         // for JM, and for the start-up after it
	v34Gap       = 75 * time.Millisecond   // V.8 8.1.3; V.34 12: 70 ms
	startUpTime  = 4500 * time.Millisecond // clauses 12.2 to 12.4
	mphTime      = 400 * time.Millisecond  // 12.4
	onesToTurn   = 40                      // T.30 F.3.2.2
	firstFlags   = 200 * time.Millisecond  // T.4 A.3.1, at the beginning of the primary channel
	v34ClearDown = 60 * time.Millisecond   // from DLE EOT to the end of the carrier
)

// hears tells whether a signal of mod is on the line.
func (e *ear) hears(mod *modulation) bool {
	return slices.ContainsFunc(e.list, func(r *reception) bool { return r.sig.mod == mod && !r.ended })
}

type v34State int

const (
	v34Menus    v34State = iota // CM, JM
	v34Starting                 // rates are being agreed on
	v34Control                  // both ends have the control channel
	v34Turning                  // source: ones, until the recipient is silent
	v34Silent                   // recipient: silent, until the primary channel comes
	v34Primary                  // source: sends; recipient: receives
	v34Back                     // between the primary and the control channel
)

// v34Link is a call over V.34, from V.8 on.
type v34Link struct {
	m      *Modem
	source bool
	state  v34State
	told   bool // CONNECT was given: the DTE speaks Annex B
	timer  *timer
	tone   *tone
	limit  int  // highest primary rate that the DTE wants now, units of 2400 bit/s; 0: as +F34 says
	renew  bool // DLE PPH: rates are agreed on anew at the next start of the control channel
	over   bool // own start-up signal is over

	own, far        mph
	farOver, farMPh bool // the far end's start-up signal is over; its MPh came
	primary         int  // agreed, units of 2400 bit/s
	control         int  // of 1200

	in     v34Input
	queue  []v34Item // of the DTE, not yet on the line
	queued int       // octets in it
	out    v34Sender
	ones   int // heard in a row
	def    deframer
	frame  []byte // being received
}

// startV34 begins V.8 when each end has heard that the other may be of V.34: the caller ANSam, the called modem CM.
func (m *Modem) startV34(caller bool) {
	m.act.stop()
	l := &v34Link{m: m, source: caller, own: m.mph()}
	l.out.l = l
	l.def.octet = func(b byte) {
		if len(l.frame) < maxFrame {
			l.frame = append(l.frame, b)
		}
	}
	l.def.end = l.frameEnd
	m.v34 = l
	m.start(l)
	if caller {
		l.wait(quietTe, func() { l.send(toneCM, menuWait, l.noMenu) })
		return
	}
	l.wait(menuTime, func() { l.send(toneJM, menuWait, l.noMenu) })
}

// wait runs f after d in place of what was waited for.
func (l *v34Link) wait(d time.Duration, f func()) {
	l.timer.stop()
	l.timer = l.m.ex.after(d, f)
}

// send puts a signal without data on the line for d; then f.
func (l *v34Link) send(mod *modulation, d time.Duration, f func()) {
	l.tone.stop()
	l.tone = &tone{m: l.m, mod: mod, on: d}
	l.tone.start()
	l.wait(d, f)
}

// noMenu ends V.8: the far end has no V.34 after all, and the call goes on with V.21.
func (l *v34Link) noMenu() {
	m := l.m
	l.stop()
	m.act = nil
	if !l.source {
		m.transmitFrames()
		return
	}
	m.start(m.awaitFlags(time.Duration(m.set.s[7]) * time.Second))
}

// hear takes what comes off the line.
func (l *v34Link) hear(e lineEvent) {
	switch mod := e.sig.mod; {
	case mod == toneJM && e.kind == carrierOn && l.state == v34Menus && l.source:
		l.wait(menuTime, func() { // CJ
			l.tone.stop()
			l.wait(v34Gap, func() { l.agree(v34Start, startUpTime) })
		})
	case mod == toneCM && e.kind == carrierOff && l.state == v34Menus && !l.source && l.tone != nil:
		l.tone.stop()
		l.wait(v34Gap, func() { l.agree(v34Start, startUpTime) })
	case mod == v34Start || mod == v34MPh:
		l.hearMPh(e)
	case mod.ctl && mod != v21:
		l.hearControl(e)
	case mod.rate > 0 && slices.Contains(v34Pri[:], mod):
		l.hearPrimary(e)
	}
}

// agree is the start-up of the control channel with MPh (V.34 12.4), at the beginning with what comes before it.
func (l *v34Link) agree(mod *modulation, d time.Duration) {
	l.state, l.over, l.renew = v34Starting, false, false
	p := l.own
	if l.limit > 0 {
		p.max = min(p.max, l.limit)
	}
	l.send(mod, d, func() {
		l.over = true
		l.agreed()
	})
	if l.tone.sig != nil {
		l.tone.wire.send(lineEvent{kind: lineData, sig: l.tone.sig, data: p.octets()}) // MPh is repeated until it is understood
	}
	l.own = p
}

func (l *v34Link) hearMPh(e lineEvent) {
	switch e.kind {
	case carrierOn:
		if e.sig.mod == v34MPh && l.state != v34Starting { // the far end wants new rates
			if l.m.tx != nil {
				l.m.tx.stop()
			}
			l.state = v34Starting
			l.wait(v34Gap, func() { l.agree(v34MPh, mphTime) })
		}
	case lineData:
		l.far, l.farMPh = mphOf(e.data), true
	case carrierOff:
		l.farOver = true
		l.agreed()
	}
}

// agreed begins the control channel once both ends have told their rates.
func (l *v34Link) agreed() {
	if !l.over || !l.farOver || !l.farMPh || l.state != v34Starting {
		return
	}
	l.tone.stop()
	l.farOver, l.farMPh = false, false
	l.primary, l.control = min(l.own.max, l.far.max), min(l.own.control, l.far.control)
	if l.primary < max(l.own.min, l.far.min) {
		l.m.hangup()
		l.m.finish(resNoCarrier)
		return
	}
	l.toControl()
}

// toControl begins the own side of the control channel.
func (l *v34Link) toControl() {
	l.state, l.ones = v34Back, 0
	l.def.reset()
	l.frame = nil
	l.out.begin()
	l.m.transmit(v34Ctl[l.control-1], &l.out, func() {})
}

// hearControl follows the far end's side of the control channel.
func (l *v34Link) hearControl(e lineEvent) {
	switch e.kind {
	case carrierOn:
		if l.state == v34Back && l.m.tx == nil { // the source resynchronizes: so does the recipient (12.6)
			if l.renew {
				l.agree(v34MPh, mphTime)
				return
			}
			l.toControl()
		}
	case trained:
		if l.state == v34Back {
			l.state = v34Control
			l.channelTold(true)
		}
	case lineData:
		for _, b := range e.data {
			l.controlOctet(b)
		}
	case carrierOff:
		if l.state == v34Turning {
			l.turned()
		}
	}
}

// controlOctet takes an octet of the control channel. The recipient falls silent on 40 ones in a row (T.30 F.3.2.2).
func (l *v34Link) controlOctet(b byte) {
	if l.state != v34Control && l.state != v34Turning {
		return
	}
	for i := range 8 {
		if b>>i&1 == 0 {
			l.ones = 0
		} else if l.ones++; l.ones == onesToTurn && !l.source && l.state == v34Control {
			l.state = v34Silent
			l.m.tx.stop()
			return
		}
		l.def.bit(b >> i & 1)
	}
}

// turned is called at the source when the recipient is silent: the primary channel begins (T.30 F.3.2.3).
func (l *v34Link) turned() {
	l.m.tx.stop()
	l.wait(v34Gap, func() {
		l.state = v34Primary
		l.out.beginPrimary(v34Pri[l.primary-1])
		l.m.transmit(v34Pri[l.primary-1], &l.out, l.primaryOver)
	})
}

// primaryOver is called at the source when the primary channel is off: back to the control channel (T.30 F.3.4.1).
func (l *v34Link) primaryOver() {
	l.state = v34Back
	l.wait(v34Gap, func() {
		if l.renew {
			l.agree(v34MPh, mphTime)
			return
		}
		l.toControl()
	})
}

// hearPrimary follows the primary channel at the recipient.
func (l *v34Link) hearPrimary(e lineEvent) {
	switch {
	case e.kind == trained && l.state == v34Silent:
		l.state = v34Primary
		l.def.reset()
		l.frame = nil
		l.channelTold(false)
	case e.kind == lineData && l.state == v34Primary:
		for _, b := range e.data {
			l.def.push(b)
		}
	case e.kind == carrierOff && (l.state == v34Primary || l.state == v34Silent):
		l.state = v34Back
	}
}

// heard implements activity: what is on the line comes to hear.
func (l *v34Link) heard() {}

// dropped implements activity.
func (l *v34Link) dropped() {
	if l.told {
		l.m.dump.start()
		l.m.dump.v34 = true
		l.m.emit([]byte{dle, inEOT})
	}
	l.m.finish(resNoCarrier)
}

// stop implements activity.
func (l *v34Link) stop() {
	l.timer.stop()
	l.tone.stop()
	if l.m.v34 == l {
		l.m.v34 = nil
	}
	if l.m.tx != nil {
		l.m.tx.stop()
	}
	l.m.ear.clear()
}

// clearDown is DLE EOT of the DTE: ones, carrier off, DLE EOT and OK (T.31 B.8).
func (l *v34Link) clearDown() {
	l.queue, l.queued = nil, 0
	l.wait(v34ClearDown, func() {
		l.m.emit([]byte{dle, inEOT})
		l.m.finish(resOK)
	})
}
