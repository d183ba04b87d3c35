package call

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"slices"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
	"github.com/tipring/tipring/t30"
)

// ErrNoPages is returned when none of a fax's pages has a line that can be shown.
var ErrNoPages = errors.New("call: no page of the fax can be shown")

// Assembled tells what became of a fax's pages.
type Assembled struct {
	Pages    int // in the document
	Replaced int // damaged copies left out, because a better copy of the page followed
	Lost     int // pages whose file could not be read or had no line
}

// Assemble writes received pages to w as one multi-page TIFF, coded anew as MMR: lines that were damaged are repaired.
// One page at a time is in memory. A page that cannot be read is left out and counted. Errors: ErrNoPages, w's.
func Assemble(w io.Writer, pages []Page, open func(name string) (io.ReadCloser, error), meta tiff.Meta) (Assembled, error) {
	var a Assembled
	out := tiff.NewWriter(w, meta)
	add := func(p *imaging.Page) error {
		if p == nil {
			return nil
		}
		a.Pages++
		return out.AddPage(*p, t4.File(imaging.MMR, p.Resolution))
	}
	var held *imaging.Page // a damaged page, until it is known whether a better copy follows
	var heldBad int        // its bad lines
	for _, p := range pages {
		page, err := readPage(p, open)
		if err != nil {
			a.Lost++
			continue
		}
		if held != nil && sameSheet(held.Bitmap, heldBad, page.Bitmap) {
			a.Replaced++
			if p.Damaged && p.BadLines > heldBad {
				continue // the copy before was the better one
			}
			held = nil
		}
		if err := add(held); err != nil {
			return a, fmt.Errorf("call: assemble: %w", err)
		}
		if held = nil; p.Damaged {
			held, heldBad = page, p.BadLines
			continue
		}
		if err := add(page); err != nil {
			return a, fmt.Errorf("call: assemble: %w", err)
		}
	}
	if err := add(held); err != nil {
		return a, fmt.Errorf("call: assemble: %w", err)
	}
	if a.Pages == 0 {
		return a, ErrNoPages
	}
	if err := out.Close(); err != nil {
		return a, fmt.Errorf("call: assemble: %w", err)
	}
	return a, nil
}

// AssembleSpool assembles pages of the spool into a committed spool file of kind Faxes and returns its name.
func AssembleSpool(st *store.Store, pages []Page, meta tiff.Meta) (string, Assembled, error) {
	f, err := st.Create(store.Faxes)
	if err != nil {
		return "", Assembled{}, err
	}
	buf := bufio.NewWriterSize(f, 64<<10)
	a, err := Assemble(buf, pages, func(name string) (io.ReadCloser, error) { return st.OpenFile(name) }, meta)
	if err == nil {
		err = buf.Flush()
	}
	if err != nil {
		return "", a, errors.Join(err, f.Abort())
	}
	return f.Name(), a, f.Commit()
}

// readPage decodes one received page; the lines that did not come, or came damaged, are repaired.
func readPage(p Page, open func(string) (io.ReadCloser, error)) (*imaging.Page, error) {
	f, err := open(p.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPageOctets))
	if err != nil {
		return nil, err
	}
	res := ImagingResolution(p.Resolution)
	b, q, err := decodePage(data, p.Width, p.Coding, res)
	if err != nil {
		return nil, err
	}
	if b.Height == 0 || q.BadLines == q.Lines {
		return nil, errors.New("no line decodes")
	}
	return &imaging.Page{Bitmap: b, Resolution: res}, nil
}

// sameSheet tells whether whole is the same sheet as damaged, bad of whose lines were hit: after RTN most machines send
// the page again, some go on with the next one, and nothing on the line says which. A copy has nearly all lines that
// were not hit, pel by pel; another page, also of the same form, has not. In doubt both are kept.
func sameSheet(damaged *imaging.Bitmap, bad int, whole *imaging.Bitmap) bool {
	if damaged.Width != whole.Width {
		return false
	}
	seed := maphash.MakeSeed()
	have := map[uint64]bool{}
	for y := range whole.Height {
		have[rowHash(seed, whole.Row(y))] = true
	}
	inked, found := 0, 0
	for y := range damaged.Height {
		row := damaged.Row(y)
		if !slices.ContainsFunc(row, func(w uint64) bool { return w != 0 }) {
			continue
		}
		inked++
		if have[rowHash(seed, row)] {
			found++
		}
	}
	// Of the inked lines, as many are good as of all lines; one in ten of these may be off without being noticed.
	good := float64(damaged.Height-bad) / float64(max(damaged.Height, 1))
	return inked > 0 && float64(found) >= 0.9*good*float64(inked)
}

// rowHash tells lines apart.
func rowHash(seed maphash.Seed, row []uint64) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	var octets [8]byte
	for _, w := range row {
		binary.NativeEndian.PutUint64(octets[:], w)
		h.Write(octets[:])
	}
	return h.Sum64()
}

// TIFF is a TIFF file's pages.
type TIFF struct {
	f    *os.File
	tiff *tiff.File
}

var _ Pages = (*TIFF)(nil)

// OpenTIFF opens a multi-page TIFF file for sending. Errors: those of package tiff; a file with a damaged page is
// opened, Page then tells.
func OpenTIFF(path string) (*TIFF, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	return NewTIFF(f)
}

// OpenDocument opens a document of the spool for sending.
func OpenDocument(st *store.Store, name string) (*TIFF, error) {
	f, err := st.OpenFile(name)
	if err != nil {
		return nil, err
	}
	return NewTIFF(f)
}

// NewTIFF takes an open TIFF file for sending; it closes f on failure. Errors as OpenTIFF.
func NewTIFF(f *os.File) (*TIFF, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	t, err := tiff.Open(f, info.Size())
	if err == nil {
		err = t.Rest()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("call: document: %w", err), f.Close())
	}
	return &TIFF{f, t}, nil
}

// Count returns the number of pages.
func (t *TIFF) Count() int { return t.tiff.NumPages() }

// Page decodes page n, from 1. A damaged page is an error: what cannot be read is not sent as if it were whole.
func (t *TIFF) Page(n int) (imaging.Page, error) {
	p, q, err := t.tiff.Decode(n)
	if err != nil {
		return imaging.Page{}, err
	}
	if q.Lost {
		return imaging.Page{}, &tiff.PageError{Page: n, Err: tiff.ErrMalformed}
	}
	return p, nil
}

// Close closes the file.
func (t *TIFF) Close() error { return t.f.Close() }

// Complete tells whether a receiving call ended as it should: its report has the far end's DCN after the last page.
func Complete(r t30.Report) bool { return r.OK() && r.Received > 0 }
