//go:build bench

package jbig_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/imagingtest"
	"github.com/tipring/tipring/imaging/jbig"
)

const rounds = 11

// TestCodecAgainstJbigkit measures us and jbigkit's T.85 library in turns, on one core: on the project's own pages, and on the ITU's where
// TIPRING_CHARTS has them. It prints "ratio jbig <encode|decode> <number>" for the totals of the latter, else of the former.
func TestCodecAgainstJbigkit(t *testing.T) {
	imagingtest.OneCore(t)
	if dir := os.Getenv("TIPRING_CHARTS"); dir != "" {
		compare(t, "../../testdata/bench", "own pages:")
		compare(t, dir, "ratio")
		return
	}
	compare(t, "../../testdata/bench", "ratio")
}

// compare prints the figures of the pages in a folder.
func compare(t *testing.T, dir, label string) {
	pages := imagingtest.PagesOf(t, dir)
	r := imagingtest.Start(t, "jbig", imagingtest.Files(t, pages), "-ljbig")
	for _, what := range []string{"encode", "decode"} {
		var ours, theirs time.Duration
		bitmap := 0
		for i, p := range pages {
			u, d := measure(t, r, what, i, p)
			fmt.Printf("page %d jbig %s: %5d us, jbigkit %5d us: %.2f\n", i+1, what, u.Microseconds(), d.Microseconds(), float64(d)/float64(u))
			ours, theirs, bitmap = ours+u, theirs+d, bitmap+(p.Width+7)/8*p.Height
		}
		rate := func(d time.Duration) float64 { return float64(bitmap) / 1e6 / d.Seconds() }
		fmt.Printf("jbig %s: %.1f MB/s of bitmap, jbigkit %.1f\n%s jbig %s %.2f\n", what, rate(ours), rate(theirs), label, what, float64(theirs)/float64(ours))
		if ours > theirs {
			t.Errorf("%s is slower than jbigkit", what)
		}
	}
}

// measure returns the medians.
func measure(t *testing.T, r *imagingtest.Program, what string, i int, p *imaging.Bitmap) (ours, theirs time.Duration) {
	enc := jbig.NewPageEncoder(jbig.Page(0))
	data, err := enc.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.Clone(data)
	got := imaging.New(p.Width, 0)
	dec, err := jbig.NewDecoder(p.Width, got.AppendRow)
	if err != nil {
		t.Fatal(err)
	}
	run := func() {
		got.Words, got.Height = got.Words[:0], 0
		dec.Reset()
		dec.Write(data)
		dec.Close()
	}
	if run(); !got.Equal(p) {
		t.Fatal("another page")
	}
	if what == "encode" {
		run = func() { _, _ = enc.Encode(p) }
	}
	if n := testing.AllocsPerRun(2, run); n > 0 {
		t.Errorf("%s: %v allocations a page", what, n)
	}
	var us, they []time.Duration
	for range rounds {
		run() // as the rival: warms the caches and is not counted
		start := time.Now()
		run()
		us = append(us, time.Since(start))
		d, size := r.Time(1, what, i)
		if size != len(data) {
			t.Fatalf("page %d: %d octets, by jbigkit %d", i+1, len(data), size)
		}
		they = append(they, d)
	}
	return imagingtest.SpreadOf(us).Mid, imagingtest.SpreadOf(they).Mid
}
