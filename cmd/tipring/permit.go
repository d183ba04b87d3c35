package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// remembered is how a call begins for what is remembered of its number.
type remembered struct {
	hint  queue.Hint
	since time.Time
}

// limit has a session begin so.
func (r remembered) limit(s *t30.Session) {
	s.NoECM = s.NoECM || r.hint.NoECM
	if max := r.hint.MaxRate; max > 0 && (s.Limit.MaxRate == 0 || max < s.Limit.MaxRate) {
		s.Limit.MaxRate = max
	}
}

// permit asks the dial rules whether number may be dialed now and the memory how to begin; both are those of the data
// folder, without one only emergency numbers and an unset clock are refused. The function it returns records how the
// call ended.
func permit(data, number string) (how remembered, end func(queue.Outcome), err error) {
	emergency := queue.DefaultPolicy().Emergency
	if data == "" {
		if queue.NewLedger(nil, queue.DialRule{}, emergency).IsEmergency(number) {
			return how, nil, queue.ErrEmergency
		}
		if !queue.ClockSet(time.Now()) {
			return how, nil, queue.ErrClock
		}
		return how, func(queue.Outcome) {}, nil
	}
	in := func(do func(*queue.Ledger, *queue.Memory) error) error {
		return withFolder(data, func(st *store.Store) error {
			return do(queue.NewLedger(st, queue.DialRules["us"], emergency), queue.NewMemory(st))
		})
	}
	err = in(func(l *queue.Ledger, m *queue.Memory) (err error) {
		if err = l.Begin(time.Now(), number); err == nil {
			how.hint, how.since, err = m.Begin(time.Now(), number)
		}
		return err
	})
	if err != nil {
		return how, nil, err
	}
	return how, func(o queue.Outcome) {
		err := in(func(l *queue.Ledger, m *queue.Memory) error {
			return errors.Join(l.End(number, o), m.Learn(time.Now(), number, o))
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, "tipring:", err)
		}
	}, nil
}

// ownLimits is what our side may use of its capabilities.
func ownLimits(c, limit t30.Capabilities) t30.Capabilities {
	if limit.MaxRate > 0 && (c.MaxRate == 0 || limit.MaxRate < c.MaxRate) {
		c.MaxRate = limit.MaxRate
	}
	if limit.Schemes != 0 && c.Schemes != 0 {
		c.Schemes &= limit.Schemes
	}
	return c
}
