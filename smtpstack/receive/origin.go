package receive

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/tipring/tipring/smtpstack"
)

// OriginSpool is a Spool that wants to know where a trusted relay has the message from (Config.TrustedRelays). Origin is
// called once, before Commit; an error refuses the message as one of Commit does, and Abort follows.
type OriginSpool interface {
	Spool
	Origin(o smtpstack.Origin) error
}

const (
	maxOriginHeader = 64 << 10 // of the header, looked at for Received fields
	maxHops         = 10       // trusted relays in a row
)

// headerTap keeps the beginning of the message's header.
type headerTap struct {
	buf   []byte
	ended bool
}

var headerEnd = []byte("\r\n\r\n")

func (t *headerTap) write(b []byte) {
	if t.ended {
		return
	}
	from := max(len(t.buf)-3, 0)
	t.buf = append(t.buf, b[:min(len(b), maxOriginHeader-len(t.buf))]...)
	if i := bytes.Index(t.buf[from:], headerEnd); i >= 0 {
		t.buf, t.ended = t.buf[:from+i+2], true
	} else if len(t.buf) == maxOriginHeader {
		// What is cut off in the middle must not be read.
		t.buf, t.ended = t.buf[:max(0, bytes.LastIndex(t.buf, crlf))], true
		t.buf = append(t.buf, crlf...)
	}
}

// origin follows the topmost Received fields as long as a trusted relay names another one, and returns the first host
// that is none. ok is false when a field is missing or cannot be read without doubt.
func origin(header []byte, trusted []netip.Prefix) (o smtpstack.Origin, ok bool) {
	hops := 0
	for name, value := range headerFields(header) {
		if !strings.EqualFold(name, "Received") {
			continue
		}
		if o, ok = parseReceived(value); !ok {
			return smtpstack.Origin{}, false
		}
		if !containsAddr(trusted, o.Client) {
			return o, true
		}
		if hops++; hops == maxHops {
			break
		}
	}
	return smtpstack.Origin{}, false
}

// headerFields gives each field with its lines joined, down to the header's end or the first line that is no field.
func headerFields(header []byte) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		for len(header) > 0 {
			end := 0
			for {
				i := bytes.Index(header[end:], crlf)
				if i < 0 {
					return // cut off
				}
				if end += i + 2; i == 0 || end == len(header) || header[end] != ' ' && header[end] != '\t' {
					break
				}
			}
			name, value, found := strings.Cut(string(header[:end]), ":")
			name = strings.TrimRight(name, " \t")
			if header = header[end:]; !found || name == "" || strings.ContainsAny(name, " \t\r\n") {
				return
			}
			if !yield(name, strings.ReplaceAll(value, "\r\n", " ")) {
				return
			}
		}
	}
}

// parseReceived reads the From-domain of a Received field (RFC 5321 4.4): "from", the name or literal, a comment with the
// address, "by". Anything a client could have put there by its EHLO makes it doubtful: a second comment, a second
// address, a second "by", nested parentheses.
//
//	from helo.example (ptr.example [192.0.2.1]) by ...    the RFC's form: Postfix, sendmail, Tipring
//	from helo.example ([192.0.2.1]) by ...
//	from helo.example (192.0.2.1) by ...                  Field: Exchange
//	from [192.0.2.1] (helo=x.example) by ...              Field: Exim, no PTR name
//	from ptr.example ([192.0.2.1] helo=x.example) by ...  Field: Exim
func parseReceived(value string) (smtpstack.Origin, bool) {
	var none smtpstack.Origin
	rest, ok := cutWord(value, "from")
	if !ok || !isPrintable(strings.ReplaceAll(value, "\t", " ")) {
		return none, false
	}
	end := strings.IndexAny(rest, " \t(")
	if end <= 0 {
		return none, false
	}
	said := rest[:end]
	comment, rest, ok := cutComment(rest[end:])
	if !ok {
		return none, false
	}
	rest, ok = cutWord(rest, "by")
	if second := func(w string) bool { return strings.EqualFold(w, "by") }; !ok || slices.ContainsFunc(words(rest), second) {
		return none, false
	}
	return judgeFrom(said, words(comment))
}

// judgeFrom finds the one address.
func judgeFrom(said string, words []string) (smtpstack.Origin, bool) {
	o := smtpstack.Origin{Helo: said}
	if ip, ok := literal(said); ok && strings.HasPrefix(said, "[") && len(words) <= 1 {
		if o.Helo = ""; len(words) == 1 { // Exim
			if o.Helo, ok = strings.CutPrefix(words[0], "helo="); !ok {
				// The client said a literal: the comment has the true address.
				ip, ok = literal(words[0])
				o.Helo = said
			}
		}
		o.Client = ip
		return o, ok
	}
	found := 0
	for i, w := range words {
		if ip, ok := literal(w); ok {
			if found++; !strings.HasPrefix(w, "[") && (i > 0 || len(words) > 1) {
				return smtpstack.Origin{}, false // a bare address only alone
			}
			o.Client = ip
		}
		if helo, ok := strings.CutPrefix(w, "helo="); ok {
			o.Helo = helo
		}
	}
	if found != 1 {
		return smtpstack.Origin{}, false
	}
	return o, true
}

// literal reads "[192.0.2.1]", "[IPv6:2001:db8::1]", and both without brackets.
func literal(s string) (netip.Addr, bool) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if s, ok = strings.CutSuffix(inner, "]"); !ok {
			return netip.Addr{}, false
		}
	}
	if len(s) > 5 && strings.EqualFold(s[:5], "ipv6:") {
		s = s[5:]
	}
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
		return netip.Addr{}, false
	}
	return ip.Unmap(), true
}

// cutWord takes a word, in any case, with the white space around it.
func cutWord(s, word string) (rest string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	if len(s) <= len(word) || !strings.EqualFold(s[:len(word)], word) || s[len(word)] != ' ' && s[len(word)] != '\t' {
		return "", false
	}
	return strings.TrimLeft(s[len(word):], " \t"), true
}

// cutComment takes one comment. sendmail's "(may be forged)" inside it is the only comment within.
func cutComment(s string) (comment, rest string, ok bool) {
	s, ok = strings.CutPrefix(strings.TrimLeft(s, " \t"), "(")
	if !ok {
		return "", "", false
	}
	s = strings.Replace(s, " (may be forged))", ")", 1)
	end := strings.IndexByte(s, ')')
	if end < 0 || strings.ContainsAny(s[:end], `(\"`) {
		return "", "", false
	}
	return s[:end], s[end+1:], true
}

func containsAddr(list []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// relayed finds out where a trusted relay has the message from and tells the spool. Mail whose origin stays unknown is
// refused, unless it is for the postmaster alone: proofs about the relay itself would be taken for the sender's.
func (s *session) relayed(env smtpstack.Envelope, in *incoming) error {
	if in.tap == nil {
		return nil
	}
	o, ok := origin(in.tap.buf, s.cfg.TrustedRelays)
	if !ok && slices.ContainsFunc(env.To, func(r smtpstack.Recipient) bool { return !r.Postmaster }) {
		return smtpstack.Refuse(550, "5.7.1", "the topmost Received field of your relay does not say clearly which host it had this mail from")
	}
	if ok {
		s.trace("!", smtpstack.OneLine("relayed for "+o.Client.String()+" "+o.Helo))
	}
	if spool, takes := in.spool.(OriginSpool); takes && ok {
		return spool.Origin(o)
	}
	return nil
}
