package appliance

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
)

// box is an appliance's queue and lines, without mail, on the virtual modems of an exchange, in virtual time.
type box struct {
	t      *testing.T
	q      *queue.Queue
	g      *gateway.Gateway
	alarms *gateway.Alarms
	hunt   *hunt
	vms    map[string]*virtual.Modem
}

func newBox(t *testing.T) *box {
	t.Helper()
	st, err := store.Open(t.TempDir(), store.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	q, _, err := queue.Open(st, queue.Options{Dial: queue.DialRules["eu"]})
	if err != nil {
		t.Fatal(err)
	}
	alarms, err := gateway.OpenAlarms(st, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return &box{t: t, q: q, alarms: alarms, g: gateway.New(q, alarms, gateway.Options{}), hunt: &hunt{}, vms: map[string]*virtual.Modem{}}
}

// start runs a line on a modem until ctx ends.
func (b *box) start(ctx context.Context, vm *virtual.Modem, c LineConfig) {
	b.vms[c.Name] = vm
	c.Number = vm.Number()
	applyLineDefaults(&c, map[string]any{"send": true, "receive": true, "rings": true})
	l := &line{cfg: c, q: b.q, g: b.g, offers: &offers{}, alarms: b.alarms, hunt: b.hunt, live: newLiveLine(c), log: testLog(b.t)}
	l.open = func(ctx context.Context, c LineConfig) (t30.Terminal, io.Closer, error) {
		port, err := vm.Open()
		if err != nil {
			return nil, nil, err
		}
		m, err := modem.New(ctx, port, modem.Options{Line: c.phone()})
		if err != nil {
			return nil, nil, err
		}
		return m, m, nil
	}
	go func() {
		if err := l.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			b.t.Errorf("line %s: %v", c.Name, err)
		}
	}()
}

// telephony runs a test in a bubble in which the clock is set.
func telephony(t *testing.T, f func(ctx context.Context, t *testing.T, ex *virtual.Exchange)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)))
		ctx, cancel := context.WithCancel(t.Context())
		ex := virtual.NewExchange(virtual.Options{Delay: 5 * time.Millisecond})
		defer synctest.Wait()
		defer ex.Close()
		defer cancel()
		f(ctx, t, ex)
	})
}

// await waits until ok, for an hour of virtual time at most.
func (b *box) await(what string, ok func() bool) {
	b.t.Helper()
	for end := time.Now().Add(time.Hour); !ok(); time.Sleep(time.Second) {
		if time.Now().After(end) {
			jobs, _ := b.q.Jobs(0)
			b.t.Fatalf("%s does not come about: %+v", what, jobs)
		}
	}
}

func (b *box) job(id queue.JobID) queue.Job {
	b.t.Helper()
	j, err := b.q.Job(id)
	if err != nil {
		b.t.Fatal(err)
	}
	return j
}

func (b *box) sent(id queue.JobID) {
	b.t.Helper()
	b.await("job "+string(id)+" sent", func() bool {
		j := b.job(id)
		if j.State.Final() && j.State != queue.Sent {
			b.t.Fatalf("job %s: %s", j.State, j.Text)
		}
		return j.State == queue.Sent
	})
}

func (b *box) alarm(code string) bool {
	for _, a := range b.alarms.List() {
		if a.Code == code {
			return true
		}
	}
	return false
}

// usedLines are the lines of a job's attempts.
func usedLines(j queue.Job) (list []string) {
	for _, a := range j.Attempts {
		list = append(list, a.Line)
	}
	return list
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// received are the faxes that came in, as their dialed numbers.
func (b *box) received() (dialed []string) {
	b.t.Helper()
	list, err := b.q.Faxes(0)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range list {
		dialed = append(dialed, f.Dialed)
	}
	return dialed
}
