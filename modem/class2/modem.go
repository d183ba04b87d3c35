// Package class2 drives fax modems of Service Class 2 (SP-2388-A, as Rockwell made it), 2.0 (EIA/TIA-592) and 2.1 (T.32): a
// [t30.Terminal]. The modem runs T.30 and, where it can, error correction; the host says what to offer, hands over and takes page
// data, and decides about received pages.
//
// The three classes differ in words, numbers and a few habits, which stand in one table (dialects); how single modems depart from
// their class is in [Quirks].
//
// A received page is durable before the command goes out that lets the modem answer it. With error correction the modem confirms
// blocks by itself, before the host has them: there only the page's own answer waits for the disk.
package class2

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/t30"
)

// ErrNotClass2 is returned by New when the modem refuses the class.
var ErrNotClass2 = errors.New("class2: the modem refuses the class")

// Config is how to use one modem. Class is required.
type Config struct {
	Line   phone.Config
	Class  string // "2", "2.0" or "2.1"
	Quirks Quirks
}

// Modem is a modem of one of the classes, a [t30.Terminal].
type Modem struct {
	ch    *at.Channel
	cfg   Config
	d     *dialect
	phone *phone.Line
	can   offered
	caps  t30.Capabilities

	subaddress, selective, password bool // +FAP=?
}

// New resets the modem, puts it into the class and asks what it can do. ErrNotClass2, at.ErrNoReply, at.ErrPortLost.
func New(ctx context.Context, ch *at.Channel, cfg Config) (*Modem, error) {
	d := dialects[cfg.Class]
	if d == nil {
		return nil, fmt.Errorf("%w: there is no class %q", ErrNotClass2, cfg.Class)
	}
	m := &Modem{ch: ch, cfg: cfg, d: d}
	m.phone = phone.New(ch, cfg.Line, phone.Class{Enter: m.enter, Prepare: m.prepare, Judge: m.judge})
	if err := m.phone.Setup(ctx); err != nil {
		if errors.Is(err, phone.ErrClass) {
			err = errors.Join(ErrNotClass2, err)
		}
		return nil, fmt.Errorf("class2: setup: %w", err)
	}
	if err := m.ask(ctx); err != nil {
		return nil, fmt.Errorf("class2: setup: %w", err)
	}
	return m, nil
}

// hex tells whether the modem's numbers are hexadecimal.
func (m *Modem) hex() bool { return m.d.hex || m.cfg.Quirks.Hex }

// ask finds out what the modem can do.
func (m *Modem) ask(ctx context.Context) error {
	r, err := m.ch.Command(ctx, "AT"+m.d.capabilities+"=?", phone.CommandWait)
	if err != nil {
		return err
	}
	ok := false
	if r.Code == at.OK {
		m.can, ok = parseOffered(r.Info, m.hex())
	}
	if !ok {
		m.can = least()
	}
	if m.d.addressing {
		if r, err = m.ch.Command(ctx, "AT+FAP=?", phone.CommandWait); err != nil {
			return err
		}
		if a, _ := parseOffered(r.Info, true); r.Code == at.OK {
			m.subaddress, m.selective, m.password = a[0].has(1), a[1].has(1), a[2].has(1)
		}
	}
	m.caps = m.capabilities()
	return nil
}

// capabilities is what the modem can do, its quirks taken out.
func (m *Modem) capabilities() t30.Capabilities {
	var p params
	p[pVR] = m.can[pVR].all()
	if !m.d.vrMask {
		p[pVR] = m.can[pVR].highest(1)
	}
	p[pBR] = m.can[pBR].highest(13)
	p[pWD], p[pLN] = m.can[pWD].highest(2), m.can[pLN].highest(2)
	p[pEC] = m.can[pEC].highest(2)
	if m.cfg.Quirks.NoECM {
		p[pEC] = 0
	}
	c := m.d.decode(p)
	c.ECM64 = false
	c.Codings = t30.Codings(t30.MH)
	for coding, n := range dfCodings {
		ecmOnly := coding == t30.MMR || coding == t30.JBIG
		if m.can[pDF].has(n) && (!ecmOnly || c.ECM) && !(coding == t30.MMR && m.cfg.Quirks.NoMMR) {
			c.Codings |= t30.Codings(coding)
		}
	}
	c.Subaddress, c.SelectivePoll, c.Password = m.subaddress, m.selective, m.password
	return c
}

// Capabilities implements [t30.Terminal].
func (m *Modem) Capabilities() t30.Capabilities { return m.caps }

// plan is what the modem has to be told for one call.
type plan struct {
	s      t30.Session
	own    t30.Capabilities
	caller bool
}

type planKey struct{}

func (m *Modem) plan(ctx context.Context, s t30.Session, caller bool) (context.Context, plan) {
	p := plan{s: s, own: m.caps.LimitedTo(s), caller: caller}
	if m.caps.Length < p.own.Length {
		p.own.Length = m.caps.Length
	}
	return context.WithValue(ctx, planKey{}, p), p
}

// enter brings the modem into its class, and sets what the call needs if there is one: entering the class may have reset it.
func (m *Modem) enter(ctx context.Context) error {
	if err := m.phone.EnterClass(ctx, m.d.class); err != nil {
		return err
	}
	cmds := append([]string{m.d.bitOrder + "=0", m.d.quality, m.d.timeout}, m.d.setup...)
	if p, ok := ctx.Value(planKey{}).(plan); ok {
		cmds = append(cmds, m.planned(p)...)
	}
	return m.phone.Try(ctx, cmds...)
}

// planned are the commands of one call.
func (m *Modem) planned(p plan) []string {
	d, s := m.d, p.s
	bit := func(on bool) string {
		if on {
			return "=1"
		}
		return "=0"
	}
	poll := p.caller && s.Poll != nil
	cmds := []string{
		d.capabilities + "=" + m.offer(p.own).format(m.hex()),
		d.localID + `="` + ident(s.Me.ID) + `"`,
		d.receive + bit(s.Sink != nil),
		d.offer + bit(!p.caller && s.Send != nil),
		d.poll + bit(poll),
	}
	if poll {
		cmds = append(cmds, d.pollID+`="`+ident(s.Me.ID)+`"`)
	}
	if !d.addressing || !m.subaddress && !m.selective && !m.password {
		return cmds
	}
	var sub, sep, pwd string
	switch {
	case poll:
		sep, pwd = s.Poll.Selective, s.Poll.Password
		sub = s.Me.Subaddress
	case p.caller:
		sub, pwd = s.Me.Subaddress, s.Me.Password
	}
	cmds = append(cmds, "+FAP="+flag(m.subaddress)+","+flag(m.selective)+","+flag(m.password))
	for _, a := range []struct {
		can        bool
		cmd, value string
	}{{m.subaddress, "+FSA", sub}, {m.selective, "+FPA", sep}, {m.password, "+FPW", pwd}} {
		if a.can {
			cmds = append(cmds, a.cmd+`="`+ident(a.value)+`"`)
		}
	}
	return cmds
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// offer is what DIS is to say, at most.
func (m *Modem) offer(own t30.Capabilities) (p params) {
	p[pVR] = m.d.vr(own.Resolutions)
	p[pBR] = m.can[pBR].highest(br(own.MaxRate, own.Schemes))
	p[pWD], p[pLN] = wd(own.Widths), int(own.Length)
	p[pDF] = df(own.Codings)
	p[pEC] = m.d.ec(own.ECM, m.can[pEC])
	for p[pST] < len(scanTimes)-1 && (scanTimes[p[pST]][0] < own.MinScanLine || scanTimes[p[pST]][1] < own.MinScanLineFine) {
		p[pST]++
	}
	return p
}

// identLen is the length of T.30's identifications (5.3.6.2.4).
const identLen = 20

// ident keeps what T.30 Table 3 allows, the last 20 of it.
func ident(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || strings.ContainsRune("+ *#", r) {
			return r
		}
		return -1
	}, s)
	return s[max(0, len(s)-identLen):]
}

// prepare sets how ATA answers. Field: +FAA is taken only inside the class.
func (m *Modem) prepare(ctx context.Context, mode t30.AnswerMode) error {
	how := 0
	if mode == t30.AnswerAdaptive {
		how = 1
	}
	_, err := m.phone.FirstOf(ctx, m.d.adaptive[how]...)
	return err
}

// judge looks at a line after ATD and ATA.
func (m *Modem) judge(l at.Line) (connected bool, err error) {
	if l.Code == at.Connect {
		return false, fmt.Errorf("class2: %w (%s)", t30.ErrData, l.Text)
	}
	switch key, value := keyword(l.Text); key {
	case "+FCON", "+FCO":
		return true, nil
	case "+FVOICE", "+FVO":
		return false, fmt.Errorf("class2: %w (%s)", t30.ErrVoice, l.Text)
	case "+FDM":
		return false, fmt.Errorf("class2: %w (%s)", t30.ErrData, l.Text)
	case "+FHNG", "+FHS":
		h := m.d.parseHangup(value)
		code := h.code
		switch {
		case code == t30.CodeOK, h.class2 == 11: // nothing tells whether anybody answered
			code = t30.CodeNoCarrier
		case h.class2 == 2:
			code = t30.CodeCallAborted
		}
		return false, &t30.CallError{Code: code, Text: fmt.Sprintf("%s (%s)", h.text, l.Text)}
	}
	return false, nil
}

// Call implements [t30.Terminal].
func (m *Modem) Call(ctx context.Context, number string, s t30.Session) (t30.Report, error) {
	start := time.Now()
	pctx, p := m.plan(ctx, s, true)
	if err := m.phone.Dial(pctx, number); err != nil {
		return t30.NotConnected(ctx, start, t30.KindDial, err)
	}
	c := newCall(ctx, m, p, start)
	return c.run(c.dialed)
}

// WaitCall implements [t30.Terminal].
func (m *Modem) WaitCall(ctx context.Context) (t30.Incoming, error) {
	r, err := m.phone.WaitRing(ctx)
	if err != nil {
		return nil, err
	}
	return &incoming{r, m}, nil
}

type incoming struct {
	*phone.Ringing
	m *Modem
}

// Answer implements [t30.Incoming].
func (i *incoming) Answer(ctx context.Context, mode t30.AnswerMode, s t30.Session) (t30.Report, error) {
	start := time.Now()
	pctx, p := i.m.plan(ctx, s, false)
	if err := i.Ringing.Answer(pctx, mode); err != nil {
		return t30.NotConnected(ctx, start, t30.KindAnswer, err)
	}
	c := newCall(ctx, i.m, p, start)
	return c.run(c.answered)
}
