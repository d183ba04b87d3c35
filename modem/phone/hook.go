package phone

import (
	"context"
	"time"
)

const (
	// HangupWait bounds going on hook, an unsent rest of a page apart.
	HangupWait = 12 * time.Second
	ath0Wait   = 3 * time.Second
	dtrLow     = 700 * time.Millisecond // S25 is at most some 100 ms
	dtrSettle  = 300 * time.Millisecond
)

// OnHook hangs up by command.
func (l *Line) OnHook(ctx context.Context) error {
	_, err := l.ch.Do(ctx, "ATH0", ath0Wait)
	return err
}

// DropDTR hangs up by circuit 108 (AT&D2) and looks whether the modem is there again, which is reset before its next use.
func (l *Line) DropDTR(ctx context.Context) error {
	if err := l.ch.Err(); err != nil {
		return err
	}
	l.dirty.Store(true)
	l.ch.Purge()
	if err := l.ch.SetDTR(false); err != nil {
		return err
	}
	err := Sleep(ctx, dtrLow)
	if err2 := l.ch.SetDTR(true); err == nil {
		err = err2
	}
	if err == nil {
		err = Sleep(ctx, dtrSettle)
	}
	if err == nil {
		_, err = l.ch.Do(ctx, "AT", time.Second)
	}
	return err
}

// abandon stops a dialing or answering modem: any octet does (V.250 6.3.1), then on hook to be sure.
func (l *Line) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), HangupWait)
	defer cancel()
	if err := l.ch.Abort(ctx); err != nil || l.OnHook(ctx) != nil {
		_ = l.DropDTR(ctx) // marks the modem for a reset; a lost port shows in the next command
	}
}

// Sleep waits for d or the end of ctx.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
