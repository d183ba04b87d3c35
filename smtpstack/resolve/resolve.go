// Package resolve is the one resolver of the mail side: MX, addresses, TXT and PTR, with a cache and with errors that
// tell "no such thing" from "ask again later".
package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// Resolver answers the questions mail asks of DNS. Every error is one of ErrTemporary, ErrNotFound (ErrNXDomain,
// ErrNoData) or ErrNullMX by errors.Is.
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
	// ErrNullMX is returned when a domain declares that it takes no mail (RFC 7505).
	ErrNullMX = errors.New("domain accepts no mail (null MX)")
	// ErrBadName is returned when a name cannot stand in DNS; nothing was asked. It is an ErrNXDomain.
	ErrBadName = fmt.Errorf("%w: malformed", ErrNXDomain)
)
