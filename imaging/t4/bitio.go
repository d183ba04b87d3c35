package t4

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// bitWriter puts code words one behind another into buf. It works most significant bit first; octets turns what is to be handed on.
type bitWriter struct {
	buf    []byte // the whole octets
	acc    uint64 // the low n bits: what is behind them; above, what was
	n      uint   // their number, under 8
	order  BitOrder
	turned int // octets of buf that are in the order already
}

// room returns buf with room for k more octets, and somewhat more. Its length is its capacity; what is written in it
// counts when buf is set anew.
func (w *bitWriter) room(k int) []byte {
	w.buf = slices.Grow(w.buf, k+16)
	return w.buf[:cap(w.buf)]
}

// put appends the low k bits of v, at most 56, which are all of it.
func (w *bitWriter) put(v uint64, k uint) {
	buf, pos := w.room(0), len(w.buf)
	pos, w.acc, w.n = store(buf, pos, w.acc, w.n, v, k)
	w.buf = buf[:pos]
}

// store is put for loops that keep the writer's state in registers; buf is of room.
func store(buf []byte, pos int, acc uint64, n uint, v uint64, k uint) (int, uint64, uint) {
	n += k
	acc = acc<<(k&63) | v
	binary.BigEndian.PutUint64(buf[pos:], acc<<(-n&63))
	return pos + int(n>>3), acc, n & 7
}

// zeros appends k 0 bits.
func (w *bitWriter) zeros(k int) {
	for ; k > 56; k -= 56 {
		w.put(0, 56)
	}
	if k > 0 {
		w.put(0, uint(k))
	}
}

// count returns the bits written since buf was empty.
func (w *bitWriter) count() int { return len(w.buf)*8 + int(w.n) }

// align appends 0 bits up to the end of the octet.
func (w *bitWriter) align() { w.zeros(int(-w.n & 7)) }

// octets returns the whole octets in their order.
func (w *bitWriter) octets() []byte {
	if w.order == LSBFirst {
		turn(w.buf[w.turned:])
	}
	w.turned = len(w.buf)
	return w.buf
}

// turn reverses the bits of each octet.
func turn(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, bits.Reverse64(binary.BigEndian.Uint64(b)))
	}
	for i, c := range b {
		b[i] = bits.Reverse8(c)
	}
}

// clear drops the whole octets.
func (w *bitWriter) clear() { w.buf, w.turned = w.buf[:0], 0 }

// bitReader yields the bits of data, most significant first. Behind its end it yields zeros, and n becomes negative when they are taken.
type bitReader struct {
	acc  uint64 // the next bits, left-aligned; below the n valid ones there may be more, as they come
	n    int    // valid bits in acc
	pos  int    // next octet of data
	data []byte
}

// refill drops the octets that were taken into acc and appends p, whose bits come in the order o.
func (r *bitReader) refill(p []byte, o BitOrder) {
	n := copy(r.data, r.data[r.pos:])
	r.data, r.pos = append(r.data[:n], p...), 0
	if o == LSBFirst {
		turn(r.data[n:])
	}
}

// fill makes n at least 32, unless data ends before.
func (r *bitReader) fill() {
	if r.n < 0 {
		return
	}
	if r.pos+8 <= len(r.data) {
		r.acc |= binary.BigEndian.Uint64(r.data[r.pos:]) >> uint(r.n)
		k := (63 - r.n) >> 3
		r.pos += k
		r.n += k << 3
		return
	}
	for r.n <= 56 && r.pos < len(r.data) {
		r.acc |= uint64(r.data[r.pos]) << (56 - uint(r.n))
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

// place is where a bitReader is in its data.
type place struct {
	acc    uint64
	n, pos int
}

func (r *bitReader) place() place { return place{r.acc, r.n, r.pos} }

// back puts the reader back to where it was.
func (r *bitReader) back(p place) { r.acc, r.n, r.pos = p.acc, p.n, p.pos }

// taken returns how many bits were taken, from where data began on.
func (p place) taken() int64      { return int64(p.pos)*8 - int64(p.n) }
func (r *bitReader) taken() int64 { return r.place().taken() }

// empty tells whether all bits were taken.
func (r *bitReader) empty() bool { return r.n <= 0 && r.pos >= len(r.data) }
