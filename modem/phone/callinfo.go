package phone

import (
	"strings"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

// maxField bounds what is kept of one caller ID field, in characters.
const maxField = 80

// callInfo gathers what the exchange tells of a call (V.253 caller ID, and distinctive ring durations).
type callInfo struct {
	caller, name, dialed string
	cadence              []string
}

func (c *callInfo) add(text string) {
	key, value, _ := strings.Cut(text, "=")
	value = clip(strings.TrimSpace(value))
	switch strings.ToUpper(strings.TrimSpace(key)) {
	case "NMBR":
		if value != "P" && value != "O" { // private, out of area
			c.caller = value
		}
	case "NAME":
		if value != "P" && value != "O" {
			c.name = value
		}
	case "NDID", "DDN":
		c.dialed = value
	case "DRON", "DROF":
		if len(c.cadence) < 8 {
			c.cadence = append(c.cadence, strings.ToUpper(clip(text)))
		}
	}
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
	if p := strings.TrimSpace(l.Text[len("RING"):]); p != "" {
		pattern = clip(p)
	}
	return t30.Ring{At: l.At, Caller: c.caller, Name: c.name, Dialed: c.dialed, Pattern: pattern}
}
