package t30

import (
	"errors"
)

// identify waits for the called station's DIS (T.30 5.4.3.1, chart connector T), or after EOM for the poller's DTC.
func (c *call) identify() place {
	want := FcfDIS
	if !c.caller {
		want = FcfDTC
	}
	err := c.await(timerT1, want)
	switch {
	case errors.Is(err, ErrTimeout):
		if c.rep.Sent > 0 {
			return c.bye(CodeNoReplyPage, "no DIS after EOM")
		}
		c.end(CodeNoFax, "no DIS within T1")
		return placeEnd
	case err != nil:
		return c.broken(err)
	case c.sig.fcf == FcfDCN:
		return c.farDCN(c.quit())
	}
	return placeChoose
}

// choose decides what this phase B is for: to send, to poll, or nothing more (chart: after DIS or DTC).
func (c *call) choose() place {
	c.startQuiet(pauseBrisk) // whatever is chosen, a signal of ours is next
	c.identified()
	c.x = c.sig.fcf == FcfDIS
	if !c.x && !c.mayPoll() {
		return c.bye(CodePassword, "poller gave a wrong password")
	}
	have, err := c.beginDocument()
	switch {
	case err != nil:
		c.fault(err)
		return c.bye(CodeSource, "next document: %v", err)
	case have && !c.farCan.receive:
		return c.bye(CodeCannotReceive, "DIS says that it cannot receive")
	case have:
		return c.negotiate()
	case !c.x:
		return c.bye(CodeNothingToPoll, "polled, but there is no document")
	case c.s.Poll == nil || c.rx.polled:
		return c.bye(CodeOK, "nothing more to send")
	case !c.far.CanPoll:
		return c.bye(CodeNothingToPoll, "far end has no document")
	}
	return placeAsk
}

// mayPoll holds a poller's PWD against ours.
func (c *call) mayPoll() bool { return c.s.NeedPassword == "" || c.far.Password == c.s.NeedPassword }

// negotiate finds the rates in common. A rate that training has fallen back to is kept over EOM.
func (c *call) negotiate() place {
	t := &c.tx
	old := t.ladder
	if t.ladder = rates(c.own, c.far.Capabilities); c.v34 != nil {
		t.ladder = []Modulation{c.primary(Modulation{})}
	}
	if len(t.ladder) == 0 {
		return c.bye(CodeIncompatible, "no modulation in common")
	}
	keep := 0
	if len(old) > 0 {
		for keep < len(t.ladder)-1 && t.ladder[keep].Rate > old[t.rung].Rate {
			keep++
		}
	}
	t.rung, t.tries, t.trains = keep, 0, 0
	return placeDCS
}

// dcs sends TSI, DCS and the training check (T.30 5.3.6.1.3, chart connector D).
func (c *call) dcs() place {
	t := &c.tx
	c.startQuiet(pauseBrisk)
	m := t.modulation()
	limit := c.pageLimit(t.n, m.Rate)
	if err := c.openPage(limit); err != nil {
		if c.ctx.Err() != nil {
			return c.broken(err)
		}
		c.fault(err)
		return c.bye(CodeSource, "page %d: %v", t.n, err)
	}
	t.now = settings{Modulation: m, Format: t.format, ECM: limit.ECM, MinScan: limit.MinScan(t.format)}
	t.now.Frame64 = limit.ECM && (c.own.ECM64 || c.far.Capabilities.ECM64)
	c.rep.Modulation, c.rep.ECM, c.rep.Format = m, limit.ECM, t.format
	if err := c.send(c.dcsFrames()...); err != nil {
		return c.broken(err)
	}
	if c.v34 != nil { // no training check: F.3.2.1
		return placeTrainReply
	}
	if err := c.quiet(pauseCarrier); err != nil {
		return c.broken(err)
	}
	if err := c.line.SendTCF(c.ctx, m, tcfTime); err != nil {
		return c.broken(err)
	}
	t.long = false
	if m.Scheme == V17 {
		t.fumbles.checks++
	}
	return placeTrainReply
}

// dcsFrames are the frames of a DCS signal. SUB and SID only go to a station that asks for them (T.30 Table 2 bits 49, 50).
func (c *call) dcsFrames() []Frame {
	var out []Frame
	if c.s.Me.ID != "" {
		out = append(out, NewFrame(FcfTSI, c.x, false, encodeIdent(c.s.Me.ID)...))
	}
	if s := c.s.Me.Subaddress; s != "" && c.far.Capabilities.Subaddress {
		out = append(out, NewFrame(FcfSUB, c.x, false, encodeIdent(s)...))
	}
	if s := c.s.Me.Password; s != "" && c.far.Capabilities.Password {
		out = append(out, NewFrame(FcfSID, c.x, false, encodeIdent(s)...))
	}
	return append(out, NewFrame(FcfDCS, c.x, true, encodeDCS(c.tx.now)...))
}

// trainReply waits for CFR or FTT.
func (c *call) trainReply() place {
	t := &c.tx
	err := c.await(timerT4Sender, FcfCFR, FcfFTT, FcfDIS, FcfDTC, FcfCRP, FcfNULL)
	switch {
	case errors.Is(err, ErrTimeout):
	case err != nil:
		return c.broken(err)
	case c.sig.fcf == FcfDCN:
		return c.farDCN(c.quit())
	case c.sig.fcf == FcfCFR:
		t.tries, t.trains = 0, 0
		t.fumbles.trained = t.fumbles.trained || t.now.Modulation.Scheme == V17
		if t.now.ECM {
			t.ecm.startPage()
			return placeBlock
		}
		return placePage
	case !c.sig.fcf.known():
		return c.bye(CodeProtocol, "DCS answered with the unknown %v", c.sig.fcf)
	case c.sig.fcf == FcfFTT:
		c.nominal = true
		t.tries = 0
		t.trains++
		if !t.lower() && t.trains >= minTrainings {
			return c.bye(CodeTraining, "FTT at %v", t.modulation())
		}
		return placeDCS
	}
	c.nominal = true
	if t.tries++; t.tries >= maxTries {
		return c.bye(CodeNoReplyDCS, "no answer to DCS, %d times", t.tries)
	}
	return placeDCS
}

// ask sends DTC for the far end's document (T.30 5.3.6.1.2). SEP and PWD only go to a station whose DIS has them (Table 2 bits 47,
// 50); to poll one without SEP would bring another document than the one asked for.
func (c *call) ask() place {
	c.rx.polled = true
	can := c.far.Capabilities
	var frames []Frame
	if c.s.Me.ID != "" {
		frames = append(frames, NewFrame(FcfCIG, c.x, false, encodeIdent(c.s.Me.ID)...))
	}
	if s := c.s.Poll.Selective; s != "" {
		if !can.SelectivePoll {
			return c.bye(CodeNothingToPoll, "far end has no selective polling")
		}
		frames = append(frames, NewFrame(FcfSEP, c.x, false, encodeIdent(s)...))
	}
	if s := c.s.Poll.Password; s != "" && can.Password {
		frames = append(frames, NewFrame(FcfPWD, c.x, false, encodeIdent(s)...))
	}
	frames = append(frames, NewFrame(FcfDTC, c.x, true, encodeDIS(c.own, c.s.Sink != nil, false)...))
	for range maxTries {
		if err := c.send(frames...); err != nil {
			return c.broken(err)
		}
		err := c.await(timerT4Sender, FcfDCS, FcfDIS, FcfCRP)
		switch {
		case errors.Is(err, ErrTimeout):
		case err != nil:
			return c.broken(err)
		case c.sig.fcf == FcfDCN:
			return c.farDCN(CodeNothingToPoll)
		case c.sig.fcf == FcfDCS:
			return placeSettings
		}
	}
	return c.bye(CodeNothingToPoll, "no answer to DTC")
}
