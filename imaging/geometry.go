package imaging

import (
	"image"
	"math/bits"
)

// Crop returns the part of b inside r, which may reach beyond b: what lies outside is white. So it pads as well as crops.
func (b *Bitmap) Crop(r image.Rectangle) *Bitmap {
	out := New(max(r.Dx(), 0), max(r.Dy(), 0))
	x0, x1 := max(r.Min.X, 0), min(r.Max.X, b.Width)
	if x0 >= x1 {
		return out
	}
	for y := max(r.Min.Y, 0); y < min(r.Max.Y, b.Height); y++ {
		copyBits(out.Row(y-r.Min.Y), x0-r.Min.X, b.Row(y), x0, x1-x0)
	}
	return out
}

// FitWidth returns b with exactly width pels a line, cropped or padded with white alike on both sides. It returns b itself
// if it fits already. Pels are not scaled: see Rescale.
func (b *Bitmap) FitWidth(width int) *Bitmap {
	if b.Width == width {
		return b
	}
	left := (b.Width - width) / 2
	return b.Crop(image.Rect(left, 0, left+width, b.Height))
}

// Stack returns one bitmap with top's lines above bottom's, such as a header line above a page. It is as wide as bottom,
// whose pels are unchanged; top is cropped or padded on the right.
func Stack(top, bottom *Bitmap) *Bitmap {
	out := New(bottom.Width, top.Height+bottom.Height)
	n := min(top.Width, bottom.Width)
	for y := range top.Height {
		copyBits(out.Row(y), 0, top.Row(y), 0, n)
	}
	copy(out.Words[top.Height*out.Stride:], bottom.Words[:bottom.Height*bottom.Stride])
	return out
}

// Invert turns black to white and white to black, in place.
func (b *Bitmap) Invert() {
	mask := lastMask(b.Width)
	for y := range b.Height {
		row := b.Row(y)
		for i := range row {
			row[i] = ^row[i]
		}
		if len(row) > 0 {
			row[len(row)-1] &= mask
		}
	}
}

// lastMask has a 1 for each bit of a row's last word that is a pel.
func lastMask(width int) uint64 {
	if width&63 == 0 {
		return ^uint64(0)
	}
	return ^uint64(0) << (64 - uint(width)&63)
}

// copyBits copies n pels of src from pel sx on to dst from pel dx on. The target pels must be white.
func copyBits(dst []uint64, dx int, src []uint64, sx, n int) {
	for n > 0 {
		k := min(n, 64-dx&63) // pels that go into dst's current word
		w := loadBits(src, sx) & lastMask(k)
		dst[dx>>6] |= w >> (uint(dx) & 63)
		dx, sx, n = dx+k, sx+k, n-k
	}
}

// loadBits returns 64 pels of row from pel x on; beyond the row they are white.
func loadBits(row []uint64, x int) uint64 {
	i, s := x>>6, uint(x)&63
	w := row[i] << s
	if s > 0 && i+1 < len(row) {
		w |= row[i+1] >> (64 - s)
	}
	return w
}

// blackBetween counts the black pels of row from x0 up to x1, x1 not included.
func blackBetween(row []uint64, x0, x1 int) int {
	n := 0
	for x0 < x1 {
		k := min(x1-x0, 64-x0&63)
		n += bits.OnesCount64(row[x0>>6] << (uint(x0) & 63) & lastMask(k))
		x0 += k
	}
	return n
}
