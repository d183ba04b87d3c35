package resolve

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tipring/tipring/smtpstack/smtptest"
)

// run starts a DNS server on a loopback port and returns a client once it answers.
func run(t *testing.T, port, prog string, args ...string) *Client {
	t.Helper()
	addr := "127.0.0.1:" + port
	smtptest.StartDNS(t, addr, prog, args...)
	return newClient(t, addr)
}

func TestPeer_Unbound(t *testing.T) {
	prog, port := smtptest.Program(t, "unbound"), smtptest.Port(smtptest.FreeAddr(t))
	conf := filepath.Join(t.TempDir(), "unbound.conf")
	big := ""
	for i := range 40 {
		big += fmt.Sprintf("  local-data: 'big.test. 60 IN TXT \"%d %s\"'\n", i, strings.Repeat("x", 200))
	}
	text := fmt.Sprintf(`server:
  interface: 127.0.0.1
  port: %s
  do-daemonize: no
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  directory: "%s"
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "test." static
  local-data: 'ready.test. 60 IN TXT "yes"'
  local-data: 'mail.test. 60 IN MX 20 b.test.'
  local-data: 'mail.test. 60 IN MX 10 a.test.'
  local-data: 'null.test. 60 IN MX 0 .'
  local-data: 'a.test. 60 IN A 192.0.2.1'
  local-data: 'a.test. 60 IN AAAA 2001:db8::1'
  local-zone: "192.in-addr.arpa." static
  local-data: '1.2.0.192.in-addr.arpa. 60 IN PTR a.test.'
  local-zone: "refused.example." refuse
%sforward-zone:
  name: "."
  forward-addr: 127.0.0.1@1
remote-control:
  control-enable: no
`, port, filepath.Dir(conf), big)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	checkPeer(t, run(t, port, prog, "-d", "-c", conf))
}

func TestPeer_Dnsmasq(t *testing.T) {
	prog, port := smtptest.Program(t, "dnsmasq"), smtptest.Port(smtptest.FreeAddr(t))
	args := []string{"--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file=", "--log-facility=-",
		fmt.Sprintf("--port=%s", port), "--listen-address=127.0.0.1", "--bind-interfaces", "--local=/test/", "--local=/in-addr.arpa/",
		"--user=" + user(), "--local-ttl=60", "--edns-packet-max=1232", "--txt-record=ready.test,yes", "--mx-host=mail.test,a.test,10",
		"--mx-host=mail.test,b.test,20", "--host-record=a.test,192.0.2.1,2001:db8::1", "--dns-rr=null.test,15,000000"}
	for i := range 40 {
		args = append(args, fmt.Sprintf("--txt-record=big.test,%d %s", i, strings.Repeat("x", 200)))
	}
	checkPeer(t, run(t, port, prog, args...))
}

func user() string {
	if u := os.Getenv("USER"); u != "" && os.Getuid() != 0 {
		return u
	}
	return "root"
}

// checkPeer asks a real server every kind of question.
func checkPeer(t *testing.T, c *Client) {
	ctx := t.Context()
	mx, err := c.MX(ctx, "mail.test")
	if want := []MX{{"a.test", 10}, {"b.test", 20}}; err != nil || !slices.Equal(mx, want) {
		t.Errorf("MX %v, %v", mx, err)
	}
	a, err := c.Addr(ctx, "a.test")
	if want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}; err != nil || !slices.Equal(a, want) {
		t.Errorf("Addr %v, %v", a, err)
	}
	ptr, err := c.PTR(ctx, netip.MustParseAddr("192.0.2.1"))
	if err != nil || !slices.Equal(ptr, []string{"a.test"}) {
		t.Errorf("PTR %v, %v", ptr, err)
	}
	big, err := c.TXT(ctx, "big.test") // by TCP
	if err != nil || len(big) != 40 {
		t.Errorf("TXT: %d records, %v", len(big), err)
	}
	for name, want := range map[string]error{"nx.test": ErrNXDomain, "a.test": ErrNoData, "null.test": ErrNullMX, "unreachable.example": ErrTemporary} {
		if _, err := c.MX(ctx, name); !errors.Is(err, want) {
			t.Errorf("MX %s: %v, want %v", name, err, want)
		}
	}
}
