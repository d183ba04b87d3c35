package t30

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"slices"
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
	m := c.primary(r.set.Modulation)
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

// takeCTC goes on at the rate that CTC names (T.30 A.4.1).
func (c *call) takeCTC() place {
	r := &c.rx
	if len(c.sig.fif) >= 2 && c.v34 == nil {
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
