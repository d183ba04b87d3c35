package tiff

import (
	"fmt"
	"math"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
)

// entry is one field of a directory.
type entry struct {
	typ   uint16
	count uint64
	value [8]byte // the values if they fit (4 octets, BigTIFF: 8), else where they are
}

// Field types, and their sizes in bytes.
const (
	typeByte     = 1
	typeASCII    = 2
	typeShort    = 3
	typeLong     = 4
	typeRational = 5
	typeLong8    = 16
)

var typeSizes = map[uint16]int64{typeByte: 1, typeASCII: 1, typeShort: 2, typeLong: 4, typeRational: 8, typeLong8: 8}

// layout is what differs between TIFF and BigTIFF.
type layout struct {
	count int // octets of a directory's number of entries
	entry int // of an entry
	value int // of an entry's value, and of an offset
}

var (
	classic = layout{2, 12, 4}
	big     = layout{8, 20, 8}
)

// uint reads a number of 2, 4 or 8 octets.
func (f *File) uint(b []byte, size int) uint64 {
	switch size {
	case 2:
		return uint64(f.order.Uint16(b))
	case 4:
		return uint64(f.order.Uint32(b))
	}
	return f.order.Uint64(b)
}

// offset is a number as an offset in the file; beyond any file if it is none.
func offset(v uint64) int64 { return int64(min(v, math.MaxInt64)) }

// readDirectory reads the directory at an offset, and where the next one is. What is wrong with the page alone is in its Err.
func (f *File) readDirectory(at int64) (p page, next int64, err error) {
	l := f.layout
	var number [8]byte
	if err := f.readAt(number[:l.count], at); err != nil {
		return p, 0, fmt.Errorf("directory: %w", err)
	}
	n := f.uint(number[:], l.count)
	if n == 0 || n > maxEntries {
		return p, 0, fmt.Errorf("%w: directory with %d entries", ErrMalformed, n)
	}
	buf := make([]byte, int(n)*l.entry+l.value)
	if err := f.readAt(buf, at+int64(l.count)); err != nil {
		return p, 0, fmt.Errorf("directory: %w", err)
	}
	fields := make(map[uint16]entry, n)
	for ; len(buf) > l.value; buf = buf[l.entry:] {
		tag := f.order.Uint16(buf)
		if _, twice := fields[tag]; twice || tag > maxKnownTag {
			continue
		}
		e := entry{typ: f.order.Uint16(buf[2:]), count: f.uint(buf[4:], l.value)}
		copy(e.value[:], buf[l.entry-l.value:l.entry])
		fields[tag] = e
	}
	p.Err = f.readInfo(&p, fields)
	return p, offset(f.uint(buf, l.value)), nil
}

// number returns the value i of a BYTE, SHORT, LONG or LONG8 field.
func (f *File) number(e entry, i uint64) (uint64, error) {
	size := typeSizes[e.typ]
	if i >= e.count || size == 0 || e.typ == typeRational {
		return 0, fmt.Errorf("%w: field of type %d with %d values", ErrMalformed, e.typ, e.count)
	}
	v := e.value[:]
	if e.count > uint64(int64(f.layout.value)/size) {
		at := offset(f.uint(e.value[:], f.layout.value))
		var buf [8]byte
		if i > uint64(f.size) || at > f.size {
			return 0, fmt.Errorf("%w: field at %d of %d", ErrTruncated, at, f.size)
		}
		if err := f.readAt(buf[:size], at+int64(i)*size); err != nil {
			return 0, err
		}
		v = buf[:]
	} else {
		v = v[int64(i)*size:]
	}
	if size == 1 {
		return uint64(v[0]), nil
	}
	return f.uint(v, int(size)), nil
}

// rational returns a RATIONAL field's value, or a whole number's; 0 if there is none or it has none.
func (f *File) rational(e entry) float64 {
	b := e.value
	switch {
	case e.count != 1:
		return 0
	case e.typ != typeRational:
		n, err := f.number(e, 0)
		if err != nil {
			return 0
		}
		return float64(n)
	case f.layout.value < len(b):
		if f.readAt(b[:], offset(f.uint(e.value[:], f.layout.value))) != nil {
			return 0
		}
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
	return uint32(min(v, math.MaxUint32))
}

// readInfo fills p from the fields, as far as they go, and says why p cannot be decoded.
func (f *File) readInfo(p *page, fields map[uint16]entry) error {
	r := &fieldReader{f: f, fields: fields}
	width, height := r.get(tagImageWidth, 0), r.get(tagImageLength, 0)
	p.Width, p.Height = int(min(width, 1<<30)), int(min(height, 1<<30))
	p.Compression = Compression(r.get(tagCompression, 1))
	photometric := r.get(tagPhotometric, 0)
	p.MinIsBlack = photometric == 1
	p.Reduced = r.get(tagNewSubfileType, 0)&1 != 0
	p.colours, p.tables = int(photometric), fields[tagJPEGTables]
	p.planes = r.get(tagPlanarConfig, 1) == 2
	p.Orientation = int(r.get(tagOrientation, 1))
	if p.Orientation < 1 || p.Orientation > 8 {
		p.Orientation = 1
	}
	p.fillLSB = r.get(tagFillOrder, 1) == 2
	p.Resolution = f.resolution(fields, r.get(tagResolutionUnit, resolutionInch))
	readPieces(p, r, height)
	options := r.get(tagT4Options, 0)
	p.Format = codedFormat(p, options)
	p.uncompressed = p.Compression == Fax3 && options&t4Uncompressed != 0 || p.Compression == Fax4 && r.get(tagT6Options, 0)&t4Uncompressed != 0
	f.readFaxFields(p, r)
	switch {
	case r.err != nil:
		return r.err
	case r.get(tagBitsPerSample, 1) != 1 || r.get(tagSamplesPerPixel, 1) != 1 || photometric > 1:
		return fmt.Errorf("%w: %d bits, %d samples, photometric %d", ErrNotBilevel, r.get(tagBitsPerSample, 1), r.get(tagSamplesPerPixel, 1), photometric)
	case width == 0 || height == 0:
		return fmt.Errorf("%w: %d x %d pels", ErrMalformed, width, height)
	case width > maxSide || height > maxSide || int64(width)*int64(height) > maxPels:
		return fmt.Errorf("%w: %d x %d pels", ErrTooLarge, width, height)
	case p.TileWidth > maxSide || p.RowsPerStrip > maxSide || int64(p.TileWidth)*int64(p.RowsPerStrip) > maxPels:
		return fmt.Errorf("%w: tiles of %d x %d pels", ErrTooLarge, p.TileWidth, p.RowsPerStrip)
	case p.Strips > maxTiles:
		return fmt.Errorf("%w: %d tiles", ErrTooLarge, p.Strips)
	case p.offsets.count < uint64(p.Strips):
		return fmt.Errorf("%w: %d strips, need %d", ErrMalformed, p.offsets.count, p.Strips)
	case p.counts.count != 0 && p.counts.count < uint64(p.Strips):
		return fmt.Errorf("%w: %d strip sizes, need %d", ErrMalformed, p.counts.count, p.Strips)
	}
	switch p.Compression {
	case None, RLE, Fax3, Fax4, PackBits, JBIG, T85:
		return nil
	case LZW, Deflate, oldDeflate:
		if n := r.get(tagPredictor, 1); n != 1 {
			return fmt.Errorf("%w: predictor %d", ErrUnsupported, n)
		}
		return nil
	}
	return fmt.Errorf("%w: compression %v", ErrUnsupported, p.Compression)
}

// readPieces reads how the page is divided: into strips, or tiles.
func readPieces(p *page, r *fieldReader, height uint32) {
	if _, tiled := r.fields[tagTileWidth]; tiled {
		p.TileWidth, p.RowsPerStrip = tileSide(r, tagTileWidth), tileSide(r, tagTileLength)
		p.across = (p.Width + p.TileWidth - 1) / p.TileWidth
		p.offsets, p.counts = r.fields[tagTileOffsets], r.fields[tagTileByteCounts]
		if p.offsets.count == 0 { // as some old programs have it
			p.offsets, p.counts = r.fields[tagStripOffsets], r.fields[tagStripByteCounts]
		}
	} else {
		p.RowsPerStrip = int(max(min(r.get(tagRowsPerStrip, height), height), 1))
		p.across = 1
		p.offsets, p.counts = r.fields[tagStripOffsets], r.fields[tagStripByteCounts]
	}
	p.Strips = (p.Height + p.RowsPerStrip - 1) / p.RowsPerStrip * p.across
}

// tileSide is within 1 and what is too large.
func tileSide(r *fieldReader, tag uint16) int { return int(min(max(r.get(tag, 0), 1), maxSide+1)) }

// readFaxFields reads what fax programs add. Nonsense there does not matter.
func (f *File) readFaxFields(p *page, r *fieldReader) {
	if e, ok := r.fields[tagPageNumber]; ok && e.count == 2 {
		n, err1 := f.number(e, 0)
		total, err2 := f.number(e, 1)
		if err1 == nil && err2 == nil && (total == 0 || n < total) {
			p.Number, p.Total = int(min(n, maxSide))+1, int(min(total, maxSide))
		}
	}
	o := fieldReader{f: f, fields: r.fields}
	_, has := r.fields[tagCleanFaxData]
	bad := int(min(o.get(tagBadFaxLines, 0), maxSide))
	if o.err == nil && (has || bad > 0) {
		p.Quality = &imaging.Quality{Lines: p.Height, BadLines: bad, LongestBad: int(min(o.get(tagConsecutiveBad, 0), maxSide))}
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
	case JBIG, T85:
		return t4.Format{Coding: imaging.JBIG}
	}
	return f
}
