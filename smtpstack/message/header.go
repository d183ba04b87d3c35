package message

import (
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/textproto"
	"golang.org/x/text/encoding/charmap"

	"github.com/tipring/tipring/smtpstack"
)

// Header is the header of a mail or a part.
type Header struct{ h textproto.Header }

// Get is a field's value as it stands, unfolded; "" when missing.
func (h Header) Get(name string) string { return h.h.Get(name) }

// Has tells whether a field is there.
func (h Header) Has(name string) bool { return h.h.Has(name) }

// Values are the values of a field that may be repeated, from the top.
func (h Header) Values(name string) []string { return h.h.Values(name) }

// Text is a field's value with encoded words decoded (RFC 2047), in one line without control characters.
func (h Header) Text(name string) string { return decodeWords(h.h.Get(name)) }

var wordDecoder = mime.WordDecoder{CharsetReader: func(name string, r io.Reader) (io.Reader, error) {
	if d, known := charsetDecoder(name); known {
		return d.Reader(r), nil
	}
	return charmap.Windows1252.NewDecoder().Reader(r), nil
}}

// decodeWords: octets beyond ASCII that stand there bare are UTF-8 (RFC 6532) or, if they are not, a guess.
func decodeWords(s string) string {
	if !utf8.ValidString(s) {
		s = guessText(s)
	}
	if d, err := wordDecoder.DecodeHeader(s); err == nil {
		s = d
	}
	return smtpstack.OneLine(s)
}

// Addresses are the mailboxes of a field like From or To; malformed ones give an error.
func (h Header) Addresses(name string) ([]*mail.Address, error) {
	p := mail.AddressParser{WordDecoder: &wordDecoder}
	v := h.h.Get(name)
	if !utf8.ValidString(v) {
		v = guessText(v)
	}
	list, err := p.ParseList(v)
	if err != nil {
		return nil, fmt.Errorf("message: %s: %w", name, err)
	}
	for _, a := range list {
		a.Name = smtpstack.OneLine(a.Name)
	}
	return list, nil
}

// mediaType is the type in lower case with its parameters. What cannot be read is an opaque file, a missing type is
// plain text (RFC 2045 5.2).
func mediaType(h Header) (string, map[string]string) {
	v := h.Get("Content-Type")
	if strings.TrimSpace(v) == "" {
		return "text/plain", nil
	}
	t, params, err := mime.ParseMediaType(v)
	if err != nil && t == "" {
		t, _, _ = strings.Cut(v, ";")
		t = strings.ToLower(strings.TrimSpace(t))
	}
	if major, minor, ok := strings.Cut(t, "/"); !ok || major == "" || minor == "" || len(t) > 127 || strings.ContainsAny(t, " \t\r\n\"<>") {
		if strings.EqualFold(t, "text") {
			return "text/plain", params
		}
		return "application/octet-stream", params
	}
	return t, params
}
