package receive

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// command executes one command line (RFC 5321 4.1).
func (s *session) command(ctx context.Context, line string) {
	verb, arg, _ := strings.Cut(line, " ")
	verb, arg = strings.ToUpper(verb), strings.TrimSpace(arg)
	if s.chunks != nil && verb != "BDAT" && verb != "RSET" && verb != "QUIT" && verb != "NOOP" && verb != "EHLO" && verb != "HELO" {
		s.reply(503, "5.5.1", "a message is under way, BDAT comes next")
		return
	}
	switch verb {
	case "EHLO", "HELO":
		s.hello(verb == "EHLO", arg)
	case "MAIL":
		s.mailFrom(arg)
	case "RCPT":
		s.rcptTo(ctx, arg)
	case "DATA":
		s.data(ctx, arg)
	case "BDAT":
		s.bdat(ctx, arg)
	case "RSET":
		s.resetMail()
		s.reply(250, "2.0.0", "reset")
	case "NOOP":
		s.reply(250, "2.0.0", "ok")
	case "QUIT":
		s.reply(221, "2.0.0", "%s closing", s.cfg.Hostname)
		s.ended = true
	case "VRFY":
		s.reply(252, "2.5.0", "send the mail and see")
	case "STARTTLS":
		s.startTLS(arg)
	case "EXPN", "HELP", "AUTH", "TURN", "ETRN", "SEND", "SOML", "SAML":
		s.reply(502, "5.5.1", "%s is not implemented", verb)
	default:
		s.reply(500, "5.5.1", "unknown command")
	}
}

func (s *session) hello(esmtp bool, arg string) {
	name, _, _ := strings.Cut(arg, " ")
	if name == "" || len(name) > 255 || !isPrintable(name) || strings.ContainsAny(name, "()<>\"\\;,") {
		s.reply(501, "5.5.4", "say your host name")
		return
	}
	s.resetMail()
	s.helo, s.esmtp = name, esmtp
	if !esmtp {
		s.reply(250, "", "%s", s.cfg.Hostname)
		return
	}
	lines := []string{s.cfg.Hostname, "PIPELINING", "8BITMIME", "CHUNKING", "ENHANCEDSTATUSCODES",
		"SIZE " + strconv.FormatInt(s.cfg.MaxSize, 10)}
	if s.cfg.TLS != nil && s.tls == nil {
		lines = append(lines, "STARTTLS")
	}
	for _, l := range lines[:len(lines)-1] {
		fmt.Fprintf(s.w, "250-%s\r\n", l)
	}
	s.send(smtpstack.Reply{Code: 250, Text: lines[len(lines)-1]})
}

func (s *session) startTLS(arg string) {
	switch {
	case s.cfg.TLS == nil || s.tls != nil:
		s.reply(503, "5.5.1", "TLS is not offered")
		return
	case arg != "":
		s.reply(501, "5.5.4", "STARTTLS takes no argument")
		return
	case s.r.Buffered() > 0:
		// What was sent in the clear must not be taken for part of the protected session (CVE-2011-0411).
		s.reply(501, "5.5.1", "STARTTLS must be the last command of its group")
		s.ended = true
		return
	}
	s.reply(220, "2.0.0", "go ahead")
	if s.w.Flush() != nil {
		s.ended = true
		return
	}
	s.conn.beginData(s.cfg.CommandTimeout, s.cfg.CommandTimeout)
	tc := tls.Server(s.conn, s.cfg.TLS)
	if err := tc.Handshake(); err != nil {
		s.trace("!", "TLS: "+err.Error())
		s.w.Reset(discardWriter{})
		s.ended = true
		return
	}
	s.tls = tc
	s.r = bufio.NewReaderSize(tc, 16<<10)
	s.w = bufio.NewWriter(tc)
	s.resetMail()
	s.helo, s.esmtp = "", false
	s.trace("!", "TLS established: "+tls.VersionName(tc.ConnectionState().Version))
}

type discardWriter struct{}

func (discardWriter) Write(b []byte) (int, error) { return len(b), nil }

func (s *session) mailFrom(arg string) {
	switch {
	case s.helo == "":
		s.reply(503, "5.5.1", "say EHLO first")
		return
	case s.mail:
		s.reply(503, "5.5.1", "one MAIL at a time")
		return
	case s.cfg.RequireTLS && s.tls == nil:
		s.reply(530, "5.7.0", "say STARTTLS first: this server takes mail over TLS only")
		return
	}
	from, params, ok := cutPath(arg, "FROM:")
	if !ok {
		s.reply(501, "5.5.4", "the form is MAIL FROM:<address>")
		return
	}
	if from != "" && !s.checkAddress(from, "5.1.7") {
		return
	}
	size, refusal := s.mailParams(params)
	if refusal != nil {
		s.send(*refusal)
		return
	}
	s.resetMail()
	s.mail = true
	s.env = smtpstack.Envelope{ID: newID(), Connector: s.cfg.Name, Client: s.ip, Helo: s.helo, ESMTP: s.esmtp,
		From: from, Size: size, Received: time.Now()}
	if s.tls != nil {
		st := s.tls.ConnectionState()
		s.env.TLS = &st
	}
	s.reply(250, "2.1.0", "sender noted")
}

// checkAddress refuses what is no address.
func (s *session) checkAddress(addr, status string) bool {
	if !isPrintable(addr) {
		s.reply(553, "5.6.7", "addresses beyond ASCII are not supported here")
		return false
	}
	if _, _, err := smtpstack.SplitAddress(addr); err != nil {
		s.reply(501, status, "%v", err)
		return false
	}
	return true
}

// mailParams reads SIZE (RFC 1870) and BODY (RFC 6152); anything else was not offered (RFC 5321 4.1.1.11: 555).
func (s *session) mailParams(params []string) (size int64, refusal *smtpstack.Reply) {
	for _, p := range params {
		key, value, _ := strings.Cut(p, "=")
		switch strings.ToUpper(key) {
		case "SIZE":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 || len(value) > 20 {
				if strings.Trim(value, "0123456789") == "" && value != "" {
					return 0, s.tooLarge()
				}
				return 0, smtpstack.Refuse(501, "5.5.4", "SIZE takes a number")
			}
			if n > s.cfg.MaxSize {
				return 0, s.tooLarge()
			}
			size = n
		case "BODY":
			if v := strings.ToUpper(value); v != "7BIT" && v != "8BITMIME" {
				return 0, smtpstack.Refuse(501, "5.5.4", "BODY takes 7BIT or 8BITMIME")
			}
		default:
			return 0, smtpstack.Refuse(555, "5.5.4", "parameter %.30s is not known here", key)
		}
	}
	return size, nil
}

func (s *session) tooLarge() *smtpstack.Reply {
	return smtpstack.Refuse(552, "5.3.4", "the message is too large, at most %d octets", s.cfg.MaxSize)
}

func (s *session) rcptTo(ctx context.Context, arg string) {
	if !s.mail {
		s.reply(503, "5.5.1", "say MAIL first")
		return
	}
	path, params, ok := cutPath(arg, "TO:")
	if !ok || path == "" {
		s.reply(501, "5.5.4", "the form is RCPT TO:<address>")
		return
	}
	if len(params) > 0 {
		s.reply(555, "5.5.4", "parameter %.30s is not known here", params[0])
		return
	}
	if len(s.env.To) >= s.cfg.MaxRecipients {
		s.reply(452, "4.5.3", "at most %d recipients at once, send the others in another transaction", s.cfg.MaxRecipients)
		return
	}
	rcpt, refusal := s.policy(path)
	if refusal != nil {
		s.send(*refusal)
		return
	}
	if err := s.srv.backend.Recipient(ctx, s.env, rcpt); err != nil {
		s.fail("recipient", err)
		return
	}
	s.env.To = append(s.env.To, rcpt)
	s.reply(250, "2.1.5", "recipient taken")
}

// cutPath takes "FROM:<path> param param" apart. The path comes without angle brackets and source route (RFC 5321
// 4.1.2, appendix C); spaces after the colon and missing brackets are forgiven, as devices send both.
func cutPath(arg, word string) (path string, params []string, ok bool) {
	if len(arg) < len(word) || !strings.EqualFold(arg[:len(word)], word) {
		return "", nil, false
	}
	s := strings.TrimLeft(arg[len(word):], " ")
	if !strings.HasPrefix(s, "<") {
		fields := strings.Fields(s)
		if len(fields) == 0 || strings.ContainsAny(fields[0], `<>"`) {
			return "", nil, false
		}
		return fields[0], fields[1:], true
	}
	end, quoted := -1, false
scan:
	for i := 1; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && s[i] == '>':
			end = i
			break scan
		case !quoted && s[i] == '<':
			return "", nil, false
		}
	}
	if end < 0 || end+1 < len(s) && s[end+1] != ' ' {
		return "", nil, false
	}
	path, params = s[1:end], strings.Fields(s[end+1:])
	if strings.HasPrefix(path, "@") {
		if _, rest, found := strings.Cut(path, ":"); found {
			path = rest
		}
	}
	return path, params, true
}

func isPrintable(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
