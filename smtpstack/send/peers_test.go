package send

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/receive"
	"github.com/tipring/tipring/smtpstack/smtptest"
)

// sink starts Postfix's smtp-sink, which keeps each mail as a file in dir.
func sink(t *testing.T, args ...string) (addr, dir string) {
	t.Helper()
	prog := smtptest.Program(t, "smtp-sink")
	addr, dir = smtptest.FreeAddr(t), t.TempDir()
	cmd := exec.Command(prog, append(append([]string{}, args...), "-d", filepath.Join(dir, "mail."), addr, "10")...)
	if os.Getuid() == 0 {
		cmd.Args = append(cmd.Args[:1], append([]string{"-u", "root"}, cmd.Args[1:]...)...)
	}
	out := new(strings.Builder)
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 200 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr, dir
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("smtp-sink does not listen: %s", out)
	return "", ""
}

func TestPeer_SMTPSink(t *testing.T) {
	addr, dir := sink(t)
	rep := deliver(t, Config{Host: addr}, message("a@x.example", "b@y.example"))
	for _, r := range rep.Results {
		if r.Class != smtpstack.Delivered {
			t.Fatalf("%+v\n%s", r, transcript(rep))
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "mail.*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	got := string(raw)
	for _, want := range []string{"X-Mail-Args: <fax@example.com>", "X-Rcpt-Args: <a@x.example>", "X-Rcpt-Args: <b@y.example>", "\n.dot\n..\nend\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("smtp-sink's file lacks %q:\n%s", want, got)
		}
	}
}

func TestPeer_SMTPSinkRefuses(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want smtpstack.Class
	}{
		{[]string{"-r", "rcpt"}, smtpstack.Temporary}, // 450 4.3.0
		{[]string{"-q", "data"}, smtpstack.Temporary},
		{[]string{"-f", "."}, smtpstack.Permanent},
	} {
		addr, _ := sink(t, tt.args...)
		r := deliver(t, Config{Host: addr}, message("a@x.example")).Results[0]
		if r.Class != tt.want {
			t.Errorf("%v: %v, want %v: %s", tt.args, r.Class, tt.want, r.Text())
		}
	}
}

// goBackend is a go-smtp server that keeps mails and wants a sign-in when asked to.
type goBackend struct {
	mu    sync.Mutex
	mails []string
	auth  bool
}

type goSession struct {
	b    *goBackend
	user string
}

func (b *goBackend) NewSession(*smtp.Conn) (smtp.Session, error) { return &goSession{b: b}, nil }

func (s *goSession) Reset()        {}
func (s *goSession) Logout() error { return nil }
func (s *goSession) Mail(string, *smtp.MailOptions) error {
	if s.b.auth && s.user == "" {
		return smtp.ErrAuthRequired
	}
	return nil
}
func (s *goSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *goSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.mails = append(s.b.mails, string(raw))
	return err
}
func (s *goSession) AuthMechanisms() []string {
	if s.b.auth {
		return []string{sasl.Plain}
	}
	return nil
}
func (s *goSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "jane" || password != "geheim" {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

func TestPeer_GoSMTP(t *testing.T) {
	cert, pool := selfSigned(t, "mail.test")
	b := &goBackend{auth: true}
	srv := smtp.NewServer(b)
	srv.Domain = "mail.test"
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	cfg := Config{Host: "mail.test", TLSConfig: &tls.Config{RootCAs: pool}, Auth: Plain{"jane", "geheim"},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, l.Addr().String())
		}}
	rep := deliver(t, cfg, message("a@x.example"))
	if rep.Results[0].Class != smtpstack.Delivered || len(b.mails) != 1 || b.mails[0] != "Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n" {
		t.Errorf("%+v, %q\n%s", rep.Results, b.mails, transcript(rep))
	}
	cfg.Auth = Plain{"jane", "wrong"}
	if rep = deliver(t, cfg, message("a@x.example")); rep.Results[0].Class != smtpstack.Configuration {
		t.Errorf("wrong password: %+v", rep.Results)
	}
	cfg.Auth, cfg.TLS = nil, Required
	if rep = deliver(t, cfg, message("a@x.example")); rep.Results[0].Class != smtpstack.Configuration {
		t.Errorf("no sign-in: %+v", rep.Results)
	}
}

// ours is a receive backend that counts.
type ours struct {
	n atomic.Int64
}

func (*ours) Recipient(context.Context, smtpstack.Envelope, smtpstack.Recipient) error { return nil }
func (o *ours) Begin(context.Context, smtpstack.Envelope) (receive.Spool, error)       { return o, nil }
func (o *ours) Write(b []byte) (int, error)                                            { o.n.Add(int64(len(b))); return len(b), nil }
func (o *ours) Commit(context.Context) (string, error)                                 { return fmt.Sprint(o.n.Load()), nil }
func (o *ours) Abort()                                                                 {}

// TestLarge_SmallMemory sends 200 MB from here to the receive connector.
func TestLarge_SmallMemory(t *testing.T) {
	const line = "QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD\r\n"
	const size = 200 << 20 / len(line) * len(line)
	b := &ours{}
	srv, err := receive.New(receive.Config{Hostname: "fax.test", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Senders: []string{"*"}, FaxDomains: []string{"fax.test"}, MaxSize: int64(size)}, b)
	if err != nil {
		t.Fatal(err)
	}
	l, err := receive.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(context.Background(), l) }()
	m := Message{From: "a@b.example", To: []string{"1@fax.test"}, Size: int64(size), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(&lines{text: line, left: size}), nil
	}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rep := deliver(t, Config{Host: l.Addr().String()}, m)
	runtime.ReadMemStats(&after)
	if rep.Results[0].Class != smtpstack.Delivered || b.n.Load() < int64(size) {
		t.Errorf("%+v, %d octets", rep.Results, b.n.Load())
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 2<<20 {
		t.Errorf("%d octets were allocated for a stream", grown)
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, receive.ErrServerClosed) {
		t.Error(err)
	}
}

type lines struct {
	text      string
	pos, left int
}

func (l *lines) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) && l.left > 0 {
		c := min(copy(b[n:], l.text[l.pos:]), l.left)
		n, l.pos, l.left = n+c, (l.pos+c)%len(l.text), l.left-c
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
