package raster

import (
	"fmt"
	"strings"
	"testing"
)

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		head, name, mime string
		want             Type
		other            string
	}{
		{"%PDF-1.7\n", "", "", TypePDF, ""},
		{"%PDF-1.7\n", "x.txt", "text/plain", TypePDF, ""},
		{"\x00\x01junk%PDF-1.4", "a.pdf", "", TypePDF, ""},
		{"see %PDF-1.4 for this", "a.txt", "", TypeText, ""},
		{"\x89PNG\r\n\x1a\n\x00\x00", "a.jpg", "image/jpeg", TypePNG, ""},
		{"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "", "", TypeJPEG, ""},
		{"GIF89a\x01\x00", "", "", TypeGIF, ""},
		{"II*\x00\x08\x00\x00\x00", "", "", TypeTIFF, ""},
		{"MM\x00*\x00\x00\x00\x08", "", "", TypeTIFF, ""},
		{"<!DOCTYPE html><html>", "a.txt", "text/plain", TypeHTML, ""},
		{"<p>Hi</p>", "", "text/html", TypeHTML, ""},
		{"<p>Hi</p>", "", "text/plain", TypeText, ""},
		{"<p>Hi</p>", "a.htm", "application/octet-stream", TypeHTML, ""},
		{"Grüße\n", "", "", TypeText, ""},
		{"Gr\xfc\xdfe aus M\xfcnchen\r\n", "", "", TypeText, ""},
		{"\xff\xfeH\x00i\x00", "", "", TypeText, ""},
		{"BMW sells cars", "", "", TypeText, ""},
		{"MZ, our town", "", "", TypeText, ""},
		{"BM\x00\x01\x02\x03", "", "", TypeBMP, ""},
		{"PK\x03\x04\x14\x00\x00\x00\x08\x00word/document.xml", "", "", TypeDOCX, ""},
		{"PK\x03\x04\x14\x00\x00\x00\x08\x00", "x.xlsx", "", TypeOther, "Excel sheet (XLSX)"},
		{"PK\x03\x04\x14\x00\x00\x00\x08\x00", "x.zip", "", TypeOther, "ZIP archive"},
		{"\x00\x00\x00\x18ftypheic\x00\x00", "", "", TypeOther, "HEIC picture"},
		{"RIFF\x00\x00\x00\x00WEBPVP8 ", "", "", TypeWebP, ""},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "a.doc", "", TypeOther, "old Microsoft Office file"},
		{"{\\rtf1", "a.rtf", "", TypeOther, "RTF document"},
		{"<svg xmlns=", "", "", TypeOther, "SVG picture"},
		{"BEGIN:VCALENDAR", "", "text/calendar", TypeOther, "calendar entry"},
		{"\x00\x01\x02\x03", "a.dat", "", TypeOther, "file .dat"},
		{"\x00\x01\x02\x03", "", "", TypeOther, "unknown type"},
	} {
		got, other := Detect([]byte(c.head), c.name, c.mime)
		if got != c.want || other != c.other {
			t.Errorf("Detect(%q, %q, %q) = %v, %q, want %v, %q", c.head, c.name, c.mime, got, other, c.want, c.other)
		}
	}
}

func TestUnsupported_NamesTheType(t *testing.T) {
	_, err := render(t, docOf([]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), "IMG_1.HEIC"), Options{})
	wantErr(t, err, ErrUnsupported)
	if !strings.Contains(err.Error(), "HEIC picture") {
		t.Errorf("%q does not name the type", err)
	}
	_, err = render(t, docOf(nil, ""), Options{})
	wantErr(t, err, ErrEmpty)
}

// Errors keep their identity and particulars on their way from child to parent.
func TestWire_ErrorsKeepTheirIdentity(t *testing.T) {
	for _, c := range codes {
		wantErr(t, toWire(c.err).err(), c.err)
		wantErr(t, toWire(fmt.Errorf("while rendering: %w", c.err)).err(), c.err)
		wantErr(t, toWire(broken("PDF", c.err)).err(), ErrBroken)
		if got := toWire(fail(c.err, "3 MB")).err(); !strings.Contains(got.Error(), "3 MB") {
			t.Errorf("%v lost its particulars: %v", c.err, got)
		}
	}
}

func FuzzDetect(f *testing.F) {
	f.Add([]byte("%PDF-1.4"), "a.pdf", "application/pdf")
	f.Add([]byte("RIFF0000WEBP"), "", "")
	f.Add([]byte("\x00\x00\x00\x18ftyp"), "x", "a/b")
	f.Fuzz(func(t *testing.T, head []byte, name, mime string) {
		kind, other := Detect(head, name, mime)
		if kind == TypeOther && len(head) > 0 && other == "" {
			t.Errorf("a refused type has no name")
		}
		if strings.ContainsAny(other, "\r\n") || len(other) > 80 {
			t.Errorf("name %q is not fit for a notice", other)
		}
	})
}
