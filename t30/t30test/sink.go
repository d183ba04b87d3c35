package t30test

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/tipring/tipring/t30"
)

// Received is one page that a Sink took.
type Received struct {
	Format  t30.PageFormat
	Remote  t30.Remote
	Data    []byte
	Synced  int // octets durable by Sync
	Done    bool
	Verdict t30.Verdict
}

// Sink keeps received pages in memory. Set the fields before the call.
type Sink struct {
	// SyncDelay and FinishDelay make the disk slow.
	SyncDelay, FinishDelay time.Duration
	// BeginErr, WriteErr, SyncErr and FinishErr make it fail.
	BeginErr, WriteErr, SyncErr, FinishErr error
	// WantRTC makes it miss the return to control at a page's end: MakeRTC.
	WantRTC bool
	// Judge, when set, judges page n (from 0, in the order of BeginPage) in place of its check octets.
	Judge func(n int, data []byte) t30.Quality

	mu    sync.Mutex
	pages []*Received
}

// Pages returns all pages begun, in order.
func (s *Sink) Pages() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Received
	for _, p := range s.pages {
		out = append(out, *p)
	}
	return out
}

// Kept returns the data of the pages finished as good or poor, without fill at the end.
func (s *Sink) Kept() [][]byte {
	var out [][]byte
	for _, p := range s.Pages() {
		if p.Done && (p.Verdict == t30.Good || p.Verdict == t30.Poor) {
			out = append(out, bytes.TrimRight(p.Data, "\x00"))
		}
	}
	return out
}

// BeginPage implements t30.PageSink.
func (s *Sink) BeginPage(_ context.Context, far t30.Remote, f t30.PageFormat) (t30.PageWriter, error) {
	if s.BeginErr != nil {
		return nil, s.BeginErr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &Received{Format: f, Remote: far}
	s.pages = append(s.pages, r)
	return &writer{s: s, r: r, n: len(s.pages) - 1}, nil
}

type writer struct {
	s *Sink
	r *Received
	n int
}

func (w *writer) Write(p []byte) (int, error) {
	if w.s.WriteErr != nil {
		return 0, w.s.WriteErr
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.r.Done {
		panic("t30test: Write after Finish")
	}
	w.r.Data = append(w.r.Data, p...)
	return len(p), nil
}

func (w *writer) Sync(ctx context.Context) error {
	time.Sleep(w.s.SyncDelay)
	if w.s.SyncErr != nil {
		return w.s.SyncErr
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.r.Synced = len(w.r.Data)
	return ctx.Err()
}

func (w *writer) Quality() t30.Quality {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.s.Judge != nil {
		return w.s.Judge(w.n, w.r.Data)
	}
	q := judge(w.r.Data)
	q.NoRTC = w.s.WantRTC && !bytes.HasSuffix(bytes.TrimRight(w.r.Data, "\x00"), MakeRTC())
	return q
}

func (w *writer) Finish(_ context.Context, v t30.Verdict) error {
	time.Sleep(w.s.FinishDelay)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.r.Done {
		panic("t30test: Finish twice")
	}
	w.r.Done, w.r.Verdict = true, v
	return w.s.FinishErr
}
