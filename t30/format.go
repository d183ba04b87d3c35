package t30

import (
	"fmt"
	"time"
)

// Coding is one image coding (T.4, T.6, T.85).
type Coding uint8

const (
	MH   Coding = 1 << iota // T.4 one-dimensional
	MR                      // T.4 two-dimensional
	MMR                     // T.6; ECM only
	JBIG                    // T.85; ECM only
)

// Codings is a set of codings.
type Codings uint8

// Has tells whether c is in the set.
func (s Codings) Has(c Coding) bool { return uint8(s)&uint8(c) != 0 }

func (c Coding) String() string {
	switch c {
	case MH:
		return "mh"
	case MR:
		return "mr"
	case MMR:
		return "mmr"
	case JBIG:
		return "jbig"
	}
	return fmt.Sprintf("coding(%d)", uint8(c))
}

// Resolution is one image resolution of T.30 Table 2. Names in pels per 25.4 mm, horizontal x vertical.
type Resolution uint16

const (
	Standard  Resolution = 1 << iota // 8 pel/mm x 3.85 line/mm: 204x98
	Fine                             // 8 x 7.7: 204x196
	Superfine                        // 8 x 15.4: 204x391
	R16                              // 16 x 15.4: 408x391
	Res200                           // 200x200
	Res300                           // 300x300
	Res400                           // 400x400
	Res600                           // 600x600
)

// Resolutions is a set of resolutions.
type Resolutions uint16

// Has tells whether r is in the set.
func (s Resolutions) Has(r Resolution) bool { return uint16(s)&uint16(r) != 0 }

func (r Resolution) String() string {
	switch r {
	case Standard:
		return "standard"
	case Fine:
		return "fine"
	case Superfine:
		return "superfine"
	case R16:
		return "r16"
	case Res200:
		return "200"
	case Res300:
		return "300"
	case Res400:
		return "400"
	case Res600:
		return "600"
	}
	return fmt.Sprintf("resolution(%d)", uint16(r))
}

// DPI returns the nominal pels per inch across and down.
func (r Resolution) DPI() (x, y int) {
	switch r {
	case Standard:
		return 204, 98
	case Fine:
		return 204, 196
	case Superfine:
		return 204, 391
	case R16:
		return 408, 391
	case Res200:
		return 200, 200
	case Res300:
		return 300, 300
	case Res400:
		return 400, 400
	case Res600:
		return 600, 600
	}
	return 0, 0
}

// Width is one scan line width of T.30 Table 2 bits 17-18, named by the paper.
type Width uint8

const (
	WidthA4 Width = 1 << iota // 215 mm: 1728 pels at 8 pel/mm
	WidthB4                   // 255 mm: 2048 pels
	WidthA3                   // 303 mm: 2432 pels
)

// Widths is a set of widths.
type Widths uint8

// Has tells whether w is in the set.
func (s Widths) Has(w Width) bool { return uint8(s)&uint8(w) != 0 }

// Length is a maximum recording length (T.30 Table 2 bits 19-20); larger includes smaller.
type Length uint8

const (
	LengthA4 Length = iota
	LengthB4
	LengthUnlimited
)

// PageFormat is how one page is coded.
type PageFormat struct {
	Resolution Resolution
	Width      Width
	Coding     Coding
	Length     Length
}

// Pels returns the pels in one line (T.30 Table 2, T.4 2.2): 1728, 2048 or 2432 at 8 pel/mm and 200/25.4 mm, in proportion
// at the higher ones.
func (f PageFormat) Pels() int {
	base := map[Width]int{WidthA4: 1728, WidthB4: 2048, WidthA3: 2432}[f.Width]
	switch f.Resolution {
	case R16, Res400:
		return base * 2
	case Res300:
		return base * 3 / 2
	case Res600:
		return base * 3
	}
	return base
}

// Scheme is a modulation family.
type Scheme uint8

const (
	V27ter Scheme = 1 << iota // 2400, 4800 bit/s
	V29                       // 7200, 9600
	V17                       // 7200, 9600, 12000, 14400
	V34                       // 2400 to 33600, half-duplex (T.30 Annex F)
)

// Schemes is a set of modulation families.
type Schemes uint8

// Has tells whether m is in the set.
func (s Schemes) Has(m Scheme) bool { return uint8(s)&uint8(m) != 0 }

func (s Scheme) String() string {
	switch s {
	case V27ter:
		return "v27ter"
	case V29:
		return "v29"
	case V17:
		return "v17"
	case V34:
		return "v34"
	}
	return fmt.Sprintf("scheme(%d)", uint8(s))
}

// Modulation is one high-speed carrier.
type Modulation struct {
	Scheme Scheme `json:"scheme"`
	Rate   int    `json:"rate"`            // bit/s
	Short  bool   `json:"short,omitempty"` // V.17 short training (resync)
}

func (m Modulation) String() string {
	s := fmt.Sprintf("%v/%d", m.Scheme, m.Rate)
	if m.Short {
		s += " short"
	}
	return s
}

// Capabilities is what a station can do, as in DIS, or what is to be used at most. The zero value of a field means
// "not stated": as a limit it does not limit.
type Capabilities struct {
	Schemes     Schemes // modulations it can receive (for our own modem: both ways)
	MaxRate     int     // bit/s
	Codings     Codings
	Resolutions Resolutions
	Widths      Widths
	Length      Length
	ECM         bool
	ECM64       bool          // prefers 64-octet frames (DIS: T.30 Table 2 bit 28 is DCS only)
	MinScanLine time.Duration // at 3.85 line/mm; see MinScanLineFine
	// MinScanLineFine is that at 7.7 line/mm and finer, where a receiver may have half of it (T.30 Table 2 bits 21-23).
	MinScanLineFine time.Duration
	Subaddress      bool // SUB
	SelectivePoll   bool // SEP
	Password        bool // PWD
}
