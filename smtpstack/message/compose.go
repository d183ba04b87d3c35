package message

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tipring/tipring/smtpstack"
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
	HTML        string // the same as HTML, or "": [LetterTemplate.Render] makes it safe
	Inline      []File // what HTML shows by "cid:" + ContentID; only with HTML
	Auto        bool   // a notice: Auto-Submitted: auto-replied, X-Auto-Response-Suppress: All (RFC 3834 5)
	Generated   bool   // sent by a machine, answering nothing, as a received fax is: Auto-Submitted: auto-generated
	Fax         *Fax   // a received fax: Content-Class and what belongs to it
	Extra       []Field
	Attachments []File
	Report      Report // *DeliveryReport or *Receipt: makes the mail a multipart/report, without Attachments
}

// Fax is what Outlook shows of a received fax: class IPM.Note.Microsoft.Fax and the Unified Messaging properties
// ([MS-OXCMAIL] "Content Class" and "Unified Messaging Properties", [MS-OXOUM]). With attachments X-AttachmentOrder
// names them.
type Fax struct {
	Pages      int    // X-FaxNumberOfPages
	Caller     string // X-CallingTelephoneNumber: the caller's number or station identifier, may be ""
	CallerName string // X-VoiceMessageSenderName: the caller's name as the exchange gave it, may be ""
	CallID     string // X-CallID: identifies the call, may be ""
}

// Field is one more header field. Fields that a mail has once, or that say how it is built, are refused (ErrField).
type Field struct{ Name, Value string }

// File is an attachment. Open is called each time the mail is written.
type File struct {
	Name string
	Type string // media type without parameters; anything else becomes application/octet-stream
	Open func() (io.ReadCloser, error)
	// ContentID is what [Outgoing.ContentID] gave for an inline file, else "".
	ContentID string
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
	if h.err != nil {
		return h.err
	}
	top, err := o.tree()
	if err != nil {
		return err
	}
	return o.writeNode(w, top)
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
	if id := messageID.FindString(o.InReplyTo); id != "" && isGraphic(id) {
		h.raw("In-Reply-To", id)
		h.raw("References", id)
	}
	switch {
	case o.Auto || o.Report != nil:
		o.writeMachine(h, "auto-replied")
	case o.Generated:
		o.writeMachine(h, "auto-generated")
	}
	if o.Fax != nil {
		o.writeFax(h)
	}
	for _, f := range o.Extra {
		if reservedField(f.Name) {
			h.fail(fmt.Errorf("%w: %.40q is not for the caller to write", ErrField, f.Name))
		}
		h.text(f.Name, f.Value)
	}
	h.raw("MIME-Version", "1.0")
}

// writeMachine marks what no machine may answer.
func (o *Outgoing) writeMachine(h *headerWriter, kind string) {
	h.raw("Auto-Submitted", kind)
	h.raw("X-Auto-Response-Suppress", "All")
	h.raw(LoopField, o.Domain)
}

func (o *Outgoing) writeFax(h *headerWriter) {
	h.raw("Content-Class", "fax")
	h.raw("X-FaxNumberOfPages", strconv.Itoa(o.Fax.Pages))
	var names []string
	for _, f := range o.Attachments {
		names = append(names, cleanFileName(f.Name, f.Type, 0))
	}
	for _, f := range []Field{{"X-CallingTelephoneNumber", o.Fax.Caller}, {"X-VoiceMessageSenderName", o.Fax.CallerName},
		{"X-CallID", o.Fax.CallID}, {"X-AttachmentOrder", strings.Join(names, ";")}} {
		if smtpstack.OneLine(f.Value) != "" {
			h.text(f.Name, f.Value)
		}
	}
}

// reservedField tells fields that a mail may have once only (RFC 5322 3.6) or that decide how it is read.
func reservedField(name string) bool {
	switch name = strings.ToLower(name); name {
	case "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id", "in-reply-to", "references",
		"mime-version", "return-path", "received", "dkim-signature", "auto-submitted", "x-auto-response-suppress", strings.ToLower(LoopField):
		return true
	}
	return strings.HasPrefix(name, "content-")
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
	disposition := "attachment"
	if f.ContentID != "" {
		if !isContentID(f.ContentID) {
			h.fail(fmt.Errorf("%w: Content-ID %.80q", ErrField, f.ContentID))
		}
		h.raw("Content-ID", "<"+f.ContentID+">")
		disposition = "inline"
	}
	h.raw("Content-Disposition", disposition+";\r\n "+fileNameParam(name))
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
