package raster

import (
	"image"
	"math"
)

// cell is one cell of a table row.
type cell struct {
	spans []span
	align align
	share float64 // part of the columns, in proportion to the other cells of the row
}

const (
	gutter   = 3.0 // mm between cells side by side
	cellRule = 0.2 // mm: thickness of a table's rules
	cellPad  = 0.8 // mm above and below a ruled cell's text
)

// row prints cells side by side, each in its share of the columns. A ruled row has lines around its cells; top asks for
// the one above it, where no ruled row went before.
func (f *flow) row(cells []cell, ruled, top bool) error {
	r := f.newRow(cells)
	if !ruled {
		return f.rowLines(cells, r, false)
	}
	pad, thick := f.r.sheet.y(cellPad), max(1, f.r.sheet.y(cellRule))
	total := 2 * (pad + thick)
	for n := range r.height {
		total += f.t.lineHeight(r.pt(n))
	}
	if err := f.room(min(total, f.bottom-f.top)); err != nil { // only what is higher than a page is divided
		return err
	}
	if top || f.y == f.top {
		f.across(r, thick)
	}
	f.y += pad
	f.sides(r, f.y-pad, f.y)
	if err := f.rowLines(cells, r, true); err != nil {
		return err
	}
	f.sides(r, f.y, f.y+pad)
	f.y += pad
	f.across(r, thick)
	return nil
}

func (f *flow) rowLines(cells []cell, r *setRow, ruled bool) error {
	for n := range r.height {
		h := f.t.lineHeight(r.pt(n))
		if err := f.room(h); err != nil {
			return err
		}
		for i, set := range r.set {
			if n < len(set) {
				a := cells[i].align
				if set[n].rtl {
					a = a.mirrored()
				}
				f.put(set[n], r.x[i]+a.shift(set[n].width, r.w[i]), f.y+f.t.ascent(r.pt(n)))
			}
		}
		if ruled {
			f.sides(r, f.y, f.y+h)
		}
		f.y += h
	}
	return nil
}

// setRow is a row's text in lines and where its cells are, in pels.
type setRow struct {
	set    [][]line
	x      []int     // left edge of the text
	w      []float64 // room for the text
	height int       // lines of the highest cell
}

func (f *flow) newRow(cells []cell) *setRow {
	r := &setRow{set: make([][]line, len(cells)), x: make([]int, len(cells)), w: make([]float64, len(cells))}
	total, at := 0.0, 0.0
	for _, c := range cells {
		total += c.share
	}
	for i, c := range cells {
		r.x[i] = f.left + int(f.columns()*at/total)
		r.w[i] = f.columns()*c.share/total - float64(f.r.sheet.x(gutter))
		at += c.share
		r.set[i] = f.t.wrap(c.spans, r.w[i], false)
		r.height = max(r.height, len(r.set[i]))
	}
	return r
}

// pt returns the size of the largest text in line n.
func (r *setRow) pt(n int) float64 {
	pt := 0.0
	for _, set := range r.set {
		if n < len(set) {
			pt = max(pt, set[n].pt(bodyPt))
		}
	}
	return pt
}

// across draws a rule over the whole row.
func (f *flow) across(r *setRow, thick int) {
	half := f.r.sheet.x(gutter / 2)
	fill(f.page, r.x[0]-half, f.y, f.right-r.x[0]+half-f.r.sheet.x(gutter/2), thick)
	f.y += thick
	f.used = true
}

// sides draws the upright rules between the lines from and to.
func (f *flow) sides(r *setRow, from, to int) {
	half, thick := f.r.sheet.x(gutter/2), max(1, f.r.sheet.x(cellRule))
	for _, x := range append(r.x[:len(r.x):len(r.x)], f.right) {
		fill(f.page, x-half, from, thick, to-from)
	}
}

// picture prints a picture wmm wide and hmm high, smaller where it does not fit the columns or the page.
func (f *flow) picture(sc scan, wmm, hmm float64, a align) error {
	s := f.r.sheet
	maxW, maxH := f.columns()/s.kx, float64(f.bottom-f.top)/s.ky
	if !(wmm > 0 && hmm > 0) || math.IsInf(wmm, 0) || math.IsInf(hmm, 0) {
		return nil
	}
	scale := min(1, maxW/wmm, maxH/hmm)
	w, h := max(1, s.x(wmm*scale)), max(1, s.y(hmm*scale))
	if err := f.room(min(h, f.bottom-f.top)); err != nil {
		return err
	}
	gw, gh := w, h
	if sc.orient >= 5 && sc.orient <= 8 {
		gw, gh = h, w
	}
	g := orient(scaleGray(sc.img, gw, gh), sc.orient)
	bits := f.r.toBlack(rebase(g.SubImage(image.Rect(0, 0, w, h)).(*image.Gray)), scanned)
	blit(f.page, bits, f.left+a.shift(float64(w), f.columns()), f.y)
	f.y += h
	f.used = f.used || !blank(bits)
	return nil
}
