package gateway

import (
	"cmp"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack/send"
)

// probeInterval is how often one held mail of a connector is tried without anybody asking for it.
const probeInterval = 30 * time.Minute

// noConnector stands for the connector of a result that no route led to.
const noConnector = "(none)"

// testHint says how to find out more about a connector.
func testHint(connector string) string {
	if connector == noConnector {
		return ""
	}
	return " \"tipring connector test " + connector + "\" shows where it stops."
}

func connectorOf(r send.Result) string { return cmp.Or(r.Connector, noConnector) }

// probes say when the mail that a connector holds is tried again. After a start it is tried at once: a configuration that was
// mended needs a restart.
type probes struct {
	taking sync.Mutex // one at a time
	mu     sync.Mutex
	next   map[string]time.Time
}

// due tells whether a connector's time has come.
func (p *probes) due(connector string) bool { return !time.Now().Before(p.at(connector)) }

// set begins the wait for a connector's next time.
func (p *probes) set(connector string, in time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = map[string]time.Time{}
	}
	p.next[connector] = time.Now().Add(in)
}

// at is a connector's next time; zero: now.
func (p *probes) at(connector string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next[connector]
}

// nextProbe takes a held item whose connector's time has come.
func (g *Gateway) nextProbe() (queue.Out, bool, error) {
	g.probes.taking.Lock()
	defer g.probes.taking.Unlock()
	o, ok, err := g.q.NextProbe(g.probes.due)
	if ok {
		g.probes.set(o.HeldBy, probeInterval)
	}
	return o, ok, err
}

// nextDelivery is when something of the outbox is due; zero: there is nothing.
func (g *Gateway) nextDelivery() (time.Time, error) {
	at, err := g.q.NextOutAt()
	if err != nil {
		return at, err
	}
	held, err := g.q.HeldBy()
	for connector := range held {
		probe := g.probes.at(connector)
		if probe.IsZero() {
			probe = time.Now()
		}
		if at.IsZero() || probe.Before(at) {
			at = probe
		}
	}
	return at, err
}

// afterProbe draws the conclusions for held mail from an attempt: a mail that was held and now is delivered lets the others
// of its connector go, any other success lets one of them be tried.
func (g *Gateway) afterProbe(o queue.Out, v verdict) error {
	if v.hold {
		g.probes.set(v.heldBy, probeInterval)
		return nil
	}
	if len(v.worked) == 0 {
		return nil
	}
	if o.HeldBy != "" {
		if n, err := g.q.ReleaseHeld(o.HeldBy); err != nil {
			return err
		} else if n > 0 {
			g.o.Log.Info("held mail goes out again", "connector", o.HeldBy, "mails", n)
		}
	} else {
		for _, connector := range v.worked {
			g.probes.set(connector, 0)
		}
	}
	held, err := g.q.HeldBy()
	if err == nil && len(held) == 0 {
		g.alarms.Clear("mail-held")
	}
	return err
}
