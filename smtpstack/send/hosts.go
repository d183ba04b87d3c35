package send

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// host is one place to try.
type host struct {
	name  string // for the certificate and for people
	addr  string // to dial
	guard guard  // how the connection is to be protected
}

const (
	maxExchangers = 10 // mail exchangers tried
	maxAddresses  = 4  // addresses tried of each
)

// hosts returns where to try, in order, for a domain; "" is the smart host. What DNS lacks of the domain that the connector
// itself names is a fault of the configuration.
func (s *Sender) hosts(ctx context.Context, domain string, trace tracer) ([]host, *Result) {
	list, failed := s.findHosts(ctx, domain, trace)
	if failed != nil && failed.Class == smtpstack.BadRecipient && s.cfg.MXOf != "" {
		failed = &Result{Class: smtpstack.Configuration, Err: failed.Err,
			Remedy: "The domain " + s.cfg.MXOf + ", to whose mail exchangers this connector sends, has none in DNS: correct it in the send connector."}
	}
	return list, failed
}

func (s *Sender) findHosts(ctx context.Context, domain string, trace tracer) ([]host, *Result) {
	if domain == "" {
		name, port := s.cfg.Host, strconv.Itoa(s.cfg.Port)
		if h, p, err := net.SplitHostPort(name); err == nil {
			name, port = h, p
		}
		return s.addresses(ctx, []exchanger{{name: strings.Trim(name, "[]"), guard: guard{policy: s.cfg.TLS}}}, port, trace)
	}
	port := strconv.Itoa(s.cfg.Port)
	base := guard{policy: s.policyFor(domain)}
	if lit, ok := strings.CutPrefix(domain, "["); ok {
		lit = strings.TrimPrefix(strings.TrimSuffix(lit, "]"), "ipv6:")
		return s.addresses(ctx, []exchanger{{name: lit, guard: base}}, port, trace)
	}
	names, authentic, failure := s.exchangers(ctx, domain)
	if failure != nil {
		return nil, failure
	}
	list, failure := s.protect(ctx, domain, base, authentic, names, trace)
	if failure != nil {
		return nil, failure
	}
	return s.addresses(ctx, list, port, trace)
}

// tracer writes a line into the transcript.
type tracer func(dir, format string, args ...any)

// exchangers lists the domain's mail exchangers (RFC 5321 5.1).
func (s *Sender) exchangers(ctx context.Context, domain string) (list []string, authentic bool, failed *Result) {
	mxs, authentic, err := s.lookupMX(ctx, domain)
	switch {
	case errors.Is(err, resolve.ErrNullMX):
		return nil, false, &Result{Class: smtpstack.BadRecipient, Err: err,
			Reply: *smtpstack.Refuse(556, "5.1.10", "the domain accepts no mail")} // RFC 7505 4.2
	case errors.Is(err, resolve.ErrNXDomain):
		return nil, false, &Result{Class: smtpstack.BadRecipient, Err: err,
			Reply: *smtpstack.Refuse(550, "5.1.2", "the domain does not exist")}
	case errors.Is(err, resolve.ErrNotFound):
		return []string{domain}, authentic, nil
	case err != nil:
		return nil, false, &Result{Class: smtpstack.Temporary, Err: err}
	}
	rand.Shuffle(len(mxs), func(i, j int) { mxs[i], mxs[j] = mxs[j], mxs[i] })
	names := make([]string, 0, len(mxs))
	best := -1 // our own preference
	for _, mx := range mxs {
		if strings.EqualFold(mx.Host, strings.TrimSuffix(s.cfg.Hostname, ".")) {
			best = int(mx.Preference)
		}
	}
	for p := 0; len(names) < min(len(mxs), maxExchangers); p++ {
		next := -1
		for _, mx := range mxs {
			if v := int(mx.Preference); v >= p && (next < 0 || v < next) {
				next = v
			}
		}
		if next < 0 || best >= 0 && next >= best {
			break
		}
		for _, mx := range mxs {
			if int(mx.Preference) == next {
				names = append(names, mx.Host)
			}
		}
		p = next
	}
	if len(names) == 0 {
		return nil, false, &Result{Class: smtpstack.Configuration,
			Err:    fmt.Errorf("send: the mail exchanger of %s is this host itself", domain),
			Remedy: "Mail for this domain comes back here: correct its MX record, or set a smart host."}
	}
	return names[:min(len(names), maxExchangers)], authentic, nil
}

// lookupMX asks for more than the records only where DANE needs it.
func (s *Sender) lookupMX(ctx context.Context, domain string) ([]resolve.MX, bool, error) {
	if s.cfg.DANE {
		return s.resolver.MXAuthentic(ctx, domain)
	}
	mxs, err := s.resolver.MX(ctx, domain)
	return mxs, false, err
}

// addresses resolves names; those without an address are left out unless none is left.
func (s *Sender) addresses(ctx context.Context, names []exchanger, port string, trace tracer) ([]host, *Result) {
	var hosts []host
	var last error
	var put *Result // a host that must not be tried now
	for _, x := range names {
		if ip, err := netip.ParseAddr(x.name); err == nil {
			hosts = append(hosts, host{name: x.name, addr: net.JoinHostPort(ip.String(), port), guard: x.guard})
			continue
		}
		if s.resolver == nil || x.name == "localhost" {
			hosts = append(hosts, host{name: x.name, addr: net.JoinHostPort(x.name, port), guard: x.guard})
			continue
		}
		ips, g, err := s.lookupHost(ctx, x, port)
		if err != nil {
			last = err
			trace("!", "%s: %v", x.name, err)
			if errors.Is(err, resolve.ErrTemporary) {
				put = &Result{Class: smtpstack.Temporary, Err: err, Host: x.name}
			}
		}
		for _, ip := range ips[:min(len(ips), maxAddresses)] {
			hosts = append(hosts, host{name: x.name, addr: net.JoinHostPort(ip.String(), port), guard: g})
		}
	}
	if len(hosts) > 0 {
		return hosts, nil
	}
	if put != nil {
		return nil, put
	}
	r := &Result{Class: smtpstack.Temporary, Err: last}
	if errors.Is(last, resolve.ErrNotFound) {
		if s.cfg.Host != "" {
			r.Class = smtpstack.Configuration
			r.Remedy = "The smart host's name is not in DNS: correct it in the send connector."
		} else {
			r.Class = smtpstack.BadRecipient
			r.Reply = *smtpstack.Refuse(550, "5.4.4", "the domain's mail exchangers have no address")
		}
	}
	return nil, r
}

// wireAddress checks an address for MAIL and RCPT, an international domain in its ASCII form. A user part beyond ASCII
// needs SMTPUTF8, which is known only when the server has spoken.
func wireAddress(addr string) (wire, domain string, err error) {
	_, domain, err = smtpstack.SplitAddress(addr)
	if err != nil {
		return "", "", err
	}
	if !strings.HasPrefix(domain, "[") {
		if domain, err = idna.Lookup.ToASCII(domain); err != nil {
			return "", "", fmt.Errorf("%w: domain: %w", smtpstack.ErrAddressSyntax, err)
		}
	}
	local := addr[:strings.LastIndexByte(addr, '@')]
	if !utf8.ValidString(local) {
		return "", "", fmt.Errorf("%w: the user part is not UTF-8", smtpstack.ErrAddressSyntax)
	}
	return local + "@" + domain, domain, nil
}
