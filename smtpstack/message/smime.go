package message

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/emersion/go-message/textproto"
)

// smimeKind is what an application/pkcs7-mime part holds (RFC 8551 3.2.2, RFC 5652).
type smimeKind int8

const (
	smimeUnknown smimeKind = iota
	smimeSigned
	smimeEncrypted
	smimeCompressed
)

// smimeKinds by the content's DER-coded object identifier: 1.2.840.113549.1.7.x and 1.2.840.113549.1.9.16.1.x.
var smimeKinds = map[string]smimeKind{
	"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02":         smimeSigned,
	"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03":         smimeEncrypted,
	"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17": smimeEncrypted, // authEnvelopedData
	"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09": smimeCompressed,
}

var smimeWords = map[smimeKind]string{
	smimeUnknown: "protected mail (S/MIME) in an unknown form", smimeEncrypted: "encrypted mail (S/MIME)", smimeCompressed: "compressed mail (S/MIME)",
}

// isSMIME tells an opaque S/MIME part, also under the type that some gateways give it.
func isSMIME(t, name string) bool {
	return t == "application/pkcs7-mime" || t == "application/x-pkcs7-mime" || t == "application/octet-stream" && strings.EqualFold(name, "smime.p7m")
}

// opaque reads a signed mail whose content stands inside the signature. Who signed is not checked: what is faxed needs
// no signature, and who may fax is decided by other proofs. Anything else is named as an attachment nobody can open.
func (p *parser) opaque(part Part, r io.Reader, at place) ([]Text, error) {
	if at.depth >= p.limits.Depth {
		return nil, fmt.Errorf("%w: more than %d levels", ErrTooDeep, p.limits.Depth)
	}
	b := &berReader{r: bufio.NewReader(r)}
	kind, err := b.contentInfo()
	if err == nil && kind == smimeSigned {
		err = b.signedContent()
	}
	if fatal := p.fatal(); fatal != nil {
		return nil, fatal
	}
	if err != nil || kind != smimeSigned {
		part.Unsupported = smimeWords[kind]
		if err != nil {
			part.Damaged = true
			part.Unsupported = "signed mail (S/MIME), damaged or without content"
		}
		if err := p.attachment(part, b.r); err != nil {
			return nil, err
		}
		return nil, nil
	}
	p.src.header = p.limits.HeaderBytes
	br := bufio.NewReader(b)
	h, err := textproto.ReadHeader(br)
	p.src.header = math.MaxInt64
	if fatal := p.fatal(); fatal != nil {
		return nil, fatal
	}
	if err != nil {
		p.note("A signed mail (S/MIME) is damaged.")
		part.Unsupported, part.Damaged = "signed mail (S/MIME), damaged", true
		return nil, p.attachment(part, br)
	}
	at.depth++
	texts, err := p.entity(Header{h}, br, at)
	if err != nil {
		return nil, err
	}
	if err := drain(br); err != nil && p.fatal() == nil {
		p.note("A signed mail (S/MIME) is damaged: its end may be missing.")
		p.damageLast()
	}
	if err := drain(b.r); err != nil && p.fatal() != nil {
		return nil, p.fatal()
	}
	return texts, p.fatal()
}

// damageLast marks the newest attachment: what ended too early may have been its content.
func (p *parser) damageLast() {
	if n := len(p.msg.Attachments); n > 0 {
		p.msg.Attachments[n-1].Damaged = true
	}
}

// errBER is a coding that is none, or not what CMS says.
var errBER = errors.New("not a CMS structure")

// berReader reads the way to the content of a SignedData in BER (X.690), streaming: nothing is held but the elements'
// heads. Its Read gives the content's octets, out of one string or of many (constructed, of indefinite length, as
// streaming signers write).
type berReader struct {
	r       *bufio.Reader
	nesting []int64 // of the constructed strings being read: octets left, -1 indefinite
	left    int64   // of the primitive string being read
	ended   bool
}

const maxBERNesting = 8

// element reads the head of one element; length -1 is indefinite.
func (b *berReader) element() (tag byte, length int64, size int64, err error) {
	if tag, err = b.octet(); err != nil {
		return 0, 0, 0, err
	}
	if tag&0x1f == 0x1f {
		return 0, 0, 0, errBER // high tag numbers: none in the way
	}
	first, err := b.octet()
	if err != nil {
		return 0, 0, 0, err
	}
	switch {
	case first < 0x80:
		return tag, int64(first), 2, nil
	case first == 0x80 && tag&0x20 != 0:
		return tag, -1, 2, nil
	case first == 0x80 || first > 0x85:
		return 0, 0, 0, errBER
	}
	for range first & 0x7f {
		c, err := b.octet()
		if err != nil {
			return 0, 0, 0, err
		}
		length = length<<8 | int64(c)
	}
	return tag, length, 2 + int64(first&0x7f), nil
}

func (b *berReader) octet() (byte, error) {
	c, err := b.r.ReadByte()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return c, err
}

func (b *berReader) expect(want byte) (length int64, err error) {
	tag, length, _, err := b.element()
	if err == nil && tag != want {
		err = errBER
	}
	return length, err
}

// contentInfo reads ContentInfo up to its content (RFC 5652 3).
func (b *berReader) contentInfo() (smimeKind, error) {
	if _, err := b.expect(0x30); err != nil {
		return 0, err
	}
	oid, err := b.oid()
	if err != nil {
		return 0, err
	}
	kind := smimeKinds[oid]
	if _, err := b.expect(0xA0); err != nil {
		return kind, err
	}
	return kind, nil
}

func (b *berReader) oid() (string, error) {
	n, err := b.expect(0x06)
	if err != nil {
		return "", err
	}
	if n < 1 || n > 32 {
		return "", errBER
	}
	v := make([]byte, n)
	_, err = io.ReadFull(b.r, v)
	return string(v), err
}

// signedContent goes to the octets of encapContentInfo (RFC 5652 5.1, 5.2).
func (b *berReader) signedContent() error {
	if _, err := b.expect(0x30); err != nil {
		return err
	}
	n, err := b.expect(0x02) // version
	if err != nil || n < 0 || n > 8 {
		return errors.Join(errBER, err)
	}
	if _, err := b.r.Discard(int(n)); err != nil {
		return err
	}
	if n, err = b.expect(0x31); err != nil { // digestAlgorithms
		return err
	}
	if err := b.skip(n, 0); err != nil {
		return err
	}
	if _, err := b.expect(0x30); err != nil { // encapContentInfo
		return err
	}
	if _, err := b.oid(); err != nil {
		return err
	}
	if _, err := b.expect(0xA0); err != nil { // missing when the content stands elsewhere
		return err
	}
	tag, n, _, err := b.element()
	switch {
	case err != nil:
		return err
	case tag == 0x04:
		b.left = n
	case tag == 0x24:
		b.nesting = []int64{n}
	default:
		return errBER
	}
	return nil
}

// skip passes over an element's content, at most 64 KiB: no list of digest algorithms is longer.
func (b *berReader) skip(n int64, depth int) error {
	const most = 64 << 10
	if n > most || depth > maxBERNesting {
		return errBER
	}
	if n >= 0 {
		_, err := io.CopyN(io.Discard, b.r, n)
		return err
	}
	for range 100 {
		tag, inner, _, err := b.element()
		if err != nil || tag == 0 && inner == 0 {
			return err
		}
		if err := b.skip(inner, depth+1); err != nil {
			return err
		}
	}
	return errBER
}

func (b *berReader) Read(p []byte) (int, error) {
	for b.left == 0 {
		if b.ended || len(b.nesting) == 0 {
			b.ended = true
			return 0, io.EOF
		}
		if err := b.nextString(); err != nil {
			return 0, err
		}
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// nextString goes to the next piece of a constructed string, or out of it.
func (b *berReader) nextString() error {
	top := len(b.nesting) - 1
	if b.nesting[top] == 0 {
		b.nesting = b.nesting[:top]
		return nil
	}
	tag, n, size, err := b.element()
	if err != nil {
		return err
	}
	if b.nesting[top] > 0 {
		if n < 0 || size+n > b.nesting[top] {
			return errBER // an indefinite piece in a definite string: allowed, and written by nobody
		}
		b.nesting[top] -= size + n
	}
	switch {
	case tag == 0 && n == 0 && b.nesting[top] < 0:
		b.nesting = b.nesting[:top]
	case tag == 0x04:
		b.left = n
	case tag == 0x24 && len(b.nesting) < maxBERNesting:
		b.nesting = append(b.nesting, n)
	default:
		return errBER
	}
	return nil
}
