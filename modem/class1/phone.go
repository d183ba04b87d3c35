// Package class1 drives a fax modem of Service Class 1 (T.31, EIA/TIA-578): a [t30.Phone] and its calls as [t30.Line].
// The host runs T.30 and, in error correction mode, HDLC on the high-speed carrier; the modem does V.21 with its HDLC and
// the modulations. Dialing and ringing are [phone]'s.
package class1

import (
	"context"
	"errors"
	"fmt"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/t30"
)

var (
	// ErrOnHook is returned by a Line's methods after Hangup, and by those it interrupted.
	ErrOnHook = errors.New("class1: on hook")
	// ErrNotClass1 is returned by New when the modem refuses Class 1 or names no modulation.
	ErrNotClass1 = errors.New("class1: no Class 1 modem")
	// ErrNoV34 is returned by New with Config.V34 when the modem does not offer V.34 fax.
	ErrNoV34 = errors.New("class1: the modem offers no V.34 fax (+F34)")
)

// Config is how to use one modem. The zero value is fine.
type Config struct {
	Class  string // "1" (also ""), or "1.0": T.31 by the letter, with shielding of its own, which the modem may use
	Line   phone.Config
	Quirks Quirks
	V34    bool // calls may be of V.34 (T.30 Annex F); it takes Class 1.0 and a modem with +F34. Not yet tried on hardware
}

// Phone is a Class 1 modem, a [t30.Phone].
type Phone struct {
	phone *phone.Line
	ch    *at.Channel
	cfg   Config
	caps  t30.Capabilities
	far   bool // +FAR=1 is on

	v34 v34Rates // of the call that is being set up, as +F34: told; zero: it is none of V.34
}

// New resets the modem, puts it into Class 1 and asks what it can do. ErrNotClass1, at.ErrNoReply, at.ErrPortLost.
func New(ctx context.Context, ch *at.Channel, cfg Config) (*Phone, error) {
	p := &Phone{ch: ch, cfg: cfg}
	p.phone = phone.New(ch, cfg.Line, phone.Class{Enter: p.enter, Prepare: p.prepare, Judge: p.judge})
	if err := p.phone.Setup(ctx); err != nil {
		if errors.Is(err, phone.ErrClass) {
			err = fmt.Errorf("%w: %w", ErrNotClass1, err)
		}
		return nil, fmt.Errorf("class1: setup: %w", err)
	}
	tx, err := p.codes(ctx, "AT+FTM=?")
	if err != nil {
		return nil, err
	}
	rx, err := p.codes(ctx, "AT+FRM=?")
	if err != nil {
		return nil, err
	}
	p.caps = capabilities(tx, rx)
	if p.caps.Schemes == 0 {
		return nil, fmt.Errorf("%w: +FTM=? and +FRM=? name no modulation", ErrNotClass1)
	}
	if cfg.V34 {
		switch has, err := OffersV34(ctx, ch); {
		case err != nil:
			return nil, err
		case !has:
			return nil, ErrNoV34
		}
		p.caps.Schemes |= t30.Schemes(t30.V34)
	}
	return p, nil
}

func (p *Phone) codes(ctx context.Context, cmd string) (map[int]bool, error) {
	r, err := p.ch.Command(ctx, cmd, phone.CommandWait)
	if err != nil {
		return nil, fmt.Errorf("class1: %w", err)
	}
	return parseCodes(r.Info), nil
}

// Capabilities implements [t30.Phone].
func (p *Phone) Capabilities() t30.Capabilities { return p.caps }

// Warnings are sentences for people about settings that the modem does not take.
func (p *Phone) Warnings() []string { return p.phone.Warnings() }

// enter sends +FCLASS=1 or 1.0 and what goes with it.
func (p *Phone) enter(ctx context.Context) error {
	class := p.cfg.Class
	if class == "" {
		class = "1"
	}
	err := p.phone.EnterClass(ctx, class)
	if err == nil && class == "1.0" && !p.cfg.V34 {
		err = p.phone.Try(ctx, noV8)
	}
	if err == nil && !p.cfg.Quirks.NoFAR {
		p.far, err = p.phone.FirstOf(ctx, "+FAR=1")
	}
	return err
}

// prepare sets adaptive answering. It needs a modem with +FAE; without it the call is taken for a fax.
func (p *Phone) prepare(ctx context.Context, m t30.AnswerMode) error {
	if m == t30.AnswerAdaptive {
		return p.phone.Try(ctx, "+FAE=1")
	}
	return p.phone.Try(ctx, "+FAE=0")
}

// judge: after ATD and ATA the modem is in V.21 (T.31 8.2.3, 8.2.4), or after +F34: in V.34 (T.31 B.6.2).
func (p *Phone) judge(l at.Line) (connected bool, err error) {
	if r, ok := parseF34(l.Text); ok {
		p.v34 = r
	}
	return l.Code == at.Connect, nil
}

// Dial implements [t30.Phone]; number as [phone.Line.Dial] takes it.
func (p *Phone) Dial(ctx context.Context, number string) (t30.Line, error) {
	return p.dial(ctx, number, p.cfg.V34)
}

// DialPlain implements [t30.PlainPhone].
func (p *Phone) DialPlain(ctx context.Context, number string) (t30.Line, error) {
	return p.dial(ctx, number, false)
}

func (p *Phone) dial(ctx context.Context, number string, v34 bool) (t30.Line, error) {
	if err := p.phone.DialPrepared(ctx, number, func(ctx context.Context) error { return p.offerV34(ctx, v34) }); err != nil {
		return nil, fmt.Errorf("class1: %w", err)
	}
	if p.v34.primary > 0 {
		return newV34Line(p, p.v34), nil
	}
	return newLine(p, receivingFrame), nil
}

// WaitRing implements [t30.Phone].
func (p *Phone) WaitRing(ctx context.Context) (t30.Ringing, error) {
	r, err := p.phone.WaitRing(ctx)
	if err != nil {
		return nil, fmt.Errorf("class1: %w", err)
	}
	return ringing{r, p}, nil
}

// ringing is one call that rings, a [t30.Ringing].
type ringing struct {
	*phone.Ringing
	p *Phone
}

// Answer implements [t30.Ringing].
func (r ringing) Answer(ctx context.Context, m t30.AnswerMode) (t30.Line, error) {
	return r.answer(ctx, m, r.p.cfg.V34)
}

// AnswerPlain implements [t30.PlainRinging].
func (r ringing) AnswerPlain(ctx context.Context, m t30.AnswerMode) (t30.Line, error) {
	return r.answer(ctx, m, false)
}

func (r ringing) answer(ctx context.Context, m t30.AnswerMode, v34 bool) (t30.Line, error) {
	if err := r.AnswerPrepared(ctx, m, func(ctx context.Context) error { return r.p.offerV34(ctx, v34) }); err != nil {
		return nil, fmt.Errorf("class1: %w", err)
	}
	if r.p.v34.primary > 0 {
		l := newV34Line(r.p, r.p.v34)
		l.dialed = r.Dialed()
		return l, nil
	}
	l := newLine(r.p, sendingFrames)
	l.dialed = r.Dialed()
	return l, nil
}
