//go:build bench

package t4_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
	"golang.org/x/image/ccitt"
)

// rival is libtiff in a process of its own (testdata/bench/codec.c).
type rival struct {
	in  io.Writer
	out *bufio.Reader
}

func startRival(t *testing.T, pages []*imaging.Bitmap) *rival {
	dir := t.TempDir()
	bin := filepath.Join(dir, "codec")
	if out, err := exec.Command("cc", "-O2", "-o", bin, "../../testdata/bench/codec.c", "-ltiff").CombinedOutput(); err != nil {
		t.Fatalf("libtiff-dev and a C compiler are needed: %v\n%s", err, out)
	}
	var args []string
	for i, p := range pages {
		name := filepath.Join(dir, fmt.Sprint(i))
		b := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(p.Width)), uint32(p.Height))
		for y := range p.Height {
			var row []byte
			for _, w := range p.Row(y) {
				row = binary.BigEndian.AppendUint64(row, w)
			}
			b = append(b, row[:(p.Width+7)/8]...)
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	cmd := exec.Command(bin, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	return &rival{in, bufio.NewReader(out)}
}

// run returns the time of one run and the size of the coded page.
func (r *rival) run(t *testing.T, what, coding string, page, times int) (time.Duration, int) {
	fmt.Fprintln(r.in, what, coding, page, times)
	var ns int64
	var size int
	if _, err := fmt.Fscan(r.out, &ns, &size); err != nil {
		t.Fatal("libtiff:", err)
	}
	return time.Duration(ns / int64(times)), size
}

// pagesOf reads the pages of the TIFF files in a folder.
func pagesOf(t *testing.T, dir string) (list []*imaging.Bitmap) {
	names, _ := filepath.Glob(filepath.Join(dir, "*.tif"))
	slices.Sort(names)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := tiff.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(name, err)
		}
		for n := 1; n <= f.NumPages(); n++ {
			p, _, err := f.Decode(n)
			if err != nil {
				t.Fatal(name, err)
			}
			list = append(list, p.Bitmap)
		}
	}
	return list
}

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

// spread is the median of some times, and the least and the most.
type spread struct{ mid, low, high time.Duration }

func spreadOf(list []time.Duration) spread {
	slices.Sort(list)
	return spread{list[len(list)/2], list[0], list[len(list)-1]}
}

func (s spread) String() string {
	return fmt.Sprintf("%5d us (%d-%d)", s.mid.Microseconds(), s.low.Microseconds(), s.high.Microseconds())
}

// TestCodecAgainstLibtiff measures us and libtiff in turns, and x/image/ccitt, on one core: on the project's own eight pages, and on the
// ITU's where TIPRING_CHARTS has them. The figures "ratio" are of the latter then.
func TestCodecAgainstLibtiff(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	sets := []struct{ name, dir, label string }{{"own", "../../testdata/bench", "ratio"}}
	if dir := os.Getenv("TIPRING_CHARTS"); dir != "" {
		sets[0].label = "own pages:"
		sets = append(sets, struct{ name, dir, label string }{"chart", dir, "ratio"})
	}
	for _, set := range sets {
		pages := pagesOf(t, set.dir)
		if len(pages) == 0 {
			t.Fatal("no pages in", set.dir)
		}
		r := startRival(t, pages)
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
	r               *rival
	set, what, name string
	f               t4.Format
	ours, theirs    time.Duration // medians, summed up
}

func (m *measurement) page(i int, p *imaging.Bitmap) {
	enc, err := t4.NewPageEncoder(m.f)
	if err != nil {
		m.t.Fatal(err)
	}
	dec := t4.NewPageDecoder(m.f)
	data := slices.Clone(enc.Encode(p))
	if _, size := m.r.run(m.t, m.what, m.name, i, 1); size != len(data) {
		m.t.Errorf("%s: page %d is %d octets, by libtiff %d", m.name, i+1, len(data), size)
	}
	if got, _, err := dec.Decode(data, p.Width, p.Height); err != nil || !got.Equal(p) {
		m.t.Errorf("%s: page %d is another one when decoded: %v", m.name, i+1, err)
	}
	run := func() { enc.Encode(p) }
	if m.what == "decode" {
		run = func() { dec.Decode(data, p.Width, p.Height) }
	}
	if n := testing.AllocsPerRun(3, run); n > 0 {
		m.t.Errorf("%s %s: %v allocations a page", m.name, m.what, n)
	}
	var us, they []time.Duration
	for range rounds {
		start := time.Now()
		for range times {
			run()
		}
		us = append(us, time.Since(start)/times)
		d, _ := m.r.run(m.t, m.what, m.name, i, times)
		they = append(they, d)
	}
	u, d := spreadOf(us), spreadOf(they)
	ratio := float64(d.mid) / float64(u.mid)
	fmt.Printf("%-5s %d %-3s %s: %v, libtiff %v: %.2f\n", m.set, i+1, m.name, m.what, u, d, ratio)
	if m.set == "chart" && ratio < 1.2 {
		m.t.Errorf("%s %d, %s %s: only %.2f times as fast as libtiff", m.set, i+1, m.name, m.what, ratio)
	}
	m.ours, m.theirs = m.ours+u.mid, m.theirs+d.mid
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
