package verify

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"blitiri.com.ar/go/spf"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// checkSPF asks whether the domain of MAIL FROM lets the client send for it; with the null sender, the domain of HELO
// (RFC 7208 2.4).
func (v *Verifier) checkSPF(ctx context.Context, d *Verdict, c Client) {
	domain := envelopeDomain(d)
	if domain == "" || !d.Client.IsValid() {
		d.SPF = Finding{Result: None, Reason: "neither MAIL FROM nor HELO has a domain that could publish SPF"}
		return
	}
	local := "postmaster" // RFC 7208 4.3
	if c.MailFrom != "" {
		local, _, _ = smtpstack.SplitAddress(c.MailFrom)
	}
	result, why := checkHost(ctx, v.resolver, d.Client, c.Helo, local, domain)
	d.SPF = Finding{Result: result, Domain: domain, Reason: clip(spfReason(result, d.Client, domain, why))}
	if result == Pass && d.SharedProvider != "" {
		d.SPF.Reason += "; the host sends for many organizations, so this proves none of them"
	}
}

func spfReason(r Result, ip netip.Addr, domain string, why error) string {
	switch r {
	case Pass:
		return fmt.Sprintf("%s lets %s send its mail", domain, ip)
	case Fail:
		return fmt.Sprintf("%s does not let %s send its mail", domain, ip)
	case SoftFail:
		return fmt.Sprintf("%s says that %s probably may not send its mail (~all)", domain, ip)
	case Neutral:
		return fmt.Sprintf("the SPF record of %s says nothing about %s", domain, ip)
	case None:
		return domain + " publishes no SPF record"
	case TempError:
		return fmt.Sprintf("DNS gave no answer about the SPF record of %s", domain)
	}
	switch {
	case errors.Is(why, spf.ErrLookupLimitReached), errors.Is(why, spf.ErrTooManyMXRecords):
		return fmt.Sprintf("the SPF record of %s needs more than 10 DNS lookups (RFC 7208 4.6.4)", domain)
	case errors.Is(why, spf.ErrVoidLookupLimitReached):
		return fmt.Sprintf("the SPF record of %s names too many hosts that do not exist (RFC 7208 4.6.4)", domain)
	case errors.Is(why, spf.ErrMultipleRecords):
		return domain + " publishes more than one SPF record"
	}
	return fmt.Sprintf("the SPF record of %s is faulty: %v", domain, why)
}

// checkHost is check_host() of RFC 7208 4. The local part only matters to macros.
func checkHost(ctx context.Context, r resolve.Resolver, ip netip.Addr, helo, local, domain string, options ...spf.Option) (Result, error) {
	if local == "" {
		local = "postmaster" // RFC 7208 4.3
	}
	ip = ip.Unmap()
	// The module takes the first "@" for the end of the local part.
	sender := strings.ReplaceAll(local, "@", "=") + "@" + domain
	options = append(options, spf.WithContext(ctx), spf.WithResolver(&spfZone{resolver: r, ip: ip}))
	result, err := spf.CheckHostWithSender(ip.AsSlice(), helo, sender, options...)
	return Result(result), err
}
