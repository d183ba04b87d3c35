package send

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/exchange"
)

func TestPace_FeedbackOfThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace("x", Limits{Connections: 8}, NewMemoryStore())
		turn := func() *turn {
			tn, wait := p.enter(t.Context(), "d", 1)
			if wait != nil {
				t.Fatal(wait.Text())
			}
			return tn
		}
		round := func(c smtpstack.Class) (pause time.Duration) {
			return turn().leave([]Result{{Class: c}})
		}
		var pauses []time.Duration
		for range 7 {
			pauses = append(pauses, round(smtpstack.Throttle))
			time.Sleep(pauses[len(pauses)-1])
		}
		want := []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute}
		for i := range want {
			if pauses[i] != want[i] {
				t.Errorf("pauses %v", pauses)
				break
			}
		}
		if w := p.dests["d"].window; w != 1 {
			t.Errorf("window %v after throttling", w)
		}
		// One connection only: a second has to wait for the first.
		first := turn()
		began := time.Now()
		time.AfterFunc(7*time.Second, func() { first.leave([]Result{{Class: smtpstack.Temporary}}) })
		second := turn()
		if d := time.Since(began); d != 7*time.Second {
			t.Errorf("the second connection came after %v", d)
		}
		second.leave([]Result{{Class: smtpstack.Delivered}})
		n := 1
		for ; p.dests["d"] != nil; n++ {
			if n > 100 {
				t.Fatalf("window %v after 100 successes", p.dests["d"].window)
			}
			round(smtpstack.Delivered)
		}
		if n < 20 { // 1 to 8 by 1/w: some 30 successes
			t.Errorf("back to 8 connections after %d successes", n)
		}
	})
}

func TestPace_WaitsNotTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace("x", Limits{Connections: 1, MaxWait: 10 * time.Second}, NewMemoryStore())
		first, _ := p.enter(t.Context(), "d", 1)
		if _, wait := p.enter(t.Context(), "other", 1); wait != nil {
			t.Errorf("destinations hold each other up: %s", wait.Text())
		}
		began := time.Now()
		if _, wait := p.enter(t.Context(), "d", 1); wait == nil || wait.Class != smtpstack.Throttle || wait.RetryAfter == 0 || time.Since(began) != 10*time.Second {
			t.Errorf("%+v after %v", wait, time.Since(began))
		}
		first.leave([]Result{{Class: smtpstack.Throttle}})
		began = time.Now()
		if _, wait := p.enter(t.Context(), "d", 1); wait == nil || wait.RetryAfter != 30*time.Second || time.Since(began) != 0 {
			t.Errorf("%+v after %v", wait, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p = newPace("x", Limits{Connections: 1}, NewMemoryStore())
		p.enter(ctx, "d", 1)
		if _, wait := p.enter(ctx, "d", 1); wait == nil || wait.Class != smtpstack.Temporary {
			t.Errorf("%+v", wait)
		}
	})
}

func TestPace_DestinationsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace("x", Limits{}, NewMemoryStore())
		for i := range 5 * maxDestinations {
			tn, wait := p.enter(t.Context(), string(rune(i+32)), 1)
			if wait != nil {
				t.Fatal(wait.Text())
			}
			tn.leave([]Result{{Class: smtpstack.Throttle}})
		}
		if n := len(p.dests); n > 2*maxDestinations {
			t.Errorf("%d destinations are remembered", n)
		}
	})
}

// TestLimits_Submission: the service's own limits are never reached, over restarts too.
func TestLimits_Submission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w *exchange.World) { w.Tenants[0].Boxes[0].RecipientsPerDay = 200 })
		store := NewMemoryStore()
		began := time.Now()
		for range 4 { // each a restart
			c := s.submission()
			c.Store, c.Limits = store, ExchangeSubmission
			c.Limits.RecipientsPerDay = 200
			snd, err := New(c, nil)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for range 25 {
				wg.Go(func() {
					for {
						r := last(snd.Deliver(t.Context(), mailFrom(faxBox, jane, "a@elsewhere.example")))
						if r.Class == smtpstack.Delivered {
							return
						}
						if r.Class != smtpstack.Throttle || r.Reply.Code != 0 || r.RetryAfter <= 0 {
							t.Errorf("%+v", r)
							return
						}
						time.Sleep(r.RetryAfter)
					}
				})
			}
			wg.Wait()
		}
		if d := time.Since(began); d < 3*time.Minute || d > 6*time.Minute {
			t.Errorf("100 messages at 30 a minute took %v", d)
		}
		for _, m := range s.p.Messages() {
			if m.Delayed {
				t.Error("a message over the limit of the minute")
			}
		}
		if n := s.p.Applied(exchange.RuleConnections); n != 0 || len(s.p.Messages()) != 100 {
			t.Errorf("%d refused connections, %d messages", n, len(s.p.Messages()))
		}
		c := s.submission()
		c.Store, c.Limits = store, Limits{RecipientsPerDay: 200}
		r := last(s.deliver(c, mailFrom(faxBox, jane)))
		if r.Class != smtpstack.Quota || r.RetryAfter <= 0 || s.p.Applied(exchange.RuleDailyLimit) != 0 {
			t.Errorf("the 201st recipient: %+v", r)
		}
		time.Sleep(26 * time.Hour)
		if r := last(s.deliver(c, mailFrom(faxBox, jane))); r.Class != smtpstack.Delivered {
			t.Errorf("the day after: %+v", r)
		}
	})
}

// TestLimits_RefusedCountNothing: recipients that were not served do not use up the day.
func TestLimits_RefusedCountNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		c := s.submission()
		c.Limits.RecipientsPerDay = 2
		snd, err := New(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if r := last(snd.Deliver(t.Context(), mailFrom(faxBox, "nobody@contoso.com"))); r.Class != smtpstack.BadRecipient {
				t.Fatalf("%+v", r)
			}
		}
		rep := snd.Deliver(t.Context(), mailFrom(faxBox, jane, "a@elsewhere.example", "b@elsewhere.example"))
		got := []smtpstack.Class{rep.Results[0].Class, rep.Results[1].Class, rep.Results[2].Class}
		if got[0] != smtpstack.Delivered || got[1] != smtpstack.Delivered || got[2] != smtpstack.Quota {
			t.Errorf("%v", got)
		}
	})
}

// TestLimits_ThrottledChunksStop: what follows a throttling reply is not even tried.
func TestLimits_ThrottledChunksStop(t *testing.T) {
	s := newServer(t, map[string]string{"MAIL": "451 4.7.500 Server busy"})
	rep := deliver(t, Config{Host: s.addr(), MaxRecipients: 1}, message("a@x.example", "b@x.example", "c@x.example"))
	for _, r := range rep.Results {
		if r.Class != smtpstack.Throttle || r.RetryAfter != firstPause {
			t.Errorf("%+v", r)
		}
	}
	if s.connections() != 1 {
		t.Errorf("%d connections", s.connections())
	}
}

// broken is a store that fails.
type broken struct{}

func (broken) Get(string, string) ([]byte, error)          { return nil, net.ErrClosed }
func (broken) Put(string, string, []byte, time.Time) error { return net.ErrClosed }

func TestLimits_BrokenStoreKeepsNoMailBack(t *testing.T) {
	s := newServer(t, nil)
	r := last(deliver(t, Config{Host: s.addr(), Store: broken{}, Limits: ExchangeSubmission}, message("a@x.example")))
	if r.Class != smtpstack.Delivered {
		t.Errorf("%+v", r)
	}
}

func TestMemoryStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemoryStore()
		m.Put("a", "k", []byte("1"), time.Now().Add(time.Hour))
		m.Put("b", "k", []byte("2"), time.Now().Add(time.Minute))
		time.Sleep(time.Minute)
		if v, _ := m.Get("a", "k"); string(v) != "1" {
			t.Errorf("%q", v)
		}
		if v, _ := m.Get("b", "k"); v != nil {
			t.Errorf("expired: %q", v)
		}
		for i := range maxMemory {
			m.Put("c", string(rune(i+32)), nil, time.Now().Add(time.Hour))
		}
		if v, _ := m.Get("a", "k"); v != nil || m.order.Len() != maxMemory || len(m.entries) != maxMemory {
			t.Errorf("%q, %d entries", v, m.order.Len())
		}
	})
}

// TestPace_FindsTheServicesRate: against a service that takes ten messages a minute a crowd of senders gets through, and
// is told to slow down less than once for each two messages.
func TestPace_FindsTheServicesRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w *exchange.World) { w.AnonymousPerMinute = 10 })
		snd, err := New(s.relay(homeIP), nil)
		if err != nil {
			t.Fatal(err)
		}
		const mails = 60
		began := time.Now()
		var wg sync.WaitGroup
		for range mails {
			wg.Go(func() {
				for {
					r := last(snd.Deliver(t.Context(), mailFrom("a@example.net", jane)))
					if r.Class == smtpstack.Delivered {
						return
					}
					if r.Class != smtpstack.Throttle || r.RetryAfter <= 0 {
						t.Errorf("%+v", r)
						return
					}
					time.Sleep(r.RetryAfter)
				}
			})
		}
		wg.Wait()
		refused := s.p.Applied(exchange.RuleBusy)
		if len(s.p.Messages()) != mails || refused > mails/2 || refused == 0 || time.Since(began) > time.Hour {
			t.Errorf("%d messages in %v, %d told to slow down", len(s.p.Messages()), time.Since(began), refused)
		}
	})
}
