package send

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"

	"github.com/tipring/tipring/smtpstack/resolve"
)

// errDANE is returned when no TLSA record fits the server's certificates.
var errDANE = errors.New("the certificate fits none of the domain's TLSA records")

// Certificate usages of SMTP with DANE; the PKIX ones are not usable (RFC 7672 3.1.3).
const (
	daneTA = 2
	daneEE = 3
)

func usableTLSA(records []resolve.TLSA) []resolve.TLSA {
	var list []resolve.TLSA
	for _, r := range records {
		if (r.Usage == daneTA || r.Usage == daneEE) && r.Selector <= 1 && r.Matching <= 2 && len(r.Data) > 0 {
			list = append(list, r)
		}
	}
	return list
}

// verifyDANE authenticates a chain by TLSA records: DANE-EE looks at the server's own certificate only, neither at names
// nor dates (RFC 7672 3.1.1); DANE-TA wants a chain to the named issuer and one of the names (3.1.2, 3.2).
func verifyDANE(records []resolve.TLSA, names []string, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errDANE
	}
	for _, r := range records {
		if r.Usage == daneEE && fits(r, chain[0]) {
			return nil
		}
		if r.Usage == daneTA && underAnchor(r, names, chain) {
			return nil
		}
	}
	return errDANE
}

func fits(r resolve.TLSA, cert *x509.Certificate) bool {
	data := cert.Raw
	if r.Selector == 1 {
		data = cert.RawSubjectPublicKeyInfo
	}
	switch r.Matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return bytes.Equal(data, r.Data)
}

// underAnchor looks for the trust anchor in the chain the server sent, or in the record itself when that is a certificate.
func underAnchor(r resolve.TLSA, names []string, chain []*x509.Certificate) bool {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	found := false
	for _, cert := range chain {
		if fits(r, cert) {
			roots.AddCert(cert)
			found = true
		} else {
			between.AddCert(cert)
		}
	}
	if r.Selector == 0 && r.Matching == 0 && !found {
		if cert, err := x509.ParseCertificate(r.Data); err == nil {
			roots.AddCert(cert)
			found = true
		}
	}
	if !found {
		return false
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		if _, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between}); err == nil {
			return true
		}
	}
	return false
}
