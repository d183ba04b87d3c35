package send

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// ErrChain is returned when a client certificate comes without the certificates between it and a root, so that a server
// that does not know them refuses it; Exchange Online then says 5.7.64.
var ErrChain = errors.New("the certificate's chain is not whole")

// LoadClientCertificate reads the certificate for a certificate connector, in PEM: the file must hold the certificate
// itself first, then those of its issuers. It is for TLSConfig.Certificates. roots of nil are the system's. With ErrChain the
// certificate is returned too: a private authority's may be meant so.
func LoadClientCertificate(certFile, keyFile string, roots *x509.CertPool) (tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("send: client certificate: %w", err)
	}
	return cert, CheckChain(cert, roots)
}

// CheckChain tells whether a server that knows only the roots can verify the certificate as it is sent. Errors are
// ErrChain, or of a certificate that has expired or cannot be read.
func CheckChain(cert tls.Certificate, roots *x509.CertPool) error {
	if len(cert.Certificate) == 0 {
		return fmt.Errorf("send: client certificate: %w: there is none", ErrChain)
	}
	between := x509.NewCertPool()
	var leaf *x509.Certificate
	for i, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("send: client certificate: %w", err)
		}
		if i == 0 {
			leaf = c
		} else {
			between.AddCert(c)
		}
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("send: client certificate of %s: %w: nothing leads from %q to a root", leaf.Subject.CommonName, ErrChain, leaf.Issuer.CommonName)
	}
	if err != nil {
		return fmt.Errorf("send: client certificate: %w", err)
	}
	return nil
}
