package appliance

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/smtpstack/send"
)

// SendConfig is one send connector: a way for our mail to go out.
type SendConfig struct {
	Name string `toml:"name"`  // for send_route, status and logs
	Host string `toml:"host"`  // smart host as host or host:port; empty: the MX of the recipient's domain
	MXOf string `toml:"mx_of"` // relay all mail to the mail exchangers of this domain: the organisation's own tenant; host is empty then
	TLS  string `toml:"tls"`   // opportunistic, required, none
	// TLSFor sets TLS apart from that for domains which MX delivery reaches: "bank.example", "*.bank.example".
	TLSFor       map[string]string `toml:"tls_for"`
	Username     string            `toml:"username"`      // sign-in at the smart host; empty: none. With oauth the mailbox
	PasswordFile string            `toml:"password_file"` // file with the password or the client secret, mode 0600
	// OAuth signs in with a token of Microsoft's identity platform for the application ClientID of Tenant, which proves itself
	// by a "secret" (in PasswordFile) or by a "certificate" (Certificate and CertificateKey); with "device" a person signs in once
	// for the mailbox, with a code typed at Microsoft's page.
	OAuth    string `toml:"oauth"`
	Tenant   string `toml:"tenant"`    // directory ID or a domain of the organisation
	ClientID string `toml:"client_id"` // application ID of the app registration
	// Certificate and CertificateKey are PEM files of the TLS client certificate of a certificate connector, with its chain.
	Certificate    string `toml:"certificate"`
	CertificateKey string `toml:"certificate_key"`

	Connections       int `toml:"connections"`         // at once, 0: 4
	MessagesPerMinute int `toml:"messages_per_minute"` // 0: no limit
	RecipientsPerDay  int `toml:"recipients_per_day"`  // in any 24 hours, 0: no limit

	// Fallback names the connector that serves recipients of FallbackDomains while this one's configuration is refused, or its
	// server is not to be reached for ten minutes: Direct Send, for one's own domains.
	Fallback        string   `toml:"fallback"`
	FallbackDomains []string `toml:"fallback_domains"`
}

// SendRoute sends the mail to some domains through one connector. The first connector takes what no route does.
type SendRoute struct {
	Domain    string `toml:"domain"`    // recipient's domain; "*.example.com": all below it
	Connector string `toml:"connector"` // name of a [[send]]
	Host      string `toml:"host"`      // in place of connector: straight to this host, as host:port, with opportunistic TLS
}

// submissionHost is where mailboxes of Microsoft 365 submit mail; it has limits of its own.
const submissionHost = "smtp.office365.com"

// applySendDefaults fills what the file leaves out. Without a [[send]] mail goes to the MX of its recipients.
func (c *Config) applySendDefaults() {
	if len(c.DNS.Servers) == 0 {
		c.DNS.Servers = nil
	}
	if len(c.Send) == 0 {
		c.Send = []SendConfig{{Name: "mx"}}
	}
	for i := range c.Send {
		s := &c.Send[i]
		s.TLS = cmp.Or(s.TLS, "opportunistic")
		if len(s.TLSFor) == 0 {
			s.TLSFor = nil
		}
		if len(s.FallbackDomains) == 0 {
			s.FallbackDomains = nil // [] is the default
		}
		if host, _, _ := strings.Cut(s.Host, ":"); strings.EqualFold(host, submissionHost) {
			l := send.ExchangeSubmission
			s.Connections, s.MessagesPerMinute = cmp.Or(s.Connections, l.Connections), cmp.Or(s.MessagesPerMinute, l.MessagesPerMinute)
			s.RecipientsPerDay = cmp.Or(s.RecipientsPerDay, l.RecipientsPerDay)
		}
	}
}

func (c Config) validateSend(v *faults) {
	names := map[string]bool{}
	for i, s := range c.Send {
		at := fmt.Sprintf("send %q", s.Name)
		if s.Name == "" {
			at = fmt.Sprintf("[[send]] number %d", i+1)
			v.need(false, "%s: give it a name", at)
		}
		v.need(!names[s.Name], "%s: the name is used twice", at)
		names[s.Name] = true
		s.validate(v, at)
	}
	for _, s := range c.Send {
		at := fmt.Sprintf("send %q", s.Name)
		v.need((s.Fallback == "") == (len(s.FallbackDomains) == 0), "%s: fallback and fallback_domains belong together: name the domains that the other connector may serve, your own for Direct Send", at)
		v.need(s.Fallback == "" || names[s.Fallback] && s.Fallback != s.Name, "%s: fallback: no other [[send]] has the name %q", at, s.Fallback)
		for _, d := range s.FallbackDomains {
			v.need(validHost(strings.TrimPrefix(d, "*.")), "%s: fallback_domains: %q: use example.com, or *.example.com for all below it", at, d)
		}
	}
	for _, r := range c.SendRoute {
		v.need(validHost(strings.TrimPrefix(r.Domain, "*.")), "send_route: domain %q: use example.com, or *.example.com for all below it", r.Domain)
		v.need((r.Connector == "") != (r.Host == ""), "send_route: domain %q: name a connector, or a host", r.Domain)
		v.need(r.Connector == "" || names[r.Connector], "send_route: no [[send]] has the name %q", r.Connector)
		_, port, err := net.SplitHostPort(r.Host)
		v.need(r.Host == "" || err == nil && port != "" && validSmartHost(r.Host), "send_route: host: %q: use host:port", r.Host)
	}
}

func (s SendConfig) validate(v *faults, at string) {
	v.need(oneOf(s.TLS, "opportunistic", "required", "none"), "%s: tls: %q: use opportunistic, required or none", at, s.TLS)
	for d, policy := range s.TLSFor {
		v.need(validHost(strings.TrimPrefix(d, "*.")), "%s: tls_for: %q: use example.com, or *.example.com for all below it", at, d)
		v.need(oneOf(policy, "opportunistic", "required", "none"), "%s: tls_for: %s: %q: use opportunistic, required or none", at, d, policy)
	}
	v.need(len(s.TLSFor) == 0 || s.Host == "" && s.MXOf == "", "%s: tls_for is for delivery by MX: host and mx_of have tls", at)
	v.need(validSmartHost(s.Host), "%s: host: %q is no host name", at, s.Host)
	v.need(s.MXOf == "" || s.Host == "", "%s: host and mx_of: use one of them", at)
	v.need(s.MXOf == "" || validHost(s.MXOf), "%s: mx_of: %q is no domain", at, s.MXOf)
	v.need(s.Username == "" || s.Host != "", "%s: username needs host", at)
	v.need(s.Username == "" || s.TLS == "required", "%s: username needs tls = \"required\": a password never goes in clear", at)
	v.need((s.Certificate == "") == (s.CertificateKey == ""), "%s: certificate and certificate_key belong together", at)
	v.need(s.Certificate == "" || s.TLS == "required", "%s: certificate needs tls = \"required\"", at)
	for key, n := range map[string]int{"connections": s.Connections, "messages_per_minute": s.MessagesPerMinute, "recipients_per_day": s.RecipientsPerDay} {
		v.need(n >= 0 && n <= 1_000_000, "%s: %s = %d: use 1 to 1000000, or 0", at, key, n)
	}
	switch s.OAuth {
	case "":
		v.need((s.Username == "") == (s.PasswordFile == ""), "%s: username and password_file belong together", at)
		v.need(s.Tenant == "" && s.ClientID == "", "%s: tenant and client_id need oauth", at)
	case "secret", "certificate", "device":
		v.need(s.Username != "" && s.Tenant != "" && s.ClientID != "", "%s: oauth needs username (the mailbox), tenant and client_id", at)
		v.need((s.OAuth == "secret") == (s.PasswordFile != ""), "%s: oauth = \"secret\" needs password_file, no other does", at)
		v.need(s.OAuth != "certificate" || s.Certificate != "", "%s: oauth = \"certificate\" needs certificate and certificate_key", at)
	default:
		v.need(false, "%s: oauth: %q: use secret, certificate or device", at, s.OAuth)
	}
}

func validSmartHost(s string) bool {
	if host, port, err := net.SplitHostPort(s); err == nil {
		return host != "" && port != ""
	}
	_, err := netip.ParseAddr(s)
	return s == "" || err == nil || validHost(s)
}

// dkimKeys are the keys that our mail is signed with.
func (c Config) dkimKeys() ([]*message.DKIMKey, error) {
	if c.Mail.DKIMKey == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.Mail.DKIMKey)
	if err != nil {
		return nil, fmt.Errorf("mail.dkim_key: %w", err)
	}
	key, err := message.ParseDKIMKey(c.Mail.From[strings.LastIndexByte(c.Mail.From, '@')+1:], c.Mail.DKIMSelector, pem)
	if err != nil {
		return nil, fmt.Errorf("mail.dkim_key: %s: %w", c.Mail.DKIMKey, err)
	}
	return []*message.DKIMKey{key}, nil
}
