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
	for n > 0 {
		cx := base | uint32(h2>>63)<<second | uint32(h>>63)<<(t.above&31)
		if cx == 0 {
			if z := min(bits.LeadingZeros64(h|h2), n); z > 1 {
				if z = d.white(z); z > 0 {
					n -= z
					h, h2, pels = h<<z, h2<<z, pels<<z
					continue
				}
			}
		}
		h, h2, n = h<<1, h2<<1, n-1
		s := d.st[cx&(contexts-1)]
		q := &states[s]
		d.a -= q.lsz
		pel := s & 1
		if a := uint64(d.a) << 32; d.c < a {
			if d.a < 0x8000 {
				if d.a < q.lsz {
					pel ^= 1
					d.st[cx&(contexts-1)] = q.nlps
				} else {
					d.st[cx&(contexts-1)] = q.nmps
				}
				d.renorm()
			}
		} else {
			d.c -= a
			if d.a < q.lsz {
				d.st[cx&(contexts-1)] = q.nmps
			} else {
				pel ^= 1
				d.st[cx&(contexts-1)] = q.nlps
			}
			d.a = q.lsz
			d.renorm()
		}
		pels = pels<<1 | uint64(pel)
		base = (cx<<1 | uint32(pel)) & t.mask
	}
	return pels, base
}

// wordMoved is word for an adaptive pixel that has moved: by up to 64 pels, which are in last, or farther, then it is in far.
func (d *qmDecoder) wordMoved(t *template, base uint32, h, h2, far, last uint64, n int) (pels uint64, next uint32) {
	for ; n > 0; n-- {
		a := far >> 63
		if t.tx <= 64 {
			a = last >> (t.tx - 1) & 1
		}
		cx := base | uint32(h2>>63)<<second | uint32(h>>63)<<t.above | uint32(a)<<t.a
		pel := d.decode(int(cx))
		last = last<<1 | uint64(pel)
		base = (cx<<1 | uint32(pel)) & t.mask
		h, h2, far = h<<1, h2<<1, far<<1
	}
	return last, base
}
