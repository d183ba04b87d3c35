package routing

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tipring/tipring/appliance/store"
)

// DialRule permits or denies the destinations that begin with Prefix. The longest prefix that fits decides; where a
// permit and a denial have the same prefix, the denial does. No rule fits: denied.
type DialRule struct {
	ID string `json:"id"`
	// Prefix is digits; "" fits every number. With a leading + it fits numbers given with + only; without, a permit fits
	// only numbers given without, and a denial both: +1900 is no way around a denial of 1900.
	Prefix string `json:"prefix"`
	Deny   bool   `json:"deny,omitempty"`
	Note   string `json:"note,omitempty"` // for people: shown when it denies
}

// fits tells whether number, as NormalizeNumber leaves it, begins with the rule's prefix.
func (r DialRule) fits(number string) bool {
	return strings.HasPrefix(dialable(number), r.Prefix) || r.Deny && strings.HasPrefix(digits(number), r.Prefix)
}

// dialable leaves digits and a leading +: pauses and separators take nobody past a rule.
func dialable(number string) string {
	d := digits(number)
	if strings.HasPrefix(strings.TrimSpace(number), "+") {
		return "+" + d
	}
	return d
}

// Pattern is the rule's prefix as people write it: with a * for the rest, "*" for all numbers.
func (r DialRule) Pattern() string { return r.Prefix + "*" }

// describe says which rule this is and what it says of which numbers.
func (r DialRule) describe() string {
	what, word := "all numbers", "permits"
	if r.Prefix != "" {
		what = "numbers that begin with " + r.Prefix
	}
	if r.Deny {
		word = "denies"
	}
	s := fmt.Sprintf("Rule %s %s %s", r.ID, word, what)
	if r.Note != "" {
		s += ": " + strings.TrimRight(r.Note, ".")
	}
	return s + "."
}

// ParsePrefix reads first digits as people write them ("+425", "555*"; "*" for all numbers) and returns the prefix that
// a [DialRule] has. Separators are not allowed: "1-800" would look like a range. Errors: ErrRule.
func ParsePrefix(pattern string) (string, error) {
	prefix, star := strings.CutSuffix(pattern, "*")
	if prefix == "" && !star {
		return "", fmt.Errorf("%w: an empty pattern; write * for all numbers", ErrRule)
	}
	return prefix, checkPrefix(prefix)
}

// maxPrefix is longer than any number that can be dialed.
const maxPrefix = 40

func checkPrefix(prefix string) error {
	if len(prefix) > maxPrefix || strings.Trim(strings.TrimPrefix(prefix, "+"), "0123456789") != "" {
		return fmt.Errorf("%w: %.60q is not first digits like +425 or 555*, or * for all numbers", ErrRule, prefix)
	}
	return nil
}

// NewDialTable makes the rules of two lists of patterns; their ids are name.allow and name.deny. Errors: ErrRule.
func NewDialTable(name string, allow, deny []string) (DialTable, error) {
	t := make(DialTable, 0, len(allow)+len(deny))
	for i, pattern := range slices.Concat(allow, deny) {
		prefix, err := ParsePrefix(pattern)
		if err != nil {
			return nil, err
		}
		r := DialRule{ID: name + ".allow", Prefix: prefix}
		if i >= len(allow) {
			r.ID, r.Deny = name+".deny", true
		}
		t = append(t, r)
	}
	return t, nil
}

// Verdict says whether a number may be dialed and why.
type Verdict struct {
	Permitted bool
	Rule      *DialRule  // that decided, the first of Fits; nil: none fits
	Fits      []DialRule // all that fit, the one that counts most first
	Why       string     // a sentence for people
}

// DialTable is a set of dial rules.
type DialTable []DialRule

// Test tells whether number may be dialed.
func (t DialTable) Test(number string) Verdict {
	if digits(number) == "" {
		return Verdict{Why: fmt.Sprintf("%.60q has no digits.", number)}
	}
	var fits []DialRule
	for _, r := range t {
		if r.fits(number) {
			fits = append(fits, r)
		}
	}
	slices.SortStableFunc(fits, func(a, b DialRule) int {
		return cmp.Or(cmp.Compare(len(b.Prefix), len(a.Prefix)), cmp.Compare(denies(b), denies(a)))
	})
	if len(fits) == 0 {
		return Verdict{Why: fmt.Sprintf("No rule permits numbers that begin like %s.", dialable(number))}
	}
	return Verdict{Permitted: !fits[0].Deny, Rule: &fits[0], Fits: fits, Why: fits[0].describe()}
}

func denies(r DialRule) int {
	if r.Deny {
		return 1
	}
	return 0
}

// TestDial is [DialTable.Test] of the configuration's rules together with those of the database.
func TestDial(tx *store.Tx, config DialTable, number string) (Verdict, error) {
	stored, err := DialRules(tx)
	if err != nil {
		return Verdict{}, err
	}
	return slices.Concat(config, stored).Test(number), nil
}

var dialRules = store.NewTable[DialRule]("dial rules")

// DialRules returns the rules sorted by prefix.
func DialRules(tx *store.Tx) (DialTable, error) {
	var t DialTable
	err := dialRules.Each(tx, func(_ string, r DialRule) error { t = append(t, r); return nil })
	slices.SortStableFunc(t, func(a, b DialRule) int {
		return cmp.Or(cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.ID, b.ID))
	})
	return t, err
}

// maxNote bounds a rule's note, in octets.
const maxNote = 200

func (r DialRule) check() error {
	if err := checkPrefix(r.Prefix); err != nil {
		return err
	}
	if len(r.Note) > maxNote || !utf8.ValidString(r.Note) || strings.ContainsFunc(r.Note, unicode.IsControl) {
		return fmt.Errorf("%w: a note is one line of at most %d octets", ErrRule, maxNote)
	}
	return nil
}

// AddDialRule stores a rule and returns it with its new id. A rule that is there already, but for its note, is refused.
// Errors: ErrRule.
func AddDialRule(tx *store.Tx, r DialRule) (DialRule, error) {
	if err := r.check(); err != nil {
		return r, err
	}
	list, err := DialRules(tx)
	if err != nil {
		return r, err
	}
	if len(list) >= maxRules {
		return r, fmt.Errorf("%w: there are %d rules already", ErrRule, maxRules)
	}
	for _, old := range list {
		if old.Prefix == r.Prefix && old.Deny == r.Deny {
			return r, fmt.Errorf("%w: rule %s says that already", ErrRule, old.ID)
		}
	}
	id, err := tx.NewID(time.Now())
	if err != nil {
		return r, err
	}
	r.ID = id
	return r, dialRules.Put(tx, id, r)
}

// RemoveDialRule takes a rule out. Errors: store.ErrNotFound.
func RemoveDialRule(tx *store.Tx, id string) error { return remove(tx, dialRules, id) }
