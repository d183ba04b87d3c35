//go:build bench

package jbig_test

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
	"github.com/tipring/tipring/imaging/jbig"
	"github.com/tipring/tipring/imaging/tiff"
)

// rival is jbigkit in a process of its own (testdata/bench/jbig.c).
type rival struct {
	in  io.Writer
	out *bufio.Reader
}

func startRival(t *testing.T, pages []*imaging.Bitmap) *rival {
	dir := t.TempDir()
	bin := filepath.Join(dir, "jbig")
	if out, err := exec.Command("cc", "-O2", "-o", bin, "../../testdata/bench/jbig.c", "-ljbig").CombinedOutput(); err != nil {
		t.Fatalf("libjbig-dev and a C compiler are needed: %v\n%s", err, out)
	}
	var args []string
	for i, p := range pages {
		name := filepath.Join(dir, fmt.Sprint(i))
		b := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(p.Width)), uint32(p.Height))
		if err := os.WriteFile(name, append(b, p.Packed()...), 0o600); err != nil {
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
func (r *rival) run(t *testing.T, what string, page int) (time.Duration, int) {
	fmt.Fprintln(r.in, what, page, 1)
	var ns int64
	var size int
	if _, err := fmt.Fscan(r.out, &ns, &size); err != nil {
		t.Fatal("jbigkit:", err)
	}
	return time.Duration(ns), size
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

const rounds = 11

// TestCodecAgainstJbigkit measures us and jbigkit's T.85 library in turns, on one core: on the project's own pages, and on the ITU's where
// TIPRING_CHARTS has them. It prints "ratio jbig <encode|decode> <number>" for the totals of the latter, else of the former.
func TestCodecAgainstJbigkit(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if dir := os.Getenv("TIPRING_CHARTS"); dir != "" {
		compare(t, "../../testdata/bench", "own pages:")
		compare(t, dir, "ratio")
		return
	}
	compare(t, "../../testdata/bench", "ratio")
}

// compare prints the figures of the pages in a folder.
func compare(t *testing.T, dir, label string) {
	pages := pagesOf(t, dir)
	if len(pages) == 0 {
		t.Fatal("no pages in", dir)
	}
	r := startRival(t, pages)
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
func measure(t *testing.T, r *rival, what string, i int, p *imaging.Bitmap) (ours, theirs time.Duration) {
	data, err := jbig.Append(nil, p, jbig.Page(p.Height))
	if err != nil {
		t.Fatal(err)
	}
	var us, they []time.Duration
	for range rounds {
		start := time.Now()
		if what == "encode" {
			if again, err := jbig.Append(nil, p, jbig.Page(p.Height)); err != nil || !bytes.Equal(again, data) {
				t.Fatal("coded otherwise", err)
			}
		} else if got, _, err := jbig.Decode(data, 0, 0); err != nil || !got.Equal(p) {
			t.Fatal("another page", err)
		}
		us = append(us, time.Since(start))
		d, size := r.run(t, what, i)
		if size != len(data) {
			t.Fatalf("page %d: %d octets, by jbigkit %d", i+1, len(data), size)
		}
		they = append(they, d)
	}
	slices.Sort(us)
	slices.Sort(they)
	return us[rounds/2], they[rounds/2]
}
