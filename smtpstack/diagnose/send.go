package diagnose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/smtpstack/resolve"
	"github.com/tipring/tipring/smtpstack/send"
)

// Send is a send connector to look at.
type Send struct {
	Sender   *send.Sender
	Resolver resolve.Resolver
	Hostname string // our EHLO name
	From     string // sender of our mail
	To       string // mailbox for the message; "": none is sent
	// Address is ours as the Internet sees it; the zero one: what the server says, or the connection's own if it is public.
	Address netip.Addr

	RequireTLS  bool               // no mail goes out without TLS and a valid certificate
	Host        string             // smart host as "host" or "host:port"; "" with MX delivery
	MXOf        string             // domain whose exchangers get all mail; "": those of the recipient's domain
	Username    string             // mailbox that signs in; "": none
	ClientID    string             // application that signs in for it; "": a password
	Delegated   bool               // a person signed in for the application, by device code
	Certificate *tls.Certificate   // client certificate; nil: none
	Roots       *x509.CertPool     // nil: the system's
	Keys        []*message.DKIMKey // that sign our mail
	DANE        bool               // TLSA records count
	// Compose writes the message for To; nil: none is sent.
	Compose func() (send.Message, error)
}

// submissionHost is where mailboxes of Microsoft 365 submit mail.
const submissionHost = "smtp.office365.com"

// The names of the steps, in their order.
const (
	StepServer      = "server in DNS"
	StepConnection  = "connection"
	StepTLS         = "TLS"
	StepName        = "our name (PTR)"
	StepSPF         = "SPF"
	StepDKIM        = "DKIM"
	StepDMARC       = "DMARC"
	StepProtection  = "MTA-STS and DANE"
	StepCertificate = "our certificate"
	StepToken       = "token"
	StepSignIn      = "sign-in"
	StepMessage     = "message"
)

// The bounds of the steps that talk with the server, so that one that hangs leaves time for the others.
const (
	lookTime    = 60 * time.Second
	signInTime  = 60 * time.Second
	messageTime = 2 * time.Minute
)

// run is one walk through a send connector.
type run struct {
	walk
	Send
	look send.Look
}

// Run walks all steps. It ends early only with ctx.
func (c Send) Run(ctx context.Context) []Step {
	r := &run{Send: c}
	r.server(ctx)
	r.connection()
	r.tls()
	r.name(ctx)
	r.spf(ctx)
	r.dkim(ctx)
	r.dmarc(ctx)
	r.protection(ctx)
	r.certificate()
	r.token(ctx)
	r.signIn(ctx)
	r.message(ctx)
	return r.steps
}

// submits tells whether the connector is client submission to Microsoft 365.
func (r *run) submits() bool {
	host, _, _ := strings.Cut(r.Host, ":")
	return strings.EqualFold(host, submissionHost)
}

// tenantHost tells whether a host is a tenant's mail exchanger at Microsoft.
func tenantHost(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for _, suffix := range []string{".mail.protection.outlook.com", ".mx.microsoft"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// server looks at the connector's host, or at the MX of the domain it serves, and connects.
func (r *run) server(ctx context.Context) {
	domain := r.MXOf
	if domain == "" && r.Host == "" {
		domain = domainOf(r.To)
		if r.To == "" {
			domain = domainOf(r.From)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	r.look = r.Sender.Look(ctx, domain)
	if len(r.look.Hosts) == 0 {
		s := r.add(Step{Name: StepServer, State: Failed, Found: problem(r.look.Err, r.look.Reply), Remedy: "Correct host, or mx_of, of the send connector: the name has to be in DNS."})
		switch {
		case errors.Is(r.look.Err, resolve.ErrTemporary):
			s.Remedy = "No DNS server gives an answer: check the network, and dns.servers of the configuration."
		case r.Host == "":
			s.Remedy = "The domain " + domain + " has no mail exchanger that can be found: correct mx_of or the recipient, or add the domain's MX record; the Microsoft 365 admin center shows it under Domains."
			s.Record = domain + ". MX 0 (the tenant's name as the admin center shows it)"
		}
		return
	}
	s := r.ok(StepServer, "%s", r.look.Hosts[0])
	s.Details = r.look.Hosts
	switch {
	case r.submits():
		s.Found += ", client submission of Microsoft 365"
	case tenantHost(r.look.Host):
		s.Found += ", a tenant of Microsoft 365"
	}
}

// problem is an error or a refusal in one line.
func problem(err error, reply smtpstack.Reply) string {
	if reply.Code != 0 {
		return reply.String()
	}
	if err == nil {
		return "no answer"
	}
	return smtpstack.OneLine(err.Error())
}

// connection is about TCP, greeting and EHLO.
func (r *run) connection() {
	l := &r.look
	switch {
	case len(l.Hosts) == 0:
		r.notRun(StepConnection, "The server is not known.")
	case l.Greeting == "":
		r.add(Step{Name: StepConnection, State: Failed, Found: fmt.Sprintf("%s does not answer at %s: %s", l.Host, l.Addr, problem(l.Err, l.Reply)),
			Remedy: "Let this box connect to that port: many networks block port 25 outwards. Where port 25 stays closed use client submission (host = \"smtp.office365.com:587\")."})
	case l.Hello == "":
		remedy := smtpstack.Remedy(l.Reply.Code, l.Reply.Enhanced, l.Reply.Text)
		if remedy == "" {
			remedy = "The server refuses this host: check its address and its EHLO name (hostname of the configuration)."
		}
		s := r.add(Step{Name: StepConnection, State: Failed, Found: fmt.Sprintf("%s at %s refuses the dialogue: %s", l.Host, l.Addr, problem(l.Err, l.Reply)), Remedy: plain(remedy)})
		s.PowerShell = r.powerShell(l.Reply)
	default:
		s := r.ok(StepConnection, "%s at %s: %s", l.Host, l.Addr, l.Greeting)
		s.Details = l.Extensions
	}
}

// address is ours as the Internet sees it, and how we know.
func (r *run) address() (ip netip.Addr, how string) {
	if r.Address.IsValid() {
		return r.Address, "as given"
	}
	if m := helloAddress.FindStringSubmatch(r.look.Hello); m != nil {
		if ip, err := netip.ParseAddr(strings.TrimPrefix(m[1], "IPv6:")); err == nil && public(ip) {
			return ip.Unmap(), "as the server sees it"
		}
	}
	if public(r.look.Local) {
		return r.look.Local, "of the connection"
	}
	return netip.Addr{}, ""
}

// helloAddress is the client's address in the answer to EHLO, as Exchange and others give it.
var helloAddress = regexp.MustCompile(`\[([0-9A-Fa-f:.]+|IPv6:[0-9A-Fa-f:.]+)\]`)

// public tells whether an address can be one of the Internet's.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsValid() && ip.IsGlobalUnicast() && !ip.IsPrivate() && !carrierNAT.Contains(ip)
}

var carrierNAT = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

const noAddress = "Our address on the Internet is not known: this box is behind address translation, and the server does not tell."

const giveAddress = "Name the address that the Internet sees with --address."

// certificateLine is a certificate for people.
func certificateLine(c *x509.Certificate) string {
	name := c.Subject.CommonName
	if len(c.DNSNames) > 0 {
		name = strings.Join(c.DNSNames[:min(len(c.DNSNames), 5)], ", ")
	}
	return fmt.Sprintf("%s; issued by %s; ends %s", name, c.Issuer.CommonName, c.NotAfter.UTC().Format(time.DateOnly))
}
