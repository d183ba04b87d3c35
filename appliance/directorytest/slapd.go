// Package directorytest has directories for tests: a real slapd with the part of Active Directory's schema that mail needs,
// and a Microsoft 365 tenant behind Microsoft Graph.
package directorytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack/smtptest"
)

// peer finds another software's program, or skips; with TIPRING_PEERS=required a missing one fails.
func peer(t testing.TB, name string) string {
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

// Slapd is an OpenLDAP server with the part of Active Directory's schema that mail needs.
type Slapd struct {
	Plain, Secure string // host:port
	Roots         *x509.CertPool
	CAFile        string // the same in PEM
	t             testing.TB
	program, conf string
	cmd           *exec.Cmd
}

// Stop ends the server; Start starts it again.
func (s *Slapd) Stop() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// Trust is for clients.
func (s *Slapd) Trust() *tls.Config { return &tls.Config{RootCAs: s.Roots} }

const adSchema = `
attributetype ( 1.3.6.1.4.1.55555.1.1 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.55555.1.2 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.55555.1.3 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.55555.2.1 NAME 'user' SUP inetOrgPerson STRUCTURAL MAY ( proxyAddresses $ sAMAccountName $ userPrincipalName ) )
objectclass ( 1.3.6.1.4.1.55555.2.2 NAME 'group' SUP top STRUCTURAL MUST cn MAY ( member $ mail $ proxyAddresses $ sAMAccountName $ displayName $ description ) )
`

// The account that may read the directory.
const (
	BindDN   = "cn=fax,ou=people,dc=contoso,dc=test"
	Password = "secret of the fax account"
)

// StartSlapd starts a server on free ports of loopback.
func StartSlapd(t testing.TB, ldif string) *Slapd {
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
	s := &Slapd{Plain: smtptest.FreeAddr(t), Secure: smtptest.FreeAddr(t), Roots: x509.NewCertPool()}
	cert, key := selfSigned(t)
	s.Roots.AppendCertsFromPEM([]byte(cert))
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
	s.t, s.program, s.conf, s.CAFile = t, program, conf, certFile
	t.Cleanup(s.Stop)
	s.Start()
	return s
}

// Start starts the server on its ports.
func (s *Slapd) Start() {
	s.t.Helper()
	s.cmd = exec.Command(s.program, "-f", s.conf, "-h", "ldap://"+s.Plain+" ldaps://"+s.Secure, "-d", "0")
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for range 1200 {
		if c, err := net.Dial("tcp", s.Secure); err == nil {
			c.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	s.t.Fatal("slapd does not listen")
}

func selfSigned(t testing.TB) (cert, key string) {
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

// Contoso is the directory of the tests: Ann, Bob and others, groups in groups and in a circle.
func Contoso() string {
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
	user("fax", "userPassword: "+Password)
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
