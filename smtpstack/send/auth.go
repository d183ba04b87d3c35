package send

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Authenticator is a way to sign in (RFC 4954). One value serves all connections at the same time.
type Authenticator interface {
	// Mechanism is its SASL name, like "PLAIN".
	Mechanism() string
	// Start returns the initial response, nil if there is none. It is only called on a protected connection.
	Start(ctx context.Context) ([]byte, error)
	// Next answers a challenge of the server.
	Next(challenge []byte) ([]byte, error)
}

// rejecter is an Authenticator that can have something better after a refusal.
type rejecter interface {
	// rejected is told which initial response was refused.
	rejected(initial []byte)
}

// secretKeeper is an Authenticator that says which strings must never be shown, also when a server repeats them.
type secretKeeper interface {
	secrets(initial []byte) []string
}

// Plain signs in with user name and password (RFC 4616), by LOGIN where a server offers only that, as Exchange Online.
type Plain struct{ Username, Password string }

var errChallenge = errors.New("unexpected challenge")

// Mechanism implements Authenticator.
func (Plain) Mechanism() string { return "PLAIN" }

// Start implements Authenticator.
func (p Plain) Start(context.Context) ([]byte, error) {
	if p.Username == "" || strings.Contains(p.Username+p.Password, "\x00") {
		return nil, errors.New("user name or password cannot be sent")
	}
	return []byte("\x00" + p.Username + "\x00" + p.Password), nil
}

// Next implements Authenticator; PLAIN has no second step.
func (Plain) Next([]byte) ([]byte, error) { return nil, errChallenge }

func (p Plain) secrets([]byte) []string { return []string{p.Password} }

// Login signs in with user name and password by the mechanism LOGIN, which was never standardised (draft-murchison-sasl-login).
type Login struct{ Username, Password string }

// Mechanism implements Authenticator.
func (Login) Mechanism() string { return "LOGIN" }

// Start implements Authenticator; LOGIN waits for its first challenge.
func (l Login) Start(context.Context) ([]byte, error) {
	if l.Username == "" {
		return nil, errors.New("user name missing")
	}
	return nil, nil
}

// Next implements Authenticator: servers ask for "Username:" (or "User Name") and "Password:".
func (l Login) Next(challenge []byte) ([]byte, error) {
	asked := bytes.ToLower(challenge)
	switch {
	case bytes.HasPrefix(asked, []byte("user")):
		return []byte(l.Username), nil
	case bytes.HasPrefix(asked, []byte("pass")):
		return []byte(l.Password), nil
	}
	return nil, errChallenge
}

func (l Login) secrets([]byte) []string { return []string{l.Password} }

// TokenSource gives access tokens; see package token.
type TokenSource interface {
	// Token returns a token that is still valid.
	Token(ctx context.Context) (string, error)
	// Reject says that a server refused a token; the source should not give it again.
	Reject(token string)
}

// ErrRejectedToken is returned when the token source has nothing but a token that the server has refused twice.
var ErrRejectedToken = errors.New("the server has refused this token, and the token source has no other")

// XOAUTH2 signs in with an OAuth 2.0 access token (Microsoft Learn: Authenticate an IMAP, POP or SMTP connection using
// OAuth). A token that was refused is given back to its source and never tried more than once again.
type XOAUTH2 struct {
	username string
	source   TokenSource

	mu      sync.Mutex
	refused [sha256.Size]byte // of the last refused token
	times   int
}

// NewXOAUTH2 signs in to the mailbox username with tokens of the source.
func NewXOAUTH2(username string, source TokenSource) *XOAUTH2 {
	return &XOAUTH2{username: username, source: source}
}

// Mechanism implements Authenticator.
func (*XOAUTH2) Mechanism() string { return "XOAUTH2" }

// Start implements Authenticator.
func (x *XOAUTH2) Start(ctx context.Context) ([]byte, error) {
	token, err := x.source.Token(ctx)
	if err != nil {
		return nil, err
	}
	if x.username == "" || strings.ContainsAny(x.username+token, "\x01\r\n") || token == "" {
		return nil, errors.New("user name or token cannot be sent")
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.times > 1 && x.refused == sha256.Sum256([]byte(token)) {
		return nil, ErrRejectedToken
	}
	return []byte("user=" + x.username + "\x01auth=Bearer " + token + "\x01\x01"), nil
}

// Next implements Authenticator: the only challenge is an error object, which an empty answer turns into the refusal.
func (x *XOAUTH2) Next([]byte) ([]byte, error) { return []byte{}, nil }

func (x *XOAUTH2) rejected(initial []byte) {
	token := bearer(initial)
	if token == "" {
		return
	}
	sum := sha256.Sum256([]byte(token))
	x.mu.Lock()
	if x.refused != sum {
		x.refused, x.times = sum, 0
	}
	x.times++
	x.mu.Unlock()
	x.source.Reject(token)
}

func (x *XOAUTH2) secrets(initial []byte) []string { return []string{bearer(initial)} }

func bearer(initial []byte) string {
	_, rest, _ := strings.Cut(string(initial), "\x01auth=Bearer ")
	token, _, _ := strings.Cut(rest, "\x01")
	return token
}

// String keeps tokens out of formatted output.
func (x *XOAUTH2) String() string { return fmt.Sprintf("XOAUTH2 for %s", x.username) }
