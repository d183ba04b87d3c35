package raster

import (
	"image"
	"math"
	"slices"

	"github.com/tipring/tipring/imaging"
)

// Grey becomes black and white in one of two ways. Text and line art go through a local threshold, so that shaded
// paper stays white and pale or thin strokes stay black. Photos go through a clustered-dot ordered screen: its dots
// survive fax printers and cost a fraction of error diffusion's coded octets. Which of them is decided per block.

// source tells what is known about where a grey picture came from.
type source int

const (
	drawn   source = iota // rendered from a PDF: paper is exactly white
	scanned               // a picture file: paper may be shaded, and all may be a photo
)

// blockPels is the side of a block in pels at 204 dpi: 2 mm.
const blockPels = 16

// toner turns one grey picture into black and white.
type toner struct {
	g          *image.Gray
	w, h       int
	res        imaging.Resolution
	bw, bh     int // block size
	cols, rows int // blocks
	mean, top  []uint8
	kind       []blockKind
	paper      int             // grey value of the paper
	tint       *imaging.Bitmap // pels of edge blocks to screen
}

type blockKind uint8

const (
	lineArt   blockKind = iota // local threshold
	screened                   // ordered screen
	darkPaper                  // light text on dark
	edge                       // beside a screened block: its flat tints belong to that
)

// tones says how grey becomes black, where there is a choice.
type tones struct {
	diffuse    bool // photos by error diffusion instead of the screen
	keepSpecks bool
}

func (r *renderer) toBlack(g *image.Gray, src source) *imaging.Bitmap {
	return toBlack(g, r.sheet.res, src, tones{diffuse: r.opt.Diffusion, keepSpecks: r.opt.KeepSpecks})
}

// toBlack turns a grey picture into pels of the same size.
func toBlack(g *image.Gray, res imaging.Resolution, src source, how tones) *imaging.Bitmap {
	t := &toner{g: g, w: g.Bounds().Dx(), h: g.Bounds().Dy(), res: res, tint: imaging.New(g.Bounds().Dx(), g.Bounds().Dy())}
	out := imaging.New(t.w, t.h)
	if t.w == 0 || t.h == 0 {
		return out
	}
	if src == scanned {
		t.denoise()
	}
	t.measure()
	t.classify(src)
	t.threshold(out)
	if src == scanned && !how.keepSpecks {
		t.despeckle(out)
	}
	if how.diffuse {
		t.diffuse(out)
	} else {
		t.screen(out)
	}
	return out
}

// measure fills in each block's mean and brightest value, and the paper's grey.
func (t *toner) measure() {
	t.bw = max(8, blockPels*t.res.X/204)
	t.bh = max(4, blockPels*t.res.Y/204)
	t.cols, t.rows = (t.w+t.bw-1)/t.bw, (t.h+t.bh-1)/t.bh
	n := t.cols * t.rows
	t.mean, t.top, t.kind = make([]uint8, n), make([]uint8, n), make([]blockKind, n)
	for by := range t.rows {
		for bx := range t.cols {
			sum, count, top := 0, 0, uint8(0)
			for y := by * t.bh; y < min((by+1)*t.bh, t.h); y++ {
				row := t.g.Pix[y*t.g.Stride+bx*t.bw : y*t.g.Stride+min((bx+1)*t.bw, t.w)]
				for _, v := range row {
					sum += int(v)
					top = max(top, v)
				}
				count += len(row)
			}
			t.mean[by*t.cols+bx], t.top[by*t.cols+bx] = uint8(sum/count), top
		}
	}
	tops := slices.Clone(t.top)
	slices.Sort(tops)
	t.paper = max(64, int(tops[len(tops)*9/10])) // darker paper there is not: the page is black
}

// classify decides how each block is made black and white.
func (t *toner) classify(src source) {
	cut, paper := 85, func(int) int { return t.paper } // per cent: a block nowhere lighter is a tint or part of a photo
	if src == scanned {
		if t.photo() {
			for i := range t.kind {
				t.kind[i] = screened
			}
			return
		}
		around := t.around(20) // 40 mm
		cut, paper = 60, func(i int) int { return int(around[i]) }
	}
	tones := 0
	for i, top := range t.top {
		switch {
		case int(top)*100 < paper(i)*cut && int(t.mean[i])*100 > t.paper*12:
			t.kind[i] = screened
			tones++
		case int(t.mean[i])*100 < paper(i)*60 && t.darkAround(i)*100 < paper(i)*60: // not just a thick letter
			t.kind[i] = darkPaper
		}
	}
	if tones*100 > len(t.kind)*60 && src == scanned {
		for i := range t.kind {
			t.kind[i] = screened
		}
		return
	}
	t.smooth()
}

// photo tells whether a scanned picture is a photo rather than a page. On a page almost every block shows paper about
// as light as around it, however shaded the whole is; in a photo the lightest parts of blocks differ.
// What has hardly any grey, such as a logo, is none.
func (t *toner) photo() bool {
	if t.middles()*100 < 5*t.w*t.h {
		return false
	}
	tops := slices.Clone(t.top)
	slices.Sort(tops)
	if int(tops[len(tops)/10])*100 < 45*t.paper {
		return true
	}
	even := 0
	for i, around := range t.around(4) { // 8 mm
		if int(t.top[i])*100 >= int(around)*88 {
			even++
		}
	}
	return even*100 < 70*len(t.top)
}

// middles counts the pels that are neither near black nor near the paper's grey.
func (t *toner) middles() (n int) {
	lo, hi := uint8(t.paper/5), uint8(t.paper*4/5)
	for y := range t.h {
		for _, v := range t.g.Pix[y*t.g.Stride : y*t.g.Stride+t.w] {
			if v > lo && v < hi {
				n++
			}
		}
	}
	return n
}

// around returns for each block the brightest value within reach blocks.
func (t *toner) around(reach int) []uint8 {
	wide, out := make([]uint8, len(t.top)), make([]uint8, len(t.top))
	for by := range t.rows {
		row := t.top[by*t.cols : (by+1)*t.cols]
		for bx := range row {
			wide[by*t.cols+bx] = slices.Max(row[max(0, bx-reach):min(t.cols, bx+reach+1)])
		}
	}
	for i := range out {
		bx, by := i%t.cols, i/t.cols
		for y := max(0, by-reach); y <= min(t.rows-1, by+reach); y++ {
			out[i] = max(out[i], wide[y*t.cols+bx])
		}
	}
	return out
}

// smooth joins screened blocks to areas: lone ones become line art, gaps and highlights between them are filled.
func (t *toner) smooth() {
	for pass := range 3 {
		next := slices.Clone(t.kind)
		for i := range t.kind {
			n := t.neighbours(i)
			switch {
			case t.kind[i] == screened && n < 3 && pass == 0: // a blurred edge is a line of blocks
				next[i] = lineArt
			case t.kind[i] != screened && n >= 5:
				next[i] = screened
			}
		}
		t.kind = next
	}
	next := slices.Clone(t.kind)
	for i := range t.kind {
		if t.kind[i] != screened && t.neighbours(i) > 0 {
			next[i] = edge
		}
	}
	t.kind = next
}

// darkAround returns the mean grey of a block and those beside it.
func (t *toner) darkAround(i int) int {
	bx, by, sum, n := i%t.cols, i/t.cols, 0, 0
	for y := max(0, by-1); y <= min(t.rows-1, by+1); y++ {
		for x := max(0, bx-1); x <= min(t.cols-1, bx+1); x++ {
			sum, n = sum+int(t.mean[y*t.cols+x]), n+1
		}
	}
	return sum / n
}

func (t *toner) neighbours(i int) (n int) {
	bx, by := i%t.cols, i/t.cols
	for y := max(0, by-1); y <= min(t.rows-1, by+1); y++ {
		for x := max(0, bx-1); x <= min(t.cols-1, bx+1); x++ {
			if j := y*t.cols + x; j != i && t.kind[j] == screened {
				n++
			}
		}
	}
	return n
}

// threshold prints the blocks that are not screened. A pel is black if it is clearly darker than the mean around it
// (running sums over 6 mm) and nearer to the darkest pel close by than to that mean: without the second rule the grey
// edges of anti-aliased letters would thicken every stroke.
func (t *toner) threshold(out *imaging.Bitmap) {
	rx, ry := max(8, 25*t.res.X/204), max(4, 25*t.res.Y/204)
	cols := make([]uint32, t.w) // sums over the window's rows
	for y := range min(ry, t.h) {
		t.addRow(cols, y, 1)
	}
	dark := newDarkest(t, 3)
	rowsIn := min(ry, t.h)
	for y := range t.h {
		if y+ry < t.h {
			t.addRow(cols, y+ry, 1)
			rowsIn++
		}
		if y-ry-1 >= 0 {
			t.addRow(cols, y-ry-1, -1)
			rowsIn--
		}
		least := dark.row(y)
		var sum uint32
		for _, c := range cols[:min(rx, t.w)] {
			sum += c
		}
		colsIn := min(rx, t.w)
		pix := t.g.Pix[y*t.g.Stride : y*t.g.Stride+t.w]
		for x, v := range pix {
			if x+rx < t.w {
				sum += cols[x+rx]
				colsIn++
			}
			if x-rx-1 >= 0 {
				sum -= cols[x-rx-1]
				colsIn--
			}
			i := y/t.bh*t.cols + x/t.bw
			kind := t.kind[i]
			if kind == screened {
				continue
			}
			if kind == edge && t.tinted(int(v), int(least[x])) {
				t.tint.SetBlack(x, y)
				continue
			}
			mean := int(sum) / (colsIn * rowsIn)
			if t.black(i, int(v), int(least[x]), mean) {
				out.SetBlack(x, y)
			}
		}
	}
}

// tinted tells whether a pel lies in an even tone darker than paper.
func (t *toner) tinted(v, least int) bool {
	return v-least <= 10 && v*100 > t.paper*12 && v*100 < t.paper*85
}

// black is the threshold for a pel of grey v in block i, with the darkest pel close by and the mean further around.
func (t *toner) black(i, v, least, mean int) bool {
	if t.kind[i] == darkPaper {
		return v*2 < int(t.mean[i])+int(t.top[i]) || int(t.top[i])*2 < t.paper
	}
	if v*100 >= mean*85 && v >= t.paper*35/100 {
		return false
	}
	return v*10 <= least*4+max(mean, t.paper*7/10)*6
}

func (t *toner) addRow(cols []uint32, y int, sign int) {
	row := t.g.Pix[y*t.g.Stride : y*t.g.Stride+t.w]
	if sign > 0 {
		for x, v := range row {
			cols[x] += uint32(v)
		}
		return
	}
	for x, v := range row {
		cols[x] -= uint32(v)
	}
}

// darkest gives the least grey value in a square around each pel, row by row.
type darkest struct {
	t     *toner
	r     int
	rows  [][]uint8 // ring of horizontally reduced rows
	next  int       // the next source row to reduce
	least []uint8
}

func newDarkest(t *toner, r int) *darkest {
	d := &darkest{t: t, r: r, rows: make([][]uint8, 2*r+1), least: make([]uint8, t.w)}
	for i := range d.rows {
		d.rows[i] = make([]uint8, t.w)
	}
	return d
}

func (d *darkest) row(y int) []uint8 {
	for ; d.next <= y+d.r && d.next < d.t.h; d.next++ {
		src := d.t.g.Pix[d.next*d.t.g.Stride : d.next*d.t.g.Stride+d.t.w]
		dst := d.rows[d.next%len(d.rows)]
		for x := range dst {
			m := src[x]
			for _, v := range src[max(0, x-d.r):min(len(src), x+d.r+1)] {
				m = min(m, v)
			}
			dst[x] = m
		}
	}
	for i := range d.least {
		d.least[i] = 255
	}
	for yy := max(0, y-d.r); yy <= min(d.t.h-1, y+d.r); yy++ {
		for x, v := range d.rows[yy%len(d.rows)] {
			d.least[x] = min(d.least[x], v)
		}
	}
	return d.least
}

// screen prints the screened blocks through the dot screen, their tones stretched to the whole scale.
func (t *toner) screen(out *imaging.Bitmap) {
	lut, any := t.stretch()
	if !any {
		return
	}
	dots, tw, th := dotScreen(t.res, t.screenSide())
	for y := range t.h {
		pix := t.g.Pix[y*t.g.Stride : y*t.g.Stride+t.w]
		kinds := t.kind[y/t.bh*t.cols:]
		line := dots[y%th*tw : (y%th+1)*tw]
		for x, v := range pix {
			if t.toScreen(kinds[x/t.bw], x, y) && lut[v] < line[x%tw] {
				out.SetBlack(x, y)
			}
		}
	}
}

func (t *toner) toScreen(k blockKind, x, y int) bool {
	return k == screened || k == edge && t.tint.Black(x, y)
}

// stretch maps the screened blocks' tones, less the outer hundredths, to the scale from black to paper white.
func (t *toner) stretch() (lut [256]uint8, any bool) {
	var hist [256]int
	n := 0
	for y := range t.h {
		kinds := t.kind[y/t.bh*t.cols:]
		for x, v := range t.g.Pix[y*t.g.Stride : y*t.g.Stride+t.w] {
			if t.toScreen(kinds[x/t.bw], x, y) {
				hist[v]++
				n++
			}
		}
	}
	if n == 0 {
		return lut, false
	}
	lo, hi := 0, 255
	for seen := hist[0]; seen*100 < n && lo < 255; seen += hist[lo] {
		lo++
	}
	for seen := hist[255]; seen*100 < n && hi > 0; seen += hist[hi] {
		hi--
	}
	// A flat tint is no photo with little contrast: keep the tone that it has.
	lo, hi = min(lo, 64), max(hi, t.paper*8/10, 1)
	for v := range lut {
		lut[v] = uint8(min(255, max(0, (v-lo)*255/max(1, hi-lo))))
	}
	return lut, true
}

// The screen's tile in pels at 204 dpi, for a page with tints or small pictures and for a photo of some size: its dots are
// coarse, and so few enough to be sent in half the time.
const (
	fineScreen   = 8  // 36 dots an inch
	photoScreen  = 16 // 18 dots an inch
	photoPerCent = 20 // of the page
)

func (t *toner) screenSide() int {
	n := 0
	for _, k := range t.kind {
		if k == screened {
			n++
		}
	}
	if n*100 >= photoPerCent*len(t.kind) {
		return photoScreen
	}
	return fineScreen
}

// dotScreen returns the thresholds of a clustered-dot screen at 45 degrees, two dots to a tile of side pels (at 204 dpi),
// round on paper whatever the pels' shape: a pel is black if its grey is below the threshold.
func dotScreen(res imaging.Resolution, side int) (dots []uint8, w, h int) {
	w, h = max(8, (side*res.X/204+1)&^1), max(4, (side*res.Y/204+1)&^1)
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
