package at

import (
	"strings"
	"time"
)

// Code is the kind of a line from the modem (V.250 5.7, T.31 8, and the field's additions).
type Code int

const (
	Info        Code = iota // anything else: the answer to a query
	OK                      // OK
	Error                   // ERROR
	Connect                 // CONNECT, CONNECT 115200
	NoCarrier               // NO CARRIER
	Busy                    // BUSY
	NoAnswer                // NO ANSWER
	NoDialTone              // NO DIALTONE
	Blacklisted             // BLACKLISTED, DELAYED: the modem's own redial lock
	FCError                 // +FCERROR: another carrier than the one asked for (T.31 8.3.6)
	FRH3                    // +FRH:3: V.21 in place of that carrier, reception of it follows (T.31 +FAR=1)
	Voice                   // VOICE, VCON
	Data                    // DATA: an adaptive answer found a data modem
	Fax                     // FAX: an adaptive answer found a fax machine
	Ringback                // RINGING, RINGBACK: the far telephone rings
	Ring                    // RING, RING A
	CallerID                // DATE=, TIME=, NMBR=, NAME=, NDID=, DRON=, +CLIP:, a dump: see callerid.go
	NoLine                  // NO LINE: no voltage, the cord is out (Silicon Labs %V)
	LineInUse               // LINE IN USE: a telephone on the same line is off hook (Silicon Labs %V, Conexant -STE)
)

// Final tells whether a line with this code ends a command.
func (c Code) Final() bool {
	switch c {
	case OK, Error, Connect, NoCarrier, Busy, NoAnswer, NoDialTone, Blacklisted, FCError, FRH3, Voice, NoLine, LineInUse:
		return true
	}
	return false
}

// Unsolicited tells whether such a line comes without a command.
func (c Code) Unsolicited() bool { return c == Ring || c == CallerID }

// Line is one line from the modem.
type Line struct {
	At   time.Time
	Code Code
	Text string // without line ends and control characters
}

var exact = map[string]Code{
	"OK": OK, "ERROR": Error, "COMMAND ERROR": Error, "NO CARRIER": NoCarrier, "BUSY": Busy, "NO ANSWER": NoAnswer,
	"NO DIALTONE": NoDialTone, "NO DIAL TONE": NoDialTone, "BLACKLISTED": Blacklisted, "DELAYED": Blacklisted,
	"+FCERROR": FCError, "+F4": FCError, "+FRH:3": FRH3, "+FRH: 3": FRH3, "VOICE": Voice, "VCON": Voice,
	"DATA": Data, "FAX": Fax, "RINGING": Ringback, "RINGBACK": Ringback, "RING BACK": Ringback, "RING": Ring,
	"CONNECT": Connect,
	"NO LINE": NoLine, "NO LOOP CURRENT": NoLine, "LINE IN USE": LineInUse, "LINE-IN-USE": LineInUse,
	"LINE BUSY": LineInUse, "PARALLEL PHONE": LineInUse, "PARALLEL PHONE DETECTED": LineInUse, "EXTENSION IN USE": LineInUse,
}

var prefixes = []struct {
	text string
	code Code
}{
	{"CONNECT ", Connect}, {"RING ", Ring}, {"RING;", Ring}, {"RING/", Ring}, {"+CME ERROR", Error}, {"BLACKLISTED", Blacklisted}, {"DELAYED", Blacklisted},
}

// ParseLine tells what kind of line text is. Letter case does not matter; stray octets that line noise or a wrong speed
// put in front are skipped.
func ParseLine(text string) (code Code, clean string) {
	clean = strings.TrimSpace(strings.TrimLeftFunc(text, func(r rune) bool { return r > '~' || r <= ' ' }))
	up := strings.ToUpper(clean)
	if c, ok := exact[up]; ok {
		return c, clean
	}
	if ringNumbered(up) {
		return Ring, clean
	}
	for _, p := range prefixes {
		if strings.HasPrefix(up, p.text) {
			return p.code, clean
		}
	}
	if _, _, ok := CallerField(clean); ok {
		return CallerID, clean
	}
	return Info, clean
}

// maxLine bounds one line from the modem, in octets; the rest of a longer one is dropped.
const maxLine = 256

// scanner cuts what the modem sends into lines.
type scanner struct {
	buf    []rune
	skipLF bool // the last line ended in CR: an LF right after it belongs to it
	cans   int  // CAN characters seen
}

// scan takes octets from b until a line is complete. It returns how many it took; ok tells whether line holds one.
// Empty lines are skipped, control characters dropped, octets from 0xA0 taken as Latin-1.
func (s *scanner) scan(b []byte) (n int, line string, ok bool) {
	for i, c := range b {
		if s.skipLF {
			s.skipLF = false
			if c == '\n' {
				continue
			}
		}
		switch {
		case c == '\r' || c == '\n':
			s.skipLF = c == '\r'
			if len(s.buf) > 0 {
				line, s.buf = string(s.buf), s.buf[:0]
				return i + 1, line, true
			}
		case c == can:
			s.cans++
		case c < ' ' || c >= 0x7f && c < 0xa0 || len(s.buf) >= maxLine:
		default:
			s.buf = append(s.buf, rune(c))
		}
	}
	return len(b), "", false
}
