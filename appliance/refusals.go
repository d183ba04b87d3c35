package appliance

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/receive"
)

// refusals are what the receive connectors refused of late, for whoever wonders where a mail is. They are kept in memory only.
type refusals struct {
	mu   sync.Mutex
	list []control.Refusal // oldest first
	said map[netip.Addr]string
}

// The bounds of the list.
const (
	maxRefusals    = 500
	refusalLife    = 24 * time.Hour
	maxRefusalText = 300 // octets of a command or a reply
	maxClients     = 500 // whose last command is remembered
)

// hear takes one event of a dialogue.
func (r *refusals) hear(e receive.Event) {
	if e.Dir == "<" {
		r.command(e.Client, e.Text)
		return
	}
	// Replies are refusals by their first digit; one before the greeting is told as what happened.
	if len(e.Text) < 4 || e.Text[0] != '4' && e.Text[0] != '5' || e.Text[1] < '0' || e.Text[1] > '5' || e.Text[3] == '-' {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, control.Refusal{At: e.At, Connector: e.Connector, Client: e.Client.String(), Command: r.said[e.Client], Reply: clipText(e.Text)})
	r.list = r.list[max(0, len(r.list)-maxRefusals):]
}

func (r *refusals) command(client netip.Addr, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.said == nil {
		r.said = map[netip.Addr]string{}
	}
	if _, known := r.said[client]; !known && len(r.said) >= maxClients {
		for other := range r.said { // any one: it only costs a line its context
			delete(r.said, other)
			break
		}
	}
	r.said[client] = clipText(text)
}

func clipText(s string) string {
	if len(s) > maxRefusalText {
		s = s[:maxRefusalText] + "..."
	}
	return smtpstack.OneLine(s)
}

// Refusals implements [control.Connectors].
func (a *Appliance) Refusals(context.Context) ([]control.Refusal, error) {
	r := &a.refused
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []control.Refusal{}
	for _, x := range r.list {
		if time.Since(x.At) < refusalLife {
			out = append(out, x)
		}
	}
	return out, nil
}
