package send

import (
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

// asciiPattern takes a domain, or "*." and a domain, and gives it in the form in which match compares: lower case,
// international labels in ASCII.
func asciiPattern(p string) (string, error) {
	name, below := strings.CutPrefix(strings.ToLower(strings.TrimSuffix(p, ".")), "*.")
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil || ascii == "" || len(ascii) > 253 || strings.Contains(ascii, "..") || strings.HasPrefix(ascii, ".") || strings.ContainsAny(ascii, "*@ ") {
		return "", fmt.Errorf("%.80q is neither a domain nor *.domain", p)
	}
	if below {
		ascii = "*." + ascii
	}
	return ascii, nil
}

// match finds the entry for a domain: the exact one, then the longest "*." suffix, then "*". A "*.example.com" covers
// all names below example.com, but not itself.
func match[T any](table map[string]T, domain string) (v T, ok bool) {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	if v, ok = table[domain]; ok {
		return v, true
	}
	for rest := domain; ; {
		var found bool
		if _, rest, found = strings.Cut(rest, "."); !found {
			break
		}
		if v, ok = table["*."+rest]; ok {
			return v, true
		}
	}
	v, ok = table["*"]
	return v, ok
}
