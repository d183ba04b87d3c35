package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tipring/tipring/smtpstack/resolve"
)

// dmarcRecord is what counts of a DMARC record for us (RFC 7489 6.3). pct= is not heeded: a failure is one for all mail.
type dmarcRecord struct {
	domain                string // where it stands; "" is none
	policy, sub           string // p=, sp=
	strictDKIM, strictSPF bool   // adkim=s, aspf=s
	err                   error  // ErrTemporary, or why it cannot be used
}

// errDMARC is returned when a record cannot be used.
var errDMARC = errors.New("the DMARC record cannot be used")

// policyRecord finds the record of From's domain, else that of its organizational domain (RFC 7489 6.6.3).
func (v *Verifier) policyRecord(ctx context.Context, from string) dmarcRecord {
	for _, domain := range slices.Compact([]string{from, organization(from)}) {
		list, err := v.resolver.TXT(ctx, "_dmarc."+domain)
		if errors.Is(err, resolve.ErrTemporary) {
			return dmarcRecord{domain: domain, err: err}
		}
		list = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !isDMARC(s) })
		switch len(list) {
		case 0:
			continue
		case 1:
			rec := parseDMARC(list[0])
			rec.domain = domain
			return rec
		}
		return dmarcRecord{domain: domain, err: fmt.Errorf("%w: there are %d", errDMARC, len(list))}
	}
	return dmarcRecord{}
}

// isDMARC tells a DMARC record: it starts with its version.
func isDMARC(txt string) bool {
	version, _, _ := strings.Cut(txt, ";")
	name, value, ok := strings.Cut(version, "=")
	return ok && strings.TrimSpace(name) == "v" && strings.TrimSpace(value) == "DMARC1"
}

// parseDMARC reads a record. What is unknown or faulty is left out, but without a policy and an address for reports the
// whole record is (RFC 7489 6.6.3).
func parseDMARC(txt string) dmarcRecord {
	tags := map[string]string{}
	for tag := range strings.SplitSeq(txt, ";") {
		if name, value, ok := strings.Cut(tag, "="); ok {
			tags[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	rec := dmarcRecord{policy: policyName(tags["p"]), sub: policyName(tags["sp"])}
	rec.strictDKIM, rec.strictSPF = strings.EqualFold(tags["adkim"], "s"), strings.EqualFold(tags["aspf"], "s")
	_, hasSub := tags["sp"]
	if rec.policy == "" || hasSub && rec.sub == "" {
		if !strings.Contains(strings.ToLower(tags["rua"]), "mailto:") {
			rec.err = fmt.Errorf("%w: it has no policy", errDMARC)
			return rec
		}
		rec.policy, rec.sub = "none", ""
	}
	return rec
}

func policyName(s string) string {
	if s = strings.ToLower(s); s == "none" || s == "quarantine" || s == "reject" {
		return s
	}
	return ""
}

// asks is what the domain wants done with failing mail of from.
func (r dmarcRecord) asks(from string) string {
	if from != r.domain && r.sub != "" {
		return r.sub
	}
	return r.policy
}

// judgeDMARC: an aligned pass of SPF or DKIM (RFC 7489 4.2).
func (d *Verdict) judgeDMARC(rec dmarcRecord) {
	f := Finding{Domain: rec.domain}
	spf := d.SPF.Result == Pass && d.SPFAligned
	switch {
	case errors.Is(rec.err, resolve.ErrTemporary):
		f.Result, f.Reason = TempError, "DNS gave no answer about the DMARC record of "+rec.domain
	case rec.err != nil:
		f.Result, f.Reason = PermError, fmt.Sprintf("%s: %v", rec.domain, rec.err)
	case rec.domain == "":
		f.Result, f.Reason = None, d.FromDomain+" publishes no DMARC record"
	case d.DKIM.Result == Pass:
		f.Result, f.Reason = Pass, fmt.Sprintf("the DKIM signature of %s is aligned with %s", d.DKIM.Domain, d.FromDomain)
	case spf:
		f.Result, f.Reason = Pass, fmt.Sprintf("SPF of %s is aligned with %s", d.SPF.Domain, d.FromDomain)
	case d.DKIM.Result == TempError, d.SPF.Result == TempError && d.SPFAligned:
		f.Result, f.Reason = TempError, "DNS gave no answer that DMARC depends on"
	default:
		f.Result = Fail
		f.Reason = fmt.Sprintf("neither DKIM (%s) nor SPF (%s) speaks for %s", d.DKIM.Result, d.SPF.Result, d.FromDomain)
	}
	if rec.err == nil && rec.domain != "" {
		d.DMARCAsks = rec.asks(d.FromDomain)
	}
	f.Reason = clip(f.Reason)
	d.DMARC = f
}
