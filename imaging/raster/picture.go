package raster

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"

	"github.com/tipring/tipring/imaging"
)

const (
	// maxDecoded bounds the memory that a picture takes once unpacked, in octets. It is checked on the header.
	maxDecoded = 160 << 20
	// maxGray bounds a scaled picture of all its pages together, in octets.
	maxGray = 96 << 20
	// pictureMargin is left blank around a picture that is not itself a page, in mm.
	pictureMargin = 5.0
	// minDPI is how coarse the pixels of a small picture may get: a logo is not blown up to a page.
	minDPI = 72
)

// pictureInfo is what a picture's header tells.
type pictureInfo struct {
	w, h   int
	perPix float64 // octets that decoding takes per pixel
	orient int     // EXIF orientation, 1 to 8
}

// picture renders a PNG, JPEG, BMP, WebP or GIF (its first frame).
func (r *renderer) picture(ctx context.Context, doc Document, kind Type) error {
	sc, err := decodePicture(doc, kind)
	if err != nil {
		return err
	}
	return r.image(ctx, sc)
}

// decodePicture unpacks a picture, unless its header promises more than maxDecoded.
func decodePicture(doc Document, kind Type) (scan, error) {
	var decode func(io.Reader) (image.Image, error)
	switch kind {
	case TypePNG:
		decode = png.Decode
	case TypeJPEG:
		decode = jpeg.Decode
	case TypeGIF:
		decode = gif.Decode
	case TypeBMP:
		decode = bmp.Decode
	case TypeWebP:
		decode = webp.Decode
	default:
		return scan{}, fail(ErrUnsupported, kind.String())
	}
	info, err := pictureHeader(doc, kind)
	if err != nil {
		return scan{}, err
	}
	if err := info.check(); err != nil {
		return scan{}, err
	}
	if kind == TypeBMP {
		if h, ok := rleBMPHead(doc.R); ok {
			return scan{img: decodeRLEBMP(doc.R, doc.Size, h), orient: 1, aspect: 1}, nil
		}
	}
	img, err := decode(bufio.NewReader(io.NewSectionReader(doc.R, 0, doc.Size)))
	if errors.Is(err, bmp.ErrUnsupported) {
		return scan{}, fail(ErrUnsupported, "BMP picture of a rare kind")
	}
	if err != nil {
		return scan{}, broken(kind.String(), err)
	}
	return scan{img: img, orient: info.orient, aspect: 1}, nil
}

// check refuses a picture whose unpacked size is over the limit.
func (p pictureInfo) check() error {
	if p.w <= 0 || p.h <= 0 {
		return ErrEmpty
	}
	if float64(p.w)*float64(p.h)*p.perPix > maxDecoded {
		return fail(ErrTooLarge, fmt.Sprintf("a picture of %d x %d pixels", p.w, p.h))
	}
	return nil
}

func pictureHeader(doc Document, kind Type) (pictureInfo, error) {
	rd := bufio.NewReader(io.NewSectionReader(doc.R, 0, doc.Size))
	info := pictureInfo{orient: 1}
	var cfg image.Config
	var err error
	switch kind {
	case TypePNG:
		cfg, err = png.DecodeConfig(rd)
		info.perPix = modelOctets(cfg.ColorModel)
	case TypeGIF:
		cfg, err = gif.DecodeConfig(rd)
		info.perPix = 2 // the screen and one frame of at most its size
	case TypeBMP:
		if h, ok := rleBMPHead(doc.R); ok {
			info.w, info.h, info.perPix = h.w, h.h, 1
			return info, nil
		}
		cfg, err = bmp.DecodeConfig(rd)
		info.perPix = modelOctets(cfg.ColorModel)
	case TypeWebP:
		cfg, err = webp.DecodeConfig(rd)
		info.perPix = 8 // the decoder's own planes and what they are converted to
	case TypeJPEG:
		return jpegHeader(io.NewSectionReader(doc.R, 0, doc.Size))
	}
	if errors.Is(err, bmp.ErrUnsupported) {
		return info, fail(ErrUnsupported, "BMP picture of a rare kind")
	}
	if err != nil {
		return info, broken(kind.String(), err)
	}
	info.w, info.h = cfg.Width, cfg.Height
	return info, nil
}

func modelOctets(m color.Model) float64 {
	switch m {
	case color.GrayModel:
		return 1
	case color.Gray16Model:
		return 2
	case color.RGBAModel, color.NRGBAModel:
		return 4
	case color.RGBA64Model, color.NRGBA64Model:
		return 8
	}
	return 1 // paletted
}

// jpegHeader walks the markers up to the frame header (T.81 B.1). Progressive pictures keep 4 octets of coefficient for
// each sample until the end.
func jpegHeader(rd *io.SectionReader) (pictureInfo, error) {
	info := pictureInfo{orient: 1}
	seg := make([]byte, 1<<16)
	pos := int64(2)
	for range 1000 {
		if _, err := rd.ReadAt(seg[:4], pos); err != nil {
			return info, broken("JPEG", err)
		}
		if seg[0] != 0xff {
			return info, fail(ErrBroken, "JPEG")
		}
		marker, n := seg[1], int(binary.BigEndian.Uint16(seg[2:]))
		if marker == 0xff { // fill octet
			pos++
			continue
		}
		if n < 2 {
			return info, fail(ErrBroken, "JPEG")
		}
		body := seg[:n-2]
		got, err := rd.ReadAt(body, pos+4)
		if err != nil && !errors.Is(err, io.EOF) {
			return info, broken("JPEG", err)
		}
		body = body[:got]
		switch {
		case marker == 0xe1:
			if o := exifOrientation(body); o != 0 {
				info.orient = o
			}
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			return jpegFrame(info, marker, body)
		case marker == 0xda || marker == 0xd9:
			return info, fail(ErrBroken, "JPEG")
		}
		pos += 2 + int64(n)
	}
	return info, fail(ErrBroken, "JPEG")
}

func jpegFrame(info pictureInfo, marker byte, body []byte) (pictureInfo, error) {
	if len(body) < 6 || len(body) < 6+3*int(body[5]) {
		return info, fail(ErrBroken, "JPEG")
	}
	info.h, info.w = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	hv, largest := 0, 1
	for c := range int(body[5]) {
		f := body[6+3*c+1]
		hv += int(f>>4) * int(f&15)
		largest = max(largest, int(f>>4)*int(f&15))
	}
	samples := float64(hv) / float64(largest)
	info.perPix = samples
	if body[5] == 4 {
		info.perPix += 4 // converted from CMYK
	}
	if marker == 0xc2 {
		info.perPix += 4 * samples
	}
	return info, nil
}

// exifOrientation returns the orientation tag of an APP1 segment, 0 if there is none.
func exifOrientation(app1 []byte) int {
	if len(app1) < 14 || string(app1[:6]) != "Exif\x00\x00" {
		return 0
	}
	t := app1[6:]
	var bo binary.ByteOrder = binary.LittleEndian
	if t[0] == 'M' {
		bo = binary.BigEndian
	}
	ifd := int64(bo.Uint32(t[4:]))
	if ifd+2 > int64(len(t)) {
		return 0
	}
	n := int64(bo.Uint16(t[ifd:]))
	for i := range n {
		e := ifd + 2 + 12*i
		if e+12 > int64(len(t)) {
			return 0
		}
		if bo.Uint16(t[e:]) == 0x0112 {
			if o := int(bo.Uint16(t[e+8:])); o >= 1 && o <= 8 {
				return o
			}
			return 0
		}
	}
	return 0
}

// scan is a decoded picture to put on the page.
type scan struct {
	img    image.Image
	orient int     // TIFF and EXIF orientation
	aspect float64 // a pixel's height over its width
	mm     float64 // width of the stored picture on paper; 0: not known
}

// image renders a decoded picture: upright, landscape turned to portrait, as wide as the page, cut into pages if it is
// long.
func (r *renderer) image(ctx context.Context, sc scan) error {
	s := r.sheet
	pw, ph := float64(sc.img.Bounds().Dx()), float64(sc.img.Bounds().Dy())*sc.aspect // in pixel widths
	if pw < 1 || ph <= 0 {
		return ErrEmpty
	}
	perMM := 0.0
	if sc.mm > 0 {
		perMM = pw / sc.mm
	}
	turned := sc.orient >= 5 && sc.orient <= 8
	if turned {
		pw, ph = ph, pw
	}
	landscape := pw > ph*1.1
	if landscape {
		pw, ph = ph, pw
	}
	at := s.fit(pw, ph, perMM)
	if at.w < 1 || at.w > s.w || at.h < 1 || at.h > maxGray/at.w {
		return fail(ErrTooLarge, "a very long picture")
	}
	gw, gh := at.w, at.h
	if turned != landscape {
		gw, gh = gh, gw
	}
	g := orient(scaleGray(sc.img, gw, gh), sc.orient)
	if landscape {
		g = orient(g, 6)
	}
	usable := s.h - 2*at.y
	for y := 0; y < at.h; {
		part := g.SubImage(image.Rect(0, y, at.w, min(at.h, y+usable))).(*image.Gray)
		b := r.toBlack(rebase(part), scanned)
		if y+b.Height < at.h {
			b = cutAtWhite(b)
		}
		y += b.Height
		page := imaging.New(s.w, s.h)
		blit(page, b, at.x, at.y)
		if blank(page) && y > b.Height {
			continue
		}
		if err := r.bitmap(ctx, page); err != nil {
			return err
		}
	}
	return nil
}

// cutAtWhite ends a page, which goes on with the next, in the lowest white gap of its last fifth, if there is one: no line of
// text is cut in two.
func cutAtWhite(b *imaging.Bitmap) *imaging.Bitmap {
	const minGap = 3 // lines
	gap := 0
	for y := b.Height - 1; y >= b.Height*4/5; y-- {
		switch {
		case blankRow(b, y):
			gap++
		case gap >= minGap:
			return b.Crop(image.Rect(0, 0, b.Width, y+1+(gap+1)/2))
		default:
			gap = 0
		}
	}
	return b
}

// rebase gives a part of a picture the origin 0, 0.
func rebase(g *image.Gray) *image.Gray {
	return &image.Gray{Pix: g.Pix, Stride: g.Stride, Rect: image.Rect(0, 0, g.Rect.Dx(), g.Rect.Dy())}
}

// place is where a picture goes on the page, in pels and lines.
type place struct{ x, y, w, h int }

// fit places a picture of pw x ph square pixels, perMM of them a millimetre (0: not known). What is known to be a
// whole sheet of paper keeps its size and has no margins. A picture a little longer than the page is made to fit, a
// much longer one keeps the width and is cut.
func (s sheet) fit(pw, ph, perMM float64) place {
	line := float64(s.w) / s.kx
	margin := pictureMargin
	mm := min(s.paperMM-2*margin, pw*25.4/minDPI)
	if sheetMM := pw / perMM; perMM > 0 && sheetMM > 0.8*s.paperMM && sheetMM < 1.5*s.paperMM {
		mm, margin = min(sheetMM, line), 0
	} else if int(pw) == s.w {
		mm, margin = line, 0
	}
	high := s.heightMM - 2*margin
	if long := mm * ph / pw; long > high && long < high*1.35 {
		mm *= high / long
	}
	at := place{y: s.y(margin), w: max(1, s.x(mm)), h: max(1, int(math.Round(min(mm*ph/pw*s.ky, maxGray+1))))}
	at.x = max(0, (s.w-at.w)/2)
	if over := at.h - (s.h - 2*at.y); over > 0 && over < 4 { // by rounding only
		at.h -= over
	}
	return at
}

// broken wraps a decoder's complaint; its text goes to the log, not to the sender.
func broken(kind string, err error) error {
	return fmt.Errorf("%w: %w", fail(ErrBroken, kind), err)
}
