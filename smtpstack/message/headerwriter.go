package message

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/tipring/tipring/smtpstack"
)

// headerWriter writes header fields; the first error stays.
type headerWriter struct {
	w   io.Writer
	err error
}

func (h *headerWriter) fail(err error) {
	if h.err == nil {
		h.err = err
	}
}

// raw writes a value of ours, made safe by whoever made it.
func (h *headerWriter) raw(name, value string) {
	if h.err == nil {
		_, h.err = io.WriteString(h.w, name+": "+value+"\r\n")
	}
}

func (h *headerWriter) end() {
	if h.err == nil {
		_, h.err = io.WriteString(h.w, "\r\n")
	}
}

// text writes a value from anywhere: one line, encoded where it must be, folded at 78.
func (h *headerWriter) text(name, value string) {
	if !isFieldName(name) {
		h.fail(fmt.Errorf("%w: name %.40q", ErrField, name))
		return
	}
	h.raw(name, foldText(smtpstack.OneLine(value), len(name)+2))
}

// addresses writes a list of mailboxes, one a line.
func (h *headerWriter) addresses(name string, list ...mail.Address) {
	if len(list) == 0 {
		h.fail(fmt.Errorf("%w: %s is empty", ErrAddress, name))
	}
	lines := make([]string, 0, len(list))
	for _, a := range list {
		s, err := formatAddress(a)
		if err != nil {
			h.fail(fmt.Errorf("%s: %w", name, err))
			return
		}
		lines = append(lines, s)
	}
	h.raw(name, strings.Join(lines, ",\r\n "))
}

func formatAddress(a mail.Address) (string, error) {
	local, domain, err := smtpstack.SplitAddress(a.Address)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAddress, err)
	}
	if !strings.HasPrefix(domain, "[") {
		if domain, err = idna.Lookup.ToASCII(domain); err != nil {
			return "", fmt.Errorf("%w: domain: %w", ErrAddress, err)
		}
	}
	if !isASCII(local) || !isASCII(domain) || len(local) > 64*4 {
		return "", fmt.Errorf("%w: %.80q", ErrAddress, a.Address)
	}
	spec := (&mail.Address{Address: local + "@" + domain}).String() // quotes the local part when it must
	name := smtpstack.OneLine(a.Name)
	switch {
	case name == "":
		return spec, nil
	case isASCII(name) && len(name) <= 60 && !strings.Contains(name, "=?"):
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + "\"\r\n " + spec, nil
	}
	return strings.Join(encodedWords(name), "\r\n ") + "\r\n " + spec, nil
}

// foldText folds a one-line value, its first line beginning at column col.
func foldText(s string, col int) string {
	words := strings.Split(s, " ")
	plain := isASCII(s) && !strings.Contains(s, "=?")
	for _, w := range words {
		plain = plain && len(w) <= 72
	}
	if !plain {
		words = encodedWords(s)
	}
	var b strings.Builder
	for i, w := range words {
		if i > 0 && col+1+len(w) > 78 {
			b.WriteString("\r\n ")
			col = 1
		} else if i > 0 {
			b.WriteByte(' ')
			col++
		}
		b.WriteString(w)
		col += len(w)
	}
	return b.String()
}

// encodedWords is s as RFC 2047 words of at most 75 characters; no character is divided.
func encodedWords(s string) []string {
	var words []string
	for s != "" {
		n := 0
		for n < len(s) {
			_, size := utf8.DecodeRuneInString(s[n:])
			if n+size > 42 {
				break
			}
			n += size
		}
		words = append(words, "=?utf-8?B?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return words
}

// fileNameParam is the filename parameter, with RFC 2231 coding when the name is not plain.
func fileNameParam(name string) string {
	plain := len(name) <= 60
	for _, c := range []byte(name) {
		plain = plain && c >= ' ' && c < 0x7f && c != '"' && c != '\\'
	}
	if plain {
		return `filename="` + name + `"`
	}
	var b strings.Builder
	line := 0
	var lines []string
	flush := func() {
		mark := ""
		if line == 0 {
			mark = "utf-8''"
		}
		lines = append(lines, fmt.Sprintf("filename*%d*=%s%s", line, mark, b.String()))
		line++
		b.Reset()
	}
	for _, c := range []byte(name) {
		if b.Len() > 50 {
			flush()
		}
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	flush()
	return strings.Join(lines, ";\r\n ")
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// isFieldName: RFC 5322 3.6.8.
func isFieldName(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// isIDText allows what needs no quoting in a Message-ID.
func isIDText(s string) bool {
	for _, c := range []byte(s) {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_'
		if !ok {
			return false
		}
	}
	return s != "" && len(s) <= 200 && s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..")
}

// isGraphic tells whether s has nothing but printable ASCII: no control characters, no space.
func isGraphic(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
