package smtptest_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/receive"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

// connectors starts a connector for each way.
func connectors(t *testing.T, ca *smtptest.Authority) map[way]*recorder {
	server, unknown := ca.Issue("*.fax.test"), smtptest.NewAuthority(t, "Unknown").Issue("*.fax.test")
	elsewhere := ca.Issue("elsewhere.test")
	list := map[way]*recorder{}
	for _, w := range ways {
		list[w] = newRecorder(t, w.ip(), w.domain(), func(c *receive.Config) {
			c.TLS = &tls.Config{Certificates: []tls.Certificate{server}}
			c.RequireTLS = w != starttls
			switch w {
			case plain, downgrade:
				c.TLS, c.RequireTLS = nil, false
			case starttls:
				c.TLS.Certificates[0] = unknown
			case implicit:
				c.ImplicitTLS = true
			case wrongName:
				c.TLS.Certificates[0] = elsewhere
			case mutual:
				c.ClientCert = &receive.ClientCert{Roots: ca.Pool, Names: []string{"peer.test"}, Required: true}
			case noCert:
				c.ClientCert = &receive.ClientCert{Roots: ca.Pool, Names: []string{"other.test"}, Required: true}
			}
		})
	}
	return list
}

// sender is a peer that relays to our connectors, by the recipient's domain.
type sender struct {
	name string
	addr string // takes mail in the clear
	log  func() string
	// cannot names what this software does not do as a client, extension or way, and why. All else is wanted of it.
	cannot map[string]string
	// refuses has what the log says of mail that must not arrive, in a line with its recipient.
	refuses map[way]string
}

// noClientCert is how our connector refuses.
const noClientCert = "554 5.7.0 this server takes mail only from clients with a TLS certificate"

func startSenders(t *testing.T, ca *smtptest.Authority, to map[way]*recorder) []sender {
	client := ca.IssueRSA("peer.test")
	return []sender{postfixSender(t, ca, client, to), opensmtpdSender(t, ca, client, to), eximSender(t, ca, client, to)}
}

func postfixSender(t *testing.T, ca *smtptest.Authority, client tls.Certificate, to map[way]*recorder) sender {
	tables, in := t.TempDir(), smtptest.FreeAddr(t)
	routes, policies := "", ""
	for w, r := range to {
		hop := "[" + w.ip() + "]:" + smtptest.Port(r.addr)
		routes += fmt.Sprintf("%s.test %s:%s\n", w, map[bool]string{false: "smtp", true: "smtps"}[w == implicit], hop)
		if w != plain && w != starttls {
			policies += hop + " secure match=" + w.host() + "\n"
		}
	}
	for name, content := range map[string]string{"routes": routes, "policies": policies} {
		if err := os.WriteFile(filepath.Join(tables, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pem := smtptest.PEMFile(t, client)
	p := smtptest.StartPostfix(t, []string{smtptest.Smtpd(in), "smtps unix - - n - - smtp -o smtp_tls_wrappermode=yes"},
		"smtp_tls_security_level = may", "smtp_tls_CAfile = "+ca.PEMFile(), "smtp_tls_cert_file = "+pem, "smtp_tls_key_file = "+pem,
		"smtp_tls_loglevel = 1", "transport_maps = texthash:"+tables+"/routes", "smtp_tls_policy_maps = texthash:"+tables+"/policies")
	return sender{"Postfix", in, p.Log,
		map[string]string{"chunking": "the client of Postfix sends DATA only"},
		map[way]string{wrongName: "Server certificate not verified", downgrade: "TLS is required, but was not offered", noCert: noClientCert}}
}

func opensmtpdSender(t *testing.T, ca *smtptest.Authority, client tls.Certificate, to map[way]*recorder) sender {
	in := smtptest.FreeAddr(t)
	conf := "mta limit conn-delay-route 0\npki peer.test cert \"/etc/peer.crt\"\npki peer.test key \"/etc/peer.key\"\nlisten on 127.0.0.1 port " + smtptest.Port(in) + " hostname peer.test\n"
	for w, r := range to {
		proto, options := "smtp+tls", " tls"
		switch w {
		case plain:
			proto, options = "smtp+notls", ""
		case starttls:
			proto, options = "smtp", ""
		case implicit:
			proto = "smtps"
		case mutual, noCert:
			options = " tls pki peer.test"
		}
		conf += fmt.Sprintf("action %q relay host %s://%s:%s%s helo peer.test\n", w, proto, w.host(), smtptest.Port(r.addr), options)
	}
	for w := range to {
		conf += fmt.Sprintf("match from any for domain \"%s.test\" action %q\n", w, w)
	}
	chain, key := smtptest.PEM(t, client)
	s := smtptest.StartOpenSMTPD(t, smtptest.Setup{Conf: conf, Roots: ca.PEM(), Hosts: hosts(), Listen: []string{in},
		Files: map[string]string{"etc/peer.crt": chain, "etc/peer.key": key}})
	return sender{"OpenSMTPD", in, func() string { return opensmtpdRecipients(s.Log(), to) }, map[string]string{
		"pipelining": "one command at a time", "chunking": "not implemented", "size": "SIZE= is not sent", "8bitmime": "BODY= is not sent, 8 bit are", "smtputf8": "not implemented in 7.4",
	}, map[way]string{
		wrongName: "name `wrongname.fax.test' not present in server certificate", downgrade: "TLS required but not supported by remote host",
		noCert: noClientCert,
	}}
}

// opensmtpdRecipients adds to the lines about a connection the recipient's domain, which OpenSMTPD logs only much later.
func opensmtpdRecipients(log string, to map[way]*recorder) string {
	var out strings.Builder
	domains := map[string]string{} // by the connection's id
	for line := range strings.SplitSeq(log, "\n") {
		id, rest, _ := strings.Cut(line, " ")
		for w, r := range to {
			if strings.HasPrefix(rest, "mta connecting ") && strings.Contains(rest, ":"+smtptest.Port(r.addr)+" ") {
				domains[id] = " @" + w.domain()
			}
		}
		out.WriteString(line + domains[id] + "\n")
	}
	return out.String()
}

func eximSender(t *testing.T, ca *smtptest.Authority, client tls.Certificate, to map[way]*recorder) sender {
	in := smtptest.FreeAddr(t)
	conf := "primary_hostname = peer.test\nlocal_interfaces = 127.0.0.1\ndaemon_smtp_ports = " + smtptest.Port(in) + "\nacl_smtp_rcpt = acl_all\n" +
		"dsn_advertise_hosts = *\ntls_advertise_hosts =\nkeep_environment =\nbegin acl\nacl_all:\n  accept\nbegin routers\n"
	transports := "begin transports\n"
	for w, r := range to {
		conf += fmt.Sprintf("%[1]s:\n  driver = manualroute\n  domains = %[1]s.test\n  route_list = * %[2]s byname\n  self = send\n  transport = %[1]s\n", w, w.host())
		transports += fmt.Sprintf("%s:\n  driver = smtp\n  port = %s\n", w, smtptest.Port(r.addr))
		secure := "  hosts_require_tls = *\n  tls_verify_certificates = /etc/ca.pem\n  tls_verify_hosts = *\n"
		switch w {
		case plain, starttls:
		case implicit:
			transports += "  protocol = smtps\n" + secure
		case mutual, noCert:
			transports += secure + "  tls_certificate = /etc/peer.crt\n  tls_privatekey = /etc/peer.key\n"
		default:
			transports += secure
		}
	}
	chain, key := smtptest.PEM(t, client)
	s := smtptest.StartExim(t, smtptest.Setup{Conf: conf + transports, Hosts: hosts(), Listen: []string{in},
		Files: map[string]string{"etc/peer.crt": chain, "etc/peer.key": key, "etc/ca.pem": ca.PEM()}})
	return sender{"Exim", in, s.Log, map[string]string{"8bitmime": "BODY= is not sent, 8 bit are"},
		map[way]string{wrongName: "certificate verification failed", downgrade: "did not offer TLS support", noCert: noClientCert}}
}

// TestSenders: other servers hand mail to the receive connector in every way.
func TestSenders(t *testing.T) {
	t.Parallel()
	ca := smtptest.NewAuthority(t, "Test Authority")
	to := connectors(t, ca)
	senders := startSenders(t, ca, to)
	for _, s := range senders {
		for _, w := range ways {
			// The same NOTIFY for all: OpenSMTPD adds that of one recipient to the next.
			submit(t, s.addr, "MAIL FROM:<"+senderOf(s.name, w)+"> BODY=8BITMIME RET=HDRS ENVID=QQ+2B314",
				"RCPT TO:<15551234@"+w.domain()+"> NOTIFY=FAILURE,DELAY ORCPT=rfc822;fax+2B1@example.com", "RCPT TO:<+4930123@"+w.domain()+"> NOTIFY=FAILURE,DELAY",
				"DATA", stuffed(mail))
		}
		if s.cannot["smtputf8"] == "" {
			submit(t, s.addr, "MAIL FROM:<"+utf8Sender(s.name)+"> BODY=8BITMIME SMTPUTF8", "RCPT TO:<15551234@verified.test>", "DATA", stuffed(utf8Mail))
		}
	}
	for _, s := range senders {
		for _, w := range ways {
			t.Run(s.name+"/"+string(w), func(t *testing.T) {
				if words := s.refuses[w]; words != "" {
					s.refused(t, to[w], w, words)
				} else {
					s.sent(t, to[w], w)
				}
			})
		}
		t.Run(s.name+"/extensions", func(t *testing.T) { s.extensions(t, to) })
	}
}

func utf8Sender(peer string) string { return "grüße-" + strings.ToLower(peer) + "@example.com" }

// utf8Mail has a header that only SMTPUTF8 allows (RFC 6532).
var utf8Mail = "From: grüße@example.com\r\nTo: fax@fax.test\r\nSubject: Grüße, 你好\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <utf8@example.com>\r\n\r\nGrüße\r\n"

// sent looks at the mail that a peer has relayed in one way.
func (s sender) sent(t *testing.T, r *recorder, w way) {
	m := r.from(t, senderOf(s.name, w), s.log)
	whole(t, m, mail)
	e := m.env
	if e.Helo != "peer.test" || len(e.To) != 2 {
		t.Fatalf("envelope %+v", e)
	}
	one := slices.IndexFunc(e.To, func(r smtpstack.Recipient) bool { return r.Fax.Number == "15551234" })
	first, second := e.To[max(0, one)], e.To[1-max(0, one)] // Postfix sorts them
	if (e.TLS != nil) != (w != plain) || e.TLS != nil && e.TLS.Version != tls.VersionTLS13 {
		t.Errorf("TLS %+v\n%s", e.TLS, last(s.log()))
	}
	if (e.ClientName == "peer.test") != (w == mutual) {
		t.Errorf("client name %q", e.ClientName)
	}
	if e.Return != "HDRS" || e.EnvelopeID != "QQ+314" || first.Notify.String() != "FAILURE,DELAY" || first.OriginalRecipient != "rfc822;fax+1@example.com" ||
		second.Notify.String() != "FAILURE,DELAY" || second.Fax.Number != "+4930123" {
		t.Errorf("DSN %q %q %+v", e.Return, e.EnvelopeID, e.To)
	}
}

// refused waits until the peer has given up on a mail, or put it off, and says so.
func (s sender) refused(t *testing.T, r *recorder, w way, words string) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		for line := range strings.SplitSeq(s.log(), "\n") {
			if strings.Contains(line, "@"+w.domain()) && strings.Contains(line, words) {
				if slices.ContainsFunc(r.all(), func(m recorded) bool { return m.env.From == senderOf(s.name, w) }) {
					t.Errorf("taken, and %q", line)
				}
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("no word of %q\n%s", words, last(s.log()))
		}
	}
}

// extensions looks for all of them in the dialogues; pipelining can only be seen in the clear.
func (s sender) extensions(t *testing.T, to map[way]*recorder) {
	m := to[plain].from(t, senderOf(s.name, plain), s.log)
	pieces, commands := to[plain].dialogue(m.env.From)
	seen := map[string]bool{
		"pipelining": pipelined(pieces),
		"chunking":   slices.ContainsFunc(commands, func(c string) bool { return strings.HasPrefix(c, "BDAT ") }),
		"dsn":        m.env.Return != "",
		"size":       m.env.Size >= int64(len(mail)),
		"8bitmime":   strings.Contains(commands[0], " BODY=8BITMIME"),
		"smtputf8":   false,
	}
	if s.cannot["smtputf8"] == "" {
		m := to[verified].from(t, utf8Sender(s.name), s.log)
		whole(t, m, utf8Mail)
		seen["smtputf8"] = m.env.UTF8
	}
	does(t, s.cannot, seen)
}

// pipelined tells whether RCPT came along with MAIL.
func pipelined(pieces []string) bool {
	return slices.ContainsFunc(pieces, func(p string) bool { return strings.Contains(p, "MAIL FROM:") && strings.Contains(p, "RCPT TO:") })
}
