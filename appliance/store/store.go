// Package store keeps what the appliance must not lose: one bbolt database for metadata and a spool of files for
// mails, documents and pages, both in one data folder.
//
// The order that keeps them in step: write a spool file, [File.Commit] it (fsync, fsync of its folder), and only then run
// the transaction that names it. A crash before that leaves a file that nothing names, which [Store.Sweep] removes at the
// next start.
package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

var (
	// ErrLocked is returned by Open when another process has the data folder open.
	ErrLocked = errors.New("store: another process has this data folder open")
	// ErrNewer is returned by Open when the database was written by a newer version of the program.
	ErrNewer = errors.New("store: database was written by a newer version")
	// ErrDiskFull is returned when the file system has no room, or less than the reserve is left.
	ErrDiskFull = errors.New("store: disk full")
	// ErrNotFound is returned when no record has the key, or no file the name.
	ErrNotFound = errors.New("store: not found")
)

const (
	dbName      = "tipring.db"
	spoolFolder = "spool"
	tmpFolder   = "tmp"

	defaultLockTimeout = 2 * time.Second
	defaultReserve     = 32 << 20
)

// Options tunes Open; its zero value is right for the appliance.
type Options struct {
	LockTimeout time.Duration // how long to wait for another process to let go; 0: 2 s
	Reserve     int64         // octets of disk that spool files may not take; 0: 32 MiB, negative: none
}

// Store is an open data folder. Its methods are safe for concurrent use.
type Store struct {
	db      *bolt.DB
	dir     string
	reserve int64
	fault   func(step string) error // tests: stop at a step, as a crash would

	updates shared[func(*Tx) error]
	mu      sync.Mutex
	folders map[string]*shared[struct{}] // of the spool, by path
}

// Exists tells whether dir is a data folder: has a database.
func Exists(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, dbName))
	return err == nil && info.Mode().IsRegular()
}

// Open opens the data folder dir, making it when it is not there, takes its lock, brings the database's schema up to
// date and empties the folder of unfinished files. Errors: ErrLocked, ErrNewer, ErrDiskFull.
func Open(dir string, o Options) (*Store, error) {
	if o.LockTimeout <= 0 {
		o.LockTimeout = defaultLockTimeout
	}
	if o.Reserve == 0 {
		o.Reserve = defaultReserve
	}
	tmp := filepath.Join(dir, spoolFolder, tmpFolder)
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("store: data folder: %w", mapFull(err))
	}
	db, err := bolt.Open(filepath.Join(dir, dbName), 0o600, &bolt.Options{Timeout: o.LockTimeout, FreelistType: bolt.FreelistMapType})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", filepath.Join(dir, dbName), mapFull(err))
	}
	s := &Store{db: db, dir: dir, reserve: max(o.Reserve, 0), folders: map[string]*shared[struct{}]{}}
	if err := s.prepare(tmp); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// prepare does what Open needs the lock for.
func (s *Store) prepare(tmp string) error {
	// The database file's own folder entry must last too.
	if err := syncFolder(s.dir); err != nil {
		return err
	}
	if err := emptyFolder(tmp); err != nil {
		return err
	}
	return s.migrate(migrations)
}

// Close releases the lock. Transactions still running are waited for.
func (s *Store) Close() error { return s.db.Close() }

// Dir returns the data folder.
func (s *Store) Dir() string { return s.dir }

// Tx is one transaction: all of it becomes durable, or nothing. It is only good inside View or Update.
type Tx struct {
	bolt *bolt.Tx
}

// View runs f on a consistent snapshot.
func (s *Store) View(f func(*Tx) error) error {
	return s.db.View(func(b *bolt.Tx) error { return f(&Tx{b}) })
}

// Update runs f and makes its changes durable before it returns nil; with an error of f nothing changes. Updates run
// one at a time. f must not call View or Update.
func (s *Store) Update(f func(*Tx) error) error {
	return mapFull(s.db.Update(func(b *bolt.Tx) error { return f(&Tx{b}) }))
}

// OnCommit runs f after the transaction became durable.
func (tx *Tx) OnCommit(f func()) { tx.bolt.OnCommit(f) }

// Check walks the whole database and returns what is wrong with its structure.
func (s *Store) Check() error {
	return s.db.View(func(b *bolt.Tx) error {
		var all []error
		for err := range b.Check() {
			all = append(all, err)
		}
		return errors.Join(all...)
	})
}

// Backup writes a consistent copy of the database to a file that may not exist yet, while the store is in use.
func (s *Store) Backup(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	err = s.db.View(func(b *bolt.Tx) error { _, err := b.WriteTo(f); return err })
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("store: backup: %w", errors.Join(mapFull(err), os.Remove(name)))
	}
	return nil
}

// mapFull makes the kernel's words for a full disk (or quota) an ErrDiskFull.
func mapFull(err error) error {
	if err != nil && !errors.Is(err, ErrDiskFull) && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}

var (
	metaBucket = []byte("meta")
	schemaKey  = []byte("schema")
	lastIDKey  = []byte("last id")
)

// migrations[i] brings schema i to schema i+1. Entries are append-only.
var migrations = []func(*Tx) error{
	func(*Tx) error { return nil }, // schema 1: buckets make themselves
}

// migrate runs each missing step in a transaction of its own with the new version number.
func (s *Store) migrate(steps []func(*Tx) error) error {
	for {
		done := false
		err := s.Update(func(tx *Tx) error {
			meta, err := tx.bolt.CreateBucketIfNotExists(metaBucket)
			if err != nil {
				return err
			}
			at := int(getUint(meta, schemaKey))
			if at > len(steps) {
				return fmt.Errorf("%w: schema %d, this program knows %d", ErrNewer, at, len(steps))
			}
			if done = at == len(steps); done {
				return nil
			}
			if err := steps[at](tx); err != nil {
				return fmt.Errorf("store: migration to schema %d: %w", at+1, err)
			}
			return putUint(meta, schemaKey, uint64(at)+1)
		})
		if err != nil || done {
			return err
		}
	}
}

func getUint(b *bolt.Bucket, key []byte) uint64 {
	if v := b.Get(key); len(v) == 8 {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func putUint(b *bolt.Bucket, key []byte, n uint64) error {
	return b.Put(key, binary.BigEndian.AppendUint64(nil, n))
}
