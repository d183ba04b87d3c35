package jbig

import (
	"testing"

	"github.com/tipring/tipring/imaging"
)

// FuzzDecode decodes at once and in pieces: the same, and within bounds.
func FuzzDecode(f *testing.F) {
	for _, format := range testFormats() {
		for _, b := range []*imaging.Bitmap{textPage(150, 60), screenPage(90, 70, 6)} {
			data, err := Append(nil, b, format)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint16(b.Width), data)
			e, _ := NewEncoder(nil, b.Width, format)
			for y := range b.Height {
				_ = e.EncodeLine(b.Row(y))
			}
			_ = e.Close()
			f.Add(uint16(100), e.qm.out)
		}
	}
	f.Fuzz(func(t *testing.T, width uint16, data []byte) {
		w := int(width)
		if w == 0 || w > 7296 {
			return
		}
		if h, err := ParseHeader(data); err == nil && h.Width > 7296 {
			return // allowed, but slow
		}
		b, q, err := Decode(data, w, 500)
		if err != nil || b.Height != q.Lines || q.Lines > 500 || q.BadLines > q.Lines || q.LongestBad > q.BadLines {
			t.Fatalf("%+v, %d lines, %v", q, b.Height, err)
		}
		pieces := imaging.New(w, 0)
		d, _ := NewDecoder(w, pieces.AppendRow)
		d.Limit(500)
		for i := 0; i < len(data); i += 7 {
			d.Write(data[i:min(i+7, len(data))])
		}
		if q2 := d.Close(); q2 != q || !pieces.Equal(b) {
			t.Fatalf("%+v at once, %+v in pieces", q, q2)
		}
		for y := range b.Height {
			if b.Row(y)[b.Stride-1]&^lastMask(w) != 0 {
				t.Fatal("pels beyond the width")
			}
		}
	})
}
