package imaging

import "testing"

func TestRescale_JoinsLinesByOr(t *testing.T) {
	for _, c := range []struct {
		from, to Resolution
		n        int
	}{{Fine, Standard, 2}, {Superfine, Fine, 2}, {Superfine, Standard, 4}} {
		b := noise(t, 1728, 101, 40)
		got := Rescale(Page{b, c.from}, c.to, 1728)
		if want := (101 + c.n - 1) / c.n; got.Height != want && got.Height != want-1 || got.Width != 1728 || got.Resolution != c.to {
			t.Fatalf("%v to %v: %d x %d", c.from, c.to, got.Width, got.Height)
		}
		for y := range b.Height {
			for x := range b.Width {
				if b.Black(x, y) && !got.Black(x, min(y/c.n, got.Height-1)) {
					t.Fatalf("%v to %v: black pel %d, %d is lost", c.from, c.to, x, y)
				}
			}
		}
		for y := range got.Height - 1 {
			for x := range got.Width {
				var or bool
				for i := range c.n {
					or = or || b.Black(x, y*c.n+i)
				}
				if got.Black(x, y) != or {
					t.Fatalf("%v to %v: pel %d, %d is not the OR", c.from, c.to, x, y)
				}
			}
		}
	}
}

func TestRescale_Sizes(t *testing.T) {
	for _, c := range []struct {
		name          string
		w, h          int
		from, to      Resolution
		width         int
		wantW, wantH  int
		blackStroke   int // a one-pel vertical stroke here must survive
		wantIdentical bool
	}{
		{"same", 1728, 1100, Standard, Standard, 1728, 1728, 1100, 5, true},
		{"standard to fine", 1728, 1100, Standard, Fine, 1728, 1728, 2200, 5, false},
		{"fine to r16", 1728, 2200, Fine, R16, 0, 3456, 4400, 5, false},
		{"r16 to fine", 3456, 4400, R16, Fine, 1728, 1728, 2200, 7, false},
		{"300 to fine, natural width", 2550, 3300, Res300, Fine, 0, 1727, 2151, 9, false},
		{"300 to fine, A4 width", 2550, 3300, Res300, Fine, 1728, 1728, 2152, 9, false},
		{"B4 to A4", 2048, 2800, Fine, Fine, 1728, 1728, 2363, 9, false},
		{"unknown", 1000, 10, Resolution{}, Fine, 0, 1000, 10, 9, true},
		{"one line", 10, 1, Superfine, Standard, 10, 10, 1, 3, false},
		{"no line", 10, 0, Fine, Standard, 10, 10, 0, 3, false},
	} {
		b := New(c.w, c.h)
		for y := range c.h {
			b.SetBlack(c.blackStroke, y)
		}
		got := Rescale(Page{b, c.from}, c.to, c.width)
		if got.Width != c.wantW || got.Height != c.wantH {
			t.Errorf("%s: %d x %d, want %d x %d", c.name, got.Width, got.Height, c.wantW, c.wantH)
			continue
		}
		if c.wantIdentical && got.Bitmap != b {
			t.Errorf("%s: changed", c.name)
		}
		for y := range got.Height {
			if blackBetween(got.Row(y), 0, got.Width) == 0 {
				t.Errorf("%s: the stroke is lost in line %d", c.name, y)
				break
			}
		}
	}
}

func TestNominal(t *testing.T) {
	for _, c := range []struct {
		x, y float64
		want Resolution
	}{
		{203.2, 97.79, Standard}, {204, 98, Standard}, {203.2, 195.58, Fine}, {204, 196, Fine}, {203, 391.16, Superfine},
		{406.4, 391.2, R16}, {200, 200, Res200}, {200, 100, Resolution{200, 100}}, {300, 300, Res300}, {0, 98, Resolution{}}, {72, 1e9, Resolution{}},
	} {
		if got := Nominal(c.x, c.y); got != c.want {
			t.Errorf("Nominal(%v, %v) = %v, want %v", c.x, c.y, got, c.want)
		}
	}
}
