package class2

import (
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

// dialed waits for the far end's identification (T.30 phase B).
func (c *call) dialed() step {
	l, err := c.result(phaseBWait)
	switch {
	case errors.Is(err, at.ErrNoReply):
		return c.bye(t30.CodeNoFax, "no DIS")
	case err != nil:
		return c.broken(err)
	case c.hung != nil || l.Code != at.OK:
		return c.refusedBy("phase B", l)
	}
	return c.choose
}

// choose decides what this phase B is for: to send, to poll, or nothing more.
func (c *call) choose() step {
	polled := c.polled
	if polled && c.s.NeedPassword != "" && c.far.Password != c.s.NeedPassword {
		return c.bye(t30.CodePassword, "poller gave a wrong password")
	}
	have, err := c.beginDocument()
	switch {
	case err != nil && c.ctx.Err() != nil:
		return c.broken(err)
	case err != nil:
		c.fault(err)
		return c.bye(t30.CodeSource, "next document: %v", err)
	case have:
		return c.negotiate
	case polled:
		return c.bye(t30.CodeNothingToPoll, "polled, but there is no document")
	case c.s.Poll == nil || c.rx.asked:
		return c.bye(t30.CodeOK, "nothing more to send")
	case c.plan.noPoll:
		return c.bye(t30.CodeNothingToPoll, "our modem cannot poll")
	case !c.far.CanPoll:
		return c.bye(t30.CodeNothingToPoll, "far end has no document")
	}
	return c.ask
}

// wish is the limit that a page is chosen by before the DCS is known.
func (c *call) wish() t30.PageLimit {
	rate := modulation(c.tx.br).Rate
	if far := c.far.Capabilities.MaxRate; far > 0 {
		rate = min(rate, far)
	}
	return t30.LimitFor(c.own, c.far.Capabilities, rate, c.tx.n)
}

// negotiate opens page n and says what its DCS is to be.
func (c *call) negotiate() step {
	t := &c.tx
	limit := c.wish()
	if err := c.openPage(limit); err != nil {
		return c.unreadable(err)
	}
	f := t.format
	var p params
	p[pVR], p[pBR], p[pWD], p[pLN], p[pDF] = c.d.vr(t30.Resolutions(f.Resolution)), c.m.can[pBR].highest(t.br), wd(t30.Widths(f.Width)), int(f.Length), dfCodings[f.Coding]
	p[pEC] = c.d.ec(limit.ECM, c.m.can[pEC])
	t.wanted, t.fresh = p, true
	l, err := c.command("AT"+c.d.session+"="+p.format(c.m.hex()), setWait)
	switch {
	case err != nil:
		return c.broken(err)
	case l.Code != at.OK: // some cannot set it in a call: +FDCC has set the bounds, and the DCS tells what came of it
		c.m.ch.Note("%s refused", c.d.session)
	}
	return c.transmit
}

// setWait is for commands that only set something.
const setWait = 3 * time.Second

// unreadable ends the call because a page cannot be read.
func (c *call) unreadable(err error) step {
	if c.ctx.Err() != nil {
		return c.broken(err)
	}
	c.fault(err)
	return c.bye(t30.CodeSource, "page %d: %v", c.tx.n, err)
}

// transmit sends page n: DCS and training if they are due, then the page (+FDT).
func (c *call) transmit() step {
	c.sending, c.newDCS = true, false
	l, err := c.command("AT+FDT", trainWait)
	switch {
	case errors.Is(err, at.ErrNoReply):
		return c.bye(t30.CodeNoReplyDCS, "no CONNECT in answer to +FDT")
	case err != nil:
		return c.broken(err)
	case c.hung != nil || l.Code != at.Connect:
		return c.refusedBy("AT+FDT", l)
	}
	c.state = inSending
	if err := c.settle(); err != nil {
		return c.unreadable(err)
	}
	c.lookAhead()
	if next, ok := c.awaitXON(); !ok {
		return next
	}
	return c.page
}

// settle takes the DCS over that the modem negotiated: page n is opened again if that is not what it was opened for.
func (c *call) settle() error {
	t := &c.tx
	if !c.newDCS && t.fresh { // a modem that does not tell: what we asked for
		t.wanted[pST] = c.dcs[pST]
		c.dcs = t.wanted
	}
	t.fresh = false
	f := c.d.pageFormat(c.dcs)
	c.rep.Modulation, c.rep.ECM, c.rep.Format = modulation(c.dcs[pBR]), c.dcs[pEC] > 0, f
	t.ecm = c.rep.ECM
	limit := c.agreed(t.n)
	if err := c.openPage(limit); err != nil {
		return err
	}
	if t.format == f {
		return nil
	}
	// Another format than was asked for: so it will be for the pages to come.
	c.own.Codings &= t30.Codings(f.Coding)
	c.own.Resolutions &= t30.Resolutions(f.Resolution)
	c.own.Widths &= t30.Widths(f.Width)
	limit.Codings, limit.Resolutions, limit.Widths = t30.Codings(f.Coding), t30.Resolutions(f.Resolution), t30.Widths(f.Width)
	if err := c.openPage(limit); err != nil {
		return err
	}
	if t.format != f {
		return fmt.Errorf("class2: page %d is to be %v %v, but is coded %v %v", t.n, f.Coding, f.Resolution, t.format.Coding, t.format.Resolution)
	}
	return nil
}

// agreed is the limit of page n by the DCS.
func (c *call) agreed(n int) t30.PageLimit {
	own, far := c.own, c.far.Capabilities
	own.ECM, far.ECM = c.dcs[pEC] > 0, c.dcs[pEC] > 0
	l := t30.LimitFor(own, far, modulation(c.dcs[pBR]).Rate, n)
	if st := scanTimes[min(c.dcs[pST], len(scanTimes)-1)]; !l.ECM {
		l.MinScanLine, l.MinScanLineFine = st[0], st[1]
	}
	l.Length = t30.Length(min(c.dcs[pLN], 2))
	return l
}

// awaitXON waits for the modem to take data, where its class says that it tells. ok: go on.
func (c *call) awaitXON() (next step, ok bool) {
	if !c.d.waitXON || c.q.NoXON {
		return nil, true
	}
	until := time.Now().Add(xonWait)
	for {
		l, got, err := c.m.ch.AwaitXON(c.ctx, max(time.Until(until), time.Millisecond))
		switch {
		case got:
			return nil, true
		case errors.Is(err, at.ErrNoReply):
			c.m.ch.Note("no XON: the page is sent all the same")
			return nil, true
		case err != nil:
			return c.broken(err), false
		}
		c.take(l)
		if c.hung != nil || l.Code.Final() {
			c.state = inCommands
			return c.refusedBy("AT+FDT", l), false
		}
	}
}

// page sends page n's data and what follows it.
func (c *call) page() step {
	t := &c.tx
	t.began, t.onLine, t.octets = time.Now(), true, 0
	early, err := c.feed()
	var bad *sourceError
	switch {
	case errors.As(err, &bad) && c.ctx.Err() == nil:
		return c.unreadable(bad.err)
	case err != nil:
		return c.broken(err)
	case early != nil:
		return early
	}
	t.closePage()
	c.trace(t30.LayerImage, t30.Out, "page %d: %d octets in %.1f s", t.n, t.octets, time.Since(t.began).Seconds())
	if err := c.decideFollow(); err != nil {
		return c.unreadable(err)
	}
	if c.d.pageEnd {
		return c.punctuate
	}
	return c.endData
}

// remaining is how long the rest of the page's data is still on the line, at most.
func (c *call) remaining() time.Duration {
	d := airTime(c.tx.octets, modulation(c.dcs[pBR]).Rate)
	return c.patience(max(0, time.Until(c.tx.began.Add(d+d/8)))) + 30*time.Second
}

// endData ends page n's data (Class 2).
func (c *call) endData() step {
	if err := c.m.ch.EndData(c.ctx); err != nil {
		return c.broken(err)
	}
	l, err := c.result(c.remaining())
	switch {
	case err != nil:
		return c.broken(err)
	case c.hung != nil || l.Code != at.OK:
		return c.refusedBy("end of page", l)
	}
	return c.punctuate
}

// punctuate sends the post-message command and takes its answer (T.30 phase D).
func (c *call) punctuate() step {
	t := &c.tx
	if err := t.src.Sent(t.n); err != nil {
		c.fault(err)
		return c.bye(t30.CodeSource, "page %d is out, which could not be recorded: %v", t.n, err)
	}
	c.status, t.doubt = statusNone, t.last
	c.trace(t30.LayerFrame, t30.Out, "%v", t.follow)
	var l at.Line
	var err error
	if c.d.pageEnd {
		if err = c.m.ch.EndPage(c.ctx, pageEnds[t.follow]); err == nil {
			l, err = c.result(c.remaining() + c.patience(postWait))
		}
	} else {
		l, err = c.command(fmt.Sprintf("AT+FET=%d", t.follow), c.patience(postWait))
	}
	if err != nil {
		c.unsent()
		if errors.Is(err, at.ErrNoReply) {
			return c.bye(t30.CodeNoReplyPage, "no answer to %v", t.follow)
		}
		return c.broken(err)
	}
	return c.pageAnswer(l)
}

// unsent takes the doubt back if the page cannot have been on the line whole: in 2.0 the command goes into the modem's buffer
// behind it.
func (c *call) unsent() {
	t := &c.tx
	if time.Since(t.began) < airTime(t.octets, modulation(c.dcs[pBR]).Rate)*9/10 {
		t.doubt = false
	}
}

// pageAnswer finds page n's status in what the modem said: +FPTS, or in 2.0 and 2.1 its result and +FPS?. A hang-up without a
// status leaves the page in doubt, however normal it is called; only T.32's OK is a status of its own.
func (c *call) pageAnswer(l at.Line) step {
	t := &c.tx
	byResult := c.d.pageEnd && (l.Code == at.OK || l.Code == at.Error) && (c.hung == nil || c.hung.code == t30.CodeOK)
	if c.status == statusNone && byResult {
		if err := c.askStatus(l.Code == at.OK); err != nil {
			return c.broken(err)
		}
	}
	if c.status != statusNone {
		t.doubt = false
		c.trace(t30.LayerFrame, t30.In, "%v", c.status)
		return c.afterStatus()
	}
	c.unsent()
	switch {
	case c.hung != nil && c.hung.code == t30.CodeOK:
		return c.bye(t30.CodeNoReplyPage, "the modem hung up without a page status")
	case c.hung != nil:
		return c.hungUp()
	}
	return c.bye(t30.CodeNoReplyPage, "%s without a page status", l.Text)
}

// askStatus takes what the result said, good or not, and lets the status parameter refine it: it may still be that of the page before,
// and some modems do not know the query.
func (c *call) askStatus(good bool) error {
	hung := c.hung
	c.hung = nil // parameters can be read after the call
	n := statusNone
	r, err := c.m.ch.Command(c.ctx, "AT"+c.d.status+"?", setWait)
	c.hung = hung
	switch {
	case errors.Is(err, at.ErrNoReply):
	case err != nil:
		return err
	case r.Code == at.OK:
		for _, s := range r.Info {
			if _, value := keyword(s); value != "" {
				s = value
			}
			if v := number(s); v >= int(statusMCF) && v <= int(statusPIP) {
				n = status(v)
			}
		}
	}
	refusedAfterAll := good && hung != nil && n != statusNone // every hang-up is followed by OK, also that after a refused EOP
	if n == statusNone || n.taken() != good && !refusedAfterAll {
		n = statusRTN
		if good {
			n = statusMCF
		}
	}
	c.status = n
	return nil
}

// afterStatus goes on after page n's status.
func (c *call) afterStatus() step {
	t := &c.tx
	switch c.status {
	case statusMCF, statusPIP:
		return c.confirmed
	case statusRTP:
		t.poor = true
		return c.confirmed
	case statusRTN:
		return c.refused
	}
	return c.bye(t30.CodeInterrupted, "PIN: operator asked for, page %d not confirmed", t.n)
}

// result is how page n fared.
func (t *sender) result() t30.PageResult {
	return t30.PageResult{Poor: t.poor, Retries: t.resends, Octets: t.octets, Seconds: time.Since(t.began).Seconds()}
}

// confirmed records page n and goes on as the command that was answered said.
func (c *call) confirmed() step {
	t := &c.tx
	if err := t.src.Confirmed(t.n, t.result()); err != nil {
		c.fault(err)
		return c.bye(t30.CodeSource, "page %d was confirmed, which could not be recorded: %v", t.n, err)
	}
	c.rep.Sent++
	t.part.Sent++
	if t.poor {
		c.rep.SentPoor++
		t.part.SentPoor++
	}
	poor := t.poor
	c.pageOver()
	switch {
	case t.follow == postEOP:
		return c.finished
	case c.status == statusPIP:
		return c.bye(t30.CodeInterrupted, "PIP: operator asked for")
	case c.hung != nil:
		return c.hungUp()
	case t.follow == postEOM && t.src != nil && t.n > 1: // another format
		return c.negotiate
	case t.follow == postEOM:
		return c.choose
	case poor:
		t.br = max(0, c.dcs[pBR]-1)
		return c.negotiate
	}
	return c.transmit
}

// finished ends the sending after EOP.
func (c *call) finished() step {
	if c.s.Poll != nil && c.caller && !c.rx.asked {
		text := "far end has no document"
		if c.plan.noPoll {
			text = "our modem cannot poll"
		}
		return c.bye(t30.CodeNothingToPoll, "%s", text)
	}
	c.end(t30.CodeOK, "")
	return c.goodbye
}

// goodbye lets the modem hang up by itself after a call's last page.
func (c *call) goodbye() step {
	if c.hung == nil {
		_, err := c.result(byeWait)
		if errors.Is(err, at.ErrNoReply) {
			c.state = inCommands
		}
	}
	return nil
}

// refused handles RTN as the engine does: after MPS, and EOM inside a document, the page goes out again at a lower rate, twice
// more at most. After EOP the call ends, after a document's last EOM phase B follows.
func (c *call) refused() step {
	t := &c.tx
	again := t.follow == postMPS || t.follow == postEOM && !t.last
	t.br = max(0, c.dcs[pBR]-1)
	if again && t.resends < t30.MaxResends {
		t.resends++
		t.closePage()
	} else if next, ok := c.refusedForGood(); !ok {
		return next
	}
	if c.hung != nil {
		return c.hungUp()
	}
	if t.src == nil {
		return c.choose
	}
	return c.negotiate
}

// refusedForGood records that page n is not to be had across in this call, and makes the next one page n.
func (c *call) refusedForGood() (step, bool) {
	t := &c.tx
	err := t.src.Refused(t.n, t.result())
	if err != nil && !errors.Is(err, t30.ErrStop) {
		c.fault(err)
		return c.bye(t30.CodeSource, "page %d was refused, which could not be recorded: %v", t.n, err), false
	}
	c.rep.Refused++
	t.part.Refused++
	if err != nil || t.follow == postEOP {
		return c.bye(t30.CodePageRefused, "RTN to page %d, %d times", t.n, t.resends+1), false
	}
	c.pageOver()
	return nil, true
}
