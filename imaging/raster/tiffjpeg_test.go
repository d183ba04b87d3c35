package raster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// jpegTIFF is a TIFF of compression 7: a picture in strips of rows lines, whose directory says it is w x h pixels.
func jpegTIFF(t *testing.T, img image.Image, w, h, rows int, photometric uint32) []byte {
	t.Helper()
	le := binary.LittleEndian
	out := []byte("II*\x00\x00\x00\x00\x00")
	var offsets, counts []byte
	for y := 0; y < img.Bounds().Dy(); y += rows {
		strip := image.NewRGBA(image.Rect(0, 0, img.Bounds().Dx(), min(rows, img.Bounds().Dy()-y)))
		draw.Draw(strip, strip.Rect, img, image.Pt(0, y), draw.Src)
		var b bytes.Buffer
		if err := jpeg.Encode(&b, strip, &jpeg.Options{Quality: 95}); err != nil {
			t.Fatal(err)
		}
		offsets, counts = le.AppendUint32(offsets, uint32(len(out))), le.AppendUint32(counts, uint32(b.Len()))
		out = append(out, b.Bytes()...)
	}
	lists := len(out)
	out = append(append(out, offsets...), counts...)
	le.PutUint32(out[4:], uint32(len(out)))
	n := uint32(len(offsets) / 4)
	at, size := uint32(lists), uint32(lists)+4*n
	if n == 1 {
		at, size = le.Uint32(offsets), le.Uint32(counts)
	}
	fields := [][3]uint32{{256, 1, uint32(w)}, {257, 1, uint32(h)}, {258, 1, 8}, {259, 1, 7}, {262, 1, photometric}, {273, n, at}, {277, 1, 3}, {278, 1, uint32(rows)}, {279, n, size}}
	out = le.AppendUint16(out, uint16(len(fields)))
	for _, f := range fields {
		out = le.AppendUint16(le.AppendUint16(out, uint16(f[0])), 4)
		out = le.AppendUint32(le.AppendUint32(out, f[1]), f[2])
	}
	return append(out, 0, 0, 0, 0)
}

// stripes is a light picture with dark bars, so that each strip has ink of its own.
func stripes(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{250, 250, 240, 255}
			if (y/40)%3 == 1 && x > w/8 && x < w*3/4 {
				c = color.RGBA{40, 10, 60, 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

// JPEG in a TIFF, in strips of any height, shows what the same picture shows as PNG.
func TestTIFF_JPEG(t *testing.T) {
	img := stripes(800, 600)
	want := mustRender(t, docOf(encodePNG(t, img), ""), Options{}, 1)[0]
	for _, rows := range []int{16, 64, 600} {
		got := mustRender(t, docOf(jpegTIFF(t, img, 800, 600, rows, 6), ""), Options{}, 1)[0]
		if n := differences(got.Words, want.Words); got.Height != want.Height || n > len(want.Words)/100 {
			t.Errorf("strips of %d: %d of %d words differ", rows, n, len(want.Words))
		}
	}
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"strips wider than the page": {jpegTIFF(t, img, 400, 600, 64, 6), ErrBroken},
		"1e9 pixels":                 {jpegTIFF(t, img, 31623, 31623, 31623, 6), ErrTooLarge},
		"CMYK":                       {jpegTIFF(t, img, 800, 600, 64, 5), ErrUnsupported},
		"no JPEG":                    {bytes.ReplaceAll(jpegTIFF(t, img, 800, 600, 64, 6), []byte{0xff, 0xd8}, []byte{0, 0}), ErrBroken},
	} {
		if _, err := render(t, docOf(c.data, ""), Options{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// differences counts the words that are not the same.
func differences(a, b []uint64) (n int) {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// libtiff's own JPEG: tables apart, grey, RGB and YCbCr, strips, tiles, BigTIFF.
func TestTIFF_JPEGOfLibtiff(t *testing.T) {
	img := stripes(800, 600)
	want := mustRender(t, docOf(encodePNG(t, img), ""), Options{}, 1)[0]
	dir := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		path, err := exec.LookPath(name)
		if err != nil {
			if os.Getenv("TIPRING_PEERS") == "required" {
				t.Fatalf("%s (Debian: libtiff-tools) is required", name)
			}
			t.Skipf("%s (Debian: libtiff-tools) is not here", name)
		}
		cmd := exec.Command(path, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, out)
		}
	}
	colour, grey := []byte("P6 800 600 255\n"), []byte("P5 800 600 255\n")
	for i := 0; i < len(img.Pix); i += 4 {
		colour = append(colour, img.Pix[i:i+3]...)
		grey = append(grey, color.GrayModel.Convert(color.RGBA{img.Pix[i], img.Pix[i+1], img.Pix[i+2], 255}).(color.Gray).Y)
	}
	for name, data := range map[string][]byte{"colour": colour, "grey": grey} {
		if err := os.WriteFile(filepath.Join(dir, name+".pnm"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		run("ppm2tiff", "-c", "none", name+".pnm", name+".tif")
	}
	for _, args := range []string{"-r 16 -c jpeg:r:90 grey.tif", "-r 16 -c jpeg:r:90 colour.tif", "-r 64 -c jpeg:90 colour.tif", "-t -w 256 -l 256 -c jpeg:90 colour.tif",
		"-8 -t -w 256 -l 256 -c jpeg:90 colour.tif", "-B -r 600 -c jpeg:90 colour.tif"} {
		run("tiffcp", append(strings.Fields(args), "out.tif")...)
		data, err := os.ReadFile(filepath.Join(dir, "out.tif"))
		if err != nil {
			t.Fatal(err)
		}
		got := mustRender(t, docOf(data, ""), Options{}, 1)[0]
		if n := differences(got.Words, want.Words); got.Height != want.Height || n > len(want.Words)/100 {
			t.Errorf("tiffcp %s: %d of %d words differ", args, n, len(want.Words))
		}
	}
}
