package t4_test

import (
	"bytes"
	"flag"
	"image"
	"math/rand/v2"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/imagingtest"
	"github.com/tipring/tipring/imaging/t4"
)

var full = flag.Bool("full", false, "the whole sweeps: 10,000 random pages of any size in all formats, every bit of a page, 10,000 spoilt pages in each coding")

// randomFormats returns formats of all codings with random particulars; all: every kind, else one of each coding.
func randomFormats(r *rand.Rand, all bool) []t4.Format {
	order := func() t4.BitOrder { return t4.BitOrder(r.IntN(2)) }
	mh := []t4.Format{
		t4.Line(imaging.MH, imaging.Fine),
		{Coding: imaging.MH, EOL: true, Order: order(), MinLineBits: r.IntN(600), End: true},
		{Coding: imaging.MH, EOL: true, Order: order(), AlignEOL: true, MinLineBits: r.IntN(2) * r.IntN(200), End: r.IntN(2) == 0},
		{Coding: imaging.MH, Order: order(), AlignLines: true},
		{Coding: imaging.MH, Order: order()},
	}
	mr := []t4.Format{
		{Coding: imaging.MR, K: 1 + r.IntN(9), Order: order(), End: true},
		{Coding: imaging.MR, K: 2 + r.IntN(1000), Order: order(), MinLineBits: r.IntN(600), End: true},
		{Coding: imaging.MR, K: 1 + r.IntN(9), Order: order(), AlignEOL: true, MinLineBits: r.IntN(2) * r.IntN(200), End: r.IntN(2) == 0},
	}
	mmr := []t4.Format{
		{Coding: imaging.MMR, Order: order(), End: true},
		{Coding: imaging.MMR, Order: order(), AlignLines: true, End: r.IntN(2) == 0},
		{Coding: imaging.MMR, Order: order()},
	}
	if all {
		return append(append(mh, mr...), mmr...)
	}
	return []t4.Format{mh[r.IntN(len(mh))], mr[r.IntN(len(mr))], mmr[r.IntN(len(mmr))]}
}

// TestRoundTrip_RandomPages: 10,000 pages; small ones in one format of each coding, with -full of any size in all.
func TestRoundTrip_RandomPages(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 4))
	for n := range 10000 {
		width := 1 + r.IntN(200)
		if r.IntN(20) == 0 || *full {
			width = 1 + r.IntN(7296)
		}
		height := 1 + r.IntN(min(12, 1+6000/width))
		if *full {
			height = 1 + r.IntN(200)
		}
		kind := imagingtest.Kinds[n%len(imagingtest.Kinds)]
		b := imagingtest.Random(r, width, height, kind)
		for _, f := range randomFormats(r, *full) {
			data, err := t4.Append(nil, b, f)
			if err != nil {
				t.Fatal(err)
			}
			limit := 0
			if !f.End && !f.EOL {
				limit = height // padding may look like lines
			}
			got, q, err := t4.Decode(data, width, limit, f)
			if err != nil || !got.Equal(b) || q != (imaging.Quality{Lines: height, Ended: q.Ended}) || q.Ended != f.End && limit == 0 {
				t.Fatalf("page %d, %s, %d x %d, %+v: %+v, %v", n, kind, width, height, f, q, err)
			}
		}
	}
}

// sweptPage is our first page at standard resolution, or a part of its text.
func sweptPage(t *testing.T) *imaging.Bitmap {
	p := imagingtest.OwnPages(t)[0]
	b := imaging.New(p.Width, 0)
	for y := 0; y < p.Height; y += 2 {
		b.AppendRow(p.Row(y))
	}
	if !*full {
		b = b.Crop(image.Rect(0, 150, b.Width, 250))
	}
	return b
}

var sweptFormats = []struct {
	name   string
	f      t4.Format
	maxBad int // bad lines that a single wrong bit may cost
}{
	{"mh", t4.Line(imaging.MH, imaging.Standard), 2},
	{"mr", t4.Line(imaging.MR, imaging.Standard), 4},
	{"mr K 4", t4.Line(imaging.MR, imaging.Fine), 6},
	{"mmr", t4.Line(imaging.MMR, imaging.Standard), 1},
}

// TestDamage_EveryBit flips each bit of a page in turn; without -full some hundred of them. With EOLs a line may be lost or come to the page and a
// few are bad; of MMR the lines before the hit remain, and the rest is known to be lost, or the hit is not seen.
func TestDamage_EveryBit(t *testing.T) {
	b := sweptPage(t)
	for _, c := range sweptFormats {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			good, err := t4.Append(nil, b, c.f)
			if err != nil {
				t.Fatal(err)
			}
			step, unseen, n := 1, 0, 0
			if !*full {
				step = len(good) * 8 / 400
			}
			for at := 0; at < len(good)*8; at += step {
				imagingtest.Flip(good, at)
				got, q, err := t4.Decode(good, b.Width, 0, c.f)
				imagingtest.Flip(good, at)
				n++
				if msg := singleHit(b, got, q, c.maxBad, c.f.Coding == imaging.MMR); err != nil || msg != "" {
					t.Errorf("bit %d of %d: %s: %+v, page of %d lines, %v", at, len(good)*8, msg, q, b.Height, err)
				}
				if q.BadLines == 0 && !got.Equal(b) {
					unseen++
				}
			}
			t.Logf("%d bits flipped, %d of the hits unseen", n, unseen)
		})
	}
}

// singleHit tells what is wrong with a page of which a single bit is.
func singleHit(want, got *imaging.Bitmap, q imaging.Quality, maxBad int, mmr bool) string {
	off := q.Lines - want.Height
	switch {
	case got.Height != q.Lines:
		return "lines were not counted as they came"
	case q.BadLines > maxBad || q.LongestBad > q.BadLines || q.BadLines > q.Lines:
		return "bad lines"
	case !mmr && (off < -1 || off > 1 || q.Lost):
		return "lines"
	case mmr && q.BadLines > 0 != q.Lost:
		return "a bad line, and what follows is not lost, or the other way round"
	}
	return ""
}

// TestDamage_Spoilt: pages with bursts, cut, or with pieces missing, 10,000 in each coding with -full: lines are counted as they come, no more
// than there may be.
func TestDamage_Spoilt(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 4))
	tries := 100
	if *full {
		tries = 10000
	}
	for _, kind := range []string{"text", "mixed"} {
		b := imagingtest.Random(r, 1720, 100, kind)
		for _, c := range sweptFormats {
			good, err := t4.Append(nil, b, c.f)
			if err != nil {
				t.Fatal(err)
			}
			for range tries {
				data := imagingtest.Spoil(r, good)
				limit := b.Height * r.IntN(2)
				got, q, err := t4.Decode(data, b.Width, limit, c.f)
				if err != nil || got.Height != q.Lines || limit > 0 && q.Lines > limit || q.Lines > 8*len(data) ||
					q.BadLines > q.Lines || q.LongestBad > q.BadLines || q.Missing < 0 || q.MissingRun < 0 {
					t.Fatalf("%s, %s: %+v, %d lines, %v", kind, c.name, q, got.Height, err)
				}
				for y := range got.Height {
					if last := got.Row(y)[got.Stride-1]; last<<(1720%64) != 0 {
						t.Fatalf("%s, %s: pels beyond the width", kind, c.name)
					}
				}
			}
		}
	}
}

// TestDamage_QualityRises: the more is spoilt, the more is said to be bad.
func TestDamage_QualityRises(t *testing.T) {
	b := sweptPage(t)
	seeds := 150
	for _, c := range sweptFormats {
		good, err := t4.Append(nil, b, c.f)
		if err != nil {
			t.Fatal(err)
		}
		imagingtest.QualityRises(t, c.name, good, 0, b.Height, seeds, func(data []byte) imaging.Quality {
			_, q, err := t4.Decode(data, b.Width, b.Height, c.f)
			if err != nil {
				t.Fatal(err)
			}
			return q
		})
	}
}

// TestDecode_HitsBeforeAndBehind: what stands before a damaged line and from the next good one on is as it was.
func TestDecode_HitsBeforeAndBehind(t *testing.T) {
	b := sweptPage(t)
	good, err := t4.Append(nil, b, t4.Line(imaging.MH, imaging.Standard))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(12, 4))
	for range 100 {
		data := bytes.Clone(good)
		imagingtest.Flip(data, r.IntN(len(data)*8))
		got, q, _ := t4.Decode(data, b.Width, 0, t4.Line(imaging.MH, imaging.Standard))
		first, last := 0, 0 // lines alike from the top, and from the bottom
		for first < min(b.Height, got.Height) && sameRow(b, got, first, first) {
			first++
		}
		for last < min(b.Height, got.Height) && sameRow(b, got, b.Height-1-last, got.Height-1-last) {
			last++
		}
		if first+last < b.Height-3 {
			t.Fatalf("%d lines alike above, %d below, of %d: %+v", first, last, b.Height, q)
		}
	}
}

func sameRow(a, b *imaging.Bitmap, ya, yb int) bool {
	for i, w := range a.Row(ya) {
		if w != b.Row(yb)[i] {
			return false
		}
	}
	return true
}
