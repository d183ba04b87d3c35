package raster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	xunicode "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/unicode/norm"
)

const (
	bodyPt = 11.0 // proportional text
	monoPt = 10.0 // 2.117 mm a column
	tabs   = 8    // columns between tab stops
)

// text renders plain text: form feeds start pages, tabs go to stops of 8 columns, long lines wrap at words.
func (r *renderer) text(ctx context.Context, doc Document) error {
	s, err := readText(doc)
	if err != nil {
		return err
	}
	f := r.flow(ctx)
	st := style{face: mono, pt: monoPt}
	if r.opt.Proportional {
		st = style{face: regular, pt: bodyPt}
	}
	if err := f.plainText(s, st); err != nil {
		return err
	}
	return f.breakPage()
}

// plainText prints text as it stands. Page breaks in it are kept; blank pages are not.
func (f *flow) plainText(s string, st style) error {
	for s != "" {
		i := strings.IndexAny(s, "\n\f")
		var l string
		ff := false
		if i < 0 {
			l, s = s, ""
		} else {
			l, ff, s = s[:i], s[i] == '\f', s[i+1:]
		}
		if err := f.ctx.Err(); err != nil {
			return ctxError(err)
		}
		if l != "" || !ff {
			if err := f.textLine(expandTabs(l), st); err != nil {
				return err
			}
		}
		if ff {
			if err := f.breakPage(); err != nil {
				return err
			}
		}
	}
	return nil
}

// textLine prints one line of a text, wrapped; the continuation keeps the line's indent up to a third of the page.
func (f *flow) textLine(l string, st style) error {
	body := strings.TrimLeft(l, " ")
	indent := f.t.measure(st, l[:len(l)-len(body)])
	if body == "" || indent > f.columns()/3 {
		body, indent = l, 0
	}
	lines := f.t.wrap([]span{{body, st}}, f.columns()-indent, true)
	if len(lines) == 0 {
		lines = []line{{}}
	}
	for _, set := range lines {
		x := f.left + int(indent)
		if set.rtl {
			x = f.left + alignEnd.shift(set.width, f.columns()-indent)
		}
		if err := f.line(set, x, st.pt); err != nil {
			return err
		}
	}
	return nil
}

func expandTabs(l string) string {
	if !strings.ContainsRune(l, '\t') {
		return l
	}
	var b strings.Builder
	col := 0
	for _, r := range l {
		if r != '\t' {
			b.WriteRune(r)
			col++
			continue
		}
		for n := tabs - col%tabs; n > 0; n-- {
			b.WriteByte(' ')
			col++
		}
	}
	return b.String()
}

// readText reads a text document and decodes its charset into clean UTF-8 with "\n" line ends.
func readText(doc Document) (string, error) {
	if doc.Size > maxText {
		return "", fail(ErrTooLarge, fmt.Sprintf("%d MB of text", doc.Size>>20))
	}
	data, err := readAll(doc)
	if err != nil {
		return "", err
	}
	s := cleanText(decodeText(data, doc.Charset))
	if strings.TrimFunc(s, unicode.IsSpace) == "" {
		return "", ErrEmpty
	}
	return s, nil
}

func readAll(doc Document) ([]byte, error) {
	data := make([]byte, doc.Size)
	n, err := doc.R.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("raster: read the document: %w", err)
	}
	return data[:n], nil
}

// decodeText makes UTF-8 of data. A byte order mark goes before the declared charset; a declared charset that the
// octets contradict, or none, is replaced by UTF-8 if that is valid, else by windows-1252, of which latin-1's printable
// characters are a part (WHATWG Encoding 4.2).
func decodeText(data []byte, charset string) string {
	switch {
	case bytes.HasPrefix(data, []byte{0xef, 0xbb, 0xbf}):
		return string(data[3:])
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return decodeWith(xunicode.UTF16(xunicode.LittleEndian, xunicode.UseBOM), data)
	}
	if enc, err := htmlindex.Get(charset); err == nil && charset != "" {
		name, _ := htmlindex.Name(enc)
		if name != "utf-8" && !(name == "windows-1252" && utf8.Valid(data)) {
			return decodeWith(enc, data)
		}
	}
	if utf8.Valid(data) {
		return string(data)
	}
	return decodeWith(charmap.Windows1252, data)
}

func decodeWith(enc encoding.Encoding, data []byte) string {
	out, err := enc.NewDecoder().Bytes(data)
	if err != nil {
		return string(data)
	}
	return string(out)
}

// cleanText composes accents, unifies line ends and removes control characters other than tab, newline, form feed.
func cleanText(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n").Replace(s)
	s = norm.NFC.String(strings.ToValidUTF8(s, "\ufffd"))
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && r != '\f' && unicode.Is(unicode.Cc, r) {
			return -1
		}
		return r
	}, s)
}
