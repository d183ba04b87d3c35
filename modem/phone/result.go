package phone

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

// callWait is our own limit beyond the modem's S7, for ATD and ATA. It covers CED (2.6 to 4 s) and adaptive answering.
const callWait = (s7Seconds + 5) * time.Second

// await waits for what becomes of ATD (dialing) or ATA, and leaves the modem on hook unless a call came of it.
func (l *Line) await(ctx context.Context, dialing bool) error {
	end, err := l.outcome(ctx, dialing)
	switch {
	case err == nil:
		return nil
	case end.Code.Final(): // the modem gave up; some stay off hook
		hctx, cancel := context.WithTimeout(context.Background(), HangupWait)
		defer cancel()
		if l.OnHook(hctx) != nil {
			_ = l.DropDTR(hctx)
		}
	default:
		l.abandon()
	}
	return err
}

// outcome reads the lines after ATD or ATA. end is the final result that ended an attempt without a call; Info if there
// was none, or a call behind it that is not wanted. From a NO CARRIER, and when the modem says nothing at all, the far
// telephone's ringing tells no answer from an answer that was no fax; without RINGING it stays CodeNoCarrier.
func (l *Line) outcome(ctx context.Context, dialing bool) (end at.Line, err error) {
	op := "answer"
	if dialing {
		op = "dial"
	}
	until := time.Now().Add(callWait)
	l.early = nil
	var rang time.Time // the last RINGING, of modems that tell
	data := false
	for {
		r, err := l.ch.NextLine(ctx, max(time.Until(until), time.Millisecond))
		if errors.Is(err, at.ErrNoReply) {
			return at.Line{}, callError(judgeSilence(at.Line{At: time.Now(), Code: at.NoCarrier, Text: "no carrier heard in time"}, rang))
		}
		if err != nil {
			return at.Line{}, fmt.Errorf("phone: %s: %w", op, err)
		}
		if r.Code.Unsolicited() {
			l.keep(r)
			if r.Code == at.Ring && dialing && time.Since(r.At) < freshRing { // glare: the exchange rang before it gave dial tone
				return at.Line{}, fmt.Errorf("phone: dial: %w", t30.ErrRinging)
			}
			continue
		}
		connected, err := l.class.Judge(r)
		switch {
		case dialing && errors.Is(err, t30.ErrVoice):
			return at.Line{}, &t30.CallError{Code: t30.CodeVoice, Text: r.Text}
		case dialing && errors.Is(err, t30.ErrData):
			return at.Line{}, &t30.CallError{Code: t30.CodeNoFax, Text: r.Text}
		case connected && data, errors.Is(err, t30.ErrData):
			return at.Line{}, fmt.Errorf("phone: %s: %w", op, t30.ErrData)
		case connected:
			return at.Line{}, nil
		case err != nil:
			return r, err
		case r.Code == at.Ringback:
			rang = r.At
		case r.Code == at.Data:
			data = true
		case r.Code == at.Voice && !dialing:
			return at.Line{}, fmt.Errorf("phone: answer: %w", t30.ErrVoice)
		case r.Code == at.NoCarrier && dialing:
			return r, callError(judgeSilence(r, rang))
		case r.Code.Final():
			return r, callError(r)
		}
	}
}

// maxEarly bounds what is kept of a call that comes in while another is dialed, in lines.
const maxEarly = 16

func (l *Line) keep(r at.Line) {
	if len(l.early) < maxEarly {
		l.early = append(l.early, r)
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
	case at.NoLine:
		code = t30.CodeNoLine
	case at.LineInUse:
		code = t30.CodeLineInUse
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
