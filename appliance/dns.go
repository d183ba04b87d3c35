package appliance

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/tipring/tipring/smtpstack/resolve"
)

// DNSConfig says which name servers are asked, and whether one of them validates DNSSEC.
type DNSConfig struct {
	Servers []string `toml:"servers"` // "address" or "address:port"; empty: the nameservers of /etc/resolv.conf
	// Validating believes the servers' word on what DNSSEC has authenticated (the AD bit), which DANE is built on. Only a resolver
	// on this box may be believed: on the way from another anybody could set the bit (RFC 4035 4.9.3).
	Validating bool `toml:"validating"`
}

// serverAddr reads one entry of Servers.
func serverAddr(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap(), ap.Port() != 0
	}
	ip, err := netip.ParseAddr(s)
	return ip.Unmap(), err == nil
}

const maxServers = 8

func (c Config) validateDNS(v *faults) {
	v.need(len(c.DNS.Servers) <= maxServers, "dns.servers: at most %d", maxServers)
	for _, s := range c.DNS.Servers {
		ip, ok := serverAddr(s)
		v.need(ok, "dns.servers: %q: write an IP address, or address:port", s)
		v.need(!ok || !c.DNS.Validating || ip.IsLoopback(), "dns.servers: %q: with validating = true every server has to be on this box (127.0.0.1 or ::1): run unbound here", s)
	}
	v.need(!c.DNS.Validating || len(c.DNS.Servers) > 0, "dns.validating: name the validating resolver of this box: servers = [\"127.0.0.1\"]")
}

// resolver asks DNS, or what a test has in its place. Without a validating resolver nothing is authentic: every answer of DANE's
// is as if there were none.
func (a *Appliance) resolver() (resolve.Resolver, error) {
	if a.d.Resolver != nil {
		return a.d.Resolver, nil
	}
	c := resolve.Config{Servers: slices.Clone(a.cfg.DNS.Servers), NoAD: !a.cfg.DNS.Validating}
	return resolve.New(c)
}

// validatingCheck is how often the resolver is asked whether it validates.
const validatingCheck = 24 * time.Hour

// watchDNS raises an alarm when the resolver that should validate does not: then DANE protects nobody, without anything
// failing.
func (a *Appliance) watchDNS(ctx context.Context) error {
	for {
		if _, authentic, err := a.names.MXAuthentic(ctx, "."); authentic {
			a.alarms.Clear("dns-validating")
		} else if err == nil || errors.Is(err, resolve.ErrNotFound) || errors.Is(err, resolve.ErrNullMX) {
			a.alarms.Raise("dns-validating", "The DNS resolver of this box does not validate: mail goes out without the protection of DANE.",
				"Switch DNSSEC validation on in the resolver that dns.servers names (unbound: auto-trust-anchor-file), or set dns.validating = false.")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(validatingCheck):
		}
	}
}
