package verify

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/tipring/tipring/smtpstack/resolve"
)

// spfZone is our resolver behind the SPF module's interface. On the way it makes up for what the module leaves out: the
// syntax of the whole record is checked before any of it counts (RFC 7208 4.6), "/" may stand in a name (7.1), the
// macro "p" has its value (7.3), and names that grew too long are cut from the left (7.3).
type spfZone struct {
	resolver resolve.Resolver
	ip       netip.Addr

	askedNames bool
	names      []string // validated names of ip, for the macro "p"
}

// slash stands for a "/" within a name while the module has it, which would take it for a prefix length.
const slash = "\x01"

// LookupTXT implements spf.DNSResolver: the module only ever asks it for SPF records.
func (z *spfZone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	name = spfName(name)
	list, err := z.resolver.TXT(ctx, name)
	if err != nil {
		return nil, spfError(err, name)
	}
	list = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !isSPF(s) })
	for i, record := range list {
		if len(list) > 1 {
			break // a permanent error, whatever they say (RFC 7208 4.5)
		}
		if list[i], err = spfRecord(record, func() string { return z.validated(ctx, name) }); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// isSPF picks the records that count (RFC 7208 4.5).
func isSPF(txt string) bool {
	version, _, _ := strings.Cut(txt, " ")
	return strings.EqualFold(version, "v=spf1")
}

// LookupMX implements spf.DNSResolver.
func (z *spfZone) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	list, err := z.resolver.MX(ctx, spfName(name))
	if errors.Is(err, resolve.ErrNullMX) {
		return []*net.MX{{Host: "."}}, nil // a record, of a host without addresses
	}
	if err != nil {
		return nil, spfError(err, name)
	}
	var mx []*net.MX
	for _, m := range list {
		mx = append(mx, &net.MX{Host: m.Host, Pref: m.Preference})
	}
	return mx, nil
}

// LookupIPAddr implements spf.DNSResolver. For an IPv4 client only A counts (RFC 7208 5). For others the module does
// not say whether it asks for "exists", which is about A records always, so both are looked up.
func (z *spfZone) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	name = spfName(name)
	list, err := z.resolver.AddrLike(ctx, name, netip.IPv4Unspecified())
	if z.ip.Is6() && !errors.Is(err, resolve.ErrTemporary) {
		var six []netip.Addr
		six, err = z.resolver.AddrLike(ctx, name, z.ip)
		if list = append(list, six...); len(list) > 0 && errors.Is(err, resolve.ErrNotFound) {
			err = nil
		}
	}
	if err != nil {
		return nil, spfError(err, name)
	}
	var ips []net.IPAddr
	for _, ip := range list {
		ips = append(ips, net.IPAddr{IP: ip.AsSlice()})
	}
	return ips, nil
}

// LookupAddr implements spf.DNSResolver.
func (z *spfZone) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, spfError(resolve.ErrBadName, addr)
	}
	names, err := z.resolver.PTR(ctx, ip.Unmap())
	if err != nil {
		return nil, spfError(err, addr)
	}
	return names, nil
}

// validated is the value of the macro "p" (RFC 7208 7.3): a name of the client that leads back to it, the checked
// domain or one below it if there is one, else any, else "unknown".
func (z *spfZone) validated(ctx context.Context, domain string) string {
	if !z.askedNames {
		z.askedNames = true
		names, _ := z.resolver.PTR(ctx, z.ip)
		for _, n := range names[:min(len(names), maxPTR)] {
			if strings.Trim(n, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
				continue
			}
			if addrs, _ := z.resolver.AddrLike(ctx, n, z.ip); slices.Contains(addrs, z.ip) {
				z.names = append(z.names, n)
			}
		}
	}
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	best := "unknown"
	for _, n := range z.names {
		if n == domain {
			return n
		}
		if best == "unknown" || below(n, domain) && !below(best, domain) {
			best = n
		}
	}
	return best
}

// spfName is a name as the module made it of a record, for DNS: odd octets are part of it (RFC 7208 7.1).
func spfName(name string) string {
	name = strings.NewReplacer(slash, "/", `\`, `\\`, " ", `\ `).Replace(name)
	for len(strings.TrimSuffix(name, ".")) > 253 {
		_, rest, cut := strings.Cut(name, ".")
		if !cut {
			break
		}
		name = rest
	}
	return name
}

// spfError says it in the words the module understands.
func spfError(err error, name string) error {
	return &net.DNSError{Err: err.Error(), Name: clip(name), IsNotFound: errors.Is(err, resolve.ErrNotFound) || errors.Is(err, resolve.ErrNullMX),
		IsTemporary: errors.Is(err, resolve.ErrTemporary)}
}
