package send

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// Limits bound what a connector does. Zero fields have the defaults.
type Limits struct {
	Connections       int           // at the same time to one destination, default 4
	MessagesPerMinute int           // of the connector; 0: no limit
	RecipientsPerDay  int           // of the connector in any 24 hours, over restarts; 0: no limit
	MaxWait           time.Duration // how long Deliver waits for its turn, default 1 min
}

// ExchangeSubmission are the limits of client submission to Exchange Online, for each mailbox (Microsoft Learn: Message
// storage and concurrent connection throttling for SMTP Authenticated Submission).
var ExchangeSubmission = Limits{Connections: 3, MessagesPerMinute: 30, RecipientsPerDay: 10000}

const (
	firstPause      = 30 * time.Second // after the first throttling reply; doubled by each further one
	maxPause        = 15 * time.Minute
	maxDestinations = 1000 // remembered at the same time
)

// pace keeps a connector to its limits. To each destination there are fewer connections after a throttling reply, half of
// them, and more again slowly, one for each round of successes.
type pace struct {
	name   string
	limits Limits
	store  Store

	mu      sync.Mutex
	dests   map[string]*dest
	minute  []time.Time // messages of the last minute
	loaded  bool
	changed chan struct{} // closed and replaced when somebody leaves
}

// dest is one destination.
type dest struct {
	active int
	window float64 // connections allowed now
	until  time.Time
	pause  time.Duration
}

func newPace(name string, l Limits, store Store) *pace {
	l.Connections = cmp.Or(l.Connections, 4)
	l.MaxWait = cmp.Or(l.MaxWait, time.Minute)
	return &pace{name: name, limits: l, store: store, dests: make(map[string]*dest), changed: make(chan struct{})}
}

// turn is the permission for one connection with one message.
type turn struct {
	p          *pace
	d          *dest
	name       string
	recipients int // how many of those asked for may be served today
	hour       time.Time
}

// enter waits for a turn, at most MaxWait. Without one the result says when to come again.
func (p *pace) enter(ctx context.Context, destination string, recipients int) (*turn, *Result) {
	deadline := time.Now().Add(p.limits.MaxWait)
	for {
		p.mu.Lock()
		wait, why := p.wait(destination)
		if wait == 0 {
			t, full := p.begin(destination, recipients)
			p.mu.Unlock()
			return t, full
		}
		changed := p.changed
		p.mu.Unlock()
		left := time.Until(deadline)
		if why != waitConnection && wait > left {
			return nil, tooFast(why, wait)
		}
		timer := time.NewTimer(min(wait, left))
		select {
		case <-changed:
		case <-timer.C:
			if !time.Now().Before(deadline) {
				return nil, tooFast(why, firstPause)
			}
		case <-ctx.Done():
			timer.Stop()
			return nil, &Result{Class: smtpstack.Temporary, Err: fmt.Errorf("send: waiting for a turn: %w", ctx.Err())}
		}
		timer.Stop()
	}
}

const (
	waitConnection = "all connections to the destination are in use"
	waitAsked      = "the destination asked for slower sending"
)

func tooFast(why string, after time.Duration) *Result {
	return &Result{Class: smtpstack.Throttle, RetryAfter: after,
		Err: fmt.Errorf("send: %s: not tried, next try in %v", why, after.Round(time.Second))}
}

// wait says how long it is at least until a turn, 0 for none. p.mu is held.
func (p *pace) wait(destination string) (time.Duration, string) {
	now := time.Now()
	if p.limits.MessagesPerMinute > 0 {
		p.load()
		for len(p.minute) > 0 && now.Sub(p.minute[0]) >= time.Minute {
			p.minute = p.minute[1:]
		}
		if over := len(p.minute) - p.limits.MessagesPerMinute; over >= 0 {
			return p.minute[over].Add(time.Minute).Sub(now), "the limit of messages a minute is reached"
		}
	}
	d := p.dests[destination]
	if d == nil {
		return 0, ""
	}
	if pause := d.until.Sub(now); pause > 0 {
		return pause, waitAsked
	}
	if d.active >= int(d.window) {
		return time.Hour, waitConnection
	}
	return 0, ""
}

// begin takes the turn. p.mu is held.
func (p *pace) begin(destination string, recipients int) (*turn, *Result) {
	hour := time.Now().UTC().Truncate(time.Hour)
	if p.limits.RecipientsPerDay > 0 {
		left := p.limits.RecipientsPerDay - p.today(hour)
		if left <= 0 {
			return nil, &Result{Class: smtpstack.Quota, RetryAfter: time.Until(hour.Add(time.Hour)),
				Err: fmt.Errorf("send: the limit of %d recipients a day is reached: not tried", p.limits.RecipientsPerDay)}
		}
		recipients = min(recipients, left)
		p.add(hour, recipients)
	}
	d := p.occupy(destination)
	if p.limits.MessagesPerMinute > 0 {
		p.minute = append(p.minute, time.Now())
		p.save()
	}
	return &turn{p: p, d: d, name: destination, recipients: recipients, hour: hour}, nil
}

func (p *pace) occupy(destination string) *dest {
	d := p.dests[destination]
	if d == nil {
		p.forget()
		d = &dest{window: float64(p.limits.Connections)}
		p.dests[destination] = d
	}
	d.active++
	return d
}

// connection takes a turn without a message, at once or not at all.
func (p *pace) connection(destination string) (*turn, *Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.dests[destination]; d != nil && (d.active >= int(d.window) || time.Now().Before(d.until)) {
		return nil, tooFast(waitConnection, max(time.Until(d.until), 0))
	}
	return &turn{p: p, d: p.occupy(destination), name: destination}, nil
}

// leave ends the turn and learns from what came of it. After a throttling reply it says how long to keep away.
func (t *turn) leave(results []Result) (pause time.Duration) {
	p, d := t.p, t.d
	p.mu.Lock()
	defer p.mu.Unlock()
	d.active--
	throttled, delivered, counted := false, false, 0
	for _, r := range results {
		throttled = throttled || r.Class == smtpstack.Throttle
		delivered = delivered || r.Class == smtpstack.Delivered
		if r.Class == smtpstack.Delivered || r.Unconfirmed {
			counted++
		}
	}
	switch {
	case throttled:
		d.window = max(1, d.window/2)
		d.pause = min(max(2*d.pause, firstPause), maxPause)
		d.until = time.Now().Add(d.pause)
		pause = d.pause
	case delivered:
		d.window = min(float64(p.limits.Connections), d.window+1/d.window)
		d.pause = d.pause / 2
		if d.pause < firstPause {
			d.pause = 0
		}
	}
	if p.limits.RecipientsPerDay > 0 && counted < t.recipients {
		p.add(t.hour, counted-t.recipients)
	}
	if d.idle(p.limits.Connections) {
		delete(p.dests, t.name)
	}
	close(p.changed)
	p.changed = make(chan struct{})
	return pause
}

func (d *dest) idle(connections int) bool {
	return d.active == 0 && d.window >= float64(connections) && d.pause == 0
}

// forget makes room: destinations that only have a memory of slowness, those whose pause is over first. p.mu is held.
func (p *pace) forget() {
	if len(p.dests) < maxDestinations {
		return
	}
	for name, d := range p.dests {
		if d.active == 0 && (len(p.dests) >= 2*maxDestinations || time.Now().After(d.until)) {
			delete(p.dests, name)
		}
	}
}

// The counts in the store: recipients by hour, and the times of the last minute's messages.

func (p *pace) hourKey(hour time.Time) string { return p.name + " " + hour.Format(time.RFC3339) }

// today adds up the current hour and the 24 before it, so that any 24 hours are covered.
func (p *pace) today(hour time.Time) int {
	sum := 0
	for h := range 25 {
		sum += p.count(hour.Add(-time.Duration(h) * time.Hour))
	}
	return sum
}

func (p *pace) count(hour time.Time) int {
	raw, err := p.store.Get(BucketCounts, p.hourKey(hour))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(string(raw))
	return n
}

func (p *pace) add(hour time.Time, n int) {
	// A store that fails must not keep mail back: the service has the same limit and says so.
	p.store.Put(BucketCounts, p.hourKey(hour), []byte(strconv.Itoa(max(0, p.count(hour)+n))), hour.Add(26*time.Hour))
}

func (p *pace) save() {
	if raw, err := json.Marshal(p.minute); err == nil {
		p.store.Put(BucketCounts, p.name+" minute", raw, time.Now().Add(time.Minute))
	}
}

func (p *pace) load() {
	if p.loaded {
		return
	}
	p.loaded = true
	if raw, err := p.store.Get(BucketCounts, p.name+" minute"); err == nil && raw != nil {
		json.Unmarshal(raw, &p.minute) // a damaged record costs a minute's precision
	}
}
