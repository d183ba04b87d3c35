package t30

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// receiver is what a call knows of the pages that it takes.
type receiver struct {
	set     settings
	long    bool // the next page carrier trains long (after CTC)
	polled  bool // we asked with DTC
	onLine  bool // a page was on the line
	w       PageWriter
	octets  int64 // given to w
	damaged bool  // w's page has holes (EOR)
	holes   int   // pages with holes
	lost    bool  // ECM: the block's carrier never came or was lost inside the block
	cut     bool  // the page's carrier was lost before its end

	cmd     FCF       // post-message command being answered
	answer  FCF       // our answer to it
	cmdEnd  time.Time // when the command had ended
	pending bool      // cmd was answered and no new page began since
	repeats int       // of answers, without anything new

	ecm ecmReceive
}

// close ends a page that the call's end cut off.
func (r *receiver) close(c *call) {
	if r.w == nil {
		return
	}
	v := Partial
	switch {
	case r.octets == 0, c.rep.Code == CodePageLost && !r.set.ECM && r.w.Quality().empty():
		v = Discard
	case r.damaged:
		v = BadKept
	}
	// The page is kept even when the call was canceled.
	if err := c.finish(context.WithoutCancel(c.ctx), v); err != nil {
		c.fault(err)
	}
}

// finish ends the open page.
func (c *call) finish(ctx context.Context, v Verdict) error {
	w := c.rx.w
	c.rx.w = nil
	return w.Finish(ctx, v)
}

// offer sends CSI and DIS until the caller answers, for T1 (T.30 5.4.3.1, chart connector R).
func (c *call) offer() place {
	c.x = false
	var frames []Frame
	if c.s.Me.ID != "" {
		frames = append(frames, NewFrame(FcfCSI, false, false, encodeIdent(c.s.Me.ID)...))
	}
	own := encodeDIS(c.own, c.s.Sink != nil, c.s.Send != nil && !c.tx.over)
	frames = append(frames, NewFrame(FcfDIS, false, true, own...))
	deadline := time.Now().Add(timerT1Answer)
	for time.Now().Before(deadline) {
		if err := c.send(frames...); err != nil {
			return c.broken(err)
		}
		err := c.await(timerT4, FcfDCS, FcfDTC, FcfCRP, FcfDIS)
		switch {
		case errors.Is(err, ErrTimeout), err == nil && c.sig.fcf == FcfCRP:
			continue
		case err != nil:
			return c.broken(err)
		case c.sig.fcf == FcfDCN:
			return c.farDCN(c.quit())
		case c.sig.fcf == FcfDTC:
			c.tx.docs = c.s.Send
			return placeChoose
		case c.sig.fcf == FcfDIS:
			c.x = true
			return c.bye(CodeNoDocument, "caller answered DIS with DIS")
		}
		return placeSettings
	}
	return c.bye(CodeNoDocument, "no answer to DIS within T1")
}

// judgeDCS takes a DCS over.
func (c *call) judgeDCS() place {
	set, ok := decodeDCS(c.sig.fif)
	r := &c.rx
	switch {
	case c.s.Sink == nil:
		return c.bye(CodeRefused, "nothing to receive into")
	case c.s.NeedPassword != "" && !r.polled && c.far.Password != c.s.NeedPassword:
		return c.bye(CodePassword, "sender gave a wrong password")
	case !ok, set.ECM && !c.own.ECM, !c.own.Codings.Has(set.Format.Coding):
		return c.bye(CodeIncompatible, "DCS commands what our DIS did not offer: %v", set)
	}
	if r.w != nil && r.octets == 0 && set.Format != r.set.Format || r.octets > 0 {
		if p, ok := c.dropPage(); !ok {
			return p
		}
	}
	r.set = set
	r.pending, r.long, r.repeats = false, false, 0
	r.ecm = ecmReceive{}
	c.rep.Modulation, c.rep.ECM, c.rep.Format = set.Modulation, set.ECM, set.Format
	return placeTCF
}

// dropPage closes a page that a new DCS cut off.
func (c *call) dropPage() (place, bool) {
	v := Partial
	if c.rx.octets == 0 {
		v = Discard
	}
	if c.rx.w == nil {
		return 0, true
	}
	if err := c.finish(c.ctx, v); err != nil {
		return c.sinkFailed(err), false
	}
	c.rx.octets = 0
	return 0, true
}

// sinkFailed ends the call since a page cannot be stored: no confirmation, DCN.
func (c *call) sinkFailed(err error) place {
	if c.ctx.Err() != nil {
		return c.broken(err)
	}
	c.fault(err)
	return c.bye(CodeSink, "%v", err)
}

// beginPage opens the writer for the next page, unless one is open and empty.
func (c *call) beginPage() (place, bool) {
	r := &c.rx
	if r.w != nil {
		return 0, true
	}
	w, err := c.s.Sink.BeginPage(c.ctx, c.far, r.set.Format)
	if err != nil {
		return c.sinkFailed(err), false
	}
	r.w, r.octets, r.damaged, r.lost, r.cut = w, 0, false, false, false
	return 0, true
}

// tcf receives the training check and answers CFR or FTT (T.30 5.3.6.1.3, 5.3.6.1.4).
func (c *call) tcf() place {
	r := &c.rx
	var check tcfCheck
	err := c.line.ReceivePage(c.ctx, r.set.Modulation, waitTCF, &check)
	c.spoken = true
	switch {
	case errors.Is(err, ErrV21):
		return placeAwaitDCS
	case err == nil, errors.Is(err, ErrTimeout), errors.Is(err, ErrCarrierLost):
	default:
		return c.broken(err)
	}
	good := check.good(r.set.Modulation.Rate)
	if r.set.Modulation.Rate > c.own.MaxRate {
		good = false
	}
	c.trace(LayerImage, In, "TCF: %v", &check)
	if !good {
		if err := c.reply(FcfFTT); err != nil {
			return c.broken(err)
		}
		return placeAwaitDCS
	}
	if p, ok := c.beginPage(); !ok {
		return p
	}
	if err := c.reply(FcfCFR); err != nil {
		return c.broken(err)
	}
	if r.set.ECM {
		return placeReceiveBlock
	}
	return placeReceive
}

// awaitDCS waits for a new DCS (chart connector F). The sender may not have heard our FTT, RTP or RTN.
func (c *call) awaitDCS() place {
	r := &c.rx
	err := c.awaitCommand(timerT2, FcfDCS, FcfMPS, FcfEOM, FcfEOP, FcfPRM, FcfPRE, FcfPRP, FcfDTC, FcfCRP)
	switch {
	case errors.Is(err, ErrTimeout):
		code := CodeNoDocument
		if c.rep.Received > 0 || r.onLine {
			code = CodePageLost
		}
		c.end(code, "no DCS within T2")
		return placeEnd
	case err != nil:
		return c.broken(err)
	case c.sig.fcf == FcfDCN:
		return c.farDCN(c.quit())
	case c.sig.fcf == FcfDCS:
		return placeSettings
	case c.sig.fcf == FcfCRP:
		return c.again(c.sent.FCF(), placeAwaitDCS)
	}
	if cmd, ok := isPost(c.sig.fcf); ok && r.pending && cmd == r.cmd {
		return c.again(r.answer, placeAwaitDCS)
	}
	return c.bye(CodeProtocol, "%v in place of DCS", c.sig.fcf)
}

// tcfCheck judges a training check: the zeros of T.30 5.3.6.1.3.
type tcfCheck struct {
	octets, nonZero int
	run, longest    int // bits
}

func (t *tcfCheck) Write(p []byte) (int, error) {
	for _, b := range p {
		t.octets++
		if b == 0 {
			t.run += 8
			continue
		}
		t.nonZero++
		t.run += bits.TrailingZeros8(b)
		t.longest = max(t.longest, t.run)
		t.run = bits.LeadingZeros8(b)
	}
	t.longest = max(t.longest, t.run)
	return len(p), nil
}

// good: zeros for 1.5 s less T.30's 10 %, or (Field: carriers that end in noise) at most a tenth of the octets not
// zero and 1 s of zeros in a row.
func (t *tcfCheck) good(rate int) bool {
	return t.longest >= rate*27/20 || t.nonZero*10 <= t.octets && t.longest >= rate
}

func (t *tcfCheck) String() string {
	return fmt.Sprintf("%d octets, %d not zero, longest run %d bits", t.octets, t.nonZero, t.longest)
}
