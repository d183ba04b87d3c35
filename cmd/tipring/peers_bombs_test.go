//go:build peers

package main

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
)

// Bombs by mail, one behind the other: each sender is told in a sentence, a good mail sent in the same minute is rendered and queued, and
// `serve` itself hardly grows: all is unpacked in the render child.
func TestServe_Bombs(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	b := newBox(t, filepath.Join(t.TempDir(), "no-modem"), s.addr, "[render]\nmemory_mb = 300\n")
	b.start()
	before := b.peakRSS()
	bombs := []struct{ name, kind, file, words string }{
		{"loop", "application/pdf", loopPDF(t), "cannot be faxed"},
		{"zip", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", zipBomb(t), "too large"},
		{"pages", "image/tiff", tenThousandPages(t), "more pages"},
		{"png", "image/png", hugePNG(t, "huge.png"), "too large"},
	}
	for _, c := range bombs {
		if out, ok := b.swaks("--to", "5550100@fax.example.org", "--header", "Subject: bomb "+c.name, "--body", " ", "--attach-type", c.kind, "--attach", "@"+c.file); !ok {
			t.Fatalf("%s: not taken: %s", c.name, out)
		}
	}
	if out, ok := b.swaks("--to", "5550100@fax.example.org", "--header", "Subject: good", "--body", "A good one.", "--attach-type", "application/pdf", "--attach", "@"+repoFile(t, "testdata/pages/invoice.pdf")); !ok {
		t.Fatalf("the good mail: %s", out)
	}
	b.waitJob(4*time.Minute, "good job", func(j control.Job) bool { return j.Subject == "good" && !j.State.Final() && j.Pages == 2 })
	for _, c := range bombs {
		m := s.waitMail(2*time.Minute, "notice about "+c.name, func(m sunk) bool { return strings.Contains(m.subject(), "bomb "+c.name) })
		mentions(t, m, "NOT sent", c.words)
	}
	if n := len(noticesOf(s.mails())); n != len(bombs) {
		t.Errorf("%d notices, want %d", n, len(bombs))
	}
	peak := b.peakRSS()
	t.Logf("serve had at most %d MB, %d at its start", peak>>20, before>>20)
	if peak > 120<<20 {
		t.Errorf("serve used %d MB", peak>>20)
	}
}

func bombFile(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// loopPDF has a form that draws itself twice.
func loopPDF(t *testing.T) string {
	t.Helper()
	f := bombFile(t, "loop.pdf")
	if _, err := f.WriteString("%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Count 1 /Kids [3 0 R] >>\nendobj\n" +
		"3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /XObject << /X 5 0 R >> >> >>\nendobj\n" +
		"4 0 obj\n<< /Length 5 >>\nstream\n/X Do\nendstream\nendobj\n" +
		"5 0 obj\n<< /Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << /XObject << /X 5 0 R >> >> /Length 11 >>\nstream\n/X Do /X Do\nendstream\nendobj\n" +
		"trailer\n<< /Root 1 0 R >>\n%%EOF\n"); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// zipBomb is a Word document of 200 kB whose text is 200 MB.
func zipBomb(t *testing.T) string {
	t.Helper()
	f := bombFile(t, "bomb.docx")
	z := zip.NewWriter(f)
	put := func(name string, parts ...string) {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			if _, err := w.Write([]byte(p)); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`)
	mega := strings.Repeat("a", 1<<20)
	parts := []string{`<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>`}
	for range 200 {
		parts = append(parts, mega)
	}
	put("word/document.xml", append(parts, "</w:t></w:r></w:p></w:body></w:document>")...)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func tenThousandPages(t *testing.T) string {
	t.Helper()
	f := bombFile(t, "many.tif")
	w := tiff.NewWriter(f, tiff.Meta{})
	p := imaging.Page{Bitmap: imaging.New(1728, 8), Resolution: imaging.Standard}
	for range 10000 {
		if err := w.AddPage(p, t4.File(imaging.MMR, p.Resolution)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}
