package class1

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/hdlc"
)

const (
	// leadFlags is how long flags are sent before the first frame: T.4 A.3.1, 200 ms +100 ms.
	leadFlags = 205 * time.Millisecond
	// tailFlags is how long flags are sent after the last RCP: T.4 A.3.6, at most 50 ms. Modems cut the end short; of three
	// RCPs one is enough.
	tailFlags = 20 * time.Millisecond
	// maxBlockFrame is address, control, FCD, frame number and 256 octets (T.4 A.3.5).
	maxBlockFrame = 4 + 256
	rcp           = 0x86 // return to control for partial page, as the octet stands in a frame (T.4 A.3.6)
	fcf           = 2    // index of the facsimile control field in a frame
)

// SendBlock implements [t30.Line]: the host does flags, zero insertion and FCS.
func (l *line) SendBlock(ctx context.Context, m t30.Modulation, frames []t30.Frame) error {
	for i, f := range frames {
		if len(f) < hdlc.MinFrame || len(f) > maxBlockFrame {
			return fmt.Errorf("class1: send block: frame %d has %d octets", i, len(f))
		}
	}
	r := &blockReader{frames: frames, tail: flagsFor(tailFlags, m.Rate)}
	r.buf = r.enc.Flags(l.lead(), flagsFor(leadFlags, m.Rate))
	return l.transmit(ctx, "send block", m, 0, nil, r)
}

// blockReader makes a block's bits while they are sent.
type blockReader struct {
	enc    hdlc.Encoder
	frames []t30.Frame
	tail   int // flags to follow the last frame
	buf    []byte
	ended  bool
}

// Read implements io.Reader.
func (r *blockReader) Read(p []byte) (int, error) {
	for n := 0; ; {
		k := copy(p[n:], r.buf)
		n, r.buf = n+k, r.buf[k:]
		switch {
		case n == len(p):
			return n, nil
		case len(r.frames) > 0:
			r.buf = r.enc.Frame(r.buf[:0], r.frames[0])
			r.frames = r.frames[1:]
		case !r.ended:
			r.buf = r.enc.Flush(r.enc.Flags(r.buf[:0], r.tail))
			r.ended = true
		default:
			return n, io.EOF
		}
	}
}

// flagsFor is how many flags fill d at rate bit/s.
func flagsFor(d time.Duration, rate int) int {
	return int(int64(rate)*int64(d)/int64(8*time.Second)) + 1
}

// ReceiveBlock implements [t30.Line]. A carrier that ends without an RCP gives t30.ErrCarrierLost after its frames: the RCPs
// were spoilt, or the modem lost a carrier that goes on. A frame that lost only its closing flag counts.
func (l *line) ReceiveBlock(ctx context.Context, m t30.Modulation, wait time.Duration, f func(t30.Frame)) error {
	done := false
	dec := hdlc.NewDecoder(maxBlockFrame, func(frame []byte, err error) {
		switch {
		case err != nil:
		case len(frame) == hdlc.MinFrame && frame[fcf] == rcp:
			done = true
			f(frame)
		case !done:
			f(frame)
		}
	})
	err := l.receive(ctx, "receive block", m, wait, dec, func() bool { return done })
	dec.Close()
	if err == nil && !done {
		err = fmt.Errorf("class1: receive block: %w", t30.ErrCarrierLost)
	}
	return err
}
