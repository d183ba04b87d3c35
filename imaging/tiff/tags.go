package tiff

import (
	"errors"
	"fmt"
)

// TIFF 6.0 tags, and those of RFC 3949.
const (
	tagNewSubfileType    = 254
	tagImageWidth        = 256
	tagImageLength       = 257
	tagBitsPerSample     = 258
	tagCompression       = 259
	tagPhotometric       = 262
	tagFillOrder         = 266
	tagStripOffsets      = 273
	tagOrientation       = 274
	tagSamplesPerPixel   = 277
	tagRowsPerStrip      = 278
	tagStripByteCounts   = 279
	tagXResolution       = 282
	tagYResolution       = 283
	tagPlanarConfig      = 284
	tagT4Options         = 292
	tagT6Options         = 293
	tagResolutionUnit    = 296
	tagPageNumber        = 297
	tagSoftware          = 305
	tagDateTime          = 306
	tagPredictor         = 317
	tagTileWidth         = 322
	tagTileLength        = 323
	tagTileOffsets       = 324
	tagTileByteCounts    = 325
	tagBadFaxLines       = 326
	tagCleanFaxData      = 327
	tagConsecutiveBad    = 328
	tagJPEGTables        = 347
	tagT82Options        = 435
	maxKnownTag          = tagJPEGTables
	t4TwoDimensional     = 1
	t4Uncompressed       = 2
	t4AlignEOL           = 4
	resolutionNone       = 1
	resolutionInch       = 2
	resolutionCentimeter = 3
)

// Compression is TIFF's Compression tag.
type Compression uint16

// The compressions that are read; Writer uses 2, 3, 4 and 34661.
const (
	None     Compression = 1
	RLE      Compression = 2 // MH, each line in whole octets, no EOL
	Fax3     Compression = 3 // MH or MR with EOLs: T.4
	Fax4     Compression = 4 // MMR: T.6
	LZW      Compression = 5
	JPEG     Compression = 7 // of grey and coloured pages, by File.JPEG only
	Deflate  Compression = 8 // zlib
	PackBits Compression = 32773
	JBIG     Compression = 34661 // T.82, each strip by itself
	T85      Compression = 9     // the same, by RFC 3949's number, which libtiff does not know

	oldDeflate Compression = 32946
)

// fax tells whether the data is coded by T.4 or T.6.
func (c Compression) fax() bool { return c == RLE || c == Fax3 || c == Fax4 }

// jbig tells whether the data is coded by T.82.
func (c Compression) jbig() bool { return c == JBIG || c == T85 }

func (c Compression) String() string {
	switch c {
	case None:
		return "none"
	case RLE:
		return "mh-rle"
	case Fax3:
		return "t4"
	case Fax4:
		return "t6"
	case LZW:
		return "lzw"
	case JPEG:
		return "jpeg"
	case Deflate, oldDeflate:
		return "deflate"
	case JBIG, T85:
		return "jbig"
	case PackBits:
		return "packbits"
	}
	return fmt.Sprintf("compression(%d)", uint16(c))
}

var (
	// ErrNotTIFF is returned when a file does not begin as a TIFF file does.
	ErrNotTIFF = errors.New("tiff: not a TIFF file")
	// ErrTruncated is returned when a file ends before something that it refers to.
	ErrTruncated = errors.New("tiff: truncated")
	// ErrMalformed is returned when a directory contradicts itself: no width, directories in a circle, no strips.
	ErrMalformed = errors.New("tiff: malformed")
	// ErrNotBilevel is returned when a page is grey or coloured.
	ErrNotBilevel = errors.New("tiff: not a bi-level page")
	// ErrUnsupported is returned when a page is bi-level, but of a kind that is not read: another
	// compression; or when a format cannot be stored.
	ErrUnsupported = errors.New("tiff: not supported")
	// ErrTooLarge is returned when a page has more pels, lines or strips than are read.
	ErrTooLarge = errors.New("tiff: too large")
	// ErrNoPage is returned when a page is asked for that the file does not have, or a file without pages is written.
	ErrNoPage = errors.New("tiff: no such page")
)

// PageError says which page an error is about.
type PageError struct {
	Page int // from 1
	Err  error
}

func (e *PageError) Error() string { return fmt.Sprintf("page %d: %v", e.Page, e.Err) }

// Unwrap returns the error.
func (e *PageError) Unwrap() error { return e.Err }

// Limits of what is read.
const (
	maxPages    = 10000
	maxEntries  = 4096    // of one directory
	maxPels     = 1 << 29 // of one page: 64 MB
	maxSide     = 65535
	maxTiles    = 1 << 21  // of one page: of 16 x 16 pels
	maxRawBytes = 64 << 20 // of a page's coded data that Raw returns
)
