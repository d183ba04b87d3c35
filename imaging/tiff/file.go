package tiff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
)

// File is an open TIFF file. Its methods may be used by several goroutines at once, if its reader may.
type File struct {
	r      io.ReaderAt
	size   int64
	order  binary.ByteOrder
	layout layout
	pages  []page
	rest   error
}

// Info describes one page.
type Info struct {
	Width, Height int                // pels, lines, as stored: Orientation is not applied
	Resolution    imaging.Resolution // nominal (imaging.Nominal); zero if unknown
	Compression   Compression
	Format        t4.Format        // how the data is coded, for compressions 2, 3 and 4; only its Coding for JBIG
	MinIsBlack    bool             // PhotometricInterpretation 1
	Orientation   int              // TIFF Orientation, 1 to 8
	Strips        int              // or tiles
	RowsPerStrip  int              // lines of a strip or tile
	TileWidth     int              // 0: strips
	Reduced       bool             // a thumbnail of another page (NewSubfileType bit 0)
	Number, Total int              // PageNumber, counted from 1; 0 if unknown
	Quality       *imaging.Quality // what the writer said of the lines it received; nil if nothing
	Err           error            // why the page cannot be decoded: ErrNotBilevel, ErrUnsupported, ErrMalformed ...; or nil
}

// page is one directory.
type page struct {
	Info
	fillLSB      bool
	uncompressed bool  // extension codes may stand in it
	across       int   // strips or tiles side by side
	colours      int   // PhotometricInterpretation
	tables       entry // JPEGTables
	planes       bool  // each sample has strips of its own (PlanarConfiguration 2)
	offsets      entry
	counts       entry // typ 0: there is none
}

// Open reads the directories of a file of size bytes. If the chain of directories is broken behind the first, the pages before
// the break are there, and Rest says what is wrong. An error (a *PageError but for ErrNotTIFF) means that there
// is no page at all.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size}
	var h [8]byte
	if n, err := r.ReadAt(h[:], 0); n < len(h) {
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("tiff: reading: %w", err)
		}
		return nil, ErrNotTIFF
	}
	switch string(h[:2]) {
	case "II":
		f.order = binary.LittleEndian
	case "MM":
		f.order = binary.BigEndian
	default:
		return nil, ErrNotTIFF
	}
	switch f.order.Uint16(h[2:]) {
	case 42:
		f.layout = classic
		f.rest = f.readChain(int64(f.order.Uint32(h[4:])))
	case 43:
		f.layout = big
		f.rest = f.readBig(h[4:])
	default:
		return nil, ErrNotTIFF
	}
	if len(f.pages) == 0 {
		if f.rest == nil {
			f.rest = &PageError{1, fmt.Errorf("%w: no directory", ErrMalformed)}
		}
		return nil, f.rest
	}
	return f, nil
}

// readBig reads the rest of a BigTIFF header: the size of its offsets, always 8, and the first directory's.
func (f *File) readBig(h []byte) error {
	var first [8]byte
	if f.order.Uint16(h) != 8 || f.order.Uint16(h[2:]) != 0 {
		return &PageError{1, fmt.Errorf("%w: BigTIFF with offsets of %d octets", ErrMalformed, f.order.Uint16(h))}
	}
	if err := f.readAt(first[:], 8); err != nil {
		return &PageError{1, err}
	}
	return f.readChain(offset(f.order.Uint64(first[:])))
}

func (f *File) readChain(at int64) error {
	seen := map[int64]bool{}
	for at != 0 {
		n := len(f.pages) + 1
		switch {
		case seen[at]:
			return &PageError{n, fmt.Errorf("%w: directories in a circle", ErrMalformed)}
		case n > maxPages:
			return &PageError{n, fmt.Errorf("%w: more than %d pages", ErrTooLarge, maxPages)}
		}
		seen[at] = true
		p, next, err := f.readDirectory(at)
		if err != nil {
			return &PageError{n, err}
		}
		f.pages = append(f.pages, p)
		at = next
	}
	return nil
}

// Big tells whether the file is a BigTIFF, with offsets of eight octets.
func (f *File) Big() bool { return f.layout == big }

// NumPages returns how many pages can be asked for.
func (f *File) NumPages() int { return len(f.pages) }

// Rest returns nil if all pages were found, else why there are no more: a *PageError with the page that should have been next.
func (f *File) Rest() error { return f.rest }

// Info describes page n, from 1. Its Err is a *PageError with ErrNoPage if there is no such page.
func (f *File) Info(n int) Info {
	p, err := f.page(n)
	if err != nil {
		return Info{Err: err}
	}
	info := p.Info
	if info.Err != nil {
		info.Err = &PageError{n, info.Err}
	}
	return info
}

func (f *File) page(n int) (*page, error) {
	if n < 1 || n > len(f.pages) {
		if f.rest != nil && n == len(f.pages)+1 {
			return nil, f.rest
		}
		return nil, &PageError{n, ErrNoPage}
	}
	return &f.pages[n-1], nil
}

// readAt fills p from the file's offset off.
func (f *File) readAt(p []byte, off int64) error {
	if off < 0 || off > f.size-int64(len(p)) {
		return fmt.Errorf("%w: %d bytes at %d of %d", ErrTruncated, len(p), off, f.size)
	}
	n, err := f.r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %d bytes at %d", ErrTruncated, len(p), off)
	}
	return fmt.Errorf("tiff: reading: %w", err)
}
