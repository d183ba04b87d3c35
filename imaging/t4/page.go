package t4

import (
	"io"

	"github.com/tipring/tipring/imaging"
)

// Append appends the coded page to dst. ErrFormat if its width or the coding is out of range.
func Append(dst []byte, b *imaging.Bitmap, f Format) ([]byte, error) {
	e, err := NewEncoder(nil, b.Width, f)
	if err != nil {
		return dst, err
	}
	for y := range b.Height {
		findChanges(e.cur, b.Row(y), b.Width)
		e.line()
	}
	e.end()
	if len(dst) == 0 {
		return e.bits.octets(), nil
	}
	return append(dst, e.bits.octets()...), nil
}

// Encode writes the coded page to w.
func Encode(w io.Writer, b *imaging.Bitmap, f Format) error {
	e, err := NewEncoder(w, b.Width, f)
	if err != nil {
		return err
	}
	for y := range b.Height {
		if err := e.EncodeLine(b.Row(y)); err != nil {
			return err
		}
	}
	return e.Close()
}

// NewReader returns a reader of the coded page, which is coded while it is read.
func NewReader(b *imaging.Bitmap, f Format) (io.Reader, error) {
	e, err := NewEncoder(nil, b.Width, f)
	if err != nil {
		return nil, err
	}
	return &reader{b: b, e: e}, nil
}

type reader struct {
	b    *imaging.Bitmap
	e    *Encoder
	y    int // next line to code
	done bool
	read int // octets of e.bits.buf that were read
}

func (r *reader) Read(p []byte) (int, error) {
	buf := &r.e.bits.buf
	if r.read == len(*buf) {
		r.e.bits.clear()
		r.read = 0
		for len(*buf) < flushAt && r.y < r.b.Height {
			findChanges(r.e.cur, r.b.Row(r.y), r.b.Width)
			r.e.line()
			r.y++
		}
		if r.y == r.b.Height && !r.done {
			r.e.end()
			r.done = true
		}
		if len(r.e.bits.octets()) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, (*buf)[r.read:])
	r.read += n
	return n, nil
}

// Decode decodes a page of width pels a line. height is the most lines to decode, if the container says; 0 is as many as
// there are. The bitmap has the lines that the data has, bad ones replaced. ErrFormat if width or coding are out of range.
func Decode(data []byte, width, height int, f Format) (*imaging.Bitmap, Quality, error) {
	if err := f.check(width); err != nil {
		return nil, Quality{}, err
	}
	b := imaging.New(width, 0)
	if height > 0 && height <= MaxLines {
		// What is not coded yet must not cost memory: a line has at least one bit.
		lines := min(int64(height), int64(len(data))*8, maxPels/int64(width))
		b.Words = make([]uint64, 0, int(lines)*b.Stride)
	}
	d, err := NewDecoder(width, f, b.AppendRow)
	if err != nil {
		return nil, Quality{}, err
	}
	d.Limit(height)
	d.br.data = data // no copy, as Write would make
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

// Encode returns the coded page, which is valid until the next call. A page wider than MaxWidth, or without pels, is empty.
func (p *PageEncoder) Encode(b *imaging.Bitmap) []byte {
	e := &p.e
	e.reset(b.Width)
	for y := range b.Height {
		findChanges(e.cur, b.Row(y), b.Width)
		e.line()
	}
	e.end()
	return e.bits.octets()
}

// A PageDecoder decodes one page after another into a bitmap that it keeps.
type PageDecoder struct {
	f Format
	d *Decoder
	b imaging.Bitmap
}

// NewPageDecoder returns a decoder of pages of any width.
func NewPageDecoder(f Format) *PageDecoder { return &PageDecoder{f: f} }

// Decode is [Decode] into a bitmap that is valid until the next call.
func (p *PageDecoder) Decode(data []byte, width, height int) (*imaging.Bitmap, Quality, error) {
	if p.d == nil || p.d.width != width {
		d, err := NewDecoder(width, p.f, p.b.AppendRow)
		if err != nil {
			return nil, Quality{}, err
		}
		p.d = d
	}
	p.b = imaging.Bitmap{Width: width, Stride: (width + 63) / 64, Words: p.b.Words[:0]}
	p.d.Reset()
	p.d.Limit(height)
	p.d.br.data = data
	p.d.run(true)
	return &p.b, p.d.Close(), nil
}
