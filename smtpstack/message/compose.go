package message

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Outgoing is a mail to write. Writing it twice gives the same octets, so a retry carries the same Message-ID.
type Outgoing struct {
	ID          string    // unique and stable: makes Message-ID and boundaries; letters, digits, "-", "." and "_"
	Domain      string    // right side of the Message-ID, the appliance's host name
	Date        time.Time // also stable over retries
	From        mail.Address
	To          []mail.Address
	ReplyTo     *mail.Address
	Subject     string
	InReplyTo   string // Message-ID this answers, with angle brackets, or ""
	Text        string // UTF-8, any line ends
	Auto        bool   // a notice: Auto-Submitted: auto-replied, X-Auto-Response-Suppress: All (RFC 3834 5)
	Generated   bool   // sent by a machine, answering nothing, as a received fax is: Auto-Submitted: auto-generated
	Fax         *Fax   // a received fax: Content-Class and what belongs to it
	Extra       []Field
	Attachments []File
}

// Fax is what Outlook shows of a received fax ([MS-OXCMAIL], [MS-OXOUM]).
type Fax struct {
	Pages  int    // X-FaxNumberOfPages
	Caller string // X-CallingTelephoneNumber: the caller's number or station identifier, may be ""
}

// Field is one more header field.
type Field struct{ Name, Value string }

// File is an attachment. Open is called each time the mail is written.
type File struct {
	Name string
	Type string // media type without parameters; anything else becomes application/octet-stream
	Open func() (io.ReadCloser, error)
}

var (
	// ErrAddress is returned when a sender's or recipient's address cannot stand in a header.
	ErrAddress = errors.New("address cannot be written")
	// ErrField is returned when an identifier, host name or field name has forbidden characters.
	ErrField = errors.New("header field cannot be written")
)

// MessageID is the Message-ID with its angle brackets.
func (o *Outgoing) MessageID() string { return "<" + o.ID + "@" + o.Domain + ">" }

// Size is the number of octets WriteTo writes; it reads the attachments once.
func (o *Outgoing) Size() (int64, error) { return o.WriteTo(io.Discard) }

// WriteTo writes the mail with CR LF line ends, 7-bit clean, no line longer than 78 octets but for a header word that
// cannot be divided (998 at most). Nothing in a value can begin a header field of its own.
func (o *Outgoing) WriteTo(w io.Writer) (int64, error) {
	cw := &countWriter{w: w}
	bw := bufio.NewWriterSize(cw, 32<<10)
	if err := o.write(bw); err != nil {
		return cw.n, fmt.Errorf("message: write: %w", err)
	}
	if err := bw.Flush(); err != nil {
		return cw.n, fmt.Errorf("message: write: %w", err)
	}
	return cw.n, nil
}

type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

func (o *Outgoing) write(w *bufio.Writer) error {
	h := &headerWriter{w: w}
	o.writeFields(h)
	if len(o.Attachments) == 0 {
		writeTextHeader(h)
	} else {
		h.raw("Content-Type", `multipart/mixed; boundary="`+o.boundary()+`"`)
	}
	h.end()
	if h.err != nil {
		return h.err
	}
	if len(o.Attachments) == 0 {
		return writeText(w, o.Text)
	}
	return o.writeParts(w)
}

func (o *Outgoing) writeFields(h *headerWriter) {
	if !isIDText(o.ID) || !isIDText(o.Domain) {
		h.fail(fmt.Errorf("%w: message identifier %.80q", ErrField, o.MessageID()))
	}
	h.raw("Date", o.Date.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	h.raw("Message-ID", o.MessageID())
	h.addresses("From", o.From)
	h.addresses("To", o.To...)
	if o.ReplyTo != nil {
		h.addresses("Reply-To", *o.ReplyTo)
	}
	h.text("Subject", o.Subject)
	if id := messageID.FindString(o.InReplyTo); id != "" && isASCII(id) {
		h.raw("In-Reply-To", id)
		h.raw("References", id)
	}
	switch {
	case o.Auto:
		h.raw("Auto-Submitted", "auto-replied")
		h.raw("X-Auto-Response-Suppress", "All")
	case o.Generated:
		h.raw("Auto-Submitted", "auto-generated")
		h.raw("X-Auto-Response-Suppress", "All")
	}
	if o.Fax != nil {
		h.raw("Content-Class", "fax")
		h.raw("X-FaxNumberOfPages", strconv.Itoa(o.Fax.Pages))
		if o.Fax.Caller != "" {
			h.text("X-CallingTelephoneNumber", o.Fax.Caller)
		}
	}
	for _, f := range o.Extra {
		h.text(f.Name, f.Value)
	}
	h.raw("MIME-Version", "1.0")
}

// boundary has "=_", which no quoted-printable or base64 line can hold, so no content can end a part (RFC 2045 6.7).
func (o *Outgoing) boundary() string {
	sum := sha256.Sum256([]byte(o.MessageID()))
	return "=_tipring_" + hex.EncodeToString(sum[:12])
}

func (o *Outgoing) writeParts(w *bufio.Writer) error {
	h := &headerWriter{w: w}
	fmt.Fprintf(w, "--%s\r\n", o.boundary())
	writeTextHeader(h)
	h.end()
	if err := writeText(w, o.Text); err != nil {
		return err
	}
	for _, f := range o.Attachments {
		fmt.Fprintf(w, "\r\n--%s\r\n", o.boundary())
		if err := writeFile(w, f); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\r\n--%s--\r\n", o.boundary())
	return err
}

func writeTextHeader(h *headerWriter) {
	h.raw("Content-Type", "text/plain; charset=utf-8")
	h.raw("Content-Transfer-Encoding", "quoted-printable")
}

// writeText writes quoted-printable with CR LF line ends, ending in one.
func writeText(w io.Writer, s string) error {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	if !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	q := quotedprintable.NewWriter(w)
	if _, err := io.WriteString(q, strings.ReplaceAll(s, "\n", "\r\n")); err != nil {
		return err
	}
	return q.Close()
}

// plainType is a media type without parameters (RFC 6838 4.2).
var plainType = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}$`)

func writeFile(w *bufio.Writer, f File) error {
	t := f.Type
	if !plainType.MatchString(t) {
		t = "application/octet-stream"
	}
	name := cleanFileName(f.Name, t, 0)
	h := &headerWriter{w: w}
	h.raw("Content-Type", t)
	h.raw("Content-Transfer-Encoding", "base64")
	h.raw("Content-Disposition", "attachment;\r\n "+fileNameParam(name))
	h.end()
	if h.err != nil {
		return h.err
	}
	r, err := f.Open()
	if err != nil {
		return fmt.Errorf("attachment %q: %w", name, err)
	}
	defer r.Close()
	lw := &lineWriter{w: w}
	enc := base64.NewEncoder(base64.StdEncoding, lw)
	if _, err := io.Copy(enc, r); err != nil {
		return fmt.Errorf("attachment %q: %w", name, err)
	}
	return enc.Close()
}

// lineWriter divides base64 into lines of 76 (RFC 2045 6.8).
type lineWriter struct {
	w   *bufio.Writer
	col int
}

func (l *lineWriter) Write(b []byte) (int, error) {
	total := len(b)
	for len(b) > 0 {
		if l.col == 76 {
			if _, err := l.w.WriteString("\r\n"); err != nil {
				return total - len(b), err
			}
			l.col = 0
		}
		n := min(76-l.col, len(b))
		if _, err := l.w.Write(b[:n]); err != nil {
			return total - len(b), err
		}
		l.col += n
		b = b[n:]
	}
	return total, nil
}
