package gateway

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/queue"
)

// waits holds jobs whose documents are made but whose senders' groups cannot be asked for now, and when to ask again.
// After a restart it is empty, and all are asked for at once.
type waits struct {
	mu   sync.Mutex
	jobs map[queue.JobID]wait
}

type wait struct {
	tries int
	until time.Time
}

// due returns the jobs that need not wait, and when the first of the others need not any more; zero: there is none.
func (w *waits) due(list []queue.Job, now time.Time) (due []queue.Job, next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	active := make(map[queue.JobID]wait, len(w.jobs))
	for _, j := range list {
		one, waiting := w.jobs[j.ID]
		if waiting {
			active[j.ID] = one
		}
		switch {
		case !now.Before(one.until):
			due = append(due, j)
		case next.IsZero() || one.until.Before(next):
			next = one.until
		}
	}
	w.jobs = active // those that were canceled are forgotten
	return due, next
}

// again lets a job wait, longer each time, and at least for pause.
func (w *waits) again(id queue.JobID, pause time.Duration, now time.Time) (first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.jobs[id]
	one.tries++
	one.until = now.Add(min(max(backoff(one.tries), pause), longestWait))
	if w.jobs == nil {
		w.jobs = map[queue.JobID]wait{}
	}
	w.jobs[id] = one
	return one.tries == 1
}

func hasDocument(j queue.Job) bool { return j.Document != "" }

// Admit gives jobs their documents whose senders' groups could not be asked for when the documents were made, as soon as
// they can, until ctx ends. Prepare goes on meanwhile.
func (g *Gateway) Admit(ctx context.Context) error {
	for {
		list, err := g.q.ActiveJobs(queue.Preparing)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(j queue.Job) bool { return !hasDocument(j) })
		due, next := g.waits.due(list, time.Now())
		for _, j := range due {
			if err := g.releaseJob(ctx, j, document{file: j.Document, pages: j.Pages, omitted: j.Omitted}); err != nil {
				return err
			}
		}
		if len(due) > 0 {
			continue
		}
		// The queue's changes are not waited for: there are many, and nearly never is one of such a job.
		if err := g.idle(ctx, g.admit, next); err != nil {
			return err
		}
	}
}

// reserveSoon is reserve for the worker that makes documents, which must not wait long for a directory: the mail's
// sender was looked up when it came, so the answer is there as a rule. A job that waited already has its time.
func (g *Gateway) reserveSoon(ctx context.Context, j queue.Job, pages int) (refused string, err error) {
	if !hasDocument(j) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, soon)
		defer cancel()
	}
	return g.reserve(ctx, j, pages)
}

const soon = 3 * time.Second

// longestWait is short enough that nobody restarts the appliance for a directory that is back.
const longestWait = 5 * time.Minute

// awaitDirectory lets a job wait until its sender's groups can be asked for. It waits for as long as that takes, as with
// all that is wrong in a configuration: the directory's alarm says what to do. The jobs of others go on.
func (g *Gateway) awaitDirectory(ctx context.Context, j queue.Job, doc document, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if g.waits.again(j.ID, directory.RetryAfter(cause), time.Now()) {
		g.o.Log.Warn("job waits for a directory", "job", j.ID, "from", j.Sender, "err", cause)
	}
	if j.Document == doc.file {
		return nil
	}
	if err := g.q.KeepDocument(j.ID, doc.file, doc.pages, "The fax waits: the directory that says whether its sender may fax cannot be asked at the moment.", doc.omitted...); err != nil {
		return fmt.Errorf("gateway: job %s: %w", j.ID, err)
	}
	select {
	case g.admit <- struct{}{}:
	default: // Admit is told already
	}
	return nil
}
