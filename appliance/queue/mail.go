package queue

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/tipring/tipring/appliance/store"
)

// MailState is how far an accepted mail is.
type MailState string

const (
	MailAccepted MailState = "accepted" // on disk, 250 given, jobs not made yet
	MailExpanded MailState = "expanded" // its jobs are made
)

// Envelope is what the SMTP dialogue told of a mail.
type Envelope struct {
	From       string          `json:"from"`             // MAIL FROM, "" for the null sender
	Sender     string          `json:"sender,omitempty"` // who it is from, as far as the connector demands proof: notices go there
	Connector  string          `json:"connector,omitempty"`
	Verdict    json.RawMessage `json:"verdict,omitempty"` // how the sender is known
	To         []string        `json:"to"`                // RCPT TO, as given
	Client     string          `json:"client,omitempty"`
	Helo       string          `json:"helo,omitempty"`
	MessageID  string          `json:"message_id,omitempty"`
	Size       int64           `json:"size"`             // octets
	Return     string          `json:"return,omitempty"` // RET and ENVID (RFC 3461)
	EnvelopeID string          `json:"envelope_id,omitempty"`
	Meta       json.RawMessage `json:"meta,omitempty"` // the gateway's own
}

// Mail is one accepted mail.
type Mail struct {
	ID MailID `json:"id"`
	Envelope
	Received time.Time `json:"received"`
	State    MailState `json:"state"`
	File     string    `json:"file"`               // spool file with the message as it came; "" when it was passed on and is gone
	Jobs     []JobID   `json:"jobs,omitempty"`     // once expanded
	Outs     []OutID   `json:"outs,omitempty"`     // likewise: the items that pass it on
	Note     string    `json:"note,omitempty"`     // why it made no jobs
	Repeated []string  `json:"repeated,omitempty"` // recipients without a job: the number had the mail already, or stands twice in it
}

// AcceptMail records a mail whose spool file is committed. When it returns nil the mail is the appliance's: 250 may be
// given. Mails that come at the same time share a transaction.
func (q *Queue) AcceptMail(env Envelope, file string) (MailID, error) {
	var id MailID
	err := q.updateShared("accept mail", func(tx *store.Tx) error {
		now := time.Now()
		s, err := tx.NewID(now)
		if err != nil {
			return err
		}
		id = MailID(s)
		q.markPending(tx, id, true)
		return mails.Put(tx, s, Mail{ID: id, Envelope: env, Received: now, State: MailAccepted, File: file})
	})
	return id, err
}

// markPending keeps q.pending in step with a transaction.
func (q *Queue) markPending(tx *store.Tx, id MailID, pending bool) {
	tx.OnCommit(func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if pending {
			q.pending[id] = true
		} else {
			delete(q.pending, id)
		}
	})
}

// findPending reads q.pending from the database.
func (q *Queue) findPending() error {
	return q.st.View(func(tx *store.Tx) error {
		return mails.Each(tx, func(_ string, m Mail) error {
			if m.State == MailAccepted {
				q.pending[m.ID] = true
			}
			return nil
		})
	})
}

// PendingMails returns the mails that are accepted but not expanded, oldest first, at most limit (0: all).
func (q *Queue) PendingMails(limit int) ([]Mail, error) {
	q.mu.Lock()
	ids := slices.Sorted(maps.Keys(q.pending))
	q.mu.Unlock()
	if limit > 0 && len(ids) > limit {
		ids = ids[:limit]
	}
	var list []Mail
	err := q.view("pending mails", func(tx *store.Tx) error {
		for _, id := range ids {
			m, err := mails.Get(tx, string(id))
			if err != nil {
				return err
			}
			if m.State == MailAccepted {
				list = append(list, m)
			}
		}
		return nil
	})
	return list, err
}

// Mail returns one accepted mail. Errors: ErrNotFound.
func (q *Queue) Mail(id MailID) (Mail, error) {
	var m Mail
	err := q.view("mail", func(tx *store.Tx) (err error) {
		m, err = mails.Get(tx, string(id))
		return err
	})
	return m, err
}

// Expansion is what becomes of an accepted mail.
type Expansion struct {
	Jobs     []NewJob
	Relays   []NewOut // the items that pass the mail on
	Note     string   // with no jobs: why
	Repeated []string // recipients that get none, as notices name them
}

// ExpandMail makes the mail's jobs in one transaction. A mail that is expanded already stays as it is, and the ids of
// the jobs made then are returned: it may be called again after a crash.
func (q *Queue) ExpandMail(id MailID, e Expansion) ([]JobID, error) {
	var ids []JobID
	err := q.updateShared("expand mail", func(tx *store.Tx) error {
		m, err := mails.Get(tx, string(id))
		if err != nil {
			return err
		}
		if m.State == MailExpanded {
			ids = m.Jobs
			return nil
		}
		made := make([]Job, len(e.Jobs))
		for i, n := range e.Jobs {
			n.Mail = id
			if made[i], err = q.addJob(tx, n); err != nil {
				return err
			}
			m.Jobs = append(m.Jobs, made[i].ID)
		}
		for _, n := range e.Relays {
			n.Mail = id
			o, err := q.addOut(tx, n)
			if err != nil {
				return err
			}
			m.Outs = append(m.Outs, o)
		}
		m.State, m.Note, m.Repeated, ids = MailExpanded, e.Note, e.Repeated, m.Jobs
		if err := mails.Put(tx, string(id), m); err != nil {
			return err
		}
		q.markPending(tx, id, false)
		for i := range made {
			if err := q.refuseEmergency(tx, &made[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return ids, err
}
