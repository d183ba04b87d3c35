package at

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// V34Code is what follows a DLE in a V.34 fax call (T.31 Amendment 1, Annex B, Table B.1), apart from octets of data. Frames and codes go
// both ways without a command or a result code until one side says V34EOT.
type V34Code byte

// The codes. From V34Rate2400 to V34Rate33600 they stand for the rates of the primary channel, in steps of 2400 bit/s.
const (
	V34None        V34Code = 0
	V34FrameEnd    V34Code = 0x03 // the frame before is whole; its check is right
	V34EOT         V34Code = 0x04 // end: the modem takes commands again
	V34BadFrame    V34Code = 0x07 // the frame before is spoilt
	V34Retrain     V34Code = 0x69 // the control channel is being retrained
	V34Primary     V34Code = 0x6b // to the modem: change to the primary channel; from it: it has changed
	V34NewRate     V34Code = 0x6c // to the modem: agree on rates anew at the next start of the control channel
	V34Control     V34Code = 0x6d // as V34Primary, to the control channel
	V34Control1200 V34Code = 0x6e // rate of the control channel
	V34Control2400 V34Code = 0x6f
	V34Rate2400    V34Code = 0x70
	V34Rate33600   V34Code = 0x7d
)

// PrimaryRate is the rate of the primary channel that c stands for, in bit/s; 0: c is no such code.
func (c V34Code) PrimaryRate() int {
	if c < V34Rate2400 || c > V34Rate33600 {
		return 0
	}
	return (int(c-V34Rate2400) + 1) * 2400
}

// ControlRate is the rate of the control channel that c stands for, in bit/s; 0: c is no such code.
func (c V34Code) ControlRate() int {
	if c != V34Control1200 && c != V34Control2400 {
		return 0
	}
	return (int(c-V34Control1200) + 1) * 1200
}

// V34RateCode is the code of a primary rate, a multiple of 2400 from 2400 to 33600 bit/s.
func V34RateCode(rate int) V34Code { return V34Rate2400 + V34Code(rate/2400-1) }

func (c V34Code) String() string {
	names := map[V34Code]string{V34FrameEnd: "ETX", V34EOT: "EOT", V34BadFrame: "FERR", V34Retrain: "RTNC", V34Primary: "PRI", V34NewRate: "PPH", V34Control: "CTRL"}
	switch name := names[c]; {
	case name != "":
		return "<DLE><" + name + ">"
	case c.PrimaryRate() > 0:
		return fmt.Sprintf("<DLE><P%d>", c.PrimaryRate()/100)
	case c.ControlRate() > 0:
		return fmt.Sprintf("<DLE><C%d>", c.ControlRate()/100)
	}
	return fmt.Sprintf("<DLE><%02x>", byte(c))
}

// V34Decoder takes octets and codes apart in what a modem sends in a V.34 fax call.
type V34Decoder struct{ escaped bool }

// Decode appends to dst the octets of src up to the first code; taken is how much of src that was, code is V34None when src ended first.
// A DLE before anything that is in no table is dropped with it (T.31 8.3.1).
func (d *V34Decoder) Decode(dst, src []byte) (out []byte, taken int, code V34Code) {
	for i, c := range src {
		if !d.escaped {
			if d.escaped = c == dle; !d.escaped {
				dst = append(dst, c)
			}
			continue
		}
		d.escaped = false
		switch c {
		case dle:
			dst = append(dst, dle)
		case sub:
			dst = append(dst, dle, dle)
		case 0x51:
			dst = append(dst, 0x11)
		case 0x53:
			dst = append(dst, 0x13)
		case byte(V34FrameEnd), byte(V34EOT), byte(V34BadFrame), byte(V34Retrain), byte(V34Primary), byte(V34Control), byte(V34Control1200), byte(V34Control2400):
			return dst, i + 1, V34Code(c)
		default:
			if V34Code(c).PrimaryRate() > 0 {
				return dst, i + 1, V34Code(c)
			}
		}
	}
	return dst, len(src), V34None
}

// ReadV34 appends what comes in a V.34 fax call to frame, up to a code; V34None: none has come yet. within bounds the wait: [ErrNoReply];
// 0: only what has come already.
func (c *Channel) ReadV34(ctx context.Context, d *V34Decoder, frame []byte, within time.Duration) ([]byte, V34Code, error) {
	c.sent = ""
	until := time.Now().Add(within)
	for {
		if err := c.fill(ctx, until); err != nil {
			return frame, V34None, err
		}
		if c.scan.skipLF { // the end of the line CONNECT
			c.scan.skipLF = false
			if c.cur.b[0] == '\n' {
				c.cur.b = c.cur.b[1:]
				continue
			}
		}
		var n int
		var code V34Code
		frame, n, code = d.Decode(frame, c.cur.b)
		c.cur.b = c.cur.b[n:]
		if code != V34None && code != V34FrameEnd {
			c.event("<", code.String())
		}
		return frame, code, nil
	}
}

// WriteV34 sends codes of a V.34 fax call.
func (c *Channel) WriteV34(ctx context.Context, codes ...V34Code) error {
	var b []byte
	var names strings.Builder
	for _, k := range codes {
		b = append(b, dle, byte(k))
		names.WriteString(k.String())
	}
	c.event(">", names.String())
	return c.write(ctx, b)
}

// WriteV34Frame sends one frame, which the modem gives its check sequence.
func (c *Channel) WriteV34Frame(ctx context.Context, f []byte) error {
	b := append(Shield(make([]byte, 0, len(f)+16), f), dle, byte(V34FrameEnd))
	return c.write(ctx, b)
}
