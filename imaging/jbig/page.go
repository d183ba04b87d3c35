package jbig

import (
	"io"

	"github.com/tipring/tipring/imaging"
)

// Append appends the coded page to dst. f.Height 0 is the page's; ErrFormat if it is another one, or width or f are out of
// range, or the page has no lines.
func Append(dst []byte, b *imaging.Bitmap, f Format) ([]byte, error) {
	e, err := newPageEncoder(b, f)
	if err != nil {
		return dst, err
	}
	for y := range b.Height {
		if err := e.EncodeLine(b.Row(y)); err != nil {
			return dst, err
		}
	}
	if err := e.end(); err != nil {
		return dst, err
	}
	if len(dst) == 0 {
		return e.qm.out, nil
	}
	return append(dst, e.qm.out...), nil
}

func newPageEncoder(b *imaging.Bitmap, f Format) (*Encoder, error) {
	if f.Height == 0 {
		f.Height = b.Height
	}
	return NewEncoder(nil, b.Width, f)
}

// Encode writes the coded page to w, as Append codes it.
func Encode(w io.Writer, b *imaging.Bitmap, f Format) error {
	e, err := newPageEncoder(b, f)
	if err != nil {
		return err
	}
	e.w = w
	for y := range b.Height {
		if err := e.EncodeLine(b.Row(y)); err != nil {
			return err
		}
	}
	return e.Close()
}

// Decode decodes a page of width pels a line; 0 is as many as the data says. What the data has more is cut off on the right, what it
// has less is white. height is the most lines to decode, if the container says; 0 is as many as there are. ErrFormat if
// the width is out of range, or 0 and the data does not say.
func Decode(data []byte, width, height int) (*imaging.Bitmap, Quality, error) {
	if width == 0 {
		h, err := ParseHeader(data)
		if err != nil {
			return nil, Quality{}, err
		}
		width = h.Width
	}
	b := imaging.New(max(width, 0), 0)
	d, err := NewDecoder(width, b.AppendRow)
	if err != nil {
		return nil, Quality{}, err
	}
	d.Limit(height)
	d.qm.data = data // no copy, as Write would make
	d.run(true)
	return b, d.Close(), nil
}
