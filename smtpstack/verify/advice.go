package verify

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tipring/tipring/smtpstack/resolve"
)

// What the domain of our own mail publishes, and what it should.

// CheckSPF says whether a domain lets an address send its mail: check_host() of RFC 7208 4.
func CheckSPF(ctx context.Context, r resolve.Resolver, ip netip.Addr, helo, domain string) Finding {
	result, why := checkHost(ctx, r, ip, helo, "", domain)
	return Finding{Result: result, Domain: domain, Reason: clip(spfReason(result, ip, domain, why))}
}

// SPFRecord returns the SPF record of a domain, "" if there is none. Errors: ErrTemporary of package resolve, or that there
// is more than one record (RFC 7208 4.5).
func SPFRecord(ctx context.Context, r resolve.Resolver, domain string) (string, error) {
	list, err := r.TXT(ctx, domain)
	if err != nil && !errors.Is(err, resolve.ErrNotFound) {
		return "", err
	}
	list = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !isSPF(s) })
	switch len(list) {
	case 0:
		return "", nil
	case 1:
		return list[0], nil
	}
	return "", fmt.Errorf("verify: %s publishes %d SPF records, one is allowed", clip(domain), len(list))
}

// SPFWith is an SPF record with one more mechanism, "ip4:192.0.2.1", before its "all" or "redirect"; from "" it makes a
// record that ends in "~all".
func SPFWith(record, mechanism string) string {
	if record == "" {
		return "v=spf1 " + mechanism + " ~all"
	}
	terms := strings.Fields(record)
	at := slices.IndexFunc(terms, func(t string) bool {
		t = strings.ToLower(strings.TrimLeft(t, "+-~?"))
		return t == "all" || strings.HasPrefix(t, "redirect=")
	})
	if at < 0 {
		at = len(terms)
	}
	return strings.Join(slices.Insert(terms, at, mechanism), " ")
}

// maxSPFLookups is the limit of RFC 7208 4.6.4; maxSPFCount ends the counting of a record that is far beyond it.
const (
	maxSPFLookups = 10
	maxSPFCount   = 40
)

// SPFLookups counts the terms of a record that cost a DNS lookup, those of the records it includes too; more than 10 are
// an error for who checks it (RFC 7208 4.6.4). Counting ends at 40.
func SPFLookups(ctx context.Context, r resolve.Resolver, record string) int {
	n := 0
	var count func(record string)
	count = func(record string) {
		for _, t := range strings.Fields(strings.ToLower(record)) {
			t = strings.TrimLeft(t, "+-~?")
			name, _, _ := strings.Cut(t, "/")
			kind, target, _ := strings.Cut(name, ":")
			if to, ok := strings.CutPrefix(name, "redirect="); ok {
				kind, target = "redirect", to
			}
			switch kind {
			case "a", "mx", "ptr", "exists", "include", "redirect":
				n++
			}
			if n >= maxSPFCount {
				return
			}
			if (kind == "include" || kind == "redirect") && target != "" && !strings.Contains(target, "%") {
				if next, err := SPFRecord(ctx, r, target); err == nil {
					count(next)
				}
			}
		}
	}
	count(record)
	return n
}

// TooManySPFLookups tells whether a count is beyond the limit.
func TooManySPFLookups(n int) bool { return n > maxSPFLookups }

// DMARCPolicy returns what a domain asks of who gets mail that fails DMARC ("none", "quarantine", "reject"), and the name its
// record stands at; "" and "" without a record (RFC 7489 6.6.3).
func DMARCPolicy(ctx context.Context, r resolve.Resolver, domain string) (policy, at string, err error) {
	v := &Verifier{resolver: r}
	domain, err = ascii(domain)
	if err != nil {
		return "", "", err
	}
	rec := v.policyRecord(ctx, domain)
	if rec.err != nil || rec.domain == "" {
		return "", "", rec.err
	}
	return rec.asks(domain), "_dmarc." + rec.domain, nil
}
