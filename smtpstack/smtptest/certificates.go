package smtptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"testing"
	"time"
)

// Authority is a certificate authority of a test.
type Authority struct {
	t    testing.TB
	Cert *x509.Certificate
	Pool *x509.CertPool // with its certificate alone
	key  crypto.Signer
}

// NewAuthority makes an authority of this common name.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	a := &Authority{t: t, Pool: x509.NewCertPool()}
	tmpl := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	key := ecdsaKey(t)
	a.Cert = a.sign(tmpl, key).Leaf
	a.key = key
	a.Pool.AddCert(a.Cert)
	return a
}

// Issue makes a certificate for servers and clients of these DNS names, the first also its common name. The
// authority's own stands behind it, as DANE-TA wants (RFC 7672 3.1.2).
func (a *Authority) Issue(names ...string) tls.Certificate {
	a.t.Helper()
	return a.issue(ecdsaKey(a.t), names)
}

// IssueRSA is Issue with an RSA key, which every server can use.
func (a *Authority) IssueRSA(names ...string) tls.Certificate {
	a.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.issue(key, names)
}

func (a *Authority) issue(key crypto.Signer, names []string) tls.Certificate {
	a.t.Helper()
	cert := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, key)
	cert.Certificate = append(cert.Certificate, a.Cert.Raw)
	return cert
}

func ecdsaKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign completes and signs a certificate: with the authority's key, or its own while there is none.
func (a *Authority) sign(tmpl *x509.Certificate, key crypto.Signer) tls.Certificate {
	a.t.Helper()
	parent, signer := a.Cert, a.key
	if signer == nil {
		parent, signer = tmpl, key
	}
	tmpl.SerialNumber = big.NewInt(time.Now().UnixNano())
	tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// PEM is the authority's certificate.
func (a *Authority) PEM() string { return certificatePEM(a.Cert.Raw) }

func certificatePEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// PEM returns a certificate with its chain, and its key.
func PEM(t testing.TB, cert tls.Certificate) (chain, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cert.Certificate {
		chain += certificatePEM(c)
	}
	return chain, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// PEMFile writes a certificate, its chain and its key into one file of a folder of the test's and returns its name.
func PEMFile(t testing.TB, cert tls.Certificate) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cert.pem")
	chain, key := PEM(t, cert)
	write(t, file, chain+key, 0o600)
	return file
}

// PEMFile writes the authority's certificate into a file and returns its name.
func (a *Authority) PEMFile() string {
	a.t.Helper()
	file := filepath.Join(a.t.TempDir(), "ca.pem")
	write(a.t, file, a.PEM(), 0o644)
	return file
}
