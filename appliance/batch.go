package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/t30"
)

// batch is the documents of one outgoing call: that of the job it was dialed for, then those of other jobs that wait
// for the same number (T.30 5.3.6.1.6: EOM between them). Each job's attempt is recorded before its document is handed
// out; all are settled when the call is over.
type batch struct {
	l     *line
	first queue.Job
	used  queue.Hint // how the call began: a job that needs it slower does not ride

	mu   sync.Mutex
	list []*rider // in the order of the call, the first being the dialed job
}

// rider is one job in the call.
type rider struct {
	job    queue.Job
	pages  *call.TIFF // nil: not open
	failed bool       // its own document could not be read
	begun  bool       // a page of it was opened for the line
	report *t30.Report
}

func newBatch(l *line, job queue.Job, used queue.Hint) *batch {
	return &batch{l: l, first: job, used: used, list: []*rider{{job: job}}}
}

// Next implements [t30.Documents].
func (b *batch) Next(ctx context.Context, _ t30.Remote) (t30.PageSource, error) {
	b.mu.Lock()
	r := b.list[0]
	fresh := r.pages == nil && r.report == nil
	b.mu.Unlock()
	if !fresh {
		var err error
		if r, err = b.join(ctx); err != nil {
			return nil, err
		}
	}
	return b.open(r)
}

// join finds the next job for the call; io.EOF: there is none.
func (b *batch) join(ctx context.Context) (*rider, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j, ok, err := b.l.q.JoinCall(time.Now(), b.first.ID, b.used)
	if err != nil || !ok {
		if err != nil {
			b.l.log.Error("join call", "err", err) // the documents on the line matter more
		}
		return nil, io.EOF
	}
	b.l.log.Info("rides in the same call", "job", j.ID, "with", b.first.ID, "page", j.Next(), "pages", j.Pages)
	r := &rider{job: j}
	b.mu.Lock()
	b.list = append(b.list, r)
	b.mu.Unlock()
	return r, nil
}

func (b *batch) open(r *rider) (t30.PageSource, error) {
	pages, err := call.OpenDocument(b.l.q.Store(), r.job.Document)
	if err != nil {
		b.l.log.Error("document", "job", r.job.ID, "err", err)
		b.mu.Lock()
		r.failed, r.report = true, &t30.Report{Code: t30.CodeSource, Text: err.Error()}
		b.mu.Unlock()
		if r.job.ID == b.first.ID {
			return nil, fmt.Errorf("appliance: job %s: %w", r.job.ID, err)
		}
		return nil, io.EOF // this call ends with what went well
	}
	b.mu.Lock()
	r.pages = pages
	b.mu.Unlock()
	from, name := b.l.sender(r.job)
	doc := call.NewDocument(call.DocumentOptions{Pages: pages, Only: r.job.Pending(), Journal: journal{b.l.q.Journal(r.job.ID), b, r},
		Header: &call.Header{FromName: name, FromNumber: from, To: r.job.Number}, Live: b.l.live.page,
		End: func(rep t30.Report) error { b.ended(r, rep); return nil }})
	return &riderPages{doc, b, r}, nil
}

// sender is who a job's fax is from: station ID and name.
func (l *line) sender(j queue.Job) (id, name string) {
	id, name = l.cfg.StationID, l.cfg.Header
	if j.StationID != "" {
		id = j.StationID
	}
	if j.Header != "" {
		name = j.Header
	}
	return id, name
}

func (b *batch) ended(r *rider, rep t30.Report) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.report = &rep
}

// onLine returns the job whose document is on the line or comes next; ok is false when all have ended.
func (b *batch) onLine() (queue.JobID, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.list {
		if r.report == nil {
			return r.job.ID, true
		}
	}
	return "", false
}

func (b *batch) riders() []*rider {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*rider(nil), b.list...)
}

// settle ends every job's attempt with its own outcome and returns how the dialed job then is. whole and callErr are the
// call's.
func (b *batch) settle(whole t30.Report, callErr error, own t30.Capabilities, record queue.CallID) (queue.Job, error) {
	list := b.riders()
	var first queue.Job
	var errs []error
	for i, r := range list {
		if r.pages != nil {
			r.pages.Close()
		}
		if i > 0 && !r.begun && !r.failed {
			if err := b.l.q.GiveBack(r.job.ID); err != nil {
				errs = append(errs, fmt.Errorf("appliance: job %s: %w", r.job.ID, err))
			}
			continue
		}
		o := queue.Outcome{Report: whole, Err: callErr, Call: record, Own: own, Followed: i+1 < len(list)}
		if r.report != nil {
			o.Report = *r.report
			if o.Report.Code == t30.CodeOK || r.failed {
				o.Err = nil // what failed came after it
			}
		}
		j, err := b.l.q.EndAttempt(r.job.ID, o)
		if err != nil {
			errs = append(errs, fmt.Errorf("appliance: job %s: %w", r.job.ID, err))
			continue
		}
		if i == 0 {
			first = j
		}
		b.l.log.Info("job after the call", "job", j.ID, "code", int(o.Report.Code), "sent", o.Report.Sent, "state", j.State, "next", j.NotBefore)
	}
	return first, errors.Join(errs...)
}

// brought tells what the call brought each job that had its turn, for the call's record; nil when only the dialed one had.
func (b *batch) brought(whole t30.Report) (list []queue.CallJob) {
	for i, r := range b.riders() {
		if i > 0 && !r.begun && !r.failed {
			continue
		}
		j := queue.CallJob{Job: r.job.ID, Code: whole.Code}
		if r.report != nil {
			j.Code, j.Pages = r.report.Code, r.report.Sent
		}
		list = append(list, j)
	}
	if len(list) < 2 {
		return nil
	}
	return list
}

// riderPages notes when a document comes to its turn, and whether it was the one that failed.
type riderPages struct {
	*call.Document
	b *batch
	r *rider
}

// Page implements [t30.PageSource].
func (p *riderPages) Page(ctx context.Context, n int, limit t30.PageLimit) (t30.PageFormat, io.ReadCloser, error) {
	f, data, err := p.Document.Page(ctx, n, limit)
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	switch {
	case err == nil:
		if !p.r.begun {
			p.r.begun = true
			p.b.l.live.update(func(c *control.Call) {
				c.JobID, c.Pages, c.Confirmed = string(p.r.job.ID), p.r.job.Pages, len(p.r.job.Done)
			})
		}
	case !errors.Is(err, io.EOF) && ctx.Err() == nil:
		p.r.failed = true
	}
	return f, data, err
}

// journal is a job's, and shows confirmations at once.
type journal struct {
	queue.Journal
	b *batch
	r *rider
}

// ConfirmPage implements [call.Journal].
func (j journal) ConfirmPage(n int, r t30.PageResult) error {
	if err := j.Journal.ConfirmPage(n, r); err != nil {
		return err
	}
	j.b.l.live.update(func(c *control.Call) { c.Confirmed++ })
	return nil
}
