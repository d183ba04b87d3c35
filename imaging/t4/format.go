package t4

import (
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/imaging"
)

const (
	// MaxWidth is the most pels a line may have: far beyond fax (7296 at 600 per inch, A3), for scans in TIFF files.
	MaxWidth = 65535
	// MaxLines is the most lines that are decoded of one page; the rest is ignored.
	MaxLines = 65535
	// maxPels is the most pels of one decoded page, 64 MB of bitmap.
	maxPels = 1 << 29
)

// ErrFormat is returned when a width is not within 1 to MaxWidth or a coding is not of T.4 or T.6.
var ErrFormat = errors.New("t4: format not supported")

// BitOrder says where in an octet its first bit is.
type BitOrder uint8

const (
	MSBFirst BitOrder = iota // files: TIFF FillOrder 1, PDF
	LSBFirst                 // the line: T.30 octets as they go to a modem; TIFF FillOrder 2
)

// Format says how coded lines are put together. Encoder and decoder use the same; fields that only one needs say so.
type Format struct {
	Coding imaging.Coding // MH, MR or MMR
	Order  BitOrder
	// EOL: an EOL stands before each line (T.4 4.1.2), with a tag bit behind it for MR (4.2.2). Not with MMR. MR has EOLs
	// always; without them MR cannot say which lines are one-dimensional.
	EOL bool
	// AlignEOL puts 0 bits before each EOL so that it ends with an octet (TIFF T4Options bit 2). Encoder only: decoders take
	// any fill.
	AlignEOL bool
	// AlignLines begins each line with a new octet (TIFF compression 2, PDF EncodedByteAlign). Only without EOL.
	AlignLines bool
	// End puts RTC (six EOLs) or EOFB behind the last line. Encoder only: decoders find it or not.
	End bool
	// K is MR's parameter K: at most K-1 two-dimensional lines follow each one-dimensional one (T.4 4.2.1.1); 0 is 2.
	// Encoder only.
	K int
	// MinLineBits is the fewest bits from one EOL to the next; fill is added to shorter lines (T.4 4.1.3). Encoder only.
	MinLineBits int
}

// Line returns the format of a page on the telephone line: least significant bit first, EOLs and RTC, or EOFB. The
// resolution decides MR's K: 2 at standard, 4 at finer vertical resolution.
func Line(c imaging.Coding, res imaging.Resolution) Format {
	f := File(c, res)
	f.Order, f.End = LSBFirst, true
	return f
}

// File returns the format of a page in a TIFF file (RFC 3949 profiles S and F): most significant bit first; MH and MR with
// EOLs and without RTC, MMR with EOFB.
func File(c imaging.Coding, res imaging.Resolution) Format {
	return Format{Coding: c, EOL: c != imaging.MMR, End: c == imaging.MMR, K: KFor(res)}
}

// KFor returns MR's K at a vertical resolution: 2 up to 150 lines per inch (T.4: standard), else 4.
func KFor(res imaging.Resolution) int {
	if res.Y > 150 {
		return 4
	}
	return 2
}

// LineBits returns how many bits fill the minimum scan line time at rate bit/s, for Format.MinLineBits.
func LineBits(minScanLine time.Duration, rate int) int {
	if minScanLine <= 0 || rate <= 0 {
		return 0
	}
	return int((int64(minScanLine)*int64(rate) + int64(time.Second) - 1) / int64(time.Second))
}

func (f Format) check(width int) error {
	if f.Coding != imaging.MH && f.Coding != imaging.MR && f.Coding != imaging.MMR {
		return fmt.Errorf("%w: coding %v", ErrFormat, f.Coding)
	}
	if width < 1 || width > MaxWidth {
		return fmt.Errorf("%w: %d pels a line", ErrFormat, width)
	}
	return nil
}

// normal returns f with the fields that its coding rules out set right.
func (f Format) normal() Format {
	switch f.Coding {
	case imaging.MR:
		f.EOL = true
	case imaging.MMR:
		f.EOL = false
	}
	if f.EOL {
		f.AlignLines = false
	}
	if f.K < 1 {
		f.K = 2
	}
	return f
}

// Coded is one page in coded form, as files carry it from one container to another without coding it anew.
type Coded struct {
	Width, Height int
	Resolution    imaging.Resolution
	Format        Format
	Inverted      bool             // coded white is shown black (TIFF PhotometricInterpretation 1)
	Quality       *imaging.Quality // what was found in the lines as received; nil: not known
	Repaired      bool             // Data was coded after bad lines had been replaced: it has none
	Data          []byte
}
