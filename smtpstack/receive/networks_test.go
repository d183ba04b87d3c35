package receive

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/smtpstack/resolve"
)

func TestExchangeOnline_BuiltIn(t *testing.T) {
	e, err := OpenExchangeOnline(filepath.Join(t.TempDir(), "ranges.json"), &resolve.Fake{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.plausible(exchangeOnlineBuiltIn); err != nil {
		t.Errorf("the built-in list: %v", err)
	}
	for _, tt := range []struct {
		ip string
		in bool
	}{
		{"40.92.0.1", true}, {"40.93.255.255", true}, {"40.94.0.0", false}, {"40.107.20.5", true}, {"52.100.0.0", true},
		{"52.103.255.255", true}, {"52.104.0.0", false}, {"104.47.127.255", true}, {"104.47.128.0", false},
		{"2a01:111:f400:fe00::1", true}, {"2a01:111:f403::1", true}, {"2a01:111:f401::1", false}, {"10.0.0.1", false},
	} {
		if got := e.Contains(netip.MustParseAddr(tt.ip)); got != tt.in {
			t.Errorf("%s: %v", tt.ip, got)
		}
	}
}

// spfZone answers like the real record, with an include of its own.
func spfZone() *resolve.Fake {
	return &resolve.Fake{TXTs: map[string][]string{
		exchangeOnlineSPF:  {"some other text", "v=spf1 ip4:40.92.0.0/15 +ip4:40.107.0.0/16 include:spfd.example.net ip6:2a01:111:f403::/49 -all ip4:198.51.100.0/24"},
		"spfd.example.net": {"V=SPF1 ip4:203.0.114.9 include:" + exchangeOnlineSPF + ". ~all"},
	}}
}

func TestExchangeOnline_Refresh(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "ranges.json")
	e, err := OpenExchangeOnline(file, spfZone())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"40.92.0.0/15", "40.107.0.0/16", "203.0.114.9/32", "2a01:111:f403::/49"}
	check := func(e *ExchangeOnline) {
		t.Helper()
		list, since := e.Prefixes()
		var got []string
		for _, p := range list {
			got = append(got, p.String())
		}
		if !slices.Equal(got, want) || time.Since(since) > time.Minute {
			t.Errorf("%v of %v", got, since)
		}
		if e.Contains(netip.MustParseAddr("52.100.0.1")) || e.Contains(netip.MustParseAddr("198.51.100.1")) || !e.Contains(netip.MustParseAddr("203.0.114.9")) {
			t.Error("the set is another one than the list")
		}
	}
	check(e)
	again, err := OpenExchangeOnline(file, &resolve.Fake{})
	if err != nil {
		t.Fatal(err)
	}
	check(again)
	if err := again.Refresh(t.Context()); !errors.Is(err, resolve.ErrNotFound) {
		t.Errorf("error %v", err)
	}
	check(again)
}

// TestExchangeOnline_BadAnswers: none of them changes the set or the file.
func TestExchangeOnline_BadAnswers(t *testing.T) {
	many := "v=spf1 ip4:40.92.0.0/15"
	for i := range maxSPFPrefixes {
		many += fmt.Sprintf(" ip4:40.92.%d.0/24", i)
	}
	deep := map[string][]string{exchangeOnlineSPF: {"v=spf1 ip4:40.92.0.0/15 include:a0.test -all"}}
	for i := range 20 {
		deep[fmt.Sprintf("a%d.test", i)] = []string{fmt.Sprintf("v=spf1 ip4:40.92.0.0/15 include:a%d.test -all", i+1)}
	}
	one := func(record ...string) *resolve.Fake {
		return &resolve.Fake{TXTs: map[string][]string{exchangeOnlineSPF: record}}
	}
	tests := []struct {
		name string
		zone *resolve.Fake
		want error
	}{
		{"no answer", &resolve.Fake{Fail: map[string]error{exchangeOnlineSPF: resolve.ErrTemporary}}, resolve.ErrTemporary},
		{"no answer for an include", &resolve.Fake{TXTs: spfZone().TXTs, Fail: map[string]error{"spfd.example.net": resolve.ErrTemporary}}, resolve.ErrTemporary},
		{"no name", &resolve.Fake{}, resolve.ErrNotFound},
		{"no SPF", one("hello"), ErrRanges},
		{"two records", one("v=spf1 ip4:40.92.0.0/15 -all", "v=spf1 ip4:40.92.0.0/15 -all"), ErrRanges},
		{"empty", one("v=spf1 -all"), ErrRanges},
		{"all first", one("v=spf1 -all ip4:40.92.0.0/15"), ErrRanges},
		{"everybody", one("v=spf1 ip4:40.92.0.0/15 ip4:0.0.0.0/0 -all"), ErrRanges},
		{"everybody by all", one("v=spf1 ip4:40.92.0.0/15 all"), ErrRanges},
		{"half of everybody", one("v=spf1 ip4:40.92.0.0/15 ip6:8000::/1 -all"), ErrRanges},
		{"too large", one("v=spf1 ip4:40.0.0.0/9 -all"), ErrRanges},
		{"the LAN", one("v=spf1 ip4:40.92.0.0/15 ip4:192.168.0.0/16 -all"), ErrRanges},
		{"loopback", one("v=spf1 ip4:40.92.0.0/15 ip4:127.0.0.1 -all"), ErrRanges},
		{"mapped", one("v=spf1 ip4:40.92.0.0/15 ip6:::ffff:0:0/96 -all"), ErrRanges},
		{"nothing in common", one("v=spf1 ip4:198.51.100.0/24 -all"), ErrRanges},
		{"broken range", one("v=spf1 ip4:40.92.0.0/33 -all"), ErrRanges},
		{"wrong family", one("v=spf1 ip6:40.92.0.0/15 -all"), ErrRanges},
		{"redirect", one("v=spf1 ip4:40.92.0.0/15 redirect=evil.test"), ErrRanges},
		{"other mechanism", one("v=spf1 ip4:40.92.0.0/15 a:evil.test -all"), ErrRanges},
		{"too many ranges", one(many), ErrRanges},
		{"too deep", &resolve.Fake{TXTs: deep}, ErrRanges},
	}
	for _, tt := range tests {
		file := filepath.Join(t.TempDir(), "ranges.json")
		e, err := OpenExchangeOnline(file, tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Refresh(t.Context()); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if list, since := e.Prefixes(); !slices.Equal(list, exchangeOnlineBuiltIn) || since != exchangeOnlineDate {
			t.Errorf("%s: now %v", tt.name, list)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s: a file was written", tt.name)
		}
		if n := len(tt.zone.Asked()); n > maxSPFIncludes {
			t.Errorf("%s: %d questions", tt.name, n)
		}
	}
}

// TestExchangeOnline_File: a file is worth no more than an answer.
func TestExchangeOnline_File(t *testing.T) {
	newer := time.Now().Add(time.Hour).Format(time.RFC3339)
	for _, tt := range []struct{ name, content string }{
		{"damaged", `{"Since":"` + newer + `","Pref`}, {"empty", ""}, {"no ranges", `{"Since":"` + newer + `"}`},
		{"everybody", `{"Since":"` + newer + `","Prefixes":["40.92.0.0/15","0.0.0.0/0"]}`},
		{"invalid", `{"Since":"` + newer + `","Prefixes":["40.92.0.0/15",""]}`},
		{"older than the built-in", `{"Since":"2020-01-01T00:00:00Z","Prefixes":["40.92.0.0/16"]}`},
	} {
		file := filepath.Join(t.TempDir(), "ranges.json")
		if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := OpenExchangeOnline(file, &resolve.Fake{})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if list, _ := e.Prefixes(); !slices.Equal(list, exchangeOnlineBuiltIn) {
			t.Errorf("%s: %v", tt.name, list)
		}
	}
	if _, err := OpenExchangeOnline(t.TempDir(), &resolve.Fake{}); err == nil {
		t.Error("a folder in the file's place is no error")
	}
}

func TestExchangeOnline_Run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zone := &moodyResolver{Fake: spfZone()}
		e, err := OpenExchangeOnline(filepath.Join(t.TempDir(), "ranges.json"), zone)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		asked := func() int {
			synctest.Wait()
			return strings.Count(strings.Join(zone.Asked(), "\n"), exchangeOnlineSPF)
		}
		var failures atomic.Int32
		done := make(chan struct{})
		go func() { e.Run(ctx, func(error) { failures.Add(1) }); close(done) }()
		if n := asked(); n != 1 {
			t.Errorf("asked %d times at the start", n)
		}
		time.Sleep(refreshEvery + time.Minute)
		if n := asked(); n != 2 || failures.Load() != 0 {
			t.Errorf("asked %d times in a day, %d failures", n, failures.Load())
		}
		zone.down.Store(true)
		time.Sleep(refreshEvery + 3*refreshAgain)
		if n := asked(); n != 6 || failures.Load() != 4 {
			t.Errorf("asked %d times, %d failures", n, failures.Load())
		}
		cancel()
		<-done
	})
}

// moodyResolver is down at times.
type moodyResolver struct {
	*resolve.Fake
	down atomic.Bool
}

func (r *moodyResolver) TXT(ctx context.Context, name string) ([]string, error) {
	list, err := r.Fake.TXT(ctx, name)
	if r.down.Load() {
		return nil, resolve.ErrTemporary
	}
	return list, err
}

// loopbackSet is a NetworkSet that has the loopback at times.
type loopbackSet struct{ open atomic.Bool }

func (s *loopbackSet) Contains(ip netip.Addr) bool { return s.open.Load() && ip.IsLoopback() }

func TestNetworkSets(t *testing.T) {
	cfg := testConfig()
	cfg.Networks = nil
	set := &loopbackSet{}
	cfg.NetworkSets = []NetworkSet{&loopbackSet{}, set}
	_, addr := start(t, cfg, &memory{})
	try := func(want string) {
		c := dial(t, addr)
		c.expect("220 ")
		c.cmd("EHLO x", "250 ")
		c.cmd("MAIL FROM:<jane@example.com>", "250")
		c.cmd("RCPT TO:<1@fax.example.com>", want)
		c.cmd("QUIT", "221")
	}
	try("550 5.7.1 your address")
	set.open.Store(true)
	try("250")
}

func FuzzSPFRecord(f *testing.F) {
	f.Add("v=spf1 ip4:40.92.0.0/15 ip6:2a01:111:f400::/48 include:b.test -all")
	f.Fuzz(func(t *testing.T, record string) {
		zone := &resolve.Fake{TXTs: map[string][]string{exchangeOnlineSPF: {record}, "b.test": {record}}}
		e, err := OpenExchangeOnline(filepath.Join(t.TempDir(), "ranges.json"), zone)
		if err != nil {
			t.Fatal(err)
		}
		_ = e.Refresh(t.Context())
		list, _ := e.Prefixes()
		if len(list) == 0 || e.Contains(netip.MustParseAddr("127.0.0.1")) || e.Contains(netip.MustParseAddr("192.168.1.1")) {
			t.Errorf("%q gave %v", record, list)
		}
	})
}
