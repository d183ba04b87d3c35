package smtptest_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/receive"
)

// mail is what the peers carry: every line that a server could spoil, in 8 bit.
var mail = "From: jane@example.com\r\nTo: fax@fax.test\r\nSubject: all octets\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n" +
	"Message-ID: <octets@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
	".\r\n..\r\n.dot\r\nFrom here\r\n\r\nblanks  \t \r\nGr\xfc\xdfe, \x80\xff\r\n" + long + "\r\n\r\nBDAT 5 LAST\r\n.\r\n\r\n"

var long = strings.Repeat("0123456789", 99) // with its line end less than 1000 octets (RFC 5321 4.5.3.1.6)

// recorder is one of our receive connectors, which keeps mails and what clients said.
type recorder struct {
	addr string

	mu    sync.Mutex
	mails []recorded
	said  []string // commands of all clients
	wire  []*tapped
}

type recorded struct {
	env  smtpstack.Envelope
	data string
}

// newRecorder starts a connector for the domain on a loopback address.
func newRecorder(t *testing.T, ip, domain string, change func(*receive.Config)) *recorder {
	t.Helper()
	r := &recorder{}
	cfg := receive.Config{Name: domain, Hostname: "fax.test", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Senders: []string{"example.com"}, FaxDomains: []string{domain}, MaxSize: 100_000, MaxConnsPerIP: 50,
		Limits: receive.Limits{ConnsPerMinute: -1},
		Trace: func(e receive.Event) {
			if e.Dir == "<" {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.said = append(r.said, e.Text)
			}
		}}
	if change != nil {
		change(&cfg)
	}
	srv, err := receive.New(cfg, r)
	if err != nil {
		t.Fatal(err)
	}
	l, err := receive.Listen(t.Context(), ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	done := make(chan error, 1)
	go func() { done <- srv.Serve(context.Background(), tap{l, r}) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-done; !errors.Is(err, receive.ErrServerClosed) {
			t.Error(err)
		}
	})
	return r
}

func (r *recorder) Recipient(context.Context, smtpstack.Envelope, smtpstack.Recipient) error {
	return nil
}

func (r *recorder) Begin(_ context.Context, env smtpstack.Envelope) (receive.Spool, error) {
	return &recording{r: r, env: env}, nil
}

type recording struct {
	strings.Builder
	r   *recorder
	env smtpstack.Envelope
}

func (s *recording) Commit(context.Context) (string, error) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.r.mails = append(s.r.mails, recorded{s.env, s.String()})
	return "kept", nil
}

func (s *recording) Abort() {}

func (r *recorder) all() []recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mails
}

// from waits for the mail of a sender.
func (r *recorder) from(t *testing.T, sender string, explain func() string) recorded {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, m := range r.all() {
			if m.env.From == sender {
				return m
			}
		}
	}
	log := explain()
	t.Fatalf("nothing of %s arrived\n%s", sender, log[max(0, len(log)-8000):])
	return recorded{}
}

// dialogue returns what a client said in the connection in which it sent this sender's mail: piece by piece as it came,
// when the connection was in the clear; else nothing but the commands.
func (r *recorder) dialogue(sender string) (pieces, commands []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.wire {
		if strings.Contains(strings.Join(c.pieces, ""), "MAIL FROM:<"+sender+">") {
			pieces = c.pieces
		}
	}
	mine := false
	for _, line := range r.said {
		if strings.HasPrefix(line, "MAIL ") {
			mine = strings.HasPrefix(line, "MAIL FROM:<"+sender+">")
		}
		if mine {
			commands = append(commands, line)
		}
	}
	return pieces, commands
}

// tap keeps what comes in.
type tap struct {
	net.Listener
	r *recorder
}

func (l tap) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	t := &tapped{Conn: c, r: l.r}
	l.r.wire = append(l.r.wire, t)
	return t, nil
}

type tapped struct {
	net.Conn
	r      *recorder
	pieces []string
}

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.pieces = append(c.pieces, string(b[:n]))
	return n, err
}

// whole checks that the mail arrived octet by octet, behind nothing but trace fields (RFC 5321 4.4).
func whole(t *testing.T, got recorded, want string) {
	t.Helper()
	trace, ok := strings.CutSuffix(got.data, want)
	if !ok {
		n := 0
		for n < min(len(want), len(got.data)) && got.data[len(got.data)-n-1] == want[len(want)-n-1] {
			n++
		}
		t.Errorf("the mail arrived changed, except for the last %d octets:\n%q\nwant\n%q", n, got.data, want)
		return
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(trace, "\r\n"), "\r\n") {
		if !strings.HasPrefix(line, "Received: ") && !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, " ") {
			t.Errorf("added to the header: %q", line)
		}
	}
}

// submit hands a mail to a peer, in the clear and without any help of ours.
func submit(t *testing.T, addr string, commands ...string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(c)
	for i, cmd := range append([]string{"", "EHLO client.example.com"}, append(commands, "QUIT")...) {
		if i > 0 {
			if _, err := c.Write([]byte(cmd + "\r\n")); err != nil {
				t.Fatal(err)
			}
		}
		line := "   -"
		for len(line) > 3 && line[3] == '-' {
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatalf("%.60q: %v", cmd, err)
			}
		}
		if line[0] > '3' {
			t.Fatalf("%.60q: %s", cmd, line)
		}
	}
}

// stuffed is a mail with its dots doubled and the final one, as DATA wants it (RFC 5321 4.5.2).
func stuffed(mail string) string {
	return strings.TrimPrefix(strings.ReplaceAll("\r\n"+mail, "\r\n.", "\r\n.."), "\r\n") + "."
}
