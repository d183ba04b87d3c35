package queue

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// Memory remembers how the far end of each number is best called: at which rate to begin, whether with error
// correction, whether it takes more than one document in a call. It holds over jobs, lines and restarts. A Queue has
// one; a one-off send makes its own over the same data folder. What is remembered is forgotten after a time, so that
// the better way is tried again, and at once when a call at the better way succeeds.
type Memory struct{ st *store.Store }

// NewMemory returns the store's memory.
func NewMemory(st *store.Store) *Memory { return &Memory{st} }

// FarEnd is what is remembered of one number.
type FarEnd struct {
	Number string    `json:"number"` // digits
	Last   time.Time `json:"last"`   // the last call that told something
	Rate   Habit     `json:"rate,omitzero"`
	ECM    Habit     `json:"ecm,omitzero"`   // error correction fails
	Alone  Habit     `json:"alone,omitzero"` // a second document in a call fails
}

// Habit is one thing that a far end did badly.
type Habit struct {
	Seen  int       `json:"seen"`            // how strongly: in force from [firm] on
	Since time.Time `json:"since,omitzero"`  // when it came in force, or was seen first
	Limit int       `json:"limit,omitempty"` // Rate: begin at this at most, bit/s
}

const (
	// firm is how much must have been seen before a habit counts: a clear failure at once, a small one twice in a row.
	firm, hintOnly = 2, 1

	// fastestPlain is the highest rate without V.34, bit/s: a call that begins at it at most is none of V.34.
	fastestPlain = 14400

	oneStep = 2400 // bit/s, between neighbours of V.17

	rateLife = 30 * 24 * time.Hour // a bad line is mended sooner than a machine
	ecmLife  = 90 * 24 * time.Hour
	lifetime = 180 * 24 * time.Hour // of a record since its last call

	// maxFarEnds bounds the memory; the number that told nothing for the longest time goes first.
	maxFarEnds = 5000
)

var farEnds = store.NewTable[FarEnd]("far ends")

func (h Habit) holds(now time.Time, life time.Duration) bool {
	return h.Seen >= firm && now.Before(h.Since.Add(life)) && !now.Before(h.Since)
}

// note adds to a habit. One in force keeps its date, so that it ends in its time; one that had ended begins anew.
func (h *Habit) note(now time.Time, weight int, life time.Duration) {
	if h.holds(now, life) {
		return
	}
	if h.Seen < firm && now.After(h.Since.Add(life)) {
		h.Seen = 0 // seen once, long ago
	}
	h.Seen = min(h.Seen+weight, firm)
	h.Since = now
}

// Hint is how to begin the next call, and since when that is remembered; the zero Hint: nothing is in force.
func (f FarEnd) Hint(now time.Time) (h Hint, since time.Time) {
	if f.Rate.holds(now, rateLife) {
		h.MaxRate, since = f.Rate.Limit, f.Rate.Since
	}
	if f.ECM.holds(now, ecmLife) {
		h.NoECM = true
		if since.IsZero() || f.ECM.Since.Before(since) {
			since = f.ECM.Since
		}
	}
	return h, since
}

// TakesOne tells whether the far end is to get one document a call only.
func (f FarEnd) TakesOne(now time.Time) bool { return f.Alone.holds(now, rateLife) }

func (f FarEnd) empty() bool { return f.Rate.Seen == 0 && f.ECM.Seen == 0 && f.Alone.Seen == 0 }

// rateSteps are the rates (bit/s) that a far end is remembered at which failed to train or to take a page: V.29 and
// V.27ter begin there (T.30 Table 2).
var rateSteps = []int{9600, 4800, 2400}

// learn takes in how a call ended.
func (f *FarEnd) learn(now time.Time, o Outcome) {
	if r := o.Report; (r.FaxHeard || r.Trouble.Has(t30.TroubleV34)) && o.Err == nil {
		f.learnECM(now, r)
		f.learnRate(now, o)
	}
}

func (f *FarEnd) learnECM(now time.Time, r t30.Report) {
	switch {
	case r.Trouble.Has(t30.TroubleECM):
		f.ECM.note(now, firm, ecmLife)
	case r.ECM && r.Sent > 0:
		f.ECM = Habit{}
	}
}

func (f *FarEnd) learnRate(now time.Time, o Outcome) {
	r, began := o.Report, o.beganAt()
	lower, weight := 0, 0
	switch {
	case r.Trouble.Has(t30.TroubleV34) && r.FaxHeard:
		lower, weight = fastestPlain, firm
	case r.Trouble.Has(t30.TroubleV34): // no carrier: V.8 or V.34 failed, or nobody with a fax answered
		lower, weight = fastestPlain, hintOnly
	case r.Trouble.Has(t30.TroubleV17) && began > rateSteps[0]:
		lower, weight = rateSteps[0], firm
	case r.Code == t30.CodeTraining || r.Code == t30.CodeNoReplyDCS:
		lower, weight = stepBelow(began), firm
	case r.Code == t30.CodePageRefused, r.Code == t30.CodeECMGivenUp, r.Sent == 0 && r.Code == t30.CodeNoReplyPage:
		lower, weight = stepBelow(began), hintOnly
	case r.Sent == 0 || r.Modulation.Rate == 0:
		return
	case r.Modulation.Rate < began:
		lower, weight = r.Modulation.Rate, firm
		if r.Modulation.Scheme == t30.V17 && began-r.Modulation.Rate <= oneStep {
			weight = hintOnly // the line may have been noisy today
		}
	case r.Modulation.Rate > f.Rate.Limit:
		f.Rate = Habit{}
		return
	}
	if lower == 0 {
		return
	}
	if f.Rate.holds(now, rateLife) {
		if lower >= f.Rate.Limit {
			return
		}
		f.Rate, weight = Habit{}, firm // still too fast
	}
	f.Rate.note(now, weight, rateLife)
	f.Rate.Limit = lower
}

func stepBelow(rate int) int {
	for _, r := range rateSteps {
		if r < rate {
			return r
		}
	}
	return 0
}

// beganAt returns the rate (bit/s) that the call began at: the highest that both ends could use.
func (o Outcome) beganAt() int {
	own, far := o.Own, o.Report.Remote.Capabilities
	rate := 14400
	for _, c := range []t30.Capabilities{own, far} {
		if c.MaxRate > 0 {
			rate = min(rate, c.MaxRate)
		}
		switch {
		case c.Schemes == 0 || c.Schemes.Has(t30.V17):
		case c.Schemes.Has(t30.V29):
			rate = min(rate, 9600)
		default:
			rate = min(rate, 4800)
		}
	}
	return rate
}

// Begin tells how to begin a call to number.
func (m *Memory) Begin(now time.Time, number string) (h Hint, since time.Time, err error) {
	err = m.st.View(func(tx *store.Tx) error {
		f, err := m.get(tx, number)
		h, since = f.Hint(now)
		return err
	})
	return h, since, wrap("memory", err)
}

// Learn takes in how a call to number ended.
func (m *Memory) Learn(now time.Time, number string, o Outcome) error {
	return wrap("memory", m.st.Update(func(tx *store.Tx) error {
		return m.change(tx, now, number, func(f *FarEnd) { f.learn(now, o) })
	}))
}

// List returns all that is remembered, by number.
func (m *Memory) List() ([]FarEnd, error) {
	var list []FarEnd
	err := m.st.View(func(tx *store.Tx) error {
		return farEnds.Each(tx, func(_ string, f FarEnd) error { list = append(list, f); return nil })
	})
	return list, wrap("memory", err)
}

// Forget drops what is remembered of a number, in any spelling. Errors: ErrNotFound.
func (m *Memory) Forget(number string) error {
	return wrap("memory", m.st.Update(func(tx *store.Tx) error {
		key := digitsOf(number)
		if key == "" || !farEnds.Has(tx, key) {
			return fmt.Errorf("%w: nothing is remembered of %s", ErrNotFound, number)
		}
		return farEnds.Delete(tx, key)
	}))
}

// get returns what is remembered of a number, the zero FarEnd if nothing is.
func (*Memory) get(tx *store.Tx, number string) (FarEnd, error) {
	key := digitsOf(number)
	if key == "" {
		return FarEnd{}, nil
	}
	f, err := farEnds.Get(tx, key)
	if errors.Is(err, ErrNotFound) {
		return FarEnd{Number: key}, nil
	}
	return f, err
}

func (m *Memory) change(tx *store.Tx, now time.Time, number string, do func(*FarEnd)) error {
	f, err := m.get(tx, number)
	if err != nil || f.Number == "" {
		return err
	}
	before := f
	do(&f)
	switch {
	case f == before:
		return nil
	case f.empty():
		return farEnds.Delete(tx, f.Number)
	}
	if before.empty() {
		if err := m.makeRoom(tx); err != nil {
			return err
		}
	}
	f.Last = now
	return farEnds.Put(tx, f.Number, f)
}

// makeRoom lets the number go that told nothing for the longest time when the memory is full.
func (*Memory) makeRoom(tx *store.Tx) error {
	n, oldest := 0, FarEnd{}
	err := farEnds.Each(tx, func(_ string, f FarEnd) error {
		if n++; n == 1 || f.Last.Before(oldest.Last) {
			oldest = f
		}
		return nil
	})
	if err != nil || n < maxFarEnds {
		return err
	}
	return farEnds.Delete(tx, oldest.Number)
}

// with returns the stricter of two hints in everything.
func (h Hint) with(o Hint) Hint {
	if h.MaxRate == 0 || o.MaxRate != 0 && o.MaxRate < h.MaxRate {
		h.MaxRate = o.MaxRate
	}
	h.NoECM = h.NoECM || o.NoECM
	return h
}

// String says how a call with the hint begins: "at V.29 9600, without error correction"; "" for the zero Hint.
func (h Hint) String() string {
	var s []string
	if h.MaxRate > 0 {
		scheme := "V.27ter"
		switch {
		case h.MaxRate > 9600:
			scheme = "V.17"
		case h.MaxRate > 4800:
			scheme = "V.29"
		}
		s = append(s, fmt.Sprintf("at %s %d", scheme, h.MaxRate))
	}
	if h.NoECM {
		s = append(s, "without error correction")
	}
	return strings.Join(s, ", ")
}

// Remembered says in words how a call began; "" when nothing was remembered.
func Remembered(h Hint, since time.Time) string {
	if h == (Hint{}) || since.IsZero() {
		return ""
	}
	return "begun " + h.String() + " as remembered since " + since.Local().Format(time.DateOnly)
}
