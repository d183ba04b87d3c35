//go:build bench

package t4_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/imagingtest"
	"github.com/tipring/tipring/imaging/t4"
	"golang.org/x/image/ccitt"
)

var codings = []struct {
	name   string
	coding imaging.Coding
	sub    ccitt.SubFormat // of x/image, which has no MR
	none   bool
}{{"mh", imaging.MH, ccitt.Group3, false}, {"mr", imaging.MR, 0, true}, {"mmr", imaging.MMR, ccitt.Group4, false}}

const (
	rounds = 11
	times  = 3 // runs measured together
)

// TestCodecAgainstLibtiff measures us and libtiff in turns, and x/image/ccitt, on one core: on the project's own eight pages, and on the
// ITU's where TIPRING_CHARTS has them. The figures "ratio" are of the latter then.
func TestCodecAgainstLibtiff(t *testing.T) {
	imagingtest.OneCore(t)
	sets := []struct{ name, dir, label string }{{"own", "../../testdata/bench", "ratio"}}
	if dir := os.Getenv("TIPRING_CHARTS"); dir != "" {
		sets[0].label = "own pages:"
		sets = append(sets, struct{ name, dir, label string }{"chart", dir, "ratio"})
	}
	for _, set := range sets {
		pages := imagingtest.PagesOf(t, set.dir)
		r := imagingtest.Start(t, "codec", imagingtest.Files(t, pages), "-ltiff")
		for _, c := range codings {
			for _, what := range []string{"encode", "decode"} {
				m := measurement{t: t, r: r, set: set.name, what: what, name: c.name, f: t4.File(c.coding, imaging.Fine)}
				for i, p := range pages {
					m.page(i, p)
				}
				fmt.Printf("%s %s %s %.2f\n", set.label, c.name, what, float64(m.theirs)/float64(m.ours))
				if what == "decode" && !c.none {
					fmt.Printf("%s %s decode: %.1f times as fast as x/image/ccitt\n", set.name, c.name, float64(ximage(t, pages, m.f, c.sub))/float64(m.ours))
				}
			}
		}
	}
}

// measurement is one coding, one way, over some pages.
type measurement struct {
	t               *testing.T
	r               *imagingtest.Program
	set, what, name string
	f               t4.Format
	ours, theirs    time.Duration // medians, summed up
}

func (m *measurement) page(i int, p *imaging.Bitmap) {
	enc, err := t4.NewPageEncoder(m.f)
	if err != nil {
		m.t.Fatal(err)
	}
	data, err := enc.Encode(p)
	if err != nil {
		m.t.Fatal(err)
	}
	data = slices.Clone(data)
	if _, size := m.r.Time(1, m.what, m.name, i); size != len(data) {
		m.t.Errorf("%s: page %d is %d octets, by libtiff %d", m.name, i+1, len(data), size)
	}
	got := imaging.New(p.Width, 0)
	dec, err := t4.NewDecoder(p.Width, m.f, got.AppendRow)
	if err != nil {
		m.t.Fatal(err)
	}
	run := func() {
		got.Words, got.Height = got.Words[:0], 0
		dec.Reset()
		dec.Write(data)
		dec.Close()
	}
	if run(); !got.Equal(p) {
		m.t.Errorf("%s: page %d is another one when decoded", m.name, i+1)
	}
	if m.what == "encode" {
		run = func() { _, _ = enc.Encode(p) }
	}
	if n := testing.AllocsPerRun(3, run); n > 0 {
		m.t.Errorf("%s %s: %v allocations a page", m.name, m.what, n)
	}
	var us, they []time.Duration
	for range rounds {
		run() // as the rival: warms the caches and is not counted
		start := time.Now()
		for range times {
			run()
		}
		us = append(us, time.Since(start)/times)
		d, _ := m.r.Time(times, m.what, m.name, i)
		they = append(they, d)
	}
	u, d := imagingtest.SpreadOf(us), imagingtest.SpreadOf(they)
	ratio := float64(d.Mid) / float64(u.Mid)
	fmt.Printf("%-5s %d %-3s %s: %v, libtiff %v: %.2f\n", m.set, i+1, m.name, m.what, u, d, ratio)
	if m.set == "chart" && ratio < 1.2 {
		m.t.Errorf("%s %d, %s %s: only %.2f times as fast as libtiff", m.set, i+1, m.name, m.what, ratio)
	}
	m.ours, m.theirs = m.ours+u.Mid, m.theirs+d.Mid
}

// ximage is how long x/image/ccitt takes to decode the pages once.
func ximage(t *testing.T, pages []*imaging.Bitmap, f t4.Format, sub ccitt.SubFormat) (sum time.Duration) {
	for _, p := range pages {
		data, err := t4.Append(nil, p, f)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		n, err := io.Copy(io.Discard, ccitt.NewReader(bytes.NewReader(data), ccitt.MSB, sub, p.Width, p.Height, nil))
		if sum += time.Since(start); err != nil || n != int64((p.Width+7)/8*p.Height) {
			t.Logf("x/image/ccitt: %d octets, %v", n, err)
		}
	}
	return sum
}
