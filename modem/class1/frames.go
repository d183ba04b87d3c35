package class1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/hdlc"
)

const (
	connectWait = 10 * time.Second // for CONNECT to a transmit command: carrier and preamble
	v21Rate     = 300              // bit/s
	preamble    = 1150 * time.Millisecond

	fcErrorGap   = 200 * time.Millisecond // before +FRH=3 again after +FCERROR
	repeatGap    = 50 * time.Millisecond  // before a receive command again after OK or NO CARRIER
	firstOctet   = 5 * time.Second        // from CONNECT, at the first flags, to the frame
	octetGap     = 3 * time.Second        // between octets within a frame
	carrierTail  = 15 * time.Millisecond  // from DLE ETX to OK, at least, if the modem waits for the end of a final frame's carrier
	endWait      = 5 * time.Second        // from DLE ETX to the result: a final frame's comes with the end of the carrier
	maxFrame     = 1024                   // octets with FCS: 27 s at 300 bit/s, twice and more what T.30 has
	maxFrameTime = 30 * time.Second
)

// errAgain is a false start: nothing was received, listen again.
var errAgain = errors.New("class1: false start")

// SendFrames implements [t30.Line]: +FTH=3 (T.31 8.3.4).
func (l *line) SendFrames(ctx context.Context, frames ...t30.Frame) error {
	for i, f := range frames {
		if len(f) < hdlc.MinFrame || f.Final() != (i == len(frames)-1) {
			return fmt.Errorf("class1: send frames: frame %d of %d is wrong: % x", i+1, len(frames), []byte(f))
		}
	}
	return l.method(ctx, "send frames", func(ctx context.Context) error {
		l.listened = false
		err := l.sendSequence(ctx, frames)
		if errors.Is(err, errEndedEarly) { // the far end, which has no final frame yet, waits for one
			l.ch.Note("the carrier ended before the final frame: once more")
			err = l.sendSequence(ctx, frames)
		}
		return err
	})
}

// errEndedEarly is OK in place of CONNECT: the modem had waited too long for the next frame, and ended the carrier.
var errEndedEarly = errors.New("the modem ended the carrier between frames")

// sendSequence sends frames in one carrier.
func (l *line) sendSequence(ctx context.Context, frames []t30.Frame) error {
	if l.state != sendingFrames {
		r, err := l.command(ctx, "AT+FTH=3", connectWait)
		if err != nil {
			return err
		}
		if r.Code != at.Connect {
			return sendError("+FTH=3", r.Line)
		}
		l.state = sendingFrames
	}
	for _, f := range frames {
		if err := l.sendFrame(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// sendFrame sends one frame; the modem adds FCS and flags, and ends the carrier after one with the final bit.
func (l *line) sendFrame(ctx context.Context, f t30.Frame) error {
	l.noteFrame(f)
	if err := l.ch.WriteData(ctx, f); err != nil {
		return err
	}
	if err := l.ch.EndData(ctx); err != nil {
		return err
	}
	// At most 20 % of inserted zeros; the preamble may still be on the line.
	within := preamble + airTime(int64(len(f)+4), v21Rate)*6/5 + endWait
	want, result := at.Connect, l.ch.Result
	if f.Final() {
		want, result = at.OK, l.endResult
	}
	r, err := result(ctx, within)
	if err != nil {
		return err
	}
	if f.Final() {
		l.state = commandState
	}
	if r.Code != want {
		l.state = commandState
		if r.Code == at.OK {
			return fmt.Errorf("+FTH=3: %w", errEndedEarly)
		}
		return sendError("+FTH=3", r.Line)
	}
	return nil
}

// endResult is the result that ends a carrier of ours. A modem that gets its data late says CONNECT again (spandsp): that ends nothing.
func (l *line) endResult(ctx context.Context, within time.Duration) (at.Reply, error) {
	until := time.Now().Add(within)
	for {
		r, err := l.ch.Result(ctx, time.Until(until))
		if err != nil || r.Code != at.Connect {
			return r, err
		}
	}
}

// sendError says what a refused transmission means: an off-hook modem has no reason to refuse.
func sendError(cmd string, r at.Line) error {
	if r.Code == at.Error || r.Code == at.NoCarrier {
		return fmt.Errorf("%s: %w (%s)", cmd, t30.ErrHungUp, r.Text)
	}
	return fmt.Errorf("%s: unexpected %q", cmd, r.Text)
}

// ReceiveFrame implements [t30.Line]: +FRH=3 (T.31 8.3.4) again and again, since modems give up early for many
// reasons.
func (l *line) ReceiveFrame(ctx context.Context, wait time.Duration) (t30.Frame, error) {
	var f t30.Frame
	err := l.method(ctx, "receive frame", func(ctx context.Context) (err error) {
		until := time.Now().Add(wait)
		l.listened, l.earlyOK = true, false
		for {
			if err = l.awaitFlags(ctx, until); err != nil {
				return err
			}
			f, err = l.readFrame(ctx)
			if !errors.Is(err, errAgain) {
				return err
			}
			if err := phone.Sleep(ctx, repeatGap); err != nil {
				return err
			}
		}
	})
	return f, err
}

// awaitFlags brings the modem to CONNECT in +FRH=3, unless it is there already.
func (l *line) awaitFlags(ctx context.Context, until time.Time) error {
	for l.state != receivingFrame {
		left := time.Until(until)
		if left <= 0 {
			return t30.ErrTimeout
		}
		r, err := l.command(ctx, "AT+FRH=3", left)
		if errors.Is(err, at.ErrNoReply) {
			if err := l.ch.Abort(ctx); err != nil {
				return err
			}
			return t30.ErrTimeout
		}
		if err != nil {
			return err
		}
		gap := repeatGap
		switch r.Code {
		case at.Connect:
			l.state = receivingFrame
			return nil
		case at.Error:
			return fmt.Errorf("+FRH=3: %w (%s)", t30.ErrHungUp, r.Text)
		case at.FCError:
			gap = fcErrorGap
		}
		if err := phone.Sleep(ctx, gap); err != nil {
			return err
		}
	}
	return nil
}

// readFrame reads the frame that follows CONNECT, and its result.
func (l *line) readFrame(ctx context.Context) (t30.Frame, error) {
	l.state = commandState // where every outcome but a dumb modem ends
	raw, badFCS, err := l.readShielded(ctx)
	if err != nil {
		return nil, err
	}
	raw = afterGarbage(raw)
	l.noteFrame(raw)
	ended := time.Now()
	r, err := l.ch.Result(ctx, endWait)
	l.earlyOK = r.Code == at.OK && time.Since(ended) < carrierTail
	switch {
	case errors.Is(err, at.ErrNoReply):
		if err := l.ch.Abort(ctx); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	refused := r.Code == at.Error || r.Code == at.FCError || badFCS
	switch {
	case len(raw) < hdlc.MinFrame+2 && !refused:
		return nil, errAgain
	case len(raw) < hdlc.MinFrame+2 || refused:
		return nil, t30.ErrFCS
	case !l.p.cfg.Quirks.NoFCS && !hdlc.Good(raw):
		return nil, t30.ErrFCS
	}
	return t30.Frame(raw[:len(raw)-2]), nil
}

// readShielded reads up to DLE ETX.
func (l *line) readShielded(ctx context.Context) (raw []byte, badFCS bool, err error) {
	dec := at.Decoder{KeepUnknown: l.p.cfg.Quirks.BareDLE}
	buf := make([]byte, 256)
	start, gap := time.Now(), firstOctet
	for {
		n, mark, err := l.ch.ReadData(ctx, &dec, buf, gap)
		raw = append(raw, buf[:n]...)
		switch {
		case errors.Is(err, at.ErrNoReply), err == nil && (len(raw) > maxFrame || time.Since(start) > maxFrameTime):
			if err := l.ch.Abort(ctx); err != nil {
				return nil, false, err
			}
			if len(afterGarbage(raw)) > 0 {
				return nil, false, t30.ErrCarrierLost
			}
			return nil, false, errAgain
		case err != nil:
			return nil, false, err
		case mark != at.NoMark:
			return raw, mark == at.BadFCS, nil
		case endsInResult(raw):
			return nil, false, errAgain
		}
		if len(afterGarbage(raw)) > 0 {
			gap = octetGap
		}
	}
}

// endsInResult tells whether the modem fell back to the command state without DLE ETX. Field: Lucent and MultiTech say
// CONNECT, then NO CARRIER.
func endsInResult(raw []byte) bool {
	for _, s := range []string{"\r\nNO CARRIER\r\n", "\r\nERROR\r\n", "\r\nOK\r\n", "\r\n+FCERROR\r\n"} {
		if bytes.HasSuffix(raw, []byte(s)) || string(raw) == s[2:] {
			return true
		}
	}
	return false
}

// afterGarbage returns raw from its address octet on: flags taken for data and repeated CONNECTs may come before it.
func afterGarbage(raw []byte) []byte {
	i := bytes.IndexByte(raw, 0xff)
	if i < 0 {
		return nil
	}
	return raw[i:]
}
