// Package acme gets and renews the receive connectors' certificate from an ACME authority such as Let's Encrypt
// (RFC 8555), by HTTP-01 (8.3) or DNS-01 (8.4). The protocol is github.com/caddyserver/certmagic's.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/libdns/rfc2136"
	"go.uber.org/zap"
)

// LetsEncrypt is the directory of Let's Encrypt.
const LetsEncrypt = certmagic.LetsEncryptProductionCA

// Source gives a certificate, as receive.CertificateSource does.
type Source interface {
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// DNSUpdate is a name server that takes dynamic updates (RFC 2136) signed with TSIG (RFC 8945).
type DNSUpdate struct {
	Server  string // host:port
	KeyName string
	KeyAlg  string // like "hmac-sha256"
	Key     string // base64; a secret
}

// Config says what certificate is wanted and how the authority is shown that the name is ours. Exactly one of HTTP and
// DNS is set.
type Config struct {
	Host      string // the name; also what the certificate is shown for, whatever name the client asks
	Email     string // for the authority's warnings; may be ""
	Directory string // URL, default LetsEncrypt
	Folder    string // keeps account, key and certificate
	// HTTP is the address for HTTP-01, like ":80", where the authority must reach us from outside. It must be free, and listens only while
	// a challenge is under way.
	HTTP string
	// DNS puts the DNS-01 record. Then nothing needs to be reachable from outside.
	DNS *DNSUpdate
	// Resolvers are the name servers (host:port) asked for the zone and whether the record is there; empty: the system's.
	Resolvers []string
	// PropagationTimeout is how long to wait until the record is seen, default 2 min; negative: not at all.
	PropagationTimeout time.Duration

	Roots    *x509.CertPool // who may have signed the authority's own TLS certificate; nil: the system's
	Fallback Source         // what to show as long as there is no certificate; nil: the handshake fails
	Report   func(error)    // is told of each failure; may be nil. Tries go on, less and less often, for 30 days
	Obtained func()         // is told when there is a certificate, new or from the folder; may be nil

	renewCheck  time.Duration // tests; default certmagic's 10 min
	renewWindow float64       // tests; part of its life left when a certificate is renewed, default a third
}

// ErrConfig is returned when the configuration names no host, no folder, or not exactly one whole way to prove the name.
var ErrConfig = errors.New("acme: incomplete configuration")

// ErrNoCertificate is returned by GetCertificate when there is none yet and no fallback.
var ErrNoCertificate = errors.New("acme: no certificate yet")

// Manager is a Source that renews its certificate while Run runs. A certificate is renewed when a third of its life is
// left, or when the authority says so (RFC 9773).
type Manager struct {
	cfg   Config
	cache *certmagic.Cache
	magic *certmagic.Config
}

// New checks the configuration; nothing is asked yet. By using it the terms of the authority are agreed to.
func New(cfg Config) (*Manager, error) {
	if cfg.Host == "" || cfg.Folder == "" || (cfg.HTTP == "") == (cfg.DNS == nil) {
		return nil, ErrConfig
	}
	if cfg.Directory == "" {
		cfg.Directory = LetsEncrypt
	}
	if cfg.Report == nil {
		cfg.Report = func(error) {}
	}
	if cfg.Obtained == nil {
		cfg.Obtained = func() {}
	}
	m := &Manager{cfg: cfg}
	log := zap.NewNop() // failures come by event
	m.cache = certmagic.NewCache(certmagic.CacheOptions{Logger: log, Capacity: 16, RenewCheckInterval: cfg.renewCheck,
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return m.magic, nil }})
	m.magic = certmagic.New(m.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: filepath.Clean(cfg.Folder)}, Logger: log,
		DefaultServerName: cfg.Host, RenewalWindowRatio: cfg.renewWindow, OnEvent: m.event, OCSP: certmagic.OCSPConfig{DisableStapling: true}})
	issuer := certmagic.ACMEIssuer{CA: cfg.Directory, Email: cfg.Email, Agreed: true, TrustedRoots: cfg.Roots,
		DisableTLSALPNChallenge: true, DisableDistributedSolvers: true, Logger: log}
	if err := m.way(&issuer); err != nil {
		m.cache.Stop()
		return nil, err
	}
	m.magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(m.magic, issuer)}
	return m, nil
}

// way sets the challenge up.
func (m *Manager) way(issuer *certmagic.ACMEIssuer) error {
	if d := m.cfg.DNS; d != nil {
		if d.Server == "" || d.KeyName == "" || d.KeyAlg == "" || d.Key == "" {
			return fmt.Errorf("%w: the DNS update's server, key name, algorithm and key", ErrConfig)
		}
		issuer.DisableHTTPChallenge = true
		issuer.DNS01Solver = &certmagic.DNS01Solver{DNSManager: certmagic.DNSManager{
			DNSProvider: &rfc2136.Provider{Server: d.Server, KeyName: d.KeyName, KeyAlg: d.KeyAlg, Key: d.Key},
			TTL:         time.Minute, PropagationTimeout: m.cfg.PropagationTimeout, Resolvers: m.cfg.Resolvers}}
		return nil
	}
	host, port, err := net.SplitHostPort(m.cfg.HTTP)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("%w: port %q", ErrConfig, port)
	}
	issuer.ListenHost, issuer.AltHTTPPort = host, int(n)
	return nil
}

// event passes failures and successes on. Its text names hosts and the authority's reasons, no secrets.
func (m *Manager) event(_ context.Context, name string, data map[string]any) error {
	if _, ok := m.Valid(); name == "cert_obtained" || name == "cached_managed_cert" && ok {
		m.cfg.Obtained()
	}
	if err, _ := data["error"].(error); name == "cert_failed" && !errors.Is(err, context.Canceled) { // Run has ended
		m.cfg.Report(fmt.Errorf("acme: certificate for %s: %w", m.cfg.Host, err))
	}
	return nil
}

// Run gets the certificate unless the folder has it, and renews it, until the context ends. It is called once.
func (m *Manager) Run(ctx context.Context) error {
	defer m.cache.Stop()
	if err := m.magic.ManageAsync(ctx, []string{m.cfg.Host}); err != nil {
		return fmt.Errorf("acme: %w", err)
	}
	<-ctx.Done()
	return ctx.Err()
}

// Valid tells until when there is a certificate of the authority; ok is false when there is none.
func (m *Manager) Valid() (until time.Time, ok bool) {
	if c := m.current(); c != nil && c.Leaf != nil {
		return c.Leaf.NotAfter, true
	}
	return time.Time{}, false
}

func (m *Manager) current() *certmagic.Certificate {
	for _, c := range m.cache.AllMatchingCertificates(m.cfg.Host) {
		if !c.Expired() {
			return &c
		}
	}
	return nil
}

// GetCertificate implements Source. Mail clients ask for all kinds of names, or none: all are shown the one certificate.
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := m.current(); c != nil {
		return &c.Certificate, nil
	}
	if m.cfg.Fallback != nil {
		return m.cfg.Fallback.GetCertificate(hello)
	}
	return nil, ErrNoCertificate
}
