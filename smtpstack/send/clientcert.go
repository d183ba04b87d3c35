package send

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"

	"github.com/tipring/tipring/smtpstack"
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

// The alerts with which a server ends TLS for the client's certificate, or for want of one (RFC 8446 6.2): bad, unsupported,
// revoked, expired and unknown certificate, unknown authority, access denied, certificate required.
var certificateAlerts = []uint64{42, 43, 44, 45, 46, 48, 49, 116}

// handshakeFailure is what a server says with TLS 1.2 when it asked for a certificate and there was none (RFC 5246 7.4.6).
const handshakeFailure = 40

// refusedCertificate finds such an alert, which with TLS 1.3 comes in place of a reply. crypto/tls does not export its type.
func (c *conn) refusedCertificate(err error) bool {
	var op *net.OpError
	if !c.asked || !errors.As(err, &op) || op.Op != "remote error" {
		return false
	}
	alert := reflect.ValueOf(op.Err)
	return alert.Kind() == reflect.Uint8 && (alert.Uint() == handshakeFailure || slices.Contains(certificateAlerts, alert.Uint()))
}

// wantsCertificate is the failure of a server that this connector names and that refuses its certificate: retrying is no use
// before somebody has changed something. A stranger's server may mend itself.
func (c *conn) wantsCertificate(err error) *failure {
	cfg := &c.d.s.cfg
	if cfg.Host == "" && cfg.MXOf == "" || !c.refusedCertificate(err) {
		return nil
	}
	f := &failure{class: smtpstack.Configuration, err: err, remedy: "The server demands a TLS client certificate: name one in the send connector (certificate, certificate_key)."}
	if cfg.TLSConfig != nil && (len(cfg.TLSConfig.Certificates) > 0 || cfg.TLSConfig.GetClientCertificate != nil) {
		f.remedy = "The server does not take this connector's TLS client certificate: check that it is valid, and that the server trusts its issuer."
	}
	return f
}
