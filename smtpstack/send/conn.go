package send

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
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
// followed by a second try in the clear.
func (d *delivery) connect(ctx context.Context, h host) (*conn, error) {
	c, err := d.connectOnce(ctx, h, d.s.cfg.TLS)
	var broken *handshakeError
	if d.s.cfg.TLS == Opportunistic && errors.As(err, &broken) && ctx.Err() == nil {
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
	if err := c.open(policy); err != nil {
		c.abort()
		return nil, c.because(err)
	}
	return c, nil
}

// because puts the context's end before the timeout it caused.
func (c *conn) because(err error) error {
	if cause := c.ctx.Err(); cause != nil {
		return fmt.Errorf("send: %w", cause)
	}
	return err
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
	return c.signIn()
}

// refused makes a failure of a reply before the transaction: a permanent refusal there is never the message's fault.
func (c *conn) refused(r smtpstack.Reply, remedy string) error {
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

func (c *conn) startTLS(policy TLSPolicy) error {
	if _, offered := c.ext["STARTTLS"]; !offered {
		if policy == Required {
			return &failure{class: smtpstack.Configuration, err: errors.New("send: the server offers no STARTTLS"),
				remedy: "The server offers no encryption on this port, but the send connector requires it: check host and port, or make TLS opportunistic."}
		}
		return nil
	}
	r, _, err := c.command("STARTTLS")
	if err != nil {
		return err
	}
	if r.Code != 220 {
		if policy == Required {
			return c.refused(r, "The server does not begin encryption: check its certificate, or make TLS opportunistic.")
		}
		return nil
	}
	if err := c.handshake(policy); err != nil {
		return c.tlsFailure(err)
	}
	return c.hello()
}

func (c *conn) handshake(policy TLSPolicy) error {
	if c.r.Buffered() > 0 {
		return &handshakeError{errors.New("the server sent more in the clear after its go-ahead")}
	}
	cfg := &tls.Config{}
	if c.d.s.cfg.TLSConfig != nil {
		cfg = c.d.s.cfg.TLSConfig.Clone()
	}
	cfg.ServerName = c.host.name
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	if policy == Opportunistic {
		cfg.InsecureSkipVerify = true // protects from listeners only, as the policy says
	}
	tc := tls.Client(c.nc, cfg)
	if err := tc.HandshakeContext(c.ctx); err != nil {
		return &handshakeError{err}
	}
	c.r, c.w, c.tls = bufio.NewReader(tc), bufio.NewWriterSize(tc, 32<<10), true
	st := tc.ConnectionState()
	c.d.trace("!", "TLS established: %s, %s", tls.VersionName(st.Version), tls.CipherSuiteName(st.CipherSuite))
	return nil
}

// tlsFailure tells a wrong certificate, which a person has to look at, from a broken connection.
func (c *conn) tlsFailure(err error) error {
	var bad *tls.CertificateVerificationError
	if errors.As(err, &bad) {
		return &failure{class: smtpstack.Configuration, err: fmt.Errorf("send: %w", err),
			remedy: "The server's certificate is not valid for " + c.host.name + ": correct the host name, or have the certificate renewed."}
	}
	return fmt.Errorf("send: %w", err)
}

func (c *conn) signIn() error {
	auth := c.d.s.cfg.Auth
	if auth == nil {
		return nil
	}
	if !c.tls { // New sees to it; a secret is worth a second look
		return &failure{class: smtpstack.Configuration, err: errors.New("send: no sign-in without TLS"), remedy: "Set TLS to required."}
	}
	if !strings.Contains(" "+strings.ToUpper(c.ext["AUTH"])+" ", " "+auth.Mechanism()+" ") {
		return &failure{class: smtpstack.Configuration, err: fmt.Errorf("send: the server does not offer AUTH %s", auth.Mechanism()),
			remedy: "The server does not offer this way of signing in: choose another, or check host and port (587 for submission)."}
	}
	resp, err := auth.Start(c.ctx)
	if err != nil {
		return fmt.Errorf("send: sign-in: %w", err)
	}
	c.d.trace(">", "AUTH %s ...", auth.Mechanism())
	line := "AUTH " + auth.Mechanism() + " " + base64.StdEncoding.EncodeToString(resp)
	for range 8 {
		if err := c.writeSecret(line); err != nil {
			return err
		}
		r, _, err := c.reply()
		if err != nil {
			return err
		}
		if r.Code != 334 {
			if r.Code == 235 {
				return nil
			}
			return c.refused(r, "The sign-in was refused: check user name and password of the send connector.")
		}
		challenge, err := base64.StdEncoding.DecodeString(r.Text)
		if err != nil {
			return fmt.Errorf("send: sign-in: challenge: %w", err)
		}
		if resp, err = auth.Next(challenge); err != nil {
			return fmt.Errorf("send: sign-in: %w", err)
		}
		line = base64.StdEncoding.EncodeToString(resp)
	}
	return errors.New("send: sign-in does not end")
}

// write sends a command line and traces it.
func (c *conn) write(line string) error {
	c.d.trace(">", "%s", line)
	return c.writeSecret(line)
}

func (c *conn) writeSecret(line string) error {
	if strings.ContainsAny(line, "\r\n") {
		return errors.New("send: line break in a command")
	}
	if _, err := c.w.WriteString(line + "\r\n"); err != nil {
		return fmt.Errorf("send: write: %w", err)
	}
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
		line := strings.TrimRight(string(raw), "\r\n")
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
