package appliance

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/smtpstack/receive"
	"github.com/tipring/tipring/smtpstack/resolve"
	"github.com/tipring/tipring/smtpstack/verify"
)

// ReceiveConfig is one receive connector: a way for mail to come in and be faxed.
type ReceiveConfig struct {
	Name          string   `toml:"name"`           // shown in status, logs and verdicts
	Listen        []string `toml:"listen"`         // host:port each
	Networks      []string `toml:"networks"`       // CIDR prefixes that may connect; "exchange-online": Microsoft's hosts
	Senders       []string `toml:"senders"`        // addresses or domains that may fax; "*": everyone in networks
	Require       []string `toml:"require"`        // proofs of the sender, all of them: host, spf, dkim, dmarc, tenant; "a|b": one of these
	SignedBy      []string `toml:"signed_by"`      // further domains whose DKIM signature proves the tenant
	DMARC         bool     `toml:"dmarc"`          // refuse what fails DMARC when the sender's domain asks for that
	MaxSizeMB     int      `toml:"max_size_mb"`    // largest message, 2^20 octets
	MaxRecipients int      `toml:"max_recipients"` // per message
	TLSCert       string   `toml:"tls_cert"`       // PEM file, read anew when it changes; empty: a certificate of our own making
	TLSKey        string   `toml:"tls_key"`        // PEM file
	ACME          bool     `toml:"acme"`           // the certificate of [acme]
	RequireTLS    bool     `toml:"require_tls"`    // no mail without TLS
	ImplicitTLS   bool     `toml:"implicit_tls"`   // TLS from the first octet (port 465) instead of STARTTLS
	ClientNames   []string `toml:"client_names"`   // no mail but from clients whose TLS certificate has one of these names
	Proxies       []string `toml:"proxies"`        // CIDR prefixes of hosts that speak the PROXY protocol; all others are refused
	TrustedRelays []string `toml:"trusted_relays"` // CIDR prefixes of edge servers whose Received fields name the sending host
	SignInConfig
	RelayConfig
	ReceiveLimits
}

// applyConnectorDefaults fills what the file leaves out.
func (c *Config) applyConnectorDefaults() {
	for i := range c.Receive {
		r := &c.Receive[i]
		r.MaxSizeMB, r.MaxRecipients = cmp.Or(r.MaxSizeMB, 35), cmp.Or(r.MaxRecipients, 100)
		if r.Networks == nil {
			r.Networks = []string{"127.0.0.0/8", "::1/128"}
		}
		for _, list := range []*[]string{&r.Require, &r.SignedBy, &r.ClientNames, &r.Proxies, &r.TrustedRelays, &r.TenantNames, &r.AuthInClear, &r.RelayTo} {
			if len(*list) == 0 {
				*list = nil // [] is the default
			}
		}
		r.RelayFrom = cmp.Or(r.RelayFrom, keepFrom)
		r.ReceiveLimits.applyDefaults(len(r.RelayTo) > 0)
	}
	if len(c.ACME.DNSResolvers) == 0 {
		c.ACME.DNSResolvers = nil
	}
	c.applySendDefaults()
}

func (c Config) validateReceive(v *faults) {
	names := map[string]bool{}
	for i, r := range c.Receive {
		at := fmt.Sprintf("receive %q", r.Name)
		if r.Name == "" {
			at = fmt.Sprintf("[[receive]] number %d", i+1)
			v.need(false, "%s: give it a name", at)
		}
		v.need(!names[r.Name], "%s: the name is used twice", at)
		names[r.Name] = true
		v.need(len(r.Listen) > 0, "%s: listen is missing: host:port, port 25 for mail servers", at)
		for _, a := range r.Listen {
			v.need(validListen(a), "%s: listen: %q is no host:port", at, a)
		}
		for key, list := range map[string][]string{"networks": r.Networks, "proxies": r.Proxies, "trusted_relays": r.TrustedRelays, "auth_in_clear": r.AuthInClear} {
			for _, n := range list {
				_, err := netip.ParsePrefix(n)
				v.need(err == nil || key == "networks" && n == receive.ExchangeOnlineName, "%s: %s: %q is no prefix like 192.0.2.0/24", at, key, n)
			}
		}
		if r.proves() {
			_, err := r.senderCheck(nil)
			v.need(err == nil, "%s: %v", at, err)
		}
		v.need(len(r.SignedBy) == 0 || len(r.Require) > 0, "%s: signed_by needs require = [\"tenant\"]", at)
		for _, a := range r.Senders {
			v.need(a == "*" || validAddress(a) || validHost(strings.TrimPrefix(a, "@")),
				"%s: senders: %q is neither an address, a domain nor \"*\"", at, a)
		}
		v.need(len(r.Networks) > 0, "%s: networks: nobody could connect; list the mail server's networks", at)
		v.need(len(r.Senders) > 0, "%s: senders: nobody could send; list addresses or domains, or \"*\" for everyone in networks", at)
		v.need(r.MaxSizeMB >= 1 && r.MaxSizeMB <= 150, "%s: max_size_mb = %d: use 1 to 150", at, r.MaxSizeMB)
		v.need(r.MaxRecipients >= 1 && r.MaxRecipients <= 1000, "%s: max_recipients = %d: use 1 to 1000", at, r.MaxRecipients)
		v.need((r.TLSCert == "") == (r.TLSKey == ""), "%s: tls_cert and tls_key belong together", at)
		r.validateSignIn(v, at)
		c.validateRelay(v, at, r)
		r.ReceiveLimits.validate(v, at)
	}
	v.need(len(c.Receive) == 0 || len(c.FaxDomains) > 0, "fax_domains: name the domain of number@domain, or leave out [[receive]]")
}

// mailPort is one open port of a receive connector.
type mailPort struct {
	net.Listener
	connector ReceiveConfig
}

// proves tells whether the connector demands proof of its senders.
func (r ReceiveConfig) proves() bool { return len(r.Require) > 0 || r.DMARC }

// senderCheck makes the proof that the connector demands. Without a resolver it is checked only that it makes sense.
func (r ReceiveConfig) senderCheck(res resolve.Resolver) (*gateway.SenderCheck, error) {
	require, err := verify.ParseRequire(r.Require)
	if err != nil {
		return nil, err
	}
	return gateway.NewSenderCheck(verify.Policy{Require: require, SignedBy: r.SignedBy, Certificates: r.TenantNames, DomainsPolicy: r.DMARC}, r.Senders,
		func(p verify.Policy) (*verify.Verifier, error) {
			if res == nil {
				return nil, nil
			}
			return verify.New(verify.Config{Policy: p}, res)
		})
}

// senderChecks are those of all connectors, by name.
func (c Config) senderChecks(res resolve.Resolver) (map[string]*gateway.SenderCheck, error) {
	all := map[string]*gateway.SenderCheck{}
	for _, r := range c.Receive {
		if !r.proves() {
			continue
		}
		check, err := r.senderCheck(res)
		if err != nil {
			return nil, fmt.Errorf("receive %q: %w", r.Name, err)
		}
		if check.Relays, err = prefixes(r.TrustedRelays); err != nil {
			return nil, fmt.Errorf("receive %q: trusted_relays: %w", r.Name, err)
		}
		all[r.Name] = check
	}
	return all, nil
}

// prefixes reads CIDR prefixes; names of sets of networks are left out.
func prefixes(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, n := range list {
		if n == receive.ExchangeOnlineName {
			continue
		}
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// receiver makes the SMTP server of a receive connector on one listener.
func (a *Appliance) receiver(r ReceiveConfig) (*receive.Server, error) {
	rc := receive.Config{Name: r.Name, Hostname: a.cfg.Hostname, Senders: r.Senders, FaxDomains: a.cfg.FaxDomains, RequireTLS: r.RequireTLS,
		ImplicitTLS: r.ImplicitTLS, MaxSize: int64(r.MaxSizeMB) << 20, MaxRecipients: r.MaxRecipients, Trace: a.traceSMTP}
	if r.proves() {
		rc.Senders = []string{"*"} // MAIL FROM may be rewritten on the way: From is what is proven, and held against the list
	}
	var err error
	for to, list := range map[*[]netip.Prefix][]string{&rc.Networks: r.Networks, &rc.Proxies: r.Proxies, &rc.TrustedRelays: r.TrustedRelays,
		&rc.AuthInClear: r.AuthInClear} {
		if *to, err = prefixes(list); err != nil {
			return nil, fmt.Errorf("receive %q: %w", r.Name, err)
		}
	}
	if slices.Contains(r.Networks, receive.ExchangeOnlineName) {
		rc.NetworkSets = []receive.NetworkSet{a.exchange}
	}
	if rc.ClientCert, err = r.clientCert(); err != nil {
		return nil, fmt.Errorf("receive %q: client_ca: %w", r.Name, err)
	}
	rc.RelayTo = r.RelayTo
	if a.srs != nil {
		rc.Returns, rc.ReturnDomain = a.srs, a.srs.Domain()
	}
	r.ReceiveLimits.apply(&rc)
	if r.Auth {
		rc.Authenticate, rc.RequireAuth = a.authenticate, r.RequireAuth
	}
	if rc.TLS, err = a.serverTLS(r); err != nil {
		return nil, fmt.Errorf("receive %q: %w", r.Name, err)
	}
	return receive.New(rc, a.g.Backend())
}

// serverTLS is the certificate of a receive connector: the files it names, else one of our own making.
func (a *Appliance) serverTLS(r ReceiveConfig) (*tls.Config, error) {
	report := func(err error) {
		a.alarms.Raise("smtp-certificate/"+r.Name, fmt.Sprintf("The certificate of the receive connector %s cannot be renewed: %v.", r.Name, err),
			"Put a valid certificate and its key where tls_cert and tls_key say.")
	}
	if r.ACME {
		return receive.ServerTLS(a.acme), nil
	}
	if r.TLSCert != "" {
		files, err := receive.OpenPEMFiles(r.TLSCert, r.TLSKey, report)
		if err != nil {
			return nil, fmt.Errorf("tls_cert: %w", err)
		}
		return receive.ServerTLS(files), nil
	}
	own, err := receive.OpenSelfSigned(filepath.Join(a.cfg.Data, "tls"), a.cfg.Hostname, report)
	if err != nil {
		return nil, err
	}
	return receive.ServerTLS(own), nil
}

func (a *Appliance) traceSMTP(e receive.Event) {
	a.refused.hear(e)
	a.log.Debug("smtp", "connector", e.Connector, "client", e.Client, "dir", e.Dir, "text", e.Text)
}
