package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/t30"
)

// OpenFunc opens a line's modem.
type OpenFunc func(ctx context.Context, c LineConfig) (t30.Terminal, io.Closer, error)

// line is one telephone line and its worker: it waits for a ring or a job, whichever comes first, one call at a time.
type line struct {
	cfg    LineConfig
	prefix string // dialed before every number
	open   OpenFunc
	ports  *portBook // nil: open knows no ports
	wear   wear
	q      *queue.Queue
	g      *gateway.Gateway
	offers *offers
	alarms *gateway.Alarms
	hunt   *hunt
	health health
	live   *liveLine
	log    *slog.Logger
}

// errEnded is returned by a worker that ended although nobody asked it to.
var errEnded = errors.New("appliance: ended by itself")

// run opens the modem and works it until ctx ends; a modem that is lost is opened again.
func (l *line) run(ctx context.Context) error {
	for ctx.Err() == nil {
		l.live.set(control.LineOpening, "")
		// What a session that failed left open is settled before the next one begins.
		if _, err := l.q.RecoverLine(l.cfg.Name); err != nil {
			return err
		}
		here := l.presence()
		err := l.session(ctx)
		if ctx.Err() != nil {
			break
		}
		l.recover(ctx, here, err)
	}
	l.live.set(control.LineStopped, "shut down")
	return ctx.Err()
}

// session works one opening of the modem until it is lost.
func (l *line) session(ctx context.Context) error {
	l.wear.opened = false
	term, closer, err := l.open(ctx, l.cfg)
	if err != nil {
		return err
	}
	defer closer.Close()
	l.log.Info("modem open")
	said := map[string]bool{}
	l.tellWarnings(closer, said)
	l.nowOpen()
	defer time.AfterFunc(goodRun, l.nowGood).Stop()
	l.live.set(control.LineIdle, "")
	for ctx.Err() == nil {
		in, job, err := l.next(ctx, term)
		switch {
		case err != nil:
			return err
		case in != nil:
			err = l.answer(ctx, in)
		default:
			err = l.send(ctx, term, *job)
		}
		if err != nil {
			return err
		}
		l.nowGood()
		l.tellWarnings(closer, said)
	}
	return ctx.Err()
}

// tellWarnings logs, once an opening, what the modem was asked for and does not do.
func (l *line) tellWarnings(m io.Closer, said map[string]bool) {
	w, ok := m.(interface{ Warnings() []string })
	if !ok {
		return
	}
	for _, text := range w.Warnings() {
		if !said[text] {
			said[text] = true
			l.log.Warn("modem", "warning", text)
		}
	}
}

// next waits for a ringing call or a job. A job that comes up in the same moment as a ring is given back: whoever
// rings is answered first. So is one that comes up at shutdown.
func (l *line) next(ctx context.Context, term t30.Terminal) (t30.Incoming, *queue.Job, error) {
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	type found struct {
		job *queue.Job
		err error
	}
	watch := make(chan found, 1)
	go func() {
		job, err := l.watch(wait)
		watch <- found{job, err}
		cancel()
	}()
	in, err := term.WaitCall(wait)
	cancel()
	w := <-watch
	switch {
	case w.job != nil && (err == nil || ctx.Err() != nil):
		why := ctx.Err()
		if err == nil {
			why = t30.ErrRinging
		}
		if _, err := l.q.EndAttempt(w.job.ID, queue.Outcome{Err: why}); err != nil {
			return nil, nil, err
		}
		return in, nil, ctx.Err()
	case err == nil:
		return in, nil, nil
	case w.job != nil:
		return nil, w.job, nil
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case w.err != nil && !errors.Is(w.err, context.Canceled):
		return nil, nil, w.err
	}
	return nil, nil, err
}

// blockedPause is how soon a job is looked at again whose time has come but whose number another line is calling.
const blockedPause = time.Second

// watch returns the next job for this line once there is one; on a line that does not send, when ctx ends.
func (l *line) watch(ctx context.Context) (*queue.Job, error) {
	if l.cfg.Send {
		l.hunt.wait(l, l.health.rest)
		defer l.hunt.leave(l)
	}
	var left time.Time // since when a job is left to a line before this one
	for {
		changed := l.q.Changed()
		var at time.Time
		now := time.Now()
		if l.cfg.Send {
			j, look, err := l.nextJob(now, &left)
			switch {
			case errors.Is(err, queue.ErrClock):
				l.alarms.Raise("clock", "The clock of this box is not set: nothing is dialed.", "Set the clock, or let it be set from the network (NTP).")
				look = now.Add(time.Minute)
			case err != nil:
				return nil, err
			default:
				l.alarms.Clear("clock")
			}
			if j != nil {
				return j, nil
			}
			at = look
		}
		if err := l.q.Rest(ctx, time.Since(now)); err != nil {
			return nil, err
		}
		if err := l.q.Wait(ctx, changed, at); err != nil {
			return nil, err
		}
	}
}

// send makes one call for a job, in which others to the same number may ride. Its error is a fault of the modem; whatever
// else happens is the jobs' outcome.
func (l *line) send(ctx context.Context, term t30.Terminal, job queue.Job) error {
	dial := l.prefix + job.Number
	a := job.LastAttempt()
	known := queue.Remembered(a.Begun, a.Remembered)
	l.log.Info("calling", "job", job.ID, "number", queue.ShortNumber(job.Number), "page", job.Next(), "pages", job.Pages, "attempt", len(job.Attempts), "known", known)
	l.live.begin(control.LineCalling, control.Call{Direction: "out", Number: job.Number, JobID: string(job.ID), Phase: "dialing", Pages: job.Pages,
		Confirmed: len(job.Done), Text: known})
	var log call.Transcript
	log.Then = l.live.trace
	if known != "" {
		log.Add(t30.Event{At: time.Now(), Layer: t30.LayerCall, Dir: t30.Note, Text: known})
	}
	used := a.Begun
	used.MaxRate, used.NoECM = lower(l.cfg.MaxRate, used.MaxRate), l.cfg.NoECM || used.NoECM
	b := newBatch(l, job, used)
	report, err := l.attempt(ctx, term, dial, b, &log)
	report.Code = l.cfg.lineCode(report.Code)
	own := term.Capabilities()
	own.MaxRate = lower(own.MaxRate, used.MaxRate)
	return l.settleSend(b, own, report, err, log.Events())
}

// attempt calls with the batch's documents.
func (l *line) attempt(ctx context.Context, term t30.Terminal, dial string, b *batch, log *call.Transcript) (t30.Report, error) {
	job := b.first
	if l.q.Ledger().IsEmergency(dial) {
		return t30.Report{Code: t30.CodeSource, Text: "emergency number"}, nil
	}
	first, err := b.Next(ctx, t30.Remote{}) // a document that cannot be read is not dialed for
	if err != nil {
		return t30.Report{Code: t30.CodeSource, Text: err.Error()}, nil
	}
	id, _ := l.sender(job)
	session := t30.Session{
		Me:    t30.Station{ID: id, Subaddress: job.Subaddress, Password: job.Password},
		Limit: t30.Capabilities{MaxRate: b.used.MaxRate, Codings: call.CodingsUpTo(l.cfg.Coding), Resolutions: call.AllResolutions},
		NoECM: b.used.NoECM,
		Send:  &leading{first: first, rest: b},
		Trace: log.Add,
	}
	callCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	go l.watchCancel(callCtx, b, cancel)
	return term.Call(callCtx, dial, session)
}

// leading hands out a document opened before the call, then the others.
type leading struct {
	first t30.PageSource
	rest  t30.Documents
}

// Next implements [t30.Documents].
func (d *leading) Next(ctx context.Context, far t30.Remote) (t30.PageSource, error) {
	if s := d.first; s != nil {
		d.first = nil
		return s, ctx.Err()
	}
	return d.rest.Next(ctx, far)
}

// lower returns the lower of two limits, 0 being none.
func lower(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// watchCancel ends the call when the job whose document is on the line is canceled by hand.
func (l *line) watchCancel(ctx context.Context, b *batch, cancel context.CancelFunc) {
	for {
		changed := l.q.Changed()
		if id, ok := b.onLine(); ok {
			if j, err := l.q.Job(id); err == nil && j.Cancel {
				cancel()
				return
			}
		}
		if l.q.Wait(ctx, changed, time.Time{}) != nil {
			return
		}
	}
}

func (l *line) settleSend(b *batch, own t30.Capabilities, report t30.Report, err error, events []t30.Event) error {
	l.dialed(report.Code)
	record := queue.CallOf(l.cfg.Name, true, b.first.Number, report)
	record.Job, record.Jobs = b.first.ID, b.brought(report)
	id, recErr := l.q.RecordCall(record, events)
	after, endErr := b.settle(report, err, own, id)
	text := report.Code.String()
	if err != nil {
		text = err.Error()
	}
	l.live.end(report.Code, text, report)
	if until := l.health.rest; time.Now().Before(until) {
		l.live.set(control.LineIdle, fmt.Sprintf("%s; dialed again from %s on", report.Code, until.Format("15:04")))
	}
	l.log.Info("call ended", "job", b.first.ID, "code", int(report.Code), "text", text, "sent", report.Sent, "state", after.State, "next", after.NotBefore)
	if recErr != nil {
		l.log.Error("record call", "err", recErr)
	}
	if endErr != nil {
		return endErr
	}
	if errors.Is(err, t30.ErrRinging) {
		return nil // the next wait finds the ring
	}
	return modemFault(report, err)
}

// modemFault is an error that the modem is to blame for: it is opened anew.
func modemFault(report t30.Report, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, t30.ErrVoice) || errors.Is(err, t30.ErrData) {
		return nil
	}
	switch report.Code {
	case t30.CodeSource, t30.CodeSink, t30.CodeCanceled:
		return nil
	}
	return err
}
