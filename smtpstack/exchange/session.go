package exchange

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// session is one SMTP dialogue.
type session struct {
	p    *Peer
	svc  Service
	nc   net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	ip   netip.Addr
	helo string
	tls  *tls.ConnectionState
	cert []string // names of the verified client certificate

	tenant *Tenant  // of the sign-in or of the connector
	box    *Mailbox // signed in

	mail      bool
	from      string
	mailParam string
	size      int64
	connector *Connector
	to        []string
	rcptParam []string
	busy      []string // recipients whose delivery slots are taken
	quit      bool
}

func newSession(p *Peer, nc net.Conn, svc Service, ip netip.Addr) *session {
	return &session{p: p, svc: svc, nc: nc, ip: ip, r: bufio.NewReaderSize(nc, 16<<10), w: bufio.NewWriter(nc)}
}

func (s *session) hostname() string {
	if s.svc == Submission {
		return SubmissionHost
	}
	return EOPHost
}

func (s *session) end() {
	s.reset()
	if s.box != nil {
		s.p.mu.Lock()
		s.p.counts.connections[s.box.Address]--
		s.p.mu.Unlock()
	}
	s.w.Flush()
	s.nc.Close()
}

// apply answers by a rule of the table. It is called with or without an open transaction.
func (s *session) apply(r Rule, args ...any) {
	s.p.mu.Lock()
	s.p.broken[r]++
	s.p.mu.Unlock()
	s.say(table[r].Reply(args...).String())
}

func (s *session) say(line string) { s.w.WriteString(line + "\r\n") }

func (s *session) serve() {
	s.apply(RuleGreeting, s.hostname())
	for !s.quit {
		if s.r.Buffered() == 0 && s.w.Flush() != nil { // replies to pipelined commands leave together
			return
		}
		s.nc.SetReadDeadline(time.Now().Add(10 * time.Minute))
		raw, err := s.r.ReadSlice('\n')
		if err != nil {
			return
		}
		s.command(strings.TrimRight(string(raw), "\r\n"))
	}
}

func (s *session) command(line string) {
	verb, arg, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		s.hello(strings.ToUpper(verb) == "EHLO", strings.TrimSpace(arg))
	case "STARTTLS":
		s.startTLS()
	case "AUTH":
		s.auth(arg)
	case "MAIL":
		s.onMail(arg)
	case "RCPT":
		s.onRcpt(arg)
	case "DATA":
		s.onData()
	case "RSET":
		s.reset()
		s.say("250 2.0.0 Resetting")
	case "NOOP":
		s.say("250 2.0.0 OK")
	case "QUIT":
		s.say("221 2.0.0 Service closing transmission channel")
		s.quit = true
	default:
		s.say("500 5.3.3 Unrecognized command '" + smtpstack.OneLine(verb) + "'")
	}
}

func (s *session) hello(extended bool, name string) {
	if s.tls != nil && s.tls.Version < tls.VersionTLS12 {
		s.apply(RuleOldTLS)
		s.quit = true
		return
	}
	s.reset()
	s.helo = name
	if !extended {
		s.say("250 " + s.hostname() + " Hello [" + s.ip.String() + "]")
		return
	}
	lines := []string{s.hostname() + " Hello [" + s.ip.String() + "]", fmt.Sprintf("SIZE %d", maxMessage), "PIPELINING", "DSN", "ENHANCEDSTATUSCODES"}
	if s.tls == nil {
		lines = append(lines, "STARTTLS")
	} else if s.svc == Submission {
		lines = append(lines, "AUTH LOGIN XOAUTH2")
	}
	lines = append(lines, "8BITMIME", "SMTPUTF8")
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		s.say("250" + sep + l)
	}
}

func (s *session) startTLS() {
	if s.tls != nil || s.r.Buffered() > 0 {
		s.say("503 5.5.2 TLS already negotiated")
		return
	}
	s.say("220 2.0.0 SMTP server ready")
	if s.w.Flush() != nil {
		s.quit = true
		return
	}
	tc := tls.Server(s.nc, s.p.serverTLS(s.svc))
	tc.SetDeadline(time.Now().Add(time.Minute))
	if tc.Handshake() != nil {
		s.quit = true
		return
	}
	tc.SetDeadline(time.Time{})
	st := tc.ConnectionState()
	s.nc, s.r, s.w, s.tls, s.helo = tc, bufio.NewReaderSize(tc, 16<<10), bufio.NewWriter(tc), &st, ""
	s.cert = s.p.certNames(&st)
}

func (s *session) reset() {
	s.p.mu.Lock()
	for _, b := range s.busy {
		s.p.counts.delivering[b]--
	}
	s.p.mu.Unlock()
	s.mail, s.from, s.to, s.rcptParam, s.busy, s.connector, s.mailParam, s.size = false, "", nil, nil, nil, nil, "", 0
	if s.svc == EOP {
		s.tenant = nil
	}
}

// path reads "FROM:<address> PARAMETERS".
func path(arg, keyword string) (address, params string, ok bool) {
	if len(arg) < len(keyword) || !strings.EqualFold(arg[:len(keyword)], keyword) {
		return "", "", false
	}
	rest, ok := strings.CutPrefix(strings.TrimLeft(arg[len(keyword):], " "), "<")
	if !ok {
		return "", "", false
	}
	address, params, ok = strings.Cut(rest, ">")
	return address, strings.TrimSpace(params), ok
}

func (s *session) onMail(arg string) {
	from, params, ok := path(arg, "FROM:")
	switch {
	case s.helo == "":
		s.say("503 5.5.2 Send hello first")
		return
	case s.mail:
		s.say("503 5.5.2 Sender already specified")
		return
	case !ok || from != "" && !strings.Contains(from, "@"):
		s.say("501 5.1.7 Invalid address")
		return
	}
	s.size = 0
	for _, p := range strings.Fields(params) {
		if v, ok := strings.CutPrefix(strings.ToUpper(p), "SIZE="); ok {
			s.size, _ = strconv.ParseInt(v, 10, 64)
		}
	}
	if s.size > maxMessage {
		s.apply(RuleSize)
		return
	}
	refused := s.mailEOP
	if s.svc == Submission {
		refused = s.mailSubmission
	}
	if rule, arg := refused(from); rule != "" {
		s.apply(rule, arg...)
		s.reset()
		return
	}
	s.mail, s.from, s.mailParam = true, from, params
	s.say("250 2.1.0 Sender OK")
}

func (s *session) onRcpt(arg string) {
	to, params, ok := path(arg, "TO:")
	if !s.mail {
		s.say("503 5.5.2 Need mail command")
		return
	}
	if !ok || !strings.Contains(to, "@") {
		s.say("501 5.1.3 Invalid address")
		return
	}
	refused := s.rcptEOP
	if s.svc == Submission {
		refused = s.rcptSubmission
	}
	if rule, arg := refused(to); rule != "" {
		s.apply(rule, arg...)
		return
	}
	s.to, s.rcptParam = append(s.to, to), append(s.rcptParam, params)
	s.say("250 2.1.5 Recipient OK")
}

func (s *session) onData() {
	if len(s.to) == 0 {
		s.say("503 5.5.2 Need rcpt command")
		return
	}
	s.say("354 Start mail input; end with <CRLF>.<CRLF>")
	if s.w.Flush() != nil {
		s.quit = true
		return
	}
	data, bare, err := s.readData()
	if err != nil {
		s.quit = true
		return
	}
	defer s.reset()
	switch {
	case len(data) > maxMessage:
		s.apply(RuleSize)
		return
	case bare:
		s.apply(RuleBareLF)
		return
	}
	if rule, arg := s.judge(data); rule != "" {
		s.apply(rule, arg...)
		return
	}
	s.accept(data)
}

// readData reads to the lone dot; it keeps no more than the size limit allows.
func (s *session) readData() (data []byte, bareLF bool, err error) {
	var b bytes.Buffer
	whole := true // the line before ended in CRLF
	for {
		s.nc.SetReadDeadline(time.Now().Add(10 * time.Minute))
		line, err := s.r.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			err = nil
		}
		if err != nil {
			return nil, false, err
		}
		if whole && string(line) == ".\r\n" {
			return b.Bytes(), bareLF, nil
		}
		if whole {
			line = bytes.TrimPrefix(line, []byte("."))
		}
		crlf := bytes.HasSuffix(line, []byte("\r\n"))
		if bytes.HasSuffix(line, []byte("\n")) && !crlf {
			bareLF = true
		}
		whole = crlf
		if b.Len() <= maxMessage {
			b.Write(line)
		}
	}
}

func (s *session) accept(data []byte) {
	p := s.p
	p.mu.Lock()
	m := Message{Service: s.svc, At: time.Now(), From: s.from, MailParam: s.mailParam, To: s.to, RcptParam: s.rcptParam, TLS: s.tls != nil, Data: data}
	if s.connector != nil {
		m.Connector = s.connector.Name
	}
	if s.box != nil {
		m.Mailbox = s.box.Address
		m.Delayed = since(p.counts.submitted, s.box.Address, time.Minute) >= messagesAMinute
		count(p.counts.submitted, s.box.Address, 1)
		count(p.counts.recipients, s.box.Address, len(s.to))
	}
	for _, to := range s.to {
		count(p.counts.received, to, 1)
		count(p.counts.fromSender, to+" "+s.from, 1)
		p.counts.stored[strings.ToLower(to)] += int64(len(data))
	}
	p.messages = append(p.messages, m)
	id := fmt.Sprintf("<%d@%s>", len(p.messages), s.hostname())
	p.mu.Unlock()
	s.apply(RuleAccepted, id)
}
