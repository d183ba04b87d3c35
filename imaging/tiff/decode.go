package tiff

import (
	"bufio"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
)

// Decode decodes page n, from 1, upright (Orientation applied). An error is a *PageError. With ErrTruncated the page is there all the same, as far as its data
// goes: missing lines are white and counted as bad. Its resolution is zero if the file does not say.
func (f *File) Decode(n int) (imaging.Page, t4.Quality, error) {
	p, err := f.page(n)
	if err != nil {
		return imaging.Page{}, t4.Quality{}, err
	}
	if p.Err != nil {
		return imaging.Page{}, t4.Quality{}, &PageError{n, p.Err}
	}
	b, q, err := f.decode(p)
	if err != nil {
		err = &PageError{n, err}
		if !errors.Is(err, ErrTruncated) {
			return imaging.Page{}, q, err
		}
	}
	return upright(imaging.Page{Bitmap: b, Resolution: p.Resolution}, p.Orientation), q, err
}

func (f *File) decode(p *page) (*imaging.Bitmap, t4.Quality, error) {
	var damage error
	b := imaging.New(p.Width, 0)
	// Beyond an ordinary page, rows come as data is found: a directory alone must not cost much memory.
	b.Words = make([]uint64, 0, min(b.Stride*p.Height, 1<<20))
	s := &stripReader{p: p, b: b, white: make([]uint64, b.Stride), buf: make([]byte, 32<<10), budget: f.size + 64<<10}
	for i := range p.Strips {
		rows := min(p.RowsPerStrip, p.Height-i*p.RowsPerStrip)
		r, err := f.strip(p, i)
		if r != nil {
			if e := s.read(r, rows); err == nil {
				err = e
			}
		}
		if err != nil && !errors.Is(err, ErrTruncated) {
			return nil, s.q, err
		}
		if damage == nil {
			damage = err
		}
		s.missing((i*p.RowsPerStrip + rows) - b.Height)
	}
	if p.MinIsBlack {
		b.Invert()
	}
	return b, s.q, damage
}

// strip returns the data of strip i of p. ErrTruncated, with what there is, if the file ends inside it.
func (f *File) strip(p *page, i int) (*io.SectionReader, error) {
	off, err := f.number(p.offsets, uint32(i))
	if err != nil {
		return nil, err
	}
	left := max(f.size-int64(off), 0)
	size := left
	if p.counts.count != 0 {
		n, err := f.number(p.counts, uint32(i))
		if err != nil {
			return nil, err
		}
		if n > 0 { // 0 is written by some for "unknown"
			size = int64(n)
		}
	}
	r := io.NewSectionReader(f.r, int64(off), min(size, left))
	if size > left || left == 0 {
		return r, fmt.Errorf("strip %d: %w: %d bytes at %d of %d", i+1, ErrTruncated, size, off, f.size)
	}
	return r, nil
}

// stripReader decodes strips into b.
type stripReader struct {
	p      *page
	b      *imaging.Bitmap
	q      t4.Quality
	white  []uint64
	buf    []byte
	fax    *t4.Decoder // of the strips before
	src    io.Reader
	budget int64 // bytes that may still be read
}

// Read reads the strip. More than the file has can be asked for only if strips share their data, over and over.
func (s *stripReader) Read(p []byte) (int, error) {
	n, err := s.src.Read(p)
	if s.budget -= int64(n); s.budget < 0 {
		return 0, fmt.Errorf("%w: strips overlap", ErrMalformed)
	}
	if s.p.fillLSB && !s.p.Compression.fax() {
		for i, b := range p[:n] {
			p[i] = bits.Reverse8(b)
		}
	}
	return n, err
}

// missing adds lines that the data did not have.
func (s *stripReader) missing(n int) {
	for range n {
		s.b.AppendRow(s.white)
	}
	if n > 0 {
		s.q.Lines += n
		s.q.BadLines += n
		s.q.LongestBad = max(s.q.LongestBad, n)
	}
}

// read decodes one strip of so many rows; it may find fewer.
func (s *stripReader) read(r io.Reader, rows int) error {
	s.src = r
	switch s.p.Compression {
	case None:
		return s.readRows(bufio.NewReader(s), rows)
	case PackBits:
		return s.readRows(newUnpacker(s), rows)
	case LZW:
		return s.readRows(newLZWReader(s), rows)
	case Deflate, oldDeflate:
		z, err := zlib.NewReader(s)
		if err != nil {
			return damaged(err)
		}
		return s.readRows(z, rows)
	}
	if s.fax == nil {
		d, err := t4.NewDecoder(s.p.Width, s.p.Format, s.b.AppendRow)
		if err != nil {
			return err
		}
		s.fax = d
	}
	d := s.fax
	d.Reset()
	d.Limit(rows)
	for d.Quality().Lines < rows {
		n, err := s.Read(s.buf)
		d.Write(s.buf[:n]) // never fails
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("tiff: reading: %w", err)
		}
	}
	q := d.Close()
	s.q.Lines += q.Lines
	s.q.BadLines += q.BadLines
	s.q.LongestBad = max(s.q.LongestBad, q.LongestBad)
	s.q.Ended = q.Ended
	s.q.Lost = s.q.Lost || q.Lost
	return nil
}

// damaged turns the end of data into ErrTruncated and nonsense in it into ErrMalformed.
func damaged(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: data ends", ErrTruncated)
	}
	if errors.As(err, &corrupt) || errors.Is(err, zlib.ErrChecksum) || errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrDictionary) {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return err
}

// readRows reads rows of packed pels.
func (s *stripReader) readRows(r io.Reader, rows int) error {
	packed := make([]byte, (s.p.Width+7)/8)
	line := imaging.New(s.p.Width, 1)
	for range rows {
		n, err := io.ReadFull(r, packed)
		if err != nil {
			return fmt.Errorf("line %d, byte %d: %w", s.b.Height+1, n, damaged(err))
		}
		line.SetPacked(0, packed)
		s.b.AppendRow(line.Row(0))
		s.q.Lines++
	}
	return nil
}

// Raw returns page n's coded data as it stands in the file, if it is one fax-coded stream: compression 2, 3 or 4 in one
// strip, upright. Else ErrUnsupported.
func (f *File) Raw(n int) (t4.Coded, error) {
	p, err := f.page(n)
	if err != nil {
		return t4.Coded{}, err
	}
	fail := func(err error) (t4.Coded, error) { return t4.Coded{}, &PageError{n, err} }
	switch {
	case p.Err != nil:
		return fail(p.Err)
	case !p.Compression.fax():
		return fail(fmt.Errorf("%w: compression %v is no fax coding", ErrUnsupported, p.Compression))
	case p.Strips != 1 || p.Orientation != 1:
		return fail(fmt.Errorf("%w: %d strips, orientation %d", ErrUnsupported, p.Strips, p.Orientation))
	}
	r, err := f.strip(p, 0)
	if err != nil {
		return fail(err)
	}
	if r.Size() > maxRawBytes {
		return fail(fmt.Errorf("%w: %d coded bytes", ErrTooLarge, r.Size()))
	}
	data := make([]byte, r.Size())
	if _, err := io.ReadFull(r, data); err != nil {
		return fail(fmt.Errorf("tiff: reading: %w", err))
	}
	return t4.Coded{
		Width: p.Width, Height: p.Height, Resolution: p.Resolution, Format: p.Format,
		Inverted: p.MinIsBlack, Quality: p.Quality, Data: data,
	}, nil
}
