//go:build peers

package main

import (
	"bytes"
	"math/bits"
	"slices"
	"testing"
)

// What a receiver said of each page, read from the line, and how much of the page it has.

// verdict is the answer to one transmission of a page.
type verdict int

const (
	good    verdict = iota // MCF
	poor                   // RTP
	refused                // RTN
)

func (v verdict) String() string { return [...]string{"MCF", "RTP", "RTN"}[v] }

// verdicts are the answers to the pages that station sender sent, each once however often it was asked for and given.
func (s *softline) verdicts(sender string) []verdict {
	s.t.Helper()
	var list []verdict
	image, asked := false, false
	for _, e := range s.transmissions() {
		kind, _ := e["frame"].(string)
		second, _ := e["fcf2"].(string)
		if kind == "PPS" {
			kind = second
		}
		switch from := e["st"] == sender; {
		case from && e["use"] == "image":
			image = true
		case from && (kind == "MPS" || kind == "EOP" || kind == "EOM"):
			asked = true
		case from || !image || !asked:
		case kind == "MCF" || kind == "RTP" || kind == "RTN":
			list = append(list, map[string]verdict{"MCF": good, "RTP": poor, "RTN": refused}[kind])
			image, asked = false, false
		}
	}
	return list
}

// transmissions are the log's carriers and the frames on the line, in order of time.
func (s *softline) transmissions() []map[string]any {
	var list []map[string]any
	for _, e := range s.readEvents() {
		if e["ev"] == "carrier" || e["ev"] == "frame" && e["src"] == "line" && e["ok"] == 1.0 {
			list = append(list, e)
		}
	}
	return list
}

// confirmed counts the pages that went through, in good or poor quality.
func confirmed(list []verdict) (n int) {
	for _, v := range list {
		if v != refused {
			n++
		}
	}
	return n
}

// pageDamage is how a page that was called good differs from what was sent.
type pageDamage struct {
	page                int // from 1
	of, rows, run, pels int // rows sent; wrong ones, the longest run of them; wrong pels
}

// beyondCopyQuality tells whether more than a twentieth of the rows is wrong, or more than ten (1.3 mm of a fine page) in a row.
func (d pageDamage) beyondCopyQuality() bool { return d.rows*20 > d.of || d.run > 10 }

// damage compares each page called good with the sheet received for it. A receiver keeps either the confirmed sheets or all;
// where neither count fits, the best sheet is taken. Which page a sheet is, is told by its looks: a sender goes on after refusals.
func damage(t *testing.T, want []pbm, files []string, list []verdict) []pageDamage {
	t.Helper()
	var sheets []pbm
	for _, f := range files {
		sheets = append(sheets, libtiffPages(t, f)...)
	}
	var out []pageDamage
	kept := 0 // confirmed so far
	for i, v := range list {
		candidates := sheets
		switch len(sheets) {
		case len(list):
			candidates = sheets[i : i+1]
		case confirmed(list):
			candidates = sheets[kept:min(kept+1, len(sheets))]
		}
		if v == good {
			out = append(out, bestFit(want, candidates))
		}
		if v != refused {
			kept++
		}
	}
	return out
}

// bestFit is the damage of the sheet that comes nearest to one of the pages sent.
func bestFit(want, sheets []pbm) pageDamage {
	best := pageDamage{page: 1, of: want[0].h, rows: want[0].h, run: want[0].h, pels: want[0].w * want[0].h}
	for _, g := range sheets {
		for i, w := range want {
			if d := compareSheet(w, g); d.pels < best.pels {
				d.page = i + 1
				best = d
			}
			if best.pels == 0 {
				return best
			}
		}
	}
	return best
}

// maxShift is how many rows a sheet may be out of step with its page.
const maxShift = 48

// compareSheet aligns the rows of g with those of w at the least cost (a row wrong, missing or too many costs one each).
func compareSheet(w, g pbm) pageDamage {
	d := pageDamage{of: w.h}
	if g.w != w.w || g.h-w.h > maxShift || w.h-g.h > maxShift {
		d.rows, d.run, d.pels = w.h, w.h, w.w*w.h
		return d
	}
	stride, run := (w.w+7)/8, 0
	row := func(p pbm, y int) []byte { return p.rows[y*stride : (y+1)*stride] }
	if bytes.Equal(w.rows, g.rows) {
		return d
	}
	steps := alignRows(w.h, g.h, func(y, j int) bool { return bytes.Equal(row(w, y), row(g, j)) })
	blank := make([]byte, stride)
	for _, s := range steps {
		a, b := blank, blank
		if s.w >= 0 {
			a = row(w, s.w)
		}
		if s.g >= 0 {
			b = row(g, s.g)
		}
		if s.w >= 0 && s.g >= 0 && bytes.Equal(a, b) {
			run = 0
			continue
		}
		d.rows, run = d.rows+1, run+1
		d.run = max(d.run, run)
		for i := range stride {
			d.pels += bits.OnesCount8(a[i] ^ b[i])
		}
	}
	return d
}

// step pairs a row of the page with one of the sheet; -1: there is none.
type step struct{ w, g int }

// alignRows is the cheapest alignment of n with m rows within maxShift of the diagonal.
func alignRows(n, m int, same func(y, j int) bool) []step {
	const width = 2*maxShift + 1
	type cell struct {
		cost int
		from byte // d: both, w: row missing in the sheet, g: row too many
	}
	const never = 1 << 30
	table := make([]cell, (n+1)*width)
	at := func(y, j int) *cell {
		if k := j - y + maxShift; y >= 0 && j >= 0 && k >= 0 && k < width {
			return &table[y*width+k]
		}
		return &cell{cost: never}
	}
	for y := 0; y <= n; y++ {
		for j := max(0, y-maxShift); j <= min(m, y+maxShift); j++ {
			best := cell{cost: never}
			if y == 0 && j == 0 {
				best.cost = 0
			}
			if y > 0 && j > 0 {
				cost := at(y-1, j-1).cost
				if !same(y-1, j-1) {
					cost++
				}
				best = cell{cost, 'd'}
			}
			if c := at(y-1, j).cost + 1; c < best.cost {
				best = cell{c, 'w'}
			}
			if c := at(y, j-1).cost + 1; c < best.cost {
				best = cell{c, 'g'}
			}
			*at(y, j) = best
		}
	}
	var back []step
	for y, j := n, m; y > 0 || j > 0; {
		switch at(y, j).from {
		case 'd':
			y, j = y-1, j-1
			back = append(back, step{y, j})
		case 'w':
			y--
			back = append(back, step{y, -1})
		default:
			j--
			back = append(back, step{-1, j})
		}
	}
	slices.Reverse(back)
	return back
}
