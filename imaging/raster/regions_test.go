package raster

import (
	"fmt"
	"image"
	"image/color"
	"math/rand/v2"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// regionsOf returns how a picture's blocks are made black and white.
func regionsOf(g *image.Gray, src source) *toner {
	t := &toner{g: g, w: g.Bounds().Dx(), h: g.Bounds().Dy(), res: imaging.Fine}
	t.tint = imaging.New(t.w, t.h)
	if src == scanned {
		t.denoise()
	}
	t.measure()
	t.classify(src)
	return t
}

func (t *toner) screenedShare() int {
	n := 0
	for _, k := range t.kind {
		if k == screened {
			n++
		}
	}
	return n * 100 / len(t.kind)
}

// A scanned page with a black area stays a page, however shaded it is: no photo, and its text is as on white paper.
func TestRegions_ShadedScanWithBlack(t *testing.T) {
	for _, black := range []int{0, 10, 25} { // per cent of the page, at its foot
		for _, shade := range []int{0, 110} { // greys from left to right
			for _, grain := range []float64{0, 6} {
				t.Run(fmt.Sprintf("black %d shade %d grain %v", black, shade, grain), func(t *testing.T) {
					rnd := rand.New(rand.NewPCG(7, 8))
					noise := func() int { return int(rnd.NormFloat64() * grain) }
					g, want := setText(t, func(x, y int) int { return 235 - x*shade/1728 + noise() }, func(x, y int) int { return 45 + noise() })
					top := want.Height - want.Height*black/100
					for y := top; y < want.Height; y++ {
						for x := range want.Width {
							g.SetGray(x, y, color.Gray{Y: uint8(max(0, 40+noise()))})
						}
					}
					if n := regionsOf(g, scanned).screenedShare(); n > black+3 {
						t.Errorf("%d %% of the blocks count as photo", n)
					}
					got := toBlack(g, imaging.Fine, scanned, tones{})
					above := image.Rect(0, 0, want.Width, top-20)
					a, b := got.Crop(above), want.Crop(above)
					_, _, _, _, ink := inkBox(b)
					limit := ink * 2 / 100
					if grain > 0 {
						limit = ink * 12 / 100 // smoothed
					}
					if d := differing(a, b); d > limit {
						t.Errorf("%d pels differ of %d black ones", d, ink)
					}
					if _, _, _, _, n := inkBox(got.Crop(image.Rect(0, top+20, want.Width, want.Height))); black > 0 && n*100 < 90*want.Width*(want.Height-top-20) {
						t.Error("the black area is not black")
					}
				})
			}
		}
	}
}

// A photo is one, whether it fills the scan, lies on the glass, or is dark.
func TestRegions_ScannedPhotos(t *testing.T) {
	photo := photoPage()
	whole := image.NewGray(image.Rect(0, 0, 1728, 2200))
	dark := image.NewGray(photo.Rect)
	for i := range whole.Pix {
		whole.Pix[i] = 238
	}
	for y := range 700 {
		copy(whole.Pix[(y+300)*1728+300:(y+300)*1728+1300], photo.Pix[(y+300)*1728+300:])
	}
	for i, v := range photo.Pix {
		dark.Pix[i] = uint8(int(v) * int(v) / 400)
	}
	for name, c := range map[string]struct {
		g           *image.Gray
		least, most int
	}{"full": {photo, 97, 100}, "dark": {dark, 97, 100}, "on the glass": {whole, 15, 22}} {
		if n := regionsOf(c.g, scanned).screenedShare(); n < c.least || n > c.most {
			t.Errorf("%s: %d %% of the blocks are screened, want %d to %d", name, n, c.least, c.most)
		}
	}
}

// drawnPage is what a PDF draws: paint is asked for each pel's grey.
func drawnPage(paint func(x, y int) int) *image.Gray {
	g := image.NewGray(image.Rect(0, 0, 1728, 1200))
	for y := range 1200 {
		for x := range 1728 {
			g.Pix[y*1728+x] = uint8(paint(x, y))
		}
	}
	return g
}

func within(b *imaging.Bitmap, x0, y0, x1, y1 int) (percent int) {
	n := 0
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			if b.Black(x, y) {
				n++
			}
		}
	}
	return n * 100 / ((x1 - x0) * (y1 - y0))
}

// Pale and thin things of a drawn page stay: hairlines that two lines of pels share, grey strokes of any thickness below an area's, and
// light words on a tint.
func TestRegions_DrawnThingsStay(t *testing.T) {
	g := drawnPage(func(x, y int) int {
		switch {
		case y == 100 || y == 101: // a hairline between two lines of pels
			return 228
		case x == 90:
			return 215
		case y >= 200 && y < 216 && x < 800, y >= 300 && y < 319 && x < 800: // thick grey strokes
			return 178
		case y >= 500 && y < 800 && x >= 200 && x < 1400: // a dark bar with light words
			if (x/6)%4 == 0 && (y/20)%3 == 1 {
				return 255
			}
			return 105
		case y >= 900 && y < 1100 && x >= 200 && x < 1400: // a light field with black ones
			if (x/6)%4 == 0 && (y/20)%3 == 1 {
				return 0
			}
			return 225
		}
		return 255
	})
	b := toBlack(g, imaging.Fine, drawn, tones{})
	if n := within(b, 150, 99, 1700, 103) * 4; n < 98 || n > 202 {
		t.Errorf("the hairline has %d %% of its pels", n)
	}
	if n := within(b, 90, 330, 91, 1190); n < 99 {
		t.Errorf("the upright hairline has %d %% of its pels", n)
	}
	for _, y := range []int{200, 300} {
		if n := within(b, 150, y+1, 780, y+15); n < 97 {
			t.Errorf("of the grey stroke at %d %d %% are black", y, n)
		}
	}
	if n := within(b, 217, 505, 221, 515); n > 10 {
		t.Errorf("a light word is %d %% black", n)
	}
	if n := within(b, 225, 505, 237, 515); n < 85 {
		t.Errorf("beside a light word only %d %% are black", n)
	}
	if n := within(b, 216, 925, 221, 935); n < 90 {
		t.Errorf("a word on a light field is %d %% black", n)
	}
	if n := within(b, 230, 902, 1390, 918); n > 1 {
		t.Errorf("a light field is %d %% black", n)
	}
}

// A photo on a drawn page is screened as a whole: light skin and black cloth as well.
func TestRegions_DrawnPhotoIsWhole(t *testing.T) {
	photo := photoPage()
	g := drawnPage(func(x, y int) int {
		if x < 320 || x >= 1280 || y < 160 || y >= 960 {
			return 255
		}
		v := int(photo.Pix[(y+200)*1728+x])
		if (x-700)*(x-700)+(y-500)*(y-500) < 120*120 {
			v = 170 + v/3 // a light face
		}
		return min(v, 250)
	})
	if n := regionsOf(g, drawn).screenedShare(); n < 960*800*96/(1728*1200) {
		t.Errorf("%d %% of the blocks are screened", n)
	}
	b := toBlack(g, imaging.Fine, drawn, tones{})
	if n := within(b, 640, 440, 760, 560); n < 3 || n > 45 {
		t.Errorf("the face is %d %% black", n)
	}
}
