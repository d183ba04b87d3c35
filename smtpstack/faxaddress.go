package smtpstack

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// FaxAddress is the destination of a fax as a mail address names it.
type FaxAddress struct {
	Number     string // digits to dial, with a leading "+" when the address gave an international number
	Subaddress string // T.33 subaddress, digits, or ""
	Name       string // the person or company at the far end, or ""
	Options    Options
}

// Limits of a fax address. E.164 has 15 digits; dial prefixes and carrier codes make numbers longer. The subaddress
// is limited by the 20 characters of the SUB frame (T.30 5.3.6.2.8).
const (
	MaxNumberDigits     = 32
	MaxSubaddressDigits = 20
	maxLocalPart        = 512 // RFC 5321 has 64; IMCEAFAX triples each octet, and Outlook does not care
	maxName             = 128
)

var (
	// ErrNoNumber is returned when a fax address has no digit.
	ErrNoNumber = errors.New("no telephone number")
	// ErrNumberCharacter is returned when a telephone number has anything but digits, a leading "+" and separators.
	ErrNumberCharacter = errors.New("not a telephone number")
	// ErrNumberLength is returned when a telephone number or subaddress has too many digits.
	ErrNumberLength = errors.New("telephone number too long")
	// ErrSubaddress is returned when the T33S subaddress is empty or has anything but digits.
	ErrSubaddress = errors.New("subaddress is not made of digits")
	// ErrFaxSyntax is returned when a FAX= or IMCEAFAX- address breaks its own syntax, or has a qualifier that is unknown
	// or that nothing here could honor; the text names it.
	ErrFaxSyntax = errors.New("malformed fax address")
)

const imceaPrefix = "IMCEAFAX-"

// ParseFaxAddress reads the local part of a fax's mail address, already unquoted (see SplitAddress):
//
//	15551234567  +1-555-123-4567  +1 (555) 123.4567   digits with separators
//	5551234.fine.to=Jane_Doe                           options behind the number: see [Options]
//	FAX=+15551234567/T33S=123/ATTN=Jane.Doe            RFC 3191 2, RFC 3192 3
//	IMCEAFAX-Jane+20Doe+40+2B1+20555+20123             Outlook's encapsulation: "+XX" is an octet, "_" is "/"
//
// Of the qualifiers behind FAX=, T33S, ATTN and ORG are read; the postal ones (OFNO, OFN, STR, ADR, ADU, ADL, POB, ZIP,
// CO: RFC 2846 7) say nothing that a call needs and are skipped; any other, like POST (tones behind the number) and
// ISUB, is refused, since the fax would go elsewhere without it. Name has what to= says, else ATTN, else ORG.
//
// In an international number "(0)" is the national trunk prefix people write for readers at home; it is not dialed.
func ParseFaxAddress(local string) (FaxAddress, error) {
	if len(local) > maxLocalPart {
		return FaxAddress{}, fmt.Errorf("%w: longer than %d octets", ErrFaxSyntax, maxLocalPart)
	}
	if len(local) >= len(imceaPrefix) && strings.EqualFold(local[:len(imceaPrefix)], imceaPrefix) {
		return parseIMCEA(local[len(imceaPrefix):])
	}
	return parsePlainOrQualified(local)
}

func parsePlainOrQualified(local string) (FaxAddress, error) {
	body := strings.TrimPrefix(local, "/")
	if len(body) >= 4 && strings.EqualFold(body[:4], "FAX=") {
		return parseQualified(body[4:])
	}
	return parseNumberOptions(local)
}

// parseNumberOptions reads "number.option.option".
func parseNumberOptions(s string) (FaxAddress, error) {
	number, words := cutOptions(s)
	n, err := ParseNumber(number)
	if err != nil {
		return FaxAddress{}, err
	}
	o, err := parseOptions(words)
	if err != nil {
		return FaxAddress{}, err
	}
	return FaxAddress{Number: n, Name: o.To, Subaddress: o.Subaddress, Options: o}, nil
}

// parseIMCEA decodes the encapsulation; what is inside is "Name@number", a FAX= address or a bare number.
func parseIMCEA(s string) (FaxAddress, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '_':
			b.WriteByte('/')
		case '+':
			if i+2 >= len(s) {
				return FaxAddress{}, fmt.Errorf("%w: IMCEAFAX escape cut short", ErrFaxSyntax)
			}
			hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2])
			if hi < 0 || lo < 0 {
				return FaxAddress{}, fmt.Errorf("%w: IMCEAFAX escape %q is not hexadecimal", ErrFaxSyntax, s[i:i+3])
			}
			b.WriteByte(byte(hi<<4 | lo))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	inner := b.String()
	at := strings.LastIndexByte(inner, '@')
	a, err := parsePlainOrQualified(inner[at+1:])
	if err == nil && at > 0 && a.Name == "" {
		a.Name = cleanName(inner[:at])
	}
	return a, err
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// parseQualified reads "number/KEY=value/KEY=value".
func parseQualified(s string) (FaxAddress, error) {
	number, rest, _ := strings.Cut(s, "/")
	a, err := parseNumberOptions(number)
	if err != nil {
		return FaxAddress{}, err
	}
	var attn, org string
	for _, q := range strings.Split(rest, "/") {
		if q == "" {
			continue
		}
		key, value, ok := strings.Cut(q, "=")
		if !ok {
			return FaxAddress{}, fmt.Errorf("%w: %q is not KEY=value", ErrFaxSyntax, shorten(printable(q)))
		}
		switch strings.ToUpper(key) {
		case "T33S":
			if a.Subaddress != "" {
				return FaxAddress{}, fmt.Errorf("%w, or against another: %q", ErrOptionTwice, "T33S")
			}
			if a.Subaddress, err = parseSubaddress(value); err != nil {
				return FaxAddress{}, err
			}
			a.Options.Subaddress = a.Subaddress
		case "ATTN":
			attn = cleanName(value)
		case "ORG":
			org = cleanName(value)
		case "OFNO", "OFN", "STR", "ADR", "ADU", "ADL", "POB", "ZIP", "CO":
		default:
			return FaxAddress{}, fmt.Errorf("%w: %q is not known here", ErrFaxSyntax, shorten(printable(key)))
		}
	}
	for _, name := range []string{attn, org} {
		if a.Name == "" {
			a.Name = name
		}
	}
	return a, nil
}

func parseSubaddress(s string) (string, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return "", fmt.Errorf("%w: %q", ErrSubaddress, shorten(printable(s)))
	}
	if len(s) > MaxSubaddressDigits {
		return "", fmt.Errorf("%w: the subaddress has %d digits, at most %d", ErrNumberLength, len(s), MaxSubaddressDigits)
	}
	return s, nil
}

// ParseNumber strips the separators space, "-", "." and parentheses from a telephone number. A "+" may stand only
// before the first digit and is kept.
func ParseNumber(s string) (string, error) {
	b := make([]byte, 0, MaxNumberDigits+1)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			b = append(b, c)
		case c == '+' && len(b) == 0:
			b = append(b, c)
		case c == '(' && len(b) > 1 && b[0] == '+' && strings.HasPrefix(s[i:], "(0)"):
			i += 2
		case strings.IndexByte(" -.()", c) >= 0:
		default:
			r, _ := utf8.DecodeRuneInString(s[i:])
			return "", fmt.Errorf("%w: character %q at position %d", ErrNumberCharacter, r, i+1)
		}
		if len(b) > MaxNumberDigits+1 {
			return "", fmt.Errorf("%w: more than %d digits", ErrNumberLength, MaxNumberDigits)
		}
	}
	digits := len(b)
	if digits > 0 && b[0] == '+' {
		digits--
	}
	if digits == 0 {
		return "", fmt.Errorf("%w in %q", ErrNoNumber, shorten(s))
	}
	if digits > MaxNumberDigits {
		return "", fmt.Errorf("%w: more than %d digits", ErrNumberLength, MaxNumberDigits)
	}
	return string(b), nil
}

// cleanName makes a name from an address printable: it ends up on cover pages and in notices.
func cleanName(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 {
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	for len(s) > maxName {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
