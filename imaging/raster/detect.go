package raster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"
)

// Type is a kind of document.
type Type int

// The types that can be rendered, and TypeOther for all else.
const (
	TypeOther Type = iota
	TypeText
	TypeHTML
	TypePDF
	TypeTIFF
	TypePNG
	TypeJPEG
	TypeGIF
	TypeBMP
	TypeWebP
	TypeDOCX
)

func (t Type) String() string {
	names := [...]string{"unknown type", "text", "HTML", "PDF", "TIFF", "PNG", "JPEG", "GIF", "BMP", "WebP", "Word document"}
	if t < 0 || int(t) >= len(names) {
		return names[0]
	}
	return names[t]
}

// sniffLen is how much of a document's start Detect wants to see.
const sniffLen = 4096

// DetectDocument finds a document's type from its content, with name and media type as hints. The error is
// ErrUnsupported naming the type, ErrEmpty, or a read error.
func DetectDocument(doc Document) (Type, error) {
	head := make([]byte, sniffLen)
	n, err := doc.R.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return TypeOther, fmt.Errorf("raster: read the document: %w", err)
	}
	if n == 0 {
		return TypeOther, ErrEmpty
	}
	t, other := Detect(head[:n], doc.Name, doc.MIME)
	if t == TypeOther && encryptedOffice(doc, head[:n]) {
		return t, ErrEncrypted
	}
	if t == TypeOther {
		return t, fail(ErrUnsupported, other)
	}
	return t, nil
}

// encryptedOffice tells whether a compound file (MS-CFB) holds an Office document with a password: a stream named
// EncryptedPackage (MS-OFFCRYPTO 2.3.4.4), as a rule at the start of the directory.
func encryptedOffice(doc Document, head []byte) bool {
	return bytes.Contains(compoundDirectory(doc, head), utf16LE("EncryptedPackage"))
}

// magics are signatures at the start of a file; what is not rendered has a name for the notice.
var magics = []struct {
	magic string
	t     Type
	name  string
}{
	{"\x89PNG\r\n\x1a\n", TypePNG, ""}, {"\xff\xd8\xff", TypeJPEG, ""}, {"GIF87a", TypeGIF, ""}, {"GIF89a", TypeGIF, ""},
	{"II*\x00", TypeTIFF, ""}, {"MM\x00*", TypeTIFF, ""},
	{"II+\x00", TypeTIFF, ""}, {"MM\x00+", TypeTIFF, ""},
	{compoundMagic, TypeOther, "old Microsoft Office file"},
	{"{\\rtf", TypeOther, "RTF document"}, {"%!PS", TypeOther, "PostScript"}, {"\xc5\xd0\xd3\xc6", TypeOther, "EPS"},
	{"\x1b%-12345X", TypeOther, "printer file (PCL)"}, {"\x1bE", TypeOther, "printer file (PCL)"}, {"8BPS", TypeOther, "Photoshop picture"},
	{"BM", TypeBMP, ""}, {"Rar!\x1a\x07", TypeOther, "RAR archive"}, {"7z\xbc\xaf\x27\x1c", TypeOther, "7-Zip archive"},
	{"\x1f\x8b", TypeOther, "gzip archive"}, {"BZh", TypeOther, "bzip2 archive"}, {"\xfd7zXZ\x00", TypeOther, "xz archive"},
	{"MZ", TypeOther, "Windows program"}, {"\x7fELF", TypeOther, "program"}, {"OggS", TypeOther, "Ogg sound"}, {"ID3", TypeOther, "MP3 sound"},
	{"fLaC", TypeOther, "FLAC sound"}, {"\x78\x9f\x3e\x22", TypeOther, "winmail.dat"}, {"\x00\x00\x01\x00", TypeOther, "icon"},
	{"\x97JB2\r\n\x1a\n", TypeOther, "JBIG2 picture"}, {"\x00\x00\x00\x0cjP  ", TypeOther, "JPEG 2000 picture"}, {"AT&TFORM", TypeOther, "DjVu document"},
}

// Detect finds the type of a document from its first octets (sniffLen of them decide best). Content goes before the
// declared media type, which goes before the name's extension. For TypeOther the text names what it is.
func Detect(head []byte, name, mime string) (Type, string) {
	mime = strings.ToLower(strings.TrimSpace(mime))
	ext := strings.ToLower(path.Ext(name))
	// Readers accept junk before a PDF's header within the first 1024 octets (ISO 32000-1 H.3, note 13).
	if i := bytes.Index(head[:min(len(head), 1024)], []byte("%PDF-")); i == 0 || i > 0 && (mime == "application/pdf" || ext == ".pdf") {
		return TypePDF, ""
	}
	for _, m := range magics {
		if !strings.HasPrefix(string(head[:min(len(head), 16)]), m.magic) {
			continue
		}
		// Two letters are no proof: a text may begin with them.
		if len(m.magic) < 3 && looksLikeText(head) {
			continue
		}
		return m.t, m.name
	}
	if len(head) >= 12 && string(head[4:8]) == "ftyp" {
		return TypeOther, isoMedia(string(head[8:12]))
	}
	if len(head) >= 12 && string(head[:4]) == "RIFF" {
		if string(head[8:12]) == "WEBP" {
			return TypeWebP, ""
		}
		if name := map[string]string{"WAVE": "WAV sound", "AVI ": "AVI film"}[string(head[8:12])]; name != "" {
			return TypeOther, name
		}
	}
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")) {
		return zipKind(head, ext, mime)
	}
	if !looksLikeText(head) {
		return TypeOther, otherName(ext, mime)
	}
	return textKind(head, ext, mime)
}

// textKind tells the textual formats apart: HTML is laid out, code formats that nobody wants as listing are refused.
func textKind(head []byte, ext, mime string) (Type, string) {
	start := strings.ToLower(strings.TrimLeft(strings.TrimPrefix(string(head[:min(len(head), 512)]), "\ufeff"), " \t\r\n"))
	switch {
	case strings.HasPrefix(start, "<svg"), ext == ".svg", mime == "image/svg+xml":
		return TypeOther, "SVG picture"
	case strings.HasPrefix(start, "<!doctype html"), strings.HasPrefix(start, "<html"):
		return TypeHTML, ""
	case mime == "text/plain":
		return TypeText, ""
	case mime == "text/html", mime == "application/xhtml+xml":
		return TypeHTML, ""
	case mime == "" || mime == "application/octet-stream":
		if ext == ".html" || ext == ".htm" || ext == ".xhtml" {
			return TypeHTML, ""
		}
	case mime == "text/calendar":
		return TypeOther, "calendar entry"
	case mime == "text/vcard" || mime == "text/x-vcard":
		return TypeOther, "business card (vCard)"
	case strings.Contains(mime, "pkcs7") || strings.Contains(mime, "pgp"):
		return TypeOther, "signature or encrypted mail"
	}
	return TypeText, ""
}

// looksLikeText tells whether the octets are text in UTF-8 or an 8-bit charset, or UTF-16 with a byte order mark.
func looksLikeText(head []byte) bool {
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return true
	}
	odd := 0
	for _, c := range head {
		switch {
		case c == 0:
			return false
		case c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '\v' && c != 0x1b && c != 0x1a && c != '\b':
			odd++
		case c == 0x7f:
			odd++
		}
	}
	if utf8.Valid(head) && odd == 0 {
		return true
	}
	return odd*50 <= len(head) && odd < 20
}

func isoMedia(brand string) string {
	switch brand {
	case "heic", "heix", "hevc", "heim", "heis", "mif1", "msf1":
		return "HEIC picture"
	case "avif", "avis":
		return "AVIF picture"
	case "M4A ", "M4B ":
		return "MPEG-4 sound"
	}
	return "MPEG-4 film"
}

func zipKind(head []byte, ext, mime string) (Type, string) {
	has := func(s string) bool { return bytes.Contains(head, []byte(s)) }
	switch {
	case has("mimetypeapplication/vnd.oasis"):
		return TypeOther, "OpenDocument file"
	case has("mimetypeapplication/epub"):
		return TypeOther, "EPUB book"
	case has("word/"), ext == ".docx", ext == ".docm", strings.Contains(mime, "wordprocessingml"):
		return TypeDOCX, ""
	case has("xl/"), ext == ".xlsx", strings.Contains(mime, "spreadsheetml"):
		return TypeOther, "Excel sheet (XLSX)"
	case has("ppt/"), ext == ".pptx", strings.Contains(mime, "presentationml"):
		return TypeOther, "PowerPoint slides (PPTX)"
	}
	return TypeOther, "ZIP archive"
}

// otherName names binary data that has no known signature.
func otherName(ext, mime string) string {
	if ext != "" && len(ext) <= 8 && strings.Trim(ext, ".abcdefghijklmnopqrstuvwxyz0123456789") == "" {
		return "file " + ext
	}
	if mime != "" && len(mime) < 60 && strings.Trim(mime, "abcdefghijklmnopqrstuvwxyz0123456789/+.-") == "" && mime != "application/octet-stream" {
		return mime
	}
	return TypeOther.String()
}
