package raster

import (
	"image"
	"math/rand/v2"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// BenchmarkTone makes grey pages black and white: a drawn text page, a grainy scan and a photo.
func BenchmarkTone(b *testing.B) {
	rnd := rand.New(rand.NewPCG(3, 4))
	noise := func() int { return int(rnd.NormFloat64() * 6) }
	text, _ := setText(b, func(x, y int) int { return 255 }, func(x, y int) int { return 0 })
	scan, _ := setText(b, func(x, y int) int { return 235 - y*80/2286 + noise() }, func(x, y int) int { return 50 + noise() })
	for _, c := range []struct {
		name string
		g    *image.Gray
		src  source
	}{{"drawn", text, drawn}, {"scan", scan, scanned}, {"photo", photoPage(), scanned}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.g.Pix)))
			for b.Loop() {
				toBlack(c.g, imaging.Fine, c.src, tones{})
			}
		})
	}
}
