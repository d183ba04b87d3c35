package raster

import (
	"math"

	"github.com/tipring/tipring/imaging"
)

// Paper is the size of the pages made.
type Paper int

const (
	A4     Paper = iota // 210 x 297 mm
	Letter              // 8.5 x 11 inch
)

func (p Paper) String() string {
	if p == Letter {
		return "letter"
	}
	return "a4"
}

func (p Paper) mm() (width, height float64) {
	if p == Letter {
		return 215.9, 279.4
	}
	return 210, 297
}

// PageWidth returns the pels of an A4 (and letter) scan line at a resolution of T.30 Table 2: 1728 at 204 and 200 dpi,
// more in proportion (T.4 2.2). It returns 0 for any other resolution.
func PageWidth(res imaging.Resolution) int {
	switch res {
	case imaging.Standard, imaging.Fine, imaging.Superfine, imaging.Res200:
		return 1728
	case imaging.Res300:
		return 2592
	case imaging.R16, imaging.Res400:
		return 3456
	case imaging.Res600:
		return 5184
	}
	return 0
}

// perMM returns the exact pels and lines per millimetre: the metric resolutions' dpi figures are rounded (T.4 2.1, 2.2).
func perMM(res imaging.Resolution) (x, y float64) {
	x, y = float64(res.X)/25.4, float64(res.Y)/25.4
	switch res.X {
	case 204:
		x = 8
	case 408:
		x = 16
	}
	switch res.Y {
	case 98:
		y = 3.85
	case 196:
		y = 7.7
	case 391:
		y = 15.4
	}
	return x, y
}

// sheet is the page to fill: pels, lines, and how many of them are a millimetre.
type sheet struct {
	w, h     int
	kx, ky   float64 // pels, lines per mm
	header   int     // lines of the header line that will stand above the page
	paperMM  float64 // width of the paper
	heightMM float64
	res      imaging.Resolution
}

func newSheet(o Options) sheet {
	kx, ky := perMM(o.Resolution)
	pw, ph := o.Paper.mm()
	return sheet{w: PageWidth(o.Resolution), h: int(math.Round(ph * ky)), kx: kx, ky: ky,
		header: headerRows(o.Resolution), paperMM: pw, heightMM: ph, res: o.Resolution}
}

func (s sheet) x(mm float64) int { return int(math.Round(mm * s.kx)) }
func (s sheet) y(mm float64) int { return int(math.Round(mm * s.ky)) }

// leaveHeaderRoom cuts blank lines off the bottom of a full-length page, so that page and header line together still
// fit one sheet at the receiver. Printed lines are never cut.
func (s sheet) leaveHeaderRoom(b *imaging.Bitmap) {
	for b.Height > s.h-s.header && blankRow(b, b.Height-1) {
		b.Height--
	}
	b.Words = b.Words[:b.Height*b.Stride]
}

func blankRow(b *imaging.Bitmap, y int) bool {
	for _, w := range b.Row(y) {
		if w != 0 {
			return false
		}
	}
	return true
}

// blank tells whether nothing is printed on b.
func blank(b *imaging.Bitmap) bool {
	for _, w := range b.Words {
		if w != 0 {
			return false
		}
	}
	return true
}
