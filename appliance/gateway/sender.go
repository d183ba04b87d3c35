package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/srs"
	"github.com/tipring/tipring/smtpstack/verify"
)

// SenderCheck is what a receive connector demands of its senders.
type SenderCheck struct {
	Policy   verify.Policy
	Verifier *verify.Verifier
	// Senders are the addresses and domains whose From may fax, as the configuration has them; "*" is everyone.
	Senders []string
	// Relays are edge servers: where their mail is from stands in its header, so nothing can be said of it at RCPT.
	Relays []netip.Prefix
}

// NewSenderCheck makes the check of a connector. senders are its addresses and domains. It fails when the policy makes no sense.
func NewSenderCheck(p verify.Policy, senders []string, v func(verify.Policy) (*verify.Verifier, error)) (*SenderCheck, error) {
	for _, s := range senders {
		domain := s[strings.LastIndexByte(s, '@')+1:]
		if !slices.Contains(p.Domains, domain) {
			p.Domains = append(p.Domains, domain)
		}
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	ver, err := v(p)
	if err != nil {
		return nil, err
	}
	return &SenderCheck{Policy: p, Verifier: ver, Senders: senders}, nil
}

// lists tells whether an address may fax: by itself, by its domain, or because everyone may.
func (c *SenderCheck) lists(address string) bool { return among(c.Senders, address) }

func among(senders []string, address string) bool {
	address = strings.ToLower(address)
	domain := address[strings.LastIndexByte(address, '@')+1:]
	return domain != "" && slices.ContainsFunc(senders, func(s string) bool {
		s = strings.ToLower(s)
		return s == "*" || s == address || strings.TrimPrefix(s, "@") == domain
	})
}

// Check finds out who sent the message in r, and judges that: nil is taken. The verdict is complete in any case but a failing reader.
func (c *SenderCheck) Check(ctx context.Context, client verify.Client, r io.Reader) (*verify.Verdict, *smtpstack.Reply, error) {
	d := c.Verifier.Client(ctx, client)
	if err := c.Verifier.Message(ctx, d, r); err != nil {
		return d, nil, err
	}
	if no := c.Policy.Judge(d); no != nil {
		return d, no, nil
	}
	if !c.lists(d.From) {
		return d, smtpstack.Refuse(550, "5.7.1", "%s is not among those who may send faxes here", d.From), nil
	}
	return d, nil, nil
}

// early refuses at RCPT what no message could make good.
func (g *Gateway) early(ctx context.Context, env smtpstack.Envelope) error {
	c := g.o.SenderChecks[env.Connector]
	if c == nil || env.User != "" || len(env.To) > 0 || slices.ContainsFunc(c.Relays, func(p netip.Prefix) bool { return p.Contains(env.Client.Unmap()) }) {
		return nil // said once for a message; of a relay's only when its header has come
	}
	if no := c.Policy.Early(c.Verifier.Client(ctx, clientOf(env))); no != nil {
		g.o.Log.Info("sender refused", "connector", env.Connector, "client", env.Client, "from", env.From, "why", no.String())
		return no
	}
	return nil
}

// clientOf is the host that the sender's own server is: behind a trusted relay the one the relay names.
func clientOf(env smtpstack.Envelope) verify.Client {
	c := verify.ClientOf(env)
	if env.Origin.Client.IsValid() {
		c.Addr, c.Helo, c.Certificates = env.Origin.Client, env.Origin.Helo, nil
	}
	return c
}

// sender is who a mail is from, and how that is known.
type sender struct {
	address string          // notices go there, and its permissions hold
	verdict json.RawMessage // nil: the connector demands no proof
}

// whoSent finds out who sent a message that is in the spool but not taken yet, and whether that sender may fax to its recipients.
// A connector that demands no proof takes MAIL FROM's word; of one that Exchange Online rewrote and that names nobody, the
// From field's, fieldFrom, which is worth as much.
func (g *Gateway) whoSent(ctx context.Context, env smtpstack.Envelope, fieldFrom string, r io.Reader) (sender, error) {
	who := sender{address: believed(env.From)}
	c := g.o.SenderChecks[env.Connector]
	if c == nil && srs.Nameless(env.From) {
		if who.address = fieldFrom; !among(g.o.Senders[env.Connector], fieldFrom) {
			return who, smtpstack.Refuse(550, "5.7.1", "MAIL FROM is rewritten and does not say who sends this, and the From field names nobody who may send faxes here")
		}
	}
	if c != nil && env.User != "" {
		var err error
		if who, err = g.deviceProves(env, fieldFrom); err != nil {
			return who, err
		}
		c = nil
	}
	if c != nil {
		d, no, err := c.Check(ctx, clientOf(env), r)
		if err != nil {
			return who, fmt.Errorf("gateway: sender: %w", err)
		}
		if no != nil {
			g.o.Log.Info("sender refused", "connector", env.Connector, "client", env.Client, "from", d.From, "why", no.String())
			return who, no
		}
		if who.verdict, err = json.Marshal(d); err != nil {
			return who, fmt.Errorf("gateway: sender: %w", err)
		}
		who.address = d.From
	}
	return who, g.mayFax(ctx, who.address, env)
}

// believed is who a MAIL FROM without proof is of: the one whose mail a forwarder sent on (SRS), not the forwarder.
func believed(mailFrom string) string {
	if original, ok := srs.Original(mailFrom); ok {
		return original
	}
	return mailFrom
}

// mayFax holds a mail's recipients against its sender's permissions. One that is refused refuses the mail: its sender's server
// tells it so at once, and nothing of it goes out.
func (g *Gateway) mayFax(ctx context.Context, who string, env smtpstack.Envelope) error {
	if active, err := g.o.People.Active(); err != nil || !active {
		return err
	}
	for _, r := range env.To {
		if r.Postmaster || r.Forward != "" {
			continue
		}
		d, err := g.o.People.May(ctx, who, r.Fax.Number, 0, time.Now())
		switch {
		case errors.Is(err, directory.ErrUnavailable):
			g.o.Log.Warn("directory", "err", err)
			return smtpstack.Refuse(451, "4.3.0", "who may send faxes cannot be looked up at the moment, try again later")
		case err != nil:
			return err
		case !d.Allowed:
			g.o.Log.Info("sender not permitted", "from", who, "number", queue.ShortNumber(r.Fax.Number), "rule", d.Rule, "why", d.Reason)
			return smtpstack.Refuse(550, "5.7.1", "%s: %s", r.Address, d.Reason)
		}
	}
	return nil
}

// reserve counts a job's pages for its sender's day: that of the mail, which was permitted at the hour it came. refused: a sentence for
// the sender.
func (g *Gateway) reserve(ctx context.Context, j queue.Job, pages int) (refused string, err error) {
	if active, err := g.o.People.Active(); err != nil || !active || j.Mail == "" {
		return "", err
	}
	m, err := g.q.Mail(j.Mail)
	if err != nil || m.Connector == "" { // submitted here, by who runs the appliance
		return "", err
	}
	d, err := g.o.People.Reserve(ctx, string(j.ID), cmp.Or(m.Sender, m.From), j.Number, pages, m.Received)
	if err != nil || d.Allowed {
		return "", err
	}
	return d.Reason, nil
}

// Cancel ends a job that waits. What it took off its sender's day is given back when nothing was dialed for it.
func (g *Gateway) Cancel(id queue.JobID, text string) error {
	j, err := g.q.Job(id)
	if err != nil {
		return err
	}
	if err := g.q.CancelJob(id, text); err != nil || len(j.Attempts) > 0 {
		return err
	}
	return g.o.People.Release(string(id))
}
