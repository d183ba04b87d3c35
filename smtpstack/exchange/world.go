// Package exchange is a test peer that behaves as the documents of Exchange Online say: Exchange Online Protection (the
// mail exchanger of tenants, port 25), client submission (port 587) and the token endpoint of the identity platform.
//
// A test describes a [World] of tenants, mailboxes, connectors and app registrations; the peer enforces the service's
// rules on it by itself and is never told what to answer. What it answers is data ([Table]), each reply with the page
// that documents it. It evaluates SPF-like sender addresses for DMARC, but no DKIM signatures, and it forwards nothing.
package exchange

import (
	"crypto/x509"
	"net/netip"
	"strings"
	"time"
)

// World is what exists: tenants, and the Internet as far as the service looks at it.
type World struct {
	Tenants []Tenant

	// ClientAddr gives the pretended Internet address of a loopback one; an address that is not in it stands for itself.
	ClientAddr map[netip.Addr]netip.Addr
	PTR        map[netip.Addr]string
	Senders    map[string]Published // by domain: what its DNS says

	Banned     []netip.Prefix // the block list behind 5.7.606-649
	Refused    []netip.Prefix // ranges from which a tenant's traffic is not taken (5.7.708)
	Suspicious []netip.Prefix // addresses under evaluation: 4.7.550
	Unknown    []netip.Prefix // addresses without a history: 4.7.850

	// AnonymousPerMinute is how many messages a minute one address may send without connector; 0 is 100.
	AnonymousPerMinute int
}

// Published is what a domain's DNS says of its senders.
type Published struct {
	SPF    []netip.Prefix
	Reject bool // DMARC p=reject
}

// Tenant is one organisation.
type Tenant struct {
	ID      string // the identifier in the token endpoint's path
	Domains []Domain
	Boxes   []Mailbox
	Apps    []App
	Inbound []Connector

	RejectDirectSend bool // Set-OrganizationConfig -RejectDirectSend $true
	SMTPAuthDisabled bool // Set-TransportConfig -SmtpClientAuthenticationDisabled $true
	BasicAuth        bool // password sign-in for client submission still allowed
	Blocked          bool // exceeded its threshold: 5.7.705
	RequireSenderTLS bool // partner connector for all senders that wants TLS
	SignedInOnly     bool // a rule refuses mail that is not from inside: 5.7.12
}

// Domain is an accepted domain.
type Domain struct {
	Name   string
	OnPrem []string // not nil: internal relay, these recipients exist on premises
}

// Mailbox is anything that has an address: mailbox, group, contact.
type Mailbox struct {
	Address  string
	Password string
	SendAs   []string // addresses it may send as besides its own
	Apps     []string // client IDs with Add-MailboxPermission FullAccess

	SMTPAuthDisabled bool // Set-CASMailbox -SmtpClientAuthenticationDisabled $true

	Kind        Kind
	SignedIn    bool     // RequireSenderAuthenticationEnabled
	AllowedFrom []string // AcceptMessagesOnlyFrom of a group; empty: everybody
	Quota       int64    // octets; 0: no limit
	HourlyLimit int      // messages received an hour; 0: 3600
	SenderLimit int      // of them from one sender; 0: a third
	Busy        int      // deliveries at the same time; 0: no limit

	RecipientsPerDay int // submission; 0: 10,000
}

// Kind of a recipient.
type Kind int

// The kinds.
const (
	UserMailbox Kind = iota
	Group
	Contact
)

// Connector is an inbound connector of type OnPremises.
type Connector struct {
	Name       string
	CertDomain string         // TlsSenderCertificateName: "fax.contoso.com" or "*.contoso.com"
	IPs        []netip.Prefix // SenderIPAddresses
	RequireTLS bool
}

// App is an app registration of a tenant.
type App struct {
	ID     string
	Secret string
	// SecretExpired: the secret's end has passed.
	SecretExpired bool

	Cert *x509.Certificate // for certificate assertions
	// SendAsApp: the application permission SMTP.SendAsApp has admin consent.
	SendAsApp bool
	// Public: public client flows (device code) are allowed.
	Public bool
	// Delegated: SMTP.Send may be asked for.
	Delegated bool
}

// The service's limits (Microsoft Learn: Exchange Online limits; Message storage and concurrent connection throttling).
const (
	maxConnections   = 3
	messagesAMinute  = 30
	recipientsADay   = 10000
	maxRecipients    = 500
	maxRcptChunk     = 200
	maxMessage       = 36 << 20
	maxHops          = 20
	receivePerHour   = 3600
	tokenLifetime    = time.Hour
	refreshLifetime  = 90 * 24 * time.Hour
	deviceLifetime   = 15 * time.Minute
	deviceInterval   = 5 * time.Second
	outlookAudience  = "https://outlook.office365.com"
	outlookAudience2 = "https://outlook.office.com"
)

// domain finds the tenant that has accepted a domain.
func (w *World) domain(name string) (*Tenant, *Domain) {
	for i := range w.Tenants {
		t := &w.Tenants[i]
		for j := range t.Domains {
			if strings.EqualFold(t.Domains[j].Name, name) {
				return t, &t.Domains[j]
			}
		}
	}
	return nil, nil
}

// box finds a mailbox by address.
func (t *Tenant) box(address string) *Mailbox {
	for i := range t.Boxes {
		if strings.EqualFold(t.Boxes[i].Address, address) {
			return &t.Boxes[i]
		}
	}
	return nil
}

func (t *Tenant) accepts(domain string) bool {
	for i := range t.Domains {
		if strings.EqualFold(t.Domains[i].Name, domain) {
			return true
		}
	}
	return false
}

func (t *Tenant) app(id string) *App {
	for i := range t.Apps {
		if strings.EqualFold(t.Apps[i].ID, id) {
			return &t.Apps[i]
		}
	}
	return nil
}

func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}

func within(list []netip.Prefix, ip netip.Addr) bool {
	for _, p := range list {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// matchesName compares a certificate's name with a connector's, which may begin with "*.".
func matchesName(pattern, name string) bool {
	if suffix, ok := strings.CutPrefix(strings.ToLower(pattern), "*"); ok {
		return strings.HasSuffix(strings.ToLower(name), suffix)
	}
	return strings.EqualFold(pattern, name)
}
