package raster

import "slices"

// A block's side is 2 mm. What fills no square of four blocks is a stroke, not an area.

// classify decides how each block is made black and white.
func (t *toner) classify(src source) {
	if src == drawn {
		t.tints()
	} else {
		t.scannedTones()
	}
	t.darkPapers(src)
	t.smooth()
	t.findAreas()
	if t.fillPhotos() {
		t.findAreas()
	}
}

// tints finds the blocks of a drawn page that are tints or parts of pictures: nowhere light, or mostly one even tone.
func (t *toner) tints() {
	lo, hi := uint8(t.paper*12/100), uint8(t.paper*85/100)
	for by := range t.rows {
		for bx := range t.cols {
			i := by*t.cols + bx
			if t.top[i] < hi && t.mean[i] > lo {
				t.kind[i] = screened
				continue
			}
			if t.mean[i] >= t.top[i]-t.top[i]/16 { // nothing in it, or nearly
				continue
			}
			even, all := 0, 0
			for y := by * t.bh; y < min((by+1)*t.bh, t.h); y++ {
				row := t.g.Pix[y*t.g.Stride+bx*t.bw : y*t.g.Stride+min((bx+1)*t.bw, t.w)]
				last := uint8(0)
				for _, v := range row {
					if v == last && v > lo && v < hi {
						even++
					}
					last = v
				}
				all += len(row)
			}
			if even*2 >= all {
				t.kind[i] = screened
			}
		}
	}
}

// scannedTones finds the blocks of a scan that are parts of photos: darker than the paper around them, be that shaded or not.
func (t *toner) scannedTones() {
	if t.photo() {
		for i := range t.kind {
			t.kind[i] = screened
		}
		return
	}
	tones := 0
	around := t.around(20) // 40 mm
	for i, top := range t.top {
		if int(top)*100 < int(around[i])*60 && int(t.mean[i])*100 > int(around[i])*20 {
			t.kind[i] = screened
			tones++
		}
	}
	if tones*100 > len(t.kind)*60 {
		for i := range t.kind {
			t.kind[i] = screened
		}
	}
}

// darkPapers finds the blocks with light text on dark, or nothing but dark.
func (t *toner) darkPapers(src source) {
	paper := func(int) int { return t.paper }
	if src == scanned {
		around := t.around(20)
		paper = func(i int) int { return int(around[i]) }
	}
	for i := range t.kind {
		if t.kind[i] != screened && int(t.mean[i])*100 < paper(i)*60 && t.darkAround(i)*100 < paper(i)*60 { // not just a thick letter
			t.kind[i] = darkPaper
		}
	}
}

// photo tells whether a scanned picture is a photo rather than a page. On a page almost every block shows paper about
// as light as around it, however shaded the whole is; in a photo the lightest parts of blocks differ, or fall from light to dark
// with all between. Black areas say nothing: both have them. What has hardly any grey, such as a logo, is none.
func (t *toner) photo() bool {
	if t.middles()*100 < 5*t.w*t.h {
		return false
	}
	even, shown, dark, half := 0, 0, 0, 0
	for i, around := range t.around(4) { // 8 mm
		top := int(t.top[i]) * 100
		if top < t.paper*30 {
			continue // black
		}
		shown++
		if top >= int(around)*88 {
			even++
		}
		switch {
		case top < t.paper*45:
			dark++
		case top < t.paper*75:
			half++
		}
	}
	return shown*100 < 40*len(t.top) || even*100 < 70*shown || dark*10 >= shown && half*10 >= shown
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

// smooth joins screened blocks to areas: strokes become line art, gaps and highlights between them are filled.
func (t *toner) smooth() {
	open := make([]bool, len(t.kind))
	for by := range t.rows - 1 {
		for bx := range t.cols - 1 {
			a, b := by*t.cols+bx, (by+1)*t.cols+bx
			if t.kind[a] == screened && t.kind[a+1] == screened && t.kind[b] == screened && t.kind[b+1] == screened {
				open[a], open[a+1], open[b], open[b+1] = true, true, true, true
			}
		}
	}
	for i := range t.kind {
		if t.kind[i] == screened && !open[i] && (t.rows > 1 && t.cols > 1) {
			t.kind[i] = lineArt
		}
	}
	for range 2 {
		next := slices.Clone(t.kind)
		for i := range t.kind {
			if t.kind[i] != screened && t.neighbours(i) >= 5 {
				next[i] = screened
			}
		}
		t.kind = next
	}
	t.markEdges()
}

// markEdges makes edge blocks of those beside screened ones.
func (t *toner) markEdges() {
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
	sum, n := int(t.mean[i]), 1
	t.eachNeighbour(i, func(j int) { sum, n = sum+int(t.mean[j]), n+1 })
	return sum / n
}

func (t *toner) neighbours(i int) (n int) {
	t.eachNeighbour(i, func(j int) {
		if t.kind[j] == screened {
			n++
		}
	})
	return n
}

func (t *toner) eachNeighbour(i int, f func(j int)) {
	bx, by := i%t.cols, i/t.cols
	for y := max(0, by-1); y <= min(t.rows-1, by+1); y++ {
		for x := max(0, bx-1); x <= min(t.cols-1, bx+1); x++ {
			if j := y*t.cols + x; j != i {
				f(j)
			}
		}
	}
}

// area is screened blocks that hang together: a photo, a shaded field, a bar of a chart.
type area struct {
	blocks         int
	x0, y0, x1, y1 int // its blocks' bounds
	pels           int
	tint           bool
	hist           [256]int
	lut            [256]uint8
}

// findTint tells whether the area is a few even tones: no photo. What a program drew has hardly others, what was scanned is never so even.
func (a *area) findTint() {
	const tones, perCent = 6, 75
	hist := slices.Clone(a.hist[:])
	slices.Sort(hist)
	sum := 0
	for _, n := range hist[len(hist)-tones:] {
		sum += n
	}
	a.tint = sum*100 >= perCent*a.pels
}

// findAreas numbers the areas; the edge blocks beside one belong to it.
func (t *toner) findAreas() {
	t.area, t.areas = make([]int32, len(t.kind)), nil
	for i := range t.area {
		t.area[i] = -1
	}
	var stack []int
	for start := range t.kind {
		if t.kind[start] != screened || t.area[start] >= 0 {
			continue
		}
		n := int32(len(t.areas))
		a := area{x0: t.cols, y0: t.rows}
		t.area[start], stack = n, append(stack[:0], start)
		for len(stack) > 0 {
			i := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			x, y := i%t.cols, i/t.cols
			if t.kind[i] == screened {
				a.x0, a.x1, a.y0, a.y1 = min(a.x0, x), max(a.x1, x+1), min(a.y0, y), max(a.y1, y+1)
				a.blocks++
			}
			t.eachNeighbour(i, func(j int) {
				switch {
				case t.area[j] >= 0:
				case t.kind[i] == screened && t.kind[j] == screened, t.kind[i] == screened && t.kind[j] == edge:
					t.area[j] = n
					stack = append(stack, j)
				}
			})
		}
		t.areas = append(t.areas, a)
	}
	t.countTones()
}

// countTones counts the tones of each area.
func (t *toner) countTones() {
	for i, kind := range t.kind {
		if kind != screened {
			continue
		}
		a, x0, y0 := &t.areas[t.area[i]], i%t.cols*t.bw, i/t.cols*t.bh
		for y := y0; y < min(y0+t.bh, t.h); y++ {
			pix := t.g.Pix[y*t.g.Stride : y*t.g.Stride+t.w]
			for _, v := range pix[x0:min(x0+t.bw, t.w)] {
				a.hist[v]++
			}
			a.pels += min(t.bw, t.w-x0)
		}
	}
	for i := range t.areas {
		t.areas[i].findTint()
	}
}

// fillPhotos makes photos whole: most are rectangles, and what is light or black in them is as much part of them as the rest.
func (t *toner) fillPhotos() (any bool) {
	const least = 16 // blocks
	for i := range t.areas {
		a := &t.areas[i]
		if all := (a.x1 - a.x0) * (a.y1 - a.y0); a.tint || a.blocks < least || a.blocks == all || a.blocks*100 < 60*all {
			continue
		}
		any = true
		for y := a.y0; y < a.y1; y++ {
			for x := a.x0; x < a.x1; x++ {
				t.kind[y*t.cols+x] = screened
			}
		}
	}
	if any {
		t.markEdges()
	}
	return any
}
