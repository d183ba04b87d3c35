package appliance

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack/receive"
)

func TestRefusals_BoundedAndOfTheLastDay(t *testing.T) {
	a := &Appliance{}
	hear := func(at time.Time, client, dir, text string) {
		a.refused.hear(receive.Event{At: at, Connector: "in", Client: netip.MustParseAddr(client), Dir: dir, Text: text})
	}
	now := time.Now()
	hear(now.Add(-25*time.Hour), "192.0.2.1", ">", "550 5.7.1 yesterday")
	hear(now, "192.0.2.1", "<", "MAIL FROM:<eve@example.net>")
	hear(now, "192.0.2.2", "<", "NOOP")
	hear(now, "192.0.2.1", ">", "250 ok")
	hear(now, "192.0.2.1", ">", "550-first")
	hear(now, "192.0.2.1", "!", "connected")
	hear(now, "192.0.2.1", ">", "550 5.7.1 sender is not listed")
	list, err := a.Refusals(t.Context())
	if err != nil || len(list) != 1 || list[0].Command != "MAIL FROM:<eve@example.net>" || list[0].Reply != "550 5.7.1 sender is not listed" {
		t.Errorf("%+v, %v", list, err)
	}
	for n := range 2000 {
		client := fmt.Sprintf("198.51.%d.%d", n/256, n%256)
		hear(now, client, "<", strings.Repeat("x", 2000))
		hear(now, client, ">", "451 4.7.1 "+strings.Repeat("y", 2000))
	}
	list, _ = a.Refusals(t.Context())
	if len(list) != maxRefusals || len(a.refused.said) > maxClients || len(list[0].Reply) > maxRefusalText+3 {
		t.Errorf("%d refusals, %d clients", len(list), len(a.refused.said))
	}
}

// A refused sender is found in the log of the running appliance.
func TestRefusals_ThroughTheSocket(t *testing.T) {
	t.Parallel()
	o := newOffice(t, nil)
	err := submit(o.app.SMTPAddrs()[0], "eve@stranger.example", []string{"x@elsewhere.example"}, "Subject: x\r\n\r\nx\r\n")
	if err == nil {
		t.Fatal("taken")
	}
	list, err := o.ctl.Refusals(t.Context())
	if err != nil || len(list) == 0 || !strings.Contains(list[len(list)-1].Command, "elsewhere.example") || list[0].Client != "127.0.0.1" {
		t.Errorf("%+v, %v", list, err)
	}
}
