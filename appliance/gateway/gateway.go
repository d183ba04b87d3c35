// Package gateway is where mail meets fax: accepted mail becomes jobs and their documents, ended jobs become notices,
// received faxes become mail. It keeps no state of its own beside the queue's: whatever it was doing when the power
// went is found there and done again, once.
package gateway

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/routing"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/smtpstack/srs"
)

// Options say how the appliance treats mail.
type Options struct {
	Hostname   string   // of this box
	FaxDomains []string // whose local parts are numbers
	From       string   // sender of our mail
	FromName   string   // its display name
	Fallback   string   // takes mail whose recipient is refused; "": the mail is held
	FaxType    control.FileType
	CoverText  bool // the mail's text is faxed before the attachments
	// Resolutions are those that a sender may ask for, by the names of [smtpstack.Options].
	Resolutions map[string]imaging.Resolution
	DialPrefix  string
	DialTable   routing.DialTable // the configuration's rules; those of the database come on top
	// SenderChecks are the receive connectors that demand proof of their senders, by name; the others take the word of theirs.
	SenderChecks map[string]*SenderCheck
	// Recipients looks up the addresses of received faxes before they are mailed; nil: they are mailed to as they stand.
	Recipients Recipients
	// RecipientWait is how long a fax waits for an address that cannot be looked up.
	RecipientWait time.Duration
	// Route says where a received fax goes now and by which route; nil is as the fax was routed when it came.
	Route func(f queue.Fax) (to []string, route string, err error)
	// Senders are the addresses and domains that each receive connector takes, by its name.
	Senders map[string][]string
	// SRS rewrites the senders of mail that is sent on; nil: they stay as they are.
	SRS *srs.Ring
	// Devices are those that sign in; nil: none does.
	Devices *directory.Devices
	// Relays are the receive connectors whose devices hand in mail to be passed on, by name.
	Relays map[string]*Relay
	// MailsPerSender is how many mails to be faxed one sender may hand in within an hour; 0: DefaultMailsPerSender.
	MailsPerSender int
	// People are asked who may fax as soon as anybody has a permission; nil: those of the queue's store.
	People *directory.Directory
	// Render makes a fax document in the child process.
	Render        RenderFunc
	RenderOptions raster.Options
	// ConverterWait is how long a job waits when Render says gotenberg.ErrUnavailable.
	ConverterWait time.Duration
	Picture       bool                    // first pages are shown in our mail
	NoContent     bool                    // received faxes are told of, not sent: no attachment, no picture; they stay here until fetched
	MaxMail       int64                   // octets of a mail with a fax as it goes out; larger ones are divided; 0: no limit known
	Letter        *message.LetterTemplate // of our mail; nil: the built-in one
	Receipts      bool                    // senders that ask for a receipt (RFC 8098) get one beside the notice, for each fax sent
	// DKIM signs our mail, for each key once; none: it goes out unsigned.
	DKIM []*message.DKIMKey
	// Deliver hands a mail to the next mail server.
	Deliver DeliverFunc
	Log     *slog.Logger
}

// Gateway connects the mail side with the queue. Its methods are safe for concurrent use.
type Gateway struct {
	q      *queue.Queue
	st     *store.Store
	o      Options
	alarms *Alarms

	expanding sync.Mutex
	maxRelays int // tests have fewer
	reports   reportCap
	probes    probes
	waits     waits
	converter converterWaits
	rests     atomic.Int64  // Unix time in ns: until then no answer of a directory is waited for
	admit     chan struct{} // Admit has a new job

	senders    *allowance // mails to be faxed
	postmaster *allowance // mails to the postmaster
}

// New makes the gateway of a queue.
func New(q *queue.Queue, alarms *Alarms, o Options) *Gateway {
	if o.FaxType == "" {
		o.FaxType = control.PDF
	}
	if o.FromName == "" {
		o.FromName = "Fax"
	}
	if o.People == nil {
		o.People = directory.New(q.Store(), directory.Options{})
	}
	return &Gateway{q: q, st: q.Store(), o: o, alarms: alarms, admit: make(chan struct{}, 1), maxRelays: maxRelays,
		senders: newAllowance(cmp.Or(o.MailsPerSender, DefaultMailsPerSender)), postmaster: newAllowance(postmasterMails)}
}

// Permit tells whether the rules let number be dialed; the reason is a sentence for people. number is as
// queue.NormalizeNumber leaves it, without the dial prefix.
func (g *Gateway) Permit(number string) (control.RuleResult, error) {
	res := control.RuleResult{Number: number, Dial: g.o.DialPrefix + number}
	if g.q.Ledger().IsEmergency(number) || g.q.Ledger().IsEmergency(res.Dial) {
		res.Reason = "Emergency numbers are never dialed."
		return res, nil
	}
	err := g.st.View(func(tx *store.Tx) error {
		v, err := routing.TestDial(tx, g.o.DialTable, number)
		res.Allowed, res.Reason = v.Permitted, v.Why
		return err
	})
	return res, err
}

// idle waits for a change of the queue or for the time until; zero is no time. It returns the context's error.
func (g *Gateway) idle(ctx context.Context, changed <-chan struct{}, until time.Time) error {
	return g.q.Wait(ctx, changed, until)
}
