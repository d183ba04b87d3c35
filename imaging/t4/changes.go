package t4

import "math/bits"

// A line's changes are the positions where the colour changes, rising, the first from white to black (0 if the line
// begins black). The first is at index `first`, before it is -1; so the change at an even index begins a black run. Behind the last
// come at least `sentinels` entries equal to the width, T.4's imaginary element after the last pel.
const (
	first     = 2
	sentinels = 4
)

// lineChanges is what a line of usual width needs at most: a size the compiler knows saves checks.
const lineRoom = 8192

type lineChanges [lineRoom]int32

// newChanges returns room for any line's changes, of a white line, and at least lineChanges. findChanges writes whole words' worth
// beyond the last.
func newChanges(width int) []int32 {
	c := make([]int32, max(first+width+64+sentinels, lineRoom))
	for i := range c {
		c[i] = int32(width)
	}
	c[0], c[1] = -1, -1
	return c
}

// findChanges fills dst with the changes of row. Four changes of a word are written whether there are as many or not: a
// branch that cannot be foreseen costs more.
func findChanges(dst []int32, row []uint64, width int) {
	n, last := first, uint64(0) // last: the pel before the word, in its most significant bit
	for i, w := range row[:(width+63)>>6] {
		t := w ^ (w>>1 | last)
		last = w << 63
		if t == 0 {
			continue
		}
		base, r := int32(i<<6), bits.Reverse64(t)
		found := bits.OnesCount64(t)
		d := (*[64]int32)(dst[n:])
		d[0] = base + int32(bits.TrailingZeros64(r))
		r &= r - 1
		d[1] = base + int32(bits.TrailingZeros64(r))
		r &= r - 1
		d[2] = base + int32(bits.TrailingZeros64(r))
		r &= r - 1
		d[3] = base + int32(bits.TrailingZeros64(r))
		r &= r - 1
		for k := 4; k < found; k++ {
			d[k&63] = base + int32(bits.TrailingZeros64(r))
			r &= r - 1
		}
		n += found
	}
	for n > first && dst[n-1] >= int32(width) {
		n-- // of padding that is not white
	}
	for i := range sentinels {
		dst[n+i] = int32(width)
	}
}

// sameChanges tells whether two lines are the same.
func sameChanges(a, b []int32, width int) bool {
	for i, x := range a {
		if x != b[i] {
			return false
		}
		if int(x) >= width {
			break
		}
	}
	return true
}

// paint makes row the line with the changes c.
func paint(row []uint64, c []int32, width int) {
	clear(row)
	for i := first; int(c[i]) < width; i += 2 {
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
