package verify

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// errSPFSyntax is returned when a record does not follow the grammar of RFC 7208 12.
var errSPFSyntax = errors.New("syntax error")

var (
	spfModifier = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9._-]*)=(.*)$`)
	spfCIDR     = regexp.MustCompile(`^(.*?)(?:/([0-9]+))?(?://([0-9]+))?$`)
	spfMacro    = regexp.MustCompile(`^([slodiphvSLODIPHV])([0-9]*)([rR]?)([-.+,/_=]*)$`)
	spfToplabel = regexp.MustCompile(`^([A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9])$`)
)

// spfRecord checks all of a record and returns it for the module: a "/" in a name is written as slash, and the macro "p"
// is replaced by its value, which is asked for only then.
func spfRecord(record string, validated func() string) (string, error) {
	terms := strings.Split(record, " ")
	seen := map[string]bool{}
	for i, term := range terms[1:] {
		if term == "" {
			continue
		}
		if j := strings.IndexFunc(term, func(r rune) bool { return r <= ' ' || r >= 0x7f }); j >= 0 {
			return "", fmt.Errorf("%w: a character that is not plain ASCII", errSPFSyntax)
		}
		var err error
		if m := spfModifier.FindStringSubmatch(term); m != nil {
			name := strings.ToLower(m[1])
			known := name == "redirect" || name == "exp"
			if known && seen[name] {
				return "", fmt.Errorf("%w: %s= stands twice", errSPFSyntax, name)
			}
			seen[name] = true
			var value string
			if value, err = macroString(m[2], known, validated); name == "redirect" {
				terms[i+1] = "redirect=" + value
			}
		} else {
			terms[i+1], err = directive(term, validated)
		}
		if err != nil {
			return "", fmt.Errorf("%w in %q", err, clip(term))
		}
	}
	return strings.Join(terms, " "), nil
}

// directive checks one mechanism with its qualifier.
func directive(term string, validated func() string) (string, error) {
	body := strings.TrimLeft(term[:1], "+-?~") + term[1:]
	end := strings.IndexAny(body, ":/")
	if end < 0 {
		end = len(body)
	}
	name, rest := strings.ToLower(body[:end]), body[end:]
	prefix := term[:len(term)-len(rest)]
	value, hasValue := strings.CutPrefix(rest, ":")
	switch name {
	case "all":
		return term, syntaxIf(rest != "")
	case "include", "exists", "ptr":
		if name == "ptr" && rest == "" {
			return term, nil
		}
		value, err := macroString(value, true, validated)
		return prefix + ":" + value, errors.Join(err, syntaxIf(!hasValue))
	case "a", "mx":
		m := spfCIDR.FindStringSubmatch(rest)
		if err := errors.Join(checkPrefix(m[2], 32), checkPrefix(m[3], 128)); err != nil || m[1] == "" {
			return term, err
		}
		value, hasValue = strings.CutPrefix(m[1], ":")
		value, err := macroString(value, true, validated)
		return prefix + ":" + value + rest[len(m[1]):], errors.Join(err, syntaxIf(!hasValue))
	case "ip4", "ip6":
		network, length, has := strings.Cut(value, "/")
		ip, err := netip.ParseAddr(network)
		if err != nil || ip.Zone() != "" || (name == "ip4") != ip.Is4() || has && length == "" {
			return term, errSPFSyntax
		}
		return term, checkPrefix(length, ip.BitLen())
	}
	return term, fmt.Errorf("%w: no such mechanism", errSPFSyntax)
}

func syntaxIf(bad bool) error {
	if bad {
		return errSPFSyntax
	}
	return nil
}

// checkPrefix checks a prefix length; "" is none.
func checkPrefix(s string, most int) error {
	n, err := strconv.Atoi(s)
	return syntaxIf(s != "" && (err != nil || n > most || s[0] == '0' && s != "0"))
}

// macroString checks a macro-string, and when it is to be a domain-spec also its end (RFC 7208 7.1). It is returned as
// the module is to have it.
func macroString(s string, domainSpec bool, validated func() string) (string, error) {
	var out strings.Builder
	literal := "" // since the last macro
	for rest := s; rest != ""; {
		if rest[0] != '%' {
			i := strings.IndexByte(rest+"%", '%')
			literal, rest = rest[:i], rest[i:]
			out.WriteString(strings.ReplaceAll(literal, "/", slash))
			continue
		}
		literal = ""
		if len(rest) > 1 && strings.IndexByte("%_-", rest[1]) >= 0 {
			out.WriteString(rest[:2])
			rest = rest[2:]
			continue
		}
		body, tail, closed := strings.Cut(rest, "}")
		body, opened := strings.CutPrefix(body, "%{")
		m := spfMacro.FindStringSubmatch(body)
		if !closed || !opened || m == nil || m[2] != "" && strings.Trim(m[2], "0") == "" {
			return "", fmt.Errorf("%w: faulty macro", errSPFSyntax)
		}
		if strings.EqualFold(m[1], "p") {
			out.WriteString(transform(validated(), m[2], m[3] != "", m[4]))
		} else {
			out.WriteString("%{" + body + "}")
		}
		rest = tail
	}
	if !domainSpec {
		return out.String(), nil
	}
	if literal == "" && s != "" {
		return out.String(), nil // ends in a macro
	}
	literal = strings.TrimSuffix(literal, ".")
	dot := strings.LastIndexByte(literal, '.')
	if dot < 0 || !spfToplabel.MatchString(literal[dot+1:]) {
		return "", fmt.Errorf("%w: not a domain", errSPFSyntax)
	}
	return out.String(), nil
}

// transform applies a macro's transformers (RFC 7208 7.3).
func transform(value, digits string, reverse bool, delimiters string) string {
	if delimiters == "" {
		delimiters = "."
	}
	parts := strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(delimiters, r) })
	if reverse {
		slices.Reverse(parts)
	}
	if n, err := strconv.Atoi(digits); err == nil && n > 0 && n < len(parts) {
		parts = parts[len(parts)-n:]
	}
	return strings.Join(parts, ".")
}
