package send

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// server is a scripted SMTP server: it answers a command by the longest key it begins with. "HANGUP" hangs up,
// "SILENCE" says nothing more, "TLS" answers 220 and shakes hands. The key "." answers the end of data, "GREETING" comes
// first.
type server struct {
	t       *testing.T
	l       net.Listener
	answers map[string]string
	cert    *tls.Certificate

	mu    sync.Mutex
	lines []string
	mails []string
	conns int
}

var usual = map[string]string{"GREETING": "220 hi", "EHLO": "250-srv\r\n250-SIZE 1000\r\n250 PIPELINING", "HELO": "250 srv", "MAIL": "250 2.1.0 ok",
	"RCPT": "250 2.1.5 ok", "DATA": "354 go", ".": "250 2.0.0 queued", "QUIT": "221 bye", "RSET": "250 ok", "AUTH": "235 2.7.0 welcome"}

func newServer(t *testing.T, changes map[string]string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, l: l, answers: make(map[string]string)}
	for k, v := range usual {
		s.answers[k] = v
	}
	for k, v := range changes {
		s.answers[k] = v
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			s.mu.Unlock()
			wg.Go(func() { s.serve(nc) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return s
}

func (s *server) addr() string { return s.l.Addr().String() }

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

func (s *server) log(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *server) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func (s *server) answer(line string) string {
	best := ""
	for k := range s.answers {
		if strings.HasPrefix(line, k) && len(k) > len(best) {
			best = k
		}
	}
	if best == "" {
		return "500 what?"
	}
	return s.answers[best]
}

func (s *server) serve(nc net.Conn) {
	defer func() { nc.Close() }()
	r := bufio.NewReader(nc)
	line := "GREETING"
	for {
		a := s.answer(line)
		switch a {
		case "HANGUP":
			return
		case "SILENCE":
			io.Copy(io.Discard, r)
			return
		case "TLS":
			fmt.Fprint(nc, "220 go ahead\r\n")
			tc := tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{*s.cert}})
			if tc.Handshake() != nil {
				return
			}
			nc, r = tc, bufio.NewReader(tc)
		default:
			fmt.Fprint(nc, a+"\r\n")
		}
		if line == "DATA" && strings.HasPrefix(a, "354") {
			if !s.data(r) {
				return
			}
			line = "."
			continue
		}
		raw, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(raw, "\r\n")
		s.log(line)
	}
}

func (s *server) data(r *bufio.Reader) bool {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			s.log("(data broken off)")
			return false
		}
		if line == ".\r\n" {
			s.mu.Lock()
			s.mails = append(s.mails, b.String())
			s.mu.Unlock()
			return true
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

func (s *server) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails
}

func mailOf(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

func message(to ...string) Message {
	const text = "Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n"
	return Message{From: "fax@example.com", To: to, Size: int64(len(text)), Open: mailOf(text)}
}

func quick() Timeouts {
	d := 300 * time.Millisecond
	return Timeouts{Connect: d, Greeting: d, Command: 2 * d, DataStart: d, DataBlock: d, DataEnd: d}
}

func deliver(t *testing.T, cfg Config, m Message) Report {
	t.Helper()
	cfg.Hostname = "box.example.com"
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	rep := s.Deliver(ctx, m)
	for i, r := range rep.Results {
		if r.To != m.To[i] || r.Class < smtpstack.Delivered || r.Class > smtpstack.Permanent {
			t.Errorf("result %d: %+v", i, r)
		}
		if (r.Remedy != "") != (r.Class == smtpstack.Configuration) {
			t.Errorf("result %d: class %v, remedy %q", i, r.Class, r.Remedy)
		}
	}
	return rep
}

func transcript(r Report) string {
	var b strings.Builder
	for _, e := range r.Transcript {
		b.WriteString(e.String() + "\n")
	}
	return b.String()
}

func selfSigned(t *testing.T, name string) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func tlsRoots(pool *x509.CertPool) *tls.Config { return &tls.Config{RootCAs: pool} }

// dialTCP leads every connection to an address.
func dialTCP(to string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}
}
