package t30_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// taken collects the transitions of the whole suite.
var taken struct {
	sync.Mutex
	edges map[string]int
}

func TestMain(m *testing.M) {
	taken.edges = map[string]int{}
	code := m.Run()
	whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.fuzz").Value.String() == "" &&
		flag.Lookup("test.skip").Value.String() == ""
	if !whole {
		os.Exit(code)
	}
	var missed []string
	edges := t30.Edges()
	for e, clause := range edges {
		if taken.edges[e] == 0 {
			missed = append(missed, "  "+e+"  ("+clause+")")
		}
	}
	sort.Strings(missed)
	fmt.Printf("transitions: %d of %d taken\n", len(edges)-len(missed), len(edges))
	if len(missed) > 0 && code == 0 {
		fmt.Println("FAIL: the suite must take every transition; not taken:\n" + strings.Join(missed, "\n"))
		code = 1
	}
	os.Exit(code)
}

// talk is one call between two engines.
type talk struct {
	cfg            t30test.Config
	callerCaps     t30.Capabilities
	answererCaps   t30.Capabilities
	caller, answer t30.Session
	callerCtx      func(context.Context) (context.Context, context.CancelFunc)
	lines          func(caller, answerer t30.Line) (t30.Line, t30.Line) // puts something between engine and wire
	limit          time.Duration                                        // of line time; 0: an hour
}

type outcome struct {
	sent, got       t30.Report
	sentErr, gotErr error
	callerLog       []string
	answererLog     []string
	took            time.Duration
}

// heard tells whether a frame or place stands in the transcript of either side.
func (o outcome) heard(text string) bool {
	for _, l := range slices.Concat(o.callerLog, o.answererLog) {
		if strings.Contains(l, text) {
			return true
		}
	}
	return false
}

func (o outcome) dump(t *testing.T) {
	t.Helper()
	t.Logf("caller %v %q err %v, answerer %v %q err %v", o.sent.Code, o.sent.Text, o.sentErr, o.got.Code, o.got.Text, o.gotErr)
	t.Logf("caller:\n%s", strings.Join(o.callerLog, "\n"))
	t.Logf("answerer:\n%s", strings.Join(o.answererLog, "\n"))
}

// recorder makes a Trace that keeps the transcript and checks each transition.
func recorder(t *testing.T, log *[]string) func(t30.Event) {
	start := time.Now()
	return func(e t30.Event) {
		*log = append(*log, fmt.Sprintf("%7.2f %s %-5s %s", e.At.Sub(start).Seconds(), e.Dir, e.Layer, e.Text))
		if e.Layer != t30.LayerPlace {
			return
		}
		if strings.Contains(e.Text, "is in no chart") {
			t.Errorf("transition %s", e.Text)
		}
		taken.Lock()
		taken.edges[e.Text]++
		taken.Unlock()
	}
}

// run makes the call in virtual time.
func (k talk) run(t *testing.T) (o outcome) {
	t.Helper()
	if k.callerCaps.Schemes == 0 {
		k.callerCaps = t30test.All
	}
	if k.answererCaps.Schemes == 0 {
		k.answererCaps = t30test.All
	}
	limit := k.limit
	if limit == 0 {
		limit = time.Hour
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		k.caller.Trace, k.answer.Trace = recorder(t, &o.callerLog), recorder(t, &o.answererLog)
		var a, b t30.Line
		a, b = t30test.Pair(k.cfg, k.callerCaps, k.answererCaps)
		if k.lines != nil {
			a, b = k.lines(a, b)
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		callerCtx := ctx
		if k.callerCtx != nil {
			var c context.CancelFunc
			callerCtx, c = k.callerCtx(ctx)
			defer c()
		}
		var wg sync.WaitGroup
		wg.Go(func() { o.sent, o.sentErr = t30.Originate(callerCtx, a, k.caller) })
		wg.Go(func() { o.got, o.gotErr = t30.Answer(ctx, b, k.answer) })
		wg.Wait()
		o.took = time.Since(start)
		if ctx.Err() != nil {
			t.Errorf("call took more than %v", limit)
		}
		time.Sleep(time.Second) // the last hang-up reaches the other end
	})
	return o
}

// station is a session for tests.
func station(id string) t30.Session { return t30.Session{Me: t30.Station{ID: id}} }

// sending is a call that sends docs to sink.
func sending(cfg t30test.Config, sink *t30test.Sink, docs ...*t30test.Document) talk {
	k := talk{cfg: cfg, caller: station("+49 30 5550100"), answer: station("+1 555 0199")}
	k.caller.Send = t30test.Docs(docs...)
	k.answer.Sink = sink
	return k
}

func wantOK(t *testing.T, o outcome) {
	t.Helper()
	if o.sent.Code != t30.CodeOK || o.got.Code != t30.CodeOK || o.sentErr != nil || o.gotErr != nil {
		o.dump(t)
		t.Fatalf("codes %v, %v", o.sent.Code, o.got.Code)
	}
}

// wantPages holds the pages kept against the documents.
func wantPages(t *testing.T, o outcome, sink *t30test.Sink, docs ...*t30test.Document) {
	t.Helper()
	kept := sink.Kept()
	var want [][]byte
	for _, d := range docs {
		for i, p := range d.Pages {
			want = append(want, bytes.TrimRight(p.Data, "\x00"))
			if got := d.ConfirmedPages(); len(got) != len(d.Pages) || got[i] != i+1 {
				o.dump(t)
				t.Fatalf("confirmed %v of %d pages", got, len(d.Pages))
			}
		}
		if e := d.Ended(); len(e) != 1 || e[0].Code != t30.CodeOK || e[0].Sent != len(d.Pages) {
			t.Fatalf("document ended %+v", e)
		}
	}
	if len(kept) != len(want) {
		o.dump(t)
		t.Fatalf("%d pages kept, want %d", len(kept), len(want))
	}
	for i := range want {
		if !bytes.Equal(kept[i], want[i]) {
			o.dump(t)
			t.Fatalf("page %d differs: %d octets, want %d", i+1, len(kept[i]), len(want[i]))
		}
	}
}

func TestSend_EveryModulation(t *testing.T) {
	for _, m := range []struct {
		scheme t30.Schemes
		rate   int
		name   string
	}{
		{t30.Schemes(t30.V27ter), 2400, "v27ter/2400"}, {t30.Schemes(t30.V27ter), 4800, "v27ter/4800"},
		{t30.Schemes(t30.V27ter | t30.V29), 7200, "v29/7200"}, {t30.Schemes(t30.V27ter | t30.V29), 9600, "v29/9600"},
		{t30test.All.Schemes, 12000, "v17/12000"}, {t30test.All.Schemes, 14400, "v17/14400"},
	} {
		for _, ecm := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s ecm %v", m.name, ecm), func(t *testing.T) {
				doc, sink := t30test.NewDocument(1, 3, 2500), &t30test.Sink{}
				k := sending(t30test.Config{Delay: 20 * time.Millisecond}, sink, doc)
				k.caller.Limit = t30.Capabilities{Schemes: m.scheme, MaxRate: m.rate}
				k.caller.NoECM = !ecm
				o := k.run(t)
				wantOK(t, o)
				wantPages(t, o, sink, doc)
				if got := o.sent.Modulation.String(); strings.TrimSuffix(got, " short") != m.name || o.sent.ECM != ecm || o.got.ECM != ecm {
					t.Errorf("%s, ecm %v, want %s", got, o.sent.ECM, m.name)
				}
				if o.sent.Remote.ID != "+1 555 0199" || o.got.Remote.ID != "+49 30 5550100" {
					t.Errorf("identities %q, %q", o.sent.Remote.ID, o.got.Remote.ID)
				}
				if o.sent.Sent != 3 || o.got.Received != 3 {
					t.Errorf("sent %d, received %d", o.sent.Sent, o.got.Received)
				}
			})
		}
	}
}
