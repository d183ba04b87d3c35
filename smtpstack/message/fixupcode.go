package message

import (
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"
	"unicode/utf8"
)

// maxLine is what RFC 5322 2.1.1 allows of a line, without CR LF.
const maxLine = 998

// plan is the visitor that finds out what must be mended.
type plan struct {
	top   Header
	began bool
	leafs []leafPlan
	dirty bool // something is not fit for every server
	line  int  // octets of the line so far
}

// leafPlan is what a leaf's content is like.
type leafPlan struct {
	code    bool   // it must be coded
	notUTF8 bool   // its octets beyond ASCII are not UTF-8
	rest    []byte // of a character cut in two
}

func (p *plan) head(e *entity) error {
	if !p.began {
		p.began, p.top = true, e.header
	}
	for _, f := range e.fields {
		p.dirty = p.dirty || !clean(f.raw)
	}
	if e.leafNumber >= 0 {
		p.leafs = append(p.leafs, leafPlan{})
	}
	return nil
}

// bad tells whether a piece is not fit for every server.
func (p *plan) bad(t piece) bool {
	if t.first {
		p.line = 0
	}
	p.line += len(t.text)
	bad := p.line > maxLine+2
	for _, c := range t.text {
		bad = bad || c >= 0x80 || c == 0
	}
	p.dirty = p.dirty || bad
	return bad
}

func (p *plan) leaf(e *entity, t piece) error {
	l := &p.leafs[e.leafNumber]
	if p.bad(t) {
		l.code = true
	}
	if !l.notUTF8 && (len(l.rest) > 0 || !isASCII(string(t.text))) {
		l.utf8(t.text)
	}
	return nil
}

func (l *leafPlan) utf8(b []byte) {
	b = append(l.rest, b...)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			if l.notUTF8 = utf8.FullRune(b); !l.notUTF8 {
				l.rest = append([]byte(nil), b...)
			}
			return
		}
		b = b[n:]
	}
	l.rest = nil
}

func (p *plan) end(e *entity) error {
	l := &p.leafs[e.leafNumber]
	l.notUTF8 = l.notUTF8 || len(l.rest) > 0
	return nil
}

func (p *plan) other(t piece) error {
	p.bad(t)
	return nil
}

// of is the plan for an entity; nothing for one that has no content of its own.
func (p *plan) of(e *entity) leafPlan {
	if e.leafNumber < 0 {
		return leafPlan{}
	}
	return p.leafs[e.leafNumber]
}

// coder writes a leaf's content so that every server takes it.
type coder = io.WriteCloser

// codeLeaf chooses the coder of a leaf's content, and returns the fields that stay as they are.
func (m *mender) codeLeaf(h *headerWriter, e *entity, fields []field, how leafPlan) []field {
	switch coding(e.header) {
	case "base64":
		m.code = &base64Lines{w: m.w}
		return fields
	case "quoted-printable":
		m.code = &quotedLines{w: m.w}
		return fields
	}
	m.code = quotedprintable.NewWriter(m.w)
	kind, params := mediaType(e.header)
	charset := strings.ToLower(params["charset"])
	plain := strings.HasPrefix(kind, "text/") && (charset == "" || charset == "us-ascii")
	var stay []field
	for _, f := range fields {
		name := strings.ToLower(f.name)
		if name != "content-transfer-encoding" && !(name == "content-type" && plain) {
			stay = append(stay, f)
		}
	}
	if plain { // it says nothing of octets beyond ASCII, or the wrong thing
		charset = "utf-8"
		if how.notUTF8 {
			charset = "windows-1252"
		}
		text := e.header.Get("Content-Type")
		if text == "" {
			text = "text/plain"
		}
		h.raw("Content-Type", mediaValue(decodeWords(text), map[string]string{"charset": charset}))
	}
	h.raw("Content-Transfer-Encoding", "quoted-printable")
	return stay
}

// mediaValue is the value of Content-Type or Content-Disposition in ASCII, with parameters set.
func mediaValue(text string, set map[string]string) string {
	kind, params, err := mime.ParseMediaType(text)
	if err != nil && kind == "" {
		kind, _, _ = strings.Cut(text, ";")
	}
	if params == nil {
		params = map[string]string{}
	}
	for k, v := range set {
		params[k] = v
	}
	s := mime.FormatMediaType(kind, params)
	if s == "" || len(s) > maxLine-64 { // a name beyond all measure
		for _, name := range []string{"name", "filename"} {
			delete(params, name)
		}
		s = mime.FormatMediaType(kind, params)
	}
	if s == "" || len(s) > maxLine-64 {
		s = "application/octet-stream"
	}
	return strings.ReplaceAll(s, "; ", ";\r\n ")
}

// base64Lines leaves out what is no base64 and makes lines of 76.
type base64Lines struct {
	w   io.Writer
	out []byte
}

func (f *base64Lines) Write(b []byte) (int, error) {
	for _, c := range b {
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' {
			if f.out = append(f.out, c); len(f.out) == 76 {
				if err := f.Close(); err != nil {
					return 0, err
				}
			}
		}
	}
	return len(b), nil
}

// Close ends the line.
func (f *base64Lines) Close() error {
	if len(f.out) == 0 {
		return nil
	}
	_, err := f.w.Write(append(f.out, '\r', '\n'))
	f.out = f.out[:0]
	return err
}

// quotedLines codes the octets that quoted-printable may not have, and divides lines that are too long for it.
type quotedLines struct {
	w   io.Writer
	col int
	odd int // octets of an escape still to come
	out []byte
}

const hexDigits = "0123456789ABCDEF"

func (f *quotedLines) Write(b []byte) (int, error) {
	f.out = f.out[:0]
	for _, c := range b {
		if c == '\r' || c == '\n' {
			f.out, f.col, f.odd = append(f.out, c), 0, 0
			continue
		}
		if f.col >= 70 && f.odd == 0 {
			f.out, f.col = append(f.out, "=\r\n"...), 0
		}
		f.odd = max(0, f.odd-1)
		if c >= 0x80 || c == 0 {
			f.out = append(f.out, '=', hexDigits[c>>4], hexDigits[c&15])
			f.col, f.odd = f.col+3, 0
			continue
		}
		if c == '=' {
			f.odd = 2
		}
		f.out = append(f.out, c)
		f.col++
	}
	_, err := f.w.Write(f.out)
	return len(b), err
}

// Close does nothing: the line goes on where the part does.
func (f *quotedLines) Close() error { return nil }
