package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/routing"
	"github.com/tipring/tipring/appliance/store"
)

// Identity is who a sender is.
type Identity struct {
	Given   string   // the address asked for, normalized
	Address string   // primary address: the daily limits are counted for it
	Name    string   // display name
	Groups  []string // names and addresses of groups
	Source  string   // who told: "table", the name of a source, both; "" nobody knows the address
}

// Decision says whether a fax may be sent and why.
type Decision struct {
	Allowed   bool
	Temporary bool   // a refusal that passes by itself: outside the hours, daily limit used up
	Reason    string // a sentence for people
	Rule      string // the entry that decided, as Entry.Ref names it; "" none
	Identity  Identity
	Steps     []string // how it came to this, a sentence each
}

func (d *Decision) step(format string, args ...any) {
	d.Steps = append(d.Steps, fmt.Sprintf(format, args...))
}

// refuse ends the decision; rule may be "".
func (d *Decision) refuse(rule, format string, args ...any) {
	d.Allowed, d.Rule, d.Reason = false, rule, fmt.Sprintf(format, args...)
}

// May tells whether a sender may fax pages to number at that time, as far as it is known: pages 0 asks before the pages
// are counted. Nothing is counted; see Reserve. Errors: ErrUnavailable when the sender's groups could not be asked for.
func (d *Directory) May(ctx context.Context, who, number string, pages int, at time.Time) (Decision, error) {
	id, perms, err := d.identify(ctx, who)
	if err != nil {
		return Decision{}, err
	}
	dec := d.judge(id, perms, number, pages, at)
	if !dec.Allowed {
		return dec, nil
	}
	err = d.st.View(func(tx *store.Tx) error { return d.underLimits(tx, &dec, perms, number, pages, at) })
	return dec, wrap("decide", err)
}

// Explain is May for people who test the rules: all of Steps, no pages.
func (d *Directory) Explain(ctx context.Context, who, number string, at time.Time) (Decision, error) {
	return d.May(ctx, who, number, 0, at)
}

// identify finds out who a sender is and which entries with permissions speak of the sender, the most specific kind only.
func (d *Directory) identify(ctx context.Context, who string) (Identity, []Entry, error) {
	given, err := Normalize(who)
	if err != nil {
		return Identity{Given: who}, nil, nil // no address, no permission
	}
	id := Identity{Given: given, Address: given}
	perms, err := d.consult(&id, Member{})
	if err != nil || d.o.Members == nil || len(perms) > 0 && perms[0].Kind == User {
		return id, perms, err
	}
	m, err := d.o.Members.Member(ctx, given)
	if errors.Is(err, ErrUnknown) {
		return id, perms, nil
	}
	if err != nil {
		return id, nil, wrap("groups of the sender", err)
	}
	perms, err = d.consult(&id, m)
	return id, perms, err
}

// consult fills in what the table and m know, and collects the permissions.
func (d *Directory) consult(id *Identity, m Member) (perms []Entry, err error) {
	err = d.st.View(func(tx *store.Tx) error {
		perms = nil
		addresses := []string{id.Given}
		if m.Address != "" {
			primary, err := Normalize(m.Address)
			if err != nil {
				return fmt.Errorf("%s: primary address: %w", m.Source, err)
			}
			id.Address, id.Name, id.Source = primary, m.Name, m.Source
			addresses = append(addresses, primary)
		}
		id.Groups = m.Groups
		for _, a := range addresses {
			e, err := byAddress(tx, a)
			if errors.Is(err, ErrNotFound) || err == nil && e.Kind != User {
				continue
			}
			if err != nil {
				return err
			}
			id.know(e)
			if e.Permission != nil && !contains(perms, e) {
				perms = append(perms, e)
			}
		}
		if len(perms) > 0 {
			return nil
		}
		perms, err = wider(tx, *id, addresses)
		return err
	})
	return perms, wrap("permissions", err)
}

func contains(list []Entry, e Entry) bool {
	return slices.ContainsFunc(list, func(have Entry) bool { return have.key() == e.key() })
}

// know adds what the table says of a user.
func (id *Identity) know(e Entry) {
	id.Address, id.Groups = e.Name, joinGroups(id.Groups, e.Groups)
	if e.Display != "" {
		id.Name = e.Display
	}
	switch {
	case id.Source == "":
		id.Source = "table"
	case !strings.HasPrefix(id.Source, "table"):
		id.Source = "table, " + id.Source
	}
}

// wider returns the permissions of the groups; else of the domains; else everyone's.
func wider(tx *store.Tx, id Identity, addresses []string) ([]Entry, error) {
	var perms []Entry
	add := func(k string) error {
		e, err := entries.Get(tx, k)
		if err == nil && e.Permission != nil && !contains(perms, e) {
			perms = append(perms, e)
		}
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	}
	for _, g := range id.Groups {
		if err := add(key(Group, g)); err != nil {
			return nil, err
		}
		if owner, err := owners.Get(tx, fold(g)); err == nil && strings.HasPrefix(owner, string(Group)+" ") {
			if err := add(owner); err != nil {
				return nil, err
			}
		}
	}
	if len(perms) > 0 {
		return perms, nil
	}
	for _, a := range append(addresses, id.Address) {
		if err := add(key(Domain, domainOf(a))); err != nil {
			return nil, err
		}
	}
	if len(perms) > 0 {
		return perms, nil
	}
	return perms, add(key(Everyone, "*"))
}

// judge decides all but the daily limits.
func (d *Directory) judge(id Identity, perms []Entry, number string, pages int, at time.Time) Decision {
	dec := Decision{Identity: id}
	dec.who(perms)
	if len(perms) == 0 {
		dec.refuse("", "Nothing permits %s to send faxes.", id.Given)
		return dec
	}
	for _, e := range perms {
		if e.Permission.Deny {
			dec.refuse(e.Ref(), "%s may not send faxes.", subject(e))
			return dec
		}
	}
	deciding, ok := dec.destination(perms, number)
	if !ok {
		return dec
	}
	for _, e := range deciding {
		if !d.inHours(&dec, e, at) {
			return dec
		}
		if limit := e.Permission.MaxPages; limit > 0 && pages > limit {
			dec.refuse(e.Ref(), "%s may send at most %d pages in one fax; this one has %d.", subject(e), limit, pages)
			return dec
		}
	}
	dec.Allowed = true
	return dec
}

// who tells in steps who the sender is and what speaks of the sender.
func (d *Decision) who(perms []Entry) {
	id := d.Identity
	switch {
	case id.Source == "":
		d.step("%s is in no directory.", id.Given)
	case id.Address != id.Given:
		d.step("%s is an address of %s (%s).", id.Given, id.Address, id.Source)
	default:
		d.step("%s is known (%s).", id.Given, id.Source)
	}
	if len(id.Groups) > 0 {
		d.step("Groups: %s.", strings.Join(id.Groups, ", "))
	}
	var refs []string
	for _, e := range perms {
		refs = append(refs, e.Ref())
	}
	if len(refs) > 0 {
		d.step("What decides: %s.", strings.Join(refs, ", "))
	}
}

// destination finds the permissions that permit number by the longest prefix.
func (d *Decision) destination(perms []Entry, number string) (deciding []Entry, ok bool) {
	var table routing.DialTable
	for _, e := range perms {
		for _, pattern := range e.Permission.To {
			table = append(table, dialRule(e, pattern, false))
		}
		for _, pattern := range e.Permission.NotTo {
			table = append(table, dialRule(e, pattern, true))
		}
		if len(e.Permission.To) == 0 {
			table = append(table, dialRule(e, "*", false))
		}
	}
	v := table.Test(number)
	for _, r := range v.Fits {
		word := "permits"
		if r.Deny {
			word = "denies"
		}
		d.step("%s %s numbers %s.", r.ID, word, r.Pattern())
	}
	switch {
	case v.Rule == nil:
		d.refuse(perms[0].Ref(), "%s may not send faxes to numbers like %s.", subject(perms[0]), number)
		return nil, false
	case v.Rule.Deny:
		i := slices.IndexFunc(perms, func(e Entry) bool { return e.Ref() == v.Rule.ID })
		d.refuse(v.Rule.ID, "%s may not send faxes to numbers that begin with %s.", subject(perms[i]), v.Rule.Prefix)
		return nil, false
	}
	for _, e := range perms {
		if slices.ContainsFunc(v.Fits, func(r routing.DialRule) bool { return !r.Deny && r.ID == e.Ref() && r.Prefix == v.Rule.Prefix }) {
			deciding = append(deciding, e)
		}
	}
	d.Rule = deciding[0].Ref()
	d.Reason = fmt.Sprintf("%s may send faxes to %s.", subject(deciding[0]), number)
	return deciding, true
}

// dialRule is one of an entry's patterns, which are canonical, as a dial rule.
func dialRule(e Entry, pattern string, deny bool) routing.DialRule {
	return routing.DialRule{ID: e.Ref(), Prefix: strings.TrimSuffix(pattern, "*"), Deny: deny}
}

func (d *Directory) inHours(dec *Decision, e Entry, at time.Time) bool {
	h := e.Permission.Hours
	if len(h) == 0 {
		return true
	}
	loc, err := zone(e.Permission.Zone, d.o.Zone)
	if err != nil { // it was good when it was stored
		loc = d.o.Zone
	}
	local := at.In(loc)
	dec.step("%s: it is %s; hours are %s.", e.Ref(), local.Format("Mon 15:04 MST"), h)
	if h.Contains(local) {
		return true
	}
	dec.refuse(e.Ref(), "%s may send faxes only at these times: %s (%s).", subject(e), h, loc)
	dec.Temporary = true
	return false
}

// subject begins a sentence about an entry.
func subject(e Entry) string {
	switch e.Kind {
	case User:
		return e.Name
	case Group:
		return "Group " + e.Name
	case Domain:
		return "Senders of " + e.Name
	}
	return "Senders without a permission of their own"
}
