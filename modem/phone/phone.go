// Package phone is what all service classes of fax modems share: setting the modem up, dialing and the meaning of result
// codes, ringing with what the exchange tells of a call, going on hook. A class brings its own commands along as [Class].
package phone

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

var (
	// ErrClass is returned by Setup when the modem refuses the service class.
	ErrClass = errors.New("phone: the modem refuses the service class")
	// ErrNumber is returned by Dial for a number with characters that cannot be dialed.
	ErrNumber = errors.New("phone: not a dialable number")
)

const (
	// CommandWait is for commands that only set something.
	CommandWait = 3 * time.Second
	resetWait   = 6 * time.Second // for ATZ
	s7Seconds   = 60              // T0: how long the modem waits for the far end's carrier
)

// Config is how to use one modem, whatever its class. The zero value is fine.
type Config struct {
	Quirks  Quirks
	Pulse   bool   // dial with pulses, not tones
	Speaker bool   // loudspeaker on until the far end answers
	Init    string // the user's own commands, without AT; sent before +FCLASS
	Country string // ISO 3166 code for +GCI, or "#" and the T.35 code in hexadecimal; "": the modem's own setting stays
	// BlindDial dials without waiting for dial tone (X3), behind exchanges that have none.
	BlindDial bool
	// Shared is a line with a telephone on it: nothing is dialed without dial tone, and the modem looks before it goes off
	// hook where it can ([Quirks].LineStatus). BlindDial does not count.
	Shared bool
	// Patterns turns reports of distinctive rings on ([Quirks].DistinctiveRing).
	Patterns bool
	// DTMFDigits is how many digits the exchange sends by DTMF after the answer (DID), at most [MaxDTMF]; 0: none. It takes a modem with
	// a voice mode.
	DTMFDigits int
}

// Class is what a service class does in its own way. All of it runs on the goroutine that has the line.
type Class struct {
	// Enter brings the modem into the class ([Line.EnterClass] and what goes with it), at setup and before each answer.
	Enter func(ctx context.Context) error
	// Prepare sets how the next ATA answers.
	Prepare func(ctx context.Context, m t30.AnswerMode) error
	// Judge looks at each line from the modem after ATD and ATA, but RING. connected: the call is there. An error ends it as
	// what the class knows of it (*t30.CallError, t30.ErrData). Else the result code counts, and information is passed over.
	Judge func(l at.Line) (connected bool, err error)
}

// Line is a modem on its telephone line.
type Line struct {
	ch    *at.Channel
	cfg   Config
	class Class

	// own is held by whoever uses the channel: Setup, Dial, WaitRing, a Ringing or the class's call.
	own   chan struct{}
	dirty atomic.Bool // the modem's state is not known: reset before the next use
	// early are unsolicited lines that came while dialing: the next WaitRing begins with them.
	early []at.Line
	// told are the commands of reports that were accepted after the last reset.
	told []string

	mu       sync.Mutex
	warnings map[string]string
}

// New returns the line of the modem on ch, which is not touched before Setup.
func New(ch *at.Channel, cfg Config, class Class) *Line {
	l := &Line{ch: ch, cfg: cfg, class: class, own: make(chan struct{}, 1)}
	l.dirty.Store(true)
	ch.SetGap(cfg.Quirks.CommandGap)
	return l
}

// Channel is the modem's channel, for whoever has the line.
func (l *Line) Channel() *at.Channel { return l.ch }

// Setup brings the modem into the state every call starts from, with a reset first if its state is not known. ErrClass,
// at.ErrNoReply, at.ErrPortLost.
func (l *Line) Setup(ctx context.Context) error {
	fresh := l.dirty.Load()
	if fresh {
		if _, err := l.ch.Command(ctx, "ATZ", resetWait); err != nil {
			return err
		}
	}
	for _, cmd := range []string{"ATE0V1Q0", "ATS0=0"} {
		if _, err := l.ch.Do(ctx, cmd, CommandWait); err != nil {
			return err
		}
	}
	if fresh && l.cfg.Country != "" {
		if err := l.setCountry(ctx); err != nil {
			return err
		}
	}
	if err := l.Try(ctx, append(l.settings(), l.cfg.Quirks.Init...)...); err != nil {
		return err
	}
	if _, err := l.FirstOf(ctx, orDefault(l.cfg.Quirks.FlowControl, flowControlCommands)...); err != nil {
		return err
	}
	if l.cfg.Init != "" {
		if _, err := l.ch.Do(ctx, "AT"+strings.TrimPrefix(l.cfg.Init, "AT"), CommandWait); err != nil {
			return err
		}
	}
	if err := l.class.Enter(ctx); err != nil {
		return err
	}
	if err := l.reports(ctx, fresh); err != nil {
		return err
	}
	l.dirty.Store(false)
	return nil
}

// settings are commands that may be refused.
func (l *Line) settings() []string {
	x, speaker := "X4", "M0"
	if l.cfg.BlindDial && !l.cfg.Shared {
		x = "X3"
	}
	if l.cfg.Speaker {
		speaker = "M1"
	}
	return []string{x, fmt.Sprintf("S7=%d", s7Seconds), "&D2", speaker}
}

// reports turns on what the modem is to tell of ringing calls and of the line. A modem that has just been reset is asked for the
// commands it knows, later only those are sent.
func (l *Line) reports(ctx context.Context, fresh bool) error {
	if !fresh {
		return l.Try(ctx, l.told...)
	}
	q := l.cfg.Quirks
	l.told = nil
	lists := [][]string{orDefault(q.CallerID, callerIDCommands)}
	if l.cfg.Patterns {
		lists = append(lists, orDefault(q.DistinctiveRing, distinctiveRingCommands))
	}
	if l.cfg.Shared {
		lists = append(lists, orDefault(q.LineStatus, lineStatusCommands))
	}
	for _, list := range lists {
		for _, cmd := range list {
			ok, err := l.FirstOf(ctx, cmd)
			if err != nil {
				return err
			}
			if ok {
				l.told = append(l.told, cmd)
				break
			}
		}
	}
	return nil
}

func orDefault(list, def []string) []string {
	if list == nil {
		return def
	}
	return list
}

// EnterClass sends +FCLASS=class and the quirks that go with it. ErrClass.
func (l *Line) EnterClass(ctx context.Context, class string) error {
	r, err := l.ch.Command(ctx, "AT+FCLASS="+class, CommandWait)
	if err != nil {
		return err
	}
	if r.Code != at.OK {
		return fmt.Errorf("%w: +FCLASS=%s: %s", ErrClass, class, r.Text)
	}
	return l.Try(ctx, l.cfg.Quirks.AfterClass...)
}

// Try sends commands, without AT, that may be refused.
func (l *Line) Try(ctx context.Context, cmds ...string) error {
	for _, cmd := range cmds {
		if _, err := l.ch.Command(ctx, "AT"+cmd, CommandWait); err != nil {
			return err
		}
	}
	return nil
}

// FirstOf sends commands, without AT, until one is accepted; ok tells whether one was.
func (l *Line) FirstOf(ctx context.Context, cmds ...string) (ok bool, err error) {
	for _, cmd := range cmds {
		r, err := l.ch.Command(ctx, "AT"+cmd, CommandWait)
		if err != nil {
			return false, err
		}
		if r.Code == at.OK {
			return true, nil
		}
	}
	return false, nil
}

// acquire waits for the line to be free.
func (l *Line) acquire(ctx context.Context) error {
	select {
	case l.own <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ch.Lost():
		return l.ch.Err()
	}
}

// Release gives the line back after a call that Dial or Answer began, on hook again.
func (l *Line) Release() { <-l.own }

// Taken tells whether somebody has the line.
func (l *Line) Taken() bool { return len(l.own) > 0 }
