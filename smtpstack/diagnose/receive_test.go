package diagnose

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack/exchange"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// The peer's mail exchanger stands for our own listener: it is an SMTP server with TLS.
func newReceive(t *testing.T) (*Receive, *resolve.Fake) {
	t.Helper()
	p, err := exchange.New(exchange.World{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	addr, err := p.Listen(exchange.EOP)
	if err != nil {
		t.Fatal(err)
	}
	dns := &resolve.Fake{
		MXs:   map[string][]resolve.MX{"fax.contoso.com": {{Host: exchange.EOPHost}}},
		Addrs: map[string][]netip.Addr{exchange.EOPHost: {boxIP}},
		TXTs:  map[string][]string{"contoso.com": {"v=spf1 include:spf.protection.outlook.com -all"}, "selector1._domainkey.contoso.com": {"v=DKIM1; k=rsa; p=MIIB"}},
	}
	return &Receive{Resolver: dns, Hostname: exchange.EOPHost, Listen: []string{addr}, FaxDomains: []string{"fax.contoso.com"}, Senders: []string{"contoso.com", "jane@contoso.com", "*"}, Tenant: true,
		Address: boxIP, Roots: p.Roots(), Ranges: func() (int, time.Time) { return 6, time.Now() }}, dns
}

func TestReceive_AllInOrder(t *testing.T) {
	c, _ := newReceive(t)
	steps := c.Run(t.Context())
	if len(steps) != 5 {
		t.Errorf("%d steps", len(steps))
	}
	for _, s := range steps {
		if s.State != OK || s.Remedy != "" {
			t.Errorf("%+v", s)
		}
	}
}

func TestReceive_EachStepFails(t *testing.T) {
	for _, c := range []struct {
		name, step          string
		change              func(*Receive, *resolve.Fake)
		state               State
		found, remedy, more string
	}{
		{"nobody listens", StepListener, func(r *Receive, _ *resolve.Fake) { r.Listen = []string{"127.0.0.1:1"} }, Warning, "does not answer", "networks", ""},
		{"foreign name", StepTLS, func(r *Receive, _ *resolve.Fake) { r.Hostname = "fax.contoso.com" }, Warning, "not for fax.contoso.com", "certificate", ""},
		{"own making", StepTLS, func(r *Receive, _ *resolve.Fake) { r.Roots = nil }, Warning, "no public authority", "chain", "EncryptionOnly"},
		{"no MX", StepMX, func(_ *Receive, d *resolve.Fake) { d.MXs = nil }, Warning, "no MX record", "Publish", "fax.contoso.com. MX 10 " + exchange.EOPHost + "."},
		{"null MX", StepMX, func(_ *Receive, d *resolve.Fake) { d.MXs["fax.contoso.com"] = []resolve.MX{{}} }, Failed, "takes no mail", "Replace", "MX 10"},
		{"another's MX", StepMX, func(_ *Receive, d *resolve.Fake) { d.MXs["fax.contoso.com"] = []resolve.MX{{Host: "mx.isp.example"}} }, Warning, "mx.isp.example", "outbound connector", "New-OutboundConnector -Name Tipring"},
		{"DNS dead", StepMX, func(_ *Receive, d *resolve.Fake) { d.Fail = map[string]error{"fax.contoso.com": resolve.ErrTemporary} }, Warning, "no answer", "dns.servers", ""},
		{"ranges old", StepRanges, func(r *Receive, _ *resolve.Fake) {
			r.Ranges = func() (int, time.Time) { return 6, time.Now().Add(-30 * 24 * time.Hour) }
		}, Warning, "refreshed last", "spf.protection.outlook.com", ""},
		{"ranges built in", StepRanges, func(r *Receive, _ *resolve.Fake) { r.Ranges = func() (int, time.Time) { return 6, time.Time{} } }, Warning, "never", "DNS", ""},
		{"ranges not used", StepRanges, func(r *Receive, _ *resolve.Fake) { r.Ranges = nil }, NotRun, "does not use", "", ""},
		{"no DKIM", StepSenders, func(_ *Receive, d *resolve.Fake) { delete(d.TXTs, "selector1._domainkey.contoso.com") }, Failed, "no DKIM keys", "signed_by", "New-DkimSigningConfig -DomainName \"contoso.com\""},
		{"no SPF", StepSenders, func(_ *Receive, d *resolve.Fake) { d.TXTs["contoso.com"] = []string{"x"} }, Warning, "no SPF", "Publish", "include:spf.protection.outlook.com -all"},
		{"DKIM in doubt", StepSenders, func(_ *Receive, d *resolve.Fake) {
			d.Fail = map[string]error{"selector1._domainkey.contoso.com": resolve.ErrTemporary}
		}, Warning, "no answer", "dns.servers", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, dns := newReceive(t)
			c.change(r, dns)
			steps := r.Run(t.Context())
			s := find(t, steps, c.step)
			if s.State != c.state || !strings.Contains(s.Found, c.found) || !strings.Contains(s.Remedy, c.remedy) || !strings.Contains(s.Record+s.PowerShell, c.more) {
				t.Errorf("%+v", s)
			}
			if len(steps) != 5 {
				t.Errorf("%d steps", len(steps))
			}
		})
	}
}
