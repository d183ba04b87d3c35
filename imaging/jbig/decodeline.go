package jbig

import "math/bits"

// line decodes a line of width pels. Each row has a word of 0 at its end.
func (d *qmDecoder) line(t *template, cur, up, up2 []uint64, width int) {
	base := t.start(up, up2)
	var last uint64 // the 64 pels before, for an adaptive pixel that has moved
	for w := 0; w*64 < width; w++ {
		h, h2, far := word(up, w, t.ahead), uint64(0), uint64(0)
		if !t.twoLine {
			h2 = word(up2, w, 1)
		}
		if t.tx > 64 {
			far = behind(cur, w, uint(t.tx)) // all in words before
		}
		n := min(64, width-w*64)
		switch {
		case t.tx == 0:
			last, base = d.word(t, base, h, h2, n)
		default:
			last, base = d.wordMoved(t, base, h, h2, far, last, n)
		}
		cur[w] = last << (64 - n)
	}
}

// word decodes n pels. h and h2 are as qmEncoder.word has them. It returns the pels, the last one as bit 0, and the context of the next word's
// first pel.
func (d *qmDecoder) word(t *template, base uint32, h, h2 uint64, n int) (pels uint64, next uint32) {
	a, c, above, mask := d.a, d.c, t.above&31, t.mask
	for n > 0 {
		cx := base | uint32(h2>>63)<<second | uint32(h>>63)<<above
		if cx == 0 {
			if z := min(bits.LeadingZeros64(h|h2), n); z > 1 {
				d.a, d.c = a, c
				if z = d.white(z); z > 0 {
					n, a = n-z, d.a
					h, h2, pels = h<<z, h2<<z, pels<<z
					continue
				}
			}
		}
		h, h2, n = h<<1, h2<<1, n-1
		s := d.st[cx&(contexts-1)]
		pel := s & 1
		a -= states[s].lsz
		if a < 0x8000 || c>>32 >= uint64(a) {
			pel, a, c = d.decide(cx, a, c)
		}
		pels = pels<<1 | uint64(pel)
		base = (cx<<1 | uint32(pel)) & mask
	}
	d.a, d.c = a, c
	return pels, base
}

// wordMoved is word for an adaptive pixel that has moved: by up to 64 pels, which are in last, or farther, then it is in far.
func (d *qmDecoder) wordMoved(t *template, base uint32, h, h2, far, last uint64, n int) (pels uint64, next uint32) {
	a, c, above, at, mask := d.a, d.c, t.above&31, t.a&31, t.mask
	back := uint(t.tx-1) & 63
	near := uint64(0)
	if t.tx <= 64 {
		near = 1
	}
	for ; n > 0; n-- {
		cx := base | uint32(h2>>63)<<second | uint32(h>>63)<<above | uint32(far>>63|last>>back&near)<<at
		s := d.st[cx&(contexts-1)]
		pel := s & 1
		a -= states[s].lsz
		if a < 0x8000 || c>>32 >= uint64(a) {
			pel, a, c = d.decide(cx, a, c)
		}
		last = last<<1 | uint64(pel)
		base = (cx<<1 | uint32(pel)) & mask
		h, h2, far = h<<1, h2<<1, far<<1
	}
	d.a, d.c = a, c
	return last, base
}
