package call

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// phone is one call of the t30 engine over a simulated wire, in virtual time.
func phone(t *testing.T, cfg t30test.Config, noECM bool, d *Document, sink t30.PageSink) (sent, got t30.Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := t30test.Pair(cfg, t30test.All, t30test.All)
		limit := t30.Capabilities{Resolutions: AllResolutions, Length: t30.LengthUnlimited}
		var wg sync.WaitGroup
		var sendErr, recvErr error
		wg.Go(func() {
			sent, sendErr = t30.Originate(t.Context(), a, t30.Session{Me: t30.Station{ID: "1"}, Send: Documents(d), NoECM: noECM, Limit: limit})
		})
		wg.Go(func() {
			got, recvErr = t30.Answer(t.Context(), b, t30.Session{Me: t30.Station{ID: "2"}, Sink: sink, Limit: limit})
		})
		wg.Wait()
		if sendErr != nil || recvErr != nil {
			t.Errorf("errors %v, %v", sendErr, recvErr)
		}
		time.Sleep(time.Second) // the last hang-up reaches the other end
	})
	return sent, got
}

func threePages() PageList {
	return PageList{textLike(1728, 600, imaging.Fine, 1), textLike(1728, 800, imaging.Fine, 2), textLike(1728, 500, imaging.Standard, 3)}
}

func newFolder(t *testing.T) *Folder {
	t.Helper()
	f, err := NewFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCall_PixelIdentical(t *testing.T) {
	for _, noECM := range []bool{false, true} {
		j, keep, pages := &journal{}, newFolder(t), threePages()
		sent, got := phone(t, t30test.Config{}, noECM, NewDocument(DocumentOptions{Pages: pages, Journal: j}), NewSink(keep, nil))
		if !sent.OK() || !got.OK() || !Complete(got) || sent.Sent != 3 {
			t.Fatalf("no ECM %v: sent %v %q, received %v %q", noECM, sent.Code, sent.Text, got.Code, got.Text)
		}
		path, a, err := keep.Finish(time.Now(), got.Remote.ID)
		if err != nil || a != (Assembled{Pages: 3}) {
			t.Fatalf("%+v, %v", a, err)
		}
		wantTIFF(t, path, pages)
		wantOrder(t, j, 3)
	}
}

// wantOrder: of each page the journal has heard started, sent and confirmed, in this order; confirmed in order.
func wantOrder(t *testing.T, j *journal, pages int) {
	t.Helper()
	at := map[string]int{}
	for i, line := range j.lines {
		at[line] = i + 1
	}
	last := 0
	for n := range pages {
		s, d, c := at["started "+string(rune('1'+n))], at["sent "+string(rune('1'+n))], at["confirmed "+string(rune('1'+n))]
		if s == 0 || d < s || c < d || c < last {
			t.Errorf("page %d: journal %s", n+1, strings.Join(j.lines, ", "))
		}
		last = c
	}
}

// TestCall_DamageIsRepeated: without ECM a hit page is refused, sent again, and the better copy replaces the damaged one.
func TestCall_DamageIsRepeated(t *testing.T) {
	pageCarriers := 0
	cfg := t30test.Config{Choose: func(i t30test.Item) t30test.Fault {
		if i.Kind == "page" {
			if pageCarriers++; pageCarriers == 2 {
				return t30test.Corrupt
			}
		}
		return t30test.None
	}}
	keep, pages := newFolder(t), threePages()
	sink := NewSink(keep, nil)
	sent, got := phone(t, cfg, true, NewDocument(DocumentOptions{Pages: pages}), sink)
	if !sent.OK() || !got.OK() {
		t.Fatalf("sent %v %q, received %v %q", sent.Code, sent.Text, got.Code, got.Text)
	}
	path, a, err := keep.Finish(time.Now(), "")
	if err != nil || a.Pages != 3 {
		t.Fatalf("%+v of %d pages, %v", a, len(sink.Pages()), err)
	}
	if damaged := sink.Pages()[1]; damaged.Damaged {
		wantTIFF(t, path, pages)
	} else if !damaged.Poor {
		t.Errorf("page 2 was hit and counts as good: %+v", damaged)
	}
}

// TestCall_ResumesAtTheFirstUnconfirmedPage: the line drops in page 2; a second call brings the rest with the right
// page numbers, and no confirmed page twice.
func TestCall_ResumesAtTheFirstUnconfirmedPage(t *testing.T) {
	carriers := 0
	cfg := t30test.Config{Choose: func(i t30test.Item) t30test.Fault {
		if i.Kind == "page" {
			if carriers++; carriers == 2 {
				return t30test.HangUp
			}
		}
		return t30test.None
	}}
	header := &Header{FromName: "Contoso", FromNumber: "+1 555 0100", Location: time.UTC}
	j, keep, pages := &journal{}, newFolder(t), threePages()
	sent, got := phone(t, cfg, true, NewDocument(DocumentOptions{Pages: pages, Journal: j, Header: header}), NewSink(keep, nil))
	if sent.OK() || Complete(got) || sent.Sent != 1 || sent.Unknown {
		t.Fatalf("sent %d pages, %v %q, unknown %v", sent.Sent, sent.Code, sent.Text, sent.Unknown)
	}
	again, rest := &journal{}, newFolder(t)
	sent, got = phone(t, t30test.Config{}, false, NewDocument(DocumentOptions{Pages: pages, Only: []int{2, 3}, Journal: again, Header: header}), NewSink(rest, nil))
	if !sent.OK() || !Complete(got) || sent.Sent != 2 {
		t.Fatalf("the second call: %v %q", sent.Code, sent.Text)
	}
	if s := strings.Join(again.lines, ", "); strings.Contains(s, " 1") || !strings.Contains(s, "confirmed 2") || !strings.Contains(s, "confirmed 3") {
		t.Errorf("journal of the second call: %s", s)
	}
	path, a, err := rest.Finish(time.Now(), "")
	if err != nil || a.Pages != 2 {
		t.Fatalf("%+v, %v", a, err)
	}
	f, err := OpenTIFF(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if p, err := f.Page(1); err != nil || p.Height <= 800 {
		t.Errorf("page 2 came without its header line: %d lines, %v", p.Height, err)
	}
}

// TestCall_RefusedPageGoesAgainAlone: page 2 of 3 is hit each time it is sent; the call goes on, and the next one sends
// that page only, under its own number.
func TestCall_RefusedPageGoesAgainAlone(t *testing.T) {
	image := 0
	cfg := t30test.Config{Choose: func(i t30test.Item) t30test.Fault {
		if i.Kind == "page" {
			if image++; image >= 2 && image <= 4 {
				return t30test.Corrupt
			}
		}
		return t30test.None
	}}
	header := &Header{FromName: "Contoso", FromNumber: "+1 555 0100", Location: time.UTC}
	// White pages do not decode at all when hit; they must be told apart by their height.
	pages := PageList{textLike(1728, 600, imaging.Fine, 1), textLike(1728, 800, imaging.Fine, 2), textLike(1728, 700, imaging.Fine, 3)}
	j, keep := &journal{}, newFolder(t)
	sent, _ := phone(t, cfg, true, NewDocument(DocumentOptions{Pages: pages, Journal: j, Header: header}), NewSink(keep, nil))
	heard := strings.Join(j.lines, ", ")
	if sent.Code != t30.CodePageRefused || sent.Sent != 2 || !strings.Contains(heard, "refused 2") || !strings.Contains(heard, "confirmed 3") || strings.Contains(heard, "confirmed 2") {
		t.Fatalf("sent %d pages, %v %q; journal %s", sent.Sent, sent.Code, sent.Text, heard)
	}
	again, rest := &journal{}, newFolder(t)
	sent, got := phone(t, t30test.Config{}, true, NewDocument(DocumentOptions{Pages: pages, Only: []int{2}, Journal: again, Header: header}), NewSink(rest, nil))
	if !sent.OK() || !Complete(got) || sent.Sent != 1 || strings.Join(again.lines, ", ") != "started 2, sent 2, confirmed 2" {
		t.Fatalf("the second call: %v %q; journal %v", sent.Code, sent.Text, again.lines)
	}
}

// TestCall_EveryFormat: each resolution and width of T.30 Table 2 arrives pel by pel, its resolution in the file.
func TestCall_EveryFormat(t *testing.T) {
	for _, e := range resolutions {
		for _, w := range []t30.Width{t30.WidthA4, t30.WidthB4, t30.WidthA3} {
			for _, noECM := range []bool{false, true} {
				pels := t30.PageFormat{Resolution: e.res, Width: w}.Pels()
				pages := PageList{textLike(pels, 300, e.dpi, uint64(pels))}
				keep := newFolder(t)
				sent, got := phone(t, t30test.Config{}, noECM, NewDocument(DocumentOptions{Pages: pages}), NewSink(keep, nil))
				if !sent.OK() || !Complete(got) || got.Format.Resolution != e.res || got.Format.Width != w {
					t.Errorf("%v, width %v, no ECM %v: %v %q as %+v", e.res, w, noECM, sent.Code, sent.Text, got.Format)
					continue
				}
				path, _, err := keep.Finish(time.Now(), "")
				if err != nil {
					t.Fatal(err)
				}
				wantTIFF(t, path, pages)
			}
		}
	}
}

// TestCall_LongPage: a page of 3 m arrives whole.
func TestCall_LongPage(t *testing.T) {
	pages, keep := PageList{textLike(1728, 23000, imaging.Fine, 1)}, newFolder(t)
	sent, got := phone(t, t30test.Config{}, false, NewDocument(DocumentOptions{Pages: pages}), NewSink(keep, nil))
	if !sent.OK() || !Complete(got) || got.Format.Length != t30.LengthUnlimited {
		t.Fatalf("%v %q, %+v", sent.Code, sent.Text, got.Format)
	}
	path, _, err := keep.Finish(time.Now(), "")
	if err != nil {
		t.Fatal(err)
	}
	wantTIFF(t, path, pages)
}

// FuzzReceive feeds a page writer with any data: it must neither panic nor keep more than it was given, and what it
// keeps must assemble or be ErrNoPages.
func FuzzReceive(f *testing.F) {
	for _, c := range []t30.Coding{t30.MH, t30.MR, t30.MMR} {
		format := t30.PageFormat{Resolution: t30.Standard, Width: t30.WidthA4, Coding: c}
		data, err := t4.Append(nil, textLike(1728, 60, imaging.Standard, 1).Bitmap, lineFormatOf(format))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(c), data)
		f.Add(uint8(c), data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, c uint8, data []byte) {
		coding := t30.Coding(1 << (c % 3))
		keep := &memory{}
		sink := NewSink(keep, nil)
		w, err := sink.BeginPage(t.Context(), t30.Remote{}, t30.PageFormat{Resolution: t30.Standard, Width: t30.WidthA4, Coding: coding})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := w.Write(data); n != len(data) || err != nil {
			t.Fatal(n, err)
		}
		if err := w.Finish(t.Context(), t30.Partial); err != nil {
			t.Fatal(err)
		}
		for _, p := range sink.Pages() {
			if p.Lines == 0 || p.Octets != int64(len(data)) {
				t.Errorf("%+v of %d octets", p, len(data))
			}
			if _, err := Assemble(io.Discard, []Page{p}, func(string) (io.ReadCloser, error) { return io.NopCloser(&keep.Buffer), nil }, tiff.Meta{}); err != nil {
				t.Errorf("kept, but does not assemble: %v", err)
			}
		}
	})
}

// memory is a Keeper of one page without a disk.
type memory struct{ bytes.Buffer }

func (m *memory) Create() (File, error)               { return m, nil }
func (m *memory) PutPage(t30.Remote, int, Page) error { return nil }
func (m *memory) DropPage(int) error                  { return nil }
func (m *memory) Name() string                        { return "memory" }
func (m *memory) Publish() error                      { return nil }
func (m *memory) Close() error                        { return nil }
func (m *memory) Abort() error                        { return nil }
