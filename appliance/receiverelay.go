package appliance

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/smtpstack/receive"
	"github.com/tipring/tipring/smtpstack/send"
)

// RelayConfig has a receive connector pass on mail that printers and scanners hand in, which know no TLS and no sign-in: it is
// submitted again by a send connector.
type RelayConfig struct {
	RelayTo   []string `toml:"relay_to"`   // recipients' domains; "*.example.com": all below it; "*": all; empty: nothing is passed on
	RelayVia  string   `toml:"relay_via"`  // name of the [[send]]; empty: as our own mail goes
	RelayFrom string   `toml:"relay_from"` // "keep", or the mailbox that takes the place of the device's address, which becomes Reply-To
}

// keepFrom leaves From and MAIL FROM to the device.
const keepFrom = "keep"

func (c Config) validateRelay(v *faults, at string, r ReceiveConfig) {
	if len(r.RelayTo) == 0 {
		v.need(r.RelayVia == "" && r.RelayFrom == keepFrom, "%s: relay_via and relay_from need relay_to", at)
		return
	}
	for _, d := range r.RelayTo {
		v.need(d == "*" || validHost(strings.TrimPrefix(d, "*.")), "%s: relay_to: %q: use example.com, *.example.com for all below it, or \"*\"", at, d)
	}
	known := func(s SendConfig) bool { return s.Name == r.RelayVia }
	v.need(r.RelayVia == "" || slices.ContainsFunc(c.Send, known), "%s: relay_via: no [[send]] has the name %q", at, r.RelayVia)
	v.need(r.RelayFrom == keepFrom || validAddress(r.RelayFrom), "%s: relay_from: %q: use \"keep\", or the address of the mailbox that submits", at, r.RelayFrom)
	for _, n := range r.Networks {
		p, err := netip.ParsePrefix(n)
		v.need(n != receive.ExchangeOnlineName && (err != nil || receive.OwnNetwork(p)),
			"%s: relay_to: networks: %q: strangers could relay; list private networks, or public hosts one by one (192.0.2.7/32)", at, n)
	}
	v.need(!slices.Contains(r.Senders, "*") || r.RequireAuth, "%s: relay_to: senders = [\"*\"]: list the devices' addresses or domains, or set require_auth = true", at)
	v.need(len(r.TrustedRelays) == 0 && !r.proves(), "%s: relay_to does not go with require, dmarc and trusted_relays: make a [[receive]] of its own for the devices", at)
}

// relays are the connectors that pass mail on. senders has the send connectors; with deliver, which tests set, that takes all mail.
func (c Config) relays(senders *send.Router, deliver gateway.DeliverFunc) map[string]*gateway.Relay {
	all := map[string]*gateway.Relay{}
	for _, r := range c.Receive {
		if len(r.RelayTo) == 0 {
			continue
		}
		g := &gateway.Relay{Senders: r.Senders, Own: r.RelayTo, Deliver: deliver}
		if r.RelayFrom != keepFrom {
			g.From = r.RelayFrom
		}
		if r.RelayVia != "" && deliver == nil {
			g.Deliver = func(ctx context.Context, m send.Message) send.Report { return senders.DeliverBy(ctx, r.RelayVia, m) }
		}
		all[r.Name] = g
	}
	return all
}
