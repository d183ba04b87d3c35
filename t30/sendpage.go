package t30

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// carrier is the modulation for the next page or block: V.17 resumes with short training once the far end has trained
// (T.30 Table 2, V.17 clause 5), save after CTC.
func (t *sender) carrier() Modulation {
	m := t.now.Modulation
	m.Short = m.Scheme == V17 && !t.long
	return m
}

// counted counts the octets of a page read.
type counted struct {
	r   io.Reader
	n   int64
	err error
}

func (r *counted) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n += int64(n)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// page sends one page without ECM (T.30 phase C).
func (c *call) page() place {
	t := &c.tx
	c.startQuiet(pauseCarrier)
	limit := c.pageLimit(t.n, t.now.Modulation.Rate)
	if p, ok := c.prepare(limit); !ok {
		return p
	}
	if err := c.quiet(pauseCarrier); err != nil {
		return c.broken(err)
	}
	t.began, t.onLine = time.Now(), true
	c.rep.Modulation = t.carrier()
	r := &counted{r: t.rd}
	err := c.line.SendPage(c.ctx, t.carrier(), r)
	t.long = false
	t.octets = r.n
	c.closePage()
	switch {
	case r.err != nil && c.ctx.Err() == nil:
		c.fault(r.err)
		return c.bye(CodeSource, "page %d: %v", t.n, r.err)
	case err != nil:
		return c.broken(err)
	}
	t.carried().sent++
	c.trace(LayerImage, Out, "page %d: %d octets in %.1f s", t.n, t.octets, time.Since(t.began).Seconds())
	return placePost
}

// prepare opens page n in the agreed format and begins to look for what follows it.
func (c *call) prepare(limit PageLimit) (place, bool) {
	t := &c.tx
	if err := c.openPage(limit); err != nil {
		if c.ctx.Err() != nil {
			return c.broken(err), false
		}
		c.fault(err)
		return c.bye(CodeSource, "page %d: %v", t.n, err), false
	}
	if t.format != t.now.Format {
		err := fmt.Errorf("t30: page %d changed its format from %v to %v", t.n, t.now.Format, t.format)
		c.fault(err)
		return c.bye(CodeSource, "%v", err), false
	}
	t.told = false
	c.lookAhead()
	return 0, true
}

// post sends the post-message command and waits for its answer (T.30 5.3.6.1.6, 5.3.6.1.7).
func (c *call) post() place {
	t := &c.tx
	c.startQuiet(pauseBrisk)
	if p, ok := c.settleFollow(); !ok {
		return p
	}
	if p, ok := c.tellSent(); !ok {
		return p
	}
	for try := 1; try <= maxTries; try++ {
		t.doubt = t.last
		if err := c.reply(t.follow); err != nil {
			return c.broken(err)
		}
		err := c.await(timerT4Sender, postAnswers...)
		switch {
		case c.unanswered(err):
			continue
		case err != nil:
			return c.broken(err)
		case c.beganAnew() && try == 1:
			continue
		case c.beganAnew():
			return c.restarted()
		case c.sig.fcf == FcfDCN:
			// After a repeated command the DCN may come from a station that has confirmed already.
			t.doubt = t.last && try > 1
			return c.farDCN(CodeDCNAfterPage)
		}
		t.carried().got = true
		return c.postAnswer()
	}
	return c.bye(CodeNoReplyPage, "no answer to %v, %d times", t.follow, maxTries)
}

// postAnswers are what may come in answer to a post-message command (T.30 5.3.6.1.7). Field: DIS or DTC too, of a far end that has begun
// anew; FcfNULL stands for all that is in no table.
var postAnswers = []FCF{FcfMCF, FcfRTP, FcfRTN, FcfPIP, FcfPIN, FcfCRP, FcfDIS, FcfDTC, FcfNULL}

// beganAnew tells whether a DIS (when polled: DTC) came in place of an answer: the far end is back in phase B.
func (c *call) beganAnew() bool { return c.sig.fcf == FcfDIS || c.sig.fcf == FcfDTC }

// restarted follows the far end back to phase B when the repeated command brought DIS again. Field: it has not got the page, or its
// answer was lost: the page goes out again, and until it is answered its fate is open.
func (c *call) restarted() place {
	t := &c.tx
	if t.resends++; t.resends > maxResends {
		return c.bye(CodeNoReplyPage, "%v in place of an answer, %d times", c.sig.fcf, t.resends)
	}
	t.before = t.before || t.doubt
	c.closePage()
	t.ecm.startPage()
	return placeChoose
}

// tellSent lets the source record, once for each transmission, that page n is out: before the command that the far end may
// confirm it by.
func (c *call) tellSent() (place, bool) {
	t := &c.tx
	if t.told {
		return 0, true
	}
	if err := t.src.Sent(t.n); err != nil {
		c.fault(err)
		return c.bye(CodeSource, "page %d is out, which could not be recorded: %v", t.n, err), false
	}
	t.told = true
	return 0, true
}

// settleFollow finds the post-message command.
func (c *call) settleFollow() (place, bool) {
	if err := c.decideFollow(); err != nil {
		if c.ctx.Err() != nil {
			return c.broken(err), false
		}
		c.fault(err)
		return c.bye(CodeSource, "after page %d: %v", c.tx.n, err), false
	}
	return 0, true
}

// postAnswer goes on after a page's answer, for all but CRP and DCN.
func (c *call) postAnswer() place {
	t := &c.tx
	doubt := t.doubt
	t.doubt = false
	switch c.sig.fcf {
	case FcfMCF, FcfPIP:
		return placeConfirmed
	case FcfRTP:
		t.poor = true
		return placeConfirmed
	case FcfRTN:
		return placeRefused
	case FcfPIN:
		return c.bye(CodeInterrupted, "PIN: operator asked for, page %d not confirmed", t.n)
	}
	t.doubt = doubt
	return c.bye(CodeProtocol, "page %d answered with the unknown %v", t.n, c.sig.fcf)
}

// result is how page n fared.
func (t *sender) result() PageResult {
	return PageResult{Poor: t.poor, Retries: t.resends, Octets: t.octets, Seconds: time.Since(t.began).Seconds()}
}

// confirmed records page n and goes on as the command that was answered said.
func (c *call) confirmed() place {
	t := &c.tx
	if t.follow != FcfEOM || c.sig.fcf == FcfPIP {
		c.startQuiet(pauseCarrier) // the next page follows, or DCN
	}
	t.before = false
	if err := t.src.Confirmed(t.n, t.result()); err != nil {
		c.fault(err)
		return c.bye(CodeSource, "page %d was confirmed, which could not be recorded: %v", t.n, err)
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
	case t.follow == FcfEOP:
		return c.finished()
	case c.sig.fcf == FcfPIP:
		return c.bye(CodeInterrupted, "PIP: operator asked for")
	case t.follow == FcfEOM:
		return placeIdentify
	case poor:
		t.lower()
		return placeDCS
	case t.now.ECM:
		t.ecm.startPage()
		return placeBlock
	}
	return placePage
}

// pageOver makes the next page, or the next document's first, page n.
func (c *call) pageOver() {
	t := &c.tx
	t.poor, t.resends = false, 0
	t.n++
	t.total++
	c.closePage()
	if !t.last {
		return
	}
	code, text := t.outcome()
	c.endDocument(code, text)
	if t.next != nil {
		c.startDocument(t.next)
	}
}

// outcome is how a document ends whose pages are all through.
func (t *sender) outcome() (Code, string) {
	switch {
	case t.part.Refused == 0:
	case t.givenUp:
		return CodeECMGivenUp, fmt.Sprintf("%d of its pages given up or refused", t.part.Refused)
	default:
		return CodePageRefused, fmt.Sprintf("RTN to %d of its pages", t.part.Refused)
	}
	return CodeOK, ""
}

// finished ends the sending after EOP.
func (c *call) finished() place {
	if c.s.Poll != nil && c.caller && !c.rx.polled {
		return c.bye(CodeNothingToPoll, "far end has no document")
	}
	return c.bye(CodeOK, "")
}

// refused handles RTN (T.30 5.3.6.1.7). After MPS, and EOM inside a document, the page goes out again at a lower rate
// (Field: twice more at most). After EOP the call ends, after a document's last EOM phase B follows: T.24 has it so, and the
// next call sends the page again.
func (c *call) refused() place {
	t := &c.tx
	follow := t.follow
	if follow != FcfEOM {
		c.startQuiet(pauseBrisk)
	}
	if again := follow == FcfMPS || follow == FcfEOM && !t.last; again && t.resends < maxResends {
		t.resends++
		c.closePage()
		t.lower()
	} else if p, ok := c.refusedForGood(); !ok {
		return p
	}
	t.tries, t.trains = 0, 0
	if follow == FcfEOM {
		return placeIdentify
	}
	return placeDCS
}

// refusedForGood records that page n is not to be had across in this call, and makes the next one page n.
func (c *call) refusedForGood() (place, bool) {
	t := &c.tx
	n, times, follow := t.n, t.resends+1, t.follow
	stop, p, ok := c.recordRefusal()
	switch {
	case !ok:
		return p, false
	case stop, follow == FcfEOP:
		return c.bye(CodePageRefused, "RTN to page %d, %d times", n, times), false
	}
	if times == 1 { // after EOM: no lower rate was tried yet
		t.lower()
	}
	c.pageOver()
	return 0, true
}

// recordRefusal lets the source record that page n was refused; stop: it wants no more pages sent.
func (c *call) recordRefusal() (stop bool, p place, ok bool) {
	t := &c.tx
	err := t.src.Refused(t.n, t.result())
	if err != nil && !errors.Is(err, ErrStop) {
		c.fault(err)
		return false, c.bye(CodeSource, "page %d was refused, which could not be recorded: %v", t.n, err), false
	}
	c.rep.Refused++
	t.part.Refused++
	return err != nil, 0, true
}
