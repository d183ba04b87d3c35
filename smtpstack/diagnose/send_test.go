package diagnose

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/tipring/tipring/smtpstack/exchange"
	"github.com/tipring/tipring/smtpstack/message"
	"github.com/tipring/tipring/smtpstack/resolve"
	"github.com/tipring/tipring/smtpstack/send"
	"github.com/tipring/tipring/smtpstack/token"
)

const (
	faxBox = "fax@contoso.com"
	jane   = "jane@contoso.com"
	appID  = "f00d-app"
	secret = "s3cr3t~value"
	box    = "box.contoso.com"
)

var boxIP = netip.MustParseAddr("203.0.113.7")

// lab is a connector, the tenant it talks with, and DNS, all in order until a test changes something.
type lab struct {
	t    *testing.T
	peer *exchange.Peer
	dns  *resolve.Fake
	c    Send
	sc   send.Config
	svc  exchange.Service
	tok  token.Config
	key  string // secret of the application
}

func newLab(t *testing.T) *lab {
	t.Helper()
	p, err := exchange.New(exchange.World{PTR: map[netip.Addr]string{boxIP: box}, Tenants: []exchange.Tenant{{ID: "contoso", Domains: []exchange.Domain{{Name: "contoso.com"}},
		Boxes:   []exchange.Mailbox{{Address: faxBox, Password: "passw0rd", Apps: []string{appID}}, {Address: jane}, {Address: "boss@contoso.com", SignedIn: true}, {Address: "full@contoso.com", Quota: 1}},
		Apps:    []exchange.App{{ID: appID, Secret: secret, SendAsApp: true}},
		Inbound: []exchange.Connector{{Name: "cert", CertDomain: "box.contoso.com"}, {Name: "ip", IPs: []netip.Prefix{netip.PrefixFrom(boxIP, 32)}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	_, private, _ := ed25519.GenerateKey(nil)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := message.ParseDKIMKey("contoso.com", "fax1", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	name, record, err := key.Record()
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, peer: p, svc: exchange.EOP, key: secret, tok: token.Config{Tenant: "contoso", ClientID: appID, HTTP: &http.Client{Transport: p.Transport()}},
		dns: &resolve.Fake{
			MXs:   map[string][]resolve.MX{"contoso.com": {{Host: exchange.EOPHost}}},
			Addrs: map[string][]netip.Addr{exchange.EOPHost: {netip.MustParseAddr("52.101.0.1")}, exchange.SubmissionHost: {netip.MustParseAddr("52.98.0.1")}, box: {boxIP}},
			PTRs:  map[netip.Addr][]string{boxIP: {box}},
			TXTs: map[string][]string{"contoso.com": {"v=spf1 include:spf.protection.outlook.com ip4:203.0.113.7 -all"}, "spf.protection.outlook.com": {"v=spf1 ip4:40.92.0.0/15 -all"},
				"_dmarc.contoso.com": {"v=DMARC1; p=reject"}, name: {record}},
		}}
	l.c = Send{Hostname: box, RequireTLS: true, From: faxBox, To: jane, MXOf: "contoso.com", Keys: []*message.DKIMKey{key}, Roots: p.Roots(), Resolver: l.dns,
		Compose: func() (send.Message, error) {
			text := "From: " + faxBox + "\r\nSubject: Test\r\n\r\nx\r\n"
			return send.Message{From: l.c.From, To: []string{l.c.To}, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}, nil
		}}
	l.sc = send.Config{Name: "out", Hostname: box, MXOf: "contoso.com", TLS: send.Required, TLSConfig: &tls.Config{RootCAs: p.Roots()},
		Dial: func(context.Context, string, string) (net.Conn, error) { return p.Dial(l.svc, boxIP), nil }}
	return l
}

// submission makes it client submission with a token.
func (l *lab) submission() {
	l.svc = exchange.Submission
	l.c.MXOf, l.c.Host, l.c.Username, l.c.ClientID, l.c.Keys = "", exchange.SubmissionHost+":587", faxBox, appID, nil
	l.sc.MXOf, l.sc.Host = "", l.c.Host
}

func (l *lab) run() []Step {
	l.t.Helper()
	if l.c.ClientID != "" {
		src, err := token.ClientSecret(l.tok, l.key)
		if err != nil {
			l.t.Fatal(err)
		}
		l.sc.Auth = send.NewXOAUTH2(l.c.Username, src)
	}
	s, err := send.New(l.sc, l.dns)
	if err != nil {
		l.t.Fatal(err)
	}
	l.c.Sender = s
	steps := l.c.Run(l.t.Context())
	for _, s := range steps {
		all := strings.Join(append([]string{s.Found, s.Remedy, s.PowerShell, s.Record}, s.Details...), "\n")
		if s.Name == "" || s.Found == "" || strings.Contains(all, secret) || strings.Contains(all, "passw0rd") || strings.ContainsAny(s.Found+s.Remedy+s.PowerShell+s.Record, "\r\n") {
			l.t.Errorf("step %+v", s)
		}
		if (s.State == Failed || s.State == Warning) != (s.Remedy != "") {
			l.t.Errorf("%s is %s, remedy %q", s.Name, s.State, s.Remedy)
		}
	}
	return steps
}

func (l *lab) tenant(f func(*exchange.Tenant)) {
	l.peer.Change(func(w *exchange.World) { f(&w.Tenants[0]) })
}

func find(t *testing.T, steps []Step, name string) Step {
	t.Helper()
	for _, s := range steps {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no step %q in %+v", name, steps)
	return Step{}
}

func TestSend_AllInOrder(t *testing.T) {
	for name, change := range map[string]func(*lab){
		"IP connector": func(*lab) {},
		"certificate": func(l *lab) {
			cert, err := l.peer.ClientCertificate(box)
			if err != nil {
				t.Fatal(err)
			}
			l.c.Certificate, l.sc.TLSConfig.Certificates = &cert, []tls.Certificate{cert}
			l.tenant(func(t *exchange.Tenant) { t.Inbound = t.Inbound[:1] })
		},
		"submission": (*lab).submission,
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			change(l)
			steps := l.run()
			for _, s := range steps {
				if s.State != OK && s.State != NotRun || s.State == NotRun && s.Name == StepMessage {
					t.Errorf("%+v", s)
				}
			}
			if got := l.peer.Messages(); len(got) != 1 || got[0].To[0] != jane {
				t.Errorf("messages %+v", got)
			}
			chain := find(t, steps, StepTLS)
			if !strings.Contains(chain.Found, "TLS 1.3") || len(chain.Details) < 1 || !strings.Contains(chain.Details[0], "issued by") {
				t.Errorf("%+v", chain)
			}
		})
	}
}

// Each thing wrong by itself: the step that says so, with remedy, PowerShell line and record; the independent steps go on.
func TestSend_EachStepFails(t *testing.T) {
	submission := func(f func(*lab)) func(*lab) { return func(l *lab) { l.submission(); f(l) } }
	for _, c := range []struct {
		name, step  string
		change      func(*lab)
		state       State
		found       string // words
		remedy      string
		power, zone string
		message     State
	}{
		{"no MX", StepServer, func(l *lab) { l.dns.MXs, l.dns.TXTs["contoso.com"] = nil, nil; delete(l.dns.TXTs, "contoso.com") }, Failed, "no such name", "mx_of", "", "contoso.com. MX 0", NotRun},
		{"DNS dead", StepServer, func(l *lab) { l.dns.Fail = map[string]error{"contoso.com": resolve.ErrTemporary} }, Failed, "no answer", "dns.servers", "", "", NotRun},
		{"port closed", StepConnection, func(l *lab) {
			l.sc.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("connection refused") }
		}, Failed, "connection refused", "port 25", "", "", NotRun},
		{"no name", StepName, func(l *lab) { l.dns.PTRs = nil }, Warning, "no name", "provider", "", "7.113.0.203.in-addr.arpa. PTR box.contoso.com.", OK},
		{"other name", StepName, func(l *lab) { l.dns.PTRs[boxIP] = []string{"dsl7.isp.example"} }, Warning, "dsl7.isp.example", "hostname", "", "PTR box.contoso.com.", OK},
		{"one way", StepName, func(l *lab) { delete(l.dns.Addrs, box) }, Warning, "does not lead back", "record", "", "box.contoso.com. A 203.0.113.7", OK},
		{"no SPF", StepSPF, func(l *lab) { l.dns.TXTs["contoso.com"] = []string{"other"} }, Warning, "no SPF", "Publish", "Set-HostedConnectionFilterPolicy", `contoso.com. TXT "v=spf1 ip4:203.0.113.7 ~all"`, OK},
		{"SPF without us", StepSPF, func(l *lab) {
			l.dns.TXTs["contoso.com"] = []string{"v=spf1 include:spf.protection.outlook.com -all"}
		}, Failed, "does not let", "Publish", "IPAllowList @{Add=\"203.0.113.7\"}", `TXT "v=spf1 include:spf.protection.outlook.com ip4:203.0.113.7 -all"`, OK},
		{"two SPF", StepSPF, func(l *lab) { l.dns.TXTs["contoso.com"] = []string{"v=spf1 -all", "v=spf1 mx -all"} }, Failed, "more than one", "one SPF record", "", "", OK},
		{"SPF too long", StepSPF, func(l *lab) {
			l.dns.TXTs["contoso.com"] = []string{"v=spf1 " + strings.Repeat("a:mx.contoso.com ", 11) + "-all"}
			l.dns.Addrs["mx.contoso.com"] = []netip.Addr{netip.MustParseAddr("192.0.2.9")}
		}, Failed, "10 DNS lookups", "Take out", "IPAllowList", "ip4:203.0.113.7", OK},
		{"SPF in doubt", StepSPF, func(l *lab) { l.dns.Fail = map[string]error{"spf.protection.outlook.com": resolve.ErrTemporary} }, Warning, "no answer", "dns.servers", "", "", OK},
		{"SPF without Microsoft", StepSPF, submission(func(l *lab) { l.dns.TXTs["contoso.com"] = []string{"v=spf1 mx -all"} }), Failed, "does not let", "Publish", "", `"v=spf1 mx include:spf.protection.outlook.com -all"`, OK},
		{"no DKIM record", StepDKIM, func(l *lab) { delete(l.dns.TXTs, "fax1._domainkey.contoso.com") }, Failed, "not in DNS", "Publish", "", "fax1._domainkey.contoso.com. TXT \"v=DKIM1; k=ed25519; p=", OK},
		{"other DKIM key", StepDKIM, func(l *lab) { l.dns.TXTs["fax1._domainkey.contoso.com"] = []string{"v=DKIM1; p=AAAA"} }, Failed, "another key", "mail.dkim_key", "", "p=", OK},
		{"not signed", StepDKIM, func(l *lab) {
			l.c.RequireTLS, l.sc.TLS = false, send.Opportunistic
			l.c.Keys, l.dns.MXs["contoso.com"][0].Host = nil, "mx.contoso.com"
			l.dns.Addrs["mx.contoso.com"] = []netip.Addr{boxIP}
		}, Warning, "not signed", "mail.dkim_key", "", "", OK},
		{"no DMARC", StepDMARC, func(l *lab) { delete(l.dns.TXTs, "_dmarc.contoso.com") }, Warning, "no DMARC", "Publish", "", "_dmarc.contoso.com. TXT \"v=DMARC1", OK},
		{"DMARC fails", StepDMARC, func(l *lab) {
			delete(l.dns.TXTs, "fax1._domainkey.contoso.com")
			l.dns.TXTs["contoso.com"] = []string{"v=spf1 -all"}
		}, Failed, "reject", "SPF or DKIM", "", "", OK},
		{"DANE without validation", StepProtection, func(l *lab) {
			l.dns.TLSAs, l.c.DANE = map[string][]resolve.TLSA{"_25._tcp." + exchange.EOPHost: {{Usage: 3}}}, true
		}, Warning, "no validating resolver", "dns.validating", "", "", OK},
		{"foreign certificate", StepTLS, func(l *lab) { l.sc.TLSConfig = &tls.Config{RootCAs: x509.NewCertPool()} }, Failed, "not valid", "inspection", "", "", NotRun},
		{"chain not sent", StepCertificate, func(l *lab) {
			cert, err := l.peer.ClientCertificate(box)
			if err != nil {
				t.Fatal(err)
			}
			cert.Certificate = cert.Certificate[:1]
			l.c.Certificate, l.sc.TLSConfig.Certificates = &cert, []tls.Certificate{cert}
		}, Failed, "does not verify", "chain", `-TlsSenderCertificateName "box.contoso.com"`, "", OK},
		{"wrong secret", StepToken, submission(func(l *lab) { l.key = "wrong" }), Failed, "AADSTS7000215", "secret is wrong", "", "", NotRun},
		{"expired secret", StepToken, submission(func(l *lab) { l.tenant(func(t *exchange.Tenant) { t.Apps[0].SecretExpired = true }) }), Failed, "AADSTS7000222", "has expired: make a new one", "", "", NotRun},
		{"no such application", StepToken, submission(func(l *lab) { l.tok.ClientID = "other" }), Failed, "AADSTS700016", "consented", "Get-ServicePrincipal", "", NotRun},
		{"no such tenant", StepToken, submission(func(l *lab) { l.tok.Tenant = "elsewhere" }), Failed, "AADSTS90002", "directory ID", "", "", NotRun},
		{"wrong audience", StepSignIn, submission(func(l *lab) { l.tok.Scopes = []string{"https://graph.microsoft.com/.default"} }), Failed, "5.7.3", "SMTP.SendAsApp", "New-ServicePrincipal -AppId \"f00d-app\"", "", NotRun},
		{"no permission", StepSignIn, submission(func(l *lab) { l.tenant(func(t *exchange.Tenant) { t.Apps[0].SendAsApp = false }) }), Failed, "5.7.3", "admin consent", "Add-MailboxPermission -Identity \"fax@contoso.com\"", "", NotRun},
		{"SMTP AUTH off", StepSignIn, submission(func(l *lab) { l.tenant(func(t *exchange.Tenant) { t.SMTPAuthDisabled = true }) }), Failed, "5.7.139", "authenticated SMTP", "Set-TransportConfig -SmtpClientAuthenticationDisabled $false", "", NotRun},
		{"password no longer taken", StepSignIn, submission(func(l *lab) { l.c.ClientID, l.sc.Auth = "", send.Plain{Username: faxBox, Password: "passw0rd"} }), Failed, "5.7.30", "OAuth", "", "", NotRun},
		{"no Send As", StepMessage, submission(func(l *lab) { l.c.From = "scan@contoso.com" }), Failed, "5.7.60", "Send As", `Add-RecipientPermission -Identity "scan@contoso.com" -Trustee "fax@contoso.com" -AccessRights SendAs`, "", Failed},
		{"Direct Send refused", StepMessage, func(l *lab) { l.tenant(func(t *exchange.Tenant) { t.Inbound, t.RejectDirectSend = nil, true }) }, Failed, "5.7.68", "connector", "-SenderIPAddresses 203.0.113.7", "", Failed},
		{"no connector", StepMessage, func(l *lab) { l.tenant(func(t *exchange.Tenant) { t.Inbound = nil }); l.c.To = "a@elsewhere.example" }, Failed, "5.7.64", "inbound connector", "New-InboundConnector", "", Failed},
		{"no mailbox", StepMessage, func(l *lab) { l.c.To = "nobody@contoso.com" }, Failed, "5.1.10", "--to", "Get-Recipient", "", Failed},
		{"mailbox takes none", StepMessage, func(l *lab) { l.tenant(func(t *exchange.Tenant) { t.Inbound = nil }); l.c.To = "boss@contoso.com" }, Failed, "5.7.134", "--to", "-RequireSenderAuthenticationEnabled $false", "", Failed},
		{"mailbox full", StepMessage, func(l *lab) { l.c.To = "full@contoso.com"; l.sc.TLSConfig = l.sc.TLSConfig.Clone() }, OK, "", "", "", "", OK},
		{"address blocked", StepMessage, func(l *lab) {
			l.peer.Change(func(w *exchange.World) { w.Banned = []netip.Prefix{netip.PrefixFrom(boxIP, 32)} })
		}, Failed, "5.7.606", "delist", "", "", Failed},
		{"address new", StepMessage, func(l *lab) {
			l.tenant(func(t *exchange.Tenant) { t.Inbound = nil })
			l.peer.Change(func(w *exchange.World) { w.Unknown = []netip.Prefix{netip.PrefixFrom(boxIP, 32)} })
		}, Failed, "4.7.850", "wait", "Set-HostedConnectionFilterPolicy", "", Failed},
		{"no recipient", StepMessage, func(l *lab) { l.c.To = "" }, NotRun, "--to", "", "", "", NotRun},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			c.change(l)
			steps := l.run()
			s := find(t, steps, c.step)
			if s.State != c.state || !strings.Contains(s.Found, c.found) || !strings.Contains(s.Remedy, c.remedy) || !strings.Contains(s.PowerShell, c.power) || !strings.Contains(s.Record, c.zone) || (c.zone == "") != (s.Record == "") {
				t.Errorf("%+v", s)
			}
			if m := find(t, steps, StepMessage); m.State != c.message {
				t.Errorf("message: %+v", m)
			}
			if Bad(steps) != (c.state == Failed) {
				t.Errorf("bad is %v: %+v", Bad(steps), steps)
			}
			if len(steps) != 12 {
				t.Errorf("%d steps", len(steps))
			}
		})
	}
}

// The address is known of what the server says of it, or not at all.
func TestSend_OurAddress(t *testing.T) {
	r := &run{}
	for hello, want := range map[string]string{
		"AM1.mail.protection.outlook.com Hello [203.0.113.7]": "203.0.113.7", "x Hello [192.168.1.2]": "", "x Hello [IPv6:2001:db8::1]": "2001:db8::1", "x [bad]": "", "": "",
	} {
		r.look.Hello = hello
		if ip, _ := r.address(); ip.IsValid() != (want != "") || ip.IsValid() && ip.String() != want {
			t.Errorf("%q: %v", hello, ip)
		}
	}
	r.look.Hello, r.look.Local = "", netip.MustParseAddr("100.64.3.4")
	if ip, _ := r.address(); ip.IsValid() {
		t.Errorf("shared address taken: %v", ip)
	}
	if got := reverseName(netip.MustParseAddr("2001:db8::1")); !strings.HasPrefix(got, "1.0.0.0.") || !strings.HasSuffix(got, "8.b.d.0.1.0.0.2.ip6.arpa.") {
		t.Error(got)
	}
}
