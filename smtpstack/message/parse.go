package message

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net/mail"
	"regexp"
	"strings"

	"github.com/emersion/go-message/textproto"

	"github.com/tipring/tipring/smtpstack"
)

// Parse reads a mail to its end. Contents of attachments go to the writers open gives, body text into the Message.
// A mail that breaks a limit gives ErrTooLarge, ErrHeaderTooLarge, ErrTooManyParts or ErrTooDeep, one without a
// readable header ErrMalformed; a damaged part gives a note and Part.Damaged, no error. With an error the Message
// holds what was read so far and is never nil. Errors of r and of the writers come back wrapped.
func Parse(r io.Reader, limits Limits, open OpenFunc) (*Message, error) {
	limits = limits.withDefaults()
	p := &parser{limits: limits, open: open, msg: &Message{}, textLeft: limits.TextBytes}
	p.src = &source{r: r, left: limits.Bytes, header: limits.HeaderBytes}
	br := bufio.NewReader(p.src)
	h, err := textproto.ReadHeader(br)
	p.src.header = math.MaxInt64
	p.msg.Header = Header{h}
	p.summarize()
	if err != nil {
		return p.msg, p.headerError(err)
	}
	if h.Len() == 0 {
		return p.msg, fmt.Errorf("message: %w: no header", ErrMalformed)
	}
	body, err := p.entity(p.msg.Header, br, place{})
	p.msg.Body = withoutFallbacks(body)
	p.settleInline()
	if err != nil {
		return p.msg, fmt.Errorf("message: %w", err)
	}
	// Whatever follows the last part counts too: the caller relies on r being read.
	if _, err := io.Copy(io.Discard, br); err != nil {
		return p.msg, fmt.Errorf("message: %w", err)
	}
	return p.msg, nil
}

// source counts the octets of the mail against both its limits. The header budget is opened before a header is read
// and closed after it; readers above buffer a few KiB, which the budget's size makes harmless.
type source struct {
	r      io.Reader
	left   int64
	header int64
	err    error // the first failure of r or of a limit: MIME readers above do not keep the cause
}

func (s *source) Read(b []byte) (int, error) {
	switch {
	case s.err != nil:
		return 0, s.err
	case s.header <= 0:
		s.err = ErrHeaderTooLarge
		return 0, s.err
	case s.left <= 0:
		// One octet more than allowed proves it is too large; exactly the limit is fine.
		var one [1]byte
		n, err := s.r.Read(one[:])
		if n > 0 {
			err = ErrTooLarge
		}
		if err != nil && err != io.EOF {
			s.err = err
		}
		return 0, err
	}
	b = b[:min(int64(len(b)), s.left, s.header)]
	n, err := s.r.Read(b)
	s.left -= int64(n)
	if s.header != math.MaxInt64 {
		s.header -= int64(n)
	}
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

type parser struct {
	limits   Limits
	open     OpenFunc
	msg      *Message
	src      *source
	parts    int
	entities int
	textLeft int64
	cids     map[string]bool // Content-IDs that HTML bodies show, in lower case; nil: there was no HTML
	htmlCut  bool            // and there may be more
}

// place is where in the tree an entity stands.
type place struct {
	depth       int
	forwarded   int
	alternative bool // inside multipart/alternative
	related     bool // inside multipart/related: pictures belong to the HTML
	signed      bool // inside multipart/signed
}

func (p *parser) headerError(err error) error {
	if p.src.err != nil {
		return fmt.Errorf("message: %w", p.src.err)
	}
	return fmt.Errorf("message: %w: %w", ErrMalformed, err)
}

// fatal is the error that must end everything: a limit, the reader's own failure.
func (p *parser) fatal() error { return p.src.err }

func (p *parser) note(format string, args ...any) {
	if len(p.msg.Notes) < 50 {
		p.msg.Notes = append(p.msg.Notes, fmt.Sprintf(format, args...))
	}
}

var messageID = regexp.MustCompile(`<[^<>\s]{1,900}>`)

func (p *parser) summarize() {
	m := p.msg
	m.Subject = m.Header.Text("Subject")
	m.MessageID = messageID.FindString(m.Header.Get("Message-Id"))
	if t, err := mail.ParseDate(m.Header.Get("Date")); err == nil {
		m.Date = t
	}
	if list, err := m.Header.Addresses("From"); err == nil && len(list) > 0 {
		m.From = list[0]
	}
}

// entity reads one node of the tree and returns its body text.
func (p *parser) entity(h Header, r io.Reader, at place) ([]Text, error) {
	if at.depth > p.limits.Depth {
		return nil, fmt.Errorf("%w: more than %d levels", ErrTooDeep, p.limits.Depth)
	}
	if p.entities++; p.entities > 5*p.limits.Parts { // multiparts without content are work too
		return nil, fmt.Errorf("%w: more than %d with all their wrappings", ErrTooManyParts, 5*p.limits.Parts)
	}
	t, params := mediaType(h)
	if major, kind, _ := strings.Cut(t, "/"); major == "multipart" {
		if b := params["boundary"]; b != "" && len(b) <= 200 {
			return p.multipart(kind, b, r, at)
		}
		p.note("A part of several pieces names no boundary between them and was taken as text.")
		t = "text/plain"
	}
	if p.parts++; p.parts > p.limits.Parts {
		return nil, fmt.Errorf("%w: more than %d", ErrTooManyParts, p.limits.Parts)
	}
	if t == "message/rfc822" || t == "message/global" {
		return p.forwarded(h, r, at)
	}
	return p.leaf(h, t, params, r, at)
}

func (p *parser) multipart(kind, boundary string, r io.Reader, at place) ([]Text, error) {
	mr := textproto.NewMultipartReader(r, boundary)
	inner := at
	inner.depth++
	inner.alternative = kind == "alternative"
	inner.related = at.related || kind == "related"
	inner.signed = kind == "signed"
	var all, best []Text
	for n := 0; ; n++ {
		part, err := p.nextPart(mr)
		if err == io.EOF {
			break
		}
		if p.fatal() != nil {
			return nil, p.fatal()
		}
		if err != nil {
			if part == nil && n == 0 {
				p.note("A part of several pieces has none that can be read.")
			} else {
				p.note("The mail's structure is broken: its end may be missing.")
			}
			break
		}
		texts, err := p.entity(Header{part.Header}, part, inner)
		if err != nil {
			return nil, err
		}
		if inner.alternative {
			best = better(best, texts)
		} else {
			all = append(all, texts...)
		}
	}
	if inner.alternative {
		all = best
	}
	return all, nil
}

// nextPart goes to the next part with the header budget open only while its header is read.
func (p *parser) nextPart(mr *textproto.MultipartReader) (*textproto.Part, error) {
	p.src.header = p.limits.HeaderBytes
	part, err := mr.NextPart()
	p.src.header = math.MaxInt64
	return part, err
}

// better chooses between alternatives: plain text with words, then the richest HTML, which stands last (RFC 2046 5.1.4).
func better(have, next []Text) []Text {
	rank := func(list []Text) int {
		r := 0
		for _, t := range list {
			switch {
			case strings.TrimSpace(t.Text) == "":
			case t.HTML:
				r = max(r, 1)
			default:
				r = max(r, 2)
			}
		}
		return r
	}
	if h, n := rank(have), rank(next); n > h || n == h && n == 1 {
		return next
	}
	return have
}

// forwarded reads a message inside the message; a few lines say whose it is.
func (p *parser) forwarded(h Header, r io.Reader, at place) ([]Text, error) {
	body, err := transferDecoder(h, r)
	if err != nil {
		return p.leaf(h, "application/octet-stream", nil, r, at)
	}
	p.src.header = p.limits.HeaderBytes
	br := bufio.NewReader(body)
	inner, err := textproto.ReadHeader(br)
	p.src.header = math.MaxInt64
	if p.fatal() != nil {
		return nil, p.fatal()
	}
	if err != nil {
		p.note("A forwarded message has no readable header and was left out.")
		return nil, nil
	}
	at = place{depth: at.depth + 1, forwarded: at.forwarded + 1}
	var fields []Field
	for _, f := range []string{"From", "To", "Date", "Subject"} {
		fields = append(fields, Field{f, Header{inner}.Text(f)})
	}
	head := p.forwardedHead(fields, at.forwarded)
	texts, err := p.entity(Header{inner}, br, at)
	return append(head, texts...), err
}

func (p *parser) forwardedHead(fields []Field, forwarded int) []Text {
	var b strings.Builder
	b.WriteString("-------- Forwarded message --------\n")
	for _, f := range fields {
		v := smtpstack.OneLine(f.Value)
		if len(v) > 500 {
			v = strings.ToValidUTF8(v[:500], "") + "..."
		}
		if v != "" {
			fmt.Fprintf(&b, "%s: %s\n", f.Name, v)
		}
	}
	b.WriteByte('\n')
	return []Text{{Text: p.takeText(b.String()), Forwarded: forwarded}}
}

// takeText takes s from the budget for text in memory.
func (p *parser) takeText(s string) string {
	if int64(len(s)) > p.textLeft {
		s = strings.ToValidUTF8(s[:p.textLeft], "")
		p.textLeft = 0
		return s
	}
	p.textLeft -= int64(len(s))
	return s
}

// partError is the fatal error behind a failure to read or write a part; nil when the part is merely damaged.
func (p *parser) partError(err error) error {
	if f := p.fatal(); f != nil {
		return f
	}
	var w *writeError
	if errors.As(err, &w) {
		return w.err
	}
	return nil
}
