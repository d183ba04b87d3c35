// Package call turns documents into what a t30 call sends and what a call receives into documents: resolution, width
// and coding of each page, the header line, durable page files, live progress. It needs no running appliance: one-off
// send and receive use it with a folder in place of the spool.
package call

import (
	"slices"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/t30"
)

type resolution struct {
	res   t30.Resolution
	dpi   imaging.Resolution
	level int
}

// resolutions pairs T.30's resolutions with their pels per inch, from coarse to fine. Neighbours at the same level
// (metric and inch) may stand for each other without rescaling: T.30 Table 2 note on bits 44 and 45; they differ by 2 %.
var resolutions = []resolution{
	{t30.Standard, imaging.Standard, 0},
	{t30.Fine, imaging.Fine, 1},
	{t30.Res200, imaging.Res200, 1},
	{t30.Superfine, imaging.Superfine, 2},
	{t30.Res300, imaging.Res300, 3},
	{t30.R16, imaging.R16, 4},
	{t30.Res400, imaging.Res400, 4},
	{t30.Res600, imaging.Res600, 5},
}

// AllResolutions is every resolution that we code and decode.
const AllResolutions = t30.Resolutions(t30.Standard | t30.Fine | t30.Superfine | t30.R16 | t30.Res200 | t30.Res300 | t30.Res400 | t30.Res600)

// ResolutionsUpTo returns all resolutions but those finer than r.
func ResolutionsUpTo(r t30.Resolution) t30.Resolutions {
	i := slices.IndexFunc(resolutions, func(e resolution) bool { return e.res == r })
	var set t30.Resolutions
	for _, e := range resolutions {
		if i >= 0 && e.level <= resolutions[i].level {
			set |= t30.Resolutions(e.res)
		}
	}
	return set
}

// ImagingResolution returns a T.30 resolution in pels per inch; the zero Resolution for an unknown one.
func ImagingResolution(r t30.Resolution) imaging.Resolution {
	for _, e := range resolutions {
		if e.res == r {
			return e.dpi
		}
	}
	return imaging.Resolution{}
}

// Resolution returns the T.30 resolution that is nearest to a page's pels per inch; one that is unknown (zero) counts
// as fine.
func Resolution(r imaging.Resolution) t30.Resolution {
	if r.X <= 0 || r.Y <= 0 {
		return t30.Fine
	}
	best, least := t30.Fine, int64(-1)
	for _, e := range resolutions {
		dx, dy := int64(e.dpi.X-r.X), int64(e.dpi.Y-r.Y)
		if d := dx*dx + dy*dy; least < 0 || d < least {
			best, least = e.res, d
		}
	}
	return best
}

// CodingsUpTo returns all codings but those denser than the named one: mh, mr, mmr or jbig; 0 for another name. Every station has MH (T.30).
func CodingsUpTo(name string) t30.Codings {
	var set t30.Codings
	for _, c := range []t30.Coding{t30.MH, t30.MR, t30.MMR, t30.JBIG} {
		set |= t30.Codings(c)
		if c.String() == name {
			return set
		}
	}
	return 0
}

// ImagingCoding returns a T.30 coding as imaging names it.
func ImagingCoding(c t30.Coding) imaging.Coding {
	switch c {
	case t30.MR:
		return imaging.MR
	case t30.MMR:
		return imaging.MMR
	case t30.JBIG:
		return imaging.JBIG
	}
	return imaging.MH
}

// inch tells whether a resolution is one of those in pels per inch; the others are metric.
func (e resolution) inch() bool { return e.dpi.X%100 == 0 }

// chooseResolution takes the page's own resolution if it is allowed, else the one beside it, else the next coarser, of its
// own family (metric or inch) where there are two. Standard is always allowed (T.30 Table 2).
func chooseResolution(own t30.Resolution, allowed t30.Resolutions) t30.Resolution {
	i := slices.IndexFunc(resolutions, func(e resolution) bool { return e.res == own })
	if i < 0 {
		return t30.Standard
	}
	best, found := resolutions[0], false
	for _, e := range resolutions {
		if !allowed.Has(e.res) || e.level > resolutions[i].level {
			continue
		}
		if !found || e.level > best.level || e.inch() == resolutions[i].inch() {
			best, found = e, true
		}
	}
	return best.res
}

// chooseCoding takes the densest coding allowed. MMR and JBIG stand no errors: ECM only. MH is always allowed.
func chooseCoding(allowed t30.Codings, ecm bool) t30.Coding {
	switch {
	case ecm && allowed.Has(t30.JBIG):
		return t30.JBIG
	case ecm && allowed.Has(t30.MMR):
		return t30.MMR
	case allowed.Has(t30.MR):
		return t30.MR
	}
	return t30.MH
}

// chooseWidth takes the narrowest width that holds pels at the resolution, else the widest allowed. A4 is always
// allowed.
func chooseWidth(pels int, res t30.Resolution, allowed t30.Widths) t30.Width {
	widest := t30.WidthA4
	for _, w := range []t30.Width{t30.WidthA4, t30.WidthB4, t30.WidthA3} {
		if w != t30.WidthA4 && !allowed.Has(w) {
			continue
		}
		if (t30.PageFormat{Resolution: res, Width: w}).Pels() >= pels {
			return w
		}
		widest = w
	}
	return widest
}

// lengths are T.4's page lengths in mm; a little more still fits on the paper or is cut by nobody.
const (
	lengthA4MM     = 297
	lengthB4MM     = 364
	lengthSlackPct = 5
	mmPerInch      = 25.4
)

// neededLength returns the recording length that a page of so many lines needs.
func neededLength(lines int, res imaging.Resolution) t30.Length {
	_, y := res.DPI()
	mm := float64(lines) * mmPerInch / y * 100 / (100 + lengthSlackPct)
	switch {
	case mm <= lengthA4MM:
		return t30.LengthA4
	case mm <= lengthB4MM:
		return t30.LengthB4
	}
	return t30.LengthUnlimited
}
