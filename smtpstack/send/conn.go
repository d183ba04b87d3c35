package send

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// conn is one dialogue with a server.
type conn struct {
	d    *delivery
	ctx  context.Context
	host host
	nc   *phaseConn
	tls  bool
	r    *bufio.Reader
	w    *bufio.Writer
	ext  map[string]string // EHLO keywords in upper case, with their parameters
	stop func() bool
	dead bool // the dialogue is out of step: no use saying more
	// asked is set when the server wants a client certificate.
	asked bool
}

// phaseConn gives each read and write the time of the current phase; a cancelled context ends both for good.
type phaseConn struct {
	net.Conn
	mu        sync.Mutex
	timeout   time.Duration
	cancelled bool
}

func (p *phaseConn) phase(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timeout = d
}

func (p *phaseConn) arm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.cancelled {
		p.Conn.SetDeadline(time.Now().Add(p.timeout))
	}
}

func (p *phaseConn) cancel() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancelled = true
	p.Conn.SetDeadline(time.Unix(1, 0))
}

func (p *phaseConn) Read(b []byte) (int, error)  { p.arm(); return p.Conn.Read(b) }
func (p *phaseConn) Write(b []byte) (int, error) { p.arm(); return p.Conn.Write(b) }

// connect opens a connection ready for MAIL: greeting, EHLO, TLS, sign-in. With Opportunistic a failed handshake is
// followed by a second try in the clear, unless the host is known for TLS.
func (d *delivery) connect(ctx context.Context, h host) (*conn, error) {
	c, err := d.connectOnce(ctx, h, h.guard.policy)
	var broken *handshakeError
	if h.guard.policy == Opportunistic && errors.As(err, &broken) && ctx.Err() == nil {
		if f := d.s.lostTLS(h, broken.Error()); f != nil {
			return nil, f
		}
		d.trace("!", "TLS failed, trying without: %v", broken.err)
		return d.connectOnce(ctx, h, NoTLS)
	}
	return c, err
}

// handshakeError is returned when TLS was begun and failed.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

func (d *delivery) connectOnce(ctx context.Context, h host, policy TLSPolicy) (*conn, error) {
	d.trace("!", "connecting to %s (%s)", h.name, h.addr)
	dctx, cancel := context.WithTimeout(ctx, d.s.cfg.Timeouts.Connect)
	nc, err := d.s.cfg.Dial(dctx, "tcp", h.addr)
	cancel()
	if err != nil {
		return nil, fmt.Errorf("send: connect: %w", err)
	}
	pc := &phaseConn{Conn: nc, timeout: d.s.cfg.Timeouts.Command}
	c := &conn{d: d, ctx: ctx, host: h, nc: pc, r: bufio.NewReader(pc), w: bufio.NewWriterSize(pc, 32<<10)}
	c.stop = context.AfterFunc(ctx, pc.cancel)
	c.seen(func(l *Look) {
		if ap, err := netip.ParseAddrPort(nc.LocalAddr().String()); err == nil {
			l.Local = ap.Addr().Unmap()
		}
	})
	if err := c.open(policy); err != nil {
		c.abort()
		return nil, c.because(err)
	}
	return c, nil
}

// because puts the cause before its effect: the context's end before a timeout, a refused certificate before the broken
// connection.
func (c *conn) because(err error) error {
	if cause := c.ctx.Err(); cause != nil {
		return fmt.Errorf("send: %w", cause)
	}
	return cmp.Or(asError(c.wantsCertificate(err)), err)
}

func (c *conn) abort() {
	c.stop()
	c.nc.Close()
}

// close says goodbye without waiting long for the answer.
func (c *conn) close() {
	c.nc.phase(5 * time.Second)
	if !c.dead && c.ctx.Err() == nil && c.write("QUIT") == nil {
		c.readReply()
	}
	c.abort()
}

func (c *conn) open(policy TLSPolicy) error {
	t := &c.d.s.cfg.Timeouts
	if policy == Implicit {
		if err := c.handshake(policy); err != nil {
			return c.tlsFailure(err)
		}
	}
	c.nc.phase(t.Greeting)
	r, err := c.readReply()
	if err != nil {
		return fmt.Errorf("send: greeting: %w", err)
	}
	c.seen(func(l *Look) { l.Greeting = r.String() })
	if r.Code != 220 {
		return c.refused(r, "The server refuses connections from this host: check that it accepts mail from this address.")
	}
	c.nc.phase(t.Command)
	if err := c.hello(); err != nil {
		return err
	}
	if policy == Opportunistic || policy == Required {
		if err := c.startTLS(policy); err != nil {
			return err
		}
	}
	if c.d.look != nil {
		return nil
	}
	return c.signIn()
}

// refused makes a failure of a reply before the transaction: a permanent refusal there is never the message's fault.
func (c *conn) refused(r smtpstack.Reply, remedy string) *failure {
	f := &failure{reply: r, class: smtpstack.Classify(r.Code, r.Enhanced, r.Text), remedy: smtpstack.Remedy(r.Code, r.Enhanced, r.Text)}
	switch f.class {
	case smtpstack.Permanent, smtpstack.BadRecipient, smtpstack.Quota:
		f.class, f.remedy = smtpstack.Configuration, remedy
	case smtpstack.Delivered: // a 2xx that is not the one to come
		f.class = smtpstack.Temporary
	}
	return f
}

func (c *conn) hello() error {
	const remedy = "The server refuses this host's EHLO name: set the connector's host name to this host's own full DNS name."
	r, lines, err := c.command("EHLO " + c.d.s.cfg.Hostname)
	if err != nil {
		return err
	}
	c.ext = make(map[string]string)
	if r.Code == 250 {
		for _, l := range lines[1:] {
			key, param, _ := strings.Cut(l, " ")
			c.ext[strings.ToUpper(key)] = param
		}
		c.seenHello(lines)
		return nil
	}
	if r.Code/100 != 5 {
		return c.refused(r, remedy)
	}
	if r, _, err = c.command("HELO " + c.d.s.cfg.Hostname); err != nil {
		return err
	}
	if r.Code != 250 {
		return c.refused(r, remedy)
	}
	return nil
}

// write sends a command line and traces it.
func (c *conn) write(line string) error {
	c.d.trace(">", "%s", line)
	return c.writeSecret(line)
}

func (c *conn) writeSecret(line string) error {
	if err := c.queue(line); err != nil {
		return err
	}
	return c.flush()
}

// queue puts a line where flush sends it from.
func (c *conn) queue(line string) error {
	if strings.ContainsAny(line, "\r\n") {
		return errors.New("send: line break in a command")
	}
	if _, err := c.w.WriteString(line + "\r\n"); err != nil {
		return fmt.Errorf("send: write: %w", err)
	}
	return nil
}

func (c *conn) flush() error {
	if err := c.w.Flush(); err != nil {
		return fmt.Errorf("send: write: %w", err)
	}
	return nil
}

func (c *conn) command(line string) (smtpstack.Reply, []string, error) {
	if err := c.write(line); err != nil {
		return smtpstack.Reply{}, nil, err
	}
	return c.reply()
}

func (c *conn) readReply() (smtpstack.Reply, error) {
	r, _, err := c.reply()
	return r, err
}

const (
	maxReplyLines = 128
	maxReplyText  = 2000 // octets of a reply kept
)

// ErrReply is returned when the server's reply is no SMTP.
var ErrReply = errors.New("not an SMTP reply")

// reply reads one reply of any number of lines (RFC 5321 4.2.1).
func (c *conn) reply() (smtpstack.Reply, []string, error) {
	var lines []string
	var status string
	code := 0
	for range maxReplyLines {
		raw, err := c.r.ReadSlice('\n')
		if err != nil {
			return smtpstack.Reply{}, nil, fmt.Errorf("send: read reply: %w", err)
		}
		line := c.d.redact(strings.TrimRight(string(raw), "\r\n"))
		n, more, text, ok := cutReply(line)
		if !ok || code != 0 && n != code {
			c.d.trace("<", "%.200s", line)
			return smtpstack.Reply{}, nil, fmt.Errorf("send: %w: %.80q", ErrReply, line)
		}
		code = n
		c.d.trace("<", "%s", line)
		if p := smtpstack.ParseReply(n, text); p.Enhanced != "" && status == "" {
			status, text = p.Enhanced, p.Text
		} else if p.Enhanced == status {
			text = p.Text
		}
		lines = append(lines, smtpstack.OneLine(text))
		if !more {
			return smtpstack.Reply{Code: code, Enhanced: status, Text: limitText(strings.Join(lines, " "))}, lines, nil
		}
	}
	return smtpstack.Reply{}, nil, fmt.Errorf("send: %w: more than %d lines", ErrReply, maxReplyLines)
}

func limitText(s string) string {
	if len(s) > maxReplyText {
		return strings.ToValidUTF8(s[:maxReplyText], "")
	}
	return s
}

func cutReply(line string) (code int, more bool, text string, ok bool) {
	if len(line) < 3 {
		return 0, false, "", false
	}
	code, err := strconv.Atoi(line[:3])
	if err != nil || code < 200 || code > 599 {
		return 0, false, "", false
	}
	if len(line) == 3 {
		return code, false, "", true
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, false, "", false
	}
	return code, line[3] == '-', line[4:], true
}
