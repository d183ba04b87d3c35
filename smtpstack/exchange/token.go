package exchange

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// tokens is what the token endpoint remembers.
type tokens struct {
	devices map[string]*device
	refresh map[string]grant
	used    map[string]bool // jti of assertions
	revoked time.Time       // access tokens issued before are not taken any more
}

func newTokens() *tokens {
	return &tokens{map[string]*device{}, map[string]grant{}, map[string]bool{}, time.Time{}}
}

// device is one device-code flow under way.
type device struct {
	tenant, client, scope string
	userCode, user        string
	declined              bool
	expires, last         time.Time
	interval              time.Duration
}

// grant is what a refresh token stands for.
type grant struct {
	tenant, client, scope, user string
	expires                     time.Time
}

// claims of an access token.
type claims struct {
	Audience string   `json:"aud"`
	Tenant   string   `json:"tid"`
	App      string   `json:"appid"`
	Roles    []string `json:"roles,omitempty"`
	Scopes   string   `json:"scp,omitempty"`
	User     string   `json:"upn,omitempty"`
	Issued   int64    `json:"iat"`
	Expires  int64    `json:"exp"`
	Padding  string   `json:"xms_padding"` // a real token has kilobytes of claims
}

// Approve is what a person does at the page of the device code; with approve false the sign-in is declined.
func (p *Peer) Approve(userCode, user string, approve bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.tokens.devices {
		if d.userCode == userCode {
			d.user, d.declined = user, !approve
			return true
		}
	}
	return false
}

// RevokeTokens makes every access token issued so far worthless, as an administrator's "revoke sessions" does; refresh
// tokens too when all is set.
func (p *Peer) RevokeTokens(all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens.revoked = time.Now()
	if all {
		clear(p.tokens.refresh)
	}
}

func (p *Peer) sign(c claims) string {
	body, _ := json.Marshal(c)
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// authorise says which mailbox a token opens for client submission; nil for none. p.mu is held.
func (p *Peer) authorise(user, bearer string) (*Tenant, *Mailbox) {
	head, sig, _ := cutLast(bearer, ".")
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(head))
	want := base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	_, body, _ := strings.Cut(head, ".")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	var c claims
	if !hmac.Equal([]byte(sig), []byte(want)) || err != nil || json.Unmarshal(raw, &c) != nil {
		return nil, nil
	}
	now := time.Now()
	if c.Audience != outlookAudience && c.Audience != outlookAudience2 || now.Unix() >= c.Expires || !p.tokens.revoked.IsZero() && c.Issued <= p.tokens.revoked.Unix() {
		return nil, nil
	}
	t, _ := p.world.domain(domainOf(user))
	if t == nil || t.ID != c.Tenant {
		return nil, nil
	}
	box := t.box(user)
	switch {
	case box == nil:
		return nil, nil
	case c.User != "": // delegated
		if !strings.Contains(" "+c.Scopes+" ", " SMTP.Send ") || !strings.EqualFold(c.User, user) {
			return nil, nil
		}
	case !containsFold(c.Roles, "SMTP.SendAsApp") || !containsFold(box.Apps, c.App):
		return nil, nil
	}
	return t, box
}

func cutLast(s, sep string) (string, string, bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// TokenHandler is the identity platform's endpoints: /{tenant}/oauth2/v2.0/token and .../devicecode. Page: Microsoft
// identity platform and the OAuth 2.0 client credentials flow; ... device authorization grant flow; ... application
// authentication certificate credentials; Microsoft Entra authentication and authorization error codes.
func (p *Peer) TokenHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", p.endpoint(p.token))
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/devicecode", p.endpoint(p.deviceCode))
	return mux
}

// oauthError is the endpoint's error object.
type oauthError struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
	Codes       []int  `json:"error_codes"`
}

func fail(code, description string, number int) *oauthError {
	return &oauthError{code, description + " Trace ID: 5a0f Correlation ID: 7c21", []int{number}}
}

type endpointFunc func(t *Tenant, r *http.Request) (any, *oauthError)

func (p *Peer) endpoint(f endpointFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store, no-cache")
		p.mu.Lock()
		defer p.mu.Unlock()
		var t *Tenant
		for i := range p.world.Tenants {
			if strings.EqualFold(p.world.Tenants[i].ID, r.PathValue("tenant")) {
				t = &p.world.Tenants[i]
			}
		}
		var answer any
		problem := fail("invalid_request", "AADSTS90002: Tenant not found. Check to make sure you have the correct tenant ID.", 90002)
		if err := r.ParseForm(); err != nil {
			problem = fail("invalid_request", "AADSTS900144: The request body is malformed.", 900144)
		} else if t != nil {
			answer, problem = f(t, r)
		}
		if problem != nil {
			status := http.StatusBadRequest
			if problem.Code == "invalid_client" {
				status = http.StatusUnauthorized
			}
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(problem)
			return
		}
		json.NewEncoder(w).Encode(answer)
	}
}

// tokenAnswer is a granted token.
type tokenAnswer struct {
	Type    string `json:"token_type"`
	Scope   string `json:"scope,omitempty"`
	Expires int    `json:"expires_in"`
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token,omitempty"`
}

func (p *Peer) token(t *Tenant, r *http.Request) (any, *oauthError) {
	id := r.PostForm.Get("client_id")
	app := t.app(id)
	if app == nil {
		return nil, fail("unauthorized_client", "AADSTS700016: Application with identifier '"+id+"' was not found in the directory.", 700016)
	}
	switch r.PostForm.Get("grant_type") {
	case "client_credentials":
		return p.clientCredentials(t, app, r)
	case "urn:ietf:params:oauth:grant-type:device_code":
		return p.deviceToken(t, app, r)
	case "refresh_token":
		return p.refreshToken(t, app, r)
	}
	return nil, fail("unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.", 70003)
}

func (p *Peer) clientCredentials(t *Tenant, app *App, r *http.Request) (any, *oauthError) {
	if a := r.PostForm.Get("client_assertion"); a != "" {
		if problem := p.checkAssertion(t, app, r.PostForm.Get("client_assertion_type"), a); problem != nil {
			return nil, problem
		}
	} else if app.Secret == "" || r.PostForm.Get("client_secret") != app.Secret {
		return nil, fail("invalid_client", "AADSTS7000215: Invalid client secret provided.", 7000215)
	} else if app.SecretExpired {
		return nil, fail("invalid_client", "AADSTS7000222: The provided client secret keys for app '"+app.ID+"' are expired.", 7000222)
	}
	resource, ok := strings.CutSuffix(r.PostForm.Get("scope"), "/.default")
	if !ok {
		return nil, fail("invalid_scope", "AADSTS1002012: The provided value for scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier.", 1002012)
	}
	c := claims{Audience: resource, Tenant: t.ID, App: app.ID}
	if app.SendAsApp {
		c.Roles = []string{"SMTP.SendAsApp"}
	}
	return tokenAnswer{Type: "Bearer", Expires: int(tokenLifetime/time.Second) - 1, Access: p.issueToken(c)}, nil
}

func (p *Peer) issueToken(c claims) string {
	now := time.Now()
	c.Issued, c.Expires = now.Unix(), now.Add(tokenLifetime).Unix()
	pad := make([]byte, 1400)
	rand.Read(pad)
	c.Padding = base64.RawURLEncoding.EncodeToString(pad)
	return p.sign(c)
}

// checkAssertion verifies a private_key_jwt (RFC 7523) made with the app's certificate.
func (p *Peer) checkAssertion(t *Tenant, app *App, kind, assertion string) *oauthError {
	bad := fail("invalid_client", "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on application, or the assertion is not valid.", 700027)
	parts := strings.Split(assertion, ".")
	if kind != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || len(parts) != 3 || app.Cert == nil {
		return bad
	}
	var head struct{ Alg, Typ, X5t256 string }
	var rawHead map[string]string
	var body struct {
		Aud, Iss, Sub, Jti string
		Nbf, Exp           int64
	}
	if decodePart(parts[0], &rawHead) != nil || decodePart(parts[1], &body) != nil {
		return bad
	}
	head.Alg, head.Typ, head.X5t256 = rawHead["alg"], rawHead["typ"], rawHead["x5t#S256"]
	sum := sha256.Sum256(app.Cert.Raw)
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	key, isRSA := app.Cert.PublicKey.(*rsa.PublicKey)
	if err != nil || !isRSA || head.Alg != "PS256" || head.X5t256 != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return bad
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := time.Now().Unix()
	aud := "https://" + LoginHost + "/" + t.ID + "/oauth2/v2.0/token"
	switch {
	case rsa.VerifyPSS(key, crypto.SHA256, digest[:], sig, nil) != nil, body.Iss != app.ID, body.Sub != app.ID, body.Aud != aud:
		return bad
	case body.Jti == "" || p.tokens.used[body.Jti]:
		return bad
	case now >= body.Exp || now < body.Nbf || body.Exp-body.Nbf > 600:
		return fail("invalid_client", "AADSTS700024: Client assertion is not within its valid time range.", 700024)
	}
	p.tokens.used[body.Jti] = true
	return nil
}

func decodePart(s string, v any) error {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}
