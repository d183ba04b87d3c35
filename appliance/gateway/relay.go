package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/smtpstack/send"
)

// Relay says how a receive connector passes on the mail of its devices: printers and scanners that know neither TLS nor a
// sign-in.
type Relay struct {
	// Senders are the addresses and domains that From may have, as the configuration has them; "*" is every one.
	Senders []string
	// From is the mailbox that the mail is submitted as: it takes the place of From and MAIL FROM, and the device's address becomes
	// Reply-To. "": the device's own.
	From string
	// Own are further domains whose MAIL FROM is ours, besides that of our own mail: others' are rewritten, where that is set up.
	Own []string
	// Deliver hands the mail to the next mail server; nil: as our own mail.
	Deliver DeliverFunc
}

// maxRelays is how many mails may wait to be passed on.
const maxRelays = 1000

// relayRecipient says whether there is room for one more mail to be passed on: as much as waits already must still be free, so that
// a mail server that is down for days does not cost the faxes their disk.
func (b backend) relayRecipient(env smtpstack.Envelope) error {
	n, octets, err := b.g.q.RelayBacklog()
	if err != nil {
		return err
	}
	if err := b.g.st.Room(octets + env.Size); errors.Is(err, store.ErrDiskFull) || n >= b.g.maxRelays {
		b.g.alarms.CheckDisk()
		return smtpstack.Refuse(452, "4.3.1", "too much mail waits to be passed on, try again later")
	}
	return nil
}

// relayRefusal is why a mail is not passed on: a loop, a From that is not permitted, or a structure that cannot be mended. It is judged
// by the header as it will go out.
func (s *spool) relayRefusal() (*smtpstack.Reply, error) {
	if !slices.ContainsFunc(s.env.To, func(r smtpstack.Recipient) bool { return r.Forward != "" }) {
		return nil, nil
	}
	h, err := message.CheckFixUp(io.NewSectionReader(s.f, 0, s.size))
	for _, bad := range []error{message.ErrTwice, message.ErrTooDeep, message.ErrTooManyParts, message.ErrHeaderTooLarge} {
		if errors.Is(err, bad) {
			return smtpstack.Refuse(554, "5.6.0", "%v: it is not passed on", bad), nil
		}
	}
	if err != nil {
		return nil, err
	}
	if circles(h, s.g.o.Hostname) {
		return smtpstack.Refuse(554, "5.4.6", "the mail has been here before: it goes in circles"), nil
	}
	if s.env.NullSender() { // what comes back to an address that we made
		return nil, nil
	}
	r := s.g.o.Relays[s.env.Connector]
	if r == nil {
		return smtpstack.Refuse(550, "5.7.1", "relaying denied"), nil
	}
	for _, name := range []string{"From", "Sender"} {
		list, err := h.Addresses(name)
		if err != nil { // nothing that could be believed, and not passed on
			continue
		}
		if len(list) != 1 {
			return smtpstack.Refuse(550, "5.6.0", "%s has more than one address", name), nil
		}
		if err := s.g.deviceMay(s.env, list[0].Address); err != nil {
			return nil, err
		}
		if !among(r.Senders, list[0].Address) {
			return smtpstack.Refuse(550, "5.7.1", "%.100s in %s may not relay here", list[0].Address, name), nil
		}
	}
	return nil, nil
}

// circles tells whether a mail was made by an appliance like this, has passed too many servers, or this one before. The uppermost
// Received field is that of just now.
func circles(h message.Header, hostname string) bool {
	if h.Has(message.LoopField) || message.ReceivedCount(h) >= message.MaxReceived {
		return true
	}
	trace := h.Values("Received")
	ours := "by " + strings.ToLower(hostname) + " (tipring)"
	return slices.ContainsFunc(trace[min(1, len(trace)):], func(v string) bool {
		return strings.Contains(strings.ToLower(strings.Join(strings.Fields(v), " ")), ours)
	})
}

// relays are the outbox items that pass a mail on: one, or one for each choice of reports (NOTIFY).
func (g *Gateway) relays(m queue.Mail, list []recipient, head *message.Message) []queue.NewOut {
	var items []queue.NewOut
	byNotify := map[string]int{}
	for _, r := range list {
		if r.Forward == "" {
			continue
		}
		i, known := byNotify[r.Notify]
		if !known {
			silent := r.Notify != "" && !strings.Contains(r.Notify, "FAILURE") || !message.CheckLoop(head.Header, m.From).Answer
			i, byNotify[r.Notify] = len(items), len(items)
			items = append(items, queue.NewOut{Kind: queue.KindRelay, Payload: queue.Relay{Connector: m.Connector, From: g.relayFrom(m), Sender: m.From,
				Silent: silent, Subject: head.Subject, MessageID: "<" + string(m.ID) + ".relay@" + g.o.Hostname + ">", Client: m.Client, Received: m.Received,
				Notify: r.Notify, Return: m.Return, EnvelopeID: m.EnvelopeID, Original: map[string]string{}}})
		}
		items[i].To = addMissing(items[i].To, r.Forward)
		if kind, address, ok := strings.Cut(r.Original, ";"); ok && strings.EqualFold(kind, "rfc822") {
			items[i].Payload.(queue.Relay).Original[r.Forward] = address
		}
	}
	return items
}

// relayFrom is the MAIL FROM with which a mail is passed on.
func (g *Gateway) relayFrom(m queue.Mail) string {
	r := g.o.Relays[m.Connector]
	switch {
	case m.From == "":
		return ""
	case r != nil && r.From != "":
		return r.From
	}
	domain := m.From[strings.LastIndexByte(m.From, '@')+1:]
	ours := strings.EqualFold(domain, g.o.From[strings.LastIndexByte(g.o.From, '@')+1:]) ||
		r != nil && slices.ContainsFunc(r.Own, func(d string) bool { return strings.EqualFold(d, domain) })
	if ours {
		return m.From
	}
	from, err := g.ForwardedSender(m.From)
	if err != nil { // too long to be rewritten
		g.o.Log.Warn("sender not rewritten", "mail", m.ID, "err", err)
		return m.From
	}
	return from
}

func relayOf(o queue.Out) (r queue.Relay, err error) {
	if err := json.Unmarshal(o.Payload, &r); err != nil {
		return r, fmt.Errorf("gateway: relay %s: %w", o.ID, err)
	}
	return r, nil
}

// relayMail writes a mail that is passed on, mended where it needs to be.
func (g *Gateway) relayMail(o queue.Out) (func(io.Writer) error, error) {
	r, err := relayOf(o)
	if err != nil {
		return nil, err
	}
	m, err := g.q.Mail(o.Mail)
	if err != nil {
		return nil, err
	}
	f := message.FixUp{Date: r.Received, MessageID: r.MessageID, Sender: r.Sender}
	if f.Sender == "" { // a bounce without From
		f.Sender = "postmaster@" + g.o.Hostname
	}
	if rule := g.o.Relays[r.Connector]; rule != nil && r.Sender != "" {
		f.From = rule.From
	}
	return func(w io.Writer) error {
		return f.Write(w, func() (io.ReadCloser, error) { return g.st.OpenFile(m.File) })
	}, nil
}

// relayed completes the envelope of a mail that is passed on, and says who takes it.
func (g *Gateway) relayed(o queue.Out, m *send.Message) (DeliverFunc, error) {
	r, err := relayOf(o)
	if err != nil {
		return nil, err
	}
	m.From, m.DSN = r.From, &send.DSN{Return: r.Return, EnvelopeID: r.EnvelopeID, Original: r.Original}
	if r.Notify != "" {
		m.DSN.Notify = strings.Split(r.Notify, ",")
	}
	if rule := g.o.Relays[r.Connector]; rule != nil && rule.Deliver != nil {
		return rule.Deliver, nil
	}
	return g.o.Deliver, nil
}

// keysFor are the keys that sign a mail: of one that is passed on only those of its From's domain, for nobody else counts (RFC 7489 3.1).
func (g *Gateway) keysFor(o queue.Out, path string) []*message.DKIMKey {
	if o.Kind != queue.KindRelay || len(g.o.DKIM) == 0 {
		return g.o.DKIM
	}
	domain := fromDomain(path)
	return slices.DeleteFunc(slices.Clone(g.o.DKIM), func(k *message.DKIMKey) bool { return !strings.EqualFold(k.Domain, domain) })
}

func relaySubject(o queue.Out) string {
	var r queue.RelayReport // has the fields of both
	if json.Unmarshal(o.Payload, &r) != nil {
		return ""
	}
	if o.Kind == queue.KindReport {
		return reportSubject(r)
	}
	return r.Subject
}
