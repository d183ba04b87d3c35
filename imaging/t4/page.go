package t4

import "github.com/tipring/tipring/imaging"

// Append appends the coded page to dst. ErrFormat if its width or the coding is out of range.
func Append(dst []byte, b *imaging.Bitmap, f Format) ([]byte, error) {
	e, err := NewEncoder(nil, b.Width, f)
	if err != nil {
		return dst, err
	}
	if err := e.page(b); err != nil {
		return dst, err
	}
	if len(dst) == 0 {
		return e.bits.octets(), nil
	}
	return append(dst, e.bits.octets()...), nil
}

// page codes all lines and the end.
func (e *Encoder) page(b *imaging.Bitmap) error {
	for y := range b.Height {
		if err := e.EncodeLine(b.Row(y)); err != nil {
			return err
		}
	}
	return e.Close()
}

// Decode decodes a page of width pels a line. height is the most lines to decode, if the container says; 0 is as many as
// there are. The bitmap has the lines that the data has, bad ones replaced. ErrFormat if width or coding are out of range.
func Decode(data []byte, width, height int, f Format) (*imaging.Bitmap, imaging.Quality, error) {
	if err := f.check(width); err != nil {
		return nil, imaging.Quality{}, err
	}
	b := imaging.New(width, 0)
	if height > 0 && height <= MaxLines {
		// What is not coded yet must not cost memory: a line has at least one bit.
		lines := min(int64(height), int64(len(data))*8, maxPels/int64(width))
		b.Words = make([]uint64, 0, int(lines)*b.Stride)
	}
	d, err := NewDecoder(width, f, b.AppendRow)
	if err != nil {
		return nil, imaging.Quality{}, err
	}
	d.Limit(height)
	if d.f.Order == MSBFirst {
		d.br.data = data // no copy, as Write would make
	} else {
		d.br.refill(data, d.f.Order)
	}
	d.run(true)
	return b, d.Close(), nil
}

// A PageEncoder codes one page after another into a buffer that it keeps.
type PageEncoder struct{ e Encoder }

// NewPageEncoder returns an encoder of pages of any width. ErrFormat if the coding is out of range.
func NewPageEncoder(f Format) (*PageEncoder, error) {
	if err := f.check(1); err != nil {
		return nil, err
	}
	return &PageEncoder{Encoder{f: f.normal()}}, nil
}

// Encode returns the coded page, which is valid until the next call. ErrFormat if its width is out of range.
func (p *PageEncoder) Encode(b *imaging.Bitmap) ([]byte, error) {
	e := &p.e
	if err := e.f.check(b.Width); err != nil {
		return nil, err
	}
	e.reset(b.Width)
	if err := e.page(b); err != nil {
		return nil, err
	}
	return e.bits.octets(), nil
}
