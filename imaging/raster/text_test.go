package raster

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/imaging"
)

func textDoc(s string) Document {
	d := docOf([]byte(s), "a.txt")
	d.MIME = "text/plain"
	return d
}

// insideMargins checks that nothing is printed in the margins.
func insideMargins(t *testing.T, p *imaging.Page) {
	t.Helper()
	kx, ky := perMM(p.Resolution)
	x0, y0, x1, _, n := inkBox(p.Bitmap)
	if n == 0 {
		t.Error("a blank page")
		return
	}
	if float64(x0) < 18*kx || float64(x1) > 198*kx || float64(y0) < 13*ky {
		t.Errorf("ink from %d,%d to %d", x0, y0, x1)
	}
}

func TestText_Pages(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("The quick brown fox\n", n) }
	for _, c := range []struct {
		name, text string
		pages      int
	}{
		{"one line", "Hello", 1},
		{"full page", lines(55), 1},
		{"two pages", lines(80), 2},
		{"form feed", "one\ftwo\f\fthree\f", 3},
		{"form feed and newline", "one\n\f\ntwo\n", 2},
		{"long line wraps", strings.Repeat("word ", 2000), 3},
		{"long word wraps", strings.Repeat("x", 10000), 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range mustRender(t, textDoc(c.text), Options{}, c.pages) {
				insideMargins(t, p)
			}
		})
	}
	for _, blank := range []string{" \n\t\r\n\f", "\x1b\b", "\ufeff"} {
		_, err := render(t, textDoc(blank), Options{})
		wantErr(t, err, ErrEmpty)
	}
	_, err := render(t, textDoc(strings.Repeat("x\f", 20)), Options{MaxPages: 5})
	wantErr(t, err, ErrTooManyPages)
}

func TestText_EightyColumnsFit(t *testing.T) {
	one := mustRender(t, textDoc(strings.Repeat("M", 80)), Options{}, 1)[0]
	_, y0, _, y1, _ := inkBox(one.Bitmap)
	if kx, ky := perMM(imaging.Fine); float64(y1-y0) > 5*ky || kx == 0 {
		t.Errorf("80 columns take %d lines", y1-y0)
	}
	if _, err := render(t, textDoc(strings.Repeat("M", 80)), Options{Paper: Letter}); err != nil {
		t.Error(err)
	}
}

func TestText_Charsets(t *testing.T) {
	want := mustRender(t, textDoc("Grüße, 5 €"), Options{}, 1)[0]
	for name, d := range map[string]Document{
		"windows-1252 undeclared": textDoc("Gr\xfc\xdfe, 5 \x80"),
		"windows-1252 as latin-1": {Charset: "iso-8859-1"},
		"utf-8 declared latin-1":  {Charset: "ISO-8859-1"},
		"utf-16":                  textDoc("\xff\xfeG\x00r\x00\xfc\x00\xdf\x00e\x00,\x00 \x005\x00 \x00\xac\x20"),
		"decomposed":              textDoc("Gru\u0308ße, 5 €"),
		"byte order mark":         textDoc("\ufeffGrüße, 5 €"),
		"unknown charset":         {Charset: "x-nonsense"},
	} {
		if d.R == nil {
			text := "Grüße, 5 €"
			if name == "windows-1252 as latin-1" {
				text = "Gr\xfc\xdfe, 5 \x80"
			}
			cs := d.Charset
			d = textDoc(text)
			d.Charset = cs
		}
		if got := mustRender(t, d, Options{}, 1)[0]; !got.Equal(want.Bitmap) {
			t.Errorf("%s prints something else", name)
		}
	}
}

func TestText_TabsAndReplacement(t *testing.T) {
	a := mustRender(t, textDoc("a\tb"), Options{}, 1)[0]
	b := mustRender(t, textDoc("a       b"), Options{}, 1)[0]
	if !a.Equal(b.Bitmap) {
		t.Error("a tab does not go to column 8")
	}
	// A script without glyphs must leave a visible box per rune.
	ts := newTypesetter(imaging.Fine, nil)
	st := style{face: mono, pt: monoPt}
	for _, r := range "漢字😀" {
		g := ts.shape(st, string(r), false).glyphs
		if len(g) != 1 || !g[0].bits.Black(0, 0) || !g[0].bits.Black(g[0].bits.Width-1, g[0].bits.Height-1) {
			t.Errorf("%q is not drawn as a box", r)
		}
	}
}

func TestHTML_Layout(t *testing.T) {
	src := `<html><head><title>T</title><style>x</style></head><body><p>%s<script>document.write("BAD")</script></p>
<ul><li>one</ul><table><tr><td>a<td>b</table><div style="display:none">BAD</div><pre>x  y</pre><img src="http://x/" alt="Logo"></body>`
	p := mustRender(t, docOf(fmt.Appendf(nil, src, "Hello"), "a.html"), Options{}, 1)[0]
	insideMargins(t, p)
	without := strings.NewReplacer("<script>document.write(\"BAD\")</script>", "", `<div style="display:none">BAD</div>`, "", "<title>T</title>", "").Replace(src)
	q := mustRender(t, docOf(fmt.Appendf(nil, without, "Hello"), "a.html"), Options{}, 1)[0]
	if !p.Equal(q.Bitmap) {
		t.Error("hidden parts are printed")
	}
	r := mustRender(t, docOf(fmt.Appendf(nil, src, "Hallo"), "a.html"), Options{}, 1)[0]
	if p.Equal(r.Bitmap) {
		t.Error("the text is not printed")
	}
	_, err := render(t, docOf([]byte("<html><body><img src=x></body></html>"), ""), Options{})
	wantErr(t, err, ErrEmpty)
	deep := "<html>" + strings.Repeat("<div>", 5000) + "deep"
	if _, err := render(t, docOf([]byte(deep), ""), Options{}); err != nil && !strings.Contains(err.Error(), ErrEmpty.Error()) && !strings.Contains(err.Error(), ErrBroken.Error()) {
		t.Error(err)
	}
}

func TestHeader(t *testing.T) {
	fields := HeaderFields{Time: time.Date(2026, 11, 22, 16, 5, 0, 0, time.UTC), FromName: "Kanzlei Müller & Söhne", FromNumber: "+49 89 1234567",
		To: "+1 425 555 0100", Page: 2, Pages: 12}
	if got, want := HeaderText(fields, 1728, imaging.Fine), "2026-11-22 16:05\tKanzlei Müller & Söhne\t+49 89 1234567\tto +1 425 555 0100\tPage 2/12"; got != want {
		t.Errorf("header %q, want %q", got, want)
	}
	for _, res := range []imaging.Resolution{imaging.Standard, imaging.Fine, imaging.Superfine, imaging.R16, imaging.Res200, imaging.Res300, imaging.Res400, imaging.Res600} {
		for _, name := range []string{"", "x", strings.Repeat("Langer Name ", 40), strings.Repeat("漢字", 100), "a\r\nb\x00\tPage 1/1\u202e"} {
			f := fields
			f.FromName = name
			text := HeaderText(f, PageWidth(res), res)
			if strings.ContainsAny(text, "\r\n\x00\u202e") || strings.Count(text, "\t") > 4 {
				t.Errorf("unclean header %q", text)
			}
			for _, must := range []string{"2026-11-22 16:05", "+49 89 1234567", "Page 2/12"} {
				if !strings.Contains(text, must) {
					t.Errorf("header %q lacks %q", text, must)
				}
			}
			b := Header(text, PageWidth(res), res)
			kx, ky := perMM(res)
			x0, y0, x1, y1, n := inkBox(b)
			if b.Width != PageWidth(res) || float64(b.Height) > 3.3*ky || n == 0 {
				t.Errorf("%v: header of %dx%d with %d pels", res, b.Width, b.Height, n)
			}
			if float64(x0) < 4*kx || float64(x1) > float64(b.Width)-4*kx || y0 < 0 || y1 >= b.Height {
				t.Errorf("%v: ink from %d to %d of %d in %q", res, x0, x1, b.Width, text)
			}
		}
	}
	if b := Header(" \t ", 1728, imaging.Fine); b.Height != 0 || b.Width != 1728 {
		t.Errorf("an empty header has %d rows", b.Height)
	}
	if b := Header(strings.Repeat("x", 100000), 1728, imaging.Fine); b.Height == 0 {
		t.Error("a long text gives no header")
	}
}

func TestCover(t *testing.T) {
	count := func(c CoverFields) (n int) {
		t.Helper()
		err := Cover(context.Background(), c, Options{}, func(p *imaging.Page) error { n++; insideMargins(t, p); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	c := CoverFields{To: "A", ToNumber: "1", From: "B", Subject: "x\r\ny", Pages: 3, Date: time.Now(), Text: "Hi"}
	if n := count(c); n != 1 {
		t.Errorf("%d pages", n)
	}
	c.Text = strings.Repeat("line\n", 100)
	if n := count(c); n != 3 {
		t.Errorf("%d pages for a long text, want 3", n)
	}
	c.Text, c.HTML = "", "<h1>Hi</h1><p>there</p>"
	if n := count(c); n != 1 {
		t.Errorf("%d pages", n)
	}
	if n := count(CoverFields{}); n != 1 {
		t.Errorf("%d pages of an empty cover", n)
	}
}
