package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// File is where a refresh token is kept, readable by the owner only (mode 0600) and written atomically.
type File string

// saved is the file's content.
type saved struct {
	Tenant   string `json:"tenant"`
	ClientID string `json:"client_id"`
	Refresh  string `json:"refresh_token"`
}

const maxFile = 64 << 10

// load reads the file. None, or one that is damaged, is as good as nobody having signed in.
func (f File) load() (saved, error) {
	var s saved
	in, err := os.Open(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("token: %w", err)
	}
	defer in.Close()
	if st, err := in.Stat(); err == nil && st.Mode().Perm()&0o077 != 0 {
		if err := in.Chmod(0o600); err != nil {
			return s, fmt.Errorf("token: close the file to others: %w", err)
		}
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return s, fmt.Errorf("token: %w", err)
	}
	if len(raw) > maxFile || json.Unmarshal(raw, &s) != nil {
		return saved{}, nil
	}
	return s, nil
}

// save replaces the file: the new one is whole and on disk before it takes the name.
func (f File) save(s saved) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	dir := filepath.Dir(string(f))
	tmp, err := os.CreateTemp(dir, ".token-*") // mode 0600
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(raw)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), string(f))
	}
	if err != nil {
		return fmt.Errorf("token: save: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("token: save: %w", err)
	}
	return nil
}

// Remove deletes the file: sign out. A file that is not there is no error.
func (f File) Remove() error {
	if err := os.Remove(string(f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("token: %w", err)
	}
	return nil
}
