package class1

import "time"

// Quirks is how a modem departs from T.31, beside [phone.Quirks]. The zero value is a modem after the standard.
type Quirks struct {
	// CommandGap is the pause before each command after a change of state. Field: Silicon Labs Si2417 and Si2435
	// want 100 ms.
	CommandGap time.Duration
	// HostSilence keeps silences by our own clock in place of +FTS. Field: U.S. Robotics.
	HostSilence bool
	// TCFDelay is the pause between CONNECT and the TCF, for modems that say CONNECT before they have trained.
	// Field: Lucent, Intel and iaxmodem want 400 ms.
	TCFDelay time.Duration
	// LeadFF sends one 0xFF before TCF and ECM data, which the modem loses or spoils. Field: the same.
	LeadFF bool
	// NoFAR leaves adaptive reception (+FAR=1) off although the modem accepts it.
	NoFAR bool
	// ErrorIsWrongCarrier takes ERROR from +FRM for +FCERROR; otherwise it means the line is gone. Field: old ZyXEL.
	ErrorIsWrongCarrier bool
	// BareDLE is a modem that does not double DLE in what it receives.
	BareDLE bool
	// NoFCS is a modem that gives no usable frame check sequence with a frame: its result code alone is believed.
	NoFCS bool
}
