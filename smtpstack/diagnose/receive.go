package diagnose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/resolve"
	"github.com/tipring/tipring/smtpstack/send"
	"github.com/tipring/tipring/smtpstack/verify"
)

// Receive is a receive connector to look at.
type Receive struct {
	Resolver   resolve.Resolver
	Hostname   string
	Listen     []string // host:port each, as it is open now
	Implicit   bool     // TLS from the first octet
	FaxDomains []string
	Senders    []string   // addresses and domains that may fax; "*"
	Tenant     bool       // the proof "tenant" is demanded, which needs the senders' DKIM
	Address    netip.Addr // ours as the Internet sees it; the zero one: not known
	Roots      *x509.CertPool
	// Ranges says how many networks the set exchange-online has and when they were refreshed; nil: it is not used.
	Ranges func() (int, time.Time)
}

// The names of the further steps, in their order.
const (
	StepListener = "listener"
	StepMX       = "MX of the fax domain"
	StepRanges   = "networks of Exchange Online"
	StepSenders  = "sender domains"
)

// rangesOld is when the set exchange-online was refreshed too long ago.
const rangesOld = 14 * 24 * time.Hour

type receiveRun struct {
	walk
	Receive
}

// Run walks all steps.
func (c Receive) Run(ctx context.Context) []Step {
	r := &receiveRun{Receive: c}
	for _, addr := range c.Listen {
		r.listener(ctx, addr)
	}
	for _, d := range c.FaxDomains {
		r.mx(ctx, d)
	}
	r.ranges()
	for _, d := range senderDomains(c.Senders) {
		r.sender(ctx, d)
	}
	return r.steps
}

// listener connects to one of the connector's own ports.
func (r *receiveRun) listener(ctx context.Context, addr string) {
	host, port, _ := net.SplitHostPort(addr)
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if err == nil && ip.Is6() {
			host = "::1"
		}
	}
	cfg := send.Config{Name: "test", Hostname: r.Hostname, Host: net.JoinHostPort(host, port), TLSConfig: &tls.Config{RootCAs: r.Roots}}
	if r.Implicit {
		cfg.TLS = send.Implicit
	}
	s, err := send.New(cfg, nil)
	if err != nil {
		r.add(Step{Name: StepListener, State: Failed, Found: smtpstack.OneLine(err.Error()), Remedy: "Correct hostname in the configuration."})
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	l := s.Look(ctx, "")
	switch {
	case l.Greeting == "" && l.TLS == nil:
		r.add(Step{Name: StepListener, State: Warning, Found: addr + " does not answer this box: " + problem(l.Err, l.Reply),
			Remedy: "Where networks, or proxies, of the connector leave out this box itself that is as it should be; else look at the log."})
		r.notRun(StepTLS, "The dialogue did not begin.")
	case l.Hello == "" && l.TLS == nil:
		r.add(Step{Name: StepListener, State: Warning, Found: addr + " refuses this box: " + problem(l.Err, l.Reply), Remedy: "Where networks of the connector leave out this box itself that is as it should be."})
		r.notRun(StepTLS, "The dialogue did not come so far.")
	default:
		r.ok(StepListener, "%s answers: %s", addr, l.Greeting).Details = l.Extensions
		r.certificate(l)
	}
}

// certificate looks at what the tenant sees of us.
func (r *receiveRun) certificate(l send.Look) {
	if l.TLS == nil {
		r.add(Step{Name: StepTLS, State: Failed, Found: "There is no TLS: " + problem(l.Err, l.Reply), Remedy: "Set tls_cert and tls_key, or leave both out for a certificate of our own making."})
		return
	}
	chain := l.TLS.PeerCertificates
	leaf := chain[0]
	s := r.ok(StepTLS, "%s", certificateLine(leaf))
	for i, c := range chain {
		s.Details = append(s.Details, fmt.Sprintf("%d: %s", i, certificateLine(c)))
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: r.Roots, Intermediates: between, DNSName: r.Hostname})
	strict := fmt.Sprintf("Set-OutboundConnector -Identity Tipring -TlsSettings DomainValidation -TlsDomain %s", quote(r.Hostname))
	switch {
	case time.Now().After(leaf.NotAfter):
		s.State, s.Remedy = Failed, "The certificate has ended: renew it."
	case leaf.VerifyHostname(r.Hostname) != nil:
		s.State, s.Found, s.Remedy = Warning, fmt.Sprintf("%s, which is not for %s", s.Found, r.Hostname), "Get a certificate for the name in hostname, so that the tenant can check it."
	case err != nil:
		s.State, s.Found, s.Remedy = Warning, fmt.Sprintf("%s, which no public authority vouches for", s.Found), "It encrypts, but the tenant cannot check it: get a certificate of a public authority with its whole chain, or keep the outbound connector at EncryptionOnly."
		s.PowerShell = "Set-OutboundConnector -Identity Tipring -TlsSettings EncryptionOnly"
	case time.Until(leaf.NotAfter) < soon:
		s.State, s.Remedy = Warning, "The certificate ends soon: renew it."
	default:
		s.PowerShell = strict
	}
}

// mx asks whether mail for a fax domain finds us.
func (r *receiveRun) mx(ctx context.Context, domain string) {
	list, err := r.Resolver.MX(ctx, domain)
	record := domain + ". MX 10 " + r.Hostname + "."
	outbound := fmt.Sprintf("New-OutboundConnector -Name Tipring -ConnectorType OnPremises -RecipientDomains %s -UseMXRecord $false -SmartHosts %s -TlsSettings EncryptionOnly", quote(domain), quote(r.Hostname))
	var hosts []string
	for _, mx := range list {
		hosts = append(hosts, mx.Host)
	}
	switch {
	case errors.Is(err, resolve.ErrTemporary):
		r.add(Step{Name: StepMX, State: Warning, Found: "DNS gives no answer about " + domain + ".", Remedy: noDNS})
	case errors.Is(err, resolve.ErrNullMX):
		r.add(Step{Name: StepMX, State: Failed, Found: domain + " says that it takes no mail (null MX).", Remedy: "Replace the record by this one.", Record: record})
	case len(list) == 0 && r.ours(ctx, domain):
		r.ok(StepMX, "%s has no MX, its own address is ours.", domain)
	case len(list) == 0:
		r.add(Step{Name: StepMX, State: Warning, Found: domain + " has no MX record.", Record: record, PowerShell: outbound,
			Remedy: "Publish this record, or let the tenant send mail for this domain here by an outbound connector."})
	case slices.ContainsFunc(hosts, tenantHost):
		s := r.ok(StepMX, "%s is received by the tenant (%s), which has to hand it on to us.", domain, strings.Join(hosts, ", "))
		s.PowerShell = outbound
	case r.ours(ctx, hosts...):
		r.ok(StepMX, "%s is received by us (%s).", domain, strings.Join(hosts, ", "))
	default:
		r.add(Step{Name: StepMX, State: Warning, Found: fmt.Sprintf("%s is received by %s, which is not known as ours.", domain, strings.Join(hosts, ", ")), Record: record, PowerShell: outbound,
			Remedy: "If that host does not hand the mail on to us, publish this record, or let the tenant send it here by an outbound connector."})
	}
}

// ours tells whether one of the names is this box: by name, or by an address of ours.
func (r *receiveRun) ours(ctx context.Context, hosts ...string) bool {
	mine, _ := r.Resolver.Addr(ctx, r.Hostname)
	if r.Address.IsValid() {
		mine = append(mine, r.Address)
	}
	for _, h := range hosts {
		if strings.EqualFold(strings.TrimSuffix(h, "."), strings.TrimSuffix(r.Hostname, ".")) {
			return true
		}
		addrs, _ := r.Resolver.Addr(ctx, h)
		if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return slices.Contains(mine, a) }) {
			return true
		}
	}
	return false
}

func (r *receiveRun) ranges() {
	if r.Ranges == nil {
		r.notRun(StepRanges, "The connector does not use them.")
		return
	}
	n, at := r.Ranges()
	switch {
	case at.IsZero():
		r.add(Step{Name: StepRanges, State: Warning, Found: fmt.Sprintf("The %d networks are those built in; they were never refreshed.", n), Remedy: "Let this box ask DNS for the SPF record of spf.protection.outlook.com."})
	case time.Since(at) > rangesOld:
		r.add(Step{Name: StepRanges, State: Warning, Found: fmt.Sprintf("The %d networks were refreshed last on %s.", n, at.UTC().Format(time.DateOnly)), Remedy: "Let this box ask DNS for the SPF record of spf.protection.outlook.com."})
	default:
		r.ok(StepRanges, "%d networks, refreshed %s.", n, at.UTC().Format(time.DateOnly))
	}
}

// senderDomains are the domains of the senders, each once.
func senderDomains(senders []string) []string {
	var out []string
	for _, s := range senders {
		d := strings.TrimPrefix(strings.TrimPrefix(domainOf(s), "@"), "*.")
		if d != "*" && d != "" && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// sender asks whether what proves a sender's domain can be had from DNS.
func (r *receiveRun) sender(ctx context.Context, domain string) {
	record, err := verify.SPFRecord(ctx, r.Resolver, domain)
	signed, serr := r.signs(ctx, domain)
	s := r.ok(StepSenders, "%s publishes SPF and the DKIM keys of Microsoft 365.", domain)
	switch {
	case errors.Is(err, resolve.ErrTemporary), errors.Is(serr, resolve.ErrTemporary):
		s.State, s.Found, s.Remedy = Warning, "DNS gives no answer about "+domain+".", noDNS
	case !signed && r.Tenant:
		s.State, s.Found = Failed, domain+" publishes no DKIM keys of Microsoft 365, by which its tenant would be proven."
		s.Remedy = "Switch DKIM on for the domain, or add the initial domain (contoso.onmicrosoft.com), with which the tenant signs till then, to signed_by."
		s.PowerShell = fmt.Sprintf("New-DkimSigningConfig -DomainName %s -Enabled $true; Get-DkimSigningConfig -Identity %s | Format-List Selector1CNAME,Selector2CNAME", quote(domain), quote(domain))
	case err != nil:
		s.State, s.Found, s.Remedy = Warning, smtpstack.OneLine(err.Error()), "Make one SPF record of them."
	case record == "":
		s.State, s.Found, s.Remedy = Warning, domain+" publishes no SPF record.", "Publish one."
		s.Record = domain + ". TXT \"v=spf1 " + microsoftInclude + " -all\""
	case !signed:
		s.Found = domain + " publishes SPF; no DKIM keys of Microsoft 365."
	}
}

// signs tells whether Exchange Online's selectors have keys (Microsoft Learn: Set up DKIM to sign mail from your Microsoft
// 365 domain).
func (r *receiveRun) signs(ctx context.Context, domain string) (bool, error) {
	var last error
	for _, selector := range []string{"selector1", "selector2"} {
		list, err := r.Resolver.TXT(ctx, selector+"._domainkey."+domain)
		if slices.ContainsFunc(list, func(t string) bool { return publicKey(t) != "" }) {
			return true, nil
		}
		if errors.Is(err, resolve.ErrTemporary) {
			last = err
		}
	}
	return false, last
}
