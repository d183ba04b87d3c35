package raster

import "github.com/tipring/tipring/imaging"

// diffuse prints the screened areas by error diffusion (Floyd and Steinberg's weights), every other line from right to
// left. Its fine grain costs many times the octets of the screen in every coding but JBIG.
func (t *toner) diffuse(out *imaging.Bitmap) {
	now, next := make([]int32, t.w+2), make([]int32, t.w+2) // in sixteenths, one pel of margin at either side
	t.eachToneLine(func(y int, want []int16) {
		diffuseLine(out, y, want, now, next)
		now, next = next, now
		clear(next)
	})
}

func diffuseLine(out *imaging.Bitmap, y int, want []int16, now, next []int32) {
	from, step := 0, 1
	if y&1 == 1 {
		from, step = len(want)-1, -1
	}
	for n, x := 0, from; n < len(want); n, x = n+1, x+step {
		if want[x] < 0 {
			continue // what it inherits is lost: beyond this edge is text or paper
		}
		v := int32(want[x]) + (now[x+1]+8)>>4
		left := v
		if v >= 128 {
			left -= 255
		} else {
			out.SetBlack(x, y)
		}
		now[x+1+step] += 7 * left
		next[x+1-step] += 3 * left
		next[x+1] += 5 * left
		next[x+1+step] += left
	}
}
