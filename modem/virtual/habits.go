package virtual

import (
	"slices"
	"time"
)

// Class1Habits is how a modem departs from T.31 in Class 1 and 1.0. The zero value does not.
type Class1Habits struct {
	// EarlyConnect: CONNECT to the +FTM of a training check, which comes after +FTH, is so long before the modem can take data; octets that come in
	// that time are lost. Field: Lucent, Intel and iaxmodem want 400 ms before TCF.
	EarlyConnect time.Duration
	// SpoiltFirst: in the first octet after CONNECT to +FTM ones of the idle line are left over; 0xFF is none the worse for it. Field: the same want 0xFF
	// before TCF and ECM data.
	SpoiltFirst bool
	// ResetOnFRS: +FRS resets the modem, which says nothing. Field: U.S. Robotics.
	ResetOnFRS bool
	// DeafAfterResult: a command that comes sooner after the last result code of a call is lost. Field: Silicon Labs, 100 ms after each state
	// change.
	DeafAfterResult time.Duration
	// WrongCarrierIsError: +FRM says ERROR for V.21, not +FCERROR. Field: old ZyXEL.
	WrongCarrierIsError bool
	// BareDLE: DLE in received octets is not doubled, in whatever class. Field: some modems.
	BareDLE bool
	// NoFCS: zeros come in place of a received frame's check sequence. Field: the host cannot always check it.
	NoFCS bool
	// SilentFAR: +FAR=1 is accepted, but then +FRM says nothing of V.21 in place of its carrier. Field: HylaFAX asks for it where it is known to work only.
	SilentFAR bool
	// Hides are classes that +FCLASS=? leaves out and +FCLASS= accepts. Field: Silicon Labs 1.0; ZyXEL 1, until S57 says otherwise (U-336S manual).
	Hides []string
	// NamesButRefuses are classes in the answer to +FCLASS=? that +FCLASS= refuses. Field: some Conexant sticks have no Class 2.
	NamesButRefuses []string
}

// classesTold are the classes in the answer to +FCLASS=?.
func (m *Modem) classesTold() []string {
	told := slices.DeleteFunc(slices.Clone(m.classes()), func(k string) bool { return slices.Contains(m.opts.Hides, k) })
	for _, k := range m.opts.NamesButRefuses {
		if !slices.Contains(told, k) {
			told = append(told, k)
		}
	}
	slices.Sort(told)
	return told
}

// deaf tells whether the modem does not hear a command now.
func (m *Modem) deaf() bool {
	d := m.opts.DeafAfterResult
	return d > 0 && m.offHook && m.set.class1() && m.ex.now()-m.resultAt < d
}

// shielded is what the DTE gets for received octets.
func (m *Modem) shielded(b []byte) []byte {
	if m.opts.BareDLE {
		return b
	}
	return m.shielding().shield(nil, b)
}

// unchecked puts zeros in place of a frame's check sequence, if that is the modem's habit.
func (m *Modem) unchecked(frame []byte) []byte {
	if n := len(frame); m.opts.NoFCS && n >= 2 {
		frame[n-1], frame[n-2] = 0, 0
	}
	return frame
}

// early tells whether octets of the DTE are lost because the modem said CONNECT before it can take them.
func (a *sendPage) early() bool {
	d := a.m.opts.EarlyConnect
	return d > 0 && a.check && a.m.ex.now()-a.connected < d
}
