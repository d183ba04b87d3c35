package token

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/smtpstack/exchange"
)

const (
	tenantID = "0a1b2c3d-contoso"
	clientID = "f00d-app"
	secret   = "s3cr3t~value"
	mailbox  = "fax@contoso.com"
)

func appCert(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "tipring"},
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func newPeer(t *testing.T, app exchange.App) *exchange.Peer {
	t.Helper()
	app.ID = clientID
	p, err := exchange.New(exchange.World{Tenants: []exchange.Tenant{{ID: tenantID, Domains: []exchange.Domain{{Name: "contoso.com"}},
		Boxes: []exchange.Mailbox{{Address: mailbox, Apps: []string{clientID}}}, Apps: []exchange.App{app}}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func config(p *exchange.Peer) Config {
	return Config{Tenant: tenantID, ClientID: clientID, HTTP: &http.Client{Transport: p.Transport()}}
}

func TestClientSecret_KeepsAndRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, exchange.App{Secret: secret, SendAsApp: true})
		s, err := ClientSecret(config(p), secret)
		if err != nil {
			t.Fatal(err)
		}
		get := func() string {
			tok, err := s.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return tok
		}
		first := get()
		if len(first) <= 2048 {
			t.Errorf("a token of %d octets does not try the line limits", len(first))
		}
		time.Sleep(54 * time.Minute)
		if get() != first {
			t.Error("asked again while the token was good")
		}
		time.Sleep(time.Minute)
		second := get()
		if second == first {
			t.Error("a token of five minutes was still used")
		}
		s.Reject(first) // an older one: the newer stays
		if get() != second {
			t.Error("rejecting an old token cost the new one")
		}
		s.Reject(second)
		if get() == second {
			t.Error("a rejected token came again")
		}
	})
}

func TestClientCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert, other := appCert(t), appCert(t)
		p := newPeer(t, exchange.App{Cert: cert.Leaf, SendAsApp: true})
		s, err := ClientCertificate(config(p), cert)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // each assertion is fresh: the endpoint takes none twice
			tok, err := s.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s.Reject(tok)
		}
		if s, err = ClientCertificate(config(p), other); err != nil {
			t.Fatal(err)
		}
		wantError(t, s, "invalid_client", "AADSTS700027", "upload the certificate")
	})
}

// wantError asks for a token that is refused.
func wantError(t *testing.T, s interface {
	Token(context.Context) (string, error)
}, code, number, remedy string) {
	t.Helper()
	_, err := s.Token(t.Context())
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("error %v", err)
		return
	}
	if e.Code != code || e.Number != number || !strings.Contains(e.Remedy(), remedy) || e.Temporary() || strings.Contains(e.Error(), secret) || strings.Contains(e.Error(), "Trace") {
		t.Errorf("%v (%s), remedy %q", e, e.Number, e.Remedy())
	}
}

func TestClientSecret_Refusals(t *testing.T) {
	p := newPeer(t, exchange.App{Secret: secret})
	for _, tt := range []struct {
		change                       func(*Config)
		secret, code, number, remedy string
	}{
		{func(*Config) {}, "wrong", "invalid_client", "AADSTS7000215", "secret is wrong"},
		{func(c *Config) { c.ClientID = "other" }, secret, "unauthorized_client", "AADSTS700016", "no application"},
		{func(c *Config) { c.Tenant = "elsewhere" }, secret, "invalid_request", "AADSTS90002", "no such tenant"},
		{func(c *Config) { c.Scopes = []string{ScopeDelegated} }, secret, "invalid_scope", "AADSTS1002012", ".default"},
	} {
		cfg := config(p)
		tt.change(&cfg)
		s, err := ClientSecret(cfg, tt.secret)
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, s, tt.code, tt.number, tt.remedy)
	}
}

func TestConfig_Refused(t *testing.T) {
	for _, cfg := range []Config{{}, {Tenant: "a/b", ClientID: "x"}, {Tenant: "a"}, {Tenant: "a", ClientID: "x", Authority: "http://login.example"}} {
		if _, err := ClientSecret(cfg, "x"); err == nil {
			t.Errorf("taken: %+v", cfg)
		}
	}
	if _, err := ClientSecret(Config{Tenant: "a", ClientID: "x"}, ""); err == nil {
		t.Error("empty secret taken")
	}
}

// signIn runs the flow beside a person, whom act plays.
func signIn(t *testing.T, d *Device, act func(Prompt)) error {
	t.Helper()
	return d.SignIn(t.Context(), func(pr Prompt) { go act(pr) })
}

func TestDevice_SignInRefreshRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, exchange.App{Public: true, Delegated: true})
		file := File(filepath.Join(t.TempDir(), "token"))
		d, err := DeviceCode(config(p), file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Token(t.Context()); !errors.Is(err, ErrSignIn) {
			t.Errorf("before the sign-in: %v", err)
		}
		began := time.Now()
		err = signIn(t, d, func(pr Prompt) {
			if pr.URL != "https://microsoft.com/devicelogin" || len(pr.Code) != 9 {
				t.Errorf("prompt %+v", pr)
			}
			time.Sleep(12 * time.Second)
			p.SlowDown(8 * time.Second)
			time.Sleep(28 * time.Second)
			p.Approve(pr.Code, mailbox, true)
		})
		if err != nil || time.Since(began) < 40*time.Second || time.Since(began) > time.Minute {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		first, err := d.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(string(file)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("file %v, %v", st.Mode(), err)
		}
		if d, err = DeviceCode(config(p), file); err != nil { // a restart
			t.Fatal(err)
		}
		second, err := d.Token(t.Context())
		if err != nil || second == first {
			t.Errorf("after a restart: %v", err)
		}
		p.RevokeTokens(true)
		d.Reject(second)
		wantError(t, d, "invalid_grant", "AADSTS70000", "sign in again")
		if err := file.Remove(); err != nil {
			t.Error(err)
		}
		if _, err := d.Token(t.Context()); !errors.Is(err, ErrSignIn) {
			t.Errorf("after signing out: %v", err)
		}
	})
}

func TestDevice_NotSignedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, exchange.App{Public: true, Delegated: true})
		d, err := DeviceCode(config(p), File(filepath.Join(t.TempDir(), "token")))
		if err != nil {
			t.Fatal(err)
		}
		var e *Error
		began := time.Now()
		if err := signIn(t, d, func(Prompt) {}); !errors.As(err, &e) || e.Code != "expired_token" || time.Since(began) > 16*time.Minute {
			t.Errorf("nobody came: %v after %v", err, time.Since(began))
		}
		if err := signIn(t, d, func(pr Prompt) { p.Approve(pr.Code, mailbox, false) }); !errors.As(err, &e) || e.Code != "authorization_declined" {
			t.Errorf("declined: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.SignIn(ctx, func(Prompt) {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("given up: %v", err)
		}
		p.Change(func(w *exchange.World) { w.Tenants[0].Apps[0].Public = false })
		if err := signIn(t, d, func(Prompt) {}); !errors.As(err, &e) || !strings.Contains(e.Remedy(), "public client flows") {
			t.Errorf("no public client: %v", err)
		}
	})
}

// TestFile_Damaged: a file cut short or open to others is dealt with, and never half written.
func TestFile_Damaged(t *testing.T) {
	f := File(filepath.Join(t.TempDir(), "token"))
	for _, content := range []string{"", "{", `{"refresh_token":5}`, strings.Repeat("x", maxFile+1)} {
		if err := os.WriteFile(string(f), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if s, err := f.load(); err != nil || s != (saved{}) {
			t.Errorf("%.20q: %+v, %v", content, s, err)
		}
		if st, _ := os.Stat(string(f)); st.Mode().Perm() != 0o600 {
			t.Errorf("mode %v", st.Mode())
		}
	}
	want := saved{Tenant: "t", ClientID: "c", Refresh: "r"}
	if err := f.save(want); err != nil {
		t.Fatal(err)
	}
	if s, err := f.load(); err != nil || s != want {
		t.Errorf("%+v, %v", s, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(string(f)), ".token-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

type answer struct {
	status int
	body   string
}

func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// TestAnswers_Odd: what broken or hostile endpoints say.
func TestAnswers_Odd(t *testing.T) {
	long, _ := json.Marshal(map[string]string{"access_token": strings.Repeat("x", maxToken+1), "token_type": "Bearer"})
	for _, tt := range []struct {
		answer
		temporary, refusal bool
	}{
		{answer{503, "busy " + secret}, true, true}, {answer{429, "{}"}, true, true}, {answer{400, `{"error":"temporarily_unavailable"}`}, true, true},
		{answer{400, `{"error":"x\r\ny` + strings.Repeat("z", 100) + `"}`}, false, true},
		{answer{200, "{}"}, false, false}, {answer{200, "no json"}, false, false}, {answer{200, string(long)}, false, false},
		{answer{200, `{"access_token":"a\u0001b","token_type":"Bearer"}`}, false, false},
	} {
		s, err := ClientSecret(Config{Tenant: "t", ClientID: "c", HTTP: &http.Client{Transport: tt.answer}}, secret)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Token(t.Context())
		var e *Error
		if err == nil || errors.As(err, &e) != tt.refusal || strings.Contains(err.Error(), secret) || strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%d %.40q: %v", tt.status, tt.body, err)
		} else if e != nil && (e.Temporary() != tt.temporary || (e.Remedy() == "") != tt.temporary) {
			t.Errorf("%d %.40q: temporary %v, remedy %q", tt.status, tt.body, e.Temporary(), e.Remedy())
		}
	}
}
