package tiff

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// JPEGPage is a grey or coloured page whose strips or tiles each are a JPEG picture (TIFF Technical Note 2), as scanners write them.
type JPEGPage struct {
	Width, Height           int
	PieceWidth, PieceHeight int // of a strip or tile; those at the right and lower edge may reach beyond the page
	Pieces                  int

	f      *File
	p      *page
	tables []byte
}

// maxTables bounds the tables that all pieces share, in octets.
const maxTables = 64 << 10

// JPEG returns page n, from 1, if it is of compression 7, grey, RGB or YCbCr. An error is a *PageError: ErrUnsupported if it is something else.
func (f *File) JPEG(n int) (*JPEGPage, error) {
	p, err := f.page(n)
	if err != nil {
		return nil, err
	}
	j := &JPEGPage{Width: p.Width, Height: p.Height, PieceWidth: p.Width, PieceHeight: p.RowsPerStrip, Pieces: p.Strips, f: f, p: p}
	if p.TileWidth > 0 {
		j.PieceWidth = p.TileWidth
	}
	err = p.Err
	if errors.Is(err, ErrNotBilevel) {
		err = j.check()
	}
	if err == nil {
		j.tables, err = f.jpegTables(p.tables)
	}
	if err != nil {
		return nil, &PageError{n, err}
	}
	return j, nil
}

// TIFF's PhotometricInterpretations that JPEG data has.
const (
	minIsBlack = 1
	rgb        = 2
	ycbcr      = 6
)

func (j *JPEGPage) check() error {
	p := j.p
	switch {
	case p.Compression != JPEG:
		return fmt.Errorf("%w: compression %v", ErrUnsupported, p.Compression)
	case p.colours != 0 && p.colours != minIsBlack && p.colours != rgb && p.colours != ycbcr:
		return fmt.Errorf("%w: JPEG of photometric %d", ErrUnsupported, p.colours)
	case p.planes:
		return fmt.Errorf("%w: JPEG of each colour apart", ErrUnsupported)
	case p.Width < 1 || p.Height < 1 || j.PieceWidth < 1:
		return fmt.Errorf("%w: %d x %d pels", ErrMalformed, p.Width, p.Height)
	case p.Width > maxSide || p.Height > maxSide || int64(p.Width)*int64(p.Height) > maxPels || j.PieceWidth > maxSide || j.PieceHeight > maxSide:
		return fmt.Errorf("%w: %d x %d pels in pieces of %d x %d", ErrTooLarge, p.Width, p.Height, j.PieceWidth, j.PieceHeight)
	case p.Strips > maxTiles || p.offsets.count < uint64(p.Strips) || p.counts.count < uint64(p.Strips):
		return fmt.Errorf("%w: %d strips, need %d", ErrMalformed, p.offsets.count, p.Strips)
	}
	return nil
}

// jpegTables reads the tables without the marker of their end.
func (f *File) jpegTables(e entry) ([]byte, error) {
	if e.count == 0 {
		return nil, nil
	}
	if e.count > maxTables {
		return nil, fmt.Errorf("%w: JPEG tables of %d octets", ErrTooLarge, e.count)
	}
	data := make([]byte, e.count)
	for i := range data {
		v, err := f.number(entry{typeByte, e.count, e.value}, uint64(i))
		if err != nil {
			return nil, fmt.Errorf("JPEG tables: %w", err)
		}
		data[i] = byte(v)
	}
	if !bytes.HasPrefix(data, []byte("\xff\xd8")) || !bytes.HasSuffix(data, []byte("\xff\xd9")) {
		return nil, fmt.Errorf("%w: JPEG tables", ErrMalformed)
	}
	return data[2 : len(data)-2], nil
}

// At returns where piece i, from 0, has its upper left corner.
func (j *JPEGPage) At(i int) (x, y int) {
	return i % j.p.across * j.PieceWidth, i / j.p.across * j.PieceHeight
}

// Inverted tells whether light and dark are the other way round (PhotometricInterpretation 0).
func (j *JPEGPage) Inverted() bool { return j.p.colours == 0 }

// Piece returns piece i, from 0, as a JPEG file of its own.
func (j *JPEGPage) Piece(i int) ([]byte, error) {
	r, err := j.f.strip(j.p, i)
	if r == nil {
		return nil, err
	}
	if r.Size() > maxRawBytes {
		return nil, fmt.Errorf("%w: %d coded bytes", ErrTooLarge, r.Size())
	}
	data := make([]byte, r.Size())
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("tiff: reading: %w", err)
	}
	if !bytes.HasPrefix(data, []byte("\xff\xd8")) {
		return nil, fmt.Errorf("%w: strip %d is no JPEG", ErrMalformed, i+1)
	}
	out := append([]byte("\xff\xd8"), j.tables...)
	if j.p.colours == rgb {
		// Adobe's marker says that the colours are as they are: decoders would take three for YCbCr.
		out = append(out, "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"...)
	}
	return append(out, data[2:]...), nil
}
