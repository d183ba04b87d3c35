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

// TestDecode_NothingMissing: neither a sound page nor one with single wrong bits has lines missing.
func TestDecode_NothingMissing(t *testing.T) {
	for _, f := range []Format{Line(imaging.MH, imaging.Fine), Line(imaging.MR, imaging.Fine)} {
		b := testPages(1728, 100)["text"]
		good, err := Append(nil, b, f)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(5, 6))
		wrong := 0
		for i := range 500 {
			data := bytes.Clone(good)
			if i > 0 {
				flip(data, r.IntN(len(data)*8-100), 1)
			}
			if _, q, _ := Decode(data, 1728, 0, f); q.Missing > 0 {
				wrong++
				if i == 0 {
					t.Errorf("a sound page: %+v", q)
				}
			}
		}
		if wrong > 5 {
			t.Errorf("%d of 500 pages with one wrong bit are said to miss lines", wrong)
		}
	}
}
