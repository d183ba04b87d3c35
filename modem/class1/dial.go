package class1

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

const (
	// answerWait is our own limit beyond the modem's S7.
	answerWait = (s7Seconds + 5) * time.Second
	// freshRing is how old a RING may be for the line to be taken for ringing still.
	freshRing = 8 * time.Second
	maxDigits = 80
)

// Dial implements [t30.Phone]. Besides digits the number may hold * # A-D and the modem's dial modifiers W ! @ and comma;
// a leading plus sign, spaces, dots, hyphens and brackets are left out.
func (p *Phone) Dial(ctx context.Context, number string) (t30.Line, error) {
	digits, err := dialString(number)
	if err != nil {
		return nil, err
	}
	if err := p.acquire(ctx); err != nil {
		return nil, fmt.Errorf("class1: dial: %w", err)
	}
	if err := p.dial(ctx, digits); err != nil {
		p.release()
		return nil, err
	}
	return newLine(p, receivingFrame), nil
}

func (p *Phone) dial(ctx context.Context, digits string) error {
	if err := p.setup(ctx); err != nil {
		p.dirty.Store(true)
		return fmt.Errorf("class1: dial: %w", err)
	}
	if ringing, err := p.ringingNow(); err != nil {
		return fmt.Errorf("class1: dial: %w", err)
	} else if ringing {
		return fmt.Errorf("class1: dial: %w", t30.ErrRinging)
	}
	mode := "T"
	if p.cfg.Pulse {
		mode = "P"
	}
	if err := p.ch.Send(ctx, "ATD"+mode+digits); err != nil {
		return fmt.Errorf("class1: dial: %w", err)
	}
	l, err := p.awaitAnswer(ctx)
	switch {
	case err != nil:
		p.abandon()
		return err
	case l.Code != at.Connect: // the modem gave up; some stay off hook
		hctx, cancel := context.WithTimeout(context.Background(), hangupWait)
		defer cancel()
		if p.onHook(hctx) != nil {
			_ = p.dropDTR(hctx)
		}
		return callError(l)
	}
	return nil
}

// ringingNow tells whether a RING came just now.
func (p *Phone) ringingNow() (bool, error) {
	lines, err := p.ch.Unsolicited()
	if err != nil {
		return false, err
	}
	for _, l := range lines {
		if l.Code == at.Ring && time.Since(l.At) < freshRing {
			return true, nil
		}
	}
	return false, nil
}

// awaitAnswer waits for what becomes of a dialed call: CONNECT or another final result. From a NO CARRIER, and when
// the modem says nothing at all, the far telephone's ringing tells no answer from an answer that was no fax; without
// RINGING it stays CodeNoCarrier.
func (p *Phone) awaitAnswer(ctx context.Context) (at.Line, error) {
	until := time.Now().Add(answerWait)
	var rang time.Time // the last RINGING, of modems that tell
	for {
		l, err := p.ch.NextLine(ctx, max(time.Until(until), time.Millisecond))
		if errors.Is(err, at.ErrNoReply) {
			return l, callError(judgeSilence(at.Line{At: time.Now(), Code: at.NoCarrier, Text: "no carrier heard in time"}, rang))
		}
		if err != nil {
			return l, fmt.Errorf("class1: dial: %w", err)
		}
		switch {
		case l.Code == at.Ringback:
			rang = l.At
		case l.Code == at.Ring && time.Since(l.At) < freshRing: // glare: the exchange rang before it gave dial tone
			return l, fmt.Errorf("class1: dial: %w", t30.ErrRinging)
		case l.Code == at.NoCarrier:
			return judgeSilence(l, rang), nil
		case l.Code.Final():
			return l, nil
		}
	}
}

// judgeSilence makes the end of a call without a carrier an answer that was no fax if the ringing had stopped before, and no answer if
// it rang to the end.
func judgeSilence(l at.Line, rang time.Time) at.Line {
	switch {
	case rang.IsZero():
	case l.At.Sub(rang) < freshRing:
		l.Code = at.NoAnswer
	default:
		l.Code = at.FCError
	}
	return l
}

// callError says what a final result other than CONNECT means to a dialed or answered call.
func callError(l at.Line) error {
	code := t30.CodeNoCarrier
	switch l.Code {
	case at.Busy:
		code = t30.CodeBusy
	case at.NoAnswer:
		code = t30.CodeNoAnswer
	case at.NoDialTone:
		code = t30.CodeNoDialTone
	case at.Blacklisted:
		code = t30.CodeBlacklisted
	case at.Voice:
		code = t30.CodeVoice
	case at.FCError: // something answered, with another carrier than V.21 or none
		code = t30.CodeNoFax
	case at.OK: // the modem took an octet for an abort
		code = t30.CodeCallAborted
	case at.Error:
		code = t30.CodeModem
	}
	return &t30.CallError{Code: code, Text: l.Text}
}

// abandon stops a dialing or answering modem: any octet does (V.250 6.3.1), then on hook to be sure.
func (p *Phone) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), hangupWait)
	defer cancel()
	if err := p.ch.Abort(ctx); err != nil || p.onHook(ctx) != nil {
		_ = p.dropDTR(ctx) // marks the modem for a reset; a lost port shows in the next command
	}
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
		case strings.ContainsRune(",W!@", r):
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
