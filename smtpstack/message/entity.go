package message

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/emersion/go-message/textproto"
)

// Limits of walking a mail, whose lines are looked at without decoding them.
const (
	walkHeader = 256 << 10 // octets of one header
	walkDepth  = 20        // entities within each other
	walkParts  = 1000
	walkPiece  = 32 << 10 // a longer line comes in pieces
)

// field is one header field as it came.
type field struct {
	name string
	raw  []byte // all its lines, each with CR LF
}

// value is the field's body on one line.
func (f field) value() string {
	_, v, _ := bytes.Cut(f.raw, []byte(":"))
	return strings.TrimSpace(strings.NewReplacer("\r\n", "", "\n", "").Replace(string(v)))
}

// entity is one entity of a mail (RFC 2045 2.4): the mail itself, a part, or a message within.
type entity struct {
	leafNumber int // among the leaves; -1: a multipart or a message within
	fields     []field
	header     Header
}

// visitor is told of a mail's octets, in order and each once.
type visitor interface {
	head(e *entity) error // with its empty line
	leaf(e *entity, p piece) error
	end(e *entity) error // of a leaf
	other(p piece) error // boundaries, and what stands before and behind parts
}

// piece is a line, or a part of one that is very long.
type piece struct {
	text        []byte // with its CR LF if last
	first, last bool
}

// walker goes through a mail line by line.
type walker struct {
	r     *bufio.Reader
	v     visitor
	state walkState
	now   *entity  // whose header or content it is
	open  []string // boundaries of the multiparts we are in
	depth int
	heads int
	leafs int
	size  int  // of the header so far
	skip  bool // the rest of this line
}

type walkState int

const (
	inHeader walkState = iota
	inLeaf
	between // boundaries, preamble, epilogue
)

// walk reads a mail to its end. Errors of limits are ErrHeaderTooLarge, ErrTooManyParts and ErrTooDeep.
func walk(r io.Reader, v visitor) error {
	w := &walker{r: bufio.NewReaderSize(r, walkPiece), v: v, now: &entity{}}
	for first := true; ; {
		text, err := w.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
			return err
		}
		p := piece{text: text, first: first, last: err == nil}
		if first = p.last; len(text) > 0 {
			if err := w.line(p); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return w.finish()
		}
	}
}

func (w *walker) line(p piece) error {
	if p.first && len(w.open) > 0 && bytes.HasPrefix(p.text, []byte("--")) {
		if level, closes, ok := w.boundary(p.text); ok {
			return w.divide(p, level, closes)
		}
	}
	switch w.state {
	case inHeader:
		return w.headerLine(p)
	case inLeaf:
		return w.v.leaf(w.now, p)
	}
	return w.v.other(p)
}

// boundary tells which multipart a line divides or ends, the innermost first (RFC 2046 5.1.2).
func (w *walker) boundary(line []byte) (level int, closes, ok bool) {
	s := string(bytes.TrimRight(line[2:], " \t\r\n"))
	for i := len(w.open) - 1; i >= 0; i-- {
		if s == w.open[i] || s == w.open[i]+"--" {
			return i, s != w.open[i], true
		}
	}
	return 0, false, false
}

// divide ends a part at a boundary of the multipart number level, and begins the next one.
func (w *walker) divide(p piece, level int, closes bool) error {
	if err := w.finish(); err != nil {
		return err
	}
	if err := w.v.other(p); err != nil {
		return err
	}
	if w.state, w.open = between, w.open[:level+1]; closes {
		w.open = w.open[:level]
		return nil
	}
	w.depth = level + 1
	w.begin()
	return nil
}

func (w *walker) begin() { w.state, w.now, w.size, w.skip = inHeader, &entity{}, 0, false }

// finish ends what a boundary or the end of the mail cuts off.
func (w *walker) finish() error {
	switch {
	case w.state == inHeader && (w.size > 0 || w.heads == 0):
		if err := w.headEnds(); err != nil || w.state != inLeaf {
			return err
		}
		return w.v.end(w.now)
	case w.state == inLeaf:
		return w.v.end(w.now)
	}
	return nil
}

// headerLine takes a line of a header. What is no field ends it, as if an empty line stood before: so do Postfix and sendmail.
func (w *walker) headerLine(p piece) error {
	if w.size += len(p.text); w.size > walkHeader {
		return ErrHeaderTooLarge
	}
	e := w.now
	last := len(e.fields) - 1
	switch {
	case !p.first && w.skip:
		return nil
	case !p.first:
		e.fields[last].raw = append(e.fields[last].raw, p.text...)
		return nil
	}
	w.skip = false
	if len(bytes.TrimRight(p.text, "\r\n")) == 0 {
		return w.headEnds()
	}
	if p.text[0] == ' ' || p.text[0] == '\t' {
		if w.skip = last < 0 || len(bytes.TrimSpace(p.text)) == 0; !w.skip {
			e.fields[last].raw = append(e.fields[last].raw, p.text...)
		}
		return nil
	}
	name, _, found := bytes.Cut(p.text, []byte(":"))
	name = bytes.TrimRight(name, " \t") // RFC 5322 4.5.8
	switch {
	case found && isName(name):
		e.fields = append(e.fields, field{string(name), bytes.Clone(p.text)})
		return nil
	case w.heads == 0 && last < 0 && bytes.HasPrefix(p.text, []byte("From ")): // of a mailbox file
		w.skip = true
		return nil
	}
	if err := w.headEnds(); err != nil {
		return err
	}
	return w.line(p)
}

// isName: RFC 5322 3.6.8.
func isName(s []byte) bool {
	for _, c := range s {
		if c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 200
}

// headEnds looks at what follows a header: parts, a message, or content.
func (w *walker) headEnds() error {
	e := w.now
	if w.heads++; w.heads > walkParts {
		return ErrTooManyParts
	}
	var h textproto.Header
	for i := len(e.fields) - 1; i >= 0; i-- { // Add puts on top
		h.Add(e.fields[i].name, e.fields[i].value())
	}
	e.header = Header{h}
	t, params := mediaType(e.header)
	multipart := strings.HasPrefix(t, "multipart/") && params["boundary"] != ""
	within := t == "message/rfc822" && identity(e.header)
	if multipart || within {
		if w.depth++; w.depth > walkDepth {
			return ErrTooDeep
		}
		e.leafNumber = -1
	} else {
		e.leafNumber = w.leafs
		w.leafs++
	}
	if err := w.v.head(e); err != nil {
		return err
	}
	switch {
	case multipart:
		w.open, w.state = append(w.open, params["boundary"]), between
	case within:
		w.begin()
	default:
		w.state = inLeaf
	}
	return nil
}

// coding is the entity's transfer coding in lower case.
func coding(h Header) string {
	v, _, _ := strings.Cut(h.Get("Content-Transfer-Encoding"), ";")
	return strings.ToLower(strings.TrimSpace(v))
}

// identity tells whether the content stands as it is (RFC 2045 6.2).
func identity(h Header) bool {
	c := coding(h)
	return c == "" || c == "7bit" || c == "8bit" || c == "binary"
}
