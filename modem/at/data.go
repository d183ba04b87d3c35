package at

import (
	"context"
	"time"
)

// pieceSize is how much data is handed to the port at a time, in octets: a write given up leaves no more than this.
const pieceSize = 512

// WriteData writes p in a data phase with DLE shielding. It blocks as long as flow control holds it.
func (c *Channel) WriteData(ctx context.Context, p []byte) error {
	buf := make([]byte, 0, 2*pieceSize)
	for len(p) > 0 {
		n := min(len(p), pieceSize)
		buf = Shield(buf[:0], p[:n])
		p = p[n:]
		if err := c.write(ctx, buf); err != nil {
			return err
		}
	}
	return nil
}

// EndData ends a data phase towards the modem: DLE ETX.
func (c *Channel) EndData(ctx context.Context) error {
	c.event(">", "<DLE><ETX>")
	c.sent = ""
	return c.write(ctx, []byte{dle, etx})
}

// ReadData reads octets of a data phase from the modem, without the DLE shielding, into p. It returns as soon as there
// is at least one octet or a mark. within bounds the wait: [ErrNoReply].
func (c *Channel) ReadData(ctx context.Context, d *Decoder, p []byte, within time.Duration) (int, Mark, error) {
	c.sent = ""
	until := time.Now().Add(within)
	for {
		if d.dles == 0 {
			if err := c.fill(ctx, until); err != nil {
				return 0, NoMark, err
			}
		}
		if c.scan.skipLF && len(c.cur.b) > 0 {
			c.scan.skipLF = false
			if c.cur.b[0] == '\n' { // the end of the line CONNECT
				c.cur.b = c.cur.b[1:]
				continue
			}
		}
		nd, ns, m := d.Decode(p, c.cur.b)
		c.cur.b = c.cur.b[ns:]
		if m == End {
			c.event("<", "<DLE><ETX>")
		}
		if nd > 0 || m != NoMark {
			return nd, m, nil
		}
	}
}
