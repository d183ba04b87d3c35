package raster

import (
	"context"
	"os"
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

func TestPDF_Shapes(t *testing.T) {
	for _, c := range []struct {
		name        string
		w, h, pages int
	}{{"landscape", 842, 595, 1}, {"letter", 612, 792, 1}, {"a3", 842, 1191, 1}, {"a5", 420, 595, 1}, {"receipt", 226, 2400, 3}, {"dot", 1, 1, 1}} {
		t.Run(c.name, func(t *testing.T) {
			// A frame all around: it must be whole, whatever the page's shape.
			content := "0 0 m 4 w 2 2 " + itoa(c.w-4) + " " + itoa(c.h-4) + " re S"
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

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + max(0, n)))
	}
	return itoa(n/10) + string(rune('0'+n%10))
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

// A PDF of nested forms, each drawing the next 10 times, would take ages.
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
