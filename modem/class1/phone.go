// Package class1 drives a fax modem of Service Class 1 (T.31, EIA/TIA-578): a [t30.Phone] and its calls as [t30.Line].
// The host runs T.30 and, in error correction mode, HDLC on the high-speed carrier; the modem does V.21 with its HDLC and
// the modulations.
package class1

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

var (
	// ErrOnHook is returned by a Line's methods after Hangup, and by those it interrupted.
	ErrOnHook = errors.New("class1: on hook")
	// ErrNotClass1 is returned by New when the modem refuses Class 1 or names no modulation.
	ErrNotClass1 = errors.New("class1: no Class 1 modem")
	// ErrNumber is returned by Dial for a number with characters that cannot be dialed.
	ErrNumber = errors.New("class1: not a dialable number")
)

const (
	commandWait = 3 * time.Second // for commands that only set something
	resetWait   = 6 * time.Second // for ATZ
	s7Seconds   = 60              // T0: how long the modem waits for the far end's carrier
)

// Config is how to use one modem. The zero value is fine.
type Config struct {
	Quirks  Quirks
	Pulse   bool   // dial with pulses, not tones
	Speaker bool   // loudspeaker on until the far end answers
	Init    string // the user's own commands, without AT; sent before +FCLASS=1
}

// Phone is a Class 1 modem, a [t30.Phone].
type Phone struct {
	ch   *at.Channel
	cfg  Config
	caps t30.Capabilities
	far  bool // +FAR=1 is on

	// own is held by whoever uses the channel: Dial, WaitRing, a ringing or a Line.
	own   chan struct{}
	dirty atomic.Bool // the modem's state is not known: reset before the next use
}

// New resets the modem, puts it into Class 1 and asks what it can do. ErrNotClass1, at.ErrNoReply, at.ErrPortLost.
func New(ctx context.Context, ch *at.Channel, cfg Config) (*Phone, error) {
	p := &Phone{ch: ch, cfg: cfg, own: make(chan struct{}, 1)}
	p.dirty.Store(true)
	if err := p.setup(ctx); err != nil {
		return nil, fmt.Errorf("class1: setup: %w", err)
	}
	tx, err := p.codes(ctx, "AT+FTM=?")
	if err != nil {
		return nil, err
	}
	rx, err := p.codes(ctx, "AT+FRM=?")
	if err != nil {
		return nil, err
	}
	p.caps = capabilities(tx, rx)
	if p.caps.Schemes == 0 {
		return nil, fmt.Errorf("%w: +FTM=? and +FRM=? name no modulation", ErrNotClass1)
	}
	return p, nil
}

func (p *Phone) codes(ctx context.Context, cmd string) (map[int]bool, error) {
	r, err := p.ch.Command(ctx, cmd, commandWait)
	if err != nil {
		return nil, fmt.Errorf("class1: %w", err)
	}
	return parseCodes(r.Info), nil
}

// Capabilities implements [t30.Phone].
func (p *Phone) Capabilities() t30.Capabilities { return p.caps }

// setup brings the modem into the state every call starts from, with a reset first if its state is not known.
func (p *Phone) setup(ctx context.Context) error {
	if p.dirty.Load() {
		if _, err := p.ch.Command(ctx, "ATZ", resetWait); err != nil {
			return err
		}
	}
	speaker := "ATM0"
	if p.cfg.Speaker {
		speaker = "ATM1"
	}
	must := []string{"ATE0V1Q0", "ATS0=0"}
	may := []string{"ATX4", fmt.Sprintf("ATS7=%d", s7Seconds), "AT&D2", speaker}
	for _, q := range p.cfg.Quirks.Init {
		may = append(may, "AT"+q)
	}
	for _, cmd := range must {
		if _, err := p.ch.Do(ctx, cmd, commandWait); err != nil {
			return err
		}
	}
	if err := p.try(ctx, may...); err != nil {
		return err
	}
	if _, err := p.firstOf(ctx, "AT+IFC=2,2", "AT&K3"); err != nil { // RTS/CTS
		return err
	}
	if p.cfg.Init != "" {
		if _, err := p.ch.Do(ctx, "AT"+strings.TrimPrefix(p.cfg.Init, "AT"), commandWait); err != nil {
			return err
		}
	}
	if err := p.enterClass1(ctx); err != nil {
		return err
	}
	callerID := []string{"AT+VCID=1", "AT#CID=1"}
	if p.cfg.Quirks.CallerID != nil {
		callerID = nil
		for _, c := range p.cfg.Quirks.CallerID {
			callerID = append(callerID, "AT"+c)
		}
	}
	if _, err := p.firstOf(ctx, callerID...); err != nil {
		return err
	}
	p.dirty.Store(false)
	return nil
}

// enterClass1 sends +FCLASS=1 and what goes with it.
func (p *Phone) enterClass1(ctx context.Context) error {
	r, err := p.ch.Command(ctx, "AT+FCLASS=1", commandWait)
	if err != nil {
		return err
	}
	if r.Code != at.OK {
		return fmt.Errorf("%w: +FCLASS=1: %s", ErrNotClass1, r.Text)
	}
	for _, q := range p.cfg.Quirks.AfterClass {
		if err := p.try(ctx, "AT"+q); err != nil {
			return err
		}
	}
	if !p.cfg.Quirks.NoFAR {
		p.far, err = p.firstOf(ctx, "AT+FAR=1")
	}
	return err
}

// try sends commands that may be refused.
func (p *Phone) try(ctx context.Context, cmds ...string) error {
	for _, cmd := range cmds {
		if _, err := p.ch.Command(ctx, cmd, commandWait); err != nil {
			return err
		}
	}
	return nil
}

// firstOf sends commands until one is accepted; ok tells whether one was.
func (p *Phone) firstOf(ctx context.Context, cmds ...string) (ok bool, err error) {
	for _, cmd := range cmds {
		r, err := p.ch.Command(ctx, cmd, commandWait)
		if err != nil {
			return false, err
		}
		if r.Code == at.OK {
			return true, nil
		}
	}
	return false, nil
}

// acquire waits for the channel to be free.
func (p *Phone) acquire(ctx context.Context) error {
	select {
	case p.own <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.ch.Lost():
		return p.ch.Err()
	}
}

func (p *Phone) release() { <-p.own }
