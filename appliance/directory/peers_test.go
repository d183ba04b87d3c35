package directory

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// peer finds another software's program, or skips; with TIPRING_PEERS=required a missing one fails.
func peer(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/bin/"} {
		if p, err := exec.LookPath(dir + name); err == nil {
			return p
		}
	}
	if os.Getenv("TIPRING_PEERS") == "required" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// slapd is an OpenLDAP server with the part of Active Directory's schema that mail needs.
type slapd struct {
	plain, secure string // host:port
	roots         *x509.CertPool
	cmd           *exec.Cmd
}

func (s *slapd) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *slapd) trust() *tls.Config { return &tls.Config{RootCAs: s.roots} }

const adSchema = `
attributetype ( 1.3.6.1.4.1.55555.1.1 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.55555.1.2 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.55555.1.3 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.55555.2.1 NAME 'user' SUP inetOrgPerson STRUCTURAL MAY ( proxyAddresses $ sAMAccountName $ userPrincipalName ) )
objectclass ( 1.3.6.1.4.1.55555.2.2 NAME 'group' SUP top STRUCTURAL MUST cn MAY ( member $ mail $ proxyAddresses $ sAMAccountName $ displayName $ description ) )
`

const (
	bindDN   = "cn=fax,ou=people,dc=contoso,dc=test"
	password = "secret of the fax account"
)

// startSlapd starts a server on free ports of loopback.
func startSlapd(t *testing.T, ldif string) *slapd {
	t.Helper()
	program, add := peer(t, "slapd"), peer(t, "slapadd")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s := &slapd{plain: freePort(t), secure: freePort(t), roots: x509.NewCertPool()}
	cert, key := selfSigned(t)
	s.roots.AppendCertsFromPEM([]byte(cert))
	certFile, keyFile := write("cert.pem", cert), write("key.pem", key)
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	conf := write("slapd.conf", `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include `+write("ad.schema", adSchema)+`
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile `+filepath.Join(dir, "pid")+`
TLSCACertificateFile `+certFile+`
TLSCertificateFile `+certFile+`
TLSCertificateKeyFile `+keyFile+`
sizelimit size.soft=150 size.hard=150 size.pr=300 size.prtotal=unlimited
database mdb
maxsize 33554432
suffix "dc=contoso,dc=test"
directory `+filepath.Join(dir, "db")+`
dbnosync
index objectClass,member,mail,proxyAddresses eq
limits users size.soft=150 size.hard=150 size.pr=300 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth
access to * by users read by * none
`)
	if out, err := exec.Command(add, "-q", "-f", conf, "-l", write("data.ldif", ldif)).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	s.cmd = exec.Command(program, "-f", conf, "-h", "ldap://"+s.plain+" ldaps://"+s.secure, "-d", "0")
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	for range 200 {
		if c, err := net.Dial("tcp", s.secure); err == nil {
			c.Close()
			return s
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("slapd does not listen")
	return nil
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dc1.contoso.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"dc1.contoso.test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk}))
}

// contoso is the directory of the tests: Ann, Bob and others, groups in groups and in a circle.
func contoso() string {
	var b strings.Builder
	entry := func(rdn, class string, lines ...string) {
		fmt.Fprintf(&b, "dn: %s,dc=contoso,dc=test\nobjectClass: %s\n%s\n\n", rdn, class, strings.Join(lines, "\n"))
	}
	user := func(cn string, lines ...string) { entry("cn="+cn+",ou=people", "user", append(lines, "sn: x")...) }
	group := func(cn string, members []string, lines ...string) {
		for _, m := range members {
			lines = append(lines, "member: "+m+",dc=contoso,dc=test")
		}
		entry("cn="+cn+",ou=groups", "group", lines...)
	}
	person := func(cn string) string { return "cn=" + cn + ",ou=people" }
	b.WriteString("dn: dc=contoso,dc=test\nobjectClass: domain\ndc: contoso\n\n")
	entry("ou=people", "organizationalUnit")
	entry("ou=groups", "organizationalUnit")
	user("fax", "userPassword: "+password)
	user("ann", "displayName: Ann Smith", "mail: ann@contoso.test", "proxyAddresses: SMTP:Ann.Smith@contoso.test", "proxyAddresses: smtp:a.smith@contoso.test",
		"proxyAddresses: x500:/o=contoso", "sAMAccountName: asmith", "userPrincipalName: asmith@intern.contoso.test")
	user("bob", "mail: bob@contoso.test")
	user("squatter", "mail: a.smith@contoso.test", "proxyAddresses: SMTP:squatter@contoso.test")
	user("twin1", "proxyAddresses: SMTP:twin1@contoso.test", "proxyAddresses: smtp:twins@contoso.test")
	user("twin2", "proxyAddresses: SMTP:twin2@contoso.test", "proxyAddresses: smtp:twins@contoso.test")
	user("nomail", "userPrincipalName: nomail@contoso.test")
	user("Jörg (Büro)", "mail: joerg@contoso.test")
	group("Sales", []string{person("ann"), "cn=West,ou=groups", person("gone"), person("nomail")}, "proxyAddresses: SMTP:sales@contoso.test", "sAMAccountName: GRP-Sales")
	group("West", []string{person("bob"), "cn=Circle,ou=groups", person("Jörg (Büro)")})
	group("Circle", []string{"cn=Sales,ou=groups", person("ann")}, "mail: circle@contoso.test")
	group("Empty", nil, "mail: empty@contoso.test")
	for i := range 320 {
		group(fmt.Sprintf("many%03d", i), []string{person("bob")})
	}
	return b.String()
}

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
	s := startSlapd(t, contoso())
	trust := s.trust()
	for name, c := range map[string]LDAPConfig{
		"StartTLS": {Servers: []string{"ldap://" + s.plain}, StartTLS: true, TLS: trust, BindDN: bindDN, Password: password},
		"LDAPS":    {Servers: []string{"ldaps://" + s.secure}, TLS: trust, BindDN: bindDN, Password: password},
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

func slapdFaults(t *testing.T, s *slapd, trust *tls.Config) {
	good := LDAPConfig{Servers: []string{"ldap://" + s.plain}, StartTLS: true, TLS: trust, BindDN: bindDN, Password: password, Timeout: 2 * time.Second}
	fails := func(name string, c LDAPConfig, remedy string) *LDAP {
		t.Helper()
		l := ldapSource(t, c)
		_, err := l.Lookup(t.Context(), "ann@contoso.test")
		var f *Failure
		if !errors.As(err, &f) || !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) || !strings.Contains(f.Remedy, remedy) || (f.Remedy == "") != (remedy == "") {
			t.Errorf("%s: %v, remedy %q", name, err, f)
		} else if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "wrong password") {
			t.Errorf("%s: a secret in %v", name, err)
		}
		return l
	}
	untrusting, anonymous, wrong, dead := good, good, good, good
	untrusting.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	fails("a certificate nobody trusts", untrusting, "not trusted")
	untrusting.Servers, untrusting.StartTLS = []string{"ldaps://" + s.secure}, false
	fails("likewise with LDAPS", untrusting, "not trusted")
	untrusting.TLS = &tls.Config{RootCAs: s.roots, ServerName: "other.contoso.test"}
	fails("another server's certificate", untrusting, "not trusted")
	anonymous.BindDN, anonymous.Password = "", ""
	fails("nothing to see without a sign-in", anonymous, "base DN")
	wrong.Password = "wrong password"
	l := fails("a wrong password", wrong, "bind DN or password")
	l.c.Password = password // even if it were right now: the account must not be locked by trying
	if _, err := l.Lookup(t.Context(), "ann@contoso.test"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("asked again at once after a refused password: %v", err)
	}
	dead.Servers = []string{"ldap://" + freePort(t)}
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
		s.stop()
	}
	if _, err := chain.Lookup(t.Context(), "nobody@contoso.test"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) {
		t.Errorf("the server is down: %v", err)
	}
}
