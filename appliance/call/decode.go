package call

import (
	"io"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/jbig"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/t30"
)

// decoder decodes a page in any of T.30's codings while it arrives; it never fails.
type decoder interface {
	io.Writer
	quality() t4.Quality
	close() t4.Quality
}

type t4Decoder struct{ *t4.Decoder }

func (d t4Decoder) quality() t4.Quality { return d.Quality() }
func (d t4Decoder) close() t4.Quality   { return d.Close() }

type jbigDecoder struct{ *jbig.Decoder }

func (d jbigDecoder) quality() t4.Quality { return qualityOf(d.Quality()) }
func (d jbigDecoder) close() t4.Quality   { return qualityOf(d.Close()) }

func qualityOf(q jbig.Quality) t4.Quality {
	return t4.Quality{Lines: q.Lines, BadLines: q.BadLines, LongestBad: q.LongestBad, Ended: q.Ended, Lost: q.Lost}
}

// newDecoder returns the decoder of a page as it comes off the line.
func newDecoder(f t30.PageFormat, row func([]uint64)) (decoder, error) {
	if f.Coding == t30.JBIG {
		d, err := jbig.NewDecoder(f.Pels(), row)
		return jbigDecoder{d}, err
	}
	d, err := t4.NewDecoder(f.Pels(), lineFormatOf(f), row)
	return t4Decoder{d}, err
}

func lineFormatOf(f t30.PageFormat) t4.Format {
	return t4.Line(ImagingCoding(f.Coding), ImagingResolution(f.Resolution))
}

// decodePage decodes a page that came off the line.
func decodePage(data []byte, width int, c t30.Coding, res imaging.Resolution) (*imaging.Bitmap, t4.Quality, error) {
	if c == t30.JBIG {
		b, q, err := jbig.Decode(data, width, 0)
		return b, qualityOf(q), err
	}
	return t4.Decode(data, width, 0, t4.Line(ImagingCoding(c), res))
}
