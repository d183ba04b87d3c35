package resolve

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// Fake is a Resolver for tests that answers from maps. Names are in lower case without the final dot. A name in no
// map does not exist; a name in some map but not the asked one gives ErrNoData.
type Fake struct {
	MXs   map[string][]MX // a single MX with an empty Host is a null MX
	Addrs map[string][]netip.Addr
	TXTs  map[string][]string
	PTRs  map[netip.Addr][]string
	TLSAs map[string][]TLSA
	Fail  map[string]error // what to say instead, for a name or an address's text; usually ErrTemporary

	CNAMEs    map[string]string // followed once, for addresses
	Authentic map[string]bool   // names whose answers, also of absence, DNSSEC vouches for; of a CNAME both ends

	mu    sync.Mutex
	asked []string
}

// Asked returns the questions so far, like "MX example.com".
func (f *Fake) Asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

// question records the question and gives its set failure.
func (f *Fake) question(ctx context.Context, qtype, name string) (string, error) {
	name = canonical(name)
	f.mu.Lock()
	f.asked = append(f.asked, qtype+" "+name)
	f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return name, fmt.Errorf("resolve: %s %s: %w: %w", qtype, name, ErrTemporary, err)
	}
	if err := f.Fail[name]; err != nil {
		return name, fmt.Errorf("resolve: %s %s: %w", qtype, name, err)
	}
	return name, nil
}

// missing tells no such name from no such record.
func (f *Fake) missing(qtype, name string) error {
	_, mx := f.MXs[name]
	_, addr := f.Addrs[name]
	_, txt := f.TXTs[name]
	_, tlsa := f.TLSAs[name]
	_, cname := f.CNAMEs[name]
	if mx || addr || txt || tlsa || cname {
		return fmt.Errorf("resolve: %s %s: %w", qtype, name, ErrNoData)
	}
	return fmt.Errorf("resolve: %s %s: %w", qtype, name, ErrNXDomain)
}

// MX implements Resolver.
func (f *Fake) MX(ctx context.Context, domain string) ([]MX, error) {
	list, _, err := f.MXAuthentic(ctx, domain)
	return list, err
}

// MXAuthentic implements Resolver.
func (f *Fake) MXAuthentic(ctx context.Context, domain string) ([]MX, bool, error) {
	name, err := f.question(ctx, "MX", domain)
	if err != nil {
		return nil, false, err
	}
	list, secure := slices.Clone(f.MXs[name]), f.Authentic[name]
	if len(list) == 0 {
		return nil, secure, f.missing("MX", name)
	}
	if len(list) == 1 && strings.Trim(list[0].Host, ".") == "" {
		return nil, secure, fmt.Errorf("resolve: MX %s: %w", name, ErrNullMX)
	}
	slices.SortStableFunc(list, func(a, b MX) int { return cmp.Compare(a.Preference, b.Preference) })
	return list, secure, nil
}

// Addr implements Resolver.
func (f *Fake) Addr(ctx context.Context, host string) ([]netip.Addr, error) {
	h, err := f.Host(ctx, host)
	return h.Addrs, err
}

// AddrLike implements Resolver.
func (f *Fake) AddrLike(ctx context.Context, host string, ip netip.Addr) ([]netip.Addr, error) {
	h, err := f.Host(ctx, host)
	if err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(h.Addrs, func(a netip.Addr) bool { return a.Is4() != ip.Unmap().Is4() })
	if len(list) == 0 {
		return nil, fmt.Errorf("resolve: %s: %w", h.Canonical, ErrNoData)
	}
	return list, nil
}

// Host implements Resolver.
func (f *Fake) Host(ctx context.Context, host string) (Host, error) {
	name, err := f.question(ctx, "A", host)
	if err != nil {
		return Host{}, err
	}
	h := Host{Canonical: name, Authentic: f.Authentic[name]}
	if target, ok := f.CNAMEs[name]; ok {
		h.Canonical, h.Authentic = target, h.Authentic && f.Authentic[target]
	}
	if h.Addrs = slices.Clone(f.Addrs[h.Canonical]); len(h.Addrs) == 0 {
		return h, f.missing("A", h.Canonical)
	}
	return h, nil
}

// TLSA implements Resolver.
func (f *Fake) TLSA(ctx context.Context, name string) ([]TLSA, error) {
	name, err := f.question(ctx, "TLSA", name)
	if err != nil {
		return nil, err
	}
	list := f.TLSAs[name]
	if len(list) == 0 {
		return nil, f.missing("TLSA", name)
	}
	if !f.Authentic[name] {
		return nil, fmt.Errorf("resolve: TLSA %s: %w", name, ErrInsecure)
	}
	return slices.Clone(list), nil
}

// TXT implements Resolver.
func (f *Fake) TXT(ctx context.Context, name string) ([]string, error) {
	name, err := f.question(ctx, "TXT", name)
	if err != nil {
		return nil, err
	}
	if list := f.TXTs[name]; len(list) > 0 {
		return slices.Clone(list), nil
	}
	return nil, f.missing("TXT", name)
}

// PTR implements Resolver.
func (f *Fake) PTR(ctx context.Context, ip netip.Addr) ([]string, error) {
	name, err := f.question(ctx, "PTR", ip.String())
	if err != nil {
		return nil, err
	}
	if list := f.PTRs[ip]; len(list) > 0 {
		return slices.Clone(list), nil
	}
	return nil, f.missing("PTR", name)
}
