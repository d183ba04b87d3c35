package class1

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/t30"
)

// state is what the modem is doing between two methods of a line.
type state int

const (
	commandState   state = iota // waits for a command
	receivingFrame              // said CONNECT in +FRH=3: a frame's octets follow
	sendingFrames               // said CONNECT in +FTH=3: wants a frame's octets
	sendingData                 // said CONNECT in +FTM: wants page data
	inV34                       // in a call over V.34
	v34Ended                    // said DLE EOT there; a result follows
	unknownState                // interrupted in a command or a receive
)

const (
	commandWait = phone.CommandWait
	// modemBuffer is how much page data a modem may still hold when a send is given up, in octets.
	modemBuffer = 4096
)

// errInterrupted is returned after a method that its context ended.
var errInterrupted = errors.New("interrupted before, only Hangup is left")

// line is one call, a [t30.Line].
type line struct {
	p    *Phone
	ch   *at.Channel
	gone context.Context // ends with Hangup
	end  context.CancelFunc

	run         sync.Mutex // held by the running method
	state       state
	interrupted bool // a method was cut short: only Hangup is left
	rate        int  // of the carrier being sent, bit/s
	listened    bool // the last thing done was to receive: nothing of ours is on the line
	earlyOK     bool // the last frame's OK came with its closing flag: the far end may be sending flags still

	dialed string // digits heard after the answer

	hang    sync.Once
	hangErr error
}

func newLine(p *Phone, s state) *line {
	l := &line{p: p, ch: p.ch, state: s}
	l.gone, l.end = context.WithCancel(context.Background())
	return l
}

// Capabilities implements [t30.Line].
func (l *line) Capabilities() t30.Capabilities { return l.p.caps }

// Dialed implements [t30.Dialed].
func (l *line) Dialed() string { return l.dialed }

// method runs f as one of the line's methods: f's context also ends with Hangup, and an interrupted f leaves the
// modem in an unknown state.
func (l *line) method(ctx context.Context, name string, f func(context.Context) error) error {
	l.run.Lock()
	defer l.run.Unlock()
	if l.gone.Err() != nil {
		return fmt.Errorf("class1: %s: %w", name, ErrOnHook)
	}
	if l.interrupted {
		return fmt.Errorf("class1: %s: %w", name, errInterrupted)
	}
	mctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.gone, cancel)()
	err := f(mctx)
	if mctx.Err() != nil && err != nil {
		l.interrupted = true
		switch l.state {
		case sendingData, sendingFrames, inV34, v34Ended:
		default:
			l.state = unknownState
		}
		if err = ctx.Err(); err == nil {
			err = ErrOnHook
		}
	}
	if err != nil {
		return fmt.Errorf("class1: %s: %w", name, err)
	}
	return nil
}

// command sends an action command from the command state.
func (l *line) command(ctx context.Context, cmd string, within time.Duration) (at.Reply, error) {
	if err := l.toCommandState(ctx); err != nil {
		return at.Reply{}, err
	}
	return l.ch.Command(ctx, cmd, within)
}

// toCommandState leaves a signal that nobody wants any more.
func (l *line) toCommandState(ctx context.Context) error {
	switch l.state {
	case receivingFrame:
		if err := l.ch.Abort(ctx); err != nil {
			return err
		}
	case sendingFrames, sendingData:
		if err := l.ch.EndData(ctx); err != nil {
			return err
		}
		if _, err := l.ch.Result(ctx, commandWait); err != nil {
			return err
		}
	}
	l.state = commandState
	return nil
}

// Silence implements [t30.Line]: by the modem (+FTS, T.31 8.3.1, in units of 10 ms) where it can, since it knows when the carrier that it
// sent is off, and what is left of d by our clock. Command and result take some milliseconds, in which the line is quiet as well:
// mostly nothing is left. After a reception by our clock alone, which spares the time of a command.
func (l *line) Silence(ctx context.Context, d time.Duration) error {
	return l.method(ctx, "silence", func(ctx context.Context) error {
		start, byHost := time.Now(), l.p.cfg.Quirks.HostSilence || l.p.cfg.Line.Quirks.CommandGap > 0 // a command of its own would cost a gap
		units := d / (10 * time.Millisecond)
		byModem := l.state == commandState && !l.listened && !byHost
		if l.listened && l.earlyOK && !byHost && units > 0 && d < flagTail {
			return l.awaitSilence(ctx, units)
		}
		if byModem && units > 0 && units <= 255 {
			r, err := l.command(ctx, fmt.Sprintf("AT+FTS=%d", units), d+commandWait)
			if err == nil && r.Code != at.OK {
				err = fmt.Errorf("+FTS: %w (%s)", t30.ErrHungUp, r.Text)
			}
			if err != nil {
				return err
			}
		}
		return phone.Sleep(ctx, d-time.Since(start))
	})
}

// quietFor is how long the line has to be silent to be called quiet, and quietWait how long that is waited for.
const (
	quietFor  = 100 * time.Millisecond
	quietWait = 400 * time.Millisecond
)

// Quiet implements [t30.Listener]: +FRS (T.31 8.3.2).
func (l *line) Quiet(ctx context.Context) (quiet bool, err error) {
	if l.p.cfg.Quirks.HostSilence { // Field: U.S. Robotics resets on +FRS
		return false, nil
	}
	err = l.method(ctx, "listen for silence", func(ctx context.Context) error {
		r, err := l.command(ctx, fmt.Sprintf("AT+FRS=%d", quietFor/(10*time.Millisecond)), quietWait)
		if errors.Is(err, at.ErrNoReply) {
			return l.ch.Abort(ctx)
		}
		quiet = err == nil && r.Code == at.OK
		return err
	})
	return quiet, err
}

// Hangup implements [t30.Line].
func (l *line) Hangup() error {
	l.hang.Do(func() {
		l.end()
		l.run.Lock()
		defer l.run.Unlock()
		l.hangErr = l.hangup()
		l.p.phone.Release()
	})
	return l.hangErr
}

func (l *line) hangup() error {
	wait := phone.HangupWait
	if l.state == sendingData {
		wait += airTime(modemBuffer, l.rate)
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := l.quiesce(ctx); err == nil {
		if err = l.p.phone.OnHook(ctx); err == nil {
			return nil
		}
	}
	if err := l.p.phone.DropDTR(ctx); err != nil {
		return fmt.Errorf("class1: hang up: %w", err)
	}
	return nil
}

// quiesce brings the modem back to taking commands.
func (l *line) quiesce(ctx context.Context) error {
	switch l.state {
	case commandState:
		return nil
	case inV34, v34Ended:
		return l.leaveV34(ctx)
	case sendingFrames, sendingData:
		l.ch.Purge()
		// The purge may have cut a DLE pair in two: the zero completes it.
		if err := l.ch.WriteData(ctx, []byte{0}); err != nil {
			return err
		}
		if err := l.ch.EndData(ctx); err != nil {
			return err
		}
		wait := commandWait
		if l.state == sendingData {
			wait += airTime(modemBuffer, l.rate)
		}
		if _, err := l.ch.Result(ctx, wait); err == nil || !errors.Is(err, at.ErrNoReply) {
			return err
		}
	}
	return l.ch.Abort(ctx)
}
