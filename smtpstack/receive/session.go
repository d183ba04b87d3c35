package receive

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/tipring/tipring/smtpstack"
)

// session is one connection, and its smtp.Session: what go-smtp asks when MAIL, RCPT and a message come.
type session struct {
	srv     *Server
	cfg     *Config
	ip      netip.Addr
	conn    *deadlineConn
	wire    *wire
	ctx     context.Context // of the connection; go-smtp's calls carry none
	allowed bool            // by network
	smtp    *smtp.Server    // of this conversation alone

	mu sync.Mutex
	tx *transaction // from MAIL to its end
}

// transaction is one message (RFC 5321 3.3).
type transaction struct {
	env     smtpstack.Envelope
	in      *incoming
	running chan struct{} // made when Data is called, closed when it returns
}

func newSession(s *Server, conn net.Conn, ip netip.Addr) *session {
	dc := &deadlineConn{Conn: conn, write: s.cfg.WriteTimeout, end: time.Now().Add(s.cfg.SessionTimeout)}
	sess := &session{srv: s, cfg: &s.cfg, ip: ip, conn: dc}
	sess.wire = newWire(sess, dc)
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

// serve lets go-smtp converse with the client: once, and once more when STARTTLS has come, so that nothing said in the
// clear is remembered (RFC 3207 4.2).
func (s *session) serve(ctx context.Context) {
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithCancel(ctx)
	defer cancel()
	defer s.conn.Close()
	s.trace("!", "connected")
	s.converse()
	if s.wire.upgraded() {
		s.converse()
	}
	s.wire.close()
	s.trace("!", "disconnected")
}

// converse runs a go-smtp server of its own for this one conversation and waits for its end.
func (s *session) converse() {
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return s, nil }))
	srv.Domain = s.cfg.Hostname
	srv.MaxRecipients = s.cfg.MaxRecipients
	srv.MaxMessageBytes = s.cfg.MaxSize
	srv.MaxLineLength = 0 // the wire's: go-smtp's would hold for the lines of a message too
	srv.ErrorLog = traceLog{s.trace}
	if s.wire.tls == nil {
		srv.TLSConfig = s.cfg.TLS // for the line in EHLO's answer; the wire does the rest
	}
	s.smtp = srv
	l := &oneListener{conn: &conversation{Conn: s.conn, wire: s.wire, closed: make(chan struct{})}}
	_ = srv.Serve(l)                               // ends with the conversation, in the listener's error
	_ = srv.Shutdown(context.WithoutCancel(s.ctx)) // waits for its goroutine
	s.Reset()
}

// Mail begins a transaction.
func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	if s.current() != nil {
		return answer(smtpstack.Refuse(503, "5.5.1", "one MAIL at a time"))
	}
	if s.cfg.RequireTLS && s.wire.tls == nil {
		return answer(smtpstack.Refuse(530, "5.7.0", "say STARTTLS first: this server takes mail over TLS only"))
	}
	from = unwrapPath(from)
	if from != "" && !isPrintable(from) {
		return answer(smtpstack.Refuse(553, "5.6.7", "addresses beyond ASCII are not supported here"))
	}
	if _, _, err := smtpstack.SplitAddress(from); from != "" && err != nil {
		return answer(smtpstack.Refuse(501, "5.1.7", "%v", err))
	}
	tx := &transaction{env: smtpstack.Envelope{ID: newID(), Connector: s.cfg.Name, Client: s.ip, Helo: s.wire.helo,
		ESMTP: s.wire.esmtp, From: from, Size: opts.Size, Received: time.Now()}}
	if s.wire.tls != nil {
		st := s.wire.tls.ConnectionState()
		tx.env.TLS = &st
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tx = tx
	return nil
}

// Rcpt judges one recipient: our rules first, then the backend's.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	tx := s.current()
	if tx == nil {
		return answer(smtpstack.Refuse(503, "5.5.1", "say MAIL first"))
	}
	rcpt, refusal := s.policy(tx.env, unwrapPath(to))
	if refusal != nil {
		return answer(refusal)
	}
	if err := s.srv.backend.Recipient(s.ctx, tx.env, rcpt); err != nil {
		return answer(s.failure("recipient", err))
	}
	tx.env.To = append(tx.env.To, rcpt)
	return nil
}

// Data takes the message. go-smtp knows no way to say more than "OK: queued", so success with the message's identifier
// is returned as an SMTPError too, with code 250. For BDAT it runs beside the conversation.
func (s *session) Data(r io.Reader) error {
	s.mu.Lock()
	tx := s.tx
	if tx == nil { // reset before this goroutine began
		s.mu.Unlock()
		return smtp.ErrDataReset
	}
	tx.running = make(chan struct{})
	s.mu.Unlock()
	defer close(tx.running)
	if tx.in == nil {
		in, err := s.begin(tx.env)
		if err != nil {
			return answer(s.failure("begin", err))
		}
		tx.in = in
	}
	defer tx.in.abort()
	err := tx.in.fill(r)
	if err == nil && !s.wire.whole {
		err = io.ErrUnexpectedEOF // the end of the connection is not the end of the message
	}
	if err != nil {
		return answer(s.failure("message", err))
	}
	id, err := tx.in.commit(s.ctx)
	if err != nil {
		return answer(s.failure("commit", err))
	}
	return answer(&smtpstack.Reply{Code: 250, Enhanced: "2.0.0", Text: "taken as " + id})
}

// Reset ends the transaction. It waits for Data, which go-smtp has just told to stop, so that nothing of the old
// message is left when the client hears the answer.
func (s *session) Reset() {
	s.smtp.MaxMessageBytes = s.cfg.MaxSize
	s.mu.Lock()
	tx := s.tx
	s.tx = nil
	var running chan struct{}
	if tx != nil {
		running = tx.running
	}
	s.mu.Unlock()
	if running != nil {
		<-running
	}
	if tx != nil && tx.in != nil {
		tx.in.abort()
	}
}

// Logout does nothing: converse cleans up.
func (s *session) Logout() error { return nil }

func (s *session) current() *transaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tx
}

// hasRecipients tells whether a message may come now.
func (s *session) hasRecipients() bool {
	tx := s.current()
	return tx != nil && len(tx.env.To) > 0
}

// open makes the message's place before go-smtp answers DATA, as that says 354 without asking: a full disk must be
// told before the message is sent. What DATA itself does wrong is left to go-smtp.
func (s *session) open(arg string) *smtpstack.Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := s.tx
	if arg != "" || tx == nil || len(tx.env.To) == 0 || tx.running != nil {
		return nil
	}
	var err error
	if tx.in, err = s.begin(tx.env); err != nil {
		return s.failure("begin", err)
	}
	s.smtp.MaxMessageBytes = 0 // until Reset; the message's own limit holds: go-smtp's refuses what is just as large
	return nil
}

func newID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
