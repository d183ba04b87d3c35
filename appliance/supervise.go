package appliance

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/gateway"
)

// supervisor runs the appliance's workers. One that fails or panics is logged, alarmed and started again, later each
// time; the others go on.
type supervisor struct {
	log    *slog.Logger
	alarms *gateway.Alarms
	wg     sync.WaitGroup
}

// Pauses before a failed worker is started again. One that ran for goodRun begins anew.
const (
	firstRestart = 200 * time.Millisecond
	lastRestart  = time.Minute
	goodRun      = 5 * time.Minute
	// alarmAfter failures in a row are an operator's business.
	alarmAfter = 2
)

// start runs f until ctx ends, again and again.
func (s *supervisor) start(ctx context.Context, name string, f func(context.Context) error) {
	s.wg.Go(func() { s.keep(ctx, name, f) })
}

func (s *supervisor) keep(ctx context.Context, name string, f func(context.Context) error) {
	code := "worker/" + name
	pause, failures := firstRestart, 0
	for {
		began := time.Now()
		calm := time.AfterFunc(goodRun, func() { s.alarms.Clear(code) })
		err := guard(ctx, f)
		calm.Stop()
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= goodRun {
			pause, failures = firstRestart, 0
		}
		failures++
		s.log.Error("worker failed, it is started again", "worker", name, "err", err, "pause", pause)
		if failures >= alarmAfter {
			s.alarms.Raise(code, fmt.Sprintf("The part %q of the program fails: %v.", name, err),
				"It is started again by itself. If this alarm stays, see the log and report it.")
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, lastRestart)
	}
}

// panicError is a worker's panic with its stack.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

// guard runs f and makes an error of a panic, and of an end before ctx ended.
func guard(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	if err := f(ctx); err != nil {
		return err
	}
	return errEnded
}

// wait returns when all workers have ended, or after d.
func (s *supervisor) wait(d time.Duration) bool {
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}
