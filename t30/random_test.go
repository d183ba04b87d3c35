package t30_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

var (
	seeds    = flag.Uint64("seeds", 500, "random lines to call over")
	seedFrom = flag.Uint64("seed", 1, "the first of them")
)

// randomCall is what one seed makes of a call.
type randomCall struct {
	talk
	ecm          bool
	there, back  []*t30test.Document // sent; polled
	sinkB, sinkA *t30test.Sink       // of the answerer, of the caller
	diskFails    bool
	disk         time.Duration // the slowest step of the answerer's disk
}

// one picks.
func one[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// makeRandom makes a call of a seed. Each seed has its own mix of faults: many have only a few kinds.
func makeRandom(seed uint64) *randomCall {
	r := rand.New(rand.NewPCG(seed, 0xfa47))
	c := &randomCall{ecm: r.IntN(2) == 0, sinkA: &t30test.Sink{}, sinkB: &t30test.Sink{}}
	// Without ECM a page has no number: one that nobody heard and that lasts less than about 2 s cannot be told from the pause before
	// a repeated command (see repeatFrom). Pages as short as that only go with ECM.
	sizes := []int{200, 300, 1000, 2500}
	if c.ecm {
		sizes[0] = 20
	}
	c.there = randomDocs(r, seed*100, r.IntN(4), sizes)
	if r.IntN(4) == 0 || len(c.there) == 0 {
		c.back = randomDocs(r, seed*100+50, 1+r.IntN(2), sizes)
	}
	chance := func() float64 { return one(r, 0, 0, 0, .02, .05, .15) }
	cfg := t30test.Config{
		Seed: seed, DropFrame: chance(), CorruptFrame: chance(), CorruptPage: chance(), CutCarrier: chance(), DropCarrier: chance(),
		HangUp: one(r, 0, 0, .01, .03), Delay: time.Duration(r.IntN(13)) * 50 * time.Millisecond,
		MaxRate: one(r, 0, 0, 0, 9600, 4800, 2400, 1200),
	}
	if r.IntN(8) == 0 { // nothing but noise in the pages
		cfg = t30test.Config{Seed: seed, Delay: cfg.Delay}
	}
	c.disk = one(r, 0, 0, 0, 0, time.Second, 4*time.Second, 20*time.Second, 90*time.Second)
	c.sinkB.FinishDelay, c.sinkB.SyncDelay = c.disk, one(r, 0, c.disk)
	c.talk = sending(cfg, c.sinkB, c.there...)
	if len(c.there) == 0 {
		c.caller.Send = nil
	}
	if len(c.back) > 0 {
		c.caller.Poll, c.caller.Sink, c.answer.Send = &t30.Poll{}, c.sinkA, t30test.Docs(c.back...)
	}
	if r.IntN(16) == 0 {
		c.diskFails = true
		c.answer.Sink = &failingSink{PageSink: c.sinkB, at: 1 + r.IntN(40)}
	}
	c.caller.NoECM, c.answer.NoECM = !c.ecm && r.IntN(2) == 0, false
	c.answer.NoECM = !c.ecm && !c.caller.NoECM
	c.answer.Limit.ECM64 = r.IntN(4) == 0
	c.caller.Limit.MaxRate = one(r, 0, 0, 0, 9600, 4800)
	c.limit = 4 * time.Hour
	noise := one(r, 0, 0, 1e-5, 1e-4, 3e-4, 1e-3)
	c.lines = func(a, b t30.Line) (t30.Line, t30.Line) {
		return &spoilt{Line: a, r: rand.New(rand.NewPCG(seed, 1)), p: noise}, &spoilt{Line: b, r: rand.New(rand.NewPCG(seed, 2)), p: noise}
	}
	return c
}

func randomDocs(r *rand.Rand, seed uint64, n int, sizes []int) (docs []*t30test.Document) {
	for i := range n {
		d := t30test.NewDocument(seed+uint64(i), 1+r.IntN(3), one(r, sizes...))
		if last := len(d.Pages) - 1; last > 0 && r.IntN(4) == 0 {
			d.Pages[last].Format.Resolution = t30.Standard // EOM inside it
		}
		docs = append(docs, d)
	}
	return docs
}

// spoilt spoils single octets of the pages that it receives; a block's frames keep their FCS.
type spoilt struct {
	t30.Line
	r *rand.Rand
	p float64 // of an octet
}

// ReceivePage implements t30.Line.
func (n *spoilt) ReceivePage(ctx context.Context, m t30.Modulation, wait time.Duration, w io.Writer) error {
	return n.Line.ReceivePage(ctx, m, wait, writerFunc(func(b []byte) (int, error) {
		b = bytes.Clone(b)
		for i := range b {
			if n.r.Float64() < n.p {
				b[i] ^= byte(1 + n.r.IntN(255))
			}
		}
		return w.Write(b)
	}))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

var errDisk = errors.New("disk full")

// failingSink fails from its nth step on.
type failingSink struct {
	t30.PageSink
	mu sync.Mutex
	at int
}

func (s *failingSink) step() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at--; s.at <= 0 {
		return errDisk
	}
	return nil
}

// BeginPage implements t30.PageSink.
func (s *failingSink) BeginPage(ctx context.Context, far t30.Remote, f t30.PageFormat) (t30.PageWriter, error) {
	if err := s.step(); err != nil {
		return nil, err
	}
	w, err := s.PageSink.BeginPage(ctx, far, f)
	return &failingWriter{w, s}, err
}

type failingWriter struct {
	t30.PageWriter
	s *failingSink
}

func (w *failingWriter) Write(b []byte) (int, error) {
	if err := w.s.step(); err != nil {
		return 0, err
	}
	return w.PageWriter.Write(b)
}

func (w *failingWriter) Sync(ctx context.Context) error {
	if err := w.s.step(); err != nil {
		return err
	}
	return w.PageWriter.Sync(ctx)
}

func (w *failingWriter) Finish(ctx context.Context, v t30.Verdict) error {
	if err := w.s.step(); err != nil {
		return errors.Join(err, w.PageWriter.Finish(ctx, t30.Discard))
	}
	return w.PageWriter.Finish(ctx, v)
}

// TestCall_RandomFaults holds the promises over lines at their worst. 10,000 in `make soak`; a seed replays with
// go test -run RandomFaults -seed N -seeds 1.
func TestCall_RandomFaults(t *testing.T) {
	whole, failed := 0, 0
	for seed := *seedFrom; seed < *seedFrom+*seeds && failed < 10; seed++ {
		ok := t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			c := makeRandom(seed)
			o := c.run(t)
			if o.sent.Code == t30.CodeOK {
				whole++
			}
			c.check(t, o)
			if t.Failed() {
				t.Logf("ecm %v, disk %v (fails %v), faults %+v", c.ecm, c.disk, c.diskFails, c.cfg)
				o.dump(t)
			}
		})
		if !ok {
			failed++
		}
	}
	t.Logf("%d of %d calls ended well", whole, *seeds)
	if *seeds >= 100 && uint64(whole) < *seeds/10 {
		t.Errorf("only %d of %d calls ended well", whole, *seeds)
	}
}

// check holds both directions against the promises.
func (c *randomCall) check(t *testing.T, o outcome) {
	t.Helper()
	c.checkWay(t, "sent", o.sent, o.got, c.there, c.sinkB, o.callerLog)
	c.checkWay(t, "polled", o.got, o.sent, c.back, c.sinkA, o.answererLog)
	if o.sentErr != nil || o.gotErr != nil && !(errors.Is(o.gotErr, errDisk) && c.diskFails) {
		t.Errorf("faults of our own: %v, %v", o.sentErr, o.gotErr)
	}
	if o.sent.Code == t30.CodeNone || o.got.Code == t30.CodeNone {
		t.Errorf("no outcome: %v, %v", o.sent.Code, o.got.Code)
	}
}

// checkWay holds one direction's pages against what both ends say of them.
func (c *randomCall) checkWay(t *testing.T, way string, sent, got t30.Report, docs []*t30test.Document, sink *t30test.Sink, log []string) {
	t.Helper()
	kept := c.identify(t, way, docs, sink)
	if len(kept) != got.Received {
		t.Errorf("%s: %d pages kept, the receiver's report says %d", way, len(kept), got.Received)
	}
	confirmed := 0
	at := map[pageID]int{} // where it was kept
	for i, id := range kept {
		if _, twice := at[id]; twice && !sentAgain(log, id) {
			t.Errorf("%s: page %v was kept twice", way, id)
		}
		at[id] = i
	}
	last := -1
	for d, doc := range docs {
		pages := doc.ConfirmedPages()
		for _, n := range pages {
			i, ok := at[pageID{d, n}]
			if !ok {
				t.Errorf("%s: page %d of document %d was confirmed and is lost", way, n, d)
			} else if i < last {
				t.Errorf("%s: page %d of document %d was kept out of turn", way, n, d)
			}
			last = max(last, i)
		}
		confirmed += len(pages)
		c.checkEnd(t, way, sent, d, doc, at)
	}
	if sent.Sent != confirmed {
		t.Errorf("%s: %d pages confirmed, the sender's report says %d", way, confirmed, sent.Sent)
	}
	if len(kept) > confirmed+1 {
		t.Errorf("%s: %d pages kept, %d confirmed", way, len(kept), confirmed)
	}
	for i, p := range sink.Pages() {
		if !p.Done {
			t.Errorf("%s: page %d of the sink was never finished", way, i)
		}
	}
}

// checkEnd holds a document's end against its pages.
func (c *randomCall) checkEnd(t *testing.T, way string, sent t30.Report, d int, doc *t30test.Document, at map[pageID]int) {
	t.Helper()
	ends := doc.Ended()
	confirmed, refused := len(doc.ConfirmedPages()), len(doc.RefusedPages())
	switch {
	case len(ends) == 0:
		if confirmed+refused > 0 {
			t.Errorf("%s: document %d has %d confirmed pages, %d refused and no end", way, d, confirmed, refused)
		}
		return
	case len(ends) > 1:
		t.Errorf("%s: document %d ended %d times", way, d, len(ends))
	}
	e := ends[0]
	if (e.Code == t30.CodeOK) != (confirmed == len(doc.Pages)) || e.Sent != confirmed || e.Refused != refused {
		t.Errorf("%s: document %d ended %v with %d of %d pages confirmed, %d refused, its report says %d and %d", way, d, e.Code, confirmed, len(doc.Pages), refused, e.Sent, e.Refused)
	}
	if refused > 0 && confirmed+refused == len(doc.Pages) && e.Code != t30.CodePageRefused && e.Code != t30.CodeECMGivenUp {
		t.Errorf("%s: document %d has refused pages and ended %v", way, d, e.Code)
	}
	through := append(doc.ConfirmedPages(), doc.RefusedPages()...)
	slices.Sort(through)
	for i, n := range through {
		if n != i+1 {
			t.Errorf("%s: document %d: pages %v are through", way, d, through)
			break
		}
	}
	_, kept := at[pageID{d, len(doc.Pages)}]
	if kept && !slices.Contains(doc.ConfirmedPages(), len(doc.Pages)) && !e.Unknown {
		t.Errorf("%s: document %d is there whole, its sender knows nothing of that and says %v", way, d, e.Code)
	}
	if e.Unknown && e.Code == t30.CodeOK {
		t.Errorf("%s: document %d ended well, but unknown", way, d)
	}
	if sent.Code == t30.CodeOK && e.Code != t30.CodeOK && e.Code != t30.CodePageRefused {
		t.Errorf("%s: the call ended well, document %d %v", way, d, e.Code)
	}
}

// pageID names a page: document from 0, page from 1.
type pageID struct{ doc, page int }

// sentAgain tells whether the sender's transcript has the page on the line more than once after it was answered.
func sentAgain(log []string, id pageID) bool {
	n := 0
	for _, l := range log {
		if strings.Contains(l, fmt.Sprintf("> image page %d: ", id.page)) || strings.Contains(l, fmt.Sprintf("> image page %d block 0: ", id.page)) {
			n++
		}
	}
	return n > 1
}

// identify finds out which pages were kept as good or poor, and holds each against what was sent: with ECM to the octet,
// without within the limits of copy quality.
func (c *randomCall) identify(t *testing.T, way string, docs []*t30test.Document, sink *t30test.Sink) (ids []pageID) {
	t.Helper()
	for i, p := range sink.Pages() {
		if !p.Done || p.Verdict != t30.Good && p.Verdict != t30.Poor {
			continue
		}
		data := bytes.TrimRight(p.Data, "\x00")
		best, id := t30.Quality{}, pageID{-1, -1}
		for d, doc := range docs {
			for n, orig := range doc.Pages {
				q := compare(bytes.TrimRight(orig.Data, "\x00"), data)
				if id.doc < 0 || q.BadLines < best.BadLines {
					best, id = q, pageID{d, n + 1}
				}
			}
		}
		if id.doc < 0 {
			t.Errorf("%s: page %d was kept, but none was sent", way, i)
			continue
		}
		orig := bytes.TrimRight(docs[id.doc].Pages[id.page-1].Data, "\x00")
		percent, run := 3, 8 // T.30 leaves the limits to the receiver: these are the engine's for MCF and for RTP
		if p.Verdict == t30.Poor {
			percent, run = 10, 64
		}
		switch {
		case c.ecm && !bytes.Equal(data, orig):
			t.Errorf("%s: page %d of document %d was kept as good with ECM, but differs in %d lines", way, id.page, id.doc, best.BadLines)
		case len(data) != len(orig), best.BadLines*100 > best.Lines*percent, best.LongestBad > run:
			t.Errorf("%s: page %d of document %d was kept as %v with %d octets of %d, %+v", way, id.page, id.doc, p.Verdict, len(data), len(orig), best)
		}
		ids = append(ids, id)
	}
	return ids
}

// compare counts the lines of MakePage that differ.
func compare(want, got []byte) (q t30.Quality) {
	const line = 32
	run := 0
	for at := 0; at < max(len(want), len(got)); at += line {
		q.Lines++
		a, b := want[min(at, len(want)):min(at+line, len(want))], got[min(at, len(got)):min(at+line, len(got))]
		if bytes.Equal(a, b) {
			run = 0
			continue
		}
		q.BadLines++
		run++
		q.LongestBad = max(q.LongestBad, run)
	}
	return q
}
