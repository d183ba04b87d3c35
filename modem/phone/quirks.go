package phone

import "time"

// Quirks is how a modem departs from V.250 and V.253 in what all service classes share. The zero value is a modem after the
// standards.
type Quirks struct {
	// Init is sent before +FCLASS; a refusal is no error. "AT" is put in front.
	Init []string `quirk:"init"`
	// AfterClass is sent after every +FCLASS; a refusal is no error. Field: U.S. Robotics changes to XON/XOFF on
	// entering Class 1 and needs &H1 again.
	AfterClass []string `quirk:"after_class"`
	// FlowControl are the commands that turn RTS/CTS on; the first that is accepted is kept. nil: +IFC=2,2, &K3. Field: U.S. Robotics
	// has &H1&R2, MultiTech &E4, ZyXEL &H3.
	FlowControl []string `quirk:"flow_control"`
	// CallerID are the commands that turn caller ID on; the first that is accepted is kept. nil: +VCID=1, #CID=1, %CCID=1,
	// #CC1, *ID1.
	CallerID []string `quirk:"caller_id"`
	// DistinctiveRing are those that turn reports of ringing patterns on, likewise. nil: +VDR=1,0, -SDR=7.
	DistinctiveRing []string `quirk:"distinctive_ring"`
	// LineStatus are those that make the modem look for voltage and for a telephone in use before it goes off hook, likewise. nil:
	// -STE=1 (Conexant). Field: Silicon Labs has %V2.
	LineStatus []string `quirk:"line_status"`
	// CommandGap is how long the modem wants to be left alone after each result, before the next command. Field: Silicon Labs Si2417
	// and Si2435 want 100 ms after a change of state (ATZ, +FCLASS, ATH, an abort).
	CommandGap time.Duration `quirk:"command_gap"`
}

var (
	flowControlCommands     = []string{"+IFC=2,2", "&K3"}
	callerIDCommands        = []string{"+VCID=1", "#CID=1", "%CCID=1", "#CC1", "*ID1"}
	distinctiveRingCommands = []string{"+VDR=1,0", "-SDR=7"}
	lineStatusCommands      = []string{"-STE=1"}
)
