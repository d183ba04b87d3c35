package call

import (
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/jbig"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/t30"
)

// newDecoder returns the decoder of a page as it comes off the line.
func newDecoder(f t30.PageFormat, row func([]uint64)) (imaging.Decoder, error) {
	if f.Coding == t30.JBIG {
		return jbig.NewDecoder(f.Pels(), row)
	}
	return t4.NewDecoder(f.Pels(), lineFormatOf(f), row)
}

func lineFormatOf(f t30.PageFormat) t4.Format {
	return t4.Line(ImagingCoding(f.Coding), ImagingResolution(f.Resolution))
}

// decodePage decodes a page that came off the line.
func decodePage(data []byte, width int, c t30.Coding, res imaging.Resolution) (*imaging.Bitmap, imaging.Quality, error) {
	if c == t30.JBIG {
		return jbig.Decode(data, width, 0)
	}
	return t4.Decode(data, width, 0, t4.Line(ImagingCoding(c), res))
}
