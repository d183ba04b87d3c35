package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/gotenberg"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging/raster"
)

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// A fax whose document cannot be converted now waits, without a try spent; those of others go on. It is made when the server is back.
func TestConverter_Waits(t *testing.T) {
	b := newBench(t, func(o *Options) { o.ConverterWait = time.Hour })
	var back atomic.Bool
	b.render = func(job raster.Job) (raster.Result, error) {
		if strings.Contains(job.Inputs[0].Cover.Subject, "office") && !back.Load() {
			return raster.Result{}, fmt.Errorf("%w: connection refused", gotenberg.ErrUnavailable)
		}
		return raster.Result{Pages: make([]raster.PageInfo, 1)}, nil
	}
	for i, subject := range []string{"office 1", "office 2", "words"} {
		if _, err := b.post(simple(fmt.Sprint(i), subject, "words"), "anna@example.org", fmt.Sprintf("555010%d@fax.example", i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, f := range []func(context.Context) error{b.g.Expand, b.g.Prepare} {
		wg.Go(func() {
			if err := f(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	state := func(i int) queue.Job {
		for _, j := range b.allJobs() {
			if j.Number == fmt.Sprintf("555010%d", i) {
				return j
			}
		}
		return queue.Job{}
	}
	eventually(t, "the third is made", func() bool { return state(2).State == queue.Waiting })
	for try := range 6 { // more than a document that crashes the renderer gets
		for i := range 2 {
			eventually(t, "it waits", func() bool {
				j := state(i)
				b.g.converter.mu.Lock()
				defer b.g.converter.mu.Unlock()
				w := b.g.converter.jobs[j.ID]
				return j.State == queue.Preparing && j.PrepareRuns == 0 && strings.Contains(j.Text, "Office") && w.tries == try+1 && !w.until.IsZero()
			})
		}
		if try == 5 {
			back.Store(true)
		}
		b.g.converter.mu.Lock()
		for id, w := range b.g.converter.jobs {
			w.until = time.Now().Add(-time.Second)
			b.g.converter.jobs[id] = w
		}
		b.g.converter.mu.Unlock()
		if _, err := b.post(simple(fmt.Sprint("m", try), "words", "words"), "anna@example.org", "5550109@fax.example"); err != nil { // wakes it
			t.Fatal(err)
		}
	}
	for i := range 2 {
		eventually(t, "it is made", func() bool { return state(i).State == queue.Waiting && state(i).PrepareRuns == 1 })
	}
	eventually(t, "nothing is kept", func() bool {
		b.g.converter.mu.Lock()
		defer b.g.converter.mu.Unlock()
		return len(b.g.converter.jobs) == 0
	})
}

// When the wait is over the sender is told why, once.
func TestConverter_GivesUp(t *testing.T) {
	b := newBench(t, nil)
	b.render = func(raster.Job) (raster.Result, error) {
		return raster.Result{}, fmt.Errorf("%w: connection refused", gotenberg.ErrUnavailable)
	}
	if _, err := b.post(simple("1", "office", "words"), "anna@example.org", "5550100@fax.example"); err != nil {
		t.Fatal(err)
	}
	b.work()
	if j := b.allJobs()[0]; j.State != queue.Failed || len(b.mails) != 1 || len(b.g.converter.jobs) != 0 {
		t.Fatalf("%+v, %d mails", j, len(b.mails))
	}
	wantWords(t, b.mails[0].body(t), "the program that turns such documents into pages could not be reached", "Please send it as PDF")
}
