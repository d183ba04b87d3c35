package raster

import (
	"context"
	"image"
	"image/color"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// setText is a page of text as grey pixels: paper and ink of the given greys at each x.
func setText(t testing.TB, paper, ink func(x, y int) int) (*image.Gray, *imaging.Bitmap) {
	t.Helper()
	var page *imaging.Bitmap
	c := CoverFields{To: "Anna Schmidt", From: "Jörg Müller", Subject: "Vertrag", Text: "Sehr geehrte Frau Schmidt,\n\nwie besprochen der Vertrag."}
	if err := Cover(context.Background(), c, Options{}, func(p *imaging.Page) error { page = p.Bitmap; return nil }); err != nil {
		t.Fatal(err)
	}
	g := image.NewGray(image.Rect(0, 0, page.Width, page.Height))
	for y := range page.Height {
		for x := range page.Width {
			v := paper(x, y)
			if page.Black(x, y) {
				v = ink(x, y)
			}
			g.SetGray(x, y, color.Gray{Y: uint8(min(255, max(0, v)))})
		}
	}
	return g, page
}

func differing(a, b *imaging.Bitmap) (n int) {
	for y := range a.Height {
		for x := range a.Width {
			if a.Black(x, y) != b.Black(x, y) {
				n++
			}
		}
	}
	return n
}

func TestTone_TextStaysText(t *testing.T) {
	noise := func(x, y int) int { return (x*7919+y*104729)>>3%13 - 6 }
	for name, c := range map[string]struct {
		paper, ink func(x, y int) int
		src        source
	}{
		"clean":      {func(x, y int) int { return 255 }, func(x, y int) int { return 0 }, drawn},
		"pale":       {func(x, y int) int { return 255 }, func(x, y int) int { return 170 }, drawn},
		"grey paper": {func(x, y int) int { return 190 + noise(x, y) }, func(x, y int) int { return 60 + noise(y, x) }, scanned},
		"shaded":     {func(x, y int) int { return 130 + x*110/1728 + noise(x, y) }, func(x, y int) int { return 20 + x*60/1728 }, scanned},
	} {
		t.Run(name, func(t *testing.T) {
			g, want := setText(t, c.paper, c.ink)
			got := toBlack(g, imaging.Fine, c.src, tones{})
			_, _, _, _, ink := inkBox(want)
			if d := differing(got, want); d*100 > ink*2 {
				t.Errorf("%d pels differ of %d black ones", d, ink)
			}
		})
	}
}

func TestTone_RampKeepsItsTones(t *testing.T) {
	for _, res := range []imaging.Resolution{imaging.Standard, imaging.Fine, imaging.Res400} {
		const w, h = 1600, 800
		g := image.NewGray(image.Rect(0, 0, w, h))
		for i := range g.Pix {
			g.Pix[i] = uint8(i % w * 255 / (w - 1))
		}
		b := toBlack(g, res, scanned, tones{})
		last := 101
		for band := range 8 {
			n := 0
			for y := range h {
				for x := band * w / 8; x < (band+1)*w/8; x++ {
					if b.Black(x, y) {
						n++
					}
				}
			}
			share := n * 100 / (w / 8 * h)
			want := 100 - (2*band+1)*100/16
			if share >= last || share < want-8 || share > want+8 {
				t.Errorf("%v: band %d is %d%% black, want about %d%%, less than %d%%", res, band, share, want, last)
			}
			last = share
		}
	}
}

// A light tint of a saved page is meant and stays; the same grey as a shadow on a scan goes. Words stay readable on both.
func TestTone_TintOfADigitalPicture(t *testing.T) {
	const w, h = 1728, 1000
	tinted := func(x, y int) bool { return x > 200 && x < 900 && y > 300 && y < 600 }
	for _, c := range []struct {
		name     string
		grain    int
		min, max int // per cent of black in the tint
	}{{"saved page", 0, 8, 20}, {"scan", 7, 0, 1}} {
		g := image.NewGray(image.Rect(0, 0, w, h))
		for i := range g.Pix {
			x, y := i%w, i/w
			v := 255
			if tinted(x, y) {
				v = 204
			}
			if c.grain > 0 {
				v -= (x*7919 + y*104729) >> 3 % c.grain
			}
			g.Pix[i] = uint8(v)
		}
		b := toBlack(g, imaging.Fine, scanned, tones{})
		in, out := 0, 0
		for y := range h {
			for x := range w {
				if b.Black(x, y) && tinted(x, y) {
					in++
				} else if b.Black(x, y) {
					out++
				}
			}
		}
		if share := in * 100 / (700 * 300); share < c.min || share > c.max || out > 0 {
			t.Errorf("%s: %d %% of the tint and %d pels beside it are black, want %d to %d %% and none", c.name, share, out, c.min, c.max)
		}
	}
}

func TestTone_DotScreenIsBalanced(t *testing.T) {
	for _, res := range []imaging.Resolution{imaging.Standard, imaging.Fine, imaging.Superfine, imaging.Res300, imaging.Res600} {
		dots, w, h := dotScreen(res)
		for _, grey := range []int{16, 64, 128, 192, 240} {
			n := 0
			for _, d := range dots {
				if uint8(grey) < d {
					n++
				}
			}
			if got, want := n*256, (256-grey)*w*h; got < want-8*256 && got < want*9/10 || got > want+8*256 && got > want*11/10 {
				t.Errorf("%v: grey %d blackens %d of %d", res, grey, n, w*h)
			}
		}
	}
}

func TestTone_NoBlockIsLeftOut(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1728, 1}, {3, 900}, {17, 17}} {
		for _, v := range []uint8{0, 10, 128, 255} {
			g := image.NewGray(image.Rect(0, 0, size[0], size[1]))
			for i := range g.Pix {
				g.Pix[i] = v
			}
			for _, src := range []source{drawn, scanned} {
				b := toBlack(g, imaging.Fine, src, tones{})
				_, _, _, _, n := inkBox(b)
				if v == 255 && n != 0 || v == 0 && n != size[0]*size[1] {
					t.Errorf("%v of grey %d: %d black", size, v, n)
				}
			}
		}
	}
}
