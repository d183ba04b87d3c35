package raster

import (
	"image"
	"slices"
)

// noisy is how far neighbouring pels of plain paper differ on average, in greys, where noise begins to cost.
const (
	grainy    = 2 // no drawn page has any
	noisy     = 5
	veryNoisy = 12
)

// denoise smooths a picture whose paper is grainy: each grain would become a speck, or a ragged edge of a dot.
func (t *toner) denoise() {
	n := t.noise()
	if n >= noisy {
		t.g = smoothed(t.g, t.w, t.h)
	}
	if n >= veryNoisy {
		t.g = smoothed(t.g, t.w, t.h)
	}
}

// noise returns the mean difference between neighbouring pels in the middle one of all squares of 32 pels: on a page most
// of them are plain paper.
func (t *toner) noise() int {
	const side = 32
	var all []int
	for y0 := 0; y0+side <= t.h; y0 += side {
		for x0 := 0; x0+side <= t.w; x0 += side {
			sum := 0
			for y := y0; y < y0+side; y += 4 {
				row := t.g.Pix[y*t.g.Stride+x0 : y*t.g.Stride+x0+side]
				for x := 1; x < side; x++ {
					sum += abs(int(row[x]) - int(row[x-1]))
				}
			}
			all = append(all, sum/(side/4*(side-1)))
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// digital tells whether a picture was never on paper, such as a saved page or a screenshot: most of it is exactly white, and
// its greys are even. Then a light tint is meant, not a shadow. A scan whose paper was made white has grain in its greys, and a smooth
// photo slopes: neighbours differ a little. Those that differ more are edges, which all pictures have.
func (t *toner) digital() bool {
	const slope = 6
	const lo, hi = 30, 244
	white, even, near := 0, 0, 0
	for y := range t.h {
		last := 0
		for _, p := range t.g.Pix[y*t.g.Stride : y*t.g.Stride+t.w] {
			v := int(p)
			switch {
			case v == 255:
				white++
			case v <= lo || v >= hi:
			case v == last:
				even++
			case abs(v-last) <= slope:
				near++
			}
			last = v
		}
	}
	return white*2 > t.w*t.h && even > 2*near
}

func abs(n int) int { return max(n, -n) }

// smoothed returns the mean of three by three pels around each; the picture's edge repeats.
func smoothed(g *image.Gray, w, h int) *image.Gray {
	out := image.NewGray(image.Rect(0, 0, w, h))
	sums := make([]uint16, w+2) // of three lines, a pel of margin at either side
	for y := range h {
		up, mid, low := g.Pix[max(0, y-1)*g.Stride:], g.Pix[y*g.Stride:], g.Pix[min(h-1, y+1)*g.Stride:]
		for x := range w {
			sums[x+1] = uint16(up[x]) + uint16(mid[x]) + uint16(low[x])
		}
		sums[0], sums[w+1] = sums[1], sums[w]
		dst := out.Pix[y*out.Stride : y*out.Stride+w]
		for x := range dst {
			dst[x] = uint8((sums[x] + sums[x+1] + sums[x+2] + 4) / 9)
		}
	}
	return out
}
