package appliance

import (
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/queue"
)

const (
	// huntDelay is how long a line leaves a job to an idle line before it in hunting order: one that does not take it by then
	// cannot.
	huntDelay = 3 * time.Second
	// huntLook is how often it looks meanwhile.
	huntLook = 200 * time.Millisecond
)

// hunt is the hunting order of the lines that send: who waits for a job now.
type hunt struct {
	mu      sync.Mutex
	waiting map[*line]time.Time // since when, or from when it does
}

// wait says that l takes jobs from a time on.
func (h *hunt) wait(l *line, from time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil {
		h.waiting = map[*line]time.Time{}
	}
	h.waiting[l] = from
}

// leave says that l takes none: it has a call, or no modem.
func (h *hunt) leave(l *line) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.waiting, l)
}

// before tells whether an idle line comes before l.
func (h *hunt) before(l *line, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for o, from := range h.waiting {
		if o != l && o.cfg.Hunt < l.cfg.Hunt && !now.Before(from) {
			return true
		}
	}
	return false
}

// nextJob takes the job that is this line's turn to call: at once if no idle line comes before it in hunting order, else
// after huntDelay. look is when to look again; zero: at the next change.
func (l *line) nextJob(now time.Time, left *time.Time) (j *queue.Job, look time.Time, err error) {
	if now.Before(l.health.rest) {
		return nil, l.health.rest, nil
	}
	if l.hunt.before(l, now) {
		at, err := l.q.NextJobAt(now)
		switch {
		case err != nil || at.IsZero():
			*left = time.Time{}
			return nil, at, err
		case at.After(now):
			*left = time.Time{}
			return nil, at, nil
		case left.IsZero():
			*left = now
			return nil, now.Add(huntLook), nil
		case now.Sub(*left) < huntDelay:
			return nil, now.Add(huntLook), nil
		}
	}
	*left = time.Time{}
	job, ok, err := l.q.NextJob(now, l.cfg.Name)
	if err != nil {
		return nil, look, err
	}
	if ok {
		l.hunt.leave(l)
		return &job, look, nil
	}
	if look, err = l.q.NextJobAt(now); err == nil && !look.IsZero() && look.Before(now.Add(blockedPause)) {
		look = now.Add(blockedPause)
	}
	return nil, look, err
}
