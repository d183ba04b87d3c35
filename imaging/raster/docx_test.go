package raster

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"os"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// makeDOCX builds a Word document with the given body and further parts.
func makeDOCX(t testing.TB, body string, parts map[string]string) []byte {
	t.Helper()
	const ns = `xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="r" xmlns:a="a" xmlns:wp="wp" xmlns:mc="mc" xmlns:v="v"`
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	add := func(name, text string) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("[Content_Types].xml", "<Types/>")
	add("word/document.xml", "<w:document "+ns+"><w:body>"+body+"</w:body></w:document>")
	for name, text := range parts {
		add(name, strings.Replace(text, " NS>", " "+ns+">", 1))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func para(text string) string { return "<w:p><w:r><w:t>" + text + "</w:t></w:r></w:p>" }

// The letter's first page has its text where the document says, and nothing hidden.
func TestDOCX_LibreOfficeLetter(t *testing.T) {
	data, err := os.ReadFile("testdata/letter.docx")
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range []imaging.Resolution{imaging.Standard, imaging.Fine, imaging.Res300} {
		pages := mustRender(t, docOf(data, "letter.docx"), Options{Resolution: res}, 2)
		for _, p := range pages {
			insideMargins(t, p)
		}
		kx, ky := perMM(res)
		ink := func(x0, y0, x1, y1 float64) int { // per cent of a rectangle in mm
			return inkShare(pages[0].Bitmap, int(x0*kx), int(y0*ky), int(x1*kx), int(y1*ky))
		}
		if head, blank := ink(115, 15, 195, 21), ink(25, 15, 90, 20); head < 5 || blank != 0 {
			t.Errorf("%v: letterhead at the right %d %%, left of it %d %%", res, head, blank)
		}
		if disc := ink(28, 27, 36, 35); disc < 95 { // the logo is solid, not screened
			t.Errorf("%v: the logo's disc is %d %% black", res, disc)
		}
	}
	if len(pagesText(t, data)) == 0 {
		t.Error("no text")
	}
	text := strings.Join(pagesText(t, data), "|")
	for _, want := range []string{"Hafenkontor Müller & Söhne", "Delivery of the pumps", "left our yard", "within the week[1]", "Bilge pump", "1.280,00 €",
		"a)", "Keep the crates", "[1] Weather permitting", "Bank: DE00", "Ελληνικά, Русский"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %q", want, text)
		}
	}
	for _, not := range []string{"HIDDEN", "Page "} {
		if strings.Contains(text, not) {
			t.Errorf("%q is printed", not)
		}
	}
}

// pagesText returns what a document prints, line by line.
func pagesText(t *testing.T, data []byte) (lines []string) {
	t.Helper()
	printed = func(l line) {
		var b strings.Builder
		for i, p := range l.pieces {
			if i > 0 && p.x > l.pieces[i-1].x {
				if last := l.pieces[i-1]; p.x > last.x+last.w+0.5 {
					b.WriteByte(' ')
				}
			}
			b.WriteString(p.text)
		}
		lines = append(lines, b.String())
	}
	defer func() { printed = nil }()
	if _, err := render(t, docOf(data, "x.docx"), Options{}); err != nil {
		t.Fatal(err)
	}
	return lines
}

func inkShare(b *imaging.Bitmap, x0, y0, x1, y1 int) int {
	n := 0
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			if b.Black(x, y) {
				n++
			}
		}
	}
	return n * 100 / ((x1 - x0) * (y1 - y0))
}

func TestDOCX_Contents(t *testing.T) {
	numbering := `<w:numbering NS><w:abstractNum w:abstractNumId="7">` +
		`<w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="upperRoman"/><w:lvlText w:val="%1."/></w:lvl>` +
		`<w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1%2)"/></w:lvl></w:abstractNum>` +
		`<w:num w:numId="2"><w:abstractNumId w:val="7"/></w:num></w:numbering>`
	item := func(level int, text string) string {
		return fmt.Sprintf(`<w:p><w:pPr><w:numPr><w:ilvl w:val="%d"/><w:numId w:val="2"/></w:numPr></w:pPr><w:r><w:t>%s</w:t></w:r></w:p>`, level, text)
	}
	cell := func(s string) string { return "<w:tc>" + para(s) + "</w:tc>" }
	for _, c := range []struct {
		name, body, want string
	}{
		{"runs", `<w:p><w:r><w:t xml:space="preserve">one </w:t></w:r><w:hyperlink><w:r><w:t>two</w:t></w:r></w:hyperlink></w:p>`, "one two"},
		{"changes", `<w:p><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del></w:p>`, "new"},
		{"hidden", `<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>x</w:t></w:r><w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>seen</w:t></w:r></w:p>`, "seen"},
		{"capitals", `<w:p><w:r><w:rPr><w:caps/></w:rPr><w:t>grüße</w:t></w:r></w:p>`, "GRÜSSE|GRÜßE"},
		{"lists", item(0, "a") + item(1, "b") + item(1, "c") + item(0, "d") + item(1, "e"), "III.|a|IIIa)|b|IIIb)|c|IV.|d|IVa)|e"},
		{"control", `<w:sdt><w:sdtContent>` + para("inside") + `</w:sdtContent></w:sdt>`, "inside"},
		{"text box once", `<w:p><w:r><mc:AlternateContent><mc:Choice><w:drawing><w:txbxContent>` + para("box") + `</w:txbxContent></w:drawing></mc:Choice><mc:Fallback><w:pict><w:txbxContent>` +
			para("box") + `</w:txbxContent></w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>`, "box"},
		{"table", `<w:tbl><w:tr>` + cell("l") + cell("r") + `</w:tr><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr>` + para("both") + `</w:tc></w:tr></w:tbl>`, "l|r|both"},
		{"nested table", `<w:tbl><w:tr><w:tc>` + `<w:tbl><w:tr>` + cell("in") + `</w:tr></w:tbl>` + para("out") + `</w:tc></w:tr></w:tbl>`, "in|out"},
		{"field", `<w:p><w:r><w:fldChar/></w:r><w:r><w:instrText>DATE</w:instrText></w:r><w:r><w:t>1 May</w:t></w:r></w:p>`, "1 May"},
		{"symbol", `<w:p><w:r><w:sym w:char="F0B7"/><w:sym w:char="20AC"/></w:r></w:p>`, "•€"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(pagesText(t, makeDOCX(t, c.body, map[string]string{"word/numbering.xml": numbering})), "|")
			ok := got == c.want
			for _, w := range strings.Split(c.want, "|") {
				ok = ok || c.name == "capitals" && got == w
			}
			if !ok {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	pages := mustRender(t, docOf(makeDOCX(t, para("1")+`<w:p><w:r><w:br w:type="page"/><w:t>2</w:t></w:r></w:p><w:p><w:pPr><w:pageBreakBefore/></w:pPr><w:r><w:t>3</w:t></w:r></w:p>`, nil), ""), Options{}, 3)
	for _, p := range pages {
		insideMargins(t, p)
	}
	_, err := render(t, docOf(makeDOCX(t, "<w:p/>", nil), ""), Options{})
	wantErr(t, err, ErrEmpty)
}

// A picture keeps the size that the document gives it; one that cannot be drawn leaves a note.
func TestDOCX_Pictures(t *testing.T) {
	body := `<w:p><w:r><w:drawing><wp:extent cx="3600000" cy="1800000"/><a:blip r:embed="p1"/></w:drawing></w:r></w:p>`
	rels := `<Relationships><Relationship Id="p1" Target="media/p.png"/></Relationships>`
	black := image.NewGray(image.Rect(0, 0, 40, 20))
	p := mustRender(t, docOf(makeDOCX(t, body, map[string]string{"word/_rels/document.xml.rels": rels, "word/media/p.png": string(encodePNG(t, black))}), ""), Options{}, 1)[0]
	kx, ky := perMM(p.Resolution)
	x0, y0, x1, y1, _ := inkBox(p.Bitmap)
	if w, h := float64(x1-x0+1)/kx, float64(y1-y0+1)/ky; w < 99 || w > 101 || h < 49 || h > 51 {
		t.Errorf("%.1f x %.1f mm, want 100 x 50", w, h)
	}
	for name, part := range map[string]string{"bomb": string(bombPNG(50000, 50000)), "metafile": "\xd7\xcd\xc6\x9a"} {
		got := pagesText(t, makeDOCX(t, body, map[string]string{"word/_rels/document.xml.rels": rels, "word/media/p.png": part}))
		if strings.Join(got, "|") != "[picture]" {
			t.Errorf("%s: %q", name, got)
		}
	}
	outside := strings.Replace(rels, `Target=`, `TargetMode="External" Target=`, 1)
	if got := pagesText(t, makeDOCX(t, body, map[string]string{"word/_rels/document.xml.rels": outside})); strings.Join(got, "|") != "[picture]" {
		t.Errorf("a picture elsewhere: %q", got)
	}
}

func TestDOCX_Refused(t *testing.T) {
	deep := strings.Repeat("<w:sdt>", 5000) + strings.Repeat("</w:sdt>", 5000)
	bomb := "<w:p><w:r><w:t>" + strings.Repeat("a", maxXML) + "</w:t></w:r></w:p>"
	var rows strings.Builder
	for i := range maxXMLElements + 10 {
		fmt.Fprintf(&rows, "<w:tr w:id=\"%x\"/>", uint32(i)*2654435761)
	}
	wide := "<w:tbl>" + rows.String() + "</w:tbl>"
	whole := makeDOCX(t, para("x"), nil)
	cut := func(s string) []byte { return makeDOCX(t, s, nil) }
	many := bytes.Clone(whole)
	binary.LittleEndian.PutUint16(many[len(many)-22+10:], maxZipEntries+1)
	list := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(list[len(list)-22+12:], 1<<31)
	locked := bytes.Clone(whole)
	for i := 0; ; i++ { // the flag of each directory entry
		at := bytes.Index(locked[i:], []byte("PK\x01\x02"))
		if at < 0 {
			break
		}
		i += at
		locked[i+8] |= 1
	}
	ole := append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 1024)...)
	ole[30] = 9
	for i, c := range []byte("EncryptedPackage") {
		ole[512+2*i] = c
	}
	for _, c := range []struct {
		name string
		data []byte
		want error
		what string
	}{
		{"deep", cut(deep), ErrBroken, "nested too deep"},
		{"bomb", cut(bomb), ErrTooLarge, "unpacks to too much"},
		{"wide", cut(wide), ErrTooLarge, "very large table"},
		{"unclosed", cut("<w:p>"), ErrBroken, docxName},
		{"entity", cut("<w:p><w:r><w:t>&lol;</w:t></w:r></w:p>"), ErrBroken, docxName},
		{"no document", makeZip(t, "word/other.xml", "x"), ErrBroken, docxName},
		{"macros", makeDOCX(t, para("x"), map[string]string{"word/vbaProject.bin": "x"}), ErrUnsupported, "macros"},
		{"many parts", many, ErrTooLarge, "parts"},
		{"long list", list, ErrTooLarge, "parts"},
		{"truncated", whole[:len(whole)/2], ErrBroken, docxName},
		{"locked", locked, ErrEncrypted, ""},
		{"password", ole, ErrEncrypted, ""},
		{"slides", makeZip(t, "ppt/presentation.xml", "x"), ErrUnsupported, "PowerPoint"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := ""
			if c.name == "truncated" || c.name == "no document" {
				name = "x.docx"
			}
			_, err := render(t, docOf(c.data, name), Options{})
			wantErr(t, err, c.want)
			var f *Failure
			if c.what != "" && (!errors.As(err, &f) || !strings.Contains(f.Error(), c.what)) {
				t.Errorf("%v does not say %q", err, c.what)
			}
		})
	}
}

func makeZip(t testing.TB, name, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
