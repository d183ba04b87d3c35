package t4

import "encoding/binary"

// lineResult is how the decoding of one line ended.
type lineResult uint8

const (
	lineOK   lineResult = iota // it has the page's width
	lineBad                    // it has not
	lineMore                   // the data ended inside it, and more may come
)

// Results of readRun below 0.
const (
	runInvalid = -1
	runCut     = -2 // the data ended
)

// readRun reads one run of at most room pels.
func (d *Decoder) readRun(color, room int) int {
	r, t := &d.br, &decodeRuns[color]
	for total := 0; ; {
		r.need()
		e := t[r.acc>>(64-runBits)]
		if e.kind == runBad {
			if r.n < runBits {
				return runCut
			}
			return runInvalid
		}
		r.skip(int(e.n))
		if r.n < 0 {
			return runCut
		}
		if total += int(e.run); total > room {
			return runInvalid
		}
		if e.kind == runTerm {
			return total
		}
	}
}

// failed turns a negative result of readRun into a line's.
func (d *Decoder) failed(run int) lineResult {
	if run == runCut && !d.final {
		return lineMore
	}
	return lineBad
}

// change puts a change at x into cur[i] and returns the next index. A run of no pels joins its neighbours: the
// reference line must have true changes only. The index's parity stays the colour.
func change(cur []int32, i int, x int32) int {
	if cur[i-1] == x {
		return i - 1
	}
	cur[i] = x
	return i + 1
}

// line1D decodes a one-dimensional line into cur.
func (d *Decoder) line1D() lineResult {
	r, cur, width := &d.br, d.cur, int32(d.width)
	x, i := int32(0), first
	r.need()
	if n := int(d.white.bits()); d.white != 0 && r.n >= n && r.acc>>(64-n) == d.white.word() {
		r.skip(n)
		d.endLine(first)
		return lineOK
	}
	for d.fits {
		i, x = walkRuns((*lineChanges)(cur), r, i, x, width)
		if r.need(); r.n < lookBits {
			break
		}
		e := lookAt(i, r.acc)
		x1 := x + e.first()
		x2 := x1 + e.second()
		if x1 <= cur[i-1] || x2 > width || x2 == width && e.ends() == 0 {
			break
		}
		r.skip(int(e.bits()))
		cur[i], cur[i+1] = x1, x2
		i += e.ends()
		if x = x2; x == width {
			d.endLine(i - 1)
			return lineOK
		}
	}
	return d.slow1D(x, i)
}

// walkRuns takes runs up to a look into the table that leads to the line's end or nowhere, or to a run of no pels but make-up code words,
// or until there are not eight octets to come. Two changes are written whether there are as many or not, so that nothing has to be foreseen.
// It is a function of its own so that all it needs has room in registers.
func walkRuns(cur *lineChanges, r *bitReader, i int, x, width int32) (int, int32) {
	acc, n := r.acc, r.n
	if n > 63 { // there is no room for more
		return i, x
	}
	sum := lookEntry(i) << lookBits // of the looks since acc was filled: the bits they took and the colour after them
looking:
	for ; r.pos+8 <= len(r.data); n -= int(sum.bits()) {
		acc |= binary.BigEndian.Uint64(r.data[r.pos:]) >> (uint(n) & 63)
		k := (63 - n) >> 3
		n += k << 3
		r.pos += k
		sum &= lookBlack
		for range 4 {
			e := looks[uint64(sum&lookBlack)|acc>>(64-lookBits)]
			x1 := x + e.first()
			x2 := x1 + e.second()
			if x2 >= width || e.first() == 0 {
				n -= int(sum.bits())
				break looking
			}
			acc <<= e.bits()
			sum += e
			at := uint(i) % lineRoom
			cur[at], cur[at+1] = x1, x2
			i += e.ends()
			x = x2
		}
	}
	r.acc, r.n = acc, n
	return i, x
}

// slow1D goes on at x, in the run that ends with change i: near the end of the data, or at what is not in the table.
func (d *Decoder) slow1D(x int32, i int) lineResult {
	fresh := x == max(d.cur[i-1], 0) // no make-up code word of the run was taken yet
	for ; ; fresh = true {
		if fresh && d.atEntry1D() {
			d.br.skip(entry1DBits)
			var res lineResult
			if x, i, res = d.uncompressed(x, i); res != lineOK {
				return res
			}
		} else {
			n := d.readRun(i&1, d.width-int(x))
			if n < 0 {
				return d.failed(n)
			}
			x += int32(n)
			i = change(d.cur, i, x)
		}
		if int(x) == d.width {
			d.endLine(i)
			return lineOK
		}
	}
}

// endLine puts the sentinels behind the changes of cur up to i.
func (d *Decoder) endLine(i int) {
	for k := range sentinels {
		d.cur[i+k] = int32(d.width)
	}
}

// line2D decodes a two-dimensional line into cur, by the reference line ref.
func (d *Decoder) line2D() lineResult {
	r, width := &d.br, int32(d.width)
	a0, i, b := int32(-1), first, first // i: index of a1, its parity the colour; b: of b1, of the same parity
	for d.fits {
		i, b, a0 = walk((*lineChanges)(d.cur), (*lineChanges)(d.ref), r, i, b, a0, width)
		if r.need(); r.n < 3+lookBits {
			break
		}
		if e := steps[r.acc>>(64-modeBits)]; e.delta() > noStep {
			if d.ref[b+e.pass()]+e.delta() != width {
				break
			}
			r.skip(int(e.bits()))
			d.endLine(i)
			return lineOK
		}
		if r.acc>>61 != 1 {
			break
		}
		r.skip(3)
		var res lineResult
		if i, a0, res = d.horizontal(i, max(a0, 0)); res != lineOK || a0 == width {
			d.endLine(i)
			return res
		}
		for d.ref[b] <= a0 {
			b += 2
		}
	}
	return d.slow2D(a0, i, b)
}

// walk takes codes as long as they lead on and not to the line's end, and there are eight octets to come: vertical and pass codes, which are
// one step, with nothing to be foreseen, and horizontal ones whose runs are found with one look.
// It is a function of its own so that all it needs has room in registers.
func walk(cur, ref *lineChanges, r *bitReader, i, b int, a0, width int32) (int, int, int32) {
	acc, n := r.acc, r.n // n is not over 63 where acc is filled
	for {
		if n < 3+lookBits {
			if r.pos+8 > len(r.data) {
				break
			}
			acc |= binary.BigEndian.Uint64(r.data[r.pos:]) >> (uint(n) & 63)
			k := (63 - n) >> 3
			n += k << 3
			r.pos += k
		}
		e := steps[acc>>(64-modeBits)]
		a1 := ref[uint(b+e.pass())%lineRoom] + e.delta()
		if a1 > a0 && a1 < width {
			acc <<= e.bits()
			n -= int(e.bits())
			cur[uint(i)%lineRoom] = a1
			i += 1 - e.pass()
			b += 1 + e.pass()
			if a0 = a1; ref[uint(b-2)%lineRoom] > a0 {
				b -= 2 // a1 may be left of b1, but not of the third change before it
			}
		} else {
			l := lookAt(i, acc<<3)
			x1 := max(a0, 0) + l.first()
			x2 := x1 + l.second()
			if acc>>61 != 1 || l.ends() != 2 || x2 >= width {
				break
			}
			acc <<= 3 + l.bits()
			n -= 3 + int(l.bits())
			cur[uint(i)%lineRoom], cur[uint(i+1)%lineRoom] = x1, x2
			i, a0 = i+2, x2
		}
		for ref[uint(b)%lineRoom] <= a0 {
			b += 2
		}
	}
	r.acc, r.n = acc, n
	return i, b, a0
}

// horizontal reads the two runs of mode horizontal from x on and returns the next change's index and a2.
func (d *Decoder) horizontal(i int, x int32) (int, int32, lineResult) {
	var to [2]int32
	for k := range to {
		n := d.readRun((i+k)&1, d.width-int(x))
		if n < 0 {
			return i, x, d.failed(n)
		}
		x += int32(n)
		to[k] = x
	}
	i = change(d.cur, i, to[0])
	return change(d.cur, i, to[1]), x, lineOK
}

// slow2D goes on behind a0: near the end of the data, or at what should not be there.
func (d *Decoder) slow2D(a0 int32, i, b int) lineResult {
	r, cur, ref, width := &d.br, d.cur, d.ref, int32(d.width)
	for {
		r.need()
		m := decodeMode[r.acc>>(64-modeBits)]
		if m.mode == modeBad {
			extension := r.acc>>(64-modeBits) == extension2D
			if r.n < modeBits || extension && r.n < entry2DBits {
				return d.failed(runCut)
			}
			if r.acc>>(64-entry2DBits) != entry2D {
				return lineBad
			}
			m.n = entry2DBits
		}
		r.skip(int(m.n))
		if r.n < 0 {
			return d.failed(runCut)
		}
		switch m.mode {
		case modeBad: // but for uncompressed mode
			x, next, res := d.uncompressed(max(a0, 0), i)
			if res != lineOK {
				return res
			}
			if x > 0 {
				a0 = x
			}
			i, b = next, first+next&1
		case modePass:
			a0 = ref[b+1]
		case modeVertical:
			a1 := ref[b] + int32(m.delta)
			if a1 < max(a0, 0) || a1 > width {
				return lineBad
			}
			a0 = a1
			i = change(cur, i, a1)
			if b > first {
				b-- // a1 may be left of b1, but not of the third change before it
			} else {
				b++
			}
		case modeHorizontal:
			var res lineResult
			if i, a0, res = d.horizontal(i, max(a0, 0)); res != lineOK {
				return res
			}
		}
		if a0 >= width {
			d.endLine(i)
			return lineOK
		}
		for ref[b] <= a0 {
			b += 2
		}
	}
}
