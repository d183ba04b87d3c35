package appliance

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/tipring/tipring/smtpstack/resolve"
	"github.com/tipring/tipring/smtpstack/send"
	"github.com/tipring/tipring/smtpstack/token"
)

// connector is a send connector at work.
type connector struct {
	cfg    SendConfig
	sender *send.Sender
	own    *tls.Certificate // client certificate; nil: none
	device *token.Device    // nil: nobody signs in by device code
	signIn signIn
}

// connector finds one by name; nil: there is none.
func (a *Appliance) connector(name string) *connector {
	for _, c := range a.connectors {
		if c.cfg.Name == name {
			return c
		}
	}
	return nil
}

// openSenders makes the send connectors, and what chooses among them.
func (a *Appliance) openSenders(r resolve.Resolver) (*send.Router, error) {
	rc := send.RouterConfig{Resolver: r, Routes: []send.Route{{Domain: "*", Connector: a.cfg.Send[0].Name}}, Store: sendMemory{a.st}, OnFallback: a.onFallback}
	for _, s := range a.cfg.Send {
		c, err := a.openConnector(s, r)
		if err != nil {
			return nil, fmt.Errorf("send %q: %w", s.Name, err)
		}
		a.connectors = append(a.connectors, c)
		rc.Connectors = append(rc.Connectors, c.sender)
		if s.Fallback != "" {
			rc.Fallbacks = append(rc.Fallbacks, send.Fallback{Connector: s.Name, To: s.Fallback, Domains: s.FallbackDomains})
		}
	}
	for _, route := range a.cfg.SendRoute {
		rc.Routes = append(rc.Routes, send.Route{Domain: route.Domain, Connector: route.Connector, Host: route.Host})
	}
	rc.Direct = send.Config{Hostname: a.cfg.Hostname, Store: sendMemory{a.st}, Dial: a.d.Dialer}
	return send.NewRouter(rc)
}

var tlsPolicies = map[string]send.TLSPolicy{"opportunistic": send.Opportunistic, "required": send.Required, "none": send.NoTLS}

// openConnector makes the send connector s.
func (a *Appliance) openConnector(s SendConfig, r resolve.Resolver) (*connector, error) {
	c := &connector{cfg: s}
	sc := send.Config{Name: s.Name, Hostname: a.cfg.Hostname, Host: s.Host, MXOf: s.MXOf, Store: sendMemory{a.st}, Dial: a.d.Dialer, TLSConfig: &tls.Config{RootCAs: a.d.Roots},
		TLS:    tlsPolicies[s.TLS],
		Limits: send.Limits{Connections: s.Connections, MessagesPerMinute: s.MessagesPerMinute, RecipientsPerDay: s.RecipientsPerDay}}
	if _, port, err := net.SplitHostPort(s.Host); err == nil && port == "465" && sc.TLS == send.Required {
		sc.TLS = send.Implicit // RFC 8314 3.3
	}
	for domain, policy := range s.TLSFor {
		if sc.Policies == nil {
			sc.Policies = map[string]send.TLSPolicy{}
		}
		sc.Policies[domain] = tlsPolicies[policy]
	}
	if s.Host == "" && sc.TLS != send.NoTLS {
		sc.DANE, sc.STS = true, send.NewSTS(a.d.HTTP)
	}
	if s.Certificate != "" {
		own, err := send.LoadClientCertificate(s.Certificate, s.CertificateKey, a.d.Roots)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		c.own = &own
		sc.TLSConfig.Certificates = []tls.Certificate{own}
	}
	var err error
	if s.OAuth != "" {
		sc.NullFrom = s.Username
	}
	if sc.Auth, err = a.authenticator(c); err != nil {
		return nil, err
	}
	c.sender, err = send.New(sc, r)
	return c, err
}

// authenticator is how the connector signs in, nil: not at all.
func (a *Appliance) authenticator(c *connector) (send.Authenticator, error) {
	s := c.cfg
	var secret string
	if s.PasswordFile != "" {
		b, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("password_file: %w", err)
		}
		secret = string(bytes.TrimRight(b, "\r\n"))
	}
	app := token.Config{Tenant: s.Tenant, ClientID: s.ClientID, HTTP: a.d.HTTP}
	var source send.TokenSource
	var err error
	switch {
	case s.Username == "":
		return nil, nil
	case s.OAuth == "secret":
		source, err = token.ClientSecret(app, secret)
	case s.OAuth == "certificate":
		source, err = token.ClientCertificate(app, *c.own)
	case s.OAuth == "device":
		file := a.tokenFile(s.Name)
		if err := os.MkdirAll(filepath.Dir(string(file)), 0o700); err != nil {
			return nil, fmt.Errorf("refresh token: %w", err)
		}
		c.signIn.begin(s)
		c.device, err = token.DeviceCode(app, file)
		source = &watchedToken{c.device, &c.signIn}
	default:
		return send.Plain{Username: s.Username, Password: secret}, nil
	}
	if err != nil {
		return nil, err
	}
	return send.NewXOAUTH2(s.Username, source), nil
}

// tokenFile is where the refresh token of a connector is kept: its name may hold what a file's may not.
func (a *Appliance) tokenFile(connector string) token.File {
	return token.File(filepath.Join(a.cfg.Data, "tokens", hex.EncodeToString([]byte(connector))))
}

// onFallback shows that mail takes another way than it should.
func (a *Appliance) onFallback(e send.FallbackEvent) {
	code := fallbackAlarmPrefix + e.Connector
	if e.Why == "" {
		a.alarms.Clear(code)
		return
	}
	text := fmt.Sprintf("The send connector %s cannot deliver (%s); %s takes its place where it may.", e.Connector, e.Why, e.To)
	if !e.Delivered {
		text = fmt.Sprintf("The send connector %s cannot deliver (%s), and its fallback %s neither (%s); mail waits.", e.Connector, e.Why, e.To, e.Text)
	}
	remedy := e.Remedy
	if remedy == "" {
		remedy = "Check that the mail server is up and reachable from here."
	}
	a.alarms.Raise(code, text, remedy+" \"tipring connector test "+e.Connector+"\" shows where it stops.")
}

const fallbackAlarmPrefix = "mail-fallback/"

// clearStaleAlarms takes alarms off the list whose connector has gone from the configuration, or does no longer what they are about.
func (a *Appliance) clearStaleAlarms() {
	for _, al := range a.alarms.List() {
		if name, ok := strings.CutPrefix(al.Code, fallbackAlarmPrefix); ok {
			if c := a.connector(name); c == nil || c.cfg.Fallback == "" {
				a.alarms.Clear(al.Code)
			}
		}
		if name, ok := strings.CutPrefix(al.Code, signInAlarmPrefix); ok {
			if c := a.connector(name); c == nil || c.device == nil {
				a.alarms.Clear(al.Code)
			}
		}
	}
}
