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
	// SpoiltFirst: the first octet after CONNECT to +FTM is spoilt. Field: the same want 0xFF before TCF and ECM data.
	SpoiltFirst bool
	// ResetOnFRS: +FRS resets the modem, which says nothing. Field: U.S. Robotics.
	ResetOnFRS bool
	// DeafAfterResult: a command that comes sooner after the last result code of a call is lost. Field: Silicon Labs, 100 ms after each state
	// change.
	DeafAfterResult time.Duration
	// WrongCarrierIsError: +FRM says ERROR for V.21, not +FCERROR. Field: old ZyXEL.
	WrongCarrierIsError bool
	// BareDLE: DLE in received octets is not doubled. Field: some modems.
	BareDLE bool
	// NoFCS: zeros come in place of a received frame's check sequence. Field: the host cannot always check it.
	NoFCS bool
	// ForcesXonXoff: Class 1 begins with XON/XOFF in place of RTS/CTS until AT&H1; what a DTE that does not know sends into a full buffer is lost. Field:
	// U.S. Robotics. Lucent breaks XON/XOFF.
	ForcesXonXoff bool
	// HidesClass10: +FCLASS=? leaves 1.0 out, +FCLASS=1.0 is accepted. Field: Silicon Labs.
	HidesClass10 bool
	// NamesButRefuses are classes in the answer to +FCLASS=? that +FCLASS= refuses. Field: some Conexant sticks have no Class 2.
	NamesButRefuses []string
}

// classesTold are the classes in the answer to +FCLASS=?.
func (m *Modem) classesTold() []string {
	told := slices.Clone(m.classes())
	if m.opts.HidesClass10 {
		told = slices.DeleteFunc(told, func(k string) bool { return k == "1.0" })
	}
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
	return shield(nil, b, m.set.class == "1.0")
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

// lost tells whether a full buffer loses what comes: the DTE waits for RTS/CTS, the modem has changed to XON/XOFF.
func (a *sendPage) lost() bool { return a.m.set.xonXoff && len(a.buf) >= a.m.opts.Buffer }
