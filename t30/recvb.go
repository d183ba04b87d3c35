package t30

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	octets  int64     // given to w
	damaged bool      // w's page has holes (EOR)
	holes   int       // pages with holes
	lost    bool      // ECM: the block's carrier never came or was lost inside the block
	cut     bool      // the page's carrier was lost before its end
	failed  bool      // the page could not be stored
	endless bool      // the page has a line longer than T.4 allows
	ended   time.Time // when the page's carrier was gone
	goesOn  bool      // RTN or RTP to MPS: some senders send the next page without a new DCS
	refused int       // pages refused in a row (RTN)
	skipped int       // pages that were refused and did not come again
	trains  int       // trainings refused since the last that was good

	renew   time.Duration // the wait after a spoilt signal
	quiet   time.Time     // when the far end's signal was over; zero: ours was the last
	glance  bool          // a page is awaited: only what is for us ends the wait for frames
	early   bool          // c.sig came in place of the page and is to be answered
	blurred bool          // a signal was spoilt since the page ended

	cmd     FCF       // post-message command being answered
	answer  FCF       // our answer to it
	cmdEnd  time.Time // when the command had ended
	pending bool      // cmd was answered and no new page began since
	repeats int       // of answers, without anything new

	ecm   ecmReceive
	ahead chan error // delivers when the writer has made ready what was handed to it before the PPS; nil: it is free
	rest  [][]byte   // frames of a whole block that it has not yet
}

// close ends a page that the call's end cut off.
func (r *receiver) close(c *call) {
	if r.w == nil {
		return
	}
	v := Partial
	if err := r.joinAhead(); err != nil {
		c.fault(err)
	}
	switch {
	case r.octets == 0, c.rep.Code == CodePageLost && !r.set.ECM && r.w.Quality().Empty():
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
	return errors.Join(c.rx.joinAhead(), w.Finish(ctx, v))
}

// offer sends CSI and DIS until the caller answers, for T1 (T.30 5.4.3.1, chart connector R).
func (c *call) offer() place {
	c.x = false
	var frames []Frame
	if c.s.Me.ID != "" {
		frames = append(frames, NewFrame(FcfCSI, false, false, encodeIdent(c.s.Me.ID)...))
	}
	own := encodeDIS(c.own, c.s.Sink != nil, c.s.Send != nil && !c.tx.over && c.v34 == nil)
	frames = append(frames, NewFrame(FcfDIS, false, true, own...))
	deadline := time.Now().Add(timerT1Answer)
	for time.Now().Before(deadline) {
		if err := c.send(frames...); err != nil {
			return c.broken(err)
		}
		c.patience, c.rx.renew = 1, tcfPass // the training check of a spoilt DCS is not to be talked into
		err := c.await(timerT4, FcfDCS, FcfDTC, FcfCRP, FcfDIS)
		c.patience = 0
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
			return c.calledForDIS()
		}
		return placeSettings
	}
	return c.bye(CodeNoDocument, "no answer to DIS within T1")
}

// calledForDIS takes a caller's DIS in answer to ours for DTC, as far as there is a document that needs no password: the caller can
// receive and sends nothing.
func (c *call) calledForDIS() place {
	c.x = true
	switch {
	case c.s.Send == nil || c.tx.over:
		return c.bye(CodeNoDocument, "caller answered DIS with DIS")
	case c.s.NeedPassword != "":
		return c.bye(CodePassword, "caller answered DIS with DIS and gave no password")
	}
	c.tx.docs = c.s.Send
	return placeChoose
}

// judgeDCS takes a DCS over, or refuses it: DCN once its training check has passed by, since the sender hears nothing before.
func (c *call) judgeDCS() place {
	c.identified()
	set, ok := decodeDCS(c.sig.fif)
	if c.v34 != nil { // the DCS sets no rate (Table 2 note 33), and error correction is no choice (F.3)
		set.Modulation, set.ECM, ok = c.primary(set.Modulation), true, true
	}
	r := &c.rx
	switch {
	case c.s.Sink == nil:
		return c.refuse(set, CodeRefused, "nothing to receive into")
	case c.s.NeedPassword != "" && !r.polled && c.far.Password != c.s.NeedPassword:
		return c.refuse(set, CodePassword, "sender gave a wrong password")
	case !ok:
		return c.refuse(set, CodeIncompatible, "DCS names no rate: %x", c.sig.fif)
	case !c.own.offers(set):
		return c.refuse(set, CodeIncompatible, "DCS commands what our DIS did not offer: %v", set)
	}
	if r.w != nil && r.octets == 0 && set.Format != r.set.Format || r.octets > 0 {
		if p, ok := c.dropPage(); !ok {
			return p
		}
	}
	r.set = set
	r.pending, r.long, r.repeats, r.goesOn = false, false, 0, false
	r.ecm = ecmReceive{}
	c.rep.Modulation, c.rep.ECM, c.rep.Format = set.Modulation, set.ECM, set.Format
	return placeTCF
}

// offers tells whether a DCS keeps to the DIS made of c. The recording length is no matter, nor whether fine lines are
// counted in millimetres or inches: they come out as they are. A rate beyond ours is answered with FTT, so that the sender falls back.
func (c Capabilities) offers(s settings) bool {
	f := s.Format
	same := map[Resolution]Resolution{Fine: Res200, Res200: Fine, R16: Res400, Res400: R16}
	return (!s.ECM || c.ECM) &&
		c.Codings.Has(f.Coding) && (s.ECM || f.Coding == MH || f.Coding == MR) &&
		(c.Resolutions.Has(f.Resolution) || c.Resolutions.Has(same[f.Resolution])) &&
		(c.Widths.Has(f.Width) || f.Width == WidthB4 && c.Widths.Has(WidthA3))
}

// refuse lets the training check of a DCS pass and ends the call with DCN.
func (c *call) refuse(set settings, code Code, format string, args ...any) place {
	c.end(code, format, args...)
	err := c.passTCF(set.Modulation)
	switch {
	case err == nil, errors.Is(err, ErrTimeout), errors.Is(err, ErrCarrierLost), errors.Is(err, ErrV21):
		return placeDisconnect
	}
	return c.broken(err)
}

// passTCF waits until a training check has passed that nobody judges.
func (c *call) passTCF(m Modulation) error {
	if c.v34 != nil { // there is none
		return nil
	}
	if !c.own.Schemes.Has(m.Scheme) { // no carrier of our modem's
		return c.line.Silence(c.ctx, tcfPass)
	}
	err := c.line.ReceivePage(c.ctx, m, waitTCF, io.Discard)
	c.rx.quiet = time.Now()
	return err
}

// dropPage closes a page that a new DCS cut off. What came of it is kept until a better copy follows.
func (c *call) dropPage() (place, bool) {
	v := BadKept
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
	r.w, r.octets, r.damaged, r.lost, r.cut, r.endless = w, 0, false, false, false, false
	return 0, true
}

// tcf receives the training check and answers CFR or FTT (T.30 5.3.6.1.3, 5.3.6.1.4). In V.34 there is no check: CFR (F.3.2.1).
func (c *call) tcf() place {
	r := &c.rx
	if c.v34 != nil {
		return c.ready()
	}
	m := r.set.Modulation
	var check tcfCheck
	var err error
	offered := c.own.Schemes.Has(m.Scheme) && m.Rate <= c.own.MaxRate
	if offered {
		err = c.line.ReceivePage(c.ctx, m, waitTCF, &check)
	} else {
		err = c.passTCF(m)
	}
	c.spoken, r.quiet = true, time.Now()
	switch {
	case errors.Is(err, ErrV21):
		return placeAwaitDCS
	case err == nil, errors.Is(err, ErrTimeout), errors.Is(err, ErrCarrierLost):
	default:
		return c.broken(err)
	}
	c.trace(LayerImage, In, "TCF: %v", &check)
	if !offered || !check.good(m.Rate) {
		if r.trains++; r.trains > maxFTT {
			return c.bye(CodeTraining, "training failed %d times", r.trains)
		}
		if err := c.reply(FcfFTT); err != nil {
			return c.broken(err)
		}
		return placeAwaitDCS
	}
	r.trains = 0
	return c.ready()
}

// ready answers CFR and goes on with the page.
func (c *call) ready() place {
	if p, ok := c.beginPage(); !ok {
		return p
	}
	if err := c.reply(FcfCFR); err != nil {
		return c.broken(err)
	}
	if c.rx.set.ECM {
		return placeReceiveBlock
	}
	return placeReceive
}

// awaitDCS waits for a new DCS (chart connector F). The sender may not have heard our FTT, RTP or RTN, or may go on with the
// next page in spite of it.
func (c *call) awaitDCS() place {
	r := &c.rx
	if r.goesOn {
		r.goesOn = false
		if p, ok := c.hearPage(); ok {
			if r.octets > 0 && r.answer == FcfRTN {
				r.skipped++ // the next page, not the refused one
			}
			return p
		}
	}
	err := c.awaitEarly(timerT2, append([]FCF{FcfDTC}, afterPage...)...)
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
