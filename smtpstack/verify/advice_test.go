package verify

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/tipring/tipring/smtpstack/resolve"
)

func TestSPFWith(t *testing.T) {
	for record, want := range map[string]string{
		"": "v=spf1 ip4:192.0.2.1 ~all", "v=spf1 -all": "v=spf1 ip4:192.0.2.1 -all", "v=spf1 mx ?ALL": "v=spf1 mx ip4:192.0.2.1 ?ALL",
		"v=spf1 a redirect=x.example": "v=spf1 a ip4:192.0.2.1 redirect=x.example", "v=spf1 a": "v=spf1 a ip4:192.0.2.1", "v=spf1  a  ~all exp=e.example": "v=spf1 a ip4:192.0.2.1 ~all exp=e.example",
	} {
		if got := SPFWith(record, "ip4:192.0.2.1"); got != want {
			t.Errorf("%q: %q, want %q", record, got, want)
		}
	}
}

// Records that include each other, or themselves, are counted to an end.
func TestSPFLookups(t *testing.T) {
	r := &resolve.Fake{TXTs: map[string][]string{
		"a.example": {"v=spf1 include:b.example include:c.example -all"}, "b.example": {"v=spf1 a mx ptr exists:x.example ip4:192.0.2.1 -all"},
		"c.example": {"v=spf1 redirect=b.example"}, "loop.example": {"v=spf1 include:loop.example -all"}, "two.example": {"v=spf1 a -all", "v=spf1 mx -all"},
	}}
	for record, want := range map[string]int{"": 0, "v=spf1 ip4:192.0.2.1 -all": 0, "v=spf1 include:a.example -all": 12, "v=spf1 include:loop.example -all": 40, "v=spf1 a/24 mx:x.example//64 -all": 2,
		"v=spf1 include:two.example include:none.example -all": 2, "v=spf1 " + strings.Repeat("a ", 100): 40} {
		if got := SPFLookups(t.Context(), r, record); got != want {
			t.Errorf("%.60q: %d, want %d", record, got, want)
		}
	}
	if _, err := SPFRecord(t.Context(), r, "two.example"); err == nil {
		t.Error("one of two records is taken")
	}
	if TooManySPFLookups(10) || !TooManySPFLookups(11) {
		t.Error("the limit is not 10")
	}
}

func TestDMARCPolicy(t *testing.T) {
	r := &resolve.Fake{TXTs: map[string][]string{"_dmarc.example.com": {"v=DMARC1; p=reject; sp=quarantine"}, "_dmarc.bad.example": {"v=DMARC1"}}}
	for domain, want := range map[string][2]string{"example.com": {"reject", "_dmarc.example.com"}, "mail.example.com": {"quarantine", "_dmarc.example.com"}, "other.example": {}} {
		if p, at, err := DMARCPolicy(t.Context(), r, domain); err != nil || [2]string{p, at} != want {
			t.Errorf("%s: %q at %q, %v", domain, p, at, err)
		}
	}
	for _, domain := range []string{"bad.example", "no domain"} {
		if _, _, err := DMARCPolicy(t.Context(), r, domain); err == nil {
			t.Errorf("%s: no error", domain)
		}
	}
}

// FuzzSPFAdvice: whatever stands in DNS, the advice is one line, has the mechanism, and makes the address pass where the record itself can
// be understood.
func FuzzSPFAdvice(f *testing.F) {
	for _, seed := range []string{"v=spf1 -all", "v=spf1 include:a.example ~all", "v=spf1 redirect=a.example", "v=spf1 a:%{d} exp=%{i} -all", "v=spf1\t-all", "V=SPF1 all"} {
		f.Add(seed)
	}
	ip := netip.MustParseAddr("192.0.2.1")
	f.Fuzz(func(t *testing.T, record string) {
		if !isSPF(record) {
			return
		}
		r := &resolve.Fake{TXTs: map[string][]string{"x.example": {record}}}
		if n := SPFLookups(context.Background(), r, record); n < 0 || n > maxSPFCount {
			t.Errorf("%d lookups", n)
		}
		advice := SPFWith(record, "ip4:192.0.2.1")
		if strings.ContainsAny(advice, "\r\n") || !strings.Contains(advice, "ip4:192.0.2.1") {
			t.Errorf("%q", advice)
		}
		before := CheckSPF(context.Background(), r, ip, "h.example", "x.example")
		r.TXTs["x.example"] = []string{advice}
		if after := CheckSPF(context.Background(), r, ip, "h.example", "x.example"); (before.Result == SoftFail || before.Result == Neutral) && after.Result != Pass {
			t.Errorf("%q: %v, with the advice %q: %v", record, before, advice, after)
		}
	})
}
