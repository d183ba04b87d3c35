package imaging

import "math"

// exact returns a resolution in 1/100 pel per inch, with T.4's metric resolutions as they really are: 204 is 8 pel/mm, 408
// 16 pel/mm, 98, 196 and 391 are 3.85, 7.7 and 15.4 line/mm. Neighbours that other programs write (203, 97, 392) count as these.
func exact(r Resolution) (x, y int64) {
	x, y = 100*int64(r.X), 100*int64(r.Y)
	for _, m := range []struct{ nominal, exact int64 }{{204, 20320}, {408, 40640}} {
		if d := int64(r.X) - m.nominal; d >= -2 && d <= 1 {
			x = m.exact
		}
	}
	for _, m := range []struct{ nominal, exact int64 }{{98, 9779}, {196, 19558}, {391, 39116}} {
		if d := int64(r.Y) - m.nominal; d >= -1 && d <= 1 {
			y = m.exact
		}
	}
	return x, y
}

// DPI returns the true pels per inch across and down: 204x98 is 203.2 x 97.79.
func (r Resolution) DPI() (x, y float64) {
	ex, ey := exact(r)
	return float64(ex) / 100, float64(ey) / 100
}

// Nominal returns the resolution that measured pels per inch stand for, with T.4's metric ones under their usual names: 203.2
// x 195.58 (80 x 77 pel/cm) is Fine. Zero or absurd values (not between 10 and 10,000) give the zero Resolution: unknown.
func Nominal(x, y float64) Resolution {
	if !(x >= 10 && x <= 10000 && y >= 10 && y <= 10000) {
		return Resolution{}
	}
	r := Resolution{int(math.Round(x)), int(math.Round(y))}
	ex, ey := exact(r)
	for nominal, e := range map[int]int64{204: 20320, 408: 40640} {
		if ex == e {
			r.X = nominal
		}
	}
	for nominal, e := range map[int]int64{98: 9779, 196: 19558, 391: 39116} {
		if ey == e {
			r.Y = nominal
		}
	}
	return r
}

// Rescale returns p at another resolution, width pels wide; 0 lets the resolution alone decide the width. Another width
// than that makes the picture larger or smaller in both directions alike: a B4 page becomes an A4 page. Lines that fall
// together (fine to standard, superfine to fine or standard) are joined by OR, so that no thin stroke is lost; any other shrinking
// makes a pel black if at least a third of what it stands for is, and growing repeats pels. A page of unknown resolution (zero) is
// taken to have the new one.
func Rescale(p Page, to Resolution, width int) Page {
	from := p.Resolution
	if from.X <= 0 || from.Y <= 0 {
		from = to
	}
	fx, fy := exact(from)
	tx, ty := exact(to)
	if width <= 0 {
		width = int(max((int64(p.Width)*tx+fx/2)/fx, 1))
	}
	height := p.Height
	if p.Width > 0 {
		// Height times ty/fy for the resolution, times (width/p.Width)/(tx/fx) for the enlargement.
		f := float64(ty) / float64(fy) * (float64(width) / float64(p.Width)) * (float64(fx) / float64(tx))
		height = max(int(math.Round(float64(p.Height)*f)), min(p.Height, 1))
	}
	return Page{Bitmap: resize(p.Bitmap, width, height), Resolution: to}
}

// resize scales b to width x height.
func resize(b *Bitmap, width, height int) *Bitmap {
	if width == b.Width && height == b.Height {
		return b
	}
	out := New(width, height)
	if b.Width == 0 || b.Height == 0 {
		return out
	}
	ratio := (b.Height + height/2) / max(height, 1) // source lines of one line
	if width == b.Width && ratio >= 2 && (b.Height+ratio-1)/ratio-height <= 1 && height-b.Height/ratio <= 1 {
		joinLines(out, b, ratio)
		return out
	}
	for y := range height {
		y0 := int(int64(y) * int64(b.Height) / int64(height))
		y1 := max(int(int64(y+1)*int64(b.Height)/int64(height)), y0+1)
		if width == b.Width && y1 == y0+1 {
			copy(out.Row(y), b.Row(y0))
			continue
		}
		resizeLine(out, y, b, y0, y1)
	}
	return out
}

// joinLines makes each line of out the OR of n lines of b.
func joinLines(out, b *Bitmap, n int) {
	for y := range b.Height {
		row := out.Row(min(y/n, out.Height-1))
		for i, w := range b.Row(y) {
			row[i] |= w
		}
	}
}

// resizeLine makes line y of out from the lines y0 up to y1 of b.
func resizeLine(out *Bitmap, y int, b *Bitmap, y0, y1 int) {
	for x := range out.Width {
		x0 := int(int64(x) * int64(b.Width) / int64(out.Width))
		x1 := max(int(int64(x+1)*int64(b.Width)/int64(out.Width)), x0+1)
		black := 0
		for l := y0; l < y1; l++ {
			black += blackBetween(b.Row(l), x0, x1)
		}
		if black*3 >= (x1-x0)*(y1-y0) && black > 0 {
			out.SetBlack(x, y)
		}
	}
}
