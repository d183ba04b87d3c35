package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/smtpstack/receive"
)

// Backend returns what the receive connectors hand their mail to.
func (g *Gateway) Backend() receive.Backend { return backend{g} }

type backend struct{ g *Gateway }

// Recipient refuses a number here, in the dialogue, rather than by a bounce later.
func (b backend) Recipient(ctx context.Context, env smtpstack.Envelope, rcpt smtpstack.Recipient) error {
	if rcpt.Postmaster {
		return nil
	}
	if err := b.g.deviceMay(env, env.From); err != nil {
		return err
	}
	if rcpt.Forward != "" {
		return b.relayRecipient(env)
	}
	if err := b.g.early(ctx, env); err != nil {
		return err
	}
	res, err := b.g.Permit(rcpt.Fax.Number)
	if err != nil {
		return err
	}
	if !res.Allowed {
		b.g.o.Log.Info("recipient refused", "number", queue.ShortNumber(rcpt.Fax.Number), "from", env.From, "why", res.Reason)
		return smtpstack.Refuse(550, "5.7.1", "%s", res.Reason)
	}
	if err := b.g.st.Room(0); errors.Is(err, store.ErrDiskFull) {
		b.g.alarms.CheckDisk()
		return smtpstack.Refuse(452, "4.3.1", "the disk is full, try again later")
	}
	return nil
}

// Begin opens the spool file.
func (b backend) Begin(_ context.Context, env smtpstack.Envelope) (receive.Spool, error) {
	f, err := b.g.st.Create(store.Mails)
	if err != nil {
		return nil, b.full(err)
	}
	return &spool{g: b.g, f: f, env: env}, nil
}

// full turns a full disk into the reply that makes the client try again.
func (b backend) full(err error) error {
	if errors.Is(err, store.ErrDiskFull) {
		b.g.alarms.CheckDisk()
		return smtpstack.Refuse(452, "4.3.1", "the disk is full, try again later")
	}
	return err
}

// spool is one mail on its way in. It keeps a copy of the header, to judge it before the 250.
type spool struct {
	g      *Gateway
	f      *store.File
	env    smtpstack.Envelope
	size   int64
	header []byte
	ended  bool // the header is complete
}

// maxHeader is how much of a header is looked at.
const maxHeader = 256 << 10

func (s *spool) Write(p []byte) (int, error) {
	if !s.ended && len(s.header) < maxHeader {
		from := max(len(s.header)-3, 0)
		s.header = append(s.header, p[:min(len(p), maxHeader-len(s.header))]...)
		if i := bytes.Index(s.header[from:], []byte("\r\n\r\n")); i >= 0 {
			s.header, s.ended = s.header[:from+i+4], true
		}
	}
	n, err := s.f.Write(p)
	s.size += int64(n)
	if err != nil {
		err = backend{s.g}.full(err)
	}
	return n, err
}

func (s *spool) Abort() { _ = s.f.Abort() }

// Origin takes where a trusted relay has the mail from.
func (s *spool) Origin(o smtpstack.Origin) error {
	s.env.Origin = o
	return nil
}

// Commit gives the mail to the queue. Mail that must not be faxed is refused here, while its sender's server still
// listens; afterwards it is ours.
func (s *spool) Commit(ctx context.Context) (string, error) {
	msg, err := message.Parse(bytes.NewReader(s.header), message.Limits{}, nil)
	if err != nil && !s.ended {
		s.Abort()
		return "", smtpstack.Refuse(554, "5.6.0", "the mail's header cannot be read")
	}
	if no := s.refusal(msg); no != nil {
		s.Abort()
		s.g.o.Log.Info("mail refused", "from", s.env.From, "why", no.String())
		return "", no
	}
	if no, err := s.relayRefusal(); err != nil || no != nil {
		s.Abort()
		if err != nil {
			return "", err
		}
		s.g.o.Log.Info("mail not relayed", "connector", s.env.Connector, "client", s.env.Client, "from", s.env.From, "why", no.String())
		return "", no
	}
	who := sender{address: s.env.From}
	if s.faxes() {
		from := ""
		if msg.From != nil {
			from = msg.From.Address
		}
		if who, err = s.g.whoSent(ctx, s.env, from, io.NewSectionReader(s.f, 0, s.size)); err != nil {
			s.Abort()
			return "", err
		}
	}
	undo, no := s.allow(who.address)
	if no != nil {
		s.Abort()
		s.g.o.Log.Warn("mail refused", "from", who.address, "why", no.String())
		return "", no
	}
	id, err := s.g.accept(s.f, s.size, s.env, msg.MessageID, who)
	if err != nil {
		undo()
		return "", backend{s.g}.full(err)
	}
	s.g.o.Log.Info("mail accepted", "mail", id, "from", who.address, "recipients", len(s.env.To), "octets", s.size)
	return string(id), nil
}

// refusal is why a mail for fax numbers is not taken by its header: machines do not fax, and options have to be understood.
func (s *spool) refusal(msg *message.Message) *smtpstack.Reply {
	if s.toPostmaster() {
		if no := postmasterRefusal(msg.Header); no != nil {
			return no
		}
	}
	if !s.faxes() {
		return nil
	}
	if loop := message.CheckLoop(msg.Header, s.env.From); !loop.Fax {
		return smtpstack.Refuse(550, "5.7.1", "%s It is not faxed.", loop.Reason)
	}
	if _, _, err := smtpstack.ParseSubject(msg.Subject); err != nil {
		return smtpstack.Refuse(550, "5.6.0", "the subject: %v", err)
	}
	return nil
}

// faxes tells whether any recipient is a fax number; mail to the postmaster or to be passed on may be of any kind.
func (s *spool) faxes() bool {
	for _, r := range s.env.To {
		if !r.Postmaster && r.Forward == "" {
			return true
		}
	}
	return false
}

// coverWords are how records hold the choice of a cover page.
var coverWords = map[smtpstack.Choice]string{smtpstack.On: "yes", smtpstack.Off: "no"}

// recipient is what a mail's record keeps of each recipient beside the address.
type recipient struct {
	Number     string `json:"number,omitempty"`  // normalized; "" for the postmaster and Forward
	Forward    string `json:"forward,omitempty"` // the mail is passed on to this address
	Subaddress string `json:"subaddress,omitempty"`
	Name       string `json:"name,omitempty"`
	Resolution string `json:"resolution,omitempty"`
	Cover      string `json:"cover,omitempty"`
	Notify     string `json:"notify,omitempty"`   // NOTIFY= (RFC 3461 4.1)
	Original   string `json:"original,omitempty"` // ORCPT= decoded (RFC 3461 4.2)
	Silent     bool   `json:"silent,omitempty"`   // NOTIFY=NEVER: its sender wants no notice, whatever becomes of it (RFC 3461 4.1)
}

// accept makes the file durable and names it in the queue. After an error nothing of it is left.
func (g *Gateway) accept(f *store.File, size int64, env smtpstack.Envelope, messageID string, who sender) (queue.MailID, error) {
	e := queue.Envelope{From: env.From, Sender: who.address, Verdict: who.verdict, Connector: env.Connector, Client: env.Client.String(), Helo: env.Helo, MessageID: messageID, Size: size,
		Return: env.Return, EnvelopeID: env.EnvelopeID}
	var list []recipient
	for _, r := range env.To {
		e.To = append(e.To, r.Address)
		o := r.Fax.Options
		if r.Forward != "" {
			list = append(list, recipient{Forward: r.Forward, Notify: r.Notify.String(), Original: r.OriginalRecipient})
			continue
		}
		list = append(list, recipient{Notify: r.Notify.String(), Original: r.OriginalRecipient, Number: r.Fax.Number, Subaddress: r.Fax.Subaddress, Name: r.Fax.Name, Resolution: o.Resolution,
			Cover: coverWords[o.Cover], Silent: r.Notify&smtpstack.NotifyNever != 0})
	}
	meta, err := json.Marshal(list)
	if err != nil {
		return "", errors.Join(fmt.Errorf("gateway: accept: %w", err), f.Abort())
	}
	e.Meta = meta
	if err := f.Commit(); err != nil {
		return "", fmt.Errorf("gateway: accept: %w", err)
	}
	id, err := g.q.AcceptMail(e, f.Name())
	if err != nil {
		// The transaction may have become durable all the same, so the file stays: the next start's sweep decides.
		return "", fmt.Errorf("gateway: accept: %w", err)
	}
	return id, nil
}
