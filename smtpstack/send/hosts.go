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

	"golang.org/x/net/idna"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// host is one place to try.
type host struct {
	name string // for the certificate and for people
	addr string // to dial
}

const (
	maxExchangers = 10 // mail exchangers tried
	maxAddresses  = 4  // addresses tried of each
)

// hosts returns where to try, in order, for a domain; "" is the smart host.
func (s *Sender) hosts(ctx context.Context, domain string) ([]host, *Result) {
	if domain == "" {
		name, port := s.cfg.Host, strconv.Itoa(s.cfg.Port)
		if h, p, err := net.SplitHostPort(name); err == nil {
			name, port = h, p
		}
		return s.addresses(ctx, []string{strings.Trim(name, "[]")}, port)
	}
	port := strconv.Itoa(s.cfg.Port)
	if lit, ok := strings.CutPrefix(domain, "["); ok {
		lit = strings.TrimPrefix(strings.TrimSuffix(lit, "]"), "ipv6:")
		return s.addresses(ctx, []string{lit}, port)
	}
	names, failure := s.exchangers(ctx, domain)
	if failure != nil {
		return nil, failure
	}
	return s.addresses(ctx, names, port)
}

// exchangers lists the domain's mail exchangers (RFC 5321 5.1).
func (s *Sender) exchangers(ctx context.Context, domain string) ([]string, *Result) {
	mxs, err := s.resolver.MX(ctx, domain)
	switch {
	case errors.Is(err, resolve.ErrNullMX):
		return nil, &Result{Class: smtpstack.BadRecipient, Err: err,
			Reply: *smtpstack.Refuse(556, "5.1.10", "the domain accepts no mail")} // RFC 7505 4.2
	case errors.Is(err, resolve.ErrNXDomain):
		return nil, &Result{Class: smtpstack.BadRecipient, Err: err,
			Reply: *smtpstack.Refuse(550, "5.1.2", "the domain does not exist")}
	case errors.Is(err, resolve.ErrNotFound):
		return []string{domain}, nil
	case err != nil:
		return nil, &Result{Class: smtpstack.Temporary, Err: err}
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
		return nil, &Result{Class: smtpstack.Configuration,
			Err:    fmt.Errorf("send: the mail exchanger of %s is this host itself", domain),
			Remedy: "Mail for this domain comes back here: correct its MX record, or set a smart host."}
	}
	return names[:min(len(names), maxExchangers)], nil
}

// addresses resolves names; those without an address are left out unless none is left.
func (s *Sender) addresses(ctx context.Context, names []string, port string) ([]host, *Result) {
	var hosts []host
	var last error
	for _, name := range names {
		if ip, err := netip.ParseAddr(name); err == nil {
			hosts = append(hosts, host{name: name, addr: net.JoinHostPort(ip.String(), port)})
			continue
		}
		if s.resolver == nil || name == "localhost" {
			hosts = append(hosts, host{name: name, addr: net.JoinHostPort(name, port)})
			continue
		}
		ips, err := s.resolver.Addr(ctx, name)
		if err != nil {
			last = err
		}
		for _, ip := range ips[:min(len(ips), maxAddresses)] {
			hosts = append(hosts, host{name: name, addr: net.JoinHostPort(ip.String(), port)})
		}
	}
	if len(hosts) > 0 {
		return hosts, nil
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

// wireAddress checks an address for MAIL and RCPT, an international domain in its ASCII form.
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
	for _, c := range []byte(local) {
		if c >= 0x7f {
			return "", "", fmt.Errorf("%w: letters beyond ASCII before the @", smtpstack.ErrAddressSyntax)
		}
	}
	return local + "@" + domain, domain, nil
}
