package virtual

import (
	"fmt"
	"strconv"
)

// status is how the execution of one command went.
type status int

const (
	done    status = iota
	failed         // ERROR
	pending        // an activity runs, or a result code was already given
)

// commandOctet takes one octet of the DTE in command state.
func (m *Modem) commandOctet(b byte) {
	if m.deaf() {
		return
	}
	if m.set.echo {
		m.emit([]byte{b})
	}
	line, whole, ok := m.reader.octet(b, m.set.s[3], m.set.s[5])
	if !whole {
		return
	}
	m.trace(Event{Kind: EventCommand, Text: "AT" + line})
	if !ok {
		m.result(resError)
		return
	}
	cmds, ok := parseLine(line)
	if !ok {
		cmds = append(cmds, command{})
	}
	m.rest = cmds
	m.run()
}

// run carries out the commands in m.rest until one takes time.
func (m *Modem) run() {
	for len(m.rest) > 0 {
		c := m.rest[0]
		m.rest = m.rest[1:]
		switch m.execute(c) {
		case failed:
			m.rest = nil
			m.result(resError)
			return
		case pending:
			return
		}
	}
	m.rest = nil
	m.result(resOK)
}

// execute carries out one command.
func (m *Modem) execute(c command) status {
	switch {
	case c.name == "":
		return failed
	case c.name == "D":
		return m.dial(c.arg)
	case c.name[0] == '-' || c.name == "%V":
		if st, ok := m.telephone(c); ok {
			return st
		}
		return m.ampersand(c)
	case c.name[0] == '+' || c.name[0] == '#':
		return m.extended(c)
	case c.name[0] == 'S':
		return m.register(c)
	case len(c.name) == 2:
		return m.ampersand(c)
	}
	return m.basic(c)
}

// basic carries out the one-letter commands (V.250 6).
func (m *Modem) basic(c command) status {
	n := c.num(0)
	if n < 0 {
		return failed
	}
	flag := func(v *bool, on int) status {
		if n > 1 {
			return failed
		}
		*v = n == on
		return done
	}
	switch c.name {
	case "A":
		m.answer()
		return pending
	case "E":
		return flag(&m.set.echo, 1)
	case "V":
		return flag(&m.set.verbose, 1)
	case "Q":
		return flag(&m.set.quiet, 1)
	case "X":
		if n > 4 {
			return failed
		}
		m.set.x = n
	case "H":
		if n > 1 || n == 1 && m.incoming != nil {
			return failed
		}
		if n == 1 {
			m.offHook = true
		} else {
			m.hangup()
		}
	case "I":
		return m.identify(n)
	case "O":
		if c.op != '?' && !m.offHook {
			return failed
		}
		m.rest = nil
		m.result(resNoCarrier) // there is never a data connection to go back to
		return pending
	case "Z":
		m.hangup()
		m.set = m.factory()
	case "P", "T":
		m.set.pulse = c.name == "P"
	case "B", "C", "L", "M", "N", "W", "Y":
		// Speaker, carrier and the like: nothing that a DTE could see here.
	default:
		return failed
	}
	return done
}

func (m *Modem) ampersand(c command) status {
	n := c.num(0)
	switch {
	case n < 0 || n > 9:
		return failed
	case c.name == "&F":
		m.set = m.factory()
	case c.name == "&D":
		if n > 3 {
			return failed
		}
		m.set.dtr = n
	case c.name[0] == '&' || c.name[0] == '\\' || c.name[0] == '%':
		m.flowControl(c)
		// &C &G &J &P &R &S &W, \N, %C and the like change nothing that a DTE could see here.
	default:
		return failed
	}
	return done
}

func (m *Modem) register(c command) status {
	n, err := strconv.Atoi(c.name[1:])
	if err != nil || n > 255 {
		return failed
	}
	switch c.op {
	case '?':
		v := int(m.set.s[n])
		if n == 1 {
			v = min(m.rings, 255)
		}
		m.info(fmt.Sprintf("%03d", v))
	case '=':
		v := c.num(0)
		if v < 0 || v > 255 || (n == 3 || n == 4 || n == 5) && v > 127 {
			return failed
		}
		m.set.s[n] = byte(v)
	}
	return done
}

// Identity of a modem that is nothing in particular.
func (o *ModemOptions) maker() string    { return either(o.Maker, "Tipring") }
func (o *ModemOptions) model() string    { return either(o.Model, "Virtual Fax Modem") }
func (o *ModemOptions) revision() string { return either(o.Revision, "1.0") }

func either(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

func (m *Modem) identify(n int) status {
	if s, ok := m.opts.Info[n]; ok {
		m.info(s)
		return done
	}
	switch n {
	case 0:
		m.info("Tipring")
	case 3:
		m.info(m.opts.maker() + " " + m.opts.model())
	case 1, 2, 4, 5, 6, 7, 8, 9:
		m.info(m.opts.revision())
	default:
		return failed
	}
	return done
}
