package appliance

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/t30"
)

// answer takes one ringing call. Its error is a fault of the modem or the disk.
func (l *line) answer(ctx context.Context, in t30.Incoming) error {
	l.live.set(control.LineRinging, "")
	ring, ok := l.countRings(ctx, in)
	if !ok {
		l.live.set(control.LineIdle, "")
		return ctx.Err()
	}
	l.alive()
	rule, distinctive := l.cfg.ringing(ring.Pattern)
	if !l.cfg.Receive || rule.Ignore {
		return l.letRing(ctx, in)
	}
	l.log.Info("answering", "caller", queue.ShortNumber(ring.Caller), "no_caller", ring.NoCaller, "dialed", queue.ShortNumber(ring.Dialed), "pattern", ring.Pattern)
	l.live.begin(control.LineInCall, control.Call{Direction: "in", Number: ring.Caller, Phase: "answering"})
	dialed := ring.Dialed
	switch {
	case dialed != "":
	case distinctive:
		dialed = rule.Number
	default:
		dialed = l.cfg.Number
	}
	keep := l.g.NewKeeper(queue.NewFax{Line: l.cfg.Name, Caller: ring.Caller, CallerName: ring.Name, Dialed: dialed, Started: time.Now()})
	var log call.Transcript
	log.Then = l.live.trace
	session := t30.Session{
		Me:    t30.Station{ID: l.cfg.StationID},
		Limit: t30.Capabilities{MaxRate: l.cfg.MaxRate, Codings: call.CodingsUpTo(l.cfg.Coding), Resolutions: call.ResolutionsUpTo(call.Resolution(resolutions[l.cfg.Resolution]))},
		NoECM: l.cfg.NoECM,
		Sink:  call.NewSink(keep, l.live.page),
		Trace: log.Add,
	}
	offered, closeOffers := l.offers.forCall(l)
	if offered != nil {
		session.Send = offered
	}
	report, err := in.Answer(ctx, l.cfg.answerMode(), session)
	closeOffers()
	if offered != nil && offered.Refused() != "" {
		report.Text = strings.TrimPrefix(report.Text+": "+offered.Refused(), ": ")
	}
	return l.settleAnswer(ring, keep.Finish, report, err, log.Events())
}

func (l *line) settleAnswer(ring t30.Ring, finish func(t30.Report) (queue.Fax, bool, error), report t30.Report, err error, events []t30.Event) error {
	fax, got, finErr := finish(report)
	record := queue.CallOf(l.cfg.Name, false, ring.Caller, report)
	if got {
		record.Fax = fax.ID
		l.live.update(func(c *control.Call) { c.FaxID = string(fax.ID) })
	}
	if _, recErr := l.q.RecordCall(record, events); recErr != nil {
		l.log.Error("record call", "err", recErr)
	}
	text := report.Code.String()
	if err != nil {
		text = err.Error()
	}
	l.live.end(report.Code, text, report)
	l.log.Info("call taken", "fax", fax.ID, "pages", len(fax.Pages), "state", fax.State, "code", int(report.Code), "text", text)
	if report.Code == t30.CodeSink {
		l.alarms.CheckDisk()
		l.alarms.Raise("store-page", "A page that was being received could not be stored: "+text+".", "Check the disk. The caller was told that the page failed.")
	}
	if finErr != nil {
		return finErr
	}
	return modemFault(report, err)
}

// countRings waits for as many rings as are configured and returns all that was told with them; ok is false when the
// ringing stopped before or ctx ended.
func (l *line) countRings(ctx context.Context, in t30.Incoming) (ring t30.Ring, ok bool) {
	want := l.cfg.Rings
	if !l.cfg.Receive {
		want = 1
	}
	for n := 0; n < want; {
		select {
		case <-ctx.Done():
			return ring, false
		case r, open := <-in.Rings():
			if !open {
				l.log.Info("ringing stopped before the call was answered", "rings", n)
				return ring, false
			}
			ring = merge(ring, r)
			n++
		}
	}
	return ring, true
}

// merge adds what a later ring told.
func merge(a, b t30.Ring) t30.Ring {
	if b.Caller == "" {
		b.Caller = a.Caller
	}
	if b.Name == "" {
		b.Name = a.Name
	}
	if b.Dialed == "" {
		b.Dialed = a.Dialed
	}
	if b.Pattern == "" {
		b.Pattern = a.Pattern
	}
	if b.NoCaller == "" && b.Caller == "" {
		b.NoCaller = a.NoCaller
	}
	return b
}

// letRing waits until a call that this line does not take has stopped ringing.
func (l *line) letRing(ctx context.Context, in t30.Incoming) error {
	err := in.Ignore()
	for err == nil {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case _, open := <-in.Rings():
			if !open {
				l.live.set(control.LineIdle, "")
				return nil
			}
		}
	}
	if errors.Is(err, context.Canceled) {
		return ctx.Err()
	}
	return err
}
