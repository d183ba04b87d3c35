// Package message reads the mails that become faxes and writes the mails that faxes and notices become. It streams:
// attachments go to and come from files, so a mail's size does not show in memory, and every size taken from a mail
// has a limit.
package message

import (
	"errors"
	"io"
	"net/mail"
	"strings"
	"time"
)

// Limits bound what Parse takes from a mail. Zero fields have the defaults.
type Limits struct {
	Bytes       int64 // the whole mail as on the wire, default 256 MiB
	HeaderBytes int64 // one header, of the mail or a part, default 256 KiB
	TextBytes   int64 // all body text kept in memory, UTF-8, default 1 MiB; the rest is cut and noted
	Parts       int   // leaf parts and nested messages, default 200
	Depth       int   // nested multiparts and forwarded messages, default 10
}

func (l Limits) withDefaults() Limits {
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.Bytes, 256<<20)
	def(&l.HeaderBytes, 256<<10)
	def(&l.TextBytes, 1<<20)
	if l.Parts == 0 {
		l.Parts = 200
	}
	if l.Depth == 0 {
		l.Depth = 10
	}
	return l
}

var (
	// ErrTooLarge is returned when the mail has more octets than Limits.Bytes.
	ErrTooLarge = errors.New("mail is too large")
	// ErrHeaderTooLarge is returned when a header has more octets than Limits.HeaderBytes.
	ErrHeaderTooLarge = errors.New("mail header is too large")
	// ErrTooManyParts is returned when the mail has more parts than Limits.Parts.
	ErrTooManyParts = errors.New("mail has too many parts")
	// ErrTooDeep is returned when parts are nested deeper than Limits.Depth.
	ErrTooDeep = errors.New("mail is nested too deep")
	// ErrMalformed is returned when the mail's own header cannot be read.
	ErrMalformed = errors.New("mail is malformed")
)

// Message is a mail that was read.
type Message struct {
	Header      Header
	Subject     string        // decoded, one line
	From        *mail.Address // the first of From; nil when missing or malformed
	MessageID   string        // with angle brackets, "" when missing
	Date        time.Time     // zero when missing or malformed
	Body        []Text        // what is to be read, in order; of alternatives the plain text if it has any words
	Attachments []Part        // in order, those of forwarded messages too
	Skipped     []Part        // parts that carry nothing to fax (signatures, delivery status ...), with the reason
	Notes       []string      // what was found damaged or cut, one sentence each
}

// Text is one stretch of a mail's body in UTF-8.
type Text struct {
	HTML      bool // else plain text, lines ending in "\n"
	Text      string
	Forwarded int // 0 the mail itself, 1 a message forwarded in it, and so on
	fallback  bool
}

// FaxImage is the one TIFF of a mail that is a fax by its own words (RFC 3965, T.37): a part marked as fax pages, and
// nothing else to print. It may be sent without being drawn anew, if it keeps what it promises.
func (m *Message) FaxImage() (part Part, ok bool) {
	for _, t := range m.Body {
		if strings.TrimSpace(t.Text) != "" {
			return Part{}, false
		}
	}
	if len(m.Attachments) != 1 || m.Attachments[0].FaxProfile == "" || m.Attachments[0].Damaged {
		return Part{}, false
	}
	return m.Attachments[0], true
}

// Omitted names what of the mail is not on the fax, one "name: reason" each, for the notice. Signatures, keys and other
// forms of the same text are not worth a word.
func (m *Message) Omitted() []string {
	var list []string
	for _, p := range m.Skipped {
		if p.named {
			list = append(list, p.Name+": "+p.Unsupported)
		}
	}
	return list
}

// PlainText joins the plain texts of the body. all is false when a part of the body is HTML only.
func (m *Message) PlainText() (text string, all bool) {
	all = true
	for _, t := range m.Body {
		if t.HTML {
			all = false
			continue
		}
		if text != "" {
			text += "\n"
		}
		text += t.Text
	}
	return text, all
}

// Part is one leaf of the MIME tree.
type Part struct {
	Index       int    // position among all leaves, from 0
	Name        string // file name, cleaned: no path, no control characters; made from the type when missing
	Type        string // media type in lower case, like "application/pdf"
	Charset     string // "utf-8" for text that was decoded, else ""
	ContentID   string // without angle brackets
	Inline      bool   // a picture that an HTML body shows (cid:), not a document
	Size        int64  // octets written
	Damaged     bool   // the coding was broken or the end is missing; what could be decoded was written
	Unsupported string // in words why nothing can be made of it, like "encrypted mail", or ""
	FaxProfile  string // "faxbw", "faxcolor" (RFC 3302 application=) or "tiff-fx" (RFC 3949) for a TIFF that says it is fax pages; Type is then image/tiff
	Path        string // free for the caller's Open to note where it went
	named       bool   // of Skipped: worth telling
}

// OpenFunc is asked for a place for each attachment's content; it may set p.Path. A nil writer skips the content. Out of
// winmail.dat, p's name and type may not be the final ones: Message.Attachments has those.
// The writer is closed before the next call; an error from it ends Parse.
type OpenFunc func(p *Part) (io.WriteCloser, error)
