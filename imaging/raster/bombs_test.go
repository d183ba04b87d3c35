package raster

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
)

// bombTIFF is a TIFF whose one directory promises w x h pels of the given bits a sample.
func bombTIFF(w, h uint32, bits uint16, compression uint16) []byte {
	entry := func(b []byte, tag, kind uint16, v uint32) []byte {
		b = binary.LittleEndian.AppendUint16(b, tag)
		b = binary.LittleEndian.AppendUint16(b, kind)
		b = binary.LittleEndian.AppendUint32(b, 1)
		return binary.LittleEndian.AppendUint32(b, v)
	}
	b := []byte("II*\x00\x08\x00\x00\x00\x09\x00")
	b = entry(b, 256, 4, w)
	b = entry(b, 257, 4, h)
	b = entry(b, 258, 3, uint32(bits))
	b = entry(b, 259, 3, uint32(compression))
	b = entry(b, 262, 3, 1)
	b = entry(b, 273, 4, 200)
	b = entry(b, 277, 3, 1)
	b = entry(b, 278, 4, h)
	b = entry(b, 279, 4, 100)
	b = append(b, 0, 0, 0, 0)
	return append(b, make([]byte, 300)...)
}

func bombBMP(w, h uint32) []byte {
	b := append([]byte("BM"), make([]byte, 52)...)
	binary.LittleEndian.PutUint32(b[10:], 54)
	binary.LittleEndian.PutUint32(b[14:], 40)
	binary.LittleEndian.PutUint32(b[18:], w)
	binary.LittleEndian.PutUint32(b[22:], h)
	b[26], b[28] = 1, 24
	return b
}

// loopPDF is a PDF whose form draws itself, and, if kid, whose page tree has itself for a kid.
func loopPDF(kid bool) []byte {
	base := string(makePDF(595, 842, "/X Do"))
	base = strings.Replace(base, "/Resources << ", "/Resources << /XObject << /X 20 0 R >> ", 1)
	if kid {
		base = strings.Replace(base, "/Count 1 /Kids [4 0 R]", "/Count 2 /Kids [4 0 R 2 0 R]", 1)
	}
	form := "20 0 obj\n<< /Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << /XObject << /X 20 0 R >> >> /Length 11 >>\nstream\n/X Do /X Do\nendstream\nendobj\n"
	return []byte(base[:strings.Index(base, "xref\n")] + form + "trailer\n<< /Root 1 0 R >>\n%%EOF\n")
}

// manyPages is a TIFF of n small fax pages.
func manyPages(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tiff.NewWriter(&b, tiff.Meta{})
	p := imaging.Page{Bitmap: imaging.New(1728, 8), Resolution: imaging.Standard}
	for range n {
		if err := w.AddPage(p, t4.File(imaging.MMR, p.Resolution)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Bombs are refused or cut by the child, within its limits and with a sentence for their sender; what comes after them in
// the mail still goes.
func TestChild_Bombs(t *testing.T) {
	jpg := encodeJPEG(t, grayPicture(16, 16))
	copy(jpg[bytes.Index(jpg, []byte{0xff, 0xc0})+5:], []byte{0xff, 0xff, 0xff, 0xff})
	docx := makeDOCX(t, "<w:p><w:r><w:t>"+strings.Repeat("a", maxXML+1)+"</w:t></w:r></w:p>", nil)
	logo := makeDOCX(t, `<w:p><w:r><w:drawing><a:blip r:embed="p"/></w:drawing></w:r></w:p>`, map[string]string{
		"word/_rels/document.xml.rels": `<R><Relationship Id="p" Target="p.png"/></R>`, "word/p.png": strings.Repeat("\x00", maxEmbedded+1)})
	for _, c := range []struct {
		name string
		data []byte
		want error // nil: whatever comes of it, it ends
	}{
		{"a.png", bombPNG(31623, 31623), ErrTooLarge},
		{"a.jpg", jpg, ErrTooLarge},
		{"a.bmp", bombBMP(31623, 31623), ErrTooLarge},
		{"grey.tif", bombTIFF(31623, 31623, 8, 1), ErrTooLarge},
		{"fax.tif", bombTIFF(31623, 31623, 1, 4), ErrTooLarge},
		{"form.pdf", loopPDF(false), nil},
		{"tree.pdf", loopPDF(true), nil},
		{"bomb.docx", docx, ErrTooLarge},
		{"picture.docx", logo, ErrTooLarge},
		{"many.tif", manyPages(t, 10000), ErrTooManyPages},
	} {
		t.Run(c.name, func(t *testing.T) {
			child := testChild(t, "render")
			job := Job{Inputs: []Input{inFile(t, c.name, c.data), {Data: []byte("next"), Name: "next.txt"}}, Options: Options{MaxPages: 200, PageTime: 3 * time.Second}}
			res, err := child.Render(context.Background(), job, outFile(t))
			t.Logf("%v, failed %v, %d pages, at most %d MB", err, res.Failed, len(res.Pages), res.PeakMemory>>20)
			if res.PeakMemory > defaultMemory {
				t.Errorf("%d MB", res.PeakMemory>>20)
			}
			if errors.Is(c.want, ErrTooManyPages) { // the whole fax is too long
				wantErr(t, err, c.want)
				return
			}
			if err != nil || len(res.Pages) == 0 || res.Pages[len(res.Pages)-1].Input != 1 {
				t.Fatalf("%v; %s", err, Detail(err))
			}
			if c.want == nil {
				return
			}
			if len(res.Failed) != 1 || !errors.Is(&res.Failed[0], c.want) || !strings.Contains(res.Failed[0].Error(), c.name+": "+c.want.Error()) {
				t.Errorf("failed: %v", res.Failed)
			}
		})
	}
}

// A long picture of text is cut between its lines.
func TestPicture_CutAtWhite(t *testing.T) {
	const w, h, pitch, high = 600, 3000, 50, 30
	g := image.NewGray(image.Rect(0, 0, w, h))
	for i := range g.Pix {
		g.Pix[i] = 255
		if i/w%pitch < high && i%w > 50 && i%w < 550 {
			g.Pix[i] = 0
		}
	}
	lines := 0
	for i, p := range mustRender(t, docOf(encodePNG(t, g), ""), Options{}, 4) {
		var runs []int
		n := 0
		for y := range p.Height + 1 {
			if y < p.Height && !blankRow(p.Bitmap, y) {
				n++
			} else if n > 0 {
				runs, n = append(runs, n), 0
			}
		}
		lines += len(runs)
		for k, r := range runs {
			if r < runs[len(runs)/2]-3 {
				t.Errorf("page %d: line %d is %d high of %d", i+1, k, r, runs[len(runs)/2])
			}
		}
	}
	if lines != h/pitch {
		t.Errorf("%d lines, want %d", lines, h/pitch)
	}
}
