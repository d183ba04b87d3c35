package receive

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// session is one connection.
type session struct {
	srv  *Server
	cfg  *Config
	ip   netip.Addr
	conn *deadlineConn // beneath TLS too
	tls  *tls.Conn
	r    *bufio.Reader
	w    *bufio.Writer

	helo     string
	esmtp    bool
	errors   int
	mail     bool // MAIL was accepted
	env      smtpstack.Envelope
	chunks   *incoming // message begun by BDAT
	chunksCR bool      // its last chunk ended in a CR
	ended    bool
	allowed  bool // by network
}

func newSession(s *Server, conn net.Conn, ip netip.Addr) *session {
	dc := &deadlineConn{Conn: conn, write: s.cfg.WriteTimeout, end: time.Now().Add(s.cfg.SessionTimeout)}
	sess := &session{srv: s, cfg: &s.cfg, ip: ip, conn: dc, r: bufio.NewReaderSize(dc, 16<<10), w: bufio.NewWriter(dc)}
	for _, n := range s.cfg.Networks {
		sess.allowed = sess.allowed || n.Contains(ip)
	}
	return sess
}

func (s *session) trace(dir, text string) {
	s.cfg.Trace(Event{At: time.Now(), Connector: s.cfg.Name, Client: s.ip, Dir: dir, Text: text})
}

// cut ends the connection from outside; wakeIdle only when it waits for a command.
func (s *session) cut()      { s.conn.Close() }
func (s *session) wakeIdle() { s.conn.interruptIdle() }

func (s *session) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.conn.Close()
	defer s.resetMail()
	defer func() {
		if p := recover(); p != nil {
			s.trace("!", fmt.Sprintf("panic: %v", p))
			s.reply(421, "4.3.0", "internal error")
			s.w.Flush()
		}
	}()
	s.trace("!", "connected")
	s.reply(220, "", "%s ESMTP Tipring", s.cfg.Hostname)
	for !s.ended {
		line, err := s.readCommand()
		if err != nil {
			s.sayGoodbye(err)
			break
		}
		s.trace("<", redact(line))
		s.command(ctx, line)
		if s.errors > maxErrors {
			s.reply(421, "4.7.0", "too many errors")
			break
		}
	}
	s.w.Flush()
	if s.tls != nil {
		s.tls.CloseWrite()
	}
	s.trace("!", "disconnected")
}

var errBareLF = errors.New("command line ends without CR")
var errLongLine = errors.New("command line too long")

// readCommand reads a line. Replies are sent first unless the client has more commands under way (PIPELINING).
func (s *session) readCommand() (string, error) {
	if s.r.Buffered() == 0 {
		if err := s.w.Flush(); err != nil {
			return "", err
		}
	}
	if !s.conn.beginIdle(s.cfg.CommandTimeout) || s.srv.isClosing() {
		return "", ErrServerClosed
	}
	defer s.conn.endIdle()
	line, err := s.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || err == nil && len(line) > maxCommandLine:
		return "", errLongLine
	case err != nil:
		return "", err
	case len(line) < 2 || line[len(line)-2] != '\r':
		return "", errBareLF
	}
	return string(line[:len(line)-2]), nil
}

func (s *session) sayGoodbye(err error) {
	switch {
	case errors.Is(err, errLongLine):
		s.reply(500, "5.5.2", "line too long")
	case errors.Is(err, errBareLF):
		s.reply(500, "5.5.2", "lines end in CR LF")
	case s.srv.isClosing():
		s.reply(421, "4.3.2", "shutting down")
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.reply(421, "4.4.2", "timeout")
	case errors.Is(err, io.EOF):
	default:
		s.trace("!", err.Error())
	}
}

// reply queues one reply line.
func (s *session) reply(code int, enhanced, format string, args ...any) {
	r := smtpstack.Reply{Code: code, Enhanced: enhanced, Text: smtpstack.OneLine(fmt.Sprintf(format, args...))}
	s.send(r)
}

func (s *session) send(r smtpstack.Reply) {
	if r.Code >= 500 {
		s.errors++
	}
	line := r.String()
	if len(line) > 500 { // RFC 5321 4.5.3.1.5: 512 with CR LF
		line = strings.ToValidUTF8(line[:500], "")
	}
	s.trace(">", line)
	fmt.Fprintf(s.w, "%s\r\n", line)
}

// fail answers an error of the backend.
func (s *session) fail(what string, err error) {
	var r *smtpstack.Reply
	switch {
	case errors.As(err, &r) && r.Code >= 400 && r.Code < 600:
		s.send(smtpstack.Reply{Code: r.Code, Enhanced: r.Enhanced, Text: smtpstack.OneLine(r.Text)})
		return
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		s.reply(452, "4.3.1", "no room for more mail, try again later")
	default:
		s.reply(451, "4.3.0", "local trouble, try again later")
	}
	s.trace("!", what+": "+err.Error())
}

func (s *session) resetMail() {
	if s.chunks != nil {
		s.chunks.abort()
		s.chunks, s.chunksCR = nil, false
	}
	s.mail = false
	s.env = smtpstack.Envelope{}
}

// redact keeps secrets out of the transcript.
func redact(line string) string {
	if len(line) >= 4 && strings.EqualFold(line[:4], "AUTH") {
		f := strings.Fields(line)
		return strings.Join(f[:min(2, len(f))], " ") + " ..."
	}
	return smtpstack.OneLine(line)
}

func newID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// deadlineConn sets a deadline for each read and write, so that data may take long but silence may not. While idle
// (waiting for a command) a shutdown may interrupt it.
type deadlineConn struct {
	net.Conn
	write time.Duration
	end   time.Time // of the whole connection

	mu          sync.Mutex
	read        time.Duration // for the next reads
	phaseEnd    time.Time     // of all reads of this phase
	idle        bool
	interrupted bool
}

func (c *deadlineConn) beginIdle(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = true
	c.read, c.phaseEnd = d, time.Now().Add(d) // a command dripped in slowly has no longer
	return !c.interrupted
}

func (c *deadlineConn) endIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = false
}

// beginData allows d between two pieces and total for all.
func (c *deadlineConn) beginData(d, total time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.phaseEnd = d, time.Now().Add(total)
}

func (c *deadlineConn) interruptIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	if c.idle {
		c.Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

func (c *deadlineConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	d := time.Now().Add(c.read)
	for _, limit := range []time.Time{c.phaseEnd, c.end} {
		if limit.Before(d) {
			d = limit
		}
	}
	if c.idle && c.interrupted {
		d = time.Unix(1, 0)
	}
	c.Conn.SetReadDeadline(d)
	c.mu.Unlock()
	return c.Conn.Read(b)
}

func (c *deadlineConn) Write(b []byte) (int, error) {
	c.Conn.SetWriteDeadline(time.Now().Add(c.write))
	return c.Conn.Write(b)
}

// SetDeadline, SetReadDeadline and SetWriteDeadline do nothing: crypto/tls must not undo ours.
func (c *deadlineConn) SetDeadline(time.Time) error      { return nil }
func (c *deadlineConn) SetReadDeadline(time.Time) error  { return nil }
func (c *deadlineConn) SetWriteDeadline(time.Time) error { return nil }
