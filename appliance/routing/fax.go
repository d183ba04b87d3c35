// Package routing decides where received faxes go and which numbers may be dialed. The matching is pure; the tables
// live in the store.
package routing

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/store"
)

// ErrRule is returned when a rule to be added makes no sense; the error says why.
var ErrRule = errors.New("routing: rule not valid")

// Incoming is what is known of a received fax.
type Incoming struct {
	Dialed     string // digits dialed to reach us
	Subaddress string // SUB that came with DCS
	Caller     string // calling number of the exchange or, without it, the station's TSI
	Line       string // which of our lines took it
}

// Rule routes the received faxes that match all of its conditions; an empty condition matches all. The rule of lowest
// Priority that matches wins; among equals the one that says more, then the older one.
type Rule struct {
	ID         string   `json:"id"`
	Priority   int      `json:"priority"`             // lower is asked first
	Dialed     string   `json:"dialed,omitempty"`     // digits; with a * at the end: a prefix
	Subaddress string   `json:"subaddress,omitempty"` // exact
	Caller     string   `json:"caller,omitempty"`     // digits; with a * at the end: a prefix
	Line       string   `json:"line,omitempty"`       // exact
	To         []string `json:"to"`                   // mail addresses
	Note       string   `json:"note,omitempty"`       // for people
}

// Default tells whether the rule matches everything.
func (r Rule) Default() bool { return r.Dialed+r.Subaddress+r.Caller+r.Line == "" }

// Match tells whether all conditions of the rule hold for a fax.
func (r Rule) Match(in Incoming) bool {
	return matchNumber(r.Dialed, in.Dialed) && (r.Subaddress == "" || r.Subaddress == in.Subaddress) &&
		matchNumber(r.Caller, in.Caller) && (r.Line == "" || r.Line == in.Line)
}

// matchNumber compares digits; separators and a leading + do not count.
func matchNumber(pattern, number string) bool {
	if pattern == "" {
		return true
	}
	p, prefix := strings.CutSuffix(pattern, "*")
	p, number = digits(p), digits(number)
	if prefix {
		return strings.HasPrefix(number, p)
	}
	return number == p
}

// digits leaves a number's digits alone.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// Table is a list of rules in the order in which they are asked.
type Table []Rule

// sort puts rules in the order that Rule tells.
func (t Table) sort() {
	slices.SortStableFunc(t, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.weight(), a.weight()), cmp.Compare(a.ID, b.ID))
	})
}

// weight orders rules of one priority: more conditions before fewer, whole numbers before prefixes, longer before shorter.
func (r Rule) weight() int {
	w := 0
	for _, c := range []string{r.Dialed, r.Subaddress, r.Caller, r.Line} {
		if c == "" {
			continue
		}
		w += 1000
		if p, prefix := strings.CutSuffix(c, "*"); prefix {
			w += min(len(p), 99) - 500
		}
	}
	return w
}

// Find returns the rule for a fax; ok is false when none matches.
func (t Table) Find(in Incoming) (r Rule, ok bool) {
	for _, r := range t {
		if r.Match(in) {
			return r, true
		}
	}
	return Rule{}, false
}

const (
	maxRules      = 10000
	maxRecipients = 100
)

func (r Rule) check() error {
	if len(r.To) == 0 || len(r.To) > maxRecipients {
		return fmt.Errorf("%w: %d recipients, 1 to %d allowed", ErrRule, len(r.To), maxRecipients)
	}
	for _, to := range r.To {
		if local, domain, ok := strings.Cut(to, "@"); !ok || local == "" || domain == "" || strings.ContainsAny(to, " \t\r\n<>,;") {
			return fmt.Errorf("%w: %q is no mail address", ErrRule, to)
		}
	}
	for _, n := range []string{r.Dialed, r.Caller} {
		if err := checkPattern(n); n != "" && err != nil {
			return err
		}
	}
	return nil
}

// checkPattern: a typing error must not become a rule that never matches, or one that matches all.
func checkPattern(p string) error {
	body, _ := strings.CutSuffix(p, "*")
	if digits(body) == "" || strings.Trim(body, "0123456789+ .-/()") != "" {
		return fmt.Errorf("%w: %q is neither a number nor a prefix with * at its end", ErrRule, p)
	}
	return nil
}

var rules = store.NewTable[Rule]("routes")

// Routes returns the rules in the order in which they are asked.
func Routes(tx *store.Tx) (Table, error) {
	var t Table
	err := rules.Each(tx, func(_ string, r Rule) error { t = append(t, r); return nil })
	t.sort()
	return t, err
}

// AddRoute stores a rule and returns it with its new id. Errors: ErrRule.
func AddRoute(tx *store.Tx, r Rule) (Rule, error) {
	if err := r.check(); err != nil {
		return r, err
	}
	if rules.Len(tx) >= maxRules {
		return r, fmt.Errorf("%w: there are %d rules already", ErrRule, maxRules)
	}
	id, err := tx.NewID(time.Now())
	if err != nil {
		return r, err
	}
	r.ID = id
	return r, rules.Put(tx, id, r)
}

// RemoveRoute takes a rule out. Errors: store.ErrNotFound.
func RemoveRoute(tx *store.Tx, id string) error { return remove(tx, rules, id) }

func remove[V any](tx *store.Tx, t store.Table[V], id string) error {
	if _, err := t.Get(tx, id); err != nil {
		return err
	}
	return t.Delete(tx, id)
}

// Recipients returns who gets a fax: the matching rule's recipients, else fallback.
func Recipients(tx *store.Tx, in Incoming, fallback []string) ([]string, error) {
	t, err := Routes(tx)
	if err != nil {
		return nil, err
	}
	if r, ok := t.Find(in); ok {
		return r.To, nil
	}
	return fallback, nil
}
