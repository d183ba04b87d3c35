package raster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// cacheDir is where the tests share one compiled PDF engine.
var cacheDir string

func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		if f := childModes[os.Args[1]]; f != nil {
			os.Exit(f())
		}
	}
	dir, err := os.MkdirTemp("", "raster-cache-")
	if err != nil {
		panic(err)
	}
	cacheDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func docOf(data []byte, name string) Document {
	return Document{R: bytes.NewReader(data), Size: int64(len(data)), Name: name}
}

// render renders one document and checks what holds for every page.
func render(t *testing.T, doc Document, opt Options) ([]*imaging.Page, error) {
	t.Helper()
	if opt.CacheDir == "" {
		opt.CacheDir = cacheDir
	}
	var pages []*imaging.Page
	err := RenderDocument(context.Background(), doc, opt, func(p *imaging.Page) error {
		checkPage(t, p)
		pages = append(pages, p)
		return nil
	})
	return pages, err
}

func mustRender(t *testing.T, doc Document, opt Options, pages int) []*imaging.Page {
	t.Helper()
	got, err := render(t, doc, opt)
	if err != nil {
		t.Fatalf("render: %v", err)
	}
	if len(got) != pages {
		t.Fatalf("%d pages, want %d", len(got), pages)
	}
	return got
}

func checkPage(t *testing.T, p *imaging.Page) {
	t.Helper()
	if !faxWidth(p.Width, PageWidth(p.Resolution)) {
		t.Errorf("page of %d pels at %v", p.Width, p.Resolution)
	}
	if p.Height <= 0 || len(p.Words) != p.Height*p.Stride {
		t.Errorf("page of %d lines, %d words, stride %d", p.Height, len(p.Words), p.Stride)
	}
}

// inkBox returns the bounds of all black pels and their number.
func inkBox(b *imaging.Bitmap) (x0, y0, x1, y1, n int) {
	x0, y0 = b.Width, b.Height
	for y := range b.Height {
		for x := range b.Width {
			if b.Black(x, y) {
				x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
				n++
			}
		}
	}
	return x0, y0, x1, y1, n
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

// makePDF builds a PDF of pages of w x h points with the given content streams.
func makePDF(w, h int, contents ...string) []byte {
	var b bytes.Buffer
	var at []int
	obj := func(s string) {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", len(at), s)
	}
	b.WriteString("%PDF-1.4\n")
	obj("<< /Type /Catalog /Pages 2 0 R >>")
	var kids []string
	for i := range contents {
		kids = append(kids, fmt.Sprintf("%d 0 R", 4+2*i))
	}
	obj(fmt.Sprintf("<< /Type /Pages /Count %d /Kids [%s] >>", len(contents), strings.Join(kids, " ")))
	obj("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
	for i, c := range contents {
		obj(fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R /Resources << /Font << /F 3 0 R >> >> >>", w, h, 5+2*i))
		obj(fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(c), c))
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, o := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, start)
	return b.Bytes()
}
