package send

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/exchange"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// web answers the policy requests of a test.
type web struct {
	status  int
	kind    string
	body    string
	err     error
	asked   []string
	headers http.Header
}

func (w *web) RoundTrip(r *http.Request) (*http.Response, error) {
	w.asked = append(w.asked, r.URL.String())
	if w.err != nil {
		return nil, w.err
	}
	h := http.Header{"Content-Type": {w.kind}}
	for k, v := range w.headers {
		h[k] = v
	}
	return &http.Response{StatusCode: w.status, Header: h, Body: io.NopCloser(strings.NewReader(w.body)), Request: r}, nil
}

func policyText(mode, mx string) string {
	return "version: STSv1\r\nmode: " + mode + "\r\nmx: " + mx + "\r\nmax_age: 86400\r\n"
}

// mxSite is the peer as the mail exchanger of contoso.com, found by DNS.
func mxSite(t *testing.T) (*site, *resolve.Fake) {
	s := newSite(t, nil)
	return s, &resolve.Fake{MXs: map[string][]resolve.MX{"contoso.com": {{Host: exchange.EOPHost, Preference: 10}}},
		Addrs: map[string][]netip.Addr{exchange.EOPHost: {netip.MustParseAddr("192.0.2.1")}},
		TXTs:  map[string][]string{}, TLSAs: map[string][]resolve.TLSA{}, Authentic: map[string]bool{}, Fail: map[string]error{}}
}

// byMX delivers to contoso.com by its MX; change may set policies.
func (s *site) byMX(dns *resolve.Fake, change func(*Config)) Report {
	s.t.Helper()
	c := s.relay(homeIP)
	c.Host, c.TLS = "", Opportunistic
	change(&c)
	snd, err := New(c, dns)
	if err != nil {
		s.t.Fatal(err)
	}
	return snd.Deliver(s.t.Context(), mailFrom("a@example.net", jane))
}

func TestSTS_Modes(t *testing.T) {
	for _, tt := range []struct {
		name, record, policy string
		roots                bool
		want                 smtpstack.Class
		says                 string
	}{
		{"enforce, good", "v=STSv1; id=1;", policyText("enforce", "*.mail.protection.outlook.com"), true, smtpstack.Delivered, "certificate verified"},
		{"enforce, unknown issuer", "v=STSv1; id=1;", policyText("enforce", exchange.EOPHost), false, smtpstack.Temporary, "MTA-STS demands protection"},
		{"enforce, other host", "v=STSv1; id=1;", policyText("enforce", "mx.contoso.com"), true, smtpstack.Temporary, "lists none"},
		{"enforce, wildcard is one label", "v=STSv1; id=1;", policyText("enforce", "*.outlook.com"), true, smtpstack.Temporary, "lists none"},
		{"testing, unknown issuer", "v=STSv1; id=1;", policyText("testing", exchange.EOPHost), false, smtpstack.Delivered, "mail would wait"},
		{"testing, other host", "v=STSv1; id=1;", policyText("testing", "mx.contoso.com"), true, smtpstack.Delivered, "does not list"},
		{"none", "v=STSv1; id=1;", policyText("none", "mx.contoso.com"), false, smtpstack.Delivered, "mode none"},
		{"no record", "", policyText("enforce", "mx.contoso.com"), false, smtpstack.Delivered, "certificate not verified"},
		{"other TXT", "v=spf1 -all", policyText("enforce", "mx.contoso.com"), false, smtpstack.Delivered, "certificate not verified"},
		{"bad policy", "v=STSv1; id=1;", "mode: enforce\n", false, smtpstack.Delivered, "not an MTA-STS policy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dns := mxSite(t)
				if tt.record != "" {
					dns.TXTs["_mta-sts.contoso.com"] = []string{tt.record}
				}
				w := &web{status: 200, kind: "text/plain; charset=us-ascii", body: tt.policy}
				rep := s.byMX(dns, func(c *Config) {
					c.STS = NewSTS(&http.Client{Transport: w})
					if !tt.roots {
						c.TLSConfig = &tls.Config{RootCAs: x509.NewCertPool()}
					}
				})
				if r := rep.Results[0]; r.Class != tt.want || !strings.Contains(transcript(rep)+r.Text(), tt.says) {
					t.Errorf("%+v\n%s", r, transcript(rep))
				}
				for _, u := range w.asked {
					if u != "https://mta-sts.contoso.com/.well-known/mta-sts.txt" {
						t.Errorf("asked %s", u)
					}
				}
			})
		})
	}
}

// TestSTS_Cache: a policy holds until it expires, is fetched anew when the id changes, and survives failures.
func TestSTS_Cache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &resolve.Fake{TXTs: map[string][]string{"_mta-sts.x.example": {"v=STSv1; id=a1"}}, Fail: map[string]error{}}
		w := &web{status: 200, kind: "text/plain", body: policyText("enforce", "mx.x.example")}
		sts, store := NewSTS(&http.Client{Transport: w}), hoarder{NewMemoryStore()}
		expect := func(what string, mode STSMode, asked int) {
			t.Helper()
			p := sts.policy(t.Context(), dns, store, "x.example", func(string, string, ...any) {})
			got := STSMode("")
			if p != nil {
				got = p.Mode
			}
			if got != mode || len(w.asked) != asked {
				t.Errorf("%s: mode %q, %d requests; want %q, %d", what, got, len(w.asked), mode, asked)
			}
		}
		expect("first", STSEnforce, 1)
		expect("cached", STSEnforce, 1)
		w.body = policyText("testing", "mx.x.example")
		dns.TXTs["_mta-sts.x.example"] = []string{"v=STSv1; id=a2"}
		expect("new id", STSTesting, 2)
		dns.TXTs["_mta-sts.x.example"] = []string{"v=STSv1; id=a3"}
		w.err = errors.New("no route to host")
		expect("unreachable", STSTesting, 3)
		expect("not asked again at once", STSTesting, 3)
		time.Sleep(6 * time.Minute)
		expect("asked again", STSTesting, 4)
		dns.Fail["_mta-sts.x.example"] = resolve.ErrTemporary
		expect("DNS down", STSTesting, 4)
		delete(dns.Fail, "_mta-sts.x.example")
		delete(dns.TXTs, "_mta-sts.x.example")
		expect("record gone", STSTesting, 4)
		time.Sleep(24 * time.Hour)
		expect("expired", "", 4)
	})
}

func TestSTS_BadAnswers(t *testing.T) {
	good := policyText("enforce", "mx.x.example")
	for _, w := range []*web{
		{status: 404, kind: "text/plain", body: good}, {status: 200, kind: "text/html", body: good}, {status: 200, body: good},
		{status: 302, kind: "text/plain", body: good, headers: http.Header{"Location": {"https://evil.example/"}}},
		{status: 200, kind: "text/plain", body: good + strings.Repeat("x: y\r\n", maxSTSPolicy/6)},
	} {
		if p, err := NewSTS(&http.Client{Transport: w}).fetch(t.Context(), "x.example"); !errors.Is(err, ErrSTSPolicy) || len(w.asked) != 1 {
			t.Errorf("%d %q: %+v, %v, %d requests", w.status, w.kind, p, err, len(w.asked))
		}
	}
}

func TestParseSTSPolicy(t *testing.T) {
	p, err := ParseSTSPolicy("version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.NET\nnew_field: x\nmax_age: 99999999\nmode: none\n")
	if err != nil || p.Mode != STSEnforce || strings.Join(p.MX, " ") != "mail.example.com *.example.net" || p.MaxAge != maxSTSAge {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"", "version: STSv2\nmode: none\nmax_age: 1", "version: STSv1\nmode: maybe\nmx: a.b\nmax_age: 1", "version: STSv1\nmode: enforce\nmax_age: 1",
		"version: STSv1\nmode: none\nmax_age: -1", "version: STSv1\nmode: none", "version: STSv1\nmode: enforce\nmx: a.*.b\nmax_age: 1", "junk",
		"version: STSv1\nmode: enforce\nmax_age: 1\n" + strings.Repeat("mx: a.b\n", maxSTSMX+1)} {
		if p, err := ParseSTSPolicy(bad); !errors.Is(err, ErrSTSPolicy) {
			t.Errorf("%.60q: %+v, %v", bad, p, err)
		}
	}
}

func FuzzParseSTSPolicy(f *testing.F) {
	f.Add(policyText("enforce", "*.a.example"))
	f.Add("version:STSv1\nmode:none\nmax_age:1")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseSTSPolicy(text)
		if err == nil && (p.MaxAge < 0 || p.MaxAge > maxSTSAge || len(p.MX) > maxSTSMX || p.Mode == "") {
			t.Errorf("%+v", p)
		}
		if err != nil && !errors.Is(err, ErrSTSPolicy) {
			t.Error(err)
		}
		p.matches("a.example")
	})
}

func TestDANE(t *testing.T) {
	const base = "_25._tcp." + exchange.EOPHost
	sum := func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	for _, tt := range []struct {
		name    string
		records func(leaf, issuer *x509.Certificate) []resolve.TLSA
		change  func(*resolve.Fake)
		want    smtpstack.Class
		says    string
	}{
		{"DANE-EE key", func(l, _ *x509.Certificate) []resolve.TLSA {
			return []resolve.TLSA{{Usage: 3, Selector: 1, Matching: 1, Data: sum(l.RawSubjectPublicKeyInfo)}}
		}, nil, smtpstack.Delivered, "verified by DANE"},
		{"DANE-EE whole certificate, SHA-512, second record", func(l, _ *x509.Certificate) []resolve.TLSA {
			s := sha512.Sum512(l.Raw)
			return []resolve.TLSA{{Usage: 3, Selector: 0, Matching: 1, Data: make([]byte, 32)}, {Usage: 3, Selector: 0, Matching: 2, Data: s[:]}}
		}, nil, smtpstack.Delivered, "verified by DANE"},
		{"DANE-TA", func(_, i *x509.Certificate) []resolve.TLSA {
			return []resolve.TLSA{{Usage: 2, Selector: 0, Matching: 1, Data: sum(i.Raw)}}
		}, nil, smtpstack.Delivered, "verified by DANE"},
		{"DANE-TA, other issuer", func(l, _ *x509.Certificate) []resolve.TLSA {
			return []resolve.TLSA{{Usage: 2, Selector: 0, Matching: 1, Data: sum(l.RawIssuer)}}
		}, nil, smtpstack.Temporary, "DANE demands protection"},
		{"wrong key", func(_, i *x509.Certificate) []resolve.TLSA {
			return []resolve.TLSA{{Usage: 3, Selector: 1, Matching: 1, Data: sum(i.RawSubjectPublicKeyInfo)}}
		}, nil, smtpstack.Temporary, "fits none"},
		{"unusable records: encrypted", func(l, _ *x509.Certificate) []resolve.TLSA {
			return []resolve.TLSA{{Usage: 1, Selector: 1, Matching: 1, Data: sum(l.RawSubjectPublicKeyInfo)}}
		}, nil, smtpstack.Delivered, "certificate not verified"},
		{"insecure MX: no DANE", func(_, i *x509.Certificate) []resolve.TLSA {
			return []resolve.TLSA{{Usage: 3, Selector: 1, Matching: 1, Data: sum(i.RawSubjectPublicKeyInfo)}}
		}, func(f *resolve.Fake) { f.Authentic["contoso.com"] = false }, smtpstack.Delivered, "certificate not verified"},
		{"insecure address: no DANE", func(_, i *x509.Certificate) []resolve.TLSA {
			return []resolve.TLSA{{Usage: 3, Selector: 1, Matching: 1, Data: sum(i.RawSubjectPublicKeyInfo)}}
		}, func(f *resolve.Fake) { f.Authentic[exchange.EOPHost] = false }, smtpstack.Delivered, "certificate not verified"},
		{"TLSA does not validate", func(_, _ *x509.Certificate) []resolve.TLSA { return nil },
			func(f *resolve.Fake) { f.Fail[base] = resolve.ErrTemporary }, smtpstack.Temporary, "DNS gave no answer"},
		{"no TLSA", func(_, _ *x509.Certificate) []resolve.TLSA { return nil }, nil, smtpstack.Delivered, "certificate not verified"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dns := mxSite(t)
				leaf, issuer := s.serverChain()
				dns.Authentic = map[string]bool{"contoso.com": true, exchange.EOPHost: true, base: true}
				if records := tt.records(leaf, issuer); records != nil {
					dns.TLSAs[base] = records
				}
				if tt.change != nil {
					tt.change(dns)
				}
				rep := s.byMX(dns, func(c *Config) { c.DANE = true; c.TLSConfig = &tls.Config{RootCAs: x509.NewCertPool()} })
				if r := rep.Results[0]; r.Class != tt.want || !strings.Contains(transcript(rep)+r.Text(), tt.says) {
					t.Errorf("%+v\n%s", r, transcript(rep))
				}
			})
		})
	}
}

// serverChain is what the mail exchanger shows.
func (s *site) serverChain() (leaf, issuer *x509.Certificate) {
	nc := s.p.Dial(exchange.EOP, homeIP)
	defer nc.Close()
	dialogue(s.t, nc, "EHLO box.example.net\r\n", "STARTTLS\r\n")
	tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	if err := tc.Handshake(); err != nil {
		s.t.Fatal(err)
	}
	chain := tc.ConnectionState().PeerCertificates
	return chain[0], chain[1]
}

// TestDowngrade: a host that had TLS gets no mail in the clear; after a day somebody has to look.
func TestDowngrade(t *testing.T) {
	for _, without := range []map[string]string{nil,
		{"EHLO": "250-srv\r\n250 STARTTLS", "STARTTLS": "454 4.7.0 not now"}, {"EHLO": "250-srv\r\n250 STARTTLS", "STARTTLS": "220 go\r\n220 junk"}} {
		clear := newServer(t, without)
		synctest.Test(t, func(t *testing.T) {
			s, dns := mxSite(t)
			store := NewMemoryStore()
			answers := clear.answers
			stripped := func(c *Config) {
				c.Store = store
				c.Dial = func(context.Context, string, string) (net.Conn, error) { return pipeServer(t, answers), nil }
			}
			if r := last(s.byMX(dns, stripped)); r.Class != smtpstack.Delivered {
				t.Fatalf("a host never seen with TLS: %+v", r)
			}
			if r := last(s.byMX(dns, func(c *Config) { c.Store = store })); r.Class != smtpstack.Delivered {
				t.Fatalf("with TLS: %+v", r)
			}
			if r := last(s.byMX(dns, stripped)); r.Class != smtpstack.Temporary || r.Err == nil {
				t.Errorf("TLS lost: %+v", r)
			}
			time.Sleep(25 * time.Hour)
			if r := last(s.byMX(dns, stripped)); r.Class != smtpstack.Configuration || r.Remedy == "" {
				t.Errorf("TLS lost for a day: %+v", r)
			}
			if r := last(s.byMX(dns, func(c *Config) { stripped(c); c.Policies = map[string]TLSPolicy{"contoso.com": NoTLS} })); r.Class != smtpstack.Delivered {
				t.Errorf("the domain's policy is none: %+v", r)
			}
			if r := last(s.byMX(dns, func(c *Config) { c.Store = store })); r.Class != smtpstack.Delivered {
				t.Errorf("TLS again: %+v", r)
			}
			if r := last(s.byMX(dns, stripped)); r.Class != smtpstack.Temporary {
				t.Errorf("lost anew, the day counts from now: %+v", r)
			}
			time.Sleep(31 * 24 * time.Hour)
			if r := last(s.byMX(dns, stripped)); r.Class != smtpstack.Delivered {
				t.Errorf("forgotten after a month: %+v", r)
			}
		})
	}
}

// pipeServer is a scripted server without sockets.
func pipeServer(t *testing.T, answers map[string]string) net.Conn {
	client, srv := net.Pipe()
	s := &server{t: t, answers: answers}
	go s.serve(srv)
	return client
}

func TestPolicies_ByDomain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := mxSite(t)
		rep := s.byMX(dns, func(c *Config) {
			c.Policies = map[string]TLSPolicy{"*.com": Required}
			c.TLSConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		})
		if r := last(rep); r.Class != smtpstack.Configuration {
			t.Errorf("%+v", r)
		}
	})
	if _, err := New(Config{Hostname: "h", Host: "x", Policies: map[string]TLSPolicy{"a b": Required}}, nil); err == nil {
		t.Error("a policy for no domain was taken")
	}
}

func TestMatch(t *testing.T) {
	table := map[string]int{"a.example": 1, "*.example": 2, "*.b.example": 3, "*": 4}
	for domain, want := range map[string]int{"a.example": 1, "A.Example.": 1, "x.a.example": 2, "b.example": 2, "x.b.example": 3, "y.x.b.example": 3, "example": 4, "other": 4} {
		if got, ok := match(table, domain); got != want || !ok {
			t.Errorf("%s: %d, %v", domain, got, ok)
		}
	}
	if _, ok := match(map[string]int{"*.example": 1}, "example"); ok {
		t.Error("*.example is not example")
	}
}

// TestMXOf: everything goes to the tenant's own exchangers, by its certificate connector, wherever the recipients are.
func TestMXOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := mxSite(t)
		for _, tt := range []struct {
			domain string
			want   smtpstack.Class
		}{{"contoso.com", smtpstack.Delivered}, {"gone.example", smtpstack.Configuration}} {
			c := s.certRelay("fax.contoso.com", true)
			c.Host, c.MXOf = "", tt.domain
			snd, err := New(c, dns)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range snd.Deliver(t.Context(), mailFrom(faxBox, "a@elsewhere.example", jane, "b@nx.example")).Results {
				if r.Class != tt.want || (r.Remedy != "") != (tt.want == smtpstack.Configuration) {
					t.Errorf("%s: %+v", tt.domain, r)
				}
			}
		}
		if got := s.p.Messages(); len(got) != 1 || len(got[0].To) != 3 || got[0].Connector != "cert" {
			t.Errorf("%+v", got)
		}
	})
	for _, bad := range []Config{{Hostname: "h", Host: "x", MXOf: "a.example"}, {Hostname: "h", MXOf: "*.example"}, {Hostname: "h", MXOf: "a b"}} {
		if _, err := New(bad, &resolve.Fake{}); err == nil {
			t.Errorf("taken: %+v", bad)
		}
	}
}
