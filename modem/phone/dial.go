package phone

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

const (
	// freshRing is how old a RING may be for the line to be taken for ringing still.
	freshRing = 8 * time.Second
	maxDigits = 80
)

// Dial calls number and returns when the class has judged the call to be there; the line is then the caller's until
// Release. Besides digits the number may hold * # A-D and the dial modifiers of V.250 6.3.1: W waits for dial tone, ! is a hook
// flash, @ waits for silence, a comma pauses (2 s, S8), T and P change to tones and pulses. A leading plus sign, spaces, dots,
// hyphens and brackets are left out. *t30.CallError tells why there is no call, t30.ErrRinging that one came in
// first and nothing was dialed; ErrNumber.
func (l *Line) Dial(ctx context.Context, number string) error {
	return l.DialPrepared(ctx, number, nil)
}

// DialPrepared is Dial for a class that tells its modem something for each call: prepare runs before ATD, when the modem is in its
// class and the line is the caller's. Its error ends the call.
func (l *Line) DialPrepared(ctx context.Context, number string, prepare func(context.Context) error) error {
	digits, err := dialString(number)
	if err != nil {
		return err
	}
	if err := l.acquire(ctx); err != nil {
		return fmt.Errorf("phone: dial: %w", err)
	}
	if err := l.dial(ctx, digits, prepare); err != nil {
		l.Release()
		return err
	}
	return nil
}

func (l *Line) dial(ctx context.Context, digits string, prepare func(context.Context) error) error {
	err := l.Setup(ctx)
	if err == nil && prepare != nil {
		err = prepare(ctx)
	}
	if err != nil {
		l.dirty.Store(true)
		return fmt.Errorf("phone: dial: %w", err)
	}
	if ringing, err := l.ringingNow(); err != nil {
		return fmt.Errorf("phone: dial: %w", err)
	} else if ringing {
		return fmt.Errorf("phone: dial: %w", t30.ErrRinging)
	}
	mode := "T"
	if l.cfg.Pulse {
		mode = "P"
	}
	if err := l.ch.Send(ctx, "ATD"+mode+digits); err != nil {
		return fmt.Errorf("phone: dial: %w", err)
	}
	return l.await(ctx, true)
}

// ringingNow tells whether a RING came just now.
func (l *Line) ringingNow() (bool, error) {
	lines, err := l.ch.Unsolicited()
	if err != nil {
		return false, err
	}
	for _, u := range lines {
		if u.Code == at.Ring && time.Since(u.At) < freshRing {
			return true, nil
		}
	}
	return false, nil
}

// dialString is number as ATD takes it.
func dialString(number string) (string, error) {
	var b strings.Builder
	digits := 0
	for i, r := range strings.ToUpper(strings.TrimSpace(number)) {
		switch {
		case r >= '0' && r <= '9' || r >= 'A' && r <= 'D' || r == '*' || r == '#':
			digits++
			b.WriteRune(r)
		case strings.ContainsRune(",W!@TP", r):
			b.WriteRune(r)
		case strings.ContainsRune(" .-()/", r) || r == '+' && i == 0:
		default:
			return "", fmt.Errorf("%w: character %q", ErrNumber, r)
		}
	}
	if digits == 0 || b.Len() > maxDigits {
		return "", fmt.Errorf("%w: %d digits", ErrNumber, digits)
	}
	return b.String(), nil
}
