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
func (c *Channel) EndData(ctx context.Context) error { return c.EndPage(ctx, etx) }

// EndPage ends a page of Class 2.0: DLE and the code of what follows it (T.32: 0x2C, 0x3B, 0x2E).
func (c *Channel) EndPage(ctx context.Context, code byte) error {
	c.event(">", "<DLE>"+name(code))
	c.sent = ""
	return c.write(ctx, []byte{dle, code})
}

// Control sends one control character outside of data: DC1 or DC2, by which a Class 2 modem begins to deliver a page, or CAN.
func (c *Channel) Control(ctx context.Context, b byte) error {
	c.event(">", name(b))
	c.sent = ""
	return c.write(ctx, []byte{b})
}

func name(b byte) string {
	if s, ok := map[byte]string{etx: "<ETX>", can: "<CAN>", dc1: "<DC1>", dc2: "<DC2>"}[b]; ok {
		return s
	}
	return string(rune(b))
}

// AwaitXON waits for XON, by which a Class 2 modem says that it takes data. A line that comes in its place is returned with
// got false; [ErrNoReply].
func (c *Channel) AwaitXON(ctx context.Context, within time.Duration) (l Line, got bool, err error) {
	until := time.Now().Add(within)
	for {
		if err := c.fill(ctx, until); err != nil {
			return Line{}, false, err
		}
		for len(c.cur.b) > 0 {
			b := c.cur.b
			if b[0] == xon {
				c.cur.b = b[1:]
				c.event("<", "<XON>")
				return Line{}, true, nil
			}
			c.cur.b = b[:1]
			l, ok := c.scanLine()
			c.cur.b = b[1:]
			if ok {
				return l, false, nil
			}
		}
	}
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
