package raster

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/tipring/tipring/imaging"
)

// The header line stands in rows of its own above the page: 3.1 mm, so 12 lines at the standard resolution.
const (
	headerMM = 3.12
	headerPt = 7.6
)

func headerRows(res imaging.Resolution) int {
	_, ky := perMM(res)
	return int(math.Round(headerMM * ky))
}

// HeaderFields are what a header line tells (47 CFR 68.318(d): date, time, sender and the sender's number).
type HeaderFields struct {
	Time        time.Time // printed in its own location
	FromName    string
	FromNumber  string
	To          string
	Page, Pages int // Pages 0: not known
}

// HeaderText formats a header line for a page of width pels. Its parts are parted by tabs, which Header spreads over
// the width. If all does not fit, names are shortened and at last left out, but never the date, the sender's number or
// the page.
func HeaderText(h HeaderFields, width int, res imaging.Resolution) string {
	t := newTypesetter(res, nil)
	name, number, to := headerClean(h.FromName), headerClean(h.FromNumber), headerClean(h.To)
	if to != "" {
		to = "to " + to
	}
	page := fmt.Sprintf("Page %d", h.Page)
	if h.Pages > 0 {
		page += fmt.Sprintf("/%d", h.Pages)
	}
	build := func(name, to string) string {
		parts := []string{h.Time.Format("2006-01-02 15:04")}
		for _, p := range []string{name, number, to, page} {
			if p != "" {
				parts = append(parts, p)
			}
		}
		return strings.Join(parts, "\t")
	}
	fits := func(s string) bool { return t.headerWidth(s) <= float64(width)-2*headerIndent*t.kx }
	if s := build(name, to); fits(s) {
		return s
	}
	for _, to := range []string{to, ""} {
		for r := []rune(name); len(r) > 0; r = r[:len(r)-1] {
			if s := build(strings.TrimSpace(string(r))+"…", to); fits(s) {
				return s
			}
		}
		if s := build("", to); fits(s) {
			return s
		}
	}
	return build("", "")
}

// headerIndent is the blank space at either end of the line, in mm: printers do not print to the edge.
const headerIndent = 5.0

// headerClean removes control characters, so that no field can forge another part of the line, and bounds the length.
func headerClean(s string) string {
	const maxRunes = 200
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	if r := []rune(s); len(r) > maxRunes {
		s = string(r[:maxRunes])
	}
	return norm.NFC.String(strings.Join(strings.Fields(s), " "))
}

func headerStyle() style { return style{face: medium, pt: headerPt} }

// headerWidth is the least width of a header text in pels: tabs count as three spaces.
func (t *typesetter) headerWidth(s string) float64 {
	return t.measure(headerStyle(), strings.ReplaceAll(s, "\t", "   "))
}

// Header draws a header line as rows of its own, width pels wide; the caller puts them above the page. Tabs spread the
// parts over the width. An empty text gives no rows; text that is too long is cut off at the right edge.
func Header(text string, width int, res imaging.Resolution) *imaging.Bitmap {
	var parts []string
	for _, p := range strings.Split(text, "\t") {
		if p = headerClean(p); p != "" {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 || width <= 0 {
		return imaging.New(max(0, width), 0)
	}
	t := newTypesetter(res, nil)
	b := imaging.New(width, headerRows(res))
	total, widths := 0.0, make([]float64, len(parts))
	for i, p := range parts {
		widths[i] = t.measure(headerStyle(), p)
		total += widths[i]
	}
	gap, x := 0.0, headerIndent*t.kx
	if len(parts) > 1 {
		gap = max((float64(width)-2*x-total)/float64(len(parts)-1), t.measure(headerStyle(), " "))
	}
	baseline := b.Height - int(math.Ceil(headerPt*0.22*mmPerPt*t.ky)) // above the descenders
	for i, p := range parts {
		t.draw(b, headerStyle(), p, x, baseline)
		x += widths[i] + gap
	}
	return b
}
