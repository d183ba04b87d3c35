package queue

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// DialRule limits how often one number may be dialed. Counted are tries in a row: an answer by a fax machine ends the row.
type DialRule struct {
	Gap       time.Duration // least time between the starts of two calls to a number
	Tries     int           // in a row, whatever they ended in; 0: no limit
	BusyTries int           // further ones when each of the row ended in busy
	Lock      time.Duration // no call for this long once the row is full
}

// DialRules are the rules by country code, "us" being the strictest and the default. Regulations change: this is what
// was published when it was written down (US: 47 CFR 68.318(b)).
var DialRules = map[string]DialRule{
	"us": {Tries: 2, BusyTries: 13, Lock: time.Hour},
	"au": {Gap: 2 * time.Second, Tries: 3, BusyTries: 7, Lock: 30 * time.Minute},
	"nz": {Gap: 30 * time.Second, Tries: 10, Lock: 30 * time.Minute},
	"eu": {Gap: 5 * time.Second, Tries: 15, Lock: time.Hour},
}

// RedialError is an ErrRedial with the time from which the number may be dialed.
type RedialError struct{ Until time.Time }

func (e *RedialError) Error() string {
	return fmt.Sprintf("%v: not before %s", ErrRedial, e.Until.Format(time.RFC3339))
}

func (e *RedialError) Unwrap() error { return ErrRedial }

// Ledger counts the calls to each number over jobs, lines and restarts. A Queue has one; a one-off send makes its own
// over the same data folder.
type Ledger struct {
	st        *store.Store
	rule      DialRule
	emergency []string
}

// NewLedger returns the store's ledger under a rule; emergency numbers are never dialed.
func NewLedger(st *store.Store, rule DialRule, emergency []string) *Ledger {
	return &Ledger{st: st, rule: rule, emergency: emergency}
}

type dialed struct {
	Last     time.Time `json:"last"`
	Before   time.Time `json:"before,omitzero"`    // Last of the call before, for taking a call back
	Row      int       `json:"row"`                // calls since a fax machine answered
	NotBusy  bool      `json:"not_busy,omitempty"` // one of the row ended in something else than busy
	Open     bool      `json:"open,omitempty"`     // the last call has not ended yet
	Total    int       `json:"total"`
	LastCode t30.Code  `json:"last_code"`
}

var ledger = store.NewTable[dialed]("dial ledger")

// firstYear is before every clock that was set: this program is younger.
const firstYear = 2025

// ClockSet tells whether now can be the real time. Nothing is dialed otherwise: the header line's date is law in some
// countries, and the ledger would count wrong.
func ClockSet(now time.Time) bool { return now.Year() >= firstYear }

// IsEmergency tells whether a number is an emergency number, also behind one or two digits for an outside line that a
// pause or another dial modifier follows ("9,911", "9w911", "9!911").
func (l *Ledger) IsEmergency(number string) bool {
	if slices.Contains(l.emergency, digitsOf(number)) {
		return true
	}
	for i, r := range number {
		if strings.ContainsRune(",wWtTpP!@", r) && slices.Contains(l.emergency, digitsOf(number[i:])) {
			return true
		}
	}
	return false
}

// Begin records a dial of number before the modem dials, or returns ErrEmergency, ErrClock or a *RedialError, and then
// the number must not be dialed.
func (l *Ledger) Begin(now time.Time, number string) error {
	return wrap("dial ledger", l.st.Update(func(tx *store.Tx) error { return l.begin(tx, now, number) }))
}

// End records how the dialed call ended; see [Outcome].
func (l *Ledger) End(number string, o Outcome) error {
	return wrap("dial ledger", l.st.Update(func(tx *store.Tx) error { return l.end(tx, number, o.code(), o.dialed(), o.fax()) }))
}

// Check tells whether number may be dialed now, with the errors of Begin.
func (l *Ledger) Check(now time.Time, number string) error {
	return wrap("dial ledger", l.st.View(func(tx *store.Tx) error {
		_, err := l.check(tx, now, number)
		return err
	}))
}

func (l *Ledger) check(tx *store.Tx, now time.Time, number string) (dialed, error) {
	var d dialed
	switch {
	case l.IsEmergency(number):
		return d, ErrEmergency
	case !ClockSet(now):
		return d, ErrClock
	case !ledger.Has(tx, digitsOf(number)):
		return d, nil
	}
	d, err := ledger.Get(tx, digitsOf(number))
	if err != nil {
		return d, err
	}
	if d.Last.After(now) {
		d.Last = now // the clock was set back: wait the whole time, but not for years
	}
	if until := d.Last.Add(l.rule.Gap); now.Before(until) {
		return d, &RedialError{until}
	}
	limit := l.rule.Tries
	if !d.NotBusy {
		limit += l.rule.BusyTries
	}
	if l.rule.Tries > 0 && d.Row >= limit {
		if until := d.Last.Add(l.rule.Lock); now.Before(until) {
			return d, &RedialError{until}
		}
		d.Row, d.NotBusy = 0, false
	}
	return d, nil
}

func (l *Ledger) begin(tx *store.Tx, now time.Time, number string) error {
	d, err := l.check(tx, now, number)
	if err != nil {
		return err
	}
	if d.Open {
		d.NotBusy = true // a call that a crash ended: nobody knows how
	}
	d.Before, d.Last, d.Open = d.Last, now, true
	d.Row++
	d.Total++
	return ledger.Put(tx, digitsOf(number), d)
}

func (l *Ledger) end(tx *store.Tx, number string, code t30.Code, dialed, fax bool) error {
	d, err := ledger.Get(tx, digitsOf(number))
	if err != nil {
		return err
	}
	d.Open, d.LastCode = false, code
	switch {
	case !dialed:
		d.Last, d.Row, d.Total = d.Before, max(d.Row-1, 0), max(d.Total-1, 0)
	case fax:
		d.Row, d.NotBusy = 0, false
	case code != t30.CodeBusy:
		d.NotBusy = true
	}
	return ledger.Put(tx, digitsOf(number), d)
}
