package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
)

// faxFile is a TIFF of these pages, coded as a fax machine would.
func faxFile(t *testing.T, c imaging.Coding, list ...imaging.Page) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tiff.NewWriter(&b, tiff.Meta{})
	for _, p := range list {
		if err := w.AddPage(p, t4.File(c, p.Resolution)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func faxByMail(content []byte, kind, more string) string {
	b64 := base64.StdEncoding.EncodeToString(content)
	var lines string
	for len(b64) > 76 {
		lines, b64 = lines+b64[:76]+"\n", b64[76:]
	}
	return fmt.Sprintf("From: scanner@example.org\nSubject: Scan\nMessage-ID: <1@example.org>\nMIME-Version: 1.0\n%sContent-Type: %s\nContent-Transfer-Encoding: base64\n\n%s%s\n", more, kind, lines, b64)
}

// inProcess renders in this process what the child renders.
func inProcess(o *Options) {
	o.Render = func(ctx context.Context, job raster.Job, out *os.File) (raster.Result, error) {
		return raster.RenderJob(ctx, job, out)
	}
}

// A mail that is a fax (T.37) keeps every pel, also at a resolution finer than documents are drawn in, and gets no cover.
func TestPassFax_EveryPel(t *testing.T) {
	wide := imaging.New(2432, 200)
	for x := range 2000 {
		wide.SetBlack(x, x%199)
	}
	pages := []imaging.Page{
		{Bitmap: noise(1, 200), Resolution: imaging.Fine},
		{Bitmap: noise(2, 60), Resolution: imaging.Standard},
		{Bitmap: noise(3, 200), Resolution: imaging.Superfine},
		{Bitmap: wide, Resolution: imaging.Fine},
	}
	fine := imaging.New(raster.PageWidth(imaging.Res600), 400)
	for x := range 900 {
		fine.SetBlack(x, x%400)
	}
	pages = append(pages, imaging.Page{Bitmap: fine, Resolution: imaging.Res600})
	for kind, coding := range map[string]imaging.Coding{"image/tiff; application=faxbw": imaging.MH, "image/tiff-fx": imaging.MMR, "image/tiff; name=a.tif; application=\"faxbw\"": imaging.MR} {
		b := newBench(t, inProcess)
		if _, err := b.post(faxByMail(faxFile(t, coding, pages...), kind, ""), "scanner@example.org", "5550100@fax.example", "5550101.nocover@fax.example"); err != nil {
			t.Fatal(err)
		}
		b.work()
		for _, j := range b.allJobs() {
			if j.Pages != len(pages) {
				t.Fatalf("%s: %d pages, %s %s", kind, j.Pages, j.State, j.Text)
			}
			f, doc, err := b.g.openTIFF(j.Document)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range pages {
				got, _, err := doc.Decode(i + 1)
				if err != nil || !got.Bitmap.Equal(want.Bitmap) || got.Resolution != want.Resolution {
					t.Errorf("%s: page %d is not what was sent: %v, %v", kind, i+1, got.Resolution, err)
				}
			}
			f.Close()
		}
	}
}

// A mail that claims to be a fax and is not is drawn like any other; one that asks for a cover gets it.
func TestPassFax_FallsBack(t *testing.T) {
	good := faxFile(t, imaging.MMR, imaging.Page{Bitmap: noise(1, 300), Resolution: imaging.Fine})
	odd := faxFile(t, imaging.MMR, imaging.Page{Bitmap: imaging.New(1000, 300), Resolution: imaging.Fine})
	damaged := faxFile(t, imaging.MH, imaging.Page{Bitmap: noise(1, 300), Resolution: imaging.Fine})
	for i := len(damaged) / 3; i < len(damaged)/3+300; i++ {
		damaged[i] ^= 0x5a
	}
	for _, c := range []struct {
		name, to string
		file     []byte
		pages    int
		asIs     bool
	}{
		{"as it is", "5550100@fax.example", good, 1, true},
		{"cover asked for", "5550100.cover@fax.example", good, 2, false},
		{"odd width", "5550100@fax.example", odd, 1, false},
		{"damaged", "5550100@fax.example", damaged, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, inProcess)
			if _, err := b.post(faxByMail(c.file, "image/tiff; application=faxbw", ""), "scanner@example.org", c.to); err != nil {
				t.Fatal(err)
			}
			b.work()
			j := b.allJobs()[0]
			if j.Pages != c.pages {
				t.Fatalf("%d pages, %s: %s", j.Pages, j.State, j.Text)
			}
			f, doc, err := b.g.openTIFF(j.Document)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			page, _, err := doc.Decode(1)
			if err != nil || page.Bitmap.Equal(noise(1, 300)) != c.asIs || page.Width != 1728 {
				t.Errorf("as it is: %v, %d wide, %v", !c.asIs, page.Width, err)
			}
		})
	}
}
