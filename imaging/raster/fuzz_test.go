package raster

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/image/bmp"

	"github.com/tipring/tipring/imaging"
)

// fuzzTime is far beyond what any input that a fuzzer makes may take: one that takes longer hangs.
const fuzzTime = time.Minute

// fuzzRender has a renderer make pages and checks what holds whatever it is given: each page is one, there are no more than allowed, and an
// error is one that people are told of.
func fuzzRender(t *testing.T, opt Options, do func(context.Context, *renderer) error) {
	ctx, cancel := context.WithTimeout(context.Background(), fuzzTime)
	defer cancel()
	pages := 0
	r := &renderer{opt: opt, sheet: newSheet(opt), emit: func(p *imaging.Page) error {
		pages++
		checkPage(t, p)
		for y := range p.Height {
			if last := p.Row(y)[p.Stride-1]; p.Width%64 != 0 && last<<(p.Width%64) != 0 {
				t.Fatalf("page %d, line %d: pels beyond the width", pages, y)
			}
		}
		return nil
	}}
	err := do(ctx, r)
	known := err == nil
	for _, c := range codes {
		known = known || errors.Is(err, c.err)
	}
	if !known {
		t.Fatalf("no error that people are told of: %v", err)
	}
	if pages > opt.MaxPages {
		t.Fatalf("%d pages", pages)
	}
	if ctx.Err() != nil {
		t.Fatal("it hangs")
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("a\tb\f\xfc\n"), "iso-8859-1", true)
	f.Add([]byte("\xff\xfea\x00\x0a\x00\xe9\x05\x3d\xd8\x00\xde"), "utf-16le", false)
	f.Add([]byte("שלום עולם 12 abc\nمرحبا بالعالم\nสวัสดี\n漢字\u200d\u202e x\u202c e\u0301"), "utf-8", true)
	f.Add([]byte(strings.Repeat("word ", 60)+"\f\f"+strings.Repeat("x", 300)), "", false)
	f.Add([]byte("\x1b$B4A;z\x1b(B"), "iso-2022-jp", true)
	f.Fuzz(func(t *testing.T, data []byte, charset string, prop bool) {
		if len(data) > 4000 {
			return
		}
		d := textDoc(string(data))
		d.Charset = charset
		opt := Options{Resolution: imaging.Standard, MaxPages: 20, Proportional: prop}
		fuzzRender(t, opt, func(ctx context.Context, r *renderer) error { return r.text(ctx, d) })
	})
}

func FuzzHTML(f *testing.F) {
	dot := base64.StdEncoding.EncodeToString(encodePNG(f, grayPicture(20, 20)))
	for _, src := range []string{
		"<ul><li><table><tr><td>x<td><pre>y",
		`<table border=1><tr><td width="200%">a<td>b</table><ol><li>x</ol><img src="data:,x"><hr size=99999>`,
		`<h1 style="font-size:1e9pt">x</h1><center>y</center><p dir=rtl>שלום`,
		"<b>a<p>b</b>c<blockquote><ol><li>1<li><h1>z",
		`<table border=1 width=100% cellpadding=4><tr><td rowspan=2 colspan="3" align=right bgcolor="#ccc">a<td><table><tr><td>b<th>c</table><tr><td>d</table>`,
		`<p>x<img width=40 height="1e5" src="data:image/png;base64,` + dot + `"><img width=1 height=1 src=cid:x alt="logo">`,
		`<div style="text-align:center;margin-left:99999px;color:#fff;background:black">a<br><span style="display:none">b</span><font size=+7 face=x>c</font></div>`,
		`<ol start=-5 type=i><li value=999999999>a<ul type=square><li>b</ul></ol><dl><dt>t<dd>d</dl><pre>` + "a\tb\r\n\n c</pre><hr width=3>",
		`<!DOCTYPE html><html lang=ar dir=rtl><meta charset=utf-8><title>t</title><body>مرحبا <bdo dir=ltr>abc</bdo> 123 &amp; &#x202e; &#1114111; &nbsp;<script>x</script><style>p{}</style>`,
		strings.Repeat("<div><blockquote>", 40) + "deep" + strings.Repeat("<td>", 20),
	} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 4000 {
			return
		}
		opt := Options{Resolution: imaging.Standard, MaxPages: 20}
		fuzzRender(t, opt, func(ctx context.Context, r *renderer) error { return r.html(ctx, docOf([]byte(src), "")) })
	})
}

// partsOf returns the named parts of a Word document, of the body what is inside it.
func partsOf(f *testing.F, path string, names ...string) (list []string) {
	z, err := zip.OpenReader(path)
	if err != nil {
		f.Fatal(err)
	}
	defer z.Close()
	for _, name := range names {
		r, err := z.Open(name)
		if err != nil {
			f.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			f.Fatal(err)
		}
		s := string(b)
		if _, body, ok := strings.Cut(s, "<w:body>"); ok {
			s, _, _ = strings.Cut(body, "</w:body>")
		}
		list = append(list, s)
	}
	return list
}

func FuzzDOCX(f *testing.F) {
	f.Add(para("x"), `<w:styles NS><w:style w:styleId="a"><w:basedOn w:val="a"/></w:style></w:styles>`, "<w:numbering NS/>")
	f.Add(`<w:tbl><w:tblGrid><w:gridCol w:w="-1"/></w:tblGrid><w:tr><w:tc><w:tcPr><w:gridSpan w:val="99999999"/></w:tcPr><w:p/></w:tc></w:tr></w:tbl>`, "", "")
	f.Add(`<w:p><w:pPr><w:ind w:left="1e300"/><w:numPr><w:ilvl w:val="8"/><w:numId w:val="1"/></w:numPr></w:pPr><w:r><w:rPr><w:sz w:val="NaN"/></w:rPr><w:tab/><w:t>a</w:t></w:r></w:p>`,
		"", `<w:numbering NS><w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="8"><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%9%8"/></w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num></w:numbering>`)
	f.Add(`<w:tbl><w:tr><w:tc><w:tcPr><w:vMerge w:val="restart"/></w:tcPr>`+para("a")+`</w:tc></w:tr><w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr><w:tbl><w:tr><w:tc>`+para("b")+
		`</w:tc></w:tr></w:tbl></w:tc></w:tr></w:tbl><w:p><w:pPr><w:pStyle w:val="H"/><w:jc w:val="both"/></w:pPr><w:r><w:br w:type="page"/><w:sym w:char="F0B7"/><w:t>c</w:t></w:r></w:p>`,
		`<w:styles NS><w:docDefaults><w:rPrDefault><w:rPr><w:sz w:val="99999"/></w:rPr></w:rPrDefault></w:docDefaults><w:style w:styleId="H" w:type="paragraph"><w:pPr><w:spacing w:line="-240" w:before="65000"/></w:pPr></w:style></w:styles>`, "")
	letter := partsOf(f, "testdata/letter.docx", "word/document.xml", "word/styles.xml", "word/numbering.xml")
	f.Add(letter[0], letter[1], letter[2])
	f.Fuzz(func(t *testing.T, body, styles, numbers string) {
		if len(body)+len(styles)+len(numbers) > 40000 {
			return
		}
		data := makeDOCX(t, body, map[string]string{"word/styles.xml": styles, "word/numbering.xml": numbers})
		opt := Options{Resolution: imaging.Standard, MaxPages: 3}
		fuzzRender(t, opt, func(ctx context.Context, r *renderer) error { return r.docx(ctx, docOf(data, "x.docx")) })
	})
}

// FuzzPicture also unpacks and renders what is small.
func FuzzPicture(f *testing.F) {
	small := grayPicture(20, 20)
	f.Add(encodePNG(f, small))
	f.Add(withEXIF(encodeJPEG(f, small), 6))
	f.Add(bombPNG(50000, 50000))
	f.Add(rleBMP(6, 2, 8, 1, 2, 1, 0, 3, 2, 3, 1, 0, 0, 2, 1, 0, 6, 3, 0, 1))
	f.Add(rleBMP(6, 2, 4, 2, 3, 0x12, 0, 3, 0x12, 0x30, 0, 0, 0, 5, 0x11, 0x22, 0x30, 0, 0, 1))
	pal := image.NewPaletted(image.Rect(0, 0, 30, 9), color.Palette{color.White, color.Transparent, color.Black})
	for i := range pal.Pix {
		pal.Pix[i] = uint8(i % 3)
	}
	f.Add(encodePNG(f, pal))
	f.Add(encodePNG(f, image.NewNRGBA64(image.Rect(0, 0, 9, 33))))
	ycc := image.NewYCbCr(image.Rect(0, 0, 17, 35), image.YCbCrSubsampleRatio420)
	f.Add(withEXIF(encodeJPEG(f, ycc), 8))
	var b bytes.Buffer
	for _, encode := range []func() error{
		func() error { return gif.Encode(&b, pal, nil) },
		func() error { return bmp.Encode(&b, small) },
		func() error { return bmp.Encode(&b, pal) },
		func() error { return bmp.Encode(&b, image.NewNRGBA(image.Rect(0, 0, 7, 3))) },
	} {
		b.Reset()
		if err := encode(); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(b.Bytes()))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc := docOf(data, "")
		for _, kind := range []Type{TypePNG, TypeJPEG, TypeGIF, TypeBMP, TypeWebP} {
			info, err := pictureHeader(doc, kind)
			if err != nil || info.check() != nil {
				continue
			}
			if float64(info.w)*float64(info.h)*info.perPix > maxDecoded {
				t.Fatalf("%v of %d x %d passes", kind, info.w, info.h)
			}
			if info.w*info.h > 1<<16 {
				continue // allowed, but slow
			}
			opt := Options{Resolution: imaging.Standard, MaxPages: 20}
			fuzzRender(t, opt, func(ctx context.Context, r *renderer) error { return r.picture(ctx, doc, kind) })
		}
	})
}

func FuzzShape(f *testing.F) {
	f.Add("שלום (abc) 12\tسلام", true)
	f.Add("\u202e\u2066x\u2069\u200d\ufe0f é̈", false)
	f.Add("漢字、ไทย\u200bที่", false)
	f.Fuzz(func(t *testing.T, text string, keep bool) {
		if len(text) > 2000 {
			return
		}
		ts := newTypesetter(imaging.Standard, nil)
		b := imaging.New(300, 40)
		for _, l := range ts.wrap([]span{{text, style{face: regular, pt: bodyPt}}}, 250, keep) {
			for _, p := range l.pieces {
				if p.rtl {
					ts.drawRTL(b, p.st, p.text, p.x, 30)
				} else {
					ts.draw(b, p.st, p.text, p.x, 30)
				}
			}
		}
	})
}
