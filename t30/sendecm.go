package t30

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// ecmSend is the sender's side of one block (T.30 A.3, A.4).
type ecmSend struct {
	data  [][]byte // its frames, nil: to be read
	want  []bool   // frames to send next
	burst int      // frames in the last transmission
	block int      // number within the page
	more  bool     // blocks follow in this page
	ppr   int      // PPR received for this block at this rate
}

// startPage begins a page, also one that is sent again.
func (e *ecmSend) startPage() { *e = ecmSend{} }

// block sends the frames of the block that are wanted (T.30 A.3.3).
func (c *call) block() place {
	t := &c.tx
	e := &t.ecm
	c.startQuiet(pauseCarrier)
	if e.data == nil {
		if p, ok := c.readBlock(); !ok {
			return p
		}
	}
	var frames []Frame
	for i, d := range e.data {
		if e.want[i] {
			frames = append(frames, NewFrame(FcfFCD, false, false, append([]byte{byte(i)}, d...)...))
		}
	}
	e.burst = len(frames)
	rcp := NewFrame(FcfRCP, false, false)
	frames = append(frames, rcp, rcp, rcp)
	if err := c.quiet(pauseCarrier); err != nil {
		return c.broken(err)
	}
	t.onLine = true
	t.now.Modulation = c.primary(t.now.Modulation)
	c.rep.Modulation = t.carrier()
	if err := c.line.SendBlock(c.ctx, t.carrier(), frames); err != nil {
		return c.broken(err)
	}
	t.long = false
	t.carried().sent++
	c.trace(LayerImage, Out, "page %d block %d: %d frames", t.n, e.block, e.burst)
	return placePartial
}

// readBlock reads the next block of page n. The last frame is filled up with zeros (T.30 A.3.6.1; Field: some
// receivers take no short ones).
func (c *call) readBlock() (place, bool) {
	t := &c.tx
	e := &t.ecm
	if e.block == 0 {
		if p, ok := c.prepare(c.pageLimit(t.n, t.now.Modulation.Rate)); !ok {
			return p, false
		}
		t.began, t.octets = time.Now(), 0
	}
	size := t.now.frameSize()
	buf := make([]byte, framesPerBlock*size)
	n, err := io.ReadFull(t.rd, buf)
	if err == nil {
		_, err = t.rd.Peek(1)
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		if c.ctx.Err() != nil {
			return c.broken(err), false
		}
		c.fault(err)
		return c.bye(CodeSource, "page %d: %v", t.n, err), false
	}
	e.more = err == nil
	t.octets += int64(n)
	count := max(1, (n+size-1)/size)
	e.data, e.want = make([][]byte, count), make([]bool, count)
	for i := range count {
		e.data[i], e.want[i] = buf[i*size:(i+1)*size], true
	}
	e.ppr = 0
	return 0, true
}

// partial sends PPS and waits for its answer (T.30 A.4.3, A.4.4).
func (c *call) partial() place {
	t := &c.tx
	e := &t.ecm
	c.startQuiet(pauseBrisk)
	second := FcfNULL
	if !e.more {
		if p, ok := c.settleFollow(); !ok {
			return p
		}
		if p, ok := c.tellSent(); !ok {
			return p
		}
		second = t.follow
	}
	fif := []byte{second.octet(c.x), byte(t.total), byte(e.block), byte(e.burst - 1)}
	for try := 1; try <= maxTries; try++ {
		t.doubt = t.last && !e.more
		if err := c.reply(FcfPPS, fif...); err != nil {
			return c.broken(err)
		}
		err := c.await(timerT4Sender, partialAnswers...)
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
			t.doubt = t.doubt && try > 1
			return c.farDCN(CodeDCNAfterPage)
		case c.sig.fcf == FcfRNR:
			t.doubt = false
			return placeNotReady
		}
		return c.partialAnswer()
	}
	return c.bye(CodeNoReplyPage, "no answer to PPS-%v, %d times", second, maxTries)
}

// partialAnswers are what may come in answer to PPS and RR: T.30 A.4.4, and those of a page without ECM.
var partialAnswers = append([]FCF{FcfPPR, FcfRNR}, postAnswers...)

// partialAnswer goes on after MCF, PPR and the answers of a page without ECM.
func (c *call) partialAnswer() place {
	t := &c.tx
	e := &t.ecm
	if c.sig.fcf == FcfPPR {
		t.doubt = false
		return c.requested()
	}
	t.carried().got = true
	if !e.more {
		return c.postAnswer()
	}
	switch c.sig.fcf {
	case FcfMCF, FcfRTP: // Field: RTP for a block is as good as MCF; it says nothing of the page
		e.data = nil
		e.block++
		return placeBlock
	case FcfRTN:
		if p, ok := c.settleFollow(); !ok {
			return p
		}
		if p, ok := c.tellSent(); !ok {
			return p
		}
		return placeRefused
	case FcfPIP, FcfPIN:
		return c.bye(CodeInterrupted, "%v inside page %d", c.sig.fcf, t.n)
	}
	return c.bye(CodeProtocol, "page %d block %d answered with the unknown %v", t.n, e.block, c.sig.fcf)
}

// requested takes a PPR: a 1 bit asks for the frame (T.30 A.4.4).
func (c *call) requested() place {
	t := &c.tx
	e := &t.ecm
	missing, through := 0, false // some frame of this transmission arrived
	for i, sent := range e.want {
		e.want[i] = i/8 < len(c.sig.fif) && c.sig.fif[i/8]>>(i%8)&1 != 0
		if e.want[i] {
			missing++
		} else if sent {
			through = true
		}
	}
	t.carried().got = t.carried().got || through
	if missing == 0 { // a PPR that asks for nothing of ours: the last frame serves
		e.want[len(e.want)-1] = true
		missing = 1
	}
	c.trace(LayerImage, Note, "page %d block %d: %d of %d frames to send again", t.n, e.block, missing, len(e.want))
	if e.ppr++; e.ppr < maxPPR {
		c.slowerV34(missing)
		return placeBlock
	}
	if t.lower() {
		return placeContinue
	}
	return placeGiveUp
}

// notReady asks with RR until the receiver is ready, for T5 at most (T.30 A.5.4.1).
func (c *call) notReady() place {
	t := &c.tx
	deadline := time.Now().Add(timerT5)
	for lost := 0; lost < maxTries; {
		if time.Now().After(deadline) {
			return c.bye(CodeReceiverBusy, "RNR for longer than T5")
		}
		t.doubt = t.last && !t.ecm.more
		if err := c.reply(FcfRR); err != nil {
			return c.broken(err)
		}
		err := c.await(timerT4Sender, partialAnswers...)
		switch {
		case c.unanswered(err):
			lost++
			continue
		case err != nil:
			return c.broken(err)
		case c.beganAnew() && lost == 0:
			lost++
			continue
		case c.beganAnew():
			return c.restarted()
		case c.sig.fcf == FcfDCN:
			return c.farDCN(CodeDCNAfterPage)
		case c.sig.fcf == FcfRNR:
			lost, t.doubt = 0, false
			continue
		}
		return c.partialAnswer()
	}
	return c.bye(CodeNoReplyPage, "no answer to RR, %d times", maxTries)
}

// continueToCorrect goes on at the lower rate now set (T.30 A.4.1 CTC, A.4.2 CTR).
func (c *call) continueToCorrect() place {
	t := &c.tx
	t.now.Modulation = t.modulation()
	for range maxTries {
		if err := c.reply(FcfCTC, 0, rateBitsOf(t.now.Modulation)<<2); err != nil {
			return c.broken(err)
		}
		err := c.await(timerT4Sender, FcfCTR, FcfCRP)
		switch {
		case c.unanswered(err):
			continue
		case err != nil:
			return c.broken(err)
		case c.sig.fcf == FcfDCN:
			return c.farDCN(CodeECMGivenUp)
		}
		t.ecm.ppr, t.long = 0, true
		return placeBlock
	}
	return c.bye(CodeECMGivenUp, "no answer to CTC, %d times", maxTries)
}

// giveUp ends the correction of a block (T.30 A.4.3): EOR, and RR for as long as the receiver is not ready. With a page's last block the
// call goes on after it, once; inside a page EOR-EOP ends it, since a page with holes is no page sent.
func (c *call) giveUp() place {
	t := &c.tx
	second := t.follow
	if t.ecm.more || t.givenUp {
		second = FcfEOP
	}
	eor := NewFrame(FcfEOR, c.x, true, second.octet(c.x))
	cmd, deadline := eor, time.Now().Add(timerT5)
	for lost := 0; lost < maxTries && time.Now().Before(deadline); {
		if err := c.send(cmd); err != nil {
			return c.broken(err)
		}
		err := c.await(timerT4Sender, FcfERR, FcfMCF, FcfRNR, FcfCRP)
		switch {
		case c.unanswered(err):
			lost++
		case err != nil:
			return c.broken(err)
		case c.sig.fcf == FcfDCN:
			return c.farDCN(CodeECMGivenUp)
		case c.sig.fcf == FcfRNR:
			cmd, lost = NewFrame(FcfRR, c.x, true), 0
		default:
			return c.afterGivenUp(second)
		}
	}
	return c.bye(CodeECMGivenUp, "page %d block %d: no answer to EOR", t.n, t.ecm.block)
}

// afterGivenUp is after the answer to EOR: the page counts as refused.
func (c *call) afterGivenUp(second FCF) place {
	t := &c.tx
	text := fmt.Sprintf("page %d block %d: %d PPR at %v", t.n, t.ecm.block, t.ecm.ppr, t.now.Modulation)
	if t.ecm.more { // it was not sent whole
		return c.bye(CodeECMGivenUp, "%s", text)
	}
	stop, p, ok := c.recordRefusal()
	switch {
	case !ok:
		return p
	case stop, second == FcfEOP:
		return c.bye(CodeECMGivenUp, "%s", text)
	}
	t.givenUp = true
	c.pageOver()
	if second == FcfEOM {
		return placeIdentify
	}
	t.ecm.startPage()
	return placeBlock
}
