package class2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

// receiver is what a call knows of the pages that it takes.
type receiver struct {
	asked   bool // we poll
	onLine  bool // a page was on the line
	w       t30.PageWriter
	format  t30.PageFormat // of w
	octets  int64          // given to w
	answer  status         // to the last page
	post    post           // what followed it
	done    bool           // a page was answered
	again   int            // +FDR answered with OK and nothing else, in a row
	refused int            // pages refused in a row (RTN)
	skipped int            // pages that were refused and did not come again
}

// maxAgain bounds +FDR in a row without a page.
const maxAgain = 3

// close ends a page that the call's end cut off.
func (r *receiver) close(c *call) {
	if r.w == nil {
		return
	}
	v := t30.Partial
	if r.octets == 0 || c.rep.Code == t30.CodePageLost && c.dcs[pEC] == 0 && r.w.Quality().Empty() {
		v = t30.Discard
	}
	// The page is kept even when the call was canceled.
	if err := c.finish(context.WithoutCancel(c.ctx), v); err != nil {
		c.fault(err)
	}
}

// finish ends the open page.
func (c *call) finish(ctx context.Context, v t30.Verdict) error {
	w := c.rx.w
	c.rx.w = nil
	return w.Finish(ctx, v)
}

// answered waits for what the caller wants (T.30 phase B).
func (c *call) answered() step {
	l, err := c.result(phaseBWait)
	switch {
	case errors.Is(err, at.ErrNoReply):
		return c.bye(t30.CodeNoDocument, "no DCS")
	case err != nil:
		return c.broken(err)
	case c.hung != nil || l.Code != at.OK:
		return c.refusedBy("phase B", l)
	case c.polled:
		return c.beSent
	}
	return c.receive
}

// beSent hands out what the far end polls.
func (c *call) beSent() step {
	c.tx.docs = c.s.Send
	return c.choose
}

// ask polls the far end (T.30 5.3.6.1.2: DTC).
func (c *call) ask() step {
	c.rx.asked = true
	switch {
	case c.s.Poll.Selective != "" && !c.m.selective:
		return c.bye(t30.CodeNothingToPoll, "our modem has no selective polling")
	case c.s.Sink == nil:
		return c.bye(t30.CodeRefused, "nothing to receive into")
	}
	return c.fetch
}

// receive is for a sender that called us.
func (c *call) receive() step {
	switch {
	case c.s.Sink == nil:
		return c.bye(t30.CodeRefused, "nothing to receive into")
	case c.s.NeedPassword != "" && c.far.Password != c.s.NeedPassword:
		return c.bye(t30.CodePassword, "sender gave a wrong password, or our modem cannot tell it")
	}
	return c.fetch
}

// fetch releases what is held back, the answer to the last page or to the training, and waits for the next page (+FDR).
func (c *call) fetch() step {
	r := &c.rx
	c.sending = false
	if c.dcs != (params{}) && (!r.done || r.post == postMPS || !r.answer.taken()) { // a page comes, as far as is known
		if next, ok := c.beginPage(); !ok {
			return next
		}
	}
	c.newDCS, c.polled = false, false
	l, err := c.command("AT+FDR", startWait)
	switch {
	case errors.Is(err, at.ErrNoReply):
		return c.bye(t30.CodePageLost, "no CONNECT in answer to +FDR")
	case errors.Is(err, errHung) || err == nil && c.hung != nil:
		return c.receptionOver()
	case err != nil:
		return c.broken(err)
	case l.Code == at.Connect:
		r.again = 0
		return c.takePage
	case l.Code == at.OK && c.polled:
		return c.beSent
	case l.Code == at.OK && r.again < maxAgain: // Field: PPI says OK between documents
		r.again++
		return c.fetch
	}
	if r.done && l.Code == at.NoCarrier {
		return c.receptionOver()
	}
	return c.refusedBy("AT+FDR", l)
}

// receptionOver judges the end of a call by the modem, after the release of the last page's answer or inside the call.
func (c *call) receptionOver() step {
	r := &c.rx
	if c.hung != nil && c.hung.fault {
		return c.hungUp()
	}
	if r.done && r.answer.taken() && r.post != postMPS {
		return c.received()
	}
	if !r.done {
		return c.hungUp()
	}
	switch h := c.hung; {
	case h == nil || h.code == t30.CodeOK:
		return c.bye(t30.CodeDCNAfterPage, "the far end hung up")
	case h.code == t30.CodeNoPostMessage || h.code == t30.CodeDCNInB: // the command did come: it was answered
		return c.bye(t30.CodeDCNAfterPage, "the far end hung up (%s)", h.text)
	}
	return c.hungUp()
}

// received is the outcome of a call in which all announced pages came.
func (c *call) received() step {
	if c.rx.skipped > 0 {
		return c.bye(t30.CodePageRefused, "%d pages were refused and did not come again", c.rx.skipped)
	}
	return c.bye(t30.CodeOK, "")
}

// beginPage opens the writer for the next page in the format of the DCS, if one came. It is called before the modem confirms the
// training, and again when another DCS came since.
func (c *call) beginPage() (step, bool) {
	r := &c.rx
	f := c.d.pageFormat(c.dcs)
	if r.w != nil && r.format == f {
		return nil, true
	}
	if r.w != nil {
		if err := c.finish(c.ctx, t30.Discard); err != nil {
			return c.sinkFailed(err), false
		}
	}
	w, err := c.s.Sink.BeginPage(c.ctx, c.far, f)
	if err != nil {
		return c.sinkFailed(err), false
	}
	r.w, r.format, r.octets = w, f, 0
	return nil, true
}

// sinkFailed ends the call since a page cannot be stored: it is not confirmed.
func (c *call) sinkFailed(err error) step {
	if c.ctx.Err() != nil {
		return c.broken(err)
	}
	c.fault(err)
	return c.bye(t30.CodeSink, "%v", err)
}

// takePage takes one page's data and the command behind it.
func (c *call) takePage() step {
	r := &c.rx
	c.state = inReceiving
	if !c.newDCS && r.done && r.answer == statusRTN {
		r.skipped++ // the next page, not the refused one
	}
	if next, ok := c.beginPage(); !ok {
		return next
	}
	c.rep.Modulation, c.rep.ECM, c.rep.Format = modulation(c.dcs[pBR]), c.dcs[pEC] > 0, r.format
	c.status, c.newPost, r.done = statusNone, false, false
	began, octets := time.Now(), r.octets
	if err := c.m.ch.Control(c.ctx, c.q.trigger(c.d)); err != nil {
		return c.broken(err)
	}
	var bad *sinkError
	switch err := c.readPage(); {
	case errors.As(err, &bad):
		return c.sinkFailed(bad.err)
	case errors.Is(err, at.ErrNoReply):
		return c.bye(t30.CodePageLost, "the modem delivers no more of the page")
	case err != nil:
		return c.broken(err)
	}
	r.onLine = r.onLine || r.octets > 0
	c.trace(t30.LayerImage, t30.In, "page: %d octets in %.1f s", r.octets-octets, time.Since(began).Seconds())
	l, err := c.result(c.patience(commandEnd))
	switch {
	case errors.Is(err, at.ErrNoReply):
		return c.bye(t30.CodeNoPostMessage, "no command after the page")
	case err != nil:
		return c.broken(err)
	case c.hung != nil || l.Code != at.OK && l.Code != at.Error: // 2.0: ERROR for a page that it calls bad
		return c.refusedBy("after the page", l)
	case !c.newPost:
		return c.bye(t30.CodeNoPostMessage, "no command after the page (%s)", l.Text)
	}
	c.trace(t30.LayerFrame, t30.In, "%v", c.post)
	if c.post == postNull {
		if err := r.w.Sync(c.ctx); err != nil {
			return c.sinkFailed(err)
		}
		return c.fetch
	}
	return c.judgePage
}

// sinkError is an error of the page's writer.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return e.err.Error() }
func (e *sinkError) Unwrap() error { return e.err }

// readPage takes data up to <DLE><ETX>.
func (c *call) readPage() error {
	r := &c.rx
	dec := at.Decoder{KeepUnknown: c.q.BareDLE}
	buf := make([]byte, 4096)
	reversed := c.q.reversed(c.d)
	wait := c.patience(firstWait)
	for {
		n, mark, err := c.m.ch.ReadData(c.ctx, &dec, buf, wait)
		if err != nil {
			return err
		}
		wait = c.patience(dataGap)
		if reversed {
			reverse(buf[:n])
		}
		if n > 0 {
			r.octets += int64(n)
			if _, err := writeAll(r.w, buf[:n]); err != nil {
				return &sinkError{err}
			}
		}
		if mark == at.End {
			return nil
		}
	}
}

func writeAll(w io.Writer, p []byte) (int, error) {
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// reverse turns the bits of each octet round.
func reverse(p []byte) {
	for i, b := range p {
		p[i] = bits.Reverse8(b)
	}
}

// judgePage decides about the page, tells the modem what to answer, makes the page durable and only then goes on to +FDR, which lets
// the answer go.
func (c *call) judgePage() step {
	r := &c.rx
	ecm := c.dcs[pEC] > 0
	if r.octets == 0 || !ecm && r.w.Quality().Empty() {
		return c.bye(t30.CodePageLost, "%v, but no line was in %d octets", c.post, r.octets)
	}
	v := t30.Good
	switch {
	case c.q.TrustQuality && c.status == statusRTP:
		v = t30.Poor
	case c.q.TrustQuality && !c.status.taken():
		v = t30.BadKept
	case !ecm && !c.q.TrustQuality:
		v = r.w.Quality().Verdict(r.format.Resolution)
	}
	v, err := c.setStatus(v)
	if err == nil {
		err = c.ctx.Err()
	}
	if err != nil {
		return c.broken(err)
	}
	if err := c.finish(c.ctx, v); err != nil {
		return c.sinkFailed(err)
	}
	r.octets, r.answer, r.post, r.done = 0, statusOf(v), c.post, true
	if v != t30.BadKept {
		c.rep.Received++
		r.refused = 0
	} else if r.refused++; r.refused > t30.MaxRefused {
		return c.bye(t30.CodePageRefused, "%d pages in a row were unreadable", r.refused)
	} else if c.status.taken() {
		return c.bye(t30.CodePageRefused, "an unreadable page, which the modem would confirm")
	}
	c.trace(t30.LayerFrame, t30.Out, "%v", r.answer)
	return c.fetch
}

// setStatus has the modem answer the page by our verdict. If it does not let itself be told, its own status goes out: a page that it
// refuses will come again; one that is bad and would be confirmed is not to be left so (c.status then stays a good one).
func (c *call) setStatus(v t30.Verdict) (t30.Verdict, error) {
	want := statusOf(v)
	if c.status == want {
		return v, nil
	}
	l, err := c.command(fmt.Sprintf("AT%s=%d", c.d.status, want), setWait)
	switch {
	case err != nil:
		return v, err
	case l.Code == at.OK:
		c.status = want
	case c.status == statusRTN || c.status == statusPIN:
		v = t30.BadKept
	}
	return v, nil
}
