package verify

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"slices"
	"strings"
)

// Bounds of a header that is looked at; more of it is no mail that a person sent.
const (
	maxHeader    = 256 << 10 // octets
	maxFields    = 1000
	maxSignature = 16 << 10 // octets of one DKIM-Signature field: its list of fields is walked for each of them
)

// errHeader is returned when a message's header is too big, or its end is missing.
var errHeader = errors.New("verify: the message's header cannot be read")

// field is one header field. The name is in lower case.
type field struct{ name, value string }

// readLine reads a line with its end, however small the reader's buffer is. It may end in io.EOF.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) || len(line) > maxHeader {
			return line, err
		}
	}
}

// readHeader reads up to the empty line, which is part of raw, and supplies it where it is missing.
func readHeader(r *bufio.Reader) (fields []field, raw []byte, err error) {
	for {
		line, err := readLine(r)
		if raw = append(raw, line...); len(raw) > maxHeader {
			return nil, nil, fmt.Errorf("%w: over %d octets", errHeader, maxHeader)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, fmt.Errorf("verify: reading the message: %w", err)
		}
		// Exactly as the DKIM module takes lines apart: what one of us takes for the header's end the other must, too.
		text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		if strings.ContainsAny(text, "\r\x00") {
			return nil, nil, fmt.Errorf("%w: a lone carriage return or a NUL is in it", errHeader)
		}
		switch {
		case text == "" && err == nil:
			return fields, raw, nil
		case len(fields) > 0 && text != "" && (text[0] == ' ' || text[0] == '\t'):
			fields[len(fields)-1].value += text
		case text != "":
			name, value, _ := strings.Cut(text, ":")
			fields = append(fields, field{strings.ToLower(strings.TrimSpace(name)), value})
		}
		if len(fields) > maxFields {
			return nil, nil, fmt.Errorf("%w: over %d fields", errHeader, maxFields)
		}
		if err != nil { // no empty line, so no body either
			if text != "" {
				raw = append(raw, "\r\n"...)
			}
			return fields, append(raw, "\r\n"...), nil
		}
	}
}

func count(fields []field, name string) int {
	n := 0
	for _, f := range fields {
		if f.name == name {
			n++
		}
	}
	return n
}

// once are the fields that stand once at most (RFC 5322 3.6, RFC 2045 3). A signature covers the last of two, a mail
// program shows the first: with two of them a signed message says what its signer never said (RFC 6376 8.15).
var once = []string{"from", "sender", "reply-to", "to", "cc", "date", "subject", "message-id", "mime-version", "content-type", "content-transfer-encoding"}

func doubled(fields []field) string {
	for _, name := range once {
		if count(fields, name) > 1 {
			return name
		}
	}
	return ""
}

// author is the one address of the one From field, and its domain for DNS. RFC 7489 6.6.1 has nothing sensible for more.
func author(fields []field) (address, domain string, err error) {
	switch n := count(fields, "from"); {
	case n == 0:
		return "", "", errors.New("the message has no From field")
	case n > 1:
		return "", "", fmt.Errorf("the message has %d From fields", n)
	}
	value := fields[slices.IndexFunc(fields, func(f field) bool { return f.name == "from" })].value
	if len(value) > maxSignature {
		return "", "", errors.New("the From field is too long")
	}
	parser := mail.AddressParser{WordDecoder: &mime.WordDecoder{CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil }}}
	list, err := parser.ParseList(strings.ToValidUTF8(value, "?"))
	if err != nil {
		return "", "", errors.New("the From field holds no address that can be read")
	}
	if len(list) != 1 {
		return "", "", fmt.Errorf("the From field holds %d addresses", len(list))
	}
	if domain, err = domainOf(list[0].Address); err != nil {
		return "", "", errors.New("the address in the From field has no domain name")
	}
	return list[0].Address, domain, nil
}
