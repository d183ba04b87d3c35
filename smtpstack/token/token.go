// Package token gets the OAuth 2.0 access tokens with which mail is submitted to Exchange Online: by client credentials
// (RFC 6749 4.4) with a secret or a certificate (RFC 7523 2.2), or in a mailbox's own name by device code (RFC 8628) and
// refresh tokens. Tokens are kept until shortly before they end; a token the mail server refuses is given up at once.
package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// The scopes of client submission (Microsoft Learn: Authenticate an IMAP, POP or SMTP connection using OAuth).
const (
	ScopeApplication = "https://outlook.office365.com/.default" // client credentials; permission SMTP.SendAsApp
	ScopeDelegated   = "https://outlook.office.com/SMTP.Send"   // device code
	ScopeOffline     = "offline_access"                         // a refresh token too
	authority        = "https://login.microsoftonline.com"      // of the worldwide cloud
	early            = 5 * time.Minute                          // a token this near its end is not used any more
	unknownLifetime  = 5*time.Minute + early                    // of a token whose answer does not say
	requestTimeout   = 30 * time.Second                         // for one request to the endpoint
	maxToken         = 16 << 10                                 // octets; real ones have 2 to 4 thousand
)

// Config says whose tokens are asked for, and where.
type Config struct {
	Tenant    string       // directory ID or a domain of the organisation
	ClientID  string       // application ID of the app registration
	Authority string       // default https://login.microsoftonline.com
	Scopes    []string     // default by the way of signing in
	HTTP      *http.Client // default: one with a time limit of 30 s
}

func (c Config) check() (Config, error) {
	if c.Authority == "" {
		c.Authority = authority
	}
	u, err := url.Parse(c.Authority)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return c, fmt.Errorf("token: authority %q is not an https address", c.Authority)
	}
	if c.Tenant == "" || strings.ContainsAny(c.Tenant, "/?#% \t\r\n") {
		return c, fmt.Errorf("token: tenant %q is neither a directory ID nor a domain", c.Tenant)
	}
	if c.ClientID == "" {
		return c, errors.New("token: the application's client ID is missing")
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: requestTimeout}
	}
	return c, nil
}

func (c Config) url(what string) string {
	return strings.TrimSuffix(c.Authority, "/") + "/" + url.PathEscape(c.Tenant) + "/oauth2/v2.0/" + what
}

// context gives the requests our HTTP client and an end.
func (c Config) context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	return context.WithValue(ctx, oauth2.HTTPClient, c.HTTP), cancel
}

// Source gives access tokens. It is safe for concurrent use: one request is under way at most.
type Source struct {
	cfg   Config
	fetch func(ctx context.Context) (*oauth2.Token, error)
	turn  chan struct{} // holds one when free
	have  *oauth2.Token
}

func newSource(cfg Config, fetch func(context.Context) (*oauth2.Token, error)) *Source {
	s := &Source{cfg: cfg, fetch: fetch, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// ClientSecret makes a source for an application that proves itself by a secret.
func ClientSecret(cfg Config, secret string) (*Source, error) {
	cfg, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if secret == "" {
		return nil, errors.New("token: the client secret is empty")
	}
	return newSource(cfg, func(ctx context.Context) (*oauth2.Token, error) {
		cc := cfg.clientCredentials()
		cc.ClientSecret = secret
		return cc.Token(ctx)
	}), nil
}

func (c Config) clientCredentials() *clientcredentials.Config {
	scopes := c.Scopes
	if len(scopes) == 0 {
		scopes = []string{ScopeApplication}
	}
	return &clientcredentials.Config{ClientID: c.ClientID, TokenURL: c.url("token"), Scopes: scopes, AuthStyle: oauth2.AuthStyleInParams}
}

// Token returns a token that is valid for some minutes at least. An error is an *[Error] when the endpoint refused, or
// one of the network; ErrSignIn when a person has to sign in first.
func (s *Source) Token(ctx context.Context) (string, error) {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return "", fmt.Errorf("token: %w", ctx.Err())
	}
	defer func() { s.turn <- struct{}{} }()
	if s.have != nil && time.Until(s.have.Expiry) > early {
		return s.have.AccessToken, nil
	}
	rctx, cancel := s.cfg.context(ctx)
	defer cancel()
	t, err := s.fetch(rctx)
	if err != nil {
		return "", explain(err)
	}
	if err := usable(t); err != nil {
		return "", err
	}
	s.have = t
	return t.AccessToken, nil
}

// usable checks a token before it goes into a command line.
func usable(t *oauth2.Token) error {
	if len(t.AccessToken) > maxToken {
		return fmt.Errorf("token: longer than %d octets", maxToken)
	}
	for _, c := range []byte(t.AccessToken) {
		if c <= ' ' || c >= 0x7f {
			return errors.New("token: forbidden character in the access token")
		}
	}
	if t.Expiry.IsZero() {
		t.Expiry = time.Now().Add(unknownLifetime)
	}
	return nil
}

// Reject gives up a token that a server refused; the next Token is a new one.
func (s *Source) Reject(token string) {
	<-s.turn
	if s.have != nil && s.have.AccessToken == token {
		s.have = nil
	}
	s.turn <- struct{}{}
}
