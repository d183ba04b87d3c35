package directory

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tipring/tipring/appliance/routing"
)

// Kind says what an entry is about.
type Kind string

// The kinds, the most specific first.
const (
	User     Kind = "user"     // a person's or a machine's mailbox
	Group    Kind = "group"    // users that name it, and the members of the LDAP or Graph group of that name or address
	Domain   Kind = "domain"   // all senders of a mail domain; its subdomains are domains of their own
	Everyone Kind = "everyone" // all senders
)

// Entry is one line of the table.
type Entry struct {
	Kind       Kind        `json:"kind"`
	Name       string      `json:"name"`                 // user: mail address; group: its name; domain: the domain; everyone: "*"
	Aliases    []string    `json:"aliases,omitempty"`    // user, group: further mail addresses
	Display    string      `json:"display,omitempty"`    // a person's name
	Groups     []string    `json:"groups,omitempty"`     // user: names of groups
	Permission *Permission `json:"permission,omitempty"` // nil: the entry says nothing of its own about faxing
	Note       string      `json:"note,omitempty"`       // for people
}

// Permission says what may be faxed.
type Permission struct {
	Deny        bool     `json:"deny,omitempty"`          // no faxing at all; the rest is then empty
	To          []string `json:"to,omitempty"`            // patterns of numbers as routing.ParsePrefix reads them; empty: all
	NotTo       []string `json:"not_to,omitempty"`        // likewise: denied ones
	Hours       Hours    `json:"hours,omitempty"`         // when faxes are taken
	Zone        string   `json:"zone,omitempty"`          // IANA time zone of Hours; "": the directory's
	MaxPages    int      `json:"max_pages,omitempty"`     // of one fax, cover page included; 0: no limit
	PagesPerDay int      `json:"pages_per_day,omitempty"` // of all the user's faxes of a day; 0: no limit
	FaxesPerDay int      `json:"faxes_per_day,omitempty"` // recipients of a day; 0: no limit
}

// Bounds of an entry.
const (
	maxEntries  = 50000
	maxAliases  = 200
	maxGroups   = 200
	maxPatterns = 500
	maxName     = 256 // octets
	maxLimit    = 1 << 20
)

// Ref names an entry: "user ann@contoso.com", "group Sales", "domain contoso.com", "everyone".
func (e Entry) Ref() string {
	if e.Kind == Everyone {
		return string(Everyone)
	}
	return string(e.Kind) + " " + e.Name
}

// key is under which the table keeps it.
func (e Entry) key() string { return key(e.Kind, e.Name) }

func key(k Kind, name string) string { return string(k) + " " + fold(name) }

// fold makes names of groups comparable.
func fold(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// canonical returns the entry as it is stored, or what is wrong with it. Errors: ErrEntry.
func (e Entry) canonical() (Entry, error) {
	var err error
	fail := func(format string, args ...any) (Entry, error) {
		return e, fmt.Errorf("%w: "+format, append([]any{ErrEntry}, args...)...)
	}
	switch e.Kind {
	case User:
		if e.Name, err = tableAddress(e.Name); err != nil {
			return e, err
		}
	case Group:
		if e.Name = strings.TrimSpace(e.Name); !goodGroup(e.Name) {
			return fail("%.40q is no name of a group: one line without |, at most %d octets", e.Name, maxName)
		}
	case Domain:
		at, err := Normalize("x@" + strings.TrimPrefix(strings.TrimSpace(e.Name), "@"))
		if err != nil {
			return fail("%.60q is no mail domain", e.Name)
		}
		e.Name = domainOf(at)
	case Everyone:
		if e.Name != "*" && e.Name != "" {
			return fail("everyone is named *, not %.40q", e.Name)
		}
		e.Name = "*"
	default:
		return fail("kind %.40q: use user, group, domain or everyone", string(e.Kind))
	}
	if e.Aliases, err = e.canonicalAliases(); err != nil {
		return e, err
	}
	if e.Groups, err = e.canonicalGroups(); err != nil {
		return e, err
	}
	for _, text := range []string{e.Display, e.Note} {
		if !goodText(text) {
			return fail("%s: display name and note are one line of at most %d octets", e.Ref(), maxName)
		}
	}
	e.Permission, err = e.Permission.canonical()
	return e, err
}

func (e Entry) canonicalAliases() ([]string, error) {
	if len(e.Aliases) > 0 && e.Kind != User && e.Kind != Group || len(e.Aliases) > maxAliases {
		return nil, fmt.Errorf("%w: only users and groups have aliases, at most %d", ErrEntry, maxAliases)
	}
	var list []string
	for _, a := range e.Aliases {
		a, err := tableAddress(a)
		if err != nil {
			return nil, err
		}
		if a != e.Name && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	slices.Sort(list)
	return list, nil
}

func (e Entry) canonicalGroups() ([]string, error) {
	if len(e.Groups) > 0 && e.Kind != User || len(e.Groups) > maxGroups {
		return nil, fmt.Errorf("%w: only users are in groups, at most %d", ErrEntry, maxGroups)
	}
	var list []string
	for _, g := range e.Groups {
		g = strings.TrimSpace(g)
		if !goodGroup(g) {
			return nil, fmt.Errorf("%w: %.40q is no name of a group", ErrEntry, g)
		}
		if !slices.ContainsFunc(list, func(have string) bool { return fold(have) == fold(g) }) {
			list = append(list, g)
		}
	}
	slices.Sort(list)
	return list, nil
}

func (p *Permission) canonical() (*Permission, error) {
	if p == nil {
		return nil, nil
	}
	c := *p
	if c.Deny && (len(c.To)+len(c.NotTo)+len(c.Hours)+c.MaxPages+c.PagesPerDay+c.FaxesPerDay != 0 || c.Zone != "") {
		return nil, fmt.Errorf("%w: who may not fax has no destinations, hours or limits", ErrEntry)
	}
	var err error
	if c.To, err = canonicalPatterns(c.To); err != nil {
		return nil, err
	}
	if c.NotTo, err = canonicalPatterns(c.NotTo); err != nil {
		return nil, err
	}
	// What is stored must be what String writes, or an import of an export would show changes.
	if c.Hours, err = ParseHours(c.Hours.String()); err != nil {
		return nil, err
	}
	if _, err := zone(c.Zone, time.UTC); err != nil {
		return nil, err
	}
	for _, n := range []int{c.MaxPages, c.PagesPerDay, c.FaxesPerDay} {
		if n < 0 || n > maxLimit {
			return nil, fmt.Errorf("%w: limit %d: use 1 to %d, or 0 for none", ErrEntry, n, maxLimit)
		}
	}
	return &c, nil
}

func canonicalPatterns(patterns []string) ([]string, error) {
	if len(patterns) > maxPatterns {
		return nil, fmt.Errorf("%w: more than %d patterns of numbers", ErrEntry, maxPatterns)
	}
	var list []string
	for _, p := range patterns {
		prefix, err := routing.ParsePrefix(p)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEntry, err)
		}
		list = append(list, routing.DialRule{Prefix: prefix}.Pattern())
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// zone loads a time zone by its IANA name; "" is the default. "Local" would be a name of this machine's own.
func zone(name string, otherwise *time.Location) (*time.Location, error) {
	if name == "" {
		return otherwise, nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" || len(name) > maxName {
		return nil, fmt.Errorf("%w: %.60q is no time zone like Europe/Berlin", ErrEntry, name)
	}
	return loc, nil
}

// tableAddress normalizes an address for the table, where it stands in lists.
func tableAddress(a string) (string, error) {
	n, err := Normalize(a)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrEntry, err)
	}
	if len(n) > maxName || strings.ContainsAny(n, " |,;\"<>()") || strings.Count(n, "@") != 1 {
		return "", fmt.Errorf("%w: %.60q is no plain mail address", ErrEntry, a)
	}
	return n, nil
}

func goodGroup(s string) bool { return s != "" && goodText(s) && !strings.Contains(s, "|") }

func goodText(s string) bool {
	return len(s) <= maxName && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) && strings.TrimSpace(s) == s
}
