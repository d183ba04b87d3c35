package raster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
)

const pdfBox = "72 72 144 360 re f" // 50.8 x 127 mm of black, an inch from the lower left corner

func TestPDF_TrueToScale(t *testing.T) {
	data := makePDF(595, 842, pdfBox)
	for _, res := range []imaging.Resolution{imaging.Standard, imaging.Fine, imaging.Res200, imaging.Res400} {
		p := mustRender(t, docOf(data, ""), Options{Resolution: res}, 1)[0]
		x0, y0, x1, y1, _ := inkBox(p.Bitmap)
		kx, ky := perMM(res)
		left := (float64(p.Width)/kx - 210) / 2
		for _, m := range []struct {
			what      string
			got, want float64
		}{
			{"left", float64(x0)/kx - left, 25.4}, {"width", float64(x1-x0+1) / kx, 50.8},
			{"top", float64(y0) / ky, (842 - 72 - 360) * mmPerPt}, {"height", float64(y1-y0+1) / ky, 127},
		} {
			if m.got < m.want-0.5 || m.got > m.want+0.5 {
				t.Errorf("%v: %s is %.2f mm, want %.2f", res, m.what, m.got, m.want)
			}
		}
	}
}

// The page's pels are read before the engine has its memory back, which writes lists of its own into it.
func TestPDF_NothingInTheCorner(t *testing.T) {
	data, err := os.ReadFile("../../testdata/pages/invoice.pdf")
	if err != nil {
		t.Fatal(err)
	}
	p := mustRender(t, docOf(data, ""), Options{}, 1)[0]
	if _, y0, _, _, n := inkBox(p.Bitmap); n == 0 || y0 < 100 {
		t.Errorf("ink in line %d", y0)
	}
}

func TestPDF_Shapes(t *testing.T) {
	for _, c := range []struct {
		name        string
		w, h, pages int
	}{{"landscape", 842, 595, 1}, {"letter", 612, 792, 1}, {"a3", 842, 1191, 1}, {"a5", 420, 595, 1}, {"receipt", 226, 2400, 3}, {"dot", 1, 1, 1}} {
		t.Run(c.name, func(t *testing.T) {
			// A frame all around: it must be whole, whatever the page's shape.
			content := "0 0 m 4 w 2 2 " + strconv.Itoa(c.w-4) + " " + strconv.Itoa(c.h-4) + " re S"
			pages, err := render(t, docOf(makePDF(c.w, c.h, content), ""), Options{})
			if err != nil || len(pages) != c.pages {
				t.Fatalf("%d pages, want %d: %v", len(pages), c.pages, err)
			}
			if c.name == "dot" {
				return
			}
			if x0, y0, x1, _, n := inkBox(pages[0].Bitmap); n == 0 || y0 > 3 || x1-x0 < 400 || x1-x0 > 1728 {
				t.Errorf("the frame goes from %d,%d to %d", x0, y0, x1)
			}
		})
	}
}

func TestPDF_Refused(t *testing.T) {
	encrypted, err := os.ReadFile("testdata/encrypted.pdf")
	if err != nil {
		t.Fatal(err)
	}
	good := makePDF(595, 842, pdfBox, pdfBox, pdfBox)
	for _, c := range []struct {
		name string
		data []byte
		opt  Options
		want error
	}{
		{"encrypted", encrypted, Options{}, ErrEncrypted},
		{"header only", []byte("%PDF-1.7\n"), Options{}, ErrBroken},
		{"rubbish", append([]byte("%PDF-1.7\n"), make([]byte, 5000)...), Options{}, ErrBroken},
		{"too many pages", good, Options{MaxPages: 2}, ErrTooManyPages},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := render(t, docOf(c.data, "a.pdf"), c.opt)
			wantErr(t, err, c.want)
		})
	}
}

// A filled-in form field is an annotation with an appearance; on paper it must show.
func TestPDF_FormFieldsShow(t *testing.T) {
	form := `%PDF-1.4
1 0 obj << /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [4 0 R] >> >> endobj
2 0 obj << /Type /Pages /Count 1 /Kids [3 0 R] >> endobj
3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Annots [4 0 R] >> endobj
4 0 obj << /Type /Annot /Subtype /Widget /FT /Tx /T (a) /V (x) /F 4 /P 3 0 R /Rect [72 72 216 432] /AP << /N 5 0 R >> >> endobj
5 0 obj << /Type /XObject /Subtype /Form /BBox [0 0 144 360] /Length 17 >> stream
0 0 144 360 re f

endstream endobj
trailer << /Root 1 0 R >>
%%EOF
`
	p := mustRender(t, docOf([]byte(form), ""), Options{}, 1)[0]
	want := mustRender(t, docOf(makePDF(595, 842, pdfBox), ""), Options{}, 1)[0]
	x0, y0, x1, y1, _ := inkBox(p.Bitmap)
	wx0, wy0, wx1, wy1, _ := inkBox(want.Bitmap)
	if abs(x0-wx0) > 1 || abs(y0-wy0) > 1 || abs(x1-wx1) > 1 || abs(y1-wy1) > 1 {
		t.Errorf("the field is at %d,%d-%d,%d, want %d,%d-%d,%d", x0, y0, x1, y1, wx0, wy0, wx1, wy1)
	}
}

// Poppler, where it is installed, puts the same ink on the same places.
func TestPDF_AgreesWithPoppler(t *testing.T) {
	pdftoppm, err := exec.LookPath("pdftoppm")
	if err != nil {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatal("pdftoppm is not installed")
		}
		t.Skip("pdftoppm is not installed")
	}
	var text strings.Builder
	for y := 780; y > 60; y -= 24 {
		fmt.Fprintf(&text, "BT /F %d Tf 60 %d Td (The quick brown fox jumps over the lazy dog %d) Tj ET ", 8+y/24%6, y, y)
	}
	data := makePDF(595, 842, text.String())
	cmd := exec.Command(pdftoppm, "-rx", "203.2", "-ry", "195.58", "-gray", "-singlefile", "-")
	cmd.Stdin = bytes.NewReader(data)
	pgm, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var w, h, most, n int
	if _, err := fmt.Sscanf(string(pgm[:min(40, len(pgm))]), "P5\n%d %d\n%d\n", &w, &h, &most); err != nil {
		t.Fatal(err)
	}
	pix := pgm[len(pgm)-w*h:]
	p := mustRender(t, docOf(data, ""), Options{}, 1)[0]
	left := (p.Width - w) / 2
	const cell = 16
	off := 0
	for y := 0; y+cell <= min(h, p.Height); y += cell {
		for x := 0; x+cell <= w; x += cell {
			ours, theirs := 0, 0
			for i := range cell * cell {
				xx, yy := x+i%cell, y+i/cell
				if p.Black(left+xx, yy) {
					ours += 255
				}
				theirs += 255 - int(pix[yy*w+xx])
			}
			if theirs > 0 {
				n++
			}
			if abs(ours-theirs) > 255*cell*cell/5 {
				off++
			}
		}
	}
	if n < 300 || off*50 > n {
		t.Errorf("%d of %d inked cells differ", off, n)
	}
}

// A content stream of hundreds of thousands of full-page fills would take minutes.
func TestPDF_PageTimeLimit(t *testing.T) {
	heavy := make([]byte, 0, 8<<20)
	for range 400000 {
		heavy = append(heavy, "0 0 595 842 re f* "...)
	}
	start := time.Now()
	_, err := render(t, docOf(makePDF(595, 842, string(heavy)), ""), Options{PageTime: 200 * time.Millisecond})
	wantErr(t, err, ErrTimeout)
	t.Logf("stopped after %v", time.Since(start))
	// The next document is not affected.
	mustRender(t, docOf(makePDF(595, 842, pdfBox), ""), Options{}, 1)
}

func TestPDF_Canceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	err := RenderDocument(ctx, docOf(makePDF(595, 842, pdfBox, pdfBox, pdfBox), ""), Options{CacheDir: cacheDir}, func(*imaging.Page) error {
		n++
		cancel()
		return nil
	})
	wantErr(t, err, context.Canceled)
	if n != 1 {
		t.Errorf("%d pages after the cancelling", n)
	}
}
