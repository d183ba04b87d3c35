package send

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tipring/tipring/smtpstack"
)

// Look is what the server of a connector shows of itself to anybody, before any sign-in or mail.
type Look struct {
	Hosts      []string   // names that would be tried, with their addresses, in order
	Host       string     // name of the one reached
	Addr       string     // its address and port
	Local      netip.Addr // our address of the connection
	Greeting   string     // first line of the greeting
	Hello      string     // first line of the answer to EHLO, where some servers name the client's address
	Extensions []string   // EHLO keywords with their parameters, after TLS if there was TLS; sorted
	STARTTLS   bool       // offered
	TLS        *tls.ConnectionState
	Untrusted  error // why the certificate is not valid for the host's name, by our roots; nil: it is, or there was no TLS

	Err        error // what the look ended by; nil: nothing went wrong
	Class      smtpstack.Class
	Reply      smtpstack.Reply // refusal that it ended by, Code 0: none
	Transcript []Event
}

// Look connects to the connector's host, or to the mail exchangers of domain, up to EHLO under TLS, with any certificate.
func (s *Sender) Look(ctx context.Context, domain string) Look {
	d := &delivery{s: s, look: &Look{}}
	l := d.look
	hosts, failed := s.hosts(ctx, s.lookDomain(domain), d.trace)
	if failed != nil {
		l.Err, l.Class, l.Reply, l.Transcript = failed.Err, failed.Class, failed.Reply, d.transcript
		return *l
	}
	for _, h := range hosts {
		if entry := h.name + " (" + h.addr + ")"; !slices.Contains(l.Hosts, entry) {
			l.Hosts = append(l.Hosts, entry)
		}
	}
	for _, h := range hosts {
		l.Host, l.Addr, l.Err, l.Class, l.Reply = h.name, h.addr, nil, 0, smtpstack.Reply{}
		policy := Opportunistic
		if h.guard.policy == Implicit {
			policy = Implicit
		}
		c, err := d.connectOnce(ctx, h, policy)
		if err == nil {
			c.close()
			break
		}
		r := d.resultOf(err, h)
		l.Err, l.Class, l.Reply = err, r.Class, r.Reply
		if ctx.Err() != nil {
			break
		}
	}
	l.Transcript = d.transcript
	return *l
}

func (s *Sender) lookDomain(domain string) string {
	switch {
	case s.cfg.Host != "":
		return ""
	case s.cfg.MXOf != "":
		return s.cfg.MXOf
	}
	return strings.ToLower(domain)
}

// SignIn connects as for a delivery, under the connector's TLS policy, and signs in if that is configured. nil: all is
// well.
func (s *Sender) SignIn(ctx context.Context, domain string) (*Result, []Event) {
	d := &delivery{s: s}
	hosts, failed := s.hosts(ctx, s.lookDomain(domain), d.trace)
	for _, h := range hosts {
		c, err := d.connect(ctx, h)
		if err == nil {
			c.close()
			return nil, d.transcript
		}
		r := d.resultOf(err, h)
		r.Connector = s.cfg.Name
		failed = &r
		if ctx.Err() != nil {
			break
		}
	}
	return failed, d.transcript
}

// Token fetches what the connector signs in with, without using it. It is nil for connectors that need no token.
func (s *Sender) Token(ctx context.Context) error {
	x, ok := s.cfg.Auth.(*XOAUTH2)
	if !ok {
		return nil
	}
	if _, err := x.source.Token(ctx); err != nil {
		return startFailure(err)
	}
	return nil
}

// Remedy is what to change about an error of [Sender.Token] or of a Look; "" for one that needs only time.
func Remedy(err error) string {
	var f *failure
	if asFailure(err, &f) {
		return f.remedy
	}
	return ""
}

// seen notes what a dialogue shows when somebody looks.
func (c *conn) seen(f func(*Look)) {
	if c.d.look != nil {
		f(c.d.look)
	}
}

func (c *conn) seenTLS(st tls.ConnectionState, roots *x509.CertPool) {
	c.seen(func(l *Look) {
		l.TLS = &st
		l.Untrusted = verifyName(st, roots, c.host.name)
	})
}

func (c *conn) seenHello(lines []string) {
	c.seen(func(l *Look) {
		if len(lines) > 0 {
			l.Hello = lines[0]
		}
		l.Extensions = nil
		for key, param := range c.ext {
			l.Extensions = append(l.Extensions, strings.TrimSpace(fmt.Sprintf("%s %s", key, param)))
		}
		slices.Sort(l.Extensions)
		if _, ok := c.ext["STARTTLS"]; ok {
			l.STARTTLS = true
		}
	})
}
