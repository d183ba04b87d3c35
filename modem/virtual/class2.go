package virtual

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tipring/tipring/t30"
)

// class2Settings are what the commands of Class 2, 2.0 and 2.1 set.
type class2Settings struct {
	family  *dialect // of the class chosen last
	cc, is  params
	dcs     params // of the call: +FDCS?, +FCS?
	lid     string
	pid     string // when polling
	sub     string
	sep     string
	pwd     string
	receive bool // +FCR
	poll    bool // +FSPL: the DTE wants to poll
	offer   bool // +FLPL: it has a document for pollers
	bug     bool
	bor     int
	cto     int // +FPHCTO, 0.1 s
	pts     int // for the received page
	ppr     int // of the sent page
	adapt   bool
	nr      [4]bool // +FNR: capabilities, session, identities, NSF
	ap      [3]bool // +FAP: subaddress, selective polling, password
	other   map[string]string
}

// enter sets the parameters of a class that is entered.
func (t *class2Settings) enter(m *Modem, d *dialect) {
	t.family = d
	t.cc = m.most(d)
	t.cc[paramST] = 0
	t.cc[paramEC] = 0
	if t.cc[paramDF] == 3 {
		t.cc[paramDF] = 1
	}
	t.is = t.cc
	t.cto, t.pts = 30, 1
	if !d.inband {
		t.nr = [4]bool{true, true, true, true}
	}
}

// enterClass is +FCLASS=k.
func (m *Modem) enterClass(k string) {
	m.set.class = k
	m.set.xonXoff = m.set.xonXoff || m.opts.ForcesXonXoff && m.set.class1()
	if d := dialectOf(k); d != nil {
		m.set.t2.enter(m, d)
	}
}

// adapted is the dialect for an adaptive answer outside of its class; nil: none.
func (m *Modem) adapted() *dialect {
	d := m.family()
	if d != nil && m.set.t2.family == nil {
		m.set.t2.enter(m, d)
	}
	return d
}

// within is p, no parameter beyond c: the sets of +FDIS stay inside those of +FDCC.
func (c params) within(p params) params {
	for i := range p {
		if i != paramVR {
			p[i] = min(p[i], c[i])
		} else {
			p[i] &= c[i]
		}
	}
	return p
}

// minor are the parameters that change nothing which a DTE could see here, with the range that =? tells.
var minor = map[string]string{
	"+FREL": "(0,1)", "+FBUG": "(0,1)", "+FTBC": "(0)", "+FLNFC": "(0)", "+FVRFC": "(0)", "+FWDFC": "(0)", "+FCTCRTY": "(0-255)", "+FMINSP": "(0-5)",
	"+FBADLIN": "(0-255)", "+FBADMUL": "(0-255)", "+FRBC": "(0)", "+FECM": "(0,1)", "+FNSS": "(0)", "+FAXERR": "(0-255)", "+FDFFC": "(0)",
	"+FPP": "(0,1)", "+FBU": "(0,1)", "+FIE": "(0)", "+FLO": "(0-2)", "+FPR": "(0-255)", "+FMS": "(0-5)", "+FRQ": "(0-255),(0-255)", "+FRY": "(0-255)",
	"+FEA": "(0,1)", "+FFC": "(0),(0),(0),(0)", "+FIT": "(0-255),(0,1)", "+FND": "(0)", "+FNS": "(0)", "+FBS": "", "+FDD": "(0,1)", "+FFD": "(0)",
}

// class2 carries out the commands of Class 2, 2.0 and 2.1; ok is false for one that is none of them.
func (m *Modem) class2(c command) (st status, ok bool) {
	d := dialectOf(m.set.class)
	t := &m.set.t2
	if d == nil {
		if d = m.outside(c); d == nil {
			return 0, false
		}
	}
	switch c.name {
	case d.cc:
		return m.parameters(c, d, &t.cc), true
	case d.is:
		return m.parameters(c, d, &t.is), true
	case "+FDCS", "+FCS":
		if c.op == '?' {
			m.info(d.numbers(t.dcs, m.hex(d)))
			return done, true
		}
		return failed, true
	case d.lid:
		return m.text(c, &t.lid), true
	case d.pid:
		return m.text(c, &t.pid), true
	case d.kill:
		return m.kill(), true
	case "+FDT", "+FDR", "+FET":
		return m.page(c, d), true
	case d.maker, d.model, d.revision:
		if c.op != '?' {
			return failed, true
		}
		m.info(map[string]string{d.maker: m.opts.maker(), d.model: m.opts.model(), d.revision: m.opts.revision()}[c.name])
		return done, true
	case "+FBUF", "+FBS":
		if c.op != '?' {
			return failed, true
		}
		m.info(fmt.Sprintf("%d,%d,%d,%d", m.opts.Buffer, m.opts.Buffer*3/4, m.opts.Buffer/4, 0))
		return done, true
	}
	return m.class2Number(c, d)
}

// class2Number carries out the commands with a number, and those that change nothing.
func (m *Modem) class2Number(c command, d *dialect) (st status, ok bool) {
	t := &m.set.t2
	flag := func(v *bool) status {
		return m.parameter(c, 0, 1, func() int { return b2i(*v) }, func(n int) { *v = n == 1 })
	}
	number := func(v *int, lo, hi int) status {
		return m.parameter(c, lo, hi, func() int { return *v }, func(n int) { *v = n })
	}
	switch c.name {
	case "+FCR":
		return flag(&t.receive), true
	case d.spl:
		return flag(&t.poll), true
	case d.lpl:
		return flag(&t.offer), true
	case "+FAA":
		return flag(&t.adapt), true
	case "+FBUG":
		return flag(&t.bug), true
	case d.bor:
		return number(&t.bor, 0, 3), true
	case d.cto:
		return number(&t.cto, 0, 255), true
	case d.pts:
		if c.op == '?' {
			if m.opts.NoPPR {
				return failed, true
			}
			m.info(strconv.Itoa(t.ppr))
			return done, true
		}
		return number(&t.pts, 1, 5), true
	case d.cq:
		return m.copyQuality(c, d), true
	case "+FNR":
		return m.flags(c, t.nr[:], d.inband), true
	case "+FAP":
		return m.flags(c, t.ap[:], d.subaddress), true
	case "+FSA", "+FPA", "+FPW":
		if !d.subaddress {
			return failed, true
		}
		return m.text(c, map[string]*string{"+FSA": &t.sub, "+FPA": &t.sep, "+FPW": &t.pwd}[c.name]), true
	}
	r, ok := minor[c.name]
	if !ok {
		return 0, false
	}
	return m.remember(c, r), true
}

// outside is the dialect for a command that is given in class 0; nil: none. Field: mgetty sets a Class 2 modem up there and answers with +FAA=1.
func (m *Modem) outside(c command) *dialect {
	if m.set.class != "0" || m.opts.AdaptInClass {
		return nil
	}
	return m.adapted()
}

// family is the dialect for a call that is answered adaptively; nil: none.
func (m *Modem) family() *dialect {
	if m.set.t2.family != nil {
		return m.set.t2.family
	}
	for _, k := range m.classes() {
		if d := dialectOf(k); d != nil {
			return d
		}
	}
	return nil
}

// parameters reads, tests or sets session parameters. +FDCC sets those of the session too.
func (m *Modem) parameters(c command, d *dialect, p *params) status {
	switch c.op {
	case '?':
		m.info(d.numbers(*p, m.hex(d)))
		return done
	case 't':
		m.info(m.ranges(d))
		return done
	case '=':
		if !m.parse(p, c.arg, d) {
			return failed
		}
		if c.name == d.cc {
			m.set.t2.is = *p
		}
		return done
	}
	return failed
}

// maxText is the longest text parameter.
const maxText = 20

// text reads, tests or sets a text in quotation marks.
func (m *Modem) text(c command, v *string) status {
	switch c.op {
	case '?':
		m.info("\"" + *v + "\"")
	case 't':
		m.info("(20),(32-126)")
	case '=':
		s := strings.Trim(c.arg, "\"")
		if len(s) > maxText {
			return failed
		}
		*v = s
	default:
		return failed
	}
	return done
}

// flags reads, tests or sets a list of 0 and 1.
func (m *Modem) flags(c command, v []bool, has bool) status {
	if !has {
		return failed
	}
	switch c.op {
	case '?', 't':
		var s []string
		for _, b := range v {
			if c.op == 't' {
				s = append(s, "(0,1)")
			} else {
				s = append(s, strconv.Itoa(b2i(b)))
			}
		}
		m.info(strings.Join(s, ","))
	case '=':
		list := strings.Split(c.arg, ",")
		if len(list) > len(v) {
			return failed
		}
		for i, s := range list {
			switch strings.TrimSpace(s) {
			case "0":
				v[i] = false
			case "1":
				v[i] = true
			case "":
			default:
				return failed
			}
		}
	default:
		return failed
	}
	return done
}

// copyQuality is +FCQ: 1 has received pages judged.
func (m *Modem) copyQuality(c command, d *dialect) status {
	r := "(0)"
	if m.opts.ChecksCopy {
		r = "(0,1)"
	}
	if d.inband {
		r += ",(0)"
	}
	return m.remember(c, r)
}

// remembered is the number that was set, or another.
func (t *class2Settings) remembered(name string, otherwise int) int {
	v, _, _ := strings.Cut(t.other[name], ",")
	if n, err := strconv.Atoi(v); err == nil {
		return n
	}
	return otherwise
}

// maxRemembered bounds a value that is only kept.
const maxRemembered = 64

// remember keeps a value that changes nothing.
func (m *Modem) remember(c command, ranges string) status {
	t := &m.set.t2
	switch c.op {
	case '?':
		v, ok := t.other[c.name]
		if !ok {
			v = "0"
		}
		m.info(v)
	case 't':
		m.info(ranges)
	case '=':
		if len(c.arg) > maxRemembered || strings.Trim(c.arg, "0123456789ABCDEFVabcdefv,\" ") != "" {
			return failed
		}
		if t.other == nil {
			t.other = map[string]string{}
		}
		t.other[c.name] = c.arg
	default:
		return failed
	}
	return done
}

// page is +FDT, +FDR and +FET.
func (m *Modem) page(c command, d *dialect) status {
	if h := m.hung; h != nil { // the call is over: now the DTE hears of it
		m.hung = nil
		m.info(h.d.hangUp(h.c))
		return done
	}
	f := m.fax
	if f == nil || c.op == '?' || c.op == 't' {
		return failed
	}
	switch {
	case c.name == "+FDT" && f.out != nil && f.out.acked && f.follow == 0:
		f.out.resume()
		return pending
	case c.name == "+FDR" && !f.fdr && f.sending && f.caller && f.follow == t30.FcfEOM && m.set.t2.poll:
		return f.order(func() { f.fdr, f.turn = true, true })
	case c.name == "+FDT" && !f.fdt && (f.sending || f.caller && f.told):
		if c.op == '=' && !m.override(c.arg, d) {
			return failed
		}
		return f.order(func() { f.fdt = true })
	case c.name == "+FDR" && !f.fdr && !f.sending && (!f.caller || f.in != nil || m.set.t2.poll):
		return f.order(func() { f.fdr = true })
	case c.name == "+FET" && !d.inband && f.out != nil && f.out.acked && f.follow == 0:
		n := c.num(-1)
		if n < 0 || n >= len(follows) {
			return failed
		}
		return f.order(func() { f.follow = follows[n] })
	}
	return failed
}

// override is +FDT=DF,VR,WD,LN: it overrides the session parameters.
func (m *Modem) override(arg string, d *dialect) bool {
	v := strings.Split(arg, ",")
	order := [...]int{paramDF, paramVR, paramWD, paramLN}
	if len(v) > len(order) {
		return false
	}
	var list [len(params{})]string
	for i, s := range v {
		list[order[i]] = s
	}
	return m.parse(&m.set.t2.is, strings.Join(list[:], ","), d)
}

// kill is +FK.
func (m *Modem) kill() status {
	m.hung = nil
	f := m.fax
	if f == nil {
		return done
	}
	return f.order(func() { f.aborted = true })
}
