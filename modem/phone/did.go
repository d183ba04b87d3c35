package phone

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tipring/tipring/modem/at"
)

const (
	// MaxDTMF bounds the digits that a DID trunk sends.
	MaxDTMF    = 20
	offHook    = 5 * time.Second // for the answer in voice mode
	firstDigit = 5 * time.Second
	allDigits  = 12 * time.Second // a caller's fax waits for 35 s in all
	nextDigit  = 2 * time.Second  // DTMF digits of an exchange follow each other within 0.2 s
)

// heardDigits goes off hook in voice mode (+FCLASS=8, +VLS=1: V.253) and collects the digits that the exchange sends by DTMF then;
// the class answers with ATA after it, still off hook. A modem without a voice mode gives no digits and is still on hook.
func (l *Line) heardDigits(ctx context.Context) (string, error) {
	if ok, err := l.FirstOf(ctx, "+FCLASS=8"); err != nil || !ok {
		if err == nil {
			l.warn("dtmf", "The modem has no voice mode (+FCLASS=8): the digits that the exchange sends by DTMF cannot be heard.")
		}
		return "", err
	}
	r, err := l.ch.Command(ctx, "AT+VLS=1", offHook)
	switch {
	case err != nil && !errors.Is(err, at.ErrNoReply):
		return "", err
	case err != nil || r.Code != at.OK && r.Code != at.Voice:
		l.warn("dtmf", fmt.Sprintf("The modem does not answer in voice mode (+VLS=1: %q): the digits that the exchange sends by DTMF cannot be heard.", r.Text))
		return "", nil
	}
	var digits strings.Builder
	wait, end := firstDigit, time.Now().Add(allDigits)
	for digits.Len() < l.cfg.DTMFDigits {
		e, err := l.ch.Event(ctx, max(min(wait, time.Until(end)), time.Millisecond))
		if errors.Is(err, at.ErrNoReply) {
			break
		}
		if err != nil {
			return "", err
		}
		if e == 'c' || e == 'l' || e == 'h' { // a fax calls already; the caller is gone: ATA will tell
			break
		}
		if e >= '0' && e <= '9' || e >= 'A' && e <= 'D' || e == '*' || e == '#' {
			digits.WriteByte(e)
			wait = nextDigit
		}
	}
	return digits.String(), nil
}
