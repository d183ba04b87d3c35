package send

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/exchange"
	"github.com/tipring/tipring/smtpstack/token"
)

const (
	appID     = "f00d-app"
	appSecret = "app-s3cr3t-value"
	password  = "mailbox-passw0rd"
	faxBox    = "fax@contoso.com"
	jane      = "jane@contoso.com"
)

var (
	siteIP = netip.MustParseAddr("203.0.113.5") // of the IP connector
	homeIP = netip.MustParseAddr("198.51.100.9")
	sixIP  = netip.MustParseAddr("2001:db8::7")
)

func contoso() exchange.World {
	return exchange.World{Tenants: []exchange.Tenant{{
		ID: "contoso-id", Domains: []exchange.Domain{{Name: "contoso.com"}, {Name: "old.contoso.com", OnPrem: []string{"ann@old.contoso.com"}}},
		Boxes: []exchange.Mailbox{{Address: faxBox, Password: password, SendAs: []string{"alarm@contoso.com"}, Apps: []string{appID}}, {Address: jane},
			{Address: "all@contoso.com", Kind: exchange.Group, SignedIn: true}, {Address: "boss@contoso.com", SignedIn: true},
			{Address: "partner@contoso.com", Kind: exchange.Contact, SignedIn: true},
			{Address: "board@contoso.com", Kind: exchange.Group, AllowedFrom: []string{jane}},
			{Address: "full@contoso.com", Quota: 10}, {Address: "slow@contoso.com", HourlyLimit: 2, SenderLimit: 2},
			{Address: "spammed@contoso.com", HourlyLimit: 10, SenderLimit: 1}, {Address: "busy@contoso.com", Busy: 1}},
		Apps:    []exchange.App{{ID: appID, Secret: appSecret, SendAsApp: true}},
		Inbound: []exchange.Connector{{Name: "cert", CertDomain: "fax.contoso.com", RequireTLS: true}, {Name: "ip", IPs: []netip.Prefix{netip.PrefixFrom(siteIP, 32)}}},
	}}}
}

// site is a peer with what a test says to it.
type site struct {
	t *testing.T
	p *exchange.Peer
}

func newSite(t *testing.T, change func(*exchange.World)) *site {
	t.Helper()
	w := contoso()
	if change != nil {
		change(&w)
	}
	p, err := exchange.New(w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return &site{t, p}
}

func (s *site) source(secret string) *token.Source {
	s.t.Helper()
	src, err := token.ClientSecret(token.Config{Tenant: "contoso-id", ClientID: appID, HTTP: &http.Client{Transport: s.p.Transport()}}, secret)
	if err != nil {
		s.t.Fatal(err)
	}
	return src
}

// submission is the send connector for client submission with a token.
func (s *site) submission() Config {
	return Config{Name: "submission", Hostname: "box.contoso.com", Host: exchange.SubmissionHost + ":587", TLS: Required,
		TLSConfig: &tls.Config{RootCAs: s.p.Roots()}, Auth: NewXOAUTH2(faxBox, s.source(appSecret)), Dial: s.dial(exchange.Submission, homeIP)}
}

// relay is the send connector to the tenant's mail exchanger.
func (s *site) relay(from netip.Addr) Config {
	return Config{Name: "relay", Hostname: "box.contoso.com", Host: exchange.EOPHost, TLS: Required,
		TLSConfig: &tls.Config{RootCAs: s.p.Roots()}, Dial: s.dial(exchange.EOP, from)}
}

// certRelay shows a certificate of that name; whole sends its chain too.
func (s *site) certRelay(name string, whole bool) Config {
	s.t.Helper()
	c := s.relay(homeIP)
	cert, err := s.p.ClientCertificate(name)
	if err != nil {
		s.t.Fatal(err)
	}
	if !whole {
		cert.Certificate = cert.Certificate[:1]
	}
	c.TLSConfig.Certificates = []tls.Certificate{cert}
	return c
}

func (s *site) dial(svc exchange.Service, from netip.Addr) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) { return s.p.Dial(svc, from), nil }
}

func mailFrom(from string, to ...string) Message {
	text := "From: " + from + "\r\nTo: you\r\nSubject: x\r\n\r\nhello\r\n"
	return Message{From: from, To: to, Size: int64(len(text)), Open: mailOf(text)}
}

func (s *site) deliver(c Config, m Message) Report {
	s.t.Helper()
	snd, err := New(c, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return snd.Deliver(s.t.Context(), m)
}

// scene is one refusal of the service.
type scene struct {
	rule   exchange.Rule
	class  smtpstack.Class
	remedy string // words of the remedy; "" for none
	run    func(s *site) Result
}

// last is the result of the last recipient.
func last(r Report) Result { return r.Results[len(r.Results)-1] }

func scenes() []scene {
	anonymous := func(to string) func(*site) Result {
		return func(s *site) Result { return last(s.deliver(s.relay(homeIP), mailFrom("a@example.net", to))) }
	}
	connector := func(to string) func(*site) Result {
		return func(s *site) Result { return last(s.deliver(s.relay(siteIP), mailFrom(faxBox, to))) }
	}
	submit := func(change func(*exchange.World, *Config, *Message)) func(*site) Result {
		return func(s *site) Result {
			c, m := s.submission(), mailFrom(faxBox, jane)
			s.p.Change(func(w *exchange.World) { change(w, &c, &m) })
			return last(s.deliver(c, m))
		}
	}
	eop := func(from netip.Addr, change func(*exchange.World, *Config, *Message)) func(*site) Result {
		return func(s *site) Result {
			c, m := s.relay(from), mailFrom("a@example.net", jane)
			s.p.Change(func(w *exchange.World) { change(w, &c, &m) })
			return last(s.deliver(c, m))
		}
	}
	tenant := func(w *exchange.World) *exchange.Tenant { return &w.Tenants[0] }
	host := func(ip netip.Addr) []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(ip, ip.BitLen())} }
	raw := func(m *Message, text string) { m.Open, m.Size = mailOf(text), int64(len(text)) }
	return []scene{
		{exchange.RuleOldTLS, smtpstack.Configuration, "current TLS version", oldTLS},
		{exchange.RuleBadHelo, smtpstack.Configuration, "full DNS name", eop(homeIP, func(_ *exchange.World, c *Config, _ *Message) { c.Hostname = "box" })},
		{exchange.RuleTLSRequired, smtpstack.Configuration, "TLS to required", submit(func(_ *exchange.World, c *Config, _ *Message) { c.TLS, c.Auth = NoTLS, nil })},
		{exchange.RuleBannedIP, smtpstack.Configuration, "delist portal", eop(homeIP, func(w *exchange.World, _ *Config, _ *Message) { w.Banned = host(homeIP) })},
		{exchange.RuleReputation, smtpstack.Throttle, "", eop(homeIP, func(w *exchange.World, _ *Config, _ *Message) { w.Suspicious = host(homeIP) })},
		{exchange.RuleNewIP, smtpstack.Throttle, "", eop(homeIP, func(w *exchange.World, _ *Config, _ *Message) { w.Unknown = host(homeIP) })},
		{exchange.RuleBusy, smtpstack.Throttle, "", func(s *site) Result {
			s.p.Change(func(w *exchange.World) { w.AnonymousPerMinute = 1 })
			s.deliver(s.relay(homeIP), mailFrom("a@example.net", jane))
			return last(s.deliver(s.relay(homeIP), mailFrom("a@example.net", jane)))
		}},
		{exchange.RuleIPv6PTR, smtpstack.Configuration, "PTR", eop(sixIP, func(*exchange.World, *Config, *Message) {})},
		{exchange.RuleIPv6SPF, smtpstack.Configuration, "IPv4", eop(sixIP, func(w *exchange.World, _ *Config, _ *Message) {
			w.PTR = map[netip.Addr]string{sixIP: "box.example.net"}
		})},
		{exchange.RuleBlockedRange, smtpstack.Configuration, "client submission", submit(func(w *exchange.World, _ *Config, _ *Message) { w.Refused = host(homeIP) })},
		{exchange.RuleTenantBlocked, smtpstack.Configuration, "lift the restriction", submit(func(w *exchange.World, _ *Config, _ *Message) { tenant(w).Blocked = true })},
		{exchange.RuleNoAuth, smtpstack.Configuration, "New-InboundConnector", submit(func(_ *exchange.World, c *Config, _ *Message) { c.Auth = nil })},
		{exchange.RuleBadAuth, smtpstack.Configuration, "Set-CASMailbox", submit(func(w *exchange.World, _ *Config, _ *Message) { tenant(w).Apps[0].SendAsApp = false })},
		{exchange.RuleAuthDisabled, smtpstack.Configuration, "Set-TransportConfig -SmtpClientAuthenticationDisabled $false", submit(func(w *exchange.World, _ *Config, _ *Message) { tenant(w).SMTPAuthDisabled = true })},
		{exchange.RuleBasicAuthOff, smtpstack.Configuration, "OAuth", submit(func(_ *exchange.World, c *Config, _ *Message) { c.Auth = Plain{faxBox, password} })},
		{exchange.RuleSendAs, smtpstack.Configuration, "Add-RecipientPermission", submit(func(_ *exchange.World, _ *Config, m *Message) { m.From = "" })},
		{exchange.RuleSendAsFrom, smtpstack.Configuration, "Add-RecipientPermission", submit(func(_ *exchange.World, _ *Config, m *Message) { raw(m, "From: ceo@contoso.com\r\n\r\nx\r\n") })},
		{exchange.RuleRelay, smtpstack.Configuration, "TlsSenderCertificateName", func(s *site) Result {
			return last(s.deliver(s.certRelay("fax.contoso.com", false), mailFrom(faxBox, "a@elsewhere.example")))
		}},
		{exchange.RuleDirectSend, smtpstack.Configuration, "Set-OrganizationConfig -RejectDirectSend $false", eop(homeIP, func(w *exchange.World, _ *Config, m *Message) {
			tenant(w).RejectDirectSend, m.From = true, faxBox
		})},
		{exchange.RuleDMARC, smtpstack.Configuration, "SPF", eop(homeIP, func(w *exchange.World, _ *Config, _ *Message) {
			w.Senders = map[string]exchange.Published{"example.net": {Reject: true, SPF: host(siteIP)}}
		})},
		{exchange.RuleFromLine, smtpstack.Configuration, "one valid address", submit(func(_ *exchange.World, _ *Config, m *Message) {
			raw(m, "From: a@contoso.com, b@contoso.com\r\n\r\nx\r\n")
		})},
		{exchange.RuleConnections, smtpstack.Throttle, "", tooManyConnections},
		{exchange.RuleDelivery, smtpstack.Throttle, "", twoAtOnce},
		{exchange.RuleRcptChunk, smtpstack.Delivered, "", many(201, func(s *site) Config { return s.relay(siteIP) })},
		{exchange.RuleRcptLimit, smtpstack.Delivered, "", many(501, (*site).submission)},
		{exchange.RuleDailyLimit, smtpstack.Quota, "", func(s *site) Result {
			s.p.Change(func(w *exchange.World) { tenant(w).Boxes[0].RecipientsPerDay = 1 })
			s.deliver(s.submission(), mailFrom(faxBox, jane))
			return last(s.deliver(s.submission(), mailFrom(faxBox, jane)))
		}},
		{exchange.RuleDailyQuota, smtpstack.Quota, "", submit(func(w *exchange.World, _ *Config, m *Message) {
			tenant(w).Boxes[0].RecipientsPerDay, m.To = 1, []string{jane, "a@elsewhere.example"}
		})},
		{exchange.RuleUnknownEdge, smtpstack.BadRecipient, "", anonymous("nobody@contoso.com")},
		{exchange.RuleUnknownMailbox, smtpstack.BadRecipient, "", connector("nobody@contoso.com")},
		{exchange.RuleUnknownOnPrem, smtpstack.BadRecipient, "", connector("nobody@old.contoso.com")},
		{exchange.RuleTransportRule, smtpstack.BadRecipient, "", eop(homeIP, func(w *exchange.World, _ *Config, _ *Message) { tenant(w).SignedInOnly = true })},
		{exchange.RuleGroupSender, smtpstack.BadRecipient, "", connector("board@contoso.com")},
		{exchange.RuleGroupAuth, smtpstack.BadRecipient, "", anonymous("all@contoso.com")},
		{exchange.RuleMailboxAuth, smtpstack.BadRecipient, "", anonymous("boss@contoso.com")},
		{exchange.RuleContactAuth, smtpstack.BadRecipient, "", anonymous("partner@contoso.com")},
		{exchange.RuleMailboxFull, smtpstack.Quota, "", connector("full@contoso.com")},
		{exchange.RuleReceiveRate, smtpstack.Quota, "", func(s *site) Result {
			connector("slow@contoso.com")(s)
			anonymous("slow@contoso.com")(s)
			return connector("slow@contoso.com")(s)
		}},
		{exchange.RuleReceiveSender, smtpstack.Quota, "", func(s *site) Result {
			connector("spammed@contoso.com")(s)
			return connector("spammed@contoso.com")(s)
		}},
		{exchange.RuleBareLF, smtpstack.Permanent, "", bareLF},
		{exchange.RuleHops, smtpstack.Permanent, "", submit(func(_ *exchange.World, _ *Config, m *Message) {
			raw(m, strings.Repeat("Received: from x by y\r\n", 21)+"From: "+faxBox+"\r\n\r\nx\r\n")
		})},
		{exchange.RuleSize, smtpstack.Permanent, "", submit(func(_ *exchange.World, _ *Config, m *Message) {
			m.Size = 0 // so that the client does not see it before
			m.Open = func() (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(strings.NewReader("From: "+faxBox+"\r\n\r\n"), &lines{text: strings.Repeat("x", 900) + "\r\n", left: 36<<20 + 1})), nil
			}
		})},
	}
}

// many recipients at once: the service takes some, and the sender offers the rest again by itself.
func many(n int, config func(*site) Config) func(*site) Result {
	return func(s *site) Result {
		c := config(s)
		c.MaxRecipients = 1000
		m := mailFrom(faxBox)
		for i := range n {
			m.To = append(m.To, fmt.Sprintf("r%d@elsewhere.example", i))
		}
		rep := s.deliver(c, m)
		for _, r := range rep.Results {
			if r.Class != smtpstack.Delivered {
				return r
			}
		}
		if got := len(s.p.Messages()); got != 2 {
			s.t.Errorf("%d messages for %d recipients", got, n)
		}
		return last(rep)
	}
}

// held delivers a mail whose reading waits until release is closed, so that its connection stays.
func (s *site) held(c Config, m Message, release <-chan struct{}, wg *sync.WaitGroup) {
	open := m.Open
	m.Open = func() (io.ReadCloser, error) { <-release; return open() }
	wg.Go(func() { s.deliver(c, m) })
}

func tooManyConnections(s *site) Result {
	release := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		s.held(s.submission(), mailFrom(faxBox, jane), release, &wg)
	}
	synctest.Wait()
	r := last(s.deliver(s.submission(), mailFrom(faxBox, jane)))
	close(release)
	wg.Wait()
	return r
}

func twoAtOnce(s *site) Result {
	release := make(chan struct{})
	var wg sync.WaitGroup
	s.held(s.relay(siteIP), mailFrom(faxBox, "busy@contoso.com"), release, &wg)
	synctest.Wait()
	r := last(s.deliver(s.relay(siteIP), mailFrom(faxBox, "busy@contoso.com")))
	close(release)
	wg.Wait()
	return r
}

// classified is a reply heard in a dialogue our client never has.
func classified(line string) Result {
	code := 0
	fmt.Sscanf(line, "%d", &code)
	r := smtpstack.ParseReply(code, line[min(4, len(line)):])
	return Result{Reply: r, Class: smtpstack.Classify(r.Code, r.Enhanced, r.Text), Remedy: smtpstack.Remedy(r.Code, r.Enhanced, r.Text)}
}

// dialogue says lines and returns the last reply.
func dialogue(t *testing.T, nc net.Conn, lines ...string) string {
	t.Helper()
	r := bufio.NewReader(nc)
	reply := ""
	for i := 0; ; i++ {
		for {
			var err error
			if reply, err = r.ReadString('\n'); err != nil {
				t.Fatalf("after %d lines: %v", i, err)
			}
			if len(reply) < 4 || reply[3] != '-' {
				break
			}
		}
		if i == len(lines) {
			return strings.TrimRight(reply, "\r\n")
		}
		fmt.Fprint(nc, lines[i])
	}
}

func oldTLS(s *site) Result {
	nc := s.p.Dial(exchange.EOP, homeIP)
	defer nc.Close()
	dialogue(s.t, nc, "EHLO box.example.net\r\n", "STARTTLS\r\n")
	tc := tls.Client(nc, &tls.Config{RootCAs: s.p.Roots(), ServerName: exchange.EOPHost, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err := tc.Handshake(); err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprint(tc, "EHLO box.example.net\r\n")
	return classified(dialogue(s.t, tc))
}

func bareLF(s *site) Result {
	nc := s.p.Dial(exchange.EOP, homeIP)
	defer nc.Close()
	return classified(dialogue(s.t, nc, "EHLO box.example.net\r\n", "MAIL FROM:<a@example.net>\r\n", "RCPT TO:<"+jane+">\r\n", "DATA\r\n", "From: a@example.net\r\n\r\na\nb\r\n.\r\n"))
}

// TestExchange_EveryReply provokes every reply of the peer's table by breaking the rule it stands for.
func TestExchange_EveryReply(t *testing.T) {
	seen := map[exchange.Rule]bool{exchange.RuleGreeting: true, exchange.RuleAccepted: true}
	for _, sc := range scenes() {
		t.Run(string(sc.rule), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, nil)
				r := sc.run(s)
				if s.p.Applied(sc.rule) == 0 {
					t.Errorf("the rule was not applied: %+v", r)
				}
				seen[sc.rule] = true
				if r.Class != sc.class || !strings.Contains(r.Remedy, sc.remedy) || (r.Remedy == "") != (sc.remedy == "") {
					t.Errorf("%v: %s\nremedy %q", r.Class, r.Text(), r.Remedy)
				}
				if want := exchange.Table()[sc.rule]; sc.class != smtpstack.Delivered && (r.Reply.Code != want.Code || r.Reply.Enhanced != want.Enhanced) {
					t.Errorf("reply %v, documented %d %s", r.Reply, want.Code, want.Enhanced)
				}
			})
		})
	}
	for _, rule := range slices.Sorted(maps.Keys(exchange.Table())) {
		if !seen[rule] {
			t.Errorf("nothing provokes %q", rule)
		}
		if exchange.Table()[rule].Page == "" {
			t.Errorf("%q cites no page", rule)
		}
	}
}

// TestExchange_Ways: each way in works, and only by its own rules.
func TestExchange_Ways(t *testing.T) {
	const outside = "a@elsewhere.example"
	for _, tt := range []struct {
		name      string
		config    func(*site) Config
		from, to  string
		want      smtpstack.Class
		connector string
	}{
		{"certificate", func(s *site) Config { return s.certRelay("fax.contoso.com", true) }, faxBox, outside, smtpstack.Delivered, "cert"},
		{"certificate, null sender", func(s *site) Config { return s.certRelay("fax.contoso.com", true) }, "", outside, smtpstack.Delivered, "cert"},
		{"certificate of another name", func(s *site) Config { return s.certRelay("fax.example.net", true) }, faxBox, outside, smtpstack.Configuration, ""},
		{"IP", func(s *site) Config { return s.relay(siteIP) }, faxBox, outside, smtpstack.Delivered, "ip"},
		{"IP, null sender", func(s *site) Config { return s.relay(siteIP) }, "", outside, smtpstack.Configuration, ""},
		{"IP, foreign sender", func(s *site) Config { return s.relay(siteIP) }, "a@example.net", outside, smtpstack.Configuration, ""},
		{"Direct Send inside", func(s *site) Config { return s.relay(homeIP) }, faxBox, jane, smtpstack.Delivered, ""},
		{"Direct Send outside", func(s *site) Config { return s.relay(homeIP) }, faxBox, outside, smtpstack.Configuration, ""},
		{"submission", (*site).submission, faxBox, outside, smtpstack.Delivered, ""},
		{"submission as another", (*site).submission, "alarm@contoso.com", outside, smtpstack.Delivered, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, nil)
				m := mailFrom(tt.from, tt.to)
				if tt.from == "" {
					m.Open = mailOf("From: " + faxBox + "\r\n\r\nx\r\n")
				}
				rep := s.deliver(tt.config(s), m)
				got := s.p.Messages()
				if r := rep.Results[0]; r.Class != tt.want || (len(got) == 1) != (tt.want == smtpstack.Delivered) {
					t.Fatalf("%+v, %d messages\n%s", r, len(got), transcript(rep))
				}
				if len(got) == 1 && (got[0].Connector != tt.connector || !got[0].TLS || got[0].From != tt.from) {
					t.Errorf("%+v", got[0])
				}
			})
		})
	}
}

// TestExchange_PasswordByLOGIN: where the tenant still allows it; the service offers no PLAIN.
func TestExchange_PasswordByLOGIN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w *exchange.World) { w.Tenants[0].BasicAuth = true })
		c := s.submission()
		c.Auth = Plain{faxBox, password}
		if rep := s.deliver(c, mailFrom(faxBox, jane)); rep.Results[0].Class != smtpstack.Delivered {
			t.Errorf("%s", transcript(rep))
		}
		c.Auth = Plain{faxBox, password + "x"}
		if r := last(s.deliver(c, mailFrom(faxBox, jane))); r.Class != smtpstack.Configuration || r.Reply.Enhanced != "5.7.3" {
			t.Errorf("%+v", r)
		}
	})
}

// TestExchange_Tokens: expiry, revocation, wrong audience, wrong tenant, no permission.
func TestExchange_Tokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w *exchange.World) {
			w.Tenants = append(w.Tenants, exchange.Tenant{ID: "fabrikam-id", Domains: []exchange.Domain{{Name: "fabrikam.com"}},
				Boxes: []exchange.Mailbox{{Address: "fax@fabrikam.com", Apps: []string{appID}}}, Apps: []exchange.App{{ID: appID, Secret: appSecret, SendAsApp: true}}})
		})
		snd, err := New(s.submission(), nil)
		if err != nil {
			t.Fatal(err)
		}
		try := func(snd *Sender) Report { return snd.Deliver(t.Context(), mailFrom(faxBox, jane)) }
		if r := last(try(snd)); r.Class != smtpstack.Delivered {
			t.Fatalf("%+v", r)
		}
		time.Sleep(2 * time.Hour) // the token has expired meanwhile
		if r := last(try(snd)); r.Class != smtpstack.Delivered {
			t.Errorf("after the expiry: %+v", r)
		}
		time.Sleep(time.Second)
		s.p.RevokeTokens(false)
		time.Sleep(time.Second)
		rep := try(snd)
		if last(rep).Class != smtpstack.Delivered || strings.Count(transcript(rep), "AUTH XOAUTH2") != 2 || !strings.Contains(transcript(rep), `"status":"400"`) {
			t.Errorf("after a revocation: %+v\n%s", last(rep), transcript(rep))
		}

		wrong := func(cfg token.Config, user string) Result {
			cfg.HTTP = &http.Client{Transport: s.p.Transport()}
			src, err := token.ClientSecret(cfg, appSecret)
			if err != nil {
				t.Fatal(err)
			}
			c := s.submission()
			c.Auth = NewXOAUTH2(user, src)
			return last(s.deliver(c, mailFrom(faxBox, jane)))
		}
		for _, r := range []Result{
			wrong(token.Config{Tenant: "contoso-id", ClientID: appID, Scopes: []string{"https://graph.microsoft.com/.default"}}, faxBox),
			wrong(token.Config{Tenant: "fabrikam-id", ClientID: appID}, faxBox),
			wrong(token.Config{Tenant: "contoso-id", ClientID: appID}, jane),
		} {
			if r.Class != smtpstack.Configuration || r.Reply.Enhanced != "5.7.3" {
				t.Errorf("%+v", r)
			}
		}
		c := s.submission()
		c.Auth = NewXOAUTH2(faxBox, s.source("wrong"))
		if r := last(s.deliver(c, mailFrom(faxBox, jane))); r.Class != smtpstack.Configuration || !strings.Contains(r.Remedy, "secret is wrong") {
			t.Errorf("wrong secret: %+v", r)
		}
	})
}

// stubborn gives the same token for ever.
type stubborn struct{ rejected int }

func (*stubborn) Token(context.Context) (string, error) { return "stubborn-token-value", nil }
func (s *stubborn) Reject(string)                       { s.rejected++ }

// TestXOAUTH2_RejectedTokenNotRepeated: the same refused token is tried once more, later, and never again.
func TestXOAUTH2_RejectedTokenNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		src := &stubborn{}
		c := s.submission()
		c.Auth = NewXOAUTH2(faxBox, src)
		for n := range 4 {
			r := last(s.deliver(c, mailFrom(faxBox, jane)))
			if r.Class != smtpstack.Configuration || r.Remedy == "" {
				t.Errorf("try %d: %+v", n, r)
			}
		}
		if n := s.p.Applied(exchange.RuleBadAuth); n != 2 || src.rejected != 2 {
			t.Errorf("the token was tried %d times, given back %d times", n, src.rejected)
		}
	})
}

// TestExchange_DeviceCode: a mailbox signs itself in once, and mail goes out with its refreshed tokens.
func TestExchange_DeviceCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w *exchange.World) { w.Tenants[0].Apps[0].Public, w.Tenants[0].Apps[0].Delegated = true, true })
		d, err := token.DeviceCode(token.Config{Tenant: "contoso-id", ClientID: appID, HTTP: &http.Client{Transport: s.p.Transport()}}, token.File(filepath.Join(t.TempDir(), "token")))
		if err != nil {
			t.Fatal(err)
		}
		c := s.submission()
		c.Auth = NewXOAUTH2(faxBox, d)
		if r := last(s.deliver(c, mailFrom(faxBox, jane))); r.Class != smtpstack.Configuration || !strings.Contains(r.Remedy, "device code") {
			t.Errorf("before anybody signed in: %+v", r)
		}
		if err := d.SignIn(t.Context(), func(p token.Prompt) { s.p.Approve(p.Code, faxBox, true) }); err != nil {
			t.Fatal(err)
		}
		for day := range 3 {
			if r := last(s.deliver(c, mailFrom(faxBox, jane))); r.Class != smtpstack.Delivered {
				t.Errorf("day %d: %+v", day, r)
			}
			time.Sleep(24 * time.Hour)
		}
		s.p.RevokeTokens(true)
		if r := last(s.deliver(c, mailFrom(faxBox, jane))); r.Class != smtpstack.Configuration || !strings.Contains(r.Remedy, "sign in again") {
			t.Errorf("after a revocation: %+v", r)
		}
	})
}

// TestExchange_EndpointDown: no token for want of network is nobody's mistake.
func TestExchange_EndpointDown(t *testing.T) {
	s := newSite(t, nil)
	src, err := token.ClientSecret(token.Config{Tenant: "contoso-id", ClientID: appID, HTTP: &http.Client{Transport: &web{err: errors.New("no route to host")}}}, appSecret)
	if err != nil {
		t.Fatal(err)
	}
	c := s.submission()
	c.Auth = NewXOAUTH2(faxBox, src)
	if r := last(s.deliver(c, mailFrom(faxBox, jane))); r.Class != smtpstack.Temporary || r.Err == nil {
		t.Errorf("%+v", r)
	}
}

// TestExchange_Sockets: the same over TCP, as in the appliance.
func TestExchange_Sockets(t *testing.T) {
	s := newSite(t, nil)
	for svc, c := range map[exchange.Service]Config{exchange.Submission: s.submission(), exchange.EOP: s.certRelay("fax.contoso.com", true)} {
		addr, err := s.p.Listen(svc)
		if err != nil {
			t.Fatal(err)
		}
		c.Dial = dialTCP(addr)
		if rep := s.deliver(c, mailFrom(faxBox, jane, "a@elsewhere.example")); rep.Results[0].Class != smtpstack.Delivered || rep.Results[1].Class != smtpstack.Delivered {
			t.Errorf("%+v\n%s", rep.Results, transcript(rep))
		}
	}
	if got := s.p.Messages(); len(got) != 2 || !strings.Contains(string(got[0].Data), "\r\n\r\nhello\r\n") {
		t.Errorf("%+v", got)
	}
}

// TestExchange_BareLineEndsNeverLeave: lone CR and LF go out as proper line ends, wherever a read cuts them, so no dot of
// the mail can end it early (SMTP smuggling).
func TestExchange_BareLineEndsNeverLeave(t *testing.T) {
	for in, want := range map[string]string{
		"a\nb\r\n.\nc":              "a\r\nb\r\n.\r\nc\r\n",
		"a\r.\rQUIT\r\r\nb\r":       "a\r\n.\r\nQUIT\r\n\r\nb\r\n",
		"a\n.\r\nMAIL FROM:<x@y>\n": "a\r\n.\r\nMAIL FROM:<x@y>\r\n",
		"a\r\n.\rb\r\n":             "a\r\n.\r\nb\r\n",
	} {
		for _, slow := range []bool{false, true} {
			s := newSite(t, nil)
			m := mailFrom(faxBox, jane)
			m.Open = func() (io.ReadCloser, error) {
				r := io.Reader(strings.NewReader("From: " + faxBox + "\n\n" + in))
				if slow {
					r = iotest.OneByteReader(r)
				}
				return io.NopCloser(r), nil
			}
			if r := last(s.deliver(s.submission(), m)); r.Class != smtpstack.Delivered || s.p.Applied(exchange.RuleBareLF) != 0 {
				t.Errorf("%+v", r)
			}
			if got := string(s.p.Messages()[0].Data); got != "From: "+faxBox+"\r\n\r\n"+want {
				t.Errorf("%q became %q", in, got)
			}
		}
	}
}
