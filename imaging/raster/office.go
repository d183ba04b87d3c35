package raster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
)

// officeKinds are the kinds of Office documents, by Detect's names, and their extensions; the first is taken where the name has none of
// them.
var officeKinds = map[string][]string{
	"RTF document":             {".rtf"},
	"OpenDocument file":        {".odt", ".ods", ".odp", ".odg", ".ott", ".ots", ".otp", ".otg"},
	"Excel sheet (XLSX)":       {".xlsx", ".xlsm", ".xlsb", ".xltx", ".xltm"},
	"PowerPoint slides (PPTX)": {".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm"},
	"Word document":            {".docx", ".docm", ".dotx", ".dotm"},
}

// oldOffice are the streams of compound files that the old programs' documents have (MS-DOC 2.1, MS-XLS 2.1, MS-PPT 2.1), and extensions.
var oldOffice = []struct {
	stream string
	ext    []string
}{
	{"WordDocument", []string{".doc", ".dot"}}, {"Workbook", []string{".xls", ".xlt"}}, {"Book", []string{".xls", ".xlt"}},
	{"PowerPoint Document", []string{".ppt", ".pps", ".pot"}},
}

// Office tells whether a document is one of an Office program (Word, Excel, PowerPoint, OpenDocument, RTF) without a password, what it is
// called, and the extension it should have, which converters go by.
func Office(doc Document) (name, ext string, ok bool) {
	if doc.Size == 0 || doc.Size > maxDocument {
		return "", "", false
	}
	head := make([]byte, sniffLen)
	n, err := doc.R.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", "", false
	}
	head = head[:n]
	has := strings.ToLower(path.Ext(doc.Name))
	pick := func(list []string) string {
		if slices.Contains(list, has) {
			return has
		}
		return list[0]
	}
	kind, name := Detect(head, doc.Name, doc.MIME)
	if kind == TypeDOCX {
		name = kind.String()
	}
	if list := officeKinds[name]; list != nil {
		if name == "OpenDocument file" && !slices.Contains(list, has) {
			return name, openDocument(head), true
		}
		return name, pick(list), true
	}
	if kind != TypeOther || !bytes.HasPrefix(head, []byte(compoundMagic)) || encryptedOffice(doc, head) {
		return "", "", false
	}
	dir := compoundDirectory(doc, head)
	for _, o := range oldOffice {
		if bytes.Contains(dir, utf16LE(o.stream+"\x00")) {
			return name, pick(o.ext), true
		}
	}
	return "", "", false
}

// openDocument returns the extension of an OpenDocument file by its media type (OpenDocument 1.2 part 3, 3.3).
func openDocument(head []byte) string {
	for part, ext := range map[string]string{"spreadsheet": ".ods", "presentation": ".odp", "graphics": ".odg"} {
		if bytes.Contains(head, []byte("opendocument."+part)) {
			return ext
		}
	}
	return ".odt"
}

// compoundMagic begins a compound file (MS-CFB 2.2).
const compoundMagic = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

// compoundDirectory returns the start of a compound file's directory.
func compoundDirectory(doc Document, head []byte) []byte {
	if len(head) < 512 || !bytes.HasPrefix(head, []byte(compoundMagic)) {
		return nil
	}
	shift := min(binary.LittleEndian.Uint16(head[30:]), 12) // 9: sectors of 512 octets
	at := (int64(binary.LittleEndian.Uint32(head[48:])) + 1) << shift
	dir := make([]byte, 8192)
	n, err := doc.R.ReadAt(dir, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return dir[:n]
}

func utf16LE(s string) []byte {
	out := make([]byte, 0, 2*len(s))
	for _, c := range []byte(s) {
		out = append(out, c, 0)
	}
	return out
}
