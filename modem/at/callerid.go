package at

import (
	"encoding/hex"
	"strings"
)

// CallerKey is what one field of a caller ID report tells.
type CallerKey int

const (
	KeyOther    CallerKey = iota // DATE, TIME: nothing that is used
	KeyNumber                    // calling number, or why there is none
	KeyName                      // calling name, or why there is none
	KeyNoNumber                  // why there is no number
	KeyNoName                    // why there is no name
	KeyDialed                    // the digits dialed to reach us
	KeyDialable                  // DDN: the caller's number in dialable form (Bellcore), or the called one (ETSI)
	KeyCadence                   // DRON, DROF: durations of the ringing to come, 0.1 s
	KeyMessage                   // MESG, or a dump: octets in hexadecimal
)

// callerKeys are the words before "=" or ":" in caller ID reports: V.253, Rockwell's #CID, ZyXEL's *ID, U.S. Robotics,
// GSM and ISDN adapters' +CLIP. With a colon only words that stand in no answer to a query.
var callerKeys = map[string]CallerKey{
	"DATE=": KeyOther, "TIME=": KeyOther, "NMBR=": KeyNumber, "NAME=": KeyName, "MESG=": KeyMessage, "NDID=": KeyDialed,
	"DDN_NMBR=": KeyDialable, "DDN=": KeyDialable, "DRON=": KeyCadence, "DROF=": KeyCadence, "NBR=": KeyNumber, "FM=": KeyNumber,
	"CID=": KeyNumber, "CLI=": KeyNumber, "CNUM=": KeyNumber, "CNAM=": KeyName, "CALLER=": KeyNumber, "CALLED=": KeyDialed, "DNIS=": KeyDialed, "DID=": KeyDialed,
	"CID:": KeyNumber, "CLI:": KeyNumber, "+CLIP:": KeyNumber, "+CLI:": KeyNumber, "NMBR:": KeyNumber, "CALLER ID:": KeyNumber,
	"CALLER:": KeyNumber, "CALLER NUMBER:": KeyNumber, "CALLER'S NUMBER:": KeyNumber, "CALLING NUMBER:": KeyNumber, "NUMBER:": KeyNumber,
	"CALLER NAME:": KeyName, "CALLER'S NAME:": KeyName, "CALLING NAME:": KeyName,
	"REASON FOR NO CALLER NUMBER:": KeyNoNumber, "REASON FOR NO NUMBER:": KeyNoNumber,
	"REASON FOR NO CALLER NAME:": KeyNoName, "REASON FOR NO NAME:": KeyNoName,
	"CALLED NUMBER:": KeyDialed, "DIALED NUMBER:": KeyDialed, "DNIS:": KeyDialed, "NDID:": KeyDialed, "CALLING MESSAGE:": KeyMessage,
}

// CallerField reads one line of a caller ID report: what it tells, and its value without space and quotation marks. A line
// that is a whole message as the exchange sent it, in hexadecimal, is KeyMessage (SDMF or MDMF, its checksum good).
func CallerField(text string) (key CallerKey, value string, ok bool) {
	if i := strings.IndexAny(text, "=:"); i > 0 && i < 32 {
		word := strings.ToUpper(strings.TrimSpace(text[:i])) + text[i:i+1]
		if key, ok = callerKeys[word]; ok {
			value = strings.TrimSpace(text[i+1:])
			if word == "+CLIP:" || word == "+CLI:" { // "5550123",129,,,"J. DOE"
				value, _, _ = strings.Cut(value, ",")
			}
			return key, strings.Trim(value, "\" "), true
		}
	}
	if _, ok := CallerDump(text); ok {
		return KeyMessage, text, true
	}
	return KeyOther, "", false
}

const (
	// SDMF and MDMF are the types of caller ID messages (Bellcore GR-30, ETSI EN 300 659-3): single and multiple data.
	SDMF, MDMF = 0x04, 0x80
	maxDump    = 255 + 3
)

// CallerDump reads a line of hexadecimal digits as a caller ID message: type, length, data, checksum (the sum of all octets is 0
// modulo 256). ok is false for anything else; octets before and after the message are passed over.
func CallerDump(text string) (message []byte, ok bool) {
	digits := strings.Join(strings.Fields(text), "")
	if len(digits) < 8 || len(digits)%2 != 0 || len(digits) > 4*maxDump || strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
		return nil, false
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, false
	}
	for ; len(b) >= 4; b = b[1:] { // Field: some modems leave marks and seizure bits (0x55) in front
		if b[0] == SDMF || b[0] == MDMF {
			if n := int(b[1]) + 3; n > 3 && n <= len(b) && sum(b[:n]) == 0 {
				return b[:n], true
			}
		}
		if b[0] != 0x55 && b[0] != 0xff {
			break
		}
	}
	return nil, false
}

func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

// ringNumbered tells RING1 to RING9 and RINGA to RINGD, the distinctive rings of some modems.
func ringNumbered(up string) bool {
	return len(up) == 5 && strings.HasPrefix(up, "RING") && (up[4] >= '1' && up[4] <= '9' || up[4] >= 'A' && up[4] <= 'D')
}
