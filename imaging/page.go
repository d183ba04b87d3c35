package imaging

import "fmt"

// Resolution is in pels per inch, across and down. Fax resolutions are nominal: 204x98 is T.4's 8 pel/mm x 3.85 line/mm.
type Resolution struct{ X, Y int }

// The resolutions of T.30 Table 2.
var (
	Standard  = Resolution{204, 98}
	Fine      = Resolution{204, 196}
	Superfine = Resolution{204, 391}
	R16       = Resolution{408, 391}
	Res200    = Resolution{200, 200}
	Res300    = Resolution{300, 300}
	Res400    = Resolution{400, 400}
	Res600    = Resolution{600, 600}
)

// Page is one fax page.
type Page struct {
	*Bitmap
	Resolution Resolution
}

// Coding is a fax image coding.
type Coding int

const (
	MH  Coding = iota // T.4 one-dimensional
	MR                // T.4 two-dimensional
	MMR               // T.6
	JBIG
)

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
	return fmt.Sprintf("coding(%d)", int(c))
}
