// Package receive is the receive connector: an SMTP server (RFC 5321) that takes mail for fax addresses and the
// postmaster from allowed networks and senders, for a LAN's own devices also mail to be passed on, and refuses everything
// else at RCPT with a reason in words.
//
// The protocol is spoken by github.com/emersion/go-smtp. Between it and the socket, inside TLS too, stands a wire that
// cures what go-smtp does otherwise than RFC 5321 or than a server on the open net must:
//
//   - STARTTLS is done on the wire, and a new go-smtp conversation begins within, so that the wire keeps seeing text;
//     what came along with STARTTLS in the clear is never heard.
//   - <postmaster> is taken without a domain, and paths reach our policy with their quotes.
//   - Parameters not offered get 555, commands out of order 503, the sender 2.1.0, a recipient 2.1.5.
//   - AUTH and all parameters of MAIL and RCPT are read on the wire, with the replies of their RFCs.
//   - A command line ends in CR LF and has a limit; in a message only CR LF . CR LF is the end, and what is stored has
//     no bare CR or LF.
//   - Messages are read on the wire, BDAT since go-smtp's own takes one cut off in its last chunk for a whole one, DATA
//     since go-smtp goes octet by octet.
//   - Deadlines move with the data and have a total; connections, messages, recipients and errors are counted for each client and network.
package receive

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// Backend takes the mail. The appliance implements it; calls come from many connections at once.
//
// An error that is a *smtpstack.Reply (by errors.As) is answered as it is. A full disk (ENOSPC, EDQUOT) is answered
// 452 4.3.1, any other error 451 4.3.0 without its text, which may tell too much; Config.Trace shows it.
type Backend interface {
	// Recipient says whether one more recipient is taken; nil takes it. env.To has those taken before. The connector
	// has already checked network, sender, domain and number.
	Recipient(ctx context.Context, env smtpstack.Envelope, rcpt smtpstack.Recipient) error
	// Begin opens a place for the message; it is called when DATA or the first BDAT comes.
	Begin(ctx context.Context, env smtpstack.Envelope) (Spool, error)
}

// Spool takes one message's octets, beginning with our Received field, lines ending in CR LF.
// Exactly one of Commit and Abort is called.
type Spool interface {
	io.Writer
	// Commit returns when the message and its jobs are on disk and synced: the client is told 250 with the id, and
	// never sends it again.
	Commit(ctx context.Context) (id string, err error)
	// Abort drops what was written.
	Abort()
}

// Config is one receive connector.
type Config struct {
	Name     string         // for the envelope and the trace
	Hostname string         // in greeting, EHLO and Received; also a domain of the postmaster
	Networks []netip.Prefix // clients that may send; empty: none but those of NetworkSets
	// NetworkSets are further clients that may send, like ExchangeOnline.
	NetworkSets []NetworkSet
	Senders     []string // "user@example.com", "example.com" or "@example.com", "*" any; empty: none
	FaxDomains  []string // domains whose local parts are fax numbers
	// RelayTo are domains, beside those for faxes, whose mail is taken and passed on: "contoso.com", "*.contoso.com" for what is
	// below, "*" for all. Empty: none. It goes only with Networks of one's own and listed Senders; see checkRelay.
	RelayTo []string
	// Returns undoes the sender addresses at ReturnDomain, which may be a fax domain too; nil: there are none.
	Returns      Returns
	ReturnDomain string
	TLS          *tls.Config // offers STARTTLS; nil: not offered
	RequireTLS   bool        // no mail without it
	// ImplicitTLS has TLS from the first octet (RFC 8314 3.3, port 465), instead of STARTTLS.
	ImplicitTLS bool
	ClientCert  *ClientCert // asks for client certificates; nil: not

	Authenticate Authenticator // offers AUTH PLAIN and LOGIN (RFC 4954); nil: not offered
	RequireAuth  bool          // no mail without a sign-in
	// AuthInClear are the clients that may sign in without TLS: their passwords can be read on the way.
	AuthInClear []netip.Prefix

	// Proxies are the hosts that speak the PROXY protocol, version 1 or 2. With any, all others are refused at the door,
	// and Networks and all else go by the client the proxy names.
	Proxies []netip.Prefix
	// TrustedRelays are edge servers whose Received fields tell where a message is from (OriginSpool); they must be in
	// Networks too. List only hosts that always add such a field themselves, and all addresses they pass mail among
	// themselves with.
	TrustedRelays []netip.Prefix

	MaxSize       int64 // octets of a message, default 36 MB as Exchange Online's default
	MaxRecipients int   // per message, default 100 (RFC 5321 4.5.3.1.8)
	MaxConns      int   // connections at once, default 200
	MaxConnsPerIP int   // from one address (IPv6: /64), default 10; from a /24 (IPv6: /48) four times as many
	Limits        Limits

	CommandTimeout time.Duration // between commands, default 5 min (RFC 5321 4.5.3.2.7)
	ReadTimeout    time.Duration // between two pieces of data, default 3 min (RFC 5321 4.5.3.2.5)
	DataTimeout    time.Duration // for all of a message's data, default 30 min
	SessionTimeout time.Duration // for a whole connection, default 1 h
	WriteTimeout   time.Duration // for a reply to leave, default 1 min

	Trace func(Event) // may be nil; must not block
}

// Event is one line of a connection's transcript. Message data and secrets are never in it; addresses, and so telephone
// numbers, are.
type Event struct {
	At        time.Time
	Connector string
	Client    netip.Addr
	Dir       string // "<" from the client, ">" to it, "!" what happened
	Text      string
}

const (
	defaultMaxSize = 36 << 20
	maxErrors      = 20 // refused or unknown commands before we hang up
	maxCommandLine = 2048
)

func (c *Config) setDefaults() error {
	c.MaxSize = cmp.Or(c.MaxSize, defaultMaxSize)
	c.MaxRecipients = cmp.Or(c.MaxRecipients, 100)
	c.MaxConns = cmp.Or(c.MaxConns, 200)
	c.MaxConnsPerIP = cmp.Or(c.MaxConnsPerIP, 10)
	c.CommandTimeout = cmp.Or(c.CommandTimeout, 5*time.Minute)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 3*time.Minute)
	c.DataTimeout = cmp.Or(c.DataTimeout, 30*time.Minute)
	c.SessionTimeout = cmp.Or(c.SessionTimeout, time.Hour)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, time.Minute)
	c.Limits.setDefaults()
	if c.Trace == nil {
		c.Trace = func(Event) {}
	}
	if c.Hostname == "" || strings.ContainsAny(c.Hostname, " \t\r\n") {
		return fmt.Errorf("receive: connector %q: host name %q is not a name", c.Name, c.Hostname)
	}
	if c.RequireTLS && c.TLS == nil {
		return fmt.Errorf("receive: connector %q: TLS is required but has no certificate", c.Name)
	}
	if c.MaxSize < 0 || c.MaxRecipients < 0 || c.MaxConns < 0 || c.MaxConnsPerIP < 0 {
		return fmt.Errorf("receive: connector %q: a limit is negative", c.Name)
	}
	if err := c.checkSignIn(); err != nil {
		return fmt.Errorf("receive: connector %q: %w", c.Name, err)
	}
	if err := c.checkRelay(); err != nil {
		return fmt.Errorf("receive: connector %q: %w", c.Name, err)
	}
	c.prepareTLS()
	normal := func(list []string) []string {
		out := make([]string, len(list))
		for i, s := range list {
			local, domain, isAddress := strings.Cut(strings.TrimPrefix(s, "@"), "@")
			if !isAddress {
				local, domain = "", local
			} else {
				local = strings.ToLower(local) + "@"
			}
			out[i] = local + asciiDomain(strings.TrimSuffix(domain, "."))
		}
		return out
	}
	c.Senders, c.FaxDomains, c.RelayTo = normal(c.Senders), normal(c.FaxDomains), normal(c.RelayTo)
	return nil
}

// checkSignIn refuses settings with which nobody could ever send, or which promise what they do not hold.
func (c *Config) checkSignIn() error {
	switch {
	case c.ImplicitTLS && c.TLS == nil:
		return errors.New("TLS from the first octet has no certificate")
	case c.ClientCert != nil && c.TLS == nil:
		return errors.New("client certificates need TLS")
	case c.ClientCert != nil && len(c.ClientCert.Names) == 0:
		return errors.New("client certificates need the names that they may have")
	case c.RequireAuth && c.Authenticate == nil:
		return errors.New("a sign-in is required but nobody checks it")
	case c.Authenticate != nil && c.TLS == nil && len(c.AuthInClear) == 0:
		return errors.New("a sign-in needs TLS or clients that may do without")
	}
	if c.ClientCert != nil {
		for _, name := range c.ClientCert.Names {
			if !nameCovers(name, name) {
				return fmt.Errorf("%q is no name of a certificate", name)
			}
		}
	}
	return nil
}

// prepareTLS asks for certificates without judging them: a handshake that fails for one would keep out servers that
// merely present what they have.
func (c *Config) prepareTLS() {
	if c.TLS == nil {
		return
	}
	c.TLS = c.TLS.Clone()
	if c.ClientCert != nil {
		c.TLS.ClientAuth, c.TLS.ClientCAs = tls.RequestClientCert, nil
	}
}

// ErrServerClosed is returned by Serve after Shutdown or Close.
var ErrServerClosed = errors.New("receive: server closed")

// Listen opens the connector's listener, like net.Listen; a port in use gives an error that says so.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	return l, nil
}
