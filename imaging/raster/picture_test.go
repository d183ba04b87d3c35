package raster

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"runtime"
	"testing"

	"github.com/tipring/tipring/imaging"
)

// grayPicture is white with a black bar at its left and a black corner at the bottom right.
func grayPicture(w, h int) *image.Gray {
	g := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			v := uint8(255)
			if x < w/10 || x > w*8/10 && y > h*8/10 {
				v = 0
			}
			g.SetGray(x, y, color.Gray{Y: v})
		}
	}
	return g
}

func encodePNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encodeJPEG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// blackShare is the part of a rectangle that is black, in per cent; bounds in parts of the ink's box.
func blackShare(b *imaging.Bitmap, fx0, fy0, fx1, fy1 float64) int {
	x0, y0, x1, y1, _ := inkBox(b)
	at := func(lo, hi int, f float64) int { return lo + int(float64(hi-lo)*f) }
	n, all := 0, 0
	for y := at(y0, y1, fy0); y < at(y0, y1, fy1); y++ {
		for x := at(x0, x1, fx0); x < at(x0, x1, fx1); x++ {
			all++
			if b.Black(x, y) {
				n++
			}
		}
	}
	return n * 100 / max(1, all)
}

func TestPicture_TypesAndOrientation(t *testing.T) {
	portrait := grayPicture(600, 800)
	pal := image.NewPaletted(portrait.Bounds(), color.Palette{color.White, color.Black})
	for i, v := range portrait.Pix {
		pal.Pix[i] = 1 - v/255
	}
	var gifData bytes.Buffer
	if err := gif.Encode(&gifData, pal, nil); err != nil {
		t.Fatal(err)
	}
	nrgba := image.NewNRGBA(portrait.Bounds())
	for i, v := range portrait.Pix { // black ink on transparent black paper
		nrgba.Pix[i*4+3] = 255 - v
	}
	for name, data := range map[string][]byte{
		"gray.png": encodePNG(t, portrait), "alpha.png": encodePNG(t, nrgba), "a.jpg": encodeJPEG(t, portrait), "a.gif": gifData.Bytes(),
		"exif6.jpg": withEXIF(encodeJPEG(t, orient(portrait, 8)), 6),
		"exif3.jpg": withEXIF(encodeJPEG(t, orient(portrait, 3)), 3),
	} {
		t.Run(name, func(t *testing.T) {
			p := mustRender(t, docOf(data, name), Options{}, 1)[0]
			if left, middle, corner := blackShare(p.Bitmap, 0, 0, 0.08, 1), blackShare(p.Bitmap, 0.2, 0, 0.75, 1), blackShare(p.Bitmap, 0.85, 0.85, 1, 1); left < 95 || middle > 2 || corner < 95 {
				t.Errorf("bar %d%%, middle %d%%, corner %d%% black", left, middle, corner)
			}
		})
	}
}

// withEXIF puts an orientation tag into a JPEG.
func withEXIF(jpg []byte, o byte) []byte {
	tiff := []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + string([]byte{o}) + "\x00\x00\x00\x00\x00\x00")
	seg := append([]byte{0xff, 0xd8, 0xff, 0xe1, 0, byte(len(tiff) + 2)}, tiff...)
	return append(seg, jpg[2:]...)
}

func TestPicture_LandscapeTurned(t *testing.T) {
	p := mustRender(t, docOf(encodePNG(t, grayPicture(1200, 800)), ""), Options{}, 1)[0]
	// Clockwise: the bar at the left comes to the top, the corner to the bottom left.
	if top, corner := blackShare(p.Bitmap, 0, 0, 1, 0.08), blackShare(p.Bitmap, 0, 0.85, 0.15, 1); top < 95 || corner < 95 {
		t.Errorf("top %d%%, corner %d%%", top, corner)
	}
}

func TestPicture_AspectAtEveryResolution(t *testing.T) {
	data := encodePNG(t, grayPicture(1000, 1000))
	for _, res := range []imaging.Resolution{imaging.Standard, imaging.Fine, imaging.Superfine, imaging.Res200, imaging.Res300, imaging.Res400, imaging.R16} {
		p := mustRender(t, docOf(data, ""), Options{Resolution: res}, 1)[0]
		x0, y0, x1, y1, _ := inkBox(p.Bitmap)
		kx, ky := perMM(res)
		w, h := float64(x1-x0+1)/kx, float64(y1-y0+1)/ky
		if w < 195 || w > 206 || w/h < 0.99 || w/h > 1.01 {
			t.Errorf("%v: a square became %.1f x %.1f mm", res, w, h)
		}
	}
}

func TestPicture_LongOneIsCut(t *testing.T) {
	g := grayPicture(600, 3000)
	pages := mustRender(t, docOf(encodePNG(t, g), ""), Options{}, 4)
	for i, p := range pages {
		if _, _, _, _, n := inkBox(p.Bitmap); n == 0 {
			t.Errorf("page %d is blank", i+1)
		}
	}
	if _, err := render(t, docOf(encodePNG(t, g), ""), Options{MaxPages: 2}); err == nil {
		t.Error("the page limit does not hold")
	}
}

func TestPicture_SmallOneStaysSmall(t *testing.T) {
	p := mustRender(t, docOf(encodePNG(t, grayPicture(72, 72)), ""), Options{}, 1)[0]
	x0, _, x1, _, _ := inkBox(p.Bitmap)
	if mm := float64(x1-x0+1) / 8; mm < 24 || mm > 27 {
		t.Errorf("72 pixels became %.1f mm, want one inch", mm)
	}
}

// bombPNG is a PNG whose header promises w x h pixels.
func bombPNG(w, h uint32) []byte {
	ihdr := append([]byte("IHDR"), 0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0)
	binary.BigEndian.PutUint32(ihdr[4:], w)
	binary.BigEndian.PutUint32(ihdr[8:], h)
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), ihdr...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(ihdr))
	return append(b, "\x00\x00\x00\x00IDAT\x35\xaf\x06\x1e"...)
}

func TestPicture_BombsRefusedUnopened(t *testing.T) {
	jpg := encodeJPEG(t, grayPicture(16, 16))
	sof := bytes.Index(jpg, []byte{0xff, 0xc0})
	copy(jpg[sof+5:], []byte{0xff, 0xff, 0xff, 0xff})
	gifBomb := append([]byte("GIF89a\xff\xff\xff\xff\x80\x00\x00"), 0, 0, 0, 255, 255, 255, 0x2c)
	for name, data := range map[string][]byte{"png": bombPNG(50000, 50000), "jpeg": jpg, "gif": gifBomb} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := render(t, docOf(data, "x."+name), Options{})
		runtime.ReadMemStats(&after)
		wantErr(t, err, ErrTooLarge)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
			t.Errorf("%s: %d octets allocated", name, grown)
		}
	}
}

func TestPicture_Damaged(t *testing.T) {
	img := grayPicture(300, 300)
	for i := range img.Pix {
		img.Pix[i] ^= uint8(i * 7919 >> 3)
	}
	for name, data := range map[string][]byte{"a.png": encodePNG(t, img), "a.jpg": encodeJPEG(t, img)} {
		for _, keep := range []int{len(data) / 2, 20, 12} {
			_, err := render(t, docOf(data[:keep], name), Options{})
			wantErr(t, err, ErrBroken)
		}
	}
}
