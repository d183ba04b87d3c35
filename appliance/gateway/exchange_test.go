package gateway

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack/exchange"
	"github.com/tipring/tipring/smtpstack/send"
)

// What the outbox does with each class of reply of an Exchange Online that refuses by its own rules.

var boxIP = netip.MustParseAddr("203.0.113.7")

// office is a bench whose mail goes to a tenant of the test peer, through an inbound connector for the box's address.
type office struct {
	*bench
	peer *exchange.Peer
}

func newOffice(t *testing.T, change func(*exchange.World)) *office {
	t.Helper()
	w := exchange.World{Tenants: []exchange.Tenant{{ID: "contoso", Domains: []exchange.Domain{{Name: "contoso.com"}},
		Boxes:   []exchange.Mailbox{{Address: "jane@contoso.com"}, {Address: "ops@contoso.com"}, {Address: "full@contoso.com", Quota: 10}},
		Inbound: []exchange.Connector{{Name: "fax", IPs: []netip.Prefix{netip.PrefixFrom(boxIP, 32)}}}}}}
	if change != nil {
		change(&w)
	}
	p, err := exchange.New(w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	s, err := send.New(send.Config{Name: "fax", Hostname: "box.contoso.com", Host: exchange.EOPHost, TLS: send.Required, TLSConfig: &tls.Config{RootCAs: p.Roots()},
		Dial: func(context.Context, string, string) (net.Conn, error) { return p.Dial(exchange.EOP, boxIP), nil }}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &office{newBench(t, func(o *Options) { o.From, o.Fallback, o.Deliver = "fax@contoso.com", "ops@contoso.com", s.Deliver }), p}
}

// notice makes a notice for an address and lets the outbox have its turn.
func (o *office) notice(to string) {
	o.t.Helper()
	j, err := o.q.AddJob(queue.NewJob{Sender: to, Number: "5550100", Subject: "Plan"})
	if err == nil {
		err = o.q.FailJob(j.ID, "The reason.")
	}
	if err != nil {
		o.t.Fatal(err)
	}
	o.work()
}

// delivered are the recipients of the mails that the tenant took.
func (o *office) delivered() (to []string) {
	for _, m := range o.peer.Messages() {
		to = append(to, m.To...)
	}
	return to
}

func TestExchange_WhatBecomesOfTheMail(t *testing.T) {
	for _, c := range []struct {
		name, to  string
		change    func(*exchange.World)
		rule      exchange.Rule // that must have answered
		delivered string        // at once
		state     queue.OutState
		wait      time.Duration // at least, until it is tried again
		remedy    string        // of the alarm
	}{
		{"taken", "jane@contoso.com", nil, exchange.RuleAccepted, "jane@contoso.com", "", 0, ""},
		{"no such mailbox: the fallback", "nobody@contoso.com", nil, exchange.RuleUnknownMailbox, "ops@contoso.com", "", 0, ""},
		{"mailbox full: hours later", "full@contoso.com", nil, exchange.RuleMailboxFull, "", queue.OutPending, time.Hour, ""},
		{"address without a history: minutes later", "jane@contoso.com", func(w *exchange.World) {
			w.Unknown, w.Tenants[0].Inbound = []netip.Prefix{netip.PrefixFrom(boxIP, 32)}, nil
		}, exchange.RuleNewIP, "", queue.OutPending, time.Minute, ""},
		{"Direct Send switched off: held", "jane@contoso.com", func(w *exchange.World) {
			w.Tenants[0].RejectDirectSend, w.Tenants[0].Inbound = true, nil
		}, exchange.RuleDirectSend, "", queue.OutHeld, 0, "Set-OrganizationConfig"},
		{"tenant blocked: held", "jane@contoso.com", func(w *exchange.World) { w.Tenants[0].Blocked = true }, exchange.RuleTenantBlocked, "", queue.OutHeld, 0, "restriction"},
		{"address banned: held", "jane@contoso.com", func(w *exchange.World) {
			w.Banned = []netip.Prefix{netip.PrefixFrom(boxIP, 32)}
		}, exchange.RuleBannedIP, "", queue.OutHeld, 0, "delist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t, c.change)
			o.notice(c.to)
			if o.peer.Applied(c.rule) == 0 {
				t.Errorf("the peer never said %q", c.rule)
			}
			if got := strings.Join(o.delivered(), " "); got != c.delivered {
				t.Errorf("delivered to %q, want %q", got, c.delivered)
			}
			left := o.unsent()
			if c.state == "" {
				if len(left) != 0 {
					t.Errorf("outbox %+v", left)
				}
				return
			}
			if len(left) != 1 || left[0].State != c.state || c.wait > 0 && time.Until(left[0].NotBefore) < c.wait-time.Minute/2 {
				t.Fatalf("outbox %+v", left)
			}
			if o.alarmed("mail-held") != (c.state == queue.OutHeld) {
				t.Errorf("alarms %+v", o.g.alarms.List())
			}
			for _, a := range o.g.alarms.List() {
				if !strings.Contains(a.Remedy, c.remedy) {
					t.Errorf("remedy %q lacks %q", a.Remedy, c.remedy)
				}
			}
		})
	}
}

// What was held goes out, once, when an administrator has put the tenant right.
func TestExchange_HeldMailGoesOutOnceTheTenantIsPutRight(t *testing.T) {
	o := newOffice(t, func(w *exchange.World) { w.Tenants[0].RejectDirectSend, w.Tenants[0].Inbound = true, nil })
	for range 3 {
		o.notice("jane@contoso.com")
	}
	if len(o.delivered()) != 0 || len(o.unsent()) != 3 {
		t.Fatalf("delivered %v, outbox %+v", o.delivered(), o.unsent())
	}
	o.peer.Change(func(w *exchange.World) { w.Tenants[0].RejectDirectSend = false })
	if _, err := o.q.ReleaseOuts(); err != nil {
		t.Fatal(err)
	}
	o.work()
	o.work()
	if got := o.delivered(); len(got) != 3 || len(o.unsent()) != 0 {
		t.Errorf("delivered %v, outbox %+v", got, o.unsent())
	}
}
