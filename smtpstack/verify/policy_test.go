package verify

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tipring/tipring/smtpstack"
)

func TestPolicy_Judge(t *testing.T) {
	w := newWorld(t)
	own, exo := client(ownIP, "mail.contoso.com", "u@contoso.com"), client(exoIP, "x.outbound.protection.outlook.com", "u@contoso.com")
	unsigned, signed := w.mail(t, "u@contoso.com"), w.mail(t, "u@contoso.com", "contoso.com")
	bounced := own
	bounced.MailFrom = ""
	slow := client(ownIP, "x.y", "u@slow.example")
	all := "host spf dkim dmarc tenant"
	for name, tt := range map[string]struct {
		c       Client
		message string
		domains string
		require string // groups separated by blanks
		early   string // start of the reply; "" is none
		final   string
	}{
		"nothing required":            {exo, unsigned, "", "", "", ""},
		"domain only":                 {exo, unsigned, "contoso.com", "", "", ""},
		"another domain":              {exo, unsigned, "fabrikam.com", "", "", "550 5.7.1 Mail from contoso.com is not taken"},
		"everything proven":           {own, signed, "contoso.com", all, "", ""},
		"host":                        {own, unsigned, "contoso.com", "host", "", ""},
		"host, null sender":           {bounced, unsigned, "contoso.com", "host spf", "", ""},
		"host of Microsoft":           {exo, signed, "contoso.com", "host", "550 5.7.25", "550 5.7.25"},
		"host of Microsoft, its own":  {client(exoIP, "x.outbound.protection.outlook.com", "u@outlook.com"), w.mail(t, "u@outlook.com"), "outlook.com", "host", "550 5.7.25", "550 5.7.25"},
		"host or tenant":              {exo, signed, "contoso.com", "host|tenant", "", ""},
		"host or tenant, neither":     {exo, unsigned, "contoso.com", "host|tenant", "", "550 5.7.26"},
		"spf of another":              {client(exoIP, "x", "u@fabrikam.com"), unsigned, "contoso.com", "spf", "", "550 5.7.23"},
		"spf fails":                   {client(otherIP, "x", "u@contoso.com"), signed, "contoso.com", "spf", "550 5.7.23", "550 5.7.23"},
		"spf fails, dkim would do":    {client(otherIP, "x", "u@contoso.com"), signed, "contoso.com", "spf|dkim", "", ""},
		"dkim missing":                {own, unsigned, "contoso.com", "dkim", "", "550 5.7.22"},
		"dmarc missing":               {own, w.mail(t, "u@nodmarc.example", "nodmarc.example"), "nodmarc.example", "dmarc", "", "550 5.7.26"},
		"tenant missing":              {exo, unsigned, "contoso.com", "tenant spf", "", "550 5.7.1"},
		"every tenant's wildcard":     {exo, w.mail(t, "u@evil.onmicrosoft.com", "evil.onmicrosoft.com"), "*.onmicrosoft.com contoso.com", "tenant", "", "550 5.7.1"},
		"subdomain listed":            {exo, w.mail(t, "u@sub.contoso.com", "sub.contoso.com"), "*.contoso.com", "tenant", "", ""},
		"wildcard is not the domain":  {exo, signed, "*.contoso.com", "tenant", "", "550 5.7.1"},
		"slow SPF":                    {slow, w.mail(t, "u@slow.example"), "slow.example", "spf", "451 4.7.24", "451 4.7.24"},
		"slow SPF of another":         {slow, unsigned, "contoso.com", "spf", "451 4.7.24", "550 5.7.23"},
		"slow key":                    {own, w.mail(t, "u@slowkey.example", "slowkey.example"), "slowkey.example", "dkim tenant", "", "451 4.7.0"},
		"slow key, but lost for good": {own, w.mail(t, "u@slowkey.example", "slowkey.example"), "slowkey.example", "dkim host", "550 5.7.25", "550 5.7.25"},
		"slow DMARC":                  {own, w.mail(t, "u@slowdmarc.example"), "slowdmarc.example", "dmarc", "", "451 4.7.0"},
		"slow PTR":                    {client("192.0.2.50", "x.y", "u@contoso.com"), unsigned, "contoso.com", "host", "451 4.7.0", "451 4.7.0"},
		"no From":                     {own, "To: x\r\n\r\n", "contoso.com", "spf", "", "550 5.7.1 The sender cannot be told"},
		"two From":                    {own, "From: a@contoso.com\r\n" + signed, "contoso.com", "", "", "550 5.7.1"},
		"any domain":                  {client(ownIP, "x.y", "ü@bücher.example"), w.mail(t, "ü@bücher.example", "xn--bcher-kva.example"), "*", "dmarc", "", ""},
		"listed as people write it":   {client(ownIP, "x.y", "ü@bücher.example"), w.mail(t, "ü@bücher.example", "xn--bcher-kva.example"), "BÜCHER.example.", "dmarc", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			require, err := ParseRequire(strings.Fields(tt.require))
			if err != nil {
				t.Fatal(err)
			}
			p := Policy{Domains: strings.Fields(tt.domains), Require: require}
			v, err := New(Config{Policy: p}, w)
			if err != nil {
				t.Fatal(err)
			}
			d := v.Client(t.Context(), tt.c)
			checkReply(t, "early", p.Early(d), tt.early)
			if err := v.Message(t.Context(), d, strings.NewReader(tt.message)); err != nil {
				t.Fatal(err)
			}
			checkReply(t, "final", p.Judge(d), tt.final)
		})
	}
}

func checkReply(t *testing.T, when string, got *smtpstack.Reply, want string) {
	t.Helper()
	if (got == nil) != (want == "") || got != nil && !strings.HasPrefix(got.String(), want) {
		t.Errorf("%s: %v, want %q", when, got, want)
	}
	if got != nil && (len(got.Text) > 500 || strings.ContainsAny(got.Text, "\r\n") || len(got.Text) < 20) {
		t.Errorf("%s: text %q", when, got.Text)
	}
}

func TestPolicy_DomainsPolicy(t *testing.T) {
	w := newWorld(t)
	v, err := New(Config{}, w)
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]Result{"u@slow2.example": TempError, "u@slowdmarc.example": TempError} {
		d := v.Client(t.Context(), client(otherIP, "x", from))
		if err := v.Message(t.Context(), d, strings.NewReader(w.mail(t, from))); err != nil || d.DMARC.Result != want {
			t.Fatalf("%s: %v, %+v", from, err, d.DMARC)
		}
		checkReply(t, from, Policy{DomainsPolicy: true}.Judge(d), "451 4.7.0")
		checkReply(t, from, Policy{DomainsPolicy: true, Domains: []string{"*"}, Require: [][]Proof{{ProofDKIM}}}.Judge(d), "550 5.7.22")
	}
	for from, want := range map[string]string{"u@contoso.com": "550 5.7.26", "u@sales.contoso.com": "", "u@strict.example": ""} {
		d := v.Client(t.Context(), client(otherIP, "x", "u@fabrikam.com"))
		if err := v.Message(t.Context(), d, strings.NewReader(w.mail(t, from))); err != nil || d.DMARC.Result != Fail {
			t.Fatalf("%s: %v, %+v", from, err, d.DMARC)
		}
		checkReply(t, from, Policy{DomainsPolicy: true}.Judge(d), want)
		checkReply(t, from, Policy{}.Judge(d), "")
	}
}

func TestPolicy_Check(t *testing.T) {
	tenant := [][]Proof{{ProofTenant}}
	for name, tt := range map[string]struct {
		p  Policy
		ok bool
	}{
		"zero":                            {Policy{}, true},
		"usual":                           {Policy{Domains: []string{"contoso.com"}, Require: tenant}, true},
		"no domains":                      {Policy{Require: tenant}, false},
		"tenant of anybody":               {Policy{Domains: []string{"*"}, Require: tenant}, false},
		"tenant of anybody but signed by": {Policy{Domains: []string{"*"}, SignedBy: []string{"contoso.com"}, Require: tenant}, true},
		"dkim of anybody":                 {Policy{Domains: []string{"*"}, Require: [][]Proof{{ProofDKIM}}}, true},
		"not a domain":                    {Policy{Domains: []string{"contoso"}}, false},
		"an address":                      {Policy{Domains: []string{"u@contoso.com"}}, false},
		"Microsoft's certificate":         {Policy{Certificates: []string{"mail.protection.outlook.com"}}, false},
		"Microsoft's, by wildcard":        {Policy{Certificates: []string{"*.outlook.com"}}, false},
		"signed by every tenant":          {Policy{SignedBy: []string{"*.onmicrosoft.com"}}, false},
		"signed by anybody":               {Policy{SignedBy: []string{"*"}}, false},
		"empty group":                     {Policy{Domains: []string{"contoso.com"}, Require: [][]Proof{{}}}, false},
	} {
		err := tt.p.Check()
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrPolicy) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := New(Config{Policy: tt.p}, nil); (err == nil) != tt.ok {
			t.Errorf("New, %s: %v", name, err)
		}
		if r := tt.p.Judge(&Verdict{HasMessage: true, FromDomain: "contoso.com"}); !tt.ok && (r == nil || r.Code != 451) {
			t.Errorf("%s lets in: %v", name, r)
		}
	}
	if _, err := ParseRequire([]string{"spf|dkin"}); !errors.Is(err, ErrPolicy) {
		t.Errorf("ParseRequire: %v", err)
	}
	if r := (Policy{Domains: []string{"*"}}).Judge(&Verdict{}); r == nil || r.Code != 451 {
		t.Errorf("no message yet: %v", r)
	}
}

func TestOrganization(t *testing.T) {
	for domain, want := range map[string]string{
		"contoso.com": "contoso.com", "a.b.contoso.com": "contoso.com", "a.contoso.co.uk": "contoso.co.uk", "co.uk": "co.uk",
		"contoso.onmicrosoft.com": "contoso.onmicrosoft.com", "x.contoso.onmicrosoft.com": "contoso.onmicrosoft.com",
		"contoso.mail.onmicrosoft.com": "contoso.mail.onmicrosoft.com", "onmicrosoft.com": "onmicrosoft.com",
		"fax.localnet": "fax.localnet",
	} {
		if got := organization(domain); got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
	}
	if aligned("a.onmicrosoft.com", "b.onmicrosoft.com", false) || aligned("a.co.uk", "b.co.uk", false) || aligned("", "", false) ||
		aligned("a.contoso.com", "contoso.com", true) || !aligned("a.contoso.com", "b.contoso.com", false) {
		t.Error("alignment")
	}
}

func TestClientOf_OnlyVerifiedCertificates(t *testing.T) {
	cert := &x509.Certificate{DNSNames: []string{"relay.contoso.com"}}
	shown := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	for want, name := range []string{"", "relay.contoso.com"} {
		if c := ClientOf(smtpstack.Envelope{TLS: shown, ClientName: name}); len(c.Certificates) != want {
			t.Errorf("%d names: %v", want, c.Certificates)
		}
	}
	if c := ClientOf(smtpstack.Envelope{From: "a@b.c", Helo: "h"}); c.MailFrom != "a@b.c" || c.Helo != "h" || c.Certificates != nil {
		t.Errorf("%+v", c)
	}
}

func TestParseDMARC(t *testing.T) {
	for txt, want := range map[string]dmarcRecord{
		"v=DMARC1; p=reject":                          {policy: "reject"},
		"v = DMARC1 ;P=x;p=Quarantine;sp=none;fo=zzz": {policy: "quarantine", sub: "none"},
		"v=DMARC1;p=none;adkim=s;aspf=S;rf=other;":    {policy: "none", strictDKIM: true, strictSPF: true},
		"v=DMARC1; rua=mailto:a@b.c":                  {policy: "none"},
		"v=DMARC1; p=reject; sp=x; rua=mailto:a@b.c":  {policy: "none"},
		"v=DMARC1":                    {err: errDMARC},
		"v=DMARC1; p=reject; sp=oops": {policy: "reject", err: errDMARC},
	} {
		got := parseDMARC(txt)
		if !isDMARC(txt) || !errors.Is(got.err, want.err) {
			t.Errorf("%q: %v", txt, got.err)
		}
		if got.err, want.err = nil, nil; got != want {
			t.Errorf("%q: %+v, want %+v", txt, got, want)
		}
	}
	for _, txt := range []string{"", "v=DMARC2; p=none", "p=none; v=DMARC1", "v=DMARC1 p=none", "dmarc1"} {
		if isDMARC(txt) {
			t.Errorf("%q is taken for DMARC", txt)
		}
	}
}

func FuzzSPFRecord(f *testing.F) {
	for _, s := range []string{"v=spf1 a:foo:bar/baz.example.com/24//64 -all", "v=spf1 exists:%{l1r+-}.%{p2r}.%{d} redirect=%{d}.x.com", "v=spf1 ip4:1.2.3.4/8 ip6:::1 exp=a.b", "v=spf1 ?mx//1 x=%%%_%-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, err := spfRecord(s, func() string { return "mail.example.com" })
		if err != nil || !isSPF(s) {
			return
		}
		again, err := spfRecord(strings.ReplaceAll(out, slash, "/"), nil) // no macro "p" is left
		if err != nil || again != out {
			t.Errorf("%q became %q, then %q, %v", s, out, again, err)
		}
	})
}

func FuzzDMARC(f *testing.F) {
	f.Add("v=DMARC1; p=reject; sp=none; adkim=s; rua=mailto:a@b.c")
	f.Fuzz(func(t *testing.T, s string) {
		rec := parseDMARC(s)
		if rec.err == nil && !slices.Contains([]string{"none", "quarantine", "reject"}, rec.policy) {
			t.Errorf("%q: %+v", s, rec)
		}
	})
}

func FuzzVerifier_Message(f *testing.F) {
	f.Add("From: u@contoso.com\r\nDKIM-Signature: v=1; a=rsa-sha256; d=contoso.com; s=s1; h=from; bh=; b=\r\n\r\nx")
	f.Add("From: =?x?q?a?= <\"a b\"@[1.2.3.4]>, g:;\n x\n\n")
	f.Fuzz(func(t *testing.T, s string) {
		w := newWorld(t)
		v, err := New(Config{Policy: Policy{Domains: []string{"contoso.com"}, Require: [][]Proof{{ProofTenant}}}}, w)
		if err != nil {
			t.Fatal(err)
		}
		d := v.Client(t.Context(), client(exoIP, s, s))
		if err := v.Message(t.Context(), d, strings.NewReader(s)); err != nil {
			t.Fatal(err)
		}
		if r := v.cfg.Policy.Judge(d); r == nil || strings.ContainsAny(r.Text, "\r\n") {
			t.Errorf("let in: %+v", d)
		}
	})
}

// TestAuthor: who From names, in all the ways to write and to hide it.
func TestAuthor(t *testing.T) {
	for value, want := range map[string]string{
		" u@contoso.com":                                     "contoso.com",
		" U <u@Contoso.COM>":                                 "contoso.com",
		` "u@contoso.com" <u@evil.example>`:                  "evil.example",
		" =?utf-8?q?u=40contoso=2Ecom?= <u@evil.example>":    "evil.example",
		" =?x-unknown?b?/w==?= <u@contoso.com>":              "contoso.com",
		" \xff\xfe <u@contoso.com>":                          "contoso.com",
		" u@contoso.com (u@evil.example)":                    "contoso.com",
		" (u@contoso.com) u@evil.example":                    "", // net/mail knows no comment in front: refused is safe
		" team: u@contoso.com;":                              "contoso.com",
		" ü@bücher.example":                                  "xn--bcher-kva.example",
		" u@BÜCHER.example":                                  "xn--bcher-kva.example",
		" u@contoso.com, u@evil.example":                     "",
		" team: u@contoso.com, u@evil.example;":              "",
		" u@contoso.com <u@evil.example>":                    "",
		" <@evil.example:u@contoso.com>":                     "",
		" u@contoso.com@evil.example":                        "",
		" u@contoso":                                         "",
		" u@[192.0.2.1]":                                     "",
		" u@192.0.2.1":                                       "",
		" undisclosed:;":                                     "",
		" <>":                                                "",
		"":                                                   "",
		" u@contoso.com" + strings.Repeat(" ", maxSignature): "",
	} {
		_, domain, err := author([]field{{"to", "x"}, {"from", value}})
		if domain != want || (err == nil) != (want != "") {
			t.Errorf("From:%s: %q, %v, want %q", value, domain, err, want)
		}
	}
}
