package t4

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// fuzzDecode decodes at once and in pieces: the same, and within bounds.
func fuzzDecode(f *testing.F, c imaging.Coding, names ...string) {
	for page, b := range testPages(131, 9) {
		for _, name := range names {
			data, _ := Append(nil, b, formats()[name])
			if page != "noise" {
				f.Add(uint16(131), data)
			}
		}
		f.Add(uint16(131), octets(naiveUncompressed(b, c, rand.New(rand.NewPCG(1, 2))), formats()[names[0]].Order))
	}
	wide, _ := Append(nil, testPages(7296, 3)["text"], formats()[names[0]])
	f.Add(uint16(7296), wide)
	f.Add(uint16(7296), make([]byte, 100))
	f.Fuzz(func(t *testing.T, width uint16, data []byte) {
		w := int(width)
		if w == 0 || w > 7296 {
			return
		}
		for _, name := range names {
			format := formats()[name]
			b, q, err := Decode(data, w, 3000, format)
			if err != nil || b.Height != q.Lines || q.Lines > 3000 || q.BadLines > q.Lines || q.LongestBad > q.BadLines ||
				q.Missing < 0 || q.MissingRun > q.Missing+q.LongestBad {
				t.Fatalf("%s: %+v, %d lines, %v", name, q, b.Height, err)
			}
			pieces := imaging.New(w, 0)
			d, _ := NewDecoder(w, format, pieces.AppendRow)
			d.Limit(3000)
			for i := 0; i < len(data); i += 7 {
				d.Write(data[i:min(i+7, len(data))])
				if n := len(d.br.data) - d.br.pos; n > maxPending+7 {
					t.Fatalf("%s: %d octets kept", name, n)
				}
			}
			if q2 := d.Close(); q2 != q || !pieces.Equal(b) {
				t.Fatalf("%s: %+v at once, %+v in pieces", name, q, q2)
			}
			if err := checkRows(b); err != "" {
				t.Fatal(err)
			}
			if q.BadLines == 0 && !q.Lost {
				roundTrip(t, name, b, format)
			}
		}
	})
}

// roundTrip codes a page and decodes it again.
func roundTrip(t *testing.T, name string, b *imaging.Bitmap, f Format) {
	data, err := Append(nil, b, f)
	if err != nil {
		t.Fatal(err)
	}
	if f.K == 0 {
		f.K = 2
	}
	if b.Width*b.Height < 4000 && !bytes.Equal(data, octets(naiveEncode(b, f), f.Order)) {
		t.Fatalf("%s: the twin codes otherwise", name)
	}
	got, q, err := Decode(data, b.Width, b.Height, f)
	if b.Height > 0 && (err != nil || !got.Equal(b) || q.BadLines > 0 || q.Missing > 0 || q.Lost) {
		t.Fatalf("%s: %+v, %v", name, q, err)
	}
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

func FuzzDecodeMH(f *testing.F)  { fuzzDecode(f, imaging.MH, "mh line", "mh bytes", "mh plain") }
func FuzzDecodeMR(f *testing.F)  { fuzzDecode(f, imaging.MR, "mr line") }
func FuzzDecodeMMR(f *testing.F) { fuzzDecode(f, imaging.MMR, "mmr line", "mmr bytes") }

// FuzzRoundTrip codes what the fuzzer draws, in all formats, and with any K and fill.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint16(20), []byte{1, 2, 3, 0xff, 0, 0x55}, uint8(2), uint16(0))
	for _, width := range []int{1, 64, 131, 2623, 2999} {
		for _, b := range testPages(width, 8) {
			f.Add(uint16(width-1), b.Packed(), uint8(width), uint16(width/3))
		}
	}
	f.Fuzz(func(t *testing.T, width uint16, pels []byte, k uint8, fill uint16) {
		w := int(width)%3000 + 1
		n := (w + 7) / 8
		h := min(len(pels)/n, 50)
		b, err := imaging.FromPacked(w, h, pels[:h*n])
		if err != nil {
			t.Fatal(err)
		}
		for name, format := range formats() {
			roundTrip(t, name, b, format)
		}
		for _, c := range []imaging.Coding{imaging.MH, imaging.MR} {
			roundTrip(t, "any", b, Format{Coding: c, EOL: true, AlignEOL: k&1 != 0, End: true, Order: LSBFirst, K: int(k), MinLineBits: int(fill)})
		}
	})
}
