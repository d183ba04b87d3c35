package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tipring/tipring/smtpstack"
)

// Proof is one way to prove a sender.
type Proof string

const (
	ProofHost   Proof = "host"   // the sending host has a name of From's organization, both ways (PTR or HELO, and A/AAAA)
	ProofSPF    Proof = "spf"    // SPF passes for a domain aligned with From
	ProofDKIM   Proof = "dkim"   // a DKIM signature of a domain aligned with From
	ProofDMARC  Proof = "dmarc"  // DMARC passes: the domain publishes a record, and SPF or DKIM is aligned
	ProofTenant Proof = "tenant" // one's own organization, not just one of the many that share Microsoft's hosts
)

// Policy is what a connector demands of senders. The zero value demands nothing.
type Policy struct {
	// Domains are the sender domains taken, by the From field: "contoso.com", "*.contoso.com" for what is below, "*".
	Domains []string
	// Require are the proofs demanded: of each group at least one. [[tenant] [spf dkim]] is "tenant, and SPF or DKIM".
	Require [][]Proof
	// SignedBy are further domains whose DKIM signature proves the tenant though they are not aligned with From: the
	// initial domain "contoso.onmicrosoft.com", with which Exchange Online signs until DKIM is set up for one's own.
	SignedBy []string
	// Certificates are names of client certificates that prove the tenant, "*.contoso.com" for what is below. Microsoft's
	// own certificate is every tenant's and not allowed.
	Certificates []string
	// DomainsPolicy refuses mail that fails DMARC when its domain asks for that (p=reject), whatever is required.
	DomainsPolicy bool
}

// ErrPolicy is returned when a policy makes no sense.
var ErrPolicy = errors.New("verify: sender policy")

// ParseRequire reads the proofs of a configuration: each entry is one proof or several with "|" between.
func ParseRequire(entries []string) ([][]Proof, error) {
	var require [][]Proof
	for _, e := range entries {
		var group []Proof
		for word := range strings.SplitSeq(e, "|") {
			p := Proof(strings.ToLower(strings.TrimSpace(word)))
			if !slices.Contains([]Proof{ProofHost, ProofSPF, ProofDKIM, ProofDMARC, ProofTenant}, p) {
				return nil, fmt.Errorf("%w: %q is no proof: host, spf, dkim, dmarc or tenant", ErrPolicy, clip(word))
			}
			group = append(group, p)
		}
		require = append(require, group)
	}
	return require, nil
}

// Check tells whether a policy makes sense.
func (p Policy) Check() error {
	_, err := p.normal()
	return err
}

// normal is the policy with its domains as DNS has them.
func (p Policy) normal() (Policy, error) {
	if len(p.Require) > 0 && len(p.Domains) == 0 {
		return p, fmt.Errorf("%w: proofs are required, but no sender domain is listed", ErrPolicy)
	}
	for _, list := range []*[]string{&p.Domains, &p.SignedBy, &p.Certificates} {
		clean, err := domainList(*list)
		if err != nil {
			return p, err
		}
		*list = clean
	}
	for _, d := range append(slices.Clone(p.SignedBy), p.Certificates...) {
		bare := strings.TrimPrefix(d, "*.")
		if d == "*" || shared(bare) != "" || slices.ContainsFunc(sharedHosts, func(s string) bool { return below(s, bare) }) ||
			d != bare && slices.Contains(tenantSuffixes, bare) {
			return p, fmt.Errorf("%w: %q proves no tenant, it is many organizations'", ErrPolicy, d)
		}
	}
	for _, group := range p.Require {
		if len(group) == 0 {
			return p, fmt.Errorf("%w: a group of required proofs is empty", ErrPolicy)
		}
		if slices.Contains(group, ProofTenant) && len(p.ownDomains())+len(p.SignedBy)+len(p.Certificates) == 0 {
			return p, fmt.Errorf("%w: the tenant can only be proven of domains that are named", ErrPolicy)
		}
	}
	return p, nil
}

func domainList(list []string) ([]string, error) {
	var clean []string
	for _, d := range list {
		bare, wild := strings.CutPrefix(strings.TrimSpace(d), "*.")
		if bare != "*" {
			a, err := ascii(bare)
			if err != nil {
				return nil, fmt.Errorf("%w: %q is not a domain", ErrPolicy, clip(d))
			}
			bare = a
		}
		if wild {
			bare = "*." + bare
		}
		clean = append(clean, bare)
	}
	return clean, nil
}

// tenant tells whether the mail is of one's own organization. Address, PTR name and SPF cannot: Microsoft's hosts send
// for every tenant.
func (p Policy) tenant(d *Verdict) Finding {
	for _, name := range d.Certificates {
		name = strings.ToLower(name)
		if listed(p.Certificates, name) {
			return Finding{Result: Pass, Domain: name, Reason: "the client showed the certificate of " + name}
		}
	}
	temporary := false
	for _, s := range d.Signatures {
		counts := s.Aligned && listed(p.ownDomains(), d.FromDomain) || listed(p.SignedBy, s.Domain)
		if counts && s.Result == Pass {
			return Finding{Result: Pass, Domain: s.Domain, Reason: "the message carries the DKIM signature of " + s.Domain}
		}
		temporary = temporary || counts && s.Result == TempError
	}
	if temporary {
		return Finding{Result: TempError, Reason: "DNS gave no answer about the key of the signature that would prove it"}
	}
	reason := "neither a DKIM signature of the sender's own domain nor a certificate proves it"
	if d.SharedProvider != "" {
		reason += "; the host is one of " + d.SharedProvider + ", which sends for everybody there"
	}
	return Finding{Result: Fail, Reason: reason}
}

// ownDomains are the listed domains that name one organization.
func (p Policy) ownDomains() []string {
	return slices.DeleteFunc(slices.Clone(p.Domains), func(l string) bool {
		bare, wild := strings.CutPrefix(l, "*.")
		return l == "*" || wild && slices.Contains(tenantSuffixes, bare)
	})
}

// finding is a proof's outcome; spf only counts when it speaks for From.
func (d *Verdict) finding(p Proof) Finding {
	switch p {
	case ProofHost:
		return d.Host
	case ProofSPF:
		if d.SPF.Domain != "" && !d.SPFAligned { // whatever it says, it says nothing of From
			return Finding{Result: Neutral, Domain: d.SPF.Domain, Reason: fmt.Sprintf("%s in MAIL FROM is not aligned with the sender's domain %s", d.SPF.Domain, d.FromDomain)}
		}
		return d.SPF
	case ProofDKIM:
		return d.DKIM
	case ProofDMARC:
		return d.DMARC
	}
	return d.Tenant
}

// Early judges at RCPT time, by host and SPF alone: it refuses what no message could make good any more. nil says that
// the message is to be seen.
func (p Policy) Early(d *Verdict) *smtpstack.Reply {
	p, err := p.normal()
	if err != nil {
		return unusable()
	}
	return p.judge(d, func(proof Proof) Finding {
		switch proof {
		case ProofHost:
			return p.earlyHost(d)
		case ProofSPF:
			return d.SPF
		}
		return Finding{Result: Pass} // it may come yet
	})
}

// earlyHost tells whether the host could be that of a From which is not known yet.
func (p Policy) earlyHost(d *Verdict) Finding {
	switch {
	case d.SharedProvider != "":
		return d.hostFor(envelopeDomain(d))
	case slices.ContainsFunc(d.HostNames, p.mayOwn):
		return Finding{Result: Pass}
	case d.HostUnsettled:
		return Finding{Result: TempError, Reason: fmt.Sprintf("DNS gave no answer about the names of %s", d.Client)}
	case len(d.HostNames) == 0:
		return Finding{Result: Fail, Reason: fmt.Sprintf("no PTR or HELO name leads back to %s", d.Client)}
	}
	return Finding{Result: Fail, Reason: strings.Join(d.HostNames, ", ") + " belongs to no permitted domain"}
}

// mayOwn tells whether a host's name is in the organization of a listed domain.
func (p Policy) mayOwn(host string) bool {
	return slices.ContainsFunc(p.Domains, func(l string) bool {
		return l == "*" || aligned(host, strings.TrimPrefix(l, "*."), false)
	})
}

// Judge judges a verdict with its message: nil is "taken". A refusal is 451 when only DNS stood in the way, else 550.
func (p Policy) Judge(d *Verdict) *smtpstack.Reply {
	p, err := p.normal()
	if err != nil {
		return unusable()
	}
	if len(p.Require) == 0 && len(p.Domains) == 0 && !p.DomainsPolicy {
		return nil
	}
	if !d.HasMessage {
		return smtpstack.Refuse(451, "4.3.0", "The sender was not checked yet")
	}
	if d.FromDomain == "" {
		if d.DKIM.Result == TempError {
			return smtpstack.Refuse(451, "4.3.0", "The sender could not be checked now: %s", d.DKIM.Reason)
		}
		return smtpstack.Refuse(550, "5.7.1", "The sender cannot be told: %s", d.DMARC.Reason)
	}
	if len(p.Domains) > 0 && !listed(p.Domains, d.FromDomain) {
		return smtpstack.Refuse(550, "5.7.1", "Mail from %s is not taken here: its domain is not among those permitted", d.FromDomain)
	}
	if p.DomainsPolicy && d.DMARC.Result == Fail && d.DMARCAsks == "reject" {
		return smtpstack.Refuse(550, "5.7.26", "%s asks that mail be refused which fails DMARC: %s", d.FromDomain, d.DMARC.Reason)
	}
	no := p.judge(d, d.finding)
	if no == nil && p.DomainsPolicy && d.DMARC.Result == TempError && (d.DMARCAsks == "reject" || d.DMARCAsks == "") {
		return smtpstack.Refuse(451, "4.7.0", "The sender could not be checked now, please try again later (dmarc: %s)", d.DMARC.Reason)
	}
	return no
}

// judge goes through the groups; a group lost for good weighs more than one that DNS left open.
func (p Policy) judge(d *Verdict, find func(Proof) Finding) *smtpstack.Reply {
	var temporary *smtpstack.Reply
	for _, group := range p.Require {
		var reasons []string
		passed, open := false, false
		for _, proof := range group {
			f := find(proof)
			passed = passed || f.Result == Pass
			open = open || f.Result == TempError
			reasons = append(reasons, fmt.Sprintf("%s: %s", proof, f.Reason))
		}
		switch why := strings.Join(reasons, "; "); {
		case passed:
		case open:
			temporary = smtpstack.Refuse(451, temporaryCode(group), "The sender could not be checked now, please try again later (%s)", clip(why))
		default:
			return smtpstack.Refuse(550, permanentCode(group), "%s is not proven to be the sender (%s)", subject(d), clip(why))
		}
	}
	return temporary
}

func subject(d *Verdict) string {
	switch {
	case d.FromDomain != "":
		return d.FromDomain
	case d.MailFrom != "":
		return d.MailFrom
	}
	return d.Client.String()
}

// permanentCode is the status code of RFC 7372 where a single proof has one.
func permanentCode(group []Proof) string {
	if len(group) > 1 {
		return "5.7.26"
	}
	switch group[0] {
	case ProofHost:
		return "5.7.25"
	case ProofSPF:
		return "5.7.23"
	case ProofDKIM:
		return "5.7.22"
	case ProofDMARC:
		return "5.7.26"
	}
	return "5.7.1"
}

// temporaryCode: RFC 7372 has one for SPF only; 4.7.0 is "other security status", 4.4.3 would say that our DNS is down.
func temporaryCode(group []Proof) string {
	if len(group) == 1 && group[0] == ProofSPF {
		return "4.7.24"
	}
	return "4.7.0"
}

// unusable is a policy that New would have refused: nobody is let in by it.
func unusable() *smtpstack.Reply {
	return smtpstack.Refuse(451, "4.3.5", "The policy for senders is not set up correctly here")
}
