package raster

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
)

// chinesePDF has Chinese words whose font it does not bring, behind the operators in before.
func chinesePDF(before string) []byte {
	var text strings.Builder
	for _, u := range utf16.Encode([]rune("尊敬的客户随函附上发票")) {
		fmt.Fprintf(&text, "%04x", u)
	}
	page := string(makePDF(595, 842, before+" BT /C 24 Tf 72 700 Td <"+text.String()+"> Tj ET"))
	page = strings.Replace(page, "<< /F 3 0 R >>", "<< /F 3 0 R /C 20 0 R >>", 1)
	page = page[:strings.Index(page, "xref\n")] +
		"20 0 obj\n<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [21 0 R] >>\nendobj\n" +
		"21 0 obj\n<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 4 >> /FontDescriptor 22 0 R /DW 1000 >>\nendobj\n" +
		"22 0 obj\n<< /Type /FontDescriptor /FontName /STSong-Light /Flags 6 /FontBBox [-25 -254 1000 880] /ItalicAngle 0 /Ascent 752 /Descent -271 /CapHeight 737 /StemV 58 >>\nendobj\n" +
		"trailer\n<< /Root 1 0 R >>\n%%EOF\n"
	return []byte(page)
}

// Words in Chinese without their font are neither a blank page nor left out among others.
func TestPDF_FontNotBrought(t *testing.T) {
	for _, before := range []string{"", "BT /F 24 Tf 72 600 Td (Invoice 4711) Tj ET"} {
		_, err := render(t, docOf(chinesePDF(before), "a.pdf"), Options{})
		wantErr(t, err, ErrNoFont)
		if !strings.Contains(err.Error(), "Chinese") {
			t.Error(err)
		}
	}
	mustRender(t, docOf(chinesePDF("BT /F 24 Tf 72 600 Td (a scan) Tj ET 3 Tr"), "d.pdf"), Options{}, 1)
	// Words that are there to be searched only, and a page with nothing on it, stay as they are.
	mustRender(t, docOf(makePDF(595, 842, "BT 3 Tr /F 24 Tf 72 700 Td (invisible) Tj ET"), "b.pdf"), Options{}, 1)
	mustRender(t, docOf(makePDF(595, 842, ""), "c.pdf"), Options{}, 1)
}
