package jbig_test

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"math/rand/v2"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/imagingtest"
	"github.com/tipring/tipring/imaging/jbig"
)

var full = flag.Bool("full", false, "the whole sweeps: 10,000 random pages of any size, every bit of a page, 10,000 spoilt pages")

// code codes a page; stream: line by line, its height said at the end.
func code(t *testing.T, b *imaging.Bitmap, f jbig.Format, stream bool) []byte {
	t.Helper()
	if !stream {
		data, err := jbig.Append(nil, b, f)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var buf bytes.Buffer
	e, err := jbig.NewEncoder(&buf, b.Width, f)
	if err != nil {
		t.Fatal(err)
	}
	for y := range b.Height {
		if err := e.EncodeLine(b.Row(y)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestRoundTrip_AllKinds: random pages of all kinds in random formats, 10,000 of any size with -full.
func TestRoundTrip_AllKinds(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 85))
	pages := 500
	if *full {
		pages = 10000
	}
	suspect := map[string]int{}
	for n := range pages {
		width := 1 + r.IntN(300)
		if r.IntN(20) == 0 || *full {
			width = 1 + r.IntN(7296)
		}
		height := 1 + r.IntN(min(30, 1+9000/width))
		if *full {
			height = 1 + r.IntN(100)
		}
		kind := imagingtest.Kinds[n%len(imagingtest.Kinds)]
		b := imagingtest.Random(r, width, height, kind)
		f := jbig.Format{StripeLines: 1 + r.IntN(1+r.IntN(200)), TwoLine: r.IntN(3) == 0, NoTypical: r.IntN(3) == 0, MX: r.IntN(2) * r.IntN(jbig.MaxMX+1), Reset: r.IntN(3) == 0}
		data := code(t, b, f, r.IntN(2) == 0)
		got, q, err := jbig.Decode(data, width, 0)
		if err != nil || !got.Equal(b) || q != (imaging.Quality{Lines: height, BadLines: q.BadLines, LongestBad: q.LongestBad, Ended: true}) {
			t.Fatalf("page %d, %s, %d x %d, %+v: %+v, %v", n, kind, width, height, f, q, err)
		}
		if q.BadLines > 0 {
			suspect[kind]++
		}
	}
	// Strictly periodic patterns may look like damage. Nothing else does.
	seldom := suspect["screen"] + suspect["bars"] + suspect["stripes"] + suspect["mixed"]
	if seldom > pages/200 {
		t.Errorf("%d pages with periodic patterns are said to be bad", seldom)
	}
	for _, kind := range []string{"empty", "black", "text", "noise", "dust", "diffused"} {
		if suspect[kind] > 0 {
			t.Errorf("%d sound pages, %s, are said to be bad", suspect[kind], kind)
		}
	}
}

// sweptFormats: one that says its height first, in stripes, and one that says it at the end.
var sweptFormats = map[string]struct {
	f      jbig.Format
	stream bool
}{
	"stripes":       {jbig.Format{MX: 8, StripeLines: 32}, false},
	"fresh stripes": {jbig.Format{MX: 8, StripeLines: 32, Reset: true}, false},
	"height last":   {jbig.Format{MX: 8, StripeLines: 32}, true},
}

// TestDamage_EveryBitOfText flips each bit of a page of text in turn; without -full some hundred: never more lines than there may be, and lines
// are counted as they come.
func TestDamage_EveryBitOfText(t *testing.T) {
	page := imagingtest.OwnPages(t)[0]
	b := page.Crop(image.Rect(0, 300, page.Width, 500))
	for name, c := range sweptFormats {
		good := code(t, b, c.f, c.stream)
		step, n, unseen := 1, 0, 0
		if !*full {
			step = len(good) * 8 / 60
		}
		for at := 0; at < len(good)*8; at += step {
			imagingtest.Flip(good, at)
			got, q, err := jbig.Decode(good, b.Width, b.Height)
			imagingtest.Flip(good, at)
			if n++; err != nil || got.Height != q.Lines || q.Lines > b.Height || q.BadLines > q.Lines || q.LongestBad > q.BadLines || q.Ended && q.Lost {
				t.Errorf("%s, bit %d of %d: %+v, %v", name, at, len(good)*8, q, err)
			}
			if at >= jbig.HeaderLen*8 && q.Ended && q.BadLines == 0 && !got.Equal(b) {
				unseen++
			}
		}
		t.Logf("%s: %d bits flipped, %d of the hits unseen", name, n, unseen)
	}
}

// TestDamage_Spoilt: pages with bursts, cut, or with pieces missing; 10,000 of each format with -full.
func TestDamage_Spoilt(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 85))
	b := imagingtest.Random(r, 700, 120, "mixed")
	tries := 60
	if *full {
		tries = 10000
	}
	for name, c := range sweptFormats {
		good := code(t, b, c.f, c.stream)
		for range tries {
			data := imagingtest.Spoil(r, good)
			got, q, err := jbig.Decode(data, b.Width, 200)
			if err != nil || got.Height != q.Lines || q.Lines > 200 || q.BadLines > q.Lines || q.LongestBad > q.BadLines {
				t.Fatalf("%s: %+v, %d lines, %v", name, q, got.Height, err)
			}
			for y := range got.Height {
				if got.Row(y)[got.Stride-1]<<(700%64) != 0 {
					t.Fatalf("%s: pels beyond the width", name)
				}
			}
		}
	}
}

// TestDamage_QualityRises: the more is spoilt, the more is said to be bad.
func TestDamage_QualityRises(t *testing.T) {
	page := imagingtest.OwnPages(t)[0]
	b := page.Crop(image.Rect(200, 300, 1000, 700))
	good := code(t, b, jbig.Format{StripeLines: 4, Reset: true}, false)
	imagingtest.QualityRises(t, "fresh stripes", good, jbig.HeaderLen, b.Height, 60, func(data []byte) imaging.Quality {
		_, q, err := jbig.Decode(data, b.Width, b.Height)
		if err != nil {
			t.Fatal(err)
		}
		return q
	})
}

// TestOwnPages_AsJbigkit: our own eight pages are coded to jbigkit's octets, and each decodes what the other coded.
func TestOwnPages_AsJbigkit(t *testing.T) {
	for i, b := range imagingtest.OwnPages(t) {
		pbm := append(fmt.Appendf(nil, "P4\n%d %d\n", b.Width, b.Height), b.Packed()...)
		theirs := imagingtest.Tool(t, "jbigkit-bin", "pbmtojbg85", pbm, "-p", "8", "-m", "8", "-s", "128")
		ours := code(t, b, jbig.Page(b.Height), false)
		if !bytes.Equal(ours, theirs) {
			t.Errorf("page %d: %d octets, jbigkit has %d", i+1, len(ours), len(theirs))
		}
		if got, q, err := jbig.Decode(theirs, 0, 0); err != nil || !got.Equal(b) || q.BadLines > 0 {
			t.Errorf("page %d: %+v, %v", i+1, q, err)
		}
		want := append(fmt.Appendf(nil, "P4\n%10d\n%10d\n", b.Width, b.Height), b.Packed()...)
		if got := imagingtest.Tool(t, "jbigkit-bin", "jbgtopbm85", code(t, b, jbig.Page(0), true)); !bytes.Equal(got, want) {
			t.Errorf("page %d: jbigkit reads other pels", i+1)
		}
	}
}
