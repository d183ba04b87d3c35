package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reports keeps what a Watched says.
type reports struct {
	mu  sync.Mutex
	all []error
}

func (r *reports) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, err)
}

func (r *reports) last(t *testing.T) (n int, err error) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == 0 {
		t.Fatal("nothing was reported")
	}
	return len(r.all), r.all[len(r.all)-1]
}

func TestWatch_FailsAndComesBackByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{name: "ad", known: map[string]Member{"ann@x.test": person("ann@x.test")}}
		var r reports
		w := Watch(s, r.add)
		ctx, cancel := context.WithCancel(t.Context())
		go w.Run(ctx, "fax@x.test")
		synctest.Wait()
		if n, err := r.last(t); n != 1 || err != nil {
			t.Errorf("at the start: %d reports, %v", n, err)
		}
		s.down.Store(true)
		if _, err := w.Member(t.Context(), "ann@x.test"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v", err)
		}
		if _, err := r.last(t); !errors.Is(err, ErrUnavailable) {
			t.Errorf("the failure is not reported: %v", err)
		}
		time.Sleep(5 * askAgain)
		n, _ := r.last(t)
		s.down.Store(false)
		time.Sleep(askAgain + time.Second)
		if all, err := r.last(t); all != n+1 || err != nil {
			t.Errorf("nobody asked, and yet it is not seen that it works: %d reports, %v", all-n, err)
		}
		asked := s.asked.Load()
		time.Sleep(10 * askAgain)
		if s.asked.Load() != asked {
			t.Error("it is asked all the time, though all is well")
		}
		s.down.Store(true)
		time.Sleep(askAnyway + askAgain)
		if _, err := r.last(t); err == nil {
			t.Error("a source that nobody asks fails unseen")
		}
		cancel()
		synctest.Wait()
	})
}

// partly answers for all but one.
type partly struct {
	*scripted
	not string
}

func (p *partly) Member(ctx context.Context, address string) (Member, error) {
	if address == p.not {
		return Member{}, &Failure{Source: "ad", Remedy: "Two entries have the address.", Err: errors.New("ambiguous")}
	}
	return p.scripted.Member(ctx, address)
}

// What fails for one address is not over because another has an answer.
func TestWatch_EachQuestionCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &partly{&scripted{name: "ad", known: map[string]Member{"ann@x.test": person("ann@x.test")}}, "twins@x.test"}
		var r reports
		w := Watch(s, r.add)
		ctx, cancel := context.WithCancel(t.Context())
		go w.Run(ctx, "fax@x.test")
		synctest.Wait()
		w.Member(t.Context(), "twins@x.test")
		for range 3 {
			w.Member(t.Context(), "ann@x.test")
			w.Lookup(t.Context(), "nobody@x.test")
			time.Sleep(askAgain)
			if _, err := r.last(t); Remedy(err) == "" {
				t.Fatalf("an answer to another question cleared it: %v", err)
			}
		}
		gone, stop := context.WithCancel(t.Context())
		stop()
		n, _ := r.last(t)
		s.down.Store(true)
		w.Member(gone, "bob@x.test")
		if all, _ := r.last(t); all != n {
			t.Error("who asked went away, and the source is blamed")
		}
		s.down.Store(false)
		cancel()
		synctest.Wait()
	})
}

func TestWatch_RemembersFewQuestions(t *testing.T) {
	s := &scripted{name: "ad"}
	s.down.Store(true)
	w := Watch(s, func(error) {})
	for i := range 10 * maxFailing {
		w.Lookup(t.Context(), fmt.Sprintf("forged%d@x.test", i))
	}
	if n := len(w.questions()); n != maxFailing {
		t.Errorf("%d questions, want %d", n, maxFailing)
	}
}

func TestRemedy_OfWhatIsJoined(t *testing.T) {
	err := fmt.Errorf("reserve: %w", errors.Join(&Failure{Err: errors.New("a"), RetryAfter: time.Second}, errors.New("b"),
		&Failure{Err: errors.New("c"), Remedy: "Correct it.", RetryAfter: time.Minute}))
	if Remedy(err) != "Correct it." || RetryAfter(err) != time.Minute {
		t.Errorf("%q, %v", Remedy(err), RetryAfter(err))
	}
	if Remedy(errors.New("x")) != "" || RetryAfter(nil) != 0 {
		t.Error("a remedy for what is no failure")
	}
}
