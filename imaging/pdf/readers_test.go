package pdf

import (
	"bytes"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// finePages have a size in whole pels at 203.2 x 195.58 dpi, so that a renderer can show each pel.
func finePages() []imaging.Page {
	var pages []imaging.Page
	for i := range formats {
		pages = append(pages, testPage(1728, 150+i, imaging.Fine))
	}
	return pages
}

func saveFile(t *testing.T, pages []imaging.Page) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fax.pdf")
	if err := os.WriteFile(path, build(t, pages), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestGhostscript_SamePels renders all formats at their own resolution.
func TestGhostscript_SamePels(t *testing.T) {
	pages := finePages()
	path := saveFile(t, pages)
	out := filepath.Join(t.TempDir(), "p%03d.pbm")
	if said := peer(t, "gs", "-q", "-dBATCH", "-dNOPAUSE", "-dPDFSTOPONERROR", "-sDEVICE=pbmraw", "-r203.2x195.58", "-o", out, path); said != "" {
		t.Errorf("ghostscript says %s", said)
	}
	for i, want := range pages {
		if got := readPBM(t, fmt.Sprintf(out, i+1)); !got.Equal(want.Bitmap) {
			t.Errorf("%+v: ghostscript shows other pels, %d x %d", formats[i], got.Width, got.Height)
		}
	}
}

// TestMutool_SamePels extracts the pictures of all formats.
func TestMutool_SamePels(t *testing.T) {
	pages := finePages()
	path := saveFile(t, pages)
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // where it puts them
	defer t.Chdir(wd)
	peer(t, "mutool", "extract", path)
	names, err := filepath.Glob("image-*.png")
	if err != nil || len(names) != len(pages) {
		t.Fatalf("pictures: %v, %v", names, err)
	}
	for i, want := range pages {
		data, err := os.ReadFile(names[i])
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		got := imaging.New(img.Bounds().Dx(), img.Bounds().Dy())
		for y := range got.Height {
			for x := range got.Width {
				if r, _, _, _ := img.At(x, y).RGBA(); r < 0x8000 {
					got.SetBlack(x, y)
				}
			}
		}
		if !got.Equal(want.Bitmap) {
			t.Errorf("%+v: mutool reads other pels", formats[i])
		}
	}
}

// TestQpdf_SameData takes the coded data of each page out again.
func TestQpdf_SameData(t *testing.T) {
	pages := finePages()
	path := saveFile(t, pages)
	file := parse(t, build(t, pages))
	for i, page := range file.pages {
		n := 0
		for number, data := range file.streams {
			if bytes.Equal(data, page.data) && strings.Contains(file.objects[number], "CCITTFaxDecode") {
				n = number
			}
		}
		if got := peer(t, "qpdf", fmt.Sprintf("--show-object=%d", n), "--raw-stream-data", path); got != string(page.data) {
			t.Errorf("page %d: qpdf has %d octets, we wrote %d", i+1, len(got), len(page.data))
		}
	}
}

// TestWriter_ManyPages: no node of the page tree has too many kids, and labels begin where they are told.
func TestWriter_ManyPages(t *testing.T) {
	var buf bytes.Buffer
	w := NewWriter(&buf, Meta{FirstPage: 21})
	p := testPage(64, 8, imaging.Fine)
	const n = 2*groupPages + 1
	for range n {
		if err := w.AddPage(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if file := parse(t, buf.Bytes()); len(file.pages) != n || !strings.Contains(file.objects[objCatalog], "/St 21") {
		t.Errorf("%d pages, %s", len(file.pages), file.objects[objCatalog])
	}
	path := filepath.Join(t.TempDir(), "many.pdf")
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := peer(t, "pdfinfo", path); !strings.Contains(said, fmt.Sprintf("Pages:           %d\n", n)) {
		t.Errorf("pdfinfo says %s", said)
	}
}

// TestPageSize: what is longer than a PDF page may be is shown smaller, in its proportions.
func TestPageSize(t *testing.T) {
	for _, c := range []struct {
		width, height int
		res           imaging.Resolution
		w, h          string
	}{
		{1728, 1000, imaging.Standard, "612.283", "736.272"}, {1728, 65535, imaging.Standard, "182.727", "14400"}, {1728, 1, imaging.Fine, "612.283", "3"},
	} {
		p := testPage(c.width, 1, c.res)
		coded := codedOf(t, p)
		coded.Height = c.height
		if w, h := pageSize(coded); w != c.w || h != c.h {
			t.Errorf("%+v: %s x %s", c, w, h)
		}
	}
}
