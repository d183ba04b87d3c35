package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

// Kind is a folder of the spool.
type Kind string

// Kinds of spool files.
const (
	Mails       Kind = "mail"  // accepted mails as they came
	Documents   Kind = "doc"   // documents to send: multi-page TIFF
	Pages       Kind = "page"  // received pages, coded as they came off the line
	Faxes       Kind = "fax"   // received faxes, assembled
	Transcripts Kind = "calls" // transcripts of calls, JSON lines
)

// File is a spool file in the making. Until Commit or Publish nothing may name it; what a crash leaves of it is removed by
// [Store.Sweep]. It is used by one goroutine at a time.
type File struct {
	s         *Store
	f         *os.File
	name      string // kind/unique, once published
	published bool   // durable
}

// Create begins a spool file. Errors: ErrDiskFull when less than the reserve is free.
func (s *Store) Create(kind Kind) (*File, error) {
	if err := s.Room(0); err != nil {
		return nil, err
	}
	var id [12]byte
	rand.Read(id[:])
	if err := s.makeFolder(s.path(string(kind))); err != nil {
		return nil, err
	}
	name := string(kind) + "/" + hex.EncodeToString(id[:])
	f, err := os.OpenFile(s.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: create: %w", mapFull(err))
	}
	return &File{s: s, f: f, name: name}, nil
}

// Name returns the name by which the file is known once it is committed: kind, slash, unique name.
func (f *File) Name() string { return f.name }

// Write appends. Errors: ErrDiskFull.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.f.Write(p)
	if err != nil {
		return n, fmt.Errorf("store: write: %w", mapFull(err))
	}
	return n, nil
}

// WriteAt, ReadAt and Seek serve writers of formats with a directory, such as TIFF.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.f.WriteAt(p, off)
	if err != nil {
		return n, fmt.Errorf("store: write: %w", mapFull(err))
	}
	return n, nil
}

// ReadAt reads what was written.
func (f *File) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }

// Read reads on from the file's position.
func (f *File) Read(p []byte) (int, error) { return f.f.Read(p) }

// Seek moves the position of the next Read or Write.
func (f *File) Seek(off int64, whence int) (int64, error) { return f.f.Seek(off, whence) }

// Sync makes what was written so far durable. Before Publish or Commit that is of no use to anybody.
func (f *File) Sync() error {
	if err := f.f.Sync(); err != nil {
		return fmt.Errorf("store: sync: %w", mapFull(err))
	}
	return nil
}

// Publish makes the file durable under its name and leaves it open for more: afterwards a transaction may name it,
// and each Sync makes what was added durable.
func (f *File) Publish() error {
	if f.published {
		return f.Sync()
	}
	if err := f.s.at("written"); err != nil {
		return err
	}
	// The folder has the file since Create, so both can be synced at once: a file system with a journal does it in one.
	folder := make(chan error, 1)
	go func() { folder <- f.s.syncShared(filepath.Dir(f.f.Name())) }()
	err := f.Sync()
	if err = errors.Join(err, <-folder); err != nil {
		return err
	}
	f.published = true
	return f.s.at("synced")
}

// Commit makes the file durable under its name and closes it: afterwards a transaction may name it. After an error
// the file is gone.
func (f *File) Commit() error {
	err := f.Publish()
	if err != nil {
		return errors.Join(err, f.Abort())
	}
	if err := f.f.Close(); err != nil {
		return fmt.Errorf("store: close: %w", mapFull(err))
	}
	return nil
}

// Close closes a published file and leaves it in the spool; a file not published yet is removed.
func (f *File) Close() error {
	if !f.published {
		return f.Abort()
	}
	return f.f.Close()
}

// Abort closes and removes the file. After Close or Commit it does nothing.
func (f *File) Abort() error {
	if err := f.f.Close(); errors.Is(err, os.ErrClosed) {
		return nil
	}
	if err := os.Remove(f.f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: abort: %w", err)
	}
	return nil
}

// goodName keeps a name out of the database from leading out of the spool.
var goodName = regexp.MustCompile(`^[a-z]{1,16}/[0-9a-z]{1,64}$`)

// Path returns where the file of that name lies, for those who must hand a path on (the render child). It returns
// ErrNotFound for a name that cannot be a spool file's.
func (s *Store) Path(name string) (string, error) {
	if !goodName.MatchString(name) {
		return "", fmt.Errorf("%w: spool file %q", ErrNotFound, name)
	}
	return s.path(name), nil
}

func (s *Store) path(name string) string {
	return filepath.Join(s.dir, spoolFolder, filepath.FromSlash(name))
}

// OpenFile opens a committed file for reading. Errors: ErrNotFound.
func (s *Store) OpenFile(name string) (*os.File, error) {
	path, err := s.Path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: spool file %s", ErrNotFound, name)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return f, nil
}

// ReadFile returns a committed file's octets, at most limit of them; a longer file is an error. Errors: ErrNotFound.
func (s *Store) ReadFile(name string, limit int64) ([]byte, error) {
	f, err := s.OpenFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("store: read %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("store: read %s: longer than %d octets", name, limit)
	}
	return data, nil
}

// WriteFile makes a spool file of data in one go and returns its name.
func (s *Store) WriteFile(kind Kind, data []byte) (string, error) {
	f, err := s.Create(kind)
	if err != nil {
		return "", err
	}
	if _, err := f.Write(data); err != nil {
		return "", errors.Join(err, f.Abort())
	}
	return f.Name(), f.Commit()
}

// Remove deletes a committed file that nothing names any more; it need not be there. Call it after the transaction
// that took the name away (see [Tx.OnCommit]): a crash in between is put right by Sweep.
func (s *Store) Remove(name string) error {
	path, err := s.Path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: remove: %w", err)
	}
	return nil
}

// Free returns the octets that the file system has left for us.
func (s *Store) Free() (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &st); err != nil {
		return 0, fmt.Errorf("store: free space: %w", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// Room returns ErrDiskFull when n more octets would not leave the reserve free.
func (s *Store) Room(n int64) error {
	free, err := s.Free()
	if err != nil {
		return err
	}
	if free-n < s.reserve {
		return fmt.Errorf("%w: %d MiB free, %d MiB kept in reserve", ErrDiskFull, free>>20, s.reserve>>20)
	}
	return nil
}

// makeFolder makes a kind's folder durable before the first file goes there.
func (s *Store) makeFolder(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.folders[dir] != nil {
		return nil
	}
	err := os.Mkdir(dir, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("store: %w", mapFull(err))
	}
	if err := syncFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	s.folders[dir] = new(shared[struct{}])
	return nil
}

func (s *Store) at(step string) error {
	if s.fault == nil {
		return nil
	}
	return s.fault(step)
}

// syncFolder makes renames and new entries in dir durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("store: sync folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("store: sync folder: %w", mapFull(err))
	}
	return nil
}

func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	return nil
}
