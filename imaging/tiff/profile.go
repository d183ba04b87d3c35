package tiff

import (
	"fmt"
	"slices"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
)

// Profile is a profile of RFC 3949 for black-and-white fax.
type Profile uint8

const (
	// AnyPages is no profile: whatever the pages are, as most programs read it. JBIG stands under libtiff's number.
	AnyPages Profile = iota
	// ProfileS is the least that every Internet fax reads (RFC 3949 3): MH, least significant bit first, 1728 pels, standard or fine.
	ProfileS
	// ProfileF has any coding of T.4 and T.6, and any fax width and resolution (RFC 3949 4).
	ProfileF
	// ProfileJ has JBIG as T.85 has it, under number 9 (RFC 3949 5), which libtiff and most picture viewers do not know.
	ProfileJ
)

func (p Profile) String() string {
	if int(p) < len("-SFJ") {
		return "profile " + "-SFJ"[p:p+1]
	}
	return fmt.Sprintf("profile %d", p)
}

// Format returns how pages of the profile are coded best: what to give to AddPage.
func (p Profile) Format(res imaging.Resolution) t4.Format {
	switch p {
	case ProfileS:
		f := t4.File(imaging.MH, res)
		f.Order = t4.LSBFirst
		return f
	case ProfileJ:
		return t4.Format{Coding: imaging.JBIG}
	}
	return t4.File(imaging.MMR, res)
}

// Widths of a scan line in pels, A4, B4 and A3, by resolution across (RFC 3949 4.2.1).
var widths = map[int][]int{
	200: {1728, 2048, 2432}, 204: {1728, 2048, 2432}, 300: {2592, 3072, 3648}, 400: {3456, 4096, 4864}, 408: {3456, 4096, 4864}, 600: {5184, 6144, 7296},
}

// Resolutions of profile S, and those of F and J besides. 600 x 600 is of the later T.30.
var (
	plain = []imaging.Resolution{imaging.Standard, imaging.Fine, imaging.Res200, {X: 200, Y: 100}}
	finer = []imaging.Resolution{imaging.Superfine, {X: 200, Y: 400}, imaging.Res300, imaging.R16, imaging.Res400, imaging.Res600}
)

// check returns the compression of a page in a file of the profile. ErrUnsupported if there may be no such page in it.
func (p Profile) check(c t4.Coded, compression uint32) (uint32, error) {
	if p == AnyPages {
		return compression, nil
	}
	known := slices.Contains(plain, c.Resolution) || p != ProfileS && slices.Contains(finer, c.Resolution)
	fits := known && slices.Contains(widths[c.Resolution.X], c.Width) && !c.Inverted
	switch kind := Compression(compression); p {
	case ProfileS:
		fits = fits && c.Width == 1728 && c.Format.Coding == imaging.MH && kind == Fax3 && c.Format.Order == t4.LSBFirst
	case ProfileF:
		fits = fits && (kind == Fax3 || kind == Fax4)
	case ProfileJ:
		fits, compression = fits && kind == JBIG, uint32(T85)
	default:
		fits = false
	}
	if !fits {
		return 0, fmt.Errorf("%w: %v has no pages of %d pels at %d x %d in %v, compression %v", ErrUnsupported, p, c.Width, c.Resolution.X, c.Resolution.Y,
			c.Format.Coding, Compression(compression))
	}
	return compression, nil
}
