package t30

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"
)

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
