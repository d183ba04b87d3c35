package class2

import (
	"slices"
	"strings"
	"testing"

	"github.com/tipring/tipring/t30"
)

func TestParseParams(t *testing.T) {
	for _, c := range []struct {
		in   string
		hex  bool
		want params
		ok   bool
	}{
		{"1,5,0,2,1,0,0,3", false, params{1, 5, 0, 2, 1, 0, 0, 3}, true},
		{" 1, 5,0,2,1,2,0,3 ", false, params{1, 5, 0, 2, 1, 2, 0, 3}, true},
		{"57,D,0,2,3,1,0,0,0", true, params{0x57, 13, 0, 2, 3, 1, 0, 0}, true},
		{"01,03,00,02,00,00,00,00", true, params{1, 3, 0, 2, 0, 0, 0, 0}, true},
		{",B,,,,1,,,,", true, params{0, 11, 0, 0, 0, 1, 0, 0}, true}, // MultiTech's guide: what does not change is left out
		{"1,3", false, params{1, 3}, true},
		{"40,3", false, params{40, 3}, true},
		{"A,3", false, params{}, false},
		{"1", false, params{}, false},
		{"", false, params{}, false},
		{"1,-5,0,2", false, params{}, false},
		{"1,999,0,2", false, params{}, false},
		{"1,5,0,2,1,0,0,3,4,5,6,7", false, params{1, 5, 0, 2, 1, 0, 0, 3}, true},
	} {
		if got, ok := parseParams(c.in, c.hex); ok != c.ok || got != c.want {
			t.Errorf("%q: %v %v, want %v %v", c.in, got, ok, c.want, c.ok)
		}
	}
}

func TestParseOffered(t *testing.T) {
	values := func(c choices) (out []int) {
		for n := range maxParam + 1 {
			if c.has(n) {
				out = append(out, n)
			}
		}
		return out
	}
	for _, c := range []struct {
		in         string
		hex        bool
		vr, br, df []int
		ok         bool
	}{
		{"(0,1),(0-5),(0-2),(0-2),(0,1,3),(0-2),(0),(0-7)", false, []int{0, 1}, []int{0, 1, 2, 3, 4, 5}, []int{0, 1, 3}, true},
		{"+FDCC: (0-1), (0-3), (0), (0,2), (0), (0), (0), (0-7)", false, []int{0, 1}, []int{0, 1, 2, 3}, []int{0}, true},
		{`"(0,1),(0-5),(0),(0-2),(0,1),(0),(0),(0-7)"`, false, []int{0, 1}, []int{0, 1, 2, 3, 4, 5}, []int{0, 1}, true},
		{"(00,01,02,40),(00-0D),(00),(02),(03)", true, []int{0, 1, 2, 0x40}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, []int{3}, true},
		{"1,5,0,2,0,0,0,0", false, []int{1}, []int{5}, []int{0}, true},
		{"(0,1)", false, []int{0, 1}, nil, nil, false},
		{"ERROR", false, nil, nil, nil, false},
		{"(0-9999999),(0-5)", false, nil, []int{0, 1, 2, 3, 4, 5}, nil, true},
		{"((((,,,)))(((", false, nil, nil, nil, false},
	} {
		o, ok := parseOffered([]string{c.in}, c.hex)
		if ok != c.ok || !slices.Equal(values(o[pVR]), c.vr) || !slices.Equal(values(o[pBR]), c.br) || !slices.Equal(values(o[pDF]), c.df) {
			t.Errorf("%q: %v, VR %v, BR %v, DF %v", c.in, ok, values(o[pVR]), values(o[pBR]), values(o[pDF]))
		}
	}
}

// What a modem is told of our wishes and what it tells of a DCS are the inverse of each other.
func TestParams_BothWays(t *testing.T) {
	for _, class := range []string{"2", "2.0"} {
		d := dialects[class]
		for _, res := range []t30.Resolution{t30.Standard, t30.Fine, t30.Superfine, t30.R16, t30.Res200, t30.Res300} {
			if class == "2" && res != t30.Standard && res != t30.Fine {
				continue
			}
			for _, w := range []t30.Width{t30.WidthA4, t30.WidthB4, t30.WidthA3} {
				for _, c := range []t30.Coding{t30.MH, t30.MR, t30.MMR, t30.JBIG} {
					f := t30.PageFormat{Resolution: res, Width: w, Coding: c, Length: t30.LengthUnlimited}
					p := params{d.vr(t30.Resolutions(res)), 5, wd(t30.Widths(w)), 2, dfCodings[c], 1, 0, 0}
					back, ok := parseParams(p.format(d.hex), d.hex)
					if got := d.pageFormat(back); !ok || got != f {
						t.Errorf("Class %s: %+v became %+v", class, f, got)
					}
				}
			}
		}
		for n, m := range rates {
			if got := br(m.Rate, t30.Schemes(t30.V27ter|t30.V29|t30.V17)); got != n || modulation(n) != m {
				t.Errorf("%v is BR %d", m, got)
			}
		}
	}
	if n := br(14400, t30.Schemes(t30.V27ter|t30.V29)); n != 3 {
		t.Errorf("without V.17 BR is %d at most", n)
	}
}

func FuzzParseParams(f *testing.F) {
	for _, s := range []string{"1,5,0,2,1,0,0,3", "57,D,0,2,3,1,0,0,0", ",B,,,,1,,,,", "1", "1,999", "((", "1,5,0,2,1,0,0,3,4,5,6,7"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, hex bool) {
		p, ok := parseParams(s, hex)
		for _, n := range p {
			if n < 0 || n > maxParam || !ok && n != 0 {
				t.Fatalf("%v %v", p, ok)
			}
		}
		if again, ok2 := parseParams(p.format(hex), hex); ok && (!ok2 || again != p) {
			t.Fatalf("%v was written as %q", p, p.format(hex))
		}
		for _, d := range dialects {
			d.decode(p)
			d.describe(p)
			if d.pageFormat(p).Pels() == 0 {
				t.Fatalf("%v is no page", p)
			}
		}
	})
}

func FuzzParseOffered(f *testing.F) {
	f.Add("(0,1),(0-5),(0-2),(0-2),(0,1,3),(0-2),(0),(0-7)", false)
	f.Add("+FCC: (00-7F),(00-0D),(0),(02),(03),(1),(0),(0-7),(0)", true)
	f.Add("(((0-FF,", true)
	f.Fuzz(func(t *testing.T, s string, hex bool) {
		o, ok := parseOffered(strings.Split(s, "\n"), hex)
		if ok && o[pBR] == (choices{}) {
			t.Fatal("a rate that is none")
		}
		for _, c := range o {
			if n := c.highest(13); n < 0 || n > 13 || n > 0 && !c.has(n) {
				t.Fatalf("highest %d of %v", n, c)
			}
			c.all()
		}
	})
}
