package receive

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ClientCert asks clients for a TLS certificate (mutual TLS) and says which are taken for proven. A client without one,
// or with another one, is served all the same unless Required: mail servers present whatever they have.
//
// Exchange Online presents mail.protection.outlook.com for all its tenants: the name proves Microsoft's servers, not
// whose mail it is.
type ClientCert struct {
	Roots *x509.CertPool // authorities; nil: the system's
	// Names are those of which the certificate must have one, like "mail.protection.outlook.com". A certificate for
	// "*.example.com" has each name with one label more (RFC 9525 6.3). A name here may be "*.example.com" too: then any
	// such name will do, as will that wildcard.
	Names    []string
	Required bool // no mail without such a certificate
}

var (
	// ErrNoClientCert is returned when a client has presented no certificate.
	ErrNoClientCert = errors.New("no client certificate")
	// ErrClientName is returned when a client's certificate is good but for none of the names.
	ErrClientName = errors.New("the client certificate is for none of the required names")
)

// Verify checks the certificate that the client presented in a handshake and returns the name of Names it is for.
//
// Field: a certificate for servers only is taken as well. Public authorities have stopped (2026) issuing certificates
// for clients, and mail servers present the one they have.
func (c *ClientCert) Verify(st tls.ConnectionState) (string, error) {
	if len(st.PeerCertificates) == 0 {
		return "", ErrNoClientCert
	}
	leaf := st.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, cert := range st.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: c.Roots, Intermediates: between,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}})
	if err != nil {
		return "", fmt.Errorf("receive: client certificate: %w", err)
	}
	for _, want := range c.Names {
		if slices.ContainsFunc(certNames(leaf), func(has string) bool { return nameCovers(has, want) }) {
			return want, nil
		}
	}
	return "", ErrClientName
}

// certNames are the DNS names of a certificate: the common name only when there is no other (RFC 6125 6.4.4).
func certNames(cert *x509.Certificate) []string {
	if len(cert.DNSNames) > 0 || len(cert.IPAddresses) > 0 || len(cert.EmailAddresses) > 0 || len(cert.URIs) > 0 {
		return cert.DNSNames
	}
	return []string{cert.Subject.CommonName}
}

// nameCovers tells whether a certificate's name is the wanted one; either may have "*" as its whole first label.
func nameCovers(has, want string) bool {
	has, want = normalName(has), normalName(want)
	if has == "" || want == "" {
		return false
	}
	if has == want {
		return true
	}
	return underWildcard(has, want) || underWildcard(want, has)
}

// underWildcard tells whether name has exactly one label before the wildcard's rest, which has two labels at least.
func underWildcard(wildcard, name string) bool {
	rest, ok := strings.CutPrefix(wildcard, "*.")
	if !ok || !strings.Contains(rest, ".") || strings.Contains(rest, "*") {
		return false
	}
	label, parent, found := strings.Cut(name, ".")
	return found && label != "" && !strings.Contains(name, "*") && parent == rest
}

func normalName(s string) string {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if !isPrintable(s) || strings.ContainsAny(s, " ") {
		return ""
	}
	return s
}
