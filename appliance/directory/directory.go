// Package directory knows people: who may send faxes, where, when and how many, and in which mailboxes a received fax
// ends. People, groups and permissions stand in tables of the store; LDAP (Active Directory) and Microsoft Graph add
// their mailboxes and groups.
//
// # Who may fax
//
// Permissions belong to an [Entry]: a user, a group, a mail domain, or everyone. For one fax the most specific of them
// that the sender has decide: the user's own; else those of the groups; else the domain's; else everyone's. None:
// the fax is refused. Among equals (several groups):
//
//  1. One that denies faxing wins.
//  2. Their destinations are one table of dial rules, as in package routing: the longest prefix that fits the number
//     decides, a denial wins a tie, and a permission without destinations permits all numbers.
//  3. All permissions that permit by that same prefix must agree on hours, pages and daily limits: the strictest wins.
//
// Pages and faxes of a day are counted per user, whichever permission was used, and last over restarts.
//
// # Where a received fax goes
//
// A [Source] resolves an address to mailboxes. A [Chain] asks several in order and remembers their answers. An address
// is "unknown" only when a source said so; one that cannot be asked never makes an address unknown.
package directory

import (
	"errors"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/smtpstack"
)

var (
	// ErrUnknown is returned when the directory was asked and has no such address.
	ErrUnknown = errors.New("directory: no such address")
	// ErrUnavailable is returned when the directory could not be asked; nothing is known of the address. See [Failure].
	ErrUnavailable = errors.New("directory: cannot be asked now")
	// ErrEntry is returned when an entry to be stored makes no sense; the error says why.
	ErrEntry = errors.New("directory: entry not valid")
	// ErrNotFound is returned when the table has no such entry.
	ErrNotFound = store.ErrNotFound
)

// Options tunes New.
type Options struct {
	// Zone is where a day of the daily limits begins, and the zone of hours that name none. nil: time.Local.
	Zone *time.Location
	// Members tells the groups of senders from outside the table; nil: the table alone. Make it a [Chain].
	Members Members
}

// Directory is the table of people and permissions in a store. Its methods are safe for concurrent use.
type Directory struct {
	st *store.Store
	o  Options

	maxReservations int // jobs remembered
}

// New returns the store's directory.
func New(st *store.Store, o Options) *Directory {
	if o.Zone == nil {
		o.Zone = time.Local
	}
	return &Directory{st: st, o: o, maxReservations: maxReservations}
}

// Normalize returns the form in which mail addresses are compared: in lower case, unquoted (local parts are not case
// sensitive in Exchange; RFC 5321 2.4 lets the receiving system decide). Errors: smtpstack.ErrAddressSyntax.
func Normalize(address string) (string, error) {
	local, domain, err := smtpstack.SplitAddress(strings.TrimSpace(address))
	if err != nil {
		return "", err
	}
	return strings.ToLower(local) + "@" + domain, nil
}

// domainOf returns the domain of a normalized address.
func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }
