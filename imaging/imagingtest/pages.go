package imagingtest

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/tiff"
)

// benchDir is testdata/bench as the packages of imaging see it.
const benchDir = "../../testdata/bench"

// OwnPages returns the project's own eight pages: 1728 x 2291 pels, fine.
func OwnPages(t testing.TB) []*imaging.Bitmap {
	t.Helper()
	return PagesOf(t, benchDir)
}

// PagesOf returns the pages of the TIFF files in a folder.
func PagesOf(t testing.TB, dir string) (list []*imaging.Bitmap) {
	t.Helper()
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
	if len(list) == 0 {
		t.Fatal("no pages in ", dir)
	}
	return list
}

// Kinds are the structures that Random draws.
var Kinds = []string{"empty", "black", "text", "noise", "dust", "stripes", "bars", "screen", "diffused", "mixed"}

// Random draws a page of one of the Kinds.
func Random(r *rand.Rand, width, height int, kind string) *imaging.Bitmap {
	b := imaging.New(width, height)
	draw(r, b, kind, 0, height)
	return b
}

// draw fills some lines.
func draw(r *rand.Rand, b *imaging.Bitmap, kind string, from, to int) {
	mask := ^uint64(0) << (-uint(b.Width) & 63)
	words := func(f func(y, i int) uint64) {
		for y := from; y < to; y++ {
			row := b.Row(y)
			for i := range row {
				row[i] = f(y, i)
			}
			row[len(row)-1] &= mask
		}
	}
	switch kind {
	case "black":
		words(func(int, int) uint64 { return ^uint64(0) })
	case "text":
		text(r, b, from, to)
	case "noise": // of any darkness
		n := 1 + r.IntN(4)
		words(func(int, int) uint64 {
			w := r.Uint64()
			for range n - 1 {
				w &= r.Uint64()
			}
			return w
		})
	case "dust":
		for range (to - from) * b.Width / 400 {
			b.SetBlack(r.IntN(b.Width), from+r.IntN(to-from))
		}
	case "stripes": // along the lines
		period := 1 + r.IntN(20)
		words(func(y, _ int) uint64 { return -uint64(y / period & 1) })
	case "bars": // across the lines, slightly slanted
		period, slant := 1+r.IntN(300), r.IntN(9)-4
		pels(b, from, to, func(x, y int) bool { return (x+y*slant/4+1<<20)/period&1 != 0 })
	case "screen": // clustered dots that grow to the right
		p := 3 + r.IntN(12)
		pels(b, from, to, func(x, y int) bool {
			dx, dy := x%p-p/2, (y+x/p)%p-p/2
			return dx*dx+dy*dy < p*p*(1+x*7/b.Width)/30
		})
	case "diffused":
		diffuse(r, b, from, to)
	case "mixed":
		for from < to {
			end := min(to, from+1+r.IntN(40))
			draw(r, b, Kinds[r.IntN(len(Kinds)-1)], from, end)
			from = end
		}
	}
}

func pels(b *imaging.Bitmap, from, to int, black func(x, y int) bool) {
	for y := from; y < to; y++ {
		for x := range b.Width {
			if black(x, y) {
				b.SetBlack(x, y)
			}
		}
	}
}

// text draws blobs with slanted edges in lines, as letters have them.
func text(r *rand.Rand, b *imaging.Bitmap, from, to int) {
	for line := from + r.IntN(8); line < to; line += 24 + r.IntN(12) {
		for x0 := r.IntN(40); x0 < b.Width; x0 += 5 + r.IntN(30) {
			w, h, slant, down := 1+r.IntN(9), 2+r.IntN(16), r.IntN(5)-2, r.IntN(8)
			for y := line + down; y < min(line+down+h, to); y++ {
				left := x0 + (y-line)*slant/2
				for x := max(left, 0); x < min(left+w, b.Width); x++ {
					b.SetBlack(x, y)
				}
			}
		}
	}
}

// diffuse is a slope of grey as error diffusion makes it.
func diffuse(r *rand.Rand, b *imaging.Bitmap, from, to int) {
	carry := make([]int, b.Width+2)
	for y := from; y < to; y++ {
		next := make([]int, b.Width+2)
		right := r.IntN(64)
		for x := range b.Width {
			v := 255*x/b.Width + carry[x+1] + right
			e := v
			if v > 127 {
				b.SetBlack(x, y)
				e = v - 255
			}
			right = e * 7 / 16
			next[x] += e * 3 / 16
			next[x+1] += e * 5 / 16
			next[x+2] += e / 16
		}
		carry = next
	}
}
