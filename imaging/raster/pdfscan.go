package raster

import (
	"bytes"
	"image"
	"math"

	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/structs"

	"github.com/tipring/tipring/imaging"
)

// A page that is nothing but one scanned picture, perhaps with invisible text behind it for searching, is not rendered: its
// picture is taken out. A fax in a PDF so keeps its very pels, and a grey scan is treated as one.

const (
	maxScanObjects = 4000 // objects of a page that are looked at: a scan's words
	scanCover      = 0.9  // of the page's width and height that the picture takes at least
	scanAgrees     = 20   // greys by which the picture's mean may differ from the rendered page's
)

// pdfScan is the picture of a scanned page: fax pels or grey ones.
type pdfScan struct {
	bilevel *imaging.Page
	grey    scan
}

// scan returns the page's picture if that is all there is; nil if not, or if it cannot be had.
func (j *pdfJob) scan(page requests.Page, pw, ph float64) *pdfScan {
	obj, ok := j.onlyPicture(page)
	if !ok {
		return nil
	}
	mm, ok := j.upright(page, obj, pw, ph)
	if !ok {
		return nil
	}
	meta, err := j.inst.FPDFImageObj_GetImageMetadata(&requests.FPDFImageObj_GetImageMetadata{ImageObject: obj, Page: page})
	if err != nil {
		return nil
	}
	var s *pdfScan
	switch m := meta.ImageMetadata; {
	case m.BitsPerPixel == 1:
		s = j.bilevelScan(obj, m, mm)
	case j.filter(obj) == "DCTDecode":
		s = j.jpegScan(obj, mm)
	}
	if s == nil || !j.agrees(page, pw, ph, s.mean()) {
		return nil
	}
	return s
}

// onlyPicture returns the one picture of a page without anything else to be seen.
func (j *pdfJob) onlyPicture(page requests.Page) (obj references.FPDF_PAGEOBJECT, ok bool) {
	n, err := j.inst.FPDFPage_CountObjects(&requests.FPDFPage_CountObjects{Page: page})
	if err != nil || n.Count > maxScanObjects {
		return "", false
	}
	for i := range n.Count {
		o, err := j.inst.FPDFPage_GetObject(&requests.FPDFPage_GetObject{Page: page, Index: i})
		if err != nil {
			return "", false
		}
		kind, err := j.inst.FPDFPageObj_GetType(&requests.FPDFPageObj_GetType{PageObject: o.PageObject})
		if err != nil {
			return "", false
		}
		switch kind.Type {
		case enums.FPDF_PAGEOBJ_IMAGE:
			if ok {
				return "", false
			}
			obj, ok = o.PageObject, true
		case enums.FPDF_PAGEOBJ_TEXT:
			mode, err := j.inst.FPDFTextObj_GetTextRenderMode(&requests.FPDFTextObj_GetTextRenderMode{PageObject: o.PageObject})
			if err != nil || mode.TextRenderMode != enums.FPDF_TEXTRENDERMODE_INVISIBLE {
				return "", false
			}
		default:
			return "", false
		}
	}
	return obj, ok
}

// upright tells whether the picture stands upright and fills the page, and its size in mm.
func (j *pdfJob) upright(page requests.Page, obj references.FPDF_PAGEOBJECT, pw, ph float64) (mm [2]float64, ok bool) {
	turned, err := j.inst.FPDFPage_GetRotation(&requests.FPDFPage_GetRotation{Page: page})
	if err != nil || turned.PageRotation != enums.FPDF_PAGE_ROTATION_NONE {
		return mm, false
	}
	see, err := j.inst.FPDFPageObj_HasTransparency(&requests.FPDFPageObj_HasTransparency{PageObject: obj})
	if err != nil || see.HasTransparency {
		return mm, false
	}
	m, err := j.inst.FPDFPageObj_GetMatrix(&requests.FPDFPageObj_GetMatrix{PageObject: obj})
	if err != nil {
		return mm, false
	}
	a, b, c, d := float64(m.Matrix.A), float64(m.Matrix.B), float64(m.Matrix.C), float64(m.Matrix.D)
	if math.Abs(b) > 0.01*pw || math.Abs(c) > 0.01*ph || a < scanCover*pw || a > 1.02*pw || d < scanCover*ph || d > 1.02*ph {
		return mm, false
	}
	return [2]float64{a * mmPerPt, d * mmPerPt}, true
}

// filter returns the only filter of a picture's data.
func (j *pdfJob) filter(obj references.FPDF_PAGEOBJECT) string {
	n, err := j.inst.FPDFImageObj_GetImageFilterCount(&requests.FPDFImageObj_GetImageFilterCount{ImageObject: obj})
	if err != nil || n.Count != 1 {
		return ""
	}
	f, err := j.inst.FPDFImageObj_GetImageFilter(&requests.FPDFImageObj_GetImageFilter{ImageObject: obj})
	if err != nil {
		return ""
	}
	return f.ImageFilter
}

func (j *pdfJob) jpegScan(obj references.FPDF_PAGEOBJECT, mm [2]float64) *pdfScan {
	raw, err := j.inst.FPDFImageObj_GetImageDataRaw(&requests.FPDFImageObj_GetImageDataRaw{ImageObject: obj})
	if err != nil {
		return nil
	}
	sc, err := decodePicture(Document{R: bytes.NewReader(raw.Data), Size: int64(len(raw.Data))}, TypeJPEG)
	if err != nil {
		return nil
	}
	b := sc.img.Bounds()
	if b.Empty() {
		return nil
	}
	sc.orient, sc.mm = 1, mm[0] // PDF knows no EXIF
	sc.aspect = mm[1] / float64(b.Dy()) * float64(b.Dx()) / mm[0]
	return &pdfScan{grey: sc}
}

// bilevelScan takes out a picture of one bit a pel: CCITT, JBIG2 or whatever it is coded in.
func (j *pdfJob) bilevelScan(obj references.FPDF_PAGEOBJECT, m structs.FPDF_IMAGEOBJ_METADATA, mm [2]float64) *pdfScan {
	if m.Width == 0 || m.Height == 0 || uint64(m.Width)*uint64(m.Height) > maxGray {
		return nil
	}
	bm, err := j.inst.FPDFImageObj_GetBitmap(&requests.FPDFImageObj_GetBitmap{ImageObject: obj})
	if err != nil {
		return nil
	}
	defer j.inst.FPDFBitmap_Destroy(&requests.FPDFBitmap_Destroy{Bitmap: bm.Bitmap})
	format, err := j.inst.FPDFBitmap_GetFormat(&requests.FPDFBitmap_GetFormat{Bitmap: bm.Bitmap})
	octets := map[enums.FPDF_BITMAP_FORMAT]int{enums.FPDF_BITMAP_FORMAT_GRAY: 1, enums.FPDF_BITMAP_FORMAT_BGR: 3, enums.FPDF_BITMAP_FORMAT_BGRX: 4,
		enums.FPDF_BITMAP_FORMAT_BGRA: 4}
	if err != nil || octets[format.Format] == 0 {
		return nil
	}
	stride, err := j.inst.FPDFBitmap_GetStride(&requests.FPDFBitmap_GetStride{Bitmap: bm.Bitmap})
	if err != nil {
		return nil
	}
	buf, err := j.inst.FPDFBitmap_GetBuffer(&requests.FPDFBitmap_GetBuffer{Bitmap: bm.Bitmap})
	w, h, n := int(m.Width), int(m.Height), octets[format.Format]
	if err != nil || stride.Stride < w*n || len(buf.Buffer) < stride.Stride*(h-1)+w*n {
		return nil
	}
	b := imaging.New(w, h)
	for y := range h {
		row := buf.Buffer[y*stride.Stride:]
		for x := range w {
			if row[x*n] < 128 {
				b.SetBlack(x, y)
			}
		}
	}
	return &pdfScan{bilevel: &imaging.Page{Bitmap: b, Resolution: imaging.Nominal(float64(w)/mm[0]*25.4, float64(h)/mm[1]*25.4)}}
}

// mean returns the picture's mean grey.
func (s *pdfScan) mean() int {
	var img image.Image = s.grey.img
	if s.bilevel != nil {
		img = s.bilevel.Bitmap
	}
	return meanGrey(scaleGray(img, 64, 64).Pix)
}

func meanGrey(pix []byte) int {
	sum := 0
	for _, v := range pix {
		sum += int(v)
	}
	return sum / max(1, len(pix))
}

// agrees tells whether the page, rendered small, is about as light as the picture: what inverts a picture (a Decode array,
// a stencil mask, an Adobe marker) is not seen in its data.
func (j *pdfJob) agrees(page requests.Page, pw, ph float64, mean int) bool {
	w := 128
	h := min(512, max(1, int(float64(w)*ph/pw)))
	rendered := 0
	err := j.renderGrey(page, placement{w: w, h: h, sheetH: h}, w, 0, h, func(g *image.Gray) { rendered = meanGrey(g.Pix) })
	return err == nil && abs(rendered-mean) <= scanAgrees
}
