// Package resolve is the one resolver of the mail side: MX, addresses, TXT, PTR and TLSA, with a cache, with errors that
// tell "no such thing" from "ask again later", and with the word of a validating resolver on what is authentic (DNSSEC).
package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// Resolver answers the questions mail asks of DNS. Every error is one of ErrTemporary, ErrNotFound (ErrNXDomain,
// ErrNoData) or ErrNullMX by errors.Is. Names are as in master files (RFC 1035 5.1): an odd character of a label may be
// escaped with a backslash, a blank must be.
type Resolver interface {
	// MX returns the mail exchangers of a domain, most preferred first. A domain without MX records gives ErrNoData:
	// then its own address is its exchanger (RFC 5321 5.1).
	MX(ctx context.Context, domain string) ([]MX, error)
	// Addr returns the A and AAAA records of a host, A first. It fails only when neither has an answer.
	Addr(ctx context.Context, host string) ([]netip.Addr, error)
	// TXT returns the TXT records, the strings of each joined (RFC 7208 3.3).
	TXT(ctx context.Context, name string) ([]string, error)
	// PTR returns the names of an address, without the final dot.
	PTR(ctx context.Context, ip netip.Addr) ([]string, error)
	// AddrLike returns the A records of a host when ip is IPv4, else the AAAA records: what a host's address is compared
	// with (RFC 7208 5). Unlike Addr it does not hide the failure of one family behind the answer of the other.
	AddrLike(ctx context.Context, host string, ip netip.Addr) ([]netip.Addr, error)

	// MXAuthentic is MX, and tells whether the answer was authenticated by DNSSEC. It is meaningful with ErrNotFound and
	// ErrNullMX too, as a "no" can be authentic (RFC 7672 2.2.1).
	MXAuthentic(ctx context.Context, domain string) (list []MX, authentic bool, err error)
	// Host is Addr with what DANE needs to know beside it (RFC 7672 2.2.2). The error is as Addr's; Authentic is
	// meaningful with ErrNotFound too.
	Host(ctx context.Context, host string) (Host, error)
	// TLSA returns the TLSA records of a name like "_25._tcp.mx.example.com" (RFC 6698 3). Only authentic ones are ever
	// returned: others give ErrInsecure. A name that does not validate is ErrTemporary, as validating resolvers answer
	// SERVFAIL then; the connection is to be put off, not made without DANE (RFC 7672 2.1.1).
	TLSA(ctx context.Context, name string) ([]TLSA, error)
}

// Host is the addresses of a host and how far they can be believed.
type Host struct {
	Addrs     []netip.Addr // A first
	Canonical string       // the name the addresses stand at, after CNAMEs; in lower case, without the final dot
	Authentic bool         // DNSSEC authenticated every answer there was, A and AAAA, each with its CNAMEs
}

// TLSA is one TLSA record. Values out of the registries are passed on: RFC 7672 3.1 says which are usable for SMTP.
type TLSA struct {
	Usage    uint8  // 2 is DANE-TA, 3 is DANE-EE (RFC 7218 2.1)
	Selector uint8  // 0 is the whole certificate, 1 its public key (RFC 7218 2.2)
	Matching uint8  // 0 is the data itself, 1 its SHA-256, 2 its SHA-512 (RFC 7218 2.3)
	Data     []byte // certificate association data
}

// MX is one mail exchanger.
type MX struct {
	Host       string // in lower case, without the final dot
	Preference uint16 // lower is better
}

var (
	// ErrTemporary is returned when no server gave a usable answer: timeout, SERVFAIL, REFUSED, no network. Never
	// take it for "does not exist".
	ErrTemporary = errors.New("DNS gave no answer")
	// ErrNotFound is returned when DNS answered that there is no such record.
	ErrNotFound = errors.New("not in DNS")
	// ErrNXDomain is returned when the name does not exist (RFC 8020).
	ErrNXDomain = fmt.Errorf("%w: no such name", ErrNotFound)
	// ErrNoData is returned when the name exists without records of this type (RFC 2308 2.2).
	ErrNoData = fmt.Errorf("%w: no record of this type", ErrNotFound)
	// ErrInsecure is returned when there are records of which nobody vouches that they are authentic. It is an ErrNotFound:
	// they are as good as none.
	ErrInsecure = fmt.Errorf("%w: only records without DNSSEC's authentication", ErrNotFound)
	// ErrNullMX is returned when a domain declares that it takes no mail (RFC 7505).
	ErrNullMX = errors.New("domain accepts no mail (null MX)")
	// ErrBadName is returned when a name cannot stand in DNS; nothing was asked. It is an ErrNXDomain.
	ErrBadName = fmt.Errorf("%w: malformed", ErrNXDomain)
)
