package raster

import (
	"slices"

	"github.com/klippa-app/go-pdfium/requests"

	"github.com/tipring/tipring/imaging"
)

// unseen returns ErrNoFont if a page came out blank although there are words on it in a writing whose fonts the PDF does not
// bring along (as older PDFs in Chinese, Japanese or Korean do): the engine has fonts for Latin writing only, and shows nothing.
func (j *pdfJob) unseen(page requests.Page, out []*imaging.Bitmap) error {
	if slices.ContainsFunc(out, func(b *imaging.Bitmap) bool { return !blank(b) }) {
		return nil
	}
	text, err := j.inst.FPDFText_LoadPage(&requests.FPDFText_LoadPage{Page: page})
	if err != nil {
		return nil // the page is blank as far as anybody can tell
	}
	defer j.inst.FPDFText_ClosePage(&requests.FPDFText_ClosePage{TextPage: text.TextPage})
	n, err := j.inst.FPDFText_CountChars(&requests.FPDFText_CountChars{TextPage: text.TextPage})
	if err != nil || n.Count < 1 {
		return nil
	}
	const most = 2000
	words, err := j.inst.FPDFText_GetText(&requests.FPDFText_GetText{TextPage: text.TextPage, Count: min(n.Count, most)})
	if err != nil {
		return nil
	}
	for _, r := range words.Text {
		if scriptOf(r) == eastAsianName {
			return fail(ErrNoFont, eastAsianName+", and the PDF does not bring its own")
		}
	}
	return nil
}
