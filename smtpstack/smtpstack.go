// Package smtpstack has what every part of the mail side shares: fax addresses, the envelope of a message, SMTP
// replies, and the classes of replies that drive the mail queue.
package smtpstack

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Envelope is what SMTP says of a message apart from its content (RFC 5321 2.3.1).
type Envelope struct {
	ID        string     // the transaction's identifier, unique for this process; also in the Received field
	Connector string     // name of the receive connector
	Client    netip.Addr // address of the sending host; behind a PROXY protocol proxy the one the proxy names
	Peer      netip.Addr // the host at the other end of the connection: Client itself, or the proxy
	Helo      string     // name the client gave in EHLO or HELO, unverified
	ESMTP     bool       // the client said EHLO
	TLS       *tls.ConnectionState
	// ClientName is the required name that the client's TLS certificate was verified for (RFC 6125, RFC 9525); "" without.
	ClientName string
	User       string // who signed in (RFC 4954); "" is nobody
	// Origin is the host a trusted relay took the message from. It is known only when the header has come: a backend that
	// wants it here sets it when its spool is told (receive.OriginSpool).
	Origin Origin

	From       string // MAIL FROM without angle brackets; "" is the null sender of bounces and notices
	Size       int64  // octets announced by SIZE= (RFC 1870); 0 is unknown
	UTF8       bool   // SMTPUTF8: addresses and header fields may be UTF-8 (RFC 6531)
	Return     string // RET=: "FULL", "HDRS" or "", what of the message a delivery notice brings back (RFC 3461 4.3)
	EnvelopeID string // ENVID= decoded, printable ASCII, at most 100 octets; "" without (RFC 3461 4.4)
	To         []Recipient
	Received   time.Time // when MAIL was accepted
}

// Origin is a host as the Received field of a trusted relay names it (RFC 5321 4.4).
type Origin struct {
	Client netip.Addr // invalid: no relay named one
	Helo   string     // what it said in EHLO or HELO, unverified; "" when the field does not tell
}

// NullSender tells whether the message has the null reverse-path, so that nothing may be answered to it (RFC 5321 4.5.5).
func (e Envelope) NullSender() bool { return e.From == "" }

// Recipient is one RCPT TO.
type Recipient struct {
	Address    string     // as given, without angle brackets, quoting kept
	Fax        FaxAddress // meaningful unless Postmaster or Forward
	Postmaster bool       // mail to the appliance's keeper, never faxed (RFC 5321 4.5.1)
	Forward    string     // the mail is sent on to this address instead of being faxed; "": it is a fax
	Notify     Notify     // NOTIFY= (RFC 3461 4.1)
	// OriginalRecipient is ORCPT= decoded, like "rfc822;jane@example.com"; without line breaks or other control
	// characters, at most 500 octets; "" without (RFC 3461 4.2).
	OriginalRecipient string
}

// Notify is the set of events a sender wants delivery notices for (RFC 3461 4.1). Zero: it did not say, and failures
// and perhaps delays are told.
type Notify uint8

// The events. NotifyNever stands alone.
const (
	NotifySuccess Notify = 1 << iota
	NotifyFailure
	NotifyDelay
	NotifyNever
)

var notifyNames = [...]string{"SUCCESS", "FAILURE", "DELAY", "NEVER"}

// String is the value as it stands in NOTIFY=, "" for zero.
func (n Notify) String() string {
	var list []string
	for i, name := range notifyNames {
		if n&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return strings.Join(list, ",")
}

// ParseNotify reads the value of NOTIFY=: "NEVER", or a list of "SUCCESS", "FAILURE" and "DELAY", each once at most.
func ParseNotify(value string) (n Notify, ok bool) {
	for word := range strings.SplitSeq(strings.ToUpper(value), ",") {
		i := slices.Index(notifyNames[:], word)
		if i < 0 || n&(1<<i) != 0 {
			return 0, false
		}
		n |= 1 << i
	}
	return n, n == NotifyNever || n&NotifyNever == 0
}

// ErrAddressSyntax is returned when a mail address has no local part, no domain or forbidden characters.
var ErrAddressSyntax = errors.New("not a mail address")

// SplitAddress cuts a mailbox at its last "@" outside quotes: the local part unquoted, the domain in lower case
// (RFC 5321 4.1.2).
func SplitAddress(addr string) (local, domain string, err error) {
	at := strings.LastIndexByte(addr, '@')
	if at <= 0 || at == len(addr)-1 {
		return "", "", fmt.Errorf("%w: %q has no user@domain", ErrAddressSyntax, shorten(addr))
	}
	if len(addr) > 320 {
		return "", "", fmt.Errorf("%w: longer than 320 octets", ErrAddressSyntax)
	}
	local, domain = addr[:at], strings.TrimSuffix(strings.ToLower(addr[at+1:]), ".")
	if err := checkDomain(domain); err != nil {
		return "", "", err
	}
	if local, err = unquoteLocal(local); err != nil {
		return "", "", err
	}
	return local, domain, nil
}

// checkDomain takes a name, its labels also beyond ASCII, or an address literal (RFC 5321 4.1.3).
func checkDomain(domain string) error {
	if lit, ok := strings.CutPrefix(domain, "["); ok {
		lit, closed := strings.CutSuffix(lit, "]")
		lit, six := strings.CutPrefix(lit, "ipv6:")
		ip, err := netip.ParseAddr(lit)
		if err != nil || !closed || six != ip.Is6() || ip.Zone() != "" {
			return fmt.Errorf("%w: %q is not an address literal", ErrAddressSyntax, shorten(domain))
		}
		return nil
	}
	if domain == "" || strings.HasPrefix(domain, ".") || strings.Contains(domain, "..") {
		return fmt.Errorf("%w: the domain has an empty label", ErrAddressSyntax)
	}
	for _, r := range domain {
		plain := r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_'
		if !plain && (r < 0xa0 || r == utf8.RuneError) {
			return fmt.Errorf("%w: character %q in the domain", ErrAddressSyntax, r)
		}
	}
	return nil
}

// unquoteLocal undoes the quoted-string form of a local part and refuses control characters.
func unquoteLocal(s string) (string, error) {
	quoted := len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"'
	if quoted {
		s = s[1 : len(s)-1]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if quoted && c == '\\' {
			if i++; i == len(s) {
				return "", fmt.Errorf("%w: lone backslash", ErrAddressSyntax)
			}
			c = s[i]
		} else if quoted && c == '"' {
			return "", fmt.Errorf("%w: quote inside the quoted part", ErrAddressSyntax)
		}
		if c < ' ' || c == 0x7f {
			return "", fmt.Errorf("%w: control character in the user part", ErrAddressSyntax)
		}
		if !quoted && strings.IndexByte(` "(),:;<>@[\]`, c) >= 0 {
			return "", fmt.Errorf("%w: character %q needs quotes", ErrAddressSyntax, c)
		}
		b.WriteByte(c)
	}
	if b.Len() == 0 {
		return "", fmt.Errorf("%w: empty user part", ErrAddressSyntax)
	}
	return b.String(), nil
}

// shorten keeps hostile input out of error texts and logs.
func shorten(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
