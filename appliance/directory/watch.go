package directory

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Watched is a [Source] that reports when it can no longer be asked and when it can again. Failures are told of as they
// happen; the questions that failed are asked again by Run until the source has an answer to each.
type Watched struct {
	Source
	report func(error)
	wake   chan struct{}

	mu      sync.Mutex
	failing map[question]error
	bad     bool // the last report was a failure
}

// question is one that a source was asked.
type question struct {
	member  bool // Member, else Lookup
	address string
}

const (
	maxFailing  = 32              // questions remembered
	askAgain    = time.Minute     // while questions fail
	askAnyway   = time.Hour       // while nothing does: an expired secret is better known before a fax needs it
	askAgainMin = 5 * time.Second // after an answer to another question
)

// Watch makes a Watched of a source. report gets the error of a question that failed, an ErrUnavailable as a rule, and nil
// when all is well, also when it was before. It is never called by two goroutines at once and must not block.
func Watch(s Source, report func(error)) *Watched {
	return &Watched{Source: s, report: report, wake: make(chan struct{}, 1), failing: map[question]error{}}
}

// Lookup implements [Source].
func (w *Watched) Lookup(ctx context.Context, address string) (Result, error) {
	res, err := w.Source.Lookup(ctx, address)
	w.note(ctx, question{false, address}, err)
	return res, err
}

// Member implements [Source].
func (w *Watched) Member(ctx context.Context, address string) (Member, error) {
	m, err := w.Source.Member(ctx, address)
	w.note(ctx, question{true, address}, err)
	return m, err
}

// note keeps what came of a question. An answer to one takes only that one off the list: a directory that knows Bob may
// still be unable to tell of Ann.
func (w *Watched) note(ctx context.Context, q question, err error) {
	if ctx.Err() != nil {
		return // who asked went away: that says nothing of the source
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && !errors.Is(err, ErrUnknown) {
		if _, known := w.failing[q]; known || len(w.failing) < maxFailing {
			w.failing[q] = err
		}
		w.bad = true
		w.report(err)
		return
	}
	delete(w.failing, q)
	if len(w.failing) == 0 {
		if w.bad {
			w.bad = false
			w.report(nil)
		}
		return
	}
	select {
	case w.wake <- struct{}{}: // it answers: the others may have one now as well
	default:
	}
}

// Run asks again what failed, until ctx ends, and once in an hour for the address probe, so that a source that nobody
// asks is watched as well. It returns the context's error.
func (w *Watched) Run(ctx context.Context, probe string) error {
	if _, err := w.Lookup(ctx, probe); err == nil || errors.Is(err, ErrUnknown) {
		w.mu.Lock()
		if len(w.failing) == 0 {
			w.report(nil) // what an earlier run of the program reported is over
		}
		w.mu.Unlock()
	}
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	asked := time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-w.wake:
			if err := sleep(ctx, askAgainMin); err != nil {
				return err
			}
		}
		if len(w.questions()) > 0 || time.Since(asked) >= askAnyway {
			w.again(ctx, probe)
			asked = time.Now()
		}
	}
}

// again asks what failed, or for the probe. A source that wants to be left alone is not asked more.
func (w *Watched) again(ctx context.Context, probe string) {
	list := w.questions()
	if len(list) == 0 {
		list = []question{{false, probe}}
	}
	for _, q := range list {
		var err error
		one, cancel := context.WithTimeout(ctx, askTimeout)
		if q.member {
			_, err = w.Source.Member(one, q.address)
		} else {
			_, err = w.Source.Lookup(one, q.address)
		}
		cancel()
		if ctx.Err() != nil {
			return
		}
		w.note(ctx, q, err)
		var f *Failure
		if errors.As(err, &f) && f.RetryAfter > 0 {
			return
		}
	}
}

func (w *Watched) questions() []question {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]question, 0, len(w.failing))
	for q := range w.failing {
		list = append(list, q)
	}
	return list
}

// Remedy is what an administrator must change so that a source can be asked again, of all that is joined in an error; ""
// when nothing is known.
func Remedy(err error) string {
	remedy := ""
	each(err, func(f *Failure) {
		if remedy == "" {
			remedy = f.Remedy
		}
	})
	return remedy
}

// RetryAfter is how long a source asked not to be asked again, the longest of all that is joined in an error; 0: it did
// not say.
func RetryAfter(err error) time.Duration {
	var longest time.Duration
	each(err, func(f *Failure) { longest = max(longest, f.RetryAfter) })
	return longest
}

// each calls f for all failures joined in an error.
func each(err error, f func(*Failure)) {
	if one, ok := err.(*Failure); ok {
		f(one)
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		each(e.Unwrap(), f)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			each(one, f)
		}
	}
}
