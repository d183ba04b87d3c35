package appliance

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tipring/tipring/smtpstack/acme"
	"github.com/tipring/tipring/smtpstack/receive"
)

// ACMEConfig gets the certificate of hostname from an ACME authority (RFC 8555), for the receive connectors with acme = true.
type ACMEConfig struct {
	Directory string `toml:"directory"` // URL of the authority; empty: Let's Encrypt
	Email     string `toml:"email"`     // for the authority's warnings
	Agreed    bool   `toml:"agreed"`    // the authority's terms of service are agreed to
	CAFile    string `toml:"ca_file"`   // PEM file: who issued the authority's own certificate; empty: the public authorities

	HTTP string `toml:"http"` // HTTP-01: host:port to listen on; the authority comes to port 80 of hostname

	DNSServer    string   `toml:"dns_server"`    // DNS-01: name server that takes dynamic updates (RFC 2136), host:port
	DNSKeyName   string   `toml:"dns_key_name"`  // TSIG key (RFC 8945)
	DNSAlgorithm string   `toml:"dns_algorithm"` // of the key
	DNSKeyFile   string   `toml:"dns_key_file"`  // file with the key in base64, mode 0600
	DNSResolvers []string `toml:"dns_resolvers"` // name servers, host:port, asked whether the record is there; empty: the system's
}

const defaultTSIG = "hmac-sha256"

func (c Config) validateACME(v *faults) {
	used := slices.ContainsFunc(c.Receive, func(r ReceiveConfig) bool { return r.ACME })
	for _, r := range c.Receive {
		v.need(!r.ACME || r.TLSCert == "", "receive %q: acme and tls_cert: use one of them", r.Name)
	}
	if !used {
		return
	}
	a := c.ACME
	v.need(a.Agreed, "acme.agreed: read the authority's terms of service (Let's Encrypt: https://letsencrypt.org/repository/) and set agreed = true")
	v.need(strings.Contains(c.Hostname, "."), "hostname: %q: an authority gives certificates for full names only", c.Hostname)
	v.need(a.Directory == "" || strings.HasPrefix(a.Directory, "https://"), "acme.directory: %q: use an https:// address, or \"\" for Let's Encrypt", a.Directory)
	v.need(a.Email == "" || validAddress(a.Email), "acme.email: %q is no address", a.Email)
	v.need((a.HTTP == "") != (a.DNSServer == ""), "acme: set http (\":80\") or dns_server, one of them")
	v.need(a.HTTP == "" || validListen(a.HTTP), "acme.http: %q is no host:port", a.HTTP)
	for _, s := range append([]string{a.DNSServer}, a.DNSResolvers...) {
		host, port, err := net.SplitHostPort(s)
		v.need(s == "" || err == nil && host != "" && port != "", "acme: %q is no name server as host:port", s)
	}
	v.need(a.DNSServer == "" || a.DNSKeyName != "" && a.DNSKeyFile != "", "acme.dns_server needs dns_key_name and dns_key_file")
}

// acmeCertificate is the certificate from an ACME authority; until it is there, one of our own making.
type acmeCertificate struct {
	config  acme.Config
	now     atomic.Pointer[acme.Manager]
	patient time.Duration // without a certificate after that long it begins anew
}

// GetCertificate implements [receive.CertificateSource].
func (c *acmeCertificate) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if m := c.now.Load(); m != nil {
		return m.GetCertificate(hello)
	}
	return c.config.Fallback.GetCertificate(hello)
}

// run gets the certificate and renews it until ctx ends.
func (c *acmeCertificate) run(ctx context.Context) error {
	for ctx.Err() == nil {
		m, err := acme.New(c.config)
		if err != nil {
			return err
		}
		once, cancel := context.WithCancel(ctx)
		stop := time.AfterFunc(c.patient, func() { // tries become rare, and end after 30 days
			if _, ok := m.Valid(); !ok {
				cancel()
			}
		})
		c.now.Store(m)
		err = m.Run(once)
		stop.Stop()
		if cancel(); once.Err() == nil || err == nil {
			return err
		}
	}
	return ctx.Err()
}

// openACME prepares the certificate from the authority, if a connector has it. fallback is shown meanwhile.
func (a *Appliance) openACME() error {
	if !slices.ContainsFunc(a.cfg.Receive, func(r ReceiveConfig) bool { return r.ACME }) {
		return nil
	}
	c := a.cfg.ACME
	own, err := receive.OpenSelfSigned(filepath.Join(a.cfg.Data, "tls"), a.cfg.Hostname, func(err error) { a.log.Warn("own certificate", "err", err) })
	if err != nil {
		return err
	}
	roots, err := readRoots(c.CAFile)
	if err != nil {
		return fmt.Errorf("acme.ca_file: %w", err)
	}
	ac := acme.Config{Host: a.cfg.Hostname, Email: c.Email, Directory: c.Directory, Folder: filepath.Join(a.cfg.Data, "acme"), HTTP: c.HTTP, Resolvers: c.DNSResolvers,
		Roots: roots, Fallback: own, Report: a.reportACME, Obtained: func() {
			a.log.Info("certificate", "from", "acme", "host", a.cfg.Hostname)
			a.alarms.Clear("acme")
		}}
	if c.DNSServer != "" {
		secret, err := readSecret(c.DNSKeyFile)
		if err != nil {
			return fmt.Errorf("acme.dns_key_file: %w", err)
		}
		ac.DNS = &acme.DNSUpdate{Server: c.DNSServer, KeyName: c.DNSKeyName, KeyAlg: c.DNSAlgorithm, Key: secret}
	}
	a.acme = &acmeCertificate{config: ac, patient: 7 * 24 * time.Hour}
	return nil
}

// reportACME raises the alarm about a certificate that cannot be had.
func (a *Appliance) reportACME(err error) {
	remedy := "The authority must reach port 80 of " + a.cfg.Hostname + " from the Internet and find this box at acme.http; check DNS, the router and the firewall."
	if a.cfg.ACME.DNSServer != "" {
		remedy = "The name server at acme.dns_server must take updates of _acme-challenge." + a.cfg.Hostname + " signed with the key, and the Internet must see them."
	}
	shown := "Until then mail servers are shown a certificate of our own making."
	if m := a.acme.now.Load(); m != nil {
		if until, ok := m.Valid(); ok {
			shown = "The one in use is good until " + until.Format(time.DateTime) + "."
		}
	}
	a.log.Warn("acme", "err", err)
	a.alarms.Raise("acme", fmt.Sprintf("The certificate for %s cannot be had: %v. %s", a.cfg.Hostname, err, shown), remedy+" It is tried again by itself.")
}
