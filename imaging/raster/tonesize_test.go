package raster

import (
	"image"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
)

// g4 returns the octets of a page in MMR.
func g4(t *testing.T, b *imaging.Bitmap) int {
	t.Helper()
	data, err := t4.Append(nil, b, t4.File(imaging.MMR, imaging.Fine))
	if err != nil {
		t.Fatal(err)
	}
	return len(data)
}

// photoPage is a picture across the width: soft forms, edges, a fine texture and the noise of a camera.
func photoPage() *image.Gray {
	const w, h = 1728, 1400
	rnd := rand.New(rand.NewPCG(1, 2))
	g := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			fx, fy := float64(x)/w, float64(y)/h
			v := 150 + 80*math.Sin(5*fx+2*math.Sin(4*fy)) - 60*math.Exp(-30*((fx-.3)*(fx-.3)+(fy-.5)*(fy-.5)))
			if fy > .7+.1*math.Sin(9*fx) {
				v = 60 + 30*math.Sin(60*fx)*math.Cos(40*fy)
			}
			if (fx-.7)*(fx-.7)+(fy-.35)*(fy-.35) < .02 {
				v += 50
			}
			g.Pix[y*w+x] = uint8(min(255, max(0, v+rnd.NormFloat64()*6)))
		}
	}
	return g
}

func fixedThreshold(g *image.Gray) *imaging.Bitmap {
	b := imaging.New(g.Rect.Dx(), g.Rect.Dy())
	for y := range b.Height {
		for x := range b.Width {
			if g.Pix[y*g.Stride+x] < 128 {
				b.SetBlack(x, y)
			}
		}
	}
	return b
}

const octetsPerSecond = 14400 / 8

func TestTone_SizeOfAPhoto(t *testing.T) {
	g := photoPage()
	screen, diffused := toBlack(g, imaging.Fine, scanned, tones{}), toBlack(g, imaging.Fine, scanned, tones{diffuse: true})
	a, b := g4(t, screen), g4(t, diffused)
	t.Logf("photo, octets in MMR: screen %d (%d s at 14.4 kbit/s), error diffusion %d (%d s)", a, a/octetsPerSecond, b, b/octetsPerSecond)
	if a*3 > b {
		t.Errorf("the screen takes %d octets, error diffusion %d", a, b)
	}
	// Both keep the mean tone of each part.
	for _, out := range []*imaging.Bitmap{screen, diffused} {
		for i := range 8 {
			x0, y0 := i%4*432, i/4*700
			sum, black := 0, 0
			for y := y0; y < y0+700; y++ {
				for x := x0; x < x0+432; x++ {
					sum += 255 - int(g.Pix[y*g.Stride+x])
					if out.Black(x, y) {
						black += 255
					}
				}
			}
			if d := (sum - black) / (700 * 432); d < -40 || d > 40 {
				t.Errorf("part %d is off by %d greys", i, d)
			}
		}
	}
}

func TestTone_SizeOfNoisyText(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	noise := func() int { return int(rnd.NormFloat64() * 14) }
	g, want := setText(t, func(x, y int) int { return 235 - y*120/2286 + noise() }, func(x, y int) int { return 50 + noise() })
	a, b, clean := g4(t, toBlack(g, imaging.Fine, scanned, tones{})), g4(t, fixedThreshold(g)), g4(t, want)
	t.Logf("noisy shaded text, octets in MMR: adaptive %d, fixed threshold %d, the text itself %d", a, b, clean)
	if a*4 > b {
		t.Errorf("adaptive %d octets, fixed %d", a, b)
	}
}

// Specks go, and all that belongs to text stays: stops, dots, accents, commas, hairlines.
func TestDespeckle(t *testing.T) {
	g, page := setText(t, func(x, y int) int { return 255 }, func(x, y int) int { return 0 })
	rnd := rand.New(rand.NewPCG(5, 6))
	specks := 0
	for range 400 {
		x, y, s := rnd.IntN(1700), rnd.IntN(2280), 1+rnd.IntN(3)
		if !alone(page, x, y, s, s, 12, 12) || page.Black(x, y) {
			continue
		}
		specks++
		for i := range s * s {
			g.Pix[(y+i/s)*g.Stride+x+i%s] = 0
		}
	}
	got := toBlack(g, imaging.Fine, scanned, tones{})
	kept := toBlack(g, imaging.Fine, scanned, tones{keepSpecks: true})
	left, all := 0, 0
	for y := range page.Height {
		for x := range page.Width {
			switch {
			case page.Black(x, y) && kept.Black(x, y) && !got.Black(x, y):
				t.Fatalf("ink at %d, %d is gone", x, y)
			case page.Black(x, y):
			case got.Black(x, y):
				left++
				fallthrough
			case kept.Black(x, y):
				all++
			}
		}
	}
	if specks < 200 || all < 400 || left*10 > all { // two specks may stand close to each other
		t.Errorf("%d specks, %d of %d pels are left", specks, left, all)
	}
}
