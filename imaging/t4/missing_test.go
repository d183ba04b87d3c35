package t4

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// TestDecode_LinesThatAHitTookWhole: in white paper a hit of 40 ms takes twenty lines and more, with their EOLs. What is left
// is one bad line to look at; the room says how many there were.
func TestDecode_LinesThatAHitTookWhole(t *testing.T) {
	const lines, hit = 300, 576
	white := imaging.New(1728, lines)
	for y := range lines {
		white.Row(y)[1], white.Row(y)[25] = 0xff, 0xff00 // a frame's two sides
	}
	for _, c := range []struct {
		name string
		f    Format
	}{{"mh", Line(imaging.MH, imaging.Fine)}, {"mr", Line(imaging.MR, imaging.Fine)}} {
		good, err := Append(nil, white, c.f)
		if err != nil {
			t.Fatal(err)
		}
		perLine := len(good) * 8 / lines
		r := rand.New(rand.NewPCG(3, 4))
		for range 200 {
			data := bytes.Clone(good)
			at := len(data)*2 + r.IntN(len(data)*4)
			for i := at; i < at+hit; i++ {
				if r.IntN(2) == 0 {
					flip(data, i, 1)
				}
			}
			_, q, _ := Decode(data, 1728, 0, c.f)
			if gone := hit/perLine - 1; q.Lines+q.Missing < lines-gone/2 || q.MissingRun < gone/2 || q.Missing > 2*gone {
				t.Fatalf("%s: about %d of %d lines hit, found %+v", c.name, gone, lines, q)
			}
		}
	}
}

// TestDecode_NothingMissing: no sound page has lines missing, and a single wrong bit hardly ever makes it seem that more than a
// few are: no more than what a page is still good with.
func TestDecode_NothingMissing(t *testing.T) {
	for _, f := range []Format{Line(imaging.MH, imaging.Fine), Line(imaging.MR, imaging.Fine)} {
		for name, b := range testPages(1728, 100) {
			good, err := Append(nil, b, f)
			if err != nil {
				t.Fatal(err)
			}
			if _, q, _ := Decode(good, 1728, 0, f); q.Missing != 0 || q.MissingRun != 0 {
				t.Errorf("%s: a sound page: %+v", name, q)
			}
			r := rand.New(rand.NewPCG(5, 6))
			const tries = 500
			wrong := 0
			for range tries {
				data := bytes.Clone(good)
				flip(data, r.IntN(len(data)*8-100), 1)
				if _, q, _ := Decode(data, 1728, 0, f); q.MissingRun > 6 {
					wrong++
				}
			}
			if wrong > tries/100 {
				t.Errorf("%s, %v: %d of %d pages with one wrong bit are said to miss many lines", name, f.Coding, wrong, tries)
			}
		}
	}
}
