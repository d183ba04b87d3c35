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
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/t30"
)

// ErrNotClass2 is returned by New when the modem refuses the class or names nothing that it can do in it.
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
	if r.Code == at.OK {
		var ok bool
		if m.can, ok = parseOffered(r.Info, m.hex()); !ok { // something that says OK to everything
			return fmt.Errorf("%w: %s=? names no rate", ErrNotClass2, m.d.capabilities)
		}
	} else {
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

// Warnings are sentences for people about settings that the modem does not take.
func (m *Modem) Warnings() []string { return m.phone.Warnings() }

// enter brings the modem into its class.
func (m *Modem) enter(ctx context.Context) error {
	if err := m.phone.EnterClass(ctx, m.d.class); err != nil {
		return err
	}
	quality := m.d.quality[0]
	if m.cfg.Quirks.TrustQuality {
		quality = m.d.quality[1]
	}
	return m.phone.Try(ctx, append([]string{m.d.bitOrder + "=0", quality, m.d.timeout}, m.d.setup...)...)
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
	p := m.plan(s, true)
	if err := m.phone.DialPrepared(ctx, number, p.tell); err != nil {
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
	p := i.m.plan(s, false)
	if err := i.AnswerPrepared(ctx, mode, p.tell); err != nil {
		return t30.NotConnected(ctx, start, t30.KindAnswer, err)
	}
	c := newCall(ctx, i.m, p, start)
	c.far.Dialed = i.Dialed()
	return c.run(c.answered)
}
