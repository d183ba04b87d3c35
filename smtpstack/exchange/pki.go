package exchange

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// pki is a certificate authority with a root that everybody trusts and an intermediate that nobody knows unless it is
// sent, as public authorities have it.
type pki struct {
	roots        *x509.CertPool
	root, middle *issuer
	servers      map[string]*tls.Certificate
}

type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// validFrom and validTo hold in virtual time too, whose clock begins in 2000.
var validFrom, validTo = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)

func newPKI(names ...string) (*pki, error) {
	root, err := issue(nil, &x509.Certificate{Subject: pkix.Name{CommonName: "Test Root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	if err != nil {
		return nil, err
	}
	middle, err := issue(root, &x509.Certificate{Subject: pkix.Name{CommonName: "Test Issuing CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	if err != nil {
		return nil, err
	}
	k := &pki{roots: x509.NewCertPool(), root: root, middle: middle, servers: make(map[string]*tls.Certificate)}
	k.roots.AddCert(root.cert)
	for _, name := range names {
		if k.servers[name], err = k.leaf(name, x509.ExtKeyUsageServerAuth); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func issue(by *issuer, tmpl *x509.Certificate) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	tmpl.SerialNumber, tmpl.NotBefore, tmpl.NotAfter = serial, validFrom, validTo
	parent, signer := tmpl, crypto.Signer(key)
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("exchange: certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return &issuer{cert, key}, err
}

func (k *pki) leaf(name string, use x509.ExtKeyUsage) (*tls.Certificate, error) {
	l, err := issue(k.middle, &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use}})
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{l.cert.Raw, k.middle.cert.Raw}, PrivateKey: l.key, Leaf: l.cert}, nil
}

// ClientCertificate issues a certificate for a name, with its whole chain; drop the second element of Certificate to have
// a client that sends its chain incomplete.
func (p *Peer) ClientCertificate(name string) (tls.Certificate, error) {
	c, err := p.pki.leaf(name, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return tls.Certificate{}, err
	}
	return *c, nil
}

func (k *pki) verifyClient(chain []*x509.Certificate) ([]string, error) {
	if len(chain) == 0 {
		return nil, errNoCertificate
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: k.roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return nil, err
	}
	return append([]string{chain[0].Subject.CommonName}, chain[0].DNSNames...), nil
}

// Root is the authority's own certificate, for other software that is to trust it.
func (p *Peer) Root() *x509.Certificate { return p.pki.root.cert }

// RootPEM is the root of [Peer.Roots] as a PEM file, for programs that read their roots from one.
func (p *Peer) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.pki.root.cert.Raw})
}
