package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Table is a bucket of JSON records with string keys, sorted by key. The bucket is made by the first Put.
type Table[V any] struct{ name string }

// NewTable names a table. Two tables with one name are the same table.
func NewTable[V any](name string) Table[V] { return Table[V]{name} }

// ErrStop ends Each and EachBack early; they then return nil.
var ErrStop = errors.New("store: stop")

// Put stores v under key, in place of what was there. The key must not be empty.
func (t Table[V]) Put(tx *Tx, key string, v V) error {
	b, err := tx.bolt.CreateBucketIfNotExists([]byte(t.name))
	if err != nil {
		return fmt.Errorf("store: %s: %w", t.name, err)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("store: %s %s: %w", t.name, key, err)
	}
	if err := b.Put([]byte(key), data); err != nil {
		return fmt.Errorf("store: %s %s: %w", t.name, key, err)
	}
	return nil
}

// Get returns the record under key, or ErrNotFound.
func (t Table[V]) Get(tx *Tx, key string) (V, error) {
	var v V
	b := tx.bolt.Bucket([]byte(t.name))
	if b == nil {
		return v, fmt.Errorf("%w: %s %s", ErrNotFound, t.name, key)
	}
	data := b.Get([]byte(key))
	if data == nil {
		return v, fmt.Errorf("%w: %s %s", ErrNotFound, t.name, key)
	}
	return v, t.decode(key, data, &v)
}

// Has tells whether there is a record under key.
func (t Table[V]) Has(tx *Tx, key string) bool {
	b := tx.bolt.Bucket([]byte(t.name))
	return b != nil && b.Get([]byte(key)) != nil
}

// Delete removes the record under key; there need not be one.
func (t Table[V]) Delete(tx *Tx, key string) error {
	b := tx.bolt.Bucket([]byte(t.name))
	if b == nil {
		return nil
	}
	if err := b.Delete([]byte(key)); err != nil {
		return fmt.Errorf("store: %s %s: %w", t.name, key, err)
	}
	return nil
}

// Len returns the number of records. It counts them.
func (t Table[V]) Len(tx *Tx) int {
	b := tx.bolt.Bucket([]byte(t.name))
	if b == nil {
		return 0
	}
	n := 0 // not Stats().KeyN, which leaves out what this transaction changed
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		n++
	}
	return n
}

// Each calls f for the records in order of their keys, oldest first where keys are ids, until f returns an error. f
// must not change the table; collect first, change then.
func (t Table[V]) Each(tx *Tx, f func(key string, v V) error) error {
	return t.walk(tx, (*bolt.Cursor).First, (*bolt.Cursor).Next, f)
}

// EachFrom is Each for the records whose keys are not below from.
func (t Table[V]) EachFrom(tx *Tx, from string, f func(key string, v V) error) error {
	seek := func(c *bolt.Cursor) ([]byte, []byte) { return c.Seek([]byte(from)) }
	return t.walk(tx, seek, (*bolt.Cursor).Next, f)
}

// EachBack is Each from the last key to the first: newest first where keys are ids.
func (t Table[V]) EachBack(tx *Tx, f func(key string, v V) error) error {
	return t.walk(tx, (*bolt.Cursor).Last, (*bolt.Cursor).Prev, f)
}

func (t Table[V]) walk(tx *Tx, start, step func(*bolt.Cursor) ([]byte, []byte), f func(string, V) error) error {
	b := tx.bolt.Bucket([]byte(t.name))
	if b == nil {
		return nil
	}
	c := b.Cursor()
	for k, data := start(c); k != nil; k, data = step(c) {
		var v V
		if err := t.decode(string(k), data, &v); err != nil {
			return err
		}
		if err := f(string(k), v); errors.Is(err, ErrStop) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (t Table[V]) decode(key string, data []byte, v *V) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("store: %s %s: %w", t.name, key, err)
	}
	return nil
}

// idDigits are Crockford's base 32 in lower case: no i, l, o, u, and sorted like their values.
const idDigits = "0123456789abcdefghjkmnpqrstvwxyz"

// NewID returns an id of nine letters and digits that is greater than every id before it in this data folder, also
// when the clock went back. It tells the time now in milliseconds where nothing stops it.
func (tx *Tx) NewID(now time.Time) (string, error) {
	meta, err := tx.bolt.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return "", fmt.Errorf("store: new id: %w", err)
	}
	n := getUint(meta, lastIDKey) + 1
	if ms := now.UnixMilli(); ms > 0 {
		n = max(n, uint64(ms))
	}
	if err := putUint(meta, lastIDKey, n); err != nil {
		return "", fmt.Errorf("store: new id: %w", err)
	}
	var id [9]byte // 45 bits: until the year 3084
	for i := len(id) - 1; i >= 0; i-- {
		id[i] = idDigits[n&31]
		n >>= 5
	}
	return string(id[:]), nil
}
