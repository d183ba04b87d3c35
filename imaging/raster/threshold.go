package raster

import "github.com/tipring/tipring/imaging"

// crisp prints the blocks of a drawn page that are not screened: everything clearly darker than paper is ink, and so is a thin
// line however pale. A pel must also be nearer to the darkest close by than to paper, or the grey edges of anti-aliased letters would
// thicken every stroke.
func (t *toner) crisp(out *imaging.Bitmap) {
	ink, pale := t.paper*85/100, max(0, t.paper-hairline)
	for y := range t.h {
		pix := t.g.Pix[y*t.g.Stride : y*t.g.Stride+t.w]
		for bx := range t.cols {
			i := y/t.bh*t.cols + bx
			kind := t.kind[i]
			if kind == screened {
				continue
			}
			for x := bx * t.bw; x < min((bx+1)*t.bw, t.w); x++ {
				v := int(pix[x])
				if v > pale {
					continue
				}
				switch {
				case kind == edge && t.tinted(i, x, y, v):
					t.tint.SetBlack(x, y)
				case kind == darkPaper:
					if t.blackOnDark(i, v) {
						out.SetBlack(x, y)
					}
				case v < ink && !t.darker(x, y, inkReach, (v*10-t.paper*6+3)/4), v >= ink && t.ridge(x, y, v):
					out.SetBlack(x, y)
				}
			}
		}
	}
}

const (
	inkReach = 3  // pels around in which a stroke's darkest is looked for
	hairline = 20 // greys by which a thin line differs at least from what is at both its sides
)

// ridge tells whether a pel is on a thin line: paler pels at two opposite sides, and no stroke beside it whose edge it would be.
func (t *toner) ridge(x, y, v int) bool {
	if x < 2 || y < 2 || x >= t.w-2 || y >= t.h-2 {
		return false
	}
	at := func(dx, dy int) int { return int(t.g.Pix[(y+dy)*t.g.Stride+x+dx]) }
	down := v+hairline <= at(0, -2) && v+hairline <= at(0, 2) && v < at(0, -1) && v <= at(0, 1)
	across := v+hairline <= at(-2, 0) && v+hairline <= at(2, 0) && v < at(-1, 0) && v <= at(1, 0)
	return (down || across) && !t.darker(x, y, 1, v-hairline)
}

// darker tells whether a pel within reach of x, y is less than bound.
func (t *toner) darker(x, y, reach, bound int) bool {
	if bound <= 0 {
		return false
	}
	b, x0, x1 := uint8(min(bound, 255)), max(0, x-reach), min(t.w, x+reach+1)
	for yy := max(0, y-reach); yy <= min(t.h-1, y+reach); yy++ {
		for _, v := range t.g.Pix[yy*t.g.Stride+x0 : yy*t.g.Stride+x1] {
			if v < b {
				return true
			}
		}
	}
	return false
}

// tinted tells whether a pel of grey v in edge block i is part of the area beside it and no stroke: about as dark as the others close by.
func (t *toner) tinted(i, x, y, v int) bool {
	if t.areas[t.area[i]].tint {
		return v*100 > t.paper*12 && v*100 < t.paper*85 && !t.darker(x, y, inkReach, v-10)
	}
	return v*100 < t.paper*95 && !t.darker(x, y, inkReach, v-40)
}

// blackOnDark is the threshold in block i, where what is light is text.
func (t *toner) blackOnDark(i, v int) bool {
	return v*2 < int(t.mean[i])+int(t.top[i]) || int(t.top[i])*2 < t.paper
}

// adaptive prints the blocks of a scan that are not screened. A pel is black if it is clearly darker than the mean around it
// (running sums over 6 mm) and nearer to the darkest pel close by than to that mean.
func (t *toner) adaptive(out *imaging.Bitmap) {
	rx, ry := max(8, 25*t.res.X/204), max(4, 25*t.res.Y/204)
	win := newWindow(t, 0, t.w, rx, ry)
	low := t.paper * 35 / 100
	for y := range t.h {
		pix := t.g.Pix[y*t.g.Stride : y*t.g.Stride+t.w]
		win.row(y)
		for bx := range t.cols {
			i := y/t.bh*t.cols + bx
			kind := t.kind[i]
			for x := bx * t.bw; x < min((bx+1)*t.bw, t.w); x++ {
				sum, n := win.step(x)
				if kind == screened {
					continue
				}
				v := int(pix[x])
				if kind == edge && t.tinted(i, x, y, v) {
					t.tint.SetBlack(x, y)
					continue
				}
				if kind == darkPaper {
					if t.blackOnDark(i, v) {
						out.SetBlack(x, y)
					}
					continue
				}
				if v*100*n >= sum*85 && v >= low {
					continue
				}
				if !t.darker(x, y, inkReach, (v*10-max(sum/n, t.paper*7/10)*6+3)/4) {
					out.SetBlack(x, y)
				}
			}
		}
	}
}

// window keeps the sum of the grey values in a box around each pel, for the columns from x0 to before x1.
type window struct {
	t              *toner
	x0, x1, rx, ry int
	cols           []uint32 // sums over the box's lines
	top, end       int      // the lines in them
	sum, colsIn    int
}

func newWindow(t *toner, x0, x1, rx, ry int) *window {
	return &window{t: t, x0: x0, x1: x1, rx: rx, ry: ry, cols: make([]uint32, x1-x0)}
}

// row goes to line y; lines come in order. Then step must be called for every column from x0 on.
func (w *window) row(y int) {
	if y-w.ry > w.end { // lines were left out
		clear(w.cols)
		w.top, w.end = y-w.ry, y-w.ry
	}
	for ; w.end <= min(y+w.ry, w.t.h-1); w.end++ {
		for x, v := range w.t.g.Pix[w.end*w.t.g.Stride+w.x0 : w.end*w.t.g.Stride+w.x1] {
			w.cols[x] += uint32(v)
		}
	}
	for ; w.top < y-w.ry; w.top++ {
		for x, v := range w.t.g.Pix[w.top*w.t.g.Stride+w.x0 : w.top*w.t.g.Stride+w.x1] {
			w.cols[x] -= uint32(v)
		}
	}
	w.sum, w.colsIn = 0, 0
	for _, c := range w.cols[:min(w.rx, len(w.cols))] {
		w.sum += int(c)
		w.colsIn++
	}
}

// step returns the sum around column x, and of how many pels it is.
func (w *window) step(x int) (sum, n int) {
	x -= w.x0
	if in := x + w.rx; in < len(w.cols) {
		w.sum += int(w.cols[in])
		w.colsIn++
	}
	if out := x - w.rx - 1; out >= 0 {
		w.sum -= int(w.cols[out])
		w.colsIn--
	}
	return w.sum, w.colsIn * (w.end - w.top)
}
