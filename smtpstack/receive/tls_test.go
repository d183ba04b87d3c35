package receive

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// authority is a certificate authority of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	cert, pool := selfSigned(t, "ca.test")
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, leaf, cert.PrivateKey.(*ecdsa.PrivateKey), pool}
}

// issue makes a certificate; change may be nil.
func (a *authority) issue(change func(*x509.Certificate), names ...string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if change != nil {
		change(tmpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// pemFile writes a certificate with its key.
func pemFile(t *testing.T, name string, cert tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for _, der := range cert.Certificate {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	b = append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// startTLS goes over to TLS on a raw client.
func (c *client) startTLS(cfg *tls.Config) *tls.Conn {
	c.t.Helper()
	c.cmd("STARTTLS", "220 2.0.0")
	return c.secure(cfg)
}

func (c *client) secure(cfg *tls.Config) *tls.Conn {
	c.t.Helper()
	tc := tls.Client(c.nc, cfg)
	if err := tc.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.nc, c.r = tc, bufio.NewReader(tc)
	return tc
}

func TestPEMFiles_Reload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		file := filepath.Join(t.TempDir(), "cert.pem")
		name := func(src CertificateSource) string {
			cert, err := src.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(cert.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			return leaf.DNSNames[0]
		}
		if _, err := OpenPEMFiles(file, file, nil); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing file: %v", err)
		}
		pemFile(t, file, ca.issue(nil, "one.test"))
		var reports []error
		src, err := OpenPEMFiles(file, file, func(err error) { reports = append(reports, err) })
		if err != nil {
			t.Fatal(err)
		}
		pemFile(t, file, ca.issue(nil, "number-two.test"))
		if got := name(src); got != "one.test" {
			t.Errorf("looked at the file at once: %s", got)
		}
		time.Sleep(recheck)
		if got := name(src); got != "number-two.test" {
			t.Errorf("not reloaded: %s", got)
		}
		for _, spoil := range []func(){
			func() { os.WriteFile(file, []byte("half of a certi"), 0o600) },
			func() { os.Remove(file) },
			func() {
				pemFile(t, file, ca.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "expired-three.test"))
			},
		} {
			reports = nil
			spoil()
			for range 3 {
				time.Sleep(recheck)
				if got := name(src); got != "number-two.test" {
					t.Errorf("now %s", got)
				}
			}
			if len(reports) != 1 {
				t.Errorf("reports %v", reports)
			}
		}
		if !errors.Is(reports[0], ErrCertificateExpired) {
			t.Errorf("report %v", reports[0])
		}
		pemFile(t, file, ca.issue(nil, "good-again-four.test"))
		time.Sleep(recheck)
		if got := name(src); got != "good-again-four.test" {
			t.Errorf("now %s", got)
		}
	})
}

func TestSelfSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "made", "for it")
		open := func(host string) *SelfSigned {
			s, err := OpenSelfSigned(dir, host, nil)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		get := func(s *SelfSigned) *x509.Certificate {
			cert, err := s.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			return cert.Leaf
		}
		s := open("fax.test")
		first := get(s)
		info, err := os.Stat(filepath.Join(dir, selfSignedFile))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("file: %v, %v", info, err)
		}
		if err := first.VerifyHostname("fax.test"); err != nil || time.Until(first.NotAfter) != selfSignedFor {
			t.Errorf("%v, until %v", err, first.NotAfter)
		}
		if again := get(open("fax.test")); !again.Equal(first) {
			t.Error("not kept over a restart")
		}
		if other := get(open("other.test")); other.Equal(first) || other.VerifyHostname("other.test") != nil {
			t.Error("not made anew for another host name")
		}
		if ip := get(open("192.0.2.7")); ip.VerifyHostname("192.0.2.7") != nil {
			t.Error("no certificate for an address")
		}
		time.Sleep(selfSignedFor - selfSignedRenew - time.Second)
		if !get(s).Equal(first) {
			t.Error("renewed early")
		}
		time.Sleep(2 * time.Second)
		second := get(s)
		if second.Equal(first) || time.Until(second.NotAfter) != selfSignedFor {
			t.Errorf("not renewed: until %v", second.NotAfter)
		}
		if kept := get(open("fax.test")); !kept.Equal(second) {
			t.Error("the new one is not kept")
		}
	})
}

// TestSelfSigned_DiskTrouble: the certificate of before serves on, and not every handshake tries again.
func TestSelfSigned_DiskTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "x")
		reports := 0
		s, err := OpenSelfSigned(dir, "fax.test", func(error) { reports++ })
		if err != nil {
			t.Fatal(err)
		}
		first := s.cert
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the folder was
			t.Fatal(err)
		}
		time.Sleep(selfSignedFor)
		for range 5 {
			if cert, err := s.GetCertificate(nil); err != nil || cert != first {
				t.Errorf("%v, %v", cert, err)
			}
		}
		if reports != 1 {
			t.Errorf("%d reports", reports)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if cert, err := s.GetCertificate(nil); err != nil || cert == first {
			t.Errorf("not made when the disk is well again: %v", err)
		}
		if _, err := OpenSelfSigned("/proc/nowhere", "fax.test", nil); err == nil {
			t.Error("a certificate that cannot be kept is no error")
		}
	})
}

func TestClientCert_Names(t *testing.T) {
	for _, tt := range []struct {
		has, want string
		covers    bool
	}{
		{"mail.protection.outlook.com", "mail.protection.outlook.com", true},
		{"MAIL.Protection.Outlook.COM.", "mail.protection.outlook.com", true},
		{"*.protection.outlook.com", "mail.protection.outlook.com", true},
		{"mail.protection.outlook.com", "*.protection.outlook.com", true},
		{"*.protection.outlook.com", "*.protection.outlook.com", true},
		{"*.outlook.com", "mail.protection.outlook.com", false}, // one label only
		{"protection.outlook.com", "mail.protection.outlook.com", false},
		{"mail.protection.outlook.com.evil.test", "mail.protection.outlook.com", false},
		{"evilmail.protection.outlook.com", "mail.protection.outlook.com", false},
		{"*.com", "outlook.com", false}, // no wildcard for all of a top-level domain
		{"*", "outlook.com", false}, {"*.", "outlook.com", false}, {"", "", false},
		{"m*.protection.outlook.com", "mail.protection.outlook.com", false}, // RFC 9525: the whole label or nothing
		{"*.*.outlook.com", "mail.protection.outlook.com", false},
		{"*.protection.outlook.com", ".protection.outlook.com", false},
		{"mail.protection.outlook.com\x00.evil.test", "mail.protection.outlook.com", false},
		{"mail.protection.outlook.com", "*", false}, {"a b", "a b", false},
	} {
		if got := nameCovers(tt.has, tt.want); got != tt.covers {
			t.Errorf("nameCovers(%q, %q) = %v", tt.has, tt.want, got)
		}
	}
}

// TestClientCert shows each kind of client to a connector that wants mail.protection.outlook.com.
func TestClientCert(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	server, serverPool := selfSigned(t, "fax.test")
	const want = "mail.protection.outlook.com"
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	tests := []struct {
		name  string
		certs []tls.Certificate
		good  bool
	}{
		{"no certificate", nil, false},
		{"the name", []tls.Certificate{ca.issue(nil, "other.test", want)}, true},
		{"a wildcard", []tls.Certificate{ca.issue(nil, "*.protection.outlook.com")}, true},
		{"for servers", []tls.Certificate{ca.issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, want)}, true},
		{"for code", []tls.Certificate{ca.issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }, want)}, false},
		{"common name alone", []tls.Certificate{ca.issue(func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: want} })}, true},
		{"common name beside others", []tls.Certificate{ca.issue(func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: want} }, "evil.test")}, false},
		{"another name", []tls.Certificate{ca.issue(nil, "mail.protection.outlook.com.evil.test")}, false},
		{"another authority", []tls.Certificate{foreign.issue(nil, want)}, false},
		{"expired", []tls.Certificate{ca.issue(expired, want)}, false},
	}
	for _, required := range []bool{true, false} {
		cfg := testConfig()
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{server}}
		cfg.ClientCert = &ClientCert{Roots: ca.pool, Names: []string{"backup.test", want}, Required: required}
		for _, tt := range tests {
			b := &memory{}
			_, addr := start(t, cfg, b)
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				c := dial(t, addr)
				c.expect("220 ")
				c.startTLS(&tls.Config{RootCAs: serverPool, ServerName: "fax.test", Certificates: tt.certs, MaxVersion: version})
				c.cmd("EHLO x", "250 ")
				if required && !tt.good {
					c.cmd("MAIL FROM:<jane@example.com>", "554 5.7.0 this server takes mail only from clients with a TLS certificate for backup.test or mail.p")
					c.cmd("RCPT TO:<1@fax.example.com>", "503")
					continue
				}
				c.cmd("MAIL FROM:<jane@example.com>", "250")
				c.cmd("RCPT TO:<1@fax.example.com>", "250")
				c.cmd("DATA", "354")
				c.send(".\r\n")
				c.expect("250")
			}
			for _, m := range b.all() {
				if got := m.env.ClientName; (got == want) != tt.good || got != "" && got != want {
					t.Errorf("%s: name %q in the envelope", tt.name, got)
				}
			}
			if wantN := map[bool]int{true: 2}[tt.good || !required]; len(b.all()) != wantN {
				t.Errorf("%s, required %v: %d taken", tt.name, required, len(b.all()))
			}
		}
	}
}

// TestClientCert_InClear: a required certificate cannot be gone round by leaving TLS out.
func TestClientCert_InClear(t *testing.T) {
	ca := newAuthority(t)
	server, _ := selfSigned(t, "fax.test")
	cfg := testConfig()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{server}}
	cfg.ClientCert = &ClientCert{Roots: ca.pool, Names: []string{"a.test"}, Required: true}
	_, addr := start(t, cfg, &memory{})
	c := dial(t, addr)
	c.expect("220 ")
	c.cmd("EHLO x", "250 ")
	c.cmd("MAIL FROM:<jane@example.com>", "554 5.7.0")
}

// TestClientCert_Resumed: a resumed session carries the certificate, which is verified again.
func TestClientCert_Resumed(t *testing.T) {
	ca := newAuthority(t)
	server, pool := selfSigned(t, "fax.test")
	cfg := testConfig()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{server}}
	cfg.ClientCert = &ClientCert{Roots: ca.pool, Names: []string{"a.test"}, Required: true}
	_, addr := start(t, cfg, &memory{})
	client := &tls.Config{RootCAs: pool, ServerName: "fax.test", ClientSessionCache: tls.NewLRUClientSessionCache(4),
		Certificates: []tls.Certificate{ca.issue(nil, "a.test")}}
	resumed := false
	for range 3 {
		c := dial(t, addr)
		c.expect("220 ")
		tc := c.startTLS(client)
		c.cmd("EHLO x", "250 ")
		c.cmd("MAIL FROM:<jane@example.com>", "250")
		c.cmd("QUIT", "221")
		resumed = resumed || tc.ConnectionState().DidResume
	}
	if !resumed {
		t.Error("no session was resumed: nothing tested")
	}
}

func TestImplicitTLS(t *testing.T) {
	cert, pool := selfSigned(t, "fax.test")
	cfg := testConfig()
	cfg.TLS = ServerTLS(fixed{&cert})
	cfg.ImplicitTLS, cfg.RequireTLS = true, true
	b := &memory{}
	_, addr := start(t, cfg, b)
	c := dial(t, addr)
	c.secure(&tls.Config{RootCAs: pool, ServerName: "fax.test"})
	c.expect("220 fax.test")
	if got := c.cmd("EHLO x", "250 "); strings.Contains(got, "STARTTLS") {
		t.Errorf("STARTTLS offered: %q", got)
	}
	c.cmd("STARTTLS", "503")
	c.cmd("MAIL FROM:<jane@example.com>", "250")
	c.cmd("RCPT TO:<1@fax.example.com>", "250")
	c.cmd("DATA", "354")
	c.send(".\r\n")
	c.expect("250")
	if b.all()[0].env.TLS == nil {
		t.Error("no TLS in the envelope")
	}
	plain := dial(t, addr)
	plain.send("EHLO x\r\n")
	if line, _ := plain.r.ReadString('\n'); strings.HasPrefix(line, "2") {
		t.Errorf("plain text heard: %q", line)
	}
}

type fixed struct{ cert *tls.Certificate }

func (f fixed) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.cert, nil }

// TestServerTLS_Renewed: the running server shows the new certificate at the next handshake.
func TestServerTLS_Renewed(t *testing.T) {
	one, onePool := selfSigned(t, "fax.test")
	two, twoPool := selfSigned(t, "fax.test")
	src := &fixed{&one}
	cfg := testConfig()
	cfg.TLS = ServerTLS(src)
	_, addr := start(t, cfg, &memory{})
	shake := func(pool *x509.CertPool) {
		c := dial(t, addr)
		c.expect("220 ")
		c.startTLS(&tls.Config{RootCAs: pool, ServerName: "fax.test"})
		c.cmd("QUIT", "221")
	}
	shake(onePool)
	src.cert = &two
	shake(twoPool)
}
