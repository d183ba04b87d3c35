// Package raster turns documents into fax pages: text, HTML, PDF, TIFF and pictures become one-bit pages of a fax
// width at a fax resolution (T.30 Table 2), one page at a time, so that memory stays bounded whatever the input.
//
// RenderDocument and RenderJob work inside the calling process. Documents of strangers belong into a child process
// instead: see Child and ChildMain.
package raster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tipring/tipring/imaging"
)

// Limits that hold for every document, whatever Options say.
const (
	maxDocument = 256 << 20 // octets of one document
	maxText     = 8 << 20   // octets of one text or HTML document
	// DefaultMaxPages is the page limit when Options.MaxPages is 0.
	DefaultMaxPages = 300
	// DefaultPageTime is the time limit of one PDF page when Options.PageTime is 0. It leaves room for 32-bit arm,
	// where the PDF engine is interpreted.
	DefaultPageTime = 60 * time.Second
)

// Document is one input and what its sender says about it.
type Document struct {
	R       io.ReaderAt
	Size    int64  // octets
	Name    string // file name, a hint at the type and its label in reports; may be empty
	MIME    string // declared media type without parameters, a hint; may be empty
	Charset string // declared charset of a text; "" : UTF-8 if it is valid, else windows-1252
}

// Options say what pages to make. The zero value means A4 at 204x196 dpi.
type Options struct {
	Paper      Paper
	Resolution imaging.Resolution // one of T.30 Table 2; zero: Fine
	MaxPages   int                // pages of one RenderDocument or RenderJob call; 0: DefaultMaxPages
	PageTime   time.Duration      // limit for one PDF page; 0: DefaultPageTime
	CacheDir   string             // where the PDF engine keeps its compiled code; "": compile anew, some seconds
	// FaxPages takes nothing but TIFFs whose pages all are undamaged fax pages of T.30 Table 2, and passes these as they
	// are, however fine; anything else is ErrNotFaxPages.
	FaxPages bool
	// Fonts is a folder of further fonts (.ttf, .otf, .ttc), for characters that the embedded ones lack, in the order of
	// their names; "": none.
	Fonts string
	Cover CoverDesign // of cover pages
	// Diffusion makes photos black and white by error diffusion: finer on screen, but ten times the octets on the line. The
	// default is a clustered-dot screen.
	Diffusion bool
	// KeepSpecks leaves lone specks in scans; the default removes them.
	KeepSpecks bool
	// Boxes, if not nil, is told by [RenderDocument] which characters of the document no font here has: they stand as boxes on its pages.
	Boxes func(characters string) `json:"-"`
	// Proportional sets plain text in a proportional font. The default keeps columns: 82 characters on an A4 line.
	Proportional bool
}

func (o Options) withDefaults() (Options, error) {
	if o.Resolution == (imaging.Resolution{}) {
		o.Resolution = imaging.Fine
	}
	if PageWidth(o.Resolution) == 0 {
		return o, fmt.Errorf("raster: %dx%d dpi is no fax resolution", o.Resolution.X, o.Resolution.Y)
	}
	if o.MaxPages <= 0 {
		o.MaxPages = DefaultMaxPages
	}
	if o.PageTime <= 0 {
		o.PageTime = DefaultPageTime
	}
	return o, nil
}

// RenderDocument turns one document into pages and hands each to emit, which owns it. It stops at the first error,
// its own or emit's. Failures of the document are the package's sentinel errors; with ErrTooManyPages the allowed pages
// were emitted. A bi-level TIFF page that already is a fax page no finer than asked for passes unchanged.
func RenderDocument(ctx context.Context, doc Document, opt Options, emit func(*imaging.Page) error) error {
	opt, err := opt.withDefaults()
	if err != nil {
		return err
	}
	fonts, err := openFonts(opt.Fonts)
	if err != nil {
		return err
	}
	r := &renderer{opt: opt, sheet: newSheet(opt), emit: emit, fonts: fonts}
	defer r.close()
	err = r.document(ctx, doc)
	if boxes := r.legible.note(); err == nil && boxes != "" && opt.Boxes != nil {
		opt.Boxes(boxes)
	}
	return err
}

// renderer makes the pages of one RenderDocument or RenderJob call.
type renderer struct {
	opt   Options
	sheet sheet
	emit  func(*imaging.Page) error
	pages int
	pdf   *pdfEngine // opened at the first PDF
	fonts *fontSet
	// legible is what of the document at hand could be shown.
	legible legibility
}

func (r *renderer) close() {
	if r.pdf != nil {
		r.pdf.close()
		r.pdf = nil
	}
	r.fonts.close()
}

// page hands one finished page on.
func (r *renderer) page(ctx context.Context, p *imaging.Page) error {
	if err := ctx.Err(); err != nil {
		return ctxError(err)
	}
	if r.pages >= r.opt.MaxPages {
		return fail(ErrTooManyPages, fmt.Sprintf("more than %d", r.opt.MaxPages))
	}
	r.pages++
	if err := r.emit(p); err != nil {
		return fmt.Errorf("raster: page %d: %w", r.pages, err)
	}
	return nil
}

// bitmap hands one rendered bitmap on, its bottom left free for the header line if that is blank anyway.
func (r *renderer) bitmap(ctx context.Context, b *imaging.Bitmap) error {
	r.sheet.leaveHeaderRoom(b)
	return r.page(ctx, &imaging.Page{Bitmap: b, Resolution: r.opt.Resolution})
}

func (r *renderer) document(ctx context.Context, doc Document) error {
	if doc.Size == 0 {
		return ErrEmpty
	}
	if doc.Size > maxDocument {
		return fail(ErrTooLarge, fmt.Sprintf("%d MB", doc.Size>>20))
	}
	kind, err := DetectDocument(doc)
	if err != nil {
		return err
	}
	if r.opt.FaxPages && kind != TypeTIFF {
		return fail(ErrNotFaxPages, kind.String())
	}
	before := r.pages
	r.legible = legibility{}
	switch kind {
	case TypeText:
		err = r.text(ctx, doc)
	case TypeHTML:
		err = r.html(ctx, doc)
	case TypeTIFF:
		err = r.tiff(ctx, doc)
	case TypePNG, TypeJPEG, TypeGIF, TypeBMP, TypeWebP:
		err = r.picture(ctx, doc, kind)
	case TypeDOCX:
		err = r.docx(ctx, doc)
	case TypePDF:
		err = r.pdfDocument(ctx, doc)
	default:
		return fail(ErrUnsupported, kind.String())
	}
	if err == nil && r.pages == before {
		return ErrEmpty
	}
	if err == nil {
		err = r.legible.fault()
	}
	return err
}

func ctxError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return ErrTimeout
	}
	return err
}
