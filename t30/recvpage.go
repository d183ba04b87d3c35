package t30

import (
	"errors"
	"slices"
	"time"
)

// Limits of a page without ECM. Beyond them it is confirmed as poor (RTP) or refused (RTN). T.30 leaves them open; these are the
// field's: a twentieth of the lines, or 1.3 mm of paper in a row, is what users are not to be left with.
const (
	poorPercent = 2 // bad lines, of all
	badPercent  = 5 // bad lines, of all
	poorRun     = 3 // bad lines in a row at 3.85 line/mm
	badRun      = 5 // bad lines in a row at 3.85 line/mm
)

// empty tells that nothing was decoded, good or bad: such a page is neither confirmed nor refused. Field: after RTN some
// senders go on with the next page; of this one nothing would be left, and nobody would know. DCN makes them send it again.
func (q Quality) empty() bool { return q.Lines == 0 && q.BadLines == 0 }

// verdict judges a page without ECM at a resolution.
func (q Quality) verdict(r Resolution) Verdict {
	_, dpi := r.DPI()
	scale := max(1, (dpi+49)/98) // lines for one at 3.85 line/mm
	switch {
	case q.Lines == 0, q.BadLines*100 > q.Lines*badPercent, q.LongestBad > badRun*scale:
		return BadKept
	case q.BadLines*100 > q.Lines*poorPercent, q.LongestBad > poorRun*scale:
		return Poor
	}
	return Good
}

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
	if p, ok := c.hearPage(placeReceive); ok {
		return p
	}
	return placeCommand
}

// hearPage listens for a page's carrier, for T2. ok: there was one, or the call ends, and next follows; else a V.21
// signal may have come in its place.
func (c *call) hearPage(from place) (next place, ok bool) {
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
			if from == placeAwaitDCS && r.answer == FcfRTN {
				r.skipped++
			}
			r.onLine, r.pending = true, false
			c.trace(LayerImage, In, "page: %d octets in %.1f s", r.octets, time.Since(began).Seconds())
		}
		return placeCommand, from == placeReceive || r.octets > 0
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

// lineQuiet tells whether it is certain that nothing is on the line: then T2 ends the call. A carrier that never trained has to be waited out.
func (c *call) lineQuiet() bool {
	l, ok := c.line.Line.(Listener)
	if !ok {
		return false
	}
	quiet, err := l.Quiet(c.ctx)
	return err == nil && quiet
}

// afterPage are the signals that may follow a page, or come in its place.
var afterPage = []FCF{FcfMPS, FcfEOM, FcfEOP, FcfPRM, FcfPRE, FcfPRP, FcfDCS, FcfCRP}

// untilV21 listens for a carrier, for T2. A V.21 signal in its place ends that only if it is for us: it is then in c.sig,
// and early is set. An echo of ours, a spoilt frame or noise that the modem took for V.21 does not: the carrier may begin
// right after it. want are the signals for us.
func (c *call) untilV21(listen func(wait time.Duration) error, want []FCF) error {
	deadline := time.Now().Add(waitCarrier)
	for spoilt := 0; ; {
		began := time.Now()
		err := listen(max(0, time.Until(deadline)))
		c.spoken, c.rx.quiet = true, time.Now()
		if !errors.Is(err, ErrV21) {
			return err
		}
		got, bad, err := c.glanceAtV21(want)
		if err != nil || got {
			return errOr(err, ErrV21)
		}
		if bad && spoilt < maxTries-1 { // the sender is there and will repeat it
			spoilt++
			deadline = time.Now().Add(timerT2)
		}
		if time.Now().After(deadline) {
			return ErrTimeout
		}
		if err := c.slow(began); err != nil {
			return err
		}
	}
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// glanceAtV21 reads the V.21 signal that is on the line now. got: it is one of want or DCN; bad: a frame of it was spoilt.
func (c *call) glanceAtV21(want []FCF) (got, bad bool, err error) {
	r := &c.rx
	r.glance, r.blurred = true, false
	deadline := time.Now().Add(glanceAt)
	err = c.receive(&deadline)
	r.glance = false
	switch {
	case err == nil && c.sig.fcf != FcfDCN && !slices.Contains(want, c.sig.fcf):
		c.trace(LayerFrame, Note, "%v makes no sense here", c.sig.fcf)
		return false, false, nil
	case err == nil:
		r.early = true
		return true, false, nil
	case errors.Is(err, ErrTimeout), errors.Is(err, errNothing):
		return false, r.blurred, nil
	}
	return false, false, err
}

// awaitEarly is awaitCommand, unless a signal that is wanted came early.
func (c *call) awaitEarly(wait time.Duration, want ...FCF) error {
	early := c.rx.early
	c.rx.early = false
	if early && (c.sig.fcf == FcfDCN || slices.Contains(want, c.sig.fcf)) {
		return nil
	}
	return c.awaitCommand(wait, want...)
}

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
	if q.empty() {
		return c.bye(CodePageLost, "%v, but no line was in %d octets", cmd, r.octets)
	}
	v := q.verdict(r.set.Format.Resolution)
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

// afterEOM waits T2 for a repeated command, then goes back to phase B (T.30 5.3.6.1.6).
func (c *call) afterEOM() place {
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
	return c.againIfSame(placeAfterEOM)
}

// afterEOP waits for DCN. The call is done whether it comes or not.
func (c *call) afterEOP() place {
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
	return c.againIfSame(placeAfterEOP)
}

// received is the outcome of a call in which all announced pages came.
func (c *call) received() {
	if c.rx.holes > 0 {
		c.end(CodeECMGivenUp, "%d pages have holes", c.rx.holes)
		return
	}
	if c.rx.skipped > 0 {
		c.end(CodePageRefused, "%d pages were refused and did not come again", c.rx.skipped)
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
		if stay == placeAfterEOP && errors.Is(err, ErrHungUp) { // it had our answer
			c.received()
		}
		return c.broken(err)
	}
	return stay
}

// againIfSame is again for the end of a document. A PPS or EOR gets its own answer again, not that of another: MCF would confirm a
// block that never came.
func (c *call) againIfSame(stay place) place {
	r := &c.rx
	same := true
	switch f := c.sig.fif; c.sig.fcf {
	case FcfEOR:
		same = r.answer == FcfERR
	case FcfPPS:
		same = r.answer == FcfMCF && r.ecm.done && len(f) >= 4 && r.ecm.ppsID == [3]byte{byte(fcfOf(f[0])), f[1], f[2]}
	}
	if same {
		return c.again(r.answer, stay)
	}
	if r.repeats++; r.repeats > maxRepeats {
		return c.bye(CodeProtocol, "%v of a block that never came", c.sig.fcf)
	}
	return stay
}
