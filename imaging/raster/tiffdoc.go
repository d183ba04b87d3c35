package raster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"

	xtiff "golang.org/x/image/tiff"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/tiff"
)

// tiffPage is what one image file directory tells of a grey or coloured page (TIFF 6.0 section 2). Bi-level pages are
// imaging/tiff's.
type tiffPage struct {
	w, h      int
	bits, spp int
}

// tiffDirectories returns where the directories are, in the order of the chain.
func tiffDirectories(r io.ReaderAt, limit int) (offsets []uint32, bo binary.ByteOrder, err error) {
	var head [8]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, nil, broken("TIFF", err)
	}
	bo = binary.LittleEndian
	if head[0] == 'M' {
		bo = binary.BigEndian
	}
	for off := bo.Uint32(head[4:]); off != 0 && len(offsets) < limit; {
		offsets = append(offsets, off)
		var b [4]byte
		if _, err := r.ReadAt(b[:2], int64(off)); err != nil {
			break
		}
		if _, err := r.ReadAt(b[:], int64(off)+2+12*int64(bo.Uint16(b[:]))); err != nil {
			break
		}
		off = bo.Uint32(b[:])
	}
	return offsets, bo, nil
}

func tiffDirectory(r io.ReaderAt, bo binary.ByteOrder, off uint32) (p tiffPage, err error) {
	p = tiffPage{bits: 1, spp: 1}
	var count [2]byte
	if _, err := r.ReadAt(count[:], int64(off)); err != nil {
		return p, broken("TIFF", err)
	}
	buf := make([]byte, 12*int(bo.Uint16(count[:])))
	if _, err := r.ReadAt(buf, int64(off)+2); err != nil {
		return p, broken("TIFF", err)
	}
	for e := buf; len(e) >= 12; e = e[12:] {
		v := int(bo.Uint32(e[8:]) & 0x7fffffff)
		if bo.Uint16(e[2:]) == 3 {
			v = int(bo.Uint16(e[8:]))
		}
		switch bo.Uint16(e) {
		case 256:
			p.w = v
		case 257:
			p.h = v
		case 258:
			p.bits = tiffBits(r, bo, e)
		case 277:
			p.spp = v
		}
	}
	return p, nil
}

// tiffBits reads BitsPerSample: one value, or one for each sample, stored elsewhere if there are more than two.
func tiffBits(r io.ReaderAt, bo binary.ByteOrder, e []byte) int {
	if bo.Uint32(e[4:]) <= 2 {
		return int(bo.Uint16(e[8:]))
	}
	var b [2]byte
	if _, err := r.ReadAt(b[:], int64(bo.Uint32(e[8:]))); err != nil {
		return 0
	}
	return int(bo.Uint16(b[:]))
}

// tiff renders a TIFF: bi-level pages by imaging/tiff, others by x/image/tiff, which reads a file's first page only and
// so is shown each page as the first. Pages behind a break in the file are reported as ErrBroken after those before it.
func (r *renderer) tiff(ctx context.Context, doc Document) error {
	f, err := tiff.Open(doc.R, doc.Size)
	if err != nil {
		return tiffError(err)
	}
	var offsets []uint32 // for x/image/tiff, which reads no BigTIFF
	var bo binary.ByteOrder
	if !f.Big() {
		if offsets, bo, err = tiffDirectories(doc.R, f.NumPages()); err != nil {
			return err
		}
	}
	for n := 1; n <= f.NumPages(); n++ {
		info := f.Info(n)
		switch {
		case r.opt.FaxPages:
			err = r.faxPage(ctx, f, n)
		case info.Err == nil:
			err = r.bilevelTIFF(ctx, f, n)
		case info.Reduced && f.NumPages() > 1:
		case errors.Is(info.Err, tiff.ErrNotBilevel) && info.Compression == tiff.JPEG:
			err = r.jpegTIFF(ctx, f, n)
		case errors.Is(info.Err, tiff.ErrNotBilevel) && n <= len(offsets):
			err = r.grayTIFF(ctx, doc, info, bo, offsets[n-1])
		default:
			err = tiffError(info.Err)
		}
		if err != nil {
			return err
		}
	}
	if err := f.Rest(); err != nil {
		return tiffError(err)
	}
	return nil
}

// tiffError translates imaging/tiff's errors.
func tiffError(err error) error {
	what := "TIFF"
	var pe *tiff.PageError
	if errors.As(err, &pe) {
		what = fmt.Sprintf("TIFF, page %d", pe.Page)
	}
	sentinel := ErrBroken
	switch {
	case errors.Is(err, tiff.ErrUnsupported):
		sentinel, what = ErrUnsupported, "TIFF of a rare kind"
	case errors.Is(err, tiff.ErrNotBilevel):
		sentinel, what = ErrUnsupported, "BigTIFF in grey or colour"
	case errors.Is(err, tiff.ErrTooLarge):
		sentinel = ErrTooLarge
	}
	return fmt.Errorf("%w: %w", fail(sentinel, what), err)
}

// faxWidth tells whether width pels are a line of A4, B4 or A3 where a4 are one of A4 (T.4 2.2; T.30 Table 2 bits 17, 18).
func faxWidth(width, a4 int) bool {
	return a4 > 0 && (width == a4 || width == a4*2048/1728 || width == a4*2432/1728)
}

// bilevelTIFF passes a page that already is a fax page, no finer than asked for, as it is: B4 and A3 ones too, which the
// call reduces if the far end's paper is narrower. Others are scaled.
func (r *renderer) bilevelTIFF(ctx context.Context, f *tiff.File, n int) error {
	p, _, err := f.Decode(n)
	if err != nil {
		return tiffError(err)
	}
	return r.bilevel(ctx, p)
}

// bilevel passes a fax page on, or scales what is none.
func (r *renderer) bilevel(ctx context.Context, p imaging.Page) error {
	want := r.opt.Resolution
	if p.Resolution == (imaging.Resolution{}) && p.Width == 1728 { // a fax without its resolution
		p.Resolution = imaging.Fine
		if p.Height < 1400 {
			p.Resolution = imaging.Standard
		}
	}
	if a4 := PageWidth(p.Resolution); faxWidth(p.Width, a4) {
		if p.Resolution.X*p.Resolution.Y <= want.X*want.Y {
			return r.page(ctx, &p)
		}
		if p.Width == r.sheet.w || p.Width > a4 {
			p = imaging.Rescale(p, want, p.Width*r.sheet.w/a4)
			return r.page(ctx, &p)
		}
	}
	sc := scan{img: p.Bitmap, orient: 1, aspect: 1}
	if p.Resolution.X > 0 {
		x, y := p.Resolution.DPI()
		sc.aspect, sc.mm = x/y, float64(p.Width)/x*25.4
	}
	return r.image(ctx, sc)
}

// faxPage passes a page as it is, or says why it is none of a fax.
func (r *renderer) faxPage(ctx context.Context, f *tiff.File, n int) error {
	if err := f.Info(n).Err; err != nil {
		return fmt.Errorf("%w: %w", fail(ErrNotFaxPages, fmt.Sprintf("page %d", n)), err)
	}
	p, quality, err := f.Decode(n)
	if err != nil {
		return tiffError(err)
	}
	switch {
	case !faxWidth(p.Width, PageWidth(p.Resolution)):
		return fail(ErrNotFaxPages, fmt.Sprintf("page %d has lines of %d pels at %d x %d dpi", n, p.Width, p.Resolution.X, p.Resolution.Y))
	case quality.BadLines > 0 || quality.Missing > 0 || quality.Lost:
		return fail(ErrNotFaxPages, fmt.Sprintf("page %d is damaged", n))
	}
	return r.page(ctx, &p)
}

func (r *renderer) grayTIFF(ctx context.Context, doc Document, info tiff.Info, bo binary.ByteOrder, off uint32) error {
	p, err := tiffDirectory(doc.R, bo, off)
	if err != nil {
		return err
	}
	head := pictureInfo{w: p.w, h: p.h, perPix: 1}
	if p.spp > 1 {
		head.perPix = 4
	}
	if p.bits > 8 {
		head.perPix *= 2
	}
	if err := head.check(); err != nil {
		return err
	}
	img, err := decodeTIFF(&firstPage{r: doc.R, bo: bo, offset: off}, doc.Size)
	if err != nil {
		var u xtiff.UnsupportedError
		if errors.As(err, &u) {
			return fmt.Errorf("%w: %w", fail(ErrUnsupported, "TIFF of a rare kind"), err)
		}
		return broken("TIFF", err)
	}
	return r.image(ctx, tiffScan(img, info))
}

// tiffScan is a grey or coloured page with what its directory says of its size.
func tiffScan(img image.Image, info tiff.Info) scan {
	sc := scan{img: img, orient: info.Orientation, aspect: 1}
	if info.Resolution.X > 0 {
		x, y := info.Resolution.DPI()
		sc.aspect, sc.mm = x/y, float64(info.Width)/x*25.4
	}
	return sc
}

// decodeTIFF guards against panics of the decoder on hostile files.
func decodeTIFF(ra io.ReaderAt, size int64) (img image.Image, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("tiff: %v", p)
		}
	}()
	return xtiff.Decode(io.NewSectionReader(ra, 0, size))
}

// firstPage shows a TIFF with another page's directory as the first.
type firstPage struct {
	r      io.ReaderAt
	bo     binary.ByteOrder
	offset uint32
}

func (f *firstPage) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.r.ReadAt(p, off)
	var word [4]byte
	f.bo.PutUint32(word[:], f.offset)
	for i := range word {
		if at := int64(4+i) - off; at >= 0 && at < int64(n) {
			p[at] = word[i]
		}
	}
	return n, err
}
