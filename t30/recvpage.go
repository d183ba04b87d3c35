package t30

import (
	"errors"
	"time"
)

// pageOctets passes a page on to its writer. When that fails the rest of the page is let pass, since the sender hears our DCN only
// after it.
type pageOctets struct {
	c    *call
	zero int // octets of zeros at its end so far: fill
	err  error
	past int // octets since then
}

// longLine tells whether b ends fill of more than 5 s (T.4 3.3). Zeros at the end of a page are none.
func (p *pageOctets) longLine(b []byte) bool {
	limit := p.c.rx.set.Modulation.Rate * maxLineSeconds / 8
	for _, x := range b {
		switch {
		case x == 0:
			p.zero++
		case p.zero > limit:
			return true
		default:
			p.zero = 0
		}
	}
	return false
}

func (p *pageOctets) Write(b []byte) (int, error) {
	r := &p.c.rx
	if len(b) == 0 {
		return 0, nil
	}
	if p.err != nil {
		if p.past += len(b); p.past > r.set.Modulation.Rate*maxPastSeconds/8 {
			return 0, p.err
		}
		return len(b), nil
	}
	if p.longLine(b) && !r.endless {
		r.endless = true
		p.c.trace(LayerImage, In, "a scan line of more than 5 s")
	}
	n, err := r.w.Write(b)
	r.octets += int64(n)
	p.err = err
	return len(b), nil
}

// receivePage takes one page without ECM (T.30 phase C).
func (c *call) receivePage() place {
	if p, ok := c.hearPage(); ok {
		return p
	}
	return placeCommand
}

// hearPage listens for a page's carrier, for T2. ok: there was a page, or the call ends, and next follows; else a V.21
// signal may have come in its place.
func (c *call) hearPage() (next place, ok bool) {
	r := &c.rx
	if p, ok := c.beginPage(); !ok {
		return p, true
	}
	began := time.Now()
	out := &pageOctets{c: c}
	m := r.set.Modulation
	m.Short = m.Scheme == V17
	c.rep.Modulation = m
	err := c.untilV21(func(wait time.Duration) error { return c.line.ReceivePage(c.ctx, m, wait, out) }, afterPage)
	if out.err != nil && c.ctx.Err() == nil {
		c.fault(out.err)
		c.end(CodeSink, "%v", out.err)
		r.failed = true
	}
	r.ended, r.blurred = time.Now(), false
	switch {
	case err == nil, errors.Is(err, ErrCarrierLost):
		r.cut = err != nil
		if r.octets > 0 {
			r.onLine, r.pending = true, false
			c.trace(LayerImage, In, "page: %d octets in %.1f s", r.octets, time.Since(began).Seconds())
		}
		return placeCommand, r.octets > 0
	case errors.Is(err, ErrV21):
	case errors.Is(err, ErrTimeout):
		if c.lineQuiet() {
			c.end(CodePageLost, "no page within T2")
			return placeEnd, true
		}
		r.cut = true // it may be on the line unheard; its command gets DCN, which spares the sender the rest of the call
		c.trace(LayerImage, In, "no carrier within T2")
	default:
		return c.broken(err), true
	}
	return 0, false
}

// afterPage are the signals that may follow a page, or come in its place.
var afterPage = []FCF{FcfMPS, FcfEOM, FcfEOP, FcfPRM, FcfPRE, FcfPRP, FcfDCS, FcfCRP}

// isPost tells the post-message commands of a page without ECM. PRI-Q are taken for their plain twins: T.30 5.3.6.1.6 makes the
// operator's call an option on top of them, which is declined by answering the plain command; PIP or PIN would accept it and leave the
// sender waiting for a voice (5.3.6.1.7).
func isPost(f FCF) (FCF, bool) {
	switch f {
	case FcfMPS, FcfPRM:
		return FcfMPS, true
	case FcfEOM, FcfPRE:
		return FcfEOM, true
	case FcfEOP, FcfPRP:
		return FcfEOP, true
	}
	return 0, false
}

// command waits for the post-message command (T.30 5.3.6.1.6). A page that ended without RTC may have lost its carrier in its
// middle, and the rest be on the line still: then the wait is longer.
func (c *call) command() place {
	r := &c.rx
	wait := timerT2
	unended := r.octets > 0 && r.w.Quality().NoRTC
	if unended || r.cut {
		wait = waitLost
	}
	err := c.awaitEarly(wait, afterPage...)
	switch {
	case r.failed && err == nil && c.sig.fcf != FcfDCN:
		return placeDisconnect
	case errors.Is(err, ErrTimeout):
		code := CodeNoPostMessage
		if r.octets == 0 || r.endless {
			code = CodePageLost
		}
		c.end(code, "no command within T2 after the page")
		return placeEnd
	case err != nil:
		return c.broken(err)
	case c.sig.fcf == FcfDCN:
		if r.endless {
			return c.farDCN(CodePageLost)
		}
		return c.farDCN(c.quit())
	case c.sig.fcf == FcfDCS:
		return placeSettings
	case c.sig.fcf == FcfCRP && r.octets > 0: // our last answer was for the page before: now it would confirm this one
		return placeReceive
	case c.sig.fcf == FcfCRP:
		return c.again(c.sent.FCF(), placeReceive)
	}
	if r.endless { // T.4 3.3: such a page is not taken; the sender gives up by itself
		if r.repeats++; r.repeats > maxTries {
			return c.bye(CodePageLost, "%v after a scan line of more than 5 s", c.sig.fcf)
		}
		return placeReceive
	}
	if unended && !r.blurred && c.sig.at.Sub(r.ended) > commandDue {
		r.cut = true
	}
	return placeAnswer
}

// repeated tells whether the command just received is the one answered last: our answer was lost. Without a page
// counter only the time tells a repeated command from that of a page that was not heard at all.
func (c *call) repeated(cmd FCF) bool {
	return c.rx.pending && cmd == c.rx.cmd && c.sig.at.Sub(c.rx.cmdEnd) <= repeatTo
}

// answer judges the page, makes it durable and answers the command (T.30 5.3.6.1.7). MCF only after Finish.
func (c *call) answer() place {
	r := &c.rx
	cmd, _ := isPost(c.sig.fcf)
	if r.octets == 0 {
		if !c.repeated(cmd) {
			return c.bye(CodePageLost, "%v, but no page was heard", cmd)
		}
		if r.repeats++; r.repeats > maxRepeats {
			return c.bye(CodeProtocol, "%v again and again", cmd)
		}
		return c.sendAnswer()
	}
	began := time.Now()
	q := r.w.Quality()
	if q.Empty() {
		return c.bye(CodePageLost, "%v, but no line was in %d octets", cmd, r.octets)
	}
	v := q.Verdict(r.set.Format.Resolution)
	if r.cut {
		v = BadKept // its end is missing, however good the rest
	}
	if err := c.finish(c.ctx, v); err != nil {
		return c.sinkFailed(err)
	}
	r.octets, r.cmd, r.pending, r.repeats = 0, cmd, true, 0
	switch v {
	case Good:
		r.answer = FcfMCF
		c.rep.Received++
	case Poor:
		r.answer = FcfRTP
		c.rep.Received++
	default:
		r.answer = FcfRTN
	}
	if v != BadKept {
		r.refused = 0
	} else if r.refused++; r.refused > maxRTN {
		return c.bye(CodePageRefused, "%d pages in a row were unreadable", r.refused)
	}
	if time.Since(began) > slowStore {
		if p, ok := c.answerRepeat(); !ok {
			return p
		}
	}
	return c.sendAnswer()
}

// answerRepeat waits for the sender to repeat its command when storing the page took so long that an answer now could meet it
// on the line.
func (c *call) answerRepeat() (place, bool) {
	err := c.await(timerT4, c.rx.cmd)
	switch {
	case errors.Is(err, ErrTimeout):
	case err != nil:
		return c.broken(err), false
	case c.sig.fcf == FcfDCN:
		return c.farDCN(CodeDCNAfterPage), false
	}
	return 0, true
}

// sendAnswer answers the command and goes where it says.
func (c *call) sendAnswer() place {
	r := &c.rx
	r.cmdEnd = c.sig.at
	if err := c.reply(r.answer); err != nil {
		return c.broken(err)
	}
	switch {
	case r.cmd == FcfEOM:
		return placeAfterEOM
	case r.answer == FcfRTN, r.answer == FcfRTP && r.cmd == FcfMPS:
		r.goesOn = r.cmd == FcfMPS
		return placeAwaitDCS
	case r.cmd == FcfEOP:
		return placeAfterEOP
	}
	return placeReceive
}
