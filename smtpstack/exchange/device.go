package exchange

import (
	"crypto/rand"
	"net/http"
	"strings"
	"time"
)

// deviceCode begins a device authorization grant (RFC 8628 3.1).
func (p *Peer) deviceCode(t *Tenant, r *http.Request) (any, *oauthError) {
	app := t.app(r.PostForm.Get("client_id"))
	switch {
	case app == nil:
		return nil, fail("unauthorized_client", "AADSTS700016: Application was not found in the directory.", 700016)
	case !app.Public:
		return nil, fail("invalid_client", "AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or 'client_secret'. Allow public client flows.", 7000218)
	}
	if problem := checkDelegated(app, r.PostForm.Get("scope")); problem != nil {
		return nil, problem
	}
	d := &device{tenant: t.ID, client: app.ID, scope: r.PostForm.Get("scope"), userCode: rand.Text()[:9], expires: time.Now().Add(deviceLifetime), interval: deviceInterval}
	code := rand.Text()
	p.tokens.devices[code] = d
	return map[string]any{"user_code": d.userCode, "device_code": code, "verification_uri": "https://microsoft.com/devicelogin",
		"expires_in": int(deviceLifetime / time.Second), "interval": int(deviceInterval / time.Second),
		"message": "To sign in, use a web browser to open the page https://microsoft.com/devicelogin and enter the code " + d.userCode + " to authenticate."}, nil
}

func checkDelegated(app *App, scope string) *oauthError {
	if !app.Delegated {
		return fail("invalid_scope", "AADSTS65001: The user or administrator has not consented to use the application.", 65001)
	}
	for _, s := range strings.Fields(scope) {
		if strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, outlookAudience2+"/") && !strings.HasPrefix(s, outlookAudience+"/") && !strings.HasPrefix(s, "https://graph.microsoft.com/") {
			return fail("invalid_scope", "AADSTS70011: The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid.", 70011)
		}
	}
	return nil
}

// deviceToken answers a poll (RFC 8628 3.5).
func (p *Peer) deviceToken(t *Tenant, app *App, r *http.Request) (any, *oauthError) {
	code := r.PostForm.Get("device_code")
	d := p.tokens.devices[code]
	if d == nil || d.client != app.ID || d.tenant != t.ID {
		return nil, fail("bad_verification_code", "AADSTS70000: The device_code is not valid.", 70000)
	}
	now := time.Now()
	early := !d.last.IsZero() && now.Sub(d.last) < d.interval
	d.last = now
	switch {
	case now.After(d.expires):
		delete(p.tokens.devices, code)
		return nil, fail("expired_token", "AADSTS70020: The provided value for the input parameter 'device_code' is not valid. This device code has expired.", 70020)
	case d.declined:
		delete(p.tokens.devices, code)
		return nil, fail("authorization_declined", "AADSTS70018: The end user denied the authorization request.", 70018)
	case early:
		return nil, fail("slow_down", "AADSTS70017: Polling too fast.", 70017)
	case d.user == "":
		return nil, fail("authorization_pending", "AADSTS70016: OAuth 2.0 device flow error. Authorization is pending. Continue polling.", 70016)
	}
	delete(p.tokens.devices, code)
	return p.delegated(grant{tenant: t.ID, client: app.ID, scope: d.scope, user: d.user}), nil
}

// SlowDown makes the endpoint find the polls of every device flow too fast from now on, until they come at this interval.
func (p *Peer) SlowDown(interval time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.tokens.devices {
		d.interval = interval
	}
}

func (p *Peer) refreshToken(t *Tenant, app *App, r *http.Request) (any, *oauthError) {
	g, ok := p.tokens.refresh[r.PostForm.Get("refresh_token")]
	if !ok || g.client != app.ID || g.tenant != t.ID {
		return nil, fail("invalid_grant", "AADSTS70000: The provided value for the 'refresh_token' is not valid, or it was revoked (AADSTS50173).", 70000)
	}
	if time.Now().After(g.expires) {
		return nil, fail("invalid_grant", "AADSTS700082: The refresh token has expired due to inactivity.", 700082)
	}
	return p.delegated(g), nil // the old refresh token goes on being valid, as at the real endpoint
}

// delegated issues an access token in a user's name, and a refresh token when offline_access was asked for.
func (p *Peer) delegated(g grant) tokenAnswer {
	c := claims{Tenant: g.tenant, App: g.client, User: g.user}
	var scopes []string
	offline := false
	for _, s := range strings.Fields(g.scope) {
		if s == "offline_access" {
			offline = true
			continue
		}
		if i := strings.LastIndexByte(s, '/'); i > len("https://") {
			c.Audience, s = s[:i], s[i+1:]
		}
		scopes = append(scopes, s)
	}
	c.Scopes = strings.Join(scopes, " ")
	a := tokenAnswer{Type: "Bearer", Scope: g.scope, Expires: int(tokenLifetime/time.Second) - 1, Access: p.issueToken(c)}
	if offline {
		a.Refresh = rand.Text() + rand.Text()
		g.expires = time.Now().Add(refreshLifetime)
		p.tokens.refresh[a.Refresh] = g
	}
	return a
}
