package raster

import (
	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
)

// mostLetters is how many East Asian letters of a page unseen looks at: the engine keeps a handle for each.
const mostLetters = 500

// unseen returns ErrNoFont if there are words to be seen on a page in a writing whose font the PDF does not bring along (as older PDFs
// in Chinese, Japanese or Korean do): the engine has fonts for Latin writing only, and leaves them out.
func (j *pdfJob) unseen(page requests.Page) error {
	text, err := j.inst.FPDFText_LoadPage(&requests.FPDFText_LoadPage{Page: page})
	if err != nil {
		return nil // there are no words as far as anybody can tell
	}
	defer j.inst.FPDFText_ClosePage(&requests.FPDFText_ClosePage{TextPage: text.TextPage})
	n, err := j.inst.FPDFText_CountChars(&requests.FPDFText_CountChars{TextPage: text.TextPage})
	if err != nil || n.Count < 1 {
		return nil
	}
	words, err := j.inst.FPDFText_GetText(&requests.FPDFText_GetText{TextPage: text.TextPage, Count: n.Count})
	if err != nil || !anyEastAsian(words.Text) {
		return nil
	}
	for i, seen := 0, 0; i < n.Count && seen < mostLetters; i++ {
		c, err := j.inst.FPDFText_GetUnicode(&requests.FPDFText_GetUnicode{TextPage: text.TextPage, Index: i})
		if err != nil || !anyEastAsian(string(rune(c.Unicode))) {
			continue
		}
		seen++
		if j.leftOut(text.TextPage, i) {
			return fail(ErrNoFont, eastAsianName+", and the PDF does not bring its own")
		}
	}
	return nil
}

func anyEastAsian(s string) bool {
	for _, r := range s {
		if r > 0xff && scriptOf(r) == eastAsianName {
			return true
		}
	}
	return false
}

// leftOut tells whether a page's letter is to be seen, and its font is not in the PDF. One that is there to be searched only, as
// behind a scanned page, is not.
func (j *pdfJob) leftOut(text references.FPDF_TEXTPAGE, letter int) bool {
	obj, err := j.inst.FPDFText_GetTextObject(&requests.FPDFText_GetTextObject{TextPage: text, Index: letter})
	if err != nil {
		return false
	}
	mode, err := j.inst.FPDFTextObj_GetTextRenderMode(&requests.FPDFTextObj_GetTextRenderMode{PageObject: obj.TextObject})
	if err != nil || mode.TextRenderMode == enums.FPDF_TEXTRENDERMODE_INVISIBLE || mode.TextRenderMode == enums.FPDF_TEXTRENDERMODE_CLIP {
		return false
	}
	font, err := j.inst.FPDFTextObj_GetFont(&requests.FPDFTextObj_GetFont{PageObject: obj.TextObject})
	if err != nil {
		return false
	}
	in, err := j.inst.FPDFFont_GetIsEmbedded(&requests.FPDFFont_GetIsEmbedded{Font: font.Font})
	return err == nil && !in.IsEmbedded
}
