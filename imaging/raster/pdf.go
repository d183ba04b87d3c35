package raster

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"sync"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/enums"
	pdfiumerrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/responses"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/tipring/tipring/imaging"
)

// pdfPages is the PDF engine's memory cap in WebAssembly pages of 64 KiB: 128 MiB.
const pdfPages = 2048

// pdfEngine is one PDFium in its WebAssembly sandbox: it sees no file system and no network.
type pdfEngine struct {
	pool  pdfium.Pool
	cache wazero.CompilationCache

	mu    sync.Mutex
	freed [][]byte // memory of closed instances, to unmap
}

// openPDF compiles the engine, or loads it compiled from cacheDir if that is not "". Compiling takes seconds and writes
// about 19 MB into the folder.
func openPDF(ctx context.Context, cacheDir string) (*pdfEngine, error) {
	e := &pdfEngine{}
	cfg := wazero.NewRuntimeConfig().WithMemoryLimitPages(pdfPages).WithCloseOnContextDone(true)
	if cacheDir != "" {
		c, err := wazero.NewCompilationCacheWithDir(cacheDir)
		if err != nil {
			return nil, fmt.Errorf("raster: open the PDF engine's cache: %w", err)
		}
		e.cache = c
		cfg = cfg.WithCompilationCache(c)
	}
	var err error
	e.pool, err = webassembly.Init(webassembly.Config{
		Context:  experimental.WithMemoryAllocator(context.WithoutCancel(ctx), experimental.MemoryAllocatorFunc(e.newMemory)),
		MaxTotal: 1, MaxIdle: 1,
		FSConfig:      wazero.NewFSConfig(), // the default would mount "/"
		RuntimeConfig: cfg,
		Stdout:        io.Discard, Stderr: io.Discard,
	})
	if err != nil {
		e.close()
		return nil, fmt.Errorf("raster: start the PDF engine: %w", err)
	}
	return e, nil
}

func (e *pdfEngine) close() {
	if e.pool != nil {
		e.pool.Close()
	}
	if e.cache != nil {
		e.cache.Close(context.Background())
	}
	e.reap()
}

// pdfJob is one open PDF.
type pdfJob struct {
	r    *renderer
	inst pdfium.Pdfium
	doc  references.FPDF_DOCUMENT
}

func (r *renderer) pdfDocument(ctx context.Context, doc Document) error {
	if r.pdf == nil {
		e, err := openPDF(ctx, r.opt.CacheDir)
		if err != nil {
			return err
		}
		r.pdf = e
	}
	// A fresh instance for every document: what one leaves behind in the sandbox's memory goes with it.
	inst, err := r.pdf.pool.GetInstanceWithContext(ctx)
	if err != nil {
		return fmt.Errorf("raster: start the PDF engine: %w", err)
	}
	j := &pdfJob{r: r, inst: inst}
	defer func() {
		if j.inst != nil {
			j.inst.Close()
		}
		r.pdf.reap()
	}()
	pages := 0
	err = j.limited(ctx, func() error {
		pages, err = j.open(doc)
		return err
	})
	if err != nil {
		return err
	}
	for i := range pages {
		if r.pages >= r.opt.MaxPages {
			return fail(ErrTooManyPages, fmt.Sprintf("more than %d", r.opt.MaxPages))
		}
		var parts []*imaging.Bitmap
		var sc *pdfScan
		err := j.limited(ctx, func() (err error) {
			parts, sc, err = j.page(i)
			return err
		})
		if err == nil && sc != nil {
			err = r.pdfScan(ctx, sc)
		}
		if err != nil {
			return err
		}
		for _, b := range parts {
			if err := r.bitmap(ctx, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// limited runs one step in the engine under the page time limit. A step that overruns loses its engine instance.
func (j *pdfJob) limited(ctx context.Context, step func() error) error {
	ctx, cancel := context.WithTimeout(ctx, j.r.opt.PageTime)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fail(ErrBroken, "PDF")
			}
		}()
		done <- step()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		inst := j.inst
		j.inst = nil
		err := inst.Kill()
		<-done
		if err != nil {
			return fmt.Errorf("%w: stop the PDF engine: %w", ctxError(ctx.Err()), err)
		}
		return ctxError(ctx.Err())
	}
}

func (j *pdfJob) open(doc Document) (pages int, err error) {
	opened, err := j.inst.OpenDocument(&requests.OpenDocument{
		FileReader: io.NewSectionReader(doc.R, 0, doc.Size), FileReaderSize: doc.Size})
	switch {
	case errors.Is(err, pdfiumerrors.ErrPassword), errors.Is(err, pdfiumerrors.ErrSecurity):
		return 0, ErrEncrypted
	case err != nil:
		return 0, broken("PDF", err)
	}
	j.doc = opened.Document
	n, err := j.inst.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: j.doc})
	if err != nil {
		return 0, broken("PDF", err)
	}
	return n.PageCount, nil
}

// scanTaken is told of each picture that is taken out, in tests.
var scanTaken func()

// pdfScan makes pages of a scanned page's picture.
func (r *renderer) pdfScan(ctx context.Context, sc *pdfScan) error {
	if scanTaken != nil {
		scanTaken()
	}
	if sc.bilevel != nil {
		return r.bilevel(ctx, *sc.bilevel)
	}
	return r.image(ctx, sc.grey)
}

// page renders page i: one bitmap, or several if the page is much longer than the paper. Of a scanned page it returns the
// picture.
func (j *pdfJob) page(i int) ([]*imaging.Bitmap, *pdfScan, error) {
	ref, err := j.load(i)
	if err != nil {
		return nil, nil, broken(fmt.Sprintf("PDF, page %d", i+1), err)
	}
	defer j.inst.FPDF_ClosePage(&requests.FPDF_ClosePage{Page: ref})
	page := requests.Page{ByReference: &ref}
	pw, err := j.inst.FPDF_GetPageWidthF(&requests.FPDF_GetPageWidthF{Page: page})
	if err != nil {
		return nil, nil, broken("PDF", err)
	}
	ph, err := j.inst.FPDF_GetPageHeightF(&requests.FPDF_GetPageHeightF{Page: page})
	if err != nil {
		return nil, nil, broken("PDF", err)
	}
	if sc := j.scan(page, float64(pw.PageWidth), float64(ph.PageHeight)); sc != nil {
		return nil, sc, nil
	}
	p := j.r.sheet.placePDF(float64(pw.PageWidth), float64(ph.PageHeight))
	if p.h == 0 {
		return nil, nil, fail(ErrBroken, fmt.Sprintf("PDF, page %d has no size", i+1))
	}
	if (p.h+p.sheetH-1)/p.sheetH > j.r.opt.MaxPages-j.r.pages {
		return nil, nil, fail(ErrTooManyPages, fmt.Sprintf("more than %d", j.r.opt.MaxPages))
	}
	var out []*imaging.Bitmap
	for y := 0; y < p.h; {
		b, err := j.slice(page, p, y, min(p.sheetH, p.h-y))
		if err != nil {
			return nil, nil, err
		}
		if y+b.Height < p.h {
			b = cutAtWhite(b)
		}
		y += b.Height
		if len(out) > 0 && blank(b) {
			continue
		}
		if len(out) == j.r.opt.MaxPages-j.r.pages {
			return nil, nil, fail(ErrTooManyPages, fmt.Sprintf("more than %d", j.r.opt.MaxPages))
		}
		out = append(out, b)
	}
	if err := j.unseen(page); err != nil {
		return nil, nil, err
	}
	return out, nil, nil
}

// load opens page i with its form fields and annotations made part of it, as print shows them.
func (j *pdfJob) load(i int) (references.FPDF_PAGE, error) {
	request := &requests.FPDF_LoadPage{Document: j.doc, Index: i}
	loaded, err := j.inst.FPDF_LoadPage(request)
	if err != nil {
		return "", err
	}
	flat, err := j.inst.FPDFPage_Flatten(&requests.FPDFPage_Flatten{
		Page: requests.Page{ByReference: &loaded.Page}, Usage: requests.FPDFPage_FlattenUsagePrint})
	if err != nil || flat.Result != responses.FPDFPage_FlattenResultSuccess {
		return loaded.Page, nil // nothing to flatten, or the page is shown without
	}
	if _, err := j.inst.FPDF_ClosePage(&requests.FPDF_ClosePage{Page: loaded.Page}); err != nil {
		return "", err
	}
	if loaded, err = j.inst.FPDF_LoadPage(request); err != nil {
		return "", err
	}
	return loaded.Page, nil
}

// placement is where a PDF page goes on the sheet.
type placement struct {
	x, w, h int // left edge and size in pels and lines of the whole page
	turn    bool
	sheetH  int
}

// placePDF fits a page of pw x ph points: true to scale if it fits, else smaller; landscape is turned; a page much
// longer than the paper fills the width and is cut.
func (s sheet) placePDF(pw, ph float64) placement {
	p := placement{sheetH: s.h}
	if !(pw > 0 && ph > 0) || math.IsInf(pw, 0) || math.IsInf(ph, 0) {
		return p
	}
	if p.turn = pw > ph; p.turn {
		pw, ph = ph, pw
	}
	wmm, hmm := pw*mmPerPt, ph*mmPerPt
	lineMM := float64(s.w) / s.kx
	scale := min(1, lineMM/wmm)
	if hmm*scale > s.heightMM && hmm*scale < s.heightMM*1.5 {
		scale *= s.heightMM / (hmm * scale)
	}
	if hmm*scale > s.heightMM*100 {
		scale = s.heightMM * 100 / hmm
	}
	p.w, p.h = min(s.w, max(1, s.x(wmm*scale))), max(1, s.y(hmm*scale))
	if p.h > s.h && p.h <= s.h+2 {
		p.h = s.h
	}
	p.x = (s.w - p.w) / 2
	return p
}

// slice renders rows lines of the placed page from line y on, as wide as the sheet, and makes them black and white.
func (j *pdfJob) slice(page requests.Page, p placement, y, rows int) (*imaging.Bitmap, error) {
	var b *imaging.Bitmap
	err := j.renderGrey(page, p, j.r.sheet.w, y, rows, func(g *image.Gray) { b = j.r.toBlack(g, drawn) })
	return b, err
}

// renderGrey renders rows lines of the placed page from line y on into a grey bitmap w pels wide and hands it to use. The pels are the
// engine's: they hold until use returns.
func (j *pdfJob) renderGrey(page requests.Page, p placement, w, y, rows int, use func(*image.Gray)) error {
	bm, err := j.inst.FPDFBitmap_CreateEx(&requests.FPDFBitmap_CreateEx{
		Width: w, Height: rows, Format: enums.FPDF_BITMAP_FORMAT_GRAY, Pointer: uint64(0)})
	if err != nil {
		return fail(ErrMemory, "PDF")
	}
	defer j.inst.FPDFBitmap_Destroy(&requests.FPDFBitmap_Destroy{Bitmap: bm.Bitmap})
	_, err = j.inst.FPDFBitmap_FillRect(&requests.FPDFBitmap_FillRect{Bitmap: bm.Bitmap, Width: w, Height: rows, Color: 0xffffffff})
	if err != nil {
		return fail(ErrMemory, "PDF")
	}
	rotate := enums.FPDF_PAGE_ROTATION_NONE
	if p.turn {
		rotate = enums.FPDF_PAGE_ROTATION_90_CW
	}
	_, err = j.inst.FPDF_RenderPageBitmap(&requests.FPDF_RenderPageBitmap{Bitmap: bm.Bitmap, Page: page,
		StartX: p.x, StartY: -y, SizeX: p.w, SizeY: p.h, Rotate: rotate,
		Flags: enums.FPDF_RENDER_FLAG_ANNOT | enums.FPDF_RENDER_FLAG_GRAYSCALE | enums.FPDF_RENDER_FLAG_RENDER_LIMITEDIMAGECACHE})
	if err != nil {
		return broken("PDF", err)
	}
	buf, err := j.inst.FPDFBitmap_GetBuffer(&requests.FPDFBitmap_GetBuffer{Bitmap: bm.Bitmap})
	if err != nil || len(buf.Buffer) < w*rows {
		return fail(ErrMemory, "PDF")
	}
	use(&image.Gray{Pix: buf.Buffer, Stride: len(buf.Buffer) / rows, Rect: image.Rect(0, 0, w, rows)})
	return nil
}

// linearMemory backs the sandbox's memory: mapped once at its cap, so that growing never copies; pages that are not
// touched take no memory.
type linearMemory struct {
	e   *pdfEngine
	mem []byte
}

func (e *pdfEngine) newMemory(_, most uint64) experimental.LinearMemory {
	return &linearMemory{e, mapMemory(int(min(most, pdfPages<<16)))}
}

func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.mem)) {
		return nil
	}
	return m.mem[:size:len(m.mem)]
}

// Free hands the memory to reap: an instance that is killed for its time may still be running in it.
func (m *linearMemory) Free() {
	m.e.mu.Lock()
	defer m.e.mu.Unlock()
	m.e.freed = append(m.e.freed, m.mem)
	m.mem = nil
}

// reap unmaps the memory of closed instances. No step may be running.
func (e *pdfEngine) reap() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.freed {
		unmapMemory(m)
	}
	e.freed = nil
}
