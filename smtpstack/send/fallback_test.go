package send

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/exchange"
)

// ways is a site whose submission falls back to Direct Send.
type ways struct {
	*site
	store  Store
	router *Router
	events []FallbackEvent
	cut    bool // the submission's host is not to be reached
}

func newWays(t *testing.T, change func(*exchange.World)) *ways {
	w := &ways{site: newSite(t, change), store: NewMemoryStore()}
	w.open()
	return w
}

// open makes the router, as after a restart.
func (w *ways) open() {
	w.t.Helper()
	first := w.submission()
	dial := first.Dial
	first.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if w.cut {
			return nil, errors.New("no route to host")
		}
		return dial(ctx, network, addr)
	}
	direct := w.relay(homeIP)
	direct.Name = "direct"
	var list []*Sender
	for _, c := range []Config{first, direct} {
		s, err := New(c, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, s)
	}
	var err error
	w.router, err = NewRouter(RouterConfig{Connectors: list, Routes: []Route{{Domain: "*", Connector: "submission"}}, Store: w.store,
		Fallbacks:  []Fallback{{Connector: "submission", To: "direct", Domains: []string{"contoso.com"}}},
		OnFallback: func(e FallbackEvent) { w.events = append(w.events, e) }})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *ways) send(to ...string) Report {
	w.t.Helper()
	return w.router.Deliver(w.t.Context(), mailFrom(faxBox, to...))
}

func (w *ways) tenant(f func(*exchange.Tenant)) {
	w.p.Change(func(x *exchange.World) { f(&x.Tenants[0]) })
}

// While the sign-in is refused one's own people get their mail by Direct Send, others wait, nobody gets it twice.
func TestFallback_ConfigurationRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWays(t, nil)
		w.tenant(func(t *exchange.Tenant) { t.SMTPAuthDisabled = true })
		rep := w.send(jane, "a@elsewhere.example")
		if a, b := rep.Results[0], rep.Results[1]; a.Class != smtpstack.Delivered || a.Connector != "direct" || b.Class != smtpstack.Configuration || b.Connector != "submission" {
			t.Fatalf("%+v\n%s", rep.Results, transcript(rep))
		}
		if got := w.p.Messages(); len(got) != 1 || len(got[0].To) != 1 || got[0].Service != exchange.EOP {
			t.Errorf("%+v", got)
		}
		if len(w.events) != 1 || !w.events[0].Delivered || w.events[0].Why == "" || w.events[0].Remedy == "" {
			t.Errorf("%+v", w.events)
		}
		w.open() // the end is noticed after a restart too
		w.tenant(func(t *exchange.Tenant) { t.SMTPAuthDisabled = false })
		for range 2 {
			if r := w.send(jane).Results[0]; r.Class != smtpstack.Delivered || r.Connector != "submission" {
				t.Errorf("%+v", r)
			}
		}
		if len(w.events) != 2 || w.events[1].Why != "" {
			t.Errorf("%+v", w.events)
		}
	})
}

// A tenant that refuses Direct Send too is asked again after an hour only, over restarts; the mail waits for its own way.
func TestFallback_RefusedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWays(t, nil)
		w.tenant(func(t *exchange.Tenant) { t.SMTPAuthDisabled, t.RejectDirectSend = true, true })
		for range 5 {
			if r := w.send(jane).Results[0]; r.Class != smtpstack.Configuration || r.Reply.Enhanced != "5.7.139" {
				t.Errorf("%+v", r)
			}
			w.open()
			time.Sleep(time.Minute)
		}
		if n := w.p.Applied(exchange.RuleDirectSend); n != 1 || len(w.events) != 1 || w.events[0].Delivered {
			t.Errorf("asked %d times, events %+v", n, w.events)
		}
		w.tenant(func(t *exchange.Tenant) { t.RejectDirectSend = false })
		time.Sleep(time.Hour)
		if r := w.send(jane).Results[0]; r.Class != smtpstack.Delivered {
			t.Errorf("an hour later: %+v", r)
		}
	})
}

// A short outage is waited for.
func TestFallback_OutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWays(t, nil)
		w.cut = true
		if r := w.send(jane).Results[0]; r.Class != smtpstack.Temporary || len(w.events) != 0 {
			t.Errorf("at once: %+v", r)
		}
		time.Sleep(9 * time.Minute)
		if r := w.send(jane).Results[0]; r.Class != smtpstack.Temporary {
			t.Errorf("after nine minutes: %+v", r)
		}
		time.Sleep(2 * time.Minute)
		if r := w.send(jane).Results[0]; r.Class != smtpstack.Delivered || r.Connector != "direct" {
			t.Errorf("after eleven minutes: %+v", r)
		}
		w.cut = false
		if r := w.send(jane).Results[0]; r.Connector != "submission" || len(w.events) != 2 {
			t.Errorf("%+v, %+v", r, w.events)
		}
		w.cut = true
		if r := w.send(jane).Results[0]; r.Class != smtpstack.Temporary {
			t.Errorf("a new outage: %+v", r)
		}
	})
}

// What may have arrived, and what is the recipient's own affair, takes no second way.
func TestFallback_NeverDoubles(t *testing.T) {
	for name, res := range map[string]Result{
		"unconfirmed":    {To: jane, Class: smtpstack.Temporary, Err: errors.New("lost"), Unconfirmed: true},
		"no mailbox":     {To: jane, Class: smtpstack.BadRecipient},
		"throttled":      {To: jane, Class: smtpstack.Throttle, Err: errors.New("not tried")},
		"greylisted":     {To: jane, Class: smtpstack.Temporary, Reply: smtpstack.Reply{Code: 451}},
		"mailbox full":   {To: jane, Class: smtpstack.Quota},
		"foreign domain": {To: "a@elsewhere.example", Class: smtpstack.Configuration},
		"delivered":      {To: jane, Class: smtpstack.Delivered},
	} {
		f := &fallback{domains: map[string]bool{"contoso.com": true}, down: time.Now().Add(-time.Hour)}
		if list := f.moved([]Result{res}); len(list) != 0 {
			t.Errorf("%s: takes the fallback", name)
		}
	}
}

func TestNewRouter_RefusesFallbacks(t *testing.T) {
	one, two := connector(t, "one", "x"), connector(t, "two", "y")
	for _, list := range [][]Fallback{{{Connector: "one", To: "one"}}, {{Connector: "one", To: "three"}}, {{Connector: "three", To: "one"}},
		{{Connector: "one", To: "two"}, {Connector: "one", To: "two"}}, {{Connector: "one", To: "two", Domains: []string{"a@b"}}}} {
		if _, err := NewRouter(RouterConfig{Connectors: []*Sender{one, two}, Routes: []Route{{Domain: "*", Connector: "one"}}, Fallbacks: list}); err == nil {
			t.Errorf("taken: %+v", list)
		}
	}
}

// Which servers see what: nothing takes the second way after the final dot of the first, and a second way whose own outcome is not known
// is said to be so.
func TestFallback_WhoSeesTheMail(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second map[string]string
		class         smtpstack.Class
		connector     string
		unconfirmed   bool
		mails         [2]int // DATA ended at each
	}{
		{"first lost after the dot", map[string]string{".": "HANGUP"}, nil, smtpstack.Temporary, "first", true, [2]int{1, 0}},
		{"first refuses after the dot", map[string]string{".": "550 5.7.60 Send As"}, nil, smtpstack.Delivered, "second", false, [2]int{1, 1}},
		{"second lost after the dot", map[string]string{"MAIL": "550 5.7.60 Send As"}, map[string]string{".": "HANGUP"}, smtpstack.Temporary, "second", true, [2]int{0, 1}},
		{"second refuses", map[string]string{"MAIL": "550 5.7.60 Send As"}, map[string]string{"RCPT": "550 5.7.68 Direct Send"}, smtpstack.Configuration, "first", false, [2]int{0, 0}},
		{"second knows nobody", map[string]string{"MAIL": "550 5.7.60 Send As"}, map[string]string{"RCPT": "550 5.7.133 signed-in only"}, smtpstack.Configuration, "first", false, [2]int{0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			first, second := newServer(t, c.first), newServer(t, c.second)
			r, err := NewRouter(RouterConfig{Connectors: []*Sender{connector(t, "first", first.addr()), connector(t, "second", second.addr())}, Routes: []Route{{Domain: "*", Connector: "first"}},
				Fallbacks: []Fallback{{Connector: "first", To: "second", Domains: []string{"example.org"}}}})
			if err != nil {
				t.Fatal(err)
			}
			res := last(r.Deliver(t.Context(), message("a@example.org")))
			if res.Class != c.class || res.Connector != c.connector || res.Unconfirmed != c.unconfirmed {
				t.Errorf("%+v", res)
			}
			for i, s := range []*server{first, second} {
				if got := len(s.received()); got != c.mails[i] {
					t.Errorf("server %d has %d mails, want %d", i+1, got, c.mails[i])
				}
			}
		})
	}
}
