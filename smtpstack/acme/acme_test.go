package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

const (
	host   = "fax.zone.test"
	key    = "c2VjcmV0IGZvciB0aGUgdGVzdCBvbmx5ISE="
	record = "_acme-challenge." + host + "."
)

// zone is a name server for zone.test that takes signed updates.
type zone struct {
	addr string

	mu      sync.Mutex
	txt     []string
	updates int
}

func startZone(t *testing.T) *zone {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{addr: l.Addr().String()}
	for _, srv := range []*dns.Server{{Listener: l}, {PacketConn: pc}} {
		srv.Handler, srv.TsigSecret = z, map[string]string{"acme-key.": key}
		srv.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept } // updates too
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		go srv.ActivateAndServe()
		<-started
		t.Cleanup(func() { srv.Shutdown() })
	}
	return z
}

func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	a := new(dns.Msg).SetReply(q)
	a.Authoritative = true
	if q.Opcode == dns.OpcodeUpdate {
		if q.IsTsig() == nil || w.TsigStatus() != nil {
			a.Rcode = dns.RcodeRefused
		} else {
			z.update(q.Ns)
			a.SetTsig("acme-key.", dns.HmacSHA256, 300, time.Now().Unix())
		}
		_ = w.WriteMsg(a)
		return
	}
	name := strings.ToLower(q.Question[0].Name)
	soa, _ := dns.NewRR("zone.test. 60 IN SOA ns.zone.test. hostmaster.zone.test. 1 60 60 60 60")
	add := func(text string) {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		a.Answer = append(a.Answer, rr)
	}
	switch q.Question[0].Qtype {
	case dns.TypeSOA:
		if name == "zone.test." {
			a.Answer = append(a.Answer, soa)
		}
	case dns.TypeA:
		if name == host+"." {
			add(host + ". 60 IN A 127.0.0.1")
		}
	case dns.TypeTXT:
		for _, s := range z.txt {
			if name == record {
				add(record + ` 60 IN TXT "` + s + `"`)
			}
		}
	}
	if len(a.Answer) == 0 {
		a.Ns = append(a.Ns, soa)
	}
	_ = w.WriteMsg(a)
}

func (z *zone) update(list []dns.RR) {
	z.updates++
	for _, rr := range list {
		txt, ok := rr.(*dns.TXT)
		if !ok || txt.Hdr.Name != record {
			continue
		}
		if txt.Hdr.Class == dns.ClassINET {
			z.txt = append(z.txt, strings.Join(txt.Txt, ""))
		} else {
			z.txt = nil
		}
	}
}

func (z *zone) state() (updates int, txt []string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.updates, z.txt
}

// startAuthority runs pebble, Let's Encrypt's own test server, with its validation pointed at our port and name server.
func startAuthority(t *testing.T, z *zone, httpPort int, life time.Duration) *httptest.Server {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	profiles := map[string]ca.Profile{"default": {Description: "test", ValidityPeriod: uint64(life.Seconds())}}
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, profiles)
	validation := va.New(quiet, httpPort, 0, true, z.addr, store)
	front := wfe.New(quiet, store, validation, authority, []string{"pebble.test"}, true, false, 1, 1)
	srv := httptest.NewTLSServer(front.Handler())
	t.Cleanup(srv.Close)
	return srv
}

func config(t *testing.T, srv *httptest.Server) Config {
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return Config{Host: host, Directory: srv.URL + wfe.DirectoryPath, Folder: t.TempDir(), Roots: roots}
}

// run starts a manager until the test ends; the function it returns stops it sooner.
func run(t *testing.T, cfg Config) (*Manager, func()) {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return m, stop
}

// waitFor waits until the manager shows a certificate of the authority other than the given one.
func waitFor(t *testing.T, m *Manager, than *x509.Certificate) *x509.Certificate {
	t.Helper()
	for range 400 {
		cert, err := m.GetCertificate(&tls.ClientHelloInfo{ServerName: "whatever.test"})
		if err == nil {
			leaf, err := x509.ParseCertificate(cert.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			if than == nil || !leaf.Equal(than) {
				return leaf
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("no certificate came")
	return nil
}

func check(t *testing.T, leaf *x509.Certificate) {
	t.Helper()
	if err := leaf.VerifyHostname(host); err != nil || !strings.Contains(leaf.Issuer.CommonName, "Pebble") {
		t.Errorf("%v, issuer %v", err, leaf.Issuer)
	}
}

func TestHTTP01(t *testing.T) {
	port := smtptest.FreePort(t)
	srv := startAuthority(t, startZone(t), port, 90*24*time.Hour)
	cfg := config(t, srv)
	cfg.HTTP = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	cfg.Report = func(err error) { t.Errorf("report: %v", err) }
	var obtained atomic.Int32
	cfg.Obtained = func() { obtained.Add(1) }
	m, stop := run(t, cfg)
	leaf := waitFor(t, m, nil)
	check(t, leaf)
	if until, ok := m.Valid(); !ok || !until.Equal(leaf.NotAfter) {
		t.Errorf("valid until %v", until)
	}
	stop()
	if obtained.Swap(0) == 0 {
		t.Error("nobody was told of the certificate")
	}
	srv.Close() // the folder has it all
	again, _ := run(t, cfg)
	if kept := waitFor(t, again, nil); !kept.Equal(leaf) {
		t.Error("another certificate after a restart")
	}
	if obtained.Load() == 0 {
		t.Error("nobody was told of the certificate in the folder")
	}
}

func TestDNS01(t *testing.T) {
	z := startZone(t)
	cfg := config(t, startAuthority(t, z, 1, 90*24*time.Hour))
	cfg.DNS = &DNSUpdate{Server: z.addr, KeyName: "acme-key", KeyAlg: "hmac-sha256", Key: key}
	cfg.Resolvers, cfg.PropagationTimeout = []string{z.addr}, -1
	cfg.Report = func(err error) { t.Errorf("report: %v", err) }
	m, stop := run(t, cfg)
	check(t, waitFor(t, m, nil))
	stop()
	if updates, txt := z.state(); updates < 2 || len(txt) != 0 {
		t.Errorf("%d updates, left in the zone: %q", updates, txt)
	}
}

// TestRenewal: a certificate of a minute is renewed when it has 95 % of its life left.
func TestRenewal(t *testing.T) {
	port := smtptest.FreePort(t)
	cfg := config(t, startAuthority(t, startZone(t), port, time.Minute))
	cfg.HTTP = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	cfg.renewCheck, cfg.renewWindow = 500*time.Millisecond, 0.95
	m, _ := run(t, cfg)
	first := waitFor(t, m, nil)
	second := waitFor(t, m, first)
	check(t, second)
	if time.Now().After(first.NotAfter) {
		t.Error("renewed after its end")
	}
}

type fixed struct{ cert *tls.Certificate }

func (f fixed) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.cert, nil }

// TestFailure: the reason is told, and meanwhile the fallback is shown.
func TestFailure(t *testing.T) {
	nobody := smtptest.FreePort(t)
	cfg := config(t, startAuthority(t, startZone(t), nobody, time.Hour))
	cfg.HTTP = net.JoinHostPort("127.0.0.1", strconv.Itoa(smtptest.FreePort(t))) // not where the authority asks
	reports := make(chan error, 10)
	cfg.Report = func(err error) {
		select {
		case reports <- err:
		default:
		}
	}
	m, stop := run(t, cfg)
	if _, err := m.GetCertificate(nil); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("without a fallback: %v", err)
	}
	select {
	case err := <-reports:
		if !strings.Contains(err.Error(), host) {
			t.Errorf("report %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("no report")
	}
	stop()
	cfg.Fallback = fixed{&tls.Certificate{}}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer m.cache.Stop()
	if cert, err := m.GetCertificate(nil); err != nil || cert != cfg.Fallback.(fixed).cert {
		t.Errorf("fallback: %v, %v", cert, err)
	}
}

func TestNew_RefusesBadConfig(t *testing.T) {
	whole := &DNSUpdate{Server: "127.0.0.1:53", KeyName: "k", KeyAlg: "hmac-sha256", Key: key}
	for i, cfg := range []Config{
		{}, {Host: host, Folder: "x"}, {Host: host, HTTP: ":80"}, {Folder: "x", HTTP: ":80"}, {Host: host, Folder: "x", HTTP: ":80", DNS: whole},
		{Host: host, Folder: "x", HTTP: "80"}, {Host: host, Folder: "x", HTTP: ":0"}, {Host: host, Folder: "x", HTTP: ":http"},
		{Host: host, Folder: "x", DNS: &DNSUpdate{Server: "127.0.0.1:53"}},
	} {
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%d: %v", i, err)
		}
	}
}
