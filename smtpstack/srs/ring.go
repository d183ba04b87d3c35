package srs

import (
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Key is one key of a Ring.
type Key struct {
	Secret []byte    `json:"secret"`
	Made   time.Time `json:"made"`
}

const (
	keyOctets   = 32
	keyLifetime = 30 * day // a key signs for so long, or for a seventh of MaxAge where that is longer
	ringHash    = 10       // characters: nobody finds one by trying, and nobody has to agree with us on it
)

// Ring is a [Rewriter] that makes its keys and changes them: each signs for 30 days, and is kept for as long as an address
// made with it leads back. It is safe for concurrent use.
type Ring struct {
	cfg    Config
	period time.Duration
	save   func([]Key) error

	mu   sync.Mutex
	keys []Key // the newest first
	r    *Rewriter
}

// OpenRing goes on with the keys that save was given last; none: it makes the first. cfg has no keys. save must make them
// durable before it returns: an address made with a key that is lost leads nowhere.
func OpenRing(cfg Config, keys []Key, save func([]Key) error) (*Ring, error) {
	if cfg.MaxAge == 0 {
		cfg.MaxAge = 21 * day
	}
	if cfg.HashLength == 0 {
		cfg.HashLength = ringHash
	}
	r := &Ring{cfg: cfg, period: max(keyLifetime, cfg.MaxAge/7), save: save, keys: slices.Clone(keys)}
	slices.SortFunc(r.keys, func(a, b Key) int { return b.Made.Compare(a.Made) })
	r.mu.Lock()
	defer r.mu.Unlock()
	return r, r.turn(time.Now())
}

// turn makes a new key when it is time, and drops those that no address can need.
func (r *Ring) turn(now time.Time) error {
	if len(r.keys) > 0 && r.r != nil && now.Sub(r.keys[0].Made) < r.period {
		return nil
	}
	keys := r.keys
	if len(keys) == 0 || now.Sub(keys[0].Made) >= r.period {
		k := Key{Secret: make([]byte, keyOctets), Made: now.UTC()}
		if _, err := rand.Read(k.Secret); err != nil {
			return fmt.Errorf("srs: key: %w", err)
		}
		keys = append([]Key{k}, keys...)
		for len(keys) > 1 && (len(keys) > maxKeys || now.Sub(keys[len(keys)-2].Made) > r.cfg.MaxAge+2*day) {
			keys = keys[:len(keys)-1] // what replaced it is older than any address it made that is still good
		}
		if err := r.save(keys); err != nil {
			return fmt.Errorf("srs: keep keys: %w", err)
		}
	}
	cfg := r.cfg
	cfg.Keys = nil
	for _, k := range keys {
		cfg.Keys = append(cfg.Keys, k.Secret)
	}
	made, err := New(cfg)
	if err != nil {
		return err
	}
	r.keys, r.r = keys, made
	return nil
}

// rewriter returns the one of today; when no new key can be kept, the old one goes on.
func (r *Ring) rewriter() *Rewriter {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.turn(time.Now())
	return r.r
}

// Forward is [Rewriter.Forward] with the newest key.
func (r *Ring) Forward(sender string) (string, error) { return r.rewriter().Forward(sender) }

// Reverse is [Rewriter.Reverse] with all keys.
func (r *Ring) Reverse(address string) (string, error) { return r.rewriter().Reverse(address) }

// Domain is where the rewritten addresses are.
func (r *Ring) Domain() string { return r.rewriter().cfg.Domain }
