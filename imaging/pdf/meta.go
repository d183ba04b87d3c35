package pdf

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
)

// Meta is what a file says of itself. It stands in the file twice, as document information (ISO 32000-1 14.3.3) and as XMP (ISO 19005-1
// 6.7), and says the same in both.
type Meta struct {
	Title     string
	Author    string    // the far end, for a received fax
	Producer  string    // "" is Tipring
	Time      time.Time // creation date; zero: none
	FirstPage int       // number of the first page, for the page labels; 0 is 1
}

// maxText is how many octets of a text are kept.
const maxText = 1000

// clean returns m as every reader can take it: valid characters only, and a date of four digits.
func (m Meta) clean() Meta {
	m.Title, m.Author, m.Producer = cleanText(m.Title), cleanText(m.Author), cleanText(m.Producer)
	if m.Producer == "" {
		m.Producer = "Tipring"
	}
	m.FirstPage = min(max(m.FirstPage, 1), 1<<30)
	if _, offset := m.Time.Zone(); offset%60 != 0 || offset <= -24*3600 || offset >= 24*3600 {
		m.Time = m.Time.UTC()
	}
	if y := m.Time.Year(); y < 1 || y > 9999 {
		m.Time = time.Time{}
	}
	m.Time = m.Time.Truncate(time.Second)
	return m
}

// cleanText replaces what XML 1.0 has no characters for (2.2) by spaces.
func cleanText(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r < 0x20, r >= 0x7f && r < 0xa0, r == 0xfffe, r == 0xffff, r == 0xfeff:
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	for i := range s {
		if i >= maxText {
			s = s[:i]
			break
		}
	}
	return strings.Join(strings.Fields(s), " ")
}

// info returns the document information dictionary.
func (m Meta) info() string {
	var s strings.Builder
	s.WriteString("<</Producer" + text(m.Producer))
	if m.Title != "" {
		s.WriteString("/Title" + text(m.Title))
	}
	if m.Author != "" {
		s.WriteString("/Author" + text(m.Author))
	}
	if !m.Time.IsZero() {
		s.WriteString("/CreationDate(" + date(m.Time) + ")")
	}
	s.WriteString(">>")
	return s.String()
}

// xmp returns the metadata packet (XMP specification part 1, 7), with the mark of PDF/A-1b (ISO 19005-1 6.7.11).
func (m Meta) xmp() []byte {
	var b bytes.Buffer
	b.WriteString("<?xpacket begin=\"\ufeff\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n" +
		`<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">` + "\n" +
		`<rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"><pdfaid:part>1</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance></rdf:Description>` + "\n")
	describe := func(space, uri, before, value, after string) {
		if value == "" {
			return
		}
		fmt.Fprintf(&b, `<rdf:Description rdf:about="" xmlns:%s="%s">%s`, space, uri, before)
		_ = xml.EscapeText(&b, []byte(value)) // a Buffer never fails
		b.WriteString(after + "</rdf:Description>\n")
	}
	const dc = "http://purl.org/dc/elements/1.1/"
	describe("pdf", "http://ns.adobe.com/pdf/1.3/", "<pdf:Producer>", m.Producer, "</pdf:Producer>")
	describe("dc", dc, `<dc:title><rdf:Alt><rdf:li xml:lang="x-default">`, m.Title, "</rdf:li></rdf:Alt></dc:title>")
	describe("dc", dc, "<dc:creator><rdf:Seq><rdf:li>", m.Author, "</rdf:li></rdf:Seq></dc:creator>")
	if !m.Time.IsZero() {
		describe("xmp", "http://ns.adobe.com/xap/1.0/", "<xmp:CreateDate>", m.Time.Format("2006-01-02T15:04:05Z07:00"), "</xmp:CreateDate>")
	}
	b.WriteString("</rdf:RDF></x:xmpmeta>\n<?xpacket end=\"r\"?>")
	return b.Bytes()
}

// text returns a text string object in UTF-16 (ISO 32000-1 7.9.2.2), in hexadecimal: nothing needs escaping.
func text(s string) string {
	var b strings.Builder
	b.WriteString("<FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	b.WriteString(">")
	return b.String()
}

// date returns a date string (ISO 32000-1 7.9.4).
func date(t time.Time) string {
	s := t.Format("D:20060102150405")
	_, offset := t.Zone()
	if offset == 0 {
		return s + "Z"
	}
	sign := '+'
	if offset < 0 {
		sign, offset = '-', -offset
	}
	return fmt.Sprintf("%s%c%02d'%02d'", s, sign, offset/3600, offset/60%60)
}

// Sides of a page in points (ISO 32000-1 annex C).
const (
	minSide = 3
	maxSide = 14400
)

// pageSize returns a page's width and height in points of 1/72 inch. What is too long for a PDF page is shown smaller.
func pageSize(c t4.Coded) (width, height string) {
	r := c.Resolution
	if r.X <= 0 || r.Y <= 0 {
		r = imaging.Fine
	}
	x, y := r.DPI()
	w, h := float64(c.Width)*72/x, float64(c.Height)*72/y
	scale := min(1, maxSide/max(w, h))
	return points(w * scale), points(h * scale)
}

func points(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(max(v, minSide), 'f', 3, 64), "0"), ".")
}
