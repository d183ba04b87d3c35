package tiff

import (
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
)

// Decode decodes page n, from 1, upright (Orientation applied). An error is a *PageError. With ErrTruncated the page is there all the same, as far as its data
// goes: missing lines are white and counted as bad. Its resolution is zero if the file does not say.
func (f *File) Decode(n int) (imaging.Page, imaging.Quality, error) {
	p, err := f.page(n)
	if err != nil {
		return imaging.Page{}, imaging.Quality{}, err
	}
	if p.Err != nil {
		return imaging.Page{}, imaging.Quality{}, &PageError{n, p.Err}
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

func (f *File) decode(p *page) (*imaging.Bitmap, imaging.Quality, error) {
	var damage error
	b := imaging.New(p.Width, 0)
	// Beyond an ordinary page, rows come as data is found: a directory alone must not cost much memory.
	b.Words = make([]uint64, 0, min(b.Stride*p.Height, 1<<20))
	s := newStripReader(f, p, p.Width, b.AppendRow)
	if p.TileWidth > 0 {
		damage = s.tiles(b)
	} else {
		damage = s.strips(b)
	}
	if damage != nil && !errors.Is(damage, ErrTruncated) {
		return nil, s.q, damage
	}
	if p.MinIsBlack {
		b.Invert()
	}
	return b, s.q, damage
}

// strip returns the data of strip i of p. ErrTruncated, with what there is, if the file ends inside it.
func (f *File) strip(p *page, i int) (*io.SectionReader, error) {
	off, err := f.number(p.offsets, uint64(i))
	if err != nil {
		return nil, err
	}
	at := offset(off)
	left := max(f.size-at, 0)
	size := left
	if p.counts.count != 0 {
		n, err := f.number(p.counts, uint64(i))
		if err != nil {
			return nil, err
		}
		if n > 0 { // 0 is written by some for "unknown"
			size = offset(n)
		}
	}
	r := io.NewSectionReader(f.r, at, min(size, left))
	if size > left || left == 0 {
		return r, fmt.Errorf("strip %d: %w: %d bytes at %d of %d", i+1, ErrTruncated, size, off, f.size)
	}
	return r, nil
}

// Raw returns page n's coded data as it stands in the file, if it is one fax-coded stream: compression 2, 3 or 4 in one
// strip, upright; or JBIG, whose octets are turned as T.82 has them. Else ErrUnsupported.
func (f *File) Raw(n int) (t4.Coded, error) {
	p, err := f.page(n)
	if err != nil {
		return t4.Coded{}, err
	}
	fail := func(err error) (t4.Coded, error) { return t4.Coded{}, &PageError{n, err} }
	switch {
	case p.Err != nil:
		return fail(p.Err)
	case !p.Compression.fax() && !p.Compression.jbig():
		return fail(fmt.Errorf("%w: compression %v is no fax coding", ErrUnsupported, p.Compression))
	case p.uncompressed:
		return fail(fmt.Errorf("%w: T.4's uncompressed mode, which few others read", ErrUnsupported))
	case p.Strips != 1 || p.TileWidth != 0 || p.Orientation != 1:
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
	if p.Compression.jbig() && jbigTurned(data, p.fillLSB) {
		for i, b := range data {
			data[i] = bits.Reverse8(b)
		}
	}
	return t4.Coded{
		Width: p.Width, Height: p.Height, Resolution: p.Resolution, Format: p.Format,
		Inverted: p.MinIsBlack, Quality: p.Quality, Data: data,
	}, nil
}
