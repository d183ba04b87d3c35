package raster

import (
	"unicode"

	"github.com/go-text/typesetting/bidi"
	"github.com/go-text/typesetting/segmenter"
)

// isRTL tells whether r belongs to a script that is written from right to left.
func isRTL(r rune) bool {
	return r >= 0x590 && r < 0x900 || r >= 0xfb1d && r < 0xfe00 || r >= 0xfe70 && r < 0xff00 || r >= 0x10800 && r < 0x11000 ||
		r >= 0x1e800 && r < 0x1f000
}

func hasRTL(s string) bool {
	for _, r := range s {
		if isRTL(r) {
			return true
		}
	}
	return false
}

// baseRTL tells whether a paragraph runs from right to left: its first letter decides (UAX #9, P2).
func baseRTL(spans []span) bool {
	for _, s := range spans {
		for _, r := range s.text {
			if isRTL(r) && unicode.IsLetter(r) {
				return true
			}
			if unicode.IsLetter(r) {
				return false
			}
		}
	}
	return false
}

// visual puts a line's pieces in the order in which they stand on paper (UAX #9, L2). rtl is the paragraph's direction.
func (t *typesetter) visual(l line, rtl bool) line {
	any := rtl
	for _, p := range l.pieces {
		any = any || hasRTL(p.text)
	}
	if !any || len(l.pieces) == 0 {
		return l
	}
	text, owner, gaps := logical(l)
	base := bidi.LeftToRight
	if rtl {
		base = bidi.RightToLeft
	}
	var para bidi.Paragraph
	runs := para.Segment(text, base)
	out := line{}
	for _, r := range visualRuns(&runs, text) {
		t.placeRun(&out, l, text, owner, gaps, r)
	}
	out.rtl = rtl
	return out
}

// logical returns a line as one text, with the piece that each rune is of: -1 for the space before a piece, of the width
// that gaps has at that place.
func logical(l line) (text []rune, owner []int, gaps map[int]float64) {
	gaps = map[int]float64{}
	end := 0.0
	for i, p := range l.pieces {
		if p.x > end+0.01 {
			gaps[len(text)] = p.x - end
			text, owner = append(text, ' '), append(owner, -1)
		}
		for _, r := range p.text {
			text, owner = append(text, r), append(owner, i)
		}
		end = p.x + p.w
	}
	return text, owner, gaps
}

// visualRuns returns the runs of one level from left to right.
func visualRuns(runs *bidi.Runs, text []rune) []bidi.Run {
	var all []bidi.Run
	highest := bidi.Level(0)
	for i := range runs.NumRuns() {
		r := runs.Run(i)
		highest = max(highest, r.Level)
		// The package joins levels 2 and 0: a number after right-to-left text, and what follows in a left-to-right line.
		if n := numberEnd(text[r.Start:r.End]); r.Level == 2 && i > 0 && runs.Run(0).Level == 0 && n < r.End-r.Start {
			all = append(all, bidi.Run{Start: r.Start, End: r.Start + n, Level: 2}, bidi.Run{Start: r.Start + n, End: r.End})
			continue
		}
		all = append(all, r)
	}
	for level := highest; level > 0; level-- {
		for i := 0; i < len(all); i++ {
			j := i
			for j < len(all) && all[j].Level >= level {
				j++
			}
			for a, b := i, j-1; a < b; a, b = a+1, b-1 {
				all[a], all[b] = all[b], all[a]
			}
			i = max(i, j-1)
		}
	}
	return all
}

// numberEnd returns where the digits end that stand before the first letter.
func numberEnd(text []rune) (n int) {
	for i, r := range text {
		if unicode.IsLetter(r) {
			break
		}
		if unicode.IsDigit(r) {
			n = i + 1
		}
	}
	return n
}

// placeRun adds a run's parts, each of one piece, to the right end of out.
func (t *typesetter) placeRun(out *line, l line, text []rune, owner []int, gaps map[int]float64, r bidi.Run) {
	var parts [][2]int
	for i := r.Start; i < r.End; {
		j := i + 1
		for j < r.End && owner[j] == owner[i] && owner[i] >= 0 {
			j++
		}
		parts = append(parts, [2]int{i, j})
		i = j
	}
	for i := range parts {
		if !r.IsLeftToRight() {
			i = len(parts) - 1 - i
		}
		from, to := parts[i][0], parts[i][1]
		if owner[from] < 0 {
			out.width += gaps[from]
			continue
		}
		p := piece{span: span{string(text[from:to]), l.pieces[owner[from]].st}, x: out.width, rtl: !r.IsLeftToRight()}
		if p.rtl {
			p.w = t.shape(p.st, p.text, true).w
		} else {
			p.w = t.measure(p.st, p.text)
		}
		out.pieces = append(out.pieces, p)
		out.width += p.w
	}
}

// breaks returns where, in octets, a text without spaces may be broken (UAX #14); nil for one that is broken at spaces
// only.
func breaks(text string) map[int]bool {
	wide := false
	for _, r := range text {
		wide = wide || r >= 0x0e00 && (r < 0x1e00 || r >= 0x2e80 && r < 0xfb00 || r >= 0xff00)
	}
	if !wide {
		return nil
	}
	var seg segmenter.Segmenter
	seg.Init([]rune(text))
	at := map[int]bool{}
	offset := 0
	for iter := seg.LineIterator(); iter.Next(); {
		offset += len(string(iter.Line().Text))
		at[offset] = true
	}
	return at
}
