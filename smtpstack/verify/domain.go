package verify

import (
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/tipring/tipring/smtpstack"
)

// tenantSuffixes are the domains under which Microsoft gives each tenant a name. They are no public suffixes by the
// list, so that by RFC 7489 3.2 every tenant's initial domain would be aligned with every other's.
var tenantSuffixes = []string{
	"mail.onmicrosoft.com", "onmicrosoft.com", "mail.onmicrosoft.us", "onmicrosoft.us", "onmicrosoft.de",
	"mail.partner.onmschina.cn", "partner.onmschina.cn", "onmschina.cn",
}

// sharedHosts are the domains of hosts that send for any tenant, and of the certificate they show: neither an address,
// a PTR name nor the certificate proves more than "some Microsoft tenant".
var sharedHosts = []string{"protection.outlook.com", "prod.outlook.com", "mx.microsoft", "protection.office365.us", "protection.partner.outlook.cn"}

// errDomain is returned when a domain is none that DNS can be asked about.
var errDomain = errors.New("not a domain name")

// ascii is a domain as DNS has it: lower case, internationalized labels as A-labels (RFC 5890), no final dot.
func ascii(domain string) (string, error) {
	domain = strings.TrimSuffix(domain, ".")
	if domain == "" || len(domain) > 1000 || strings.HasPrefix(domain, "[") || !strings.Contains(domain, ".") {
		return "", errDomain
	}
	if _, err := netip.ParseAddr(domain); err == nil {
		return "", errDomain
	}
	a, err := idna.New(idna.MapForLookup(), idna.StrictDomainName(false)).ToASCII(domain)
	if err != nil || len(a) > 253 || strings.ContainsAny(a, " @\t\r\n\x00") {
		return "", errDomain
	}
	return strings.ToLower(a), nil
}

// domainOf is the domain of a mailbox, for DNS.
func domainOf(address string) (string, error) {
	_, d, err := smtpstack.SplitAddress(address)
	if err != nil {
		return "", errDomain
	}
	return ascii(d)
}

// organization is the organizational domain (RFC 7489 3.2). A public suffix is its own.
func organization(domain string) string {
	for _, s := range tenantSuffixes {
		if domain == s {
			return domain
		}
		if left, ok := strings.CutSuffix(domain, "."+s); ok {
			return left[strings.LastIndexByte(left, '.')+1:] + "." + s
		}
	}
	if org, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return org
	}
	return domain
}

// aligned tells whether a proven domain speaks for the domain of From (RFC 7489 3.1).
func aligned(proven, from string, strict bool) bool {
	if proven == "" || from == "" {
		return false
	}
	return proven == from || !strict && organization(proven) == organization(from)
}

func below(name, suffix string) bool { return name == suffix || strings.HasSuffix(name, "."+suffix) }

// shared returns the domain of shared hosts a name is in, or "".
func shared(name string) string {
	for _, s := range sharedHosts {
		if below(name, s) {
			return s
		}
	}
	return ""
}

// listed tells whether a list names a domain: "contoso.com" is itself only, "*.contoso.com" what is below it, "*" all.
func listed(list []string, domain string) bool {
	for _, l := range list {
		suffix, wild := strings.CutPrefix(l, "*.")
		if l == "*" || l == domain || wild && strings.HasSuffix(domain, "."+suffix) {
			return domain != ""
		}
	}
	return false
}
