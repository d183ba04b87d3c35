package class2

import (
	"context"
	"fmt"
	"strings"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/t30"
)

// plan is what the modem is told before one call.
type plan struct {
	m      *Modem
	s      t30.Session
	own    t30.Capabilities // what is offered at most
	caller bool
	noPoll bool // the modem refuses to poll
}

func (m *Modem) plan(s t30.Session, caller bool) *plan {
	p := &plan{m: m, s: s, own: m.caps.LimitedTo(s), caller: caller}
	p.own.Length = min(p.own.Length, m.caps.Length)
	return p
}

// set sends a command, without AT; ok tells whether it was accepted.
func (p *plan) set(ctx context.Context, cmd string) (ok bool, err error) {
	r, err := p.m.ch.Command(ctx, "AT"+cmd, phone.CommandWait)
	return err == nil && r.Code == at.OK, err
}

// tell sets the modem up for the call. What it refuses changes what the call can do, and may end it before it began.
func (p *plan) tell(ctx context.Context) error {
	for _, f := range []func(context.Context) error{p.tellCapabilities, p.tellID, p.tellReceive, p.tellOffer, p.tellPoll, p.tellAddress} {
		if err := f(ctx); err != nil {
			return fmt.Errorf("class2: %w", err)
		}
	}
	return nil
}

// tellCapabilities says what DIS is to offer at most, or less where that is refused: without error correction and what goes with it,
// then just what every modem can do.
func (p *plan) tellCapabilities(ctx context.Context) error {
	d := p.m.d
	for _, own := range []t30.Capabilities{p.own, p.plain(), p.basic()} {
		cmd := d.capabilities + "=" + p.m.offer(own).format(p.m.hex())
		ok, err := p.set(ctx, cmd)
		if ok || err != nil {
			p.own = own
			return err
		}
		p.m.ch.Note("the modem refuses %s", cmd)
	}
	return fmt.Errorf("%s: %w", d.capabilities, at.ErrCommand)
}

// plain is what p offers, without error correction and finer resolutions.
func (p *plan) plain() t30.Capabilities {
	c := p.own
	c.ECM = false
	c.Codings &= t30.Codings(t30.MH | t30.MR)
	c.Resolutions &= t30.Resolutions(t30.Standard | t30.Fine)
	return c
}

func (p *plan) basic() t30.Capabilities {
	c := p.plain()
	c.Codings, c.Widths = t30.Codings(t30.MH), t30.Widths(t30.WidthA4)
	return c
}

// tellID sets CSI and TSI; a call can do without.
func (p *plan) tellID(ctx context.Context) error {
	_, err := p.set(ctx, p.m.d.localID+`="`+ident(p.s.Me.ID)+`"`)
	return err
}

// tellReceive says whether pages may come.
func (p *plan) tellReceive(ctx context.Context) error {
	cmd := p.m.d.receive + "=" + flag(p.s.Sink != nil)
	ok, err := p.set(ctx, cmd)
	if !ok && err == nil && p.s.Sink != nil && (!p.caller || p.s.Poll != nil) {
		return fmt.Errorf("%s: %w: the modem cannot receive", cmd, at.ErrCommand)
	}
	return err
}

// tellOffer says whether there is a document to be polled.
func (p *plan) tellOffer(ctx context.Context) error {
	offer := !p.caller && p.s.Send != nil
	ok, err := p.set(ctx, p.m.d.offer+"="+flag(offer))
	if offer && !ok {
		p.m.ch.Note("the modem cannot offer a document to be polled")
	}
	return err
}

// tellPoll says whether the far end is to be polled. A modem that cannot ends a call that is for nothing else.
func (p *plan) tellPoll(ctx context.Context) error {
	poll := p.caller && p.s.Poll != nil
	ok, err := p.set(ctx, p.m.d.poll+"="+flag(poll))
	switch {
	case err != nil || !poll:
		return err
	case ok:
		_, err = p.set(ctx, p.m.d.pollID+`="`+ident(p.s.Me.ID)+`"`)
		return err
	case p.s.Send == nil:
		return &t30.CallError{Code: t30.CodeNothingToPoll, Text: "our modem cannot poll"}
	}
	p.noPoll = true
	p.m.ch.Note("the modem cannot poll")
	return nil
}

// tellAddress sets SUB and PWD, when polling SEP and PWD. As in Class 1 towards a far end that has no such frames, they are left
// out where the modem has none; only a selective poll needs its address.
func (p *plan) tellAddress(ctx context.Context) error {
	m, s := p.m, p.s
	var sub, sep, pwd string
	if p.caller {
		sub, pwd = s.Me.Subaddress, s.Me.Password
		if s.Poll != nil {
			sep, pwd = s.Poll.Selective, s.Poll.Password
		}
	}
	if m.subaddress || m.selective || m.password {
		if _, err := p.set(ctx, "+FAP="+flag(m.subaddress)+","+flag(m.selective)+","+flag(m.password)); err != nil {
			return err
		}
	}
	for _, a := range []struct {
		can              bool
		cmd, value, what string
	}{{m.subaddress, "+FSA", sub, "subaddress"}, {m.selective, "+FPA", sep, "polling address"}, {m.password, "+FPW", pwd, "password"}} {
		ok := false
		if a.can {
			var err error
			if ok, err = p.set(ctx, a.cmd+`="`+ident(a.value)+`"`); err != nil {
				return err
			}
		}
		if !ok && a.value != "" {
			m.ch.Note("the modem cannot send a %s: the call goes without", a.what)
		}
	}
	return nil
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
