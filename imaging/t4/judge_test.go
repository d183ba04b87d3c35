package t4_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/imagingtest"
	"github.com/tipring/tipring/imaging/t4"
)

// lineFormats are the formats that a fax line or a TIFF file may have, by what the judges call them.
var lineFormats = []struct {
	name, judge string
	f           t4.Format
	spandsp     bool // it takes what comes over the line: LSB first, with EOLs, RTC or EOFB
}{
	{"mh line", "mh", t4.Line(imaging.MH, imaging.Fine), true},
	{"mh fill 5 ms", "mh", t4.Format{Coding: imaging.MH, EOL: true, End: true, Order: t4.LSBFirst, MinLineBits: 72}, true},
	{"mh fill 20 ms", "mh", t4.Format{Coding: imaging.MH, EOL: true, End: true, Order: t4.LSBFirst, MinLineBits: 288}, true},
	{"mh aligned", "mh", t4.Format{Coding: imaging.MH, EOL: true, AlignEOL: true, End: true, Order: t4.LSBFirst}, true},
	{"mh aligned, fill", "mh", t4.Format{Coding: imaging.MH, EOL: true, AlignEOL: true, End: true, Order: t4.LSBFirst, MinLineBits: 144}, true},
	{"mh file", "mh", t4.File(imaging.MH, imaging.Fine), false},
	{"mh file aligned", "mh", t4.Format{Coding: imaging.MH, EOL: true, AlignEOL: true}, false},
	{"mh octets", "rle", t4.Format{Coding: imaging.MH, AlignLines: true}, false},
	{"mr line", "mr", t4.Line(imaging.MR, imaging.Fine), true},
	{"mr standard", "mr", t4.Line(imaging.MR, imaging.Standard), true},
	{"mr K 1", "mr", t4.Format{Coding: imaging.MR, K: 1, End: true, Order: t4.LSBFirst}, true},
	{"mr K 3", "mr", t4.Format{Coding: imaging.MR, K: 3, End: true, Order: t4.LSBFirst}, true},
	{"mr K 8", "mr", t4.Format{Coding: imaging.MR, K: 8, End: true, Order: t4.LSBFirst}, true},
	{"mr K 1000", "mr", t4.Format{Coding: imaging.MR, K: 1000, End: true, Order: t4.LSBFirst}, true},
	{"mr fill 40 ms", "mr", t4.Format{Coding: imaging.MR, K: 4, End: true, Order: t4.LSBFirst, MinLineBits: 576}, true},
	{"mr aligned", "mr", t4.Format{Coding: imaging.MR, K: 4, AlignEOL: true, End: true, Order: t4.LSBFirst}, true},
	{"mr file", "mr", t4.File(imaging.MR, imaging.Fine), false},
	{"mr file aligned", "mr", t4.Format{Coding: imaging.MR, K: 4, AlignEOL: true}, false},
	{"mmr line", "mmr", t4.Line(imaging.MMR, imaging.Fine), true},
	{"mmr file", "mmr", t4.File(imaging.MMR, imaging.Fine), false},
}

// judgedPages are our own eight, and pages of all kinds and widths: around words, octets, the longest codes, and fax's own widths.
func judgedPages(t *testing.T) map[string]*imaging.Bitmap {
	pages := map[string]*imaging.Bitmap{}
	for i, p := range imagingtest.OwnPages(t) {
		pages[fmt.Sprint("own ", i+1)] = p
	}
	r := rand.New(rand.NewPCG(4, 6))
	for i, width := range []int{1, 2, 7, 8, 9, 16, 31, 56, 63, 64, 65, 127, 864, 999, 1216, 1727, 1728, 1729, 1791, 1792, 2048, 2432, 2552, 2559, 2560, 2561, 2592, 2616, 2623, 2624, 3456, 3648, 4864, 5184, 7296} {
		for k := range 3 {
			kind := imagingtest.Kinds[(3*i+k)%len(imagingtest.Kinds)]
			pages[fmt.Sprintf("%s, %d wide", kind, width)] = imagingtest.Random(r, width, 10+r.IntN(30), kind)
		}
	}
	return pages
}

// TestJudges_DecodeOurs: what we code, libtiff and spandsp decode to the same pels, and complain of nothing.
func TestJudges_DecodeOurs(t *testing.T) {
	j := imagingtest.StartJudge(t)
	for name, b := range judgedPages(t) {
		for _, c := range lineFormats {
			data, err := t4.Append(nil, b, c.f)
			if err != nil {
				t.Fatal(err)
			}
			judges := []string{"libtiff", "spandsp"}
			if !c.spandsp || b.Width%8 != 0 { // spandsp leaves pels beyond whole octets out; fax has no such widths
				judges = judges[:1]
			}
			if c.judge == "rle" {
				data = append(data, 0) // libtiff stumbles over a last code word that ends with the data, its own too
			}
			for _, judge := range judges {
				got, err := j.Decode(judge, c.judge, data, b.Width, b.Height, c.f.Order == t4.LSBFirst)
				if err != nil || !got.Equal(b) {
					t.Errorf("%s, %s: %s reads other pels, %d lines of %d (%v)", name, c.name, judge, got.Height, b.Height, err)
				}
			}
		}
	}
}

// TestJudges_WeDecodeTheirs: what they code, we decode to the same pels.
func TestJudges_WeDecodeTheirs(t *testing.T) {
	j := imagingtest.StartJudge(t)
	for name, b := range judgedPages(t) {
		for _, c := range []struct {
			judge, coding string
			lsb           bool
			option        int
			f             t4.Format
		}{
			{"libtiff", "mh", false, 196, t4.Format{Coding: imaging.MH, EOL: true}},
			{"libtiff", "mh", true, -98, t4.Format{Coding: imaging.MH, EOL: true}},
			{"libtiff", "rle", false, 98, t4.Format{Coding: imaging.MH, AlignLines: true}},
			{"libtiff", "mr", false, 98, t4.Format{Coding: imaging.MR}},
			{"libtiff", "mr", true, -196, t4.Format{Coding: imaging.MR}},
			{"libtiff", "mmr", true, 196, t4.Format{Coding: imaging.MMR}},
			{"spandsp", "mh", true, 0, t4.Line(imaging.MH, imaging.Fine)},
			{"spandsp", "mh", true, 288, t4.Line(imaging.MH, imaging.Fine)},
			{"spandsp", "mr", true, 0, t4.Line(imaging.MR, imaging.Fine)},
			{"spandsp", "mr", true, 144, t4.Line(imaging.MR, imaging.Fine)},
			{"spandsp", "mmr", true, 0, t4.Line(imaging.MMR, imaging.Fine)},
		} {
			data := j.Encode(c.judge, c.coding, b, c.lsb, c.option)
			f := c.f
			if c.lsb {
				f.Order = t4.LSBFirst
			}
			got, q, err := t4.Decode(data, b.Width, 0, f)
			if c.coding == "rle" || c.coding == "mmr" {
				got, q, err = t4.Decode(data, b.Width, b.Height, f) // padding is no line
			}
			if err != nil || !got.Equal(b) || q.BadLines > 0 || q.Missing > 0 || q.Lost {
				t.Errorf("%s, %s by %s (%d): %+v, %d lines, %v", name, c.coding, c.judge, c.option, q, b.Height, err)
			}
		}
	}
}

// TestJudges_SameOctets: our own eight pages are coded to libtiff's octets.
func TestJudges_SameOctets(t *testing.T) {
	j := imagingtest.StartJudge(t)
	for i, b := range imagingtest.OwnPages(t) {
		for _, c := range []struct {
			coding string
			lines  int
			f      t4.Format
		}{
			{"mh", 196, t4.File(imaging.MH, imaging.Fine)},
			{"mh", -196, t4.Format{Coding: imaging.MH, EOL: true, AlignEOL: true}},
			{"rle", 196, t4.Format{Coding: imaging.MH, AlignLines: true}},
			{"mr", 196, t4.File(imaging.MR, imaging.Fine)},
			{"mr", 98, t4.File(imaging.MR, imaging.Standard)},
			{"mr", -196, t4.Format{Coding: imaging.MR, AlignEOL: true, K: 4}},
			{"mmr", 196, t4.File(imaging.MMR, imaging.Fine)},
		} {
			want := j.Encode("libtiff", c.coding, b, false, c.lines)
			if got, err := t4.Append(nil, b, c.f); err != nil || !bytes.Equal(got, want) {
				t.Errorf("page %d, %s (%d): %d octets, libtiff has %d (%v)", i+1, c.coding, c.lines, len(got), len(want), err)
			}
		}
	}
}
