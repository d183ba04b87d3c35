package t30

import (
	"errors"
	"time"
)

// Limits of a page without ECM, in bad lines. Beyond them it is confirmed as poor (RTP) or refused (RTN).
const (
	poorPercent = 3  // bad lines, of all
	badPercent  = 10 // bad lines, of all
	poorRun     = 8  // bad lines in a row
	badRun      = 64 // bad lines in a row
)

// empty tells that nothing was decoded, good or bad: such a page is neither confirmed nor refused (Field: RTN to an
// empty page makes some senders send it for ever).
func (q Quality) empty() bool { return q.Lines == 0 && q.BadLines == 0 }

// verdict judges a page without ECM.
func (q Quality) verdict() Verdict {
	switch {
	case q.Lines == 0, q.BadLines*100 > q.Lines*badPercent, q.LongestBad > badRun:
		return BadKept
	case q.BadLines*100 > q.Lines*poorPercent, q.LongestBad > poorRun:
		return Poor
	}
	return Good
}

// pageOctets passes a page on to its writer, which alone may fail.
type pageOctets struct {
	c   *call
	err error
}

func (p *pageOctets) Write(b []byte) (int, error) {
	n, err := p.c.rx.w.Write(b)
	p.c.rx.octets += int64(n)
	if err != nil {
		p.err = err
	}
	return n, err
}

// receivePage takes one page without ECM (T.30 phase C).
func (c *call) receivePage() place {
	r := &c.rx
	if p, ok := c.beginPage(); !ok {
		return p
	}
	began := time.Now()
	out := &pageOctets{c: c}
	m := r.set.Modulation
	m.Short = m.Scheme == V17
	c.rep.Modulation = m
	err := c.line.ReceivePage(c.ctx, m, timerT2, out)
	c.spoken = true
	if out.err != nil {
		return c.sinkFailed(out.err)
	}
	switch {
	case err == nil, errors.Is(err, ErrCarrierLost):
		r.cut = err != nil
		if r.octets > 0 {
			r.onLine, r.pending = true, false
			c.trace(LayerImage, In, "page: %d octets in %.1f s", r.octets, time.Since(began).Seconds())
		}
	case errors.Is(err, ErrV21):
	case errors.Is(err, ErrTimeout):
		c.trace(LayerImage, In, "no carrier within T2")
	default:
		return c.broken(err)
	}
	return placeCommand
}

// isPost tells the post-message commands of a page without ECM; PRI-Q are taken for their plain twins, as there is no operator here.
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

// command waits for the post-message command (T.30 5.3.6.1.6).
func (c *call) command() place {
	r := &c.rx
	err := c.awaitCommand(timerT2, FcfMPS, FcfEOM, FcfEOP, FcfPRM, FcfPRE, FcfPRP, FcfDCS, FcfCRP)
	switch {
	case errors.Is(err, ErrTimeout):
		code := CodeNoPostMessage
		if r.octets == 0 {
			code = CodePageLost
		}
		c.end(code, "no command within T2 after the page")
		return placeEnd
	case err != nil:
		return c.broken(err)
	case c.sig.fcf == FcfDCN:
		return c.farDCN(c.quit())
	case c.sig.fcf == FcfDCS:
		return placeSettings
	case c.sig.fcf == FcfCRP:
		return c.again(c.sent.FCF(), placeReceive)
	}
	return placeAnswer
}

// repeated tells whether the command just received is the one answered last: our answer was lost. Without a page
// counter only the time tells a repeated command from that of a page that was not heard at all.
func (c *call) repeated(cmd FCF) bool {
	since := c.sig.at.Sub(c.rx.cmdEnd)
	return c.rx.pending && cmd == c.rx.cmd && since >= repeatFrom && since <= repeatTo
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
	if q.empty() {
		return c.bye(CodePageLost, "%v, but no line was in %d octets", cmd, r.octets)
	}
	v := q.verdict()
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
		return placeAwaitDCS
	case r.cmd == FcfEOP:
		return placeAfterEOP
	}
	return placeReceive
}

// afterEOM waits T2 for a repeated command, then goes back to phase B (T.30 5.3.6.1.6).
func (c *call) afterEOM() place {
	r := &c.rx
	err := c.await(timerT2EOM, FcfEOM, FcfPRE, FcfPPS, FcfEOR, FcfRR, FcfDCS, FcfDTC, FcfCRP)
	switch {
	case errors.Is(err, ErrTimeout):
		if c.caller {
			return placeAsk
		}
		return placeOffer
	case err != nil:
		return c.broken(err)
	case c.sig.fcf == FcfDCN:
		c.received()
		return placeEnd
	case c.sig.fcf == FcfDCS:
		return placeSettings
	case c.sig.fcf == FcfDTC:
		c.tx.docs = c.s.Send
		return placeChoose
	}
	return c.again(r.answer, placeAfterEOM)
}

// afterEOP waits for DCN. The call is done whether it comes or not.
func (c *call) afterEOP() place {
	r := &c.rx
	err := c.awaitCommand(timerT2, FcfEOP, FcfPRP, FcfPPS, FcfEOR, FcfRR, FcfDCS, FcfCRP)
	switch {
	case errors.Is(err, ErrTimeout), errors.Is(err, ErrHungUp):
		c.received()
		return placeEnd
	case err != nil:
		c.received()
		return c.broken(err)
	case c.sig.fcf == FcfDCN:
		c.received()
		return placeEnd
	case c.sig.fcf == FcfDCS:
		return placeSettings
	}
	return c.again(r.answer, placeAfterEOP)
}

// received is the outcome of a call in which all announced pages came.
func (c *call) received() {
	if c.rx.holes > 0 {
		c.end(CodeECMGivenUp, "%d pages have holes", c.rx.holes)
		return
	}
	c.end(CodeOK, "")
}

// again repeats an answer that the far end did not hear, a few times.
func (c *call) again(answer FCF, stay place) place {
	r := &c.rx
	if r.repeats++; r.repeats > maxRepeats {
		return c.bye(CodeProtocol, "%v again and again", c.sig.fcf)
	}
	r.cmdEnd = c.sig.at
	if err := c.reply(answer); err != nil {
		return c.broken(err)
	}
	return stay
}
