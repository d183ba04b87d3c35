package receive

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// cutPath takes "FROM:<path> param param" apart. The path comes without angle brackets and source route (RFC 5321
// 4.1.2, appendix C); spaces after the colon and missing brackets are forgiven, as devices send both.
func cutPath(arg, word string) (path string, params []string, ok bool) {
	if len(arg) < len(word) || !strings.EqualFold(arg[:len(word)], word) {
		return "", nil, false
	}
	s := strings.TrimLeft(arg[len(word):], " ")
	if !strings.HasPrefix(s, "<") {
		fields := words(s)
		if len(fields) == 0 || strings.ContainsAny(fields[0], `<>"`) {
			return "", nil, false
		}
		return fields[0], fields[1:], true
	}
	end, quoted := -1, false
scan:
	for i := 1; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && s[i] == '>':
			end = i
			break scan
		case !quoted && s[i] == '<':
			return "", nil, false
		}
	}
	if end < 0 || end+1 < len(s) && s[end+1] != ' ' {
		return "", nil, false
	}
	path, params = s[1:end], words(s[end+1:])
	if strings.HasPrefix(path, "@") {
		if _, rest, found := strings.Cut(path, ":"); found {
			path = rest
		}
	}
	return path, params, true
}

// words splits at spaces and tabs, and not at those that only Unicode knows.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' })
}

func isPrintable(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// isText tells whether s is UTF-8 without control characters and line breaks of any kind.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	})
}

// wrapped is the domain that wrapPath adds.
const wrapped = "@path"

// wrapPath makes a path one that go-smtp gives us unchanged: it refuses <postmaster>, which RFC 5321 4.5.1 has taken,
// and undoes the quotes of a local part, without which "bob@elsewhere"@here is another address. So the whole path goes
// through as a quoted local part.
func wrapPath(path string) string {
	if path == "" {
		return "<>"
	}
	return `<"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"` + wrapped + ">"
}

// unwrapPath undoes wrapPath after go-smtp.
func unwrapPath(s string) string { return strings.TrimSuffix(s, wrapped) }

// asciiDomain is a domain as DNS has it: in lower case, its labels beyond ASCII in "xn--" form (RFC 5891 4.4). A domain
// that has no such form is returned as it is, and is like no other.
func asciiDomain(domain string) string {
	domain = strings.ToLower(domain)
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		return ascii
	}
	return domain
}
