package t30

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"io"
	"slices"
	"sync/atomic"
	"time"
)

// ecmReceive is the receiver's side of one block (T.30 A.3, A.4). It holds at most one block.
type ecmReceive struct {
	data   [framesPerBlock][]byte // frames received, nil: missing
	saved  int                    // frames from 0 on that the writer has
	top    int                    // one more than the highest frame number received
	count  int                    // frames in the block, as its PPS told
	rounds int                    // transmissions of this block

	done  bool    // a block was confirmed since the last DCS, and ppsID is its PPS
	ppsID [3]byte // second FCF, page and block counter
	sum   uint64  // of that block's data
	stuck bool    // Field: the sender's counters stand still, and do not tell a repeated PPS
}

// clear forgets the block's frames.
func (e *ecmReceive) clear() {
	e.data, e.saved, e.top, e.count, e.rounds = [framesPerBlock][]byte{}, 0, 0, 0, 0
}

// take keeps one frame of coded data. A frame longer than size octets is none of the block's.
func (e *ecmReceive) take(f Frame, size int) {
	if !f.Valid() || f.FCF() != FcfFCD || len(f.FIF()) < 1 || len(f.FIF())-1 > size {
		return
	}
	n := int(f.FIF()[0])
	e.data[n] = bytes.Clone(f.FIF()[1:])
	e.top = max(e.top, n+1)
}

// afterBlockCarrier are the signals that may follow a block, or come in its place.
var afterBlockCarrier = []FCF{FcfPPS, FcfEOR, FcfCTC, FcfRR, FcfDCS, FcfCRP}

// receiveBlock takes one transmission of a block (T.30 A.3).
func (c *call) receiveBlock() place {
	r := &c.rx
	if p, ok := c.beginPage(); !ok {
		return p
	}
	m := r.set.Modulation
	m.Short = m.Scheme == V17 && !r.long
	c.rep.Modulation = m
	size, frames := r.set.frameSize(), 0
	err := c.untilV21(func(wait time.Duration) error {
		return c.line.ReceiveBlock(c.ctx, m, wait, func(f Frame) {
			frames++
			r.ecm.take(f, size)
		})
	}, afterBlockCarrier)
	r.lost = false
	switch {
	case err == nil, errors.Is(err, ErrCarrierLost):
		r.onLine, r.long = true, false
		r.lost = err != nil // after a dropout the rest of the block may still be on the line
		c.trace(LayerImage, In, "block: %d frames", frames)
		if err == nil {
			c.storeAhead()
		}
	case errors.Is(err, ErrV21):
	case errors.Is(err, ErrTimeout):
		if c.lineQuiet() {
			c.end(CodePageLost, "no block within T2")
			return placeEnd
		}
		r.lost = true
		c.trace(LayerImage, In, "no carrier within T2")
	default:
		return c.broken(err)
	}
	return placePPS
}

// pps waits for the command after a block and answers all that needs no disk (T.30 A.4).
func (c *call) pps() place {
	r := &c.rx
	wait := timerT2
	if r.lost {
		wait = waitLost
	}
	err := c.awaitEarly(wait, afterBlockCarrier...)
	switch {
	case errors.Is(err, ErrTimeout):
		c.end(CodeNoPostMessage, "no PPS within T2 after the block")
		return placeEnd
	case err != nil:
		return c.broken(err)
	case c.sig.fcf == FcfDCN:
		return c.farDCN(c.quit())
	}
	if c.sig.fcf == FcfPPS && len(c.sig.fif) < 4 || c.sig.fcf == FcfEOR && len(c.sig.fif) < 1 {
		if r.repeats++; r.repeats > maxRepeats {
			return c.bye(CodeProtocol, "%v without its fields again and again", c.sig.fcf)
		}
		return placePPS
	}
	switch c.sig.fcf {
	case FcfDCS:
		return placeSettings
	case FcfCTC:
		return c.takeCTC()
	case FcfEOR:
		return c.takeEOR()
	case FcfPPS:
		return c.takePPS()
	}
	// RR or CRP: our answer was lost.
	return c.repeatECM()
}

// repeatECM sends the last answer again.
func (c *call) repeatECM() place {
	r := &c.rx
	if r.repeats++; r.repeats > maxRepeats {
		return c.bye(CodeProtocol, "%v again and again", c.sig.fcf)
	}
	if r.ecm.top > 0 && c.sent.FCF() == FcfMCF { // it was for the block before: now it would confirm this one, whose PPS comes again
		return placePPS
	}
	if err := c.send(c.sent); err != nil {
		return c.broken(err)
	}
	return placeReceiveBlock
}

// takePPS answers a partial page signal (T.30 A.4.3): frames missing, PPR; else the block is stored.
func (c *call) takePPS() place {
	r := &c.rx
	e := &r.ecm
	id := [3]byte{byte(fcfOf(c.sig.fif[0])), c.sig.fif[1], c.sig.fif[2]}
	if e.done && id == e.ppsID && e.top == 0 && (!e.stuck || c.repeated(r.cmd)) { // confirmed before: our MCF was lost
		return c.again(r.answer, afterBlock(r.cmd))
	}
	if e.rounds++; e.rounds > maxRounds {
		return c.bye(CodeECMGivenUp, "block still incomplete after %d transmissions", e.rounds)
	}
	e.count = max(e.count, int(c.sig.fif[3])+1, e.top) // a retransmission's own count is smaller
	count := e.count
	if req, missing := e.request(count); missing > 0 {
		c.trace(LayerImage, In, "page %d block %d: %d of %d frames missing", id[1], id[2], missing, count)
		if err := c.reply(FcfPPR, req...); err != nil {
			return c.broken(err)
		}
		return placeReceiveBlock
	}
	sum := e.checksum(count)
	if e.done && id == e.ppsID {
		if sum == e.sum && !e.stuck { // Field: our MCF was lost, and the whole block came again
			e.clear()
			return c.again(r.answer, afterBlock(r.cmd))
		}
		e.stuck = true
	}
	r.rest = slices.Clone(e.data[e.saved:count])
	e.clear()
	e.ppsID, e.done, e.sum = id, true, sum
	return placeStore
}

// storeAhead hands a block without a hole to the writer and lets it be made durable while its PPS is on the line: MCF then need
// not wait for the disk.
func (c *call) storeAhead() {
	r := &c.rx
	e := &r.ecm
	if e.top == e.saved || r.w == nil || r.ahead != nil || e.done && e.checksum(e.top) == e.sum {
		return
	}
	for _, d := range e.data[e.saved:e.top] {
		if d == nil {
			return
		}
	}
	frames := slices.Clone(e.data[e.saved:e.top])
	e.saved = e.top
	r.octets += octetsOf(frames)
	r.ahead = make(chan error, 1)
	go func(w PageWriter, done chan<- error) {
		err := writeFrames(w, frames)
		if err == nil {
			err = w.Sync(c.ctx)
		}
		done <- err
	}(r.w, r.ahead)
}

// joinAhead waits until the writer is free again after storeAhead.
func (r *receiver) joinAhead() error {
	if r.ahead == nil {
		return nil
	}
	err := <-r.ahead
	r.ahead = nil
	return err
}

func octetsOf(frames [][]byte) (n int64) {
	for _, d := range frames {
		n += int64(len(d))
	}
	return n
}

func writeFrames(w io.Writer, frames [][]byte) error {
	for _, d := range frames {
		if _, err := w.Write(d); err != nil {
			return err
		}
	}
	return nil
}

// blockSeed makes checksums comparable within one run of the program.
var blockSeed = maphash.MakeSeed()

// checksum tells blocks apart.
func (e *ecmReceive) checksum(count int) uint64 {
	var h maphash.Hash
	h.SetSeed(blockSeed)
	for _, d := range e.data[:count] {
		h.Write(d)
	}
	return h.Sum64()
}

// request makes the FIF of PPR for a block of count frames: 1 asks for a frame, and stands for those beyond the
// block (T.30 A.4.4).
func (e *ecmReceive) request(count int) (fif []byte, missing int) {
	fif = make([]byte, framesPerBlock/8)
	for i, d := range e.data {
		if d == nil || i >= count {
			fif[i/8] |= 1 << (i % 8)
		}
		if d == nil && i < count {
			missing++
		}
	}
	return fif, missing
}

// store makes the block, and with its last block the page, durable beside the line: MCF once it is, RNR until then
// (T.30 A.4.4, T5).
func (c *call) store() place {
	r := &c.rx
	second, _ := isPost(FCF(r.ecm.ppsID[0])) // 0: NULL
	done := make(chan error, 1)
	var stored atomic.Bool // the page is durable, even if the call ended meanwhile
	w, v, rest, ahead := r.w, Good, r.rest, r.ahead
	if r.damaged {
		v = BadKept
	}
	r.octets += octetsOf(rest)
	r.rest, r.ahead = nil, nil
	if second != 0 {
		r.w = nil
	}
	go func() {
		var err error
		if ahead != nil {
			err = <-ahead
		}
		if err == nil {
			err = writeFrames(w, rest)
		}
		switch {
		case second == 0 && err == nil:
			err = w.Sync(c.ctx)
		case second != 0 && err == nil:
			err = w.Finish(c.ctx, v)
			stored.Store(err == nil)
		case second != 0: // what is there is kept
			err = errors.Join(err, w.Finish(context.WithoutCancel(c.ctx), Partial))
		}
		done <- err
	}()
	p, ok := c.untilStored(done)
	if stored.Load() {
		c.pageStored()
	}
	if !ok {
		return p
	}
	r.cmd, r.answer, r.pending, r.repeats, r.cmdEnd = second, FcfMCF, true, 0, c.sig.at
	if err := c.reply(FcfMCF); err != nil {
		return c.broken(err)
	}
	return afterBlock(second)
}

// pageStored counts a page that ended.
func (c *call) pageStored() {
	r := &c.rx
	if r.damaged {
		r.holes++
	} else {
		c.rep.Received++
	}
	r.octets, r.damaged = 0, false
}

// afterBlock is the place that follows a PPS or EOR that is answered.
func afterBlock(second FCF) place {
	switch second {
	case FcfEOM:
		return placeAfterEOM
	case FcfEOP:
		return placeAfterEOP
	}
	return placeReceiveBlock
}

// untilStored answers RNR to PPS and each RR until done delivers. It always waits for the writer to come back.
func (c *call) untilStored(done <-chan error) (place, bool) {
	deadline := time.Now().Add(timerT5)
	for {
		t := time.NewTimer(slowStore)
		select {
		case err := <-done:
			t.Stop()
			if err != nil {
				return c.sinkFailed(err), false
			}
			return 0, true
		case <-t.C:
		case <-c.ctx.Done():
			t.Stop()
			c.hangUpFirst()
			<-done
			return c.broken(c.ctx.Err()), false
		}
		if time.Now().After(deadline) {
			c.end(CodeSink, "storing a block took longer than T5")
			if err := c.reply(FcfDCN); err != nil {
				c.trace(LayerCall, Note, "DCN: %v", err)
			}
			c.hangUpFirst()
			<-done
			return placeEnd, false
		}
		if p, ok := c.answerRNR(); !ok {
			c.hangUpFirst()
			<-done
			return p, false
		}
	}
}

// hangUpFirst frees the line while a slow disk still works for the call.
func (c *call) hangUpFirst() {
	if err := c.line.Hangup(); err != nil {
		c.trace(LayerCall, Note, "hang up: %v", err)
	}
}

// answerRNR sends RNR and waits for RR, or for PPS again when the RNR was lost.
func (c *call) answerRNR() (place, bool) {
	if err := c.reply(FcfRNR); err != nil {
		return c.broken(err), false
	}
	err := c.awaitCommand(timerT2, FcfRR, FcfPPS, FcfCRP)
	switch {
	case errors.Is(err, ErrTimeout):
		c.end(CodeNoPostMessage, "no RR after RNR")
		return placeEnd, false
	case err != nil:
		return c.broken(err), false
	case c.sig.fcf == FcfDCN:
		return c.farDCN(CodeDCNAfterPage), false
	}
	return 0, true
}

// takeCTC goes on at the rate that CTC names (T.30 A.4.1).
func (c *call) takeCTC() place {
	r := &c.rx
	if len(c.sig.fif) >= 2 {
		m, ok := dcsRates[fif(c.sig.fif).rateBits()]
		if !ok || !c.own.Schemes.Has(m.Scheme) || m.Rate > c.own.MaxRate {
			return c.bye(CodeIncompatible, "CTC commands what our DIS did not offer: %x", c.sig.fif)
		}
		r.set.Modulation = m
	}
	if r.ecm.rounds++; r.ecm.rounds > maxRounds {
		return c.bye(CodeECMGivenUp, "CTC again and again")
	}
	r.long = true
	if err := c.reply(FcfCTR); err != nil {
		return c.broken(err)
	}
	return placeReceiveBlock
}

// takeEOR ends a block that stays incomplete: what is there up to the first hole is kept, the page is marked (T.30
// A.4.3).
func (c *call) takeEOR() place {
	r := &c.rx
	e := &r.ecm
	second, _ := isPost(fcfOf(c.sig.fif[0]))
	if r.w != nil && (e.rounds > 0 || e.top > 0) {
		if err := r.joinAhead(); err != nil {
			return c.sinkFailed(err)
		}
		rest := e.data[e.saved:]
		if hole := slices.IndexFunc(rest, func(d []byte) bool { return d == nil }); hole >= 0 {
			rest = rest[:hole]
		}
		if err := writeFrames(r.w, rest); err != nil {
			return c.sinkFailed(err)
		}
		r.octets += octetsOf(rest)
		r.damaged = true
		e.clear()
		e.done = false
		if second != 0 {
			if err := c.finish(context.WithoutCancel(c.ctx), c.holedVerdict()); err != nil {
				return c.sinkFailed(err)
			}
			c.pageStored()
		}
	}
	if r.repeats++; r.repeats > maxRepeats {
		return c.bye(CodeProtocol, "EOR again and again")
	}
	r.cmd, r.answer, r.pending = second, FcfERR, true
	if err := c.reply(FcfERR); err != nil {
		return c.broken(err)
	}
	return afterBlock(second)
}

// holedVerdict is what a page with holes is kept as.
func (c *call) holedVerdict() Verdict {
	if c.rx.octets == 0 {
		return Discard
	}
	return BadKept
}
