package jbig

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// testPages has what a coder meets: text, noise, screens of several periods (the adaptive pixel moves), white, black, and odd sizes.
func testPages() map[string]*imaging.Bitmap {
	return map[string]*imaging.Bitmap{
		"text":     textPage(1728, 300),
		"noise":    noisePage(333, 140, 2),
		"dust":     noisePage(1000, 200, 40),
		"screen 6": screenPage(1728, 300, 6),
		"screen 8": screenPage(640, 290, 8),
		"white":    imaging.New(1728, 260),
		"black":    blackPage(100, 150),
		"1 x 1":    blackPage(1, 1),
		"63":       noisePage(63, 30, 5),
		"64":       noisePage(64, 129, 5),
		"65":       noisePage(65, 128, 5),
		"wide":     noisePage(7296, 6, 9),
	}
}

func testFormats() map[string]Format {
	return map[string]Format{
		"zero":             {},
		"moves":            {MX: 8},
		"moves far":        {MX: 127},
		"two lines":        {TwoLine: true},
		"two lines, moves": {TwoLine: true, MX: 64},
		"not typical":      {NoTypical: true, MX: 8},
		"neither":          {NoTypical: true, TwoLine: true},
		"short stripes":    {StripeLines: 9, MX: 70},
		"one stripe":       {StripeLines: 5000, MX: 8},
		"comment":          {Comment: "a fax\xff\x02 says so"},
		"fresh stripes":    {Reset: true, MX: 8, StripeLines: 50},
	}
}

func textPage(width, height int) *imaging.Bitmap {
	r := rand.New(rand.NewPCG(uint64(width), uint64(height)))
	b := imaging.New(width, height)
	for y := 20; y+12 < height; y += 24 {
		for x := 100; x+9 < width-100; x += 7 + r.IntN(9) {
			for range 3 + r.IntN(4) {
				x0, y0, w, h := r.IntN(6), r.IntN(9), 1+r.IntN(4), 1+r.IntN(4)
				for yy := y + y0; yy < y+y0+h; yy++ {
					for xx := x + x0; xx < x+x0+w; xx++ {
						b.SetBlack(xx, yy)
					}
				}
			}
		}
	}
	return b
}

func noisePage(width, height, n int) *imaging.Bitmap {
	r := rand.New(rand.NewPCG(uint64(width), uint64(height)))
	b := imaging.New(width, height)
	for y := range height {
		for x := range width {
			if r.IntN(n) == 0 {
				b.SetBlack(x, y)
			}
		}
	}
	return b
}

// screenPage is a slope of grey, screened with dots of a period, and some dust.
func screenPage(width, height, period int) *imaging.Bitmap {
	r := rand.New(rand.NewPCG(uint64(width), uint64(period)))
	b := imaging.New(width, height)
	for y := range height {
		for x := range width {
			dx, dy := x%period-period/2, (y+x/period)%period-period/2
			if dx*dx+dy*dy < period*period*(1+x*7/width)/40 || r.IntN(200) == 0 {
				b.SetBlack(x, y)
			}
		}
	}
	return b
}

func blackPage(width, height int) *imaging.Bitmap {
	b := imaging.New(width, height)
	b.Invert()
	return b
}

func TestRoundTrip(t *testing.T) {
	for name, b := range testPages() {
		for option, f := range testFormats() {
			data, err := Append(nil, b, f)
			if err != nil {
				t.Fatal(err)
			}
			got, q, err := Decode(data, b.Width, 0)
			if err != nil || !got.Equal(b) || q != (imaging.Quality{Lines: b.Height, Ended: true}) {
				t.Errorf("%s, %s: %+v, %v", name, option, q, err)
			}
		}
	}
}

// TestPageEncoder: page after page the same comes out as of each alone.
func TestPageEncoder(t *testing.T) {
	for option, f := range testFormats() {
		e := NewPageEncoder(f)
		for range 2 {
			for name, b := range testPages() {
				want, err := Append(nil, b, f)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := e.Encode(b); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s, %s: other octets (%v)", name, option, err)
				}
			}
		}
		if _, err := e.Encode(imaging.New(100, 0)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: no lines: %v", option, err)
		}
	}
}
