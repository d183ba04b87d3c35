package virtual

import (
	"slices"
	"strings"
	"time"
)

// LineHabits is what a modem tells of ringing calls and of its telephone line, and how. The zero value tells little.
type LineHabits struct {
	// Report makes the lines of a caller ID report; nil: DATE, TIME and NMBR of V.253, with DialedDigits NDID too.
	Report func(caller, dialed string) []string
	// CallerIDCommand is the one command that turns the report on, "#CID"; "": +VCID too.
	CallerIDCommand string
	// ReportFirst gives it before the first RING, as exchanges do that announce it by a line reversal.
	ReportFirst bool
	// Patterns are the distinctive rings of its numbers: "RING A" stands in place of RING, other lines ("DRON=8") come before it.
	Patterns map[string][]string
	// PatternCommand turns these on, "-SDR"; "": they always are.
	PatternCommand string
	// PBXFilter: the ringing of a private exchange is too short for it, unless register S91 is 8. Field: debounce registers.
	PBXFilter bool
	// LineStatus is what it says instead of going off hook while a telephone on its line is in use, after AT-STE=1 or AT%V2
	// ("LINE IN USE", "LINE-IN-USE"); without a line it says NO LINE then. "": it has no such circuit.
	LineStatus string
	// Countries are the values of +GCI, in hexadecimal, the first after power-on; nil: it has no +GCI.
	Countries []string
	// DTMF is how many of the last digits of the dialed number the trunk sends after the answer; the modem then has a voice mode
	// (+FCLASS=8, +VLS=1, V.253) that reports them.
	DTMF int
	// Blacklist, if not 0, is how many failed calls in a row to a number the modem dials: the next one is BLACKLISTED, as some countries' rules have it.
	Blacklist int
	// RedialPause is the time after a failed call to a number in which another one is DELAYED.
	RedialPause time.Duration
	// TellsRinging: it says RINGING for each ringback tone that it hears after dialing.
	TellsRinging bool
	// HearsVoice: it knows the voice of somebody who answers, and says so: VOICE, +FVOICE in Class 2, +FVO in 2.0 and 2.1.
	HearsVoice bool
	// Adaptive answers data callers as such after +FAE=1 (T.31 8.5.2).
	Adaptive bool
}

// LiftTelephone takes the handset of a telephone on the modem's own line off its hook, or puts it back: no dial tone, no calls.
func (m *Modem) LiftTelephone(lifted bool) {
	m.ex.mu.Lock()
	defer m.ex.mu.Unlock()
	m.lifted = lifted
}

// telephone carries out the commands about country, line and adaptive answering; ok is false if c is none.
func (m *Modem) telephone(c command) (st status, ok bool) {
	switch {
	case c.name == "+GCI" && len(m.opts.Countries) > 0:
		return m.country(c), true
	case c.name == "-STE" && m.opts.LineStatus != "":
		return m.parameter(c, 0, 7, func() int { return b2i(m.set.lineStatus) }, func(n int) { m.set.lineStatus = n&1 == 1 }), true
	case c.name == "%V" && m.opts.LineStatus != "":
		m.set.lineStatus = c.num(0) > 0
		return done, true
	case c.name == m.opts.PatternCommand:
		m.set.patterns = c.num(0) > 0
		return done, true
	case c.name == "+FAE" && m.opts.Adaptive:
		return m.parameter(c, 0, 1, func() int { return b2i(m.set.adaptive) }, func(n int) { m.set.adaptive = n == 1 }), true
	case c.name == "+FCLASS" && c.op == '=' && c.arg == "8" && m.opts.DTMF > 0:
		m.set.class = "8"
		return done, true
	case c.name == "+VLS" && m.opts.DTMF > 0:
		return m.voiceLine(c.num(0)), true
	}
	return failed, c.name[0] == '-'
}

// voiceLine is +VLS: 1 goes off hook in voice mode, and the trunk sends its digits.
func (m *Modem) voiceLine(n int) status {
	c := m.incoming
	switch {
	case m.set.class != "8" || n > 1:
		return failed
	case n == 0:
		m.hangup()
	case c != nil:
		m.offHook, m.voice = true, true
		c.answered()
		digits := c.number[max(len(c.number)-m.opts.DTMF, 0):]
		for i, d := range digits {
			m.ex.after(time.Second+time.Duration(i)*toneDigit, func() {
				if m.set.class == "8" && m.call == c {
					m.emit([]byte{dle, '/', dle, byte(d), dle, '~'})
				}
			})
		}
	}
	return done
}

func (m *Modem) country(c command) status {
	now := m.set.country
	if now == "" {
		now = m.opts.Countries[0]
	}
	switch c.op {
	case '?':
		m.info("+GCI: " + now)
	case 't':
		m.info("+GCI: (" + strings.Join(m.opts.Countries, ",") + ")")
	case '=':
		if !slices.Contains(m.opts.Countries, strings.ToUpper(c.arg)) {
			return failed
		}
		m.set.country = strings.ToUpper(c.arg)
	default:
		return failed
	}
	return done
}

// lineStatus looks at the line before going off hook; false: it must not, and has said so.
func (m *Modem) lineStatus() bool {
	if !m.set.lineStatus {
		return true
	}
	switch {
	case m.lineCut:
		m.final("NO LINE")
	case m.lifted:
		m.final(m.opts.LineStatus)
	default:
		return true
	}
	return false
}

// final gives a result code that is not in the table of V.250.
func (m *Modem) final(text string) {
	m.rest = nil
	m.info(text)
}

// dialTone tells whether there is one, and what an attempt without it comes to.
func (d *dialing) dialTone(took time.Duration) bool {
	m := d.m
	if !m.lifted && m.incoming == nil {
		return true
	}
	if m.incoming != nil { // glare: off hook into the call that comes in
		m.incoming.answered()
		if m.set.x != 2 && m.set.x != 4 { // the digits go into it
			d.timer = m.ex.after(took, d.dialed)
			return false
		}
	} else if m.set.x != 2 && m.set.x != 4 {
		m.stats.Grabs++
	}
	if m.set.x == 2 || m.set.x == 4 {
		d.timer = m.ex.after(time.Duration(max(2, m.set.s[6]))*time.Second, func() { d.fail(resNoDialTone) })
		return false
	}
	d.timer = m.ex.after(took+time.Duration(m.set.s[7])*time.Second, func() { d.fail(resNoCarrier) })
	return false
}

// announceRing says RING in the way of the number that is rung.
func (m *Modem) announceRing() {
	c := m.incoming
	if c != nil && m.opts.ReportFirst && c.rings == 1 {
		m.tellCaller(c.caller.at().number, c.number)
	}
	if c != nil && !m.set.quiet && m.set.verbose && (m.set.patterns || m.opts.PatternCommand == "") {
		if lines := m.opts.Patterns[c.number]; len(lines) > 0 {
			for _, l := range lines {
				m.info(l)
			}
			if strings.HasPrefix(lines[len(lines)-1], "RING") {
				return
			}
		}
	}
	m.result(resRing)
}

// report are the lines of a caller ID report.
func (m *Modem) report(caller, dialed string) []string {
	if m.opts.Report != nil {
		return m.opts.Report(caller, dialed)
	}
	now := time.Now()
	lines := []string{"DATE = " + now.Format("0102"), "TIME = " + now.Format("1504"), "NMBR = " + caller}
	if m.opts.DialedDigits {
		lines = append(lines, "NDID = "+dialed)
	}
	return lines
}

// answeredData ends an adaptive answer to a caller that is no fax: after CED a data modem is heard.
func (a *answering) answeredData() bool {
	m := a.m
	two := m.set.t2.adapt && !m.set.class1()
	if !m.set.adaptive && !two || m.call == nil {
		return false
	}
	if caller, ok := m.call.caller.(*Modem); !ok || caller.set.fax() {
		return false
	}
	a.stop()
	m.act = nil
	if two { // SP-2388, T.32 8.2.2: to data mode
		m.info("+FDM")
	} else {
		m.info("DATA")
	}
	m.final("CONNECT 9600")
	return true
}

// tries is what a modem remembers of the failed calls to a number.
type tries struct {
	failed int
	last   time.Duration // line time
}

// maxTries bounds the numbers that a modem remembers.
const maxTries = 64

// mayDial tells whether the modem's own rules let it dial the number now; if not it has said so.
func (m *Modem) mayDial(number string) bool {
	t, ok := m.tries[number]
	switch {
	case !ok:
		return true
	case m.opts.Blacklist > 0 && t.failed >= m.opts.Blacklist:
		m.final("BLACKLISTED")
	case m.opts.RedialPause > 0 && m.ex.now()-t.last < m.opts.RedialPause:
		m.final("DELAYED")
	default:
		return true
	}
	return false
}

// dialedTo remembers what became of a call.
func (m *Modem) dialedTo(number string, answered bool) {
	if answered {
		delete(m.tries, number)
		return
	}
	if m.tries == nil || len(m.tries) >= maxTries {
		m.tries = map[string]tries{}
	}
	m.tries[number] = tries{m.tries[number].failed + 1, m.ex.now()}
}
