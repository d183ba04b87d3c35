package receive

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/tipring/tipring/smtpstack"
)

// Authenticator says whether a password is a user's: nil when it is, ErrBadCredentials (by errors.Is) when not, or why
// that cannot be told, which the client hears as "try again later". It compares hashes made for passwords (argon2,
// bcrypt) and takes as long for a user who does not exist. At most two run at once.
type Authenticator func(ctx context.Context, user, password string, client netip.Addr) error

// ErrBadCredentials is returned by an Authenticator for an unknown user or a wrong password.
var ErrBadCredentials = errors.New("no such user with this password")

const (
	authChecks   = 2 // passwords checked at once: a good hash takes memory
	firstPenalty = time.Second
	mostPenalty  = 16 * time.Second
	maxUser      = 255 // octets of a user's name or password (RFC 4616 has UTF-8 without NUL)
)

var (
	errAuthCancelled = errors.New("sign-in cancelled")
	errAuthBase64    = errors.New("not base64")
)

// offersAuth tells whether AUTH may be said now: under TLS, or from a network that may do without.
func (w *wire) offersAuth() bool {
	return w.cfg.Authenticate != nil && w.user == "" && (w.tls != nil || w.session.authInClear)
}

// auth answers AUTH (RFC 4954) below go-smtp, whose own says 454 for everything. An error ends the connection.
func (w *wire) auth(arg string) error {
	w.hideUnknown = true // a client that does not wait sends its password on the next line
	mechanism, initial, hasInitial := strings.Cut(arg, " ")
	mechanism = strings.ToUpper(mechanism)
	var refusal *smtpstack.Reply
	switch {
	case w.cfg.Authenticate == nil:
		refusal = smtpstack.Refuse(502, "5.5.1", "AUTH is not implemented")
	case !w.esmtp:
		refusal = smtpstack.Refuse(503, "5.5.1", "say EHLO first")
	case w.user != "":
		refusal = smtpstack.Refuse(503, "5.5.1", "you are signed in already")
	case w.session.tx != nil:
		refusal = smtpstack.Refuse(503, "5.5.1", "not during a mail transaction")
	case !w.offersAuth():
		refusal = smtpstack.Refuse(538, "5.7.11", "say STARTTLS first: passwords are taken over TLS only")
	case mechanism != "PLAIN" && mechanism != "LOGIN":
		refusal = smtpstack.Refuse(504, "5.5.4", "the mechanisms are PLAIN and LOGIN")
	}
	if refusal != nil {
		w.say(refusal)
		return nil
	}
	var answers []string
	if hasInitial {
		answers = []string{strings.Trim(initial, " \t")}
	}
	user, password, err := w.credentials(mechanism, answers)
	switch {
	case errors.Is(err, errAuthCancelled):
		w.say(smtpstack.Refuse(501, "5.7.0", "sign-in cancelled"))
		return nil
	case errors.Is(err, errAuthBase64):
		w.say(smtpstack.Refuse(501, "5.5.2", "that is not base64"))
		return nil
	case err != nil:
		return err
	}
	if refusal := w.session.signIn(user, password); refusal != nil {
		w.say(refusal)
		return nil
	}
	w.user = user
	w.session.trace("!", "signed in: "+smtpstack.OneLine(user))
	w.say(smtpstack.Refuse(235, "2.7.0", "signed in"))
	return nil
}

// credentials leads the exchange. Credentials that are none come out as empty, and fail like wrong ones.
func (w *wire) credentials(mechanism string, answers []string) (user, password string, err error) {
	prompts := []string{"VXNlcm5hbWU6", "UGFzc3dvcmQ6"} // "Username:", "Password:"
	if mechanism == "PLAIN" {
		prompts = []string{""}
	}
	var parts [][]byte
	for i, prompt := range prompts {
		if i == len(answers) {
			w.put("334 " + prompt)
			line, err := w.readLine()
			if err != nil {
				return "", "", err
			}
			answers = append(answers, line)
		}
		switch answers[i] {
		case "*":
			return "", "", errAuthCancelled
		case "=": // RFC 4954 4: an empty initial response
			answers[i] = ""
		}
		part, err := base64.StdEncoding.Strict().DecodeString(answers[i])
		if err != nil {
			return "", "", errAuthBase64
		}
		parts = append(parts, part)
	}
	if mechanism == "PLAIN" { // RFC 4616 2: authorization identity, authentication identity, password
		parts = bytes.Split(parts[0], []byte{0})
		if len(parts) != 3 || len(parts[0]) > 0 && !bytes.Equal(parts[0], parts[1]) {
			return "", "", nil // to act for somebody else is not offered
		}
		parts = parts[1:]
	}
	return string(parts[0]), string(parts[1]), nil
}

// signIn checks user and password. Who has failed waits, longer each time; who has failed too often in the last hour is
// not heard any more.
func (s *session) signIn(user, password string) *smtpstack.Reply {
	m, key := s.srv.meter, s.meterKey(badSignIn)
	tooMany := smtpstack.Refuse(454, "4.7.0", "too many failed sign-ins from your address, try again later")
	if !m.has(key, s.cfg.Limits.FailedSignInsPerHour, time.Hour) {
		s.trace("!", "sign-in not heard: too many failures")
		s.pause(mostPenalty)
		return tooMany
	}
	err := ErrBadCredentials
	if validName(user) && validName(password) {
		err = s.check(user, password)
	}
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, ErrBadCredentials):
		s.trace("!", "sign-in: "+smtpstack.OneLine(err.Error()))
		return smtpstack.Refuse(454, "4.7.0", "the sign-in cannot be checked now, try again later")
	}
	before := m.used(key, s.cfg.Limits.FailedSignInsPerHour, time.Hour)
	m.take(key, s.cfg.Limits.FailedSignInsPerHour, time.Hour)
	s.trace("!", "sign-in failed")
	s.pause(min(firstPenalty<<min(before, 10), mostPenalty))
	return smtpstack.Refuse(535, "5.7.8", "user or password is wrong")
}

func (s *session) check(user, password string) error {
	select {
	case s.srv.authSlots <- struct{}{}:
		defer func() { <-s.srv.authSlots }()
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	return s.cfg.Authenticate(s.ctx, user, password, s.ip)
}

// pause waits, but not past a shutdown.
func (s *session) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	case <-s.srv.closed:
	}
}

func validName(s string) bool {
	return s != "" && len(s) <= maxUser && isText(s)
}
