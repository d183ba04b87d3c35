package jbig

import "math/bits"

// line codes a line of width pels with the two above it. Each row has a word of 0 at its end.
func (e *qmEncoder) line(t *template, cur, up, up2 []uint64, width int) {
	base := t.start(up, up2)
	for w := 0; w*64 < width; w++ {
		c, h, h2, a := cur[w], word(up, w, t.ahead), uint64(0), uint64(0)
		if !t.twoLine {
			h2 = word(up2, w, 1)
		}
		if t.tx != 0 {
			a = behind(cur, w, uint(t.tx))
		}
		base = e.word(t, base, c, h, h2, a, min(64, width-w*64))
	}
}

// behind returns the pels of row that stand tx, 1 to 127, to the left of those of word w.
func behind(row []uint64, w int, tx uint) uint64 {
	w -= int(tx >> 6)
	tx &= 63
	var v uint64
	if w >= 0 {
		v = row[w] >> tx
	}
	if w >= 1 && tx > 0 {
		v |= row[w-1] << (64 - tx)
	}
	return v
}

// word codes the first n pels of c. h, h2 and a have what each pel adds to its context: from the line above, from the second line above,
// and as adaptive pixel if that has moved. It returns the context of the next word's first pel, but for these.
func (e *qmEncoder) word(t *template, base uint32, c, h, h2, a uint64, n int) uint32 {
	size, above, at, mask := e.a, t.above&31, t.a&31, t.mask
	for n > 0 {
		cx := base | uint32(h2>>63)<<second | uint32(h>>63)<<above | uint32(a>>63)<<at
		if cx == 0 {
			if z := min(bits.LeadingZeros64(c|h|h2|a), n); z > 1 {
				e.a = size
				e.white(z)
				size, n = e.a, n-z
				c, h, h2, a = c<<z, h<<z, h2<<z, a<<z
				continue
			}
		}
		pel := uint8(c >> 63)
		base = (cx<<1 | uint32(pel)) & mask
		c, h, h2, a, n = c<<1, h<<1, h2<<1, a<<1, n-1
		s := e.st[cx&(contexts-1)]
		size -= states[s].lsz
		if pel != s&1 || size < 0x8000 {
			size = e.change(cx, pel, size)
		}
	}
	e.a = size
	return base
}
