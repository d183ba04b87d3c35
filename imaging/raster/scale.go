package raster

import (
	"image"
	"image/color"

	"github.com/tipring/tipring/imaging"
)

// tap is the share of consecutive source pixels in one scaled pixel; weights sum to tapOne.
type tap struct {
	start   int
	weights []int32
}

const tapOne = 1 << 14

// makeTaps maps src pixels onto dst: area averaging when shrinking, linear interpolation when enlarging.
func makeTaps(src, dst int) []tap {
	taps := make([]tap, dst)
	for i := range taps {
		if dst >= src {
			taps[i] = linearTap(i, src, dst)
		} else {
			taps[i] = areaTap(i, src, dst)
		}
	}
	return taps
}

func areaTap(i, src, dst int) tap {
	// In units of 1/dst source pixel, so all bounds are whole numbers.
	lo, hi := int64(i)*int64(src), int64(i+1)*int64(src)
	first, last := lo/int64(dst), (hi-1)/int64(dst)
	t := tap{start: int(first), weights: make([]int32, last-first+1)}
	sum, largest := int32(0), 0
	for p := first; p <= last; p++ {
		cover := min(hi, (p+1)*int64(dst)) - max(lo, p*int64(dst))
		w := int32(cover * tapOne / (hi - lo))
		t.weights[p-first] = w
		sum += w
		if w > t.weights[largest] {
			largest = int(p - first)
		}
	}
	t.weights[largest] += tapOne - sum
	return t
}

func linearTap(i, src, dst int) tap {
	// The centre of pixel i in 1/(2*dst) source pixels, from the centre of source pixel 0.
	c := int64(2*i+1)*int64(src) - int64(dst)
	if c <= 0 {
		return tap{0, []int32{tapOne}}
	}
	p := c / int64(2*dst)
	if p >= int64(src-1) {
		return tap{src - 1, []int32{tapOne}}
	}
	w := int32((c - p*int64(2*dst)) * tapOne / int64(2*dst))
	return tap{int(p), []int32{tapOne - w, w}}
}

// scaleGray scales img to w x h pixels of grey over white. It reads the source row by row.
func scaleGray(img image.Image, w, h int) *image.Gray {
	b := img.Bounds()
	sw := b.Dx()
	xt, yt := makeTaps(sw, w), makeTaps(b.Dy(), h)
	out := image.NewGray(image.Rect(0, 0, w, h))
	src := make([]uint8, sw)
	var kept [2][]uint8 // the last two scaled rows: neighbouring outputs share at most these
	keptY := [2]int{-1, -1}
	for i := range kept {
		kept[i] = make([]uint8, w)
	}
	row := func(y int) []uint8 {
		slot := y & 1
		if keptY[slot] != y {
			grayRow(img, b.Min.Y+y, src)
			scaleRow(kept[slot], src, xt)
			keptY[slot] = y
		}
		return kept[slot]
	}
	acc := make([]int32, w)
	for y, t := range yt {
		clear(acc)
		for i, wt := range t.weights {
			for x, v := range row(t.start + i) {
				acc[x] += wt * int32(v)
			}
		}
		for x, v := range acc {
			out.Pix[y*out.Stride+x] = uint8((v + tapOne/2) / tapOne)
		}
	}
	return out
}

func scaleRow(dst, src []uint8, taps []tap) {
	for x, t := range taps {
		sum := int32(tapOne / 2)
		for i, w := range t.weights {
			sum += w * int32(src[t.start+i])
		}
		dst[x] = uint8(sum / tapOne)
	}
}

// grayRow reads row y of img as luminance (BT.601, as JPEG has it) over white.
func grayRow(img image.Image, y int, dst []uint8) {
	b := img.Bounds()
	switch m := img.(type) {
	case *image.Gray:
		copy(dst, m.Pix[m.PixOffset(b.Min.X, y):])
	case *imaging.Bitmap:
		row := m.Row(y)
		for i := range dst {
			dst[i] = uint8(row[i>>6]>>(63-uint(i)&63)&1) - 1
		}
	case *image.YCbCr:
		copy(dst, m.Y[m.YOffset(b.Min.X, y):])
	case *image.RGBA:
		px := m.Pix[m.PixOffset(b.Min.X, y):]
		for i := range dst {
			p := px[i*4 : i*4+4 : i*4+4]
			dst[i] = uint8(min(255, luma(p[0], p[1], p[2])+255-uint32(p[3])))
		}
	case *image.NRGBA:
		px := m.Pix[m.PixOffset(b.Min.X, y):]
		for i := range dst {
			p := px[i*4 : i*4+4 : i*4+4]
			a := uint32(p[3])
			dst[i] = uint8((luma(p[0], p[1], p[2])*a + 255*(255-a) + 127) / 255)
		}
	case *image.Paletted:
		var lut [256]uint8
		for i := range lut {
			lut[i] = 255
			if i < len(m.Palette) {
				lut[i] = grayOf(m.Palette[i])
			}
		}
		for i, c := range m.Pix[m.PixOffset(b.Min.X, y):][:len(dst)] {
			dst[i] = lut[c]
		}
	default:
		for i := range dst {
			dst[i] = grayOf(img.At(b.Min.X+i, y))
		}
	}
}

func luma(r, g, b uint8) uint32 {
	return (19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16
}

// grayOf returns a colour's luminance over white.
func grayOf(c color.Color) uint8 {
	r, g, b, a := c.RGBA() // premultiplied, 16 bits
	l := (19595*r + 38470*g + 7471*b + 1<<15) >> 16
	return uint8(min(0xffff, l+0xffff-a) >> 8)
}

// orient turns a picture upright: o is the TIFF and EXIF orientation, 1 to 8 (TIFF 6.0 p. 36).
func orient(g *image.Gray, o int) *image.Gray {
	if o <= 1 || o > 8 {
		return g
	}
	w, h := g.Bounds().Dx(), g.Bounds().Dy()
	ow, oh := w, h
	if o >= 5 {
		ow, oh = h, w
	}
	out := image.NewGray(image.Rect(0, 0, ow, oh))
	for y := range oh {
		for x := range ow {
			sx, sy := x, y
			switch o {
			case 2:
				sx = w - 1 - x
			case 3:
				sx, sy = w-1-x, h-1-y
			case 4:
				sy = h - 1 - y
			case 5:
				sx, sy = y, x
			case 6:
				sx, sy = y, h-1-x
			case 7:
				sx, sy = w-1-y, h-1-x
			case 8:
				sx, sy = w-1-y, x
			}
			out.Pix[y*out.Stride+x] = g.Pix[sy*g.Stride+sx]
		}
	}
	return out
}
