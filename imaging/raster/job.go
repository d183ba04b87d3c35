package raster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
)

// Input is one part of a fax: a cover page, content in memory (a mail's body), or a file.
type Input struct {
	Cover   *CoverFields // a cover page; the fields below then only label it
	Data    []byte       // content in memory, at most 8 MB; else
	File    *os.File     `json:"-"` // an open regular file, read from its start; the caller closes it
	Name    string       // file name: a hint at the type, and the label in Result
	MIME    string       // declared media type, a hint
	Charset string       // declared charset of a text
}

// Job is what becomes one fax: its parts in order.
type Job struct {
	Inputs  []Input
	Options Options
}

// PageInfo describes one page of the output.
type PageInfo struct {
	Input         int // index in Job.Inputs
	Width, Height int // pels, lines
	Resolution    imaging.Resolution
}

// PartError is why one input failed.
type PartError struct {
	Input int // index in Job.Inputs
	Name  string
	Pages int // pages of it that are in the output all the same: those before the fault
	Err   error
}

func (e *PartError) Error() string {
	if e.Name == "" {
		return e.Err.Error()
	}
	return e.Name + ": " + e.Err.Error()
}

// Unwrap returns the cause, one of the package's sentinels.
func (e *PartError) Unwrap() error { return e.Err }

// Note names the characters of an input that no font here has and that stand as boxes on the pages, too few of them to
// refuse it.
type Note struct {
	Input int // index in Job.Inputs
	Name  string
	Boxes string // some of the characters, parted by spaces
}

// Result is what became of a job.
type Result struct {
	Pages  []PageInfo
	Failed []PartError
	Notes  []Note
	// Confinement names the locks that the child process was under: "seccomp", "user", "network", "limits". Set by Child.
	Confinement []string
	PeakMemory  int64 // octets of resident memory that the child had at most, as far as the watchdog saw. Set by Child.
}

// RenderJob renders all inputs inside this process into one multi-page TIFF (MMR). An input that fails is listed in
// Result.Failed and the others go on. An error means that out is not usable: no page came of any input (then it is the
// first input's PartError, or ErrEmpty), ErrTooManyPages, ctx ended, or out could not be written.
func RenderJob(ctx context.Context, job Job, out io.Writer) (Result, error) {
	var scratch *os.File
	if job.countsPages() {
		f, err := openScratch("")
		if err != nil {
			return Result{}, err
		}
		defer f.Close()
		scratch = f
	}
	fonts, err := openFonts(job.Options.Fonts)
	if err != nil {
		return Result{}, err
	}
	return renderJob(ctx, job, out, scratch, nil, fonts, func(int) {})
}

// openScratch makes a temporary file without a name in dir ("": the system's).
func openScratch(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".scratch-*")
	if err != nil {
		return nil, fmt.Errorf("raster: temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("raster: temporary file: %w", err)
	}
	return f, nil
}

// countsPages tells whether a cover page needs the number of pages, which is known only after all are rendered.
func (j Job) countsPages() bool {
	for _, in := range j.Inputs {
		if in.countsPages() {
			return true
		}
	}
	return false
}

func (in Input) countsPages() bool { return in.Cover != nil && in.Cover.Pages == 0 }

// jobRun is one run of renderJob.
type jobRun struct {
	renderer
	job   Job
	at    func(int) // called when an input's turn comes
	w     *tiff.Writer
	res   Result
	fatal error // an error of the output, not of a document
}

func renderJob(ctx context.Context, job Job, out io.Writer, scratch *os.File, pdf *pdfEngine, fonts *fontSet, at func(int)) (Result, error) {
	opt, err := job.Options.withDefaults()
	if err != nil {
		return Result{}, err
	}
	j := &jobRun{renderer: renderer{opt: opt, sheet: newSheet(opt), pdf: pdf, fonts: fonts}, job: job, at: at}
	defer j.close()
	buf := bufio.NewWriterSize(out, 1<<16)
	if job.countsPages() {
		err = j.twice(ctx, buf, scratch)
	} else {
		j.w = tiff.NewWriter(buf, tiff.Meta{})
		err = j.inputs(ctx, func(Input) bool { return true })
	}
	if err == nil {
		err = j.outcome()
	}
	if err != nil {
		return j.res, err
	}
	if err := errors.Join(j.w.Close(), buf.Flush()); err != nil {
		return j.res, fmt.Errorf("raster: write the pages: %w", err)
	}
	return j.res, nil
}

// outcome tells whether any page came of the job.
func (j *jobRun) outcome() error {
	if len(j.res.Pages) > 0 {
		return nil
	}
	if len(j.res.Failed) > 0 {
		return &j.res.Failed[0]
	}
	return ErrEmpty
}

// inputs renders those inputs that want picks.
func (j *jobRun) inputs(ctx context.Context, want func(Input) bool) error {
	for i, in := range j.job.Inputs {
		if !want(in) {
			continue
		}
		if err := j.part(ctx, i, in); err != nil {
			return err
		}
	}
	return nil
}

// part renders input i. A failure of the input itself is noted; an error ends the job.
func (j *jobRun) part(ctx context.Context, i int, in Input) error {
	j.at(i)
	before := len(j.res.Pages)
	j.emit = func(p *imaging.Page) error {
		if err := j.w.AddPage(*p, t4.File(imaging.MMR, p.Resolution)); err != nil {
			j.fatal = fmt.Errorf("raster: write page %d: %w", j.pages, err)
			return j.fatal
		}
		j.res.Pages = append(j.res.Pages, PageInfo{Input: i, Width: p.Width, Height: p.Height, Resolution: p.Resolution})
		return nil
	}
	j.legible = legibility{}
	err := j.input(ctx, in)
	switch {
	case err == nil:
		if boxes := j.legible.note(); boxes != "" {
			j.res.Notes = append(j.res.Notes, Note{i, in.Name, boxes})
		}
	case j.fatal != nil:
		return j.fatal
	case ctx.Err() != nil:
		return ctxError(ctx.Err())
	case errors.Is(err, ErrTooManyPages):
		return err
	default:
		j.res.Failed = append(j.res.Failed, PartError{Input: i, Name: in.Name, Pages: len(j.res.Pages) - before, Err: err})
	}
	return nil
}

// input renders one input. A decoder's panic is the document's fault.
func (j *jobRun) input(ctx context.Context, in Input) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrBroken, p)
		}
	}()
	if in.Cover != nil {
		return j.cover(ctx, *in.Cover)
	}
	doc, err := in.document()
	if err != nil {
		return err
	}
	return j.document(ctx, doc)
}

func (in Input) document() (Document, error) {
	doc := Document{Name: in.Name, MIME: in.MIME, Charset: in.Charset}
	if in.File == nil {
		if len(in.Data) > maxText {
			return doc, fail(ErrTooLarge, fmt.Sprintf("%d MB in memory", len(in.Data)>>20))
		}
		doc.R, doc.Size = bytes.NewReader(in.Data), int64(len(in.Data))
		return doc, nil
	}
	st, err := in.File.Stat()
	if err != nil {
		return doc, fmt.Errorf("raster: %w", err)
	}
	if !st.Mode().IsRegular() {
		return doc, fmt.Errorf("raster: %s is no regular file", in.Name)
	}
	doc.R, doc.Size = in.File, st.Size()
	return doc, nil
}

// twice renders the documents into the scratch file first, so that the cover pages can tell the number of pages, then
// puts both together.
func (j *jobRun) twice(ctx context.Context, out io.Writer, scratch *os.File) error {
	buf := bufio.NewWriterSize(scratch, 1<<16)
	j.w = tiff.NewWriter(buf, tiff.Meta{})
	if err := j.inputs(ctx, func(in Input) bool { return !in.countsPages() }); err != nil {
		return err
	}
	rendered := j.res.Pages
	var stored *tiff.File
	if len(rendered) > 0 {
		if err := errors.Join(j.w.Close(), buf.Flush()); err != nil {
			return fmt.Errorf("raster: write the pages: %w", err)
		}
		st, err := scratch.Stat()
		if err != nil {
			return fmt.Errorf("raster: %w", err)
		}
		if stored, err = tiff.Open(scratch, st.Size()); err != nil {
			return fmt.Errorf("raster: read the pages again: %w", err)
		}
	} else if len(j.res.Failed) > 0 {
		return nil // a cover page alone, of documents that all failed, is no fax
	}
	total := len(rendered)
	for _, in := range j.job.Inputs {
		if in.countsPages() {
			j.emit = func(*imaging.Page) error { total++; return nil }
			if err := j.cover(ctx, *in.Cover); err != nil && !errors.Is(err, ErrNoFont) { // that is noted in its turn
				return err
			}
		}
	}
	j.pages, j.res.Pages = 0, nil
	j.w = tiff.NewWriter(out, tiff.Meta{Pages: total})
	return j.assemble(ctx, stored, rendered, total)
}

// assemble writes all parts in order: cover pages drawn now, the others copied as they are coded.
func (j *jobRun) assemble(ctx context.Context, stored *tiff.File, rendered []PageInfo, total int) error {
	next := 0
	for i, in := range j.job.Inputs {
		if in.countsPages() {
			c := *in.Cover
			c.Pages = total
			in.Cover = &c
			if err := j.part(ctx, i, in); err != nil {
				return err
			}
			continue
		}
		for ; next < len(rendered) && rendered[next].Input == i; next++ {
			coded, err := stored.Raw(next + 1)
			if err == nil {
				err = j.w.AddCoded(coded)
			}
			if err != nil {
				return fmt.Errorf("raster: copy page %d: %w", next+1, err)
			}
			j.pages++
			j.res.Pages = append(j.res.Pages, rendered[next])
		}
	}
	return nil
}
