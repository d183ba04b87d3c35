package send

import (
	"context"
	"errors"
	"strings"
)

// Authenticator is a way to sign in (RFC 4954). PLAIN is here; token mechanisms fetch theirs in Start.
type Authenticator interface {
	// Mechanism is its SASL name, like "PLAIN".
	Mechanism() string
	// Start returns the initial response. It is only called on a protected connection.
	Start(ctx context.Context) ([]byte, error)
	// Next answers a challenge of the server.
	Next(challenge []byte) ([]byte, error)
}

// Plain signs in with user name and password (RFC 4616).
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
