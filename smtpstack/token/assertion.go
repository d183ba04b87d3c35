package token

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/oauth2"
)

// assertionLifetime is how long a client assertion is valid; the endpoint advises 5 to 10 minutes.
const assertionLifetime = 5 * time.Minute

// clockSkew is how far our clock may go ahead of the endpoint's.
const clockSkew = time.Minute

// ClientCertificate makes a source for an application that proves itself by a certificate, whose public part stands in
// its app registration. The key must be RSA: the endpoint takes PS256 only (Microsoft identity platform application
// authentication certificate credentials).
func ClientCertificate(cfg Config, cert tls.Certificate) (*Source, error) {
	cfg, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if len(cert.Certificate) == 0 {
		return nil, errors.New("token: no certificate")
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("token: certificate: %w", err)
	}
	key, ok := cert.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("token: the certificate has no private key")
	}
	if _, ok := key.Public().(*rsa.PublicKey); !ok {
		return nil, errors.New("token: the certificate's key is not RSA, which the token endpoint wants")
	}
	return newSource(cfg, func(ctx context.Context) (*oauth2.Token, error) {
		jwt, err := assertion(leaf, key, cfg.ClientID, cfg.url("token"), time.Now())
		if err != nil {
			return nil, err
		}
		cc := cfg.clientCredentials()
		cc.EndpointParams = url.Values{
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {jwt}}
		return cc.Token(ctx)
	}), nil
}

// assertion is a signed statement of who we are (RFC 7523 3), fresh for each request.
func assertion(cert *x509.Certificate, key crypto.Signer, client, audience string, now time.Time) (string, error) {
	sum := sha256.Sum256(cert.Raw)
	head, err := json.Marshal(map[string]string{"alg": "PS256", "typ": "JWT", "x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])})
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(map[string]any{"aud": audience, "iss": client, "sub": client, "jti": rand.Text(),
		"nbf": now.Add(-clockSkew).Unix(), "iat": now.Unix(), "exp": now.Add(assertionLifetime).Unix()})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	digest := sha256.Sum256([]byte(text))
	sig, err := key.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	if err != nil {
		return "", fmt.Errorf("token: sign the assertion: %w", err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}
