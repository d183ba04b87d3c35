package virtual_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// The shared suite: what a call has to come to, whatever the service classes of the two modems, in virtual time.

// suiteClasses are the service classes of the suite.
var suiteClasses = []string{"1", "1.0", "2", "2.0", "2.1"}

// suitePairs are the classes of caller and callee: each class with its own, and those in which the modem runs T.30 with Class 1 too,
// both ways.
func suitePairs() (pairs [][2]string) {
	for _, c := range suiteClasses {
		pairs = append(pairs, [2]string{c, c})
		if strings.HasPrefix(c, "2") {
			pairs = append(pairs, [2]string{c, "1"}, [2]string{"1", c})
		}
	}
	return pairs
}

// openDriver opens the product's driver on a virtual modem in a class.
func openDriver(t *testing.T, vm *virtual.Modem, class string) *modem.Modem {
	t.Helper()
	port, err := vm.Open()
	if err != nil {
		t.Fatal(err)
	}
	m, err := modem.New(t.Context(), port, modem.Options{Class: class})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Identity().Class; got != class {
		t.Fatalf("opened in Class %s, want %s", got, class)
	}
	return m
}

// side is one modem of a talk, with its driver and what a call of it came to.
type side struct {
	class string
	vm    *virtual.Modem
	term  *modem.Modem

	s    t30.Session
	rep  t30.Report
	err  error
	ctx  context.Context
	took time.Duration // until its Call or Answer returned

	mu  sync.Mutex
	log []string
}

func (s *side) trace(e t30.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, fmt.Sprintf("%s %s %-5s %s", e.At.Format("04:05.00"), e.Dir, e.Layer, e.Text))
}

// suiteTalk is an exchange with two modems.
type suiteTalk struct {
	t      *testing.T
	ex     *virtual.Exchange
	caller side
	callee side
	gone   bool // a port is gone: closing it may fail
}

func newTalk(t *testing.T, pair [2]string, o virtual.Options, habits ...virtual.LineHabits) *suiteTalk {
	t.Helper()
	k := &suiteTalk{t: t, ex: virtual.NewExchange(o)}
	for i, s := range []*side{&k.caller, &k.callee} {
		s.class, s.ctx = pair[i], t.Context()
		mo := virtual.ModemOptions{CallerID: true, ECM: true,
			Classes: []string{"0", "1", "1.0", "2", "2.0", "2.1"}, Class2Habits: virtual.Class2Habits{ReversedReceive: pair[i] == "2"}}
		for _, h := range habits {
			mo.LineHabits = h
		}
		s.vm = k.ex.NewModem([]string{callerNumber, calleeNumber}[i], mo)
		s.s.Me.ID = []string{"+1 555 0100", "+49 30 5550101"}[i]
		s.s.Trace = s.trace
		s.term = openDriver(t, s.vm, s.class)
	}
	return k
}

func (k *suiteTalk) done() {
	k.t.Helper()
	for _, s := range []*side{&k.caller, &k.callee} {
		if n := s.vm.Stats().Underruns; n > 0 {
			k.t.Errorf("Class %s let a page run dry %d times", s.class, n)
		}
		if err := s.term.Close(); err != nil && !k.gone {
			k.t.Error(err)
		}
		if k.t.Failed() {
			k.t.Logf("Class %s: %v %q, error %v\n%s", s.class, s.rep.Code, s.rep.Text, s.err, strings.Join(s.log, "\n"))
		}
	}
	if err := k.ex.Close(); err != nil {
		k.t.Error(err)
	}
}

// call runs one call.
func (k *suiteTalk) call() {
	k.t.Helper()
	var wg sync.WaitGroup
	start := time.Now()
	wg.Go(func() {
		s := &k.callee
		in, err := s.term.WaitCall(s.ctx)
		if err != nil {
			s.err = err
			return
		}
		s.rep, s.err = in.Answer(s.ctx, t30.AnswerFax, s.s)
		s.took = time.Since(start)
	})
	k.caller.rep, k.caller.err = k.caller.term.Call(k.caller.ctx, calleeNumber, k.caller.s)
	k.caller.took = time.Since(start)
	wg.Wait()
}

// ok fails the test unless both sides say that all went well.
func (k *suiteTalk) ok() {
	k.t.Helper()
	for _, s := range []*side{&k.caller, &k.callee} {
		if s.err != nil || !s.rep.OK() || s.rep.Unknown {
			k.t.Fatalf("Class %s: %v %q, %d sent, %d received, error %v", s.class, s.rep.Code, s.rep.Text, s.rep.Sent, s.rep.Received, s.err)
		}
	}
}

// keeps holds one direction of the call against the promises.
func (k *suiteTalk) keeps(from, to *side, sink *t30test.Sink, docs ...*t30test.Document) {
	k.t.Helper()
	p := t30test.Passage{Docs: docs, Sink: sink, Sent: from.rep, Got: to.rep, ECM: to.rep.ECM}
	for _, err := range p.Broken() {
		k.t.Error(err)
	}
}

// whole is keeps for documents of which all has to have arrived.
func (k *suiteTalk) whole(from, to *side, sink *t30test.Sink, docs ...*t30test.Document) {
	k.t.Helper()
	k.keeps(from, to, sink, docs...)
	pages := 0
	for _, d := range docs {
		pages += len(d.Pages)
		if got := d.ConfirmedPages(); len(got) != len(d.Pages) {
			k.t.Errorf("pages %v of %d confirmed", got, len(d.Pages))
		}
	}
	if n := len(sink.Kept()); n != pages {
		k.t.Errorf("%d pages kept, want %d", n, pages)
	}
}

// again makes another call, which has to go well: the modems are in order.
func (k *suiteTalk) again() {
	k.t.Helper()
	k.ex.SetFaults(virtual.Faults{})
	time.Sleep(10 * time.Second)
	doc, sink := t30test.NewDocument(99, 1, 60), &t30test.Sink{}
	k.caller.s.Send, k.callee.s.Sink = t30test.Docs(doc), sink
	k.caller.s.Poll, k.callee.s.Send = nil, nil
	k.caller.ctx, k.callee.ctx = k.t.Context(), k.t.Context()
	k.caller.log, k.callee.log = append(k.caller.log, "--- again"), append(k.callee.log, "--- again")
	k.call()
	k.ok()
	k.whole(&k.caller, &k.callee, sink, doc)
}

// eachPair runs f for each pair of classes in virtual time.
func eachPair(t *testing.T, o virtual.Options, f func(*testing.T, *suiteTalk)) {
	for _, pair := range suitePairs() {
		t.Run(pair[0]+" to "+pair[1], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newTalk(t, pair, o)
				defer k.done()
				f(t, k)
			})
		})
	}
}

func TestSuite_Send(t *testing.T) {
	for _, c := range []struct {
		rate  int
		noECM bool
	}{{0, false}, {0, true}, {9600, true}, {4800, false}, {2400, true}} {
		t.Run(fmt.Sprintf("%d ecm %v", c.rate, !c.noECM), func(t *testing.T) {
			eachPair(t, virtual.Options{Delay: 20 * time.Millisecond}, func(t *testing.T, k *suiteTalk) {
				doc, sink := t30test.NewDocument(1, 3, 300), &t30test.Sink{}
				k.caller.s.Send, k.callee.s.Sink = t30test.Docs(doc), sink
				k.caller.s.NoECM, k.caller.s.Limit.MaxRate = c.noECM, c.rate
				k.call()
				k.ok()
				k.whole(&k.caller, &k.callee, sink, doc)
				want := c.rate
				if want == 0 {
					want = 14400
				}
				for _, s := range []*side{&k.caller, &k.callee} {
					if s.rep.Modulation.Rate != want || s.rep.ECM != !c.noECM || s.rep.Format.Resolution != t30.Fine {
						t.Errorf("Class %s: %v, ecm %v, %+v", s.class, s.rep.Modulation, s.rep.ECM, s.rep.Format)
					}
				}
				if a, b := k.caller.rep.Remote.ID, k.callee.rep.Remote.ID; a != "+49 30 5550101" || b != "+1 555 0100" {
					t.Errorf("far ends %q and %q", a, b)
				}
			})
		})
	}
}

func TestSuite_SeveralDocuments(t *testing.T) {
	for _, noECM := range []bool{false, true} {
		t.Run(fmt.Sprintf("ecm %v", !noECM), func(t *testing.T) {
			eachPair(t, virtual.Options{}, func(t *testing.T, k *suiteTalk) {
				a, b, sink := t30test.NewDocument(1, 2, 150), t30test.NewDocument(2, 1, 150), &t30test.Sink{}
				b.Pages[0].Format.Resolution = t30.Standard // another DCS
				mixed := t30test.NewDocument(3, 2, 150)
				mixed.Pages[1].Format.Resolution = t30.Standard // EOM inside the document
				k.caller.s.Send, k.callee.s.Sink, k.caller.s.NoECM = t30test.Docs(a, b, mixed), sink, noECM
				k.call()
				k.ok()
				k.whole(&k.caller, &k.callee, sink, a, b, mixed)
				var got []t30.Resolution
				for _, p := range sink.Pages() {
					if p.Done && p.Verdict != t30.Discard {
						got = append(got, p.Format.Resolution)
					}
				}
				if want := []t30.Resolution{t30.Fine, t30.Fine, t30.Standard, t30.Fine, t30.Standard}; !slices.Equal(got, want) {
					t.Errorf("resolutions %v, want %v", got, want)
				}
			})
		})
	}
}

func TestSuite_Poll(t *testing.T) {
	for _, first := range []bool{false, true} { // send before
		for _, noECM := range []bool{false, true} {
			t.Run(fmt.Sprintf("send before %v ecm %v", first, !noECM), func(t *testing.T) {
				eachPair(t, virtual.Options{}, func(t *testing.T, k *suiteTalk) {
					out, back := t30test.NewDocument(1, 1, 150), t30test.NewDocument(2, 2, 150)
					outSink, backSink := &t30test.Sink{}, &t30test.Sink{}
					k.caller.s.NoECM, k.callee.s.NoECM = noECM, noECM
					k.caller.s.Poll, k.caller.s.Sink = &t30.Poll{}, backSink
					k.callee.s.Send, k.callee.s.Sink = t30test.Docs(back), outSink
					if first {
						k.caller.s.Send = t30test.Docs(out)
					}
					k.call()
					k.ok()
					k.whole(&k.callee, &k.caller, backSink, back)
					if first {
						k.whole(&k.caller, &k.callee, outSink, out)
					}
				})
			})
		}
	}
}

func TestSuite_NothingToPoll(t *testing.T) {
	eachPair(t, virtual.Options{}, func(t *testing.T, k *suiteTalk) {
		k.caller.s.Poll, k.caller.s.Sink, k.callee.s.Sink = &t30.Poll{}, &t30test.Sink{}, &t30test.Sink{}
		k.call()
		if k.caller.err != nil || k.caller.rep.Code != t30.CodeNothingToPoll {
			t.Errorf("%v %q, %v", k.caller.rep.Code, k.caller.rep.Text, k.caller.err)
		}
		if k.callee.err != nil || k.callee.rep.OK() {
			t.Errorf("callee: %v %q, %v", k.callee.rep.Code, k.callee.rep.Text, k.callee.err)
		}
		k.again()
	})
}

func TestSuite_CannotReceive(t *testing.T) {
	eachPair(t, virtual.Options{}, func(t *testing.T, k *suiteTalk) {
		doc := t30test.NewDocument(1, 1, 50)
		k.caller.s.Send = t30test.Docs(doc)
		k.callee.s.Sink = nil
		k.call()
		if k.caller.err != nil || k.caller.rep.Code != t30.CodeCannotReceive || k.caller.rep.Sent != 0 || k.caller.rep.Unknown {
			t.Errorf("caller: %v %q, %v", k.caller.rep.Code, k.caller.rep.Text, k.caller.err)
		}
		if e := doc.Ended(); len(e) != 1 || e[0].Code != t30.CodeCannotReceive {
			t.Errorf("the document ended %+v", e)
		}
		if k.callee.err != nil || k.callee.rep.OK() {
			t.Errorf("callee: %v %q, %v", k.callee.rep.Code, k.callee.rep.Text, k.callee.err)
		}
	})
}

// TestSuite_Noise: what is wrong with the line, and that both sides agree on what came of it.
func TestSuite_Noise(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults virtual.Faults
		noECM  bool
		whole  bool
	}{
		{"training limit", virtual.Faults{TrainRate: 7200}, false, true},
		{"training limit, no ecm", virtual.Faults{TrainRate: 4800}, true, true},
		{"bit errors", virtual.Faults{BER: 3e-5, Seed: 1}, false, true},
		{"hit", virtual.Faults{Hits: []virtual.Hit{{Page: 2, At: time.Second, Length: time.Second}}}, false, true},
		{"bit errors, no ecm", virtual.Faults{BER: 1.5e-4, TrainRate: 9600, Seed: 3}, true, false},
		{"bit errors in control frames", virtual.Faults{ControlBER: 5e-4, Seed: 2}, true, false},
		{"hit in page 1, no ecm", virtual.Faults{Hits: []virtual.Hit{{Page: 1, At: 0, Length: 9 * time.Second}}}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachPair(t, virtual.Options{Delay: 10 * time.Millisecond, Faults: c.faults}, func(t *testing.T, k *suiteTalk) {
				doc, sink := t30test.NewDocument(7, 2, 400), &t30test.Sink{}
				k.caller.s.Send, k.callee.s.Sink, k.caller.s.NoECM = t30test.Docs(doc), sink, c.noECM
				k.call()
				if k.caller.err != nil || k.callee.err != nil {
					t.Fatal(k.caller.err, k.callee.err)
				}
				if c.whole {
					k.ok()
					k.whole(&k.caller, &k.callee, sink, doc)
				} else {
					k.keeps(&k.caller, &k.callee, sink, doc)
				}
			})
		})
	}
}

func TestSuite_Drops(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults virtual.Faults
		codes  []t30.Code
		pages  int
	}{
		{"no rate trains", virtual.Faults{TrainRate: 1200}, []t30.Code{t30.CodeTraining}, 0},
		{"in page 1", virtual.Faults{DropPage: 1, DropPageAfter: 2 * time.Second}, []t30.Code{t30.CodeHungUpC}, 0},
		{"in page 2", virtual.Faults{DropPage: 2, DropPageAfter: time.Second}, []t30.Code{t30.CodeHungUpC}, 1},
	} {
		for _, noECM := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s ecm %v", c.name, !noECM), func(t *testing.T) {
				eachPair(t, virtual.Options{Faults: c.faults}, func(t *testing.T, k *suiteTalk) {
					doc, sink := t30test.NewDocument(9, 2, 400), &t30test.Sink{}
					k.caller.s.Send, k.callee.s.Sink, k.caller.s.NoECM = t30test.Docs(doc), sink, noECM
					k.call()
					k.keeps(&k.caller, &k.callee, sink, doc)
					if r := k.caller.rep; !slices.Contains(c.codes, r.Code) || r.Sent != c.pages || r.Unknown || k.caller.err != nil {
						t.Errorf("sent %v %q, %d pages, unknown %v, %v", r.Code, r.Text, r.Sent, r.Unknown, k.caller.err)
					}
					if r := k.callee.rep; r.OK() || r.Received != c.pages || k.callee.err != nil {
						t.Errorf("received %v %q, %d pages, %v", r.Code, r.Text, r.Received, k.callee.err)
					}
					k.again()
				})
			})
		}
	}
}

// TestSuite_Lost: the telephone line or the modem itself is taken away in the middle of a page.
func TestSuite_Lost(t *testing.T) {
	const when = 45 * time.Second
	for which := range 2 {
		for _, plug := range []bool{false, true} {
			t.Run(fmt.Sprintf("side %d plug %v", which, plug), func(t *testing.T) {
				eachPair(t, virtual.Options{}, func(t *testing.T, k *suiteTalk) {
					doc, sink := t30test.NewDocument(12, 1, 2500), &t30test.Sink{}
					k.caller.s.Send, k.callee.s.Sink = t30test.Docs(doc), sink
					s := []*side{&k.caller, &k.callee}[which]
					other := []*side{&k.callee, &k.caller}[which]
					k.gone = plug
					time.AfterFunc(when, func() {
						if plug {
							s.vm.Unplug()
						} else {
							s.vm.CutLine(true)
						}
					})
					k.call()
					k.keeps(&k.caller, &k.callee, sink, doc)
					if s.rep.OK() || other.rep.OK() || other.err != nil {
						t.Errorf("it lost: %v %q; other %v %q, %v", s.rep.Code, s.rep.Text, other.rep.Code, other.rep.Text, other.err)
					}
					if plug && (!errors.Is(s.err, at.ErrPortLost) || s.rep.Code != t30.CodeModem || s.took > when+5*time.Second) {
						t.Errorf("pulled: %v %q, %v, %v after it", s.rep.Code, s.rep.Text, s.err, s.took-when)
					}
					if !plug && s.err != nil {
						t.Error(s.err)
					}
				})
			})
		}
	}
}

func TestSuite_Canceled(t *testing.T) {
	for which := range 2 {
		for _, when := range []time.Duration{13 * time.Second, 22 * time.Second, 45 * time.Second} {
			t.Run(fmt.Sprintf("side %d after %v", which, when), func(t *testing.T) {
				eachPair(t, virtual.Options{}, func(t *testing.T, k *suiteTalk) {
					doc, sink := t30test.NewDocument(11, 1, 2000), &t30test.Sink{}
					k.caller.s.Send, k.callee.s.Sink = t30test.Docs(doc), sink
					s := []*side{&k.caller, &k.callee}[which]
					other := []*side{&k.callee, &k.caller}[which]
					var cancel context.CancelFunc
					s.ctx, cancel = context.WithCancel(t.Context())
					time.AfterFunc(when, cancel)
					k.call()
					k.keeps(&k.caller, &k.callee, sink, doc)
					if s.rep.Code != t30.CodeCanceled || !errors.Is(s.err, context.Canceled) || s.took > when+25*time.Second {
						t.Errorf("canceled: %v %q, %v, %v after it", s.rep.Code, s.rep.Text, s.err, s.took-when)
					}
					if other.rep.OK() || other.took > when+90*time.Second {
						t.Errorf("other side: %v %q, %v after it", other.rep.Code, other.rep.Text, other.took-when)
					}
					k.again()
				})
			})
		}
	}
}

// TestSuite_Outcomes: a call that comes to nothing before T.30 begins. Somebody who answers is told from nobody where the modem knows a voice.
func TestSuite_Outcomes(t *testing.T) {
	for _, c := range []struct {
		name    string
		outcome virtual.Outcome
		habits  virtual.LineHabits
		codes   []t30.Code
	}{
		{"busy", virtual.Busy, virtual.LineHabits{}, []t30.Code{t30.CodeBusy}},
		{"no answer", virtual.NoAnswer, virtual.LineHabits{HearsVoice: true}, []t30.Code{t30.CodeNoAnswer}},
		{"no dial tone", virtual.NoDialTone, virtual.LineHabits{}, []t30.Code{t30.CodeNoDialTone}},
		{"voice", virtual.Voice, virtual.LineHabits{}, []t30.Code{t30.CodeNoCarrier, t30.CodeNoFax}},
		{"no answer, ringing told", virtual.NoAnswer, virtual.LineHabits{TellsRinging: true}, []t30.Code{t30.CodeNoAnswer}},
		{"voice, ringing told", virtual.Voice, virtual.LineHabits{TellsRinging: true}, []t30.Code{t30.CodeNoFax}},
		{"voice, heard", virtual.Voice, virtual.LineHabits{HearsVoice: true}, []t30.Code{t30.CodeVoice}},
	} {
		for _, class := range suiteClasses {
			t.Run(c.name+" Class "+class, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k := newTalk(t, [2]string{class, "1"}, virtual.Options{}, c.habits)
					defer k.done()
					k.ex.Script(calleeNumber, c.outcome)
					doc := t30test.NewDocument(1, 1, 50)
					k.caller.s.Send = t30test.Docs(doc)
					rep, err := k.caller.term.Call(t.Context(), calleeNumber, k.caller.s)
					if err != nil || !slices.Contains(c.codes, rep.Code) || rep.Connected {
						t.Errorf("%v %q, %v", rep.Code, rep.Text, err)
					}
					k.ex.Script(calleeNumber)
					k.again()
				})
			})
		}
	}
}

var errDisk = errors.New("disk full")

// TestSuite_OurFault: a page that cannot be read or stored is an error of ours, and the far end has no page confirmed.
func TestSuite_OurFault(t *testing.T) {
	for name, fault := range map[string]func(*t30test.Document, *t30test.Sink){
		"begin":  func(_ *t30test.Document, s *t30test.Sink) { s.BeginErr = errDisk },
		"write":  func(_ *t30test.Document, s *t30test.Sink) { s.WriteErr = errDisk },
		"finish": func(_ *t30test.Document, s *t30test.Sink) { s.FinishErr = errDisk },
		"source": func(d *t30test.Document, _ *t30test.Sink) { d.Pages[0].Err = errDisk },
	} {
		t.Run(name, func(t *testing.T) {
			eachPair(t, virtual.Options{}, func(t *testing.T, k *suiteTalk) {
				doc, sink := t30test.NewDocument(5, 1, 200), &t30test.Sink{}
				fault(doc, sink)
				k.caller.s.Send, k.callee.s.Sink = t30test.Docs(doc), sink
				k.call()
				s, code := &k.callee, t30.CodeSink
				if name == "source" {
					s, code = &k.caller, t30.CodeSource
				}
				if s.rep.Code != code || !errors.Is(s.err, errDisk) {
					t.Errorf("%v %q, %v", s.rep.Code, s.rep.Text, s.err)
				}
				if k.caller.rep.OK() || k.caller.rep.Sent > 0 || len(doc.ConfirmedPages()) > 0 || k.callee.rep.Received > 0 {
					t.Errorf("caller %v %q, %d sent; callee %d received", k.caller.rep.Code, k.caller.rep.Text, k.caller.rep.Sent, k.callee.rep.Received)
				}
				k.again()
			})
		})
	}
}

// slowSink makes pages durable late, and notes when each was.
type slowSink struct {
	*t30test.Sink
	finished []time.Time
}

func (s *slowSink) BeginPage(ctx context.Context, far t30.Remote, f t30.PageFormat) (t30.PageWriter, error) {
	w, err := s.Sink.BeginPage(ctx, far, f)
	return &slowWriter{w, s}, err
}

type slowWriter struct {
	t30.PageWriter
	s *slowSink
}

func (w *slowWriter) Finish(ctx context.Context, v t30.Verdict) error {
	err := w.PageWriter.Finish(ctx, v)
	w.s.finished = append(w.s.finished, time.Now())
	return err
}

// TestSuite_DurableBeforeConfirmed: no page is confirmed before it is on the disk, however slow that is.
func TestSuite_DurableBeforeConfirmed(t *testing.T) {
	for _, noECM := range []bool{false, true} {
		t.Run(fmt.Sprintf("ecm %v", !noECM), func(t *testing.T) {
			eachPair(t, virtual.Options{}, func(t *testing.T, k *suiteTalk) {
				doc, sink := t30test.NewDocument(4, 2, 150), &slowSink{Sink: &t30test.Sink{FinishDelay: 2 * time.Second}}
				src := &confirmTimes{Document: doc}
				k.caller.s.Send, k.callee.s.Sink, k.caller.s.NoECM = &oneSource{src}, sink, noECM
				k.call()
				k.ok()
				k.whole(&k.caller, &k.callee, sink.Sink, doc)
				for i, at := range src.at {
					if i >= len(sink.finished) || at.Before(sink.finished[i]) {
						t.Errorf("page %d was confirmed before it was durable", i+1)
					}
				}
			})
		})
	}
}

type confirmTimes struct {
	*t30test.Document
	at []time.Time
}

func (d *confirmTimes) Confirmed(n int, r t30.PageResult) error {
	d.at = append(d.at, time.Now())
	return d.Document.Confirmed(n, r)
}

type oneSource struct{ src t30.PageSource }

func (d *oneSource) Next(context.Context, t30.Remote) (t30.PageSource, error) {
	if d.src == nil {
		return nil, io.EOF
	}
	src := d.src
	d.src = nil
	return src, nil
}

// TestSuite_Refused: pages that the receiver calls bad come again, and what is refused for good is never called sent.
func TestSuite_Refused(t *testing.T) {
	bad := t30.Quality{Lines: 100, BadLines: 50, LongestBad: 20}
	for _, c := range []struct {
		name  string
		bad   func(n int) bool // by page begun, from 0
		sent  int
		codes []t30.Code
	}{
		{"once", func(n int) bool { return n == 0 }, 2, []t30.Code{t30.CodeOK}},
		{"always", func(int) bool { return true }, 0, []t30.Code{t30.CodePageRefused}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachPair(t, virtual.Options{}, func(t *testing.T, k *suiteTalk) {
				doc := t30test.NewDocument(6, 2, 200)
				begun := 0
				sink := &t30test.Sink{}
				sink.Judge = func(n int, data []byte) t30.Quality {
					begun = max(begun, n)
					if c.bad(n) {
						return bad
					}
					return t30.Quality{Lines: 100}
				}
				k.caller.s.Send, k.callee.s.Sink, k.caller.s.NoECM = t30test.Docs(doc), sink, true
				k.call()
				if r := k.caller.rep; !slices.Contains(c.codes, r.Code) || r.Sent != c.sent || k.caller.err != nil {
					t.Errorf("%v %q, %d sent, %v", r.Code, r.Text, r.Sent, k.caller.err)
				}
				if n := len(doc.ConfirmedPages()); n != c.sent || k.callee.rep.Received != c.sent {
					t.Errorf("%d confirmed, %d received", n, k.callee.rep.Received)
				}
				if kept := sink.Kept(); c.sent == 2 && (len(kept) != 2 || !bytes.Equal(kept[0], bytes.TrimRight(doc.Pages[0].Data, "\x00"))) {
					t.Errorf("%d pages kept", len(kept))
				}
			})
		})
	}
}

// TestSuite_RefusedAtTheEnd: RTN to EOP ends the call (T.30 5.3.6.1.7), and leaves a page refused: not sent, not in doubt, not received.
func TestSuite_RefusedAtTheEnd(t *testing.T) {
	eachPair(t, virtual.Options{}, func(t *testing.T, k *suiteTalk) {
		doc := t30test.NewDocument(6, 2, 200)
		sink := &t30test.Sink{Judge: func(n int, _ []byte) t30.Quality {
			if n == 0 {
				return t30.Quality{Lines: 100}
			}
			return t30.Quality{Lines: 100, BadLines: 50, LongestBad: 20}
		}}
		k.caller.s.Send, k.callee.s.Sink, k.caller.s.NoECM = t30test.Docs(doc), sink, true
		k.call()
		if r := k.caller.rep; r.Code != t30.CodePageRefused || r.Sent != 1 || r.Refused != 1 || r.Unknown || k.caller.err != nil {
			t.Errorf("sent %v %q, %d sent, %d refused, unknown %v, %v", r.Code, r.Text, r.Sent, r.Refused, r.Unknown, k.caller.err)
		}
		if e := doc.Ended(); len(e) != 1 || e[0].Code != t30.CodePageRefused || e[0].Refused != 1 || !slices.Equal(doc.RefusedPages(), []int{2}) {
			t.Errorf("the document ended %+v, refused %v", e, doc.RefusedPages())
		}
		if r := k.callee.rep; r.Code != t30.CodeDCNAfterPage || r.Received != 1 || k.callee.err != nil {
			t.Errorf("received %v %q, %d pages, %v", r.Code, r.Text, r.Received, k.callee.err)
		}
		if p := sink.Pages(); len(p) < 2 || p[1].Verdict != t30.BadKept {
			t.Errorf("%d pages; the refused one is not kept as such", len(p))
		}
		k.again()
	})
}

// TestSuite_Addresses: subaddress, password and polling address arrive, where the classes have them (T.32's +FAP is 2.1's); where the
// sender's has none, the fax goes without.
func TestSuite_Addresses(t *testing.T) {
	eachPair(t, virtual.Options{}, func(t *testing.T, k *suiteTalk) {
		doc, sink := t30test.NewDocument(8, 1, 60), &t30test.Sink{}
		k.caller.s.Send, k.callee.s.Sink = t30test.Docs(doc), sink
		k.caller.s.Me.Subaddress, k.caller.s.Me.Password = "77", "4711"
		k.call()
		k.ok()
		k.whole(&k.caller, &k.callee, sink, doc)
		has := func(class string) bool { return class[0] == '1' || class == "2.1" }
		want := has(k.caller.class) && has(k.callee.class)
		if r := k.callee.rep.Remote; (r.Subaddress == "77") != want || (r.Password == "4711") != want {
			t.Errorf("SUB %q, PWD %q", r.Subaddress, r.Password)
		}
		for _, s := range []*side{&k.caller, &k.callee} {
			if log := strings.Join(s.log, " "); strings.Contains(log, "4711") {
				t.Errorf("Class %s: the password stands in the transcript", s.class)
			}
		}
	})
}

// asked hands out a document and keeps what the far end asked for.
type asked struct {
	t30.Documents
	far t30.Remote
}

func (d *asked) Next(ctx context.Context, far t30.Remote) (t30.PageSource, error) {
	d.far = far
	return d.Documents.Next(ctx, far)
}

// TestSuite_SelectivePoll: what is asked for by an address (SEP) and with a password comes, where both classes have such frames; else the
// poller has no document, and not just any.
func TestSuite_SelectivePoll(t *testing.T) {
	has := func(class string) bool { return class[0] == '1' || class == "2.1" }
	eachPair(t, virtual.Options{}, func(t *testing.T, k *suiteTalk) {
		doc, sink := t30test.NewDocument(8, 1, 60), &t30test.Sink{}
		docs := &asked{Documents: t30test.Docs(doc)}
		k.caller.s.Poll, k.caller.s.Sink = &t30.Poll{Selective: "77", Password: "4711"}, sink
		k.callee.s.Send, k.callee.s.NeedPassword = docs, "4711"
		k.call()
		if !has(k.caller.class) || !has(k.callee.class) {
			if r := k.caller.rep; r.Code != t30.CodeNothingToPoll || r.Received > 0 || k.caller.err != nil || len(doc.ConfirmedPages()) > 0 {
				t.Errorf("%v %q, %d received, %v", r.Code, r.Text, r.Received, k.caller.err)
			}
			return
		}
		k.ok()
		k.whole(&k.callee, &k.caller, sink, doc)
		if docs.far.Selective != "77" || docs.far.Password != "4711" {
			t.Errorf("asked for %+v", docs.far)
		}
	})
}
