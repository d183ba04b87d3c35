package receive

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCommands_Order(t *testing.T) {
	_, addr := start(t, testConfig(), &memory{})
	c := dial(t, addr)
	c.expect("220 ")
	for _, step := range [][2]string{
		{"MAIL FROM:<a@example.com>", "503 5.5.1"}, {"EHLO", "501 5.5.4"}, {"EHLO a(b", "501"}, {"RCPT TO:<1@fax.example.com>", "503 5.5.1"},
		{"helo old.test", "250 fax.test"}, {"DATA", "503 5.5.1"}, {"MAIL FROM:<a@example.com>", "250"},
		{"MAIL FROM:<b@example.com>", "503 5.5.1"}, {"DATA", "503"}, {"DATA x", "501"}, {"RCPT TO:<1@fax.example.com>", "250"},
		{"RSET", "250"}, {"DATA", "503"}, {"VRFY root", "252"}, {"EXPN all", "502"}, {"STARTTLS", "503"}, {"AUTH PLAIN AGEAYg==", "502"},
		{"NOOP", "250"}, {"XYZZY", "500 5.5.1"}, {"", "500"},
	} {
		c.cmd(step[0], step[1])
	}
}

func TestCommands_Pipelined(t *testing.T) {
	b := &memory{}
	_, addr := start(t, testConfig(), b)
	c := dial(t, addr)
	c.expect("220 ")
	c.cmd("EHLO x", "250 ")
	c.send("MAIL FROM:<a@example.com>\r\nRCPT TO:<1@fax.example.com>\r\nRCPT TO:<x@fax.example.com>\r\nDATA\r\n")
	c.expect("250 2.1.0")
	c.expect("250 2.1.5")
	c.expect("550 5.1.3")
	c.expect("354 ")
	c.send("A: b\r\n\r\nc\r\n.\r\nQUIT\r\n")
	c.expect("250 2.0.0")
	c.expect("221 ")
	if len(b.all()) != 1 {
		t.Error("not taken")
	}
}

func TestCommands_BareLFAndLongLinesHangUp(t *testing.T) {
	_, addr := start(t, testConfig(), &memory{})
	for _, in := range []string{"EHLO x\n", "NOOP " + strings.Repeat("x", 3000) + "\r\n", strings.Repeat("x", 20000)} {
		c := dial(t, addr)
		c.expect("220 ")
		c.send(in)
		c.expect("500 5.5.2")
		c.closed()
	}
}

func TestCommands_TooManyErrors(t *testing.T) {
	_, addr := start(t, testConfig(), &memory{})
	c := dial(t, addr)
	c.expect("220 ")
	for range maxErrors + 1 {
		c.cmd("NONSENSE", "500")
	}
	c.expect("421 4.7.0")
	c.closed()
}

func TestRecipients_Limit(t *testing.T) {
	cfg := testConfig()
	cfg.MaxRecipients = 2
	b := &memory{}
	_, addr := start(t, cfg, b)
	c := dial(t, addr)
	c.begin()
	c.cmd("RCPT TO:<2@fax.example.com>", "250")
	c.cmd("RCPT TO:<3@fax.example.com>", "452 4.5.3")
	c.cmd("DATA", "354")
	c.send("A: b\r\n\r\n.\r\n")
	c.expect("250")
	if n := len(b.all()[0].env.To); n != 2 {
		t.Errorf("%d recipients", n)
	}
}

func TestBdat(t *testing.T) {
	b := &memory{}
	_, addr := start(t, testConfig(), b)
	c := dial(t, addr)
	c.begin()
	c.send("BDAT 8\r\nA: b\r\n\r\n")
	c.expect("250 2.0.0")
	c.cmd("RCPT TO:<2@fax.example.com>", "503")
	c.send("BDAT 6\r\n.\r\n.a\r") // dots are nothing special here
	c.expect("250")
	c.send("BDAT 3 LAST\r\n\nb\n")
	c.expect("250 2.0.0 taken")
	c.cmd("NOOP", "250")
	if got := b.all()[0].data; !strings.HasSuffix(got, "\r\nA: b\r\n\r\n.\r\n.a\r\nb\r\n") {
		t.Errorf("stored %q", got)
	}
	c.send("BDAT 4\r\nquit") // no transaction: the chunk is skipped all the same
	c.expect("503")
	c.cmd("MAIL FROM:<a@example.com>", "250")
	c.cmd("RCPT TO:<1@fax.example.com>", "250")
	c.send("BDAT 100001\r\n" + strings.Repeat("x", 100001))
	c.expect("552 5.3.4")
	c.cmd("NOOP", "250")
	c.cmd("BDAT x", "501")
	c.closed()
	if len(b.all()) != 1 {
		t.Errorf("%d taken", len(b.all()))
	}
}

func TestBdat_ResetAborts(t *testing.T) {
	b := &memory{}
	_, addr := start(t, testConfig(), b)
	c := dial(t, addr)
	c.begin()
	c.send("BDAT 3\r\nabc")
	c.expect("250")
	c.cmd("RSET", "250")
	if b.aborts() != 1 {
		t.Error("spool not aborted")
	}
	c.cmd("BDAT 99999999999", "552") // more than anybody will read
	c.closed()
}

// TestBdat_CutOffIsNotTaken: go-smtp's own BDAT takes the end of the connection for that of the last chunk.
func TestBdat_CutOffIsNotTaken(t *testing.T) {
	for _, sent := range []string{"BDAT 10 LAST\r\n", "BDAT 10 LAST\r\nhalf", "BDAT 4\r\nhalf", "BDAT 4\r\nhalfBDAT 1 LAST\r\n"} {
		b := &memory{}
		srv, addr := start(t, testConfig(), b)
		c := dial(t, addr)
		c.begin()
		c.send(sent)
		c.nc.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		if len(b.all()) != 0 {
			t.Errorf("%q: taken %q", sent, b.all()[0].data)
		}
	}
}

func TestBdat_Sizes(t *testing.T) {
	b := &memory{}
	cfg := testConfig()
	cfg.MaxSize = 1000
	_, addr := start(t, cfg, b)
	c := dial(t, addr)
	c.expect("220 ")
	c.cmd("EHLO x", "250 ")
	begin := func() {
		t.Helper()
		c.cmd("MAIL FROM:<a@example.com>", "250")
		c.cmd("RCPT TO:<1@fax.example.com>", "250")
	}
	c.cmd("BDAT 0", "503")
	begin()
	c.cmd("BDAT 0", "250")
	c.cmd("BDAT 0 LAST", "250 2.0.0 taken")
	begin()
	c.send("BDAT 4\r\nlost")
	c.expect("250")
	c.cmd("RSET", "250")
	begin()
	c.send("BDAT 4\r\nlost")
	c.expect("250")
	c.cmd("STARTTLS", "503")
	c.cmd("NOOP", "250")
	c.cmd("EHLO x", "250 ") // like RSET
	c.cmd("DATA", "503")
	begin()
	c.send("BDAT 600\r\n" + strings.Repeat("x", 600))
	c.expect("250")
	c.cmd("EHLO", "501") // changes nothing
	c.send("BDAT 400 LAST\r\n" + strings.Repeat("y", 400))
	c.expect("250 2.0.0 taken")
	begin()
	c.send("BDAT 600\r\n" + strings.Repeat("x", 600) + "BDAT 401 LAST\r\n" + strings.Repeat("y", 401))
	c.expect("250")
	c.expect("552 5.3.4")
	begin()
	c.send("BDAT 1000 LAST\r\n" + strings.Repeat("\n", 1000)) // grows when stored
	c.expect("552 5.3.4")
	begin()
	c.cmd("DATA", "354") // the limit for DATA is the same after all that
	c.send(strings.Repeat("x", 998) + "\r\n.\r\n")
	c.expect("250 2.0.0 taken as job-3")
	if got := b.all()[1].data; strings.Contains(got, "lost") || !strings.HasSuffix(got, strings.Repeat("y", 400)) {
		t.Errorf("stored %q", got)
	}
}

func TestStartTLS(t *testing.T) {
	cert, pool := selfSigned(t, "fax.test")
	cfg := testConfig()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	cfg.RequireTLS = true
	b := &memory{}
	_, addr := start(t, cfg, b)
	c := dial(t, addr)
	c.expect("220 ")
	if got := c.cmd("EHLO x", "250 "); !strings.Contains(got, "STARTTLS") {
		t.Fatalf("not offered: %q", got)
	}
	c.cmd("MAIL FROM:<jane@example.com>", "530 5.7.0")
	c.cmd("STARTTLS", "220 2.0.0")
	tc := tls.Client(c.nc, &tls.Config{RootCAs: pool, ServerName: "fax.test"})
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.nc, c.r = tc, bufio.NewReader(tc)
	c.cmd("MAIL FROM:<jane@example.com>", "503") // EHLO is forgotten
	if got := c.cmd("EHLO x", "250 "); strings.Contains(got, "STARTTLS") {
		t.Error("STARTTLS offered inside TLS")
	}
	c.cmd("MAIL FROM:<jane@example.com> X=1", "555") // the library traps hold inside TLS too
	c.cmd("MAIL FROM:<jane@example.com>", "250")
	c.cmd("RCPT TO:<postmaster>", "250")
	c.cmd("DATA", "354")
	c.send("a\n.\r\nb\r\n.\r\n")
	c.expect("250 2.0.0")
	m := b.all()[0]
	if m.env.TLS == nil || !strings.Contains(m.data, "with ESMTPS id") || !strings.HasSuffix(m.data, "a\r\n.\r\nb\r\n") {
		t.Errorf("TLS %v, stored %q", m.env.TLS != nil, m.data)
	}
	c.cmd("QUIT", "221")
}

// TestStartTLS_Injection: commands sent with STARTTLS in the clear must not run inside TLS (CVE-2011-0411).
func TestStartTLS_Injection(t *testing.T) {
	cert, _ := selfSigned(t, "fax.test")
	cfg := testConfig()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	_, addr := start(t, cfg, &memory{})
	c := dial(t, addr)
	c.expect("220 ")
	c.cmd("EHLO x", "250 ")
	c.send("STARTTLS\r\nMAIL FROM:<a@example.com>\r\n")
	c.expect("501 5.5.1")
	c.closed()
}

// TestData_BeforeThe354: a client that does not wait for it hears it all the same.
func TestData_BeforeThe354(t *testing.T) {
	_, addr := start(t, testConfig(), &memory{})
	c := dial(t, addr)
	c.begin()
	c.send("DATA\r\nA: ")
	c.expect("354")
	c.send("b\r\n\r\n.\r\n")
	c.expect("250 2.0.0")
}

// TestStartTLS_OnlyOnTheWire: go-smtp takes these for STARTTLS and would answer it itself.
func TestStartTLS_OnlyOnTheWire(t *testing.T) {
	cert, _ := selfSigned(t, "fax.test")
	cfg := testConfig()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	_, addr := start(t, cfg, &memory{})
	c := dial(t, addr)
	c.expect("220 ")
	c.cmd("STARTTLSX", "500")
	c.cmd("\u017ftarttls", "500")
	c.cmd("\tSTARTTLS", "500")
	c.cmd("STARTTLS now", "501 5.5.4")
	c.cmd("EHLO x", "250 ")
}

func TestStartTLS_SilentHandshake(t *testing.T) {
	cert, _ := selfSigned(t, "fax.test")
	cfg := testConfig()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	synctest.Test(t, func(t *testing.T) {
		c, done := pipeServer(t, cfg, &memory{})
		r := bufio.NewReader(c)
		r.ReadString('\n')
		fmt.Fprintf(c, "STARTTLS\r\n")
		r.ReadString('\n')
		began := time.Now()
		if b, err := r.ReadByte(); err == nil {
			t.Errorf("got %q in the handshake's place", b)
		}
		<-done
		if d := time.Since(began); d != 5*time.Minute {
			t.Errorf("cut off after %v", d)
		}
	})
}

func TestLimits_Connections(t *testing.T) {
	cfg := testConfig()
	cfg.MaxConns, cfg.MaxConnsPerIP = 3, 2
	srv, addr := start(t, cfg, &memory{})
	one, two := dial(t, addr), dial(t, addr)
	one.expect("220 ")
	two.expect("220 ")
	third := dial(t, addr)
	third.expect("421 4.7.0 too many connections from your address")
	third.closed()
	one.cmd("QUIT", "221")
	one.closed()
	for range 200 { // the server frees the place when it has seen the connection go
		srv.mu.Lock()
		n := len(srv.sessions)
		srv.mu.Unlock()
		if n == 1 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	dial(t, addr).expect("220 ")
}

// pipeServer runs one session over net.Pipe inside a synctest bubble.
func pipeServer(t *testing.T, cfg Config, b Backend) (net.Conn, <-chan struct{}) {
	srv, err := New(cfg, b)
	if err != nil {
		t.Fatal(err)
	}
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		newSession(srv, server, clientAddr(server)).serve(context.Background())
	}()
	return client, done
}

func TestSlow_IdleClientIsSentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, done := pipeServer(t, testConfig(), &memory{})
		r := bufio.NewReader(c)
		r.ReadString('\n')
		began := time.Now()
		line, _ := r.ReadString('\n')
		if !strings.HasPrefix(line, "421 4.4.2") || time.Since(began) != 5*time.Minute {
			t.Errorf("%q after %v", line, time.Since(began))
		}
		<-done
	})
}

func TestSlow_DrippedCommandHasNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, done := pipeServer(t, testConfig(), &memory{})
		r := bufio.NewReader(c)
		r.ReadString('\n')
		began := time.Now()
		go func() {
			for {
				if _, err := c.Write([]byte("N")); err != nil {
					return
				}
				select {
				case <-done:
					return
				case <-time.After(time.Minute):
				}
			}
		}()
		line, _ := r.ReadString('\n')
		if !strings.HasPrefix(line, "421 4.4.2") || time.Since(began) != 5*time.Minute {
			t.Errorf("%q after %v", line, time.Since(began))
		}
		<-done
		c.Close()
	})
}

func TestSlow_Data(t *testing.T) {
	tests := []struct {
		name  string
		pause time.Duration
		want  time.Duration
	}{
		{"silent", time.Hour, 3 * time.Minute},
		{"dripping", 2 * time.Minute, 30 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &memory{}
				c, done := pipeServer(t, testConfig(), b)
				r := bufio.NewReader(c)
				r.ReadString('\n')
				for _, cmd := range []string{"HELO x", "MAIL FROM:<a@example.com>", "RCPT TO:<1@fax.example.com>", "DATA"} {
					fmt.Fprintf(c, "%s\r\n", cmd)
					r.ReadString('\n')
				}
				began := time.Now()
				go func() {
					for {
						select {
						case <-done:
							return
						case <-time.After(tt.pause):
						}
						if _, err := c.Write([]byte("x\r\n")); err != nil {
							return
						}
					}
				}()
				line, _ := r.ReadString('\n')
				if !strings.HasPrefix(line, "421 4.4.2") || time.Since(began) != tt.want {
					t.Errorf("%q after %v, want %v", line, time.Since(began), tt.want)
				}
				<-done
				c.Close()
				if b.aborts() != 1 || len(b.all()) != 0 {
					t.Errorf("%d aborted, %d taken", b.aborts(), len(b.all()))
				}
			})
		})
	}
}

func TestBrokenOff_IsAborted(t *testing.T) {
	b := &memory{}
	srv, addr := start(t, testConfig(), b)
	c := dial(t, addr)
	c.begin()
	c.cmd("DATA", "354")
	c.send("half a mess")
	c.nc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if b.aborts() != 1 || len(b.all()) != 0 {
		t.Errorf("%d aborted, %d taken", b.aborts(), len(b.all()))
	}
}

func TestShutdown_FinishesTheMessage(t *testing.T) {
	b := &memory{}
	srv, addr := start(t, testConfig(), b)
	idle, busy := dial(t, addr), dial(t, addr)
	idle.expect("220 ")
	busy.begin()
	busy.cmd("DATA", "354")
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(context.Background()) }()
	idle.expect("421 4.3.2")
	idle.closed()
	busy.send("A: b\r\n\r\n.\r\n")
	busy.expect("250 2.0.0")
	busy.expect("421 4.3.2")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		t.Error("still listening")
	}
}

func TestShutdown_ContextCutsOff(t *testing.T) {
	b := &memory{}
	srv, addr := start(t, testConfig(), b)
	busy := dial(t, addr)
	busy.begin()
	busy.cmd("DATA", "354")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestTrace_NoSecrets(t *testing.T) {
	var lines []string
	ch := make(chan string, 100)
	cfg := testConfig()
	cfg.Trace = func(e Event) { ch <- e.Dir + e.Text }
	srv, addr := start(t, cfg, &memory{})
	c := dial(t, addr)
	c.begin()
	c.cmd("AUTH PLAIN c2VjcmV0", "502")
	c.cmd("DATA", "354")
	c.send("confidential words\r\n.\r\n")
	c.expect("250")
	c.cmd("QUIT", "221")
	c.closed()
	srv.Shutdown(t.Context())
	for len(ch) > 0 {
		lines = append(lines, <-ch)
	}
	all := strings.Join(lines, "\n")
	if strings.Contains(all, "c2VjcmV0") || strings.Contains(all, "confidential") {
		t.Errorf("trace shows too much:\n%s", all)
	}
	for _, want := range []string{"<MAIL FROM:<jane@example.com>", ">250 2.0.0 taken as job-1", "<AUTH PLAIN ...", "!disconnected"} {
		if !strings.Contains(all, want) {
			t.Errorf("trace lacks %q:\n%s", want, all)
		}
	}
}

func TestNew_RefusesBadConfig(t *testing.T) {
	for _, change := range []func(*Config){
		func(c *Config) { c.Hostname = "" },
		func(c *Config) { c.Hostname = "a\r\nb" },
		func(c *Config) { c.RequireTLS = true },
		func(c *Config) { c.MaxSize = -1 },
		func(c *Config) { c.ImplicitTLS = true },
		func(c *Config) { c.RequireAuth = true },
		func(c *Config) { c.ClientCert = &ClientCert{Names: []string{"a.test"}} }, // and no TLS
		func(c *Config) { c.TLS, c.ClientCert = &tls.Config{}, &ClientCert{} },
		func(c *Config) { c.TLS, c.ClientCert = &tls.Config{}, &ClientCert{Names: []string{"a.test", ""}} },
		func(c *Config) {
			c.Authenticate = func(context.Context, string, string, netip.Addr) error { return nil }
		},
	} {
		cfg := testConfig()
		change(&cfg)
		if _, err := New(cfg, &memory{}); err == nil {
			t.Errorf("taken: %+v", cfg)
		}
	}
}
