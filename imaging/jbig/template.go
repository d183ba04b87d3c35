package jbig

// template says where the pels of a context stand (T.82 figures 3 and 4). A context has ten bits:
//
//	three lines: x-1 x x+1 of the second line above, x-2 ... x+1 of the line above, A, x-2 x-1 of the line itself
//	two lines: x-3 ... x+1 of the line above, A, x-4 ... x-1 of the line itself
//
// A is the adaptive pixel: x+2 of the line above, or x-tx of the line itself.
type template struct {
	twoLine bool
	tx      int    // 0: A is in its place
	mask    uint32 // what is left of a context that was shifted by a pel
	above   uint   // the bit of the rightmost pel of the line above, but for an A that has moved
	ahead   uint   // how far that pel is ahead of x
	a       uint   // A's bit
}

// typicalTwo and typicalThree are the contexts of the typical prediction's pseudo pixel (T.82 figures 12 and 13).
const (
	typicalTwo   = 0x195
	typicalThree = 0x0e5
	contexts     = 1024
	// second is the bit of the rightmost pel of the second line above.
	second = 7
)

func newTemplate(twoLine bool, tx int) template {
	t := template{twoLine: twoLine, tx: tx, a: 2, above: 2, ahead: 2, mask: (contexts - 1) &^ (1 << second)}
	if twoLine {
		t.a, t.above, t.mask = 4, 4, contexts-1
	}
	t.mask &^= 1 << t.a
	if tx != 0 {
		t.above, t.ahead = t.above+1, 1
		t.mask &^= 1 << t.above
	}
	return t
}

// typical is the context of the pseudo pixel.
func (t *template) typical() int {
	if t.twoLine {
		return typicalTwo
	}
	return typicalThree
}

// start is the context before a line's first pel, but for what the words of the lines above add to it.
func (t *template) start(up, up2 []uint64) uint32 {
	var c uint32
	for k := range t.ahead {
		c |= uint32(up[0]>>(63-k)&1) << (t.above + t.ahead - k)
	}
	if !t.twoLine {
		c |= uint32(up2[0]>>63) << (second + 1)
	}
	return c
}

// minMove is the least tx of an adaptive pixel that has moved: nearer ones are in the template already.
func minMove(twoLine bool) int {
	if twoLine {
		return 5
	}
	return 3
}

// word returns the pels of words w from pel k of it on.
func word(row []uint64, w int, k uint) uint64 { return row[w]<<k | row[w+1]>>(64-k) }
