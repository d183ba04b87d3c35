package recording

import (
	"bytes"
	"strings"

	"github.com/tipring/tipring/modem/at"
)

// Setting a modem up changes with every version of the drivers, and a recording is to outlive that: unless the player is strict, set-up
// commands may be left out, added, and sent in another order. What was recorded of a command somewhere is its answer; one that is like
// a recorded one in all but the value is answered alike; any other with ERROR. The commands that act on the line stay exact.

// acting are the beginnings of commands that act on the line.
var acting = []string{"ATD", "ATA", "ATH", "AT+FTM=", "AT+FRM=", "AT+FTH=", "AT+FRH=", "AT+FTS=", "AT+FRS=", "AT+FDT", "AT+FDR", "AT+FET", "AT+FKS", "AT+FK\r"}

// isSetup tells whether octets for the modem are one set-up command.
func isSetup(b []byte) bool {
	up := strings.ToUpper(string(b))
	if !strings.HasPrefix(up, "AT") || !strings.HasSuffix(up, "\r") || strings.Count(up, "\r") != 1 {
		return false
	}
	if strings.HasSuffix(up, "=?\r") {
		return true
	}
	for _, a := range acting {
		if strings.HasPrefix(up, a) {
			return false
		}
	}
	return true
}

// simple tells whether e is part of a set-up exchange: its command, or an answer with OK or ERROR.
func simple(e *Event) bool {
	if e.Page > 0 || e.Any >= 0 || e.Kind == Control {
		return false
	}
	if e.Kind == ToModem {
		return isSetup(e.Data)
	}
	return e.Kind == Step || settled(e.Data)
}

// settled tells whether text from the modem is a whole answer.
func settled(b []byte) bool {
	lines := strings.FieldsFunc(string(b), func(c rune) bool { return c == '\r' || c == '\n' })
	if len(lines) == 0 || !isText(b) {
		return false
	}
	code, _ := at.ParseLine(lines[len(lines)-1])
	return code == at.OK || code == at.Error
}

// skipTo goes over set-up exchanges that the driver leaves out now, up to its command; false: it does not come next.
func (p *Player) skipTo(command []byte) bool {
	for i := p.next; i < len(p.rec.Events); i++ {
		e := &p.rec.Events[i]
		if e.Kind == ToModem && bytes.Equal(e.Data, command) {
			if i > p.next {
				p.left += i - p.next
				p.next, p.at = i, e.At
			}
			return true
		}
		if !simple(e) {
			return false
		}
	}
	return false
}

// answer is what the modem says to a set-up command that was not sent here then.
func (p *Player) answer(command []byte) []byte {
	var alike []byte
	for i := range p.rec.Events {
		e := &p.rec.Events[i]
		if e.Kind != ToModem || !isSetup(e.Data) || i+1 == len(p.rec.Events) || p.rec.Events[i+1].Kind != FromModem || !settled(p.rec.Events[i+1].Data) {
			continue
		}
		if bytes.Equal(e.Data, command) {
			return p.rec.Events[i+1].Data
		}
		if alike == nil && like(e.Data, command) {
			alike = p.rec.Events[i+1].Data
		}
	}
	if alike != nil {
		return alike
	}
	return []byte("\r\nERROR\r\n")
}

// like tells whether two commands differ in the value only.
func like(a, b []byte) bool {
	x, v, ok := bytes.Cut(a, []byte("="))
	y, w, ok2 := bytes.Cut(b, []byte("="))
	return ok && ok2 && bytes.Equal(x, y) && (v[0] == '?') == (w[0] == '?')
}
