//go:build peers

package main

import (
	"bytes"
	"testing"
)

// TestCompareSheet: the judge of bad lines is held against known damage.
func TestCompareSheet(t *testing.T) {
	const w, h, stride = 64, 300, 8
	page := pbm{w, h, make([]byte, h*stride)}
	for y := range h {
		page.rows[y*stride+y%stride] = byte(y)
	}
	edit := func(f func(rows []byte) []byte) pbm {
		rows := f(bytes.Clone(page.rows))
		return pbm{w, len(rows) / stride, rows}
	}
	for _, c := range []struct {
		name            string
		sheet           pbm
		rows, run, pels int
	}{
		{"same", page, 0, 0, 0},
		{"one pel", edit(func(r []byte) []byte { r[100*stride] ^= 0x10; return r }), 1, 1, 1},
		{"two rows apart", edit(func(r []byte) []byte { r[100*stride] ^= 0x10; r[120*stride] ^= 0x11; return r }), 2, 1, 3},
		{"a run of twelve", edit(func(r []byte) []byte {
			for y := 50; y < 62; y++ {
				r[y*stride+7] ^= 0x80
			}
			return r
		}), 12, 12, 12},
		{"twenty rows missing", edit(func(r []byte) []byte { return append(r[:40*stride], r[60*stride:]...) }), 20, 20, -1},
		{"ten rows too many", edit(func(r []byte) []byte { return append(r[:80*stride:80*stride], page.rows[70*stride:]...) }), 10, 10, -1},
		{"cut in half", pbm{w, h / 2, page.rows[:h/2*stride]}, h, h, w * h},
		{"other width", pbm{2 * w, h / 2, page.rows}, h, h, w * h},
	} {
		d := compareSheet(page, c.sheet)
		if d.of != h || d.rows != c.rows || d.run != c.run || c.pels >= 0 && d.pels != c.pels {
			t.Errorf("%s: %+v, want %d rows, %d in a row, %d pels", c.name, d, c.rows, c.run, c.pels)
		}
		if bad := c.run > 10 || c.rows*20 > h; d.beyondCopyQuality() != bad {
			t.Errorf("%s: beyond copy quality %v", c.name, d.beyondCopyQuality())
		}
	}
}
