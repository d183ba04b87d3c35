package raster

import (
	"math"
	"unicode"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"

	"github.com/tipring/tipring/imaging"
)

// Text that the Go fonts have is set character by character (font.go). All other, and all that is written from right to
// left, is shaped here: joined letters, marks on their letters, mirrored brackets.

// shaped is a stretch of shaped text, its glyphs from left to right.
type shaped struct {
	glyphs []placed
	w      float64 // pels
	boxes  int     // characters that no font has
}

// placed is a glyph with its place from the stretch's start, in pels and lines.
type placed struct {
	*glyph
	dx float64
	dy int
}

type shapeKey struct {
	bold, rtl bool
	pt        float64
	text      string
}

type outlineKey struct {
	face *font.Face
	gid  font.GID
	pt   float64
}

const (
	maxShaped    = 4096 // stretches kept
	maxShapedLen = 512  // octets of a stretch that is kept
)

// shaper does the work for one typesetter; it is not for concurrent use.
type shaper struct {
	t      *typesetter
	fonts  *fontSet
	hb     shaping.HarfbuzzShaper
	seg    shaping.Segmenter
	own    [3]*font.Face
	more   []*font.Face // of fonts; nil for one that does not parse
	bold   bool         // of the text at hand, for ResolveFace
	cache  map[shapeKey]*shaped
	glyphs map[outlineKey]*glyph
}

func newShaper(t *typesetter, fonts *fontSet) *shaper {
	s := &shaper{t: t, fonts: fonts, cache: map[shapeKey]*shaped{}, glyphs: map[outlineKey]*glyph{}}
	for i, f := range embeddedFonts() {
		s.own[i] = font.NewFace(f)
	}
	return s
}

// ResolveFace returns the first font that has r (shaping.Fontmap).
func (s *shaper) ResolveFace(r rune) *font.Face {
	order := [3]int{0, 2, 1}
	if s.bold {
		order = [3]int{1, 0, 2}
	}
	for _, i := range order {
		if _, ok := s.own[i].NominalGlyph(r); ok {
			return s.own[i]
		}
	}
	for i := 0; ; i++ {
		f, ok := s.fonts.font(i)
		if !ok {
			return s.own[0]
		}
		if len(s.more) <= i {
			s.more = append(s.more, nil)
			if f != nil {
				s.more[i] = font.NewFace(f)
			}
		}
		if s.more[i] == nil {
			continue
		}
		if _, ok := s.more[i].NominalGlyph(r); ok {
			return s.more[i]
		}
	}
}

// shape sets a stretch of text in one direction.
func (s *shaper) shape(st style, text string, rtl bool) *shaped {
	key := shapeKey{st.face == bold || st.face == monoBold, rtl, st.pt, text}
	if got := s.cache[key]; got != nil {
		return got
	}
	if len(s.cache) >= maxShaped {
		clear(s.cache)
	}
	s.bold = key.bold
	out := s.run(st, text, rtl)
	if len(text) <= maxShapedLen {
		s.cache[key] = out
	}
	return out
}

func (s *shaper) run(st style, text string, rtl bool) *shaped {
	runes := make([]rune, 0, len(text))
	for _, r := range text {
		if r == '\u200c' || r == '\u200d' { // they part and join letters
			runes = append(runes, r)
		} else if p, ok := plain(r); ok {
			runes = append(runes, p)
		}
	}
	out := &shaped{}
	if len(runes) == 0 {
		return out
	}
	const perEm = 1024 << 6 // all is shaped at one size and scaled: pels need not be square
	in := shaping.Input{Text: runes, RunEnd: len(runes), Direction: di.DirectionLTR, Size: fixed.Int26_6(perEm)}
	if rtl {
		in.Direction = di.DirectionRTL
	}
	runs := s.seg.Split(in, s)
	kx, ky := st.pt*mmPerPt*s.t.kx/perEm, st.pt*mmPerPt*s.t.ky/perEm
	for i := range runs {
		if rtl {
			i = len(runs) - 1 - i
		}
		for _, g := range s.hb.ShapeNoExtents(runs[i]).Glyphs {
			gl := s.glyph(runs[i].Face, g.GlyphID, st.pt)
			adv := float64(g.Advance) * kx
			if g.GlyphID == 0 {
				gl = s.t.box(st.pt*mmPerPt, runes[min(g.TextIndex(), len(runes)-1)])
				adv = gl.adv
				out.boxes++
			}
			out.glyphs = append(out.glyphs, placed{gl, out.w + float64(g.XOffset)*kx, -int(math.Round(float64(g.YOffset) * ky))})
			out.w += adv
		}
	}
	return out
}

// glyph returns a glyph's pels.
func (s *shaper) glyph(face *font.Face, gid font.GID, pt float64) *glyph {
	key := outlineKey{face, gid, pt}
	if g := s.glyphs[key]; g != nil {
		return g
	}
	if len(s.glyphs) >= maxGlyphs {
		clear(s.glyphs)
	}
	g := &glyph{bits: imaging.New(0, 0)}
	if o, ok := face.GlyphDataOutline(gid); ok && len(o.Segments) > 0 {
		s.outline(g, o.Segments, float64(face.Upem()), pt)
	}
	s.glyphs[key] = g
	return g
}

func (s *shaper) outline(g *glyph, segs []font.Segment, upem, pt float64) {
	sx, sy := float32(pt*mmPerPt*s.t.kx/upem), float32(-pt*mmPerPt*s.t.ky/upem)
	minX, minY, maxX, maxY := float32(math.MaxFloat32), float32(math.MaxFloat32), float32(-math.MaxFloat32), float32(-math.MaxFloat32)
	for i := range segs {
		for _, p := range segs[i].ArgsSlice() {
			minX, maxX = min(minX, p.X*sx), max(maxX, p.X*sx)
			minY, maxY = min(minY, p.Y*sy), max(maxY, p.Y*sy)
		}
	}
	x0, y0 := int(math.Floor(float64(minX)))-1, int(math.Floor(float64(minY)))-1
	w, h := int(math.Ceil(float64(maxX)))+1-x0, int(math.Ceil(float64(maxY)))+1-y0
	if w <= 0 || h <= 0 || w > 4096 || h > 4096 {
		return
	}
	r := &s.t.raster
	r.Reset(w, h)
	at := func(p font.SegmentPoint) (float32, float32) { return p.X*sx - float32(x0), p.Y*sy - float32(y0) }
	for _, seg := range segs {
		ax, ay := at(seg.Args[0])
		bx, by := at(seg.Args[1])
		cx, cy := at(seg.Args[2])
		switch seg.Op {
		case opentype.SegmentOpMoveTo:
			r.ClosePath()
			r.MoveTo(ax, ay)
		case opentype.SegmentOpLineTo:
			r.LineTo(ax, ay)
		case opentype.SegmentOpQuadTo:
			r.QuadTo(ax, ay, bx, by)
		case opentype.SegmentOpCubeTo:
			r.CubeTo(ax, ay, bx, by, cx, cy)
		}
	}
	r.ClosePath()
	g.x0, g.y0, g.bits = x0, y0, s.t.ink(w, h)
}

// complexRune tells whether r must be shaped. Marks and joiners belong to what stands before them.
func (t *typesetter) complexRune(face faceID, r rune) bool {
	if r < 0x250 {
		return false
	}
	p, ok := plain(r)
	if !ok || p < 0x250 {
		return false
	}
	key := coverKey{face, p}
	has, known := t.covered[key]
	if !known {
		if len(t.covered) >= maxGlyphs {
			clear(t.covered)
		}
		idx, err := faces()[face].GlyphIndex(&t.buf, p)
		has = err == nil && idx != 0
		t.covered[key] = has
	}
	return !has || isRTL(r)
}

type coverKey struct {
	face faceID
	r    rune
}

// isMark tells whether r sits on the character before it.
func isMark(r rune) bool {
	return r >= 0x300 && (unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) || unicode.Is(unicode.Mc, r) || r == '\u200d' || unicode.Is(unicode.Variation_Selector, r))
}

// stretches calls f with parts of text that are set alike: plain runes of the face, or text to shape.
func (t *typesetter) stretches(face faceID, text string, f func(part string, complex bool)) {
	start, last := 0, 0 // of the current stretch, of the current character
	complex := false
	for i, r := range text {
		if isMark(r) && i > 0 {
			if !complex { // the letter goes with its mark
				if last > start {
					f(text[start:last], false)
				}
				start, complex = last, true
			}
			continue
		}
		c := t.complexRune(face, r)
		if i > start && c != complex {
			f(text[start:i], complex)
			start = i
		}
		complex, last = c, i
	}
	if start < len(text) {
		f(text[start:], complex)
	}
}
