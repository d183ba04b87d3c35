package raster

import (
	"bufio"
	"encoding/binary"
	"image"
	"image/color"
	"io"
)

// x/image/bmp leaves out run-length coded pictures (BI_RLE8, BI_RLE4), which older Windows programs write.

// rleHead is the head of such a picture.
type rleHead struct {
	w, h    int
	four    bool // two pixels an octet
	palette color.Palette
	data    int64 // offset of the coded pixels
}

// rleBMPHead reads the head of a run-length coded BMP; false if it is none.
func rleBMPHead(r io.ReaderAt) (rleHead, bool) {
	var b [54]byte
	if n, _ := r.ReadAt(b[:], 0); n < len(b) || b[0] != 'B' || b[1] != 'M' {
		return rleHead{}, false
	}
	le := binary.LittleEndian
	size, bits, coding, used := le.Uint32(b[14:]), le.Uint16(b[28:]), le.Uint32(b[30:]), le.Uint32(b[46:])
	h := rleHead{w: int(int32(le.Uint32(b[18:]))), h: int(int32(le.Uint32(b[22:]))), four: coding == 2, data: int64(le.Uint32(b[10:]))}
	if size < 40 || size > 1024 || !(coding == 1 && bits == 8 || coding == 2 && bits == 4) || h.w < 0 || h.h < 0 {
		return rleHead{}, false
	}
	if used == 0 || used > 1<<bits {
		used = 1 << bits
	}
	colors := make([]byte, 4*used) // blue, green, red, 0
	if _, err := r.ReadAt(colors, 14+int64(size)); err != nil && err != io.EOF {
		return rleHead{}, false
	}
	h.palette = make(color.Palette, 1<<bits) // an index beyond those used is black
	for i := range h.palette {
		h.palette[i] = color.RGBA{A: 255}
		if i < int(used) {
			h.palette[i] = color.RGBA{R: colors[4*i+2], G: colors[4*i+1], B: colors[4*i], A: 255}
		}
	}
	return h, true
}

// decodeRLEBMP unpacks the picture, rows from the bottom. Where its data ends early the rest has the first colour.
func decodeRLEBMP(r io.ReaderAt, size int64, h rleHead) image.Image {
	img := image.NewPaletted(image.Rect(0, 0, h.w, h.h), h.palette)
	if h.data >= size {
		return img
	}
	d := rleDecoder{in: bufio.NewReader(io.NewSectionReader(r, h.data, size-h.data)), img: img, four: h.four}
	for d.y < h.h && d.code() {
	}
	return img
}

type rleDecoder struct {
	in   *bufio.Reader
	img  *image.Paletted
	four bool
	x, y int // y counts from the bottom
	err  error
}

func (d *rleDecoder) octet() byte {
	b, err := d.in.ReadByte()
	if err != nil {
		d.err = err
	}
	return b
}

// code reads one code; false at the end.
func (d *rleDecoder) code() bool {
	n, v := int(d.octet()), d.octet()
	switch {
	case d.err != nil:
		return false
	case n > 0:
		for i := range min(n, d.img.Rect.Dx()-d.x) {
			d.put(d.pixel(v, i))
		}
	case v == 0: // end of line
		d.x, d.y = 0, d.y+1
	case v == 1: // end of picture
		return false
	case v == 2: // move
		d.x = min(d.x+int(d.octet()), d.img.Rect.Dx())
		d.y += int(d.octet())
	default:
		d.literal(int(v))
	}
	return d.err == nil
}

// literal reads n pixels as they are, filled up to a whole word.
func (d *rleDecoder) literal(n int) {
	octets := n
	if d.four {
		octets = (n + 1) / 2
	}
	for i := range octets + octets&1 {
		v := d.octet()
		if !d.four && i < n {
			d.put(v)
		} else if d.four {
			for k := range min(2, max(0, n-2*i)) {
				d.put(d.pixel(v, k))
			}
		}
	}
}

// pixel returns pixel i of those that v stands for.
func (d *rleDecoder) pixel(v byte, i int) byte {
	switch {
	case !d.four:
		return v
	case i&1 == 0:
		return v >> 4
	}
	return v & 15
}

// put sets the next pixel; what is beyond the row is dropped.
func (d *rleDecoder) put(v byte) {
	if b := d.img.Rect; d.x < b.Dx() {
		d.img.Pix[(b.Dy()-1-d.y)*d.img.Stride+d.x] = v
		d.x++
	}
}
