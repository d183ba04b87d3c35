package imaging

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrSize is returned when packed data does not have the length its size in pels needs, or a size is negative.
var ErrSize = errors.New("imaging: wrong size")

// AppendPacked appends line y as (Width+7)/8 bytes, leftmost pel in the most significant bit, 1 black (as in PBM).
func (b *Bitmap) AppendPacked(dst []byte, y int) []byte {
	n := (b.Width + 7) / 8
	for _, w := range b.Row(y) {
		if n >= 8 {
			dst = binary.BigEndian.AppendUint64(dst, w)
			n -= 8
			continue
		}
		for ; n > 0; n-- {
			dst = append(dst, byte(w>>56))
			w <<= 8
		}
	}
	return dst
}

// Packed returns all lines as AppendPacked has them, one after another: the body of a raw PBM file.
func (b *Bitmap) Packed() []byte {
	dst := make([]byte, 0, (b.Width+7)/8*b.Height)
	for y := range b.Height {
		dst = b.AppendPacked(dst, y)
	}
	return dst
}

// SetPacked sets line y from packed bytes, as AppendPacked has them. Bits beyond Width are ignored and missing bytes are white.
func (b *Bitmap) SetPacked(y int, packed []byte) {
	row := b.Row(y)
	for i := range row {
		switch {
		case len(packed) >= 8:
			row[i] = binary.BigEndian.Uint64(packed)
			packed = packed[8:]
		default:
			var w [8]byte
			copy(w[:], packed)
			row[i] = binary.BigEndian.Uint64(w[:])
			packed = nil
		}
	}
	if len(row) > 0 {
		row[len(row)-1] &= lastMask(b.Width)
	}
}

// FromPacked returns the bitmap of width x height pels in packed bytes, as Packed has them. ErrSize if their number is not
// (width+7)/8*height.
func FromPacked(width, height int, packed []byte) (*Bitmap, error) {
	if width < 0 || height < 0 || int64(len(packed)) != (int64(width)+7)/8*int64(height) {
		return nil, fmt.Errorf("%w: %d bytes for %d x %d pels", ErrSize, len(packed), width, height)
	}
	b := New(width, height)
	n := (width + 7) / 8
	for y := range height {
		b.SetPacked(y, packed[y*n:(y+1)*n])
	}
	return b, nil
}
