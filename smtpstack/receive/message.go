package receive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tipring/tipring/smtpstack"
)

// errTooLarge is returned when a message's data passes the connector's limit.
var errTooLarge = errors.New("message too large")

func (c *Config) tooLarge() *smtpstack.Reply {
	return smtpstack.Refuse(552, "5.3.4", "the message is too large, at most %d octets", c.MaxSize)
}

// incoming is a message while its data comes in.
type incoming struct {
	spool Spool         // nil when committed or aborted
	out   *bufio.Writer // before the spool
	left  int64         // octets of the limit not used
	tap   *headerTap    // the client is a trusted relay
}

// begin opens the spool and writes the Received field (RFC 5321 4.4), which the size limit does not count.
func (s *session) begin(env smtpstack.Envelope) (*incoming, error) {
	spool, err := s.srv.backend.Begin(s.ctx, env)
	if err != nil {
		return nil, err
	}
	m := &incoming{spool: spool, out: bufio.NewWriterSize(spool, 32<<10), left: s.cfg.MaxSize}
	if containsAddr(s.cfg.TrustedRelays, s.ip) {
		m.tap = new(headerTap)
	}
	_, _ = m.out.WriteString(receivedField(env, s.cfg.Hostname)) // an error stays in the writer
	return m, nil
}

func receivedField(env smtpstack.Envelope, hostname string) string {
	with := "SMTP" // RFC 3848, RFC 6531 4.3
	switch {
	case env.UTF8:
		with = "UTF8SMTP"
	case env.ESMTP:
		with = "ESMTP"
	}
	if env.TLS != nil {
		with += "S"
	}
	if env.User != "" {
		with += "A"
	}
	literal := env.Client.String()
	if env.Client.Is6() {
		literal = "IPv6:" + literal
	}
	return fmt.Sprintf("Received: from %s ([%s])\r\n\tby %s (Tipring) with %s id %s;\r\n\t%s\r\n",
		env.Helo, literal, hostname, with, env.ID, env.Received.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
}

func (m *incoming) Write(b []byte) (int, error) {
	if int64(len(b)) > m.left {
		return 0, errTooLarge
	}
	m.left -= int64(len(b))
	if m.tap != nil {
		m.tap.write(b)
	}
	return m.out.Write(b)
}

// fill takes all of the message.
func (m *incoming) fill(b body) error {
	w := &lineEnds{w: m}
	if err := b.copyTo(w); err != nil {
		return err
	}
	if err := w.finish(); err != nil {
		return err
	}
	return m.out.Flush()
}

func (m *incoming) commit(ctx context.Context) (id string, err error) {
	spool := m.spool
	m.spool = nil
	return spool.Commit(ctx)
}

func (m *incoming) abort() {
	if m.spool != nil {
		m.spool.Abort()
		m.spool = nil
	}
}

// Package-level, as slices that go into an io.Writer are allocated each time: a message has millions of lines.
var crlf, space = []byte("\r\n"), []byte(" ")

// lineEnds makes each line end in CR LF: a bare LF becomes one, a bare CR a space. What is stored so has no line that
// the next reader could see and we did not.
type lineEnds struct {
	w      io.Writer
	heldCR bool // the last piece ended in a CR
}

func (l *lineEnds) Write(b []byte) (int, error) {
	total := len(b)
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, crlf[1:])
		b = rest
		if err := l.piece(line, ended); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// piece writes a line or, when it is not ended, its beginning.
func (l *lineEnds) piece(line []byte, ended bool) error {
	if l.heldCR && (len(line) > 0 || !ended) {
		if _, err := l.w.Write(space); err != nil {
			return err
		}
	}
	l.heldCR = false
	if bytes.HasSuffix(line, crlf[:1]) {
		line, l.heldCR = line[:len(line)-1], !ended
	}
	for {
		before, after, found := bytes.Cut(line, crlf[:1])
		if _, err := l.w.Write(before); err != nil {
			return err
		}
		if !found {
			break
		}
		if _, err := l.w.Write(space); err != nil {
			return err
		}
		line = after
	}
	if !ended {
		return nil
	}
	_, err := l.w.Write(crlf)
	return err
}

// finish ends the message, whose last octet may be a CR.
func (l *lineEnds) finish() error {
	if !l.heldCR {
		return nil
	}
	l.heldCR = false
	_, err := l.w.Write(space)
	return err
}
