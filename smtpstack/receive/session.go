package receive

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/tipring/tipring/smtpstack"
)

// session is one connection, and its smtp.Session: what go-smtp asks when MAIL, RCPT and a message come.
type session struct {
	srv         *Server
	cfg         *Config
	ip          netip.Addr // the client
	peer        netip.Addr // the other end of the connection: the client or its proxy
	conn        *deadlineConn
	wire        *wire
	ctx         context.Context // of the connection; go-smtp's calls carry none
	allowed     bool            // by network
	shared      bool            // a provider's host, which sends for others too
	authInClear bool
	counted     bool         // has a place; under the server's lock
	tx          *transaction // from MAIL to its end, or nil
}

// transaction is one message (RFC 5321 3.3).
type transaction struct {
	env smtpstack.Envelope
	in  *incoming // while its data comes in
}

func newSession(s *Server, conn net.Conn, ip netip.Addr) *session {
	dc := &deadlineConn{Conn: conn, write: s.cfg.WriteTimeout, end: time.Now().Add(s.cfg.SessionTimeout)}
	sess := &session{srv: s, cfg: &s.cfg, ip: ip, peer: ip, conn: dc}
	sess.wire = newWire(sess, dc)
	return sess
}

// judgeNetwork looks up what the client's address allows.
func (s *session) judgeNetwork() {
	s.shared = slices.ContainsFunc(s.cfg.NetworkSets, func(n NetworkSet) bool { return n.Contains(s.ip) })
	s.allowed = s.shared || containsAddr(s.cfg.Networks, s.ip)
	s.authInClear = containsAddr(s.cfg.AuthInClear, s.ip)
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
	defer func() { s.trace("!", "disconnected") }()
	if !s.meet() {
		return
	}
	s.converse()
	if s.wire.upgraded() {
		s.converse()
	}
	s.wire.close()
}

// meet does what comes before the greeting: the proxy's header, the client's limits, TLS.
func (s *session) meet() bool {
	if len(s.cfg.Proxies) > 0 {
		client, err := s.wire.readProxyHeader()
		if err != nil {
			s.trace("!", smtpstack.OneLine(err.Error()))
			return false // who does not speak as a proxy gets no word
		}
		s.ip = client
		s.trace("!", "for "+client.String())
	}
	s.judgeNetwork()
	if refusal := s.srv.admit(s); refusal != "" {
		if !s.cfg.ImplicitTLS {
			s.wire.put(refusal)
			s.wire.close()
		}
		return false
	}
	return !s.cfg.ImplicitTLS || s.wire.handshake() == nil
}

// converse runs a go-smtp server of its own for this one conversation and waits for its end.
func (s *session) converse() {
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return s, nil }))
	srv.Domain = s.cfg.Hostname
	srv.MaxRecipients = s.cfg.MaxRecipients
	// Lines and sizes are ours to limit: go-smtp's limit for lines holds for those of a message too, and its limit for
	// messages refuses one that is just as large.
	srv.MaxLineLength, srv.MaxMessageBytes = 0, 0
	srv.ErrorLog = traceLog{s.trace}
	if s.wire.tls == nil && !s.cfg.ImplicitTLS {
		srv.TLSConfig = s.cfg.TLS // for the line in EHLO's answer; the wire does the rest
	}
	l := &oneListener{conn: &conversation{Conn: s.conn, wire: s.wire, closed: make(chan struct{})}}
	_ = srv.Serve(l)                               // ends with the conversation, in the listener's error
	_ = srv.Shutdown(context.WithoutCancel(s.ctx)) // waits for its goroutine
	s.Reset()
}

// Mail begins a transaction.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.tx != nil {
		return answer(smtpstack.Refuse(503, "5.5.1", "one MAIL at a time"))
	}
	if refusal := s.mayMail(); refusal != nil {
		return answer(refusal)
	}
	p := s.wire.mailParams
	from = unwrapPath(from)
	if !isPrintable(from) && !p.utf8 {
		return answer(smtpstack.Refuse(553, "5.6.7", "an address beyond ASCII needs SMTPUTF8"))
	}
	if _, _, err := smtpstack.SplitAddress(from); from != "" && err != nil {
		return answer(smtpstack.Refuse(501, "5.1.7", "%v", err))
	}
	if !s.spend(newMessage, s.cfg.Limits.MessagesPerMinute, time.Minute) {
		return answer(smtpstack.Refuse(450, "4.7.1", "too many messages from your address, try again later"))
	}
	s.tx = &transaction{env: smtpstack.Envelope{ID: newID(), Connector: s.cfg.Name, Client: s.ip, Peer: s.peer,
		Helo: s.wire.helo, ESMTP: s.wire.esmtp, ClientName: s.wire.clientName, User: s.wire.user, From: from,
		Size: p.size, UTF8: p.utf8, Return: p.ret, EnvelopeID: p.envid, Received: time.Now()}}
	if s.wire.tls != nil {
		st := s.wire.tls.ConnectionState()
		s.tx.env.TLS = &st
	}
	return nil
}

// mayMail says whether the client has proven itself as the connector asks.
func (s *session) mayMail() *smtpstack.Reply {
	switch {
	case s.cfg.RequireTLS && s.wire.tls == nil:
		return smtpstack.Refuse(530, "5.7.0", "say STARTTLS first: this server takes mail over TLS only")
	case s.cfg.ClientCert != nil && s.cfg.ClientCert.Required && s.wire.clientName == "":
		// RFC 3207 4: 554, "command refused due to lack of security"
		return smtpstack.Refuse(554, "5.7.0", "this server takes mail only from clients with a TLS certificate for %s",
			strings.Join(s.cfg.ClientCert.Names, " or "))
	case s.cfg.RequireAuth && s.wire.user == "":
		return smtpstack.Refuse(530, "5.7.0", "sign in first")
	}
	return nil
}

// Rcpt judges one recipient: our rules first, then the backend's.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	tx := s.tx // go-smtp has seen MAIL
	rcpt, refusal := s.policy(tx.env, unwrapPath(to))
	if refusal != nil {
		return answer(refusal)
	}
	if s.spent(newRecipient, s.cfg.Limits.RecipientsPerHour, time.Hour) {
		return answer(smtpstack.Refuse(450, "4.7.1", "too many recipients from your address, try again later"))
	}
	rcpt.Notify, rcpt.OriginalRecipient = s.wire.rcptParams.notify, s.wire.rcptParams.orcpt
	if err := s.srv.backend.Recipient(s.ctx, tx.env, rcpt); err != nil {
		return answer(s.failure("recipient", err))
	}
	s.spend(newRecipient, s.cfg.Limits.RecipientsPerHour, time.Hour)
	tx.env.To = append(tx.env.To, rcpt)
	return nil
}

// Data takes the message. go-smtp knows no way to say more than "OK: queued", so success with the message's identifier
// is returned as an SMTPError too, with code 250.
func (s *session) Data(io.Reader) error {
	in := s.tx.in
	defer in.abort()
	err := in.fill(s.wire.body)
	if err == nil && !s.wire.whole {
		err = io.ErrUnexpectedEOF // never take the connection's end for the message's
	}
	if err == nil {
		err = s.relayed(s.tx.env, in)
	}
	if err != nil {
		return answer(s.failure("message", err))
	}
	id, err := in.commit(s.ctx)
	if err != nil {
		return answer(s.failure("commit", err))
	}
	return answer(&smtpstack.Reply{Code: 250, Enhanced: "2.0.0", Text: "taken as " + id})
}

// Reset ends the transaction.
func (s *session) Reset() {
	if s.tx != nil && s.tx.in != nil {
		s.tx.in.abort()
	}
	s.tx = nil
}

// Logout does nothing: converse cleans up.
func (s *session) Logout() error { return nil }

// hasRecipients tells whether a message may come now.
func (s *session) hasRecipients() bool { return s.tx != nil && len(s.tx.env.To) > 0 }

// open makes the message's place before go-smtp answers DATA, as that says 354 without asking: a full disk must be
// told before the message is sent.
func (s *session) open() *smtpstack.Reply {
	var err error
	if s.tx.in, err = s.begin(s.tx.env); err != nil {
		return s.failure("begin", err)
	}
	return nil
}

func newID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
