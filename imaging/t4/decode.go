package t4

// lineResult is how the decoding of one line ended.
type lineResult uint8

const (
	lineOK   lineResult = iota // it has the page's width
	lineBad                    // it has not
	lineMore                   // the data ended inside it, and more may come
)

// Results of readRun below 0.
const (
	runInvalid = -1
	runCut     = -2 // the data ended
)

// readRun reads one run of at most room pels.
func (d *Decoder) readRun(color, room int) int {
	r, t := &d.br, &decodeRuns[color]
	for total := 0; ; {
		r.need()
		e := t[r.acc>>(64-runBits)]
		if e.kind == runBad {
			if r.n < runBits {
				return runCut
			}
			return runInvalid
		}
		r.skip(int(e.n))
		if r.n < 0 {
			return runCut
		}
		if total += int(e.run); total > room {
			return runInvalid
		}
		if e.kind == runTerm {
			return total
		}
	}
}

// failed turns a negative result of readRun into a line's.
func (d *Decoder) failed(run int) lineResult {
	if run == runCut && !d.final {
		return lineMore
	}
	return lineBad
}

// change adds a change at x to the i changes in cur and returns their number. A run of no pels joins its neighbours: the
// reference line must have true changes only. The number's parity stays the colour.
func change(cur []int32, i int, x int32) int {
	if i > 0 && cur[i-1] == x {
		return i - 1
	}
	cur[i] = x
	return i + 1
}

// line1D decodes a one-dimensional line into cur.
func (d *Decoder) line1D() lineResult {
	x, i, color := 0, 0, 0
	for x < d.width {
		n := d.readRun(color, d.width-x)
		if n < 0 {
			return d.failed(n)
		}
		x += n
		i = change(d.cur, i, int32(x))
		color ^= 1
	}
	d.endLine(i)
	return lineOK
}

// endLine puts the sentinels behind i changes of cur.
func (d *Decoder) endLine(i int) {
	for k := range sentinels {
		d.cur[i+k] = int32(d.width)
	}
}

// line2D decodes a two-dimensional line into cur, by the reference line ref.
func (d *Decoder) line2D() lineResult {
	r, cur, ref, width := &d.br, d.cur, d.ref, int32(d.width)
	a0, i, b := int32(-1), 0, 0 // i: changes so far, its parity the colour; b: index of b1, of the same parity
	for a0 < width {
		r.need()
		m := decodeMode[r.acc>>(64-modeBits)]
		if m.mode == modeBad {
			if r.n < modeBits {
				return d.failed(runCut)
			}
			return lineBad
		}
		r.skip(int(m.n))
		if r.n < 0 {
			return d.failed(runCut)
		}
		switch m.mode {
		case modePass:
			a0 = ref[b+1]
		case modeVertical:
			a1 := ref[b] + int32(m.delta)
			if a1 < max(a0, 0) || a1 > width {
				return lineBad
			}
			a0 = a1
			i = change(cur, i, a1)
			if b > 0 {
				b-- // a1 may be left of b1, but not of the third change before it
			} else {
				b++
			}
		case modeHorizontal:
			x := max(a0, 0)
			for k := range 2 {
				n := d.readRun((i+k)&1, int(width-x))
				if n < 0 {
					return d.failed(n)
				}
				x += int32(n)
				d.runs[k] = x
			}
			i = change(cur, i, d.runs[0])
			i = change(cur, i, d.runs[1])
			a0 = x
		}
		for ref[b] <= a0 && ref[b] < width {
			b += 2
		}
	}
	d.endLine(i)
	return lineOK
}
