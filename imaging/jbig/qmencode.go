package jbig

import "math/bits"

// qmEncoder is T.82's arithmetic encoder (6.8.1). The names of its registers are the recommendation's.
type qmEncoder struct {
	a, c   uint32
	ct     int // shifts until the next octet
	sc     int // octets 0xff that await a carry
	buffer int // the octet before them; -1: none yet
	st     [contexts]uint8
	out    []byte
}

// begin is INITENC, with the statistics as they are.
func (e *qmEncoder) begin() { e.a, e.c, e.ct, e.sc, e.buffer = 0x10000, 0, 11, 0, -1 }

// put puts an octet of coded data, with a stuffed one behind an escape.
func (e *qmEncoder) put(b byte) {
	e.out = append(e.out, b)
	if b == escape {
		e.out = append(e.out, markerStuff)
	}
}

// encode codes one pel in a context.
func (e *qmEncoder) encode(cx int, pel uint8) {
	s := e.st[cx]
	a := e.a - states[s].lsz
	if pel != s&1 || a < 0x8000 {
		a = e.change(uint32(cx), pel, a)
	}
	e.a = a
}

// change is what ENCODE does beyond the usual case: the interval must be renormalized, or the symbol is the less probable one. a is the
// register, with LSZ subtracted already; its new value is returned.
func (e *qmEncoder) change(cx uint32, pel uint8, a uint32) uint32 {
	cx &= contexts - 1
	s := e.st[cx]
	q := &states[s]
	less := pel != s&1
	if less == (a >= q.lsz) { // the symbol has the upper interval; the more probable one if it would be the smaller below
		e.c += a
		a = q.lsz
	}
	if less {
		e.st[cx] = q.nlps
	} else {
		e.st[cx] = q.nmps
	}
	e.a = a
	e.renorm()
	return e.a
}

// white codes n white pels in context 0.
func (e *qmEncoder) white(n int) {
	for n > 0 {
		s := e.st[0]
		if lsz := states[s].lsz; s&1 == 0 {
			room := e.a - 0x8000
			if uint64(n)*uint64(lsz) <= uint64(room) {
				e.a -= uint32(n) * lsz
				return
			}
			m := room / lsz
			e.a -= m * lsz
			n -= int(m)
		}
		e.encode(0, 0)
		n--
	}
}

// renorm is RENORME.
func (e *qmEncoder) renorm() {
	n := bits.LeadingZeros16(uint16(e.a))
	for n >= e.ct {
		e.a <<= e.ct
		e.c <<= e.ct
		n -= e.ct
		e.byteOut()
	}
	e.a <<= n
	e.c <<= n
	e.ct -= n
}

// byteOut is BYTEOUT.
func (e *qmEncoder) byteOut() {
	switch t := e.c >> 19; {
	case t > 0xff: // carry
		if e.buffer >= 0 {
			e.put(byte(e.buffer + 1))
		}
		e.repeat(0)
		e.buffer = int(t & 0xff)
	case t == 0xff:
		e.sc++
	default:
		if e.buffer >= 0 {
			e.put(byte(e.buffer))
		}
		e.repeat(0xff)
		e.buffer = int(t)
	}
	e.c &= 1<<19 - 1
	e.ct = 8
}

// repeat puts the octets that awaited a carry.
func (e *qmEncoder) repeat(b byte) {
	for ; e.sc > 0; e.sc-- {
		e.put(b)
	}
}

// flush is FLUSH: the code with the most trailing 0 bits in the interval, without 0 octets at its end.
func (e *qmEncoder) flush() {
	t := (e.c + e.a - 1) &^ 0xffff
	if t < e.c {
		t += 0x8000
	}
	e.c = t << e.ct
	if more := e.c&0x7fff800 != 0; e.c >= 1<<27 { // carry
		if e.buffer >= 0 {
			e.put(byte(e.buffer + 1))
		}
		if more {
			e.repeat(0)
		}
	} else {
		if e.buffer >= 0 {
			e.put(byte(e.buffer))
		}
		e.repeat(0xff)
	}
	if e.c&0x7fff800 != 0 {
		e.put(byte(e.c >> 19))
		if e.c&0x7f800 != 0 {
			e.put(byte(e.c >> 11))
		}
	}
}
