package send

import (
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

// checkPattern takes a domain, or "*." and a domain.
func checkPattern(p string) error {
	name := strings.TrimPrefix(p, "*.")
	if ascii, err := idna.Lookup.ToASCII(name); err != nil || ascii == "" || len(name) > 253 || strings.Contains(name, "..") || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "*@ ") {
		return fmt.Errorf("%.80q is neither a domain nor *.domain", p)
	}
	return nil
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
