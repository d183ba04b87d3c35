package jbig

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// flushAt is when an Encoder hands its octets on.
const flushAt = 16 << 10

// An Encoder codes a page line by line. It keeps three lines, and octets until there are enough to write.
type Encoder struct {
	w     io.Writer // nil: all stays in qm.out
	err   error
	f     Format
	width int
	qm    qmEncoder
	tmpl  template
	next  int // the adaptive pixel's place from the next stripe on
	stats statistics
	rows  [3][]uint64 // the line and the two above it, each with a word of 0 behind it
	lines int
	typ   bool // the line above was typical
	done  bool
}

// NewEncoder returns an encoder of lines of width pels that writes to w. ErrFormat if width or f are out of range.
func NewEncoder(w io.Writer, width int, f Format) (*Encoder, error) {
	if err := f.check(width); err != nil {
		return nil, err
	}
	e := &Encoder{w: w, width: width}
	for i := range e.rows {
		e.rows[i] = make([]uint64, (width+63)/64+1)
	}
	e.reset(f)
	return e, nil
}

// reset begins another page of the same width.
func (e *Encoder) reset(f Format) {
	if f.StripeLines == 0 {
		f.StripeLines = basicL0
	}
	*e = Encoder{w: e.w, f: f, width: e.width, tmpl: newTemplate(f.TwoLine, 0), rows: e.rows, qm: qmEncoder{out: e.qm.out[:0]}}
	for _, r := range e.rows {
		clear(r)
	}
	h := Header{Width: e.width, Height: uint32(f.Height), StripeLines: uint32(f.StripeLines), MX: f.MX, TwoLine: f.TwoLine, Typical: !f.NoTypical}
	if f.Height == 0 {
		h.Height, h.Variable = unknownHeight, true
	}
	e.qm.out = h.append(e.qm.out)
}

// EncodeLine codes one line: row as imaging.Bitmap.Row has it. ErrFormat if it is one more than Format.Height.
func (e *Encoder) EncodeLine(row []uint64) error {
	switch {
	case e.err != nil:
		return e.err
	case len(row) < (e.width+63)/64:
		return fmt.Errorf("%w: line of %d words for %d pels", ErrFormat, len(row), e.width)
	case e.done || e.f.Height > 0 && e.lines == e.f.Height:
		return fmt.Errorf("%w: more than %d lines", ErrFormat, e.lines)
	}
	e.line(row)
	if len(e.qm.out) >= flushAt && e.w != nil {
		e.write()
	}
	return e.err
}

// Close ends the page and writes what is left. It does not close the writer. ErrFormat if there were fewer lines than Format.Height,
// or none at all.
func (e *Encoder) Close() error {
	if e.err != nil || e.done {
		return e.err
	}
	if err := e.end(); err != nil {
		return err
	}
	if e.w != nil {
		e.write()
	}
	return e.err
}

func (e *Encoder) write() {
	if _, err := e.w.Write(e.qm.out); err != nil {
		e.err = fmt.Errorf("jbig: writing coded data: %w", err)
	}
	e.qm.out = e.qm.out[:0]
}

func (e *Encoder) line(row []uint64) {
	if e.lines%e.f.StripeLines == 0 {
		e.beginStripe()
	}
	cur, up, up2 := e.rows[0], e.rows[1], e.rows[2]
	n := copy(cur[:len(cur)-1], row)
	cur[n-1] &= lastMask(e.width)
	if typical := !e.f.NoTypical && slices.Equal(cur, up); typical {
		e.typical(true)
	} else {
		if !e.f.NoTypical {
			e.typical(false)
		}
		e.qm.line(&e.tmpl, cur, up, up2, e.width)
		if e.f.MX > 0 && !e.stats.decided {
			e.stats.count(cur, up, e.width, e.f.MX, e.f.TwoLine)
		}
	}
	if !e.stats.decided && e.stats.all > enough {
		e.next = e.stats.decide(e.tmpl.tx, e.f.MX, e.f.TwoLine)
		e.stats.decided = true
	}
	e.rows[0], e.rows[1], e.rows[2] = up2, cur, up
	e.lines++
	if e.lines%e.f.StripeLines == 0 || e.lines == e.f.Height {
		e.endStripe()
	}
}

// typical codes the pseudo pixel: whether it is as it was for the line above (T.82 6.4.2).
func (e *Encoder) typical(is bool) {
	var same uint8
	if is == e.typ {
		same = 1
	}
	e.qm.encode(e.tmpl.typical(), same)
	e.typ = is
}

func (e *Encoder) beginStripe() {
	if e.lines == 0 && e.f.Comment != "" {
		e.marker(markerComment, uint32(len(e.f.Comment)))
		e.qm.out = append(e.qm.out, e.f.Comment...)
	}
	if e.next != e.tmpl.tx {
		e.tmpl = newTemplate(e.f.TwoLine, e.next)
		e.marker(markerATMove, 0) // from the stripe's first line on
		e.qm.out = append(e.qm.out, byte(e.next), 0)
	}
	e.stats = statistics{}
	e.qm.begin()
}

func (e *Encoder) endStripe() {
	e.qm.flush()
	if !e.f.Reset {
		e.qm.out = append(e.qm.out, escape, markerSDNorm)
		return
	}
	e.qm.out = append(e.qm.out, escape, markerSDRst)
	e.qm.st = [contexts]uint8{}
	e.tmpl, e.next, e.typ = newTemplate(e.f.TwoLine, 0), 0, false
	for _, r := range e.rows {
		clear(r)
	}
}

// marker puts a marker with a number.
func (e *Encoder) marker(code byte, v uint32) {
	e.qm.out = binary.BigEndian.AppendUint32(append(e.qm.out, escape, code), v)
}

func (e *Encoder) end() error {
	switch {
	case e.lines == 0 || e.lines < e.f.Height:
		return fmt.Errorf("%w: %d of %d lines", ErrFormat, e.lines, e.f.Height)
	case e.f.Height == 0:
		if e.lines%e.f.StripeLines != 0 {
			e.endStripe()
		}
		e.marker(markerNewLen, uint32(e.lines))
		e.qm.out = append(e.qm.out, escape, markerSDNorm) // T.82 6.2.6.2: a stripe follows, if only an empty one
	}
	e.done = true
	return nil
}

// lastMask has a 1 for each bit of a row's last word that is a pel.
func lastMask(width int) uint64 { return ^uint64(0) << (-uint(width) & 63) }
