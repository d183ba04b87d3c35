package recording

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/tipring/tipring/modem/at"
)

// ErrNoPages is what a [Player] ends with that has come to received page data which is not in its recording.
var ErrNoPages = errors.New("recording: received page data is not in it")

// Divergence is what a [Player] returns when the driver does something else than what was recorded.
type Divergence struct {
	Line      int    // of the recording; 0: behind its end
	Want, Got string // as they would stand in a recording
}

func (d *Divergence) Error() string {
	if d.Line == 0 {
		return fmt.Sprintf("recording: behind its end the driver does: %s", d.Got)
	}
	return fmt.Sprintf("recording: line %d: recorded %s, but now %s", d.Line, d.Want, d.Got)
}

// tooEarly is how long a write may have to wait for the modem's answers that were recorded before it: the driver is faster now, but
// one that does not wait for an answer at all diverges.
const tooEarly = 5 * time.Second

// Player plays a recording: its Port does what the modem did, as soon after what the driver does as it was then. What the driver
// sends must be what was recorded. At the first difference the port is lost, and Err says where.
type Player struct {
	// Strict makes set-up commands exact too. Set it before the port is used.
	Strict bool

	rec   *Recording
	done  chan struct{} // closed when it ends
	moved chan struct{} // closed and made anew at each step forward

	mu     sync.Mutex
	next   int           // event to come
	since  time.Time     // when the one before it happened
	at     time.Duration // when it happened then
	passed int           // octets of the next event that went by
	loose  bool          // in octets of it that are not told
	dle    bool          // the last of them was an odd DLE
	err    error
	ended  bool
	extra  []byte // answers to set-up commands that were not recorded here
	added  int    // such commands
	left   int    // events of set-up commands left out
}

// NewPlayer returns a player of rec, which begins now.
func NewPlayer(rec *Recording) *Player {
	return &Player{rec: rec, done: make(chan struct{}), moved: make(chan struct{}), since: time.Now()}
}

// Port returns the modem's port. There is one.
func (p *Player) Port() at.Port { return playedPort{p} }

// Err returns the first difference between driver and recording, a [*Divergence] or [ErrNoPages]; nil: there was none.
func (p *Player) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Rest returns what was recorded and did not happen, without steps and, unless Strict, set-up; nil: all of it did.
func (p *Player) Rest() []Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	var rest []Event
	for _, e := range p.rec.Events[p.next:] {
		if e.Kind != Step && (p.Strict || !simple(&e)) {
			rest = append(rest, e)
		}
	}
	return rest
}

// Steps are the steps of a recording, in order.
func (r *Recording) Steps() []Event {
	var steps []Event
	for _, e := range r.Events {
		if e.Kind == Step {
			steps = append(steps, e)
		}
	}
	return steps
}

// Await waits until all that was recorded before an event has happened; false: it never will, the player has ended.
func (p *Player) Await(before Event) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.ended {
		if e := p.current(); e == nil || e.Line > before.Line {
			return true
		}
		p.wait(time.Time{})
	}
	return false
}

// current returns the event to come; nil: none is. Steps are for who plays, not for the port.
func (p *Player) current() *Event {
	for p.next < len(p.rec.Events) && p.rec.Events[p.next].Kind == Step {
		p.next++
	}
	if p.next == len(p.rec.Events) {
		return nil
	}
	return &p.rec.Events[p.next]
}

// due is when e happens, its moment measured from the event before it.
func (p *Player) due(e *Event) time.Time { return p.since.Add(e.At - p.at) }

// advance goes on to the next event.
func (p *Player) advance(e *Event) {
	p.next++
	p.since, p.at, p.passed, p.loose, p.dle = time.Now(), e.At, 0, false, false
	p.stir()
}

// stir wakes who waits.
func (p *Player) stir() {
	close(p.moved)
	p.moved = make(chan struct{})
}

// Changed tells how many set-up commands were added to those recorded, and how many events of them left out.
func (p *Player) Changed() (added, leftOut int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.added, p.left
}

// end stops the player.
func (p *Player) end(err error) {
	if p.err == nil {
		p.err = err
	}
	if !p.ended {
		p.ended = true
		close(p.done)
	}
}

// diverge ends it with the difference between e and what the driver does.
func (p *Player) diverge(e *Event, got Event) {
	d := &Divergence{Got: fmt.Sprintf("%c %s", got.Kind, got.what())}
	if e != nil {
		d.Line, d.Want = e.Line, fmt.Sprintf("%c %s", e.Kind, e.what())
	}
	p.end(d)
}

// wait lets the lock go until something moved, until then (the zero time: for ever), or the end: false.
func (p *Player) wait(then time.Time) bool {
	moved := p.moved
	p.mu.Unlock()
	defer p.mu.Lock()
	var expired <-chan time.Time
	if !then.IsZero() {
		t := time.NewTimer(time.Until(then))
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-p.done:
		return false
	case <-moved:
	case <-expired:
	}
	return true
}

// failure is what the port's calls return after the end.
func (p *Player) failure() error {
	if p.err != nil {
		return p.err
	}
	return os.ErrClosed
}

// playedPort is the port of a [Player].
type playedPort struct{ p *Player }

// Read implements [at.Port].
func (q playedPort) Read(b []byte) (int, error) {
	p := q.p
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.ended {
		if len(p.extra) > 0 {
			n := copy(b, p.extra)
			p.extra = p.extra[n:]
			return n, nil
		}
		e := p.current()
		if e == nil || e.Kind != FromModem {
			p.wait(time.Time{})
			continue
		}
		if e.Page > 0 {
			p.end(fmt.Errorf("line %d: %w", e.Line, ErrNoPages))
			break
		}
		if due := p.due(e); p.passed == 0 && time.Now().Before(due) {
			p.wait(due)
			continue
		}
		n := copy(b, e.Data[p.passed:])
		if p.passed += n; p.passed == len(e.Data) {
			p.advance(e)
		}
		return n, nil
	}
	return 0, p.failure()
}

// turn waits until it is the driver's turn, for what it does; nil: the player has ended.
func (p *Player) turn(does Event) *Event {
	late := time.Now().Add(tooEarly)
	for !p.ended {
		e := p.current()
		switch {
		case e == nil:
			p.diverge(nil, does)
		case e.Kind == Control && e.Text == "purge" && does.Text != "purge":
			p.advance(e) // what was thrown away then has gone out now, or was never written
		case e.Kind != FromModem:
			return e
		case time.Now().Before(late):
			p.wait(late)
		default:
			p.diverge(e, does)
		}
	}
	return nil
}

// Write implements [at.Port].
func (q playedPort) Write(b []byte) (int, error) {
	p := q.p
	p.mu.Lock()
	defer p.mu.Unlock()
	for rest := b; len(rest) > 0; {
		does := Event{Kind: ToModem, Data: rest, Any: -1}
		e := p.turn(does)
		if e == nil {
			return len(b) - len(rest), p.failure()
		}
		if !p.Strict && p.passed == 0 && !p.skipTo(rest) && isSetup(rest) {
			p.extra = append(p.extra, p.answer(rest)...)
			p.added++
			p.stir()
			return len(b), nil
		}
		e = &p.rec.Events[p.next]
		n, whole, same := p.match(e, rest)
		if !same {
			p.diverge(e, Event{Kind: ToModem, Data: append(bytes.Clone(e.Data[:max(p.passed-n, 0)]), rest...), Any: -1})
			continue
		}
		rest = rest[n:]
		if whole {
			p.paced(e)
		}
	}
	return len(b), nil
}

// paced completes a write. Data took its time on the modem's line; a command went out at once.
func (p *Player) paced(e *Event) {
	if due := p.due(e); e.Page > 0 || !isText(e.Data) {
		for moved := p.moved; !p.ended && p.moved == moved && time.Now().Before(due); {
			p.wait(due)
		}
	}
	if !p.ended {
		p.advance(e)
	}
}

// match holds octets from the driver against e: how many belong to it, whether they complete it, whether they are the same.
func (p *Player) match(e *Event, b []byte) (n int, whole, same bool) {
	if e.Kind != ToModem {
		return 0, false, false
	}
	if e.Page > 0 {
		p.loose = true
	}
	for n < len(b) {
		if !p.loose && p.passed == e.Any {
			p.loose = true
		}
		c := b[n]
		if p.loose {
			n++
			over := p.dle && (c == etx || e.Page > 0 && (c == 0x2c || c == 0x3b || c == 0x2e))
			p.dle = !p.dle && c == dle
			if over {
				return n, true, true
			}
			continue
		}
		if c != e.Data[p.passed] {
			return n, false, false
		}
		n++
		if p.passed++; p.passed == len(e.Data) {
			return n, true, true
		}
	}
	return n, false, true
}

// SetDTR implements [at.Port].
func (q playedPort) SetDTR(on bool) error {
	text := "dtr off"
	if on {
		text = "dtr on"
	}
	p := q.p
	p.mu.Lock()
	defer p.mu.Unlock()
	does := Event{Kind: Control, Text: text}
	e := p.turn(does)
	if e == nil {
		return p.failure()
	}
	if e.Kind != Control || e.Text != text {
		p.diverge(e, does)
		return p.failure()
	}
	p.advance(e)
	return nil
}

// Purge implements [at.Purger].
func (q playedPort) Purge() error {
	p := q.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.current(); e != nil && e.Kind == Control && e.Text == "purge" {
		p.advance(e)
	}
	return nil
}

// Close implements [at.Port].
func (q playedPort) Close() error {
	p := q.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.ended = true
		close(p.done)
	}
	return nil
}
