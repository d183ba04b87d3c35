package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// maxLDAPMessage bounds one message of a server, in octets; the decoder needs many times that.
const maxLDAPMessage = 1 << 20

func init() { ber.MaxPacketLengthBytes = maxLDAPMessage } // only go-ldap uses it

// ldapConn is a signed-in connection for one question.
type ldapConn struct {
	*ldap.Conn
	c   *LDAPConfig
	ctx context.Context
}

// ldapEntry is a user, contact or group.
type ldapEntry struct{ *ldap.Entry }

var ldapAttributes = []string{"objectClass", "cn", "displayName", "mail", "proxyAddresses", "sAMAccountName"}

func (e ldapEntry) group() bool {
	for _, c := range e.GetEqualFoldAttributeValues("objectClass") {
		if slices.Contains([]string{"group", "groupofnames", "groupofuniquenames"}, strings.ToLower(c)) {
			return true
		}
	}
	return false
}

func (e ldapEntry) name() string {
	if n := e.GetEqualFoldAttributeValue("displayName"); n != "" {
		return n
	}
	return e.GetEqualFoldAttributeValue("cn")
}

// mailbox is the primary address: the proxy address whose type is in capitals, else mail; "" without either.
func (e ldapEntry) mailbox() string {
	return primaryAddress(e.GetEqualFoldAttributeValues("proxyAddresses"), e.GetEqualFoldAttributeValue("mail"))
}

// primaryAddress picks the primary address of a mailbox; addresses that are none are passed over.
func primaryAddress(proxies []string, mail string) string {
	for _, p := range proxies {
		if a, ok := strings.CutPrefix(p, "SMTP:"); ok {
			if n, err := Normalize(a); err == nil {
				return n
			}
		}
	}
	if n, err := Normalize(mail); err == nil {
		return n
	}
	return ""
}

// names are all by which a permission may name a group.
func (e ldapEntry) names() []string {
	names := []string{e.GetEqualFoldAttributeValue("cn"), e.GetEqualFoldAttributeValue("sAMAccountName"), e.mailbox()}
	return joinGroups(nil, slices.DeleteFunc(names, func(n string) bool { return n == "" }))
}

// byAddress finds the one entry with an address in any of the attributes. Errors: ErrUnknown.
func (c *ldapConn) byAddress(address string, attributes ...string) (ldapEntry, error) {
	var filter strings.Builder
	for _, a := range attributes {
		prefix := ""
		if a == "proxyAddresses" {
			prefix = "smtp:" // compared without regard to case
		}
		fmt.Fprintf(&filter, "(%s=%s)", a, ldap.EscapeFilter(prefix+address))
	}
	// The first attribute counts most: a mailbox that has the address, over a person who only writes it under mail.
	found, err := c.search(c.c.BaseDN, ldap.ScopeWholeSubtree, "(|"+filter.String()+")", append(ldapAttributes, attributes...), 10)
	if err != nil {
		return ldapEntry{}, err
	}
	for i, a := range attributes {
		want := address
		if i == 0 {
			want = "smtp:" + address
		}
		has := slices.DeleteFunc(slices.Clone(found), func(e ldapEntry) bool {
			return !slices.ContainsFunc(e.GetEqualFoldAttributeValues(a), func(v string) bool { return strings.EqualFold(v, want) })
		})
		switch len(has) {
		case 0:
			continue
		case 1:
			return has[0], nil
		}
		return ldapEntry{}, c.ambiguous(address, has)
	}
	switch len(found) {
	case 0:
		return ldapEntry{}, fmt.Errorf("%w: %s", ErrUnknown, address)
	case 1:
		return found[0], nil // matched by a rule of the server's that is wider than ours
	}
	return ldapEntry{}, c.ambiguous(address, found)
}

func (c *ldapConn) ambiguous(address string, found []ldapEntry) error {
	return &Failure{Source: c.c.Name, Remedy: "Two entries have the address " + address + ": take it from one of them.",
		Err: fmt.Errorf("%s is ambiguous: %q and %q", address, found[0].DN, found[1].DN)}
}

// search reads page by page (RFC 2696) and fails when there are more than most entries. Referrals to other servers are
// not followed.
func (c *ldapConn) search(base string, scope int, filter string, attributes []string, most int) ([]ldapEntry, error) {
	paging := ldap.NewControlPaging(ldapPage)
	var all []ldapEntry
	for {
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
		req := ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, int(c.c.Timeout.Seconds())+1, false, filter, attributes, []ldap.Control{paging})
		res, err := c.Search(req)
		if err != nil {
			return nil, err
		}
		for _, e := range res.Entries {
			all = append(all, ldapEntry{e})
		}
		if len(all) > most {
			return nil, &Failure{Source: c.c.Name, Remedy: "More entries fit than can be right: correct the directory.",
				Err: fmt.Errorf("more than %d entries for %s", most, filter)}
		}
		answer, ok := ldap.FindControl(res.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !ok || len(answer.Cookie) == 0 {
			return all, nil
		}
		paging.SetCookie(answer.Cookie)
	}
}

// groupsOf returns the names of the groups an entry belongs to, also through other groups. It goes upwards by the
// groups' own lists of members, which every server has; a circle is walked once, and groups
// nested deeper than maxGroupDepth are not seen.
func (c *ldapConn) groupsOf(e ldapEntry) ([]string, error) {
	var names []string
	seen := map[string]bool{fold(e.DN): true}
	level := []string{e.DN}
	for depth := 0; len(level) > 0 && depth < maxGroupDepth; depth++ {
		var next []string
		for _, dn := range level {
			found, err := c.search(c.c.BaseDN, ldap.ScopeWholeSubtree, "("+c.c.GroupMember+"="+ldap.EscapeFilter(dn)+")", ldapAttributes, maxGroupsOf)
			if err != nil {
				return nil, err
			}
			for _, g := range found {
				if seen[fold(g.DN)] {
					continue
				}
				if len(seen) > maxGroupsOf {
					return nil, &Failure{Source: c.c.Name, Err: fmt.Errorf("%s is in more than %d groups", e.DN, maxGroupsOf)}
				}
				seen[fold(g.DN)] = true
				names = joinGroups(names, g.names())
				next = append(next, g.DN)
			}
		}
		level = next
	}
	return names, nil
}

// members returns the mailboxes of a group and of the groups in it, each once; a circle is walked once. Members without
// a mailbox, such as computers, are left out, and so are those that the directory no longer has.
func (c *ldapConn) members(group ldapEntry) ([]string, error) {
	var boxes []string
	seen := map[string]bool{fold(group.DN): true}
	level := []ldapEntry{group}
	for depth := 0; len(level) > 0 && depth < maxGroupDepth; depth++ {
		var next []ldapEntry
		for _, g := range level {
			dns, err := c.memberDNs(g.DN)
			if err != nil {
				return nil, err
			}
			for _, dn := range dns {
				if seen[fold(dn)] {
					continue
				}
				seen[fold(dn)] = true
				if len(seen) > maxLDAPMembers || len(boxes) > maxMailboxes {
					return nil, &Failure{Source: c.c.Name, Remedy: tooManyMembers, Err: fmt.Errorf("group %s is too large", group.DN)}
				}
				m, err := c.read(dn)
				if errors.Is(err, ErrUnknown) {
					continue
				}
				if err != nil {
					return nil, err
				}
				if m.group() {
					next = append(next, m)
				} else if box := m.mailbox(); box != "" && !slices.Contains(boxes, box) {
					boxes = append(boxes, box)
				}
			}
		}
		level = next
	}
	return boxes, nil
}

// read returns the entry of a DN. Errors: ErrUnknown.
func (c *ldapConn) read(dn string) (ldapEntry, error) {
	found, err := c.search(dn, ldap.ScopeBaseObject, "(objectClass=*)", ldapAttributes, 1)
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) || err == nil && len(found) == 0 {
		return ldapEntry{}, fmt.Errorf("%w: %s", ErrUnknown, dn)
	}
	if err != nil {
		return ldapEntry{}, err
	}
	return found[0], nil
}

// memberDNs returns a group's direct members. Active Directory gives long lists in parts, as an attribute
// "member;range=0-1499" of which the last part ends in "*" ([MS-ADTS] 3.1.1.3.1.3.3).
func (c *ldapConn) memberDNs(dn string) ([]string, error) {
	var all []string
	ask := c.c.GroupMember
	for {
		found, err := c.search(dn, ldap.ScopeBaseObject, "(objectClass=*)", []string{ask}, 1)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return all, nil
		}
		values, next := rangedValues(found[0].Entry, c.c.GroupMember)
		if all = append(all, values...); len(all) > maxLDAPMembers {
			return nil, &Failure{Source: c.c.Name, Remedy: tooManyMembers, Err: fmt.Errorf("group %s has more than %d members", dn, maxLDAPMembers)}
		}
		if next <= 0 || len(values) == 0 {
			return all, nil
		}
		ask = fmt.Sprintf("%s;range=%d-*", c.c.GroupMember, next)
	}
}

// rangedValues returns an attribute's values, and where the next part begins; 0: there is none.
func rangedValues(e *ldap.Entry, attribute string) (values []string, next int) {
	for _, a := range e.Attributes {
		name, option, ranged := strings.Cut(strings.ToLower(a.Name), ";range=")
		if name != strings.ToLower(attribute) || len(a.Values) == 0 {
			continue
		}
		values = append(values, a.Values...)
		if !ranged {
			continue
		}
		if _, last, ok := strings.Cut(option, "-"); ok && last != "*" {
			if n, err := strconv.Atoi(last); err == nil && n >= 0 && n < 1<<30 {
				next = n + 1
			}
		}
	}
	return values, next
}
