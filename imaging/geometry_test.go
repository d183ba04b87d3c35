package imaging

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"math/rand/v2"
	"testing"
)

// noise returns a bitmap with about one black pel in n.
func noise(t *testing.T, width, height, n int) *Bitmap {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(width), uint64(height)))
	b := New(width, height)
	for y := range height {
		for x := range width {
			if r.IntN(n) == 0 {
				b.SetBlack(x, y)
			}
		}
	}
	return b
}

func TestCrop_SamePelsAnywhere(t *testing.T) {
	b := noise(t, 200, 9, 3)
	for _, r := range []image.Rectangle{
		image.Rect(0, 0, 200, 9), image.Rect(3, 2, 131, 7), image.Rect(-70, -1, 300, 12),
		image.Rect(64, 0, 128, 9), image.Rect(199, 8, 200, 9), image.Rect(300, 0, 310, 4), image.Rect(5, 20, 8, 22),
	} {
		c := b.Crop(r)
		if c.Width != r.Dx() || c.Height != r.Dy() {
			t.Fatalf("%v: got %d x %d", r, c.Width, c.Height)
		}
		for y := range c.Height {
			for x := range c.Width {
				if c.ColorIndexAt(x, y) != b.ColorIndexAt(x+r.Min.X, y+r.Min.Y) {
					t.Fatalf("%v: pel %d, %d differs", r, x, y)
				}
			}
		}
	}
}

func TestFitWidth(t *testing.T) {
	b := noise(t, 100, 5, 2)
	if b.FitWidth(100) != b {
		t.Error("a bitmap that fits was copied")
	}
	if got := b.FitWidth(161).FitWidth(100); !got.Equal(b) {
		t.Error("padding and cropping by an odd number of pels changed the picture")
	}
}

func TestStack_BottomUnchanged(t *testing.T) {
	top, bottom := noise(t, 90, 4, 2), noise(t, 130, 6, 2)
	s := Stack(top, bottom)
	if s.Width != 130 || s.Height != 10 {
		t.Fatalf("got %d x %d", s.Width, s.Height)
	}
	if !s.Crop(image.Rect(0, 4, 130, 10)).Equal(bottom) || !s.Crop(image.Rect(0, 0, 90, 4)).Equal(top) {
		t.Error("pels changed")
	}
	if narrow := Stack(bottom, top); !narrow.Crop(image.Rect(0, 0, 90, 6)).Equal(bottom.Crop(image.Rect(0, 0, 90, 6))) {
		t.Error("a wide top is not cropped on the right")
	}
}

func TestInvert_Twice(t *testing.T) {
	b := noise(t, 70, 3, 2)
	c := b.Crop(b.Bounds())
	c.Invert()
	if c.Row(0)[1]<<6 != 0 {
		t.Error("bits beyond the width are set")
	}
	if c.ColorIndexAt(69, 2) == b.ColorIndexAt(69, 2) {
		t.Error("not inverted")
	}
	if c.Invert(); !c.Equal(b) {
		t.Error("inverting twice is not the identity")
	}
}

func TestPacked_RoundTrip(t *testing.T) {
	for _, w := range []int{0, 1, 7, 8, 9, 63, 64, 65, 1728} {
		b := noise(t, w, 4, 2)
		p := b.Packed()
		got, err := FromPacked(w, 4, p)
		if err != nil || !got.Equal(b) {
			t.Errorf("width %d: not the same (%v)", w, err)
		}
		for i := range p {
			p[i] = 0xff
		}
		if full, _ := FromPacked(w, 4, p); w > 0 && blackBetween(full.Row(0), 0, full.Stride*64) != w {
			t.Errorf("width %d: bits beyond the width are set", w)
		}
	}
	if _, err := FromPacked(9, 2, make([]byte, 3)); !errors.Is(err, ErrSize) {
		t.Errorf("got %v", err)
	}
	one := New(9, 1)
	one.SetBlack(0, 0)
	one.SetBlack(8, 0)
	if got := one.Packed(); !bytes.Equal(got, []byte{0x80, 0x80}) {
		t.Errorf("polarity or bit order: %x", got)
	}
}

func TestBitmap_IsAnImage(t *testing.T) {
	b := noise(t, 77, 33, 3)
	var buf bytes.Buffer
	if err := png.Encode(&buf, b); err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(&buf)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := m.(*image.Paletted)
	if !ok || len(p.Palette) != 2 {
		t.Fatalf("not written with one bit a pel: %T", m)
	}
	for y := range 33 {
		for x := range 77 {
			r, _, _, _ := m.At(x, y).RGBA()
			if (r == 0) != b.Black(x, y) {
				t.Fatalf("pel %d, %d differs", x, y)
			}
		}
	}
}

func TestThumbnail(t *testing.T) {
	b := New(1728, 1100)
	for y := range 550 {
		for x := range 1728 {
			b.SetBlack(x, y)
		}
	}
	m := Thumbnail(b, Standard, 432)
	if got := m.Bounds().Max; got != image.Pt(432, 571) { // 1100 lines of 1/97.79 inch at 50.8 pels per inch
		t.Errorf("size %v", got)
	}
	if m.GrayAt(10, 10).Y != 0 || m.GrayAt(10, 560).Y != 0xff {
		t.Error("black half and white half are not")
	}
	if g := m.GrayAt(10, 285).Y; g < 0x70 || g > 0x90 {
		t.Errorf("the edge is %d, not grey", g)
	}
	if got := Thumbnail(New(100, 10), Resolution{}, 600).Bounds().Max; got != image.Pt(100, 10) {
		t.Errorf("enlarged to %v", got)
	}
	if got := Thumbnail(New(2, 2), Resolution{10000, 1}, 2).Bounds().Max.Y; got > 16 {
		t.Errorf("absurd resolution gives %d lines", got)
	}
	// The mean grey is the page's share of black.
	n, sum, black := noise(t, 331, 217, 4), 0, 0
	for y := range n.Height {
		black += blackBetween(n.Row(y), 0, n.Width)
	}
	small := Thumbnail(n, Resolution{}, 100)
	for _, p := range small.Pix {
		sum += 0xff - int(p)
	}
	want := float64(black) / float64(n.Width*n.Height) * 255
	if got := float64(sum) / float64(len(small.Pix)); got < want-1 || got > want+1 {
		t.Errorf("mean %f, want %f", got, want)
	}
}
