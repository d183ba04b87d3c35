package tiff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/jbig"
	"github.com/tipring/tipring/imaging/t4"
)

// Meta is what a file says of itself.
type Meta struct {
	Software string    // "" is Tipring
	Time     time.Time // DateTime, as its own zone has it; zero: none, so that equal pages give equal files
	Pages    int       // how many there will be, for PageNumber; 0 if not known
	Profile  Profile   // which the file keeps to; 0: whatever the pages are
}

// Writer writes a TIFF file page by page, little endian, one strip a page. Each page's directory stands before its data, and the pages
// in their order (RFC 3949 3.5), so that a reader needs no seeking either. A page is kept until the next comes.
type Writer struct {
	w    io.Writer
	m    Meta
	err  error
	off  int64  // written so far
	dir  []byte // the last page's directory, which awaits the next one's offset
	data []byte // and its data
	page int

	coder interface {
		Encode(*imaging.Bitmap) ([]byte, error)
	} // of the page before, in its format
	format t4.Format
}

// NewWriter returns a writer to w. Nothing is written before the first page.
func NewWriter(w io.Writer, m Meta) *Writer {
	if m.Software == "" {
		m.Software = "Tipring"
	}
	return &Writer{w: w, m: m}
}

// AddPage codes a page and adds it. f.Coding decides the compression: MMR is 4, MH and MR are 3 with EOLs, MH with AlignLines
// is 2, JBIG is 34661 as T.85 has it (jbig.Page). See t4.File for the usual formats.
func (w *Writer) AddPage(p imaging.Page, f t4.Format) error {
	if w.err != nil {
		return w.err
	}
	data, err := w.code(p.Bitmap, f)
	if err != nil {
		return fmt.Errorf("tiff: page %d: %w", w.page+1, err)
	}
	return w.AddCoded(t4.Coded{Width: p.Width, Height: p.Height, Resolution: p.Resolution, Format: f, Data: data})
}

// code returns the coded page, which is valid until the next call.
func (w *Writer) code(b *imaging.Bitmap, f t4.Format) ([]byte, error) {
	if w.coder == nil || w.format != f {
		if f.Coding == imaging.JBIG {
			w.coder = jbig.NewPageEncoder(jbig.Page(0))
		} else {
			coder, err := t4.NewPageEncoder(f)
			if err != nil {
				return nil, err
			}
			w.coder = coder
		}
		w.format = f
	}
	return w.coder.Encode(b)
}

// AddCoded adds a page that is coded already. ErrUnsupported if TIFF has no tags for its format (MH without EOL and not
// aligned), or the file's profile has no such pages; ErrMalformed if it has no lines.
func (w *Writer) AddCoded(c t4.Coded) error {
	if w.err != nil {
		return w.err
	}
	compression, options, err := tagsOf(c)
	if err == nil {
		compression, err = w.m.Profile.check(c, compression)
	}
	if err != nil {
		return &PageError{w.page + 1, err}
	}
	if w.page == 0 {
		w.write([]byte("II*\x00\x08\x00\x00\x00"))
	}
	at := w.off + int64(len(w.dir)+len(w.data))
	if at+int64(len(c.Data))+4096 > math.MaxUint32 {
		return &PageError{w.page + 1, fmt.Errorf("%w: file over 4 GB", ErrTooLarge)}
	}
	w.flush(uint32(at))
	w.page++
	w.dir = w.directory(c, uint32(at), compression, options)
	w.data = append(w.data[:0], c.Data...)
	if len(w.data)&1 != 0 {
		w.data = append(w.data, 0) // directories begin on even offsets
	}
	return w.err
}

// flush writes the page that is kept; the next directory stands at an offset, 0: there is none.
func (w *Writer) flush(next uint32) {
	if w.dir == nil {
		return
	}
	binary.LittleEndian.PutUint32(w.dir[w.link():], next)
	w.write(w.dir)
	w.write(w.data)
	w.dir = nil
}

// Close writes the last page. It does not close the writer below. ErrNoPage if no page was added.
func (w *Writer) Close() error {
	if w.err == nil && w.page == 0 {
		return ErrNoPage
	}
	w.flush(0)
	w.data = nil
	err := w.err
	if w.err == nil {
		w.err = errors.New("tiff: writer is closed")
	}
	return err
}

func (w *Writer) write(p []byte) {
	if w.err != nil {
		return
	}
	n, err := w.w.Write(p)
	w.off += int64(n)
	if err != nil {
		w.err = fmt.Errorf("tiff: writing: %w", err)
	}
}

// link returns where in dir the next directory's offset belongs: behind the entries.
func (w *Writer) link() int { return 2 + 12*int(binary.LittleEndian.Uint16(w.dir)) }

func tagsOf(c t4.Coded) (compression, options uint32, err error) {
	if c.Width < 1 || c.Width > maxSide || c.Height < 1 || c.Height > maxSide {
		return 0, 0, fmt.Errorf("%w: %d x %d pels", ErrMalformed, c.Width, c.Height)
	}
	f := c.Format
	if f.AlignEOL {
		options = t4AlignEOL
	}
	switch {
	case f.Coding == imaging.MMR && !f.AlignLines:
		return uint32(Fax4), 0, nil
	case f.Coding == imaging.MR:
		return uint32(Fax3), options | t4TwoDimensional, nil
	case f.Coding == imaging.JBIG:
		return uint32(JBIG), 0, jbigHeight(c)
	case f.Coding == imaging.MH && f.EOL:
		return uint32(Fax3), options, nil
	case f.Coding == imaging.MH && f.AlignLines:
		return uint32(RLE), 0, nil
	}
	return 0, 0, fmt.Errorf("%w: writing %v, EOL %v, aligned %v", ErrUnsupported, f.Coding, f.EOL, f.AlignLines)
}

// jbigHeight refuses data of another size than the page's: readers go by the data's head.
func jbigHeight(c t4.Coded) error {
	h, err := jbig.ParseHeader(c.Data)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if h.Width != c.Width || int64(h.Height) != int64(c.Height) {
		return fmt.Errorf("%w: JBIG of %d x %d pels in a page of %d x %d", ErrUnsupported, h.Width, h.Height, c.Width, c.Height)
	}
	return nil
}

// directory returns the directory of a page, which will stand at offset at, the data behind it.
func (w *Writer) directory(c t4.Coded, at, compression, options uint32) []byte {
	d := dirBuilder{}
	d.long(tagNewSubfileType, 2) // one page of several
	d.long(tagImageWidth, uint32(c.Width))
	d.long(tagImageLength, uint32(c.Height))
	d.short(tagBitsPerSample, 1)
	d.short(tagCompression, uint16(compression))
	var photometric, fill uint16 = 0, 1
	if c.Inverted {
		photometric = 1
	}
	// T.82's octets stand as they are, which libtiff takes for FillOrder 2 (see jbigTurned).
	if c.Format.Order == t4.LSBFirst || Compression(compression) == JBIG {
		fill = 2
	}
	d.short(tagPhotometric, photometric)
	d.short(tagFillOrder, fill)
	strip := len(d.entries) + 8
	d.long(tagStripOffsets, 0)
	d.short(tagOrientation, 1)
	d.short(tagSamplesPerPixel, 1)
	d.long(tagRowsPerStrip, uint32(c.Height))
	d.long(tagStripByteCounts, uint32(len(c.Data)))
	unit := uint16(resolutionInch)
	if c.Resolution.X > 0 && c.Resolution.Y > 0 {
		d.rational(tagXResolution, uint32(c.Resolution.X))
		d.rational(tagYResolution, uint32(c.Resolution.Y))
	} else {
		unit = resolutionNone
		d.rational(tagXResolution, 1)
		d.rational(tagYResolution, 1)
	}
	d.short(tagPlanarConfig, 1)
	switch Compression(compression) {
	case Fax3:
		d.long(tagT4Options, options)
	case Fax4:
		d.long(tagT6Options, 0)
	}
	d.short(tagResolutionUnit, unit)
	d.short(tagPageNumber, uint16(w.page-1), uint16(w.m.Pages))
	d.ascii(tagSoftware, w.m.Software)
	if !w.m.Time.IsZero() {
		d.ascii(tagDateTime, w.m.Time.Format("2006:01:02 15:04:05"))
	}
	if q := c.Quality; q != nil {
		d.long(tagBadFaxLines, uint32(q.BadLines))
		clean := uint16(0)
		if q.BadLines > 0 {
			clean = 2 // the data has bad lines
			if c.Repaired {
				clean = 1
			}
		}
		d.short(tagCleanFaxData, clean)
		d.long(tagConsecutiveBad, uint32(q.LongestBad))
	}
	if Compression(compression).jbig() {
		d.long(tagT82Options, 0) // T.85: RFC 3949, profile J
	}
	binary.LittleEndian.PutUint32(d.entries[strip:], at+uint32(len(d.bytes(0))))
	return d.bytes(at)
}

// dirBuilder builds a directory, little endian; tags must come in rising order.
type dirBuilder struct {
	entries []byte
	extra   []byte // values that do not fit into their entry
	fixups  []int  // entries (offsets into entries) whose value is an offset into extra
}

func (d *dirBuilder) entry(tag, typ uint16, count int, value []byte) {
	e := binary.LittleEndian.AppendUint16(d.entries, tag)
	e = binary.LittleEndian.AppendUint16(e, typ)
	e = binary.LittleEndian.AppendUint32(e, uint32(count))
	if len(value) > 4 {
		d.fixups = append(d.fixups, len(e))
		e = binary.LittleEndian.AppendUint32(e, uint32(len(d.extra)))
		d.extra = append(d.extra, value...)
		if len(d.extra)&1 != 0 {
			d.extra = append(d.extra, 0)
		}
	} else {
		var v [4]byte
		copy(v[:], value)
		e = append(e, v[:]...)
	}
	d.entries = e
}

func (d *dirBuilder) long(tag uint16, v uint32) {
	d.entry(tag, typeLong, 1, binary.LittleEndian.AppendUint32(nil, v))
}

func (d *dirBuilder) short(tag uint16, v ...uint16) {
	var b []byte
	for _, n := range v {
		b = binary.LittleEndian.AppendUint16(b, n)
	}
	d.entry(tag, typeShort, len(v), b)
}

func (d *dirBuilder) rational(tag uint16, v uint32) {
	b := binary.LittleEndian.AppendUint32(nil, v)
	d.entry(tag, typeRational, 1, binary.LittleEndian.AppendUint32(b, 1))
}

func (d *dirBuilder) ascii(tag uint16, s string) {
	d.entry(tag, typeASCII, len(s)+1, append([]byte(s), 0))
}

// bytes returns the directory as it stands at offset at, with the next one's offset 0.
func (d *dirBuilder) bytes(at uint32) []byte {
	extra := at + 2 + uint32(len(d.entries)) + 4
	out := binary.LittleEndian.AppendUint16(nil, uint16(len(d.entries)/12))
	out = append(out, d.entries...)
	for _, i := range d.fixups {
		v := out[2+i:]
		binary.LittleEndian.PutUint32(v, binary.LittleEndian.Uint32(v)+extra)
	}
	out = append(out, 0, 0, 0, 0)
	return append(out, d.extra...)
}
