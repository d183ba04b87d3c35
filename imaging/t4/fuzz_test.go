package t4

import (
	"testing"

	"github.com/tipring/tipring/imaging"
)

func fuzzDecode(f *testing.F, names ...string) {
	for page, b := range testPages(131, 9) {
		for _, name := range names {
			data, _ := Append(nil, b, formats()[name])
			if page != "noise" {
				f.Add(uint16(131), data)
			}
		}
	}
	f.Add(uint16(7296), make([]byte, 100))
	f.Fuzz(func(t *testing.T, width uint16, data []byte) {
		w := int(width)
		if w == 0 || w > 7296 {
			return
		}
		for _, name := range names {
			format := formats()[name]
			b, q, err := Decode(data, w, 3000, format)
			if err != nil || b.Height != q.Lines || q.Lines > 3000 || q.BadLines > q.Lines || q.LongestBad > q.BadLines {
				t.Fatalf("%s: %+v, %d lines, %v", name, q, b.Height, err)
			}
			pieces := imaging.New(w, 0)
			d, _ := NewDecoder(w, format, pieces.AppendRow)
			d.Limit(3000)
			for i := 0; i < len(data); i += 7 {
				d.Write(data[i:min(i+7, len(data))])
			}
			if q2 := d.Close(); q2 != q || !pieces.Equal(b) {
				t.Fatalf("%s: %+v at once, %+v in pieces", name, q, q2)
			}
			if err := checkRows(b); err != "" {
				t.Fatal(err)
			}
		}
	})
}

// checkRows sees that no pel beyond the width is set.
func checkRows(b *imaging.Bitmap) string {
	if b.Width%64 == 0 {
		return ""
	}
	for y := range b.Height {
		if b.Row(y)[b.Stride-1]<<(b.Width%64) != 0 {
			return "pels beyond the width"
		}
	}
	return ""
}

func FuzzDecodeMH(f *testing.F)  { fuzzDecode(f, "mh line", "mh bytes", "mh plain") }
func FuzzDecodeMR(f *testing.F)  { fuzzDecode(f, "mr line") }
func FuzzDecodeMMR(f *testing.F) { fuzzDecode(f, "mmr line", "mmr bytes") }

// FuzzRoundTrip codes what the fuzzer draws, in all formats.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint16(20), []byte{1, 2, 3, 0xff, 0, 0x55})
	f.Fuzz(func(t *testing.T, width uint16, pels []byte) {
		w := int(width)%3000 + 1
		n := (w + 7) / 8
		h := min(len(pels)/n, 50)
		b, err := imaging.FromPacked(w, h, pels[:h*n])
		if err != nil {
			t.Fatal(err)
		}
		for name, format := range formats() {
			data, err := Append(nil, b, format)
			if err != nil {
				t.Fatal(err)
			}
			got, q, _ := Decode(data, w, h, format)
			if h > 0 && (!got.Equal(b) || q.BadLines > 0) {
				t.Fatalf("%s: %+v", name, q)
			}
		}
	})
}
