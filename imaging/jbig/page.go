package jbig

import "github.com/tipring/tipring/imaging"

// Append appends the coded page to dst. f.Height 0 is the page's; ErrFormat if it is another one, or width or f are out of
// range, or the page has no lines.
func Append(dst []byte, b *imaging.Bitmap, f Format) ([]byte, error) {
	if f.Height == 0 {
		f.Height = b.Height
	}
	e, err := NewEncoder(nil, b.Width, f)
	if err != nil {
		return dst, err
	}
	if err := e.page(b); err != nil {
		return dst, err
	}
	if len(dst) == 0 {
		return e.qm.out, nil
	}
	return append(dst, e.qm.out...), nil
}

// page codes all lines and the end.
func (e *Encoder) page(b *imaging.Bitmap) error {
	for y := range b.Height {
		if err := e.EncodeLine(b.Row(y)); err != nil {
			return err
		}
	}
	return e.end()
}

// A PageEncoder codes one page after another into a buffer that it keeps.
type PageEncoder struct {
	f Format
	e *Encoder
}

// NewPageEncoder returns an encoder of pages of any width; f.Height is each page's own.
func NewPageEncoder(f Format) *PageEncoder { return &PageEncoder{f: f} }

// Encode returns the coded page, which is valid until the next call. ErrFormat if its width or the format is out of range, or it has
// no lines.
func (p *PageEncoder) Encode(b *imaging.Bitmap) ([]byte, error) {
	p.f.Height = b.Height
	if p.e == nil || p.e.width != b.Width {
		e, err := NewEncoder(nil, b.Width, p.f)
		if err != nil {
			return nil, err
		}
		p.e = e
	} else {
		p.e.reset(p.f)
	}
	if err := p.e.page(b); err != nil {
		return nil, err
	}
	return p.e.qm.out, nil
}

// Decode decodes a page of width pels a line; 0 is as many as the data says. What the data has more is cut off on the right, what it
// has less is white. height is the most lines to decode, if the container says; 0 is as many as there are. ErrFormat if
// the width is out of range, or 0 and the data does not say.
func Decode(data []byte, width, height int) (*imaging.Bitmap, imaging.Quality, error) {
	if width == 0 {
		h, err := ParseHeader(data)
		if err != nil {
			return nil, imaging.Quality{}, err
		}
		width = h.Width
	}
	b := imaging.New(max(width, 0), 0)
	d, err := NewDecoder(width, b.AppendRow)
	if err != nil {
		return nil, imaging.Quality{}, err
	}
	d.Limit(height)
	d.qm.data = data // no copy, as Write would make
	d.run(true)
	return b, d.Close(), nil
}
