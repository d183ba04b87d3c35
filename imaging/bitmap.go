// Package imaging has the one-bit page: its pixels, resolutions and widths.
package imaging

import "fmt"

// Bitmap is a bi-level picture, one bit per pel, 1 is black. Rows are whole 64-bit words; the leftmost pel is the
// most significant bit of a row's first word. Bits beyond Width in a row's last word are 0.
type Bitmap struct {
	Width, Height int // pels, lines
	Stride        int // words per row: (Width+63)/64
	Words         []uint64
}

// New returns a white bitmap. It panics on a negative size.
func New(width, height int) *Bitmap {
	if width < 0 || height < 0 {
		panic(fmt.Sprintf("imaging: New(%d, %d)", width, height))
	}
	stride := (width + 63) / 64
	return &Bitmap{Width: width, Height: height, Stride: stride, Words: make([]uint64, stride*height)}
}

// Row returns line y's words; writing to it changes the bitmap.
func (b *Bitmap) Row(y int) []uint64 { return b.Words[y*b.Stride : (y+1)*b.Stride : (y+1)*b.Stride] }

// Black tells whether the pel at x, y is black.
func (b *Bitmap) Black(x, y int) bool { return b.Words[y*b.Stride+x>>6]>>(63-uint(x)&63)&1 != 0 }

// SetBlack makes the pel at x, y black.
func (b *Bitmap) SetBlack(x, y int) { b.Words[y*b.Stride+x>>6] |= 1 << (63 - uint(x)&63) }

// AppendRow adds one row of Stride words at the bottom.
func (b *Bitmap) AppendRow(row []uint64) {
	b.Words = append(b.Words, row[:b.Stride]...)
	b.Height++
}

// Equal tells whether both have the same size and pels.
func (b *Bitmap) Equal(o *Bitmap) bool {
	if b.Width != o.Width || b.Height != o.Height {
		return false
	}
	for i, w := range b.Words[:b.Stride*b.Height] {
		if w != o.Words[i] {
			return false
		}
	}
	return true
}
