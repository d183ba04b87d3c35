package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/send"
	"github.com/tipring/tipring/t30"
)

// noise is a page that no coding makes small: about lines x 220 octets.
func noise(seed uint64, lines int) *imaging.Bitmap {
	bm := imaging.New(1728, lines)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for y := range lines {
		for i := range bm.Row(y) {
			bm.Row(y)[i] = rnd.Uint64() & rnd.Uint64() & rnd.Uint64()
		}
	}
	return bm
}

// receivePages puts a fax of these pages into the spool.
func (b *bench) receivePages(list ...*imaging.Bitmap) queue.Fax {
	b.t.Helper()
	k := b.g.NewKeeper(queue.NewFax{Line: "one", Caller: "5550142"})
	sink := call.NewSink(k, nil)
	for _, bm := range list {
		data, err := t4.Append(nil, bm, t4.Line(imaging.MMR, imaging.Fine))
		if err != nil {
			b.t.Fatal(err)
		}
		w, err := sink.BeginPage(b.t.Context(), t30.Remote{ID: "+1 555 0142"}, t30.PageFormat{Resolution: t30.Fine, Width: t30.WidthA4, Coding: t30.MMR})
		if err == nil {
			_, err = w.Write(data)
		}
		if err == nil {
			err = w.Finish(b.t.Context(), t30.Good)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	fax, ok, err := k.Finish(t30.Report{Code: t30.CodeOK, Received: len(list)})
	if err != nil || !ok {
		b.t.Fatal(ok, err)
	}
	return fax
}

// smallServer is a mail server that takes mails of a size at most, and says so unless quiet.
type smallServer struct {
	max   int64
	quiet bool
	addr  string
	mu    sync.Mutex
	mails []sent
	over  int // larger mails it was offered
}

func newSmallServer(t *testing.T, max int64, quiet bool) *smallServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &smallServer{max: max, quiet: quiet, addr: l.Addr().String()}
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &smallSession{s: s}, nil }))
	srv.Domain = "small.example"
	if !quiet {
		srv.MaxMessageBytes = max
	}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return s
}

type smallSession struct {
	s  *smallServer
	to []string
}

func (s *smallSession) Reset()                             { s.to = nil }
func (*smallSession) Logout() error                        { return nil }
func (*smallSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *smallSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *smallSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	if int64(len(text)) > s.s.max {
		s.s.over++
		return &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}, Message: "too big"}
	}
	s.s.mails = append(s.s.mails, sent{to: slices.Clone(s.to), text: string(text)})
	return nil
}

// through sends the bench's mail to a real server.
func through(t *testing.T, addr string) func(*Options) {
	t.Helper()
	s, err := send.New(send.Config{Name: "small", Hostname: "box.example", Host: addr, TLS: send.NoTLS}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.Deliver, o.FaxType = s.Deliver, control.TIFF }
}

// pagesOf reads the pages of all parts, in the order of their page numbers.
func pagesOf(t *testing.T, mails []sent) (list []*imaging.Bitmap, ids []string) {
	t.Helper()
	byName := map[string]string{}
	for _, s := range mails {
		m, files := s.parsed(t)
		ids = append(ids, m.MessageID)
		for name, data := range files {
			if !strings.HasSuffix(name, ".tif") {
				continue
			}
			if _, twice := byName[name]; twice {
				t.Errorf("%s came twice", name)
			}
			byName[name] = data
		}
	}
	var names []string
	for n := range byName {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		number := func(s string) (n int) {
			_, after, _ := strings.Cut(s, "pages-")
			fmt.Sscan(strings.SplitN(after, "-", 2)[0], &n)
			return n
		}
		return number(a) - number(b)
	})
	for _, n := range names {
		f, err := tiff.Open(strings.NewReader(byName[n]), int64(len(byName[n])))
		if err != nil {
			t.Fatal(err)
		}
		for i := range f.NumPages() {
			p, _, err := f.Decode(i + 1)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, p.Bitmap)
		}
	}
	return list, ids
}

// workAll lets everything be delivered, retries too.
func (b *bench) workAll() {
	b.t.Helper()
	for range 20 {
		b.work()
		if len(b.unsent()) == 0 {
			return
		}
		if _, err := b.q.ReleaseOuts(); err != nil {
			b.t.Fatal(err)
		}
	}
	b.t.Fatalf("not all is delivered: %+v", b.unsent())
}

// A fax larger than the server takes arrives in parts, every pel of it, whoever knows of the limit: we, the server's SIZE, or
// nothing but its refusal.
func TestParts_ArriveWhole(t *testing.T) {
	var pages []*imaging.Bitmap
	for i := range 12 {
		pages = append(pages, noise(uint64(i), 100+300*(i%3)))
	}
	const limit = 300 << 10
	for name, c := range map[string]struct {
		known int64
		quiet bool
	}{"configured": {limit, false}, "SIZE": {0, false}, "refused": {0, true}, "configured too large": {2 * limit, true}} {
		t.Run(name, func(t *testing.T) {
			srv := newSmallServer(t, limit, c.quiet)
			b := newBench(t, func(o *Options) { through(t, srv.addr)(o); o.MaxMail, o.Picture = c.known, true })
			fax := b.receivePages(pages...)
			b.deliverTo(fax, "desk@example.org", "copy@example.org")
			b.workAll()
			got, ids := pagesOf(t, srv.mails)
			if len(got) != len(pages) || len(srv.mails) < 3 {
				t.Fatalf("%d pages in %d mails", len(got), len(srv.mails))
			}
			for i := range got {
				if !got[i].Equal(pages[i]) {
					t.Errorf("page %d differs", i+1)
				}
			}
			slices.Sort(ids)
			if len(slices.Compact(ids)) != len(srv.mails) {
				t.Errorf("Message-IDs: %v", ids)
			}
			for _, m := range srv.mails {
				if len(m.to) != 2 {
					t.Errorf("part to %v", m.to)
				}
				wantWords(t, m.body(t), "The fax is too large for one mail", "part ", "12 pages")
			}
			if f, err := b.q.Fax(fax.ID); err != nil || f.Delivered.IsZero() {
				t.Errorf("%+v, %v", f, err)
			}
			if c.known == limit && srv.over > 0 {
				t.Errorf("%d mails were too large", srv.over)
			}
		})
	}
}

// A page that is too large alone comes coarser, says so, and stays to be fetched as it came.
func TestParts_PageTooLarge(t *testing.T) {
	srv := newSmallServer(t, 200<<10, false)
	b := newBench(t, func(o *Options) { through(t, srv.addr)(o); o.MaxMail = 200 << 10 })
	fax := b.receivePages(noise(1, 100), noise(2, 1500), noise(3, 100))
	b.deliverTo(fax, "desk@example.org")
	b.workAll()
	got, _ := pagesOf(t, srv.mails)
	if len(srv.mails) != 3 || len(got) != 3 || got[0].Width != 1728 || got[2].Width != 1728 || got[1].Width >= 1728 {
		t.Fatalf("%d mails, %d pages", len(srv.mails), len(got))
	}
	if !slices.ContainsFunc(srv.mails, func(m sent) bool {
		return strings.Contains(m.body(t), "coarser resolution") && strings.Contains(m.body(t), "until it is fetched")
	}) {
		t.Error("nobody is told of the coarse page")
	}
	if f, err := b.q.Fax(fax.ID); err != nil || !f.Delivered.IsZero() || f.Told.IsZero() {
		t.Errorf("the fax does not wait to be fetched: %+v, %v", f, err)
	}
}

// What fits in no way is told of and stays.
func TestParts_PageWithheld(t *testing.T) {
	srv := newSmallServer(t, 40<<10, false)
	b := newBench(t, func(o *Options) { through(t, srv.addr)(o); o.MaxMail = 40 << 10 })
	fax := b.receivePages(noise(2, 6000))
	b.deliverTo(fax, "desk@example.org")
	b.workAll()
	if len(srv.mails) != 1 {
		t.Fatalf("%d mails", len(srv.mails))
	}
	wantWords(t, srv.mails[0].body(t), "not in this one", "until it is fetched")
	if f, err := b.q.Fax(fax.ID); err != nil || !f.Delivered.IsZero() || f.Told.IsZero() {
		t.Errorf("%+v, %v", f, err)
	}
}

// The program ends between any two steps: each page arrives once all the same.
func TestParts_OverRestarts(t *testing.T) {
	pages := []*imaging.Bitmap{noise(1, 400), noise(2, 400), noise(3, 400), noise(4, 400)}
	srv := newSmallServer(t, 200<<10, true)
	change := func(o *Options) { through(t, srv.addr)(o); o.MaxMail = 0 }
	b := newBench(t, change)
	fax := b.receivePages(pages...)
	b.deliverTo(fax, "desk@example.org")
	for range 30 {
		o, ok, err := b.q.NextOut(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if f, _ := b.q.Fax(fax.ID); !f.Delivered.IsZero() {
			t.Fatal("delivered although mail is left")
		}
		if err := b.g.deliver(t.Context(), o); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		dir := b.st.Dir()
		if err := b.st.Close(); err != nil {
			t.Fatal(err)
		}
		b.open(dir, change)
	}
	got, _ := pagesOf(t, srv.mails)
	if len(got) != len(pages) {
		t.Fatalf("%d pages in %d mails", len(got), len(srv.mails))
	}
	for i := range got {
		if !got[i].Equal(pages[i]) {
			t.Errorf("page %d differs", i+1)
		}
	}
	if f, err := b.q.Fax(fax.ID); err != nil || f.Delivered.IsZero() {
		t.Errorf("%+v, %v", f, err)
	}
	if err := b.q.DeleteFax(fax.ID); err != nil || len(b.unsent()) != 0 {
		t.Errorf("%v, %+v", err, b.unsent())
	}
}

// One mailbox takes the fax whole and the other does not: nobody gets anything twice.
func TestParts_OneOfTwoRecipients(t *testing.T) {
	b := newBench(t, func(o *Options) { o.FaxType = control.TIFF })
	b.replies["small@example.org"] = []smtpstack.Reply{{Code: 552, Enhanced: "5.3.4", Text: "too big"}}
	fax := b.receivePages(noise(1, 300), noise(2, 300))
	b.deliverTo(fax, "large@example.org", "small@example.org")
	b.workAll()
	count := map[string]int{}
	for _, m := range b.mails {
		for _, to := range m.to {
			count[to]++
		}
	}
	if count["large@example.org"] != 1 || count["small@example.org"] != 2 {
		t.Errorf("%v", count)
	}
	if f, err := b.q.Fax(fax.ID); err != nil || f.Delivered.IsZero() {
		t.Errorf("%+v, %v", f, err)
	}
}

// Deleting a fax drops all its parts.
func TestParts_DeletedByHand(t *testing.T) {
	b := newBench(t, func(o *Options) { o.MaxMail = 100 << 10 })
	fax := b.receivePages(noise(1, 300), noise(2, 300), noise(3, 300))
	b.deliverTo(fax, "desk@example.org")
	b.replies["desk@example.org"] = []smtpstack.Reply{later, later, later}
	b.work()
	if n := len(b.unsent()); n != 3 {
		t.Fatalf("%d parts", n)
	}
	if err := b.q.DeleteFax(fax.ID); err != nil || len(b.unsent()) != 0 {
		t.Errorf("%v, %+v", err, b.unsent())
	}
}

func TestCoarsePage_KeepsTheProportions(t *testing.T) {
	var file bytes.Buffer
	w := tiff.NewWriter(&file, tiff.Meta{})
	if err := w.AddPage(imaging.Page{Bitmap: noise(1, 1000), Resolution: imaging.Fine}, t4.File(imaging.MMR, imaging.Fine)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := tiff.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for times, want := range map[int][2]int{1: {864, 500}, 2: {432, 250}} {
		c, err := coarsePage(f, 1, times)
		if err != nil || c.Width != want[0] || c.Height < want[1]*99/100 || c.Height > want[1]*101/100 {
			t.Errorf("%d: %d x %d, %v", times, c.Width, c.Height, err)
		}
	}
}
