package raster

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// The order on paper of words of both directions, from left to right; each Hebrew word is written as it is read.
func TestVisual_Order(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"abc def", "abc def"},
		{"שלום רב", "רב שלום"},
		{"שלום English רב", "רב English שלום"},
		{"שלום 12 רב", "רב 12 שלום"},
		{"see שלום רב there", "see רב שלום there"},
		{"see שלום 12 there", "see 12 שלום there"},
		{"שלום.", "שלום."},
		{"(שלום) abc", "abc (שלום)"},
		{"מס' 30.11.2026 רב", "רב 30.11.2026 מס'"},
		{"سلام info@example.com هاتف", "هاتف info@example.com سلام"},
	} {
		ts := newTypesetter(imaging.Fine, nil)
		lines := ts.wrap([]span{{c.text, style{face: regular, pt: bodyPt}}}, 1e6, false)
		if len(lines) != 1 {
			t.Fatalf("%q: %d lines", c.text, len(lines))
		}
		var words []string
		end := -1.0
		for _, p := range lines[0].pieces {
			if p.x < end-0.01 {
				t.Errorf("%q: %q overlaps what is left of it", c.text, p.text)
			}
			end = p.x + p.w
			words = append(words, p.text)
		}
		got := strings.Join(words, " ")
		if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(c.want, " ", "") {
			t.Errorf("%q stands as %q, want %q", c.text, got, c.want)
		}
	}
}

// Arabic letters join: a word is narrower than its letters apart, and another shape than those.
func TestShape_Joins(t *testing.T) {
	ts := newTypesetter(imaging.Res300, nil)
	st := style{face: regular, pt: 20}
	word, apart := ts.measure(st, "سلام"), 0.0
	for _, r := range "سلام" {
		apart += ts.measure(st, string(r))
	}
	if word >= apart*0.95 {
		t.Errorf("the word is %.0f pels wide, its letters %.0f", word, apart)
	}
	if joined, split := ts.measure(st, "لا"), ts.measure(st, "ل\u200cا"); joined >= split {
		t.Errorf("lam-alef %.0f, with a non-joiner %.0f", joined, split)
	}
	if with, without := ts.measure(st, "x\u0323"), ts.measure(st, "x"); with > without*1.2 {
		t.Errorf("a mark below takes %.1f pels of its own", with-without)
	}
	// No box for any of these.
	for _, text := range []string{"שָׁלוֹם", "مرحباً", "Հայ", "ქართული", "ไทยที่", "→✓≤", "Ἐν", "Ž̌"} {
		ts.stretches(regular, text, func(part string, complex bool) {
			if !complex {
				return
			}
			for _, r := range part {
				if f := newShaper(ts, nil).ResolveFace(r); !isMark(r) {
					if _, ok := f.NominalGlyph(r); !ok {
						t.Errorf("%q has no glyph", r)
					}
				}
			}
		})
	}
}

func TestWrap_WithoutSpaces(t *testing.T) {
	ts := newTypesetter(imaging.Fine, nil)
	text := strings.Repeat("漢字、", 60)
	lines := ts.wrap([]span{{text, style{face: regular, pt: bodyPt}}}, 800, false)
	got := ""
	for i, l := range lines {
		if l.width > 800 {
			t.Errorf("line %d is %.0f pels wide", i, l.width)
		}
		if first := l.pieces[0].text; strings.HasPrefix(first, "、") {
			t.Errorf("line %d begins with a comma", i)
		}
		for _, p := range l.pieces {
			got += p.text
		}
	}
	if got != text || len(lines) < 5 {
		t.Errorf("%d lines, text kept: %v", len(lines), got == text)
	}
}

// Right-to-left paragraphs stand at the right edge, their bullets too.
func TestHTML_RightToLeft(t *testing.T) {
	p := mustRender(t, docOf([]byte(`<html><p>שלום רב</p><ul><li>ראשון</li></ul>`), "a.html"), Options{}, 1)[0]
	insideMargins(t, p)
	kx, _ := perMM(p.Resolution)
	x0, _, x1, _, _ := inkBox(p.Bitmap)
	if float64(x0) < 150*kx || float64(x1) < 190*kx {
		t.Errorf("ink from %.0f to %.0f mm", float64(x0)/kx, float64(x1)/kx)
	}
}

func TestFonts_Folder(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(dir+"/"+name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a-broken.ttf", []byte("no font"))
	write("b.TTF", dejavuTTF)
	write("readme.txt", []byte("x"))
	fonts, err := openFonts(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fonts.close()
	if f, ok := fonts.font(0); !ok || f != nil {
		t.Error("a broken font is taken for a font")
	}
	if f, ok := fonts.font(1); !ok || f == nil {
		t.Error("the font is not found")
	}
	if _, ok := fonts.font(2); ok {
		t.Error("a text is taken for a font")
	}
	s := newShaper(newTypesetter(imaging.Fine, fonts), fonts)
	if f := s.ResolveFace('漢'); f != s.own[0] {
		t.Error("a character that nobody has")
	}
	if _, err := openFonts(dir + "/none"); err == nil {
		t.Error("a folder that is not there is not noticed")
	}
	if err := RenderDocument(context.Background(), textDoc("x"), Options{Fonts: dir + "/none"}, func(*imaging.Page) error { return nil }); err == nil {
		t.Error("rendering goes on without the folder")
	}
}
