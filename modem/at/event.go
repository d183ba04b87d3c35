package at

import (
	"context"
	"time"
)

// Event waits for the next event of voice mode, the octet behind a DLE (V.253 8.1, Table 17: digits of DTMF, "c" for a calling fax,
// ...). Lines in between are passed over, RING and caller ID kept. [ErrNoReply] when none came within the time.
func (c *Channel) Event(ctx context.Context, within time.Duration) (byte, error) {
	c.sent = ""
	until := time.Now().Add(within)
	for shielded := false; ; {
		if err := c.fill(ctx, until); err != nil {
			return 0, err
		}
		b := c.cur.b
		if shielded {
			c.cur.b = b[1:]
			c.event("<", "<DLE>"+name(b[0]))
			return b[0], nil
		}
		if b[0] == dle {
			shielded = true
			c.cur.b = b[1:]
			continue
		}
		c.cur.b = b[:1]
		if l, ok := c.scanLine(); ok && l.Code.Unsolicited() {
			c.keep(l)
		}
		c.cur.b = b[1:]
	}
}
