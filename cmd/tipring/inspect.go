package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/tipring/tipring/imaging/tiff"
)

const inspectUsage = "inspect [--json] FILE.tif"

// pageInfo is one page as inspect tells of it.
type pageInfo struct {
	Page       int    `json:"page"`
	Width      int    `json:"width"`  // pels
	Height     int    `json:"height"` // lines
	XDPI       int    `json:"x_dpi"`
	YDPI       int    `json:"y_dpi"`
	Coding     string `json:"coding"`
	Strips     int    `json:"strips"`
	BadLines   int    `json:"bad_lines"`
	LongestBad int    `json:"longest_bad_run"`
	Error      string `json:"error,omitempty"`
}

func inspectMain(_ context.Context, args []string, s streams) int {
	fs := newFlags(s, inspectUsage)
	asJSON := fs.Bool("json", false, "print JSON")
	names, err := parse(fs, args)
	if err != nil {
		return exitUsage
	}
	if len(names) != 1 {
		return usageError(s, fs, "inspect takes one file")
	}
	pages, rest, err := inspect(names[0])
	if err != nil {
		fmt.Fprintf(s.err, "tipring: %s: %v\n", names[0], err)
		return exitUsage
	}
	if *asJSON {
		err = json.NewEncoder(s.out).Encode(pages)
	} else {
		err = printPages(s.out, pages)
	}
	if rest != nil {
		fmt.Fprintf(s.err, "tipring: %s: %v\n", names[0], rest)
		return exitUsage
	}
	if err != nil {
		return exitLocal
	}
	return exitOK
}

// inspect decodes every page. rest says why there are no more pages, nil if the file is whole.
func inspect(name string) (pages []pageInfo, rest, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	t, err := openTIFF(f)
	if err != nil {
		return nil, nil, err
	}
	for n := 1; n <= t.NumPages(); n++ {
		pages = append(pages, inspectPage(t, n))
	}
	return pages, t.Rest(), nil
}

func inspectPage(t *tiff.File, n int) pageInfo {
	i := t.Info(n)
	p := pageInfo{Page: n, Width: i.Width, Height: i.Height, XDPI: i.Resolution.X, YDPI: i.Resolution.Y,
		Coding: codingName(i), Strips: i.Strips}
	_, q, err := t.Decode(n)
	p.BadLines, p.LongestBad = q.BadLines, q.LongestBad
	if err != nil {
		p.Error = err.Error()
	}
	return p
}

// codingName is the coding as --coding names it, where it is one of these.
func codingName(i tiff.Info) string {
	if i.Compression == tiff.Fax3 || i.Compression == tiff.Fax4 {
		return i.Format.Coding.String()
	}
	return i.Compression.String()
}

func printPages(w io.Writer, pages []pageInfo) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "PAGE\tSIZE\tDPI\tCODING\tSTRIPS\tBAD LINES\tLONGEST RUN\t")
	for _, p := range pages {
		fmt.Fprintf(t, "%d\t%dx%d\t%dx%d\t%s\t%d\t%d\t%d\t%s\n", p.Page, p.Width, p.Height, p.XDPI, p.YDPI, p.Coding, p.Strips, p.BadLines, p.LongestBad, p.Error)
	}
	return t.Flush()
}
