package receive

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const v2Signature = "\r\n\r\n\x00\r\nQUIT\n"

// v2 builds a version 2 header.
func v2(command, family byte, body []byte) string {
	h := append([]byte(v2Signature), 0x20|command, family)
	h = binary.BigEndian.AppendUint16(h, uint16(len(body)))
	return string(append(h, body...))
}

func v2addrs(src, dst string) []byte {
	body := append(netip.MustParseAddr(src).AsSlice(), netip.MustParseAddr(dst).AsSlice()...)
	return append(body, 0x30, 0x39, 0, 25)
}

func proxyConfig() Config {
	cfg := testConfig()
	cfg.Proxies = cfg.Networks
	cfg.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	return cfg
}

func TestProxy(t *testing.T) {
	const hello = "EHLO x\r\n"
	tests := []struct{ name, header, client string }{ // client "": cut off without a word
		{"v1 IPv4", "PROXY TCP4 192.0.2.7 198.51.100.1 12345 25\r\n", "192.0.2.7"},
		{"v1 IPv6", "PROXY TCP6 2001:db8::7 2001:db8::1 12345 25\r\n", "2001:db8::7"},
		{"v2 IPv4", v2(1, 0x11, v2addrs("192.0.2.8", "198.51.100.1")), "192.0.2.8"},
		{"v2 IPv6", v2(1, 0x21, v2addrs("2001:db8::8", "2001:db8::1")), "2001:db8::8"},
		{"v2 with TLV", v2(1, 0x11, append(v2addrs("192.0.2.8", "198.51.100.1"), 0xea, 0, 3, 'a', 'b', 'c')), "192.0.2.8"},
		{"v2 mapped", v2(1, 0x21, v2addrs("::ffff:192.0.2.9", "2001:db8::1")), "192.0.2.9"},
		{"v2 local", v2(0, 0, nil), "127.0.0.1"},
		{"v1 unknown", "PROXY UNKNOWN\r\n", ""},
		{"v1 bare LF", "PROXY TCP4 192.0.2.7 198.51.100.1 12345 25\n", ""},
		{"v1 too long", "PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n", ""},
		{"v1 no address", "PROXY TCP4 mail.test 198.51.100.1 12345 25\r\n", ""},
		{"v1 wrong family", "PROXY TCP4 2001:db8::7 2001:db8::1 12345 25\r\n", ""},
		{"v1 bad port", "PROXY TCP4 192.0.2.7 198.51.100.1 99999 25\r\n", ""},
		{"v1 nobody", "PROXY TCP4 0.0.0.0 198.51.100.1 12345 25\r\n", ""},
		{"v1 multicast", "PROXY TCP4 224.0.0.1 198.51.100.1 12345 25\r\n", ""},
		{"v2 UDP", v2(1, 0x12, v2addrs("192.0.2.8", "198.51.100.1")), ""},
		{"v2 Unix", v2(1, 0x31, make([]byte, 216)), ""},
		{"v2 short", v2(1, 0x11, []byte{192, 0, 2, 8}), ""},
		{"v2 unknown command", v2(5, 0x11, v2addrs("192.0.2.8", "198.51.100.1")), ""},
		{"no header", "", ""},
		{"no header, much", strings.Repeat("NOOP\r\n", 100), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &memory{}
			_, addr := start(t, proxyConfig(), b)
			c := dial(t, addr)
			c.send(tt.header + hello)
			if tt.client == "" {
				c.closed()
				return
			}
			c.expect("220 ")
			c.expect("250 ")
			c.cmd("MAIL FROM:<jane@example.com>", "250")
			if tt.client == "127.0.0.1" { // the proxy itself is in no network
				c.cmd("RCPT TO:<1@fax.example.com>", "550 5.7.1 your address 127.0.0.1")
				return
			}
			c.cmd("RCPT TO:<1@fax.example.com>", "250")
			c.cmd("DATA", "354")
			c.send(".\r\n")
			c.expect("250")
			e := b.all()[0].env
			if e.Client != netip.MustParseAddr(tt.client) || e.Peer != netip.MustParseAddr("127.0.0.1") {
				t.Errorf("client %v, peer %v", e.Client, e.Peer)
			}
			if !strings.Contains(b.all()[0].data, tt.client+"])") {
				t.Errorf("Received field %q", b.all()[0].data)
			}
		})
	}
}

// TestProxy_OnlyListed: somebody else's PROXY header is worth nothing, and nothing else is heard from him either.
func TestProxy_OnlyListed(t *testing.T) {
	cfg := proxyConfig()
	cfg.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
	_, addr := start(t, cfg, &memory{})
	c := dial(t, addr)
	c.expect("554 5.7.1 this port is for our proxy")
	c.closed()
	// Without proxies in the configuration a header is an unknown command.
	_, addr = start(t, testConfig(), &memory{})
	c = dial(t, addr)
	c.expect("220 ")
	c.cmd("PROXY TCP4 192.0.2.7 198.51.100.1 12345 25", "500")
	c.cmd("EHLO x", "250 ")
}

func TestProxy_SilenceIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, done := pipeServer(t, proxyConfig(), &memory{})
		began := time.Now()
		nc.Write([]byte("PROXY TC"))
		<-done
		if d := time.Since(began); d > proxyTimeout {
			t.Errorf("cut off after %v", d)
		}
	})
}

// TestProxy_LimitsAreTheClients: connections are counted for the client behind the proxy.
func TestProxy_LimitsAreTheClients(t *testing.T) {
	cfg := proxyConfig()
	cfg.MaxConnsPerIP = 1
	srv, addr := start(t, cfg, &memory{})
	one := dial(t, addr)
	one.send("PROXY TCP4 192.0.2.7 198.51.100.1 12345 25\r\n")
	one.expect("220 ")
	again := dial(t, addr)
	again.send("PROXY TCP4 192.0.2.7 198.51.100.1 12346 25\r\n")
	again.expect("421 4.7.0 too many connections from your address")
	again.closed()
	other := dial(t, addr)
	other.send("PROXY TCP4 192.0.2.8 198.51.100.1 12347 25\r\n")
	other.expect("220 ")
	for _, c := range []*client{one, other} {
		c.cmd("QUIT", "221")
		c.closed()
	}
	srv.Shutdown(t.Context())
	if len(srv.perIP) != 0 {
		t.Errorf("still counted: %v", srv.perIP)
	}
}

func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.7 198.51.100.1 12345 25\r\nEHLO x\r\n"))
	f.Add([]byte(v2(1, 0x11, v2addrs("192.0.2.8", "198.51.100.1")) + "EHLO x\r\n"))
	f.Add([]byte(v2(0, 0x21, make([]byte, 100))))
	f.Fuzz(func(t *testing.T, in []byte) {
		srv, err := New(proxyConfig(), &memory{})
		if err != nil {
			t.Fatal(err)
		}
		conn := &scriptConn{r: bytes.NewReader(in)}
		newSession(srv, conn, clientAddr(conn)).serve(t.Context())
		if out := conn.out.String(); out != "" && !strings.HasPrefix(string(in), "PROXY TCP") && !strings.HasPrefix(string(in), v2Signature) {
			t.Errorf("%q heard without a header", out)
		}
	})
}
