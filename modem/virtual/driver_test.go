package virtual_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/phone"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// These tests let the product's own driver and T.30 engine, which share no code with this package, work its modems, in
// virtual time.

const callerNumber, calleeNumber = "5550100", "5550101"

// office is an exchange with two modems and the driver on both.
type office struct {
	t              *testing.T
	ex             *virtual.Exchange
	vm             [2]*virtual.Modem
	caller, callee *modem.Modem
	images         []virtual.Event // signals that carried a page
}

func newOffice(t *testing.T, o virtual.Options) *office {
	t.Helper()
	f := &office{t: t}
	o.Trace = func(e virtual.Event) {
		if e.Kind == virtual.EventSignal && e.Page > 0 {
			f.images = append(f.images, e)
		}
	}
	f.ex = virtual.NewExchange(o)
	f.vm[0], f.caller = f.open(callerNumber)
	f.vm[1], f.callee = f.open(calleeNumber)
	return f
}

func (f *office) open(number string) (*virtual.Modem, *modem.Modem) {
	f.t.Helper()
	vm := f.ex.NewModem(number, virtual.ModemOptions{CallerID: true})
	port, err := vm.Open()
	if err != nil {
		f.t.Fatal(err)
	}
	m, err := modem.New(f.t.Context(), port, modem.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	return vm, m
}

func (f *office) close() {
	f.t.Helper()
	if n := f.vm[0].Stats().Underruns + f.vm[1].Stats().Underruns; n > 0 {
		f.t.Errorf("the driver let a page run dry %d times", n)
	}
	for _, m := range []*modem.Modem{f.caller, f.callee} {
		if err := m.Close(); err != nil {
			f.t.Error(err)
		}
	}
	if err := f.ex.Close(); err != nil {
		f.t.Error(err)
	}
}

// call runs one call and returns both reports.
func (f *office) call(from, to *modem.Modem, number string, out, in t30.Session) (sent, got t30.Report) {
	f.t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		ring, err := to.WaitCall(f.t.Context())
		if err != nil {
			f.t.Errorf("waiting for the call: %v", err)
			return
		}
		if got, err = ring.Answer(f.t.Context(), t30.AnswerFax, in); err != nil {
			f.t.Errorf("answering side: %v", err)
		}
	})
	sent, err := from.Call(f.t.Context(), number, out)
	if err != nil {
		f.t.Errorf("calling side: %v", err)
	}
	wg.Wait()
	return sent, got
}

// fax sends doc from the caller to the callee.
func (f *office) fax(doc *t30test.Document, rate int, noECM bool) (sent, got t30.Report, kept [][]byte) {
	f.t.Helper()
	sink := &t30test.Sink{}
	sent, got = f.call(f.caller, f.callee, calleeNumber,
		t30.Session{Me: t30.Station{ID: "1"}, Send: t30test.Docs(doc), NoECM: noECM, Limit: t30.Capabilities{MaxRate: rate}},
		t30.Session{Me: t30.Station{ID: "2"}, Sink: sink, NoECM: noECM})
	return sent, got, sink.Kept()
}

func samePages(t *testing.T, doc *t30test.Document, kept [][]byte) {
	t.Helper()
	if len(kept) != len(doc.Pages) {
		t.Fatalf("%d pages kept, want %d", len(kept), len(doc.Pages))
	}
	for i, p := range doc.Pages {
		if !bytes.Equal(kept[i], bytes.TrimRight(p.Data, "\x00")) {
			t.Errorf("page %d differs: %d octets, want %d", i+1, len(kept[i]), len(p.Data))
		}
	}
}

// TestDriver_EveryRateBothWays: a fax from one to the other and one back, then one call that sends a document and polls
// another, so that the answering side transmits too.
func TestDriver_EveryRateBothWays(t *testing.T) {
	for _, rate := range []int{14400, 12000, 9600, 7200, 4800, 2400} {
		for _, noECM := range []bool{false, true} {
			t.Run(fmt.Sprint(rate, " ecm ", !noECM), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newOffice(t, virtual.Options{Delay: 30 * time.Millisecond})
					defer f.close()
					limit := t30.Capabilities{MaxRate: rate}
					for i, way := range []struct {
						from, to *modem.Modem
						number   string
					}{{f.caller, f.callee, calleeNumber}, {f.callee, f.caller, callerNumber}} {
						there, back := t30test.NewDocument(uint64(rate+i), 2, 200), t30test.NewDocument(uint64(rate+i+2), 1, 200)
						thereSink, backSink := &t30test.Sink{}, &t30test.Sink{}
						out := t30.Session{Me: t30.Station{ID: "1"}, Send: t30test.Docs(there), NoECM: noECM, Limit: limit, Sink: backSink, Poll: &t30.Poll{}}
						in := t30.Session{Me: t30.Station{ID: "2"}, Send: t30test.Docs(back), NoECM: noECM, Limit: limit, Sink: thereSink}
						sent, got := f.call(way.from, way.to, way.number, out, in)
						if !sent.OK() || !got.OK() || sent.Sent != 2 || sent.Received != 1 || got.Sent != 1 || got.Received != 2 {
							t.Fatalf("caller %v %q, answerer %v %q: %+v", sent.Code, sent.Text, got.Code, got.Text, sent)
						}
						if sent.Modulation.Rate != rate || sent.ECM != !noECM || sent.Remote.ID == "" || got.Remote.ID == "" {
							t.Errorf("caller's report %+v", sent)
						}
						samePages(t, there, thereSink.Kept())
						samePages(t, back, backSink.Kept())
					}
				})
			})
		}
	}
}

// TestDriver_LineFaults: what is wrong with the line, and what the engine makes of it.
func TestDriver_LineFaults(t *testing.T) {
	const pages = 3
	for _, c := range []struct {
		name   string
		faults virtual.Faults
		noECM  bool
		rate   int // of the last carrier, at most; 0: not checked
		again  int // carriers with a page beyond one a page, at least
	}{
		{"training limit, ecm", virtual.Faults{TrainRate: 7200}, false, 7200, 0},
		{"training limit, no ecm", virtual.Faults{TrainRate: 4800}, true, 4800, 0},
		{"bit errors, ecm", virtual.Faults{BER: 3e-5, Seed: 1}, false, 0, pages},
		{"hit, ecm", virtual.Faults{Hits: []virtual.Hit{{Page: 2, At: time.Second, Length: time.Second}}}, false, 14400, 1},
		{"hits in every first try, no ecm", virtual.Faults{Hits: []virtual.Hit{{Page: 1, At: 0, Length: 9 * time.Second}}}, true, 12000, 1},
		{"bit errors in control frames", virtual.Faults{ControlBER: 5e-4, Seed: 2}, true, 0, 0},
		{"training limit and bit errors, ecm", virtual.Faults{TrainRate: 9600, BER: 2e-5, Seed: 3}, false, 9600, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newOffice(t, virtual.Options{Delay: 10 * time.Millisecond, Faults: c.faults})
				defer f.close()
				doc := t30test.NewDocument(7, pages, 600)
				sent, got, kept := f.fax(doc, 0, c.noECM)
				if !sent.OK() || !got.OK() || sent.Sent != pages || got.Received != pages {
					t.Fatalf("sent %v %q %d, received %v %q %d", sent.Code, sent.Text, sent.Sent, got.Code, got.Text, got.Received)
				}
				samePages(t, doc, kept)
				if c.rate > 0 && sent.Modulation.Rate != c.rate {
					t.Errorf("%v in the end, want %d", sent.Modulation, c.rate)
				}
				if n := len(f.images); n < pages+c.again {
					t.Errorf("%d carriers for %d pages, want %d more", n, pages, c.again)
				}
			})
		})
	}
}

// TestDriver_BitErrorsWithoutECM: pages with bad lines are accepted, refused or sent again at a lower rate; both sides
// must agree on which.
func TestDriver_BitErrorsWithoutECM(t *testing.T) {
	poor, lower := 0, 0
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newOffice(t, virtual.Options{Faults: virtual.Faults{BER: 1.5e-4, TrainRate: 9600, Seed: seed}})
				defer f.close()
				doc := t30test.NewDocument(seed, 2, 400)
				sent, got, kept := f.fax(doc, 0, true)
				if sent.Sent != len(doc.ConfirmedPages()) || got.Received != len(kept) {
					t.Errorf("reports tell %d and %d pages, documents %d and %d", sent.Sent, got.Received, len(doc.ConfirmedPages()), len(kept))
				}
				if sent.Sent > got.Received {
					t.Errorf("%d pages confirmed, %d kept", sent.Sent, got.Received)
				}
				if sent.OK() != (sent.Sent == 2) || sent.Modulation.Rate > 9600 {
					t.Errorf("%v %q, %d pages, %v", sent.Code, sent.Text, sent.Sent, sent.Modulation)
				}
				poor += sent.SentPoor
				if sent.Modulation.Rate < 9600 {
					lower++
				}
			})
		})
	}
	if poor == 0 || lower == 0 {
		t.Errorf("%d poor pages, %d calls at a lower rate: the errors did nothing", poor, lower)
	}
}

func TestDriver_Drops(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults virtual.Faults
		code   t30.Code
		pages  int // confirmed
	}{
		{"no rate trains", virtual.Faults{TrainRate: 1200}, t30.CodeTraining, 0},
		{"in phase B", virtual.Faults{DropAfter: 12 * time.Second}, t30.CodeHungUpB, 0},
		{"in page 1", virtual.Faults{DropPage: 1, DropPageAfter: 2 * time.Second}, t30.CodeHungUpC, 0},
		{"in page 2", virtual.Faults{DropPage: 2, DropPageAfter: time.Second}, t30.CodeHungUpC, 1},
		{"at the beginning of page 3", virtual.Faults{DropPage: 3}, t30.CodeHungUpC, 2},
	} {
		for _, noECM := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, " ecm ", !noECM), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newOffice(t, virtual.Options{Faults: c.faults})
					defer f.close()
					doc := t30test.NewDocument(9, 3, 400)
					sent, got, kept := f.fax(doc, 0, noECM)
					if sent.Code != c.code || sent.Sent != c.pages {
						t.Errorf("sent %v %q, %d pages, want %v and %d", sent.Code, sent.Text, sent.Sent, c.code, c.pages)
					}
					if got.OK() || got.Received != c.pages {
						t.Errorf("received %v %q, %d pages", got.Code, got.Text, got.Received)
					}
					if len(kept) < c.pages {
						t.Fatalf("%d pages kept", len(kept))
					}
					for i := range c.pages {
						if !bytes.Equal(kept[i], doc.Pages[i].Data) {
							t.Errorf("page %d differs", i+1)
						}
					}
					f.ex.SetFaults(virtual.Faults{})
					next := t30test.NewDocument(10, 1, 50) // the modems are good for another call
					sent, _, kept = f.fax(next, 0, noECM)
					if !sent.OK() {
						t.Fatalf("the call after it: %v %q", sent.Code, sent.Text)
					}
					samePages(t, next, kept)
				})
			})
		}
	}
}

// TestDriver_LostInAPage: the telephone line or the modem itself is taken away in the middle of a page.
func TestDriver_LostInAPage(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(*virtual.Modem)
		code t30.Code
	}{
		{"line", func(m *virtual.Modem) { m.CutLine(true) }, t30.CodeHungUpC},
		{"modem", (*virtual.Modem).Unplug, t30.CodeModem},
	} {
		for side := range 2 {
			t.Run(fmt.Sprint(c.name, " of side ", side), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newOffice(t, virtual.Options{})
					defer f.ex.Close()
					defer f.caller.Close()
					defer f.callee.Close()
					doc, sink := t30test.NewDocument(12, 1, 2000), &t30test.Sink{}
					var reports [2]t30.Report
					var errs [2]error
					var wg sync.WaitGroup
					wg.Go(func() {
						ring, err := f.callee.WaitCall(t.Context())
						if err != nil {
							t.Error(err)
							return
						}
						reports[1], errs[1] = ring.Answer(t.Context(), t30.AnswerFax, t30.Session{Sink: sink})
					})
					time.AfterFunc(45*time.Second, func() { c.lose(f.vm[side]) })
					reports[0], errs[0] = f.caller.Call(t.Context(), calleeNumber, t30.Session{Send: t30test.Docs(doc)})
					wg.Wait()
					if reports[side].Code != c.code || (errs[side] != nil) != (c.code == t30.CodeModem) {
						t.Errorf("side that lost it: %v %q, error %v", reports[side].Code, reports[side].Text, errs[side])
					}
					if r := reports[1-side]; r.OK() || r.Sent+r.Received > 0 || errs[1-side] != nil {
						t.Errorf("other side: %v %q, error %v", r.Code, r.Text, errs[1-side])
					}
				})
			})
		}
	}
}

// TestDriver_CanceledInAPage: the driver's abort ends the call at once, and the far end notices.
func TestDriver_CanceledInAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newOffice(t, virtual.Options{})
		defer f.close()
		ctx, cancel := context.WithCancel(t.Context())
		doc, sink := t30test.NewDocument(11, 1, 2000), &t30test.Sink{}
		var got t30.Report
		var wg sync.WaitGroup
		wg.Go(func() {
			ring, err := f.callee.WaitCall(t.Context())
			if err == nil {
				got, err = ring.Answer(t.Context(), t30.AnswerFax, t30.Session{Sink: sink})
			}
			if err != nil {
				t.Error(err)
			}
		})
		time.AfterFunc(45*time.Second, cancel)
		start := time.Now()
		sent, _ := f.caller.Call(ctx, calleeNumber, t30.Session{Send: t30test.Docs(doc)})
		wg.Wait()
		if took := time.Since(start); took < 45*time.Second || took > 90*time.Second {
			t.Errorf("both ends were on hook after %v", took)
		}
		if sent.Code != t30.CodeCanceled || sent.Sent != 0 || got.OK() || got.Received != 0 {
			t.Errorf("sent %v %q, received %v %q %d", sent.Code, sent.Text, got.Code, got.Text, got.Received)
		}
	})
}

// TestDriver_Class10Codes: pages full of octets that Class 1.0 shields in its own way arrive unchanged, with +FLO=1 too.
func TestDriver_Class10Codes(t *testing.T) {
	page := func() []byte {
		p := t30test.MakePage(1, 200)
		for i := range p {
			p[i] = [...]byte{0x10, 0x10, 0x11, 0x13, 0x10, 0x51, 0x53, 0x1a}[p[i]%8]
		}
		return p
	}
	for _, init := range []string{"+FLO=0", "+FLO=1"} {
		synctest.Test(t, func(t *testing.T) {
			s := switchOff{class: "1.0", in: "1.0", line: phone.Config{Init: init}, pages: page}
			s.try = func(b *bench) bool {
				for _, back := range []bool{false, true} {
					doc := b.document(1)
					if c := b.call(back, doc, t30.AnswerFax, allGood); !c.whole(doc) {
						return false
					}
				}
				return true
			}
			if ok, _ := s.run(t, "generic", false); !ok {
				t.Errorf("%s: the fax is not whole", init)
			}
		})
	}
}
