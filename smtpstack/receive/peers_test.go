package receive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crypto/tls"

	"github.com/emersion/go-smtp"

	"github.com/tipring/tipring/smtpstack/smtptest"
)

func TestPeer_SMTPSource(t *testing.T) {
	source := smtptest.Program(t, "smtp-source")
	b := &memory{}
	cfg := testConfig()
	cfg.MaxConnsPerIP = 20
	_, addr := start(t, cfg, b)
	out, err := exec.Command(source, "-s", "10", "-m", "200", "-l", "50000", "-f", "jane@example.com", "-t", "15551234567@fax.example.com", addr).CombinedOutput()
	if err != nil {
		t.Fatalf("smtp-source: %v\n%s", err, out)
	}
	if n := len(b.all()); n != 200 {
		t.Fatalf("%d messages of 200", n)
	}
	if o, ok := origin([]byte(b.all()[0].data), nil); !ok || o.Client.String() != "127.0.0.1" {
		t.Errorf("our own Received field reads as %+v", o)
	}
}

// TestPeer_GoSMTP: a client nobody here wrote, with and without TLS and with an exact body.
func TestPeer_GoSMTP(t *testing.T) {
	cert, pool := selfSigned(t, "fax.test")
	cfg := testConfig()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	b := &memory{}
	_, addr := start(t, cfg, b)
	c, err := smtp.DialStartTLS(addr, &tls.Config{RootCAs: pool, ServerName: "fax.test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SendMail("jane@example.com", []string{"1@fax.example.com", "postmaster@fax.example.com"}, strings.NewReader("A: b\r\n\r\n.\r\n..\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := b.all()[0]; !strings.HasSuffix(got.data, "A: b\r\n\r\n.\r\n..\r\n") || !got.env.To[1].Postmaster {
		t.Errorf("got %q, %+v", got.data, got.env.To)
	}
}

// TestLarge_SmallMemory sends 200 MB through DATA and through BDAT.
func TestLarge_SmallMemory(t *testing.T) {
	const size = 200 << 20
	for _, how := range []string{"DATA", "BDAT"} {
		t.Run(how, func(t *testing.T) {
			b := &memory{discard: true}
			cfg := testConfig()
			cfg.MaxSize = size + 1000
			_, addr := start(t, cfg, b)
			c := dial(t, addr)
			c.nc.SetDeadline(time.Now().Add(2 * time.Minute)) // the race detector is slow
			c.begin()
			line := strings.Repeat("QUJD", 19) + "\r\n"
			block := []byte(strings.Repeat(line, 512))
			n := size / len(block)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if how == "DATA" {
				c.cmd("DATA", "354")
			} else {
				c.send(fmt.Sprintf("BDAT %d LAST\r\n", n*len(block)))
			}
			for range n {
				if _, err := c.nc.Write(block); err != nil {
					t.Fatal(err)
				}
			}
			if how == "DATA" {
				c.send(".\r\n")
			}
			c.expect("250 2.0.0")
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
				t.Errorf("%d octets were allocated for a stream", grown)
			}
			if b.length < int64(n*len(block)) {
				t.Errorf("only %d octets arrived", b.length)
			}
		})
	}
}

func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"EHLO a\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<1@fax.example.com>\r\nDATA\r\n.\r\nQUIT\r\n",
		"HELO a\r\nMAIL FROM:<\"a>\\\"b\"@example.com> SIZE=1\r\nRCPT TO:<postmaster>\r\nBDAT 3\r\na\rbBDAT 2 LAST\r\n\n.",
		"RCPT TO:<@a:b@c>\r\nMAIL FROM:\r\n\n",
		"EHLO a\r\nAUTH PLAIN AHUAcA==\r\nMAIL FROM:<a@example.com> RET=FULL ENVID=x SMTPUTF8\r\nRCPT TO:<1@fax.example.com> NOTIFY=NEVER ORCPT=rfc822;a\r\nBDAT 0 LAST\r\n",
		"EHLO a\r\nAUTH LOGIN\r\ndQ==\r\ncA==\r\nAUTH LOGIN dQ==\r\n*\r\nRSET\r\n",
		"EHLO a\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<1@fax.example.com>\r\nDATA\r\nReceived: from a (b [192.0.2.1])\r\n\tby c; x\r\n\r\n.\r\n",
	} {
		f.Add([]byte(s))
	}
	cfg := testConfig()
	cfg.MaxSize = 1000
	cfg.AuthInClear, cfg.TrustedRelays = cfg.Networks, cfg.Networks
	cfg.Authenticate = func(_ context.Context, user, password string, _ netip.Addr) error {
		if user != "u" || password != "p" {
			return ErrBadCredentials
		}
		return nil
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b, out := runScript(t, cfg, in)
		for line := range strings.SplitSeq(strings.TrimSuffix(out, "\r\n"), "\r\n") {
			if len(line) < 4 || line[0] < '2' || line[0] > '5' || strings.ContainsAny(line, "\r\n") || len(line) > 510 {
				t.Errorf("reply %q", line)
			}
		}
		for _, m := range b.all() {
			if m.env.User != "" && m.env.User != "u" {
				t.Errorf("signed in as %q", m.env.User)
			}
			if strings.Contains(strings.ReplaceAll(m.data, "\r\n", ""), "\n") || strings.Contains(strings.ReplaceAll(m.data, "\r\n", ""), "\r") {
				t.Errorf("bare CR or LF stored: %q", m.data)
			}
			if len(m.data) > 1000+600 {
				t.Errorf("%d octets stored", len(m.data))
			}
		}
	})
}

// scriptConn is a connection whose client has said everything already.
type scriptConn struct {
	deadlineless
	r   io.Reader
	out bytes.Buffer
}

func (c *scriptConn) Read(b []byte) (int, error)  { return c.r.Read(b) }
func (c *scriptConn) Write(b []byte) (int, error) { return c.out.Write(b) }

// TestPeer_SwaksSignsIn: swaks as a LAN device, with passwords right and wrong, in the clear, with STARTTLS, with TLS from
// the first octet, and with a client certificate.
func TestPeer_SwaksSignsIn(t *testing.T) {
	swaks := smtptest.Swaks(t)
	server, _ := selfSigned(t, "fax.test")
	ca := newAuthority(t)
	file := filepath.Join(t.TempDir(), "client.pem")
	pemFile(t, file, ca.issue(nil, "scanner.lan.test"))
	var checked atomic.Int32
	cfg := authConfig(&checked)
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{server}}
	cfg.AuthInClear = nil
	cfg.ClientCert = &ClientCert{Roots: ca.pool, Names: []string{"scanner.lan.test"}}
	strict := &memory{}
	_, strictAddr := start(t, cfg, strict)
	cfg.AuthInClear = cfg.Networks
	lax := &memory{}
	_, laxAddr := start(t, cfg, lax)
	cfg.AuthInClear, cfg.ImplicitTLS = nil, true
	implicit := &memory{}
	_, implicitAddr := start(t, cfg, implicit)

	password := []string{"--auth-user", "scanner", "--auth-password", "pässword"}
	for _, tt := range []struct {
		name, addr string
		b          *memory
		args       []string
		fails      string // in swaks' transcript; "": the mail is taken
		cert       string
	}{
		{"STARTTLS and PLAIN", strictAddr, strict, append([]string{"-tls", "--auth", "PLAIN"}, password...), "", ""},
		{"STARTTLS and LOGIN", strictAddr, strict, append([]string{"-tls", "--auth", "LOGIN"}, password...), "", ""},
		{"TLS from the first octet", implicitAddr, implicit, append([]string{"--tls-on-connect", "--auth", "PLAIN"}, password...), "", ""},
		{"with a certificate", strictAddr, strict, append([]string{"-tls", "--tls-cert", file, "--tls-key", file, "--auth", "LOGIN"}, password...), "", "scanner.lan.test"},
		{"in the clear where it may", laxAddr, lax, append([]string{"--auth", "LOGIN"}, password...), "", ""},
		{"in the clear where it may not", strictAddr, strict, append([]string{"--auth", "PLAIN"}, password...), "did not advertise authentication", ""},
		{"wrong password", strictAddr, strict, []string{"-tls", "--auth", "PLAIN", "--auth-user", "scanner", "--auth-password", "guess"}, "535 5.7.8", ""},
		{"no sign-in", strictAddr, strict, []string{"-tls"}, "530 5.7.0", ""},
	} {
		before := len(tt.b.all())
		args := append([]string{"--server", tt.addr, "--from", "jane@example.com", "--to", "15551234@fax.example.com", "--helo", "scanner.test"}, tt.args...)
		out, err := exec.Command(swaks, args...).CombinedOutput()
		got := tt.b.all()[before:]
		if tt.fails != "" {
			if err == nil || !strings.Contains(string(out), tt.fails) || len(got) != 0 {
				t.Errorf("%s: %v, %d taken\n%s", tt.name, err, len(got), out)
			}
			continue
		}
		if err != nil || len(got) != 1 || got[0].env.User != "scanner" || got[0].env.ClientName != tt.cert {
			t.Errorf("%s: %v, taken %+v\n%s", tt.name, err, got, out)
		}
	}
}
