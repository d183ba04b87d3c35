package tnef

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

const utf16LE = 1200

// codepages are Windows' numbers of character sets ("Code Page Identifiers").
var codepages = map[int]encoding.Encoding{
	37: charmap.CodePage037, 437: charmap.CodePage437, 850: charmap.CodePage850, 852: charmap.CodePage852, 855: charmap.CodePage855,
	858: charmap.CodePage858, 860: charmap.CodePage860, 862: charmap.CodePage862, 863: charmap.CodePage863, 865: charmap.CodePage865,
	866: charmap.CodePage866, 874: charmap.Windows874, 932: japanese.ShiftJIS, 936: simplifiedchinese.GBK, 949: korean.EUCKR,
	950: traditionalchinese.Big5, 1250: charmap.Windows1250, 1251: charmap.Windows1251, 1252: charmap.Windows1252,
	1253: charmap.Windows1253, 1254: charmap.Windows1254, 1255: charmap.Windows1255, 1256: charmap.Windows1256,
	1257: charmap.Windows1257, 1258: charmap.Windows1258, 10000: charmap.Macintosh, 10007: charmap.MacintoshCyrillic,
	20866: charmap.KOI8R, 21866: charmap.KOI8U, 28591: charmap.ISO8859_1, 28592: charmap.ISO8859_2, 28593: charmap.ISO8859_3,
	28594: charmap.ISO8859_4, 28595: charmap.ISO8859_5, 28596: charmap.ISO8859_6, 28597: charmap.ISO8859_7, 28598: charmap.ISO8859_8,
	28599: charmap.ISO8859_9, 28605: charmap.ISO8859_15, 50220: japanese.ISO2022JP, 51932: japanese.EUCJP, 51949: korean.EUCKR,
	52936: simplifiedchinese.HZGB2312, 54936: simplifiedchinese.GB18030,
	utf16LE: unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
}

// decodeString makes UTF-8 of a string up to its NUL. UTF-8 that is none, and unknown code pages, are read as
// Windows-1252, which shows most of any western text.
func decodeString(codepage int, raw []byte) string {
	e := codepages[codepage]
	if e == nil {
		if utf8.Valid(raw) {
			return cutNUL(string(raw))
		}
		e = charmap.Windows1252
	}
	if codepage == utf16LE {
		raw = raw[:len(raw)&^1]
	} else if end := bytes.IndexByte(raw, 0); end >= 0 {
		raw = raw[:end]
	}
	s, err := e.NewDecoder().String(string(raw))
	if err != nil {
		return strings.ToValidUTF8(cutNUL(string(raw)), "\uFFFD")
	}
	return cutNUL(s)
}

func cutNUL(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	return s
}
