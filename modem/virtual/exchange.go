// Package virtual is a simulated telephone exchange with software fax modems on it, for the demo, for tests and for
// other people's software (tipring line). The modems speak ITU-T T.31 (Class 1 and 1.0), the draft SP-2388 (Class 2) and
// T.32 (Class 2.0 and 2.1) at the AT command level over a paced serial port; the exchange dials, rings and hangs up; the
// line between two modems is half duplex, with V.21, V.27ter, V.29 and V.17 signals as timed segments that carry bits.
//
// In Class 2, 2.0 and 2.1 the modem's firmware runs T.30: the engine of package t30 over the modem's own modulator (air.go),
// steered by the DTE's orders (faxcall.go). [Personality] has the modems that the field knows, with their habits.
//
// A [Tester] is a station that is no modem: the far end of the conformance scripts in testdata/t30, which are played through
// the driver against it.
//
// The package is the independent counterpart of the drivers in modem/at, modem/class1 and modem/class2 and shares no code
// with them: command parser, DLE shielding, reports and HDLC here are its own.
//
// Everything is driven by package time, so it runs in real time, faster (Options.Speed) or in a testing/synctest
// bubble. An exchange without calls has no running timers and no goroutines. T.30's timers in a firmware are wall time.
package virtual

import (
	"fmt"
	"sync"
	"time"
)

// Options are an exchange's settings. The zero value is a clean exchange in real time.
type Options struct {
	// Speed is how many seconds of line time pass in one second; 0 means 1. Only the line and the serial ports are sped
	// up: what the modem waits for its DTE (5 s, T.31 8.3.3) stays in wall time, and above 1 a modem lets its DTE be
	// 300 ms of wall time late for a signal, because a DTE's own pace cannot be sped up.
	Speed float64
	// Delay is the one-way propagation time of a line.
	Delay time.Duration
	// HangupDelay is the time from one side's hang-up until the exchange drops the other side's line; 0 means 600 ms.
	HangupDelay time.Duration
	// Faults are the faults of every line; see also SetFaults.
	Faults Faults
	// Trace takes the exchange's view of what happens, in order. It is called with the exchange locked: it must not
	// block and not call back.
	Trace func(Event)
}

// Timing of the exchange, line time. Ringing: 2 s on, 4 s off (the US cadence).
const (
	postDialDelay     = 1 * time.Second        // last digit to ring or busy
	firstRing         = 400 * time.Millisecond // seizure to the first ring burst: the window for glare
	ringCycle         = 6 * time.Second
	ringOn            = 2 * time.Second
	busyRecognition   = 1500 * time.Millisecond // three cadences of busy tone
	specialTones      = 4 * time.Second         // special information tone and announcement
	defaultHangupTime = 600 * time.Millisecond
	catchUpWall       = 300 * time.Millisecond // how late a DTE may be for a signal when sped up, wall time
	lateWall          = 1 * time.Second        // how long a line that is sped up waits for page data, wall time
	catchUpLine       = 50 * time.Millisecond  // the same in real time
	catchUpV17        = 100 * time.Millisecond // the same for V.17, whose segment 1 (alternations, 107 ms) opens short training too
)

// Exchange is one telephone exchange. Its methods may be called from any goroutine.
type Exchange struct {
	opts Options
	zero time.Time

	mu      sync.Mutex
	modems  []*Modem
	numbers map[string][]subscriber // several modems on one number are a hunt group
	scripts map[string][]Outcome
	faults  Faults
	calls   map[*call]struct{}
	lastID  int
	closed  bool
}

// NewExchange returns an exchange without modems.
func NewExchange(o Options) *Exchange {
	if o.Speed <= 0 {
		o.Speed = 1
	}
	if o.HangupDelay <= 0 {
		o.HangupDelay = defaultHangupTime
	}
	return &Exchange{
		opts: o, zero: time.Now(), faults: o.Faults,
		numbers: map[string][]subscriber{}, scripts: map[string][]Outcome{}, calls: map[*call]struct{}{},
	}
}

// Script sets what becomes of the next calls to number: the first outcome for the next call, and so on; the last one
// stays. No outcomes: back to Normal. The number need not have a modem.
func (ex *Exchange) Script(number string, outcomes ...Outcome) {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	n := dialable(number)
	if len(outcomes) == 0 {
		delete(ex.scripts, n)
		return
	}
	ex.scripts[n] = append([]Outcome(nil), outcomes...)
}

// SetFaults sets the line faults of calls that are set up from now on.
func (ex *Exchange) SetFaults(f Faults) {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	ex.faults = f
}

// Calls tells how many calls have been dialed.
func (ex *Exchange) Calls() int {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	return ex.lastID
}

// Close hangs up all calls and closes all ports. The exchange cannot be used afterwards.
func (ex *Exchange) Close() error {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if ex.closed {
		return nil
	}
	for _, m := range ex.modems {
		if m.port != nil {
			m.port.shut(errClosed)
		}
		m.reset()
	}
	for c := range ex.calls {
		c.end()
	}
	ex.closed = true
	return nil
}

// now is the line time since the exchange was made.
func (ex *Exchange) now() time.Duration {
	return time.Duration(float64(time.Since(ex.zero)) * ex.opts.Speed)
}

// wall turns a span of line time into wall time.
func (ex *Exchange) wall(d time.Duration) time.Duration {
	return time.Duration(float64(d) / ex.opts.Speed)
}

// catchUp is how long after its beginning a signal can still be received, line time.
func (ex *Exchange) catchUp(mod *modulation) time.Duration {
	switch {
	case ex.opts.Speed <= 1 && mod.v17:
		return catchUpV17
	case ex.opts.Speed <= 1:
		return catchUpLine
	}
	return time.Duration(float64(catchUpWall) * ex.opts.Speed)
}

// waits tells whether the line holds up for page data that is not there since *late, which it sets. Only one that is sped up does,
// for lateWall: what comes in time by the clock of the line may be late on a busy machine.
func (ex *Exchange) waits(late *time.Time) bool {
	if ex.opts.Speed <= 1 {
		return false
	}
	if late.IsZero() {
		*late = time.Now()
	}
	return time.Since(*late) < lateWall
}

// timer is a one-shot timer whose function runs with the exchange locked; after stop it never runs.
type timer struct {
	t    *time.Timer
	dead bool
}

// after runs f with the exchange locked, after d of line time. The caller holds the lock.
func (ex *Exchange) after(d time.Duration, f func()) *timer { return ex.afterWall(ex.wall(d), f) }

// afterWall is after in wall time.
func (ex *Exchange) afterWall(d time.Duration, f func()) *timer {
	t := &timer{}
	t.t = time.AfterFunc(d, func() {
		ex.mu.Lock()
		defer ex.mu.Unlock()
		if !t.dead && !ex.closed {
			t.dead = true
			f()
		}
	})
	return t
}

// stop stops t; t may be nil.
func (t *timer) stop() {
	if t != nil {
		t.dead = true
		t.t.Stop()
	}
}

// Outcome is what becomes of a call to a scripted number.
type Outcome int

const (
	Normal     Outcome = iota // the modem on the number rings; no modem: NotInService
	Busy                      // busy tone
	NoAnswer                  // rings, nobody answers
	NoDialTone                // the caller's line is dead
	Voice                     // answered after a ring by someone who is no fax
	Unknown                   // special information tone: number not in service
)

var outcomeNames = []string{"ok", "busy", "noanswer", "nodialtone", "voice", "notinservice"}

func (o Outcome) String() string {
	if o >= 0 && int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome(%d)", int(o))
}

// ParseOutcome reads an outcome's name: ok, busy, noanswer, nodialtone, voice, notinservice.
func ParseOutcome(s string) (Outcome, error) {
	for i, n := range outcomeNames {
		if n == s {
			return Outcome(i), nil
		}
	}
	return 0, fmt.Errorf("virtual: no such outcome %q (ok, busy, noanswer, nodialtone, voice, notinservice)", s)
}

// outcome takes the next outcome for a number. peek leaves it there.
func (ex *Exchange) outcome(number string, peek bool) Outcome {
	s := ex.scripts[number]
	if len(s) == 0 {
		return Normal
	}
	if len(s) > 1 && !peek {
		ex.scripts[number] = s[1:]
	}
	return s[0]
}

// dialable keeps the digits of a number.
func dialable(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= '0' && c <= '9' || c == '*' || c == '#' {
			b = append(b, c)
		}
	}
	return string(b)
}
