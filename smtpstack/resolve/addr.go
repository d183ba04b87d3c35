package resolve

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"
)

// Addr implements Resolver.
func (c *Client) Addr(ctx context.Context, host string) ([]netip.Addr, error) {
	h, err := c.Host(ctx, host)
	return h.Addrs, err
}

// Host implements Resolver.
func (c *Client) Host(ctx context.Context, host string) (Host, error) {
	a, err4 := c.answer(ctx, host, dns.TypeA)
	h := Host{Addrs: addrs(a.records), Canonical: canonical(a.owner), Authentic: a.secure}
	if errors.Is(err4, ErrNXDomain) {
		return h, err4
	}
	aaaa, err6 := c.answer(ctx, host, dns.TypeAAAA)
	h.Addrs = append(h.Addrs, addrs(aaaa.records)...)
	// A lookup that failed adds no address, so it must not make the other family's look unsigned either: whoever can
	// suppress one answer would talk us out of DANE.
	h.Authentic = (a.secure || errors.Is(err4, ErrTemporary)) && (aaaa.secure || errors.Is(err6, ErrTemporary))
	if len(a.records) == 0 && len(aaaa.records) > 0 {
		h.Canonical = canonical(aaaa.owner)
	}
	switch {
	case len(h.Addrs) > 0:
		return h, nil
	case errors.Is(err4, ErrTemporary):
		return Host{}, err4
	case errors.Is(err6, ErrTemporary):
		return Host{}, err6
	case err6 != nil:
		return h, err6
	}
	return h, fmt.Errorf("resolve: %s: %w", shorten(host), ErrNoData)
}

// AddrLike implements Resolver.
func (c *Client) AddrLike(ctx context.Context, host string, ip netip.Addr) ([]netip.Addr, error) {
	qtype := dns.TypeAAAA
	if ip.Unmap().Is4() {
		qtype = dns.TypeA
	}
	records, err := c.lookup(ctx, host, qtype)
	return addrs(records), err
}

func addrs(records []dns.RR) []netip.Addr {
	var list []netip.Addr
	for _, rr := range records {
		switch rr := rr.(type) {
		case *dns.A:
			if ip, ok := netip.AddrFromSlice(rr.A); ok {
				list = append(list, ip.Unmap())
			}
		case *dns.AAAA:
			if ip, ok := netip.AddrFromSlice(rr.AAAA.To16()); ok {
				list = append(list, ip)
			}
		}
	}
	return list
}

// TLSA implements Resolver.
func (c *Client) TLSA(ctx context.Context, name string) ([]TLSA, error) {
	a, err := c.answer(ctx, name, dns.TypeTLSA)
	if err != nil {
		return nil, err
	}
	if !a.secure {
		return nil, fmt.Errorf("resolve: TLSA %s: %w", shorten(name), ErrInsecure)
	}
	var list []TLSA
	for _, rr := range a.records {
		if t, ok := rr.(*dns.TLSA); ok {
			data, err := hex.DecodeString(t.Certificate)
			if err != nil {
				continue // cannot be: the wire format has octets
			}
			list = append(list, TLSA{Usage: t.Usage, Selector: t.Selector, Matching: t.MatchingType, Data: data})
		}
	}
	return list, nil
}
