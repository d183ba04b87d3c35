package phone

import (
	"encoding/hex"
	"strings"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

const (
	// maxField bounds what is kept of one caller ID field, in characters.
	maxField = 80
	// maxCadence is how many durations of one cadence are kept.
	maxCadence = 8
)

// Why there is no calling number, [t30.Ring].NoCaller.
const (
	Withheld    = "withheld"
	Unavailable = "unavailable"
)

// callInfo gathers what the exchange tells of a call, in whatever form the modem passes it on, before the first ring or
// after it.
type callInfo struct {
	caller, name, dialed, dialable string
	absent                         string // Withheld, Unavailable
	cadence                        []string
}

func (c *callInfo) add(text string) {
	key, value, _ := at.CallerField(text)
	value = clip(value)
	switch key {
	case at.KeyNumber:
		c.number(value)
	case at.KeyName:
		if absence(value) == "" {
			c.name = value
		}
	case at.KeyNoNumber:
		c.number(value)
	case at.KeyDialed:
		c.dialed = value
	case at.KeyDialable:
		c.dialable = value
	case at.KeyCadence:
		if len(c.cadence) < maxCadence {
			c.cadence = append(c.cadence, strings.ToUpper(strings.Join(strings.Fields(clip(text)), "")))
		}
	case at.KeyMessage:
		c.message(text)
	}
}

// number takes a calling number, or the reason why there is none.
func (c *callInfo) number(value string) {
	if why := absence(value); why != "" {
		c.caller, c.absent = "", why
		return
	}
	if strings.ContainsAny(value, "0123456789") {
		c.caller, c.absent = value, ""
	}
}

// absence tells whether a field's value says why there is none. The reasons of Bellcore and ETSI are O and P; modems write them
// out in many ways.
func absence(value string) string {
	switch strings.ToUpper(strings.Trim(value, "-*. ")) {
	case "P", "PRIVATE", "PRIVACY", "BLOCKED", "WITHHELD", "ANONYMOUS", "RESTRICTED", "PRIVATE NUMBER", "NUMBER WITHHELD", "CALLER WITHHELD":
		return Withheld
	case "O", "OUT OF AREA", "OUT-OF-AREA", "UNAVAILABLE", "UNKNOWN", "NOT AVAILABLE", "NUMBER UNAVAILABLE", "NO NUMBER", "NONE", "":
		return Unavailable
	}
	return ""
}

// message reads octets in hexadecimal: a whole message (SDMF, MDMF), or single parameters as V.253's MESG has them.
func (c *callInfo) message(text string) {
	if i := strings.IndexAny(text, "=:"); i >= 0 {
		text = text[i+1:]
	}
	if m, ok := at.CallerDump(text); ok {
		body := m[2 : len(m)-1]
		if m[0] == at.SDMF {
			c.single(body)
		} else {
			c.parameters(body)
		}
		return
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err == nil {
		c.parameters(b)
	}
}

// single reads SDMF's data: month, day, hour and minute in eight digits, then the number, or P or O (Bellcore GR-31).
func (c *callInfo) single(b []byte) {
	if len(b) > 8 {
		c.number(plain(b[8:]))
	}
}

// The parameters of MDMF that count (Bellcore GR-31, ETSI EN 300 659-3 5.4).
const (
	paramNumber   = 0x02
	paramDialable = 0x03
	paramNoNumber = 0x04
	paramName     = 0x07
	paramNoName   = 0x08
	paramCalled   = 0x12 // ETSI: first called line identity, of a diverted call
)

func (c *callInfo) parameters(b []byte) {
	for len(b) >= 2 {
		n := int(b[1])
		if n > len(b)-2 {
			return
		}
		value := plain(b[2 : 2+n])
		switch b[0] {
		case paramNumber, paramNoNumber:
			c.number(value)
		case paramDialable:
			c.dialable = value
		case paramName:
			if absence(value) == "" {
				c.name = value
			}
		case paramCalled:
			c.dialed = value
		}
		b = b[2+n:]
	}
}

// plain is a field's octets as text: ASCII, the rest dropped.
func plain(b []byte) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(b))
	return clip(strings.TrimSpace(text))
}

func clip(s string) string {
	if r := []rune(s); len(r) > maxField {
		return string(r[:maxField])
	}
	return s
}

// ring is what is known at the RING l. A cadence counts for one ring: it is told anew before each.
func (c *callInfo) ring(l at.Line) t30.Ring {
	pattern := strings.Join(c.cadence, "/")
	c.cadence = nil
	if p := strings.Trim(l.Text[len("RING"):], " ;/:,"); digitsIn(p) >= 5 { // Field: ISDN adapters put the caller there
		first, _, _ := strings.Cut(p, ";")
		c.number(clip(first))
	} else if p != "" {
		pattern = clip(p)
	}
	r := t30.Ring{At: l.At, Caller: c.caller, Name: c.name, Dialed: c.dialed, Pattern: pattern}
	switch {
	case c.dialable == "":
	case r.Caller == "" && c.absent == "":
		r.Caller = c.dialable
	case r.Dialed == "" && !sameSubscriber(c.dialable, r.Caller):
		r.Dialed = c.dialable
	}
	if r.Caller == "" {
		r.NoCaller = c.absent
	}
	return r
}

func digitsIn(s string) (n int) {
	for _, r := range s {
		if r >= '0' && r <= '9' {
			n++
		}
	}
	return n
}

// sameSubscriber tells whether two numbers end alike: a dialable number is the calling one with a prefix.
func sameSubscriber(a, b string) bool {
	a, b = onlyDigits(a), onlyDigits(b)
	n := min(len(a), len(b), 7)
	return n > 0 && a[len(a)-n:] == b[len(b)-n:]
}

func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}
