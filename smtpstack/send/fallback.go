package send

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// Fallback lets another connector serve some recipients while one cannot: Direct Send, for the organisation's own
// domains, while the tenant refuses the sign-in.
type Fallback struct {
	Connector string   // whose mail it is
	To        string   // the connector that takes its place
	Domains   []string // recipients' domains it may serve: "example.com", "*.example.com"
}

// FallbackEvent is one use of a fallback, or its end.
type FallbackEvent struct {
	Connector, To string
	Why           string // what the connector's own way ended by; "": it works again
	Delivered     bool   // the fallback took the mail
	Text          string // what the fallback's server said
	Remedy        string // of the connector's own way
}

const (
	// fallbackAfter is how long a server has to be out of reach before mail takes another way: most outages are shorter.
	fallbackAfter = 10 * time.Minute
	// fallbackRest is how long a fallback whose configuration is refused too (5.7.68: Direct Send not allowed) is left alone.
	fallbackRest = time.Hour
)

type fallback struct {
	to      *Sender
	domains map[string]bool
	store   Store

	mu   sync.Mutex
	down time.Time // since when the connector's server is out of reach; zero: it is not, as far as is known
	used bool      // since the connector worked last
}

// fallbackRecord is what the store has of a fallback.
type fallbackRecord struct {
	Used    bool      `json:"used"`
	Worked  time.Time `json:"worked,omitzero"`
	Refused time.Time `json:"refused,omitzero"`
	Text    string    `json:"text"` // of the last answer
}

// fallbackMemory is how long a record counts.
const fallbackMemory = 90 * 24 * time.Hour

func (r *Router) openFallbacks(cfg RouterConfig, byName map[string]*Sender) error {
	r.fallbacks, r.heard = map[*Sender]*fallback{}, cfg.OnFallback
	for _, f := range cfg.Fallbacks {
		from, to := byName[f.Connector], byName[f.To]
		if from == nil || to == nil || from == to || r.fallbacks[from] != nil {
			return fmt.Errorf("send: fallback of %q: no other connector %q, or a second one", f.Connector, f.To)
		}
		b := &fallback{to: to, domains: map[string]bool{}, store: cfg.Store}
		if b.store == nil {
			b.store = NewMemoryStore()
		}
		for _, d := range f.Domains {
			key, err := asciiPattern(d)
			if err != nil {
				return fmt.Errorf("send: fallback of %q: %w", f.Connector, err)
			}
			b.domains[key] = true
		}
		b.used = b.record(from.Name()).Used
		r.fallbacks[from] = b
	}
	return nil
}

// deliver is one connector's part of a delivery, with its fallback for what the connector certainly did not deliver.
func (r *Router) deliver(ctx context.Context, s *Sender, m Message) Report {
	rep := s.Deliver(ctx, m)
	f := r.fallbacks[s]
	if f == nil || ctx.Err() != nil {
		return rep
	}
	moved := f.moved(rep.Results)
	if len(moved) == 0 {
		r.recovered(s, f, rep.Results)
		return rep
	}
	why := rep.Results[moved[0]]
	if f.resting(s.Name()) {
		return rep
	}
	other := m
	other.To = nil
	for _, i := range moved {
		other.To = append(other.To, m.To[i])
	}
	second := f.to.Deliver(ctx, other)
	rep.Transcript = append(rep.Transcript, Event{At: time.Now(), Dir: "!", Text: smtpstack.OneLine(fmt.Sprintf("%s cannot, %s takes its place", s.Name(), f.to.Name()))})
	rep.Transcript = append(rep.Transcript, second.Transcript...)
	var event *FallbackEvent
	for k, i := range moved {
		res := second.Results[k]
		// What it did not deliver goes on waiting for the connector's own way: its refusals say nothing of that.
		if res.Class == smtpstack.Delivered || res.Unconfirmed {
			rep.Results[i] = res
		}
		if event == nil || res.Class == smtpstack.Delivered {
			event = &FallbackEvent{Connector: s.Name(), To: f.to.Name(), Why: why.Text(), Remedy: why.Remedy, Delivered: res.Class == smtpstack.Delivered, Text: res.Text()}
		}
		f.remember(s.Name(), res)
	}
	r.tell(*event)
	return rep
}

func (r *Router) tell(e FallbackEvent) {
	if r.heard != nil {
		r.heard(e)
	}
}

// moved are the results that the fallback may make good: certainly not delivered, for a reason that is the connector's, to a
// domain that the fallback serves.
func (f *fallback) moved(results []Result) []int {
	var list []int
	reach, out := false, false
	for _, res := range results {
		away := unreachable(res)
		reach, out = reach || !away, out || away
	}
	patient := f.wait(reach, out)
	for i, res := range results {
		_, domain, err := wireAddress(res.To)
		if _, serves := match(f.domains, domain); err != nil || !serves || res.Unconfirmed {
			continue
		}
		if res.Class == smtpstack.Configuration || unreachable(res) && !patient {
			list = append(list, i)
		}
	}
	return list
}

// wait keeps the time since when the server is out of reach, and tells whether it is too early to give it up.
func (f *fallback) wait(reach, out bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case reach:
		f.down = time.Time{}
	case out && f.down.IsZero():
		f.down = time.Now()
	}
	return f.down.IsZero() || time.Since(f.down) < fallbackAfter
}

// unreachable is a result without any server's word on the mail.
func unreachable(res Result) bool {
	return res.Class == smtpstack.Temporary && res.Reply.Code == 0 && res.Err != nil && !res.Unconfirmed
}

// recovered tells, once, that the connector's own way delivers again.
func (r *Router) recovered(s *Sender, f *fallback, results []Result) {
	worked := false
	for _, res := range results {
		worked = worked || res.Class == smtpstack.Delivered
	}
	f.mu.Lock()
	end := worked && f.used
	f.used = f.used && !worked
	f.mu.Unlock()
	if end {
		rec := f.record(s.Name())
		rec.Used = false
		f.keep(s.Name(), rec)
		r.tell(FallbackEvent{Connector: s.Name(), To: f.to.Name()})
	}
}

// resting tells whether the fallback itself was refused not long ago.
func (f *fallback) resting(connector string) bool {
	rec := f.record(connector)
	return rec.Refused.After(rec.Worked) && time.Since(rec.Refused) < fallbackRest
}

// remember keeps how the fallback did.
func (f *fallback) remember(connector string, res Result) {
	rec := f.record(connector)
	rec.Text = res.Text()
	switch res.Class {
	case smtpstack.Delivered:
		rec.Worked = time.Now()
	case smtpstack.Configuration:
		rec.Refused = time.Now()
	}
	rec.Used = true
	f.mu.Lock()
	f.used = true
	f.mu.Unlock()
	f.keep(connector, rec)
}

func (f *fallback) record(connector string) (rec fallbackRecord) {
	if raw, err := f.store.Get(BucketFallback, connector); err == nil && raw != nil {
		json.Unmarshal(raw, &rec) // a damaged record is as good as none
	}
	return rec
}

func (f *fallback) keep(connector string, rec fallbackRecord) {
	if raw, err := json.Marshal(rec); err == nil {
		f.store.Put(BucketFallback, connector, raw, time.Now().Add(fallbackMemory)) // not kept, it is only tried once more
	}
}
