package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/tipring/tipring/appliance"
	msft "github.com/tipring/tipring/smtpstack/exchange"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// startOffice runs an appliance with submission by device code to a tenant, and returns its folder and the tenant.
func startOffice(t *testing.T) (string, *msft.Peer) {
	t.Helper()
	p, err := msft.New(msft.World{Tenants: []msft.Tenant{{ID: "contoso", Domains: []msft.Domain{{Name: "contoso.com"}},
		Boxes: []msft.Mailbox{{Address: "fax@contoso.com"}, {Address: "ops@contoso.com"}}, Apps: []msft.App{{ID: "app", Public: true, Delegated: true}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	dir := filepath.Join(t.TempDir(), "data")
	cfg, err := appliance.Parse(fmt.Appendf(nil, `
data = %q
hostname = "box.contoso.com"
[[send]]
name = "submission"
host = "smtp.office365.com:587"
tls = "required"
username = "fax@contoso.com"
oauth = "device"
tenant = "contoso"
client_id = "app"
[mail]
from = "fax@contoso.com"
fallback = "ops@contoso.com"
[dial]
allow = ["+1*"]
[web]
listen = ""
`, dir))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan bool, 1), make(chan error, 1)
	dns := &resolve.Fake{Addrs: map[string][]netip.Addr{msft.SubmissionHost: {netip.MustParseAddr("52.98.0.1")}}, TXTs: map[string][]string{"contoso.com": {"v=spf1 mx -all"}}}
	d := appliance.Deps{Resolver: dns, Cold: true, Roots: p.Roots(), HTTP: &http.Client{Transport: p.Transport()}, Ready: func(*appliance.Appliance) { ready <- true },
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			return p.Dial(msft.Submission, netip.MustParseAddr("203.0.113.7")), nil
		}}
	go func() { done <- appliance.Run(ctx, cfg, d) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		done <- nil
		t.Fatalf("Run: %v", err)
	}
	return dir, p
}

// person signs in with the code that a command prints.
type person struct {
	mu   sync.Mutex
	all  bytes.Buffer
	peer *msft.Peer
}

var shownCode = regexp.MustCompile(`Open (https://\S+) in any browser, type the code (\S+) and sign in as (\S+),`)

func (p *person) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all.Write(b)
	if m := shownCode.FindStringSubmatch(p.all.String()); m != nil {
		p.peer.Approve(m[2], m[3], true)
	}
	return len(b), nil
}

// TestConnector_TestSignInTest: the test says that somebody must sign in, the sign-in shows the code and waits, then the
// message goes through; what is missing in DNS is printed.
func TestConnector_TestSignInTest(t *testing.T) {
	dir, peer := startOffice(t)
	command := func(out io.Writer, args ...string) (int, string) {
		var errs bytes.Buffer
		status := run(t.Context(), append(args, "--data", dir), streams{nil, out, &errs})
		return status, errs.String()
	}
	var out bytes.Buffer
	status, errs := command(&out, "connector", "test", "submission")
	for _, words := range []string{"failed   token: ", "device code", "ok       TLS: TLS 1.3", "| 0: ", "not run  message: ", "failed   SPF: ",
		`DNS: contoso.com. TXT "v=spf1 mx include:spf.protection.outlook.com -all"`} {
		if !strings.Contains(out.String(), words) {
			t.Errorf("%q is not in\n%s", words, out.String())
		}
	}
	if status != exitLine || !strings.Contains(errs, "does not work yet") {
		t.Errorf("status %d, %s", status, errs)
	}
	who := &person{peer: peer}
	if status, errs := command(who, "connector", "sign-in", "submission"); status != exitOK || !strings.Contains(who.all.String(), "Signed in as fax@contoso.com.") {
		t.Fatalf("status %d, %s%s", status, who.all.String(), errs)
	}
	out.Reset()
	if status, _ = command(&out, "connector", "test", "submission"); status != exitLine || !strings.Contains(out.String(), "ok       message: Taken for ops@contoso.com") {
		t.Errorf("status %d (SPF is still wrong)\n%s", status, out.String())
	}
	out.Reset()
	if status, _ = command(&out, "connector", "test", "submission", "--json"); !strings.Contains(out.String(), `"record": "contoso.com. TXT`) {
		t.Errorf("status %d\n%s", status, out.String())
	}
	if status, errs = command(io.Discard, "connector", "test", "none"); status != exitUsage || !strings.Contains(errs, `"none"`) {
		t.Errorf("status %d, %s", status, errs)
	}
	out.Reset()
	if status, _ = command(&out, "queue", "mail", "--all"); status != exitOK || !strings.Contains(out.String(), "STATE") {
		t.Errorf("status %d\n%s", status, out.String())
	}
}
