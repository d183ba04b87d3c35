// Package send has the send connectors: a [Sender] delivers one mail to its recipients, by client submission, through a
// smart host or to the mail exchangers of their domains, and says for each recipient what came of it and what the queue
// should do. A [Router] chooses the connector by the recipient's domain; a [Callout] asks whether a recipient exists.
//
// The dialogue is spoken here, with deadlines for each phase and a context that ends it at once, and every step goes
// into a transcript without secrets. Mail goes out by DATA alone: BDAT (RFC 3030) carries no more than 8BITMIME does unless a
// server takes binary parts, which we never write. Connectors keep to their limits, send slower when they are asked to, and protect
// connections as the domain publishes (DANE, MTA-STS) or as they once did.
package send

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// TLSPolicy says how a connection is protected.
type TLSPolicy int

// The policies.
const (
	Opportunistic TLSPolicy = iota // STARTTLS when offered, any certificate, else in the clear (RFC 7435)
	Required                       // STARTTLS with a certificate valid for the host's name, else hold and alarm
	Implicit                       // TLS from the first octet (RFC 8314), certificate valid
	NoTLS                          // never
)

// Config is one send connector.
type Config struct {
	Name     string
	Hostname string // for EHLO: this host's own full name
	Host     string // smart host as "host" or "host:port"; "" delivers to the MX of each recipient's domain
	// MXOf leads all mail to the mail exchangers of this domain, whoever the recipients are: relaying through the
	// organisation's own tenant, whose exchangers' names only DNS knows. Host is "" then.
	MXOf string
	Port int // when Host names none, and for MX: default 25 (465 with Implicit)

	TLS       TLSPolicy
	TLSConfig *tls.Config   // roots, client certificate; may be nil. ServerName is set here
	Auth      Authenticator // nil: no sign-in. With it TLS is at least Required: a secret never leaves unprotected

	// Policies set TLS apart from the rule for domains that MX delivery reaches: "example.com" or "*.example.com".
	Policies map[string]TLSPolicy
	DANE     bool // MX delivery: authenticate hosts by TLSA records (RFC 7672); needs a validating resolver
	STS      *STS // MX delivery: MTA-STS (RFC 8461); nil: not asked for

	// NullFrom stands for the null sender in MAIL FROM; "": it goes as it is. Client submission takes mail from the mailbox that signed in
	// only (Exchange Online: 5.7.60), so a bounce sent on goes as that mailbox's own.
	NullFrom string

	MaxRecipients int    // in one transaction, default 100 (RFC 5321 4.5.3.1.8)
	Limits        Limits // of connections, messages and recipients
	Store         Store  // what is remembered over restarts; nil: nothing
	Timeouts      Timeouts
	Dial          func(ctx context.Context, network, addr string) (net.Conn, error) // default net.Dialer
}

// Timeouts of the phases; zero fields have the values of RFC 5321 4.5.3.2.
type Timeouts struct {
	Connect   time.Duration // TCP, default 30 s
	Greeting  time.Duration // default 5 min
	Command   time.Duration // EHLO, STARTTLS with handshake, AUTH, MAIL, RCPT; default 5 min
	DataStart time.Duration // reply to DATA, default 2 min
	DataBlock time.Duration // for a block of data to leave, default 3 min
	DataEnd   time.Duration // reply to the final dot, default 10 min
}

func (t Timeouts) withDefaults() Timeouts {
	t.Connect = cmp.Or(t.Connect, 30*time.Second)
	t.Greeting = cmp.Or(t.Greeting, 5*time.Minute)
	t.Command = cmp.Or(t.Command, 5*time.Minute)
	t.DataStart = cmp.Or(t.DataStart, 2*time.Minute)
	t.DataBlock = cmp.Or(t.DataBlock, 3*time.Minute)
	t.DataEnd = cmp.Or(t.DataEnd, 10*time.Minute)
	return t
}

// Message is what to deliver.
type Message struct {
	From string // MAIL FROM; "" is the null sender
	To   []string
	Size int64                         // octets, for SIZE (RFC 1870); 0 is unknown
	Open func() (io.ReadCloser, error) // the mail; called for each transaction, also side by side
	DSN  *DSN                          // which notifications are asked for (RFC 3461); nil: none said
	UTF8 bool                          // header fields need SMTPUTF8 (RFC 6531)
}

// Result is what came of one recipient.
type Result struct {
	To    string
	Class smtpstack.Class
	Reply smtpstack.Reply // of the server, or in its place ours; Code 0: none, see Err
	Host  string          // server spoken to last, "" if none
	// Connector is the name of the send connector that made the result; "" when no route led to one.
	Connector string
	Remedy    string // for class Configuration: what to change
	Err       error  // network, TLS, DNS, reading the mail
	// RetryAfter is how long a retry has no chance, where that is known; else 0.
	RetryAfter time.Duration
	// MaxSize is the largest mail the server says it takes (SIZE, RFC 1870), in octets, when this one is refused for that; else 0.
	MaxSize int64
	// Unconfirmed is true when the whole mail was sent and the answer never came: a retry may deliver it twice.
	Unconfirmed bool
}

// Text says in one line what happened.
func (r Result) Text() string {
	s := r.Reply.String()
	if r.Reply.Code == 0 {
		s = "no answer"
		if r.Err != nil {
			s = smtpstack.OneLine(r.Err.Error())
		}
	}
	if r.Host != "" {
		s = r.Host + ": " + s
	}
	return s
}

// Report is what came of one Deliver.
type Report struct {
	Results    []Result // in the order of Message.To
	Transcript []Event
}

// Event is one line of a transcript; data and secrets are left out.
type Event struct {
	At   time.Time
	Dir  string // ">" to the server, "<" from it, "!" what happened
	Text string
}

// String is the event in one line.
func (e Event) String() string { return e.At.Format("15:04:05.000 ") + e.Dir + " " + e.Text }

// maxTranscript bounds what a talkative server can make us keep.
const maxTranscript = 2000

// Sender delivers through one connector. It is safe for concurrent use.
type Sender struct {
	cfg      Config
	resolver resolve.Resolver
	pace     *pace
}

// New returns a Sender. The resolver may be nil for a smart host that is given by address, or that the dialer
// resolves.
func New(cfg Config, r resolve.Resolver) (*Sender, error) {
	if cfg.Hostname == "" || strings.ContainsAny(cfg.Hostname, " \t\r\n<>") {
		return nil, fmt.Errorf("send: connector %q: EHLO name %q is not a name", cfg.Name, cfg.Hostname)
	}
	if cfg.MXOf != "" {
		if cfg.Host != "" {
			return nil, fmt.Errorf("send: connector %q: a host and a domain whose exchangers to use: one too many", cfg.Name)
		}
		domain, err := asciiPattern(cfg.MXOf)
		if err != nil || strings.HasPrefix(domain, "*") {
			return nil, fmt.Errorf("send: connector %q: %q is no domain", cfg.Name, cfg.MXOf)
		}
		cfg.MXOf = domain
	}
	if cfg.Host == "" && r == nil {
		return nil, fmt.Errorf("send: connector %q: delivery by MX needs a resolver", cfg.Name)
	}
	if cfg.Auth != nil && cfg.TLS == NoTLS {
		return nil, fmt.Errorf("send: connector %q: sign-in without TLS would show the password", cfg.Name)
	}
	if cfg.Auth != nil && cfg.TLS == Opportunistic {
		cfg.TLS = Required
	}
	if cfg.Port == 0 {
		cfg.Port = 25
		if cfg.TLS == Implicit {
			cfg.Port = 465
		}
	}
	cfg.MaxRecipients = cmp.Or(cfg.MaxRecipients, 100)
	cfg.Timeouts = cfg.Timeouts.withDefaults()
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	if cfg.Store == nil {
		cfg.Store = NewMemoryStore()
	}
	policies := make(map[string]TLSPolicy)
	for pattern, p := range cfg.Policies {
		key, err := asciiPattern(pattern)
		if err != nil {
			return nil, fmt.Errorf("send: connector %q: TLS policy: %w", cfg.Name, err)
		}
		policies[key] = p
	}
	cfg.Policies = policies
	return &Sender{cfg: cfg, resolver: r, pace: newPace(cfg.Name, cfg.Limits, cfg.Store)}, nil
}

// Name is the connector's name.
func (s *Sender) Name() string { return s.cfg.Name }

// Deliver tries once to deliver the message; when to try again is the caller's to decide by the classes. It never
// fails as a whole: every recipient has a result, also when the context ends.
func (s *Sender) Deliver(ctx context.Context, m Message) Report {
	d := &delivery{s: s, msg: m, results: make([]Result, len(m.To))}
	if m.DSN != nil {
		if err := m.DSN.Check(); err != nil {
			d.trace("!", "%v: no notifications are asked for", err)
			d.msg.DSN = nil
		}
	}
	for _, g := range d.group() {
		d.deliverGroup(ctx, g)
	}
	return Report{Results: d.results, Transcript: d.transcript}
}

// delivery is one call of Deliver.
type delivery struct {
	s          *Sender
	msg        Message
	from       string   // as it goes on the wire
	to         []string // same
	results    []Result
	transcript []Event
	hidden     []string // secrets of the sign-in
	look       *Look    // not nil: somebody looks, no mail goes out
}

// group of recipients that share a destination; rcpts are indices into Message.To.
type group struct {
	domain string // "" for the smart host
	rcpts  []int
}

func (d *delivery) trace(dir, format string, args ...any) {
	if len(d.transcript) >= maxTranscript {
		return
	}
	e := Event{At: time.Now(), Dir: dir, Text: smtpstack.OneLine(d.redact(fmt.Sprintf(format, args...)))}
	d.transcript = append(d.transcript, e)
	if observe != nil {
		observe(e)
	}
}

// observe sees every event; only tests set it.
var observe func(Event)

// keepSecret takes a string out of all that is shown from now on, also when the server repeats it.
func (d *delivery) keepSecret(s string) {
	if len(s) >= 4 && !slices.Contains(d.hidden, s) {
		d.hidden = append(d.hidden, s)
	}
}

func (d *delivery) redact(s string) string {
	for _, h := range d.hidden {
		s = strings.ReplaceAll(s, h, "...")
	}
	return s
}

// group sorts out addresses that cannot go on the wire and groups the others by destination.
func (d *delivery) group() []group {
	var fromErr error
	if from := cmp.Or(d.msg.From, d.s.cfg.NullFrom); from != "" {
		d.from, _, fromErr = wireAddress(from)
	}
	d.to = make([]string, len(d.msg.To))
	var groups []group
	index := make(map[string]int)
	for i, to := range d.msg.To {
		d.results[i].To = to
		if fromErr != nil {
			d.set(i, Result{Class: smtpstack.Configuration, Err: fromErr, Remedy: "The sender's address is malformed: correct it."})
			continue
		}
		addr, domain, err := wireAddress(to)
		if err != nil {
			d.set(i, Result{Class: smtpstack.BadRecipient, Err: err, Reply: *smtpstack.Refuse(553, "5.1.3", "malformed address")})
			continue
		}
		switch {
		case d.s.cfg.Host != "":
			domain = ""
		case d.s.cfg.MXOf != "":
			domain = d.s.cfg.MXOf
		}
		d.to[i] = addr
		g, ok := index[domain]
		if !ok {
			g = len(groups)
			index[domain] = g
			groups = append(groups, group{domain: domain})
		}
		groups[g].rcpts = append(groups[g].rcpts, i)
	}
	return groups
}

func (d *delivery) set(i int, r Result) {
	r.To, r.Connector = d.msg.To[i], d.s.cfg.Name
	d.results[i] = r
}

func (d *delivery) setAll(rcpts []int, r Result) {
	for _, i := range rcpts {
		d.set(i, r)
	}
}

// deliverGroup delivers to one destination, chunk by chunk.
func (d *delivery) deliverGroup(ctx context.Context, g group) {
	hosts, failure := d.s.hosts(ctx, g.domain, d.trace)
	if failure != nil {
		d.trace("!", "%s: %s", g.domain, failure.Text())
		d.setAll(g.rcpts, *failure)
		return
	}
	left := g.rcpts
	for len(left) > 0 {
		now := left[:min(len(left), d.s.cfg.MaxRecipients)]
		turn, wait := d.s.pace.enter(ctx, g.domain, len(now))
		if wait != nil {
			d.trace("!", "%s", wait.Text())
			d.setAll(left, *wait)
			return
		}
		now = now[:turn.recipients]
		d.tryHosts(ctx, hosts, now)
		if pause := turn.leave(d.pick(now)); pause > 0 {
			for n := range d.results {
				if slices.Contains(now, n) && d.results[n].Class == smtpstack.Throttle {
					d.results[n].RetryAfter = pause
				}
			}
			d.setAll(left[len(now):], *tooFast(waitAsked, pause))
			return
		}
		// A server that takes fewer at once (4.5.3) gets the others in the next transaction, as long as it takes some.
		var again []int
		for _, i := range now {
			if d.results[i].Class == smtpstack.Split {
				again = append(again, i)
			}
		}
		if len(again) == len(now) {
			d.setAll(left[len(now):], d.results[now[0]])
			return
		}
		left = append(again, left[len(now):]...)
	}
}

func (d *delivery) pick(rcpts []int) []Result {
	var out []Result
	for _, i := range rcpts {
		out = append(out, d.results[i])
	}
	return out
}

// tryHosts goes through the hosts until one takes part in a transaction.
func (d *delivery) tryHosts(ctx context.Context, hosts []host, rcpts []int) {
	for n, h := range hosts {
		c, err := d.connect(ctx, h)
		if err == nil {
			c.transaction(rcpts)
			c.close()
			return
		}
		r := d.resultOf(err, h)
		d.trace("!", "%s", r.Text())
		d.setAll(rcpts, r)
		if ctx.Err() != nil || n == len(hosts)-1 {
			return
		}
	}
}

// failure is an error with what follows from it.
type failure struct {
	class  smtpstack.Class
	remedy string
	reply  smtpstack.Reply
	err    error
}

func (f *failure) Error() string {
	if f.err != nil {
		return f.err.Error()
	}
	return f.reply.String()
}

func (f *failure) Unwrap() error { return f.err }

func asFailure(err error, f **failure) bool { return errors.As(err, f) }

// resultOf makes the recipients' result of a failure before the transaction.
func (d *delivery) resultOf(err error, h host) Result {
	r := Result{Class: smtpstack.Temporary, Host: h.name, Err: err}
	var f *failure
	if asFailure(err, &f) {
		r.Class, r.Remedy, r.Reply, r.Err = f.class, f.remedy, f.reply, f.err
	}
	return r
}
