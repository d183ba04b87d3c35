package imaging

import (
	"image"
	"image/color"
)

// bilevel is the palette of a Bitmap as an image: index 0 white, 1 black.
var bilevel = color.Palette{color.Gray{Y: 0xff}, color.Gray{Y: 0}}

// A Bitmap is an image.PalettedImage, so image/png writes it with one bit a pel.
var _ image.PalettedImage = (*Bitmap)(nil)

// ColorModel returns a palette of white and black.
func (b *Bitmap) ColorModel() color.Model { return bilevel }

// Bounds returns the rectangle from (0, 0) to (Width, Height).
func (b *Bitmap) Bounds() image.Rectangle { return image.Rect(0, 0, b.Width, b.Height) }

// At returns the colour of the pel at x, y; white outside.
func (b *Bitmap) At(x, y int) color.Color { return bilevel[b.ColorIndexAt(x, y)] }

// ColorIndexAt returns 1 for a black pel, 0 for a white one and outside.
func (b *Bitmap) ColorIndexAt(x, y int) uint8 {
	if x < 0 || y < 0 || x >= b.Width || y >= b.Height || !b.Black(x, y) {
		return 0
	}
	return 1
}

// Thumbnail returns a grey, smoothed picture of b, at most maxWidth pels wide (never wider than b), with square pels: res is
// b's resolution, the zero value stands for square pels.
func Thumbnail(b *Bitmap, res Resolution, maxWidth int) *image.Gray {
	w := min(b.Width, maxWidth)
	if w <= 0 || b.Height <= 0 {
		return image.NewGray(image.Rectangle{})
	}
	rx, ry := int64(1), int64(1)
	if res.X > 0 && res.Y > 0 {
		rx, ry = exact(res)
	}
	rx, ry = min(rx, 8*ry), min(ry, 8*rx) // absurd tags must not ask for a huge picture
	h := int(max((int64(b.Height)*int64(w)*rx+int64(b.Width)*ry/2)/(int64(b.Width)*ry), 1))
	out := image.NewGray(image.Rect(0, 0, w, h))
	t := shrinker{b: b, w: w, line: -1, cover: make([]uint32, w)}
	sum := make([]uint64, w)
	for y := range h {
		// Source lines y0 to y1, in units of 1/h line; each counts by how much of it lies inside.
		y0, y1 := int64(y)*int64(b.Height), int64(y+1)*int64(b.Height)
		clear(sum)
		for l := y0 / int64(h); l*int64(h) < y1; l++ {
			weight := uint64(min(y1, (l+1)*int64(h)) - max(y0, l*int64(h)))
			for x, c := range t.coverage(int(l)) {
				sum[x] += weight * uint64(c)
			}
		}
		full := uint64(b.Height) * uint64(b.Width)
		for x, s := range sum {
			out.Pix[y*out.Stride+x] = 0xff - uint8(s*0xff/full)
		}
	}
	return out
}

// shrinker shrinks lines across; it keeps the last one.
type shrinker struct {
	b     *Bitmap
	w     int // columns of the result
	line  int
	cover []uint32
}

// coverage returns for each column how much of it is black in line y, in units of 1/w pel (b.Width is all of it).
func (t *shrinker) coverage(y int) []uint32 {
	if y == t.line {
		return t.cover
	}
	t.line = y
	row := t.b.Row(y)
	for x := range t.cover {
		x0, x1 := x*t.b.Width, (x+1)*t.b.Width // in units of 1/w pel
		p0, p1 := x0/t.w, x1/t.w
		c := blackBetween(row, p0, p1) * t.w
		if x0%t.w != 0 && t.b.Black(p0, y) {
			c -= x0 % t.w
		}
		if x1%t.w != 0 && t.b.Black(p1, y) {
			c += x1 % t.w
		}
		t.cover[x] = uint32(c)
	}
	return t.cover
}
