package t4

import "math/bits"

// A line's changes are the positions where the colour changes, rising, the first from white to black (0 if the line
// begins black); so the change at an even index begins a black run. Behind the last come at least `sentinels` entries equal to
// the width, T.4's imaginary element after the last pel.
const sentinels = 4

// newChanges returns room for any line's changes, of a white line.
func newChanges(width int) []int32 {
	c := make([]int32, width+1+sentinels)
	for i := range c {
		c[i] = int32(width)
	}
	return c
}

// findChanges fills dst with the changes of row.
func findChanges(dst []int32, row []uint64, width int) {
	n, last := 0, uint64(0) // last: the pel before the word, in its most significant bit
	for i := range (width + 63) >> 6 {
		w := row[i]
		t := w ^ (w>>1 | last)
		last = w << 63
		for t != 0 {
			z := bits.LeadingZeros64(t)
			x := i<<6 + z
			if x >= width {
				break
			}
			dst[n] = int32(x)
			n++
			t &^= 1 << 63 >> uint(z)
		}
	}
	for i := range sentinels {
		dst[n+i] = int32(width)
	}
}

// paint makes row the line with the changes c.
func paint(row []uint64, c []int32, width int) {
	clear(row)
	for i := 0; int(c[i]) < width; i += 2 {
		blacken(row, int(c[i]), int(c[i+1]))
	}
}

// blacken makes the pels from x0 up to x1 (not included, but more than x0) black.
func blacken(row []uint64, x0, x1 int) {
	first, last := x0>>6, (x1-1)>>6
	head := ^uint64(0) >> (uint(x0) & 63)
	tail := ^uint64(0) << (63 - uint(x1-1)&63)
	if first == last {
		row[first] |= head & tail
		return
	}
	row[first] |= head
	for i := first + 1; i < last; i++ {
		row[i] = ^uint64(0)
	}
	row[last] |= tail
}
