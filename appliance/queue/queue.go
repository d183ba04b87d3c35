// Package queue keeps the appliance's work: accepted mails, jobs to send with their attempts, the dial ledger,
// received faxes, the outbox of notices and deliveries, and the list of calls. All of it lives in bbolt transactions
// and survives a kill at any point.
//
// What holds by construction: a job reaches exactly one final state, and the outbox item with its final notice is
// made in that same transaction, or with that of the last job of its mail, or an hour later ([Summary]): each job is in
// one; a dial is in the ledger before the modem dials; a page is confirmed durably before the next one starts; a received
// fax gets its delivery in the transaction that ends it.
//
// Methods that change something are safe for concurrent use and return once the change is durable.
package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/store"
)

var (
	// ErrNotFound is returned when there is no record with the id.
	ErrNotFound = store.ErrNotFound
	// ErrState is returned when the record's state does not allow what was asked, such as releasing a job that is
	// not held.
	ErrState = errors.New("queue: not possible in this state")
	// ErrClock is returned by NextJob and the ledger when the clock is not set: nothing is dialed then.
	ErrClock = errors.New("queue: the clock is not set")
	// ErrEmergency is returned for emergency numbers, which are never dialed.
	ErrEmergency = errors.New("queue: emergency numbers are never dialed")
	// ErrRedial is returned when the dial rule does not allow the number now; see [RedialError].
	ErrRedial = errors.New("queue: redialing is not allowed yet")
)

// Ids sort by the time they were made.
type (
	MailID string
	JobID  string
	FaxID  string
	OutID  string
	CallID string
)

// Options tunes Open.
type Options struct {
	Policy Policy   // what to do after a failed attempt; zero: DefaultPolicy
	Dial   DialRule // redial limits per number; zero: DialRules["us"], the strictest
	// Domain is the right-hand side of the outbox's Message-IDs; "": "tipring.invalid".
	Domain string
	// Route tells who gets a received fax. It runs inside the transaction that ends the fax and must only read. nil or
	// no recipient: the delivery is made with an empty To and waits as held.
	Route func(tx *store.Tx, f Fax) []string
	// ReportAfter is how long the end of a fax may wait for the others of its mail before its sender is told; 0: an hour.
	ReportAfter time.Duration
	// AlarmTo gets alarms; empty: they wait as held.
	AlarmTo []string
}

// Queue is the appliance's work. Make one per store.
type Queue struct {
	st     *store.Store
	o      Options
	ledger *Ledger
	memory *Memory

	mu      sync.Mutex
	changed chan struct{}
	sending map[OutID]bool  // taken by NextOut, not yet settled
	pending map[MailID]bool // accepted, not expanded yet: as the database has it
}

var (
	mails  = store.NewTable[Mail]("mails")
	jobs   = store.NewTable[Job]("jobs")
	active = store.NewTable[struct{}]("jobs active") // ids of the jobs that are not final
	outs   = store.NewTable[Out]("outbox")
	unsent = store.NewTable[struct{}]("outbox unsent") // ids of the outbox items that are not done
	faxes  = store.NewTable[Fax]("faxes")
	calls  = store.NewTable[Call]("calls")
)

// Open takes the queue up where the last run left it: see [Recovery] for what it puts right.
func Open(st *store.Store, o Options) (*Queue, Recovery, error) {
	if o.Policy.isZero() {
		o.Policy = DefaultPolicy()
	}
	if o.Dial == (DialRule{}) {
		o.Dial = DialRules["us"]
	}
	if o.ReportAfter == 0 {
		o.ReportAfter = DefaultReportAfter
	}
	if o.Domain == "" {
		o.Domain = "tipring.invalid"
	}
	q := &Queue{st: st, o: o, ledger: NewLedger(st, o.Dial, o.Policy.Emergency), memory: NewMemory(st), changed: make(chan struct{}),
		sending: map[OutID]bool{}, pending: map[MailID]bool{}}
	rec, err := q.recover()
	if err == nil {
		err = q.findPending()
	}
	if err != nil {
		return nil, rec, fmt.Errorf("queue: open: %w", err)
	}
	return q, rec, nil
}

// Store returns the store the queue lives in.
func (q *Queue) Store() *store.Store { return q.st }

// Ledger returns the dial ledger that the queue counts in.
func (q *Queue) Ledger() *Ledger { return q.ledger }

// Memory returns what is remembered of far ends; the queue learns from its own calls.
func (q *Queue) Memory() *Memory { return q.memory }

// Changed returns a channel that is closed at the next change of anything in the queue. Take it before looking, so
// that no change is missed.
func (q *Queue) Changed() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.changed
}

// Wait blocks until changed (from Changed) is closed, until the given time (zero: no such time), or until ctx ends,
// whose error it then returns.
func (q *Queue) Wait(ctx context.Context, changed <-chan struct{}, until time.Time) error {
	var timer <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-changed:
	case <-timer:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// Rest waits nine times as long as a look through the queue took, a second at most, so that in a long queue that changes all
// the time, looking takes a tenth of the processor. After a quick look it does not wait. It returns the context's error.
func (q *Queue) Rest(ctx context.Context, looked time.Duration) error {
	if looked < quickLook {
		return ctx.Err()
	}
	return q.Wait(ctx, nil, time.Now().Add(min(9*looked, time.Second)))
}

const quickLook = time.Millisecond

func (q *Queue) notify() {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.changed)
	q.changed = make(chan struct{})
}

// update runs one transaction and wakes those who wait.
func (q *Queue) update(op string, f func(tx *store.Tx) error) error {
	if err := q.st.Update(f); err != nil {
		return wrap(op, err)
	}
	q.notify()
	return nil
}

// updateShared is update for transactions of which many come at once: see [store.Store.UpdateShared].
func (q *Queue) updateShared(op string, f func(tx *store.Tx) error) error {
	if err := q.st.UpdateShared(f); err != nil {
		return wrap(op, err)
	}
	q.notify()
	return nil
}

func (q *Queue) view(op string, f func(tx *store.Tx) error) error { return wrap(op, q.st.View(f)) }

func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("queue: %s: %w", op, err)
}

// remove takes files out of the spool after the transaction; what fails is left for the next start's sweep.
func (q *Queue) remove(tx *store.Tx, names ...string) {
	tx.OnCommit(func() {
		for _, n := range names {
			if n != "" {
				_ = q.st.Remove(n)
			}
		}
	})
}
