package tiff

import (
	"fmt"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
)

// entry is one field of a directory.
type entry struct {
	typ   uint16
	count uint32
	value [4]byte // the values if they fit, else where they are
}

// Field types, and their sizes in bytes.
const (
	typeByte     = 1
	typeASCII    = 2
	typeShort    = 3
	typeLong     = 4
	typeRational = 5
)

var typeSizes = map[uint16]int64{typeByte: 1, typeASCII: 1, typeShort: 2, typeLong: 4, typeRational: 8}

// readDirectory reads the directory at an offset, and where the next one is. What is wrong with the page alone is in its Err.
func (f *File) readDirectory(at int64) (p page, next int64, err error) {
	var two [2]byte
	if err := f.readAt(two[:], at); err != nil {
		return p, 0, fmt.Errorf("directory: %w", err)
	}
	n := int(f.order.Uint16(two[:]))
	if n == 0 || n > maxEntries {
		return p, 0, fmt.Errorf("%w: directory with %d entries", ErrMalformed, n)
	}
	buf := make([]byte, n*12+4)
	if err := f.readAt(buf, at+2); err != nil {
		return p, 0, fmt.Errorf("directory: %w", err)
	}
	fields := make(map[uint16]entry, n)
	for ; len(buf) > 4; buf = buf[12:] {
		tag := f.order.Uint16(buf)
		if _, twice := fields[tag]; twice || tag > maxKnownTag {
			continue
		}
		e := entry{typ: f.order.Uint16(buf[2:]), count: f.order.Uint32(buf[4:])}
		copy(e.value[:], buf[8:12])
		fields[tag] = e
	}
	p.Err = f.readInfo(&p, fields)
	return p, int64(f.order.Uint32(buf)), nil
}

// number returns the value i of a BYTE, SHORT or LONG field.
func (f *File) number(e entry, i uint32) (uint32, error) {
	size := typeSizes[e.typ]
	if i >= e.count || size == 0 || size > 4 {
		return 0, fmt.Errorf("%w: field of type %d with %d values", ErrMalformed, e.typ, e.count)
	}
	v := e.value[:]
	if int64(e.count)*size > 4 {
		var buf [4]byte
		if err := f.readAt(buf[:size], int64(f.order.Uint32(e.value[:]))+int64(i)*size); err != nil {
			return 0, err
		}
		v = buf[:]
	} else {
		v = v[int64(i)*size:]
	}
	switch size {
	case 1:
		return uint32(v[0]), nil
	case 2:
		return uint32(f.order.Uint16(v)), nil
	}
	return f.order.Uint32(v), nil
}

// rational returns a RATIONAL field's value, 0 if there is none or it has none.
func (f *File) rational(e entry) float64 {
	var b [8]byte
	if e.typ != typeRational || e.count != 1 || f.readAt(b[:], int64(f.order.Uint32(e.value[:]))) != nil {
		return 0
	}
	den := f.order.Uint32(b[4:])
	if den == 0 {
		return 0
	}
	return float64(f.order.Uint32(b[:])) / float64(den)
}

// fieldReader reads numbers and keeps the first error.
type fieldReader struct {
	f      *File
	fields map[uint16]entry
	err    error
}

// get returns the first value of a field, or def if the directory has none.
func (r *fieldReader) get(tag uint16, def uint32) uint32 {
	e, ok := r.fields[tag]
	if !ok || r.err != nil {
		return def
	}
	v, err := r.f.number(e, 0)
	if err != nil {
		r.err = fmt.Errorf("tag %d: %w", tag, err)
		return def
	}
	return v
}

// readInfo fills p from the fields, as far as they go, and says why p cannot be decoded.
func (f *File) readInfo(p *page, fields map[uint16]entry) error {
	r := &fieldReader{f: f, fields: fields}
	width, height := r.get(tagImageWidth, 0), r.get(tagImageLength, 0)
	p.Width, p.Height = int(min(width, 1<<30)), int(min(height, 1<<30))
	p.Compression = Compression(r.get(tagCompression, 1))
	photometric := r.get(tagPhotometric, 0)
	p.MinIsBlack = photometric == 1
	p.Orientation = int(r.get(tagOrientation, 1))
	if p.Orientation < 1 || p.Orientation > 8 {
		p.Orientation = 1
	}
	p.fillLSB = r.get(tagFillOrder, 1) == 2
	p.Resolution = f.resolution(fields, r.get(tagResolutionUnit, resolutionInch))
	p.RowsPerStrip = int(max(min(r.get(tagRowsPerStrip, height), height), 1))
	p.Strips = (p.Height + p.RowsPerStrip - 1) / p.RowsPerStrip
	options := r.get(tagT4Options, 0)
	p.Format = codedFormat(p, options)
	f.readFaxFields(p, r)
	p.offsets, p.counts = fields[tagStripOffsets], fields[tagStripByteCounts]
	_, tiled := fields[tagTileWidth]
	switch {
	case r.err != nil:
		return r.err
	case r.get(tagBitsPerSample, 1) != 1 || r.get(tagSamplesPerPixel, 1) != 1 || photometric > 1:
		return fmt.Errorf("%w: %d bits, %d samples, photometric %d", ErrNotBilevel, r.get(tagBitsPerSample, 1), r.get(tagSamplesPerPixel, 1), photometric)
	case width == 0 || height == 0:
		return fmt.Errorf("%w: %d x %d pels", ErrMalformed, width, height)
	case width > maxSide || height > maxSide || int64(width)*int64(height) > maxPels:
		return fmt.Errorf("%w: %d x %d pels", ErrTooLarge, width, height)
	case tiled:
		return fmt.Errorf("%w: tiles", ErrUnsupported)
	case p.Compression == Fax3 && options&t4Uncompressed != 0 || p.Compression == Fax4 && r.get(tagT6Options, 0)&t4Uncompressed != 0:
		return fmt.Errorf("%w: uncompressed mode of T.4", ErrUnsupported)
	case int64(p.offsets.count) < int64(p.Strips):
		return fmt.Errorf("%w: %d strips, need %d", ErrMalformed, p.offsets.count, p.Strips)
	case p.counts.count != 0 && int64(p.counts.count) < int64(p.Strips):
		return fmt.Errorf("%w: %d strip sizes, need %d", ErrMalformed, p.counts.count, p.Strips)
	}
	switch p.Compression {
	case None, RLE, Fax3, Fax4, PackBits:
		return nil
	case LZW, Deflate, oldDeflate:
		if n := r.get(tagPredictor, 1); n != 1 {
			return fmt.Errorf("%w: predictor %d", ErrUnsupported, n)
		}
		return nil
	}
	return fmt.Errorf("%w: compression %v", ErrUnsupported, p.Compression)
}

// readFaxFields reads what fax programs add. Nonsense there does not matter.
func (f *File) readFaxFields(p *page, r *fieldReader) {
	if e, ok := r.fields[tagPageNumber]; ok && e.count == 2 {
		n, err1 := f.number(e, 0)
		total, err2 := f.number(e, 1)
		if err1 == nil && err2 == nil && (total == 0 || n < total) {
			p.Number, p.Total = int(n)+1, int(min(total, maxSide))
		}
	}
	o := fieldReader{f: f, fields: r.fields}
	_, has := r.fields[tagCleanFaxData]
	bad := int(min(o.get(tagBadFaxLines, 0), maxSide))
	if o.err == nil && (has || bad > 0) {
		p.Quality = &t4.Quality{Lines: p.Height, BadLines: bad, LongestBad: int(min(o.get(tagConsecutiveBad, 0), maxSide))}
	}
}

func (f *File) resolution(fields map[uint16]entry, unit uint32) imaging.Resolution {
	x, y := f.rational(fields[tagXResolution]), f.rational(fields[tagYResolution])
	if unit == resolutionCentimeter {
		x, y = x*2.54, y*2.54
	}
	if unit == resolutionNone && (x < 50 || y < 50) {
		return imaging.Resolution{} // a mere aspect ratio
	}
	return imaging.Nominal(x, y)
}

// codedFormat returns the format of a fax-coded page.
func codedFormat(p *page, options uint32) t4.Format {
	var f t4.Format
	if p.fillLSB {
		f.Order = t4.LSBFirst
	}
	switch p.Compression {
	case RLE:
		f.AlignLines = true
	case Fax3:
		f.EOL, f.AlignEOL = true, options&t4AlignEOL != 0
		if options&t4TwoDimensional != 0 {
			f.Coding, f.K = imaging.MR, t4.KFor(p.Resolution)
		}
	case Fax4:
		f.Coding, f.End = imaging.MMR, true
	}
	return f
}
