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

type lineChanges [lineRoom + 1]int32

// newChanges returns room for any line's changes, of a white line, and at least lineChanges. findChanges writes whole words' worth
// beyond the last.
func newChanges(width int) []int32 {
	c := make([]int32, max(first+width+64+sentinels, lineRoom+1))
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
		for at, end := n, n+bits.OnesCount64(t); ; {
			d := (*[4]int32)(dst[at:])
			d[0] = base + int32(bits.TrailingZeros64(r))
			r &= r - 1
			d[1] = base + int32(bits.TrailingZeros64(r))
			r &= r - 1
			d[2] = base + int32(bits.TrailingZeros64(r))
			r &= r - 1
			d[3] = base + int32(bits.TrailingZeros64(r))
			if at += 4; at >= end {
				n = end
				break
			}
			r &= r - 1
		}
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

// paint makes row the line with the changes c. Each change turns the rest of its word; then each word is turned if the one before it
// ended black. There is nothing to be foreseen.
func paint(row []uint64, c []int32, width int) {
	clear(row)
	for i := first; int(c[i]) < width; i++ {
		x := uint(c[i])
		row[x>>6] ^= ^uint64(0) >> (x & 63)
	}
	black := uint64(0)
	for i, w := range row {
		row[i] = w ^ black
		black ^= -(w & 1)
	}
	row[len(row)-1] &= ^uint64(0) << (-uint(width) & 63)
}
