package message

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// leaf reads a part that has no parts.
func (p *parser) leaf(h Header, t string, params map[string]string, r io.Reader, at place) ([]Text, error) {
	disposition, name := fileName(h, params)
	part := Part{Index: p.parts - 1, Type: t, ContentID: strings.Trim(strings.TrimSpace(h.Get("Content-Id")), "<>")}
	if len(part.ContentID) > 255 {
		part.ContentID = ""
	}
	attached := disposition == "attachment" || name != ""
	part.Inline = at.related && part.ContentID != "" && disposition != "attachment" && strings.HasPrefix(t, "image/")
	part.FaxProfile = faxProfile(t, params)
	if part.FaxProfile != "" {
		part.Type = "image/tiff"
	}
	if reason, named := skipReason(t, params, at, attached); reason != "" {
		part.Name, part.Unsupported, part.named = cleanFileName(name, t, part.Index), reason, named
		p.msg.Skipped = append(p.msg.Skipped, part)
		_, err := io.Copy(io.Discard, r)
		return nil, p.drainError(err)
	}
	body, err := transferDecoder(h, r)
	if err != nil {
		p.note("%v: the part was taken undecoded.", err)
		body = r
	}
	inBody := !attached && (t == "text/plain" || t == "text/html")
	if strings.HasPrefix(t, "text/") {
		body = p.decodeCharset(params["charset"], t, inBody, body)
		part.Charset = "utf-8"
	}
	if inBody {
		texts, err := p.bodyText(t, body, at)
		if t == "text/plain" && strings.EqualFold(params["format"], "flowed") {
			for i := range texts {
				texts[i].Text = unflow(texts[i].Text, strings.EqualFold(params["delsp"], "yes"))
			}
		}
		return texts, err
	}
	part.Name = cleanFileName(name, part.Type, part.Index)
	switch {
	case isTNEF(t, name):
		return p.winmail(part, body, at)
	case isSMIME(t, name):
		return p.opaque(part, body, at)
	}
	part.Unsupported = unsupported(t)
	return nil, p.attachment(part, body)
}

func (p *parser) drainError(err error) error {
	if err != nil && p.fatal() != nil {
		return p.fatal()
	}
	return nil
}

// bodyText keeps the text within its budget; the rest is read and dropped.
func (p *parser) bodyText(t string, r io.Reader, at place) ([]Text, error) {
	var b strings.Builder
	if t == "text/html" {
		defer func() { p.noteCids(b.String()) }()
	}
	n, err := io.Copy(&b, io.LimitReader(r, p.textLeft))
	p.textLeft -= n
	if err == nil {
		var rest int64
		rest, err = io.Copy(io.Discard, r)
		if rest > 0 {
			p.htmlCut = p.htmlCut || t == "text/html"
			p.note("The text is longer than %d bytes and was cut.", p.limits.TextBytes)
		}
	}
	if err != nil {
		if fatal := p.partError(err); fatal != nil {
			return nil, fatal
		}
		p.note("The text is damaged: its end may be missing.")
	}
	s := b.String()
	if !utf8.ValidString(s) {
		s = guessText(s)
	}
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	return []Text{{HTML: t == "text/html", Text: s, Forwarded: at.forwarded}}, nil
}

// guessText makes UTF-8 of text that claims to be ASCII or UTF-8 and is not: a cut last letter is dropped, other
// octets are read as Windows-1252.
func guessText(s string) string {
	for cut := 1; cut < utf8.UTFMax && cut < len(s); cut++ {
		if utf8.ValidString(s[:len(s)-cut]) {
			return s[:len(s)-cut]
		}
	}
	d, err := charmap.Windows1252.NewDecoder().String(s)
	if err != nil {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return d
}

// writeError marks a failure of the caller's writer, so that it is not taken for a damaged part.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }

type markingWriter struct{ w io.Writer }

func (m markingWriter) Write(b []byte) (int, error) {
	n, err := m.w.Write(b)
	if err != nil {
		err = &writeError{err}
	}
	return n, err
}

// attachment streams a part to the place the caller gives.
func (p *parser) attachment(part Part, r io.Reader) (err error) {
	var w io.WriteCloser
	if p.open != nil {
		if w, err = p.open(&part); err != nil {
			return fmt.Errorf("attachment %d: %w", part.Index, err)
		}
	}
	var out io.Writer = io.Discard
	if w != nil {
		out = markingWriter{w}
	}
	part.Size, err = io.Copy(out, r)
	if w != nil {
		if cerr := w.Close(); cerr != nil {
			return fmt.Errorf("attachment %d: %w", part.Index, cerr)
		}
	}
	if err != nil {
		if fatal := p.partError(err); fatal != nil {
			return fmt.Errorf("attachment %d: %w", part.Index, fatal)
		}
		part.Damaged = true
		p.note("The attachment %q is damaged.", part.Name)
	}
	p.msg.Attachments = append(p.msg.Attachments, part)
	return nil
}

// transferDecoder undoes the Content-Transfer-Encoding (RFC 2045 6).
func transferDecoder(h Header, r io.Reader) (io.Reader, error) {
	enc, _, _ := strings.Cut(h.Get("Content-Transfer-Encoding"), ";")
	switch enc = strings.ToLower(strings.TrimSpace(enc)); enc {
	case "", "7bit", "8bit", "binary", "7-bit", "8-bit":
		return r, nil
	case "quoted-printable":
		return quotedprintable.NewReader(r), nil
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, &base64Filter{r: r}), nil
	}
	return nil, fmt.Errorf("unknown transfer encoding %.40q", enc)
}

// base64Filter drops everything that is no base64 (RFC 2045 6.8), adds padding that is missing at the end, and takes
// more data behind the padding for damage.
type base64Filter struct {
	r     io.Reader
	n     int  // characters so far, modulo 4
	ended bool // the padding was seen
	extra bool // data after it
	eof   bool
}

var errAfterPadding = errors.New("data after the base64 padding")

func (f *base64Filter) Read(b []byte) (int, error) {
	for len(b) > 0 {
		if f.eof {
			return f.finish(b)
		}
		n, err := f.r.Read(b)
		out := f.keep(b[:n])
		if err == io.EOF {
			f.eof = true
			err = nil
		}
		if out > 0 || err != nil {
			return out, err
		}
	}
	return 0, nil
}

// keep moves the characters of base64 to the front and returns their number.
func (f *base64Filter) keep(b []byte) int {
	out := 0
	for _, c := range b {
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/'
		switch {
		case letter && f.ended:
			f.extra = true
			continue
		case letter, c == '=' && f.n >= 2 && !f.ended:
		default:
			continue
		}
		b[out] = c
		out++
		f.n = (f.n + 1) & 3
		f.ended = f.ended || c == '=' && f.n == 0
	}
	return out
}

func (f *base64Filter) finish(b []byte) (int, error) {
	switch {
	case f.extra:
		return 0, errAfterPadding
	case f.n == 2 || f.n == 3:
		b[0] = '='
		f.n = (f.n + 1) & 3
		return 1, nil
	}
	return 0, io.EOF
}

// fileName takes the name from Content-Disposition, then from Content-Type (RFC 2183 2.3, RFC 2231, and RFC 2047
// words where they are not allowed but common).
func fileName(h Header, params map[string]string) (disposition, name string) {
	if v := h.Get("Content-Disposition"); v != "" {
		d, dp, err := mime.ParseMediaType(v)
		if err != nil && d == "" {
			d, _, _ = strings.Cut(v, ";")
			d = strings.ToLower(strings.TrimSpace(d))
		}
		disposition, name = d, dp["filename"]
	}
	if name == "" {
		name = params["name"]
	}
	return disposition, decodeWords(name)
}

// cleanFileName makes a name safe to show and to use as a file's last element.
func cleanFileName(name, t string, index int) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError || strings.ContainsRune(`/:*?"<>|`, r) || (r >= 0x202a && r <= 0x202e) {
			return -1
		}
		return r
	}, name)
	name = strings.Trim(name, " .")
	for len(name) > 200 {
		_, size := utf8.DecodeRuneInString(name)
		name = name[size:] // the end has the extension
	}
	if name == "" {
		name = fmt.Sprintf("part-%d%s", index+1, extensions[t])
	}
	return name
}

var extensions = map[string]string{
	"application/pdf": ".pdf", "image/tiff": ".tif", "image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif",
	"text/plain": ".txt", "text/html": ".html", "text/calendar": ".ics", "message/rfc822": ".eml", "image/bmp": ".bmp",
}

// skipReason says why a part carries nothing a person would miss on paper; named, that the sender is to be told.
func skipReason(t string, params map[string]string, at place, attached bool) (reason string, named bool) {
	switch t {
	case "application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature":
		return "signature", false
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		if strings.EqualFold(params["smime-type"], "certs-only") {
			return "certificates", false
		}
	case "application/pgp-keys":
		return "public key", false
	case "message/delivery-status", "message/disposition-notification", "text/rfc822-headers":
		return "delivery report", false
	case "text/calendar", "application/ics":
		return "appointment (iCalendar)", true
	case "text/vcard", "text/x-vcard", "text/directory":
		return "business card (vCard)", true
	}
	if at.alternative && !attached && t != "text/plain" && t != "text/html" && !isTNEF(t, "") && !isSMIME(t, "") && !strings.HasPrefix(t, "message/") {
		return "another form of the text", false
	}
	return "", false
}

// faxProfile: RFC 3302 3, RFC 3965 and RFC 3949.
func faxProfile(t string, params map[string]string) string {
	application := strings.ToLower(params["application"])
	switch {
	case t == "image/tiff-fx":
		return "tiff-fx"
	case t == "image/tiff" && (application == "faxbw" || application == "faxcolor"):
		return application
	}
	return ""
}

// unsupported names what is known to hold content nobody here can open.
func unsupported(t string) string {
	switch t {
	case "application/pgp-encrypted":
		return "encrypted mail (PGP)"
	case "message/external-body":
		return "content kept elsewhere"
	case "message/partial":
		return "one piece of a divided mail"
	}
	return ""
}
