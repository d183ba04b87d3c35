package call

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
	"github.com/tipring/tipring/t30"
)

// textLike draws rows of black runs that differ with the seed, as text does.
func textLike(width, height int, res imaging.Resolution, seed uint64) imaging.Page {
	rnd := rand.New(rand.NewPCG(seed, 1))
	b := imaging.New(width, height)
	for y := 40; y+16 < height-20; y += 30 {
		for x := width / 12; x < width-width/12; {
			x += 4 + rnd.IntN(12)
			run := 3 + rnd.IntN(8)
			if rnd.IntN(6) == 0 {
				x += width / 10
			}
			for i := 0; i < run && x+i < width; i++ {
				for dy := range 12 {
					b.SetBlack(x+i, y+dy)
				}
			}
			x += run
		}
	}
	return imaging.Page{Bitmap: b, Resolution: res}
}

// all is a far end that takes everything.
func all(ecm bool) t30.PageLimit {
	return t30.PageLimit{Codings: t30.Codings(t30.MH | t30.MR | t30.MMR), Resolutions: 0xff, Widths: t30.Widths(t30.WidthA4 | t30.WidthB4 | t30.WidthA3),
		Length: t30.LengthUnlimited, ECM: ecm, Rate: 14400}
}

func read(t *testing.T, d *Document, n int, limit t30.PageLimit) (t30.PageFormat, []byte) {
	t.Helper()
	f, r, err := d.Page(t.Context(), n, limit)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return f, data
}

func decode(t *testing.T, f t30.PageFormat, data []byte) *imaging.Bitmap {
	t.Helper()
	b, q, err := t4.Decode(data, f.Pels(), 0, lineFormatOf(f))
	if err != nil || q.BadLines != 0 || !q.Ended {
		t.Fatalf("%v %d bad lines, ended %v, %v", f, q.BadLines, q.Ended, err)
	}
	return b
}

func TestDocument_ChoosesTheFormat(t *testing.T) {
	page := textLike(1728, 1100, imaging.Fine, 1)
	tests := []struct {
		name  string
		page  imaging.Page
		limit func(*t30.PageLimit)
		ecm   bool
		want  t30.PageFormat
	}{
		{"all, ECM", page, nil, true, t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MMR}},
		{"all, no ECM", page, nil, false, t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MR}},
		{"MH only", page, func(l *t30.PageLimit) { l.Codings = t30.Codings(t30.MH) }, true, t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MH}},
		{"nothing said", page, func(l *t30.PageLimit) { *l = t30.PageLimit{} }, false, t30.PageFormat{Resolution: t30.Standard, Width: t30.WidthA4, Coding: t30.MH}},
		{"fine to 200", page, func(l *t30.PageLimit) { l.Resolutions = t30.Resolutions(t30.Standard | t30.Res200) }, true, t30.PageFormat{Resolution: t30.Res200, Width: t30.WidthA4, Coding: t30.MMR}},
		{"superfine to fine", textLike(1728, 2200, imaging.Superfine, 1), func(l *t30.PageLimit) { l.Resolutions = t30.Resolutions(t30.Standard | t30.Fine) }, true,
			t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MMR}},
		{"600 to 300", textLike(5184, 3000, imaging.Res600, 1), func(l *t30.PageLimit) { l.Resolutions = t30.Resolutions(t30.Standard | t30.Fine | t30.Res300) }, true,
			t30.PageFormat{Resolution: t30.Res300, Width: t30.WidthA4, Coding: t30.MMR}},
		{"B4", textLike(2048, 1100, imaging.Fine, 1), nil, true, t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthB4, Coding: t30.MMR}},
		{"B4 to A4", textLike(2048, 1100, imaging.Fine, 1), func(l *t30.PageLimit) { l.Widths = t30.Widths(t30.WidthA4) }, true,
			t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MMR}},
		{"long", textLike(1728, 4000, imaging.Fine, 1), nil, true, t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MMR, Length: t30.LengthUnlimited}},
		{"long to A4", textLike(1728, 4000, imaging.Fine, 1), func(l *t30.PageLimit) { l.Length = t30.LengthA4 }, true,
			t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MMR}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			limit := all(tt.ecm)
			if tt.limit != nil {
				tt.limit(&limit)
			}
			d := NewDocument(DocumentOptions{Pages: PageList{tt.page}})
			f, data := read(t, d, 1, limit)
			if f != tt.want {
				t.Errorf("format %+v, want %+v", f, tt.want)
			}
			b := decode(t, f, data)
			if tt.page.Width == f.Pels() && Resolution(tt.page.Resolution) == f.Resolution && !strings.HasPrefix(tt.name, "long to") && !b.Equal(tt.page.Bitmap) {
				t.Error("the pels changed although the format fits")
			}
			if n := neededLength(b.Height, ImagingResolution(f.Resolution)); n > limit.Length {
				t.Errorf("%d lines are too long for the far end", b.Height)
			}
			if _, _, err := d.Page(t.Context(), 2, limit); !errors.Is(err, io.EOF) {
				t.Errorf("a page after the last: %v, want io.EOF", err)
			}
		})
	}
}

func TestDocument_FillsToTheMinimumScanLine(t *testing.T) {
	page := imaging.Page{Bitmap: imaging.New(1728, 100), Resolution: imaging.Fine}
	limit := all(false)
	limit.MinScanLine, limit.MinScanLineFine = 20*time.Millisecond, 10*time.Millisecond
	d := NewDocument(DocumentOptions{Pages: PageList{page}})
	_, data := read(t, d, 1, limit)
	if least := 100 * 14400 / 100 / 8; len(data) < least || len(data) > least*11/10 {
		t.Errorf("%d octets for 100 fine lines, %d are 10 ms a line at 14400 bit/s", len(data), least)
	}
	limit.Resolutions = t30.Resolutions(t30.Standard)
	if _, data = read(t, d, 1, limit); len(data) < 50*14400/50/8 {
		t.Errorf("%d octets for 50 standard lines of 20 ms", len(data))
	}
	limit.ECM = true
	if _, data = read(t, d, 1, limit); len(data) > 500 {
		t.Errorf("%d octets with ECM: filled", len(data))
	}
}

// A page of a least time gets it, whatever is on it, in lines of at most 5 s (T.4 4.1.3); one that lasts as long anyhow gets no fill.
func TestDocument_FillsToTheLeastTimeOfAPage(t *testing.T) {
	for _, height := range []int{1, 7, 1143, 2287} {
		for _, codings := range []t30.Coding{t30.MH, t30.MR} {
			page := imaging.Page{Bitmap: imaging.New(1728, height), Resolution: imaging.Fine}
			limit := all(false)
			limit.Codings, limit.MinPage = t30.Codings(codings)|t30.Codings(t30.MH), 4*time.Second
			d := NewDocument(DocumentOptions{Pages: PageList{page}})
			f, data := read(t, d, 1, limit)
			if least := 14400 * 4 / 8; len(data) < least || len(data) > least+least/4 {
				t.Errorf("%d lines, %v: %d octets, want at least %d and little more", height, f.Coding, len(data), least)
			}
			if !decode(t, f, data).Equal(page.Bitmap) {
				t.Errorf("%d lines, %v: the fill changed the page", height, f.Coding)
			}
		}
	}
	page, limit := textLike(1728, 2287, imaging.Fine, 1), all(false)
	d := NewDocument(DocumentOptions{Pages: PageList{page}})
	_, plain := read(t, d, 1, limit)
	limit.MinPage = lineTime(len(plain), limit.Rate)
	if _, data := read(t, d, 1, limit); len(data) != len(plain) {
		t.Errorf("%d octets became %d although they last long enough", len(plain), len(data))
	}
}

// lineTime is how long octets are on the line at rate bit/s, whole milliseconds.
func lineTime(octets, rate int) time.Duration {
	return time.Duration(octets*8*1000/rate) * time.Millisecond
}

// TestDocument_HeaderOnEveryPageAlsoAfterResume: promise 8. The header stands above the page, whose pels stay, and
// counts from the job's first page.
func TestDocument_HeaderOnEveryPageAlsoAfterResume(t *testing.T) {
	pages := PageList{textLike(1728, 500, imaging.Fine, 1), textLike(1728, 500, imaging.Fine, 2), textLike(1728, 500, imaging.Fine, 3)}
	draw := func(only []int, n int) *imaging.Bitmap {
		d := NewDocument(DocumentOptions{Pages: pages, Only: only, Header: &Header{FromName: "Contoso", FromNumber: "+1 555 0100", Location: time.UTC}})
		d.when = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		f, data := read(t, d, n, all(true))
		return decode(t, f, data)
	}
	third := draw(nil, 3)
	header := third.Height - 500
	if header < 10 || header > 60 {
		t.Fatalf("%d header rows", header)
	}
	ink := 0
	for y := range header {
		for _, w := range third.Row(y) {
			if w != 0 {
				ink++
			}
		}
	}
	if ink == 0 {
		t.Error("the header is blank")
	}
	for y := range 500 {
		for i, w := range third.Row(header + y) {
			if w != pages[2].Row(y)[i] {
				t.Fatalf("line %d of the page changed", y)
			}
		}
	}
	if !draw([]int{3}, 1).Equal(third) {
		t.Error("the third page looks otherwise after a resume")
	}
	if draw(nil, 1).Equal(draw([]int{2, 3}, 1)) {
		t.Error("different pages look alike")
	}
}

type journal struct {
	mu    sync.Mutex // the engine opens pages ahead
	lines []string
	fail  string
}

func (j *journal) note(what string, n int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	line := fmt.Sprintf("%s %d", what, n)
	j.lines = append(j.lines, line)
	if line == j.fail {
		return store.ErrDiskFull
	}
	return nil
}

func (j *journal) PageStarted(n int) error                   { return j.note("started", n) }
func (j *journal) PageSent(n int) error                      { return j.note("sent", n) }
func (j *journal) ConfirmPage(n int, _ t30.PageResult) error { return j.note("confirmed", n) }
func (j *journal) RefusePage(n int, _ t30.PageResult) error  { return j.note("refused", n) }

func TestDocument_Journal(t *testing.T) {
	pages := PageList{textLike(1728, 300, imaging.Fine, 1), textLike(1728, 300, imaging.Fine, 2), textLike(1728, 300, imaging.Fine, 3)}
	j := &journal{}
	var live []Live
	ended := 0
	d := NewDocument(DocumentOptions{Pages: pages, Only: []int{2, 3}, Journal: j, Live: func(l Live) { live = append(live, l) },
		End: func(t30.Report) error { ended++; return nil }})
	_, r, err := d.Page(t.Context(), 1, all(true))
	if err != nil {
		t.Fatal(err)
	}
	if len(live) != 0 {
		t.Error("progress of a page that is opened, but not on the line yet")
	}
	if _, err := io.ReadAll(r); err != nil || len(j.lines) != 1 {
		t.Errorf("all read, nothing said to be sent: %v, %v", j.lines, err)
	}
	if err := d.Sent(1); err != nil {
		t.Error(err)
	}
	if err := d.Confirmed(1, t30.PageResult{}); err != nil {
		t.Error(err)
	}
	read(t, d, 2, all(true))
	if got, want := strings.Join(j.lines, ", "), "started 2, sent 2, confirmed 2, started 3"; got != want {
		t.Errorf("journal %s, want %s", got, want)
	}
	if l := live[len(live)-1]; l.Page != 3 || l.Pages != 3 || l.Octets != l.Total || l.Lines != 300 {
		t.Errorf("progress at the end %+v", l)
	}
	if err := d.End(t30.Report{}); err != nil || ended != 1 {
		t.Errorf("End: %v, %d", err, ended)
	}
	for _, fail := range []string{"started 1", "sent 1", "confirmed 1"} {
		d := NewDocument(DocumentOptions{Pages: pages, Journal: &journal{fail: fail}})
		_, r, err := d.Page(t.Context(), 1, all(true))
		if err == nil {
			r.Close()
			if err = d.Sent(1); err == nil {
				err = d.Confirmed(1, t30.PageResult{})
			}
		}
		if !errors.Is(err, store.ErrDiskFull) {
			t.Errorf("%s fails: %v", fail, err)
		}
	}
}

func TestDocuments(t *testing.T) {
	d := NewDocument(DocumentOptions{Pages: PageList{}})
	docs := Documents(d)
	if s, err := docs.Next(t.Context(), t30.Remote{}); s != t30.PageSource(d) || err != nil {
		t.Errorf("%v, %v", s, err)
	}
	if _, err := docs.Next(t.Context(), t30.Remote{}); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want io.EOF", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := docs.Next(ctx, t30.Remote{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestSendReceive carries pages from a document to a sink in each coding and looks at the assembled TIFF.
func TestSendReceive(t *testing.T) {
	for _, coding := range []t30.Coding{t30.MH, t30.MR, t30.MMR, t30.JBIG} {
		for _, ecm := range []bool{false, true} {
			if (coding == t30.MMR || coding == t30.JBIG) && !ecm {
				continue
			}
			t.Run(fmt.Sprintf("%v ecm %v", coding, ecm), func(t *testing.T) {
				pages := PageList{textLike(1728, 700, imaging.Fine, 1), textLike(1728, 400, imaging.Standard, 2)}
				d := NewDocument(DocumentOptions{Pages: pages})
				dir := t.TempDir()
				keep, err := NewFolder(filepath.Join(dir, "in"))
				if err != nil {
					t.Fatal(err)
				}
				rows := 0
				sink := NewSink(keep, func(l Live) { rows += l.Rows.Height })
				limit := all(ecm)
				limit.Codings = t30.Codings(coding)
				for n := 1; n <= 2; n++ {
					f, data := read(t, d, n, limit)
					receive(t, sink, f, data, ecm, t30.Good)
				}
				if rows != 1100 || len(sink.Pages()) != 2 {
					t.Errorf("%d live rows, %d pages", rows, len(sink.Pages()))
				}
				path, a, err := keep.Finish(time.Now(), "+1 555 0100")
				if err != nil || a != (Assembled{Pages: 2}) {
					t.Fatalf("%s, %+v, %v", path, a, err)
				}
				if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
					t.Errorf("%d files, want the document alone", len(left))
				}
				wantTIFF(t, path, pages)
			})
		}
	}
}

func receive(t *testing.T, sink *Sink, f t30.PageFormat, data []byte, ecm bool, v t30.Verdict) t30.Quality {
	t.Helper()
	w, err := sink.BeginPage(t.Context(), t30.Remote{ID: "+1 555 0100"}, f)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 {
		n := min(len(data), 997)
		if _, err := w.Write(data[:n]); err != nil {
			t.Fatal(err)
		}
		if data = data[n:]; ecm {
			if err := w.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	q := w.Quality()
	if err := w.Finish(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	return q
}

func wantTIFF(t *testing.T, path string, want PageList) {
	t.Helper()
	f, err := OpenTIFF(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Count() != len(want) {
		t.Fatalf("%d pages, want %d", f.Count(), len(want))
	}
	for n := 1; n <= f.Count(); n++ {
		p, err := f.Page(n)
		if err != nil || !p.Equal(want[n-1].Bitmap) || p.Resolution != want[n-1].Resolution {
			t.Errorf("page %d: %dx%d at %v, %v", n, p.Width, p.Height, p.Resolution, err)
		}
	}
}

// TestSink_DamagedPages: a page refused with RTN is left out when its better copy follows, and kept when another page
// does.
func TestSink_DamagedPages(t *testing.T) {
	one, two := textLike(1728, 1000, imaging.Fine, 1), textLike(1728, 1000, imaging.Fine, 2)
	form := imaging.Page{Bitmap: imaging.Stack(imaging.New(1728, 0), one.Bitmap), Resolution: imaging.Fine}
	for y := 400; y < 650; y++ {
		form.SetBlack(300+y%7, y)
	}
	f := t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MH}
	code := func(p imaging.Page) []byte {
		data, err := t4.Append(nil, p.Bitmap, lineFormatOf(f))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	hit := code(one)
	for i := len(hit) / 3; i < len(hit)/3+200; i++ {
		hit[i] ^= byte(i * 37)
	}
	for _, tt := range []struct {
		name  string
		after []byte
		want  Assembled
	}{
		{"sent again", code(one), Assembled{Pages: 1, Replaced: 1}},
		{"another page", code(two), Assembled{Pages: 2}},
		{"the same form with another entry", code(form), Assembled{Pages: 2}},
		{"nothing", nil, Assembled{Pages: 1}},
	} {
		keep, err := NewFolder(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		sink := NewSink(keep, nil)
		if q := receive(t, sink, f, hit, false, t30.BadKept); q.BadLines == 0 || q.Lines < 900 {
			t.Errorf("%s: quality %+v", tt.name, q)
		}
		if tt.after != nil {
			receive(t, sink, f, tt.after, false, t30.Good)
		}
		if _, a, err := keep.Finish(time.Now(), ""); err != nil || a != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, a, err, tt.want)
		}
	}
}

func TestSink_PartialAndDiscard(t *testing.T) {
	st := openStore(t)
	keep := &spoolKeeper{Spool: Spool{st}}
	sink := NewSink(keep, nil)
	f := t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MMR}
	data, err := t4.Append(nil, textLike(1728, 1000, imaging.Fine, 1).Bitmap, lineFormatOf(f))
	if err != nil {
		t.Fatal(err)
	}
	receive(t, sink, f, data[:len(data)/2], true, t30.Discard)
	receive(t, sink, f, nil, false, t30.Partial) // nothing came
	receive(t, sink, f, data[:len(data)/2], true, t30.Partial)
	if got, want := strings.Join(keep.log, ", "), "put 1 open, drop 1, put 1 open, put 1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	name, a, err := AssembleSpool(st, sink.Pages(), tiff.Meta{})
	if err != nil || a.Pages != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
	doc, err := OpenDocument(st, name)
	if err != nil {
		t.Fatal(err)
	}
	defer doc.Close()
	if p, err := doc.Page(1); err != nil || p.Height < 300 || p.Height > 700 {
		t.Errorf("half a page has %d lines, %v", p.Height, err)
	}
	if _, _, err := AssembleSpool(st, []Page{{File: "page/gone", Width: 1728}}, tiff.Meta{}); !errors.Is(err, ErrNoPages) {
		t.Errorf("no page: %v, want ErrNoPages", err)
	}
	if _, a, err := AssembleSpool(st, append(sink.Pages(), Page{File: "page/gone", Width: 1728}), tiff.Meta{}); err != nil || a.Lost != 1 || a.Pages != 1 {
		t.Errorf("one page gone: %+v, %v", a, err)
	}
}

func TestSink_DiskFullConfirmsNothing(t *testing.T) {
	keep := &spoolKeeper{Spool: Spool{openStore(t)}, err: store.ErrDiskFull}
	sink := NewSink(keep, nil)
	f := t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MH}
	w, err := sink.BeginPage(t.Context(), t30.Remote{}, f)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte{0, 0x80, 0, 0x80})
	if err := w.Sync(t.Context()); !errors.Is(err, store.ErrDiskFull) {
		t.Errorf("Sync: %v", err)
	}
	if err := w.Finish(t.Context(), t30.Good); !errors.Is(err, store.ErrDiskFull) || len(sink.Pages()) != 0 {
		t.Errorf("Finish: %v, %d pages", err, len(sink.Pages()))
	}
}

func TestSink_Limits(t *testing.T) {
	sink := NewSink(&spoolKeeper{Spool: Spool{openStore(t)}}, nil)
	w, err := sink.BeginPage(t.Context(), t30.Remote{}, t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MH})
	if err != nil {
		t.Fatal(err)
	}
	w.(*pageWriter).page.Octets = maxPageOctets
	if _, err := w.Write([]byte{0}); !errors.Is(err, ErrPageTooLong) {
		t.Errorf("%v, want ErrPageTooLong", err)
	}
	if err := w.Finish(t.Context(), t30.Discard); err != nil {
		t.Error(err)
	}
}

func openStore(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Open(t.TempDir(), store.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

type spoolKeeper struct {
	Spool
	log   []string
	err   error
	files []string
}

func (k *spoolKeeper) PutPage(_ t30.Remote, n int, p Page) error {
	if k.err != nil {
		return k.err
	}
	if _, err := k.Store.OpenFile(p.File); err != nil {
		return err // recorded before it was durable
	}
	line := fmt.Sprintf("put %d", n)
	if p.Open {
		line += " open"
	}
	if len(k.log) == 0 || k.log[len(k.log)-1] != line {
		k.log = append(k.log, line)
	}
	k.files = append(k.files, p.File)
	return nil
}

func (k *spoolKeeper) DropPage(n int) error {
	k.log = append(k.log, fmt.Sprintf("drop %d", n))
	return k.Store.Remove(k.files[len(k.files)-1])
}

func TestFolder_OverwritesNothing(t *testing.T) {
	dir, seen := t.TempDir(), map[string]bool{}
	when := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for range 3 {
		keep, err := NewFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		f := t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MH}
		data, _ := t4.Append(nil, textLike(1728, 100, imaging.Fine, 1).Bitmap, lineFormatOf(f))
		receive(t, NewSink(keep, nil), f, data, false, t30.Good)
		path, _, err := keep.Finish(when, "../+1/555")
		if err != nil || seen[path] || filepath.Dir(path) != dir {
			t.Errorf("%s, %v", path, err)
		}
		seen[path] = true
	}
	if !seen[filepath.Join(dir, "fax-20261122-120000-+1555-3.tif")] {
		t.Errorf("%v", seen)
	}
	keep, _ := NewFolder(dir)
	if _, _, err := keep.Finish(when, ""); !errors.Is(err, ErrNoPages) {
		t.Errorf("without a page: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 3 {
		t.Errorf("%d files, want 3", len(left))
	}
}

func TestOpenTIFF_Broken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.tif")
	os.WriteFile(path, []byte("II*\x00\xff\xff\xff\xff"), 0o600)
	if _, err := OpenTIFF(path); err == nil {
		t.Error("no error")
	}
	if _, err := OpenTIFF(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestTranscript_KeepsBothEnds(t *testing.T) {
	var tr Transcript
	then := 0
	tr.Then = func(t30.Event) { then++ }
	for i := range 3 * maxEvents {
		tr.Add(t30.Event{Text: fmt.Sprint(i)})
	}
	e := tr.Events()
	if len(e) != maxEvents+1 || then != 3*maxEvents || e[0].Text != "0" || e[len(e)-1].Text != fmt.Sprint(3*maxEvents-1) || !strings.Contains(e[maxEvents/2].Text, "left out") ||
		e[maxEvents/2+1].Text != fmt.Sprint(3*maxEvents-maxEvents/2) {
		t.Errorf("%d events, from %s to %s", len(e), e[0].Text, e[len(e)-1].Text)
	}
}

func TestMapping(t *testing.T) {
	for r := t30.Standard; r <= t30.Res600; r <<= 1 {
		if got := Resolution(ImagingResolution(r)); got != r {
			t.Errorf("%v becomes %v", r, got)
		}
	}
	for dpi, want := range map[imaging.Resolution]t30.Resolution{{}: t30.Fine, {X: 203, Y: 196}: t30.Fine, {X: 72, Y: 72}: t30.Standard, {X: 1200, Y: 1200}: t30.Res600} {
		if got := Resolution(dpi); got != want {
			t.Errorf("%v is %v, want %v", dpi, got, want)
		}
	}
	for c, want := range map[t30.Coding]imaging.Coding{t30.MH: imaging.MH, t30.MR: imaging.MR, t30.MMR: imaging.MMR, t30.JBIG: imaging.JBIG} {
		if got := ImagingCoding(c); got != want {
			t.Errorf("%v becomes %v", c, got)
		}
	}
}

// What follows RTC lets a receiver that decodes ahead see it; with ECM there is nothing behind a page.
func TestDocument_FillBehindRTC(t *testing.T) {
	d := NewDocument(DocumentOptions{Pages: PageList{textLike(1728, 300, imaging.Fine, 1)}})
	for _, ecm := range []bool{false, true} {
		_, data := read(t, d, 1, all(ecm))
		if got := bytes.HasSuffix(data, afterRTC[:]); got == ecm {
			t.Errorf("ecm %v: fill behind the page %v", ecm, got)
		}
	}
}
