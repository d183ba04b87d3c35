package jbig

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// MaxWidth is the most pels a line may have.
	MaxWidth = 65535
	// MaxLines is the most lines that are decoded of one page; the rest is ignored.
	MaxLines = 65535
	// MaxMX is the farthest that the adaptive pixel may move (T.82 table 9: MX).
	MaxMX = 127
	// maxPels is the most pels of one decoded page, 64 MB of bitmap.
	maxPels = 1 << 29
	// basicL0 is the number of lines in a stripe that every T.85 receiver takes (T.30 bit 78).
	basicL0 = 128
)

// ErrFormat is returned when a width is not within 1 to MaxWidth, a field of a Format is out of range, or the lines are not as many as
// a Format says.
var ErrFormat = errors.New("jbig: format not supported")

// Format says how a page is coded. The zero Format is the one that every T.85 receiver takes. Only the encoder needs it: data says by
// itself how it is coded.
type Format struct {
	// Height is the number of lines. 0: not known before the end; the data then says 4,294,967,295 lines first and the true number
	// behind the last stripe (NEWLEN), as T.85 has it.
	Height int
	// StripeLines is L0, the lines of a stripe; 0: 128. Others only for a receiver that says so (T.30 bit 79), and files.
	StripeLines int
	// TwoLine uses the template that sees one line above (LRLTWO) instead of two.
	TwoLine bool
	// NoTypical codes lines that equal the one above in full (TPBON is 0).
	NoTypical bool
	// MX is how far the adaptive pixel may move to the left, 0 to MaxMX; 0: not at all. It moves, at a stripe's begin, where the stripe
	// before was periodic, as screened pictures are (T.82 Annex C).
	MX int
	// Reset begins each stripe with fresh statistics (SDRST): some more octets, but damage ends with the stripe.
	Reset bool
	// Comment, unless empty, is put before the first stripe (T.82 6.2.6.3).
	Comment string
}

// Page returns the usual format of a page of so many lines: the basic set, and an adaptive pixel that moves by up to 8 pels.
func Page(height int) Format { return Format{Height: height, MX: 8} }

func (f Format) check(width int) error {
	switch {
	case width < 1 || width > MaxWidth:
		return fmt.Errorf("%w: %d pels a line", ErrFormat, width)
	case f.Height < 0 || int64(f.Height) >= unknownHeight || f.StripeLines < 0 || int64(f.StripeLines) > unknownHeight:
		return fmt.Errorf("%w: %d lines in stripes of %d", ErrFormat, f.Height, f.StripeLines)
	case f.MX < 0 || f.MX > MaxMX:
		return fmt.Errorf("%w: MX %d", ErrFormat, f.MX)
	}
	return nil
}

// Header is the head of the data (T.82 6.2: BIH).
type Header struct {
	Width       int    // XD
	Height      uint32 // YD, 4,294,967,295 if not known yet
	StripeLines uint32 // L0
	MX          int
	TwoLine     bool // LRLTWO
	Variable    bool // VLENGTH: NEWLEN may follow
	Typical     bool // TPBON
}

// HeaderLen is the length of a Header in octets.
const HeaderLen = 20

// unknownHeight is YD of a page whose height is not known yet (T.85).
const unknownHeight = 0xffffffff

// Options octet of the head, T.82 6.2.4.
const (
	optTwoLine  = 0x40 // LRLTWO
	optVariable = 0x20 // VLENGTH
	optTypical  = 0x08 // TPBON
	optDPPriv   = 0x02 // a private table follows, for layers that T.85 does not have
	optDPOn     = 0x04
	optDPLast   = 0x01
)

// ParseHeader reads the head. ErrFormat if data is no such head, has several layers or planes, or is out of the bounds of this
// package.
func ParseHeader(data []byte) (Header, error) {
	if len(data) < HeaderLen {
		return Header{}, fmt.Errorf("%w: %d octets", ErrFormat, len(data))
	}
	be := binary.BigEndian
	width, options := be.Uint32(data[4:]), data[19]
	h := Header{
		Width: int(min(width, MaxWidth+1)), Height: be.Uint32(data[8:]), StripeLines: be.Uint32(data[12:]), MX: int(data[16]),
		TwoLine: options&optTwoLine != 0, Variable: options&optVariable != 0, Typical: options&optTypical != 0,
	}
	switch {
	case data[0] != 0 || data[1] != 0 || data[2] != 1 || data[3] != 0:
		return h, fmt.Errorf("%w: layers %d to %d, %d planes", ErrFormat, data[0], data[1], data[2])
	case h.Width < 1 || h.Width > MaxWidth || h.Height == 0 || h.StripeLines == 0:
		return h, fmt.Errorf("%w: %d x %d pels, stripes of %d", ErrFormat, width, h.Height, h.StripeLines)
	case h.MX > MaxMX || options&(optDPOn|optDPPriv|optDPLast) == optDPOn|optDPPriv || options&0x80 != 0:
		return h, fmt.Errorf("%w: MX %d, options %#x", ErrFormat, h.MX, options)
	}
	return h, nil
}

func (h Header) append(dst []byte) []byte {
	be := binary.BigEndian
	dst = append(dst, 0, 0, 1, 0)
	dst = be.AppendUint32(dst, uint32(h.Width))
	dst = be.AppendUint32(dst, h.Height)
	dst = be.AppendUint32(dst, h.StripeLines)
	var options byte
	for _, o := range []struct {
		set bool
		bit byte
	}{{h.TwoLine, optTwoLine}, {h.Variable, optVariable}, {h.Typical, optTypical}} {
		if o.set {
			options |= o.bit
		}
	}
	return append(dst, byte(h.MX), 0, 0, options)
}

// Marker codes behind the escape octet, T.82 Table 11.
const (
	escape        = 0xff
	markerStuff   = 0x00
	markerSDNorm  = 0x02 // end of a stripe
	markerSDRst   = 0x03 // end of a stripe, the next begins with fresh statistics
	markerAbort   = 0x04
	markerNewLen  = 0x05
	markerATMove  = 0x06
	markerComment = 0x07
)
