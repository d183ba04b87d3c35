package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
)

// resolutions are the names of --resolution.
var resolutions = map[string]imaging.Resolution{
	"standard": imaging.Standard, "fine": imaging.Fine, "superfine": imaging.Superfine, "r16": imaging.R16,
	"200": imaging.Res200, "300": imaging.Res300, "400": imaging.Res400, "600": imaging.Res600,
}

// codings are the names of --coding.
var codings = map[string]imaging.Coding{"mh": imaging.MH, "mr": imaging.MR, "mmr": imaging.MMR, "jbig": imaging.JBIG}

// oneOf looks a flag's value up; the error names those that are known.
func oneOf[T any](flag, value string, known map[string]T) (T, error) {
	v, ok := known[value]
	if !ok {
		names := slices.Sorted(maps.Keys(known))
		return v, fmt.Errorf("--%s: %q is none of %s", flag, value, strings.Join(names, ", "))
	}
	return v, nil
}

// renderFiles makes the fax pages of the named files, one after another, in a temporary TIFF that has no name any more:
// closing it is all there is to clean up.
func renderFiles(ctx context.Context, names []string, res imaging.Resolution, warn io.Writer) (*os.File, error) {
	out, err := os.CreateTemp("", "tipring-pages-*.tif")
	if err != nil {
		return nil, err
	}
	os.Remove(out.Name())
	w := tiff.NewWriter(out, tiff.Meta{})
	err = eachPage(ctx, names, renderOptions(res), warn, func(p *imaging.Page) error {
		return w.AddPage(*p, t4.File(imaging.MMR, p.Resolution))
	})
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

// renderOptions are those of the commands: with a cache for the PDF engine where the user keeps such.
func renderOptions(res imaging.Resolution) raster.Options {
	opt := raster.Options{Resolution: res}
	if dir, err := os.UserCacheDir(); err == nil {
		opt.CacheDir = filepath.Join(dir, "tipring")
	}
	return opt
}

// eachPage renders the named files and calls emit for each page. Errors name the file, and so does what is said on warn: characters that
// could not be shown.
func eachPage(ctx context.Context, names []string, opt raster.Options, warn io.Writer, emit func(*imaging.Page) error) error {
	for _, name := range names {
		opt.Boxes = func(characters string) {
			fmt.Fprintf(warn, "tipring: %s: no font here has these characters, they stand as boxes on the pages: %s\n", name, characters)
		}
		if err := renderFile(ctx, name, opt, emit); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func renderFile(ctx context.Context, name string, opt raster.Options, emit func(*imaging.Page) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("is no plain file")
	}
	return raster.RenderDocument(ctx, raster.Document{R: f, Size: info.Size(), Name: filepath.Base(name)}, opt, emit)
}

// openTIFF opens a file as fax pages.
func openTIFF(f *os.File) (*tiff.File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return tiff.Open(f, info.Size())
}
