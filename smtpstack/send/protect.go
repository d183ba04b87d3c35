package send

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// exchanger is a mail exchanger by name, before its addresses are known.
type exchanger struct {
	name  string
	guard guard
}

// protect finds out what the domain publishes about the protection of its mail exchangers.
func (s *Sender) protect(ctx context.Context, domain string, base guard, authentic bool, names []string, trace tracer) ([]exchanger, *Result) {
	base.domain = domain
	base.daneMX = s.cfg.DANE && authentic && base.policy != NoTLS && base.policy != Implicit
	var policy *STSPolicy
	if s.cfg.STS != nil && base.policy != NoTLS && base.policy != Implicit {
		policy = s.cfg.STS.policy(ctx, s.resolver, s.cfg.Store, domain, trace)
	}
	var list []exchanger
	for _, name := range names {
		x := exchanger{name, base}
		if policy != nil && policy.Mode != STSNone {
			fits := policy.matches(name)
			if !fits {
				trace("!", "MTA-STS (%s): the policy of %s does not list %s", policy.Mode, domain, name)
			}
			if policy.Mode == STSEnforce {
				if !fits {
					continue
				}
				x.guard.policy = Required
			}
			x.guard.sts = policy.Mode
		}
		list = append(list, x)
	}
	if len(list) == 0 {
		return nil, &Result{Class: smtpstack.Temporary,
			Err: fmt.Errorf("send: the MTA-STS policy of %s lists none of its mail exchangers", domain)}
	}
	return list, nil
}

// lookupHost resolves an exchanger, and where DANE applies finds its TLSA records. A host whose records cannot be had
// must not be tried (RFC 7672 2.1.1).
func (s *Sender) lookupHost(ctx context.Context, x exchanger, port string) ([]netip.Addr, guard, error) {
	if !x.guard.daneMX {
		ips, err := s.resolver.Addr(ctx, x.name)
		return ips, x.guard, err
	}
	h, err := s.resolver.Host(ctx, x.name)
	if err != nil || !h.Authentic {
		return h.Addrs, x.guard, err
	}
	bases := []string{x.name}
	if h.Canonical != "" && !strings.EqualFold(h.Canonical, x.name) {
		bases = []string{h.Canonical, x.name} // RFC 7672 2.2.2
	}
	for _, base := range bases {
		records, err := s.resolver.TLSA(ctx, "_"+port+"._tcp."+base)
		if errors.Is(err, resolve.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, x.guard, err
		}
		g := x.guard
		g.policy, g.sts = Required, STSNone // DANE goes before MTA-STS (RFC 8461 2)
		g.dane = usableTLSA(records)
		g.opaque = len(g.dane) == 0
		g.names = append([]string{base, g.domain}, bases...)
		return h.Addrs, g, nil
	}
	return h.Addrs, x.guard, nil
}
