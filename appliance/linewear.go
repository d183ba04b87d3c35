package appliance

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/at"
)

// Pauses before a modem that was lost or does not answer is opened again. Something newly plugged in ends them.
var openPauses = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute}

// Pauses of a modem that can be opened, but fails in its work: it is out of service meanwhile, other lines send.
var faultPauses = []time.Duration{0, 0, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}

const (
	// faultAlarm faults in a row take a modem out of service.
	faultAlarm = 3
	// wedgedAfter openings in a row that a modem leaves without an answer get it reset.
	wedgedAfter = 2
	// presenceEvery is how often the ports are looked at while a modem is awaited.
	presenceEvery = 500 * time.Millisecond
)

// Pauses before the first, second, ... reset of a modem that answers nothing.
var resetPauses = []time.Duration{0, 2 * time.Minute, 10 * time.Minute, time.Hour}

// wear is what a line's modem has done wrong in a row. It belongs to the line's worker, but for faults.
type wear struct {
	opened    bool         // the running or last session had the modem open
	failures  int          // openings without a modem
	faults    atomic.Int32 // sessions that ended in a fault of a modem that was there
	wedged    int          // openings at which the modem answered nothing
	resets    int
	nextReset time.Time
}

// nowOpen notes that the modem was opened.
func (l *line) nowOpen() {
	l.wear.opened = true
	l.wear.failures, l.wear.wedged, l.wear.resets, l.wear.nextReset = 0, 0, 0, time.Time{}
	l.alarms.Clear("line-lost/" + l.cfg.Name)
}

// nowGood notes that the modem did its work: a call without a fault of its own, or a long time without one.
func (l *line) nowGood() {
	l.wear.faults.Store(0)
	l.alarms.Clear("modem-faulty/" + l.cfg.Name)
}

// recover waits after a session that ended with err, alarms, and resets a modem that answers nothing. here is what was plugged in when it
// began.
func (l *line) recover(ctx context.Context, here string, err error) {
	if l.wear.opened && errors.Is(err, store.ErrDiskFull) { // no fault of the modem, and told of elsewhere
		l.log.Error("line", "err", err)
		l.live.set(control.LineOpening, err.Error())
		l.pause(ctx, here, openPauses[3])
		return
	}
	if l.wear.opened && !errors.Is(err, at.ErrPortLost) {
		l.recoverFault(ctx, here, err)
		return
	}
	pause := openPauses[min(l.wear.failures, len(openPauses)-1)]
	if l.wear.opened { // pulled
		pause = openPauses[0]
	}
	l.wear.failures++
	l.log.Error("modem lost", "err", err, "pause", pause)
	l.live.set(control.LineOpening, err.Error())
	if l.wear.failures >= alarmAfter { // before, a plug that was out for a moment
		l.alarms.Raise("line-lost/"+l.cfg.Name, fmt.Sprintf("The modem of line %s (%s) does not work: %v.", l.cfg.Name, l.cfg.Device, err),
			"Check that the modem is plugged in and has power; unplug it and plug it in again. It is tried again by itself.")
	}
	if errors.Is(err, modem.ErrNoModem) || errors.Is(err, at.ErrNoReply) {
		l.resetWedged(ctx)
	}
	l.pause(ctx, here, pause)
}

// recoverFault is recover for a modem that is there, but failed in its work.
func (l *line) recoverFault(ctx context.Context, here string, err error) {
	n := int(l.wear.faults.Add(1))
	pause := max(openPauses[0], faultPauses[min(n, len(faultPauses))-1])
	l.log.Error("modem fault", "err", err, "in a row", n, "pause", pause)
	if n < faultAlarm {
		l.live.set(control.LineOpening, err.Error())
		l.pause(ctx, here, pause)
		return
	}
	l.live.set(control.LineOut, err.Error())
	l.alarms.Raise("modem-faulty/"+l.cfg.Name, fmt.Sprintf("The modem of line %s (%s) failed %d times in a row and is out of service: %v.", l.cfg.Name, l.cfg.Device, n, err),
		"Unplug the modem and plug it in again, or switch it off and on. It is tried again by itself, ever more rarely; other lines send meanwhile. "+
			"If it goes on, see `tipring modem test`, and try another modem.")
	l.pause(ctx, here, pause)
}

// resetWedged resets a modem that has answered nothing several times in a row. DTR was dropped at each opening already.
func (l *line) resetWedged(ctx context.Context) {
	l.wear.wedged++
	if l.ports == nil || l.wear.wedged < wedgedAfter || time.Now().Before(l.wear.nextReset) {
		return
	}
	l.wear.resets++
	l.wear.nextReset = time.Now().Add(resetPauses[min(l.wear.resets, len(resetPauses)-1)])
	how, err := l.ports.reset(ctx, l.cfg)
	if err != nil {
		l.log.Warn("modem answers nothing and cannot be reset", "err", err)
		return
	}
	l.log.Warn("modem answered nothing and was reset", "how", how)
}

// presence tells what is plugged in that the line could open.
func (l *line) presence() string {
	if l.ports == nil {
		return ""
	}
	return l.ports.presence(l.cfg)
}

// pause waits for d, or until something other than here is plugged in.
func (l *line) pause(ctx context.Context, here string, d time.Duration) {
	end := time.NewTimer(d)
	defer end.Stop()
	look := time.NewTicker(presenceEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-look.C:
		}
		switch now := l.presence(); now {
		case "":
			here = "" // whatever comes now is new, also under the old name
		case here:
		default:
			return
		}
	}
}
