package message

import (
	"fmt"
	"mime"
	"net/mail"
	"regexp"
	"strings"

	"github.com/emersion/go-message/charset"
	"github.com/emersion/go-message/textproto"

	"github.com/tipring/tipring/smtpstack"
)

// MaxReceived is the number of Received fields at which a mail is taken for looping (RFC 5321 6.3 wants at least 100;
// Exchange Online cuts at 20, and a mail to a fax never has far to go).
const MaxReceived = 20

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

var wordDecoder = mime.WordDecoder{CharsetReader: charset.Reader}

func decodeWords(s string) string {
	if d, err := wordDecoder.DecodeHeader(s); err == nil {
		s = d
	}
	return smtpstack.OneLine(s)
}

// Addresses are the mailboxes of a field like From or To; malformed ones give an error.
func (h Header) Addresses(name string) ([]*mail.Address, error) {
	p := mail.AddressParser{WordDecoder: &wordDecoder}
	list, err := p.ParseList(h.h.Get(name))
	if err != nil {
		return nil, fmt.Errorf("message: %s: %w", name, err)
	}
	for _, a := range list {
		a.Name = smtpstack.OneLine(a.Name)
	}
	return list, nil
}

var listField = regexp.MustCompile(`(?i)^List-(Id|Help|Subscribe|Unsubscribe|Post|Owner|Archive)$`)

// LoopReason says in a sentence why a mail must be neither faxed nor answered: it was made by a machine answering
// another (RFC 3834 2), is a report or list mail, or runs in circles. "" means it may be. The null sender is a matter
// of the envelope: receive refuses it.
func LoopReason(h Header) string {
	if v := h.Get("Auto-Submitted"); v != "" {
		kind, _, _ := strings.Cut(v, ";")
		if kind = strings.TrimSpace(kind); !strings.EqualFold(kind, "no") {
			return "The mail was sent automatically (Auto-Submitted: " + smtpstack.OneLine(kind) + ")."
		}
	}
	if strings.TrimSpace(h.Get("Return-Path")) == "<>" {
		return "The mail is a bounce (empty Return-Path)."
	}
	switch t, _ := mediaType(h); t {
	case "multipart/report", "message/delivery-status", "message/disposition-notification":
		return "The mail is a delivery or read report (" + t + ")."
	}
	for f := h.h.Fields(); f.Next(); {
		if listField.MatchString(f.Key()) {
			return "The mail comes from a mailing list (" + f.Key() + ")."
		}
	}
	if n := ReceivedCount(h); n >= MaxReceived {
		return fmt.Sprintf("The mail has passed %d servers: it is going in circles.", n)
	}
	return ""
}

// ReceivedCount is the number of servers the mail has passed.
func ReceivedCount(h Header) int { return len(h.Values("Received")) }

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
