package send

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/tipring/tipring/smtpstack"
)

func writePEM(t *testing.T, certFile, keyFile string, cert tls.Certificate) {
	t.Helper()
	var out []byte
	for _, der := range cert.Certificate {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{certFile: out, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func blockingDial(block <-chan struct{}, n *atomic.Int32, dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		n.Add(1)
		<-block
		return dial(ctx, network, addr)
	}
}

// TestPipelining: commands leave together where the server offers it and one by one where not; each reply finds its
// recipient.
func TestPipelining(t *testing.T) {
	for _, offered := range []bool{true, false} {
		ehlo := "250-srv\r\n250 SIZE"
		if offered {
			ehlo = "250-srv\r\n250 PIPELINING"
		}
		s := newServer(t, map[string]string{"EHLO": ehlo, "RCPT TO:<r7@": "550 5.1.1 no", "RCPT TO:<r60@": "452 4.2.2 full"})
		var to []string
		for i := range 80 {
			to = append(to, fmt.Sprintf("r%d@x.example", i))
		}
		writes := 0
		rep := deliver(t, Config{Host: s.addr(), Dial: countWrites(s, &writes)}, message(to...))
		for i, r := range rep.Results {
			want := smtpstack.Delivered
			switch i {
			case 7:
				want = smtpstack.BadRecipient
			case 60:
				want = smtpstack.Temporary
			}
			if r.Class != want {
				t.Errorf("pipelining %v: %s: %+v", offered, r.To, r)
			}
		}
		if offered && writes > 10 || !offered && writes < 80 {
			t.Errorf("pipelining %v: %d writes", offered, writes)
		}
	}
}

type countingConn struct {
	net.Conn
	n *int
}

func (c countingConn) Write(b []byte) (int, error) { *c.n++; return c.Conn.Write(b) }

func countWrites(s *server, n *int) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := dialTo(s)(ctx, network, addr)
		return countingConn{nc, n}, err
	}
}

// TestPipelining_Broken: what was pipelined behind a refused MAIL or a lost connection is nobody's success.
func TestPipelining_Broken(t *testing.T) {
	for _, tt := range []struct {
		answers map[string]string
		want    []smtpstack.Class
	}{
		{map[string]string{"MAIL": "451 4.7.500 busy"}, []smtpstack.Class{smtpstack.Throttle, smtpstack.Throttle, smtpstack.Throttle}},
		{map[string]string{"MAIL": "550 5.7.60 Send As", "RCPT": "503 5.5.1 MAIL first"}, []smtpstack.Class{smtpstack.Configuration, smtpstack.Configuration, smtpstack.Configuration}},
		{map[string]string{"RCPT TO:<b@": "HANGUP"}, []smtpstack.Class{smtpstack.Temporary, smtpstack.Temporary, smtpstack.Temporary}},
		{map[string]string{"RCPT TO:<a@": "550 5.1.1 no", "RCPT TO:<c@": "HANGUP"}, []smtpstack.Class{smtpstack.BadRecipient, smtpstack.Temporary, smtpstack.Temporary}},
		{map[string]string{"RCPT": "550 5.1.1 no"}, []smtpstack.Class{smtpstack.BadRecipient, smtpstack.BadRecipient, smtpstack.BadRecipient}},
	} {
		s := newServer(t, tt.answers)
		rep := deliver(t, Config{Host: s.addr(), Timeouts: quick()}, message("a@x.example", "b@x.example", "c@x.example"))
		for i, r := range rep.Results {
			if r.Class != tt.want[i] {
				t.Errorf("%v: %s: %+v", tt.answers, r.To, r)
			}
		}
		if len(s.received()) != 0 || strings.Contains(s.said(), "DATA") {
			t.Errorf("%v: data went out: %q", tt.answers, s.said())
		}
	}
}

// TestDSN through the peer, which keeps the parameters, and to a server without the extension.
func TestDSN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		m := mailFrom(faxBox, jane, "a@elsewhere.example")
		m.DSN = &DSN{Return: "HDRS", EnvelopeID: "job 12+3=x", Notify: []string{"FAILURE", "DELAY"}, Original: map[string]string{jane: "j+d@contoso.com"}}
		if r := last(s.deliver(s.submission(), m)); r.Class != smtpstack.Delivered {
			t.Fatalf("%+v", r)
		}
		got := s.p.Messages()[0]
		if !strings.HasSuffix(got.MailParam, " RET=HDRS ENVID=job+2012+2B3+3Dx") || got.RcptParam[0] != "NOTIFY=FAILURE,DELAY ORCPT=rfc822;j+2Bd@contoso.com" || got.RcptParam[1] != "NOTIFY=FAILURE,DELAY" {
			t.Errorf("%q, %q", got.MailParam, got.RcptParam)
		}
	})
	s := newServer(t, nil)
	m := message("a@x.example")
	m.DSN = &DSN{Return: "FULL", Notify: []string{"NEVER"}}
	if r := last(deliver(t, Config{Host: s.addr()}, m)); r.Class != smtpstack.Delivered || strings.Contains(s.said(), "RET") || strings.Contains(s.said(), "NOTIFY") {
		t.Errorf("%+v, %q", r, s.said())
	}
}

func TestDSN_Check(t *testing.T) {
	for _, bad := range []DSN{{Return: "full"}, {Notify: []string{"NEVER", "DELAY"}}, {Notify: []string{"X"}}, {EnvelopeID: "a\r\nb"}, {EnvelopeID: strings.Repeat("x", 101)},
		{Original: map[string]string{"a": "b\n"}}} {
		if bad.Check() == nil {
			t.Errorf("taken: %+v", bad)
		}
		s := newServer(t, map[string]string{"EHLO": "250-srv\r\n250 DSN"})
		m := message("a@x.example")
		m.DSN = &bad
		if r := last(deliver(t, Config{Host: s.addr()}, m)); r.Class != smtpstack.Delivered || s.said() != "EHLO box.example.com\nMAIL FROM:<fax@example.com>\nRCPT TO:<a@x.example>\nDATA\nQUIT" {
			t.Errorf("%+v, %q", r, s.said())
		}
	}
}

func TestSMTPUTF8(t *testing.T) {
	with := map[string]string{"EHLO": "250-srv\r\n250-8BITMIME\r\n250 SMTPUTF8"}
	s := newServer(t, with)
	rep := deliver(t, Config{Host: s.addr()}, message("jörg@bücher.example", "a@x.example"))
	if rep.Results[0].Class != smtpstack.Delivered || !strings.Contains(s.said(), "MAIL FROM:<fax@example.com> BODY=8BITMIME SMTPUTF8\nRCPT TO:<jörg@xn--bcher-kva.example>") {
		t.Errorf("%+v, %q", rep.Results, s.said())
	}
	s = newServer(t, with)
	if deliver(t, Config{Host: s.addr()}, message("a@bücher.example")); strings.Contains(s.said(), "SMTPUTF8") {
		t.Errorf("not needed: %q", s.said())
	}
	s = newServer(t, nil)
	rep = deliver(t, Config{Host: s.addr()}, message("jörg@x.example", "a@x.example"))
	if rep.Results[0].Class != smtpstack.BadRecipient || rep.Results[0].Reply.Enhanced != "5.6.7" || rep.Results[1].Class != smtpstack.Delivered {
		t.Errorf("%+v", rep.Results)
	}
	m := message("a@x.example")
	m.From = "fäx@example.com"
	if r := last(deliver(t, Config{Host: s.addr()}, m)); r.Class != smtpstack.Configuration {
		t.Errorf("%+v", r)
	}
	m = message("a@x.example")
	m.UTF8 = true
	if r := last(deliver(t, Config{Host: s.addr()}, m)); r.Class != smtpstack.Permanent {
		t.Errorf("%+v", r)
	}
	if r := last(deliver(t, Config{Host: s.addr()}, message("\xff\xfe@x.example"))); r.Class != smtpstack.BadRecipient {
		t.Errorf("%+v", r)
	}
}

// TestMailReader_EveryCut: what line ends become does not depend on where a read ends.
func TestMailReader_EveryCut(t *testing.T) {
	for in, want := range map[string]string{"ab\rcd\r\ne\r\r\nf\n\rg\r": "ab\ncd\ne\n\nf\n\ng\n", "\r": "\n", "\r\n": "\n", "": ""} {
		for i := range len(in) + 1 {
			for j := i; j <= len(in); j++ {
				r := &mailReader{c: &conn{ctx: t.Context()}, r: io.MultiReader(strings.NewReader(in[:i]), strings.NewReader(in[i:j]), strings.NewReader(in[j:]))}
				if got, err := io.ReadAll(r); string(got) != want || err != nil {
					t.Errorf("%q cut at %d and %d: %q, %v", in, i, j, got, err)
				}
			}
		}
	}
}

// otherAuthorities is a TLS server that names only authorities which did not issue the client's certificate.
func otherAuthorities(t *testing.T, nc net.Conn, cert *tls.Certificate, shown *int) {
	t.Helper()
	_, pool := selfSigned(t, "other authority")
	tc := tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{*cert}, ClientAuth: tls.RequestClientCert, ClientCAs: pool, SessionTicketsDisabled: true})
	if err := tc.Handshake(); err != nil {
		t.Error(err)
	}
	*shown = len(tc.ConnectionState().PeerCertificates)
	nc.Close()
}

// TestClientCertificate_AlwaysShown with its chain, whatever authorities the server names.
func TestClientCertificate_AlwaysShown(t *testing.T) {
	cert, pool := selfSigned(t, "mail.test")
	own, _ := selfSigned(t, "fax.example.com")
	own.Certificate = append(own.Certificate, cert.Certificate[0])
	client, srv := net.Pipe()
	shown, done := 0, make(chan struct{})
	go func() { defer close(done); otherAuthorities(t, srv, cert, &shown) }()
	cfg := &tls.Config{RootCAs: pool, ServerName: "mail.test", Certificates: []tls.Certificate{*own}}
	new(conn).sendCertificate(cfg)
	if err := tls.Client(client, cfg).Handshake(); err != nil {
		t.Error(err)
	}
	<-done
	if shown != 2 {
		t.Errorf("%d certificates were shown", shown)
	}
}

// TestXOAUTH2_LongTokenWaits: a response that makes the command longer than 512 octets goes out after the challenge.
func TestXOAUTH2_LongTokenWaits(t *testing.T) {
	cert, pool := selfSigned(t, "mail.test")
	s := newServer(t, map[string]string{"EHLO": "250-srv\r\n250-AUTH XOAUTH2\r\n250 STARTTLS", "STARTTLS": "TLS", "AUTH": "334 ", "dXNlcj": "235 2.7.0 welcome"})
	s.cert = cert
	rep := deliver(t, Config{Host: "mail.test", Auth: NewXOAUTH2("jane", fixed(strings.Repeat("t", 3000))), TLSConfig: tlsRoots(pool), Dial: dialTo(s)}, message("a@x.example"))
	if rep.Results[0].Class != smtpstack.Delivered || !strings.Contains(s.said(), "\nAUTH XOAUTH2\ndXNlcj") {
		t.Errorf("%+v\n%.300s", rep.Results, s.said())
	}
}

// fixed is a token source of one token.
type fixed string

func (f fixed) Token(context.Context) (string, error) { return string(f), nil }
func (fixed) Reject(string)                           {}
