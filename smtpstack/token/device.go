package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"
)

// ErrSignIn is returned when there is no refresh token that works: a person has to sign in by device code.
var ErrSignIn = errors.New("token: sign-in by a person is needed")

// Prompt is what a person needs to sign in: the address to open on any device, and the code to type there.
type Prompt struct {
	URL, Code string
	Expires   time.Time
}

// Device is a source in the name of a mailbox, which a person has signed in once. Between restarts it lives of the
// refresh token in its file.
type Device struct {
	*Source
	file File
}

// DeviceCode makes a source that signs in by device code; the app registration must allow public client flows. It does
// not fail when nobody has signed in yet: then Token does, with ErrSignIn.
func DeviceCode(cfg Config, file File) (*Device, error) {
	cfg, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = []string{ScopeDelegated, ScopeOffline}
	}
	d := &Device{file: file}
	d.Source = newSource(cfg, d.refresh)
	return d, nil
}

func (d *Device) oauth() *oauth2.Config {
	return &oauth2.Config{ClientID: d.cfg.ClientID, Scopes: d.cfg.Scopes, Endpoint: oauth2.Endpoint{
		TokenURL: d.cfg.url("token"), DeviceAuthURL: d.cfg.url("devicecode"), AuthStyle: oauth2.AuthStyleInParams}}
}

// refresh trades the refresh token for an access token. The endpoint may give a new refresh token with it, which is on
// disk before the access token is used.
func (d *Device) refresh(ctx context.Context) (*oauth2.Token, error) {
	saved, err := d.file.load()
	if err != nil {
		return nil, err
	}
	if saved.Refresh == "" || saved.Tenant != d.cfg.Tenant || saved.ClientID != d.cfg.ClientID {
		return nil, ErrSignIn
	}
	t, err := d.oauth().TokenSource(ctx, &oauth2.Token{RefreshToken: saved.Refresh}).Token()
	if err != nil {
		return nil, err
	}
	if t.RefreshToken != saved.Refresh {
		saved.Refresh = t.RefreshToken
		if err := d.file.save(saved); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// SignIn runs the device code flow: show gets what the person must see, then the endpoint is polled at the interval it
// asks for until the person has signed in, declined, or the code has expired (15 minutes as a rule).
func (d *Device) SignIn(ctx context.Context, show func(Prompt)) error {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, d.cfg.HTTP)
	oc := d.oauth()
	asked, err := oc.DeviceAuth(ctx)
	if err != nil {
		return explain(err)
	}
	if asked.UserCode == "" || asked.DeviceCode == "" || asked.VerificationURI == "" {
		return errors.New("token: the endpoint's answer has no code")
	}
	if asked.Expiry.IsZero() { // required by RFC 8628 3.2; without it the polling would have no end
		asked.Expiry = time.Now().Add(15 * time.Minute)
	}
	show(Prompt{URL: asked.VerificationURI, Code: asked.UserCode, Expires: asked.Expiry})
	t, err := oc.DeviceAccessToken(ctx, asked)
	if errors.Is(err, context.DeadlineExceeded) && !time.Now().Before(asked.Expiry) {
		return &Error{Code: "expired_token", Text: "nobody signed in before the code expired"}
	}
	if err != nil {
		return explain(err)
	}
	if err := usable(t); err != nil {
		return err
	}
	if t.RefreshToken == "" {
		return errors.New("token: the endpoint gave no refresh token: the scope offline_access is missing")
	}
	select {
	case <-d.turn:
	case <-ctx.Done():
		return fmt.Errorf("token: %w", ctx.Err())
	}
	defer func() { d.turn <- struct{}{} }()
	if err := d.file.save(saved{Tenant: d.cfg.Tenant, ClientID: d.cfg.ClientID, Refresh: t.RefreshToken}); err != nil {
		return err
	}
	d.have = t
	return nil
}
