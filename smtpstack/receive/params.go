package receive

import (
	"errors"
	"strconv"
	"strings"

	"github.com/tipring/tipring/smtpstack"
)

// mailParams is what MAIL said beside the path.
type mailParams struct {
	size  int64
	utf8  bool
	ret   string
	envid string
}

// rcptParams is what RCPT said beside the path.
type rcptParams struct {
	notify smtpstack.Notify
	orcpt  string
}

// RFC 3461 4.4 and 4.2.
const (
	maxEnvelopeID = 100
	maxOrcpt      = 500
)

func badParam(format string, args ...any) *smtpstack.Reply {
	return smtpstack.Refuse(501, "5.5.4", format, args...)
}

// eachParam takes parameters apart; one given twice or of another shape than RFC 5321 4.1.2 has is refused.
func eachParam(params []string, take func(key, value string, hasValue bool) *smtpstack.Reply) *smtpstack.Reply {
	seen := make(map[string]bool)
	for _, p := range params {
		key, value, hasValue := strings.Cut(p, "=")
		if key == "" || !isPrintable(key) || hasValue && value == "" {
			return badParam("parameter %.30s is malformed", key)
		}
		key = strings.ToUpper(key)
		if seen[key] {
			return badParam("parameter %.30s is given twice", key)
		}
		seen[key] = true
		if refusal := take(key, value, hasValue); refusal != nil {
			return refusal
		}
	}
	return nil
}

func unknownParam(key string) *smtpstack.Reply {
	return smtpstack.Refuse(555, "5.5.4", "parameter %.30s is not known here", key)
}

// mailParams reads what may follow MAIL's path: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET and ENVID
// (RFC 3461), AUTH (RFC 4954). go-smtp sees none of them.
func (c *Config) mailParams(params []string) (m mailParams, refusal *smtpstack.Reply) {
	refusal = eachParam(params, func(key, value string, hasValue bool) *smtpstack.Reply {
		switch key {
		case "SIZE":
			return c.sizeParam(value, &m)
		case "BODY":
			switch strings.ToUpper(value) {
			case "7BIT", "8BITMIME":
			case "BINARYMIME":
				return smtpstack.Refuse(504, "5.5.4", "BINARYMIME is not offered")
			default:
				return badParam("BODY is 7BIT or 8BITMIME")
			}
		case "SMTPUTF8":
			if m.utf8 = true; hasValue {
				return badParam("SMTPUTF8 has no value")
			}
		case "RET":
			if m.ret = strings.ToUpper(value); m.ret != "FULL" && m.ret != "HDRS" {
				return badParam("RET is FULL or HDRS")
			}
		case "ENVID":
			var ok bool
			if m.envid, ok = decodeXtext(value); !ok || len(value) > maxEnvelopeID || !isPrintable(m.envid) {
				return badParam("ENVID is not xtext of at most %d characters", maxEnvelopeID)
			}
		case "AUTH":
			if c.Authenticate == nil {
				return unknownParam(key)
			}
			if _, ok := decodeXtext(value); !ok {
				return badParam("AUTH is not xtext")
			}
		default:
			return unknownParam(key)
		}
		return nil
	})
	return m, refusal
}

func (c *Config) sizeParam(value string, m *mailParams) *smtpstack.Reply {
	n, err := strconv.ParseUint(value, 10, 63)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && int64(n) > c.MaxSize:
		return c.tooLarge()
	case err != nil || len(value) > 20: // RFC 1870 3: up to 20 digits
		return badParam("SIZE is a number of octets")
	}
	m.size = int64(n)
	return nil
}

// readRcptParams reads NOTIFY and ORCPT (RFC 3461 4.1, 4.2; RFC 6533 3 for addresses in UTF-8).
func readRcptParams(params []string) (r rcptParams, refusal *smtpstack.Reply) {
	refusal = eachParam(params, func(key, value string, _ bool) *smtpstack.Reply {
		var ok bool
		switch key {
		case "NOTIFY":
			if r.notify, ok = smtpstack.ParseNotify(value); !ok {
				return badParam("NOTIFY is NEVER or a list of SUCCESS, FAILURE and DELAY")
			}
		case "ORCPT":
			if r.orcpt, ok = parseOrcpt(value); !ok {
				return badParam("ORCPT is not an address type and an address in xtext")
			}
		default:
			return unknownParam(key)
		}
		return nil
	})
	return r, refusal
}

// parseOrcpt reads "rfc822;jane+40example.com" and decodes the address. It ends up in notices, so that nothing in it may
// break a line.
func parseOrcpt(value string) (string, bool) {
	kind, addr, found := strings.Cut(value, ";")
	if !found || len(value) > maxOrcpt || kind == "" || addr == "" || strings.ContainsFunc(kind, notAtom) {
		return "", false
	}
	if strings.EqualFold(kind, "utf-8") {
		// RFC 6533's own coding; it is kept as it came, which is one word of text without control characters.
		return kind + ";" + addr, isText(addr)
	}
	addr, ok := decodeXtext(addr)
	return kind + ";" + addr, ok && isPrintable(addr) && strings.TrimSpace(addr) != ""
}

func notAtom(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\".[]`, r)
}

// decodeXtext undoes RFC 3461 4's coding: "+" and two capital hexadecimal digits are an octet, "=" does not occur.
func decodeXtext(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			b.WriteByte(byte(hi<<4 | lo))
			i += 2
		case c <= ' ' || c >= 0x7f || c == '=':
			return "", false
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

func hexDigit(c byte) int { return strings.IndexByte("0123456789ABCDEF", c) }
