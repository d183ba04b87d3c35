package store

import (
	"errors"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// A shared step is something costly, a sync of the disk, that one does for all who wait for it: whoever gets the turn takes
// along those that came while the step before was running. Alone it costs nothing more, and nobody waits for company.
type shared[T any] struct {
	turn sync.Mutex // held by who does the step

	mu      sync.Mutex
	waiting []*rider[T]
}

type rider[T any] struct {
	what   T
	served bool  // under turn
	err    error // once served
}

// errAbandoned is what riders get when the step that they had joined panicked.
var errAbandoned = errors.New("store: the shared transaction was abandoned")

// do returns the result that step gave for what. step must not keep the list.
func (s *shared[T]) do(what T, step func([]*rider[T])) error {
	r := &rider[T]{what: what}
	s.mu.Lock()
	s.waiting = append(s.waiting, r)
	s.mu.Unlock()
	s.turn.Lock()
	defer s.turn.Unlock()
	if r.served {
		return r.err
	}
	s.mu.Lock()
	list := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for _, r := range list {
		r.served, r.err = true, errAbandoned
	}
	step(list)
	return r.err
}

// UpdateShared is [Store.Update] for many at once: transactions that come while another is being made durable become one, with
// one sync. f may run several times, each time on a transaction that knows nothing of the run before. When one of them fails,
// each is run by itself, so that an error is only its own.
func (s *Store) UpdateShared(f func(*Tx) error) error {
	return s.updates.do(f, func(list []*rider[func(*Tx) error]) {
		if len(list) > 1 {
			err := s.db.Update(func(b *bolt.Tx) error {
				for _, r := range list {
					if err := r.what(&Tx{b}); err != nil {
						return err
					}
				}
				return nil
			})
			if err == nil {
				for _, r := range list {
					r.err = nil
				}
				return
			}
		}
		for _, r := range list {
			r.err = s.Update(r.what)
		}
	})
}

// syncShared is syncFolder for many at once, of a folder that makeFolder made: what was in it before the call is durable when
// it returns.
func (s *Store) syncShared(dir string) error {
	s.mu.Lock()
	f := s.folders[dir]
	s.mu.Unlock()
	return f.do(struct{}{}, func(list []*rider[struct{}]) {
		err := syncFolder(dir)
		for _, r := range list {
			r.err = err
		}
	})
}
