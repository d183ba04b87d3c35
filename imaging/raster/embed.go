package raster

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"strings"
)

// Bounds for pictures inside documents, so that many small files cannot become endless work.
const (
	maxPictures  = 200      // of one document
	maxEmbedded  = 32 << 20 // octets of one picture, as it is stored
	mmPerCSSPel  = 25.4 / 96
	smallPicture = 1.0 // mm: what is smaller is no picture to print
)

// dataPicture decodes a picture in a data URI (RFC 2397); false if it is none, or none that can be printed.
func (f *flow) dataPicture(src string) (scan, bool) {
	head, body, ok := strings.Cut(src, ",")
	if !ok || len(head) < 5 || !strings.EqualFold(head[:5], "data:") || len(body) > maxText {
		return scan{}, false
	}
	var data []byte
	var err error
	if strings.HasSuffix(strings.ToLower(head), ";base64") {
		data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
	} else {
		var s string
		s, err = url.PathUnescape(body)
		data = []byte(s)
	}
	if err != nil {
		return scan{}, false
	}
	return f.embedded(data)
}

// embedded decodes a picture that stands in a document; false if it cannot be printed, or is one too many.
func (f *flow) embedded(data []byte) (scan, bool) {
	if f.pictures++; f.pictures > maxPictures || len(data) > maxEmbedded {
		return scan{}, false
	}
	doc := Document{R: bytes.NewReader(data), Size: int64(len(data))}
	kind, _ := Detect(data[:min(len(data), sniffLen)], "", "")
	sc, err := decodePicture(doc, kind)
	return sc, err == nil
}

// size returns how large to print a picture whose document asks for w x h CSS pixels (1/96 inch); 0: as it is.
func (sc scan) size(w, h float64) (wmm, hmm float64) {
	pw, ph := float64(sc.img.Bounds().Dx()), float64(sc.img.Bounds().Dy())
	if sc.orient >= 5 && sc.orient <= 8 {
		pw, ph = ph, pw
	}
	switch {
	case pw < 1 || ph < 1:
		return 0, 0
	case w > 0 && h > 0:
	case w > 0:
		h = w * ph / pw
	case h > 0:
		w = h * pw / ph
	default:
		w, h = pw, ph
	}
	return w * mmPerCSSPel, h * mmPerCSSPel
}
