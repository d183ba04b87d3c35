package raster

import (
	"context"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/tipring/tipring/imaging"
)

// span is text of one style inside a paragraph; "\n" breaks the line.
type span struct {
	text string
	st   style
}

// paragraph is one block of running text.
type paragraph struct {
	spans  []span
	before float64 // mm of space above, not at the top of a page
	indent float64 // mm from the left margin
	hang   string  // bullet or number, set left of the indent
	keep   bool    // keep runs of spaces (preformatted)
	align  align
}

// align is where lines stand between their edges.
type align uint8

const (
	alignStart align = iota // left
	alignCenter
	alignEnd // right
)

// mirrored is the same place in text that runs from right to left.
func (a align) mirrored() align {
	switch a {
	case alignStart:
		return alignEnd
	case alignEnd:
		return alignStart
	}
	return a
}

// shift returns how far right of the left edge a line of width w stands in room pels.
func (a align) shift(w, room float64) int {
	switch a {
	case alignCenter:
		return int(max(0, room-w) / 2)
	case alignEnd:
		return int(max(0, room-w))
	}
	return 0
}

// line is one line of set text: pieces with their x in pels from the paragraph's left edge.
type line struct {
	pieces []piece
	width  float64
	rtl    bool // the paragraph runs from right to left
}

type piece struct {
	span
	x, w float64 // pels
	rtl  bool    // written from right to left
}

// pt returns the size of the line's largest text.
func (l line) pt(def float64) float64 {
	pt := 0.0
	for _, p := range l.pieces {
		pt = max(pt, p.st.pt)
	}
	if pt == 0 {
		return def
	}
	return pt
}

// wrapper breaks spans into lines.
type wrapper struct {
	t     *typesetter
	width float64
	keep  bool
	lines []line
	cur   line
	word  []piece // pieces of the word being collected, x unset
	wordW float64
	space float64 // pending space before the word
	any   bool    // something, maybe white space, is on the current line
	rtl   bool    // the paragraph runs from right to left
}

// tabStop is the distance between tab stops in running text, in mm.
const tabStop = 12.5

// wrap sets spans in lines of at most width pels. Words longer than a line are broken.
func (t *typesetter) wrap(spans []span, width float64, keep bool) []line {
	w := &wrapper{t: t, width: math.Max(width, 1), keep: keep, rtl: baseRTL(spans)}
	for _, s := range spans {
		w.span(s)
	}
	w.flushWord()
	if w.any {
		w.newline()
	}
	return w.lines
}

func (w *wrapper) span(s span) {
	start, may := 0, breaks(s.text)
	for i, r := range s.text {
		if may[i] && i > start {
			w.addWord(s.text[start:i], s.st)
			w.flushWord()
			start = i
		}
		if r != ' ' && r != '\n' && r != '\t' {
			continue
		}
		w.addWord(s.text[start:i], s.st)
		w.flushWord()
		start = i + 1
		w.any = true
		if r == '\n' {
			w.newline()
		} else if r == '\t' {
			stop := tabStop * w.t.kx
			w.space = (math.Floor((w.cur.width+w.space)/stop)+1)*stop - w.cur.width
		} else if w.keep || len(w.cur.pieces) > 0 && w.space == 0 {
			w.space += w.t.measure(s.st, " ")
		}
	}
	w.addWord(s.text[start:], s.st)
}

func (w *wrapper) addWord(text string, st style) {
	for text != "" {
		ww := w.t.measure(st, text)
		if w.wordW+ww <= w.width {
			w.word = append(w.word, piece{span: span{text, st}})
			w.wordW += ww
			return
		}
		// Longer than a line: first what stands before it, then as much of it as fits.
		n, nw := w.fit(text, st, w.width-w.wordW)
		if n == 0 && w.wordW == 0 {
			_, n = utf8.DecodeRuneInString(text)
			nw = w.t.measure(st, text[:n])
		}
		if n > 0 {
			w.word = append(w.word, piece{span: span{text[:n], st}})
			w.wordW += nw
			text = text[n:]
		}
		w.flushWord()
		w.newline()
	}
}

// fit returns how many octets of text fit into width.
func (w *wrapper) fit(text string, st style, width float64) (n int, used float64) {
	for i, r := range text {
		if isMark(r) {
			continue
		}
		rw := w.t.measure(st, string(r))
		if used+rw > width {
			return i, used
		}
		used += rw
	}
	return len(text), used
}

func (w *wrapper) flushWord() {
	if len(w.word) == 0 {
		return
	}
	if len(w.cur.pieces) > 0 && w.cur.width+w.space+w.wordW > w.width {
		w.newline()
	}
	x := w.cur.width + w.space
	for _, p := range w.word {
		p.x, p.w = x, w.t.measure(p.st, p.text)
		x += p.w
		w.cur.pieces = append(w.cur.pieces, p)
	}
	w.cur.width = x
	w.word, w.wordW, w.space, w.any = w.word[:0], 0, 0, true
}

func (w *wrapper) newline() {
	w.lines = append(w.lines, w.t.visual(w.cur, w.rtl))
	w.cur, w.space, w.any = line{}, 0, false
}

// flow fills pages from top to bottom.
type flow struct {
	ctx         context.Context
	r           *renderer
	t           *typesetter
	left, right int // pels: the printable columns
	top, bottom int // lines
	page        *imaging.Bitmap
	y           int
	used        bool // something is printed on the page
	pictures    int  // met so far in the document
}

// Margins in mm. 20 mm at the sides leaves room for 82 monospaced characters of 10 pt.
const (
	marginSide = 20.0
	marginTop  = 15.0
)

func (r *renderer) flow(ctx context.Context) *flow {
	s := r.sheet
	off := (float64(s.w)/s.kx - s.paperMM) / 2 // the scan line is a little wider than the paper
	return &flow{ctx: ctx, r: r, t: newTypesetter(r.opt.Resolution, r.fonts),
		left: s.x(marginSide + off), right: s.x(s.paperMM - marginSide + off),
		top: s.y(marginTop), bottom: s.h - s.y(marginTop), y: s.y(marginTop)}
}

func (f *flow) columns() float64 { return float64(f.right - f.left) }

// room makes sure that h lines are free, on a new page if need be.
func (f *flow) room(h int) error {
	if f.page != nil && f.y+h > f.bottom && f.y > f.top {
		if err := f.breakPage(); err != nil {
			return err
		}
	}
	if f.page == nil {
		f.page, f.y, f.used = imaging.New(f.r.sheet.w, f.r.sheet.h), f.top, false
	}
	return nil
}

// breakPage hands the page on if anything is on it.
func (f *flow) breakPage() error {
	p, used := f.page, f.used
	f.page, f.y, f.used = nil, f.top, false
	if p == nil || !used {
		return nil
	}
	return f.r.bitmap(f.ctx, p)
}

// gap leaves mm free, but not at the top of a page.
func (f *flow) gap(mm float64) {
	if f.page != nil && f.y > f.top {
		f.y += f.r.sheet.y(mm)
	}
}

// line prints one set line at left edge x.
func (f *flow) line(l line, x int, pt float64) error {
	pt = l.pt(pt)
	h := f.t.lineHeight(pt)
	if err := f.room(h); err != nil {
		return err
	}
	f.put(l, x, f.y+f.t.ascent(pt))
	f.y += h
	return nil
}

// printed sees every line that is set, in tests.
var printed func(line)

func (f *flow) put(l line, x, baseline int) {
	if printed != nil {
		printed(l)
	}
	for _, p := range l.pieces {
		if p.rtl {
			f.t.drawRTL(f.page, p.st, p.text, float64(x)+p.x, baseline)
		} else {
			f.t.draw(f.page, p.st, p.text, float64(x)+p.x, baseline)
		}
		f.r.legible.see(f.t, p.st, p.text)
		f.used = f.used || strings.TrimSpace(p.text) != ""
	}
}

// paragraph prints a block of running text.
func (f *flow) paragraph(p paragraph) error {
	indent := min(f.r.sheet.x(p.indent), (f.right-f.left)/2)
	room := float64(f.right - f.left - indent)
	pt := bodyPt
	if len(p.spans) > 0 {
		pt = p.spans[0].st.pt
	}
	f.gap(p.before)
	for i, l := range f.t.wrap(p.spans, room, p.keep) {
		if i == 0 && p.hang != "" {
			if err := f.room(f.t.lineHeight(l.pt(pt))); err != nil {
				return err
			}
			f.hang(p.hang, style{face: regular, pt: pt}, indent, l)
		}
		x, a := f.left+indent, p.align
		if l.rtl {
			x, a = f.left, a.mirrored()
		}
		if err := f.line(l, x+a.shift(l.width, room), pt); err != nil {
			return err
		}
	}
	return nil
}

// hang prints a bullet or number in the indent before line l.
func (f *flow) hang(text string, st style, indent int, l line) {
	w := f.t.measure(st, text)
	space := f.t.measure(st, " ")
	x := f.left + indent - int(w+space)
	if l.rtl {
		x = f.right - indent + int(space)
	}
	f.put(line{pieces: []piece{{span: span{text, st}, w: w}}}, x, f.y+f.t.ascent(l.pt(st.pt)))
}

// rule prints a horizontal line across the columns, mm thick.
func (f *flow) rule(mm float64) error {
	h := max(1, f.r.sheet.y(mm))
	if err := f.room(h); err != nil {
		return err
	}
	fill(f.page, f.left, f.y, f.right-f.left, h)
	f.y += h
	f.used = true
	return nil
}
