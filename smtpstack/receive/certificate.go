package receive

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// CertificateSource gives the server's certificate for each handshake, so that it can be renewed while the server runs.
// Calls come from many connections at once. A source that cannot tell returns an error, which fails the handshake.
type CertificateSource interface {
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// ServerTLS is the TLS configuration of a server that takes its certificate from src: TLS 1.2 and up, as Exchange
// Online asks for (and speaks: its outbound hosts have been seen on 1.2).
func ServerTLS(src CertificateSource) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: src.GetCertificate}
}

// recheck is how long files are taken for unchanged.
const recheck = 10 * time.Second

// PEMFiles is a CertificateSource that reads a certificate with its chain and its key from two PEM files, and reads
// them anew when they change. Files that cannot be used leave the last good certificate in place: a renewal writes
// them one after the other, and a wrong one must not take the connector down.
type PEMFiles struct {
	certFile, keyFile string
	report            func(error)

	mu      sync.Mutex
	cert    *tls.Certificate
	stamp   [2]fileStamp
	checked time.Time
}

// fileStamp tells one content of a file from another.
type fileStamp struct {
	size int64
	mod  time.Time
}

// OpenPEMFiles reads the files once; both may be the same file. report, which may be nil, is told when changed files
// cannot be used, once for each change.
func OpenPEMFiles(certFile, keyFile string, report func(error)) (*PEMFiles, error) {
	if report == nil {
		report = func(error) {}
	}
	p := &PEMFiles{certFile: certFile, keyFile: keyFile, report: report, checked: time.Now()}
	p.stamp = p.stamps()
	cert, err := p.load()
	if err != nil {
		return nil, err
	}
	p.cert = cert
	return p, nil
}

// GetCertificate implements CertificateSource.
func (p *PEMFiles) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.checked) < recheck {
		return p.cert, nil
	}
	p.checked = time.Now()
	stamp := p.stamps()
	if stamp == p.stamp {
		return p.cert, nil
	}
	p.stamp = stamp
	cert, err := p.load()
	if err != nil {
		p.report(fmt.Errorf("%w; the certificate of before stays in use", err))
		return p.cert, nil
	}
	p.cert = cert
	return p.cert, nil
}

func (p *PEMFiles) stamps() (s [2]fileStamp) {
	for i, name := range []string{p.certFile, p.keyFile} {
		if info, err := os.Stat(name); err == nil {
			s[i] = fileStamp{info.Size(), info.ModTime()}
		}
	}
	return s
}

func (p *PEMFiles) load() (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return nil, fmt.Errorf("receive: certificate: %w", err)
	}
	if time.Now().After(cert.Leaf.NotAfter) {
		return nil, fmt.Errorf("receive: certificate %s: %w", p.certFile, errExpired(cert.Leaf))
	}
	return &cert, nil
}

// ErrCertificateExpired is returned when a certificate file's certificate is past its end.
var ErrCertificateExpired = errors.New("certificate has expired")

func errExpired(leaf *x509.Certificate) error {
	return fmt.Errorf("%w at %s", ErrCertificateExpired, leaf.NotAfter.UTC().Format(time.RFC3339))
}
