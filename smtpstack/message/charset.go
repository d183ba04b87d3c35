package message

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// charsetDecoder finds a charset by any of its names: as browsers understand them first (there "iso-8859-1" is
// Windows-1252, what mislabelled mail mostly is), then by IANA's list.
func charsetDecoder(name string) (d *encoding.Decoder, known bool) {
	name = strings.ToLower(strings.Trim(strings.TrimSpace(name), `"'`))
	switch name {
	case "utf-16":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder(), true // RFC 2781 4.3
	case "utf-7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7":
		return utf7.NewDecoder(), true
	}
	// Browsers refuse some charsets by a decoder that replaces everything: no use for mail.
	if e, canonical := charset.Lookup(name); e != nil && canonical != "replacement" {
		return e.NewDecoder(), true
	}
	for _, alias := range []string{name, "cs" + name} {
		if e, err := ianaindex.MIME.Encoding(alias); err == nil && e != nil {
			return e.NewDecoder(), true
		}
	}
	return nil, false
}

const peekSize = 1024 // what browsers look at, too

// decodeCharset turns text into UTF-8. What the text's first octets prove (a byte order mark, in HTML also its own
// statement where the mail has none) counts; a charset nobody knows is UTF-8 where the text is that, else
// Windows-1252, which shows most of any western text.
func (p *parser) decodeCharset(name, t string, inBody bool, r io.Reader) io.Reader {
	br := bufio.NewReader(r)
	start, _ := br.Peek(peekSize)
	if bytes.HasPrefix(start, []byte("\xef\xbb\xbf")) || bytes.HasPrefix(start, []byte("\xfe\xff")) || bytes.HasPrefix(start, []byte("\xff\xfe")) {
		return transform.NewReader(br, unicode.BOMOverride(encoding.Nop.NewDecoder()))
	}
	switch name = strings.ToLower(strings.TrimSpace(name)); name {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968":
		if t == "text/html" && name == "" {
			if e, stated, _ := charset.DetermineEncoding(start, ""); stated != "windows-1252" && stated != "utf-8" {
				return e.NewDecoder().Reader(br)
			}
		}
		switch {
		case inBody:
			return br // all of it is in memory later: guessText knows more
		case !looksUTF8(start):
			return charmap.Windows1252.NewDecoder().Reader(br)
		}
		return unicode.UTF8.NewDecoder().Reader(br)
	}
	if d, known := charsetDecoder(name); known {
		return d.Reader(br)
	}
	p.note("The character set %.40q is unknown: letters may be wrong.", name)
	if looksUTF8(start) {
		return unicode.UTF8.NewDecoder().Reader(br)
	}
	return charmap.Windows1252.NewDecoder().Reader(br)
}

// looksUTF8: of a full look the last letter may be cut.
func looksUTF8(b []byte) bool {
	for cut := 0; cut < utf8.UTFMax && cut < len(b); cut++ {
		if utf8.Valid(b[:len(b)-cut]) {
			return true
		}
		if len(b) < peekSize {
			return false
		}
	}
	return len(b) == 0
}
