package receive

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// authConfig lets "scanner" with "pässword" sign in, also in the clear.
func authConfig(checked *atomic.Int32) Config {
	cfg := testConfig()
	cfg.RequireAuth = true
	cfg.AuthInClear = cfg.Networks
	cfg.Authenticate = func(_ context.Context, user, password string, client netip.Addr) error {
		checked.Add(1)
		switch {
		case user == "trouble":
			return errors.New("the user table cannot be read: secret details")
		case user != "scanner" || password != "pässword" || !client.IsLoopback():
			return fmt.Errorf("check: %w", ErrBadCredentials)
		}
		return nil
	}
	return cfg
}

func TestAuth_Exchanges(t *testing.T) {
	good := b64("\x00scanner\x00pässword")
	tests := []struct {
		name  string
		steps [][2]string // what is said, how the answer begins
	}{
		{"PLAIN at once", [][2]string{{"AUTH PLAIN " + good, "235 2.7.0"}}},
		{"plain in two steps", [][2]string{{"auth plain", "334 "}, {good, "235 2.7.0"}}},
		{"PLAIN for oneself", [][2]string{{"AUTH PLAIN " + b64("scanner\x00scanner\x00pässword"), "235 2.7.0"}}},
		{"PLAIN for somebody else", [][2]string{{"AUTH PLAIN " + b64("boss\x00scanner\x00pässword"), "535 5.7.8"}}},
		{"LOGIN", [][2]string{{"AUTH LOGIN", "334 VXNlcm5hbWU6"}, {b64("scanner"), "334 UGFzc3dvcmQ6"}, {b64("pässword"), "235"}}},
		{"LOGIN with the user", [][2]string{{"AUTH LOGIN " + b64("scanner"), "334 UGFzc3dvcmQ6"}, {b64("pässword"), "235"}}},
		{"wrong password", [][2]string{{"AUTH PLAIN " + b64("\x00scanner\x00wrong"), "535 5.7.8"}}},
		{"no such user", [][2]string{{"AUTH PLAIN " + b64("\x00nobody\x00pässword"), "535 5.7.8"}}},
		{"empty response", [][2]string{{"AUTH PLAIN =", "535 5.7.8"}}},
		{"too few parts", [][2]string{{"AUTH PLAIN " + b64("scanner"), "535 5.7.8"}}},
		{"too many parts", [][2]string{{"AUTH PLAIN " + b64("\x00scanner\x00pässword\x00"), "535 5.7.8"}}},
		{"line break in the user", [][2]string{{"AUTH PLAIN " + b64("\x00scan\r\nner\x00pässword"), "535 5.7.8"}}},
		{"cancelled", [][2]string{{"AUTH LOGIN", "334"}, {"*", "501 5.7.0"}}},
		{"not base64", [][2]string{{"AUTH PLAIN !!!", "501 5.5.2"}}},
		{"not base64 later", [][2]string{{"AUTH LOGIN", "334"}, {"a", "501 5.5.2"}}},
		{"unknown mechanism", [][2]string{{"AUTH CRAM-MD5", "504 5.5.4"}}},
		{"no mechanism", [][2]string{{"AUTH", "504 5.5.4"}}},
		{"check fails", [][2]string{{"AUTH PLAIN " + b64("\x00trouble\x00x"), "454 4.7.0"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var checked atomic.Int32
				b := &memory{}
				nc, done := pipeServer(t, authConfig(&checked), b)
				c := &client{t: t, nc: nc, r: bufio.NewReader(nc)}
				c.expect("220 ")
				if got := c.cmd("EHLO x", "250 "); !strings.Contains(got, "250-AUTH PLAIN LOGIN\n") {
					t.Errorf("not offered: %q", got)
				}
				c.cmd("MAIL FROM:<jane@example.com>", "530 5.7.0 sign in first")
				last := ""
				for _, s := range tt.steps {
					last = c.cmd(s[0], s[1])
				}
				if strings.Contains(last, "secret details") {
					t.Errorf("the check's trouble is told: %q", last)
				}
				signedIn := strings.HasPrefix(last, "235")
				if !signedIn {
					c.cmd("MAIL FROM:<jane@example.com>", "530 5.7.0")
				} else {
					c.cmd("AUTH PLAIN "+good, "503 5.5.1")
					if got := c.cmd("EHLO x", "250 "); strings.Contains(got, "AUTH") {
						t.Errorf("offered again: %q", got)
					}
					c.cmd("MAIL FROM:<jane@example.com> AUTH=<>", "250")
					c.cmd("AUTH PLAIN "+good, "503 5.5.1")
					c.cmd("RCPT TO:<1@fax.example.com>", "250")
					c.cmd("DATA", "354")
					c.send(".\r\n")
					c.expect("250")
					if m := b.all()[0]; m.env.User != "scanner" || !strings.Contains(m.data, "with ESMTPA id") {
						t.Errorf("user %q, stored %q", m.env.User, m.data)
					}
				}
				c.cmd("QUIT", "221")
				<-done
			})
		})
	}
}

func TestAuth_NotOffered(t *testing.T) {
	var checked atomic.Int32
	cert, pool := selfSigned(t, "fax.test")
	cfg := authConfig(&checked)
	cfg.AuthInClear = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	_, addr := start(t, cfg, &memory{})
	c := dial(t, addr)
	c.expect("220 ")
	good := "AUTH PLAIN " + b64("\x00scanner\x00pässword")
	c.cmd(good, "503 5.5.1") // EHLO first
	if got := c.cmd("EHLO x", "250 "); strings.Contains(got, "AUTH") {
		t.Errorf("offered in the clear: %q", got)
	}
	c.cmd(good, "538 5.7.11")
	if checked.Load() != 0 {
		t.Error("a password in the clear was looked at")
	}
	c.startTLS(&tls.Config{RootCAs: pool, ServerName: "fax.test"})
	if got := c.cmd("EHLO x", "250 "); !strings.Contains(got, "AUTH PLAIN LOGIN") {
		t.Errorf("not offered under TLS: %q", got)
	}
	c.cmd(good, "235")
	c.cmd("MAIL FROM:<jane@example.com>", "250")
}

// TestAuth_ForgottenAtSTARTTLS: a sign-in in the clear does not count inside TLS (RFC 3207 4.2).
func TestAuth_ForgottenAtSTARTTLS(t *testing.T) {
	var checked atomic.Int32
	cert, pool := selfSigned(t, "fax.test")
	cfg := authConfig(&checked)
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	_, addr := start(t, cfg, &memory{})
	c := dial(t, addr)
	c.expect("220 ")
	c.cmd("EHLO x", "250 ")
	c.cmd("AUTH PLAIN "+b64("\x00scanner\x00pässword"), "235")
	c.startTLS(&tls.Config{RootCAs: pool, ServerName: "fax.test"})
	c.cmd("EHLO x", "250 ")
	c.cmd("MAIL FROM:<jane@example.com>", "530 5.7.0")
}

// TestAuth_FailuresSlowDown: each failure waits longer, then nothing is checked any more, also for new connections; an
// hour later all is forgotten.
func TestAuth_FailuresSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var checked atomic.Int32
		cfg := authConfig(&checked)
		cfg.Limits.FailedSignInsPerHour = 6
		srv, err := New(cfg, &memory{})
		if err != nil {
			t.Fatal(err)
		}
		connect := func() *client {
			nc, server := net.Pipe()
			go newSession(srv, server, clientAddr(server)).serve(context.Background())
			c := &client{t: t, nc: nc, r: bufio.NewReader(nc)}
			c.expect("220 ")
			c.cmd("EHLO x", "250 ")
			return c
		}
		c := connect()
		bad := "AUTH PLAIN " + b64("\x00scanner\x00guess")
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 16} {
			began := time.Now()
			c.cmd(bad, "535 5.7.8")
			if got := time.Since(began); got != want*time.Second {
				t.Errorf("failure %d took %v", i+1, got)
			}
		}
		n := checked.Load()
		began := time.Now()
		c.cmd("AUTH PLAIN "+b64("\x00scanner\x00pässword"), "454 4.7.0 too many failed sign-ins")
		c.cmd("QUIT", "221")
		c = connect()
		c.cmd(bad, "454 4.7.0")
		if checked.Load() != n || time.Since(began) < 2*mostPenalty {
			t.Errorf("checked again, or answered at once: %v", time.Since(began))
		}
		c.cmd("QUIT", "221")
		time.Sleep(time.Hour)
		c = connect()
		c.cmd("AUTH PLAIN "+b64("\x00scanner\x00pässword"), "235")
		c.cmd("QUIT", "221")
	})
}

// TestAuth_ChecksAreFew: a good hash takes memory, so that only two are made at once.
func TestAuth_ChecksAreFew(t *testing.T) {
	var now, most atomic.Int32
	cfg := testConfig()
	cfg.AuthInClear = cfg.Networks
	cfg.Authenticate = func(context.Context, string, string, netip.Addr) error {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(20 * time.Millisecond)
		now.Add(-1)
		return nil
	}
	_, addr := start(t, cfg, &memory{})
	clients := make([]*client, 8)
	for i := range clients {
		clients[i] = dial(t, addr)
		clients[i].expect("220 ")
		clients[i].cmd("EHLO x", "250 ")
	}
	for _, c := range clients {
		c.send("AUTH PLAIN " + b64("\x00u\x00p") + "\r\n")
	}
	for _, c := range clients {
		c.expect("235")
	}
	if most.Load() != authChecks {
		t.Errorf("%d at once", most.Load())
	}
}

func TestAuth_TraceHasNoSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var checked atomic.Int32
		var lines []string
		cfg := authConfig(&checked)
		cfg.Trace = func(e Event) { lines = append(lines, e.Dir+e.Text) }
		nc, done := pipeServer(t, cfg, &memory{})
		c := &client{t: t, nc: nc, r: bufio.NewReader(nc)}
		c.expect("220 ")
		c.cmd("EHLO x", "250 ")
		c.cmd("AUTH PLAIN "+b64("\x00scanner\x00hunter2"), "535")
		c.cmd("AUTH LOGIN", "334")
		c.cmd(b64("scanner"), "334")
		c.cmd(b64("hunter2"), "535")
		c.cmd("AUTH "+b64("\x00scanner\x00hunter2"), "504")
		c.cmd("AUTH CRAM-MD5", "504")
		c.cmd(b64("hunter2"), "500") // it did not wait for the 504
		c.cmd("AUTHPLAIN "+b64("hunter2"), "500")
		c.cmd("AUTH LOGIN", "334")
		c.cmd(b64("scanner"), "334")
		c.cmd(b64("pässword"), "235")
		c.cmd("QUIT", "221")
		<-done
		all := strings.Join(lines, "\n")
		for _, secret := range []string{"hunter2", b64("hunter2"), b64("\x00scanner\x00hunter2"), b64("pässword"), "pässword"} {
			if strings.Contains(all, strings.TrimRight(secret, "=")) {
				t.Errorf("%q in the trace:\n%s", secret, all)
			}
		}
		for _, want := range []string{"<AUTH PLAIN ...", "!sign-in failed", "!signed in: scanner", "octets that are no command)"} {
			if !strings.Contains(all, want) {
				t.Errorf("no %q in the trace:\n%s", want, all)
			}
		}
	})
}
