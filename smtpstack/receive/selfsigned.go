package receive

import (
	"bytes"
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
	"path/filepath"
	"sync"
	"time"
)

// A self-signed certificate lives for a year; it is replaced a month before its end.
const (
	selfSignedFor   = 365 * 24 * time.Hour
	selfSignedRenew = 30 * 24 * time.Hour
	selfSignedFile  = "self-signed.pem"
)

// SelfSigned is a CertificateSource for an appliance that has no certificate yet: it makes one at its first boot, keeps
// it in a folder, and makes another before it ends or when the host name has changed. It encrypts; it proves nothing to
// a client that checks names.
type SelfSigned struct {
	file, host string
	report     func(error)

	mu    sync.Mutex
	cert  *tls.Certificate
	tried time.Time // when a renewal last failed
}

// OpenSelfSigned reads the certificate kept in dir, or makes it. host is the name (or IP address) it stands for.
// report, which may be nil, is told when a renewal fails; it is tried again after an hour at the earliest.
func OpenSelfSigned(dir, host string, report func(error)) (*SelfSigned, error) {
	if report == nil {
		report = func(error) {}
	}
	s := &SelfSigned{file: filepath.Join(dir, selfSignedFile), host: host, report: report}
	if cert, err := tls.LoadX509KeyPair(s.file, s.file); err == nil && s.usable(&cert) {
		s.cert = &cert
		return s, nil
	}
	cert, err := s.make()
	if err != nil {
		return nil, err
	}
	s.cert = cert
	return s, nil
}

// usable tells whether the certificate is for our name and far from its ends. A clock set back far makes one unusable
// too, as clients with a good clock would say.
func (s *SelfSigned) usable(cert *tls.Certificate) bool {
	now := time.Now()
	return cert.Leaf.VerifyHostname(s.host) == nil && !now.Before(cert.Leaf.NotBefore) &&
		now.Add(selfSignedRenew).Before(cert.Leaf.NotAfter)
}

// GetCertificate implements CertificateSource.
func (s *SelfSigned) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.usable(s.cert) || time.Since(s.tried) < time.Hour {
		return s.cert, nil
	}
	cert, err := s.make()
	if err != nil {
		s.tried = time.Now()
		s.report(err)
		return s.cert, nil
	}
	s.cert = cert
	return cert, nil
}

// make makes a key and a certificate and puts them on disk.
func (s *SelfSigned) make() (*tls.Certificate, error) {
	fail := func(err error) (*tls.Certificate, error) {
		return nil, fmt.Errorf("receive: self-signed certificate: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fail(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return fail(err)
	}
	now := time.Now()
	tmpl := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: s.host},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(selfSignedFor), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(s.host); ip != nil {
		tmpl.IPAddresses = []net.IP{ip}
	} else {
		tmpl.DNSNames = []string{s.host}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return fail(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fail(err)
	}
	var out bytes.Buffer
	err = errors.Join(pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}))
	if err == nil {
		err = writeFile(s.file, out.Bytes())
	}
	if err != nil {
		return fail(err)
	}
	cert, err := tls.X509KeyPair(out.Bytes(), out.Bytes())
	if err != nil {
		return fail(err)
	}
	return &cert, nil
}

// writeFile replaces a file by one that is whole and on disk; its folder is made when missing. Only the owner may read
// it.
func writeFile(name string, content []byte) (err error) {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(name)+".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
