package class2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	pieceSize = 512
	// stallWait is how long flow control may hold a piece: a pty takes 24 kB at once and asks for more when they are gone, 80 s at 2400
	// bit/s. With error correction the modem also sends blocks again meanwhile.
	stallWait = 120 * time.Second
)

// errStalled ends a call whose modem took no data for too long.
var errStalled = errors.New("class2: modem takes no data")

// sourceError is an error of the page being sent.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// feed writes page n's data. early is the end of the call if the modem has left the data phase by itself.
func (c *call) feed() (early step, err error) {
	t := &c.tx
	r := io.Reader(t.rd)
	if c.q.NoRTC && !c.rep.ECM {
		r = &rtcCutter{r: t.rd}
	}
	buf := make([]byte, pieceSize)
	cans := c.m.ch.Cancels()
	for {
		n, rerr := io.ReadFull(r, buf)
		for {
			l, ok := c.m.ch.Arrived()
			if !ok {
				break
			}
			c.take(l)
			if l.Code.Final() || c.hung != nil { // what we write now would be taken for commands
				c.state = inCommands
				return func() step { return c.refusedBy("page data", l) }, nil
			}
		}
		if c.m.ch.Cancels() > cans {
			return c.canceledByModem, nil
		}
		if err := c.write(buf[:n]); err != nil {
			return nil, err
		}
		t.octets += int64(n)
		switch {
		case errors.Is(rerr, io.EOF), errors.Is(rerr, io.ErrUnexpectedEOF):
			return nil, nil
		case rerr != nil:
			return nil, &sourceError{rerr}
		}
	}
}

// write hands data to the modem within the stall limit.
func (c *call) write(p []byte) error {
	ctx, cancel := context.WithTimeoutCause(c.ctx, c.patience(stallWait), errStalled)
	defer cancel()
	err := c.m.ch.WriteData(ctx, p)
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return err
}

// canceledByModem ends a page that the modem wants no more of: CAN came.
func (c *call) canceledByModem() step {
	ch := c.m.ch
	ch.Purge()
	if err := ch.WriteData(c.ctx, []byte{0}); err != nil {
		return c.broken(err)
	}
	if err := ch.EndData(c.ctx); err != nil {
		return c.broken(err)
	}
	l, err := c.result(30 * time.Second)
	if err != nil {
		return c.broken(fmt.Errorf("class2: after CAN: %w", err))
	}
	return c.refusedBy("CAN in the page", l)
}
