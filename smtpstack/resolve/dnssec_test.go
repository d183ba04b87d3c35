package resolve

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/tipring/tipring/smtpstack/smtptest"
)

// startSigned starts unbound as a validating resolver of the zones signed.test, signed by us, and plain.test, which is not.
func startSigned(t *testing.T) (addr string) {
	t.Helper()
	addr = smtptest.FreeAddr(t)
	cert := strings.Repeat("ab", 32)
	smtptest.StartUnbound(t, addr, smtptest.Zone{Apex: "signed.test.", Records: []string{
		"signed.test. 60 IN MX 10 mx.signed.test.", "null.signed.test. 60 IN MX 0 .",
		"mx.signed.test. 60 IN A 192.0.2.1", "mx.signed.test. 60 IN AAAA 2001:db8::1", "v4.signed.test. 60 IN A 192.0.2.4",
		"_25._tcp.mx.signed.test. 60 IN TLSA 3 1 1 " + cert, "_25._tcp.mx.signed.test. 60 IN TLSA 2 0 1 " + cert,
		"alias.signed.test. 60 IN CNAME mx.signed.test.", "away.signed.test. 60 IN CNAME mx.plain.test.",
		"forged.signed.test. 60 IN A 192.0.2.6", "old.signed.test. 60 IN A 192.0.2.7",
	}, Forged: []string{"forged.signed.test. A"}, Expired: []string{"old.signed.test. A"}},
		smtptest.Zone{Apex: "plain.test.", Plain: true, Records: []string{
			"plain.test. 60 IN MX 10 mx.plain.test.", "mx.plain.test. 60 IN A 192.0.2.2", "_25._tcp.mx.plain.test. 60 IN TLSA 3 1 1 " + cert,
		}})
	return addr
}

func TestPeer_UnboundDNSSEC(t *testing.T) {
	c := newClient(t, startSigned(t))
	ctx := t.Context()
	for range 2 { // the second time from the cache
		for domain, want := range map[string]bool{"signed.test": true, "plain.test": false} {
			if list, secure, err := c.MXAuthentic(ctx, domain); err != nil || len(list) != 1 || secure != want {
				t.Errorf("MX %s: %v, authentic %v, %v", domain, list, secure, err)
			}
		}
		if _, secure, err := c.MXAuthentic(ctx, "null.signed.test"); !secure || !errors.Is(err, ErrNullMX) {
			t.Errorf("null MX: authentic %v, %v", secure, err)
		}
		for name, want := range map[string]error{"mx.signed.test": ErrNoData, "nx.signed.test": ErrNXDomain} {
			if _, secure, err := c.MXAuthentic(ctx, name); !secure || !errors.Is(err, want) {
				t.Errorf("no MX of %s: authentic %v, %v", name, secure, err)
			}
		}
		for name, want := range map[string]Host{
			"mx.signed.test":    {Canonical: "mx.signed.test", Authentic: true, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
			"v4.signed.test":    {Canonical: "v4.signed.test", Authentic: true, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.4")}},
			"alias.signed.test": {Canonical: "mx.signed.test", Authentic: true, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
			"away.signed.test":  {Canonical: "mx.plain.test", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.2")}},
			"mx.plain.test":     {Canonical: "mx.plain.test", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.2")}},
		} {
			h, err := c.Host(ctx, name)
			if err != nil || h.Canonical != want.Canonical || h.Authentic != want.Authentic || !slices.Equal(h.Addrs, want.Addrs) {
				t.Errorf("Host %s: %+v, %v", name, h, err)
			}
		}
		tlsa, err := c.TLSA(ctx, "_25._tcp.mx.signed.test")
		slices.SortFunc(tlsa, func(a, b TLSA) int { return int(b.Usage) - int(a.Usage) })
		if err != nil || len(tlsa) != 2 || tlsa[0].Usage != 3 || tlsa[0].Selector != 1 || tlsa[0].Matching != 1 || !bytes.Equal(tlsa[0].Data, bytes.Repeat([]byte{0xab}, 32)) {
			t.Errorf("TLSA %+v, %v", tlsa, err)
		}
		for name, want := range map[string]error{"_25._tcp.mx.plain.test": ErrInsecure, "_25._tcp.v4.signed.test": ErrNXDomain, "mx.signed.test": ErrNoData} {
			if list, err := c.TLSA(ctx, name); !errors.Is(err, want) || !errors.Is(err, ErrNotFound) || errors.Is(err, ErrTemporary) || len(list) != 0 {
				t.Errorf("TLSA %s: %v, %v", name, list, err)
			}
		}
		for _, name := range []string{"forged.signed.test", "old.signed.test"} {
			if h, err := c.Host(ctx, name); !errors.Is(err, ErrTemporary) || errors.Is(err, ErrNotFound) || len(h.Addrs) > 0 {
				t.Errorf("%s: %+v, %v", name, h, err)
			}
		}
	}
}

// TestClient_BelievesADOfLoopbackOnly: the same answer, from a server that is on a loopback address or is not.
func TestClient_BelievesADOfLoopbackOnly(t *testing.T) {
	for _, tt := range []struct {
		server string
		trust  bool
		want   bool
	}{{"127.0.0.1:53", false, true}, {"[::1]:53", false, true}, {"127.1.2.3:53", false, true}, {"[::ffff:127.0.0.1]:53", false, true},
		{"192.0.2.1:53", false, false}, {"[2001:db8::1]:53", false, false}, {"192.0.2.1:53", true, true}, {"0.0.0.0:53", false, false}} {
		c, err := New(Config{Servers: []string{tt.server}, TrustAD: tt.trust})
		if err != nil {
			t.Fatal(err)
		}
		for _, ad := range []bool{true, false} {
			r := &dns.Msg{MsgHdr: dns.MsgHdr{AuthenticatedData: ad}}
			if got := c.authentic(c.servers[0], r); got != (tt.want && ad) {
				t.Errorf("%s, TrustAD %v, AD %v: authentic %v", tt.server, tt.trust, ad, got)
			}
		}
	}
	if c, err := New(Config{Servers: []string{"127.0.0.1"}, TrustAD: true, NoAD: true}); err != nil || c.authentic(c.servers[0], &dns.Msg{MsgHdr: dns.MsgHdr{AuthenticatedData: true}}) {
		t.Errorf("NoAD: a server's AD bit is believed, %v", err)
	}
	records := zone(t, "mx.example. 60 IN A 192.0.2.1", "_25._tcp.mx.example. 60 IN TLSA 3 1 1 abcd", "example. 60 IN MX 1 mx.example.")
	addr, _ := dnsServer(t, func(q dns.Question, network string, m *dns.Msg) bool {
		m.AuthenticatedData = true
		return records(q, network, m)
	})
	c := newClient(t, addr)
	if list, err := c.TLSA(t.Context(), "_25._tcp.mx.example"); err != nil || len(list) != 1 {
		t.Errorf("TLSA: %v, %v", list, err)
	}
	if a, err := c.AddrLike(t.Context(), "mx.example", netip.MustParseAddr("::ffff:192.0.2.9")); err != nil || len(a) != 1 {
		t.Errorf("AddrLike: %v, %v", a, err)
	}
	if _, err := c.AddrLike(t.Context(), "mx.example", netip.MustParseAddr("2001:db8::")); !errors.Is(err, ErrNoData) {
		t.Errorf("AddrLike: %v", err)
	}
}

// TestHost_OneFamilyFails: who suppresses one answer must not make the other look unsigned.
func TestHost_OneFamilyFails(t *testing.T) {
	for _, signed := range []bool{true, false} {
		for _, fails := range []uint16{dns.TypeA, dns.TypeAAAA} {
			records := zone(t, "mx.example. 60 IN A 192.0.2.1", "mx.example. 60 IN AAAA 2001:db8::1")
			addr, _ := dnsServer(t, func(q dns.Question, network string, m *dns.Msg) bool {
				if q.Qtype == fails || q.Name == "both.example." {
					m.Rcode = dns.RcodeServerFailure
					return true
				}
				m.AuthenticatedData = signed
				return records(q, network, m)
			})
			c := newClient(t, addr)
			if h, err := c.Host(t.Context(), "mx.example"); err != nil || len(h.Addrs) != 1 || h.Authentic != signed || h.Canonical != "mx.example" {
				t.Errorf("%s fails, signed %v: %+v, %v", dns.TypeToString[fails], signed, h, err)
			}
			if h, err := c.Host(t.Context(), "both.example"); !errors.Is(err, ErrTemporary) || h.Authentic {
				t.Errorf("both fail: %+v, %v", h, err)
			}
		}
	}
}

// FuzzAnswer takes answers apart as ask does, whatever a server may say.
func FuzzAnswer(f *testing.F) {
	m := new(dns.Msg)
	m.SetQuestion("a.example.", dns.TypeTXT)
	for _, s := range []string{"a.example. 60 IN CNAME b.example.", "b.example. 5 IN TXT \"x\\\"\\200\" y", "a.example. 60 IN TLSA 3 1 1 abcd"} {
		r, err := dns.NewRR(s)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer = append(m.Answer, r)
	}
	wire, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire, "a.example", dns.TypeTXT)
	f.Fuzz(func(t *testing.T, wire []byte, name string, qtype uint16) {
		name, ok := wireName(name)
		if !ok {
			return
		}
		if again, ok := wireName(name); !ok || again != name {
			t.Fatalf("%q became %q", name, again)
		}
		m := new(dns.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		records, owner, ttl := pick(m, cacheKey{name, qtype})
		if len(records) > maxRecords || ttl < 0 || ttl > maxTTL || owner == "" {
			t.Errorf("%d records of %q for %v", len(records), owner, ttl)
		}
		if n := negativeTTL(m); n < minTTL || n > maxNegativeTTL {
			t.Errorf("negative TTL %v", n)
		}
		addrs(records)
		for _, r := range records {
			if txt, ok := r.(*dns.TXT); ok {
				unescape(strings.Join(txt.Txt, ""))
			}
		}
	})
}

func TestFake_Authentic(t *testing.T) {
	tlsa := []TLSA{{Usage: 3, Selector: 1, Matching: 1, Data: []byte{1}}}
	f := &Fake{MXs: map[string][]MX{"a.example": {{"mx.a.example", 1}}, "b.example": {{"alias.b.example", 1}}},
		Addrs:     map[string][]netip.Addr{"mx.a.example": {netip.MustParseAddr("192.0.2.1")}},
		TLSAs:     map[string][]TLSA{"_25._tcp.mx.a.example": tlsa, "_25._tcp.mx.b.example": tlsa},
		CNAMEs:    map[string]string{"alias.b.example": "mx.a.example", "alias.a.example": "mx.a.example"},
		Authentic: map[string]bool{"a.example": true, "mx.a.example": true, "_25._tcp.mx.a.example": true, "alias.a.example": true, "no.a.example": true},
		Fail:      map[string]error{"_25._tcp.bad.example": ErrTemporary}}
	ctx := t.Context()
	for name, want := range map[string]bool{"a.example": true, "b.example": false, "no.a.example": true} {
		if _, secure, _ := f.MXAuthentic(ctx, name); secure != want {
			t.Errorf("MX %s: authentic %v", name, secure)
		}
	}
	for name, want := range map[string]bool{"mx.a.example": true, "alias.a.example": true, "alias.b.example": false} {
		if h, err := f.Host(ctx, name); err != nil || h.Authentic != want || h.Canonical != "mx.a.example" || len(h.Addrs) != 1 {
			t.Errorf("Host %s: %+v, %v", name, h, err)
		}
	}
	for name, want := range map[string]error{"_25._tcp.mx.a.example": nil, "_25._tcp.mx.b.example": ErrInsecure, "_25._tcp.x.example": ErrNXDomain, "_25._tcp.bad.example": ErrTemporary} {
		if list, err := f.TLSA(ctx, name); !errors.Is(err, want) || (err == nil) != (len(list) == 1) {
			t.Errorf("TLSA %s: %v, %v", name, list, err)
		}
	}
}
