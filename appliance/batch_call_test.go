package appliance

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/t4"
	"github.com/tipring/tipring/imaging/tiff"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// wireTerminal makes calls over the simulated wire, in virtual time; whoever is called receives into a folder.
type wireTerminal struct {
	t     *testing.T
	wire  t30test.Config
	calls int
	got   int // pages that arrived
}

func (w *wireTerminal) Capabilities() t30.Capabilities { return t30test.All }
func (w *wireTerminal) WaitCall(ctx context.Context) (t30.Incoming, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (w *wireTerminal) Call(ctx context.Context, _ string, s t30.Session) (t30.Report, error) {
	w.calls++
	a, b := t30test.Pair(w.wire, t30test.All, t30test.All)
	keep, err := call.NewFolder(w.t.TempDir())
	if err != nil {
		return t30.Report{}, err
	}
	var far sync.WaitGroup
	far.Go(func() {
		r, err := t30.Answer(ctx, b, t30.Session{Me: t30.Station{ID: "5550100"}, Sink: call.NewSink(keep, nil), NoECM: true})
		if err != nil && ctx.Err() == nil {
			w.t.Error(err)
		}
		w.got += r.Received
	})
	r, err := t30.Originate(ctx, a, s)
	far.Wait()
	return r, err
}

// batchLine is a line over a queue of its own, without an appliance around it.
func batchLine(t *testing.T) *line {
	st, err := store.Open(t.TempDir(), store.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	q, _, err := queue.Open(st, queue.Options{Dial: queue.DialRule{Gap: 1}})
	if err != nil {
		t.Fatal(err)
	}
	alarms, err := gateway.OpenAlarms(st, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &line{cfg: LineConfig{Name: "one", StationID: "5550109", Send: true}, hunt: &hunt{}, alarms: alarms, q: q, live: newLiveLine(LineConfig{Name: "one"}), log: testLog(t)}
}

// addDoc makes a job of some pages.
func addDoc(t *testing.T, q *queue.Queue, number string, pages int) queue.JobID {
	t.Helper()
	var buf bytes.Buffer
	w := tiff.NewWriter(&buf, tiff.Meta{})
	for n := range pages {
		b := imaging.New(1728, 400)
		for y := 50; y < 350; y += 3 {
			for x := 100 + n; x < 1600; x += 7 + y%11 {
				b.SetBlack(x, y)
			}
		}
		if err := w.AddPage(imaging.Page{Bitmap: b, Resolution: imaging.Fine}, t4.File(imaging.MMR, imaging.Fine)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	doc, err := q.Store().WriteFile(store.Documents, buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	j, err := q.AddJob(queue.NewJob{Sender: "ann@contoso.test", Number: number, Document: doc, Pages: pages})
	if err != nil {
		t.Fatal(err)
	}
	return j.ID
}

// atImage returns a fault for the n-th page carrier of a call, from 1, and those after it up to m.
func atImage(n, m int, f t30test.Fault) func(t30test.Item) t30test.Fault {
	image := 0
	return func(i t30test.Item) t30test.Fault {
		if i.Kind == "page" {
			if image++; image >= n && image <= m {
				return f
			}
		}
		return t30test.None
	}
}

// atFrame returns a fault for the caller's frames of a kind.
func atFrame(fcf t30.FCF, f t30test.Fault) func(t30test.Item) t30test.Fault {
	return func(i t30test.Item) t30test.Fault {
		if i.Frame != nil && i.Frame.Valid() && i.Frame.FCF() == fcf {
			return f
		}
		return t30test.None
	}
}

// TestBatch_Faults: three jobs of two pages wait for one number; the first call meets a fault.
func TestBatch_Faults(t *testing.T) {
	for _, tt := range []struct {
		name string
		wire t30test.Config
		want string // each job: state, pages confirmed, attempts, tries spent
		dial int    // further calls until all is sent
	}{
		{"none", t30test.Config{}, "sent 2 1 0, sent 2 1 0, sent 2 1 0", 0},
		{"the line drops in the second document's first page", t30test.Config{Choose: atImage(3, 3, t30test.HangUp)}, "sent 2 1 0, waiting 0 1 0, waiting 0 0 0", 1},
		{"the line drops in the second document's second page", t30test.Config{Choose: atImage(4, 4, t30test.HangUp)}, "sent 2 1 0, waiting 1 1 1, waiting 0 0 0", 1},
		{"the line drops in the first document", t30test.Config{Choose: atImage(1, 1, t30test.HangUp)}, "waiting 0 1 1, waiting 0 0 0, waiting 0 0 0", 1},
		{"a page of the first document is refused each time", t30test.Config{Choose: atImage(1, 3, t30test.Corrupt)}, "waiting 1 1 1, sent 2 1 0, sent 2 1 0", 1},
		{"the far end is deaf to EOM", t30test.Config{Choose: atFrame(t30.FcfEOM, t30test.Drop)}, "unknown 1 1 0, waiting 0 0 0, waiting 0 0 0", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))) // a bubble begins in 2000: no clock to dial by
				l := batchLine(t)
				l.cfg.NoECM = true
				term := &wireTerminal{t: t, wire: tt.wire}
				var ids []queue.JobID
				for range 3 {
					ids = append(ids, addDoc(t, l.q, "5550100", 2))
				}
				dial := func() bool {
					time.Sleep(time.Hour)
					j, ok, err := l.q.NextJob(time.Now(), "one")
					if err != nil {
						t.Fatal(err)
					}
					if ok {
						if err := l.send(t.Context(), term, j); err != nil {
							t.Fatal(err)
						}
					}
					return ok
				}
				dial()
				var got []string
				for _, id := range ids {
					j, err := l.q.Job(id)
					if err != nil {
						t.Fatal(err)
					}
					tries := 0
					for _, n := range j.Tries {
						tries += n
					}
					got = append(got, fmt.Sprintf("%s %d %d %d", j.State, len(j.Done), len(j.Attempts), tries))
				}
				if s := strings.Join(got, ", "); s != tt.want || term.calls != 1 {
					t.Errorf("after %d calls: %s; want %s", term.calls, s, tt.want)
				}
				term.wire = t30test.Config{}
				for dial() {
				}
				if term.calls != 1+tt.dial {
					t.Errorf("%d further calls, want %d", term.calls-1, tt.dial)
				}
				notices, err := l.q.Outs(0)
				if err != nil || len(notices) != 3 {
					t.Errorf("%d notices, %v", len(notices), err)
				}
			})
		})
	}
}
