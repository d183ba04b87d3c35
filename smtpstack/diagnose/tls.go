package diagnose

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// soon is when a certificate's end is a warning.
const soon = 21 * 24 * time.Hour

// tls shows version, cipher and chain of the server.
func (r *run) tls() {
	l := &r.look
	switch {
	case l.Hello == "" && l.TLS == nil:
		r.notRun(StepTLS, "The connection did not come so far.")
	case l.TLS == nil && !l.STARTTLS:
		r.add(Step{Name: StepTLS, State: r.unlessRequired(), Found: l.Host + " offers no STARTTLS.",
			Remedy: "Check host and port: Microsoft 365 always offers it, so something between may be taking it away (a firewall's SMTP inspection)."})
	case l.TLS == nil:
		r.add(Step{Name: StepTLS, State: Failed, Found: "The handshake fails: " + problem(l.Err, l.Reply),
			Remedy: "TLS 1.2 or later has to be possible with this server: check a firewall between that inspects TLS, and our certificate if the connector has one."})
	default:
		r.chain()
	}
}

// unlessRequired is how bad a lack of protection is for this connector.
func (r *run) unlessRequired() State {
	if r.RequireTLS {
		return Failed
	}
	return Warning
}

func (r *run) chain() {
	st := r.look.TLS
	s := r.ok(StepTLS, "%s, %s, certificate of %s verified", tls.VersionName(st.Version), tls.CipherSuiteName(st.CipherSuite), r.look.Host)
	for i, c := range st.PeerCertificates {
		s.Details = append(s.Details, fmt.Sprintf("%d: %s", i, certificateLine(c)))
	}
	if r.look.Untrusted != nil {
		s.State = r.unlessRequired()
		s.Found = fmt.Sprintf("%s, %s, but the certificate is not valid for %s: %s", tls.VersionName(st.Version), tls.CipherSuiteName(st.CipherSuite), r.look.Host, smtpstack.OneLine(r.look.Untrusted.Error()))
		s.Remedy = "Correct the host's name in the send connector, or have its certificate renewed. With Microsoft 365 a foreign issuer means that a firewall opens the connection: take smtp out of its TLS inspection."
	}
}

// certificate looks at our own client certificate, as the tenant will.
func (r *run) certificate() {
	if r.Certificate == nil {
		r.notRun(StepCertificate, "The connector shows none.")
		return
	}
	var chain []*x509.Certificate
	for _, der := range r.Certificate.Certificate {
		if c, err := x509.ParseCertificate(der); err == nil {
			chain = append(chain, c)
		}
	}
	if len(chain) == 0 {
		r.add(Step{Name: StepCertificate, State: Failed, Found: "The certificate cannot be read.", Remedy: "Set certificate to a PEM file with the certificate and its chain."})
		return
	}
	leaf := chain[0]
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: r.Roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}})
	s := r.ok(StepCertificate, "%s", certificateLine(leaf))
	for i, c := range chain {
		s.Details = append(s.Details, fmt.Sprintf("%d: %s", i, certificateLine(c)))
	}
	name := leaf.Subject.CommonName
	if len(leaf.DNSNames) > 0 {
		name = leaf.DNSNames[0]
	}
	s.PowerShell = inboundByCertificate(name)
	switch {
	case time.Now().After(leaf.NotAfter):
		s.State, s.Remedy = Failed, "The certificate has ended: renew it."
	case err != nil:
		s.State, s.Found = Failed, fmt.Sprintf("%s, but it does not verify: %s", certificateLine(leaf), smtpstack.OneLine(err.Error()))
		s.Remedy = "Microsoft takes certificates of public authorities only, and wants the chain sent whole: put the certificate and all between it and the root into the file."
	case time.Until(leaf.NotAfter) < soon:
		s.State, s.Remedy = Warning, "The certificate ends soon: renew it."
	}
}

// names are those a certificate is for.
func names(c *x509.Certificate) []string {
	if len(c.DNSNames) > 0 {
		return c.DNSNames
	}
	return slices.DeleteFunc([]string{c.Subject.CommonName}, func(s string) bool { return s == "" })
}
