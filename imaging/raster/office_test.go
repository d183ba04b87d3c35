package raster

import (
	"encoding/binary"
	"strings"
	"testing"
)

// compoundFile is the start of a compound file with one stream of that name.
func compoundFile(stream string) []byte {
	b := make([]byte, 512+1024)
	copy(b, compoundMagic)
	binary.LittleEndian.PutUint16(b[30:], 9)
	copy(b[512:], utf16LE("Root Entry\x00"))
	copy(b[512+128:], utf16LE(stream+"\x00"))
	return b
}

func TestOffice(t *testing.T) {
	zip := func(inside string) []byte { return []byte("PK\x03\x04" + strings.Repeat("\x00", 26) + inside) }
	for _, c := range []struct {
		name string
		data []byte
		ext  string // "": none
	}{
		{"a.rtf", []byte(`{\rtf1 x}`), ".rtf"}, {"a.doc", []byte(`{\rtf1 x}`), ".rtf"},
		{"a.doc", compoundFile("WordDocument"), ".doc"}, {"a.bin", compoundFile("Workbook"), ".xls"}, {"A.PPS", compoundFile("PowerPoint Document"), ".pps"},
		{"a.xls", compoundFile("Book"), ".xls"}, {"a.msg", compoundFile("__properties_version1.0"), ""}, {"a.doc", compoundFile("EncryptedPackage"), ""},
		{"a", zip("word/document.xml"), ".docx"}, {"a.xlsm", zip("xl/workbook.xml"), ".xlsm"}, {"a.zip", zip("ppt/x"), ".pptx"}, {"a.zip", zip("other"), ""},
		{"a", zip("mimetypeapplication/vnd.oasis.opendocument.spreadsheet"), ".ods"}, {"a.odt", zip("mimetypeapplication/vnd.oasis.opendocument.text"), ".odt"},
		{"a", zip("mimetypeapplication/vnd.oasis.opendocument.presentation"), ".odp"}, {"a.pdf", []byte("%PDF-1.4"), ""}, {"a.doc", []byte("plain words"), ""}, {"a.doc", nil, ""},
		{"a.xls\r\nX: y", zip("xl/workbook.xml"), ".xlsx"},
	} {
		_, ext, ok := Office(docOf(c.data, c.name))
		if ext != c.ext || ok != (c.ext != "") {
			t.Errorf("%s: %q, %v, want %q", c.name, ext, ok, c.ext)
		}
	}
}
