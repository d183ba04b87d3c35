package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tipring/tipring/appliance/store"
)

// CacheTimes say how long answers are good. A fresh answer is given without asking; an older one only when the source
// cannot be asked, until it is too old for that too.
type CacheTimes struct {
	GoodFresh, GoodKept time.Duration // of addresses that exist
	BadFresh, BadKept   time.Duration // of those that do not
}

var (
	// RecipientTimes are those of recipients: answers last 31 days, refusals 3 days.
	RecipientTimes = CacheTimes{GoodFresh: 7 * 24 * time.Hour, GoodKept: 31 * 24 * time.Hour, BadFresh: 3 * time.Hour, BadKept: 3 * 24 * time.Hour}
	// MemberTimes are those of senders: who was taken out of a group must not fax for long.
	MemberTimes = CacheTimes{GoodFresh: 15 * time.Minute, GoodKept: 4 * time.Hour, BadFresh: 5 * time.Minute, BadKept: 5 * time.Minute}
)

const (
	maxCached  = 20000
	maxAsking  = 8                // questions to sources at once
	askTimeout = 30 * time.Second // of one question, fail-over and retries included
)

// cached is one remembered answer; Unknown: the source has no such address.
type cached[V any] struct {
	At      time.Time `json:"at"`
	Unknown bool      `json:"unknown,omitempty"`
	Value   V         `json:"value"`
}

// cache remembers what sources said. A nil cache asks each time.
type cache[V any] struct {
	st     *store.Store
	table  store.Table[cached[V]]
	times  CacheTimes
	max    int
	flight singleflight.Group
	asking chan struct{}

	mu    sync.Mutex
	count int // records, at least; -1: not counted yet
}

func newCache[V any](st *store.Store, name string, times CacheTimes) *cache[V] {
	return &cache[V]{st: st, table: store.NewTable[cached[V]](name), times: times, max: maxCached, asking: make(chan struct{}, maxAsking), count: -1}
}

// forSource is nil for the table, which is as near as the cache, and for what remembers by itself.
func (c *cache[V]) forSource(s Source) *cache[V] {
	switch s := s.(type) {
	case tableSource:
		return nil
	case recipientsOnly:
		if _, does := s.l.(Remembering); does {
			return nil
		}
	}
	return c
}

// get answers for a normalized address from memory or by asking. Several who want the same at once share one question.
func (c *cache[V]) get(ctx context.Context, source, address string, ask func(context.Context, string) (V, error)) (V, error) {
	if c == nil {
		return ask(ctx, address)
	}
	k := source + " " + address
	old, have, err := c.load(k)
	if err != nil {
		return old.Value, err
	}
	age := time.Since(old.At)
	have = have && age >= 0 // else the clock was set back: nobody knows how old
	if have && age < c.fresh(old) {
		return old.answer(address)
	}
	// Who asked first may hang up; the answer is for the others too.
	asked := c.flight.DoChan(k, func() (any, error) { return c.ask(context.WithoutCancel(ctx), k, address, ask) })
	var none V
	select {
	case <-ctx.Done():
		err = &Failure{Source: source, Err: ctx.Err()}
	case r := <-asked:
		if v, ok := r.Val.(V); ok && r.Err == nil {
			return v, nil
		}
		err = r.Err
	}
	if errors.Is(err, ErrUnavailable) && have && age < c.kept(old) {
		return old.answer(address)
	}
	return none, err
}

func (a cached[V]) answer(address string) (V, error) {
	if a.Unknown {
		return a.Value, fmt.Errorf("%w: %s", ErrUnknown, address)
	}
	return a.Value, nil
}

func (c *cache[V]) fresh(a cached[V]) time.Duration {
	if a.Unknown {
		return c.times.BadFresh
	}
	return c.times.GoodFresh
}

func (c *cache[V]) kept(a cached[V]) time.Duration {
	if a.Unknown {
		return c.times.BadKept
	}
	return c.times.GoodKept
}

// ask asks the source and remembers a definite answer.
func (c *cache[V]) ask(ctx context.Context, k, address string, ask func(context.Context, string) (V, error)) (V, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var none V
	select {
	case c.asking <- struct{}{}:
		defer func() { <-c.asking }()
	case <-ctx.Done():
		return none, &Failure{Source: "cache", Err: ctx.Err()}
	}
	v, err := ask(ctx, address)
	if err != nil && !errors.Is(err, ErrUnknown) {
		if !errors.Is(err, ErrUnavailable) {
			err = &Failure{Source: "source", Err: err}
		}
		return none, err
	}
	a := cached[V]{At: time.Now().UTC(), Unknown: err != nil}
	if err == nil {
		a.Value = v
	}
	if saved := c.save(k, a); saved != nil {
		return none, fmt.Errorf("directory: remember: %w", saved)
	}
	return v, err
}

func (c *cache[V]) load(k string) (a cached[V], have bool, err error) {
	err = c.st.View(func(tx *store.Tx) error {
		a, err = c.table.Get(tx, k)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return a, false, nil
	}
	return a, err == nil, err
}

func (c *cache[V]) save(k string, a cached[V]) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.st.Update(func(tx *store.Tx) error {
		if c.count < 0 || c.count >= c.max {
			left, err := c.prune(tx)
			if err != nil {
				return err
			}
			c.count = left
		}
		c.count++ // too many when k was there: then the next count is right again
		return c.table.Put(tx, k, a)
	})
}

// prune takes out what is too old for any use, and the oldest tenth when the table is full; it returns what is left.
func (c *cache[V]) prune(tx *store.Tx) (int, error) {
	type aged struct {
		key string
		at  time.Time
	}
	var keep []aged
	var drop []string
	err := c.table.Each(tx, func(k string, a cached[V]) error {
		if age := time.Since(a.At); age < 0 || age >= c.kept(a) {
			drop = append(drop, k)
		} else {
			keep = append(keep, aged{k, a.At})
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if len(keep) >= c.max {
		slices.SortFunc(keep, func(a, b aged) int { return a.at.Compare(b.at) })
		surplus := len(keep) - c.max + c.max/10 + 1
		for _, a := range keep[:surplus] {
			drop = append(drop, a.key)
		}
		keep = keep[surplus:]
	}
	for _, k := range drop {
		if err := c.table.Delete(tx, k); err != nil {
			return 0, err
		}
	}
	return len(keep), nil
}

func (c *cache[V]) forget(source, address string) error {
	c.flight.Forget(source + " " + address)
	return c.st.Update(func(tx *store.Tx) error { return c.table.Delete(tx, source+" "+address) })
}
