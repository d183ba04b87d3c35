package verify

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/tipring/tipring/smtpstack/resolve"
)

// world is the DNS of the tests and the keys in it.
type world struct {
	*resolve.Fake
	keys map[string]ed25519.PrivateKey // by domain, with the selector "s1"
}

const (
	ownIP   = "192.0.2.1"
	otherIP = "192.0.2.99"
	exoIP   = "40.107.1.1"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	ip := netip.MustParseAddr
	long := "v=spf1"
	for i := range 11 {
		long += fmt.Sprintf(" include:i%d.example", i)
	}
	w := &world{keys: map[string]ed25519.PrivateKey{}, Fake: &resolve.Fake{
		TXTs: map[string][]string{
			"contoso.com": {"other=1", "v=spf1 ip4:192.0.2.1 ip4:40.107.0.0/16 -all"}, "_dmarc.contoso.com": {"v=DMARC1; p=reject; sp=none"},
			"fabrikam.com": {"v=spf1 ip4:40.107.0.0/16 -all"}, "_dmarc.strict.example": {"v=DMARC1;p=quarantine;adkim=s;aspf=s"},
			"strict.example": {"v=spf1 -all"}, "sub.strict.example": {"v=spf1 ip4:192.0.2.1 -all"},
			"long.example": {long}, "two.example": {"v=spf1 -all", "v=spf1 ~all"}, "mail.contoso.com": {"v=spf1 a -all"},
			"xn--bcher-kva.example": {"v=spf1 ip4:192.0.2.1 -all"}, "_dmarc.xn--bcher-kva.example": {"v=DMARC1; p=none"},
			"_dmarc.slowkey2.example": {"v=DMARC1; p=reject"}, "_dmarc.slow2.example": {"v=DMARC1; p=reject"},
			"_dmarc.double.example": {"v=DMARC1; p=none", "v=DMARC1; p=none"},
		},
		PTRs:  map[netip.Addr][]string{ip(ownIP): {"mail.contoso.com"}, ip(exoIP): {"x.outbound.protection.outlook.com"}, ip(otherIP): {"mail.contoso.com", "pool.isp.example"}},
		Addrs: map[string][]netip.Addr{"mail.contoso.com": {ip(ownIP), ip("2001:db8::1")}, "x.outbound.protection.outlook.com": {ip(exoIP)}, "pool.isp.example": {ip(otherIP)}},
		Fail:  map[string]error{"slow.example": resolve.ErrTemporary, "slow2.example": resolve.ErrTemporary, "s1._domainkey.slowkey2.example": resolve.ErrTemporary, "s1._domainkey.slowkey.example": resolve.ErrTemporary, "_dmarc.slowdmarc.example": resolve.ErrTemporary, "192.0.2.50": resolve.ErrTemporary},
	}}
	for i := range 11 {
		w.TXTs[fmt.Sprintf("i%d.example", i)] = []string{"v=spf1 ?all"}
	}
	for _, d := range []string{"contoso.com", "sub.contoso.com", "mailer.example", "evil.onmicrosoft.com", "contoso.onmicrosoft.com", "sub.strict.example", "slowkey.example", "slowkey2.example", "xn--bcher-kva.example", "nodmarc.example", "outlook.com"} {
		pub, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		w.keys[d] = key
		w.TXTs["s1._domainkey."+d] = []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub)}
	}
	return w
}

// mail makes a message, signed by the given domains.
func (w *world) mail(t *testing.T, from string, signers ...string) string {
	t.Helper()
	m := "From: " + from + "\r\nTo: 5551234@fax.example\r\nSubject: order\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@x>\r\n\r\nHello  there \r\n\r\n"
	for _, d := range signers {
		m = sign(t, m, &dkim.SignOptions{Domain: d, Selector: "s1", Signer: w.keys[d], HeaderCanonicalization: "relaxed", BodyCanonicalization: "relaxed"})
	}
	return m
}

func sign(t *testing.T, m string, o *dkim.SignOptions) string {
	t.Helper()
	var b bytes.Buffer
	o.Hash = crypto.SHA256
	if err := dkim.Sign(&b, strings.NewReader(m), o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// results writes a verdict in a few words.
func results(d *Verdict) string {
	return fmt.Sprintf("host=%s spf=%s/%v dkim=%s dmarc=%s tenant=%s", d.Host.Result, d.SPF.Result, d.SPFAligned, d.DKIM.Result, d.DMARC.Result, d.Tenant.Result)
}

func client(ip, helo, from string) Client {
	return Client{Addr: netip.MustParseAddr(ip), Helo: helo, MailFrom: from}
}

func TestVerifier_Senders(t *testing.T) {
	w := newWorld(t)
	own, exo := client(ownIP, "mail.contoso.com", "u@contoso.com"), client(exoIP, "x.outbound.protection.outlook.com", "u@contoso.com")
	good := w.mail(t, "U <u@contoso.com>", "contoso.com")
	certified := client(otherIP, "x", "u@contoso.com")
	certified.Certificates = []string{"relay.contoso.com"}
	microsofts := exo
	microsofts.Certificates = []string{"mail.protection.outlook.com"}
	with := func(c Client, from string) Client { c.MailFrom = from; return c }
	for name, tt := range map[string]struct {
		c       Client
		message string
		want    string
	}{
		"own host, unsigned":             {own, w.mail(t, "u@contoso.com"), "host=pass spf=pass/true dkim=none dmarc=pass tenant=fail"},
		"own host, signed":               {own, good, "host=pass spf=pass/true dkim=pass dmarc=pass tenant=pass"},
		"Exchange Online, our tenant":    {exo, good, "host=neutral spf=pass/true dkim=pass dmarc=pass tenant=pass"},
		"Exchange Online, another one":   {exo, w.mail(t, "u@contoso.com", "evil.onmicrosoft.com"), "host=neutral spf=pass/true dkim=neutral dmarc=pass tenant=fail"},
		"its certificate is everybody's": {microsofts, w.mail(t, "u@contoso.com"), "host=neutral spf=pass/true dkim=none dmarc=pass tenant=fail"},
		"signed by the initial domain":   {exo, w.mail(t, "u@contoso.com", "contoso.onmicrosoft.com"), "host=neutral spf=pass/true dkim=neutral dmarc=pass tenant=pass"},
		"initial domains do not align":   {exo, w.mail(t, "u@contoso.onmicrosoft.com", "evil.onmicrosoft.com"), "host=neutral spf=pass/false dkim=neutral dmarc=none tenant=fail"},
		"provider's own domain":          {with(exo, "u@outlook.com"), w.mail(t, "u@outlook.com"), "host=neutral spf=none/true dkim=none dmarc=none tenant=fail"},
		"SRS-rewritten MAIL FROM":        {with(exo, "SRS0=ab=cd=contoso.com=u@fabrikam.com"), good, "host=neutral spf=pass/false dkim=pass dmarc=pass tenant=pass"},
		"MAIL FROM of somebody else":     {with(exo, "u@fabrikam.com"), w.mail(t, "u@contoso.com"), "host=neutral spf=pass/false dkim=none dmarc=fail tenant=fail"},
		"forged from anywhere":           {client(otherIP, "mail.contoso.com", "u@contoso.com"), w.mail(t, "u@contoso.com"), "host=fail spf=fail/true dkim=none dmarc=fail tenant=fail"},
		"client certificate":             {certified, w.mail(t, "u@contoso.com"), "host=fail spf=fail/true dkim=none dmarc=fail tenant=pass"},
		"IPv6 by HELO, mapped IPv4":      {client("::ffff:"+ownIP, "mail.contoso.com", "u@contoso.com"), good, "host=pass spf=pass/true dkim=pass dmarc=pass tenant=pass"},
		"IPv6, HELO only":                {client("2001:db8::1", "mail.contoso.com", "u@contoso.com"), w.mail(t, "u@contoso.com"), "host=pass spf=fail/true dkim=none dmarc=fail tenant=fail"},
		"null sender, HELO":              {client(ownIP, "mail.contoso.com", ""), w.mail(t, "u@contoso.com"), "host=pass spf=pass/true dkim=none dmarc=pass tenant=fail"},
		"null sender, literal":           {client(ownIP, "[192.0.2.1]", ""), w.mail(t, "u@contoso.com"), "host=pass spf=none/false dkim=none dmarc=fail tenant=fail"},
		"MAIL FROM with a literal":       {client(ownIP, "x", "u@[192.0.2.1]"), w.mail(t, "u@contoso.com"), "host=pass spf=none/false dkim=none dmarc=fail tenant=fail"},
		"no client address":              {Client{MailFrom: "u@contoso.com"}, good, "host=none spf=none/false dkim=pass dmarc=pass tenant=pass"},
		"subdomain signs, relaxed":       {exo, w.mail(t, "u@contoso.com", "sub.contoso.com"), "host=neutral spf=pass/true dkim=pass dmarc=pass tenant=pass"},
		"subdomain signs, strict":        {client(ownIP, "x.y", "u@sub.strict.example"), w.mail(t, "u@strict.example", "sub.strict.example"), "host=fail spf=pass/false dkim=neutral dmarc=fail tenant=fail"},
		"no DMARC record":                {exo, w.mail(t, "u@nodmarc.example", "nodmarc.example"), "host=neutral spf=pass/false dkim=pass dmarc=none tenant=fail"},
		"two DMARC records":              {exo, w.mail(t, "u@double.example"), "host=neutral spf=pass/false dkim=none dmarc=permerror tenant=fail"},
		"internationalized domain":       {client(ownIP, "x.y", "ü@bücher.example"), w.mail(t, "ü@Bücher.example", "xn--bcher-kva.example"), "host=fail spf=pass/true dkim=pass dmarc=pass tenant=fail"},
		"slow: SPF":                      {client(ownIP, "x.y", "u@slow.example"), w.mail(t, "u@slow.example"), "host=fail spf=temperror/true dkim=none dmarc=none tenant=fail"},
		"slow: key":                      {client(ownIP, "x.y", "u@slowkey.example"), w.mail(t, "u@slowkey.example", "slowkey.example"), "host=fail spf=none/true dkim=temperror dmarc=none tenant=fail"},
		"slow: SPF, with DMARC":          {client(ownIP, "x.y", "u@slow2.example"), w.mail(t, "u@slow2.example"), "host=fail spf=temperror/true dkim=none dmarc=temperror tenant=fail"},
		"slow: another's SPF":            {client(ownIP, "x.y", "u@slow2.example"), w.mail(t, "u@contoso.com"), "host=pass spf=temperror/false dkim=none dmarc=fail tenant=fail"},
		"slow: key, with DMARC":          {client(ownIP, "x.y", "u@contoso.com"), w.mail(t, "u@slowkey2.example", "slowkey2.example"), "host=fail spf=pass/false dkim=temperror dmarc=temperror tenant=fail"},
		"slow: DMARC":                    {client(ownIP, "x.y", "u@slowdmarc.example"), w.mail(t, "u@slowdmarc.example"), "host=fail spf=none/true dkim=none dmarc=temperror tenant=fail"},
		"slow: PTR":                      {client("192.0.2.50", "x.y", "u@contoso.com"), w.mail(t, "u@contoso.com"), "host=temperror spf=fail/true dkim=none dmarc=fail tenant=fail"},
		"too many lookups":               {client(ownIP, "x.y", "u@long.example"), w.mail(t, "u@long.example"), "host=fail spf=permerror/true dkim=none dmarc=none tenant=fail"},
		"two SPF records":                {client(ownIP, "x.y", "u@two.example"), w.mail(t, "u@two.example"), "host=fail spf=permerror/true dkim=none dmarc=none tenant=fail"},
		"no From":                        {own, strings.Replace(good, "\r\nFrom:", "\r\nXrom:", 1), "host=permerror spf=pass/false dkim=permerror dmarc=permerror tenant=permerror"},
		"two From fields":                {own, "from : boss@contoso.com\r\n" + good, "host=permerror spf=pass/false dkim=permerror dmarc=permerror tenant=permerror"},
		"two addresses in From":          {own, w.mail(t, "a@contoso.com, b@contoso.com"), "host=permerror spf=pass/false dkim=permerror dmarc=permerror tenant=permerror"},
		"From with a literal":            {own, w.mail(t, "a@[192.0.2.1]"), "host=permerror spf=pass/false dkim=permerror dmarc=permerror tenant=permerror"},
		"address in the display name":    {exo, w.mail(t, `"u@contoso.com" <u@fabrikam.com>`, "contoso.com"), "host=neutral spf=pass/false dkim=neutral dmarc=none tenant=fail"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := New(Config{Policy: Policy{Domains: []string{"Contoso.com", "contoso.onmicrosoft.com", "outlook.com"}, SignedBy: []string{"contoso.onmicrosoft.com"}, Certificates: []string{"*.contoso.com"}}}, w)
			if err != nil {
				t.Fatal(err)
			}
			d := v.Client(t.Context(), tt.c)
			if d.DKIM.Result != "" || d.HasMessage {
				t.Errorf("before the message: %+v", d)
			}
			if err := v.Message(t.Context(), d, strings.NewReader(tt.message)); err != nil {
				t.Fatal(err)
			}
			if got := results(d); got != tt.want {
				t.Errorf("\n got %s\nwant %s\n%+v", got, tt.want, d)
			}
			for p, f := range map[string]Finding{"host": d.Host, "spf": d.SPF, "dkim": d.DKIM, "dmarc": d.DMARC, "tenant": d.Tenant} {
				if f.Reason == "" || strings.ContainsAny(f.Reason, "\r\n") {
					t.Errorf("%s has the reason %q", p, f.Reason)
				}
			}
			if lines := strings.Join(d.Lines(), "\n"); !strings.Contains(lines, "\ntenant: "+string(d.Tenant.Result)+": ") || !strings.HasPrefix(lines, "client: ") {
				t.Errorf("shown as %s", lines)
			}
			text, err := json.Marshal(d)
			var back Verdict
			if err != nil || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(&back, d) {
				t.Errorf("JSON: %s, %v", text, err)
			}
		})
	}
}

func TestVerifier_ChangedMail(t *testing.T) {
	w := newWorld(t)
	good := w.mail(t, "u@contoso.com", "contoso.com")
	flagged := func(flags string) *world {
		c := newWorld(t)
		c.TXTs["s1._domainkey.contoso.com"][0] += "; t=" + flags
		return c
	}
	testing_, strict := flagged("y"), flagged(" s : x")
	signed := func(w *world, change func(*dkim.SignOptions)) string {
		o := &dkim.SignOptions{Domain: "contoso.com", Selector: "s1", Signer: w.keys["contoso.com"]}
		change(o)
		return sign(t, w.mail(t, "u@contoso.com"), o)
	}
	for name, tt := range map[string]struct {
		w       *world
		message string
		want    Result
		reason  string
	}{
		"as it was":          {w, good, Pass, "good"},
		"body":               {w, strings.Replace(good, "Hello", "Hallo", 1), Fail, "body hash"},
		"blanks, relaxed":    {w, strings.Replace(good, "Hello  there ", "Hello there", 1), Pass, "good"},
		"subject":            {w, strings.Replace(good, "order", "orders", 1), Fail, "did not verify"},
		"a second subject":   {w, "Subject: other\r\n" + good, Fail, "two fields"},
		"a second type":      {w, "Content-Type: text/html\r\ncontent-type: text/plain\r\n" + good, Fail, "two fields"},
		"expired":            {w, signed(w, func(o *dkim.SignOptions) { o.Expiration = time.Now().Add(-time.Hour) }), PermError, "expired"},
		"another key":        {newWorld(t), good, Fail, "did not verify"},
		"no key":             {w, strings.Replace(good, "s=s1", "s=s2", 1), PermError, "no key"},
		"key in test":        {testing_, signed(testing_, func(*dkim.SignOptions) {}), Neutral, "t=y"},
		"key allows no i=":   {strict, signed(strict, func(o *dkim.SignOptions) { o.Identifier = "@x.contoso.com" }), Fail, "t=s"},
		"key allows this i=": {strict, signed(strict, func(o *dkim.SignOptions) { o.Identifier = "a@contoso.com" }), Pass, "good"},
		"i= without t=s":     {w, signed(w, func(o *dkim.SignOptions) { o.Identifier = "@x.contoso.com" }), Pass, "good"},
		"garbage":            {w, "DKIM-Signature: v=1; garbage\r\n" + w.mail(t, "u@contoso.com"), Fail, "no signature is of contoso.com"},
		"one good of two":    {w, "DKIM-Signature: v=1; garbage\r\n" + good, Pass, "good"},
		"a long one":         {w, "DKIM-Signature: v=1; h=" + strings.Repeat("from:", maxSignature/5) + "\r\n" + good, PermError, "too long"},
		"the sixth":          {w, strings.Repeat("DKIM-Signature: v=1; d=contoso.com\r\n", 5) + good, PermError, "only 5 of 6"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := New(Config{}, tt.w)
			if err != nil {
				t.Fatal(err)
			}
			d := v.Client(t.Context(), client(exoIP, "x.y", "u@contoso.com"))
			if err := v.Message(t.Context(), d, strings.NewReader(tt.message)); err != nil {
				t.Fatal(err)
			}
			if d.DKIM.Result != tt.want || !strings.Contains(d.DKIM.Reason, tt.reason) {
				t.Errorf("%+v, want %s with %q", d.DKIM, tt.want, tt.reason)
			}
		})
	}
}

func TestVerifier_BoundsAndBrokenReaders(t *testing.T) {
	w := newWorld(t)
	v, err := New(Config{}, w)
	if err != nil {
		t.Fatal(err)
	}
	good := w.mail(t, "u@contoso.com", "contoso.com", "contoso.com")
	for name, m := range map[string]string{
		"many fields": strings.Repeat("X: y\r\n", maxFields+1) + good,
		"much header": "X: " + strings.Repeat("y", maxHeader) + "\r\n" + good,
		"lone CR":     "From: boss@contoso.com\r\n\r\r\n" + good,
		"NUL":         "X: \x00\r\n" + good,
		"folded long": "X: y\r\n" + strings.Repeat(" "+strings.Repeat("y", 900)+"\r\n", maxHeader/900) + good,
	} {
		d := v.Client(t.Context(), client(ownIP, "x", "u@contoso.com"))
		if err := v.Message(t.Context(), d, strings.NewReader(m)); err != nil || d.DKIM.Result != PermError {
			t.Errorf("%s: %+v, %v", name, d.DKIM, err)
		}
	}
	bad := errors.New("disk")
	for _, at := range []int{0, 10, len(good) - 5} {
		d := v.Client(t.Context(), client(ownIP, "x", "u@contoso.com"))
		err := v.Message(t.Context(), d, io.MultiReader(strings.NewReader(good[:at]), iotest.ErrReader(bad)))
		if !errors.Is(err, bad) || d.DKIM.Result != TempError || d.Tenant.Result != TempError {
			t.Errorf("reader fails at %d: %v, %+v", at, err, d)
		}
		if r := (Policy{Domains: []string{"contoso.com"}, Require: [][]Proof{{ProofDKIM}}}).Judge(d); r == nil || r.Code != 451 {
			t.Errorf("judged %v", r)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := v.Client(ctx, client(ownIP, "x", "u@contoso.com"))
	if d.SPF.Result != TempError || d.Host.Result != TempError {
		t.Errorf("cancelled: %+v", d)
	}
	if err := v.Message(ctx, d, strings.NewReader(good)); !errors.Is(err, context.Canceled) || d.DKIM.Result != TempError {
		t.Errorf("cancelled: %v, %+v", err, d.DKIM)
	}
	if err := v.Message(t.Context(), d, strings.NewReader("From: u@contoso.com")); err != nil || d.FromDomain != "contoso.com" || d.DKIM.Result != None {
		t.Errorf("no end of header: %v, %+v", err, d)
	}
}
