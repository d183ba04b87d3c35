package send

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/exchange"
	"github.com/tipring/tipring/smtpstack/resolve"
)

func connector(t *testing.T, name, host string) *Sender {
	t.Helper()
	s, err := New(Config{Name: name, Hostname: "box.example.com", Host: host}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRouter_EachDomainItsWay(t *testing.T) {
	cloud, lan, direct := newServer(t, nil), newServer(t, map[string]string{"RCPT": "550 5.1.1 no"}), newServer(t, nil)
	r, err := NewRouter(RouterConfig{Connectors: []*Sender{connector(t, "cloud", cloud.addr()), connector(t, "lan", lan.addr())},
		Routes: []Route{{Domain: "*", Connector: "cloud"}, {Domain: "Lan.Example", Connector: "lan"}, {Domain: "*.Bücher.example", Connector: "lan"}, {Domain: "*.site.example", Host: direct.addr()}},
		Direct: Config{Hostname: "box.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	m := message("a@x.example", "b@lan.example", "c@one.site.example", "d@y.example", "e@two.site.example", "bad")
	rep := r.Deliver(t.Context(), m)
	want := []smtpstack.Class{smtpstack.Delivered, smtpstack.BadRecipient, smtpstack.Delivered, smtpstack.Delivered, smtpstack.Delivered, smtpstack.BadRecipient}
	for i, res := range rep.Results {
		if res.Class != want[i] || res.To != m.To[i] {
			t.Errorf("%s: %+v", m.To[i], res)
		}
	}
	if len(cloud.received()) != 1 || len(direct.received()) != 1 || !strings.Contains(cloud.said(), "d@y.example") || strings.Contains(cloud.said(), "site.example") {
		t.Errorf("cloud:\n%s\ndirect:\n%s", cloud.said(), direct.said())
	}
	if tr := transcript(rep); !strings.Contains(tr, "b@lan.example") || !strings.Contains(tr, "c@one.site.example") {
		t.Errorf("transcript:\n%s", tr)
	}
	if r.Connector("lan") == nil || r.Connector("x") != nil || r.For("lan.example").Name() != "lan" || r.For("x.xn--bcher-kva.example").Name() != "lan" {
		t.Error("connectors are not found")
	}
}

func TestRouter_NoRoute(t *testing.T) {
	r, err := NewRouter(RouterConfig{Connectors: []*Sender{connector(t, "lan", "127.0.0.1:1")}, Routes: []Route{{Domain: "a.example", Connector: "lan"}}})
	if err != nil {
		t.Fatal(err)
	}
	if res := last(r.Deliver(t.Context(), message("x@b.example"))); res.Class != smtpstack.Configuration || res.Remedy == "" {
		t.Errorf("%+v", res)
	}
}

func TestNewRouter_Refuses(t *testing.T) {
	one := connector(t, "one", "x")
	for _, cfg := range []RouterConfig{
		{}, {Routes: []Route{{Domain: "*", Connector: "none"}}}, {Routes: []Route{{Domain: "*"}}},
		{Connectors: []*Sender{one, one}, Routes: []Route{{Domain: "*", Connector: "one"}}},
		{Connectors: []*Sender{one}, Routes: []Route{{Domain: "*", Connector: "one", Host: "x:1"}}},
		{Connectors: []*Sender{one}, Routes: []Route{{Domain: "a.example", Connector: "one"}, {Domain: "A.example.", Connector: "one"}}},
		{Connectors: []*Sender{one}, Routes: []Route{{Domain: "a@b", Connector: "one"}}},
		{Routes: []Route{{Domain: "*", Host: "noport"}}, Direct: Config{Hostname: "h"}},
		{Routes: []Route{{Domain: "*", Host: "host:25"}}},
	} {
		if _, err := NewRouter(cfg); err == nil {
			t.Errorf("taken: %+v", cfg)
		}
	}
}

func TestCallout_CachesWhatIsCertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		snd, err := New(s.relay(homeIP), nil)
		if err != nil {
			t.Fatal(err)
		}
		c := NewCallout(CalloutConfig{}, snd, hoarder{NewMemoryStore()})
		expect := func(what, address string, v Verdict, cached bool) {
			t.Helper()
			a := c.Verify(t.Context(), address)
			if a.Verdict != v || a.Cached != cached || a.Text == "" {
				t.Errorf("%s: %s is %v (%s), cached %v", what, address, a.Verdict, a.Text, a.Cached)
			}
		}
		expect("exists", jane, Good, false)
		expect("again", "jane@CONTOSO.com", Good, true)
		expect("no such", "nobody@contoso.com", Bad, false)
		expect("again", "nobody@contoso.com", Bad, true)
		expect("full mailbox says nothing bad", "full@contoso.com", Good, false)
		expect("malformed", "nobody", Bad, false)
		time.Sleep(3 * 24 * time.Hour)
		expect("bad for 3 days", "nobody@contoso.com", Bad, false)
		expect("good for 31 days", jane, Good, true)
		s.p.Change(func(w *exchange.World) { w.Suspicious = []netip.Prefix{netip.PrefixFrom(homeIP, 32)} })
		time.Sleep(28 * 24 * time.Hour)
		expect("temporary failure is not unknown user", jane, Unknown, false)
		expect("and is not kept", jane, Unknown, false)
		if n := len(s.p.Messages()); n != 0 {
			t.Errorf("%d mails were sent", n)
		}
	})
}

// TestCallout_UnknownIsNotBad: what says nothing of the recipient.
func TestCallout_UnknownIsNotBad(t *testing.T) {
	for name, answers := range map[string]map[string]string{
		"greeting": {"GREETING": "554 go away"}, "EHLO": {"EHLO": "550 bad name", "HELO": "550 bad name"}, "null sender refused": {"MAIL": "550 no null sender"},
		"greylisting": {"RCPT": "451 4.7.1 later"}, "policy": {"RCPT": "550 5.7.1 blocked"}, "hangs up": {"RCPT": "HANGUP"}, "silent": {"RCPT": "SILENCE"},
	} {
		srv := newServer(t, answers)
		snd, err := New(Config{Hostname: "box.example.com", Host: srv.addr(), Timeouts: quick()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := NewCallout(CalloutConfig{}, snd, nil)
		for range 2 {
			if a := c.Verify(t.Context(), "a@x.example"); a.Verdict != Unknown || a.Cached || len(a.Transcript) == 0 {
				t.Errorf("%s: %+v", name, a)
			}
		}
	}
	srv := newServer(t, nil)
	snd := connector(t, "x", srv.addr())
	if a := NewCallout(CalloutConfig{Sender: "check@example.com"}, snd, nil).Verify(t.Context(), "a@x.example"); a.Verdict != Good {
		t.Errorf("%+v", a)
	}
	if want := "EHLO box.example.com\nMAIL FROM:<check@example.com>\nRCPT TO:<a@x.example>\nRSET\nQUIT"; srv.said() != want {
		t.Errorf("dialogue %q", srv.said())
	}
	mx, err := New(Config{Hostname: "box.example.com"}, &resolve.Fake{Fail: map[string]error{"t.example": resolve.ErrTemporary}})
	if err != nil {
		t.Fatal(err)
	}
	c := NewCallout(CalloutConfig{}, mx, nil)
	if a := c.Verify(t.Context(), "a@t.example"); a.Verdict != Unknown {
		t.Errorf("DNS down: %+v", a)
	}
	if a := c.Verify(t.Context(), "a@nx.example"); a.Verdict != Bad {
		t.Errorf("no such domain: %+v", a)
	}
}

// TestCallout_Bounded: the same address is asked once, and no more than some at the same time.
func TestCallout_Bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		cfg := s.relay(homeIP)
		dial, dialed := cfg.Dial, atomic.Int32{}
		block := make(chan struct{})
		cfg.Dial = blockingDial(block, &dialed, dial)
		snd, err := New(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := NewCallout(CalloutConfig{AtOnce: 2}, snd, nil)
		answers := make(chan Answer, 10)
		for _, a := range []string{jane, jane, jane, "boss@contoso.com"} {
			go func() { answers <- c.Verify(t.Context(), a) }()
		}
		synctest.Wait()
		if a := c.Verify(t.Context(), faxBox); a.Verdict != Unknown || !strings.Contains(a.Text, "too many") {
			t.Errorf("%+v", a)
		}
		close(block)
		good := 0
		for range 4 {
			if (<-answers).Verdict == Good {
				good++
			}
		}
		if good != 3 || dialed.Load() != 2 { // boss wants signed-in senders
			t.Errorf("%d good, %d connections", good, dialed.Load())
		}
	})
}

func TestClientCertificate_Chain(t *testing.T) {
	p, err := exchange.New(exchange.World{})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := p.ClientCertificate("fax.contoso.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckChain(cert, p.Roots()); err != nil {
		t.Error(err)
	}
	short := tls.Certificate{Certificate: cert.Certificate[:1]}
	if err := CheckChain(short, p.Roots()); !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), "Test Issuing CA") {
		t.Errorf("%v", err)
	}
	if err := CheckChain(tls.Certificate{}, p.Roots()); !errors.Is(err, ErrChain) {
		t.Errorf("%v", err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c"), filepath.Join(dir, "k")
	writePEM(t, certFile, keyFile, cert)
	if got, err := LoadClientCertificate(certFile, keyFile, p.Roots()); err != nil || len(got.Certificate) != 2 {
		t.Errorf("%d certificates, %v", len(got.Certificate), err)
	}
	if _, err := LoadClientCertificate(certFile, certFile, p.Roots()); err == nil {
		t.Error("a certificate was taken for a key")
	}
	os.Remove(certFile)
	if _, err := LoadClientCertificate(certFile, keyFile, p.Roots()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// hoarder is a store that never purges: what is too old is for the reader to see.
type hoarder struct{ *MemoryStore }

func (h hoarder) Put(bucket, key string, value []byte, _ time.Time) error {
	return h.MemoryStore.Put(bucket, key, value, time.Now().Add(365*24*time.Hour))
}
