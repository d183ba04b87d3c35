package queue

import (
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/appliance/store"
)

// Relay is the payload of a mail passed on; the mail itself is read by Out.Mail.
type Relay struct {
	Connector  string            `json:"connector,omitempty"` // the receive connector that took it
	From       string            `json:"from"`                // MAIL FROM on the way on
	Sender     string            `json:"sender"`              // MAIL FROM as it came; "" for the null sender
	Silent     bool              `json:"silent,omitempty"`    // a machine wrote it, or its sender wants no report: none goes there
	Subject    string            `json:"subject,omitempty"`
	MessageID  string            `json:"message_id"` // for a mail without one, with angle brackets
	Client     string            `json:"client,omitempty"`
	Received   time.Time         `json:"received"`
	Notify     string            `json:"notify,omitempty"` // NOTIFY, RET, ENVID and ORCPT by recipient (RFC 3461)
	Return     string            `json:"return,omitempty"`
	EnvelopeID string            `json:"envelope_id,omitempty"`
	Original   map[string]string `json:"original,omitempty"`
}

// RelayReport is the payload of a report on a mail that was passed on and not delivered.
type RelayReport struct {
	Relay
	Mail       MailID           `json:"mail"`
	Recipients []RelayRecipient `json:"recipients"`
	Head       string           `json:"head,omitempty"` // the mail's header, whose file may be gone by then
}

// RelayRecipient is a recipient who did not get a mail.
type RelayRecipient struct {
	Address string `json:"address"`
	Status  string `json:"status"` // enhanced status code (RFC 3463)
	Reply   string `json:"reply"`
	Host    string `json:"host,omitempty"` // whose reply it is
}

// DropOut gives an item up that no worker has, and makes the items that follow from it. Errors: ErrNotFound, and ErrState of one that
// is on its way or has ended.
func (q *Queue) DropOut(id OutID, reply string, also ...NewOut) error {
	q.mu.Lock()
	if q.sending[id] {
		q.mu.Unlock()
		return fmt.Errorf("%w: outbox item %s is on its way", ErrState, id)
	}
	q.sending[id] = true
	q.mu.Unlock()
	err := q.SettleOut(id, nil, func(o *Out) error {
		o.State, o.LastReply, o.To = OutDropped, reply, nil
		return nil
	}, also...)
	q.mu.Lock()
	delete(q.sending, id)
	q.mu.Unlock()
	return err
}

// relaying tells whether a mail is still to be passed on.
func relaying(tx *store.Tx, m Mail) bool {
	for _, id := range m.Outs {
		if o, err := outs.Get(tx, string(id)); err == nil && !o.State.final() {
			return true
		}
	}
	return false
}

// relayEnded removes a mail's file when it is passed on to everybody and no fax is to be made of it: scans are large, and nobody's
// business but their recipients'. The item that ended is stored already.
func (q *Queue) relayEnded(tx *store.Tx, id MailID) error {
	m, err := mails.Get(tx, string(id))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil || m.File == "" || len(m.Jobs) > 0 || relaying(tx, m) {
		return err
	}
	file := m.File
	m.File = ""
	q.remove(tx, file)
	return mails.Put(tx, string(id), m)
}

// RelayBacklog returns how many mails wait to be passed on, and their octets.
func (q *Queue) RelayBacklog() (n int, octets int64, err error) {
	err = q.view("relay backlog", func(tx *store.Tx) error {
		seen := map[MailID]bool{}
		err := eachUnsent(tx, func(o Out) error {
			if o.Kind != KindRelay || seen[o.Mail] {
				return nil
			}
			seen[o.Mail] = true
			m, err := mails.Get(tx, string(o.Mail))
			n, octets = n+1, octets+m.Size
			return err
		})
		return err
	})
	return n, octets, err
}
