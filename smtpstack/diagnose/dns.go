package diagnose

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/resolve"
	"github.com/tipring/tipring/smtpstack/verify"
)

// microsoftInclude is the SPF record of Exchange Online's outbound hosts; microsoftHost stands for all of them.
const microsoftInclude = "include:spf.protection.outlook.com"

var microsoftHost = netip.MustParseAddr("40.92.0.1")

const noDNS = "No DNS server gives an answer: check the network, and dns.servers of the configuration."

// name asks whether our address and our EHLO name lead to each other.
func (r *run) name(ctx context.Context) {
	if r.submits() {
		r.notRun(StepName, "Client submission does not look at our name.")
		return
	}
	ip, how := r.address()
	if !ip.IsValid() {
		r.add(Step{Name: StepName, State: Warning, Found: noAddress, Remedy: giveAddress})
		return
	}
	names, err := r.Resolver.PTR(ctx, ip)
	forward, ferr := r.Resolver.AddrLike(ctx, r.Hostname, ip)
	reverse := reverseName(ip) + " PTR " + r.Hostname + "."
	switch {
	case errors.Is(err, resolve.ErrTemporary), errors.Is(ferr, resolve.ErrTemporary):
		r.add(Step{Name: StepName, State: Warning, Found: "DNS gives no answer about " + ip.String() + ".", Remedy: noDNS})
	case len(names) == 0:
		r.add(Step{Name: StepName, State: Warning, Found: fmt.Sprintf("%s (%s) has no name in DNS.", ip, how), Record: reverse,
			Remedy: "Ask the Internet provider for this PTR record: mail of nameless hosts is junked, and over IPv6 refused."})
	case !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, r.Hostname) }):
		r.add(Step{Name: StepName, State: Warning, Found: fmt.Sprintf("%s (%s) is called %s, we say EHLO %s.", ip, how, strings.Join(names, ", "), r.Hostname), Record: reverse,
			Remedy: "Set hostname to the address's name, or ask the Internet provider for this PTR record."})
	case !slices.Contains(forward, ip):
		r.add(Step{Name: StepName, State: Warning, Found: fmt.Sprintf("%s does not lead back to %s.", r.Hostname, ip), Record: r.Hostname + ". " + addressType(ip) + " " + ip.String(),
			Remedy: "Add this record, so that name and address lead to each other."})
	default:
		r.ok(StepName, "%s (%s) and %s lead to each other.", ip, how, r.Hostname)
	}
}

func addressType(ip netip.Addr) string {
	if ip.Is4() {
		return "A"
	}
	return "AAAA"
}

// reverseName is the name of an address's PTR record (RFC 1035 3.5, RFC 3596 2.5).
func reverseName(ip netip.Addr) string {
	var b strings.Builder
	raw := ip.AsSlice()
	for _, x := range slices.Backward(raw) {
		if ip.Is4() {
			fmt.Fprintf(&b, "%d.", x)
		} else {
			fmt.Fprintf(&b, "%x.%x.", x&15, x>>4)
		}
	}
	if ip.Is4() {
		return b.String() + "in-addr.arpa."
	}
	return b.String() + "ip6.arpa."
}

// spf asks whether the domain of From lets our mail come from where it will come from, and makes the record that does.
func (r *run) spf(ctx context.Context) {
	domain := domainOf(r.From)
	ip, how := r.address()
	mechanism := ""
	switch {
	case r.submits():
		ip, how, mechanism = microsoftHost, "one of Microsoft's hosts, from which submitted mail leaves", microsoftInclude
	case !ip.IsValid():
		r.add(Step{Name: StepSPF, State: Warning, Found: noAddress, Remedy: giveAddress})
		return
	case ip.Is4():
		mechanism = "ip4:" + ip.String()
	default:
		mechanism = "ip6:" + ip.String()
	}
	f := verify.CheckSPF(ctx, r.Resolver, ip, r.Hostname, domain)
	record, err := verify.SPFRecord(ctx, r.Resolver, domain)
	lookups := verify.SPFLookups(ctx, r.Resolver, record)
	s := r.add(Step{Name: StepSPF, State: Warning, Found: fmt.Sprintf("%s (%s): %s", f.Reason, how, f.Result)})
	if record != "" {
		s.Details = []string{domain + ". TXT \"" + record + "\"", fmt.Sprintf("%d of 10 DNS lookups", lookups)}
	}
	switch {
	case f.Result == verify.Pass:
		s.State = OK
	case f.Result == verify.TempError:
		s.Remedy = noDNS
	case err != nil:
		s.State, s.Remedy = Failed, "Make one SPF record of them: with two, receivers take neither."
	case verify.TooManySPFLookups(lookups):
		s.State, s.Remedy = Failed, "Take out includes that are no longer used: beyond 10 lookups receivers refuse the whole record."
		s.Record = domain + ". TXT \"" + verify.SPFWith(record, mechanism) + "\""
	default:
		s.Record = domain + ". TXT \"" + verify.SPFWith(record, mechanism) + "\""
		s.Remedy = "Publish this record in place of the present one; without it our mail is junked or refused."
		if record == "" {
			s.Remedy = "Publish this record; without it our mail is junked or refused."
		}
		if n := verify.SPFLookups(ctx, r.Resolver, verify.SPFWith(record, mechanism)); verify.TooManySPFLookups(n) {
			s.Remedy += fmt.Sprintf(" It needs %d DNS lookups, 10 are allowed: take out an include that is no longer used.", n)
		}
		if f.Result == verify.Fail {
			s.State = Failed
		}
	}
	if s.State != OK && s.Record != "" && mechanism != microsoftInclude && tenantHost(r.look.Host) {
		s.PowerShell = fmt.Sprintf("Set-HostedConnectionFilterPolicy -Identity Default -IPAllowList @{Add=%q}", ip)
	}
}

// dkim compares what DNS has of our keys with what we sign with.
func (r *run) dkim(ctx context.Context) {
	if len(r.Keys) == 0 {
		if r.submits() || tenantHost(r.look.Host) {
			r.ok(StepDKIM, "Our mail is not signed here; the tenant signs what it sends on for its domains.").PowerShell = "Get-DkimSigningConfig -Identity " + domainOf(r.From)
			return
		}
		r.add(Step{Name: StepDKIM, State: Warning, Found: "Our mail is not signed.", Remedy: "Set mail.dkim_key and mail.dkim_selector: signed mail is believed by receivers, also when it is forwarded."})
		return
	}
	for _, k := range r.Keys {
		name, text, err := k.Record()
		if err != nil {
			r.add(Step{Name: StepDKIM, State: Failed, Found: smtpstack.OneLine(err.Error()), Remedy: "Make a new key, and set mail.dkim_key to it."})
			continue
		}
		list, err := r.Resolver.TXT(ctx, name)
		wanted := name + ". TXT \"" + text + "\""
		switch {
		case errors.Is(err, resolve.ErrTemporary):
			r.add(Step{Name: StepDKIM, State: Warning, Found: "DNS gives no answer about " + name + ".", Remedy: noDNS})
		case len(list) == 0:
			r.add(Step{Name: StepDKIM, State: Failed, Found: name + " is not in DNS, so our signatures are worth nothing.", Remedy: "Publish this record.", Record: wanted})
		case !slices.ContainsFunc(list, func(t string) bool { return publicKey(t) == publicKey(text) }):
			r.add(Step{Name: StepDKIM, State: Failed, Found: name + " has another key than the one that signs our mail.", Remedy: "Publish this record in its place, or set mail.dkim_key to the key that belongs to it.", Record: wanted})
		default:
			r.ok(StepDKIM, "%s is the key that signs our mail.", name)
		}
	}
}

// publicKey is the p= of a DKIM record (RFC 6376 3.6.1).
func publicKey(record string) string {
	for tag := range strings.SplitSeq(record, ";") {
		if name, value, ok := strings.Cut(tag, "="); ok && strings.TrimSpace(name) == "p" {
			return strings.Join(strings.Fields(value), "")
		}
	}
	return ""
}

func (r *run) dmarc(ctx context.Context) {
	domain := domainOf(r.From)
	policy, at, err := verify.DMARCPolicy(ctx, r.Resolver, domain)
	suggestion := "_dmarc." + domain + ". TXT \"v=DMARC1; p=none; rua=mailto:postmaster@" + domain + "\""
	switch {
	case errors.Is(err, resolve.ErrTemporary):
		r.add(Step{Name: StepDMARC, State: Warning, Found: "DNS gives no answer about the DMARC record of " + domain + ".", Remedy: noDNS})
	case err != nil:
		r.add(Step{Name: StepDMARC, State: Warning, Found: smtpstack.OneLine(err.Error()), Remedy: "Correct the record, for example to this one.", Record: suggestion})
	case at == "":
		r.add(Step{Name: StepDMARC, State: Warning, Found: domain + " publishes no DMARC record.", Remedy: "Publish one; large receivers want it.", Record: suggestion})
	case policy != "none" && r.state(StepSPF) != OK && r.state(StepDKIM) != OK:
		r.add(Step{Name: StepDMARC, State: Failed, Found: fmt.Sprintf("%s asks receivers to treat failing mail as %q, and neither SPF nor DKIM speaks for our mail.", at, policy), Remedy: "Put SPF or DKIM right, see above."})
	default:
		r.ok(StepDMARC, "%s: p=%s", at, policy)
	}
}

// protection tells what the server's domain publishes against downgrades.
func (r *run) protection(ctx context.Context) {
	if len(r.look.Hosts) == 0 {
		r.notRun(StepProtection, "The server is not known.")
		return
	}
	var found []string
	if domain := r.MXOf; domain != "" || r.Host == "" {
		if domain == "" {
			domain = domainOf(r.To)
		}
		if list, err := r.Resolver.TXT(ctx, "_mta-sts."+domain); err == nil && slices.ContainsFunc(list, func(t string) bool { return strings.HasPrefix(t, "v=STSv1") }) {
			found = append(found, "MTA-STS of "+domain)
		}
	}
	_, port, err := net.SplitHostPort(r.look.Addr)
	if err != nil {
		port = "25"
	}
	tlsa := "_" + port + "._tcp." + strings.TrimSuffix(r.look.Host, ".")
	list, err := r.Resolver.TLSA(ctx, tlsa)
	switch {
	case errors.Is(err, resolve.ErrInsecure):
		s := r.add(Step{Name: StepProtection, State: OK, Found: "There are TLSA records at " + tlsa + ", but no validating resolver vouches for them."})
		if r.DANE {
			s.State, s.Remedy = Warning, "Run a validating resolver (unbound) on this box, and set dns.servers = [\"127.0.0.1\"] and dns.validating = true."
		}
		return
	case errors.Is(err, resolve.ErrTemporary):
		r.add(Step{Name: StepProtection, State: Warning, Found: "DNS gives no answer about " + tlsa + ".", Remedy: noDNS + " A SERVFAIL may also mean that the records do not validate."})
		return
	case len(list) > 0:
		found = append(found, fmt.Sprintf("%d TLSA records of %s", len(list), r.look.Host))
	}
	if len(found) == 0 {
		r.ok(StepProtection, "The server's domain publishes neither.")
		return
	}
	r.ok(StepProtection, "%s", strings.Join(found, ", "))
}
