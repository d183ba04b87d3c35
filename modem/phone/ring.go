package phone

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

// ringEnd is the silence after a RING by which the ringing has stopped: longer than any country's cadence.
const ringEnd = 8 * time.Second

// WaitRing blocks until the line rings or ctx ends. The line is the Ringing's until that is over.
func (l *Line) WaitRing(ctx context.Context) (*Ringing, error) {
	if err := l.acquire(ctx); err != nil {
		return nil, fmt.Errorf("phone: wait for ring: %w", err)
	}
	r, err := l.waitRing(ctx)
	if err != nil {
		l.Release()
		return nil, fmt.Errorf("phone: wait for ring: %w", err)
	}
	return r, nil
}

func (l *Line) waitRing(ctx context.Context) (*Ringing, error) {
	if l.dirty.Load() {
		if err := l.Setup(ctx); err != nil {
			return nil, err
		}
	}
	var call callInfo
	var told time.Time
	for {
		r, err := l.next(ctx)
		if err != nil {
			return nil, err
		}
		if time.Since(r.At) > freshRing {
			continue // of a call that is over
		}
		if r.At.Sub(told) > freshRing {
			call = callInfo{} // of one that never rang
		}
		switch r.Code {
		case at.CallerID:
			call.add(r.Text)
			told = r.At
		case at.Ring:
			return l.startRinging(r, call), nil
		}
	}
}

// next is the next line, those that came while dialing first.
func (l *Line) next(ctx context.Context) (at.Line, error) {
	if len(l.early) > 0 {
		r := l.early[0]
		l.early = l.early[1:]
		return r, ctx.Err()
	}
	return l.ch.NextLine(ctx, 0)
}

// Ringing is one call that rings. It holds the line until the ringing has stopped, or was answered: then the line is the
// answering class's until Release.
type Ringing struct {
	l     *Line
	rings chan t30.Ring
	stop  context.CancelFunc
	done  chan struct{} // the watcher has returned
	over  bool          // set before done: the ringing stopped and the line was released
	once  sync.Mutex    // for Answer
	taken bool
	// dialed are the digits heard after the answer.
	dialed string
}

func (l *Line) startRinging(first at.Line, call callInfo) *Ringing {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Ringing{l: l, rings: make(chan t30.Ring, 16), stop: cancel, done: make(chan struct{})}
	r.rings <- call.ring(first)
	go r.watch(ctx, call)
	return r
}

// watch reads rings until Answer stops it or the ringing ends.
func (r *Ringing) watch(ctx context.Context, call callInfo) {
	defer close(r.done)
	defer close(r.rings)
	until := time.Now().Add(ringEnd)
	for {
		line, err := r.l.ch.NextLine(ctx, max(time.Until(until), time.Millisecond))
		if ctx.Err() != nil {
			return
		}
		if err != nil { // silence, or the port is gone
			r.over = true
			r.l.Release()
			return
		}
		switch line.Code {
		case at.CallerID:
			call.add(line.Text)
		case at.Ring:
			until = time.Now().Add(ringEnd)
			select {
			case r.rings <- call.ring(line):
			default: // nobody reads; they only want to know whether it rings
			}
		}
	}
}

// Rings delivers each ring with what the exchange told so far; it is closed when the ringing stopped or was answered.
func (r *Ringing) Rings() <-chan t30.Ring { return r.rings }

// Ignore lets it ring: the line stays taken until the ringing has stopped.
func (r *Ringing) Ignore() error { return r.l.ch.Err() }

// Answer goes off hook (ATA) and returns when the class has judged the call to be there; the line is then the caller's
// until Release. *t30.CallError, t30.ErrVoice, t30.ErrData.
func (r *Ringing) Answer(ctx context.Context, m t30.AnswerMode) error {
	return r.AnswerPrepared(ctx, m, nil)
}

// AnswerPrepared is Answer for a class that tells its modem something for each call, as [Line.DialPrepared].
func (r *Ringing) AnswerPrepared(ctx context.Context, m t30.AnswerMode, prepare func(context.Context) error) error {
	r.once.Lock()
	defer r.once.Unlock()
	r.stop()
	<-r.done
	if r.over || r.taken {
		if err := r.l.ch.Err(); err != nil {
			return fmt.Errorf("phone: answer: %w", err)
		}
		return &t30.CallError{Code: t30.CodeNoCarrier, Text: "ringing has stopped"}
	}
	r.taken = true
	var err error
	if r.l.cfg.DTMFDigits > 0 {
		if r.dialed, err = r.l.heardDigits(ctx); err != nil {
			err = fmt.Errorf("phone: dialed digits: %w", err)
		}
	}
	if err == nil {
		err = r.l.answer(ctx, m, prepare)
	}
	if err != nil {
		if r.l.cfg.DTMFDigits > 0 {
			r.l.abandon() // perhaps off hook in voice mode
		}
		r.l.Release()
	}
	return err
}

// Dialed are the digits that were heard after the answer ([Config].DTMFDigits), "" none.
func (r *Ringing) Dialed() string { return r.dialed }

func (l *Line) answer(ctx context.Context, m t30.AnswerMode, prepare func(context.Context) error) error {
	// Again, since a modem may have lost power since its setup.
	if err := l.class.Enter(ctx); err != nil {
		l.dirty.Store(true)
		return fmt.Errorf("phone: answer: %w", err)
	}
	err := l.class.Prepare(ctx, m)
	if err == nil && prepare != nil {
		err = prepare(ctx)
	}
	if err != nil {
		return fmt.Errorf("phone: answer: %w", err)
	}
	if err := l.ch.Send(ctx, "ATA"); err != nil {
		return fmt.Errorf("phone: answer: %w", err)
	}
	return l.await(ctx, false)
}
