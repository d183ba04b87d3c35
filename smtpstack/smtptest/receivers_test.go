package smtptest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/send"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

// receiver is a peer that takes our mail and hands it on to the connector "final.test", where it is looked at.
type receiver struct {
	name string
	addr map[way]string // of plain, starttls, implicit, mutual
	log  func() string
	// cannot names what of the extensions, and of signing in, this software does not offer as a server, and why.
	cannot map[string]string
	// received has what its Received field says of a connection with TLS and, in the way mutual, of our certificate.
	tls, certificate string
	signedIn         string          // in its log when "fax" has signed in; %s is the mechanism
	noCert           smtpstack.Class // what its refusal of a client without certificate is for us
}

// geheim is that password as crypt(3) has it.
const geheim = "$6$tipring$EIiGzPKH.g2qSfJwDeBhjhINqXr.0BPmfQMJiYLT18JbGcn7wa/E9wqmhj1vYu4JDMF8nTxDGodSqAXVKfmC01"

const final = "final.test"

func startReceivers(t *testing.T, ca *smtptest.Authority, next *recorder) []receiver {
	good, unknown := ca.IssueRSA("peer.test"), smtptest.NewAuthority(t, "Unknown").IssueRSA("peer.test")
	return []receiver{postfixReceiver(t, ca, good, unknown, next), opensmtpdReceiver(t, ca, good, unknown, next), eximReceiver(t, ca, good, unknown, next)}
}

func fourAddrs(t *testing.T) (map[way]string, []string) {
	list := map[way]string{}
	var all []string
	for _, w := range []way{plain, starttls, implicit, mutual} {
		list[w] = smtptest.FreeAddr(t)
		all = append(all, list[w])
	}
	return list, all
}

func postfixReceiver(t *testing.T, ca *smtptest.Authority, good, unknown tls.Certificate, next *recorder) receiver {
	addr, _ := fourAddrs(t)
	other := smtptest.PEMFile(t, unknown)
	cert := smtptest.PEMFile(t, good)
	p := smtptest.StartPostfix(t, []string{
		smtptest.Smtpd(addr[plain], "smtpd_tls_security_level=none"),
		smtptest.Smtpd(addr[starttls], "smtpd_tls_security_level=may", "smtpd_tls_cert_file="+other, "smtpd_tls_key_file="+other),
		smtptest.Smtpd(addr[implicit], "smtpd_tls_wrappermode=yes"),
		smtptest.Smtpd(addr[mutual], "smtpd_tls_security_level=encrypt", "smtpd_tls_req_ccert=yes"),
	}, "smtpd_tls_cert_file = "+cert, "smtpd_tls_key_file = "+cert, "smtpd_tls_CAfile = "+ca.PEMFile(), "smtpd_tls_received_header = yes",
		"relayhost = [127.0.0.1]:"+smtptest.Port(next.addr))
	return receiver{"Postfix", addr, p.Log, map[string]string{"signin": "needs Dovecot or a SASL database beside it"},
		"(using TLSv1.3 with cipher", `Client CN "fax.test", Issuer "Test Authority" (verified OK)`, "", smtpstack.Temporary} // 421 4.7.1
}

func opensmtpdReceiver(t *testing.T, ca *smtptest.Authority, good, unknown tls.Certificate, next *recorder) receiver {
	addr, all := fourAddrs(t)
	listen := func(w way, options string) string {
		return "listen on 127.0.0.1 port " + smtptest.Port(addr[w]) + " hostname peer.test " + options + "\n"
	}
	conf := "table users { \"fax\" = \"" + geheim + "\" }\nca test cert \"/etc/ca.pem\"\n"
	files := map[string]string{"etc/ca.pem": ca.PEM()}
	for name, cert := range map[string]tls.Certificate{"good": good, "unknown": unknown} {
		conf += fmt.Sprintf("pki %[1]s cert \"/etc/%[1]s.crt\"\npki %[1]s key \"/etc/%[1]s.key\"\n", name)
		files["etc/"+name+".crt"], files["etc/"+name+".key"] = smtptest.PEM(t, cert)
	}
	conf += listen(plain, "") + listen(starttls, "tls pki unknown") + listen(implicit, "smtps pki good auth-optional <users>") + listen(mutual, "tls-require verify pki good ca test") +
		"action out relay host smtp+notls://127.0.0.1:" + smtptest.Port(next.addr) + "\nmatch from any for any action out\n"
	s := smtptest.StartOpenSMTPD(t, smtptest.Setup{Conf: conf, Files: files, Hosts: hosts(), Listen: all})
	return receiver{"OpenSMTPD", addr, s.Log, map[string]string{
		"pipelining": "not offered", "chunking": "not implemented", "smtputf8": "not implemented in 7.4",
	}, "(TLSv1.3:TLS_", ":YES)", "smtp authentication user=fax result=ok", smtpstack.Configuration}
}

func eximReceiver(t *testing.T, ca *smtptest.Authority, good, unknown tls.Certificate, next *recorder) receiver {
	addr, all := fourAddrs(t)
	port := func(w way) string { return smtptest.Port(addr[w]) }
	at := func(w way, yes, no string) string {
		return "${if eq{$received_port}{" + port(w) + "}{" + yes + "}{" + no + "}}"
	}
	conf := "primary_hostname = peer.test\nlocal_interfaces = 127.0.0.1\ndaemon_smtp_ports = " + strings.Join([]string{port(plain), port(starttls), port(implicit), port(mutual)}, " : ") +
		"\ntls_on_connect_ports = " + port(implicit) + "\ntls_advertise_hosts = " + at(plain, "", "*") +
		"\ntls_certificate = " + at(starttls, "/etc/unknown.pem", "/etc/good.pem") + "\ntls_verify_certificates = /etc/ca.pem\ntls_verify_hosts = " + at(mutual, "*", "") +
		"\ntls_try_verify_hosts =\ndsn_advertise_hosts = *\npipelining_advertise_hosts = *\nkeep_environment =\nacl_smtp_rcpt = acl_all\n" +
		"received_header_text = Received: from $sender_helo_name by $primary_hostname tls=$tls_in_ver verified=$tls_in_certificate_verified dn=$tls_in_peerdn; $tod_full\n" +
		"begin acl\nacl_all:\n  accept\nbegin routers\nnext:\n  driver = manualroute\n  route_list = * 127.0.0.1\n  self = send\n  transport = out\n" +
		"begin transports\nout:\n  driver = smtp\n  port = " + smtptest.Port(next.addr) + "\nbegin authenticators\n"
	for mechanism, fields := range map[string][3]string{"plain": {":", "$auth2", "$auth3"}, "login": {"<| Username: | Password:", "$auth1", "$auth2"}} {
		conf += fmt.Sprintf("%[1]s:\n  driver = plaintext\n  public_name = %[2]s\n  server_prompts = %[3]s\n  server_set_id = %[4]s\n"+
			"  server_condition = ${if and{{eq{%[4]s}{fax}}{eq{%[5]s}{geheim}}}}\n  server_advertise_condition = ${if def:tls_in_cipher}\n",
			mechanism, strings.ToUpper(mechanism), fields[0], fields[1], fields[2])
	}
	files := map[string]string{"etc/ca.pem": ca.PEM()}
	for name, cert := range map[string]tls.Certificate{"good": good, "unknown": unknown} {
		chain, key := smtptest.PEM(t, cert)
		files["etc/"+name+".pem"] = chain + key
	}
	s := smtptest.StartExim(t, smtptest.Setup{Conf: conf, Files: files, Hosts: hosts(), Listen: all})
	return receiver{"Exim", addr, s.Log, nil, "tls=TLS1.3", "verified=1 dn=CN=fax.test", "A=%s:fax", smtpstack.Configuration}
}

// ascii is the mail in 7 bit: ours are.
var ascii = strings.Map(func(r rune) rune {
	if r > 127 {
		return '?'
	}
	return r
}, mail)

// TestReceivers: the send connector hands mail to other servers in every way.
func TestReceivers(t *testing.T) {
	t.Parallel()
	ca := smtptest.NewAuthority(t, "Test Authority")
	next := newRecorder(t, "127.0.0.1", final, nil)
	client := ca.Issue("fax.test")
	for _, p := range startReceivers(t, ca, next) {
		for _, w := range ways {
			t.Run(p.name+"/"+string(w), func(t *testing.T) { p.take(t, ca, client, w, next) })
		}
		if p.cannot["signin"] == "" {
			t.Run(p.name+"/signin", func(t *testing.T) { p.signIn(t, ca, next) })
		}
		t.Run(p.name+"/extensions", func(t *testing.T) { p.extensions(t, ca, client, next) })
	}
}

// sender is our send connector for one way.
func (p receiver) sender(t *testing.T, ca *smtptest.Authority, client tls.Certificate, w way) *send.Sender {
	return p.senderAs(t, ca, client, w, nil)
}

func (p receiver) senderAs(t *testing.T, ca *smtptest.Authority, client tls.Certificate, w way, auth send.Authenticator) *send.Sender {
	to := p.addr[starttls]
	cfg := send.Config{Hostname: "fax.test", Host: "peer.test", Auth: auth, TLS: send.Required, TLSConfig: &tls.Config{RootCAs: ca.Pool}}
	switch w {
	case plain:
		cfg.TLS, to = send.NoTLS, p.addr[plain]
	case starttls:
		cfg.TLS = send.Opportunistic
	case implicit:
		cfg.TLS, to = send.Implicit, p.addr[implicit]
	case downgrade:
		to = p.addr[plain]
	case wrongName:
		cfg.Host, cfg.TLSConfig.Certificates, to = "elsewhere.test", []tls.Certificate{client}, p.addr[mutual]
	case verified, mutual: // the listener with a certificate that we know
		cfg.TLSConfig.Certificates, to = []tls.Certificate{client}, p.addr[mutual]
	case noCert:
		to = p.addr[mutual]
	}
	cfg.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}
	s, err := send.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func deliver(t *testing.T, s *send.Sender, m send.Message, text string) send.Report {
	m.Size, m.Open = int64(len(text)), func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	return s.Deliver(t.Context(), m)
}

func transcript(r send.Report) string {
	var b strings.Builder
	for _, e := range r.Transcript {
		b.WriteString(e.String() + "\n")
	}
	return b.String()
}

// take sends one mail in one way.
func (p receiver) take(t *testing.T, ca *smtptest.Authority, client tls.Certificate, w way, next *recorder) {
	from := senderOf(p.name, w)
	m := send.Message{From: from, To: []string{"15551234@" + final, "+4930123@" + final},
		DSN: &send.DSN{Return: "HDRS", EnvelopeID: "job 12+3", Notify: []string{"FAILURE", "DELAY"}, Original: map[string]string{"15551234@" + final: "fax+1@example.com"}}}
	rep := deliver(t, p.sender(t, ca, client, w), m, ascii)
	// In TLS 1.3 the client writes before it hears that its certificate is missing; when the server has closed by then, the reset takes
	// the alert with it. The next attempt, as the queue makes one, may hear it.
	for tries := 0; w == noCert && tries < 20 && errors.Is(rep.Results[0].Err, syscall.ECONNRESET); tries++ {
		rep = deliver(t, p.sender(t, ca, client, w), m, ascii)
	}
	want := smtpstack.Delivered
	switch w {
	case wrongName, downgrade:
		want = smtpstack.Configuration
	case noCert: // refused by a TLS alert or a reply
		want = p.noCert
	}
	for _, r := range rep.Results {
		if r.Class != want || (r.Remedy != "") != (want == smtpstack.Configuration) {
			t.Fatalf("%+v\n%s\n%s", r, transcript(rep), last(p.log()))
		}
	}
	if want != smtpstack.Delivered {
		if slices.ContainsFunc(next.all(), func(m recorded) bool { return m.env.From == from }) {
			t.Error("and yet it arrived")
		}
		return
	}
	got := next.from(t, from, p.log)
	whole(t, got, ascii)
	e := got.env
	one := slices.IndexFunc(e.To, func(r smtpstack.Recipient) bool { return r.Fax.Number == "15551234" })
	if len(e.To) != 2 || one < 0 || e.Return != "HDRS" || e.EnvelopeID != "job 12+3" || e.To[one].Notify.String() != "FAILURE,DELAY" || e.To[one].OriginalRecipient != "rfc822;fax+1@example.com" {
		t.Errorf("envelope %+v", e)
	}
	if strings.Contains(got.data, p.tls) != (w != plain) || strings.Contains(got.data, p.certificate) != (w == mutual || w == verified) {
		t.Errorf("Received fields:\n%.1500s", got.data)
	}
}

// signIn signs in by name and password, right and wrong.
func (p receiver) signIn(t *testing.T, ca *smtptest.Authority, next *recorder) {
	for _, tt := range []struct {
		auth  send.Authenticator
		right bool
	}{
		{send.Plain{Username: "fax", Password: "geheim"}, true}, {send.Login{Username: "fax", Password: "geheim"}, true},
		{send.Plain{Username: "fax", Password: "Geheim"}, false}, {send.Login{Username: "fax", Password: "Geheim"}, false},
	} {
		mechanism := strings.ToLower(tt.auth.Mechanism())
		from := senderOf(p.name, way("by-"+mechanism))
		rep := deliver(t, p.senderAs(t, ca, tls.Certificate{}, implicit, tt.auth), send.Message{From: from, To: []string{"15551234@" + final}}, ascii)
		if r := rep.Results[0]; (r.Class == smtpstack.Delivered) != tt.right || !tt.right && r.Class != smtpstack.Configuration || strings.Contains(transcript(rep), "eheim") {
			t.Errorf("%s: %+v\n%s\n%s", mechanism, r, transcript(rep), last(p.log()))
			continue
		}
		if tt.right {
			whole(t, next.from(t, from, p.log), ascii)
			if words := strings.ReplaceAll(p.signedIn, "%s", mechanism); !strings.Contains(p.log(), words) {
				t.Errorf("the log does not say %q\n%s", words, last(p.log()))
			}
		}
	}
}

// extensions looks at what the peer offers and what of that our dialogue uses. BDAT it never does: DATA carries the same
// octets, and our mails are 7 bit but for those that need SMTPUTF8.
func (p receiver) extensions(t *testing.T, ca *smtptest.Authority, client tls.Certificate, next *recorder) {
	s := p.sender(t, ca, client, verified)
	rep := deliver(t, s, send.Message{From: utf8Sender(p.name), To: []string{"15551234@" + final}, UTF8: true}, utf8Mail)
	said := transcript(rep)
	offers := func(keyword string) bool {
		return strings.Contains(said, " < "+keyword) || strings.Contains(said, "-"+keyword) || strings.Contains(said, " "+keyword+"\n")
	}
	seen := map[string]bool{}
	for _, e := range extensions {
		seen[e] = offers(strings.ToUpper(e))
	}
	does(t, p.cannot, seen)
	if _, lacks := p.cannot["smtputf8"]; lacks {
		if r := rep.Results[0]; r.Class != smtpstack.Configuration || r.Reply.Enhanced != "5.6.7" {
			t.Errorf("%+v\n%s", r, said)
		}
		return
	}
	if rep.Results[0].Class != smtpstack.Delivered {
		t.Fatalf("%+v\n%s", rep.Results[0], said)
	}
	got := next.from(t, utf8Sender(p.name), p.log)
	whole(t, got, utf8Mail)
	if !got.env.UTF8 || !strings.Contains(said, " BODY=8BITMIME SMTPUTF8") || !strings.Contains(said, fmt.Sprintf(" SIZE=%d", len(utf8Mail))) {
		t.Errorf("%+v\n%s", got.env, said)
	}
	big := deliver(t, s, send.Message{From: "jane@example.com", To: []string{"15551234@" + final}}, strings.Repeat("0123456789abcd\r\n", 4<<20))
	if r := big.Results[0]; r.Class != smtpstack.Permanent || r.Reply.Code != 552 || strings.Contains(transcript(big), "> DATA") {
		t.Errorf("64 MB to a server that takes less: %+v", r)
	}
}
