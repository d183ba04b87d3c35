package gateway

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/queue"
)

// converterWaits holds jobs with an Office document that nobody can convert at the moment, and when to try again. After a restart it is
// empty, and all are tried at once.
type converterWaits struct {
	mu   sync.Mutex
	jobs map[queue.JobID]wait
}

// look returns what passes over the jobs that wait (nil: there are none), when the first of them need not any more, and whether one has just
// become due.
func (c *converterWaits) look(now time.Time) (skip func(queue.JobID) bool, next time.Time, due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, w := range c.jobs {
		switch {
		case w.until.IsZero(): // tried again already
		case !now.Before(w.until):
			w.until, due = time.Time{}, true
			c.jobs[id] = w
		case next.IsZero() || w.until.Before(next):
			next = w.until
		}
	}
	if next.IsZero() {
		return nil, next, due
	}
	return func(id queue.JobID) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		w := c.jobs[id]
		return !w.until.IsZero()
	}, next, due
}

// again lets a job wait, longer each time.
func (c *converterWaits) again(id queue.JobID, now time.Time) (first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.jobs == nil {
		c.jobs = map[queue.JobID]wait{}
	}
	w := c.jobs[id]
	w.tries++
	w.until = now.Add(min(backoff(w.tries), longestWait))
	c.jobs[id] = w
	return w.tries == 1
}

func (c *converterWaits) forget(jobs []queue.Job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range jobs {
		delete(c.jobs, j.ID)
	}
}

// clean forgets those whose time had come when nothing is left to do: they were canceled.
func (c *converterWaits) clean() {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.jobs, func(_ queue.JobID, w wait) bool { return w.until.IsZero() })
}

// awaitConverter lets a mail's jobs wait until their document can be converted, for as long as Options.ConverterWait after they came: then
// their sender is told. The jobs of others go on.
func (g *Gateway) awaitConverter(jobs []queue.Job, cause error) error {
	now := time.Now()
	for _, j := range jobs {
		if now.Sub(j.Created) >= g.o.ConverterWait {
			g.converter.forget([]queue.Job{j})
			g.o.Log.Error("Office document given up", "job", j.ID, "err", cause)
			err := g.q.FailJob(j.ID, "The Office document in the mail cannot be faxed: the program that turns such documents into pages could not be reached. Please send it as PDF.")
			if err != nil && !errors.Is(err, queue.ErrState) {
				return err
			}
			continue
		}
		err := g.q.PausePrepare(j.ID, "The fax waits: the program that turns Office documents into pages cannot be reached at the moment.")
		if errors.Is(err, queue.ErrState) {
			g.converter.forget([]queue.Job{j}) // canceled meanwhile
			continue
		}
		if err != nil {
			return err
		}
		if g.converter.again(j.ID, now) {
			g.o.Log.Warn("job waits for the converter of Office documents", "job", j.ID, "err", cause)
		}
	}
	return nil
}
