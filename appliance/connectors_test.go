package appliance

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/smtpstack/exchange"
	"github.com/tipring/tipring/smtpstack/resolve"
)

const (
	officeBox = "fax@contoso.com"
	officeApp = "f00d-app"
)

// office is an appliance whose mail goes to a tenant of the test peer.
type office struct {
	*rig
	peer *exchange.Peer
	ctl  *control.Client
}

// newOffice has two ways to the tenant: submission, by device code, and Direct Send as its fallback.
func newOffice(t *testing.T, change func(*Config)) *office {
	t.Helper()
	p, err := exchange.New(exchange.World{Tenants: []exchange.Tenant{{ID: "contoso", Domains: []exchange.Domain{{Name: "contoso.com"}},
		Boxes: []exchange.Mailbox{{Address: officeBox}, {Address: "jane@contoso.com"}, {Address: "ops@contoso.com"}},
		Apps:  []exchange.App{{ID: officeApp, Public: true, Delegated: true}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	o := &office{rig: newRig(t, 1), peer: p}
	o.deps.Deliver, o.deps.Roots, o.deps.HTTP = nil, p.Roots(), &http.Client{Transport: p.Transport()}
	o.deps.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		svc := exchange.EOP
		if _, port, _ := net.SplitHostPort(addr); port == "587" {
			svc = exchange.Submission
		}
		return p.Dial(svc, netip.MustParseAddr("203.0.113.7")), nil
	}
	o.deps.Resolver = &resolve.Fake{MXs: map[string][]resolve.MX{"contoso.com": {{Host: exchange.EOPHost}}},
		Addrs: map[string][]netip.Addr{exchange.EOPHost: {netip.MustParseAddr("52.101.0.1")}, exchange.SubmissionHost: {netip.MustParseAddr("52.98.0.1")}},
		TXTs:  map[string][]string{"contoso.com": {"v=spf1 ip4:203.0.113.7 include:spf.protection.outlook.com -all"}, "spf.protection.outlook.com": {"v=spf1 ip4:40.92.0.0/15 -all"}}}
	o.cfg.Hostname = "box.contoso.com"
	o.cfg.Mail = MailConfig{From: officeBox, Fallback: "ops@contoso.com"}
	o.cfg.Send = []SendConfig{{Name: "submission", Host: "smtp.office365.com:587", TLS: "required", Username: officeBox, OAuth: "device", Tenant: "contoso", ClientID: officeApp},
		{Name: "direct", MXOf: "contoso.com", TLS: "required"}}
	if change != nil {
		change(&o.cfg)
	}
	o.start()
	if o.ctl, err = control.Dial(o.cfg.Data); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.ctl.Close)
	return o
}

// notice makes a notice for an address.
func (o *office) notice(to string) {
	o.t.Helper()
	j, err := o.app.q.AddJob(queue.NewJob{Sender: to, Number: "5550100", Subject: "Plan"})
	if err == nil {
		err = o.app.q.FailJob(j.ID, "The reason.")
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) eventually(what string, f func() bool) {
	o.t.Helper()
	for range 2400 {
		if f() {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	s, _ := o.ctl.Status(o.t.Context())
	o.t.Fatalf("never: %s; alarms %+v", what, s.Alarms)
}

// alarm returns the alarm of a code.
func (o *office) alarm(code string) (control.Alarm, bool) {
	s, err := o.ctl.Status(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	for _, a := range s.Alarms {
		if a.Code == code {
			return a, true
		}
	}
	return control.Alarm{}, false
}

// notices are the recipients of the notices the tenant took.
func (o *office) notices() (to []string) {
	for _, m := range o.peer.Messages() {
		if strings.Contains(string(m.Data), "NOT sent to 5550100") {
			to = append(to, m.To...)
		}
	}
	return to
}

// Nobody has signed in: mail waits, address and code are on the page and in an alarm; after the sign-in the mail goes by
// itself, and so it does after a restart; a revoked sign-in begins anew.
func TestDeviceCode_FromTheFirstCodeToARevokedToken(t *testing.T) {
	t.Parallel()
	o := newOffice(t, nil)
	o.notice("jane@contoso.com")
	waiting := func() (s control.SignIn) {
		o.eventually("a code is shown", func() bool {
			st, err := o.ctl.Status(t.Context())
			if err != nil || len(st.SignIns) != 1 {
				return false
			}
			s = st.SignIns[0]
			return true
		})
		return s
	}
	first := waiting()
	if al, ok := o.alarm("mail-sign-in/submission"); !ok || !strings.Contains(al.Remedy, first.Code) || !strings.Contains(al.Remedy, first.URL) {
		t.Errorf("alarm %+v", al)
	}
	o.eventually("the mail is held", func() bool { _, ok := o.alarm("mail-held"); return ok })
	if again, err := o.ctl.SignIn(t.Context(), "submission"); err != nil || again.Code != first.Code {
		t.Errorf("%+v, %v", again, err)
	}
	o.peer.Approve(first.Code, officeBox, true)
	o.eventually("the mail is delivered", func() bool { return len(o.notices()) == 1 })
	o.eventually("the alarms are gone", func() bool {
		_, signIn := o.alarm("mail-sign-in/submission")
		_, held := o.alarm("mail-held")
		return !signIn && !held
	})
	if now, err := o.ctl.SignInState(t.Context(), "submission"); err != nil || now.State != control.SignInDone || now.Code != "" {
		t.Errorf("%+v, %v", now, err)
	}
	files, err := filepath.Glob(filepath.Join(o.cfg.Data, "tokens", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if st, err := os.Stat(files[0]); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode of the token's file %v", st.Mode())
	}
	o.stop()
	o.start()
	o.notice("jane@contoso.com")
	o.eventually("the second mail is delivered", func() bool { return len(o.notices()) == 2 })

	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // tokens are as old as whole seconds tell
	o.peer.RevokeTokens(true)
	o.notice("jane@contoso.com")
	second := waiting()
	if second.Code == first.Code {
		t.Error("the old code is shown again")
	}
	o.peer.Approve(second.Code, officeBox, true)
	o.eventually("the third mail is delivered", func() bool { return len(o.notices()) == 3 })

	var saved struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(raw, &saved); err != nil || saved.Refresh == "" {
		t.Fatalf("%s, %v", raw, err)
	}
	all, err := o.ctl.SentMail(t.Context(), 0)
	if err != nil || len(all) < 3 {
		t.Fatalf("%d mails, %v", len(all), err)
	}
	for _, m := range all {
		m, err := o.ctl.MailItem(t.Context(), m.ID)
		text, _ := json.Marshal(m)
		if err != nil || len(m.Attempts) == 0 || strings.Contains(string(text), saved.Refresh) || strings.Contains(string(text), "auth=Bearer") {
			t.Errorf("%s, %v", text, err)
		}
	}
}

// Declined: the alarm says what to do, nothing begins by itself, and the command has a new code.
func TestDeviceCode_Declined(t *testing.T) {
	t.Parallel()
	o := newOffice(t, nil)
	s, err := o.ctl.SignIn(t.Context(), "submission")
	if err != nil || s.State != control.SignInWaiting {
		t.Fatalf("%+v, %v", s, err)
	}
	o.peer.Approve(s.Code, officeBox, false)
	o.eventually("the alarm says so", func() bool {
		al, ok := o.alarm("mail-sign-in/submission")
		return ok && strings.Contains(al.Text, "Nobody has signed in") && strings.Contains(al.Remedy, "tipring connector sign-in submission")
	})
	again, err := o.ctl.SignIn(t.Context(), "submission")
	if err != nil || again.State != control.SignInWaiting || again.Code == s.Code {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := o.ctl.SignIn(t.Context(), "direct"); err == nil {
		t.Error("a connector without sign-in signs in")
	}
	o.stop()
	o.cfg.Send = o.cfg.Send[1:]
	o.start()
	if al, ok := o.alarm("mail-sign-in/submission"); ok {
		t.Errorf("the connector is gone, its alarm is not: %+v", al)
	}
}

// While nobody has signed in one's own people get their mail by Direct Send; an alarm tells, until the sign-in.
func TestFallback_DirectSendUntilSomebodySignsIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t, func(c *Config) {
		c.Send[0].Fallback, c.Send[0].FallbackDomains = "direct", []string{"contoso.com"}
	})
	o.notice("jane@contoso.com")
	o.eventually("the mail is delivered", func() bool { return len(o.notices()) == 1 })
	if got := o.peer.Messages()[0]; got.Service != exchange.EOP {
		t.Errorf("%+v", got)
	}
	o.eventually("an alarm says so", func() bool {
		al, ok := o.alarm("mail-fallback/submission")
		return ok && strings.Contains(al.Text, "direct takes its place") && strings.Contains(al.Remedy, "sign in")
	})
	s, err := o.ctl.SignIn(t.Context(), "submission")
	if err != nil {
		t.Fatal(err)
	}
	o.peer.Approve(s.Code, officeBox, true)
	o.eventually("somebody is signed in", func() bool {
		now, err := o.ctl.SignInState(t.Context(), "submission")
		return err == nil && now.State == control.SignInDone
	})
	o.notice("jane@contoso.com")
	o.eventually("the second mail is delivered", func() bool { return len(o.notices()) == 2 })
	o.eventually("the alarm is gone", func() bool { _, ok := o.alarm("mail-fallback/submission"); return !ok })
	if got := o.peer.Messages(); got[len(got)-1].Service != exchange.Submission {
		t.Errorf("%+v", got[len(got)-1])
	}
}

func step(t *testing.T, r control.ConnectorTest, name string) control.ConnectorStep {
	t.Helper()
	for _, s := range r.Steps {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no step %q: %+v", name, r)
	return control.ConnectorStep{}
}

// The walk through the running appliance: a way that works, one that the tenant refuses, one nobody has signed in for, and
// our own port.
func TestConnectorTest_ThroughTheSocket(t *testing.T) {
	t.Parallel()
	o := newOffice(t, nil)
	test := func(q control.ConnectorQuestion) control.ConnectorTest {
		r, err := o.ctl.TestConnector(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := test(control.ConnectorQuestion{Name: "direct"})
	if m := step(t, r, "message"); !r.OK || r.Kind != "send" || m.State != "ok" || !strings.Contains(m.Found, "ops@contoso.com") {
		t.Errorf("%+v", r)
	}
	if got := o.peer.Messages(); len(got) != 1 || got[0].To[0] != "ops@contoso.com" || !strings.Contains(string(got[0].Data), "Auto-Submitted: auto-generated") {
		t.Errorf("%+v", got)
	}
	o.peer.Change(func(w *exchange.World) { w.Tenants[0].RejectDirectSend = true })
	r = test(control.ConnectorQuestion{Name: "direct", To: "jane@contoso.com", Address: "198.51.100.1"})
	if m := step(t, r, "message"); r.OK || m.State != "failed" || !strings.Contains(m.PowerShell, "-SenderIPAddresses 198.51.100.1") {
		t.Errorf("%+v", m)
	}
	r = test(control.ConnectorQuestion{Name: "submission"})
	if s := step(t, r, "token"); r.OK || s.State != "failed" || !strings.Contains(s.Remedy, "device code") || step(t, r, "TLS").State != "ok" {
		t.Errorf("%+v", r)
	}
	r = test(control.ConnectorQuestion{Name: o.cfg.Receive[0].Name})
	if s := step(t, r, "listener"); r.Kind != "receive" || s.State != "ok" || step(t, r, "TLS").State != "warning" {
		t.Errorf("%+v", r)
	}
	for _, q := range []control.ConnectorQuestion{{Name: "none"}, {Name: "direct", To: "x"}, {Name: "direct", Address: "x"}} {
		if _, err := o.ctl.TestConnector(t.Context(), q); err == nil {
			t.Errorf("taken: %+v", q)
		}
	}
}

// TLS apart for a domain, and a domain led straight to a host: the certificate that MX delivery does not look at is required for one
// domain, and mail for another goes to the host it names.
func TestSend_TLSAndHostPerDomain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var dialed []string
	o := newOffice(t, nil)
	o.stop()
	peer := o.deps.Dialer
	o.deps.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		dialed = append(dialed, addr)
		return peer(ctx, network, addr)
	}
	dns := o.deps.Resolver.(*resolve.Fake)
	dns.MXs["contoso.com"][0].Host = "mx.contoso.com" // not the name in the certificate
	dns.Addrs["mx.contoso.com"] = []netip.Addr{netip.MustParseAddr("192.0.2.25")}
	dns.Addrs["relay.contoso.com"] = []netip.Addr{netip.MustParseAddr("192.0.2.26")}
	o.cfg.Send = []SendConfig{{Name: "mx", TLS: "opportunistic", TLSFor: map[string]string{"contoso.com": "required"}}}
	o.start()
	o.notice("jane@contoso.com")
	o.eventually("the mail is held", func() bool { _, ok := o.alarm("mail-held"); return ok })
	o.stop()
	o.cfg.Send[0].TLSFor = nil
	o.cfg.SendRoute = []SendRoute{{Domain: "elsewhere.example", Host: "relay.contoso.com:2525"}}
	o.start()
	o.eventually("the mail is delivered after the restart", func() bool { return len(o.notices()) == 1 })
	o.notice("a@elsewhere.example")
	o.eventually("the host is called", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Contains(dialed, "192.0.2.26:2525")
	})
}

// An application that may not use the device code is an operator's business, with the remedy.
func TestDeviceCode_NotAllowed(t *testing.T) {
	t.Parallel()
	o := newOffice(t, func(c *Config) { c.Send[0].ClientID = "other" })
	o.eventually("the alarm says so", func() bool {
		al, ok := o.alarm("mail-sign-in/submission")
		return ok && strings.Contains(al.Text, "AADSTS700016") && strings.Contains(al.Text, "client ID")
	})
	s, err := o.ctl.SignIn(t.Context(), "submission")
	if err != nil || s.State != control.SignInFailed || !strings.Contains(s.Text, "client ID") {
		t.Errorf("%+v, %v", s, err)
	}
}
