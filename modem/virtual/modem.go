package virtual

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrOpen is returned by Open while another DTE has the port open.
	ErrOpen = errors.New("virtual: port is already open")
	// ErrUnplugged is returned by Open, Read, Write and SetDTR when the modem has been unplugged from its DTE.
	ErrUnplugged = errors.New("virtual: modem unplugged")
)

// ModemOptions are one modem's settings. The zero value is a Class 1 modem with V.17 at 115200 bit/s.
type ModemOptions struct {
	// Numbers are more numbers that ring this modem; see DialedDigits.
	Numbers []string
	// CallerID lets the exchange tell the caller's number between the first and the second ring; the modem shows it
	// after AT+VCID=1 or AT#CID=1.
	CallerID bool
	// DialedDigits adds the dialed number to it (NDID = 5550101), as a DID trunk does.
	DialedDigits bool
	// MaxRate is the highest bit rate of its carriers; 0: 14400.
	MaxRate int
	// NoV17 leaves V.17 out.
	NoV17 bool
	// Baud is the serial speed (8N1); 0: 115200.
	Baud int
	// Buffer is the modem's transmit buffer in octets; 0: 4096. When it is full the DTE's writes wait.
	Buffer int
	// StopOnUnderrun ends the carrier of +FTM with OK when the buffer runs dry after an octet that is not NUL, as T.31
	// 8.3.3 says by the letter. By default the carrier is filled with zeros, as chips do.
	StopOnUnderrun bool
	// OKAtCarrierEnd gives the OK of +FRH=3 to a final frame when the carrier is off, as spandsp does. By default it comes with
	// the frame's closing flag, and the far end may have flags to send still.
	OKAtCarrierEnd bool
	// ListenLimit, if not 0, ends +FRH=3 with OK when nothing was heard for so long (Silicon Labs: 30 s).
	ListenLimit time.Duration
	// FalseStarts, if not 0, makes each so many-th +FRH=3 a false start: CONNECT, then NO CARRIER without a frame (Lucent, MultiTech).
	FalseStarts int
	// RefuseFAR leaves adaptive reception (+FAR=1) out: V.21 in +FRM is +FCERROR.
	RefuseFAR bool
	// RefuseClass10 leaves Class 1.0 out.
	RefuseClass10 bool
	// Classes are the service classes that it has, of "0", "1", "1.0", "2", "2.0", "2.1"; nil: 0, 1 and 1.0.
	Classes []string
	// Maker, Model, Revision and Info (by the number of ATI) are what it says of itself; empty: a Tipring virtual modem.
	Maker, Model, Revision string
	Info                   map[int]string
	// OldIdentity: it says that in answer to Class 2's +FMFR?, +FMDL? and +FREV? only, not to +FMI? and the like.
	OldIdentity bool
	// V34 is the highest rate of V.34 fax in Class 1.0 (+F34), bit/s, a multiple of 2400 up to 33600; 0: it has none.
	V34 int
	// V34Least is the lowest primary rate that it agrees to; 0: 2400.
	V34Least int
	// V34Unasked: it does V.34 without having been given +F34.
	V34Unasked bool
	// ECM: in Class 2, 2.0 and 2.1 it does error correction, and MMR with it.
	ECM bool
	SerialHabits
	Class1Habits
	Class2Habits
	LineHabits
}

// Class2Habits is how a modem of Class 2, 2.0 or 2.1 departs from the others.
type Class2Habits struct {
	// Trigger is the one octet that starts the data of a page received in Class 2: 0x11 (DC1) or 0x12 (DC2); 0: both do. Field: DC1, but DC2 for
	// Rockwell and some MultiTech.
	Trigger byte
	// ReversedReceive: in Class 2 the bits of received octets come in the order other than +FBOR's. Field: Rockwell, and most after it.
	ReversedReceive bool
	// NoXON: it does not ask for page data with XON in Class 2.
	NoXON bool
	// NoRTC: it adds no return to control to a page that has none. Field: U.S. Robotics in Class 2.0.
	NoRTC bool
	// ChecksCopy: with +FCQ=1 it judges the lines of received pages of MH and MR: its page status asks for RTN or RTP then, unless the DTE sets another. Without,
	// it takes +FCQ=1 and calls every page good. Field: +FCQ may lie.
	ChecksCopy bool
	// NoPPR: +FPS? of Class 2.0 is an ERROR, only the result code tells what became of a page.
	NoPPR bool
	// Hex: in Class 2 its parameters are in hexadecimal, as 2.0 has them, and its rates go on to those of V.34 (D). Field: some give capabilities in hex.
	Hex bool
	// CorruptMMR: pages of MMR that it sends are spoilt. Field: some firmware of Class 2.0.
	CorruptMMR bool
	// DeadECM: it receives with error correction, but then does not confirm. Field: Supra of Class 2.
	DeadECM bool
	// StrictTCF: a training check of anything but zeros fails. A far end's habit: T.30 names no limit.
	StrictTCF bool
	// AdaptInClass: it takes +FAA in Class 2 only. Field: mgetty's notes.
	AdaptInClass bool
}

// Stats are a modem's counters since it was made.
type Stats struct {
	Underruns      int   // times a +FTM carrier ran out of data
	UnderrunOctets int64 // zeros sent then
	Overruns       int64 // octets lost because the DTE did not read
	Lost           int64 // octets of pages lost because the DTE did not keep to XON/XOFF
	Grabs          int   // times it dialed into a telephone's call on its own line
}

// Modem is one modem on one line of an [Exchange].
type Modem struct {
	hook // its fields but ex and number are guarded by ex.mu
	opts ModemOptions

	// All below is guarded by ex.mu.
	set        settings
	reader     lineReader
	rest       []command // of the command line, to run when act is done
	act        activity  // nil: command state
	v34        *v34Link  // nil: no call over V.34
	tx         *transmitter
	port       *Port
	unplugged  bool
	lineCut    bool
	tries      map[string]tries
	voice      bool // answered by +VLS=1: ATA goes on off hook
	lifted     bool // a telephone on its line is off hook
	offHook    bool
	rings      int // S1
	ear        ear
	dump       dump
	stats      Stats
	listens    int           // +FRH=3 so far
	framesSent bool          // the last signal was V.21 of its own
	resultAt   time.Duration // line time of the last result code
	held       []byte        // for the DTE, to go with what is emitted next
	xoff       bool          // XOFF was sent
	fax        *faxCall
	hung       *hungUp // the end of a call in Class 2, 2.0 or 2.1 that the DTE does not know of
}

// activity is a command that takes time: while one runs the modem is not in command state. It ends with Modem.finish.
type activity interface {
	// input takes octets of the DTE and tells how many; fewer than given: no room, the DTE waits.
	input(b []byte) int
	// heard is called when something changed in the modem's ear, and once at the start.
	heard()
	// dropped is called when the line was dropped: the activity must finish.
	dropped()
	// stop releases timers; nothing else is called afterwards.
	stop()
}

// NewModem puts a modem on the exchange. Several modems with the same number are a hunt group: the first idle one rings.
func (ex *Exchange) NewModem(number string, o ModemOptions) *Modem {
	if o.MaxRate == 0 {
		o.MaxRate = 14400
	}
	if o.Baud <= 0 {
		o.Baud = 115200
	}
	if o.Buffer <= 0 {
		o.Buffer = 4096
	}
	ex.mu.Lock()
	defer ex.mu.Unlock()
	m := &Modem{hook: hook{ex: ex, number: dialable(number)}, opts: o}
	m.set = m.factory()
	m.ear.m = m
	ex.modems = append(ex.modems, m)
	for _, n := range append([]string{number}, o.Numbers...) {
		n = dialable(n)
		ex.numbers[n] = append(ex.numbers[n], m)
	}
	return m
}

// Number is the modem's own number, which callees see.
func (m *Modem) Number() string { return m.number }

// Stats returns the modem's counters.
func (m *Modem) Stats() Stats {
	m.ex.mu.Lock()
	defer m.ex.mu.Unlock()
	return m.stats
}

// CutLine takes the telephone line away, or gives it back: no dial tone, no calls, a running call drops at both sides.
func (m *Modem) CutLine(cut bool) {
	m.ex.mu.Lock()
	defer m.ex.mu.Unlock()
	m.lineCut = cut
	if !cut {
		return
	}
	if c := m.incoming; c != nil {
		m.ringStopped()
		c.stopTimers() // the caller goes on hearing ringing
		c.callee = nil
	}
	if c := m.call; c != nil {
		c.hangup(m)
		m.lineDropped()
	}
}

// Unplug pulls the modem from its DTE: reads and writes fail and Open too, until Plug. The line is dropped.
func (m *Modem) Unplug() {
	m.ex.mu.Lock()
	defer m.ex.mu.Unlock()
	m.unplugged = true
	if m.port != nil {
		m.port.shut(ErrUnplugged)
	}
	m.reset()
}

// Plug plugs the modem in again.
func (m *Modem) Plug() {
	m.ex.mu.Lock()
	defer m.ex.mu.Unlock()
	m.unplugged = false
}

func (m *Modem) hear(e lineEvent) {
	if m.v34 != nil {
		m.v34.hear(e)
		return
	}
	m.ear.hear(e)
}

// idle tells whether the exchange can ring it.
func (m *Modem) idle() bool {
	return !m.offHook && m.call == nil && m.incoming == nil && m.fax == nil && !m.lineCut && !m.lifted && !m.unplugged
}

// reset hangs up, aborts what runs and goes back to the factory settings, as after power-on. No result code.
func (m *Modem) reset() {
	m.abort()
	m.hangup()
	m.set = m.factory()
	m.reader = lineReader{}
	m.rest = nil
}

// abort ends the running activity without a result.
func (m *Modem) abort() {
	if m.act != nil {
		m.act.stop()
		m.act = nil
	}
	if m.tx != nil {
		m.tx.stop()
	}
	m.wake()
}

// hangup goes on hook.
func (m *Modem) hangup() {
	if m.fax != nil && !m.fax.closing {
		m.fax.stop()
		m.fax = nil
	}
	if m.tx != nil {
		m.tx.stop()
	}
	if m.call != nil {
		m.call.hangup(m)
	}
	m.offHook = false
	m.ear.clear()
}

// lineDropped is called when the exchange has dropped the line: the modem goes on hook, and says so if it is busy.
func (m *Modem) lineDropped() {
	m.trace(Event{Kind: EventHangup, Text: "dropped by the exchange"})
	m.call = nil
	m.offHook = false
	if m.fax != nil {
		m.fax.lineGone()
	}
	if m.act != nil {
		m.act.dropped()
	}
	if m.tx != nil {
		m.tx.stop()
	}
	m.ear.clear()
}

// ring is called for each ring burst.
func (m *Modem) ring() {
	if m.opts.PBXFilter && m.set.s[91] != 8 {
		return
	}
	m.rings++
	if m.act != nil {
		return
	}
	m.announceRing()
	if s0 := int(m.set.s[0]); s0 > 0 && m.rings >= s0 && m.port != nil && m.port.dtr {
		m.reader = lineReader{}
		m.rest = nil
		m.answer()
	}
}

// ringStopped is called when the caller gave up.
func (m *Modem) ringStopped() {
	m.incoming = nil
	m.rings = 0
}

// input takes octets of the DTE and tells how many.
func (m *Modem) input(p []byte) int {
	m.dump.begin(p)
	switch m.act.(type) {
	case *sendPage, *sendFrames, *dteSends: // a line feed is the DTE's data now, unless it came with the command line
		m.reader.wasCR = false
	}
	taken := 0
	for taken < len(p) {
		b := p[taken]
		if m.dump.takes(b) || m.reader.skipLF(b) {
			taken++
			continue
		}
		if m.act != nil {
			n := m.act.input(p[taken:])
			if n == 0 {
				break
			}
			taken += n
			continue
		}
		taken++
		m.commandOctet(b)
	}
	return taken
}

// start makes a the running activity.
func (m *Modem) start(a activity) {
	m.act = a
	a.heard()
}

// finish ends the running activity with a result code; after OK the rest of the command line runs.
func (m *Modem) finish(r result) {
	if m.act != nil {
		m.act.stop()
		m.act = nil
	}
	if r == resOK && len(m.rest) > 0 {
		m.run()
	} else {
		m.rest = nil
		m.result(r)
	}
	m.wake()
}

// finishData is finish with DLE ETX before the result code, both in one piece: efax takes a result code that comes in a
// later read than DLE ETX for the answer to its next command.
func (m *Modem) finishData(r result) {
	m.held = []byte{dle, etx}
	m.finish(r)
	m.emit(nil) // no result code came (Q1)
}

// end finishes a reception; told: CONNECT has been given, so that the DTE waits for DLE ETX.
func (m *Modem) end(told bool, r result) {
	if told {
		m.finishData(r)
	} else {
		m.finish(r)
	}
}

// wake lets a waiting write of the DTE go on.
func (m *Modem) wake() {
	if m.port != nil {
		m.port.wakeWriter()
	}
}

// result is a result code (V.250 Table 1, T.31 8.4).
type result int

const (
	resOK result = iota
	resConnect
	resRing
	resNoCarrier
	resError
	resNoDialTone
	resBusy
	resNoAnswer
	resFCError
	resFRH3 // +FRH:3, T.31 8.5.1 adaptive reception
)

var resultTexts = [...]struct{ verbose, numeric string }{
	{"OK", "0"}, {"CONNECT", "1"}, {"RING", "2"}, {"NO CARRIER", "3"}, {"ERROR", "4"},
	{"NO DIALTONE", "6"}, {"BUSY", "7"}, {"NO ANSWER", "8"}, {"+FCERROR", "+F4"}, {"+FRH:3", "+FRH:3"},
}

// result sends a result code in the format of V and Q, reduced by X (V.250 6.2.7).
func (m *Modem) result(r result) {
	x := m.set.x
	if r == resBusy && (x < 3) || r == resNoDialTone && x != 2 && x != 4 || r == resNoAnswer && x < 3 {
		r = resNoCarrier
	}
	t := resultTexts[r]
	m.trace(Event{Kind: EventResult, Text: t.verbose})
	m.resultAt = m.ex.now()
	if m.set.quiet {
		return
	}
	if m.set.verbose {
		m.emit([]byte(m.crlf() + t.verbose + m.crlf()))
		return
	}
	m.emit([]byte(t.numeric + string(rune(m.set.s[3]))))
}

// info sends information text (V.250 5.7.1).
func (m *Modem) info(text string) {
	m.trace(Event{Kind: EventResult, Text: text})
	if m.set.verbose {
		text = m.crlf() + text
	}
	m.emit([]byte(text + m.crlf()))
}

// crlf is the pair of S3 and S4.
func (m *Modem) crlf() string { return string([]byte{m.set.s[3], m.set.s[4]}) }

// emit sends octets to the DTE.
func (m *Modem) emit(b []byte) {
	b = append(m.held, b...)
	m.held = nil
	if m.port != nil {
		m.port.emit(b)
	}
}

func (m *Modem) String() string { return fmt.Sprintf("modem %s", m.number) }
