package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// OutKind says what an outbox item is and what its payload holds.
type OutKind string

const (
	KindNotice  OutKind = "notice"  // a job's final notice: payload Notice
	KindReceipt OutKind = "receipt" // a receipt that a mail asked for, beside its notice: payload Notice
	KindFax     OutKind = "fax"     // a received fax: Out.Fax tells which; payload Delivery
	KindAlarm   OutKind = "alarm"   // to the operator: payload Alarm
	KindRelay   OutKind = "relay"   // a mail passed on: Out.Mail tells which; payload Relay
	KindReport  OutKind = "report"  // a mail passed on could not be delivered: payload RelayReport
	KindSummary OutKind = "summary" // the final notice of several jobs of one mail: payload Summary
)

// OutState is where an outbox item is.
type OutState string

const (
	OutPending OutState = "pending" // to be sent at NotBefore
	OutHeld    OutState = "held"    // waits for somebody to put the configuration right; LastReply says why
	OutDone    OutState = "done"    // accepted by the next mail server; final
	OutDropped OutState = "dropped" // given up by hand; final
	OutSplit   OutState = "split"   // too large: sent as the parts that were made in its place; final
)

// NewOut is what an outbox item is made of.
type NewOut struct {
	Kind OutKind
	To   []string
	Job  JobID
	Jobs []JobID // of a summary
	Fax  FaxID
	Mail MailID
	// Of a part, as the item has them that it was made for.
	Route, Unknown []string
	// Key keeps alarms from piling up: while an item with the same key is not done, no second one is made.
	Key     string
	Payload any // becomes JSON
}

// Out is one mail to be sent. Its Message-ID never changes, so that a mail sent twice across a crash can be told.
type Out struct {
	ID   OutID    `json:"id"`
	Kind OutKind  `json:"kind"`
	To   []string `json:"to"`             // still to be served
	Done []string `json:"done,omitempty"` // served
	// Route are a fax's recipients as its route had them, once they have been looked up; To are mailboxes then.
	Route []string `json:"route,omitempty"`
	// Waiting are those of Route that could not be looked up yet, or that nobody knows while there is no mailbox for such.
	Waiting []string `json:"waiting,omitempty"`
	// Parted are those who get the mail as parts, which are items of their own.
	Parted []string `json:"parted,omitempty"`
	// Unknown are those of Route that nobody knows.
	Unknown   []string        `json:"unknown,omitempty"`
	Job       JobID           `json:"job,omitempty"`
	Jobs      []JobID         `json:"jobs,omitempty"`
	Fax       FaxID           `json:"fax,omitempty"`
	Mail      MailID          `json:"mail,omitempty"`
	Key       string          `json:"key,omitempty"`
	Payload   json.RawMessage `json:"payload"`
	MessageID string          `json:"message_id"` // with angle brackets
	Created   time.Time       `json:"created"`
	State     OutState        `json:"state"`
	Attempts  int             `json:"attempts"` // begun
	NotBefore time.Time       `json:"not_before,omitzero"`
	LastReply string          `json:"last_reply,omitempty"` // what the mail server or the error said
	HeldBy    string          `json:"held_by,omitempty"`    // send connector whose configuration held it last: see NextProbe
	HeldAt    time.Time       `json:"held_at,omitzero"`     // when
	Ended     time.Time       `json:"ended,omitzero"`
	Bare      bool            `json:"bare,omitempty"` // of a fax: the mail does not hold it, or not as it came; it has to be fetched
}

// Notice is the payload of a final notice.
type Notice struct {
	Job       JobID     `json:"job"`
	State     State     `json:"state"` // Sent, Failed, Unknown or Canceled
	Code      t30.Code  `json:"code"`
	Text      string    `json:"text"` // a sentence for people; "" when sent
	Number    string    `json:"number"`
	Name      string    `json:"name,omitempty"`
	Subject   string    `json:"subject,omitempty"`
	MessageID string    `json:"message_id,omitempty"` // of the mail it answers
	Pages     int       `json:"pages"`
	Confirmed int       `json:"confirmed"`
	Arrived   []int     `json:"arrived,omitempty"` // the confirmed pages; nil: the first Confirmed ones
	Poor      int       `json:"poor,omitempty"`    // of these, confirmed with poor quality
	Doubt     int       `json:"doubt,omitempty"`   // a page that may have arrived; 0: none
	Calls     int       `json:"calls"`
	RemoteID  string    `json:"remote_id,omitempty"`
	Created   time.Time `json:"created"`
	Ended     time.Time `json:"ended"`
	Omitted   []string  `json:"omitted,omitempty"`  // what of the mail is not on the fax
	Repeated  []string  `json:"repeated,omitempty"` // other recipients of the mail, that no job was made for
	Mail      MailID    `json:"mail,omitempty"`
	// As in NewJob.
	Address           string `json:"address,omitempty"`
	Notify            string `json:"notify,omitempty"`
	OriginalRecipient string `json:"original_recipient,omitempty"`
	EnvelopeID        string `json:"envelope_id,omitempty"`
}

// Delivery is the payload of a received fax's delivery; the fax itself is read by Out.Fax.
type Delivery struct {
	State FaxState `json:"state"`
	Pages int      `json:"pages"`
	// Of a fax too large for one mail: which part this is ("2 of 3", "2 of 3, 1 of 2"), and its pages, from 1. "": all of it.
	Part  string `json:"part,omitempty"`
	First int    `json:"first,omitempty"`
	Last  int    `json:"last,omitempty"`
	// Coarse halves the page's resolution so often that the page fits; Withheld leaves it out: not even that was enough.
	Coarse   int  `json:"coarse,omitempty"`
	Withheld bool `json:"withheld,omitempty"`
	// Limit is the size the mail may have by what a server said, in octets; 0: that of the configuration.
	Limit int64 `json:"limit,omitempty"`
}

// Alarm is the payload of an alarm.
type Alarm struct {
	Subject string `json:"subject"`
	Text    string `json:"text"` // with the remedy
	Line    string `json:"line,omitempty"`
}

func noticeOf(j Job) Notice {
	n := Notice{Job: j.ID, State: j.State, Code: j.Code, Text: j.Text, Number: j.Number, Name: j.Name, Subject: j.Subject,
		MessageID: j.MessageID, Pages: j.Pages, Confirmed: len(j.Done), Poor: j.PoorPages(), Calls: j.Calls(),
		Created: j.Created, Ended: j.Ended, Omitted: j.Omitted, Mail: j.Mail, Address: j.Address, Notify: j.Notify,
		OriginalRecipient: j.OriginalRecipient, EnvelopeID: j.EnvelopeID}
	if a := j.LastAttempt(); a != nil {
		n.RemoteID = a.RemoteID
	}
	if j.State != Sent {
		n.Doubt = j.inDoubt()
		if got := j.Arrived(); len(got) > 0 && got[len(got)-1] != len(got) {
			n.Arrived = got
		}
	}
	return n
}

// AddAlarm makes an alarm to Options.AlarmTo, unless one with the key (not "") is still on its way.
func (q *Queue) AddAlarm(key string, a Alarm) error {
	return q.update("add alarm", func(tx *store.Tx) error { return q.addAlarm(tx, key, a) })
}

func (q *Queue) addAlarm(tx *store.Tx, key string, a Alarm) error {
	_, err := q.addOut(tx, NewOut{Kind: KindAlarm, To: q.o.AlarmTo, Key: key, Payload: a})
	return err
}

// AddOut makes an outbox item of the caller's own, pending at once. With a Key that is still on its way it returns
// that item's id.
func (q *Queue) AddOut(n NewOut) (OutID, error) {
	var id OutID
	err := q.update("add to outbox", func(tx *store.Tx) (err error) {
		id, err = q.addOut(tx, n)
		return err
	})
	return id, err
}

func (q *Queue) addOut(tx *store.Tx, n NewOut) (OutID, error) {
	if n.Key != "" {
		if id, err := findKey(tx, n.Key); err != nil || id != "" {
			return id, err
		}
	}
	payload, err := json.Marshal(n.Payload)
	if err != nil {
		return "", err
	}
	now := time.Now()
	id, err := tx.NewID(now)
	if err != nil {
		return "", err
	}
	o := Out{ID: OutID(id), Kind: n.Kind, To: n.To, Job: n.Job, Jobs: n.Jobs, Fax: n.Fax, Mail: n.Mail, Route: n.Route, Unknown: n.Unknown, Key: n.Key, Payload: payload,
		MessageID: "<" + id + "." + string(n.Kind) + "@" + q.o.Domain + ">", Created: now, State: OutPending}
	if len(n.To) == 0 {
		o.State, o.LastReply = OutHeld, "no recipient is configured"
	}
	return o.ID, putOut(tx, o)
}

func findKey(tx *store.Tx, key string) (OutID, error) {
	var found OutID
	err := eachUnsent(tx, func(o Out) error {
		if o.Key == key {
			found = o.ID
			return store.ErrStop
		}
		return nil
	})
	return found, err
}

// putOut keeps the index of unsent items in step with the item's state.
func putOut(tx *store.Tx, o Out) error {
	if err := outs.Put(tx, string(o.ID), o); err != nil {
		return err
	}
	if o.State.final() {
		return unsent.Delete(tx, string(o.ID))
	}
	return unsent.Put(tx, string(o.ID), struct{}{})
}

func (s OutState) final() bool { return s == OutDone || s == OutDropped || s == OutSplit }

func eachUnsent(tx *store.Tx, f func(Out) error) error {
	return unsent.Each(tx, func(id string, _ struct{}) error {
		o, err := outs.Get(tx, id)
		if err != nil {
			return err
		}
		return f(o)
	})
}

// NextOut takes the oldest item whose time has come and that no other worker has, mail of our own before mail passed on, and counts the attempt. ok is false
// when there is none. The item must be settled by OutDone, RetryOut, HoldOut or UpdateOut; after a crash it is pending
// again.
func (q *Queue) NextOut(now time.Time) (o Out, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	find := func(tx *store.Tx) error {
		ok = false
		return eachUnsent(tx, func(c Out) error {
			due := c.State == OutPending && !q.sending[c.ID] && !now.Before(c.NotBefore)
			switch {
			case due && c.Kind != KindRelay:
				o, ok = c, true
				return store.ErrStop
			case due && !ok: // faxes and notices do not wait behind a pile of scans
				o, ok = c, true
			}
			return nil
		})
	}
	// Looked for in a read transaction first: an empty write would cost a sync.
	if err := q.view("next out", find); err != nil || !ok {
		return Out{}, false, err
	}
	err = q.st.Update(func(tx *store.Tx) error {
		if err := find(tx); err != nil || !ok {
			return err
		}
		o.Attempts++
		return putOut(tx, o)
	})
	if err != nil || !ok {
		return Out{}, false, wrap("next out", err)
	}
	q.sending[o.ID] = true
	return o, true, nil
}

// UpdateOut settles an item with changes of the caller's: To (a fallback mailbox, a chunk served), State, NotBefore,
// LastReply. An item that is final is never changed again: ErrState. When a fax's delivery becomes done, all its parts
// that is, the fax is marked delivered in the same transaction. When it fails for another reason (a full disk) the item stays
// taken: call it again, so that what was sent is not sent twice.
func (q *Queue) UpdateOut(id OutID, f func(*Out) error) error { return q.SettleOut(id, nil, f) }

// SettleOut is UpdateOut, and keeps the attempt, which f may still complete, beside the item. also are items that follow from it,
// made in the same transaction: the parts of one that is too large, a report.
func (q *Queue) SettleOut(id OutID, a *OutAttempt, f func(*Out) error, also ...NewOut) error {
	err := q.update("update outbox", func(tx *store.Tx) error {
		o, err := outs.Get(tx, string(id))
		if err != nil {
			return err
		}
		if o.State.final() {
			return fmt.Errorf("%w: outbox item %s is %s", ErrState, id, o.State)
		}
		if err := f(&o); err != nil {
			return err
		}
		if o.State.final() {
			o.Ended = time.Now()
		}
		if a != nil {
			if err := addOutAttempt(tx, id, *a); err != nil {
				return err
			}
		}
		if err := putOut(tx, o); err != nil {
			return err
		}
		for _, n := range also {
			if _, err := q.addOut(tx, n); err != nil {
				return err
			}
		}
		switch {
		case o.State == OutDone && o.Kind == KindFax:
			return markDelivered(tx, o)
		case o.State.final() && o.Kind == KindRelay:
			return q.relayEnded(tx, o.Mail)
		}
		return nil
	})
	if err == nil || errors.Is(err, ErrState) || errors.Is(err, ErrNotFound) {
		q.mu.Lock()
		delete(q.sending, id)
		q.mu.Unlock()
		q.notify()
	}
	return err
}

// OutDone settles an item as accepted for all its recipients; reply is the server's text.
func (q *Queue) OutDone(id OutID, reply string) error {
	return q.UpdateOut(id, func(o *Out) error {
		o.State, o.LastReply = OutDone, reply
		o.Done, o.To = append(o.Done, o.To...), nil
		return nil
	})
}

// RetryOut settles an item as to be tried again at a time.
func (q *Queue) RetryOut(id OutID, at time.Time, reply string) error {
	return q.UpdateOut(id, func(o *Out) error {
		o.State, o.NotBefore, o.LastReply = OutPending, at, reply
		return nil
	})
}

// HoldOut settles an item as waiting for the configuration to be put right; ReleaseOuts lets it go on.
func (q *Queue) HoldOut(id OutID, reply string) error {
	return q.UpdateOut(id, func(o *Out) error {
		o.State, o.LastReply = OutHeld, reply
		return nil
	})
}

// ReleaseOuts makes every held item that has recipients, and every one that waits for its time, due at once, and
// returns how many.
func (q *Queue) ReleaseOuts() (int, error) {
	return q.releaseOuts(func(o Out) bool { return o.State == OutHeld || !o.NotBefore.IsZero() })
}

// Out returns one outbox item. Errors: ErrNotFound.
func (q *Queue) Out(id OutID) (Out, error) {
	var o Out
	err := q.view("outbox item", func(tx *store.Tx) (err error) {
		o, err = outs.Get(tx, string(id))
		return err
	})
	return o, err
}

// Unsent returns the outbox items that are pending or held, oldest first.
func (q *Queue) Unsent() ([]Out, error) {
	var list []Out
	err := q.view("outbox", func(tx *store.Tx) error {
		return eachUnsent(tx, func(o Out) error {
			list = append(list, o)
			return nil
		})
	})
	return list, err
}

// Outs returns the newest outbox items, sent ones too, newest first, at most limit (0: all).
func (q *Queue) Outs(limit int) ([]Out, error) {
	var list []Out
	err := q.view("outbox", func(tx *store.Tx) error {
		return outs.EachBack(tx, func(_ string, o Out) error {
			if list = append(list, o); len(list) == limit {
				return store.ErrStop
			}
			return nil
		})
	})
	return list, err
}

// NextOutAt returns when the next pending item is due that no worker has; zero: there is none.
func (q *Queue) NextOutAt() (time.Time, error) {
	var at time.Time
	q.mu.Lock()
	defer q.mu.Unlock()
	err := q.view("outbox", func(tx *store.Tx) error {
		return eachUnsent(tx, func(o Out) error {
			due := o.NotBefore
			if due.IsZero() {
				due = o.Created
			}
			if o.State == OutPending && !q.sending[o.ID] && (at.IsZero() || due.Before(at)) {
				at = due
			}
			return nil
		})
	})
	return at, err
}
