package gateway

import (
	"context"
	"time"

	"github.com/tipring/tipring/appliance/queue"
)

const (
	housekeepEvery = 10 * time.Minute
	releaseEvery   = time.Hour
)

// Housekeep removes what is over its retention, watches the disk and from time to time tries whether held mail goes
// through by now, until ctx ends.
func (g *Gateway) Housekeep(ctx context.Context, r queue.Retention) error {
	tick := time.NewTicker(housekeepEvery)
	defer tick.Stop()
	released := time.Now()
	for {
		now := time.Now()
		if queue.ClockSet(now) {
			if err := g.q.Purge(now, r); err != nil {
				return err
			}
			if err := g.forgetSeen(now); err != nil {
				return err
			}
			if err := g.watchUnfetched(now, r.Faxes); err != nil {
				return err
			}
		}
		g.alarms.CheckDisk()
		if now.Sub(released) >= releaseEvery {
			released = now
			if n, err := g.q.ReleaseOuts(); err != nil {
				return err
			} else if n > 0 {
				g.o.Log.Info("held mail is tried again", "mails", n)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
