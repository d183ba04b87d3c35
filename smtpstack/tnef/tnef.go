// Package tnef reads Outlook's winmail.dat, the Transport Neutral Encapsulation Format ([MS-OXTNEF]): attachments stream
// out to writers, the body comes as text. Nothing in it is believed: every length has a limit, and what is cut off or
// inconsistent ends in ErrDamaged with all that was read before.
package tnef

import (
	"errors"
	"fmt"
	"io"
)

// Limits bound what Decode takes. Zero fields have the defaults.
type Limits struct {
	Text        int64 // octets of each form of a body (plain, HTML, RTF before and after decompression), default 1 MiB
	Attachments int   // in all, embedded messages too, default 200
	Depth       int   // embedded messages inside each other, default 5
	Properties  int   // attributes and properties in all, default 20,000
}

func (l Limits) withDefaults() Limits {
	if l.Text == 0 {
		l.Text = 1 << 20
	}
	if l.Attachments == 0 {
		l.Attachments = 200
	}
	if l.Depth == 0 {
		l.Depth = 5
	}
	if l.Properties == 0 {
		l.Properties = 20_000
	}
	return l
}

var (
	// ErrFormat is returned when the stream does not begin as TNEF.
	ErrFormat = errors.New("not a TNEF stream")
	// ErrDamaged is returned when the stream is cut off or contradicts itself.
	ErrDamaged = errors.New("TNEF stream is damaged")
	// ErrLimit is returned when there are more attachments, levels or properties than Limits allows.
	ErrLimit = errors.New("TNEF stream has too many parts")
)

// Message is a message as Outlook packed it.
type Message struct {
	Class       string // "IPM.Note", "IPM.Schedule.Meeting.Request" ...
	Subject     string
	From        string // the sender's name, or ""
	Text        string // plain text, lines as they came; "" when missing
	HTML        string // in UTF-8; "" when missing
	RTF         string // the words of the RTF body as plain text; "" when missing
	Cut         bool   // a body was longer than Limits.Text and was cut
	Attachments []Attachment
}

// Attachment is one attachment.
type Attachment struct {
	Name      string   // file name, as it came: clean it before use
	Type      string   // media type if the sender gave one, else ""
	ContentID string   // without angle brackets
	Inline    bool     // shown by the body or hidden from the list of attachments
	Object    bool     // an OLE object of another program; its content is a compound file
	Size      int64    // octets written
	Damaged   bool     // cut off, or its checksum is wrong
	Message   *Message // an embedded message instead of a file
	Tag       any      // free for the caller's OpenFunc
}

// OpenFunc is asked for a place for an attachment's content. Its Name may not be the final one: the long name can stand
// behind the content. A nil writer skips the content. The writer is closed before Decode goes on.
type OpenFunc func(a *Attachment) (io.WriteCloser, error)

// Decode reads a TNEF stream to its end. The Message holds what was read so far and is never nil. Errors are ErrFormat,
// ErrDamaged, ErrLimit, and those of r and of the writers, wrapped.
func Decode(r io.Reader, limits Limits, open OpenFunc) (*Message, error) {
	d := &decoder{limits: limits.withDefaults(), open: open}
	m, err := d.message(r, 0)
	if err != nil {
		return m, fmt.Errorf("tnef: %w", err)
	}
	return m, nil
}

// Attributes ([MS-OXTNEF] 2.1.3.3), with their type in the upper half.
const (
	signature         = 0x223E9F78
	attSubject        = 0x00018004
	attMessageClass   = 0x00078008
	attBody           = 0x0002800C
	attAttachData     = 0x0006800F
	attAttachTitle    = 0x00018010
	attAttachRendData = 0x00069002
	attMsgProps       = 0x00069003
	attAttachment     = 0x00069005
	attOemCodepage    = 0x00069007
)

type decoder struct {
	limits      Limits
	open        OpenFunc
	attachments int
	properties  int
}

// builder collects one message.
type builder struct {
	d        *decoder
	depth    int
	msg      *Message
	codepage int    // of strings
	cpid     int    // of the HTML body; 0 is codepage
	rawHTML  []byte // its character set may stand behind it
	att      *Attachment
	started  bool  // att's content was written
	damage   error // in a list of properties: the attributes behind it can still be read
}

func (d *decoder) message(r io.Reader, depth int) (*Message, error) {
	b := &builder{d: d, depth: depth, msg: &Message{}, codepage: 1252}
	if depth > d.limits.Depth {
		return b.msg, fmt.Errorf("%w: more than %d levels", ErrLimit, d.limits.Depth)
	}
	head := make([]byte, 6)
	switch n, err := io.ReadFull(r, head); {
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		return b.msg, err
	case n < 4 || le32(head) != signature:
		return b.msg, ErrFormat
	case n < 6:
		return b.msg, fmt.Errorf("%w: it ends in its head", ErrDamaged)
	}
	var err error
	for more := true; more && err == nil; {
		more, err = b.attribute(r)
	}
	b.finishAttachment()
	if err == nil {
		err = b.damage
	}
	if b.rawHTML != nil {
		if b.cpid == 0 {
			b.cpid = b.codepage
		}
		b.msg.HTML = decodeString(b.cpid, b.rawHTML)
	}
	return b.msg, err
}

// count takes one attribute or property from the budget.
func (d *decoder) count() error {
	if d.properties++; d.properties > d.limits.Properties {
		return fmt.Errorf("%w: more than %d properties", ErrLimit, d.limits.Properties)
	}
	return nil
}

// attribute reads one attribute: level, identifier, length, data, checksum ([MS-OXTNEF] 2.1.3.1).
func (b *builder) attribute(r io.Reader) (more bool, err error) {
	var head [9]byte
	switch _, err := io.ReadFull(r, head[:]); {
	case err == io.EOF:
		return false, nil
	case err == io.ErrUnexpectedEOF:
		return false, fmt.Errorf("%w: it ends in the head of an attribute", ErrDamaged)
	case err != nil:
		return false, err
	}
	if head[0] != 1 && head[0] != 2 {
		return false, fmt.Errorf("%w: level %d", ErrDamaged, head[0])
	}
	if err := b.d.count(); err != nil {
		return false, err
	}
	data := &block{r: r, left: int64(le32(head[5:]))}
	id := le32(head[1:])
	if err := b.take(id, data); err != nil {
		return false, err
	}
	if err := data.drain(); err != nil {
		if b.att != nil && id == attAttachData {
			b.att.Damaged = true
		}
		return false, err
	}
	var sum [2]byte
	if _, err := io.ReadFull(r, sum[:]); err == io.EOF || err == io.ErrUnexpectedEOF {
		return false, fmt.Errorf("%w: a checksum is missing", ErrDamaged)
	} else if err != nil {
		return false, err
	}
	if uint16(sum[0])|uint16(sum[1])<<8 != data.sum && (id == attAttachData || id == attAttachment) && b.att != nil {
		b.att.Damaged = true
	}
	return true, nil
}

func (b *builder) take(id uint32, data *block) error {
	switch id {
	case attOemCodepage:
		v, err := data.keep(4)
		if len(v) == 4 {
			b.codepage = int(le32(v))
		}
		return err
	case attMessageClass:
		return b.text(&b.msg.Class, data, 256)
	case attSubject:
		return b.text(&b.msg.Subject, data, 4096)
	case attBody:
		return b.body(&b.msg.Text, data)
	case attMsgProps:
		return b.properties(data, b.messageProperty)
	case attAttachRendData:
		b.finishAttachment()
		return b.beginAttachment()
	case attAttachTitle, attAttachData, attAttachment:
		if b.att == nil {
			if err := b.beginAttachment(); err != nil {
				return err
			}
		}
	}
	switch id {
	case attAttachTitle:
		return b.text(&b.att.Name, data, 1024)
	case attAttachData:
		return b.content(data)
	case attAttachment:
		return b.properties(data, b.attachmentProperty)
	}
	return nil // of no use to us
}

func (b *builder) text(to *string, data *block, most int64) error {
	raw, err := data.keep(most)
	if s := decodeString(b.codepage, raw); s != "" {
		*to = s
	}
	return err
}

// body is a text with the limit of bodies.
func (b *builder) body(to *string, data *block) error {
	b.msg.Cut = b.msg.Cut || data.left > b.d.limits.Text
	return b.text(to, data, b.d.limits.Text)
}

func (b *builder) beginAttachment() error {
	if b.d.attachments++; b.d.attachments > b.d.limits.Attachments {
		return fmt.Errorf("%w: more than %d attachments", ErrLimit, b.d.limits.Attachments)
	}
	b.att, b.started = &Attachment{}, false
	return nil
}

func (b *builder) finishAttachment() {
	if b.att != nil {
		b.msg.Attachments = append(b.msg.Attachments, *b.att)
		b.att = nil
	}
}

// content streams an attachment's octets. A second content of the same attachment is skipped.
func (b *builder) content(data *block) (err error) {
	if b.started {
		return nil
	}
	b.started = true
	var w io.WriteCloser
	if b.d.open != nil {
		if w, err = b.d.open(b.att); err != nil {
			return err
		}
	}
	if w == nil {
		b.att.Size = data.left
		return nil
	}
	b.att.Size, err = io.Copy(w, data)
	b.att.Damaged = b.att.Damaged || err != nil
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return err
}

// block is the data of an attribute or a value: a limited reader that knows when it was cut off.
type block struct {
	r    io.Reader
	left int64
	sum  uint16 // [MS-OXTNEF] 2.1.3.2: the sum of all octets
	cut  bool   // the stream ended inside
}

func (b *block) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	for _, c := range p[:n] {
		b.sum += uint16(c)
	}
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		b.cut = true
		err = fmt.Errorf("%w: it ends inside an attribute", ErrDamaged)
	}
	return n, err
}

// keep returns at most most octets and passes over the rest.
func (b *block) keep(most int64) ([]byte, error) {
	v, err := io.ReadAll(io.LimitReader(b, most))
	if err == nil {
		err = b.drain()
	}
	return v, err
}

func (b *block) drain() error {
	_, err := io.Copy(io.Discard, b)
	return err
}

func (b *block) u32() (uint32, error) {
	var v [4]byte
	if _, err := io.ReadFull(b, v[:]); err != nil {
		return 0, short(err)
	}
	return le32(v[:]), nil
}

// short makes an end inside a value damage.
func short(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: a property goes beyond its attribute", ErrDamaged)
	}
	return err
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
