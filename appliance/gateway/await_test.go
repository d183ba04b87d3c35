package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/queue"
)

// failing is a directory of groups that can be switched off.
type failing struct{ down atomic.Bool }

func (f *failing) Member(_ context.Context, address string) (directory.Member, error) {
	if f.down.Load() {
		return directory.Member{}, &directory.Failure{Source: "ad", Remedy: "Correct the password.", Err: errors.New("down")}
	}
	if strings.HasPrefix(address, "anna@") {
		return directory.Member{Address: address, Groups: []string{"Sales"}, Source: "ad"}, nil
	}
	return directory.Member{}, fmt.Errorf("%w: %s", directory.ErrUnknown, address)
}

// permitted is a bench with a connector, on which Sales and bob may fax; Sales is known to the directory only.
func permitted(t *testing.T) (*bench, *failing) {
	t.Helper()
	ad := &failing{}
	var people *directory.Directory
	b := newBench(t, nil)
	people = directory.New(b.st, directory.Options{Members: ad})
	b.g.o.People = people
	for _, e := range []directory.Entry{
		{Kind: directory.Group, Name: "Sales", Permission: &directory.Permission{MaxPages: 10}},
		{Kind: directory.User, Name: "bob@example.org", Permission: &directory.Permission{}},
	} {
		if _, err := people.Put(e); err != nil {
			t.Fatal(err)
		}
	}
	b.connector = "in"
	return b, ad
}

func (b *bench) waitJob(id queue.JobID, what string, is func(queue.Job) bool) queue.Job {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		j, err := b.q.Job(id)
		if err != nil {
			b.t.Fatal(err)
		}
		if is(j) {
			return j
		}
		if time.Now().After(end) {
			b.t.Fatalf("job never %s: %+v", what, j)
		}
	}
}

// run starts workers until the test's end.
func (b *bench) run(workers ...func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, len(workers))
	for _, f := range workers {
		go func() { done <- f(ctx) }()
	}
	stop = func() {
		cancel()
		for range workers {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				b.t.Errorf("a worker failed: %v", err)
			}
		}
		workers = nil
	}
	b.t.Cleanup(stop)
	return stop
}

func TestAwait_AJobWaitsForTheDirectoryAndOthersGoOn(t *testing.T) {
	b, ad := permitted(t)
	if _, err := b.post(simple("1", "Waits", "hello"), "anna@example.org", "5550100@fax.example", "5550101@fax.example"); err != nil {
		t.Fatal(err)
	}
	ad.down.Store(true)
	stop := b.run(b.g.Expand, b.g.Prepare, b.g.Admit)
	for len(b.allJobs()) < 2 {
		time.Sleep(time.Millisecond)
	}
	anna := b.allJobs()
	for _, j := range anna {
		got := b.waitJob(j.ID, "waits", func(j queue.Job) bool { return j.Document != "" })
		if got.State != queue.Preparing || got.Pages != 2 || !strings.Contains(got.Text, "directory") {
			t.Errorf("%+v", got)
		}
	}
	// Bob has a permission of his own, for which no directory is asked.
	if _, err := b.post(simple("2", "Goes", "hello"), "bob@example.org", "5550102@fax.example"); err != nil {
		t.Fatal(err)
	}
	for len(b.allJobs()) < 3 {
		time.Sleep(time.Millisecond)
	}
	b.waitJob(b.allJobs()[2].ID, "goes on", func(j queue.Job) bool { return j.State == queue.Waiting })
	stop()

	// After a restart it is the same, and nothing is made twice.
	renders := len(b.jobs)
	b.g.waits = waits{}
	stop = b.run(b.g.Prepare, b.g.Admit)
	time.Sleep(50 * time.Millisecond)
	stop()
	if got := b.waitJob(anna[0].ID, "waits", func(j queue.Job) bool { return true }); got.State != queue.Preparing || len(b.jobs) != renders || got.PrepareRuns != 1 {
		t.Errorf("after a restart: %+v, %d documents made anew", got, len(b.jobs)-renders)
	}

	ad.down.Store(false)
	b.g.waits = waits{}
	b.run(b.g.Prepare, b.g.Admit)
	for _, j := range anna {
		if got := b.waitJob(j.ID, "goes on", func(j queue.Job) bool { return j.State == queue.Waiting }); got.Text != "" || got.Document == "" {
			t.Errorf("%+v", got)
		}
	}
	if faxes, pages, err := b.g.o.People.Used("anna@example.org", time.Now()); err != nil || faxes != 2 || pages != 4 {
		t.Errorf("%d faxes and %d pages of the day, %v", faxes, pages, err)
	}
}

// Who was taken out of the group while the fax waited may not send it any more.
func TestAwait_TheAnswerMayBeNo(t *testing.T) {
	b, ad := permitted(t)
	if _, err := b.post(simple("1", "Waits", "hello"), "anna@example.org", "5550100@fax.example"); err != nil {
		t.Fatal(err)
	}
	ad.down.Store(true)
	stop := b.run(b.g.Expand, b.g.Prepare, b.g.Admit)
	for len(b.allJobs()) < 1 {
		time.Sleep(time.Millisecond)
	}
	id := b.allJobs()[0].ID
	b.waitJob(id, "waits", func(j queue.Job) bool { return j.Document != "" })
	stop()
	if _, err := b.g.o.People.Put(directory.Entry{Kind: directory.Group, Name: "Sales", Permission: &directory.Permission{MaxPages: 1}}); err != nil {
		t.Fatal(err)
	}
	ad.down.Store(false)
	b.g.waits = waits{}
	b.run(b.g.Admit)
	if j := b.waitJob(id, "ends", func(j queue.Job) bool { return j.State.Final() }); j.State != queue.Failed || !strings.Contains(j.Text, "at most 1 pages") {
		t.Errorf("%+v", j)
	}
}

func TestWaits_LongerEachTimeAndNotForever(t *testing.T) {
	var w waits
	at := time.Unix(1e9, 0)
	jobs := []queue.Job{{ID: "a"}, {ID: "b"}}
	for range 30 {
		w.again("a", 0, at)
	}
	due, next := w.due(jobs, at)
	if len(due) != 1 || due[0].ID != "b" || next != at.Add(longestWait) {
		t.Errorf("%+v until %v", due, next.Sub(at))
	}
	if w.again("b", time.Hour, at); w.jobs["b"].until != at.Add(longestWait) {
		t.Error("a directory may make a job wait for longer than bounded")
	}
	if w.due(jobs[1:], at); len(w.jobs) != 1 {
		t.Errorf("a job that is gone is remembered: %+v", w.jobs)
	}
}
