package class1

import "time"

// Quirks is how a modem departs from T.31, beside [phone.Quirks]. The zero value is a modem after the standard.
type Quirks struct {
	// HostSilence keeps silences by our own clock in place of +FTS. Field: U.S. Robotics.
	HostSilence bool `quirk:"host_silence"`
	// TCFDelay is the pause between CONNECT and the TCF, for modems that say CONNECT before they have trained.
	// Field: Lucent, Intel and iaxmodem want 400 ms.
	TCFDelay time.Duration `quirk:"tcf_delay"`
	// LeadFF sends one 0xFF before TCF and ECM data, which the modem loses or spoils. Field: the same.
	LeadFF bool `quirk:"lead_ff"`
	// NoFAR leaves adaptive reception (+FAR=1) off although the modem accepts it.
	NoFAR bool `quirk:"no_far"`
	// ErrorIsWrongCarrier takes ERROR from +FRM for +FCERROR; otherwise it means the line is gone. Field: old ZyXEL.
	ErrorIsWrongCarrier bool `quirk:"error_is_wrong_carrier"`
	// BareDLE is a modem that does not double DLE in what it receives.
	BareDLE bool `quirk:"bare_dle"`
	// NoFCS is a modem that gives no usable frame check sequence with a frame: its result code alone is believed.
	NoFCS bool `quirk:"no_fcs"`
}
