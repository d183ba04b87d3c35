package appliance

import (
	"cmp"
	"time"

	"github.com/tipring/tipring/smtpstack/receive"
)

// ReceiveLimits bound what clients of a receive connector may do. A client is an address (IPv6: a /64); its network (/24, IPv6:
// /48) may do four times as much. 0 is the default.
type ReceiveLimits struct {
	Connections          int `toml:"connections"`             // at once
	ConnectionsPerClient int `toml:"connections_per_client"`  // at once
	ConnectionsPerMinute int `toml:"connections_per_minute"`  // new ones of a client
	MessagesPerMinute    int `toml:"messages_per_minute"`     // of a client
	RecipientsPerHour    int `toml:"recipients_per_hour"`     // of a client, taken ones
	ErrorsPerHour        int `toml:"errors_per_hour"`         // refusals a client may get
	FailedSignInsPerHour int `toml:"failed_signins_per_hour"` // of a client

	CommandTimeout Duration `toml:"command_timeout"` // between commands
	DataTimeout    Duration `toml:"data_timeout"`    // for all of a message
	SessionTimeout Duration `toml:"session_timeout"` // for a whole connection
}

// A connector that relays is for printers: what sends more than this is broken, or somebody else.
const (
	relayMessagesPerMinute = 30
	relayRecipientsPerHour = 600
)

func (l *ReceiveLimits) applyDefaults(relays bool) {
	messages, recipients := 600, 10_000
	if relays {
		messages, recipients = relayMessagesPerMinute, relayRecipientsPerHour
	}
	l.Connections, l.ConnectionsPerClient = cmp.Or(l.Connections, 200), cmp.Or(l.ConnectionsPerClient, 10)
	l.ConnectionsPerMinute, l.MessagesPerMinute = cmp.Or(l.ConnectionsPerMinute, 600), cmp.Or(l.MessagesPerMinute, messages)
	l.RecipientsPerHour, l.ErrorsPerHour = cmp.Or(l.RecipientsPerHour, recipients), cmp.Or(l.ErrorsPerHour, 600)
	l.FailedSignInsPerHour = cmp.Or(l.FailedSignInsPerHour, 20)
	l.CommandTimeout = cmp.Or(l.CommandTimeout, Duration(5*time.Minute))
	l.DataTimeout, l.SessionTimeout = cmp.Or(l.DataTimeout, Duration(30*time.Minute)), cmp.Or(l.SessionTimeout, Duration(time.Hour))
}

func (l ReceiveLimits) validate(v *faults, at string) {
	for key, n := range map[string]int{"connections": l.Connections, "connections_per_client": l.ConnectionsPerClient, "connections_per_minute": l.ConnectionsPerMinute,
		"messages_per_minute": l.MessagesPerMinute, "recipients_per_hour": l.RecipientsPerHour, "errors_per_hour": l.ErrorsPerHour,
		"failed_signins_per_hour": l.FailedSignInsPerHour} {
		v.need(n >= 1 && n <= 1_000_000, "%s: %s = %d: use 1 to 1000000", at, key, n)
	}
	v.need(l.Connections <= 2000, "%s: connections = %d: use 1 to 2000, each takes memory", at, l.Connections)
	for key, d := range map[string]Duration{"command_timeout": l.CommandTimeout, "data_timeout": l.DataTimeout, "session_timeout": l.SessionTimeout} {
		v.need(time.Duration(d) >= 5*time.Second && time.Duration(d) <= 24*time.Hour, "%s: %s = %v: use 5s to 24h", at, key, time.Duration(d))
	}
}

// apply sets the limits of a connector.
func (l ReceiveLimits) apply(c *receive.Config) {
	c.MaxConns, c.MaxConnsPerIP = l.Connections, l.ConnectionsPerClient
	c.Limits = receive.Limits{ConnsPerMinute: l.ConnectionsPerMinute, MessagesPerMinute: l.MessagesPerMinute, RecipientsPerHour: l.RecipientsPerHour,
		ErrorsPerHour: l.ErrorsPerHour, FailedSignInsPerHour: l.FailedSignInsPerHour}
	c.CommandTimeout, c.DataTimeout, c.SessionTimeout = time.Duration(l.CommandTimeout), time.Duration(l.DataTimeout), time.Duration(l.SessionTimeout)
}
