package raster

import (
	"bytes"
	"encoding/binary"
	"image"
	"math/rand/v2"
	"testing"

	xtiff "golang.org/x/image/tiff"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
)

// faxPage is a page with text-like noise.
func faxPage(w, h int, res imaging.Resolution, seed uint64) imaging.Page {
	b := imaging.New(w, h)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 400 {
		fill(b, rnd.IntN(w), rnd.IntN(h), 2+rnd.IntN(20), 2+rnd.IntN(20))
	}
	return imaging.Page{Bitmap: b, Resolution: res}
}

func writeTIFF(t *testing.T, pages ...imaging.Page) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tiff.NewWriter(&b, tiff.Meta{})
	for _, p := range pages {
		if err := w.AddPage(p, t4.File(imaging.MMR, p.Resolution)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTIFF_FaxPagesPassUnchanged(t *testing.T) {
	in := []imaging.Page{faxPage(1728, 2287, imaging.Fine, 1), faxPage(1728, 1143, imaging.Standard, 2), faxPage(1728, 3000, imaging.Fine, 3)}
	got := mustRender(t, docOf(writeTIFF(t, in...), ""), Options{}, 3)
	for i := range in {
		if !got[i].Equal(in[i].Bitmap) || got[i].Resolution != in[i].Resolution {
			t.Errorf("page %d changed", i+1)
		}
	}
}

func TestTIFF_FinerThanAskedForIsReduced(t *testing.T) {
	in := faxPage(1728, 2287, imaging.Fine, 1)
	got := mustRender(t, docOf(writeTIFF(t, in), ""), Options{Resolution: imaging.Standard}, 1)[0]
	if got.Resolution != imaging.Standard || got.Height < 1140 || got.Height > 1146 {
		t.Errorf("%d lines at %v", got.Height, got.Resolution)
	}
}

// TestTIFF_WideFaxPagesPass: B4 and A3 pages stay as they are, or keep their paper when they are finer than asked for.
func TestTIFF_WideFaxPagesPass(t *testing.T) {
	for _, c := range []struct {
		w, want int
		res     imaging.Resolution
		up      imaging.Resolution // asked for
	}{
		{2048, 2048, imaging.Fine, imaging.Fine}, {2432, 2432, imaging.Standard, imaging.Fine}, {3072, 3072, imaging.Res300, imaging.Res400},
		{3648, 2432, imaging.Res300, imaging.Fine}, {6144, 2048, imaging.Res600, imaging.Superfine}, {7296, 4864, imaging.Res600, imaging.Res400},
	} {
		in := faxPage(c.w, 2000, c.res, 1)
		p := mustRender(t, docOf(writeTIFF(t, in), ""), Options{Resolution: c.up}, 1)[0]
		if p.Width != c.want || c.want == c.w && !p.Equal(in.Bitmap) {
			t.Errorf("%d at %v for %v: %d at %v", c.w, c.res, c.up, p.Width, p.Resolution)
		}
	}
}

func TestTIFF_OtherSizesKeepTheirShape(t *testing.T) {
	for _, c := range []struct {
		w, h int
		res  imaging.Resolution
	}{{2480, 3508, imaging.Res300}, {4960, 7016, imaging.Res600}, {2050, 2800, imaging.Fine}, {3508, 2480, imaging.Res300}} {
		in := imaging.New(c.w, c.h)
		fill(in, c.w/10, c.h/10, c.w*8/10, c.h*8/10)
		p := mustRender(t, docOf(writeTIFF(t, imaging.Page{Bitmap: in, Resolution: c.res}), ""), Options{}, 1)[0]
		x0, y0, x1, y1, _ := inkBox(p.Bitmap)
		kx, ky := perMM(imaging.Fine)
		dx, dy := c.res.DPI()
		want := float64(c.w) / dx / (float64(c.h) / dy)
		if c.w > c.h {
			want = 1 / want
		}
		if got := float64(x1-x0+1) / kx / (float64(y1-y0+1) / ky); got < want*0.985 || got > want*1.015 {
			t.Errorf("%+v: the box is %.3f wide for its height, want %.3f", c, got, want)
		}
	}
}

// grayTIFF is a TIFF of grey pages: each written by x/image/tiff, chained together.
func grayTIFF(t *testing.T, pages ...image.Image) []byte {
	t.Helper()
	var out []byte
	link := 0 // where the offset of the next directory goes
	for _, img := range pages {
		var b bytes.Buffer
		if err := xtiff.Encode(&b, img, nil); err != nil {
			t.Fatal(err)
		}
		one, base := b.Bytes(), uint32(len(out))
		le := binary.LittleEndian
		ifd := le.Uint32(one[4:])
		n := int(le.Uint16(one[ifd:]))
		for i := range n { // offsets move with the page
			e := one[int(ifd)+2+12*i:]
			size := map[uint16]uint32{1: 1, 2: 1, 3: 2, 4: 4, 5: 8}[le.Uint16(e[2:])] * le.Uint32(e[4:])
			if size > 4 || le.Uint16(e) == 273 {
				le.PutUint32(e[8:], le.Uint32(e[8:])+base)
			}
		}
		out = append(out, one...)
		if base > 0 {
			le.PutUint32(out[link:], ifd+base)
		}
		link = int(base+ifd) + 2 + 12*n
	}
	return out
}

func TestTIFF_GrayPages(t *testing.T) {
	data := grayTIFF(t, grayPicture(600, 800), grayPicture(800, 1100), grayPicture(700, 900))
	for i, p := range mustRender(t, docOf(data, ""), Options{}, 3) {
		if left := blackShare(p.Bitmap, 0, 0, 0.08, 1); left < 95 {
			t.Errorf("page %d: bar %d%% black", i+1, left)
		}
	}
}

func TestTIFF_Damaged(t *testing.T) {
	data := writeTIFF(t, faxPage(1728, 2287, imaging.Fine, 1), faxPage(1728, 2287, imaging.Fine, 2))
	for _, keep := range []int{8, 20, len(data) / 3, len(data) - 40} {
		_, err := render(t, docOf(data[:keep], ""), Options{})
		wantErr(t, err, ErrBroken)
	}
	_, err := render(t, docOf(data, ""), Options{MaxPages: 1})
	wantErr(t, err, ErrTooManyPages)
}
