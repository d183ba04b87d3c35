package modem

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/modem/at"
)

// LineState is what a test found of the telephone line.
type LineState int

const (
	LineUnclear   LineState = iota // the modem does not say
	LineTone                       // there is dial tone
	LineSilent                     // off hook, no dial tone
	LineNone                       // no voltage: the cord is out
	LineInUse                      // a telephone on the same line is off hook; the modem stayed on hook
	LineRinging                    // a call is coming in; the modem stayed on hook
	LineCongested                  // busy tone instead of dial tone
)

var lineStateNames = [...]string{"unclear", "dial tone", "no dial tone", "no line", "in use", "ringing", "busy tone"}

func (s LineState) String() string {
	if s >= 0 && int(s) < len(lineStateNames) {
		return lineStateNames[s]
	}
	return fmt.Sprintf("line state %d", int(s))
}

const (
	ringListen = 6500 * time.Millisecond // longer than the silence between two rings
	toneWait   = 20 * time.Second        // for what becomes of going off hook
	lineHangup = 10 * time.Second
)

// TestLine goes off hook without dialing, tells whether there is dial tone, and hangs up at once. It listens for a ring first, and leaves a
// line alone that rings, or that is in use as far as the modem can tell (Options.Line.Shared). It ends within a minute; heard is what the
// modem said. Nothing else may use the modem meanwhile, and afterwards it is only good for Close.
func (m *Modem) TestLine(ctx context.Context) (s LineState, heard string, err error) {
	m.record.step(StepTest, nil)
	defer func() {
		if err == nil {
			m.record.step(StepTested, TestedStep{s.String()})
		}
	}()
	ringing, err := m.ringsNow(ctx)
	if err != nil || ringing {
		return LineRinging, "RING", err
	}
	for _, cmd := range []string{"AT+FCLASS=0", "ATX4"} { // in a fax class the modem would call
		if _, err := m.ch.Command(ctx, cmd, queryWait); err != nil {
			return s, "", fmt.Errorf("modem: line test: %w", err)
		}
	}
	defer func() { err = errors.Join(err, m.onHook()) }()
	for _, dial := range []string{"ATDT;", "ATDTW;"} { // some refuse a dial string with nothing in it
		r, err := m.ch.Command(ctx, dial, toneWait)
		if errors.Is(err, at.ErrNoReply) {
			return LineUnclear, "nothing", m.ch.Abort(ctx)
		}
		if err != nil {
			return s, "", fmt.Errorf("modem: line test: %w", err)
		}
		if r.Code != at.Error {
			return judgeLine(r.Code), r.Text, nil
		}
		heard = r.Text
	}
	return LineUnclear, heard, nil
}

// judgeLine says what the answer to going off hook means.
func judgeLine(c at.Code) LineState {
	switch c {
	case at.OK:
		return LineTone
	case at.NoDialTone:
		return LineSilent
	case at.NoLine:
		return LineNone
	case at.LineInUse:
		return LineInUse
	case at.Busy:
		return LineCongested
	}
	return LineUnclear
}

// ringsNow listens for a ring.
func (m *Modem) ringsNow(ctx context.Context) (bool, error) {
	for until := time.Now().Add(ringListen); time.Now().Before(until); {
		l, err := m.ch.NextLine(ctx, max(time.Until(until), time.Millisecond))
		switch {
		case errors.Is(err, at.ErrNoReply):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("modem: line test: %w", err)
		case l.Code == at.Ring:
			return true, nil
		}
	}
	return false, nil
}

// onHook hangs up, by DTR if the command does not do it.
func (m *Modem) onHook() error {
	ctx, cancel := context.WithTimeout(context.Background(), lineHangup)
	defer cancel()
	if _, err := m.ch.Do(ctx, "ATH0", queryWait); err == nil {
		return nil
	}
	if err := m.ch.SetDTR(false); err != nil {
		return fmt.Errorf("modem: hang up: %w", err)
	}
	time.Sleep(time.Second)
	if err := m.ch.SetDTR(true); err != nil {
		return fmt.Errorf("modem: hang up: %w", err)
	}
	if _, err := m.ch.Do(ctx, "ATH0", queryWait); err != nil {
		return fmt.Errorf("modem: hang up: %w", err)
	}
	return nil
}
