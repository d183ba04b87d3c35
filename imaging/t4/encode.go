package t4

import (
	"fmt"
	"io"

	"github.com/tipring/tipring/imaging"
)

// flushAt is when an Encoder hands its octets on.
const flushAt = 16 << 10

// An Encoder codes a page line by line. It keeps the reference line, and octets until there are enough to write.
type Encoder struct {
	w        io.Writer // nil: all stays in bits.buf
	err      error
	f        Format
	width    int
	bits     bitWriter
	cur, ref []int32
	left     int // two-dimensional MR lines until the next one-dimensional one
}

// NewEncoder returns an encoder of lines of width pels that writes to w. ErrFormat if width or coding are out of range.
func NewEncoder(w io.Writer, width int, f Format) (*Encoder, error) {
	if err := f.check(width); err != nil {
		return nil, err
	}
	e := &Encoder{w: w, f: f.normal(), width: width, cur: newChanges(width), ref: newChanges(width)}
	e.bits.order = f.Order
	return e, nil
}

// EncodeLine codes one line: row as imaging.Bitmap.Row has it.
func (e *Encoder) EncodeLine(row []uint64) error {
	if e.err != nil {
		return e.err
	}
	if len(row) < (e.width+63)/64 {
		return fmt.Errorf("%w: line of %d words for %d pels", ErrFormat, len(row), e.width)
	}
	findChanges(e.cur, row, e.width)
	e.line()
	if len(e.bits.buf) >= flushAt && e.w != nil {
		e.write()
	}
	return e.err
}

// Close puts RTC or EOFB if the format has it, fills the last octet with 0 and writes what is left. It does not close the
// writer.
func (e *Encoder) Close() error {
	if e.err != nil {
		return e.err
	}
	e.end()
	if e.w != nil {
		e.write()
	}
	return e.err
}

func (e *Encoder) write() {
	if _, err := e.w.Write(e.bits.buf); err != nil {
		e.err = fmt.Errorf("t4: writing coded data: %w", err)
	}
	e.bits.buf = e.bits.buf[:0]
}

// line codes the line in cur and makes it the reference line.
func (e *Encoder) line() {
	start := e.bits.count()
	switch {
	case e.f.Coding == imaging.MMR:
		if e.f.AlignLines {
			e.bits.align()
		}
		e.line2D()
	case e.f.Coding == imaging.MR && e.left > 0:
		e.left--
		e.eol(0)
		e.line2D()
	default:
		e.left = e.f.K - 1
		if e.f.EOL {
			e.eol(1)
		} else if e.f.AlignLines {
			e.bits.align()
		}
		e.line1D()
	}
	if e.f.EOL {
		e.bits.zeros(start + e.f.MinLineBits - e.bits.count())
	}
	e.cur, e.ref = e.ref, e.cur
}

// eol puts an EOL, with MR's tag bit: 1 says that a one-dimensional line follows.
func (e *Encoder) eol(tag uint32) {
	n := uint(eolBits)
	v := uint32(1)
	if e.f.Coding == imaging.MR {
		n, v = n+1, 2|tag
	}
	if e.f.AlignEOL {
		// The EOL's 1 ends an octet; MR's tag bit is the first of the next.
		e.bits.zeros(int(-(e.bits.n + eolBits) & 7))
	}
	e.bits.put(v, n)
}

// end puts RTC or EOFB, and fills the last octet.
func (e *Encoder) end() {
	if e.f.End {
		n := 6 // RTC: T.4 4.1.4
		if e.f.Coding == imaging.MMR {
			n = 2 // EOFB: T.6 2.4.1.1
		}
		if e.f.AlignLines {
			e.bits.align()
		}
		align := e.f.AlignEOL
		for range n {
			e.eol(1)
			e.f.AlignEOL = false // the EOLs of RTC stand together
		}
		e.f.AlignEOL = align
	}
	e.bits.flush()
}

func (e *Encoder) run(color, n int) {
	c := &encodeRuns[color&1]
	for n >= maxMakeup+64 {
		m := c.makeup[maxMakeup/64]
		e.bits.put(uint32(m.bits), uint(m.n))
		n -= maxMakeup
	}
	t := c.term[n&63]
	if n < 64 {
		e.bits.put(uint32(t.bits), uint(t.n))
		return
	}
	m := c.makeup[n>>6]
	e.bits.put(uint32(m.bits)<<t.n|uint32(t.bits), uint(m.n+t.n))
}

func (e *Encoder) line1D() {
	x := 0
	for i := 0; x < e.width; i++ {
		next := int(e.cur[i])
		e.run(i, next-x)
		x = next
	}
}

// line2D codes cur against ref: T.4 4.2.1.3, T.6 2.2.
func (e *Encoder) line2D() {
	width, cur, ref := int32(e.width), e.cur, e.ref
	a0, i, b := int32(-1), 0, 0 // i: index of a1; b: of b1, of the same parity
	for a0 < width {
		a1, b1 := cur[i], ref[b]
		switch d := a1 - b1; {
		case ref[b+1] < a1:
			e.bits.put(uint32(passCode.bits), uint(passCode.n))
			a0 = ref[b+1]
			b += 2
		case d >= -3 && d <= 3:
			c := verticalCodes[d+3]
			e.bits.put(uint32(c.bits), uint(c.n))
			a0 = a1
			i++
			if b > 0 {
				b--
			} else {
				b++
			}
		default:
			e.bits.put(uint32(horizontalCode.bits), uint(horizontalCode.n))
			a2 := cur[i+1]
			e.run(i, int(a1-max(a0, 0)))
			e.run(i+1, int(a2-a1))
			a0 = a2
			i += 2
		}
		for ref[b] <= a0 && ref[b] < width {
			b += 2
		}
	}
}
