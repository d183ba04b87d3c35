package send

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/resolve"
)

func TestDeliver_SmartHost(t *testing.T) {
	s := newServer(t, nil)
	rep := deliver(t, Config{Host: s.addr()}, message("a@x.example", "b@y.example"))
	for _, r := range rep.Results {
		if r.Class != smtpstack.Delivered || r.Reply.Text != "queued" || r.Reply.Enhanced != "2.0.0" || r.Host != "127.0.0.1" {
			t.Errorf("%+v", r)
		}
	}
	if got := s.received(); len(got) != 1 || got[0] != "Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n" {
		t.Errorf("received %q", got)
	}
	want := "EHLO box.example.com\nMAIL FROM:<fax@example.com> SIZE=29\nRCPT TO:<a@x.example>\nRCPT TO:<b@y.example>\nDATA\nQUIT"
	if s.said() != want {
		t.Errorf("dialogue %q", s.said())
	}
	if tr := transcript(rep); !strings.Contains(tr, "> MAIL FROM:<fax@example.com>") || !strings.Contains(tr, "< 250 2.0.0 queued") || strings.Contains(tr, "dot") {
		t.Errorf("transcript:\n%s", tr)
	}
}

// TestDeliver_Replies: what each refusal at each step comes to.
func TestDeliver_Replies(t *testing.T) {
	tests := []struct {
		name    string
		answers map[string]string
		want    smtpstack.Class
		code    int
	}{
		{"greeting 554", map[string]string{"GREETING": "554 go away"}, smtpstack.Configuration, 554},
		{"greeting 421", map[string]string{"GREETING": "421 4.3.2 busy"}, smtpstack.Throttle, 421},
		{"greeting no SMTP", map[string]string{"GREETING": "SSH-2.0-OpenSSH"}, smtpstack.Temporary, 0},
		{"greeting odd", map[string]string{"GREETING": "250 hi"}, smtpstack.Temporary, 250},
		{"EHLO refused, HELO taken", map[string]string{"EHLO": "502 5.5.1 no"}, smtpstack.Delivered, 250},
		{"HELO refused", map[string]string{"EHLO": "550 5.7.506 bad name", "HELO": "550 5.7.506 bad name"}, smtpstack.Configuration, 550},
		{"MAIL throttled", map[string]string{"MAIL": "451 4.7.500 Server busy"}, smtpstack.Throttle, 451},
		{"MAIL config", map[string]string{"MAIL": "550 5.7.60 Send As"}, smtpstack.Configuration, 550},
		{"MAIL 251", map[string]string{"MAIL": "251 odd"}, smtpstack.Temporary, 251},
		{"RCPT unknown", map[string]string{"RCPT": "550 5.1.1 unknown"}, smtpstack.BadRecipient, 550},
		{"RCPT greylisted", map[string]string{"RCPT": "450 4.7.1 later"}, smtpstack.Temporary, 450},
		{"RCPT relay", map[string]string{"RCPT": "554 5.7.1 Relay access denied"}, smtpstack.Configuration, 554},
		{"RCPT 252", map[string]string{"RCPT": "252 perhaps"}, smtpstack.Temporary, 252},
		{"DATA refused", map[string]string{"DATA": "451 4.3.0 later"}, smtpstack.Temporary, 451},
		{"DATA 250", map[string]string{"DATA": "250 what"}, smtpstack.Temporary, 250},
		{"content refused", map[string]string{".": "554 5.6.11 bare LF"}, smtpstack.Permanent, 554},
		{"mailbox full", map[string]string{".": "552-5.2.2 The mailbox\r\n552 5.2.2 is full"}, smtpstack.Quota, 552},
		{"multi-line config", map[string]string{".": "550-5.7.64 TenantAttribution;\r\n550 Relay Access Denied"}, smtpstack.Configuration, 550},
		{"354 at the end", map[string]string{".": "354 again"}, smtpstack.Temporary, 354},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, tt.answers)
			rep := deliver(t, Config{Host: s.addr(), Timeouts: quick()}, message("a@x.example"))
			r := rep.Results[0]
			if r.Class != tt.want || r.Reply.Code != tt.code || r.Unconfirmed {
				t.Errorf("%+v\n%s", r, transcript(rep))
			}
			if tt.code == 0 && r.Err == nil {
				t.Error("neither reply nor error")
			}
		})
	}
}

func TestDeliver_RecipientsApart(t *testing.T) {
	s := newServer(t, map[string]string{"RCPT TO:<bad@": "550 5.1.1 unknown", "RCPT TO:<full@": "452 4.2.2 full"})
	rep := deliver(t, Config{Host: s.addr()}, message("bad@x.example", "good@x.example", "full@x.example", "odd", "a\r\nb@c"))
	want := []smtpstack.Class{smtpstack.BadRecipient, smtpstack.Delivered, smtpstack.Temporary, smtpstack.BadRecipient, smtpstack.BadRecipient}
	for i, r := range rep.Results {
		if r.Class != want[i] {
			t.Errorf("%s: %v, want %v", r.To, r.Class, want[i])
		}
	}
	if strings.Contains(s.said(), "b@c") || strings.Contains(s.said(), "odd") {
		t.Errorf("malformed addresses went out: %q", s.said())
	}
}

func TestDeliver_BadSenderIsConfiguration(t *testing.T) {
	s := newServer(t, nil)
	m := message("a@x.example")
	m.From = "a\r\nRCPT TO:<x@y>@z"
	if r := deliver(t, Config{Host: s.addr()}, m).Results[0]; r.Class != smtpstack.Configuration || s.connections() != 0 {
		t.Errorf("%+v", r)
	}
	m.From = ""
	if r := deliver(t, Config{Host: s.addr()}, m).Results[0]; r.Class != smtpstack.Delivered || !strings.Contains(s.said(), "MAIL FROM:<> SIZE=29") {
		t.Errorf("%+v, %q", r, s.said())
	}
}

func TestDeliver_Chunks(t *testing.T) {
	s := newServer(t, nil)
	to := []string{"1@x.example", "2@x.example", "3@x.example", "4@x.example", "5@x.example"}
	rep := deliver(t, Config{Host: s.addr(), MaxRecipients: 2}, message(to...))
	for _, r := range rep.Results {
		if r.Class != smtpstack.Delivered {
			t.Errorf("%+v", r)
		}
	}
	if n := len(s.received()); n != 3 {
		t.Errorf("%d transactions", n)
	}
}

func TestDeliver_SplitByServer(t *testing.T) {
	s := newServer(t, map[string]string{"RCPT TO:<2@": "452 4.5.3 too many"})
	rep := deliver(t, Config{Host: s.addr()}, message("1@x.example", "2@x.example"))
	if rep.Results[0].Class != smtpstack.Delivered || rep.Results[1].Class != smtpstack.Split {
		t.Errorf("%+v", rep.Results)
	}
	if s.connections() != 2 { // tried once more by itself, then left to the queue
		t.Errorf("%d connections", s.connections())
	}
	s = newServer(t, map[string]string{"RCPT": "452 4.5.3 too many"})
	rep = deliver(t, Config{Host: s.addr(), MaxRecipients: 1}, message("1@x.example", "2@x.example"))
	if rep.Results[0].Class != smtpstack.Split || rep.Results[1].Class != smtpstack.Split || s.connections() != 1 {
		t.Errorf("%+v, %d connections", rep.Results, s.connections())
	}
}

func TestDeliver_SizeOverTheServersLimit(t *testing.T) {
	s := newServer(t, nil)
	m := message("a@x.example")
	m.Size = 1001
	r := deliver(t, Config{Host: s.addr()}, m).Results[0]
	if r.Class != smtpstack.Permanent || r.Reply.Enhanced != "5.3.4" || strings.Contains(s.said(), "MAIL") {
		t.Errorf("%+v, %q", r, s.said())
	}
}

func TestDeliver_SilenceAndHangups(t *testing.T) {
	for _, step := range []string{"GREETING", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		for _, what := range []string{"SILENCE", "HANGUP"} {
			s := newServer(t, map[string]string{step: what})
			r := deliver(t, Config{Host: s.addr(), Timeouts: quick()}, message("a@x.example")).Results[0]
			if r.Class != smtpstack.Temporary || r.Err == nil || r.Reply.Code != 0 || r.Unconfirmed != (step == ".") {
				t.Errorf("%s at %s: %+v", what, step, r)
			}
		}
	}
}

func TestDeliver_NobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	r := deliver(t, Config{Host: l.Addr().String()}, message("a@x.example")).Results[0]
	if r.Class != smtpstack.Temporary || r.Err == nil || !strings.Contains(r.Text(), "refused") {
		t.Errorf("%+v", r)
	}
}

func TestDeliver_ContextEnds(t *testing.T) {
	s := newServer(t, map[string]string{"MAIL": "SILENCE"})
	snd, err := New(Config{Host: s.addr(), Hostname: "box.example.com"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	rep := snd.Deliver(ctx, message("a@x.example", "b@x.example"))
	for _, r := range rep.Results {
		if r.Class != smtpstack.Temporary || !errors.Is(r.Err, context.DeadlineExceeded) {
			t.Errorf("%+v", r)
		}
	}
}

var errDisk = errors.New("disk broken")

// TestDeliver_UnreadableMail: a mail that cannot be read to its end must not arrive cut.
func TestDeliver_UnreadableMail(t *testing.T) {
	s := newServer(t, nil)
	m := message("a@x.example")
	m.Open = func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("Subject: half"), iotestErr{})), nil
	}
	if r := deliver(t, Config{Host: s.addr()}, m).Results[0]; r.Class != smtpstack.Temporary || !errors.Is(r.Err, errDisk) {
		t.Errorf("%+v", r)
	}
	m.Open = func() (io.ReadCloser, error) { return nil, errDisk }
	if r := deliver(t, Config{Host: s.addr()}, m).Results[0]; r.Class != smtpstack.Temporary || !errors.Is(r.Err, errDisk) {
		t.Errorf("%+v", r)
	}
	if n := len(s.received()); n != 0 {
		t.Errorf("%d mails arrived", n)
	}
}

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, errDisk }

func TestTLS(t *testing.T) {
	cert, pool := selfSigned(t, "mail.test")
	withTLS := map[string]string{"EHLO": "250-srv\r\n250-AUTH PLAIN\r\n250 STARTTLS", "STARTTLS": "TLS"}
	tests := []struct {
		name      string
		answers   map[string]string
		policy    TLSPolicy
		roots     bool
		want      smtpstack.Class
		protected bool
	}{
		{"opportunistic, any certificate", withTLS, Opportunistic, false, smtpstack.Delivered, true},
		{"opportunistic, not offered", nil, Opportunistic, false, smtpstack.Delivered, false},
		{"opportunistic, refused", map[string]string{"EHLO": withTLS["EHLO"], "STARTTLS": "454 4.7.0 not now"}, Opportunistic, false, smtpstack.Delivered, false},
		{"opportunistic, broken", map[string]string{"EHLO": withTLS["EHLO"], "STARTTLS": "220 go\r\n220 junk"}, Opportunistic, false, smtpstack.Delivered, false},
		{"required", withTLS, Required, true, smtpstack.Delivered, true},
		{"required, unknown certificate", withTLS, Required, false, smtpstack.Configuration, false},
		{"required, not offered", nil, Required, true, smtpstack.Configuration, false},
		{"required, refused for now", map[string]string{"EHLO": withTLS["EHLO"], "STARTTLS": "454 4.7.0 not now"}, Required, true, smtpstack.Temporary, false},
		{"none", withTLS, NoTLS, false, smtpstack.Delivered, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, tt.answers)
			s.cert = cert
			cfg := Config{Host: "mail.test", TLS: tt.policy, Timeouts: quick(), Dial: dialTo(s)}
			if tt.roots {
				cfg.TLSConfig = &tls.Config{RootCAs: pool}
			}
			rep := deliver(t, cfg, message("a@x.example"))
			if r := rep.Results[0]; r.Class != tt.want || strings.Contains(transcript(rep), "TLS established") != tt.protected {
				t.Errorf("%+v\n%s", r, transcript(rep))
			}
			if tt.want != smtpstack.Delivered && strings.Contains(s.said(), "MAIL") {
				t.Errorf("mail in spite of the policy: %q", s.said())
			}
		})
	}
}

// TestTLS_Implicit: TLS from the first octet, to port 465.
func TestTLS_Implicit(t *testing.T) {
	cert, pool := selfSigned(t, "mail.test")
	s := newServer(t, nil)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(nc)
		}
	}()
	for _, tt := range []struct {
		roots *tls.Config
		to    string
		want  smtpstack.Class
	}{{&tls.Config{RootCAs: pool}, l.Addr().String(), smtpstack.Delivered}, {nil, l.Addr().String(), smtpstack.Configuration},
		{&tls.Config{RootCAs: pool}, s.addr(), smtpstack.Temporary}} {
		dialed := ""
		cfg := Config{Host: "mail.test", TLS: Implicit, TLSConfig: tt.roots, Timeouts: quick(), Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialed = addr
			return (&net.Dialer{}).DialContext(ctx, network, tt.to)
		}}
		if r := deliver(t, cfg, message("a@x.example")).Results[0]; r.Class != tt.want || dialed != "mail.test:465" {
			t.Errorf("%+v, dialed %s", r, dialed)
		}
	}
}

// dialTo leads every connection to a test server.
func dialTo(s *server) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.addr())
	}
}

func TestAuth_Plain(t *testing.T) {
	cert, pool := selfSigned(t, "mail.test")
	answers := map[string]string{"EHLO": "250-srv\r\n250-AUTH LOGIN PLAIN\r\n250 STARTTLS", "STARTTLS": "TLS"}
	run := func(changes map[string]string) (*server, Report) {
		all := map[string]string{}
		for _, m := range []map[string]string{answers, changes} {
			for k, v := range m {
				all[k] = v
			}
		}
		s := newServer(t, all)
		s.cert = cert
		return s, deliver(t, Config{Host: "mail.test", Auth: Plain{"jane", "geheim"}, TLSConfig: &tls.Config{RootCAs: pool}, Dial: dialTo(s)}, message("a@x.example"))
	}
	const secret = "AGphbmUAZ2VoZWlt" // \0jane\0geheim
	s, rep := run(nil)
	if rep.Results[0].Class != smtpstack.Delivered || !strings.Contains(s.said(), "AUTH PLAIN "+secret) {
		t.Errorf("%+v, %q", rep.Results, s.said())
	}
	if tr := transcript(rep); strings.Contains(tr, secret) || strings.Contains(tr, "geheim") || !strings.Contains(tr, "AUTH PLAIN ...") {
		t.Errorf("transcript:\n%s", tr)
	}
	if _, rep = run(map[string]string{"AUTH": "535 5.7.3 Authentication unsuccessful"}); rep.Results[0].Class != smtpstack.Configuration {
		t.Errorf("%+v", rep.Results)
	}
	if _, rep = run(map[string]string{"AUTH": "432 4.3.2 Concurrent connections"}); rep.Results[0].Class != smtpstack.Throttle {
		t.Errorf("%+v", rep.Results)
	}
	if s, rep = run(map[string]string{"EHLO": "250-srv\r\n250 AUTH PLAIN"}); rep.Results[0].Class != smtpstack.Configuration || strings.Contains(s.said(), "AUTH") {
		t.Errorf("secret without TLS: %+v, %q", rep.Results, s.said())
	}
	if s, rep = run(map[string]string{"AUTH": "334 "}); rep.Results[0].Class != smtpstack.Temporary || strings.Contains(s.said(), "MAIL") {
		t.Errorf("challenge: %+v", rep.Results)
	}
}

func TestMX(t *testing.T) {
	ip := netip.MustParseAddr
	one := []netip.Addr{ip("192.0.2.1")}
	fake := &resolve.Fake{
		MXs: map[string][]resolve.MX{
			"two.example":  {{Host: "second.example", Preference: 20}, {Host: "first.example", Preference: 10}},
			"null.example": {{Host: "", Preference: 0}},
			"self.example": {{Host: "box.example.com", Preference: 10}, {Host: "second.example", Preference: 20}},
			"less.example": {{Host: "first.example", Preference: 5}, {Host: "box.example.com", Preference: 10}, {Host: "second.example", Preference: 10}},
			"lost.example": {{Host: "nowhere.example", Preference: 10}},
		},
		Addrs: map[string][]netip.Addr{"first.example": {ip("192.0.2.9")}, "second.example": {ip("192.0.2.2")}, "implicit.example": one},
		Fail:  map[string]error{"servfail.example": resolve.ErrTemporary},
	}
	s := newServer(t, nil)
	tests := []struct {
		domain string
		want   smtpstack.Class
		dialed string
	}{
		{"two.example", smtpstack.Delivered, "192.0.2.9:25 192.0.2.2:25"}, // the first is down
		{"implicit.example", smtpstack.Delivered, "192.0.2.1:25"},
		{"[192.0.2.7]", smtpstack.Delivered, "192.0.2.7:25"},
		{"less.example", smtpstack.Temporary, "192.0.2.9:25"},
		{"null.example", smtpstack.BadRecipient, ""},
		{"nx.example", smtpstack.BadRecipient, ""},
		{"lost.example", smtpstack.BadRecipient, ""},
		{"self.example", smtpstack.Configuration, ""},
		{"servfail.example", smtpstack.Temporary, ""},
	}
	for _, tt := range tests {
		t.Run(tt.domain, func(t *testing.T) {
			var dialed []string
			snd, err := New(Config{Hostname: "box.example.com", Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialed = append(dialed, addr)
				if addr == "192.0.2.9:25" {
					return nil, errors.New("connection refused")
				}
				return (&net.Dialer{}).DialContext(ctx, network, s.addr())
			}}, fake)
			if err != nil {
				t.Fatal(err)
			}
			rep := snd.Deliver(t.Context(), message("a@"+tt.domain))
			if r := rep.Results[0]; r.Class != tt.want || strings.Join(dialed, " ") != tt.dialed {
				t.Errorf("%+v, dialed %q", r, dialed)
			}
		})
	}
	snd, _ := New(Config{Hostname: "box.example.com", Dial: dialTo(s)}, fake)
	rep := snd.Deliver(t.Context(), message("a@two.example", "b@nx.example", "c@TWO.example"))
	if got := rep.Results; got[0].Class != smtpstack.Delivered || got[1].Class != smtpstack.BadRecipient || got[2].Class != smtpstack.Delivered {
		t.Errorf("%+v", got)
	}
}

func TestNew_RefusesBadConfig(t *testing.T) {
	for _, cfg := range []Config{
		{Host: "x"}, {Hostname: "a b", Host: "x"}, {Hostname: "a"}, {Hostname: "a", Host: "x", Auth: Plain{"u", "p"}, TLS: NoTLS},
	} {
		if _, err := New(cfg, nil); err == nil {
			t.Errorf("taken: %+v", cfg)
		}
	}
}

func FuzzReplies(f *testing.F) {
	f.Add([]byte("220 x\r\n250-a\r\n250 SIZE 1\r\n250 ok\r\n250 ok\r\n354 go\r\n250 done\r\n"))
	f.Add([]byte("220-\n220 \r\n502\r\n250\r\n550-5.7.1\r\n550 5.7.1 no\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		snd, err := New(Config{Hostname: "h", Host: "x", Dial: func(context.Context, string, string) (net.Conn, error) {
			return &scriptConn{r: strings.NewReader(string(in))}, nil
		}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		rep := snd.Deliver(t.Context(), message("a@b.example"))
		if c := rep.Results[0].Class; c < smtpstack.Delivered || c > smtpstack.Permanent {
			t.Errorf("class %v", c)
		}
		for _, e := range rep.Transcript {
			if strings.ContainsAny(e.Text, "\r\n") {
				t.Errorf("transcript line %q", e.Text)
			}
		}
	})
}

// scriptConn is a connection whose server has said everything already.
type scriptConn struct{ r io.Reader }

func (c *scriptConn) Read(b []byte) (int, error)     { return c.r.Read(b) }
func (*scriptConn) Write(b []byte) (int, error)      { return len(b), nil }
func (*scriptConn) Close() error                     { return nil }
func (*scriptConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*scriptConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*scriptConn) SetDeadline(time.Time) error      { return nil }
func (*scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (*scriptConn) SetWriteDeadline(time.Time) error { return nil }

// The null sender goes as it is, or as the mailbox that a submission server takes mail from.
func TestDeliver_NullSender(t *testing.T) {
	for mailbox, want := range map[string]string{"": "MAIL FROM:<> ", "fax@contoso.com": "MAIL FROM:<fax@contoso.com> "} {
		s := newServer(t, nil)
		m := message("a@x.example")
		m.From = ""
		rep := deliver(t, Config{Host: s.addr(), NullFrom: mailbox}, m)
		if rep.Results[0].Class != smtpstack.Delivered || !strings.Contains(s.said(), want) {
			t.Errorf("%q: %+v, %s", mailbox, rep.Results[0], s.said())
		}
	}
}
