package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tipring/tipring/smtpstack/resolve"
)

const maxPTR = 10 // names looked at of one address, as RFC 7208 4.6.4 has it

// findHost collects the names that are proven to be the client's: of its PTR records those that lead back to its
// address (RFC 8601 2.7.3, iprev), and its HELO name if it does.
func (v *Verifier) findHost(ctx context.Context, d *Verdict) {
	if !d.Client.IsValid() {
		return
	}
	names, err := v.resolver.PTR(ctx, d.Client)
	if errors.Is(err, resolve.ErrTemporary) {
		d.HostUnsettled = true
	}
	names = names[:min(len(names), maxPTR)]
	for _, name := range append(slices.Clip(names), d.Helo) {
		name, err := ascii(name)
		if err != nil || slices.Contains(d.HostNames, name) {
			continue
		}
		addrs, err := v.resolver.AddrLike(ctx, name, d.Client)
		if errors.Is(err, resolve.ErrTemporary) {
			d.HostUnsettled = true
		}
		if slices.Contains(addrs, d.Client) {
			d.HostNames = append(d.HostNames, name)
			if s := shared(name); s != "" {
				d.SharedProvider = s
			}
		}
	}
}

// hostFor tells whether the host belongs to a domain: a proven name of it is in the same organization.
func (d *Verdict) hostFor(domain string) Finding {
	f := Finding{Domain: domain}
	names := strings.Join(d.HostNames, ", ")
	switch {
	case !d.Client.IsValid():
		f.Result, f.Reason = None, "the client's address is unknown"
	case domain == "":
		f.Result, f.Reason = None, "the sender has no domain that a host could belong to"
	case d.SharedProvider != "":
		// Its names prove the provider: that must not become a proof for the provider's own domain either.
		f.Result = Neutral
		f.Reason = fmt.Sprintf("%s is a host of %s, which sends for many organizations", names, d.SharedProvider)
	case slices.ContainsFunc(d.HostNames, func(n string) bool { return aligned(n, domain, false) }):
		f.Result, f.Reason = Pass, fmt.Sprintf("%s leads to %s and belongs to %s", names, d.Client, domain)
	case d.HostUnsettled:
		f.Result, f.Reason = TempError, fmt.Sprintf("DNS gave no answer about the names of %s", d.Client)
	case names == "":
		f.Result, f.Reason = Fail, fmt.Sprintf("neither a PTR name of %s nor the HELO name %q leads back to the address", d.Client, d.Helo)
	default:
		f.Result, f.Reason = Fail, fmt.Sprintf("%s does not belong to %s", names, domain)
	}
	f.Reason = clip(f.Reason)
	return f
}
