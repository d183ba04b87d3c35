package directory

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// LDAPConfig describes an LDAP directory: Active Directory, or another with the same attributes.
type LDAPConfig struct {
	Name string // of the source; "": "ldap"
	// Servers are asked in this order until one answers: ldap://host:389 or ldaps://host:636. A forest of several domains
	// needs its global catalog (ports 3268, 3269).
	Servers []string
	// StartTLS encrypts ldap:// (RFC 4511 4.14). Without it and without ldaps:// a password is not sent.
	StartTLS bool
	TLS      *tls.Config // nil: the system's authorities; ServerName is the server's own
	BindDN   string      // or user@domain with Active Directory; "": anonymous
	Password string
	BaseDN   string // users and groups are searched below it
	// GroupMember is the attribute of groups that lists members by DN: "member" ("": that), "uniqueMember".
	GroupMember string
	Timeout     time.Duration // of each server's connection and of each answer; 0: 5 s
}

// LDAP is an LDAP directory as a Source. It looks addresses up in proxyAddresses ("SMTP:" marks the primary one) and
// mail, senders in userPrincipalName too, and follows groups both ways. It makes a connection for each question: asked
// through a [Chain], questions are rare.
type LDAP struct {
	c       LDAPConfig
	servers []ldapServer

	mu      sync.Mutex
	down    []time.Time // by server: it failed then
	refused time.Time   // the password was refused then
}

type ldapServer struct {
	addr, host string
	tls        bool
}

// Bounds of what is asked of a server.
const (
	ldapTimeout    = 5 * time.Second
	ldapPage       = 200     // entries of one page (RFC 2696)
	maxGroupDepth  = 10      // of groups in groups
	maxGroupsOf    = 1000    // of one person
	maxLDAPMembers = 5000    // DNs looked at for one group
	maxLDAPOctets  = 8 << 20 // read on one connection
	downFor        = time.Minute
	restFor        = 5 * time.Second
	refusedFor     = 10 * time.Minute // Active Directory locks accounts that try a wrong password often
)

// NewLDAP checks the configuration; it does not connect.
func NewLDAP(c LDAPConfig) (*LDAP, error) {
	if c.Name == "" {
		c.Name = "ldap"
	}
	if c.GroupMember == "" {
		c.GroupMember = "member"
	}
	if c.Timeout <= 0 {
		c.Timeout = ldapTimeout
	}
	if _, err := ldap.ParseDN(c.BaseDN); err != nil || c.BaseDN == "" {
		return nil, fmt.Errorf("directory: %s: base DN %q: write one like DC=contoso,DC=com", c.Name, c.BaseDN)
	}
	if len(c.Servers) == 0 {
		return nil, fmt.Errorf("directory: %s: no server", c.Name)
	}
	if (c.BindDN == "") != (c.Password == "") {
		// A bind with a name and no password counts as anonymous (RFC 4513 5.1.2) and would look as if it worked.
		return nil, fmt.Errorf("directory: %s: bind DN and password go together", c.Name)
	}
	l := &LDAP{c: c, down: make([]time.Time, len(c.Servers))}
	for _, s := range c.Servers {
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" || u.Scheme != "ldap" && u.Scheme != "ldaps" || strings.Trim(u.Path, "/") != "" || u.User != nil {
			return nil, fmt.Errorf("directory: %s: server %q: write ldap://host or ldaps://host", c.Name, s)
		}
		server := ldapServer{host: u.Hostname(), tls: u.Scheme == "ldaps"}
		port := u.Port()
		if port == "" {
			port = map[bool]string{false: "389", true: "636"}[server.tls]
		}
		server.addr = net.JoinHostPort(server.host, port)
		if c.Password != "" && !server.tls && !c.StartTLS {
			return nil, fmt.Errorf("directory: %s: %s would see the password in clear: use ldaps:// or StartTLS", c.Name, s)
		}
		l.servers = append(l.servers, server)
	}
	return l, nil
}

// Name implements [Source].
func (l *LDAP) Name() string { return l.c.Name }

// errStartTLS marks what go-ldap makes of a failed handshake, which hides its cause.
var errStartTLS = errors.New("StartTLS")

// fail makes a Failure of an error; of what an administrator must change it tells the remedy.
func (l *LDAP) fail(op string, err error) error {
	if err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrUnavailable) {
		return err
	}
	f := &Failure{Source: l.c.Name, Err: fmt.Errorf("%s: %w", op, err)}
	var code *ldap.Error
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &cert), errors.Is(err, errStartTLS) && ldap.IsErrorWithCode(err, ldap.ErrorNetwork):
		f.Remedy = "No encrypted connection; most often the server's certificate is not trusted: give the file of the authority that signed it, and the name that stands in it as server."
	case !errors.As(err, &code):
	case code.ResultCode == ldap.LDAPResultInvalidCredentials:
		f.Remedy = "The server refuses bind DN or password: correct them."
	case code.ResultCode == ldap.LDAPResultStrongAuthRequired, code.ResultCode == ldap.LDAPResultConfidentialityRequired:
		f.Remedy = "The server demands encryption: use ldaps:// or StartTLS."
	case code.ResultCode == ldap.LDAPResultInsufficientAccessRights, code.ResultCode == ldap.LDAPResultOperationsError:
		f.Remedy = "The server does not let this account search: give bind DN and password of one that may read users and groups."
	case code.ResultCode == ldap.LDAPResultNoSuchObject:
		f.Remedy = "The base DN does not exist, or this account may not see it: correct it."
	case code.ResultCode == ldap.LDAPResultReferral:
		f.Remedy = "This server does not hold that part of the directory: ask the global catalog (port 3268 or 3269)."
	case code.ResultCode == ldap.LDAPResultUndefinedAttributeType, code.ResultCode == ldap.LDAPResultInappropriateMatching:
		f.Remedy = "The server does not know proxyAddresses, mail or userPrincipalName: its schema does not fit."
	}
	return f
}

// session runs f on a connection to the first server that can be had. A server that fails in the middle is left for the
// next one, and f starts again.
func (l *LDAP) session(ctx context.Context, f func(*ldapConn) error) error {
	if l.locked() {
		return &Failure{Source: l.c.Name, Remedy: "The server refuses bind DN or password: correct them.",
			Err: errors.New("the password was refused; it is not tried again yet, or the account would be locked")}
	}
	if l.allDown() {
		return &Failure{Source: l.c.Name, RetryAfter: restFor, Err: errors.New("no server answered a moment ago")}
	}
	var failed []error
	for _, i := range l.order() {
		err := l.on(ctx, l.servers[i], f)
		if err == nil || errors.Is(err, ErrUnknown) {
			l.note(i, time.Time{})
			return err
		}
		if errors.Is(err, ErrUnavailable) {
			return err // the directory's content is at fault: the other servers hold the same
		}
		err = l.fail(l.servers[i].addr, err)
		failed = append(failed, err)
		if ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
			l.lock()
			break // the other servers would count it too
		}
		if ctx.Err() != nil {
			break
		}
		l.note(i, time.Now())
	}
	return errors.Join(failed...)
}

// order is the servers' order, those that failed lately at the end.
func (l *LDAP) order() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var up, down []int
	for i, at := range l.down {
		if !at.IsZero() && time.Since(at) < downFor {
			down = append(down, i)
		} else {
			up = append(up, i)
		}
	}
	return append(up, down...)
}

// allDown tells that all servers failed just now: who asks meanwhile, mostly in an SMTP dialogue, need not wait for that
// again.
func (l *LDAP) allDown() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !slices.ContainsFunc(l.down, func(at time.Time) bool { return at.IsZero() || time.Since(at) >= restFor })
}

func (l *LDAP) note(server int, failed time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down[server] = failed
}

func (l *LDAP) locked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.refused.IsZero() && time.Since(l.refused) < refusedFor
}

func (l *LDAP) lock() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = time.Now()
}

// on connects to one server, signs in and runs f.
func (l *LDAP) on(ctx context.Context, s ldapServer, f func(*ldapConn) error) error {
	raw, err := (&net.Dialer{Timeout: l.c.Timeout}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	defer raw.Close()
	// Whatever happens, an ended context ends the wait: go-ldap knows none.
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	var wire net.Conn = &boundedConn{Conn: raw, left: maxLDAPOctets}
	if s.tls {
		t := tls.Client(wire, l.tlsConfig(s))
		handshake, cancel := context.WithTimeout(ctx, l.c.Timeout)
		defer cancel()
		if err := t.HandshakeContext(handshake); err != nil {
			return err
		}
		wire = t
	}
	conn := ldap.NewConn(wire, s.tls)
	conn.SetTimeout(l.c.Timeout)
	conn.Start()
	defer conn.Close()
	if l.c.StartTLS && !s.tls {
		if err := conn.StartTLS(l.tlsConfig(s)); err != nil {
			return fmt.Errorf("%w: %w", errStartTLS, err)
		}
	}
	if l.c.BindDN != "" {
		if err := conn.Bind(l.c.BindDN, l.c.Password); err != nil {
			return err
		}
	}
	err = f(&ldapConn{Conn: conn, c: &l.c, ctx: ctx})
	if ctx.Err() != nil && err != nil && !errors.Is(err, ErrUnknown) {
		return ctx.Err()
	}
	return err
}

func (l *LDAP) tlsConfig(s ldapServer) *tls.Config {
	c := &tls.Config{}
	if l.c.TLS != nil {
		c = l.c.TLS.Clone()
	}
	if c.ServerName == "" {
		c.ServerName = s.host
	}
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	return c
}

// boundedConn ends a connection on which a server sends without end.
type boundedConn struct {
	net.Conn
	left int64
}

var errTooMuch = fmt.Errorf("the server sends more than %d MiB", maxLDAPOctets>>20)

func (b *boundedConn) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// Lookup implements [Source].
func (l *LDAP) Lookup(ctx context.Context, address string) (Result, error) {
	var res Result
	err := l.session(ctx, func(c *ldapConn) error {
		e, err := c.byAddress(address, "proxyAddresses", "mail")
		if err != nil {
			return err
		}
		res = Result{Address: e.mailbox(), Name: e.name(), Group: e.group(), Source: l.c.Name}
		if !res.Group {
			if res.Address == "" {
				return fmt.Errorf("%w: %s has no mail address", ErrUnknown, address)
			}
			res.Mailboxes = []string{res.Address}
			return nil
		}
		res.Mailboxes, err = c.members(e)
		return err
	})
	if err != nil {
		return Result{}, err
	}
	return res, nil
}

// Member implements [Source].
func (l *LDAP) Member(ctx context.Context, address string) (Member, error) {
	var m Member
	err := l.session(ctx, func(c *ldapConn) error {
		e, err := c.byAddress(address, "proxyAddresses", "mail", "userPrincipalName")
		if err != nil {
			return err
		}
		if e.group() {
			return fmt.Errorf("%w: %s is a group", ErrUnknown, address)
		}
		m = Member{Address: e.mailbox(), Name: e.name(), Source: l.c.Name}
		if m.Address == "" {
			m.Address = address
		}
		m.Groups, err = c.groupsOf(e)
		return err
	})
	if err != nil {
		return Member{}, err
	}
	slices.Sort(m.Groups)
	return m, nil
}
