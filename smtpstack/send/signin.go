package send

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/token"
)

// maxInitial is the longest AUTH command with an initial response; a longer one waits for the challenge (RFC 4954 4,
// RFC 5321 4.5.3.1.4).
const maxInitial = 510

// signIn signs in, where a token was refused once more with another.
func (c *conn) signIn() error {
	auth := c.d.s.cfg.Auth
	if auth == nil {
		return nil
	}
	if !c.tls { // New sees to it; a secret is worth a second look
		return &failure{class: smtpstack.Configuration, err: errors.New("send: no sign-in without TLS"), remedy: "Set TLS to required."}
	}
	if p, ok := auth.(Plain); ok && !c.offersAuth("PLAIN") && c.offersAuth("LOGIN") {
		auth = Login(p)
	}
	if !c.offersAuth(auth.Mechanism()) {
		return &failure{class: smtpstack.Configuration, err: fmt.Errorf("send: the server does not offer AUTH %s", auth.Mechanism()),
			remedy: "The server does not offer this way of signing in: choose another, or check host and port (587 for submission)."}
	}
	initial, refused, err := c.tryAuth(auth, nil)
	better, ok := auth.(rejecter)
	if refused == nil {
		return err
	}
	if !ok {
		return refused
	}
	better.rejected(initial)
	_, again, err := c.tryAuth(auth, initial)
	switch {
	case errors.Is(err, errSameToken), errors.Is(err, ErrRejectedToken):
		return refused
	case again != nil:
		return again
	}
	return err
}

func (c *conn) offersAuth(mechanism string) bool {
	return strings.Contains(" "+strings.ToUpper(c.ext["AUTH"])+" ", " "+mechanism+" ")
}

var errSameToken = errors.New("the same answer again")

// tryAuth has one AUTH exchange. refused is the server's final no; before is the initial response that was refused already.
func (c *conn) tryAuth(auth Authenticator, before []byte) (initial []byte, refused *failure, err error) {
	resp, err := auth.Start(c.ctx)
	if err != nil {
		return nil, nil, startFailure(err)
	}
	if before != nil && bytes.Equal(resp, before) {
		return resp, nil, errSameToken
	}
	initial = resp
	c.d.keepSecret(base64.StdEncoding.EncodeToString(resp))
	if k, ok := auth.(secretKeeper); ok {
		for _, s := range k.secrets(resp) {
			c.d.keepSecret(s)
			c.d.keepSecret(base64.StdEncoding.EncodeToString([]byte(s)))
		}
	}
	line := "AUTH " + auth.Mechanism()
	pending := resp // to be sent after the first challenge
	if with := line + " " + base64.StdEncoding.EncodeToString(resp); resp != nil && len(with) <= maxInitial {
		line, pending = with, nil
	}
	c.d.trace(">", "AUTH %s ...", auth.Mechanism())
	for range 8 {
		if err := c.writeSecret(line); err != nil {
			return initial, nil, err
		}
		r, _, err := c.reply()
		if err != nil {
			return initial, nil, err
		}
		if r.Code == 235 {
			return initial, nil, nil
		}
		if r.Code != 334 {
			f := c.refused(r, "The sign-in was refused: check user name and password of the send connector.")
			if r.Code == 535 && r.Enhanced != "5.7.139" { // the credentials themselves, not whether signing in is allowed
				return initial, f, nil
			}
			return initial, nil, f
		}
		challenge, err := base64.StdEncoding.DecodeString(r.Text)
		if err != nil {
			return initial, nil, fmt.Errorf("send: sign-in: challenge: %w", err)
		}
		if pending != nil {
			resp, pending = pending, nil
		} else if resp, err = auth.Next(challenge); err != nil {
			return initial, nil, fmt.Errorf("send: sign-in: %w", err)
		} else if len(challenge) > 0 && challenge[0] == '{' {
			c.d.trace("!", "the server's reason: %.300s", challenge)
		}
		c.d.trace(">", "...")
		line = base64.StdEncoding.EncodeToString(resp)
	}
	return initial, nil, errors.New("send: sign-in does not end")
}

// startFailure tells what keeps us from having something to sign in with: a refusal by the token endpoint needs a person,
// a network failure only time.
func startFailure(err error) error {
	wrapped := fmt.Errorf("send: sign-in: %w", err)
	var refusal *token.Error
	switch {
	case errors.As(err, &refusal) && refusal.Remedy() != "":
		return &failure{class: smtpstack.Configuration, err: wrapped, remedy: refusal.Remedy()}
	case errors.Is(err, token.ErrSignIn):
		return &failure{class: smtpstack.Configuration, err: wrapped, remedy: "Nobody has signed in to the mailbox yet, or the sign-in is not valid any more: sign in by device code."}
	case errors.Is(err, ErrRejectedToken):
		return &failure{class: smtpstack.Configuration, err: wrapped, remedy: "The mail server refuses the token: check that it belongs to this mailbox and has the permission to send by SMTP."}
	}
	return wrapped
}
