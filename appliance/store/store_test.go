package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	berrors "go.etcd.io/bbolt/errors"
)

type record struct {
	Name string
	N    int
}

var table = NewTable[record]("records")

// open opens a store in dir that is checked and closed after the test.
func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{LockTimeout: 50 * time.Millisecond, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Check(); err != nil && !errors.Is(err, berrors.ErrDatabaseNotOpen) {
			t.Errorf("database damaged: %v", err)
		}
		s.Close()
	})
	return s
}

func TestTable_PutGetDelete(t *testing.T) {
	s := open(t, t.TempDir())
	err := s.View(func(tx *Tx) error {
		_, err := table.Get(tx, "a")
		return err
	})
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of a table never written: %v, want ErrNotFound", err)
	}
	err = s.Update(func(tx *Tx) error {
		for i, k := range []string{"c", "a", "b"} {
			if err := table.Put(tx, k, record{k, i}); err != nil {
				return err
			}
		}
		return table.Delete(tx, "b")
	})
	if err != nil {
		t.Fatal(err)
	}
	var forward, back string
	err = s.View(func(tx *Tx) error {
		if r, err := table.Get(tx, "a"); err != nil || r.N != 1 {
			t.Errorf("Get(a) = %v, %v", r, err)
		}
		if n := table.Len(tx); n != 2 {
			t.Errorf("Len = %d, want 2", n)
		}
		if err := table.Each(tx, func(k string, _ record) error { forward += k; return nil }); err != nil {
			return err
		}
		return table.EachBack(tx, func(k string, _ record) error { back += k; return ErrStop })
	})
	if err != nil || forward != "ac" || back != "c" {
		t.Errorf("Each %q, EachBack stopped after %q, %v", forward, back, err)
	}
}

func TestUpdate_ErrorChangesNothing(t *testing.T) {
	s := open(t, t.TempDir())
	broken := errors.New("broken")
	err := s.Update(func(tx *Tx) error { return errors.Join(table.Put(tx, "a", record{}), broken) })
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	s.View(func(tx *Tx) error {
		if table.Has(tx, "a") {
			t.Error("a record of a failed transaction is there")
		}
		return nil
	})
}

func TestNewID_GrowsAlsoWhenTheClockGoesBack(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	times := []time.Time{time.Now(), time.Now(), time.Unix(0, 0), time.Unix(-5, 0), time.Now().Add(time.Hour), time.Now()}
	last := ""
	next := func(now time.Time) {
		t.Helper()
		err := s.Update(func(tx *Tx) error {
			id, err := tx.NewID(now)
			if id <= last || len(id) != 9 {
				t.Errorf("id %q after %q", id, last)
			}
			last = id
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, now := range times {
		next(now)
	}
	s.Close()
	s = open(t, dir)
	next(time.Unix(0, 0))
}

func TestOpen_LockedByAnotherProcess(t *testing.T) {
	if dir := os.Getenv("STORE_TEST_HOLD"); dir != "" {
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("held")
		os.Stdin.Read(make([]byte, 1))
		s.Close()
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestOpen_LockedByAnotherProcess$")
	cmd.Env = append(os.Environ(), "STORE_TEST_HOLD="+dir)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, Options{LockTimeout: 20 * time.Millisecond})
	if !errors.Is(err, ErrLocked) {
		t.Errorf("Open of a held folder: %v, want ErrLocked", err)
	}
	in.Close()
	cmd.Wait()
	open(t, dir)
}

func TestMigrate(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	step := func(name string) func(*Tx) error {
		return func(tx *Tx) error { return table.Put(tx, name, record{Name: name}) }
	}
	steps := append(migrations[:len(migrations):len(migrations)], step("one"), step("two"))
	broken := errors.New("broken")
	half := append(steps[:len(steps)-1:len(steps)-1], func(tx *Tx) error { return errors.Join(table.Put(tx, "no", record{}), broken) })
	if err := s.migrate(half); !errors.Is(err, broken) {
		t.Fatalf("broken migration: %v", err)
	}
	if err := s.migrate(steps); err != nil {
		t.Fatal(err)
	}
	s.View(func(tx *Tx) error {
		if !table.Has(tx, "one") || !table.Has(tx, "two") || table.Has(tx, "no") {
			t.Error("not each step ran once")
		}
		return nil
	})
	s.Close()
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer schema: %v, want ErrNewer", err)
	}
}

// TestCommit_CrashAtEachStep stops Commit as a crash would and sees what a restart makes of it.
func TestCommit_CrashAtEachStep(t *testing.T) {
	crash := errors.New("crash")
	for _, at := range []string{"written", "synced", ""} {
		t.Run(at, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			named, err := s.WriteFile(Mails, []byte("kept"))
			if err != nil {
				t.Fatal(err)
			}
			s.fault = func(step string) error {
				if step == at {
					return crash
				}
				return nil
			}
			f, err := s.Create(Mails)
			if err != nil {
				t.Fatal(err)
			}
			f.Write([]byte("lost"))
			if err := f.Publish(); (err != nil) != (at != "") { // Commit would clean up; a crash does not
				t.Fatal(err)
			}
			s.Close()
			s = open(t, dir)
			found, err := s.Sweep(func(_ *Tx, yield func(string)) error { yield(named); yield(""); return nil }, Mails, Faxes)
			if err != nil {
				t.Fatal(err)
			}
			if len(found) != 1 || found[0].Name != f.Name() || found[0].Missing {
				t.Errorf("Sweep found %v", found)
			}
			if data, err := s.ReadFile(named, 100); err != nil || string(data) != "kept" {
				t.Errorf("the named file: %q, %v", data, err)
			}
			if _, err := s.OpenFile(f.Name()); !errors.Is(err, ErrNotFound) {
				t.Errorf("the unnamed file: %v, want ErrNotFound", err)
			}
		})
	}
}

func TestCommit_FailureLeavesNothing(t *testing.T) {
	for _, step := range []string{"written", "synced"} {
		s := open(t, t.TempDir())
		s.fault = func(at string) error {
			if at == step {
				return syscall.ENOSPC
			}
			return nil
		}
		name, err := s.WriteFile(Documents, []byte("x"))
		if err == nil {
			t.Fatalf("%s: no error", step)
		}
		if _, err := s.OpenFile(name); err == nil {
			t.Errorf("%s: the file is there", step)
		}
	}
}

func TestPublish_GrowsAfterwards(t *testing.T) {
	s := open(t, t.TempDir())
	f, err := s.Create(Pages)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"one ", "two ", "three"} {
		f.Write([]byte(part))
		if err := f.Publish(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := s.ReadFile(f.Name(), 100); string(data) != "one two three" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := s.ReadFile(f.Name(), 3); err == nil {
		t.Error("ReadFile over its limit: no error")
	}
}

func TestSweep_TellsOfMissingFiles(t *testing.T) {
	s := open(t, t.TempDir())
	found, err := s.Sweep(func(_ *Tx, yield func(string)) error { yield("fax/gone"); return nil }, Faxes)
	if err != nil || len(found) != 1 || !found[0].Missing || !strings.Contains(found[0].String(), "fax/gone") {
		t.Errorf("%v, %v", found, err)
	}
}

func TestPath_KeepsInsideTheSpool(t *testing.T) {
	s := open(t, t.TempDir())
	for _, name := range []string{"", "mail", "mail/", "../tipring.db", "mail/../x", "mail/a/b", "mail/.x", "/etc/passwd", "mail/A"} {
		if _, err := s.OpenFile(name); !errors.Is(err, ErrNotFound) {
			t.Errorf("OpenFile(%q): %v, want ErrNotFound", name, err)
		}
		if err := s.Remove(name); !errors.Is(err, ErrNotFound) {
			t.Errorf("Remove(%q): %v, want ErrNotFound", name, err)
		}
	}
}

func TestRoom(t *testing.T) {
	s := open(t, t.TempDir())
	free, err := s.Free()
	if err != nil || free <= 0 {
		t.Fatalf("Free = %d, %v", free, err)
	}
	if err := s.Room(1); err != nil {
		t.Error(err)
	}
	s.reserve = 1 << 60
	if _, err := s.Create(Mails); !errors.Is(err, ErrDiskFull) {
		t.Errorf("Create below the reserve: %v, want ErrDiskFull", err)
	}
	for _, errno := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		err := mapFull(&os.PathError{Op: "write", Err: errno})
		if !errors.Is(err, ErrDiskFull) || !errors.Is(err, errno) {
			t.Errorf("%v is mapped to %v", errno, err)
		}
	}
}

func TestBackup(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Update(func(tx *Tx) error { return table.Put(tx, "a", record{N: 7}) }); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := s.Backup(filepath.Join(dir, dbName)); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(filepath.Join(dir, dbName)); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second backup over the first: %v", err)
	}
	open(t, dir).View(func(tx *Tx) error {
		if r, err := table.Get(tx, "a"); err != nil || r.N != 7 {
			t.Errorf("%v, %v", r, err)
		}
		return nil
	})
}
