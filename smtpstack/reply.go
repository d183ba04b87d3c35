package smtpstack

import (
	"fmt"
	"strings"
)

// Reply is an SMTP reply: of our server to a client, or of a server to our client. It is an error too: a policy that
// refuses a recipient returns one.
type Reply struct {
	Code     int    // 200..599
	Enhanced string // RFC 3463 status code like "5.7.1", or ""
	Text     string // one line
}

// Refuse makes the reply with which a server refuses something.
func Refuse(code int, enhanced, format string, args ...any) *Reply {
	return &Reply{Code: code, Enhanced: enhanced, Text: OneLine(fmt.Sprintf(format, args...))}
}

// Error is the reply as it stands on the wire.
func (r *Reply) Error() string { return r.String() }

// String is the reply as it stands on the wire, in one line.
func (r Reply) String() string {
	if r.Enhanced == "" {
		return fmt.Sprintf("%03d %s", r.Code, r.Text)
	}
	return fmt.Sprintf("%03d %s %s", r.Code, r.Enhanced, r.Text)
}

// ParseReply splits the text after a reply's code into enhanced status code and words. An enhanced code whose class
// is not the reply's still counts: Exchange Online says "451 5.7.3".
func ParseReply(code int, text string) Reply {
	text = OneLine(text)
	word, rest, _ := strings.Cut(text, " ")
	if _, ok := parseStatus(word); ok {
		return Reply{Code: code, Enhanced: word, Text: rest}
	}
	return Reply{Code: code, Text: text}
}

// OneLine makes text safe for a reply or a header line: control characters and line breaks become single spaces.
func OneLine(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.Join(strings.Fields(clean), " ")
}

// parseStatus reads "5.7.64".
func parseStatus(s string) (st [3]int, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return st, false
	}
	for i, p := range parts {
		if p == "" || len(p) > 3 {
			return st, false
		}
		for _, c := range []byte(p) {
			if c < '0' || c > '9' {
				return st, false
			}
			st[i] = st[i]*10 + int(c-'0')
		}
	}
	return st, st[0] == 2 || st[0] == 4 || st[0] == 5
}
