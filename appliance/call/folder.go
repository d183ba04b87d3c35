package call

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tipring/tipring/imaging/tiff"
	"github.com/tipring/tipring/t30"
)

// Folder is a Keeper without the appliance: a one-off receive. Pages lie in hidden files of the folder until Finish
// makes one document of them; after a crash they are still there.
type Folder struct {
	dir   string
	pages []Page
}

var _ Keeper = (*Folder)(nil)

// pagePattern names the hidden page files.
const pagePattern = ".tipring-page-*"

// NewFolder returns a Keeper over dir, which is made when it is not there. Make one for each call.
func NewFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	return &Folder{dir: dir}, nil
}

// Create begins a page's file.
func (f *Folder) Create() (File, error) {
	file, err := os.CreateTemp(f.dir, pagePattern)
	if err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	return &folderFile{File: file, dir: f.dir}, nil
}

// PutPage notes a page; its file is durable.
func (f *Folder) PutPage(_ t30.Remote, n int, p Page) error {
	switch {
	case n == len(f.pages)+1:
		f.pages = append(f.pages, p)
	case n >= 1 && n <= len(f.pages):
		f.pages[n-1] = p
	default:
		return fmt.Errorf("call: page %d after %d", n, len(f.pages))
	}
	return nil
}

// DropPage takes the last page out again.
func (f *Folder) DropPage(n int) error {
	if n < 1 || n != len(f.pages) {
		return fmt.Errorf("call: drop page %d of %d", n, len(f.pages))
	}
	name := f.pages[n-1].File
	f.pages = f.pages[:n-1]
	return os.Remove(filepath.Join(f.dir, name))
}

// Finish makes the document of all pages, durable under a name that tells the time and the far end's id, and removes
// the page files. Errors: ErrNoPages: there is nothing to keep.
func (f *Folder) Finish(when time.Time, far string) (path string, a Assembled, err error) {
	out, err := os.CreateTemp(f.dir, ".tipring-fax-*")
	if err != nil {
		return "", a, fmt.Errorf("call: %w", err)
	}
	defer os.Remove(out.Name()) // nothing once it is renamed
	buf := bufio.NewWriterSize(out, 64<<10)
	a, err = Assemble(buf, f.pages, f.open, tiff.Meta{Time: when})
	if err == nil {
		err = buf.Flush()
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Chmod(0o644), out.Close()); err != nil {
		return "", a, err
	}
	if path, err = f.claim(out.Name(), "fax-"+when.Format("20060102-150405")+fileSafe(far)); err != nil {
		return "", a, err
	}
	if err := syncFolder(f.dir); err != nil {
		return path, a, err
	}
	for _, p := range f.pages {
		_ = os.Remove(filepath.Join(f.dir, p.File)) // the document is safe; a page file left over harms nobody
	}
	f.pages = nil
	return path, a, nil
}

func (f *Folder) open(name string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(f.dir, name))
}

// claim gives a file the first free name of base.tif, base-2.tif, ...: nothing is overwritten.
func (f *Folder) claim(from, base string) (string, error) {
	const most = 1000
	for i := 1; i <= most; i++ {
		name := base + ".tif"
		if i > 1 {
			name = fmt.Sprintf("%s-%d.tif", base, i)
		}
		to := filepath.Join(f.dir, name)
		f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			if err = errors.Join(f.Close(), os.Rename(from, to)); err != nil {
				return "", fmt.Errorf("call: %w", err)
			}
			return to, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return "", fmt.Errorf("call: %w", err)
		}
	}
	return "", fmt.Errorf("call: %d files named %s already", most, base)
}

// fileSafe makes a far end's id part of a file name.
func fileSafe(id string) string {
	id = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '+' {
			return r
		}
		return -1
	}, id)
	if id == "" {
		return ""
	}
	return "-" + id[:min(len(id), 20)]
}

type folderFile struct {
	*os.File
	dir       string
	published bool
}

func (f *folderFile) Name() string { return filepath.Base(f.File.Name()) }

func (f *folderFile) Publish() error {
	if err := f.File.Sync(); err != nil {
		return err
	}
	if f.published {
		return nil
	}
	f.published = true
	return syncFolder(f.dir)
}

func (f *folderFile) Close() error {
	if !f.published {
		return f.Abort()
	}
	return f.File.Close()
}

func (f *folderFile) Abort() error {
	return errors.Join(f.File.Close(), os.Remove(f.File.Name()))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("call: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
