package virtual

import "time"

// dteTimeout is how long a transmitter waits for data of the DTE before it gives up with ERROR (T.31 8.3.3, 8.3.5).
// Wall time: it is the DTE that is waited for.
const dteTimeout = 5 * time.Second

// turnOff is the carrier's tail after the last octet.
const turnOff = 5 * time.Millisecond

// startUp is the time from a transmit command to the carrier.
const startUp = 20 * time.Millisecond

// octetSource makes the octets of a signal as the line takes them. done: b is the last. Fewer than n octets without
// done hold the line up: the time for the rest does not count.
type octetSource interface {
	next(n int) (b []byte, done bool)
}

// transmitter puts a signal on the line at the line's pace.
type transmitter struct {
	m     *Modem
	mod   *modulation
	src   octetSource
	wire  *wire // nil: off hook, but connected to nobody
	sig   *signal
	zero  time.Duration // line time of the first data bit
	sent  int64
	timer *timer
	ended func()
}

// transmit starts a signal; ended is called when the carrier is off.
func (m *Modem) transmit(mod *modulation, src octetSource, ended func()) *transmitter {
	if m.tx != nil {
		m.tx.stop()
	}
	t := &transmitter{m: m, mod: mod, src: src, ended: ended, zero: m.ex.now() + startUp + mod.train}
	m.tx = t
	m.ear.deafen()
	t.timer = m.ex.after(startUp, t.on)
	return t
}

// on switches the carrier on and trains.
func (t *transmitter) on() {
	if t.m.call != nil {
		t.wire = t.m.call.wire(t.m)
	}
	if t.wire != nil {
		t.sig = t.wire.begin(t.m, t.mod)
	}
	t.timer = t.m.ex.after(t.mod.train, func() {
		if t.wire != nil {
			t.wire.send(lineEvent{kind: trained, sig: t.sig})
		}
		t.tick()
	})
}

// step is the time between two transfers to the line, line time: 20 ms, but not under 4 ms of wall time.
func (t *transmitter) step() time.Duration {
	return max(20*time.Millisecond, time.Duration(4*t.m.ex.opts.Speed*float64(time.Millisecond)))
}

// tick sends what the time since the last tick has room for.
func (t *transmitter) tick() {
	n := t.mod.octets(t.m.ex.now()-t.zero) - t.sent
	if n > 0 {
		b, done := t.src.next(int(min(n, 1<<16)))
		if t.m.tx != t { // the source gave up
			return
		}
		t.sent += int64(len(b))
		if int64(len(b)) < n && !done {
			t.zero += t.mod.duration(n - int64(len(b)))
		}
		if t.wire != nil && len(b) > 0 {
			t.wire.data(t.sig, b)
		}
		if t.m.tx != t { // the line was dropped by what it carried
			return
		}
		if done {
			t.timer = t.m.ex.after(turnOff, func() {
				t.stop()
				t.ended()
			})
			return
		}
	}
	t.timer = t.m.ex.after(t.step(), t.tick)
}

// stop takes the carrier off at once; ended is not called.
func (t *transmitter) stop() {
	t.timer.stop()
	if t.m.tx != t {
		return
	}
	t.m.tx = nil
	t.m.ear.undeafen()
	if t.sig != nil {
		t.wire.end(t.sig)
	}
}

// A page begins once prefetch octets are there, or prefetchTime (wall time) after the first: a DTE that begins with a few
// octets at a time, or does not get its turn on a busy machine, does not run dry at once.
const (
	prefetch     = 1024
	prefetchTime = 200 * time.Millisecond
)

// sendPage is +FTM.
type sendPage struct {
	m         *Modem
	un        unshield
	buf       []byte
	first     time.Time // when the first data came
	began     bool      // enough has come to begin
	lastNUL   bool
	ending    bool      // DLE ETX has come
	dry       bool      // in an underrun
	late      time.Time // since when the line waits for data
	idle      float64
	idleTimer *timer
	connected time.Duration // line time of CONNECT
	check     bool          // a training check: nothing was received since +FTH
	spoilt    bool          // the first octet is
}

// transmitPage is +FTM=mod (T.31 8.3.3): CONNECT at once, training, ones until the first data, data, carrier off after
// DLE ETX with OK.
func (m *Modem) transmitPage(mod *modulation) {
	a := &sendPage{m: m, un: m.unshielding(), check: m.framesSent}
	m.framesSent, m.xoff = false, false
	m.start(a)
	m.transmit(mod, a, func() { m.finish(resOK) })
	m.result(resConnect)
	a.connected = m.ex.now()
	a.rearm()
}

func (a *sendPage) rearm() {
	a.idleTimer.stop()
	a.idleTimer = a.m.ex.afterWall(dteTimeout, func() {
		if len(a.buf) > 0 { // the line is slower than the DTE was
			a.rearm()
			return
		}
		a.m.tx.stop()
		a.m.dump.start()
		a.m.finish(resError)
	})
}

func (a *sendPage) input(b []byte) int {
	if a.ending {
		return 0
	}
	n := 0
	for n < len(b) && !a.ending && (len(a.buf) < a.m.opts.Buffer || a.m.loses(len(a.buf))) {
		had, lost := len(a.buf), a.m.loses(len(a.buf))
		a.buf, a.ending = a.un.octet(a.buf, b[n])
		if lost {
			a.m.stats.Lost += int64(len(a.buf) - had)
		}
		if lost || a.early() {
			a.buf = a.buf[:had]
		}
		n++
	}
	if a.m.opts.SpoiltFirst && !a.spoilt && len(a.buf) > 0 {
		a.spoilt = true
		a.buf[0] |= 0x5A
	}
	a.m.pace(len(a.buf))
	if len(a.buf) > 0 {
		a.dry = false
		if a.first.IsZero() {
			a.first = time.Now()
		}
	}
	if a.ending {
		a.idleTimer.stop()
	} else if n > 0 {
		a.rearm()
	}
	return n
}

// next implements octetSource.
func (a *sendPage) next(n int) ([]byte, bool) {
	if !a.began {
		a.began = a.ending || len(a.buf) >= prefetch || !a.first.IsZero() && time.Since(a.first) >= prefetchTime
	}
	k := 0
	if a.began {
		k = min(n, len(a.buf))
	}
	out := make([]byte, k, n)
	copy(out, a.buf)
	a.buf = append(a.buf[:0], a.buf[k:]...)
	if k > 0 {
		a.lastNUL = out[k-1] == 0
		a.m.pace(len(a.buf))
		a.m.wake()
	}
	if k == n {
		return out, false
	}
	if a.ending {
		return out, true
	}
	if k > 0 {
		a.late = time.Time{}
	}
	if a.began && a.m.ex.waits(&a.late) {
		return out, false
	}
	if a.began {
		a.underrun(n - k)
		if a.m.opts.StopOnUnderrun && !a.lastNUL {
			a.ending = true
			a.m.dump.start()
			return out, true
		}
	}
	if a.began {
		return append(out, make([]byte, n-len(out))...), false
	}
	// Sped up, the ones are as many as in real time: software that waits a second before its page must not become a
	// line of 20 s of ones.
	a.idle += float64(n) / a.m.ex.opts.Speed
	for ; a.idle >= 1 && len(out) < n; a.idle-- {
		out = append(out, 0xFF)
	}
	return out, false
}

func (a *sendPage) underrun(n int) {
	if !a.dry {
		a.m.stats.Underruns++
		a.m.trace(Event{Kind: EventUnder})
	}
	a.dry = true
	a.m.stats.UnderrunOctets += int64(n)
}

func (a *sendPage) heard() {}
func (a *sendPage) stop()  { a.idleTimer.stop() }

func (a *sendPage) dropped() {
	if !a.ending {
		a.m.dump.start()
	}
	a.m.finish(resNoCarrier)
}

// maxFrame is the longest frame of +FTH.
const maxFrame = 2048

// preambleFlags are the flags before the first frame: 1 s (T.30 5.3.1: 1 s +-15 %) at 300 bit/s.
const preambleFlags = 38

// closingFlags follow the last frame's own closing flag.
const closingFlags = 1

// sendFrames is +FTH=3.
type sendFrames struct {
	m         *Modem
	un        unshield
	frame     []byte // being taken from the DTE
	whole     bool   // it is complete: nothing more is taken until it is on the line
	onAir     bool   // packed, not gone yet
	ending    bool
	tail      int // flags still to send, when ending
	flags     int // flags sent so far
	pk        bitPacker
	idleTimer *timer
}

// transmitFrames is +FTH=3 (T.31 8.3.5): CONNECT, flags; after each frame CONNECT again, or OK with the carrier off when
// it had the final bit.
func (m *Modem) transmitFrames() {
	a := &sendFrames{m: m, un: m.unshielding()}
	m.framesSent = true
	m.start(a)
	m.transmit(v21, a, func() { m.finish(resOK) })
	m.result(resConnect)
	a.rearm()
}

func (a *sendFrames) rearm() {
	a.idleTimer.stop()
	a.idleTimer = a.m.ex.afterWall(dteTimeout, a.giveUp)
}

// giveUp takes the carrier off and says ERROR.
func (a *sendFrames) giveUp() {
	a.m.tx.stop()
	a.m.dump.start()
	a.m.finish(resError)
}

func (a *sendFrames) input(b []byte) int {
	n := 0
	for n < len(b) && !a.whole && !a.ending {
		a.frame, a.whole = a.un.octet(a.frame, b[n])
		n++
		if len(a.frame) > maxFrame {
			a.giveUp()
			return n
		}
	}
	switch {
	case a.whole && len(a.frame) == 0: // null frame: T.31 8.3.5
		a.whole, a.ending = false, true
		a.idleTimer.stop()
	case a.whole:
		a.idleTimer.stop()
	case n > 0:
		a.rearm()
	}
	return n
}

// next implements octetSource.
func (a *sendFrames) next(n int) ([]byte, bool) {
	var gone bool
	for len(a.pk.full) < n {
		switch {
		case a.onAir: // its last octets go with this call
			a.onAir, gone = false, true
			if len(a.frame) > 1 && a.frame[1]&0x10 != 0 {
				a.ending, a.tail = true, closingFlags
			}
			a.frame, a.whole = a.frame[:0], false
		case a.ending && a.tail == 0:
			for a.pk.n > 0 {
				a.pk.bit(true)
			}
			b := a.pk.full
			a.pk.full = nil
			return b, true
		case a.ending:
			a.tail--
			a.pk.octet(flagOctet)
		case a.whole && a.flags >= preambleFlags:
			if a.m.tx.sig != nil {
				a.m.tx.sig.log = append(a.m.tx.sig.log, append([]byte(nil), a.frame...))
			}
			a.pk.frame(a.frame)
			a.onAir = true
		default:
			a.flags++
			a.pk.octet(flagOctet)
		}
	}
	b := append([]byte(nil), a.pk.full[:n]...)
	a.pk.full = append(a.pk.full[:0], a.pk.full[n:]...)
	if gone && !a.ending {
		a.m.result(resConnect)
		a.rearm()
		a.m.wake()
	}
	return b, false
}

func (a *sendFrames) heard()   {}
func (a *sendFrames) stop()    { a.idleTimer.stop() }
func (a *sendFrames) dropped() { a.m.dump.start(); a.m.finish(resNoCarrier) }

// silence is +FTS: the carrier is off for the time.
type silence struct {
	m     *Modem
	timer *timer
}

func (a *silence) input([]byte) int { return 0 }
func (a *silence) heard()           {}
func (a *silence) stop()            { a.timer.stop() }
func (a *silence) dropped()         { a.m.finish(resNoCarrier) }

// pause is +FTS and +FRS.
func (m *Modem) pause(kind string, d time.Duration) {
	if kind == "TS" {
		a := &silence{m: m}
		m.start(a)
		a.timer = m.ex.after(d, func() { m.finish(resOK) })
		return
	}
	m.start(&receiveSilence{m: m, need: d})
}
