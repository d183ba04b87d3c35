package raster

import (
	"image"
	"math"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
	"golang.org/x/text/width"

	"github.com/tipring/tipring/imaging"
)

// faceID is one of the Go fonts: they cover Latin, Greek and Cyrillic.
type faceID uint8

const (
	regular faceID = iota
	medium
	bold
	italic
	mono
	monoBold
	faceCount
)

var faces = sync.OnceValue(func() (fs [faceCount]*sfnt.Font) {
	for i, ttf := range [faceCount][]byte{goregular.TTF, gomedium.TTF, gobold.TTF, goitalic.TTF, gomono.TTF, gomonobold.TTF} {
		f, err := sfnt.Parse(ttf)
		if err != nil {
			panic("raster: a built-in font does not parse: " + err.Error())
		}
		fs[i] = f
	}
	return fs
})

// style is how a piece of text looks; pt is its size in points (1/72 inch).
type style struct {
	face      faceID
	pt        float64
	underline bool
}

// glyph is a rendered glyph; x0 and y0 place its bitmap relative to pen and baseline.
type glyph struct {
	bits   *imaging.Bitmap
	x0, y0 int
	adv    float64 // pels
	box    bool    // stands for a character that the font lacks
}

type glyphKey struct {
	face faceID
	pt   float64
	r    rune
}

// maxGlyphs bounds the glyph cache: a text of every rune there is must not fill the memory.
const maxGlyphs = 4096

// typesetter draws text at one resolution. Its pels need not be square.
type typesetter struct {
	kx, ky float64 // pels and lines per mm
	cache  map[glyphKey]*glyph
	buf    sfnt.Buffer
	raster vector.Rasterizer

	covered map[coverKey]bool // what the Go fonts have
	boxed   map[coverKey]bool // what no font has
	fonts   *fontSet          // may be nil
	complex *shaper           // made when it is needed first
}

// newTypesetter makes a typesetter that knows the embedded fonts and those of the set, which may be nil.
func newTypesetter(res imaging.Resolution, fonts *fontSet) *typesetter {
	kx, ky := perMM(res)
	return &typesetter{kx: kx, ky: ky, cache: make(map[glyphKey]*glyph), covered: make(map[coverKey]bool), boxed: make(map[coverKey]bool), fonts: fonts}
}

func (t *typesetter) shape(st style, text string, rtl bool) *shaped {
	if t.complex == nil {
		t.complex = newShaper(t, t.fonts)
	}
	return t.complex.shape(st, text, rtl)
}

const mmPerPt = 25.4 / 72

// lineHeight returns the lines from one baseline to the next.
func (t *typesetter) lineHeight(pt float64) int { return int(math.Ceil(pt * 1.25 * mmPerPt * t.ky)) }

// ascent returns the lines from the top of a text line to its baseline.
func (t *typesetter) ascent(pt float64) int { return int(math.Ceil(pt * 0.97 * mmPerPt * t.ky)) }

// plain maps runes to what is printed for them; ok is false for those that print nothing.
func plain(r rune) (rune, bool) {
	switch {
	case r == '\u00a0' || r == '\u2007' || r == '\u202f' || r == '\t' || r >= '\u2000' && r <= '\u200a' || r == '\u3000':
		return ' ', true
	case r == '\u2010' || r == '\u2011':
		return '-', true
	case r == '\u00ad' || r == '\u200b' || r == '\ufeff' || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r):
		return 0, false
	}
	return r, true
}

// glyph returns the rendered glyph of r. A rune that the font does not have becomes a box, so that the reader sees
// that something is missing.
func (t *typesetter) glyph(st style, r rune) *glyph {
	key := glyphKey{st.face, st.pt, r}
	if g := t.cache[key]; g != nil {
		return g
	}
	if len(t.cache) >= maxGlyphs {
		clear(t.cache)
	}
	g := t.render(st, r)
	t.cache[key] = g
	return g
}

func (t *typesetter) render(st style, r rune) *glyph {
	f := faces()[st.face]
	em := st.pt * mmPerPt
	idx, err := f.GlyphIndex(&t.buf, r)
	if err != nil || idx == 0 {
		return t.box(em, r)
	}
	upem := fixed.Int26_6(f.UnitsPerEm()) << 6
	adv, err := f.GlyphAdvance(&t.buf, idx, upem, font.HintingNone)
	if err != nil {
		return t.box(em, r)
	}
	segs, err := f.LoadGlyph(&t.buf, idx, upem, nil)
	if err != nil {
		return t.box(em, r)
	}
	sx, sy := float32(em*t.kx)/float32(upem), float32(em*t.ky)/float32(upem)
	g := &glyph{adv: float64(adv) * float64(sx)}
	b := segs.Bounds()
	x0, y0 := int(math.Floor(float64(float32(b.Min.X)*sx)))-1, int(math.Floor(float64(float32(b.Min.Y)*sy)))-1
	w, h := int(math.Ceil(float64(float32(b.Max.X)*sx)))+1-x0, int(math.Ceil(float64(float32(b.Max.Y)*sy)))+1-y0
	if len(segs) == 0 || w <= 0 || h <= 0 || w > 4096 || h > 4096 {
		g.bits = imaging.New(0, 0)
		return g
	}
	t.outline(segs, sx, sy, x0, y0, w, h)
	g.x0, g.y0, g.bits = x0, y0, t.ink(w, h)
	return g
}

func (t *typesetter) outline(segs sfnt.Segments, sx, sy float32, x0, y0, w, h int) {
	t.raster.Reset(w, h)
	pt := func(p fixed.Point26_6) (float32, float32) {
		return float32(p.X)*sx - float32(x0), float32(p.Y)*sy - float32(y0)
	}
	for _, s := range segs {
		ax, ay := pt(s.Args[0])
		bx, by := pt(s.Args[1])
		cx, cy := pt(s.Args[2])
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			t.raster.ClosePath()
			t.raster.MoveTo(ax, ay)
		case sfnt.SegmentOpLineTo:
			t.raster.LineTo(ax, ay)
		case sfnt.SegmentOpQuadTo:
			t.raster.QuadTo(ax, ay, bx, by)
		case sfnt.SegmentOpCubeTo:
			t.raster.CubeTo(ax, ay, bx, by, cx, cy)
		}
	}
	t.raster.ClosePath()
}

// ink turns the outline into pels. The threshold lies under one half so that strokes thinner than a line of the
// coarse resolutions stay visible.
func (t *typesetter) ink(w, h int) *imaging.Bitmap {
	const threshold = 105
	alpha := image.NewAlpha(image.Rect(0, 0, w, h))
	t.raster.Draw(alpha, alpha.Bounds(), image.Opaque, image.Point{})
	bits := imaging.New(w, h)
	for y := range h {
		for x, a := range alpha.Pix[y*alpha.Stride : y*alpha.Stride+w] {
			if a >= threshold {
				bits.SetBlack(x, y)
			}
		}
	}
	return bits
}

// box is the visible replacement of a missing glyph, nothing for a combining mark.
func (t *typesetter) box(em float64, r rune) *glyph {
	if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) {
		return &glyph{bits: imaging.New(0, 0), box: true}
	}
	wide := 0.6
	if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		wide = 1
	}
	w, h := max(4, int(em*wide*0.8*t.kx)), max(4, int(em*0.7*t.ky))
	bits := imaging.New(w, h)
	for x := range w {
		bits.SetBlack(x, 0)
		bits.SetBlack(x, h-1)
	}
	for y := range h {
		for _, x := range [...]int{0, 1, w - 2, w - 1} {
			bits.SetBlack(x, y)
		}
	}
	return &glyph{bits: bits, x0: int(em * wide * 0.1 * t.kx), y0: -h, adv: em * wide * t.kx, box: true}
}

// measure returns the width of text in pels.
func (t *typesetter) measure(st style, text string) float64 {
	w := 0.0
	t.stretches(st.face, text, func(part string, complex bool) {
		if complex {
			w += t.shape(st, part, hasRTL(part)).w
			return
		}
		for _, r := range part {
			if p, ok := plain(r); ok {
				w += t.glyph(st, p).adv
			}
		}
	})
	return w
}

// draw prints text from left to right with its baseline at y and returns the pen's new x. What lies outside the bitmap is
// not printed.
func (t *typesetter) draw(b *imaging.Bitmap, st style, text string, x float64, y int) float64 {
	start := x
	t.stretches(st.face, text, func(part string, complex bool) {
		if complex {
			x = t.drawShaped(b, t.shape(st, part, hasRTL(part)), x, y)
			return
		}
		for _, r := range part {
			if p, ok := plain(r); ok {
				g := t.glyph(st, p)
				blit(b, g.bits, int(math.Round(x))+g.x0, y+g.y0)
				x += g.adv
			}
		}
	})
	t.underline(b, st, start, x, y)
	return x
}

// drawRTL prints text from right to left, its left end at x.
func (t *typesetter) drawRTL(b *imaging.Bitmap, st style, text string, x float64, y int) {
	t.underline(b, st, x, t.drawShaped(b, t.shape(st, text, true), x, y), y)
}

func (t *typesetter) drawShaped(b *imaging.Bitmap, s *shaped, x float64, y int) float64 {
	for _, g := range s.glyphs {
		blit(b, g.bits, int(math.Round(x+g.dx))+g.x0, y+g.y0+g.dy)
	}
	return x + s.w
}

func (t *typesetter) underline(b *imaging.Bitmap, st style, from, to float64, y int) {
	if st.underline {
		thick := max(1, int(st.pt*0.05*mmPerPt*t.ky))
		fill(b, int(from), y+1+thick, int(to-from), thick)
	}
}

// blit prints src's black pels onto dst at x, y, clipped.
func blit(dst, src *imaging.Bitmap, x, y int) {
	for sy := max(0, -y); sy < src.Height && y+sy < dst.Height; sy++ {
		row, out := src.Row(sy), dst.Row(y+sy)
		for i, w := range row {
			orWord(out, dst.Width, x+i*64, w)
		}
	}
}

// orWord ors 64 pels into a row at x; pels outside the width are dropped.
func orWord(row []uint64, width, x int, w uint64) {
	if w == 0 || x >= width || x <= -64 {
		return
	}
	if x < 0 {
		w <<= uint(-x)
		x = 0
	}
	if x+64 > width {
		w &= ^uint64(0) << uint(min(64, x+64-width))
	}
	i, s := x>>6, uint(x)&63
	row[i] |= w >> s
	if s != 0 && i+1 < len(row) {
		row[i+1] |= w << (64 - s)
	}
}

// fill blackens a rectangle, clipped.
func fill(b *imaging.Bitmap, x, y, w, h int) {
	for yy := max(0, y); yy < min(y+h, b.Height); yy++ {
		for xx := max(0, x); xx < min(x+w, b.Width); xx++ {
			b.SetBlack(xx, yy)
		}
	}
}
