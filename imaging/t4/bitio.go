package t4

import (
	"encoding/binary"
	"math/bits"
)

// bitWriter puts code words one behind another into buf.
type bitWriter struct {
	buf   []byte
	acc   uint64 // bits not yet in buf, right-aligned
	n     uint   // their number, under 32 between puts
	order BitOrder
}

// put appends the low n bits of v, n at most 32.
func (w *bitWriter) put(v uint32, n uint) {
	w.acc = w.acc<<n | uint64(v)
	w.n += n
	if w.n >= 32 {
		w.n -= 32
		word := uint32(w.acc >> w.n)
		if w.order == LSBFirst {
			w.buf = binary.LittleEndian.AppendUint32(w.buf, bits.Reverse32(word))
		} else {
			w.buf = binary.BigEndian.AppendUint32(w.buf, word)
		}
	}
}

// zeros appends n 0 bits.
func (w *bitWriter) zeros(n int) {
	for ; n > 32; n -= 32 {
		w.put(0, 32)
	}
	if n > 0 {
		w.put(0, uint(n))
	}
}

// count returns the bits written since buf was empty.
func (w *bitWriter) count() int { return len(w.buf)*8 + int(w.n) }

// align appends 0 bits up to the end of the octet.
func (w *bitWriter) align() { w.zeros(int(-w.n & 7)) }

// flush aligns and moves all bits to buf.
func (w *bitWriter) flush() {
	w.align()
	for ; w.n > 0; w.n -= 8 {
		b := byte(w.acc >> (w.n - 8))
		if w.order == LSBFirst {
			b = bits.Reverse8(b)
		}
		w.buf = append(w.buf, b)
	}
}

// bitReader yields the bits of data. Behind its end it yields zeros, and n becomes negative when they are taken.
type bitReader struct {
	acc   uint64 // the next bits, left-aligned; below the n valid ones there may be more, as they come
	n     int    // valid bits in acc
	pos   int    // next octet of data
	data  []byte
	order BitOrder
}

// fill makes n at least 32, unless data ends before.
func (r *bitReader) fill() {
	if r.n < 0 {
		return
	}
	if r.pos+8 <= len(r.data) {
		var w uint64
		if r.order == LSBFirst {
			w = bits.Reverse64(binary.LittleEndian.Uint64(r.data[r.pos:]))
		} else {
			w = binary.BigEndian.Uint64(r.data[r.pos:])
		}
		r.acc |= w >> uint(r.n)
		k := (63 - r.n) >> 3
		r.pos += k
		r.n += k << 3
		return
	}
	for r.n <= 56 && r.pos < len(r.data) {
		b := r.data[r.pos]
		if r.order == LSBFirst {
			b = bits.Reverse8(b)
		}
		r.acc |= uint64(b) << (56 - uint(r.n))
		r.pos++
		r.n += 8
	}
}

// need fills if fewer than 32 bits are there.
func (r *bitReader) need() {
	if r.n < 32 {
		r.fill()
	}
}

// skip takes k bits, at most 32.
func (r *bitReader) skip(k int) {
	r.acc <<= uint(k)
	r.n -= k
}

// align skips to the next octet.
func (r *bitReader) align() {
	if r.n > 0 {
		r.skip(r.n & 7)
	}
}

// taken returns how many bits were taken, from where data began on.
func (r *bitReader) taken() int64 { return int64(r.pos)*8 - int64(r.n) }

// empty tells whether all bits were taken.
func (r *bitReader) empty() bool { return r.n <= 0 && r.pos >= len(r.data) }
