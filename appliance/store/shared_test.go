package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// Those who come while a transaction is being made durable share the next one; each is durable when its call returns, and an
// error is only its own.
func TestUpdateShared(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	began := s.writes()
	broken := errors.New("broken")
	const callers = 64
	var wg sync.WaitGroup
	release := s.hold(&wg)
	for i := range callers {
		wg.Go(func() {
			err := s.UpdateShared(func(tx *Tx) error {
				if err := table.Put(tx, fmt.Sprint("k", i), record{N: i}); err != nil {
					return err
				}
				if i == 17 {
					return broken
				}
				return nil
			})
			if (i == 17) != errors.Is(err, broken) || i != 17 && err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	s.waitFor(callers)
	release()
	wg.Wait()
	alone := s.writes() - began
	began = s.writes()
	release = s.hold(&wg)
	for i := range callers {
		wg.Go(func() {
			if err := s.UpdateShared(func(tx *Tx) error { return table.Put(tx, fmt.Sprint("k", callers+i), record{N: i}) }); err != nil {
				t.Error(err)
			}
		})
	}
	s.waitFor(callers)
	release()
	wg.Wait()
	if shared := s.writes() - began; shared*4 > alone {
		t.Errorf("%d writes for transactions that could share, %d for those that could not", shared, alone)
	}
	s.Close()
	s = open(t, dir)
	s.View(func(tx *Tx) error {
		if n := table.Len(tx); n != 2*callers-1 || table.Has(tx, "k17") {
			t.Errorf("%d records", n)
		}
		return nil
	})
}

// A transaction that panics takes nobody with it: the others hear that theirs came to nothing.
func TestUpdateShared_Panic(t *testing.T) {
	s := open(t, t.TempDir())
	var wg sync.WaitGroup
	release := s.hold(&wg)
	var mu sync.Mutex
	panics, failed := 0, 0
	for i := range 8 {
		wg.Go(func() {
			defer func() {
				if recover() != nil {
					mu.Lock()
					panics++
					mu.Unlock()
				}
			}()
			err := s.UpdateShared(func(tx *Tx) error {
				if i == 3 {
					panic("a bug")
				}
				return table.Put(tx, fmt.Sprint(i), record{})
			})
			if err != nil {
				mu.Lock()
				failed++
				mu.Unlock()
			}
		})
	}
	s.waitFor(8)
	release()
	wg.Wait()
	if panics != 1 || failed != 7 {
		t.Errorf("%d panics, %d errors", panics, failed)
	}
	if err := s.UpdateShared(func(tx *Tx) error { return table.Put(tx, "after", record{}) }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// waitFor returns when so many wait for the turn.
func (s *Store) waitFor(callers int) {
	for waiting := -1; waiting < callers; time.Sleep(time.Millisecond) {
		s.updates.mu.Lock()
		waiting = len(s.updates.waiting)
		s.updates.mu.Unlock()
	}
}

// hold has a transaction running until release is called, so that all that come meanwhile wait for the next.
func (s *Store) hold(wg *sync.WaitGroup) (release func()) {
	inside, over := make(chan struct{}), make(chan struct{})
	wg.Go(func() { s.UpdateShared(func(*Tx) error { close(inside); <-over; return nil }) })
	<-inside
	return func() { close(over) }
}

// writes counts the database's writes to its file.
func (s *Store) writes() int64 {
	stats := s.db.Stats().TxStats
	return stats.GetWrite()
}
