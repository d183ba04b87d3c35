package tiff

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
)

// profileFields are the fields of each profile as tiffdump says them: those whose values RFC 3949 lays down.
var profileFields = map[Profile][]string{
	ProfileS: {"SubFileType LONG 1<2>", "ImageWidth LONG 1<1728>", "BitsPerSample SHORT 1<1>", "Compression SHORT 1<3>", "Photometric SHORT 1<0>", "FillOrder SHORT 1<2>",
		"SamplesPerPixel SHORT 1<1>", "XResolution RATIONAL 1<204>", "YResolution RATIONAL 1<196>", "Group3Options LONG 1<0>", "ResolutionUnit SHORT 1<2>"},
	ProfileF: {"SubFileType LONG 1<2>", "Compression SHORT 1<4>", "Photometric SHORT 1<0>", "FillOrder SHORT 1<1>", "Group4Options LONG 1<0>", "ResolutionUnit SHORT 1<2>"},
	ProfileJ: {"SubFileType LONG 1<2>", "Compression SHORT 1<9>", "Photometric SHORT 1<0>", "T82Options LONG 1<0>", "ResolutionUnit SHORT 1<2>"},
}

var (
	dumpDirRE   = regexp.MustCompile(`^Directory \d+: offset (\d+) \(.*\) next (\d+)`)
	dumpFieldRE = regexp.MustCompile(`^(\w+) \((\w+)\) (\w+) \(\d+\) (.*)$`)
)

// TestProfile_ByTheTag: libtiff's tiffdump finds each page's directory, its values and its one strip in that order, without a gap, from
// octet 8 on; the fields in rising order, each as the profile wants it.
func TestProfile_ByTheTag(t *testing.T) {
	for profile, want := range profileFields {
		var buf bytes.Buffer
		w := NewWriter(&buf, Meta{Pages: 3, Profile: profile})
		for i := range 3 {
			p := testPage(1728, 100+i, imaging.Fine)
			if err := w.AddPage(p, profile.Format(p.Resolution)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f := open(t, buf.Bytes())
		for i := range 3 {
			if p, _, err := f.Decode(i + 1); err != nil || !p.Equal(testPage(1728, 100+i, imaging.Fine).Bitmap) {
				t.Errorf("%v, page %d: other pels, %v", profile, i+1, err)
			}
		}
		next, page, last, fields := 8, 0, 0, map[string]int{}
		starts := []int{8}
		for line := range strings.Lines(peer(t, "tiffdump", "-m", "20", save(t, buf.Bytes()))) {
			line = strings.TrimSpace(line)
			if m := dumpDirRE.FindStringSubmatch(line); m != nil {
				if at, _ := strconv.Atoi(m[1]); at != next {
					t.Errorf("%v: directory %d at %d, want %d", profile, page, at, next)
				}
				next, _ = strconv.Atoi(m[2])
				starts = append(starts, next)
				page, last = page+1, 0
				continue
			}
			m := dumpFieldRE.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			tag, err := strconv.Atoi(m[2])
			if err != nil { // one that it has no name for
				tag, _ = strconv.Atoi(m[1])
			}
			if tag <= last {
				t.Errorf("%v: tag %d after %d", profile, tag, last)
			}
			last = tag
			name := m[1]
			if tag == tagT82Options {
				name = "T82Options"
			}
			fields[name+" "+m[3]+" "+m[4]]++
		}
		starts[len(starts)-1] = buf.Len()
		for i := range 3 { // the strip fills what is between one directory and the next
			c, err := f.Raw(i + 1)
			end := bytes.Index(buf.Bytes(), c.Data) + len(c.Data) + len(c.Data)&1
			if at := starts[i+1]; err != nil || end != at {
				t.Errorf("%v: strip %d ends at %d, what follows is at %d (%v)", profile, i+1, end, at, err)
			}
		}
		if page != 3 || next != 0 {
			t.Errorf("%v: %d directories, next at %d", profile, page, next)
		}
		for i := range 3 {
			want := slices.Concat(want, []string{"PageNumber SHORT 2<" + strconv.Itoa(i) + " 3>"})
			for _, f := range want {
				if n := fields[f]; n != 3 && !(strings.HasPrefix(f, "PageNumber") && n == 1) {
					t.Errorf("%v: field %s is there %d times", profile, f, n)
				}
			}
		}
		if profile != ProfileJ { // whose number libtiff does not know
			if out := peer(t, "tiffcp", "-c", "none", save(t, buf.Bytes()), save(t, nil)); out != "" {
				t.Errorf("%v: tiffcp says %s", profile, out)
			}
		}
	}
}

func TestProfile_Refuses(t *testing.T) {
	lsb := ProfileS.Format(imaging.Fine)
	for _, c := range []struct {
		profile Profile
		width   int
		res     imaging.Resolution
		format  t4.Format
	}{
		{ProfileS, 1728, imaging.Superfine, lsb}, {ProfileS, 2048, imaging.Fine, lsb}, {ProfileS, 1728, imaging.Fine, t4.File(imaging.MH, imaging.Fine)},
		{ProfileS, 1728, imaging.Fine, t4.Format{Coding: imaging.MR, Order: t4.LSBFirst}}, {ProfileS, 1728, imaging.Fine, t4.Format{AlignLines: true, Order: t4.LSBFirst}},
		{ProfileF, 1700, imaging.Fine, t4.File(imaging.MMR, imaging.Fine)}, {ProfileF, 1728, imaging.Res300, t4.File(imaging.MMR, imaging.Fine)},
		{ProfileF, 1728, imaging.Fine, t4.Format{Coding: imaging.JBIG}}, {ProfileF, 1728, imaging.Fine, t4.Format{AlignLines: true}},
		{ProfileJ, 1728, imaging.Fine, t4.File(imaging.MMR, imaging.Fine)}, {9, 1728, imaging.Fine, t4.File(imaging.MMR, imaging.Fine)},
	} {
		var buf bytes.Buffer
		w := NewWriter(&buf, Meta{Profile: c.profile})
		if err := w.AddPage(testPage(c.width, 10, c.res), c.format); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%+v: %v", c, err)
		}
		if buf.Len() > 0 {
			t.Errorf("%+v: something was written", c)
		}
	}
	for profile, pages := range map[Profile][]imaging.Page{
		ProfileS: {testPage(1728, 9, imaging.Standard), testPage(1728, 9, imaging.Res200)},
		ProfileF: {testPage(2432, 9, imaging.Superfine), testPage(3648, 9, imaging.Res300)},
		ProfileJ: {testPage(4864, 9, imaging.Res400), testPage(1728, 9, imaging.Fine)},
	} {
		w := NewWriter(&bytes.Buffer{}, Meta{Profile: profile})
		for _, p := range pages {
			if err := w.AddPage(p, profile.Format(p.Resolution)); err != nil {
				t.Errorf("%v: %v", profile, err)
			}
		}
	}
}
