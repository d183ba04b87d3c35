package raster

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
)

// coverLines returns what a cover page prints, cell by cell.
func coverLines(t *testing.T, c CoverFields, opt Options) (lines []string, page *imaging.Page) {
	t.Helper()
	printed = func(l line) {
		var words []string
		for _, p := range l.pieces {
			words = append(words, p.text)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	defer func() { printed = nil }()
	if err := Cover(context.Background(), c, opt, func(p *imaging.Page) error { page = p; return nil }); err != nil {
		t.Fatal(err)
	}
	return lines, page
}

var coverSample = CoverFields{To: "Anna", ToNumber: "+49 89 1", From: "Ben", Date: time.Date(2026, 5, 1, 9, 7, 0, 0, time.UTC), Pages: 3, Subject: "S & <b>T</b> {{to}}", Text: "Hello {{from}}"}

func TestCover_Languages(t *testing.T) {
	for lang, want := range map[string]string{
		"en": "Fax|To|Anna, +49 89 1|From|Ben|Date|1 May 2026, 09:07|Pages|3 (this one included)|Subject",
		"de": "Telefax|An|Anna, +49 89 1|Von|Ben|Datum|1. Mai 2026, 09:07 Uhr|Seiten|3 (einschließlich dieser)|Betreff",
		"fr": "Télécopie|À|Anna, +49 89 1|De|Ben|Date|1er mai 2026 à 09:07|Pages|3 (celle-ci comprise)|Objet",
		"es": "Fax|Para|Anna, +49 89 1|De|Ben|Fecha|1 de mayo de 2026, 09:07|Páginas|3 (incluida esta)|Asunto",
		"nl": "Fax|Aan|Anna, +49 89 1|Van|Ben|Datum|1 mei 2026, 09:07 uur|Pagina’s|3 (inclusief deze)|Onderwerp",
	} {
		lines, page := coverLines(t, coverSample, Options{Cover: CoverDesign{Language: lang}})
		insideMargins(t, page)
		// What stands in a field or the mail is text, whatever it looks like.
		if got := strings.Join(lines, "|"); got != want+"|S & <b>T</b> {{to}}|Hello {{from}}" {
			t.Errorf("%s: %s", lang, got)
		}
	}
	for _, l := range CoverLanguages {
		if len(coverLanguages[l].months) != 12 {
			t.Errorf("%s has %d months", l, len(coverLanguages[l].months))
		}
	}
}

func TestCover_EmptyFieldsAreLeftOut(t *testing.T) {
	lines, _ := coverLines(t, CoverFields{To: "Anna", Pages: 1}, Options{})
	if got := strings.Join(lines, "|"); got != "Fax|To|Anna|Pages|1" {
		t.Error(got)
	}
}

func TestCover_Template(t *testing.T) {
	d := CoverDesign{Template: `<p>An {{ to }}!</p><p data-if="subject">Re {{subject}}</p><div data-field="text">x</div><img data-field="logo"><p>Ende</p>`,
		Logo: encodePNG(t, grayPicture(100, 100))}
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	lines, with := coverLines(t, CoverFields{To: "<i>", HTML: "<p>{{to}}<b>bold</b></p>"}, Options{Cover: d})
	if got := strings.Join(lines, "|"); got != "An <i>!|{{to}} bold|Ende" {
		t.Error(got)
	}
	d.Logo = nil
	_, without := coverLines(t, CoverFields{To: "<i>"}, Options{Cover: d})
	if with.Equal(without.Bitmap) {
		t.Error("the logo is not printed")
	}
}

func TestCoverDesign_Check(t *testing.T) {
	for _, c := range []struct {
		d    CoverDesign
		want string
	}{
		{CoverDesign{Language: "la"}, "use en, de, fr, es, nl"},
		{CoverDesign{Template: "{{name}}"}, "{{name}}: the fields are"},
		{CoverDesign{Template: strings.Repeat("x", maxTemplate+1)}, "at most 256"},
		{CoverDesign{Logo: []byte("x")}, "logo cannot be read"},
		{CoverDesign{Logo: bombPNG(50000, 50000)}, "logo cannot be read"},
	} {
		if err := c.d.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if err := (CoverDesign{Template: CoverTemplate}).Check(); err != nil {
		t.Error(err)
	}
}

// The header line has its rows to itself at every resolution and width, is of the same height on paper, and readable: its
// ink lies inside the scanner's area and is not cut.
func TestHeader_EveryResolutionAndWidth(t *testing.T) {
	text := HeaderText(HeaderFields{Time: time.Now(), FromName: "Contoso", FromNumber: "+1 425 555 0100", To: "+49 89 1", Page: 1, Pages: 9}, 1728, imaging.Fine)
	for _, res := range []imaging.Resolution{imaging.Standard, imaging.Fine, imaging.Superfine, imaging.R16, imaging.Res200, imaging.Res300, imaging.Res400, imaging.Res600} {
		for _, factor := range []int{1728, 2048, 2432} {
			width := PageWidth(res) * factor / 1728
			h := Header(text, width, res)
			kx, ky := perMM(res)
			x0, y0, x1, y1, n := inkBox(h)
			if mm := float64(h.Height) / ky; h.Width != width || mm < 2.9 || mm > 3.4 {
				t.Errorf("%v, %d pels: %d x %d, %.2f mm high", res, width, h.Width, h.Height, mm)
			}
			if n == 0 || y0 < 0 || y1 >= h.Height || float64(x0) < 4*kx || float64(width-x1) < 4*kx || float64(y1-y0)/ky < 2 {
				t.Errorf("%v, %d pels: ink from %d,%d to %d,%d", res, width, x0, y0, x1, y1)
			}
			page := imaging.New(width, 100)
			page.SetBlack(7, 0)
			page.SetBlack(width-1, 99)
			whole := imaging.Stack(h, page)
			if got := whole.Crop(whole.Bounds()); got.Height != h.Height+100 || !got.Black(7, h.Height) || !got.Black(width-1, h.Height+99) {
				t.Errorf("%v: the page below the line is changed", res)
			}
		}
	}
}
