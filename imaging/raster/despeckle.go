package raster

import "github.com/tipring/tipring/imaging"

// A speck is at most 3/8 mm wide and high and has nothing black within a millimetre, or is a single pel of the fine
// resolution with nothing black within a quarter. A full stop stands nearer to its word.
const (
	speckEighths = 3 // its side, in 1/8 mm
	speckClear   = 8 // white around it, in 1/8 mm
	dustClear    = 2
)

// despeckle removes specks from the blocks that are line art.
func (t *toner) despeckle(b *imaging.Bitmap) {
	if t.w < 64 || t.h < 32 { // a picture so small may be nothing but a dot
		return
	}
	ux, uy := max(1, t.res.X/200), max(1, t.res.Y/190) // pels in 1/8 mm
	if t.res.Y < 150 {
		uy = 1
	}
	for y := range t.h {
		row := b.Row(y)
		for i, w := range row {
			for x := i * 64; w != 0; x, w = x+1, w<<1 {
				if w>>63 == 0 || t.kind[y/t.bh*t.cols+x/t.bw] != lineArt || !topLeft(b, x, y) {
					continue
				}
				switch {
				case alone(b, x, y, ux, uy, dustClear*ux, dustClear*uy):
					erase(b, x, y, ux, uy)
				case alone(b, x, y, speckEighths*ux, speckEighths*uy, speckClear*ux, speckClear*uy):
					erase(b, x, y, speckEighths*ux, speckEighths*uy)
				}
			}
		}
	}
}

// topLeft tells whether nothing black is above or left of the pel.
func topLeft(b *imaging.Bitmap, x, y int) bool {
	return !anyBlack(b, y, x-1, x) && (y == 0 || !anyBlack(b, y-1, x-1, x+2))
}

// alone tells whether all that is black around the pel at x, y, the topmost of its spot, lies in a box of w x h pels that has it in its
// upper row, with mx and my white pels around.
func alone(b *imaging.Bitmap, x, y, w, h, mx, my int) bool {
	x0 := leftEnd(b, x, y, w, h)
	for yy := y - my; yy < y+h+my; yy++ {
		if yy < 0 || yy >= b.Height {
			continue
		}
		if yy < y || yy >= y+h {
			if anyBlack(b, yy, x0-mx, x0+w+mx) {
				return false
			}
		} else if anyBlack(b, yy, x0-mx, x0) || anyBlack(b, yy, x0+w, x0+w+mx) {
			return false
		}
	}
	return true
}

// leftEnd returns where the spot below x, y begins at the left, at most w-1 pels before x.
func leftEnd(b *imaging.Bitmap, x, y, w, h int) int {
	x0 := x
	for yy := y; yy < min(y+h, b.Height); yy++ {
		for x0 > max(0, x-w+1) && b.Black(x0-1, yy) {
			x0--
		}
	}
	return x0
}

func erase(b *imaging.Bitmap, x, y, w, h int) {
	x0 := leftEnd(b, x, y, w, h)
	for yy := y; yy < min(y+h, b.Height); yy++ {
		row := b.Row(yy)
		for xx := max(0, x0); xx < min(x0+w, b.Width); xx++ {
			row[xx>>6] &^= 1 << (63 - uint(xx)&63)
		}
	}
}

// anyBlack tells whether a pel from x0 to before x1 of a row is black.
func anyBlack(b *imaging.Bitmap, y, x0, x1 int) bool {
	x0, x1 = max(0, x0), min(b.Width, x1)
	if x0 >= x1 {
		return false
	}
	row := b.Row(y)
	first, last := x0>>6, (x1-1)>>6
	for i := first; i <= last; i++ {
		w := row[i]
		if i == first {
			w &= ^uint64(0) >> (uint(x0) & 63)
		}
		if i == last {
			w &= ^uint64(0) << (63 - uint(x1-1)&63)
		}
		if w != 0 {
			return true
		}
	}
	return false
}
