package class2

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

const (
	maxIdent = 40  // characters kept of an identification
	maxNSF   = 100 // octets kept of non-standard facilities
)

// keyword divides an information line: "+FHNG: 0" into "+FHNG" and "0". key is "" for a line that is none of ours.
func keyword(text string) (key, value string) {
	if !strings.HasPrefix(text, "+F") && !strings.HasPrefix(text, "+f") {
		return "", ""
	}
	end := strings.IndexFunc(text[1:], func(r rune) bool { return !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') })
	if end < 0 {
		return strings.ToUpper(text), ""
	}
	return strings.ToUpper(text[:end+1]), strings.TrimLeft(text[end+1:], ":= ")
}

// identity is an identification without its quotation marks and outer spaces.
func identity(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, strings.Trim(s, "\" "))
	return strings.TrimSpace(s[:min(len(s), maxIdent)])
}

// number is the first number of a value, -1 if there is none.
func number(s string) int {
	s, _, _ = strings.Cut(s, ",")
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	if err != nil {
		return -1
	}
	return int(n)
}

// take notes what an information line of the modem tells. Field: any of them may come at any time, DIS again after EOM, the
// hang-up in answer to +FDT.
func (c *call) take(l at.Line) {
	key, value := keyword(l.Text)
	switch key {
	case "+FDIS", "+FIS", "+FDTC", "+FTC":
		c.takeDIS(strings.HasSuffix(key, "TC"), value)
	case "+FDCS", "+FCS":
		p, ok := parseParams(value, c.m.hex())
		if !ok {
			c.m.ch.Note("%s cannot be read", key)
			return
		}
		c.dcs, c.newDCS = p, true
		dir := t30.In
		if c.sending {
			dir = t30.Out
		}
		c.trace(t30.LayerFrame, dir, "DCS %s", c.d.describe(p))
	case "+FCSI", "+FCI", "+FTSI", "+FTI", "+FCIG", "+FPI":
		c.far.ID = identity(value)
	case "+FNSF", "+FNF":
		c.far.NSF = nsf(value)
	case "+FPOLL", "+FPO":
		c.far.CanPoll = true
	case "+FSA":
		c.far.Subaddress = identity(value)
	case "+FPA":
		c.far.Selective = identity(value)
	case "+FPW":
		c.far.Password = identity(value)
	case "+FCFR":
		c.trace(t30.LayerFrame, t30.Out, "CFR")
	case "+FPTS", "+FPS":
		if n := number(value); n >= int(statusMCF) && n <= int(statusPIP) {
			c.status = status(n)
		}
	case "+FET":
		if n := number(value); n >= 0 {
			c.post, c.newPost = post(n).plain(), true
		}
	case "+FHNG", "+FHS":
		h := c.d.parseHangup(value)
		c.hung = &h
		c.trace(t30.LayerCall, t30.In, "hung up: %s", h.text)
	}
}

func (c *call) takeDIS(poller bool, value string) {
	p, ok := parseParams(value, c.m.hex())
	if !ok {
		c.m.ch.Note("DIS or DTC cannot be read")
		return
	}
	c.far.Capabilities = c.d.decode(p)
	c.far.Capabilities.Subaddress, c.far.Capabilities.SelectivePoll, c.far.Capabilities.Password = c.m.subaddress, c.m.selective, c.m.password
	name := "DIS"
	if poller {
		c.polled, name = true, "DTC"
	}
	c.trace(t30.LayerFrame, t30.In, "%s %s", name, c.d.describe(p))
}

// describe is a session for a transcript.
func (d *dialect) describe(p params) string {
	f := d.pageFormat(p)
	s := fmt.Sprintf("%v %v %v", modulation(p[pBR]), f.Coding, f.Resolution)
	if p[pEC] > 0 {
		s += " ecm"
	}
	return s
}

func nsf(value string) []byte {
	b, err := hex.DecodeString(strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \"", r) {
			return -1
		}
		return r
	}, value))
	if err != nil {
		return nil
	}
	return b[:min(len(b), maxNSF)]
}
