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
	"github.com/tipring/tipring/imaging/jbig"
	"github.com/tipring/tipring/imaging/t4"
)

// stripReader decodes strips, or tiles, of width pels a line.
type stripReader struct {
	f      *File
	p      *page
	width  int
	emit   func(row []uint64)
	lines  int // emitted
	q      imaging.Quality
	buf    []byte
	fax    imaging.Decoder // of the strips before
	turn   bool            // octets are turned around while they are read
	src    io.Reader
	budget int64 // bytes that may still be read
}

func newStripReader(f *File, p *page, width int, emit func(row []uint64)) *stripReader {
	s := &stripReader{f: f, p: p, width: width, buf: make([]byte, 32<<10), budget: f.size + 64<<10}
	s.emit = func(row []uint64) { s.lines++; emit(row) }
	return s
}

// strips decodes all strips into b. ErrTruncated if some are not whole: what is missing is white.
func (s *stripReader) strips(b *imaging.Bitmap) (damage error) {
	white := s.p.white(b.Stride)
	for i := range s.p.Strips {
		rows := min(s.p.RowsPerStrip, s.p.Height-i*s.p.RowsPerStrip)
		err := s.piece(i, rows)
		if err != nil && !errors.Is(err, ErrTruncated) {
			return err
		}
		if damage == nil {
			damage = err
		}
		for missing := i*s.p.RowsPerStrip + rows - b.Height; missing > 0; missing = 0 {
			for range missing {
				b.AppendRow(white)
			}
			s.q.Lines += missing
			s.q.BadLines += missing
			s.q.LongestBad = max(s.q.LongestBad, missing)
		}
	}
	return damage
}

// white returns white words as they are before MinIsBlack is heeded.
func (p *page) white(words int) []uint64 {
	row := make([]uint64, words)
	if p.MinIsBlack {
		for i := range row {
			row[i] = ^uint64(0)
		}
	}
	return row
}

// piece decodes strip or tile i, of so many rows; it may find fewer.
func (s *stripReader) piece(i, rows int) error {
	r, err := s.f.strip(s.p, i)
	if r != nil {
		if e := s.read(r, rows); err == nil {
			err = e
		}
	}
	return err
}

// Read reads the strip. More than the file has can be asked for only if strips share their data, over and over.
func (s *stripReader) Read(p []byte) (int, error) {
	n, err := s.src.Read(p)
	if s.budget -= int64(n); s.budget < 0 {
		return 0, fmt.Errorf("%w: strips overlap", ErrMalformed)
	}
	if s.turn {
		for i, b := range p[:n] {
			p[i] = bits.Reverse8(b)
		}
	}
	return n, err
}

func (s *stripReader) read(r *io.SectionReader, rows int) error {
	s.src = r
	s.turn = s.p.fillLSB && !s.p.Compression.fax()
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
	case JBIG, T85:
		var head [jbig.HeaderLen]byte
		n, _ := r.ReadAt(head[:], 0) // what is wrong shows when it is read
		s.turn = jbigTurned(head[:n], s.p.fillLSB)
	}
	return s.readFax(rows)
}

func (s *stripReader) decoder() (imaging.Decoder, error) {
	emit := func(row []uint64) { s.emit(row) }
	if s.p.Compression.jbig() {
		return jbig.NewDecoder(s.width, emit)
	}
	return t4.NewDecoder(s.width, s.p.Format, emit)
}

func (s *stripReader) readFax(rows int) error {
	if s.fax == nil {
		d, err := s.decoder()
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

// jbigTurned tells whether a strip's octets are turned around against T.82. libtiff turns them with FillOrder 1, as they would be in fax data that
// was turned as a whole, and not with 2; others never do. The head tells: it says there is one plane.
func jbigTurned(head []byte, fillLSB bool) bool {
	if len(head) > 2 && head[2] == bits.Reverse8(1) {
		return true
	}
	return !fillLSB && (len(head) <= 2 || head[2] != 1)
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
	packed := make([]byte, (s.width+7)/8)
	line := imaging.New(s.width, 1)
	for range rows {
		n, err := io.ReadFull(r, packed)
		if err != nil {
			return fmt.Errorf("line %d, byte %d: %w", s.lines+1, n, damaged(err))
		}
		line.SetPacked(0, packed)
		s.emit(line.Row(0))
		s.q.Lines++
	}
	return nil
}
