package class2

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tipring/tipring/t30"
)

// hangup is why a modem ended a call: one line of Class 2's table (+FHNG, decimal) or of T.32's (+FHS, hexadecimal).
type hangup struct {
	class2 int // -1: not in that class
	t32    int
	code   t30.Code
	text   string
	fault  bool // ours: modem, port or data
	inPage bool // the page did not get through its phase C: its confirmation is not open
}

// hangups are both tables. 128 to 135 are Everex's.
var hangups = []hangup{
	// Call placement and termination.
	{0, 0x00, t30.CodeOK, "normal end of the connection", false, false},
	{1, 0x01, t30.CodeNoDocument, "a ring, but no handshake", false, true},
	{2, 0x02, t30.CodeModem, "the modem aborted the call", true, false},
	{3, 0x03, t30.CodeNoLine, "no loop current", false, true},
	{-1, 0x04, t30.CodeNoAnswer, "it rang and nobody answered", false, true},
	{-1, 0x05, t30.CodeNoFax, "it was answered without CED", false, true},
	// Sending, phase A.
	{10, 0x10, t30.CodeNoCarrier, "error in phase A", false, true},
	{11, 0x11, t30.CodeNoFax, "no DIS within T1", false, true},
	// Sending, phase B.
	{20, 0x20, t30.CodeHungUpB, "error in phase B", false, true},
	{21, 0x21, t30.CodeCannotReceive, "the far end cannot receive, or has nothing to send", false, true},
	{22, 0x22, t30.CodeDCNInB, "DCN or spoilt commands in phase B", false, true},
	{23, 0x23, t30.CodeProtocol, "invalid command in phase B", false, true},
	{24, 0x24, t30.CodeDCNInB, "DCN or spoilt answers in phase B", false, true},
	{25, 0x25, t30.CodeNoReplyDCS, "no answer to DCS, 3 times", false, true},
	{26, 0x26, t30.CodeNoReplyDCS, "DIS or DTC in answer to DCS, 3 times", false, true},
	{27, 0x27, t30.CodeTraining, "training failed at every rate", false, true},
	{28, 0x28, t30.CodeProtocol, "invalid answer in phase B", false, true},
	// Sending, phase C.
	{40, 0x40, t30.CodeHungUpC, "error in the page", false, true},
	{-1, 0x41, t30.CodeSource, "image format error", true, true},
	{-1, 0x42, t30.CodeSource, "image conversion error", true, true},
	{43, 0x43, t30.CodeModem, "the modem ran out of page data", true, true},
	{-1, 0x44, t30.CodeSource, "unknown command in the page data", true, true},
	{-1, 0x45, t30.CodeSource, "a line of wrong length in the page data", true, true},
	{-1, 0x46, t30.CodeSource, "the page has a wrong length", true, true},
	{-1, 0x47, t30.CodeSource, "a wrong compression code in the page data", true, true},
	// Sending, phase D.
	{50, 0x50, t30.CodeNoReplyPage, "error after the page", false, false},
	{51, 0x51, t30.CodeDCNAfterPage, "DCN or spoilt answers after the page", false, false},
	{52, 0x52, t30.CodeNoReplyPage, "no answer to MPS, 3 times", false, false},
	{53, 0x53, t30.CodeProtocol, "invalid answer to MPS", false, false},
	{54, 0x54, t30.CodeNoReplyPage, "no answer to EOP, 3 times", false, false},
	{55, 0x55, t30.CodeProtocol, "invalid answer to EOP", false, false},
	{56, 0x56, t30.CodeNoReplyPage, "no answer to EOM, 3 times", false, false},
	{57, 0x57, t30.CodeProtocol, "invalid answer to EOM", false, false},
	{58, 0x58, t30.CodeInterrupted, "the far operator interrupted (PIN or PIP)", false, false},
	// Receiving, phase B.
	{70, 0x70, t30.CodeNoDocument, "error in phase B of receiving", false, true},
	{71, 0x71, t30.CodeDCNInB, "DCN or spoilt answers in phase B of receiving", false, true},
	{72, 0x72, t30.CodeDCNInB, "DCN or spoilt commands in phase B of receiving", false, true},
	{73, 0x73, t30.CodePageLost, "no page within T2", false, true},
	{74, 0x74, t30.CodeNoDocument, "nothing within T1 after EOM", false, true},
	// Receiving, phase C.
	{90, 0x90, t30.CodePageLost, "error in the received page", false, true},
	{91, 0x91, t30.CodePageLost, "no line ended for 5 s in the received page", false, true},
	{92, -1, t30.CodePageLost, "error in the received page (92)", false, true},
	{93, 0x93, t30.CodeModem, "the modem's buffer of received data ran over", true, true},
	{94, 0x92, t30.CodePageLost, "bad frames in the received page", false, true},
	// Receiving, phase D.
	{100, 0xa0, t30.CodeNoPostMessage, "error after the received page", false, true},
	{101, 0xa1, t30.CodeProtocol, "invalid answer after the received page", false, true},
	{102, 0xa2, t30.CodeNoPostMessage, "DCN or spoilt commands after the received page", false, true},
	{103, 0xa3, t30.CodeInterrupted, "the far operator interrupted after the received page", false, true},
	// Everex.
	{128, -1, t30.CodeIncompatible, "the far end is slower than the least rate set", false, true},
	{129, -1, t30.CodeIncompatible, "the far end has V.29 only, our modem is limited to less", false, true},
	{130, -1, t30.CodeCannotReceive, "the far end's DIS says that it cannot receive", false, true},
	{131, -1, t30.CodeModem, "the modem aborted the call (131)", true, false},
	{132, -1, t30.CodeSource, "the page data cannot be converted", true, true},
	{133, -1, t30.CodeCannotReceive, "the far end cannot receive", false, true},
	{134, -1, t30.CodeModem, "we took no received data for 30 s", true, true},
	{135, -1, t30.CodeNothingToPoll, "the far end cannot be polled", false, true},
}

// hangupRanges say what an unknown code means, by its phase: up to which code of Class 2 and of T.32.
var hangupRanges = []struct {
	class2, t32 int
	code        t30.Code
	inPage      bool
}{
	{9, 0x0f, t30.CodeNoCarrier, true}, {19, 0x1f, t30.CodeNoCarrier, true}, {39, 0x3f, t30.CodeHungUpB, true},
	{49, 0x4f, t30.CodeHungUpC, true}, {69, 0x6f, t30.CodeNoReplyPage, false}, {89, 0x8f, t30.CodeNoDocument, true},
	{99, 0x9f, t30.CodePageLost, true}, {119, 0xbf, t30.CodeNoPostMessage, true},
}

// parseHangup reads the value of +FHNG: or +FHS:. What cannot be read is taken for a line that dropped.
func (d *dialect) parseHangup(s string) hangup {
	s, _, _ = strings.Cut(strings.TrimSpace(s), ",")
	base := 10
	if d.hangupTable == 1 {
		base = 16
	}
	n, err := strconv.ParseUint(s, base, 16)
	if err != nil {
		return hangup{-1, -1, t30.CodeHungUpC, fmt.Sprintf("hang-up code %.12q", s), false, false}
	}
	return d.hangup(int(n))
}

// hangup is what a code means.
func (d *dialect) hangup(n int) hangup {
	for _, h := range hangups {
		if n == h.class2 && d.hangupTable == 0 || n == h.t32 && d.hangupTable == 1 {
			return h
		}
	}
	text := fmt.Sprintf("hang-up code %d", n)
	if d.hangupTable == 1 {
		text = fmt.Sprintf("hang-up code %02X", n)
	}
	for _, r := range hangupRanges {
		if d.hangupTable == 0 && n <= r.class2 || d.hangupTable == 1 && n <= r.t32 {
			return hangup{-1, -1, r.code, text, false, r.inPage}
		}
	}
	return hangup{-1, -1, t30.CodeHungUpC, text, false, false}
}
