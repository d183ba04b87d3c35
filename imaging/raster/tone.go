package raster

import (
	"image"
	"slices"

	"github.com/tipring/tipring/imaging"
)

// Grey becomes black and white in one of two ways. Text and line art go through a threshold (threshold.go), so that shaded
// paper stays white and pale or thin strokes stay black. Photos and tints go through a clustered-dot ordered screen (screen.go): its
// dots survive fax printers and cost a fraction of error diffusion's coded octets. Which of them is decided per block (regions.go).

// source tells what is known about where a grey picture came from.
type source int

const (
	drawn   source = iota // rendered from a PDF: paper is exactly white
	scanned               // a picture file: paper may be shaded, and all may be a photo
)

// blockPels is the side of a block in pels at 204 dpi: 2 mm.
const blockPels = 16

// toner turns one grey picture into black and white.
type toner struct {
	g          *image.Gray
	w, h       int
	res        imaging.Resolution
	bw, bh     int // block size
	cols, rows int // blocks
	mean, top  []uint8
	kind       []blockKind
	paper      int             // grey value of the paper
	tint       *imaging.Bitmap // pels of edge blocks to screen
	area       []int32         // of each screened and edge block, its place in areas
	areas      []area
}

type blockKind uint8

const (
	lineArt   blockKind = iota // local threshold
	screened                   // ordered screen
	darkPaper                  // light text on dark
	edge                       // beside a screened block: its flat tints belong to that
)

// tones says how grey becomes black, where there is a choice.
type tones struct {
	diffuse    bool // photos by error diffusion instead of the screen
	keepSpecks bool
}

func (r *renderer) toBlack(g *image.Gray, src source) *imaging.Bitmap {
	return toBlack(g, r.sheet.res, src, tones{diffuse: r.opt.Diffusion, keepSpecks: r.opt.KeepSpecks})
}

// toBlack turns a grey picture into pels of the same size.
func toBlack(g *image.Gray, res imaging.Resolution, src source, how tones) *imaging.Bitmap {
	t := &toner{g: g, w: g.Bounds().Dx(), h: g.Bounds().Dy(), res: res, tint: imaging.New(g.Bounds().Dx(), g.Bounds().Dy())}
	out := imaging.New(t.w, t.h)
	if t.w == 0 || t.h == 0 {
		return out
	}
	if src == drawn && t.noise() >= grainy {
		src = scanned // a scan all the same: in strips, or with words over it
	}
	if src == scanned {
		t.denoise()
	}
	t.measure()
	if src == scanned && t.digital() {
		t.classify(drawn)
	} else {
		t.classify(src)
	}
	if src == scanned {
		t.adaptive(out)
	} else {
		t.crisp(out)
	}
	if src == scanned && !how.keepSpecks {
		t.despeckle(out)
	}
	t.stretch()
	if how.diffuse {
		t.diffuse(out)
	} else {
		t.screen(out)
	}
	return out
}

// measure fills in each block's mean and brightest value, and the paper's grey.
func (t *toner) measure() {
	t.bw = max(8, blockPels*t.res.X/204)
	t.bh = max(4, blockPels*t.res.Y/204)
	t.cols, t.rows = (t.w+t.bw-1)/t.bw, (t.h+t.bh-1)/t.bh
	n := t.cols * t.rows
	t.mean, t.top, t.kind = make([]uint8, n), make([]uint8, n), make([]blockKind, n)
	for by := range t.rows {
		for bx := range t.cols {
			sum, count, top := 0, 0, uint8(0)
			for y := by * t.bh; y < min((by+1)*t.bh, t.h); y++ {
				row := t.g.Pix[y*t.g.Stride+bx*t.bw : y*t.g.Stride+min((bx+1)*t.bw, t.w)]
				for _, v := range row {
					sum += int(v)
					top = max(top, v)
				}
				count += len(row)
			}
			t.mean[by*t.cols+bx], t.top[by*t.cols+bx] = uint8(sum/count), top
		}
	}
	tops := slices.Clone(t.top)
	slices.Sort(tops)
	t.paper = max(64, int(tops[len(tops)*9/10])) // darker paper there is not: the page is black
}
