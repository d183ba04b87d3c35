// Package verify finds out who sent a mail: the sending host, SPF, DKIM, DMARC and the Microsoft 365 tenant, each with
// its result and the reason in plain words, and judges the outcome by a connector's policy.
//
// The steps follow SMTP. At RCPT time Verifier.Client knows address, HELO and MAIL FROM; over the stored message
// Verifier.Message adds the signatures and the From field. It is From that decides who the sender is: MAIL FROM may be
// rewritten on the way (SRS), and only what is aligned with From (RFC 7489 3.1) speaks for it.
package verify

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// Result is the outcome of one proof, by the names of RFC 8601 2.7.
type Result string

const (
	Pass      Result = "pass"      // proven
	Fail      Result = "fail"      // checked, and not so
	SoftFail  Result = "softfail"  // SPF: probably not so (RFC 7208 8.5)
	Neutral   Result = "neutral"   // checked, and nothing is said of this sender
	None      Result = "none"      // nothing there to check
	TempError Result = "temperror" // DNS gave no answer: the same mail may pass later
	PermError Result = "permerror" // what is published, or the message, cannot be understood
)

// Finding is one proof's outcome.
type Finding struct {
	Result Result `json:"result,omitempty"` // "" is not looked at yet
	Domain string `json:"domain,omitempty"` // what the result is about, as DNS has it
	Reason string `json:"reason,omitempty"` // in plain words, one line
}

// Signature is the outcome of one DKIM-Signature field.
type Signature struct {
	Domain  string `json:"domain"` // d=
	Aligned bool   `json:"aligned"`
	Result  Result `json:"result"`
	Reason  string `json:"reason"`
}

// Verdict is all that was found out about a mail's sender. It goes with the message as JSON, and Policy.Judge can be
// asked again at any time.
type Verdict struct {
	At           time.Time  `json:"at"`
	Client       netip.Addr `json:"client"`
	Helo         string     `json:"helo,omitempty"`
	MailFrom     string     `json:"mail_from"`
	Certificates []string   `json:"certificates,omitempty"` // DNS names of the client's verified certificate

	HostNames      []string `json:"host_names,omitempty"`      // names that lead to the client's address: PTR, then HELO
	HostUnsettled  bool     `json:"host_unsettled,omitempty"`  // there may be more: DNS gave no answer
	SharedProvider string   `json:"shared_provider,omitempty"` // the host sends for many organizations, of this domain

	From       string `json:"from,omitempty"` // the one address of the From field
	FromDomain string `json:"from_domain,omitempty"`
	HasMessage bool   `json:"has_message"` // the step over the message was taken

	Host       Finding     `json:"host"`
	SPF        Finding     `json:"spf"`
	SPFAligned bool        `json:"spf_aligned"` // with From
	DKIM       Finding     `json:"dkim"`        // pass only by a signature aligned with From
	Signatures []Signature `json:"signatures,omitempty"`
	DMARC      Finding     `json:"dmarc"`
	DMARCAsks  string      `json:"dmarc_asks,omitempty"` // of failing mail: none, quarantine, reject
	Tenant     Finding     `json:"tenant"`
}

// Client is what is known of a sender at RCPT time.
type Client struct {
	Addr         netip.Addr
	Helo         string   // as given: a name or an address literal
	MailFrom     string   // without angle brackets; "" is the null sender
	Certificates []string // DNS names of a client certificate that the TLS layer verified
}

// ClientOf takes what is known of an envelope.
func ClientOf(e smtpstack.Envelope) Client {
	return Client{Addr: e.Client, Helo: e.Helo, MailFrom: e.From, Certificates: certificateNames(e)}
}

// certificateNames has names only of a certificate that was verified: the one that the connector asked for.
func certificateNames(e smtpstack.Envelope) []string {
	if e.ClientName == "" {
		return nil
	}
	return []string{e.ClientName}
}

// Config of a Verifier. The zero value works; Policy is needed for the tenant's proof.
type Config struct {
	Policy        Policy
	ClientTimeout time.Duration // for all of Verifier.Client, default 20 s (RFC 7208 4.6.4 wants at least that)
	Timeout       time.Duration // for all of Verifier.Message, default 60 s
	MaxSignatures int           // DKIM signatures looked at, default 5
}

// Verifier finds out who sent a mail. It is safe for concurrent use.
type Verifier struct {
	cfg      Config
	resolver resolve.Resolver
}

// New returns a Verifier. It fails when the policy makes no sense.
func New(cfg Config, r resolve.Resolver) (*Verifier, error) {
	policy, err := cfg.Policy.normal()
	if err != nil {
		return nil, err
	}
	cfg.Policy = policy
	cfg.ClientTimeout = cmp.Or(cfg.ClientTimeout, 20*time.Second)
	cfg.Timeout = cmp.Or(cfg.Timeout, time.Minute)
	cfg.MaxSignatures = cmp.Or(cfg.MaxSignatures, 5)
	return &Verifier{cfg: cfg, resolver: r}, nil
}

// Client takes the step of RCPT time: the host and SPF. It never fails; what DNS does not answer is a TempError.
func (v *Verifier) Client(ctx context.Context, c Client) *Verdict {
	ctx, cancel := context.WithTimeout(ctx, v.cfg.ClientTimeout)
	defer cancel()
	d := &Verdict{At: time.Now().UTC(), Client: c.Addr.Unmap().WithZone(""), Helo: clip(c.Helo), MailFrom: clip(c.MailFrom), Certificates: c.Certificates}
	v.findHost(ctx, d)
	d.Host = d.hostFor(envelopeDomain(d))
	v.checkSPF(ctx, d, c)
	return d
}

// envelopeDomain is the domain MAIL FROM claims, or HELO's name with the null sender (RFC 7208 2.4); "" is none.
func envelopeDomain(d *Verdict) string {
	if d.MailFrom == "" {
		domain, _ := ascii(d.Helo)
		return domain
	}
	domain, _ := domainOf(d.MailFrom)
	return domain
}

// clip bounds what strangers write, and keeps it to one line.
func clip(s string) string {
	s = smtpstack.OneLine(s)
	if len(s) > 400 {
		s = strings.ToValidUTF8(s[:400], "") + "..."
	}
	return s
}

// Lines shows a verdict to people: each proof, its result and the reason.
func (d *Verdict) Lines() []string {
	lines := []string{fmt.Sprintf("client: %s, HELO %s, MAIL FROM <%s>", d.Client, d.Helo, d.MailFrom)}
	if len(d.HostNames) > 0 {
		lines = append(lines, "names of the client: "+strings.Join(d.HostNames, ", "))
	}
	if d.From != "" {
		lines = append(lines, "from: "+d.From)
	}
	show := func(name string, f Finding) {
		if f.Result != "" {
			lines = append(lines, fmt.Sprintf("%s: %s: %s", name, f.Result, f.Reason))
		}
	}
	show("host", d.Host)
	show("spf", d.SPF)
	show("dkim", d.DKIM)
	for _, s := range d.Signatures {
		show("  signature of "+s.Domain, Finding{Result: s.Result, Reason: s.Reason})
	}
	show("dmarc", d.DMARC)
	show("tenant", d.Tenant)
	return lines
}
