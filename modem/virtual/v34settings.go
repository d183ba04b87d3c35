package virtual

import (
	"fmt"
	"strconv"
	"strings"
)

// v34Settings are +F34 (T.31 B.6.1) and what of +A8E (V.251) is for V.8.
type v34Settings struct {
	asked bool    // the DTE has given +F34: it speaks Annex B
	rates [5]int  // highest and lowest primary rate, control rate, and both primary rates for the other direction; 0: unspecified
	noV8  [2]bool // originating, answering
}

// rateUnits are the most of each of +F34's values: units of 2400 bit/s, of 1200 for the control channel.
var rateUnits = [5]int{14, 14, 2, 14, 14}

// v34Parameter is +F34 and +A8E.
func (m *Modem) v34Parameter(c command) status {
	if m.opts.V34 == 0 {
		return failed
	}
	set := &m.set.v34
	switch {
	case c.name == "+A8E" && c.op == 't':
		m.info("+A8E: (0,1),(0,1)")
	case c.name == "+A8E" && c.op == '=':
		for i, f := range strings.Split(c.arg, ",") {
			if i < 2 {
				set.noV8[i] = f == "0"
			}
		}
	case c.name == "+F34" && c.op == 't':
		m.info("+F34: (0-14),(0-14),(0-2),(0-14),(0-14)")
	case c.name == "+F34" && c.op == '?':
		m.info("+F34: " + strings.Trim(strings.ReplaceAll(fmt.Sprint(set.rates), " ", ","), "[]"))
	case c.name == "+F34" && c.op == '=':
		return m.v34Rates(c.arg)
	default:
		return failed
	}
	return done
}

func (m *Modem) v34Rates(arg string) status {
	var rates [5]int
	for i, f := range strings.Split(arg, ",") {
		n := 0
		if f = strings.TrimSpace(f); f != "" {
			var err error
			if n, err = strconv.Atoi(f); err != nil {
				return failed
			}
		}
		if i >= len(rates) || n < 0 || n > rateUnits[i] {
			return failed
		}
		rates[i] = n
	}
	m.set.v34.rates, m.set.v34.asked = rates, true
	return done
}

// mayV34 tells whether the next call may be of V.34.
func (m *Modem) mayV34() bool {
	v := m.set.v34
	return m.opts.V34 > 0 && m.set.class == "1.0" && (v.asked || m.opts.V34Unasked) && !v.noV8[0] && !v.noV8[1]
}

// mph is what a modem tells of its rates when the control channel starts (V.34 10.2.4.4): units of 2400 bit/s for the primary
// channel, of 1200 for the control channel.
type mph struct{ max, min, control int }

// octets are as many as stand for it on the line.
func (p mph) octets() []byte { return []byte{byte(p.max), byte(p.min), byte(p.control)} }

func mphOf(b []byte) mph { return mph{int(b[0]), int(b[1]), int(b[2])} }

// mph is what the modem's settings come to.
func (m *Modem) mph() mph {
	p := mph{max: m.opts.V34 / 2400, min: max(1, m.opts.V34Least/2400), control: 2}
	r := m.set.v34.rates
	if r[0] > 0 {
		p.max = min(p.max, r[0])
	}
	if r[1] > 0 {
		p.min = max(p.min, min(r[1], p.max))
	}
	if r[2] > 0 {
		p.control = r[2]
	}
	return p
}
