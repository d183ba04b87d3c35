package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// dnsServer answers questions with a function, over UDP and TCP.
func dnsServer(t *testing.T, answer func(q dns.Question, network string, m *dns.Msg) bool) (addr string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	var pc net.PacketConn
	var l net.Listener
	var err error
	for range 20 { // the same port must be free for both
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			break
		}
		pc.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		asked.Add(1)
		m := new(dns.Msg)
		m.SetReply(q)
		if answer(q.Question[0], w.LocalAddr().Network(), m) {
			w.WriteMsg(m)
		}
	})
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait) // after the shutdowns: cleanups run backwards
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: l, Handler: handler}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		wg.Go(func() { s.ActivateAndServe() })
		<-started
		t.Cleanup(func() { s.Shutdown() })
	}
	return pc.LocalAddr().String(), asked
}

func rr(t *testing.T, s string) dns.RR {
	t.Helper()
	r, err := dns.NewRR(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newClient(t *testing.T, servers ...string) *Client {
	t.Helper()
	c, err := New(Config{Servers: servers, Timeout: 200 * time.Millisecond, Rounds: 2})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// zone answers from records in master-file form; other names do not exist.
func zone(t *testing.T, records ...string) func(dns.Question, string, *dns.Msg) bool {
	var list []dns.RR
	for _, s := range records {
		list = append(list, rr(t, s))
	}
	return func(q dns.Question, _ string, m *dns.Msg) bool {
		known := false
		name := strings.ToLower(q.Name)
		for range 10 {
			next := ""
			for _, r := range list {
				if r.Header().Name != name {
					continue
				}
				known = true
				if c, ok := r.(*dns.CNAME); ok && q.Qtype != dns.TypeCNAME {
					m.Answer = append(m.Answer, r)
					next = c.Target
				} else if r.Header().Rrtype == q.Qtype {
					m.Answer = append(m.Answer, r)
				}
			}
			if next == "" {
				break
			}
			name = next
		}
		if !known {
			m.Rcode = dns.RcodeNameError
		}
		return true
	}
}

func TestClient_Answers(t *testing.T) {
	addr, _ := dnsServer(t, zone(t,
		"example.com. 60 IN MX 20 b.example.com.", "example.com. 60 IN MX 10 A.Example.com.",
		"example.com. 60 IN TXT \"v=spf1 \" \"-all\"", `example.com. 60 IN TXT "a\"b\\c\233"`,
		"a.example.com. 60 IN A 192.0.2.1", "a.example.com. 60 IN AAAA 2001:db8::1",
		"six.example.com. 60 IN AAAA 2001:db8::6", "alias.example.com. 60 IN CNAME a.example.com.",
		"loop.example.com. 60 IN CNAME loop.example.com.", "null.example. 60 IN MX 0 .",
		"1.2.0.192.in-addr.arpa. 60 IN PTR A.example.com.", `o\'brien\@x\ y.example.com. 60 IN A 192.0.2.7`,
	))
	c := newClient(t, addr)
	ctx := t.Context()
	mx, err := c.MX(ctx, "EXAMPLE.com")
	if want := []MX{{"a.example.com", 10}, {"b.example.com", 20}}; err != nil || !slices.Equal(mx, want) {
		t.Errorf("MX %v, %v", mx, err)
	}
	txt, err := c.TXT(ctx, "example.com.")
	if want := []string{"v=spf1 -all", "a\"b\\c\xe9"}; err != nil || !slices.Equal(txt, want) {
		t.Errorf("TXT %q, %v", txt, err)
	}
	both := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	for name, want := range map[string][]netip.Addr{"a.example.com": both, "alias.example.com": both, "six.example.com": {netip.MustParseAddr("2001:db8::6")},
		`o'brien@x\ y.example.com`: {netip.MustParseAddr("192.0.2.7")}} {
		if got, err := c.Addr(ctx, name); err != nil || !slices.Equal(got, want) {
			t.Errorf("Addr %s: %v, %v", name, got, err)
		}
	}
	ptr, err := c.PTR(ctx, netip.MustParseAddr("::ffff:192.0.2.1"))
	if err != nil || !slices.Equal(ptr, []string{"a.example.com"}) {
		t.Errorf("PTR %v, %v", ptr, err)
	}
	for _, tt := range []struct {
		name string
		err  error
	}{{"null.example", ErrNullMX}, {"nx.example", ErrNXDomain}, {"a.example.com", ErrNoData}, {"loop.example.com", ErrNoData},
		{"", ErrBadName}, {"a..b", ErrBadName}, {"a b", ErrBadName}, {strings.Repeat("a", 64) + ".example", ErrBadName}} {
		if got, err := c.MX(ctx, tt.name); !errors.Is(err, tt.err) || errors.Is(err, ErrTemporary) {
			t.Errorf("MX %q: %v, %v, want %v", tt.name, got, err, tt.err)
		}
	}
	if _, err := c.Addr(ctx, "nx.example"); !errors.Is(err, ErrNXDomain) {
		t.Errorf("Addr: %v", err)
	}
	if _, err := c.Addr(ctx, "null.example"); !errors.Is(err, ErrNoData) {
		t.Errorf("Addr: %v", err)
	}
}

func TestClient_TemporaryFailures(t *testing.T) {
	for name, f := range map[string]func(q dns.Question, network string, m *dns.Msg) bool{
		"SERVFAIL":       func(_ dns.Question, _ string, m *dns.Msg) bool { m.Rcode = dns.RcodeServerFailure; return true },
		"REFUSED":        func(_ dns.Question, _ string, m *dns.Msg) bool { m.Rcode = dns.RcodeRefused; return true },
		"silence":        func(dns.Question, string, *dns.Msg) bool { return false },
		"wrong ID":       func(_ dns.Question, _ string, m *dns.Msg) bool { m.Id++; return true },
		"wrong question": func(_ dns.Question, _ string, m *dns.Msg) bool { m.Question[0].Name = "other."; return true },
		"a query":        func(_ dns.Question, _ string, m *dns.Msg) bool { m.Response = false; return true },
	} {
		t.Run(name, func(t *testing.T) {
			addr, asked := dnsServer(t, f)
			c := newClient(t, addr)
			for range 2 { // failures are not cached
				before := asked.Load()
				if _, err := c.MX(t.Context(), "example.com"); !errors.Is(err, ErrTemporary) || errors.Is(err, ErrNotFound) {
					t.Errorf("error %v", err)
				}
				if n := asked.Load() - before; n != 2 {
					t.Errorf("asked %d times, want 2 rounds", n)
				}
			}
		})
	}
}

func TestClient_SecondServer(t *testing.T) {
	bad, _ := dnsServer(t, func(_ dns.Question, _ string, m *dns.Msg) bool { m.Rcode = dns.RcodeServerFailure; return true })
	good, _ := dnsServer(t, zone(t, "example.com. 60 IN TXT hi"))
	if txt, err := newClient(t, bad, good).TXT(t.Context(), "example.com"); err != nil || txt[0] != "hi" {
		t.Errorf("%v, %v", txt, err)
	}
}

func TestClient_AddrTellsTemporaryFromMissing(t *testing.T) {
	addr, _ := dnsServer(t, func(q dns.Question, _ string, m *dns.Msg) bool {
		if q.Qtype == dns.TypeA {
			m.Rcode = dns.RcodeServerFailure
		}
		return true
	})
	if _, err := newClient(t, addr).Addr(t.Context(), "example.com"); !errors.Is(err, ErrTemporary) {
		t.Errorf("A failing, AAAA missing: %v", err)
	}
}

func TestClient_TruncatedGoesToTCP(t *testing.T) {
	addr, _ := dnsServer(t, func(q dns.Question, network string, m *dns.Msg) bool {
		if network == "udp" {
			m.Truncated = true
			return true
		}
		for i := range 150 {
			m.Answer = append(m.Answer, rr(t, fmt.Sprintf("%s 60 IN TXT \"%d %s\"", q.Name, i, strings.Repeat("x", 200))))
		}
		return true
	})
	txt, err := newClient(t, addr).TXT(t.Context(), "example.com")
	if err != nil || len(txt) != maxRecords {
		t.Errorf("%d records, %v", len(txt), err)
	}
}

func TestClient_Cancelled(t *testing.T) {
	addr, _ := dnsServer(t, func(dns.Question, string, *dns.Msg) bool { return false })
	c, err := New(Config{Servers: []string{addr}, Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := c.MX(ctx, "example.com"); !errors.Is(err, ErrTemporary) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestClient_CachesAnswersAndMisses(t *testing.T) {
	addr, asked := dnsServer(t, zone(t, "example.com. 60 IN TXT hi"))
	c := newClient(t, addr)
	for range 3 {
		c.TXT(t.Context(), "example.com")
		c.TXT(t.Context(), "Example.COM.")
		c.TXT(t.Context(), "nx.example")
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

func TestCache_ExpiryAndSize(t *testing.T) {
	c := newCache(10)
	now := time.Unix(1000, 0)
	k := cacheKey{"a.", dns.TypeMX}
	c.put(k, answer{ttl: 30 * time.Second}, now)
	if _, ok := c.get(k, now.Add(30*time.Second-1)); !ok {
		t.Error("gone too early")
	}
	if _, ok := c.get(k, now.Add(30*time.Second)); ok || len(c.m) != 0 {
		t.Error("kept too long")
	}
	for i := range 100 {
		c.put(cacheKey{fmt.Sprint(i), dns.TypeA}, answer{ttl: time.Hour}, now)
	}
	if len(c.m) > 10 {
		t.Errorf("%d entries", len(c.m))
	}
}

func TestPick_TTLBounds(t *testing.T) {
	addr, _ := dnsServer(t, zone(t, "short.example. 0 IN TXT x", "long.example. 999999 IN TXT x"))
	c := newClient(t, addr)
	for name, want := range map[string]time.Duration{"short.example": minTTL, "long.example": maxTTL, "nx.example": minTTL} {
		before := time.Now()
		c.TXT(t.Context(), name)
		a := c.cache.m[cacheKey{name + ".", dns.TypeTXT}]
		if got := a.expires.Sub(before); got < want || got > want+time.Minute {
			t.Errorf("%s kept %v, want %v", name, got, want)
		}
	}
}

func TestClient_ResolvConf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	c, err := New(Config{ResolvConf: file, Timeout: 200 * time.Millisecond, Rounds: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.MX(t.Context(), "example.com"); !errors.Is(err, ErrTemporary) {
		t.Errorf("no file: %v", err)
	}
	for i, text := range []string{"# none\n", "search x\nnameserver 127.0.0.1\n", "nameserver 127.0.0.2\nnameserver ::1\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(file, time.Time{}, time.Unix(int64(1000+i), 0))
		list, err := c.serverList()
		want := [][]string{nil, {"127.0.0.1:53"}, {"127.0.0.2:53", "[::1]:53"}}[i]
		if !slices.Equal(list, want) || (want == nil) != errors.Is(err, ErrTemporary) {
			t.Errorf("%q: %v, %v", text, list, err)
		}
	}
	if _, err := New(Config{Servers: []string{"dns.example"}}); err == nil {
		t.Error("a name taken for a server")
	}
}

func TestFake(t *testing.T) {
	f := &Fake{MXs: map[string][]MX{"a.example": {{"x", 2}, {"y", 1}}, "null.example": {{}}},
		Addrs: map[string][]netip.Addr{"x": {netip.MustParseAddr("192.0.2.1")}}, Fail: map[string]error{"bad.example": ErrTemporary}}
	if mx, err := f.MX(t.Context(), "A.example."); err != nil || mx[0].Host != "y" {
		t.Errorf("%v, %v", mx, err)
	}
	for name, want := range map[string]error{"null.example": ErrNullMX, "bad.example": ErrTemporary, "nx.example": ErrNXDomain, "x": ErrNoData} {
		if _, err := f.MX(t.Context(), name); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(f.Asked()) != 5 {
		t.Errorf("asked %q", f.Asked())
	}
}
