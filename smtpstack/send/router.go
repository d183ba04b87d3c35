package send

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// Route leads mail for some domains to a connector or straight to a host.
type Route struct {
	Domain    string // "example.com", "*.example.com" (names below it), or "*" for all others
	Connector string // name of one of the connectors
	Host      string // or "host:port", by the settings of RouterConfig.Direct
}

// RouterConfig is what a Router chooses from.
type RouterConfig struct {
	Connectors []*Sender
	Routes     []Route
	Direct     Config           // for routes with a Host: Hostname, TLS, limits and the rest; its Host and Name are set here
	Resolver   resolve.Resolver // for those

	Fallbacks []Fallback
	// Store keeps over restarts how fallbacks did; nil: nothing.
	Store Store
	// OnFallback hears of every use of a fallback, and of its end; may be nil. It must not block.
	OnFallback func(FallbackEvent)
}

// Router delivers each recipient's mail by the connector of its domain. It is safe for concurrent use; its Deliver can
// stand wherever a Sender's can.
type Router struct {
	table     map[string]*Sender
	names     []*Sender
	fallbacks map[*Sender]*fallback
	heard     func(FallbackEvent)
}

// NewRouter checks the table. An exact domain goes before the longest suffix, "*" comes last.
func NewRouter(cfg RouterConfig) (*Router, error) {
	r := &Router{table: make(map[string]*Sender), names: cfg.Connectors}
	byName := make(map[string]*Sender)
	for _, s := range cfg.Connectors {
		if byName[s.Name()] != nil {
			return nil, fmt.Errorf("send: two connectors are named %q", s.Name())
		}
		byName[s.Name()] = s
	}
	direct := make(map[string]*Sender)
	for _, route := range cfg.Routes {
		key := route.Domain
		if key != "*" {
			var err error
			if key, err = asciiPattern(key); err != nil {
				return nil, fmt.Errorf("send: route: %w", err)
			}
		}
		if _, twice := r.table[key]; twice {
			return nil, fmt.Errorf("send: two routes for %q", route.Domain)
		}
		s, err := cfg.target(route, byName, direct)
		if err != nil {
			return nil, err
		}
		r.table[key] = s
	}
	if len(r.table) == 0 {
		return nil, errors.New("send: no route at all")
	}
	if err := r.openFallbacks(cfg, byName); err != nil {
		return nil, err
	}
	return r, nil
}

func (cfg RouterConfig) target(route Route, byName, direct map[string]*Sender) (*Sender, error) {
	if (route.Connector == "") == (route.Host == "") {
		return nil, fmt.Errorf("send: route for %q: name a connector or a host", route.Domain)
	}
	if route.Connector != "" {
		s := byName[route.Connector]
		if s == nil {
			return nil, fmt.Errorf("send: route for %q: there is no connector %q", route.Domain, route.Connector)
		}
		return s, nil
	}
	if host, port, err := net.SplitHostPort(route.Host); err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("send: route for %q: %q is no host:port", route.Domain, route.Host)
	}
	if s := direct[route.Host]; s != nil {
		return s, nil // one host, one set of limits
	}
	c := cfg.Direct
	c.Host, c.Name = route.Host, "direct "+route.Host
	s, err := New(c, cfg.Resolver)
	if err != nil {
		return nil, err
	}
	direct[route.Host] = s
	return s, nil
}

// For returns the connector for a recipient's domain, nil when no route leads there.
func (r *Router) For(domain string) *Sender {
	s, _ := match(r.table, domain)
	return s
}

// Connector returns a connector by name, nil when there is none.
func (r *Router) Connector(name string) *Sender {
	for _, s := range r.names {
		if s.Name() == name {
			return s
		}
	}
	return nil
}

// part is the recipients of one connector: indices into Message.To.
type part struct {
	s     *Sender
	rcpts []int
}

// Deliver is Sender.Deliver for recipients of any domain. The connectors work side by side; their transcripts follow each
// other.
func (r *Router) Deliver(ctx context.Context, m Message) Report {
	out := Report{Results: make([]Result, len(m.To))}
	var parts []*part
	for i, to := range m.To {
		s, refused := r.route(to)
		if refused != nil {
			out.Results[i] = *refused
			continue
		}
		var mine *part
		for _, p := range parts {
			if p.s == s {
				mine = p
			}
		}
		if mine == nil {
			mine = &part{s: s}
			parts = append(parts, mine)
		}
		mine.rcpts = append(mine.rcpts, i)
	}
	reports := make([]Report, len(parts))
	var all sync.WaitGroup
	for n, p := range parts {
		one := m
		one.To = nil
		for _, i := range p.rcpts {
			one.To = append(one.To, m.To[i])
		}
		all.Go(func() { reports[n] = r.deliver(ctx, p.s, one) })
	}
	all.Wait()
	for n, p := range parts {
		for k, i := range p.rcpts {
			out.Results[i] = reports[n].Results[k]
		}
		out.Transcript = append(out.Transcript, reports[n].Transcript...)
	}
	return out
}

// DeliverBy is Deliver by the connector of a name, whatever the recipients' domains, with its fallback. The name must be one of the
// connectors.
func (r *Router) DeliverBy(ctx context.Context, name string, m Message) Report {
	return r.deliver(ctx, r.Connector(name), m)
}

func (r *Router) route(to string) (*Sender, *Result) {
	_, domain, err := wireAddress(to)
	if err != nil {
		return nil, &Result{To: to, Class: smtpstack.BadRecipient, Err: err, Reply: *smtpstack.Refuse(553, "5.1.3", "malformed address")}
	}
	if s := r.For(domain); s != nil {
		return s, nil
	}
	return nil, &Result{To: to, Class: smtpstack.Configuration, Err: fmt.Errorf("send: no route leads to %s", domain),
		Remedy: "Add a route for this domain, or one for \"*\", to the table of send connectors."}
}
