package jbig

import "math/bits"

// qmDecoder is T.82's arithmetic decoder (6.8.2) over the octets that there are so far.
type qmDecoder struct {
	data  []byte
	final bool // no more data will come
	qmState
}

// qmState is what a line begins with, so that it can be decoded again when more data has come.
type qmState struct {
	a     uint32 // the interval; c is in its scale, shifted by 32
	c     uint64 // the code, from the interval's base on
	ct    int    // bits of c below a's scale that are filled
	pos   int    // of the next octet in data
	zeros int    // octets taken behind the end of the stripe's data: all 0 (T.82 6.8.2.2)
	ended bool   // the stripe's data has ended, with a marker or with all data
	dry   bool   // data was missing: what was decoded since is not true
	st    [contexts]uint8
}

// begin is INITDEC, with the statistics as they are.
func (d *qmDecoder) begin() {
	d.a, d.c, d.ct, d.zeros, d.ended, d.dry = 0x10000, 0, -16, 0, false, false
	d.fill()
}

// fill is BYTEIN, for as many octets as there is room for.
func (d *qmDecoder) fill() {
	for d.ct <= 24 {
		d.c |= uint64(d.octet()) << (24 - d.ct)
		d.ct += 8
	}
}

// octet returns the next octet of coded data, 0 behind its end.
func (d *qmDecoder) octet() byte {
	if d.ended {
		d.zeros++
		return 0
	}
	left := d.data[d.pos:]
	switch {
	case len(left) > 0 && left[0] != escape:
		d.pos++
		return left[0]
	case len(left) > 1 && left[1] == markerStuff:
		d.pos += 2
		return escape
	case len(left) > 1 || d.final:
		d.ended = true
	default:
		d.dry = true
	}
	d.zeros++
	return 0
}

// overrun tells that the data of the stripe ended long ago, and that it was hardly for good: an encoder leaves out 0 octets at the end,
// but then as a rule the code is the base of the interval. 64 bits are beyond chance, though not beyond strictly periodic pictures, of which some
// few code to a long row of ones that a carry turns into zeros at last.
func (d *qmDecoder) overrun() bool { return d.leftOver() < -64 && d.c != 0 }

// leftOver is how many bits, of those taken from the data, came behind those that could have decided anything.
func (d *qmDecoder) leftOver() int { return d.ct - d.zeros*8 }

// decode decodes one pel in a context.
func (d *qmDecoder) decode(cx int) (pel uint8) {
	s := d.st[cx]
	a := d.a - states[s].lsz
	if a >= 0x8000 && d.c>>32 < uint64(a) {
		d.a = a
		return s & 1
	}
	pel, d.a, d.c = d.decide(uint32(cx), a, d.c)
	return pel
}

// decide is what DECODE does beyond the usual case: the interval must be renormalized, or the less probable symbol is there. a and c are the
// registers, with LSZ subtracted from a already.
func (d *qmDecoder) decide(cx, a uint32, c uint64) (uint8, uint32, uint64) {
	cx &= contexts - 1
	s := d.st[cx]
	q := &states[s]
	pel := s & 1
	exchanged := a < q.lsz // the more probable symbol has the smaller interval
	if c>>32 >= uint64(a) {
		c -= uint64(a) << 32
		a = q.lsz
		exchanged = !exchanged
	}
	if exchanged {
		pel ^= 1
		d.st[cx] = q.nlps
	} else {
		d.st[cx] = q.nmps
	}
	// RENORMD
	n := bits.LeadingZeros16(uint16(a))
	if n > d.ct {
		d.c = c
		d.fill()
		c = d.c
	}
	d.ct -= n
	return pel, a << n, c << n
}

// white decodes as many white pels in context 0 as it can at once, n at most.
func (d *qmDecoder) white(n int) int {
	s := d.st[0]
	lsz := uint64(states[s].lsz)
	floor := max(uint64(0x8000), d.c>>32+1) // of a
	if s&1 != 0 || uint64(d.a) < floor+lsz {
		return 0
	}
	if room := uint64(d.a) - floor; uint64(n)*lsz > room {
		n = int(room / lsz)
	}
	d.a -= uint32(n) * uint32(lsz)
	return n
}
