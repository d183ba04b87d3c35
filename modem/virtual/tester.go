package virtual

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// Tester is the tester's end of a line of an [Exchange], a [t30test.Tester]. It is no modem: it puts signals on the line, as
// wrong as a test wants them, and tells what it hears, down to the flags of a preamble. It always hears, also while it sends.
//
// Times are wall time (package time), which is line time at Options.Speed 1. Its methods are for one goroutine, except Hangup.
type Tester struct {
	hook
	wake chan struct{} // something was heard, or the state of the call changed
	tail int           // flags after the last V.21 frame

	// All below is guarded by ex.mu.
	rung     bool
	progress []progress
	sending  *signal
	hearing  []*hearing        // begun
	heard    []*t30test.Signal // ended, not fetched
}

var _ t30test.Tester = (*Tester)(nil)

// NewTester puts a tester on the exchange. It notices a hang-up at once and has no filters that take time.
func (ex *Exchange) NewTester(number string) *Tester {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	t := &Tester{hook: hook{ex: ex, number: dialable(number), prompt: true}, wake: make(chan struct{}, 1), tail: testerTail}
	ex.numbers[t.number] = append(ex.numbers[t.number], t)
	return t
}

// Number is the tester's telephone number.
func (t *Tester) Number() string { return t.number }

// SetTail makes the tester send so many flags after the closing flag of a V.21 signal's last frame; 2 if not called. Machines send
// one to five. Call it before the call.
func (t *Tester) SetTail(flags int) { t.tail = flags }

// Tones implements t30test.Tester.
func (t *Tester) Tones() bool { return true }

// Dial calls number and returns when the far end has answered. t30.CallError tells what else became of the call.
func (t *Tester) Dial(ctx context.Context, number string) error {
	t.ex.mu.Lock()
	t.forget()
	t.ex.dial(t, dialable(number))
	t.ex.mu.Unlock()
	var err error
	werr := t.await(ctx, func() bool {
		for _, p := range t.progress {
			switch p {
			case progressBusy:
				err = &t30.CallError{Code: t30.CodeBusy}
			case progressRefused:
				err = &t30.CallError{Code: t30.CodeNotInService}
			}
		}
		return err != nil || t.connected()
	})
	if werr != nil {
		err = fmt.Errorf("virtual: tester: dial %s: %w", number, werr)
	}
	if err != nil {
		_ = t.Hangup()
	}
	return err
}

// Answer waits for a ring and goes off hook.
func (t *Tester) Answer(ctx context.Context) error {
	if err := t.await(ctx, func() bool { return t.rung && t.incoming != nil }); err != nil {
		return fmt.Errorf("virtual: tester: waiting for a ring: %w", err)
	}
	t.ex.mu.Lock()
	defer t.ex.mu.Unlock()
	c := t.incoming
	if c == nil {
		return fmt.Errorf("virtual: tester: answer: %w", errRingGone)
	}
	t.forget()
	c.answered()
	return nil
}

// errRingGone: the caller gave up in the very moment of the answer.
var errRingGone = errors.New("the ringing has stopped")

// Hangup implements t30test.Tester. What was being heard is lost.
func (t *Tester) Hangup() error {
	t.ex.mu.Lock()
	defer t.ex.mu.Unlock()
	t.carrierOff()
	t.hearing = nil
	if t.call != nil {
		t.call.hangup(t)
	}
	t.news()
	return nil
}

// await waits until cond holds or ctx ends. cond is called with the exchange locked.
func (t *Tester) await(ctx context.Context, cond func() bool) error {
	for {
		t.ex.mu.Lock()
		ok := cond()
		t.ex.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-t.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// news wakes whoever waits. The exchange is locked.
func (t *Tester) news() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// forget puts the call before out of mind.
func (t *Tester) forget() { t.rung, t.progress, t.hearing, t.heard = false, nil, nil, nil }

func (t *Tester) connected() bool { return t.call != nil && t.call.state == connected }

func (t *Tester) idle() bool { return t.call == nil && t.incoming == nil }

func (t *Tester) ring() {
	t.rung = true
	t.news()
}

func (t *Tester) callerID(string, string) {}

func (t *Tester) ringStopped() {
	t.incoming = nil
	t.rung = false
	t.news()
}

func (t *Tester) callProgress(p progress) {
	t.progress = append(t.progress, p)
	t.news()
}

// lineDropped: what was being heard ends here.
func (t *Tester) lineDropped() {
	t.trace(Event{Kind: EventHangup, Text: "dropped by the exchange"})
	t.carrierOff()
	for _, h := range t.hearing {
		t.heard = append(t.heard, h.end(time.Now()))
	}
	t.hearing = nil
	t.news()
}

// testerGrain is what the serial port and the modem's start-up add to a pause that the device makes.
const testerGrain = 10 * time.Millisecond

// Grain implements t30test.Tester.
func (t *Tester) Grain() time.Duration { return testerGrain }
