package tnef

import (
	"bytes"
	"hash/crc32"
	"strconv"
	"strings"
	"unicode/utf16"
)

// rtfDictionary is what the window holds before the first octet ([MS-OXRTFCP] 2.1.2.1).
const rtfDictionary = "{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbol" +
	"ArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"

const (
	rtfCompressed   = 0x75465A4C // "LZFu"
	rtfUncompressed = 0x414C454D // "MELA"
	rtfWindow       = 4096
)

// decompress undoes the compression of RTF ([MS-OXRTFCP]), giving at most most octets. What is damaged ends the text
// where it is; cut says so, and also that there was more.
func decompress(in []byte, most int) (rtf []byte, cut bool) {
	if len(in) < 16 {
		return nil, true
	}
	size, kind, crc := int64(le32(in[4:])), le32(in[8:]), le32(in[12:])
	in = in[16:]
	if size > int64(most) {
		size, cut = int64(most), true
	}
	switch kind {
	case rtfUncompressed:
		return in[:min(int64(len(in)), size)], cut || int64(len(in)) < size
	case rtfCompressed:
		cut = cut || ^crc32.Update(^uint32(0), crc32.IEEETable, in) != crc
	default:
		return nil, true
	}
	var window [rtfWindow]byte
	pos := copy(window[:], rtfDictionary)
	put := func(c byte) {
		rtf = append(rtf, c)
		window[pos] = c
		pos = (pos + 1) % rtfWindow
	}
	for i := 0; i < len(in); {
		flags := in[i]
		i++
		for bit := 0; bit < 8; bit, flags = bit+1, flags>>1 {
			if int64(len(rtf)) >= size && cut {
				return rtf, cut
			}
			if flags&1 == 0 {
				if i >= len(in) {
					return rtf, true
				}
				put(in[i])
				i++
				continue
			}
			if i+1 >= len(in) {
				return rtf, true
			}
			offset, length := int(in[i])<<4|int(in[i+1])>>4, int(in[i+1]&15)+2
			i += 2
			if offset == pos { // the mark of the end
				return rtf, cut
			}
			for ; length > 0 && len(rtf) < most; length-- {
				put(window[offset])
				offset = (offset + 1) % rtfWindow
			}
		}
	}
	return rtf, true
}

// rtfReader turns RTF into its words. Encapsulated HTML ([MS-OXRTFEX]) needs nothing more: its tags stand in
// destinations that a reader of RTF does not know.
type rtfReader struct {
	in       []byte
	pos      int
	most     int
	out      strings.Builder
	codepage int
	pending  []byte // octets of \'hh, maybe half a letter
	high     rune   // first half of a surrogate pair
	state    rtfState
	stack    []rtfState
	dropped  int // groups beyond the deepest that is kept
}

type rtfState struct {
	skip    bool // inside a destination that is not text
	uc      int  // characters that stand for a \u in older readers
	pending int  // of them still to come
}

const maxRTFDepth = 200

// rtfText is the text of an RTF document, at most most octets.
func rtfText(rtf []byte, most int) string {
	r := &rtfReader{in: rtf, most: most, codepage: 1252, state: rtfState{uc: 1}}
	for r.pos < len(r.in) && r.out.Len() < r.most {
		r.step()
	}
	r.flush()
	return strings.TrimSpace(r.out.String())
}

func (r *rtfReader) step() {
	c := r.in[r.pos]
	r.pos++
	switch c {
	case '{':
		r.flush()
		if len(r.stack) == maxRTFDepth {
			r.dropped++
			return
		}
		r.stack = append(r.stack, r.state)
		r.state.pending = 0
	case '}':
		r.flush()
		if r.dropped > 0 {
			r.dropped--
			return
		}
		if n := len(r.stack); n > 0 {
			r.state, r.stack = r.stack[n-1], r.stack[:n-1]
		}
	case '\\':
		r.control()
	case '\r', '\n', 0:
	default:
		r.octet(c)
	}
}

// control reads a control word or symbol.
func (r *rtfReader) control() {
	if r.pos >= len(r.in) {
		return
	}
	c := r.in[r.pos]
	if !isLetter(c) {
		r.pos++
		r.symbol(c)
		return
	}
	start := r.pos
	for r.pos < len(r.in) && isLetter(r.in[r.pos]) && r.pos-start < 32 {
		r.pos++
	}
	word := string(r.in[start:r.pos])
	digits := r.pos
	if r.pos < len(r.in) && r.in[r.pos] == '-' {
		r.pos++
	}
	for r.pos < len(r.in) && r.in[r.pos] >= '0' && r.in[r.pos] <= '9' && r.pos-digits < 11 {
		r.pos++
	}
	n, err := strconv.Atoi(string(r.in[digits:r.pos]))
	if r.pos < len(r.in) && r.in[r.pos] == ' ' {
		r.pos++
	}
	r.word(word, n, err == nil)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func (r *rtfReader) symbol(c byte) {
	switch c {
	case '\'':
		if r.pos+2 <= len(r.in) {
			if v, err := strconv.ParseUint(string(r.in[r.pos:r.pos+2]), 16, 8); err == nil {
				r.octet(byte(v))
			}
		}
		r.pos = min(r.pos+2, len(r.in))
	case '*':
		r.state.skip = true
	case '\\', '{', '}':
		r.octet(c)
	case '~':
		r.emit("\u00A0")
	case '_':
		r.emit("\u2011")
	case '\r', '\n':
		r.emit("\n")
	}
}

// rtfWords stand for text; the rest is layout.
var rtfWords = map[string]string{
	"par": "\n", "line": "\n", "sect": "\n", "page": "\n", "row": "\n", "tab": "\t", "cell": "\t", "emdash": "—", "endash": "–", "bullet": "•",
	"lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”", "emspace": " ", "enspace": " ",
}

// rtfNoText are destinations without text for the reader.
var rtfNoText = map[string]bool{
	"fonttbl": true, "colortbl": true, "stylesheet": true, "info": true, "pict": true, "object": true, "header": true, "footer": true,
	"headerl": true, "headerr": true, "headerf": true, "footerl": true, "footerr": true, "footerf": true, "listtable": true, "listoverridetable": true,
	"fldinst": true, "bkmkstart": true, "bkmkend": true, "themedata": true, "datastore": true, "latentstyles": true, "rsidtbl": true, "generator": true,
}

func (r *rtfReader) word(word string, n int, given bool) {
	switch {
	case word == "u" && given:
		r.unicode(n)
	case word == "uc" && given && n >= 0 && n < 16:
		r.state.uc = n
	case word == "ansicpg" && given:
		r.flush()
		r.codepage = n
	case word == "bin" && given && n > 0:
		r.pos = min(r.pos+min(n, len(r.in)), len(r.in))
	case rtfNoText[word]:
		r.state.skip = true
	case rtfWords[word] != "":
		r.emit(rtfWords[word])
	default:
		r.flush()
	}
}

// unicode: the number is a signed 16-bit UTF-16 unit; two make a letter beyond the BMP.
func (r *rtfReader) unicode(n int) {
	c := rune(uint16(n))
	pending := r.state.uc
	switch {
	case utf16.IsSurrogate(c) && c < 0xDC00:
		r.high = c
	case utf16.IsSurrogate(c):
		r.emit(string(utf16.DecodeRune(r.high, c)))
		r.high = 0
	default:
		r.emit(string(c))
	}
	r.state.pending = pending
}

// octet is a character of the document's code page.
func (r *rtfReader) octet(c byte) {
	switch {
	case r.state.pending > 0:
		r.state.pending--
	case !r.state.skip:
		r.pending = append(r.pending, c)
	}
}

func (r *rtfReader) flush() {
	if len(r.pending) > 0 {
		r.out.WriteString(decodeString(r.codepage, bytes.ReplaceAll(r.pending, []byte{0}, nil)))
		r.pending = r.pending[:0]
	}
}

func (r *rtfReader) emit(s string) {
	r.flush()
	r.state.pending = 0
	if !r.state.skip {
		r.out.WriteString(s)
	}
}
