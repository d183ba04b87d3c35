package raster

import (
	"encoding/base64"
	"image"
	"strings"
	"testing"
)

// A picture in the HTML itself is printed in its size; any other shows its alternative text; a counting pixel nothing.
func TestHTML_Pictures(t *testing.T) {
	uri := "data:image;base64," + base64.StdEncoding.EncodeToString(encodePNG(t, image.NewGray(image.Rect(0, 0, 96, 48))))
	p := mustRender(t, docOf([]byte(`<html><p>x</p><img width="192" src="`+uri+`"></html>`), "a.html"), Options{}, 1)[0]
	kx, ky := perMM(p.Resolution)
	x0, _, x1, y1, _ := inkBox(p.Bitmap)
	_, y0, _, _, _ := inkBox(p.Crop(image.Rect(0, y1-int(20*ky), p.Width, y1)))
	if w := float64(x1-x0+1) / kx; w < 50.3 || w > 51.3 {
		t.Errorf("%.1f mm wide, want 50.8", w)
	}
	if y0 > int(ky) {
		t.Error("the picture is not 25 mm high")
	}
	for name, src := range map[string]string{"remote": "http://example.com/a.png", "cid": "cid:a", "broken": "data:image/png;base64,AAAA", "not base64": "data:image/png;base64,#",
		"bomb": "data:image/png;base64," + base64.StdEncoding.EncodeToString(bombPNG(60000, 60000))} {
		with := mustRender(t, docOf([]byte(`<html><img alt="logo" src="`+src+`"></html>`), "a.html"), Options{}, 1)[0]
		if want := mustRender(t, docOf([]byte(`<html>[logo]</html>`), "a.html"), Options{}, 1)[0]; !with.Equal(want.Bitmap) {
			t.Errorf("%s: not the alternative text", name)
		}
	}
	pixel := strings.Replace(uri, "data:image;", "data:image/gif;", 1)
	a := mustRender(t, docOf([]byte(`<html>x<img width=1 height=1 src="`+pixel+`"></html>`), "a.html"), Options{}, 1)[0]
	if b := mustRender(t, docOf([]byte(`<html>x</html>`), "a.html"), Options{}, 1)[0]; !a.Equal(b.Bitmap) {
		t.Error("a counting pixel is printed")
	}
}
