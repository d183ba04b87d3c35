package directory

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// searchAnswer is what a fakeLDAP says to one search (RFC 4511 4.5.2).
type searchAnswer struct {
	entries []*ldap.Entry
	code    int64
	raw     []byte // in place of all that
}

// fakeLDAP answers searches as a function says: for what slapd does not do as Active Directory does.
func fakeLDAP(t *testing.T, answer func(base string, attributes []string) searchAnswer) *LDAP {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serveLDAP(c, answer)
			}()
		}
	}()
	return ldapSource(t, LDAPConfig{Servers: []string{"ldap://" + l.Addr().String()}, Timeout: 700 * time.Millisecond})
}

func serveLDAP(c net.Conn, answer func(string, []string) searchAnswer) {
	for {
		p, err := ber.ReadPacket(c)
		if err != nil || len(p.Children) < 2 || p.Children[1].Tag != ldap.ApplicationSearchRequest {
			return
		}
		id, search := p.Children[0].Value.(int64), p.Children[1]
		var attributes []string
		for _, a := range search.Children[7].Children {
			attributes = append(attributes, a.Value.(string))
		}
		a := answer(search.Children[0].Value.(string), attributes)
		if a.raw != nil {
			c.Write(a.raw)
			continue
		}
		for _, e := range a.entries {
			c.Write(message(id, entryPacket(e)).Bytes())
		}
		done := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultDone, nil, "")
		done.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, a.code, ""))
		done.AppendChild(octets(""))
		done.AppendChild(octets("words"))
		c.Write(message(id, done).Bytes())
	}
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

func message(id int64, op *ber.Packet) *ber.Packet {
	m := ber.NewSequence("")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	m.AppendChild(op)
	return m
}

func entryPacket(e *ldap.Entry) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	p.AppendChild(octets(e.DN))
	list := ber.NewSequence("")
	for _, a := range e.Attributes {
		one, set := ber.NewSequence(""), ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		one.AppendChild(octets(a.Name))
		for _, v := range a.Values {
			set.AppendChild(octets(v))
		}
		one.AppendChild(set)
		list.AppendChild(one)
	}
	p.AppendChild(list)
	return p
}

// TestLDAP_MembersInParts: Active Directory gives at most so many members at once ([MS-ADTS] 3.1.1.3.1.3.3).
func TestLDAP_MembersInParts(t *testing.T) {
	const members, part = 37, 15
	l := fakeLDAP(t, func(base string, attributes []string) searchAnswer {
		var from int
		switch {
		case strings.HasPrefix(base, "CN=m"):
			name := strings.TrimPrefix(strings.Split(base, ",")[0], "CN=")
			return searchAnswer{entries: []*ldap.Entry{ldap.NewEntry(base, map[string][]string{"objectClass": {"top", "user"}, "mail": {name + "@contoso.test"}})}}
		case !strings.HasPrefix(base, "CN=Large"):
			return searchAnswer{entries: []*ldap.Entry{ldap.NewEntry("CN=Large,dc=contoso,dc=test", map[string][]string{"objectClass": {"top", "group"}, "mail": {"large@contoso.test"}})}}
		}
		if attributes[0] != "member" {
			if _, err := fmt.Sscanf(attributes[0], "member;range=%d-*", &from); err != nil {
				return searchAnswer{code: ldap.LDAPResultProtocolError}
			}
		}
		var values []string
		for i := from; i < min(from+part, members); i++ {
			values = append(values, fmt.Sprintf("CN=m%02d,dc=contoso,dc=test", i))
		}
		last := fmt.Sprint(from + part - 1)
		if from+part >= members {
			last = "*"
		}
		e := ldap.NewEntry(base, map[string][]string{"member": nil, fmt.Sprintf("member;range=%d-%s", from, last): values})
		return searchAnswer{entries: []*ldap.Entry{e}}
	})
	res, err := l.Lookup(t.Context(), "large@contoso.test")
	if err != nil || len(res.Mailboxes) != members || res.Mailboxes[0] != "m00@contoso.test" || res.Mailboxes[members-1] != "m36@contoso.test" {
		t.Errorf("%d members, %v", len(res.Mailboxes), err)
	}
}

// TestLDAP_CircleIsWalkedOnce counts the questions.
func TestLDAP_CircleIsWalkedOnce(t *testing.T) {
	var asked atomic.Int32
	l := fakeLDAP(t, func(base string, _ []string) searchAnswer {
		asked.Add(1)
		dn, other := "CN=A,dc=x", "CN=B,dc=x"
		if base == other {
			dn, other = other, dn
		}
		e := ldap.NewEntry(dn, map[string][]string{"objectClass": {"group"}, "mail": {"a@contoso.test"}, "member": {other, dn}})
		return searchAnswer{entries: []*ldap.Entry{e}}
	})
	if res, err := l.Lookup(t.Context(), "a@contoso.test"); err != nil || len(res.Mailboxes) != 0 || !res.Group {
		t.Errorf("%+v, %v", res, err)
	}
	if n := asked.Load(); n != 4 { // the address, A's members, B, B's members
		t.Errorf("%d questions for a circle of two", n)
	}
}

// TestLDAP_HostileServers: none of it makes an address unknown, takes memory without end or time without end.
func TestLDAP_HostileServers(t *testing.T) {
	user := func(dn string) *ldap.Entry {
		return ldap.NewEntry(dn, map[string][]string{"objectClass": {"user"}, "mail": {"a@contoso.test"}, "cn": {strings.Repeat("x", 1<<16)}})
	}
	endless := func(dn string) []*ldap.Entry { return slices.Repeat([]*ldap.Entry{user(dn)}, 200) } // 13 MB
	group := func(dn string, members ...string) *ldap.Entry {
		return ldap.NewEntry(dn, map[string][]string{"objectClass": {"group"}, "mail": {"a@contoso.test"}, "member": members})
	}
	n := 0
	for name, answer := range map[string]func(string, []string) searchAnswer{
		"no LDAP": func(string, []string) searchAnswer {
			return searchAnswer{raw: []byte("HTTP/1.1 400 Bad Request\r\n\r\n")}
		},
		"a huge packet": func(string, []string) searchAnswer {
			return searchAnswer{raw: []byte("\x30\x84\x7f\xff\xff\xff\x02\x01\x01")}
		},
		"nothing":          func(string, []string) searchAnswer { return searchAnswer{raw: []byte{}} },
		"too much":         func(base string, _ []string) searchAnswer { return searchAnswer{entries: endless(base)} },
		"busy":             func(string, []string) searchAnswer { return searchAnswer{code: ldap.LDAPResultBusy} },
		"referral":         func(string, []string) searchAnswer { return searchAnswer{code: ldap.LDAPResultReferral} },
		"no such base":     func(string, []string) searchAnswer { return searchAnswer{code: ldap.LDAPResultNoSuchObject} },
		"sign-in demanded": func(string, []string) searchAnswer { return searchAnswer{code: ldap.LDAPResultOperationsError} },
		"one more each time": func(base string, _ []string) searchAnswer { // a group of groups of groups, never the same
			n++
			e := group(base)
			for i := range 100 {
				e.Attributes = append(e.Attributes, &ldap.EntryAttribute{Name: "member", Values: []string{fmt.Sprintf("cn=g%d-%d", n, i)}})
			}
			return searchAnswer{entries: []*ldap.Entry{e}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := fakeLDAP(t, answer)
			began := time.Now()
			if res, err := l.Lookup(t.Context(), "a@contoso.test"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
				t.Errorf("%+v, %v, want ErrUnavailable", res, err)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}
