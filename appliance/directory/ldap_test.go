package directory

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

func TestNewLDAP_RefusesWhatCannotWork(t *testing.T) {
	good := LDAPConfig{Servers: []string{"ldaps://dc1.contoso.test"}, BaseDN: "DC=contoso,DC=test", BindDN: "fax@contoso.test", Password: "secret"}
	if _, err := NewLDAP(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*LDAPConfig){
		"no server":         func(c *LDAPConfig) { c.Servers = nil },
		"no scheme":         func(c *LDAPConfig) { c.Servers = []string{"dc1.contoso.test"} },
		"other scheme":      func(c *LDAPConfig) { c.Servers = []string{"https://dc1.contoso.test"} },
		"with a path":       func(c *LDAPConfig) { c.Servers = []string{"ldaps://dc1.contoso.test/dc=x"} },
		"with a user":       func(c *LDAPConfig) { c.Servers = []string{"ldaps://u:p@dc1.contoso.test"} },
		"no base":           func(c *LDAPConfig) { c.BaseDN = "" },
		"base is no DN":     func(c *LDAPConfig) { c.BaseDN = "contoso.test" },
		"password in clear": func(c *LDAPConfig) { c.Servers = []string{"ldap://dc1.contoso.test"} },
		"no password":       func(c *LDAPConfig) { c.Password = "" },
		"no bind DN":        func(c *LDAPConfig) { c.BindDN = "" },
	} {
		c := good
		spoil(&c)
		if _, err := NewLDAP(c); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLDAP_SilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
		}
	}()
	for _, scheme := range []string{"ldap", "ldaps"} {
		d, err := NewLDAP(LDAPConfig{Servers: []string{scheme + "://" + l.Addr().String()}, BaseDN: "DC=x", Timeout: 200 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Lookup(t.Context(), "a@x.test"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v, want ErrUnavailable", scheme, err)
		}
		d.c.Timeout, d.down[0] = time.Hour, time.Time{}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if _, err := d.Member(ctx, "a@x.test"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable when the context ends", scheme, err)
		}
		cancel()
	}
}

func TestLDAP_DeadServersAreLeftAlone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var calls atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			c.Close()
		}
	}()
	d, err := NewLDAP(LDAPConfig{Servers: []string{"ldap://" + l.Addr().String()}, BaseDN: "DC=x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int32{1, 1, 1, 2} {
		if want == 2 { // some time later
			d.note(0, time.Now().Add(-restFor))
		}
		if _, err := d.Lookup(t.Context(), "a@x.test"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v, want ErrUnavailable", err)
		}
		if n := calls.Load(); n != want {
			t.Errorf("%d connections, want %d", n, want)
		}
	}
}

func TestRangedValues(t *testing.T) {
	attr := func(name string, values ...string) *ldap.EntryAttribute {
		return &ldap.EntryAttribute{Name: name, Values: values}
	}
	tests := []struct {
		attributes []*ldap.EntryAttribute
		want       []string
		next       int
	}{
		{nil, nil, 0},
		{[]*ldap.EntryAttribute{attr("member", "a", "b")}, []string{"a", "b"}, 0},
		{[]*ldap.EntryAttribute{attr("member"), attr("Member;Range=0-1", "a", "b")}, []string{"a", "b"}, 2},
		{[]*ldap.EntryAttribute{attr("member;range=2-*", "c")}, []string{"c"}, 0},
		{[]*ldap.EntryAttribute{attr("member;range=0-x", "c")}, []string{"c"}, 0},
		{[]*ldap.EntryAttribute{attr("member;range=0--9", "c")}, []string{"c"}, 0},
		{[]*ldap.EntryAttribute{attr("memberOf", "z"), attr("memberUid", "z")}, nil, 0},
	}
	for i, tt := range tests {
		got, next := rangedValues(&ldap.Entry{Attributes: tt.attributes}, "member")
		if !slices.Equal(got, tt.want) || next != tt.next {
			t.Errorf("%d: %v, %d, want %v, %d", i, got, next, tt.want, tt.next)
		}
	}
}

func TestPrimaryAddress(t *testing.T) {
	tests := []struct {
		proxies []string
		mail    string
		want    string
	}{
		{[]string{"smtp:b@x.test", "SMTP:Ann@X.test", "x500:/o=x", "SIP:ann@x.test"}, "other@x.test", "ann@x.test"},
		{[]string{"smtp:b@x.test"}, "Ann@x.test", "ann@x.test"},
		{[]string{"SMTP:nonsense"}, "ann@x.test", "ann@x.test"},
		{[]string{"smtp:b@x.test"}, "", ""},
		{nil, "nonsense", ""},
	}
	for _, tt := range tests {
		if got := primaryAddress(tt.proxies, tt.mail); got != tt.want {
			t.Errorf("primaryAddress(%v, %q) = %q, want %q", tt.proxies, tt.mail, got, tt.want)
		}
	}
}

// FuzzRangedValues: whatever a server calls its attributes, reading a group in parts ends.
func FuzzRangedValues(f *testing.F) {
	for _, s := range []string{"member;range=0-1499", "member;range=1500-*", "MEMBER", "member;range=-", "member;range=0-99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		values, next := rangedValues(&ldap.Entry{Attributes: []*ldap.EntryAttribute{{Name: name, Values: []string{"a"}}}}, "member")
		if next < 0 || next > 1<<30 || next > 0 && len(values) == 0 {
			t.Errorf("%q: %v, next %d", name, values, next)
		}
	})
}
