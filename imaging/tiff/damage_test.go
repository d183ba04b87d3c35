package tiff

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// TestDecode_EveryBit flips bits of a page's data in turn, in every format, and spoils it by bursts: the page has its height all the same, each
// line counted, and what is not there is bad.
func TestDecode_EveryBit(t *testing.T) {
	const width, height = 200, 40
	page := testPage(width, height, imaging.Fine)
	for name, format := range testFormats {
		good := write(t, format, page)
		f := open(t, good)
		at, err := f.number(f.pages[0].offsets, 0)
		if err != nil {
			t.Fatal(err)
		}
		size, err := f.number(f.pages[0].counts, 0)
		if err != nil {
			t.Fatal(err)
		}
		check := func(data []byte, what string, bit int) {
			got, q, err := open(t, data).Decode(1)
			if err != nil && !errors.Is(err, ErrTruncated) || got.Bitmap == nil || got.Height != height || got.Width != width ||
				q.Lines != height || q.BadLines > height || q.LongestBad > q.BadLines || q.Lost && q.BadLines == 0 {
				t.Fatalf("%s, %s at %d of %d: %+v, %v", name, what, bit, size*8, q, err)
			}
		}
		for bit := 0; bit < int(size)*8; bit += 5 {
			good[int(at)+bit/8] ^= 1 << (bit % 8)
			check(good, "bit", bit)
			good[int(at)+bit/8] ^= 1 << (bit % 8)
		}
		r := rand.New(rand.NewPCG(2, 3))
		for range 200 {
			data := bytes.Clone(good)
			from := r.IntN(int(size))
			for i := from; i < min(from+1+r.IntN(100), int(size)); i++ {
				data[int(at)+i] = byte(r.Uint32())
			}
			check(data, "burst", from*8)
		}
	}
}
