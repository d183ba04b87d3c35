package virtual

import (
	"strings"
	"time"
)

// Timing of dialing and answering, line time.
const (
	toneDigit   = 190 * time.Millisecond // S11 on, the same off
	pulse       = 100 * time.Millisecond // per pulse: 10 per second
	pulseGap    = 800 * time.Millisecond
	answerQuiet = 1900 * time.Millisecond // T.30 4.1.2: 1.8 to 2.5 s before CED
	cedLength   = 3 * time.Second         // T.30 4.1.2: 2.6 to 4 s
	cedGap      = 75 * time.Millisecond   // CED to the first signal
	cngOn       = 500 * time.Millisecond
	cngCycle    = 3500 * time.Millisecond
)

// dialing is ATD until the far end answers; then receiveFrame takes over.
type dialing struct {
	m        *Modem
	number   string
	semi     bool // ends in ';': back to command state
	quiet    bool // '@' in it
	ringback bool
	timer    *timer
	rings    *timer // RINGING
}

// dial is ATD. It goes off hook: into an incoming call, if one is just coming (glare).
func (m *Modem) dial(arg string) status {
	if m.offHook && m.call != nil {
		return failed
	}
	if !m.lineStatus() {
		return pending
	}
	number, took := m.dialString(arg)
	if !m.mayDial(number) {
		return pending
	}
	d := &dialing{m: m, number: number, semi: strings.HasSuffix(strings.TrimSpace(arg), ";"), quiet: strings.Contains(arg, "@")}
	m.offHook = true
	m.rings = 0
	m.start(d)
	dead := m.lineCut || m.ex.outcome(number, true) == NoDialTone
	switch {
	case dead && m.incoming == nil:
		if !m.lineCut {
			m.ex.outcome(number, false) // this one is used up
		}
		m.trace(Event{Kind: EventOutcome, Text: NoDialTone.String()})
		if m.set.x == 2 || m.set.x == 4 || m.lineCut {
			d.timer = m.ex.after(time.Duration(max(2, m.set.s[6]))*time.Second, func() { d.fail(resNoDialTone) })
			return pending
		}
		took += time.Duration(m.set.s[7]) * time.Second
		d.timer = m.ex.after(took, func() { d.fail(resNoCarrier) })
	case d.dialTone(took):
		d.timer = m.ex.after(took, d.dialed)
	}
	return pending
}

// dialString returns the digits of a dial string (V.250 6.3.1) and how long dialing them takes.
func (m *Modem) dialString(arg string) (number string, took time.Duration) {
	took = time.Second // dial tone
	tone := !m.set.pulse
	var b strings.Builder
	for _, c := range strings.ToUpper(arg) {
		switch {
		case c == 'T':
			tone = true
		case c == 'P':
			tone = false
		case c == ',':
			took += time.Duration(m.set.s[8]) * time.Second
		case c == 'W':
			took += time.Second
		case c == '!':
			took += time.Second
		case c >= '0' && c <= '9' && !tone:
			n := time.Duration(c - '0')
			if n == 0 {
				n = 10
			}
			took += n*pulse + pulseGap
			b.WriteRune(c)
		case c >= '0' && c <= '9' || c == '*' || c == '#':
			took += toneDigit
			b.WriteRune(c)
		}
	}
	return b.String(), took
}

// dialed is called after the last digit.
func (d *dialing) dialed() {
	m := d.m
	d.timer = m.ex.after(time.Duration(m.set.s[7])*time.Second, d.expired)
	if m.call == nil {
		m.ex.dial(m, d.number)
	} else { // glare: the digits went into the incoming call
		m.callProgress(progressAnswered)
		return
	}
	if d.semi {
		d.stop()
		m.finish(resOK)
	}
}

// expired is S7.
func (d *dialing) expired() {
	if d.ringback || d.quiet {
		d.fail(resNoAnswer)
		return
	}
	d.fail(resNoCarrier)
}

// fail ends the attempt.
func (d *dialing) fail(r result) {
	if r != resNoDialTone {
		d.m.dialedTo(d.number, false)
	}
	d.m.hangup()
	d.m.finish(r)
}

// callProgress is what the exchange lets a caller hear.
func (m *Modem) callProgress(p progress) {
	d, ok := m.act.(*dialing)
	if !ok { // ATD...; or aborted
		return
	}
	switch p {
	case progressRingback:
		d.ringback = true
		d.ringing()
	case progressBusy:
		if m.set.x >= 3 {
			d.fail(resBusy)
		}
	case progressRefused:
		d.fail(resNoCarrier)
	case progressAnswered:
		m.answeredBy(d)
	}
}

// answeredBy goes on as +FRH=3 does (T.31 8.2.3), with S7 still running and the calling tone on.
func (m *Modem) answeredBy(d *dialing) {
	if d.timer == nil || d.timer.dead { // still dialing into a glare
		return
	}
	d.stop()
	m.dialedTo(d.number, true)
	if m.opts.HearsVoice && m.call.callee == nil {
		d.timer = m.ex.after(voiceTime, d.voice)
		return
	}
	left := time.Duration(m.set.s[7]) * time.Second
	if f := dialectOf(m.set.class); f != nil {
		m.startFax(f, true, left)
		return
	}
	r := m.awaitFlags(left)
	if m.set.fax() {
		r.cng = &tone{m: m, mod: toneCNG, on: cngOn, cycle: cngCycle}
		r.cng.start()
	} else {
		r.deaf = true
	}
	m.start(r)
}

// voiceTime is how long a modem listens until it knows a voice.
const voiceTime = 3 * time.Second

// voice tells that a human answered. In the classes in which the modem runs T.30 the line is handed over, off hook (T.32, SP-2388).
func (d *dialing) voice() {
	m := d.m
	f := dialectOf(m.set.class)
	if f == nil {
		m.hangup()
		m.act = nil
		m.final("VOICE")
		return
	}
	m.info(f.voice)
	m.finish(resOK)
}

// awaitFlags is +FRH=3 after ATD, for left at most.
func (m *Modem) awaitFlags(left time.Duration) *receiveFrame {
	r := &receiveFrame{m: m, dial: true}
	r.timer = m.ex.after(left, func() {
		m.hangup()
		m.finish(resNoCarrier)
	})
	return r
}

// input: any octet aborts dialing (V.250 5.6.1).
func (d *dialing) input(b []byte) int {
	d.fail(resNoCarrier)
	return 1
}

func (d *dialing) heard()   {}
func (d *dialing) dropped() { d.m.finish(resNoCarrier) }
func (d *dialing) stop() {
	d.timer.stop()
	d.rings.stop()
}

// ringing says RINGING again and again.
func (d *dialing) ringing() {
	if m := d.m; m.opts.TellsRinging {
		m.info("RINGING")
		d.rings = m.ex.after(ringCycle, d.ringing)
	}
}

// answering is ATA until the first V.21 signal; then sendFrames takes over.
type answering struct {
	m     *Modem
	timer *timer
	ced   *tone
}

// answer is ATA, or S0.
func (m *Modem) answer() {
	c := m.incoming
	voice := m.voice && m.call != nil
	m.voice = false
	if c == nil && !voice || m.lineCut {
		m.rest = nil
		m.result(resNoCarrier)
		return
	}
	m.offHook = true
	m.rings = 0
	a := &answering{m: m}
	m.start(a)
	if c != nil {
		c.answered()
	}
	fax := dialectOf(m.set.class)
	if m.set.class == "0" && m.set.t2.adapt {
		fax = m.adapted()
	}
	if !m.set.fax() && fax == nil {
		a.timer = m.ex.after(time.Duration(m.set.s[7])*time.Second, func() {
			m.hangup()
			m.finish(resNoCarrier)
		})
		return
	}
	a.timer = m.ex.after(answerQuiet, func() {
		a.ced = &tone{m: m, mod: toneCED, on: cedLength}
		if m.mayV34() {
			a.ced.mod = toneANSam
		}
		a.ced.start()
		a.timer = m.ex.after(cedLength+cedGap, func() {
			if a.answeredData() {
				return
			}
			a.stop()
			m.act = nil
			if fax != nil {
				m.startFax(fax, false, 0)
				return
			}
			m.transmitFrames()
		})
	})
}

// input: any octet aborts answering.
func (a *answering) input(b []byte) int {
	a.m.hangup()
	a.m.finish(resNoCarrier)
	return 1
}

// heard: a caller that has V.34 too answers ANSam with CM (V.8 8.2).
func (a *answering) heard() {
	if a.ced != nil && a.ced.mod == toneANSam && a.m.ear.hears(toneCM) {
		a.m.startV34(false)
	}
}

func (a *answering) dropped() { a.m.finish(resNoCarrier) }

func (a *answering) stop() {
	a.timer.stop()
	a.ced.stop()
}

// tone is CED or CNG on the line.
type tone struct {
	m     *Modem
	mod   *modulation
	on    time.Duration
	cycle time.Duration // 0: once
	wire  *wire
	sig   *signal
	timer *timer
}

func (t *tone) start() {
	if t.m.call == nil {
		return
	}
	if t.wire = t.m.call.wire(t.m); t.wire == nil {
		return
	}
	t.sig = t.wire.begin(t.m, t.mod)
	t.timer = t.m.ex.after(t.on, func() {
		t.stop()
		if t.cycle > 0 {
			t.timer = t.m.ex.after(t.cycle-t.on, t.start)
		}
	})
}

// stop ends the tone; t may be nil.
func (t *tone) stop() {
	if t == nil {
		return
	}
	t.timer.stop()
	if sig := t.sig; sig != nil {
		t.sig = nil // on a line without delay the far end acts at once, and may have us stop again
		t.wire.end(sig)
	}
}
