package call

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/t30"
)

// ErrPageTooLong is returned by a page writer when the far end sends more data than any page has.
var ErrPageTooLong = errors.New("call: more data than a page can have")

// maxPageOctets bounds one received page's coded data: at 33,600 bit/s it takes over two hours to fill.
const maxPageOctets = 32 << 20

// Page is one received page: its file of coded data as it came off the line. The fields are those of queue.FaxPage,
// so that one converts to the other.
type Page struct {
	File       string         `json:"file"`
	Resolution t30.Resolution `json:"resolution"`
	Width      int            `json:"width_pels"`
	Coding     t30.Coding     `json:"coding"`
	ECM        bool           `json:"ecm"`
	Octets     int64          `json:"octets"`
	Lines      int            `json:"lines,omitempty"`
	BadLines   int            `json:"bad_lines,omitempty"`
	Open       bool           `json:"open,omitempty"`      // still growing; after a crash: as much as was synced
	Confirmed  bool           `json:"confirmed,omitempty"` // MCF or RTP followed
	Poor       bool           `json:"poor,omitempty"`      // RTP
	Damaged    bool           `json:"damaged,omitempty"`   // RTN: a better copy may follow
	At         time.Time      `json:"at"`
}

// File is a page's file in the making; *store.File is one.
type File interface {
	Write(p []byte) (int, error)
	// Name is the name by which the file is known once it is published.
	Name() string
	// Publish makes what was written durable under the name; the file stays open. Again: as Sync.
	Publish() error
	// Close leaves a published file; Abort removes it.
	Close() error
	Abort() error
}

// Keeper keeps received pages: the appliance's spool and queue, or a [Folder].
type Keeper interface {
	// Create begins a page's file.
	Create() (File, error)
	// PutPage records page n (from 1) of the call, or how it goes on, after its file was published. It returns once
	// that is durable: only then is the page, or ECM block, confirmed to the far end.
	PutPage(far t30.Remote, n int, p Page) error
	// DropPage takes the last page out again, with its file.
	DropPage(n int) error
}

// Sink takes a call's pages into a Keeper. Make one for each call.
type Sink struct {
	keep  Keeper
	live  func(Live)
	pages []Page
}

var _ t30.PageSink = (*Sink)(nil)

// NewSink returns a sink; live, unless nil, is told the progress by the engine's goroutine and must not block.
func NewSink(keep Keeper, live func(Live)) *Sink {
	if live == nil {
		live = func(Live) {}
	}
	return &Sink{keep: keep, live: live}
}

// Pages returns the pages that were kept. Ask after the call.
func (s *Sink) Pages() []Page { return s.pages }

// BeginPage starts a page.
func (s *Sink) BeginPage(ctx context.Context, far t30.Remote, f t30.PageFormat) (t30.PageWriter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &pageWriter{s: s, far: far, n: len(s.pages) + 1, page: Page{Resolution: f.Resolution, Width: f.Pels(), Coding: f.Coding,
		ECM: f.Coding == t30.MMR || f.Coding == t30.JBIG, At: time.Now()}}
	dec, err := newDecoder(f, w.row)
	if err != nil {
		return nil, fmt.Errorf("call: received page: %w", err)
	}
	w.dec = dec
	if w.file, err = s.keep.Create(); err != nil {
		return nil, fmt.Errorf("call: received page: %w", err)
	}
	w.buf = bufio.NewWriterSize(w.file, 16<<10)
	w.progress = Live{Page: w.n, Format: f, ECM: w.page.ECM, Rows: imaging.New(f.Pels(), 0)}
	s.live(w.progress)
	return w, nil
}

type pageWriter struct {
	s        *Sink
	far      t30.Remote
	n        int
	page     Page
	file     File
	buf      *bufio.Writer
	dec      imaging.Decoder
	recorded bool  // PutPage was called: something names the file
	durable  int64 // octets that are durable under the file's name, one more; 0: none are
	progress Live
}

// row collects the lines decoded since the last progress.
func (w *pageWriter) row(row []uint64) { w.progress.Rows.AppendRow(row) }

// Write takes coded data. Errors: ErrPageTooLong, store.ErrDiskFull.
func (w *pageWriter) Write(p []byte) (int, error) {
	if w.page.Octets+int64(len(p)) > maxPageOctets {
		return 0, fmt.Errorf("%w: %d octets", ErrPageTooLong, w.page.Octets)
	}
	n, err := w.buf.Write(p)
	if err != nil {
		return n, fmt.Errorf("call: received page: %w", err)
	}
	w.page.Octets += int64(n)
	w.dec.Write(p) // never fails
	w.tell(false)
	return n, nil
}

// tell reports progress and forgets the rows.
func (w *pageWriter) tell(done bool) {
	q := w.dec.Quality()
	w.page.Lines, w.page.BadLines = q.Lines, q.BadLines
	w.progress.Octets, w.progress.Lines, w.progress.BadLines, w.progress.Done = w.page.Octets, q.Lines, q.BadLines, done
	w.s.live(w.progress)
	rows := w.progress.Rows
	rows.Height, rows.Words = 0, rows.Words[:0]
}

// Sync makes what came so far durable and recorded: only an ECM page asks for that.
func (w *pageWriter) Sync(context.Context) error {
	w.page.ECM = true
	return w.publish(Page{Open: true}, !w.recorded)
}

// publish makes the data durable, then its record if that is asked for; flags are those of the record.
func (w *pageWriter) publish(flags Page, record bool) error {
	if w.durable != w.page.Octets+1 { // else nothing came since the last time: MCF need not wait for the disk again
		if err := w.buf.Flush(); err != nil {
			return fmt.Errorf("call: received page: %w", err)
		}
		if err := w.file.Publish(); err != nil {
			return fmt.Errorf("call: received page: %w", err)
		}
		w.durable = w.page.Octets + 1
	}
	if !record {
		return nil
	}
	p := w.page
	p.File, p.Open, p.Confirmed, p.Poor, p.Damaged = w.file.Name(), flags.Open, flags.Confirmed, flags.Poor, flags.Damaged
	if err := w.s.keep.PutPage(w.far, w.n, p); err != nil {
		return fmt.Errorf("call: received page: %w", err)
	}
	w.page, w.recorded = p, true
	return nil
}

// Quality judges what came so far.
func (w *pageWriter) Quality() t30.Quality {
	q := w.dec.Quality()
	// Lines that a hit took whole are as bad as any.
	return t30.Quality{Lines: q.Lines, BadLines: q.BadLines + q.Missing, LongestBad: max(q.LongestBad, q.MissingRun), NoRTC: !q.Ended}
}

// Finish ends the page: durable and recorded for Good, Poor and BadKept, as far as there is anything for Partial, gone
// for Discard.
func (w *pageWriter) Finish(_ context.Context, v t30.Verdict) error {
	q := w.dec.Close()
	w.tell(true)
	if v == t30.Discard || v == t30.Partial && q.Lines == q.BadLines {
		return w.drop()
	}
	flags := Page{Confirmed: v == t30.Good || v == t30.Poor, Poor: v == t30.Poor, Damaged: v == t30.BadKept}
	if err := w.publish(flags, true); err != nil {
		if w.recorded { // as far as it was synced it is still named
			return errors.Join(err, w.file.Close())
		}
		return errors.Join(err, w.file.Abort())
	}
	w.s.pages = append(w.s.pages, w.page)
	return w.file.Close()
}

func (w *pageWriter) drop() error {
	if !w.recorded {
		return w.file.Abort()
	}
	return errors.Join(w.file.Close(), w.s.keep.DropPage(w.n))
}

// Spool is the file half of a Keeper over the store.
type Spool struct{ Store *store.Store }

// Create begins a page's file in the spool.
func (s Spool) Create() (File, error) {
	f, err := s.Store.Create(store.Pages)
	if err != nil {
		return nil, err // not f: a nil *store.File is no nil File
	}
	return f, nil
}
