package raster

import (
	"math"
	"slices"

	"github.com/tipring/tipring/imaging"
)

// screen prints the screened areas through a dot screen, their tones stretched to the whole scale and their edges sharpened: words in
// a shaded field, white ones too, and eyes in a face are finer than the dots.
func (t *toner) screen(out *imaging.Bitmap) {
	d := newDots(t.res)
	t.eachToneLine(func(y int, want []int16) {
		for bx := range t.cols {
			if t.area[y/t.bh*t.cols+bx] < 0 {
				continue
			}
			level := d.level[y%d.h*d.w:][:d.w]
			k := bx * t.bw % d.w
			for x := bx * t.bw; x < min((bx+1)*t.bw, t.w); x++ {
				if v := want[x]; v >= 0 && v < int16(level[k]) {
					out.SetBlack(x, y)
				}
				if k++; k == d.w {
					k = 0
				}
			}
		}
	})
}

// eachToneLine calls f for every line of pels in which some are to be screened, with their sharpened and stretched tones; -1: not
// to be screened.
func (t *toner) eachToneLine(f func(y int, want []int16)) {
	if len(t.areas) == 0 {
		return
	}
	x0, x1, y0, y1 := t.cols, 0, t.rows, 0
	for _, a := range t.areas {
		x0, x1, y0, y1 = min(x0, a.x0-1), max(x1, a.x1+1), min(y0, a.y0-1), max(y1, a.y1+1) // with edge blocks
	}
	x0, x1, y0, y1 = max(0, x0), min(x1, t.cols), max(0, y0), min(y1, t.rows)
	win := newWindow(t, x0*t.bw, min(x1*t.bw, t.w), max(3, sharpReach*t.res.X/204), max(1, sharpReach*t.res.Y/204))
	want := make([]int16, t.w)
	for x := range want {
		want[x] = -1
	}
	for y := y0 * t.bh; y < min(y1*t.bh, t.h); y++ {
		win.row(y)
		pix := t.g.Pix[y*t.g.Stride : y*t.g.Stride+t.w]
		for bx := x0; bx < x1; bx++ {
			i := y/t.bh*t.cols + bx
			kind := t.kind[i]
			for x := bx * t.bw; x < min((bx+1)*t.bw, t.w); x++ {
				sum, n := win.step(x)
				if kind != screened && (kind != edge || !t.tint.Black(x, y)) {
					want[x] = -1
					continue
				}
				v := int(pix[x])
				v += (v*n - sum) * sharpness / (4 * n)
				want[x] = int16(t.areas[t.area[i]].lut[min(255, max(0, v))])
			}
		}
		f(y, want)
	}
}

const (
	sharpReach = 4 // pels at 204 dpi
	sharpness  = 5 // quarters of a pel's difference from what is around it that are added
)

// stretch makes each area's map of tones. Photos are stretched, less their outer hundredths, to the scale from black to paper white. Even
// tints have few tones that need to be told apart, but words in them that must be read: the dark ones are black, the light ones white.
func (t *toner) stretch() {
	for i := range t.areas {
		a := &t.areas[i]
		lo, hi := t.paper*40/100, t.paper*85/100
		if !a.tint {
			lo, hi = t.range100(&a.hist, a.pels)
		}
		for v := range a.lut {
			a.lut[v] = uint8(min(255, max(0, (v-lo)*255/max(1, hi-lo))))
		}
	}
}

// range100 returns what becomes black and white of an area's tones. A photo with little contrast keeps some of its greyness.
func (t *toner) range100(hist *[256]int, n int) (lo, hi int) {
	hi = 255
	for seen := hist[0]; seen*100 < n && lo < 255; seen += hist[lo] {
		lo++
	}
	for seen := hist[255]; seen*100 < n && hi > 0; seen += hist[hi] {
		hi--
	}
	return min(lo, 64), max(hi, t.paper*8/10, 1)
}

// screenTile is the side of the screen's tile in pels at 204 dpi: 36 dots an inch. Coarser dots would code smaller still, but a face would
// lose its features; error diffusion and finer dots take several times as long on the line.
const screenTile = 8

// dots is a dot screen.
type dots struct {
	level []uint8
	w, h  int
}

func newDots(res imaging.Resolution) dots {
	level, w, h := dotScreen(res)
	return dots{level, w, h}
}

// dotScreen returns the thresholds of a clustered-dot screen at 45 degrees, two dots to a tile,
// round on paper whatever the pels' shape: a pel is black if its grey is below the threshold.
func dotScreen(res imaging.Resolution) (dots []uint8, w, h int) {
	w, h = max(8, (screenTile*res.X/204+1)&^1), max(4, (screenTile*res.Y/204+1)&^1)
	order := make([]int, w*h)
	spot := make([]float64, w*h)
	for i := range order {
		order[i] = i
		x, y := float64(i%w)/float64(w), float64(i/w)/float64(h)
		// Two dots and two holes in a tile. The small terms only break ties, so that dots grow evenly.
		spot[i] = math.Cos(2*math.Pi*(x+0.01))*math.Cos(2*math.Pi*(y+0.003)) + 1e-3*math.Cos(2*math.Pi*(x-y))
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case spot[a] > spot[b]:
			return -1
		case spot[a] < spot[b]:
			return 1
		}
		return 0
	})
	// The first pels of a dot are black from the lightest greys on.
	dots = make([]uint8, w*h)
	for rank, i := range order {
		dots[i] = uint8(255 - (rank*2+1)*255/(2*w*h))
	}
	return dots, w, h
}
