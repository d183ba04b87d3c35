package appliance

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/smtpstack/diagnose"
	"github.com/tipring/tipring/smtpstack/receive"
	"github.com/tipring/tipring/smtpstack/send"
)

// connectorTestTime bounds one walk.
const connectorTestTime = 5 * time.Minute

// TestConnector implements [control.Connectors].
func (a *Appliance) TestConnector(ctx context.Context, q control.ConnectorQuestion) (control.ConnectorTest, error) {
	ctx, cancel := context.WithTimeout(ctx, connectorTestTime)
	defer cancel()
	res := control.ConnectorTest{Connector: q.Name}
	var ip netip.Addr
	if q.Address != "" {
		var err error
		if ip, err = netip.ParseAddr(q.Address); err != nil {
			return res, fmt.Errorf("%w: %q is no IP address", control.ErrInvalid, q.Address)
		}
	}
	if q.To != "" && !validAddress(q.To) {
		return res, fmt.Errorf("%w: %q is no mail address", control.ErrInvalid, q.To)
	}
	if !a.testing.TryLock() {
		return res, fmt.Errorf("%w: another connector is being tested", control.ErrConflict)
	}
	defer a.testing.Unlock()
	var steps []diagnose.Step
	if c := a.connector(q.Name); c != nil {
		res.Kind, steps = "send", a.testSend(ctx, c, q.To, ip)
	} else if i := slices.IndexFunc(a.cfg.Receive, func(r ReceiveConfig) bool { return r.Name == q.Name }); i >= 0 {
		res.Kind, steps = "receive", a.testReceive(ctx, a.cfg.Receive[i], ip)
	} else {
		return res, fmt.Errorf("%w: no [[send]] and no [[receive]] has the name %q; there are %s", control.ErrNotFound, q.Name, strings.Join(a.cfg.connectorNames(), ", "))
	}
	res.OK = !diagnose.Bad(steps)
	for _, s := range steps {
		res.Steps = append(res.Steps, control.ConnectorStep{Name: s.Name, State: string(s.State), Found: s.Found, Details: s.Details, Remedy: s.Remedy, PowerShell: s.PowerShell, Record: s.Record})
	}
	return res, nil
}

func (c Config) connectorNames() (names []string) {
	for _, s := range c.Send {
		names = append(names, s.Name)
	}
	for _, r := range c.Receive {
		names = append(names, r.Name)
	}
	return names
}

func (a *Appliance) testSend(ctx context.Context, c *connector, to string, ip netip.Addr) []diagnose.Step {
	if to == "" {
		to = a.cfg.Mail.Fallback
	}
	s := c.cfg
	d := diagnose.Send{Sender: c.sender, Resolver: a.names, Hostname: a.cfg.Hostname, From: a.cfg.Mail.From, To: to, Address: ip, RequireTLS: s.TLS == "required",
		Host: s.Host, MXOf: s.MXOf, Username: s.Username, ClientID: s.ClientID, Delegated: c.device != nil, Certificate: c.own, Roots: a.d.Roots, Keys: a.keys, DANE: s.Host == ""}
	if to != "" {
		m, done, err := a.g.TestMail(to, s.Name)
		if err == nil {
			defer done()
		}
		d.Compose = func() (send.Message, error) { return m, err }
	}
	return d.Run(ctx)
}

func (a *Appliance) testReceive(ctx context.Context, r ReceiveConfig, ip netip.Addr) []diagnose.Step {
	d := diagnose.Receive{Resolver: a.names, Hostname: a.cfg.Hostname, Implicit: r.ImplicitTLS, FaxDomains: a.cfg.FaxDomains, Senders: r.Senders, Address: ip, Roots: a.d.Roots}
	for _, p := range a.smtp {
		if p.connector.Name == r.Name {
			d.Listen = append(d.Listen, p.Addr().String())
		}
	}
	for _, entry := range r.Require {
		d.Tenant = d.Tenant || entry == "tenant"
	}
	if slices.Contains(r.Networks, receive.ExchangeOnlineName) {
		d.Ranges = func() (int, time.Time) {
			list, at := a.exchange.Prefixes()
			return len(list), at
		}
	}
	return d.Run(ctx)
}
