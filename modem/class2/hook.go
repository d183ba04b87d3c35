package class2

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/phone"
)

const (
	abortWait = 8 * time.Second // for the end of +FK: DCN and on hook
	stopWait  = 3 * time.Second // for the result of what was interrupted
	// modemBuffer is how much page data a modem may still hold when a page is given up, in octets.
	modemBuffer = 4096
)

// hangup ends the session in order (+FK, +FKS: the modem sends DCN), goes on hook and gives the line back. A page that is given up
// is cut off instead, by DTR where the port has it: in order it would end as if it were whole.
func (c *call) hangup() error {
	defer c.m.phone.Release()
	rate := modulation(c.dcs[pBR]).Rate
	ctx, cancel := context.WithTimeout(context.Background(), phone.HangupWait+abortWait+airTime(modemBuffer, rate))
	defer cancel()
	inPage := c.state == inSending
	if inPage && c.m.phone.DropDTR(ctx) == nil {
		return nil
	}
	err := c.quiesce(ctx, rate)
	if err == nil && c.hung == nil && !inPage {
		err = c.await(ctx, "AT"+c.d.abort, abortWait)
	}
	if err == nil {
		if err = c.m.phone.OnHook(ctx); err == nil {
			return nil
		}
	}
	if err := c.m.phone.DropDTR(ctx); err != nil {
		return fmt.Errorf("class2: hang up: %w", err)
	}
	return nil
}

// await sends a command and waits for its final result, whatever it is.
func (c *call) await(ctx context.Context, cmd string, within time.Duration) error {
	if err := c.m.ch.Send(ctx, cmd); err != nil {
		return err
	}
	return c.settled(ctx, within)
}

// settled waits for a final result, and takes what comes before it.
func (c *call) settled(ctx context.Context, within time.Duration) error {
	until := time.Now().Add(within)
	for {
		l, err := c.m.ch.NextLine(ctx, max(time.Until(until), time.Millisecond))
		switch {
		case errors.Is(err, at.ErrNoReply) && c.hung != nil:
			return nil
		case err != nil:
			return err
		case l.Code.Final():
			return nil
		}
		c.take(l)
	}
}

// quiesce brings the modem back to taking commands.
func (c *call) quiesce(ctx context.Context, rate int) error {
	ch := c.m.ch
	switch c.state {
	case inCommands:
		return ch.Err()
	case inSending:
		ch.Purge()
		// The purge may have cut a DLE pair in two: the zero completes it.
		if err := ch.WriteData(ctx, []byte{0}); err != nil {
			return err
		}
		if err := ch.EndData(ctx); err != nil {
			return err
		}
		return c.settled(ctx, stopWait+airTime(modemBuffer, rate))
	}
	// CAN ends a page being received, and like any character an action command.
	if err := ch.Control(ctx, can); err != nil {
		return err
	}
	err := c.settled(ctx, abortWait)
	if errors.Is(err, at.ErrNoReply) {
		err = c.await(ctx, "AT", stopWait)
	}
	return err
}

const can = 0x18
