package directory

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/directorytest"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

func ldapSource(t *testing.T, c LDAPConfig) *LDAP {
	t.Helper()
	c.BaseDN = "dc=contoso,dc=test"
	l, err := NewLDAP(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestPeer_Slapd(t *testing.T) {
	s := directorytest.StartSlapd(t, directorytest.Contoso())
	trust := s.Trust()
	for name, c := range map[string]LDAPConfig{
		"StartTLS": {Servers: []string{"ldap://" + s.Plain}, StartTLS: true, TLS: trust, BindDN: directorytest.BindDN, Password: directorytest.Password},
		"LDAPS":    {Servers: []string{"ldaps://" + s.Secure}, TLS: trust, BindDN: directorytest.BindDN, Password: directorytest.Password},
	} {
		t.Run(name, func(t *testing.T) {
			l := ldapSource(t, c)
			t.Run("lookup", func(t *testing.T) { lookUpContoso(t, l) })
			t.Run("members", func(t *testing.T) { sendersOfContoso(t, l) })
		})
	}
	t.Run("what goes wrong", func(t *testing.T) { slapdFaults(t, s, trust) })
}

func lookUpContoso(t *testing.T, l Source) {
	for address, want := range map[string][]string{
		"ann.smith@contoso.test": {"ann.smith@contoso.test"},
		"a.smith@contoso.test":   {"ann.smith@contoso.test"}, // over the one who writes it under mail
		"ann@contoso.test":       {"ann.smith@contoso.test"},
		"joerg@contoso.test":     {"joerg@contoso.test"},
		"sales@contoso.test":     {"ann.smith@contoso.test", "bob@contoso.test", "joerg@contoso.test"},
		"circle@contoso.test":    {"ann.smith@contoso.test", "bob@contoso.test", "joerg@contoso.test"},
		"empty@contoso.test":     nil,
	} {
		got, err := l.Lookup(t.Context(), address)
		slices.Sort(got.Mailboxes)
		if err != nil || !slices.Equal(got.Mailboxes, want) || got.Group != (len(want) != 1) || got.Source != l.Name() {
			t.Errorf("%s: %+v, %v, want %v", address, got, err, want)
		}
	}
	for _, address := range []string{"nobody@contoso.test", "nomail@contoso.test", "*@contoso.test", "ann*@contoso.test", `"a)(cn=*"@contoso.test`,
		"*)(objectClass=*@contoso.test", `\2a@contoso.test`, "ann@contoso.test)(|(cn=*"} {
		if got, err := l.Lookup(t.Context(), address); !errors.Is(err, ErrUnknown) || errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %+v, %v, want ErrUnknown", address, got, err)
		}
	}
	var f *Failure
	if got, err := l.Lookup(t.Context(), "twins@contoso.test"); !errors.As(err, &f) || f.Remedy == "" {
		t.Errorf("an address of two: %+v, %v", got, err)
	}
}

func sendersOfContoso(t *testing.T, l Source) {
	m, err := l.Member(t.Context(), "asmith@intern.contoso.test")
	want := []string{"Circle", "GRP-Sales", "Sales", "West", "circle@contoso.test", "sales@contoso.test"}
	if err != nil || m.Address != "ann.smith@contoso.test" || m.Name != "Ann Smith" || !slices.Equal(m.Groups, want) {
		t.Errorf("%+v, %v, want groups %q", m, err, want)
	}
	// More groups than one page, and than the server gives without paging.
	if m, err := l.Member(t.Context(), "bob@contoso.test"); err != nil || len(m.Groups) != 320+6 || !slices.Contains(m.Groups, "many319") {
		t.Errorf("%d groups, %v", len(m.Groups), err)
	}
	if m, err := l.Member(t.Context(), "joerg@contoso.test"); err != nil || !slices.Contains(m.Groups, "West") {
		t.Errorf("a name with brackets and umlauts: %+v, %v", m, err)
	}
	if m, err := l.Member(t.Context(), "nomail@contoso.test"); err != nil || m.Address != "nomail@contoso.test" {
		t.Errorf("known by the sign-in name only: %+v, %v", m, err)
	}
	for _, address := range []string{"nobody@contoso.test", "sales@contoso.test"} {
		if m, err := l.Member(t.Context(), address); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %+v, %v, want ErrUnknown", address, m, err)
		}
	}
}

func slapdFaults(t *testing.T, s *directorytest.Slapd, trust *tls.Config) {
	good := LDAPConfig{Servers: []string{"ldap://" + s.Plain}, StartTLS: true, TLS: trust, BindDN: directorytest.BindDN, Password: directorytest.Password, Timeout: 2 * time.Second}
	fails := func(name string, c LDAPConfig, remedy string) *LDAP {
		t.Helper()
		l := ldapSource(t, c)
		_, err := l.Lookup(t.Context(), "ann@contoso.test")
		var f *Failure
		if !errors.As(err, &f) || !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) || !strings.Contains(f.Remedy, remedy) || (f.Remedy == "") != (remedy == "") {
			t.Errorf("%s: %v, remedy %q", name, err, f)
		} else if strings.Contains(err.Error(), directorytest.Password) || strings.Contains(err.Error(), "wrong password") {
			t.Errorf("%s: a secret in %v", name, err)
		}
		return l
	}
	untrusting, anonymous, wrong, dead := good, good, good, good
	untrusting.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	fails("a certificate nobody trusts", untrusting, "not trusted")
	untrusting.Servers, untrusting.StartTLS = []string{"ldaps://" + s.Secure}, false
	fails("likewise with LDAPS", untrusting, "not trusted")
	untrusting.TLS = &tls.Config{RootCAs: s.Roots, ServerName: "other.contoso.test"}
	fails("another server's certificate", untrusting, "not trusted")
	anonymous.BindDN, anonymous.Password = "", ""
	fails("nothing to see without a sign-in", anonymous, "base DN")
	wrong.Password = "wrong password"
	l := fails("a wrong password", wrong, "bind DN or password")
	l.c.Password = directorytest.Password // even if it were right now: the account must not be locked by trying
	if _, err := l.Lookup(t.Context(), "ann@contoso.test"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("asked again at once after a refused password: %v", err)
	}
	dead.Servers = []string{"ldap://" + smtptest.FreeAddr(t)}
	fails("nobody listens", dead, "")

	dead.Servers = append(dead.Servers, good.Servers...)
	l = ldapSource(t, dead)
	if res, err := l.Lookup(t.Context(), "bob@contoso.test"); err != nil || res.Address != "bob@contoso.test" {
		t.Errorf("fail-over to the second server: %+v, %v", res, err)
	}
	if order := l.order(); !slices.Equal(order, []int{1, 0}) {
		t.Errorf("the dead server is not asked last: %v", order)
	}
	chain := NewChain(openStore(t), ldapSource(t, good))
	for _, down := range []bool{false, true} {
		if res, err := chain.Lookup(t.Context(), "bob@contoso.test"); err != nil || res.Address != "bob@contoso.test" {
			t.Errorf("server down %v: %+v, %v", down, res, err)
		}
		s.Stop()
	}
	if _, err := chain.Lookup(t.Context(), "nobody@contoso.test"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
		t.Errorf("the server is down: %v", err)
	}
}
