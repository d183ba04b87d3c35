package send

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// Verdict is what a callout found out about a recipient.
type Verdict int

// The verdicts. Unknown is the answer to every failure that says nothing of the recipient.
const (
	Unknown Verdict = iota
	Good
	Bad
)

var verdictNames = [...]string{"unknown", "good", "bad"}

func (v Verdict) String() string { return verdictNames[v] }

// CalloutConfig bounds recipient verification by SMTP.
type CalloutConfig struct {
	Sender  string        // MAIL FROM; "" is the null sender, which every host must take (RFC 5321 4.5.5)
	Good    time.Duration // how long a good answer is kept, default 31 days
	Bad     time.Duration // a bad one, default 3 days
	Timeout time.Duration // for one recipient, default 30 s
	AtOnce  int           // callouts under way, default 4; more are Unknown at once
}

// Callout verifies recipients by asking the host that would get their mail, without sending any. It is safe for
// concurrent use.
type Callout struct {
	cfg    CalloutConfig
	sender *Sender
	store  Store
	slots  chan struct{}

	mu      sync.Mutex
	waiting map[string]*asking
}

// asking is a callout under way, for which others wait.
type asking struct {
	done   chan struct{}
	answer Answer
}

// Answer is a verdict with its ground.
type Answer struct {
	Verdict    Verdict
	Text       string // the server's reply, or what went wrong
	At         time.Time
	Cached     bool
	Transcript []Event // nil when cached
}

const (
	calloutGood    = 31 * 24 * time.Hour
	calloutBad     = 3 * 24 * time.Hour
	calloutTimeout = 30 * time.Second
	calloutAtOnce  = 4
)

// NewCallout asks by the connector s: its smart host, or the recipient's MX. A store of nil caches in memory.
func NewCallout(cfg CalloutConfig, s *Sender, store Store) *Callout {
	if cfg.Good <= 0 {
		cfg.Good = calloutGood
	}
	if cfg.Bad <= 0 {
		cfg.Bad = calloutBad
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = calloutTimeout
	}
	if cfg.AtOnce <= 0 {
		cfg.AtOnce = calloutAtOnce
	}
	if store == nil {
		store = NewMemoryStore()
	}
	return &Callout{cfg: cfg, sender: s, store: store,
		slots: make(chan struct{}, cfg.AtOnce), waiting: make(map[string]*asking)}
}

type calloutRecord struct {
	Verdict Verdict   `json:"verdict"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
}

// Verify tells whether a recipient exists. It never blocks longer than the timeout.
func (c *Callout) Verify(ctx context.Context, address string) Answer {
	wire, domain, err := wireAddress(address)
	if err != nil {
		return Answer{Verdict: Bad, Text: err.Error(), At: time.Now()}
	}
	key := wire[:len(wire)-len(domain)] + strings.ToLower(domain)
	if a, ok := c.cached(key); ok {
		return a
	}
	c.mu.Lock()
	if other := c.waiting[key]; other != nil {
		c.mu.Unlock()
		select {
		case <-other.done:
			return other.answer
		case <-ctx.Done():
			return Answer{Text: ctx.Err().Error(), At: time.Now()}
		}
	}
	select {
	case c.slots <- struct{}{}:
	default:
		c.mu.Unlock()
		return Answer{Text: "too many callouts are under way", At: time.Now()}
	}
	mine := &asking{done: make(chan struct{})}
	c.waiting[key] = mine
	c.mu.Unlock()

	tctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	mine.answer = c.sender.probe(tctx, c.cfg.Sender, address)
	cancel()
	c.keep(key, mine.answer)
	c.mu.Lock()
	delete(c.waiting, key)
	c.mu.Unlock()
	close(mine.done)
	<-c.slots
	return mine.answer
}

func (c *Callout) cached(key string) (Answer, bool) {
	raw, err := c.store.Get(BucketCallout, key)
	var r calloutRecord
	if err != nil || json.Unmarshal(raw, &r) != nil {
		return Answer{}, false
	}
	// The times are looked at here too: they may have been made shorter since.
	if age := time.Since(r.At); r.Verdict == Good && age < c.cfg.Good || r.Verdict == Bad && age < c.cfg.Bad {
		return Answer{Verdict: r.Verdict, Text: r.Text, At: r.At, Cached: true}, true
	}
	return Answer{}, false
}

// Forget drops what is remembered of an address, after it turned out otherwise: the server took it then and refuses it now.
func (c *Callout) Forget(address string) error {
	wire, domain, err := wireAddress(address)
	if err != nil {
		return fmt.Errorf("send: callout: %w", err)
	}
	return c.store.Put(BucketCallout, wire[:len(wire)-len(domain)]+strings.ToLower(domain), nil, time.Now())
}

func (c *Callout) keep(key string, a Answer) {
	life := map[Verdict]time.Duration{Good: c.cfg.Good, Bad: c.cfg.Bad}[a.Verdict]
	if life == 0 {
		return
	}
	if raw, err := json.Marshal(calloutRecord{a.Verdict, a.Text, a.At}); err == nil {
		c.store.Put(BucketCallout, key, raw, a.At.Add(life)) // a verdict not kept is asked for again
	}
}

// probe has the dialogue up to RCPT.
func (s *Sender) probe(ctx context.Context, from, to string) Answer {
	d := &delivery{s: s, msg: Message{From: from, To: []string{to}}, results: make([]Result, 1)}
	groups := d.group()
	if len(groups) == 1 {
		hosts, failure := s.hosts(ctx, groups[0].domain, d.trace)
		if failure != nil {
			d.set(0, *failure)
		} else {
			d.probeHosts(ctx, hosts)
		}
	}
	r := d.results[0]
	a := Answer{Text: r.Text(), At: time.Now(), Transcript: d.transcript}
	switch r.Class {
	case smtpstack.Delivered:
		a.Verdict = Good
	case smtpstack.BadRecipient:
		a.Verdict = Bad
	}
	return a
}

func (d *delivery) probeHosts(ctx context.Context, hosts []host) {
	for _, h := range hosts {
		turn, wait := d.s.pace.connection(d.s.destination(h))
		if wait != nil {
			d.set(0, *wait)
			return
		}
		c, err := d.connect(ctx, h)
		if err != nil {
			d.set(0, d.resultOf(err, h))
			d.trace("!", "%s", d.results[0].Text())
			turn.leave(d.results)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		c.ask()
		turn.leave(d.results)
		return
	}
}

// ask says MAIL and RCPT and gives up the transaction.
func (c *conn) ask() {
	d := c.d
	defer c.close()
	left, utf8 := c.international([]int{0})
	if len(left) == 0 {
		return
	}
	if accepted := c.envelope(left, utf8); len(accepted) == 1 {
		d.set(0, Result{Class: smtpstack.Delivered, Host: c.host.name, Reply: *smtpstack.Refuse(250, "2.1.5", "recipient taken")})
	}
	if !c.dead {
		if _, _, err := c.command("RSET"); err != nil {
			c.dead = true
			d.trace("!", "%v", fmt.Errorf("send: callout: %w", err))
		}
	}
}

func (s *Sender) destination(h host) string {
	if s.cfg.Host != "" {
		return ""
	}
	return h.guard.domain
}
