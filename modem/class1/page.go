package class1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/t30"
)

const (
	readAhead = 4096 // octets of a page in hand before the carrier starts
	// stallWait is how long flow control may hold 512 octets: a pty takes 24 kB at once and asks for more when they are gone,
	// 80 s at 2400 bit/s.
	stallWait   = 120 * time.Second
	carrierOff  = 10 * time.Second // after the last bit's time, for OK
	dataGap     = 5 * time.Second  // without an octet in a received carrier
	wrongTries  = 3                // +FCERROR from +FRM before it is taken for V.21
	pageBufSize = 4096
)

// ErrStalled is returned when the modem took no data for two minutes.
var ErrStalled = errors.New("class1: modem takes no data")

// SendTCF implements [t30.Line].
func (l *line) SendTCF(ctx context.Context, m t30.Modulation, d time.Duration) error {
	zeros := int64(d) * int64(m.Rate) / 8 / int64(time.Second)
	return l.transmit(ctx, "send TCF", m, l.p.cfg.Quirks.TCFDelay, l.lead(), io.LimitReader(zeroReader{}, zeros))
}

// SendPage implements [t30.Line].
func (l *line) SendPage(ctx context.Context, m t30.Modulation, r io.Reader) error {
	return l.transmit(ctx, "send page", m, 0, nil, r)
}

// lead is what goes before TCF and ECM data on modems that spoil the first octet.
func (l *line) lead() []byte {
	if l.p.cfg.Quirks.LeadFF {
		return []byte{0xff}
	}
	return nil
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// transmit trains m and sends lead and all of r: +FTM (T.31 8.3.3). The modem sends ones until the first octet and zeros
// if we are late; we never are while r delivers, since the port and modem buffers are filled as fast as they take it.
func (l *line) transmit(ctx context.Context, name string, m t30.Modulation, delay time.Duration, lead []byte, r io.Reader) error {
	c, err := find(m)
	if err != nil {
		return err
	}
	return l.method(ctx, name, func(ctx context.Context) error {
		l.listened = false
		buf := make([]byte, readAhead)
		n, rerr := io.ReadFull(r, buf) // before the carrier, so that it starts with data
		reply, err := l.command(ctx, fmt.Sprintf("AT+FTM=%d", c.code), connectWait)
		if err != nil {
			return err
		}
		if reply.Code != at.Connect {
			return sendError(fmt.Sprintf("+FTM=%d", c.code), reply.Line)
		}
		l.state, l.rate = sendingData, m.Rate
		start := time.Now()
		if err := phone.Sleep(ctx, delay); err != nil {
			return err
		}
		if err := l.feed(ctx, lead); err != nil {
			return err
		}
		total := int64(len(lead))
		for n > 0 {
			if err := l.feed(ctx, buf[:n]); err != nil {
				return err
			}
			total += int64(n)
			if rerr != nil {
				break
			}
			n, rerr = io.ReadFull(r, buf)
		}
		if err := l.endCarrier(ctx, c, start.Add(delay), total); err != nil {
			return err
		}
		if errors.Is(rerr, io.EOF) || errors.Is(rerr, io.ErrUnexpectedEOF) {
			return nil
		}
		return rerr
	})
}

// feed writes p with a watch on the modem.
func (l *line) feed(ctx context.Context, p []byte) error {
	for len(p) > 0 {
		if r, ok := l.ch.Early(); ok && r.Code != at.Connect { // what we write now would be taken for commands
			l.state = commandState
			return sendError("carrier", r)
		}
		n := min(len(p), 512)
		sctx, cancel := context.WithTimeoutCause(ctx, stallWait, ErrStalled)
		err := l.ch.WriteData(sctx, p[:n])
		stalled := errors.Is(context.Cause(sctx), ErrStalled)
		cancel()
		if err != nil && stalled {
			err = ErrStalled
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// endCarrier ends the data and waits for the carrier to be off. What the port swallowed ahead of the line is still to
// be sent: the wait is reckoned from the carrier's start and all its octets.
func (l *line) endCarrier(ctx context.Context, c carrier, start time.Time, octets int64) error {
	if err := l.ch.EndData(ctx); err != nil {
		return err
	}
	l.ch.Note("%d octets sent at %v", octets, c.m)
	off := start.Add(c.train + airTime(octets, c.m.Rate))
	r, err := l.endResult(ctx, max(0, time.Until(off))+carrierOff)
	if err != nil {
		return err
	}
	l.state = commandState
	if r.Code != at.OK {
		return sendError("end of carrier", r.Line)
	}
	return nil
}

// ReceivePage implements [t30.Line].
func (l *line) ReceivePage(ctx context.Context, m t30.Modulation, wait time.Duration, w io.Writer) error {
	return l.receive(ctx, "receive page", m, wait, w, func() bool { return false })
}

// receive receives one carrier of modulation m into w: +FRM (T.31 8.3.3). Once enough says so, it waits only a moment
// for the carrier to end.
func (l *line) receive(ctx context.Context, name string, m t30.Modulation, wait time.Duration, w io.Writer, enough func() bool) error {
	c, err := find(m)
	if err != nil {
		return err
	}
	return l.method(ctx, name, func(ctx context.Context) error {
		l.listened, l.earlyOK = true, false
		if err := l.awaitCarrier(ctx, c, time.Now().Add(wait+c.train)); err != nil {
			return err
		}
		return l.readCarrier(ctx, w, enough)
	})
}

// awaitCarrier brings the modem to CONNECT in +FRM.
func (l *line) awaitCarrier(ctx context.Context, c carrier, until time.Time) error {
	cmd := fmt.Sprintf("AT+FRM=%d", c.code)
	for wrong := 0; ; {
		left := time.Until(until)
		if left <= 0 {
			return t30.ErrTimeout
		}
		r, err := l.command(ctx, cmd, left)
		if errors.Is(err, at.ErrNoReply) {
			if err := l.ch.Abort(ctx); err != nil {
				return err
			}
			return t30.ErrTimeout
		}
		if err != nil {
			return err
		}
		code := r.Code
		if code == at.Error && l.p.cfg.Quirks.ErrorIsWrongCarrier {
			code = at.FCError
		}
		switch code {
		case at.Connect:
			return nil
		case at.FRH3:
			return l.switchedToV21(ctx)
		case at.Error:
			return fmt.Errorf("%s: %w (%s)", cmd, t30.ErrHungUp, r.Text)
		case at.FCError:
			if wrong++; wrong >= wrongTries {
				return t30.ErrV21
			}
		}
		if err := phone.Sleep(ctx, repeatGap); err != nil {
			return err
		}
	}
}

// switchedToV21 is after +FRH:3 (+FAR=1): the modem receives V.21 now; CONNECT and the frame follow.
func (l *line) switchedToV21(ctx context.Context) error {
	r, err := l.ch.Result(ctx, firstOctet)
	switch {
	case errors.Is(err, at.ErrNoReply):
		if err := l.ch.Abort(ctx); err != nil {
			return err
		}
	case err != nil:
		return err
	case r.Code == at.Connect:
		l.state = receivingFrame
	case r.Code == at.Error:
		return fmt.Errorf("+FRH:3: %w (%s)", t30.ErrHungUp, r.Text)
	}
	return t30.ErrV21
}

// rcpTail is how long the carrier may last after the RCP that was asked for: two more of them and 50 ms of flags
// (T.4 Annex A), and what the modem holds back.
const rcpTail = 600 * time.Millisecond

// readCarrier copies the carrier's octets to w until DLE ETX.
func (l *line) readCarrier(ctx context.Context, w io.Writer, enough func() bool) error {
	dec := at.Decoder{KeepUnknown: l.p.cfg.Quirks.BareDLE}
	buf := make([]byte, pageBufSize)
	total := int64(0)
	var tail time.Time
	for {
		gap := dataGap
		if !tail.IsZero() {
			if gap = time.Until(tail); gap <= 0 {
				return l.ch.Abort(ctx)
			}
		}
		n, mark, err := l.ch.ReadData(ctx, &dec, buf, gap)
		if errors.Is(err, at.ErrNoReply) {
			if err := l.ch.Abort(ctx); err != nil {
				return err
			}
			if tail.IsZero() {
				return t30.ErrCarrierLost
			}
			return nil
		}
		if err != nil {
			return err
		}
		total += int64(n)
		if _, err := w.Write(buf[:n]); err != nil {
			if aerr := l.ch.Abort(ctx); aerr != nil {
				return aerr
			}
			return err
		}
		if mark == at.End {
			l.ch.Note("%d octets received", total)
			return l.carrierResult(ctx)
		}
		if tail.IsZero() && enough() {
			tail = time.Now().Add(rcpTail)
		}
	}
}

// carrierResult takes the NO CARRIER (or OK) that follows DLE ETX. What the carrier brought is judged by others.
func (l *line) carrierResult(ctx context.Context) error {
	_, err := l.ch.Result(ctx, endWait)
	if errors.Is(err, at.ErrNoReply) {
		return l.ch.Abort(ctx)
	}
	return err
}
