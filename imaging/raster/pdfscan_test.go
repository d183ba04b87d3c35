package raster

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/pdf"
	"github.com/tipring/tipring/imaging/t4"
)

// A fax in a PDF comes out pel by pel as it was.
func TestPDFScan_FaxPagesPass(t *testing.T) {
	var page *imaging.Page
	if err := Cover(context.Background(), coverSample, Options{}, func(p *imaging.Page) error { page = p; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, coding := range []imaging.Coding{imaging.MH, imaging.MR, imaging.MMR} {
		var b bytes.Buffer
		w := pdf.NewWriter(&b, pdf.Meta{})
		f := t4.File(coding, page.Resolution)
		data, err := t4.Append(nil, page.Bitmap, f)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.AddCoded(t4.Coded{Width: page.Width, Height: page.Height, Resolution: page.Resolution, Format: f, Data: data}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := mustRender(t, docOf(b.Bytes(), ""), Options{}, 1)[0]; !got.Equal(page.Bitmap) || got.Resolution != page.Resolution {
			t.Errorf("%v: the page of %d x %d at %v came out as %d x %d at %v", coding, page.Width, page.Height, page.Resolution, got.Width, got.Height, got.Resolution)
		}
	}
}

// scannedPDF is a page of 595 x 842 points with one JPEG drawn by the given content.
func scannedPDF(jpg []byte, w, h int, more, content string) []byte {
	base := string(makePDF(595, 842, content))
	object := fmt.Sprintf("20 0 obj\n<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /DCTDecode /Length %d %s >>\nstream\n%s\nendstream\nendobj\n",
		w, h, len(jpg), more, jpg)
	base = strings.Replace(base, "/Resources << ", "/Resources << /XObject << /I 20 0 R >> ", 1)
	at := strings.Index(base, "xref\n")
	return []byte(base[:at] + object + "trailer\n<< /Root 1 0 R >>\n%%EOF\n") // without its table: every reader mends that
}

func TestPDFScan_Pictures(t *testing.T) {
	g := image.NewGray(image.Rect(0, 0, 827, 1169)) // a bar at the left, a corner at the bottom right, shaded paper
	for y := range 1169 {
		for x := range 827 {
			v := 240 - y*110/1169
			if x < 45 || x > 660 && y > 990 {
				v = 20
			}
			g.Pix[y*g.Stride+x] = uint8(v)
		}
	}
	jpg := encodeJPEG(t, g)
	inverted := image.NewGray(g.Rect)
	for i, v := range g.Pix {
		inverted.Pix[i] = 255 - v
	}
	const fill = "q 595 0 0 842 0 0 cm /I Do Q"
	for _, c := range []struct {
		name    string
		data    []byte
		picture bool // is taken out
	}{
		{"scan", scannedPDF(jpg, 827, 1169, "", fill), true},
		{"with invisible text", scannedPDF(jpg, 827, 1169, "", fill+" BT 3 Tr /F 12 Tf 100 100 Td (words) Tj ET"), true},
		{"with a stamp", scannedPDF(jpg, 827, 1169, "", fill+" BT /F 12 Tf 300 400 Td (PAID) Tj ET"), false},
		{"inverted", scannedPDF(encodeJPEG(t, inverted), 827, 1169, "/Decode [1 0]", fill), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mustRender(t, docOf(c.data, ""), Options{}, 1)[0]
			w, h := p.Width, p.Height
			left, middle, corner := inkShare(p.Bitmap, w/60, h/10, w/25, h*9/10), inkShare(p.Bitmap, w/4, h/20, w*3/4, h/3), inkShare(p.Bitmap, w*85/100, h*88/100, w*95/100, h*95/100)
			if left < 95 || middle > 2 || corner < 95 {
				t.Errorf("bar %d %%, paper %d %%, corner %d %%", left, middle, corner)
			}
			// Shaded paper stays white to its dark end where the scan is known to be one.
			if low := inkShare(p.Bitmap, w/4, h*85/100, w*3/4, h*95/100); c.picture && low > 2 {
				t.Errorf("shaded paper is %d %% black", low)
			}
			taken := false
			scanTaken = func() { taken = true }
			defer func() { scanTaken = nil }()
			mustRender(t, docOf(c.data, ""), Options{}, 1)
			if taken != c.picture {
				t.Errorf("taken out: %v, want %v", taken, c.picture)
			}
		})
	}
}
