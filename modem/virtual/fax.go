package virtual

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// extended carries out the commands with a prefix: V.250 5.4, T.31 8.
func (m *Modem) extended(c command) status {
	if st, ok := m.class2(c); ok {
		return st
	}
	if st, ok := m.telephone(c); ok {
		return st
	}
	switch c.name {
	case "+FMI", "+FMM", "+FMR", "+GMI", "+GMM", "+GMR":
		if c.op == '=' || m.opts.OldIdentity {
			return failed
		}
		m.info(map[byte]string{'I': m.opts.maker(), 'M': m.opts.model(), 'R': m.opts.revision()}[c.name[3]])
		return done
	case "+GCAP":
		m.info("+GCAP: +FCLASS")
		return done
	case "+FCLASS":
		return m.faxClass(c)
	case "+FTS", "+FRS", "+FTM", "+FRM", "+FTH", "+FRH":
		return m.faxAction(c)
	case "+FAR":
		if m.opts.RefuseFAR {
			return failed
		}
		return m.parameter(c, 0, 1, func() int { return b2i(m.set.far) }, func(n int) { m.set.far = n == 1 })
	case "+F34", "+A8E":
		return m.v34Parameter(c)
	case "+FCL":
		return m.parameter(c, 0, 255, func() int { return m.set.fcl }, func(n int) { m.set.fcl = n })
	case "+IFC":
		if m.opts.RTSCommand != "" {
			return failed
		}
		m.flowControl(c)
		return m.remember(c, ports[c.name])
	case "+VCID", "#CID":
		if own := m.opts.CallerIDCommand; own != "" && own != c.name {
			return failed
		}
		return m.parameter(c, 0, 1, func() int { return b2i(m.set.callerID) }, func(n int) { m.set.callerID = n == 1 })
	case "+FDD":
		return m.parameter(c, 0, 1, func() int { return b2i(m.set.fdd) }, func(n int) { m.set.fdd = n == 1 })
	case "+FLO":
		return m.parameter(c, 0, 2, func() int { return m.set.flo }, func(n int) { m.set.flo = n })
	case "+FIT", "+FPR", "+ICF", "+IPR", "+ILRR", "+DS", "+ES", "+MS", "+FPP":
		return m.remember(c, ports[c.name])
	}
	return failed
}

// ports are the settings of the serial port and the like that change nothing here, with the range that =? tells.
var ports = map[string]string{
	"+FIT": "(0-255),(0,1)", "+FPR": "(0-255)", "+IFC": "(0-2),(0-2)", "+ICF": "(3),(0)", "+IPR": "(0-115200)",
	"+ILRR": "(0,1)", "+DS": "(0)", "+ES": "(0-4)", "+MS": "(V34)", "+FPP": "(0,1)",
}

// parameter reads, tests or sets a number from lo to hi.
func (m *Modem) parameter(c command, lo, hi int, get func() int, set func(int)) status {
	switch c.op {
	case '?':
		m.info(strconv.Itoa(get()))
	case 't':
		m.info(fmt.Sprintf("(%d-%d)", lo, hi))
	case '=':
		n := c.num(0)
		if n < lo || n > hi {
			return failed
		}
		set(n)
	default:
		return failed
	}
	return done
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// classes are the service classes this modem has.
func (m *Modem) classes() []string {
	if m.opts.Classes != nil {
		return m.opts.Classes
	}
	if m.opts.RefuseClass10 {
		return []string{"0", "1"}
	}
	return []string{"0", "1", "1.0"}
}

// faxClass is +FCLASS (T.31 8.2).
func (m *Modem) faxClass(c command) status {
	switch c.op {
	case '?':
		m.info(m.set.class)
		return done
	case 't':
		m.info(strings.Join(m.classesTold(), ","))
		return done
	case '=':
		for _, k := range m.classes() {
			if c.arg == k {
				m.enterClass(k)
				return done
			}
		}
	}
	return failed
}

// faxAction is +FTS, +FRS, +FTM, +FRM, +FTH and +FRH (T.31 8.3).
func (m *Modem) faxAction(c command) status {
	kind := c.name[2:]
	codes := m.codes(kind)
	switch c.op {
	case 't':
		m.info(codes)
		return done
	case '=':
	default:
		return failed
	}
	n := c.num(-1)
	if n < 0 || !m.set.class1() || !m.offHook {
		return failed
	}
	if kind == "TS" || kind == "RS" {
		if n > 255 {
			return failed
		}
		if kind == "RS" && m.opts.ResetOnFRS {
			m.reset()
			return pending
		}
		m.pause(kind, time.Duration(n)*10*time.Millisecond)
		return pending
	}
	mod, ok := modulationOf(n)
	if !ok || !listed(codes, n) {
		return failed
	}
	switch kind {
	case "TM":
		m.transmitPage(mod)
	case "RM":
		m.start(&receivePage{m: m, mod: mod})
	case "TH":
		m.transmitFrames()
	case "RH":
		m.listen()
	}
	return pending
}

// codes is the answer to =?.
func (m *Modem) codes(kind string) string {
	switch kind {
	case "TS", "RS":
		return "0-255"
	case "TH", "RH":
		return strconv.Itoa(v21Code)
	}
	var s []string
	for _, c := range pageCodes(m.opts.MaxRate, !m.opts.NoV17) {
		s = append(s, strconv.Itoa(c))
	}
	return strings.Join(s, ",")
}

func listed(codes string, n int) bool {
	for _, s := range strings.Split(codes, ",") {
		if s == strconv.Itoa(n) {
			return true
		}
	}
	return false
}
