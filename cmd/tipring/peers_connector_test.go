//go:build peers

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
	msft "github.com/tipring/tipring/smtpstack/exchange"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

// startUnbound answers for the records of local-data lines, and returns its address.
func startUnbound(t *testing.T, records ...string) string {
	t.Helper()
	need(t, "unbound")
	addr, dir := smtptest.FreeAddr(t), t.TempDir()
	_, port, _ := net.SplitHostPort(addr)
	text := fmt.Sprintf("server:\n  interface: 127.0.0.1\n  port: %s\n  do-daemonize: no\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  directory: %q\n  module-config: \"iterator\"\n", port, dir)
	for _, zone := range []string{"com.", "in-addr.arpa."} {
		text += fmt.Sprintf("  local-zone: %q static\n", zone)
	}
	for _, r := range records {
		text += "  local-data: '" + r + "'\n"
	}
	conf := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, "unbound", "-c", conf)
	waitFor(t, time.Minute, "unbound", func() bool {
		r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp", addr)
		}}
		_, err := r.LookupHost(t.Context(), msft.EOPHost)
		return err == nil
	})
	return addr
}

// TestPeer_ConnectorTest: the built binary, unbound and a tenant on sockets: what is missing in DNS is named, the tenant's refusal has
// its PowerShell line, and once both are put right everything is in order and the message arrives.
func TestPeer_ConnectorTest(t *testing.T) {
	t.Parallel()
	world := msft.World{ClientAddr: map[netip.Addr]netip.Addr{netip.MustParseAddr("127.0.0.1"): netip.MustParseAddr("203.0.113.7")},
		Tenants: []msft.Tenant{{ID: "contoso", RejectDirectSend: true, Domains: []msft.Domain{{Name: "contoso.com"}}, Boxes: []msft.Mailbox{{Address: "ops@contoso.com"}}}}}
	peer, err := msft.New(world)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(peer.Close)
	mx, err := peer.Listen(msft.EOP)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(mx)
	test := func(dns string) (control.ConnectorTest, int) {
		dir := t.TempDir()
		roots, config, data := filepath.Join(dir, "roots.pem"), filepath.Join(dir, "tipring.toml"), filepath.Join(dir, "data")
		text := fmt.Sprintf("data = %q\nhostname = \"box.contoso.com\"\n[[send]]\nname = \"tenant\"\nhost = \"%s:%s\"\ntls = \"required\"\n[mail]\nfrom = \"fax@contoso.com\"\nfallback = \"ops@contoso.com\"\n[dial]\nallow = [\"*\"]\n[web]\nlisten = \"\"\n[dns]\nservers = [%q]\n",
			data, msft.EOPHost, port, dns)
		for name, content := range map[string][]byte{roots: peer.RootPEM(), config: []byte(text)} {
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.CopyFS(filepath.Join(data, "cache"), os.DirFS(pdfCache)); err != nil {
			t.Fatal(err)
		}
		p := start(t, "env", "SSL_CERT_FILE="+roots, tipringBin, "serve", "--config", config)
		waitFor(t, time.Minute, "control socket", func() bool { _, err := control.Dial(data); return err == nil })
		out, _, status := tipring(t, 5*time.Minute, "connector", "test", "tenant", "--data", data, "--json")
		p.cmd.Process.Kill()
		<-p.done
		var r control.ConnectorTest
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return r, status
	}
	host := msft.EOPHost + ". 60 IN A 127.0.0.1"
	r, status := test(startUnbound(t, host, `contoso.com. 60 IN TXT "v=spf1 mx -all"`))
	said, _ := json.Marshal(r)
	for _, words := range []string{`contoso.com. TXT \"v=spf1 mx ip4:203.0.113.7 -all\"`, "7.113.0.203.in-addr.arpa. PTR box.contoso.com.", `_dmarc.contoso.com. TXT`, "5.7.68",
		"New-InboundConnector -Name Tipring -ConnectorType OnPremises -SenderDomains * -SenderIPAddresses 203.0.113.7", "TLS 1.3"} {
		if !strings.Contains(string(said), words) {
			t.Errorf("%q is not in %s", words, said)
		}
	}
	if status != exitLine || r.OK || len(peer.Messages()) != 0 {
		t.Errorf("status %d", status)
	}
	peer.Change(func(w *msft.World) {
		w.Tenants[0].Inbound = []msft.Connector{{Name: "Tipring", IPs: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")}}}
	})
	r, status = test(startUnbound(t, host, `contoso.com. 60 IN TXT "v=spf1 mx ip4:203.0.113.7 -all"`, `_dmarc.contoso.com. 60 IN TXT "v=DMARC1; p=reject"`,
		"7.113.0.203.in-addr.arpa. 60 IN PTR box.contoso.com.", "box.contoso.com. 60 IN A 203.0.113.7"))
	for _, s := range r.Steps {
		if s.State != "ok" && s.State != "not run" {
			t.Errorf("%+v", s)
		}
	}
	if got := peer.Messages(); status != exitOK || len(got) != 1 || got[0].Connector != "Tipring" || got[0].To[0] != "ops@contoso.com" {
		t.Errorf("status %d, messages %+v", status, got)
	}
}
