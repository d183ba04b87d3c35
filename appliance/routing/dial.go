package routing

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

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

// Verdict says whether a number may be dialed and why.
type Verdict struct {
	Permitted bool
	Rule      *DialRule // that decided; nil: none fits
	Why       string    // a sentence for people
}

// DialTable is a set of dial rules.
type DialTable []DialRule

// Test tells whether number may be dialed.
func (t DialTable) Test(number string) Verdict {
	if digits(number) == "" {
		return Verdict{Why: fmt.Sprintf("%q has no digits.", number)}
	}
	var best *DialRule
	for i := range t {
		r := &t[i]
		if r.fits(number) && (best == nil || len(r.Prefix) > len(best.Prefix) || len(r.Prefix) == len(best.Prefix) && r.Deny) {
			best = r
		}
	}
	if best == nil {
		return Verdict{Why: fmt.Sprintf("No rule permits numbers that begin like %s.", dialable(number))}
	}
	what, word := "all numbers", "permits"
	if best.Prefix != "" {
		what = "numbers that begin with " + best.Prefix
	}
	if best.Deny {
		word = "denies"
	}
	why := fmt.Sprintf("Rule %s %s %s", best.ID, word, what)
	if best.Note != "" {
		why += ": " + strings.TrimRight(best.Note, ".")
	}
	r := *best
	return Verdict{Permitted: !best.Deny, Rule: &r, Why: why + "."}
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

// AddDialRule stores a rule and returns it with its new id. Errors: ErrRule.
func AddDialRule(tx *store.Tx, r DialRule) (DialRule, error) {
	if strings.Trim(r.Prefix, "+0123456789") != "" || strings.LastIndexByte(r.Prefix, '+') > 0 {
		return r, fmt.Errorf("%w: %q is no prefix of digits", ErrRule, r.Prefix)
	}
	if dialRules.Len(tx) >= maxRules {
		return r, fmt.Errorf("%w: there are %d rules already", ErrRule, maxRules)
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
