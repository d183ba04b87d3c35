package raster

import (
	"encoding/binary"
	"fmt"
	"image"
	"testing"
)

// rleBMP is a run-length coded BMP of four greys.
func rleBMP(w, h uint32, bits uint16, coding uint32, data ...byte) []byte {
	b := append([]byte("BM"), make([]byte, 52)...)
	binary.LittleEndian.PutUint32(b[10:], 54+16)
	binary.LittleEndian.PutUint32(b[14:], 40)
	binary.LittleEndian.PutUint32(b[18:], w)
	binary.LittleEndian.PutUint32(b[22:], h)
	b[26] = 1
	binary.LittleEndian.PutUint16(b[28:], bits)
	binary.LittleEndian.PutUint32(b[30:], coding)
	binary.LittleEndian.PutUint32(b[46:], 4)
	for _, v := range []byte{255, 0, 100, 200} {
		b = append(b, v, v, v, 0)
	}
	return append(b, data...)
}

func TestPicture_RLEBMP(t *testing.T) {
	for _, c := range []struct {
		name   string
		data   []byte
		pixels string // row by row, from the top
	}{
		{"runs and literals", rleBMP(6, 2, 8, 1, 2, 1, 0, 3, 2, 3, 1, 0, 1, 2, 0, 0, 6, 3, 0, 1), "333333 112312"},
		{"moves", rleBMP(4, 3, 8, 1, 1, 1, 0, 2, 2, 1, 1, 2, 0, 1), "0000 0002 1000"},
		{"nibbles", rleBMP(6, 2, 4, 2, 3, 0x12, 0, 3, 0x12, 0x30, 0, 0, 0, 5, 0x11, 0x22, 0x30, 0, 0, 1), "112230 121123"},
		{"an end within", rleBMP(3, 2, 8, 1, 3, 1, 0), "000 111"},
		{"runs beyond the row and the picture", rleBMP(2, 1, 8, 1, 200, 1, 0, 0, 9, 3, 0, 0), "11"},
	} {
		sc, err := decodePicture(docOf(c.data, "a.bmp"), TypeBMP)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		img, got := sc.img.(*image.Paletted), ""
		for y := range img.Rect.Dy() {
			if y > 0 {
				got += " "
			}
			for _, v := range img.Pix[y*img.Stride : y*img.Stride+img.Rect.Dx()] {
				got += fmt.Sprint(v)
			}
		}
		if got != c.pixels {
			t.Errorf("%s: %s, want %s", c.name, got, c.pixels)
		}
	}
	_, err := render(t, docOf(rleBMP(31623, 31623, 8, 1), "a.bmp"), Options{})
	wantErr(t, err, ErrTooLarge)
	_, err = render(t, docOf(rleBMP(0, 5, 8, 1), "a.bmp"), Options{})
	wantErr(t, err, ErrEmpty)
}
