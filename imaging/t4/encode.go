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

// reset begins another page, of lines of width pels.
func (e *Encoder) reset(width int) {
	if width != e.width {
		e.width, e.cur, e.ref = width, newChanges(width), newChanges(width)
	}
	for i := range sentinels {
		e.ref[first+i] = int32(width)
	}
	e.bits = bitWriter{buf: e.bits.buf[:0], order: e.f.Order}
	e.left, e.err = 0, nil
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
	if _, err := e.w.Write(e.bits.octets()); err != nil {
		e.err = fmt.Errorf("t4: writing coded data: %w", err)
	}
	e.bits.clear()
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
func (e *Encoder) eol(tag uint64) {
	n := uint(eolBits)
	v := uint64(1)
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
	e.bits.align()
}

// run codes one run: make-up code words as many as it takes, and a terminating one.
func (e *Encoder) run(color int, n int32) {
	for ; n > maxRun; n -= maxMakeup {
		c := wholeRuns[color&1][maxMakeup]
		t := wholeRuns[color&1][0] // its terminating code word is not wanted here
		e.bits.put(c.word()>>t.bits(), c.bits()-t.bits())
	}
	c := wholeRuns[color&1][n]
	e.bits.put(c.word(), c.bits())
}

// line1D codes cur by itself: T.4 4.1.
func (e *Encoder) line1D() {
	for x, i := int32(0), first; x < int32(e.width); i++ {
		if i&1 == 0 {
			x, i = e.pairs(x, i)
		}
		if x < int32(e.width) {
			e.run(i, e.cur[i]-x)
			x = e.cur[i]
		}
	}
}

// pairs codes runs two at a time, from the white one on that begins at x and ends with change i, up to one that goes to the line's end or
// is over maxRun, and returns where the next begins and the index of its end.
func (e *Encoder) pairs(x int32, i int) (int32, int) {
	buf, pos, acc, n := e.bits.room(e.width), len(e.bits.buf), e.bits.acc, e.bits.n
	cur, width := e.cur, int32(e.width)
	white, black := &wholeRuns[0], &wholeRuns[1]
	for ; cur[i] < width; i += 2 {
		a, b := cur[i], cur[i+1]
		w, k := uint32(a-x), uint32(b-a)
		if w > maxRun || k > maxRun {
			break
		}
		bits, size := white[w].then(black[k])
		pos, acc, n = store(buf, pos, acc, n, bits, size)
		x = b
	}
	e.bits.buf, e.bits.acc, e.bits.n = buf[:pos], acc, n
	return x, i
}

// line2D codes cur against ref: T.4 4.2.1.3, T.6 2.2.
func (e *Encoder) line2D() {
	width, cur, ref := int32(e.width), e.cur, e.ref
	buf, pos, acc, n := e.bits.room(2*e.width), len(e.bits.buf), e.bits.acc, e.bits.n
	a0, i, b := int32(-1), first, first // i: index of a1; b: of b1, of the same parity
	for {
		a1 := cur[i]
		d := uint32(a1 - ref[b] + 3)
		if d <= 6 && ref[b+1] >= a1 {
			c := vertical[d]
			pos, acc, n = store(buf, pos, acc, n, c.word(), c.bits())
			if a0 = a1; a0 >= width {
				break
			}
			i++
			if b++; ref[b-2] > a0 {
				b -= 2 // a1 may be left of b1, but not of the third change before it
			}
			for ref[b] <= a0 {
				b += 2
			}
			continue
		}
		if ref[b+1] < a1 {
			pos, acc, n = store(buf, pos, acc, n, uint64(passCode.bits), uint(passCode.n))
			a0 = ref[b+1]
		} else {
			pos, acc, n = store(buf, pos, acc, n, uint64(horizontalCode.bits), uint(horizontalCode.n))
			a2 := cur[i+1]
			run0, run1 := uint32(a1-max(a0, 0)), uint32(a2-a1)
			if run0 <= maxRun && run1 <= maxRun {
				c0, c1 := wholeRuns[i&1][run0], wholeRuns[^i&1][run1]
				v, k := c0.then(c1)
				pos, acc, n = store(buf, pos, acc, n, v, k)
			} else {
				e.bits.buf, e.bits.acc, e.bits.n = buf[:pos], acc, n
				e.run(i, int32(run0))
				e.run(i+1, int32(run1))
				buf, pos, acc, n = e.bits.room(2*e.width), len(e.bits.buf), e.bits.acc, e.bits.n
			}
			if a0 = a2; a0 >= width {
				break
			}
			i += 2
		}
		for ref[b] <= a0 {
			b += 2
		}
	}
	e.bits.buf, e.bits.acc, e.bits.n = buf[:pos], acc, n
}
