package receive

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// taken is one committed message.
type taken struct {
	env  smtpstack.Envelope
	data string
}

// memory is a Backend that keeps messages, with faults to set.
type memory struct {
	mu        sync.Mutex
	messages  []taken
	aborted   int
	rcptErr   error
	beginErr  error
	writeErr  error
	commitErr error
	discard   bool // keep only the length
	length    int64
}

func (b *memory) Recipient(_ context.Context, env smtpstack.Envelope, rcpt smtpstack.Recipient) error {
	if rcpt.Fax.Number == "666" {
		panic("the number of the beast")
	}
	return b.rcptErr
}

func (b *memory) Begin(_ context.Context, env smtpstack.Envelope) (Spool, error) {
	if env.To[len(env.To)-1].Fax.Number == "667" {
		panic("a number that panics when the message begins")
	}
	return &memorySpool{b: b, env: env}, b.beginErr
}

type memorySpool struct {
	b    *memory
	env  smtpstack.Envelope
	data bytes.Buffer
}

func (s *memorySpool) Write(p []byte) (int, error) {
	if s.b.writeErr != nil {
		return 0, s.b.writeErr
	}
	if s.b.discard {
		s.b.length += int64(len(p))
		return len(p), nil
	}
	return s.data.Write(p)
}

func (s *memorySpool) Commit(context.Context) (string, error) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if s.env.To[len(s.env.To)-1].Fax.Number == "668" {
		panic("a number that panics when the message ends")
	}
	if s.b.commitErr != nil {
		return "", s.b.commitErr
	}
	s.b.messages = append(s.b.messages, taken{s.env, s.data.String()})
	return fmt.Sprintf("job-%d", len(s.b.messages)), nil
}

func (s *memorySpool) Abort() {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.aborted++
}

func (b *memory) all() []taken {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.messages
}

func (b *memory) aborts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.aborted
}

func testConfig() Config {
	return Config{
		Name: "test", Hostname: "fax.test",
		Networks:   []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		Senders:    []string{"example.com", "boss@other.test"},
		FaxDomains: []string{"Fax.Example.com"},
		MaxSize:    100_000,
	}
}

// start serves cfg on a loopback port until the test ends.
func start(t *testing.T, cfg Config, b Backend) (*Server, string) {
	t.Helper()
	srv, err := New(cfg, b)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-done; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		srv.wg.Wait()
	})
	return srv, l.Addr().String()
}

// client is a raw SMTP client.
type client struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t: t, nc: nc, r: bufio.NewReader(nc)}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := c.nc.Write([]byte(s)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// expect reads a reply and checks how it begins.
func (c *client) expect(prefix string) string {
	c.t.Helper()
	var all []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("read (want %q): %v", prefix, err)
		}
		all = append(all, strings.TrimRight(line, "\r\n"))
		if len(line) < 4 || line[3] != '-' {
			break
		}
	}
	got := strings.Join(all, "\n")
	if !strings.HasPrefix(all[len(all)-1], prefix) {
		c.t.Fatalf("got %q, want %q", got, prefix)
	}
	return got
}

func (c *client) cmd(line, want string) string {
	c.t.Helper()
	c.send(line + "\r\n")
	return c.expect(want)
}

// begin says everything up to DATA.
func (c *client) begin() {
	c.t.Helper()
	c.expect("220 ")
	c.cmd("EHLO client.test", "250 ")
	c.cmd("MAIL FROM:<jane@example.com>", "250 ")
	c.cmd("RCPT TO:<15551234567@fax.example.com>", "250 ")
}

// closed checks that the server hangs up.
func (c *client) closed() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err == nil {
		c.t.Fatalf("connection still open, got %q", b)
	}
}

func selfSigned(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
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
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// deadlineless is the rest of a net.Conn for scripts.
type deadlineless struct{}

func (deadlineless) Close() error                     { return nil }
func (deadlineless) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (deadlineless) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (deadlineless) SetDeadline(time.Time) error      { return nil }
func (deadlineless) SetReadDeadline(time.Time) error  { return nil }
func (deadlineless) SetWriteDeadline(time.Time) error { return nil }
