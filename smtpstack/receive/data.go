package receive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// incoming is a message while its data comes in. After the first failure the rest is read and dropped, so that the
// client hears the reason.
type incoming struct {
	spool Spool
	out   *bufio.Writer // before the spool
	left  int64         // octets of the limit not used
	over  int64         // octets dropped
	err   error
}

func (m *incoming) Write(b []byte) (int, error) {
	if m.err == nil && int64(len(b)) > m.left {
		m.err = errTooLarge
	}
	if m.err == nil {
		m.left -= int64(len(b))
		_, m.err = m.out.Write(b)
	}
	if m.err != nil {
		m.over += int64(len(b))
	}
	return len(b), nil
}

func (m *incoming) abort() {
	if m.spool != nil {
		m.spool.Abort()
		m.spool = nil
	}
}

// begin opens the spool and writes the Received field (RFC 5321 4.4), which the size limit does not count.
func (s *session) begin(ctx context.Context) (*incoming, error) {
	spool, err := s.srv.backend.Begin(ctx, s.env)
	if err != nil {
		return nil, err
	}
	m := &incoming{spool: spool, out: bufio.NewWriterSize(spool, 32<<10), left: s.cfg.MaxSize}
	_, m.err = m.out.WriteString(s.receivedField())
	return m, nil
}

func (s *session) receivedField() string {
	with := "SMTP"
	if s.esmtp {
		with = "ESMTP"
	}
	if s.tls != nil {
		with += "S"
	}
	literal := s.ip.String()
	if s.ip.Is6() {
		literal = "IPv6:" + literal
	}
	return fmt.Sprintf("Received: from %s ([%s])\r\n\tby %s (Tipring) with %s id %s;\r\n\t%s\r\n",
		s.helo, literal, s.cfg.Hostname, with, s.env.ID, s.env.Received.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
}

func (s *session) data(ctx context.Context, arg string) {
	switch {
	case arg != "":
		s.reply(501, "5.5.4", "DATA takes no argument")
		return
	case !s.mail || len(s.env.To) == 0:
		s.reply(503, "5.5.1", "no recipient was taken")
		return
	}
	m, err := s.begin(ctx)
	if err != nil {
		s.fail("begin", err)
		s.resetMail()
		return
	}
	defer s.resetMail()
	defer m.abort()
	s.reply(354, "", "end with a dot on a line of its own")
	if s.w.Flush() != nil {
		s.ended = true
		return
	}
	s.conn.beginData(s.cfg.ReadTimeout, s.cfg.DataTimeout)
	if err := copyData(m, s.r, s.cfg.MaxSize); err != nil {
		s.ended = true
		s.broken(err)
		return
	}
	s.finish(ctx, m)
}

// errFlood is returned when a client goes on sending long after the limit.
var errFlood = errors.New("data does not end")

// broken says why the connection ends in the middle of a message.
func (s *session) broken(err error) {
	s.trace("!", "message broken off: "+err.Error())
	switch {
	case errors.Is(err, errFlood):
		s.send(*s.tooLarge())
	default:
		s.reply(421, "4.4.2", "message not complete")
	}
}

// finish commits and answers; only here a message is acknowledged.
func (s *session) finish(ctx context.Context, m *incoming) {
	if m.err == nil {
		m.err = m.out.Flush()
	}
	if m.err != nil {
		m.abort()
		if errors.Is(m.err, errTooLarge) {
			s.send(*s.tooLarge())
			return
		}
		s.fail("spool", m.err)
		return
	}
	spool := m.spool
	m.spool = nil
	id, err := spool.Commit(ctx)
	if err != nil {
		s.fail("commit", err)
		return
	}
	s.reply(250, "2.0.0", "taken as %s", id)
}

// Package-level, as slices that go into an io.Writer are allocated each time: a message has millions of lines.
var crlf, space = []byte("\r\n"), []byte(" ")

// copyData copies a message up to the line that is a single dot, dots doubled at line beginnings undone (RFC 5321
// 4.5.2). Only CR LF ends a line: a bare LF becomes CR LF and a bare CR a space in what is stored, but neither begins
// a line for the protocol, so nothing can be smuggled behind a false end. Memory is the reader's buffer.
func copyData(m *incoming, r *bufio.Reader, limit int64) error {
	lineStart, heldCR := true, false
	for {
		frag, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if lineStart && len(frag) > 0 && frag[0] == '.' {
			if len(frag) == 3 && frag[1] == '\r' && frag[2] == '\n' {
				return nil
			}
			frag = frag[1:]
		}
		if heldCR && !(len(frag) > 0 && frag[0] == '\n') {
			m.Write(space)
		}
		ended := len(frag) > 0 && frag[len(frag)-1] == '\n'
		body := bytes.TrimSuffix(frag, []byte{'\n'})
		lineStart = ended && (bytes.HasSuffix(body, []byte{'\r'}) || heldCR && len(body) == 0)
		body, heldCR = cutCR(body, ended)
		m.Write(body)
		if ended {
			m.Write(crlf)
		}
		if m.over > limit+1<<20 {
			return errFlood
		}
	}
}

// cutCR takes a CR off the end, to be seen with what follows when the line goes on, and makes others spaces.
func cutCR(b []byte, ended bool) (body []byte, held bool) {
	if bytes.HasSuffix(b, []byte{'\r'}) {
		b = b[:len(b)-1]
		held = !ended
	}
	for i := bytes.IndexByte(b, '\r'); i >= 0; i = bytes.IndexByte(b, '\r') {
		b[i] = ' '
	}
	return b, held
}

// bdat takes one chunk (RFC 3030 2).
func (s *session) bdat(ctx context.Context, arg string) {
	f := strings.Fields(arg)
	last := len(f) == 2 && strings.EqualFold(f[1], "LAST")
	size, err := strconv.ParseInt(strings.Join(f[:min(1, len(f))], ""), 10, 64)
	if err != nil || size < 0 || len(f) > 2 || len(f) == 2 && !last {
		s.reply(501, "5.5.4", "the form is BDAT size [LAST]")
		s.ended = true // the chunk's length is unknown: what follows cannot be told from commands
		return
	}
	if !s.mail || len(s.env.To) == 0 {
		if s.dropChunk(size) {
			s.reply(503, "5.5.1", "no recipient was taken")
		}
		return
	}
	if s.chunks == nil {
		if s.chunks, err = s.begin(ctx); err != nil {
			if s.dropChunk(size) {
				s.fail("begin", err)
				s.resetMail()
			}
			return
		}
	}
	s.conn.beginData(s.cfg.ReadTimeout, s.cfg.DataTimeout)
	if size > s.cfg.MaxSize {
		s.chunks.err = errTooLarge
	}
	w := &lineEnds{w: s.chunks, heldCR: s.chunksCR}
	if !s.copyChunk(w, size) {
		return
	}
	s.chunksCR = w.heldCR
	if last {
		w.finish()
	} else if s.chunks.err == nil {
		s.reply(250, "2.0.0", "%d octets taken", size)
		return
	}
	m := s.chunks
	s.chunks, s.chunksCR = nil, false
	s.finish(ctx, m)
	s.resetMail()
}

func (s *session) dropChunk(size int64) bool {
	s.conn.beginData(s.cfg.ReadTimeout, s.cfg.DataTimeout)
	return s.copyChunk(io.Discard, size)
}

// copyChunk reads size octets into w; too many are not read but end the connection.
func (s *session) copyChunk(w io.Writer, size int64) bool {
	if size > 2*s.cfg.MaxSize+1<<20 {
		s.broken(errFlood)
		s.ended = true
		return false
	}
	start := time.Now()
	n, err := io.CopyN(w, s.r, size)
	if err != nil {
		s.trace("!", fmt.Sprintf("chunk broken off after %d of %d octets and %v", n, size, time.Since(start).Round(time.Second)))
		s.broken(err)
		s.ended = true
		return false
	}
	return true
}

// lineEnds stores chunked data with CR LF line ends, as copyData does.
type lineEnds struct {
	w      io.Writer
	heldCR bool
}

func (l *lineEnds) Write(b []byte) (int, error) {
	total := len(b)
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		frag, ended := b, i >= 0
		if ended {
			frag = b[:i]
		}
		if l.heldCR && (len(frag) > 0 || !ended) {
			l.w.Write(space)
		}
		if ended {
			b = b[i+1:]
		} else {
			b = nil
		}
		var body []byte
		body, l.heldCR = cutCR(frag, ended)
		l.w.Write(body)
		if ended {
			l.w.Write(crlf)
		}
	}
	return total, nil
}

func (l *lineEnds) finish() {
	if l.heldCR {
		l.w.Write(space)
		l.heldCR = false
	}
}
