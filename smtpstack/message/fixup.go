package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// FixUp mends a mail that a printer or scanner handed in, so that every server takes it (RFC 6409 8): what is missing is
// added, and octets that need 8BITMIME are coded, as are lines that are too long. What is in order stays as it is.
type FixUp struct {
	Date      time.Time // of a mail without one that can be read (RFC 6409 8.2)
	MessageID string    // likewise (8.3), with angle brackets
	Sender    string    // reverse-path, which becomes From where that cannot be read
	From      string    // mailbox that takes From's place; the old one goes to Reply-To. "": From stays
}

// ErrTwice is returned when a mail has two From fields: which of them is shown is the reader's choice.
var ErrTwice = errors.New("mail has more than one From field")

// CheckFixUp reads a mail that FixUp could mend, and returns its header as FixUp sees it. Errors are ErrHeaderTooLarge,
// ErrTooManyParts, ErrTooDeep and ErrTwice, or of the reader.
func CheckFixUp(r io.Reader) (Header, error) {
	p := &plan{}
	if err := walk(r, p); err != nil {
		return p.top, fmt.Errorf("message: %w", err)
	}
	if len(p.top.Values("From")) > 1 {
		return p.top, ErrTwice
	}
	return p.top, nil
}

// Write reads the mail twice and writes it mended.
func (f *FixUp) Write(w io.Writer, open func() (io.ReadCloser, error)) error {
	pass := func(v visitor) error {
		r, err := open()
		if err != nil {
			return fmt.Errorf("message: fix up: %w", err)
		}
		defer r.Close()
		if err := walk(r, v); err != nil {
			return fmt.Errorf("message: fix up: %w", err)
		}
		return nil
	}
	p := &plan{}
	if err := pass(p); err != nil {
		return err
	}
	m := &mender{f: f, plan: p, w: bufio.NewWriter(w)}
	if err := pass(m); err != nil {
		return err
	}
	return m.w.Flush()
}

// mender is the visitor that writes the mail.
type mender struct {
	f     *FixUp
	plan  *plan
	w     *bufio.Writer
	began bool
	code  coder // of the leaf it is in; nil: as it is
	col   int   // octets of this line of what stands between parts
}

func (m *mender) head(e *entity) error {
	var added bytes.Buffer // behind what is there: trace fields stay on top (RFC 5321 4.4)
	h := &headerWriter{w: m.w}
	more := &headerWriter{w: &added}
	fields := e.fields
	if !m.began {
		m.began = true
		fields = m.top(more, e)
	}
	how := m.plan.of(e)
	if m.code = nil; how.code {
		fields = m.codeLeaf(more, e, fields, how)
	}
	c := coding(e.header)
	for _, f := range fields {
		if m.plan.dirty && !how.code && (c == "8bit" || c == "binary") && strings.EqualFold(f.name, "Content-Transfer-Encoding") {
			h.raw(f.name, "7bit") // all of it is by now
			continue
		}
		f.write(h)
	}
	if more.err != nil {
		return more.err
	}
	_, _ = m.w.Write(added.Bytes()) // an error stays in the writer
	h.end()
	return h.err
}

// once are the fields that a mail has once (RFC 5322 3.6, RFC 2045).
var once = []string{"Date", "From", "Sender", "Reply-To", "To", "Cc", "Message-ID", "In-Reply-To", "References", "Subject", "MIME-Version",
	"Content-Type", "Content-Transfer-Encoding"}

// top writes what the mail's own header gets, and returns the fields that stay.
func (m *mender) top(h *headerWriter, e *entity) []field {
	drop := []string{"Bcc", "Resent-Bcc", "Return-Path"} // RFC 5322 3.6.3; RFC 5321 4.4
	if id := messageID.FindString(e.header.Get("Message-ID")); id == "" {
		drop = append(drop, "Message-ID")
		h.raw("Message-ID", m.f.MessageID)
	}
	if _, err := mail.ParseDate(e.header.Get("Date")); err != nil {
		drop = append(drop, "Date")
		h.raw("Date", m.f.Date.Format(time.RFC1123Z))
	}
	drop = append(drop, m.from(h, e.header)...)
	if !e.header.Has("MIME-Version") && (m.plan.dirty || e.header.Has("Content-Type")) {
		h.raw("MIME-Version", "1.0")
	}
	var stay []field
	seen := map[string]bool{}
	for _, f := range e.fields {
		same := func(name string) bool { return strings.EqualFold(name, f.name) }
		name := strings.ToLower(f.name)
		if slices.ContainsFunc(drop, same) || seen[name] && slices.ContainsFunc(once, same) {
			continue
		}
		seen[name] = true
		stay = append(stay, f)
	}
	return stay
}

// from writes From if it has to change, and returns the fields that must not stay.
func (m *mender) from(h *headerWriter, old Header) (drop []string) {
	list, err := old.Addresses("From")
	good := err == nil && len(list) == 1 && writable(list)
	if good && m.f.From == "" {
		return nil
	}
	now := mail.Address{Address: m.f.Sender}
	drop = []string{"From"}
	switch {
	case m.f.From != "":
		now.Address = m.f.From
		drop = append(drop, "Sender")
		if good && !strings.EqualFold(list[0].Address, m.f.From) {
			if now.Name = list[0].Name; now.Name == "" {
				now.Name = list[0].Address
			}
			if !old.Has("Reply-To") {
				h.addresses("Reply-To", *list[0])
			}
		}
		fallthrough
	default:
		h.addresses("From", now)
	}
	if text := old.Text("From"); !good && text != "" {
		h.text("X-Original-From", text)
	}
	return drop
}

// write writes a field as it is, or what can be saved of it.
func (f field) write(h *headerWriter) {
	_, value, _ := bytes.Cut(f.raw, []byte(":"))
	if clean(value) {
		h.raw(f.name, strings.TrimSuffix(strings.TrimLeft(string(value), " \t"), "\r\n"))
		return
	}
	text := decodeWords(f.value())
	switch strings.ToLower(f.name) {
	case "from", "sender", "reply-to", "to", "cc", "resent-from", "resent-to", "resent-cc", "resent-sender":
		p := mail.AddressParser{WordDecoder: &wordDecoder}
		if list, err := p.ParseList(text); err == nil && writable(list) {
			all := make([]mail.Address, len(list))
			for i, a := range list {
				all[i] = *a
			}
			h.addresses(f.name, all...)
			return
		}
	case "content-type", "content-disposition":
		h.raw(f.name, mediaValue(text, nil))
		return
	}
	if isASCII(text) {
		h.raw(f.name, foldPlain(text, len(f.name)+2))
		return
	}
	h.raw(f.name, foldText(text, len(f.name)+2))
}

func writable(list []*mail.Address) bool {
	return !slices.ContainsFunc(list, func(a *mail.Address) bool { _, err := formatAddress(*a); return err != nil })
}

// foldPlain folds at spaces only; a word that fits no line is divided.
func foldPlain(s string, col int) string {
	var b strings.Builder
	for i, w := range strings.Fields(s) {
		if i > 0 && col+1+len(w) > 78 {
			b.WriteString("\r\n ")
			col = 1
		} else if i > 0 {
			b.WriteByte(' ')
			col++
		}
		for col+len(w) > maxLine {
			n := maxLine - col
			b.WriteString(w[:n] + "\r\n ")
			w, col = w[n:], 1
		}
		b.WriteString(w)
		col += len(w)
	}
	return b.String()
}

// clean tells whether all servers take a field's value as it stands.
func clean(value []byte) bool {
	for line := range bytes.Lines(value) {
		if len(line) > maxLine+2-64 { // the name is not counted
			return false
		}
		for _, c := range line {
			if c < ' ' && c != '\t' && c != '\r' && c != '\n' || c >= 0x7f {
				return false
			}
		}
	}
	return bytes.HasSuffix(value, crlfBytes)
}

var crlfBytes = []byte("\r\n")

func (m *mender) leaf(_ *entity, p piece) error {
	if m.code != nil {
		_, err := m.code.Write(p.text)
		return err
	}
	_, err := m.w.Write(p.text)
	return err
}

func (m *mender) end(*entity) error {
	if m.code == nil {
		return nil
	}
	err := m.code.Close()
	m.code = nil
	return err
}

// other writes boundaries as they are. What stands around parts is for nobody to read (RFC 2046 5.1.1).
func (m *mender) other(p piece) error {
	if p.first {
		m.col = 0
	}
	for _, c := range p.text {
		if c >= 0x80 || c == 0 {
			c = '?'
		}
		if m.col++; m.col > maxLine && c != '\r' && c != '\n' {
			m.w.Write(crlfBytes)
			m.col = 1
		}
		m.w.WriteByte(c)
	}
	return nil // an error stays in the writer
}
