package main

import (
	"context"
	"errors"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/pdf"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
)

const convertUsage = "convert -o OUT.tif|.pdf|.png [--resolution R] [--coding mh|mr|mmr|jbig | --profile s|f|j] [--paper a4|letter] [--fonts DIR]\n" +
	"                [--photos screen|diffusion] [--cover [--language L] [--template FILE] [--logo FILE]] FILE..."

func convertMain(ctx context.Context, args []string, s streams) int {
	fs := newFlags(s, convertUsage)
	out := fs.String("o", "", "`file` to write: .tif, .pdf or .png (one file per page)")
	resName := fs.String("resolution", "fine", "standard, fine, superfine, r16, 200, 300, 400 or 600")
	codName := fs.String("coding", "mmr", "mh, mr, mmr or jbig; a PDF has MMR in place of JBIG")
	profName := fs.String("profile", "any", "s, f or j: a TIFF for Internet fax (RFC 3949), which decides the coding")
	paper := fs.String("paper", "a4", "a4 or letter")
	fonts := fs.String("fonts", "", "`folder` of further fonts")
	photos := fs.String("photos", "screen", "screen or diffusion")
	cover := coverFlags(fs)
	names, err := parse(fs, args)
	if err != nil {
		return exitUsage
	}
	if *out == "" || len(names) == 0 && !cover.wanted {
		return usageError(s, fs, "convert needs -o and at least one file, or --cover")
	}
	res, err := oneOf("resolution", *resName, resolutions)
	coding, err2 := oneOf("coding", *codName, codings)
	size, err3 := oneOf("paper", *paper, map[string]raster.Paper{"a4": raster.A4, "letter": raster.Letter})
	diffusion, err4 := oneOf("photos", *photos, map[string]bool{"screen": false, "diffusion": true})
	design, err5 := cover.design()
	profile, err6 := oneOf("profile", *profName, map[string]tiff.Profile{"any": tiff.AnyPages, "s": tiff.ProfileS, "f": tiff.ProfileF, "j": tiff.ProfileJ})
	if err = errors.Join(err, err2, err3, err4, err5, err6); err != nil {
		return usageError(s, fs, "%v", err)
	}
	opt := renderOptions(res)
	opt.Paper, opt.Fonts, opt.Diffusion, opt.Cover = size, *fonts, diffusion, design
	w, err := newPageFile(*out, coding, profile)
	if err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitUsage
	}
	if cover.wanted {
		err = raster.Cover(ctx, sampleCover(), opt, w.add)
	}
	if err == nil {
		err = eachPage(ctx, names, opt, s.err, w.add)
	}
	if err = errors.Join(err, w.finish(err == nil)); err != nil {
		fmt.Fprintln(s.err, "tipring:", err)
		return exitUsage
	}
	return exitOK
}

// pageFile is where convert writes to. It comes into being under its name only when it is whole.
type pageFile struct {
	name string
	tmp  *os.File // nil for PNG
	add  func(*imaging.Page) error
	end  func() error
}

func newPageFile(name string, coding imaging.Coding, profile tiff.Profile) (*pageFile, error) {
	p := &pageFile{name: name}
	ext := strings.ToLower(filepath.Ext(name))
	if ext == ".png" {
		n := 0
		p.add = func(page *imaging.Page) error { n++; return writePNG(pngName(name, n), page) }
		p.end = func() error { return nil }
		return p, nil
	}
	if ext != ".tif" && ext != ".tiff" && ext != ".pdf" {
		return nil, fmt.Errorf("-o %s: should end in .tif, .pdf or .png", name)
	}
	if ext == ".pdf" && profile != tiff.AnyPages {
		return nil, fmt.Errorf("-o %s: --profile is for a TIFF: use a name that ends in .tif", name)
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".tipring-*")
	if err != nil {
		return nil, err
	}
	p.tmp = tmp
	if ext == ".pdf" {
		w := pdf.NewWriter(tmp, pdf.Meta{Title: filepath.Base(name)})
		p.add = func(page *imaging.Page) error { return addPDF(w, page, coding) }
		p.end = w.Close
		return p, nil
	}
	w := tiff.NewWriter(tmp, tiff.Meta{Profile: profile})
	p.add = func(page *imaging.Page) error {
		if profile != tiff.AnyPages {
			return w.AddPage(*page, profile.Format(page.Resolution))
		}
		return w.AddPage(*page, t4.File(coding, page.Resolution))
	}
	p.end = w.Close
	return p, nil
}

func addPDF(w *pdf.Writer, page *imaging.Page, coding imaging.Coding) error {
	if coding == imaging.JBIG {
		coding = imaging.MMR // PDF has none
	}
	f := t4.File(coding, page.Resolution)
	data, err := t4.Append(nil, page.Bitmap, f)
	if err != nil {
		return err
	}
	return w.AddCoded(t4.Coded{Width: page.Width, Height: page.Height, Resolution: page.Resolution, Format: f, Data: data})
}

// finish ends the file; without ok it is removed.
func (p *pageFile) finish(ok bool) error {
	if p.tmp == nil {
		return nil
	}
	var err error
	if ok {
		err = p.end()
	}
	err = errors.Join(err, p.tmp.Chmod(0o644), p.tmp.Close())
	if ok && err == nil {
		return os.Rename(p.tmp.Name(), p.name)
	}
	return errors.Join(err, os.Remove(p.tmp.Name()))
}

// pngName is name for page 1, name-2 and so on for the others.
func pngName(name string, n int) string {
	if n == 1 {
		return name
	}
	ext := filepath.Ext(name)
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), n, ext)
}

// writePNG writes a page as grey picture in its true proportions.
func writePNG(name string, page *imaging.Page) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	err = png.Encode(f, imaging.Thumbnail(page.Bitmap, page.Resolution, page.Width))
	return errors.Join(err, f.Close())
}
