package class1

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

const (
	// ringEnd is the silence after a RING by which the ringing has stopped: longer than any country's cadence.
	ringEnd = 8 * time.Second
	// maxField bounds what is kept of one caller ID field, in characters.
	maxField = 80
	// answerTime covers CED (2.6 to 4 s), adaptive answering and the modem's S7.
	answerTime = (s7Seconds + 5) * time.Second
)

// WaitRing implements [t30.Phone].
func (p *Phone) WaitRing(ctx context.Context) (t30.Ringing, error) {
	if err := p.acquire(ctx); err != nil {
		return nil, fmt.Errorf("class1: wait for ring: %w", err)
	}
	r, err := p.waitRing(ctx)
	if err != nil {
		p.release()
		return nil, fmt.Errorf("class1: wait for ring: %w", err)
	}
	return r, nil
}

func (p *Phone) waitRing(ctx context.Context) (*ringing, error) {
	if p.dirty.Load() {
		if err := p.setup(ctx); err != nil {
			return nil, err
		}
	}
	var call callInfo
	for {
		l, err := p.ch.NextLine(ctx, 0)
		if err != nil {
			return nil, err
		}
		if time.Since(l.At) > freshRing {
			continue // of a call that is over
		}
		switch l.Code {
		case at.CallerID:
			call.add(l.Text)
		case at.Ring:
			return p.startRinging(l, call), nil
		}
	}
}

// ringing is one call that rings, a [t30.Ringing]. It holds the phone until the ringing has stopped or was answered.
type ringing struct {
	p     *Phone
	rings chan t30.Ring
	stop  context.CancelFunc
	done  chan struct{} // the watcher has returned
	over  bool          // set before done: the ringing stopped and the phone was released
	once  sync.Mutex    // for Answer
	taken bool
}

func (p *Phone) startRinging(first at.Line, call callInfo) *ringing {
	ctx, cancel := context.WithCancel(context.Background())
	r := &ringing{p: p, rings: make(chan t30.Ring, 16), stop: cancel, done: make(chan struct{})}
	r.rings <- call.ring(first)
	go r.watch(ctx, call)
	return r
}

// watch reads rings until Answer stops it or the ringing ends.
func (r *ringing) watch(ctx context.Context, call callInfo) {
	defer close(r.done)
	defer close(r.rings)
	until := time.Now().Add(ringEnd)
	for {
		l, err := r.p.ch.NextLine(ctx, max(time.Until(until), time.Millisecond))
		if ctx.Err() != nil {
			return
		}
		if err != nil { // silence, or the port is gone
			r.over = true
			r.p.release()
			return
		}
		switch l.Code {
		case at.CallerID:
			call.add(l.Text)
		case at.Ring:
			until = time.Now().Add(ringEnd)
			select {
			case r.rings <- call.ring(l):
			default: // nobody reads; they only want to know whether it rings
			}
		}
	}
}

// Rings implements [t30.Ringing].
func (r *ringing) Rings() <-chan t30.Ring { return r.rings }

// Ignore implements [t30.Ringing]: the phone stays busy until the ringing has stopped.
func (r *ringing) Ignore() error { return r.p.ch.Err() }

// Answer implements [t30.Ringing]. An adaptive answer needs a modem with +FAE; without it the call is taken for a fax.
func (r *ringing) Answer(ctx context.Context, m t30.AnswerMode) (t30.Line, error) {
	r.once.Lock()
	defer r.once.Unlock()
	r.stop()
	<-r.done
	if r.over || r.taken {
		if err := r.p.ch.Err(); err != nil {
			return nil, fmt.Errorf("class1: answer: %w", err)
		}
		return nil, &t30.CallError{Code: t30.CodeNoCarrier, Text: "ringing has stopped"}
	}
	r.taken = true
	if err := r.p.answer(ctx, m); err != nil {
		r.p.release()
		return nil, err
	}
	return newLine(r.p, sendingFrames), nil
}

func (p *Phone) answer(ctx context.Context, m t30.AnswerMode) error {
	// Again, since a modem may have lost power since its setup.
	if err := p.enterClass1(ctx); err != nil {
		p.dirty.Store(true)
		return fmt.Errorf("class1: answer: %w", err)
	}
	adaptive := "AT+FAE=0"
	if m == t30.AnswerAdaptive {
		adaptive = "AT+FAE=1"
	}
	if err := p.try(ctx, adaptive); err != nil {
		return fmt.Errorf("class1: answer: %w", err)
	}
	r, err := p.ch.Command(ctx, "ATA", answerTime)
	switch {
	case errors.Is(err, at.ErrNoReply):
		err = &t30.CallError{Code: t30.CodeNoCarrier, Text: "no result from ATA"}
	case err != nil:
		err = fmt.Errorf("class1: answer: %w", err)
	case r.Code == at.Voice:
		err = fmt.Errorf("class1: answer: %w", t30.ErrVoice)
	case r.Code == at.Connect && saysData(r.Info):
		err = fmt.Errorf("class1: answer: %w", t30.ErrData)
	case r.Code == at.Connect:
		return nil
	default:
		return callError(r.Line)
	}
	p.abandon()
	return err
}

func saysData(info []string) bool {
	for _, s := range info {
		if c, _ := at.ParseLine(s); c == at.Data {
			return true
		}
	}
	return false
}

// callInfo gathers what the exchange tells of a call (V.253 caller ID, and distinctive ring durations).
type callInfo struct {
	caller, name, dialed string
	cadence              []string
}

func (c *callInfo) add(text string) {
	key, value, _ := strings.Cut(text, "=")
	value = clip(strings.TrimSpace(value))
	switch strings.ToUpper(strings.TrimSpace(key)) {
	case "NMBR":
		if value != "P" && value != "O" { // private, out of area
			c.caller = value
		}
	case "NAME":
		if value != "P" && value != "O" {
			c.name = value
		}
	case "NDID", "DDN":
		c.dialed = value
	case "DRON", "DROF":
		if len(c.cadence) < 8 {
			c.cadence = append(c.cadence, strings.ToUpper(clip(text)))
		}
	}
}

func clip(s string) string {
	if r := []rune(s); len(r) > maxField {
		return string(r[:maxField])
	}
	return s
}

// ring is what is known at the RING l. A cadence counts for one ring: it is told anew before each.
func (c *callInfo) ring(l at.Line) t30.Ring {
	pattern := strings.Join(c.cadence, "/")
	c.cadence = nil
	if p := strings.TrimSpace(l.Text[len("RING"):]); p != "" {
		pattern = clip(p)
	}
	return t30.Ring{At: l.At, Caller: c.caller, Name: c.name, Dialed: c.dialed, Pattern: pattern}
}
