package raster

import "github.com/tipring/tipring/imaging"

// diffuse prints the screened blocks by error diffusion (Floyd and Steinberg's weights), every other line from right to
// left. Its fine grain costs many times the octets of the screen in every coding but JBIG.
func (t *toner) diffuse(out *imaging.Bitmap) {
	lut, any := t.stretch()
	if !any {
		return
	}
	now, next := make([]int32, t.w+2), make([]int32, t.w+2) // in sixteenths, one pel of margin at either side
	for y := range t.h {
		pix := t.g.Pix[y*t.g.Stride : y*t.g.Stride+t.w]
		kinds := t.kind[y/t.bh*t.cols:]
		from, step := 0, 1
		if y&1 == 1 {
			from, step = t.w-1, -1
		}
		for n, x := 0, from; n < t.w; n, x = n+1, x+step {
			if !t.toScreen(kinds[x/t.bw], x, y) {
				continue // what it inherits is lost: beyond this edge is text or paper
			}
			want := int32(lut[pix[x]]) + (now[x+1]+8)>>4
			left := want
			if want >= 128 {
				left -= 255
			} else {
				out.SetBlack(x, y)
			}
			now[x+1+step] += 7 * left
			next[x+1-step] += 3 * left
			next[x+1] += 5 * left
			next[x+1+step] += left
		}
		now, next = next, now
		clear(next)
	}
}
