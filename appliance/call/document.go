package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/jbig"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/t30"
)

// Pages is a document's pages: a TIFF file ([OpenTIFF]) or a list in memory ([PageList]).
type Pages interface {
	Count() int
	// Page returns page n, from 1. It may be asked for again.
	Page(n int) (imaging.Page, error)
}

// PageList is a document in memory.
type PageList []imaging.Page

// Count returns the number of pages.
func (l PageList) Count() int { return len(l) }

// Page returns page n, from 1.
func (l PageList) Page(n int) (imaging.Page, error) {
	if n < 1 || n > len(l) {
		return imaging.Page{}, fmt.Errorf("call: page %d of %d", n, len(l))
	}
	return l[n-1], nil
}

// Journal is told how far a document is, in pages of the whole document from 1. What it returns nil for is durable. An
// error ends the call as a fault of ours. The queue implements it for a job; a one-off send needs none.
type Journal interface {
	PageStarted(n int) error                   // opened for the line
	PageSent(n int) error                      // out whole; the command by which it may be confirmed follows
	ConfirmPage(n int, r t30.PageResult) error // the far end has it
	// RefusePage tells that the far end refused page n (RTN) as often as it is tried in one call; the call goes on with the next
	// page unless [t30.ErrStop] is returned.
	RefusePage(n int, r t30.PageResult) error
}

// Header is the header line of every page (47 CFR 68.318(d)); date, time and page number are filled in.
type Header struct {
	FromName   string
	FromNumber string
	To         string
	Location   *time.Location // of the time; nil: local
}

// DocumentOptions say how to send a document.
type DocumentOptions struct {
	Pages   Pages
	Only    []int                  // the pages to send, from 1, in order: those not confirmed yet; nil: all
	Header  *Header                // nil: no header line
	Journal Journal                // nil: none
	Live    func(Live)             // progress of the page on the line; must not block; nil: none
	End     func(t30.Report) error // nil: none
}

// Document is one document as a source of a call. Make one for each attempt.
type Document struct {
	o    DocumentOptions
	when time.Time // of the header lines: when the first page was opened

	mu    sync.Mutex
	ready map[int]imaging.Page // read, around the one on the line, by their place in the call
}

var _ t30.PageSource = (*Document)(nil)

// NewDocument returns the source of a document.
func NewDocument(o DocumentOptions) *Document {
	return &Document{o: o, ready: map[int]imaging.Page{}}
}

// Documents returns the sources one after another, whatever the far end is.
func Documents(list ...t30.PageSource) t30.Documents { return &documents{list} }

type documents struct{ list []t30.PageSource }

func (d *documents) Next(ctx context.Context, _ t30.Remote) (t30.PageSource, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(d.list) == 0 {
		return nil, io.EOF
	}
	next := d.list[0]
	d.list = d.list[1:]
	return next, nil
}

// Page codes page n of the call for the format within limit that suits it best: its own resolution where allowed, the
// narrowest width, the densest coding.
func (d *Document) Page(ctx context.Context, n int, limit t30.PageLimit) (t30.PageFormat, io.ReadCloser, error) {
	var none t30.PageFormat
	if err := ctx.Err(); err != nil {
		return none, nil, err
	}
	abs := d.abs(n)
	if abs < 1 || abs > d.o.Pages.Count() {
		return none, nil, io.EOF
	}
	page, err := d.load(n)
	if err != nil {
		return none, nil, fmt.Errorf("call: page %d: %w", abs, err)
	}
	format, bitmap := d.layOut(page, abs, limit)
	data, err := code(bitmap, format, limit)
	if err != nil {
		return none, nil, fmt.Errorf("call: page %d: %w", abs, err)
	}
	if d.o.Journal != nil {
		if err := d.o.Journal.PageStarted(abs); err != nil {
			return none, nil, fmt.Errorf("call: page %d: %w", abs, err)
		}
	}
	live := Live{Page: abs, Pages: d.o.Pages.Count(), Format: format, ECM: limit.ECM, Height: bitmap.Height, Bitmap: bitmap, Total: int64(len(data))}
	return format, &pageReader{d: d, data: data, live: live}, nil
}

// abs returns the place in the whole document of page n of the call, both from 1; 0: there is none.
func (d *Document) abs(n int) int {
	switch {
	case n < 1 || d.o.Only != nil && n > len(d.o.Only):
		return 0
	case d.o.Only != nil:
		return d.o.Only[n-1]
	}
	return n
}

// lineFormat is how the coded lines are put together for the telephone line.
func lineFormat(f t30.PageFormat, limit t30.PageLimit) t4.Format {
	lf := t4.Line(ImagingCoding(f.Coding), ImagingResolution(f.Resolution))
	if !limit.ECM {
		lf.MinLineBits = t4.LineBits(limit.MinScan(f), limit.Rate)
	}
	return lf
}

// code makes a page's octets for the telephone line; fill goes into the lines of one that would be on it too short.
func code(b *imaging.Bitmap, f t30.PageFormat, limit t30.PageLimit) ([]byte, error) {
	if f.Coding == t30.JBIG { // ECM only: no fill
		return jbig.Append(nil, b, jbig.Page(b.Height))
	}
	lf := lineFormat(f, limit)
	data, err := t4.Append(nil, b, lf)
	least := t4.LineBits(limit.MinPage, limit.Rate)
	if err == nil && b.Height > 0 && 8*(len(data)+len(afterRTC)) < least {
		lf.MinLineBits = max(lf.MinLineBits, (least+b.Height-1)/b.Height)
		data, err = t4.Append(data[:0], b, lf)
	}
	if err == nil && !limit.ECM {
		data = append(data, afterRTC[:]...)
	}
	return data, err
}

// afterRTC is fill behind a page's RTC. Field: efax decodes ahead; when the carrier ends with RTC's last bit it takes the page for cut off and
// leaves a file without a length, although it confirms the page.
var afterRTC [2]byte

// layOut brings a page into the format chosen for it, with its header line on top.
func (d *Document) layOut(page imaging.Page, abs int, limit t30.PageLimit) (t30.PageFormat, *imaging.Bitmap) {
	f := t30.PageFormat{Coding: chooseCoding(limit.Codings, limit.ECM)}
	own := Resolution(page.Resolution)
	f.Resolution = chooseResolution(own, limit.Resolutions)
	from, to := page.Resolution, ImagingResolution(f.Resolution)
	if from.X <= 0 || from.Y <= 0 || level(own) == level(f.Resolution) {
		from = to // the same, or near enough to go out pel by pel
	}
	page.Resolution = from
	pels := page.Width * to.X / from.X
	f.Width = chooseWidth(pels, f.Resolution, limit.Widths)
	width := 0
	if pels > f.Pels() {
		width = f.Pels() // wider than the far end's paper: reduced both ways
	}
	if from != to || width != 0 {
		page = imaging.Rescale(page, to, width)
	}
	b := page.FitWidth(f.Pels())
	header := d.header(abs, f.Pels(), to)
	if header != nil {
		b = imaging.Stack(header, b)
	}
	f.Length = neededLength(b.Height, to)
	if f.Length > limit.Length {
		b, f.Length = d.shorten(page, header, f.Pels(), limit.Length), limit.Length
	}
	return f, b
}

// shorten reduces a page that is longer than the far end's paper, so that nothing is cut off.
func (d *Document) shorten(page imaging.Page, header *imaging.Bitmap, pels int, limit t30.Length) *imaging.Bitmap {
	_, y := page.Resolution.DPI()
	mm := float64(lengthA4MM)
	if limit == t30.LengthB4 {
		mm = lengthB4MM
	}
	room := int(mm / mmPerInch * y)
	if header != nil {
		room -= header.Height
	}
	width := max(int(float64(page.Width)*float64(room)/float64(page.Height)), 1)
	b := imaging.Rescale(page, page.Resolution, width).FitWidth(pels)
	if header != nil {
		b = imaging.Stack(header, b)
	}
	return b
}

func level(r t30.Resolution) int {
	for _, e := range resolutions {
		if e.res == r {
			return e.level
		}
	}
	return -1
}

// header draws the header line; the page number counts from the document's first page, also after a resume.
func (d *Document) header(abs, width int, res imaging.Resolution) *imaging.Bitmap {
	h := d.o.Header
	if h == nil {
		return nil
	}
	loc := h.Location
	if loc == nil {
		loc = time.Local
	}
	d.mu.Lock()
	if d.when.IsZero() {
		d.when = time.Now()
	}
	when := d.when.In(loc)
	d.mu.Unlock()
	text := raster.HeaderText(raster.HeaderFields{Time: when, FromName: h.FromName, FromNumber: h.FromNumber, To: h.To,
		Page: abs, Pages: d.o.Pages.Count()}, width, res)
	return raster.Header(text, width, res)
}

// load returns page n of the call; the last few stay at hand, for the engine opens a page again after RTN and the next
// one ahead.
func (d *Document) load(n int) (imaging.Page, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if page, ok := d.ready[n]; ok {
		return page, nil
	}
	page, err := d.o.Pages.Page(d.abs(n))
	if err != nil {
		return imaging.Page{}, err
	}
	if page.Bitmap == nil || page.Width < 1 || page.Height < 1 {
		return imaging.Page{}, errors.New("an empty page")
	}
	for other := range d.ready {
		if other < n-1 || other > n+1 {
			delete(d.ready, other)
		}
	}
	d.ready[n] = page
	return page, nil
}

// Sent records that page n of the call is out.
func (d *Document) Sent(n int) error { return d.tell(n, Journal.PageSent) }

// Confirmed records the confirmation of page n of the call.
func (d *Document) Confirmed(n int, r t30.PageResult) error {
	return d.tell(n, func(j Journal, abs int) error { return j.ConfirmPage(abs, r) })
}

// Refused records that the far end refused page n of the call.
func (d *Document) Refused(n int, r t30.PageResult) error {
	return d.tell(n, func(j Journal, abs int) error { return j.RefusePage(abs, r) })
}

func (d *Document) tell(n int, f func(j Journal, abs int) error) error {
	if d.o.Journal == nil {
		return nil
	}
	abs := d.abs(n)
	if err := f(d.o.Journal, abs); err != nil {
		return fmt.Errorf("call: page %d: %w", abs, err)
	}
	return nil
}

// End lets the pages go.
func (d *Document) End(r t30.Report) error {
	d.mu.Lock()
	clear(d.ready)
	d.mu.Unlock()
	if d.o.End == nil {
		return nil
	}
	return d.o.End(r)
}

func (d *Document) live(l Live) {
	if d.o.Live != nil {
		d.o.Live(l)
	}
}

// pageReader hands a coded page to the line.
type pageReader struct {
	d    *Document
	data []byte
	off  int
	live Live
}

// Read hands out the next data.
func (r *pageReader) Read(p []byte) (int, error) {
	if r.off == len(r.data) {
		return 0, io.EOF
	}
	n := min(len(p), len(r.data)-r.off)
	copy(p, r.data[r.off:r.off+n])
	r.off += n
	r.live.Octets = int64(r.off)
	r.live.Lines = int(int64(r.live.Height) * int64(r.off) / int64(len(r.data)))
	r.d.live(r.live)
	return n, nil
}

// Close lets the data go.
func (r *pageReader) Close() error {
	r.data, r.off = nil, 0
	return nil
}
