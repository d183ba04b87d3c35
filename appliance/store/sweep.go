package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
)

// Finding is one thing that Sweep found out of step.
type Finding struct {
	Name    string // of the spool file
	Missing bool   // something names it, but there is no such file; otherwise: nothing named it, it was removed
}

func (f Finding) String() string {
	if f.Missing {
		return "spool file " + f.Name + " is named by a record but missing"
	}
	return "spool file " + f.Name + " was named by nothing and removed"
}

// Sweep brings the folders of the given kinds in step with the database after a crash: it removes the files whose
// names named does not yield, and tells of names without a file. It runs at start-up, before anything makes files of
// these kinds.
func (s *Store) Sweep(named func(tx *Tx, yield func(name string)) error, kinds ...Kind) ([]Finding, error) {
	want := map[string]bool{}
	err := s.View(func(tx *Tx) error {
		return named(tx, func(name string) {
			if name != "" {
				want[name] = true
			}
		})
	})
	if err != nil {
		return nil, fmt.Errorf("store: sweep: %w", err)
	}
	var found []Finding
	for _, kind := range kinds {
		entries, err := os.ReadDir(filepath.Join(s.dir, spoolFolder, string(kind)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return found, fmt.Errorf("store: sweep: %w", err)
		}
		for _, e := range entries {
			name := string(kind) + "/" + e.Name()
			if want[name] {
				delete(want, name)
				continue
			}
			if err := os.RemoveAll(s.path(name)); err != nil {
				return found, fmt.Errorf("store: sweep: %w", err)
			}
			found = append(found, Finding{Name: name})
		}
	}
	for name := range want {
		found = append(found, Finding{Name: name, Missing: true})
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Name < found[j].Name })
	return found, nil
}
