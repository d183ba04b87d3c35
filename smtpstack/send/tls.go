package send

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// guard is how the connection to one host is to be protected.
type guard struct {
	policy TLSPolicy
	domain string // of the recipients; "" with a smart host

	daneMX bool           // the domain's MX answer is authentic, so the host's TLSA records count
	dane   []resolve.TLSA // the usable ones: they alone authenticate the host (RFC 7672 3.1)
	names  []string       // names the certificate may have, for DANE-TA
	opaque bool           // there are TLSA records and none is usable: encrypt, do not authenticate (RFC 7672 2.2)

	sts STSMode // of the domain's MTA-STS policy
}

// theirs tells whether it is the recipient's side that demands protection: then a failure is for them to repair, and
// mail waits (RFC 8461 5, RFC 7672 2.2).
func (g guard) theirs() bool { return len(g.dane) > 0 || g.opaque || g.sts == STSEnforce }

func (g guard) reason() string {
	switch {
	case len(g.dane) > 0 || g.opaque:
		return "DANE"
	case g.sts == STSEnforce:
		return "MTA-STS"
	}
	return "the send connector"
}

// noTLS is the failure of a host that lacks the protection it must have.
func (c *conn) noTLS(err error, remedy string) error {
	if g := c.host.guard; g.theirs() {
		return &failure{class: smtpstack.Temporary, err: fmt.Errorf("send: %s demands protection of %s: %w", g.reason(), c.host.name, err)}
	}
	return &failure{class: smtpstack.Configuration, err: fmt.Errorf("send: %w", err), remedy: remedy}
}

func (c *conn) startTLS(policy TLSPolicy) error {
	if _, offered := c.ext["STARTTLS"]; !offered {
		if c.d.look != nil {
			return nil
		}
		if policy == Required {
			return c.noTLS(errors.New("the server offers no STARTTLS"),
				"The server offers no encryption on this port, but the send connector requires it: check host and port, or make TLS opportunistic.")
		}
		return asError(c.d.s.lostTLS(c.host, "the server offers no STARTTLS"))
	}
	r, _, err := c.command("STARTTLS")
	if err != nil {
		return err
	}
	if r.Code != 220 {
		if policy == Required || c.d.look != nil {
			return c.refused(r, "The server does not begin encryption: check its certificate, or make TLS opportunistic.")
		}
		return asError(c.d.s.lostTLS(c.host, "the server refuses STARTTLS: "+r.String()))
	}
	if err := c.handshake(policy); err != nil {
		return c.tlsFailure(err)
	}
	if policy == Opportunistic && c.d.look == nil {
		c.d.s.hadTLS(c.host)
	}
	return c.hello()
}

func asError(f *failure) error {
	if f == nil {
		return nil
	}
	return f
}

// handshake begins TLS. Without DANE and with Opportunistic any certificate will do: that protects from listeners only,
// as the policy says.
func (c *conn) handshake(policy TLSPolicy) error {
	if c.r.Buffered() > 0 {
		return &handshakeError{errors.New("the server sent more in the clear after its go-ahead")}
	}
	cfg := &tls.Config{}
	if c.d.s.cfg.TLSConfig != nil {
		cfg = c.d.s.cfg.TLSConfig.Clone()
	}
	g := c.host.guard
	cfg.ServerName = c.host.name
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	switch {
	case c.d.look != nil:
		cfg.InsecureSkipVerify = true
	case len(g.dane) > 0:
		cfg.InsecureSkipVerify = true
		cfg.VerifyConnection = func(st tls.ConnectionState) error { return verifyDANE(g.dane, g.names, st.PeerCertificates) }
	case g.opaque, policy == Opportunistic:
		cfg.InsecureSkipVerify = true
	}
	c.sendCertificate(cfg)
	tc := tls.Client(c.nc, cfg)
	if err := tc.HandshakeContext(c.ctx); err != nil {
		return &handshakeError{err}
	}
	c.r, c.w, c.tls = bufio.NewReader(tc), bufio.NewWriterSize(tc, 32<<10), true
	st := tc.ConnectionState()
	c.seenTLS(st, cfg.RootCAs)
	how := "certificate verified"
	switch {
	case len(g.dane) > 0 && c.d.look == nil:
		how = "certificate verified by DANE"
	case cfg.InsecureSkipVerify:
		how = "certificate not verified"
	}
	c.d.trace("!", "TLS established: %s, %s, %s", tls.VersionName(st.Version), tls.CipherSuiteName(st.CipherSuite), how)
	if g.sts == STSTesting {
		if err := verifyName(st, cfg.RootCAs, c.host.name); err != nil {
			c.d.trace("!", "MTA-STS (testing): in enforce mode mail would wait: %v", err)
		}
	}
	return nil
}

func verifyName(st tls.ConnectionState, roots *x509.CertPool, name string) error {
	between := x509.NewCertPool()
	for _, cert := range st.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := st.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between})
	return err
}

// sendCertificate makes the client show its certificate, with the chain it was given, whatever authorities the server
// names: the service's list leaves out those its certificate connectors take. It notes that the server has asked.
func (c *conn) sendCertificate(cfg *tls.Config) {
	get := cfg.GetClientCertificate
	own := new(tls.Certificate) // none
	if len(cfg.Certificates) > 0 {
		own = &cfg.Certificates[0]
	}
	cfg.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c.asked = true
		if get != nil {
			return get(info)
		}
		return own, nil
	}
}

// tlsFailure tells a wrong certificate, which a person has to look at, from a broken connection.
func (c *conn) tlsFailure(err error) error {
	var bad *tls.CertificateVerificationError
	if errors.As(err, &bad) || errors.Is(err, errDANE) {
		return c.noTLS(err, "The server's certificate is not valid for "+c.host.name+": correct the host name, or have the certificate renewed.")
	}
	return fmt.Errorf("send: %w", err)
}

// policyFor is the TLS policy of a domain: its own in Policies, or the connector's.
func (s *Sender) policyFor(domain string) TLSPolicy {
	if p, ok := match(s.cfg.Policies, domain); ok {
		return p
	}
	return s.cfg.TLS
}

// Downgrade memory: a host that had TLS in the last 30 days gets no mail in the clear. Mail waits; after a day without TLS
// it is held and an alarm says so.
const (
	tlsRemembered = 30 * 24 * time.Hour
	tlsPatience   = 24 * time.Hour
	tlsRefresh    = 24 * time.Hour // how often a success is written down
)

type tlsRecord struct {
	Last time.Time `json:"last"`           // time of the last TLS session
	Lost time.Time `json:"lost,omitempty"` // since when there is none
}

func (s *Sender) tlsRecord(h host) (r tlsRecord, known bool) {
	raw, err := s.cfg.Store.Get(BucketTLS, strings.ToLower(h.name))
	if err != nil || json.Unmarshal(raw, &r) != nil {
		return tlsRecord{}, false
	}
	return r, time.Since(r.Last) < tlsRemembered
}

func (s *Sender) putTLS(h host, r tlsRecord) {
	if raw, err := json.Marshal(r); err == nil {
		s.cfg.Store.Put(BucketTLS, strings.ToLower(h.name), raw, r.Last.Add(tlsRemembered)) // without a record we are merely opportunistic
	}
}

func (s *Sender) hadTLS(h host) {
	if r, known := s.tlsRecord(h); !known || !r.Lost.IsZero() || time.Since(r.Last) > tlsRefresh {
		s.putTLS(h, tlsRecord{Last: time.Now()})
	}
}

// lostTLS is nil for a host that was never seen with TLS.
func (s *Sender) lostTLS(h host, why string) *failure {
	r, known := s.tlsRecord(h)
	if !known {
		return nil
	}
	if r.Lost.IsZero() {
		r.Lost = time.Now()
		s.putTLS(h, r)
	}
	f := &failure{class: smtpstack.Temporary, err: fmt.Errorf("send: %s had TLS on %s and has none now: %s", h.name, r.Last.Format(time.DateOnly), why)}
	if time.Since(r.Lost) >= tlsPatience {
		f.class = smtpstack.Configuration
		f.remedy = "The server offered encryption before and does not any more; somebody on the way may be suppressing it. If it is meant so, set the TLS policy of this domain to none."
	}
	return f
}
