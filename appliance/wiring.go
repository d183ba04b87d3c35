package appliance

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/smtpstack/receive"
	"github.com/tipring/tipring/smtpstack/resolve"
	"github.com/tipring/tipring/smtpstack/send"
	"github.com/tipring/tipring/t30"
)

// wire makes the gateway and the lines.
func (a *Appliance) wire() error {
	deliver, render := a.d.Deliver, a.d.Render
	if deliver == nil {
		s, err := newSender(a.cfg)
		if err != nil {
			return err
		}
		deliver = s.Deliver
	}
	if render == nil {
		r := a.cfg.Render
		child := raster.Child{CacheDir: filepath.Join(a.cfg.Data, "cache"), MemoryLimit: int64(r.MemoryMB) << 20, TimeLimit: time.Duration(r.Timeout)}
		render, a.warm = child.Render, child.WarmCache
	}
	a.g = gateway.New(a.q, a.alarms, gateway.Options{
		Hostname: a.cfg.Hostname, From: a.cfg.Send.From, Fallback: a.cfg.Send.Fallback, FaxType: control.FileType(a.cfg.Routes.Format),
		CoverText: a.cfg.Cover.Body, DialPrefix: a.cfg.Dial.Prefix, DialTable: gateway.ConfigDialTable(a.cfg.Dial.Allow, a.cfg.Dial.Deny),
		Render: render, RenderOptions: raster.Options{Resolution: resolutions[a.cfg.Render.Resolution], MaxPages: a.cfg.Render.MaxPages},
		Deliver: deliver, Log: a.log,
	})
	a.offers = &offers{list: a.cfg.Offers, dir: filepath.Join(a.cfg.Data, "offers"), render: render, alarms: a.alarms, log: a.log, ready: map[int]readyOffer{},
		opt: raster.Options{Resolution: resolutions[a.cfg.Render.Resolution], MaxPages: a.cfg.Render.MaxPages}}
	a.openLines()
	return nil
}

var resolutions = map[string]imaging.Resolution{
	"standard": imaging.Standard, "fine": imaging.Fine, "superfine": imaging.Superfine, "r16": imaging.R16,
	"200": imaging.Res200, "300": imaging.Res300, "400": imaging.Res400, "600": imaging.Res600,
}

func newSender(c Config) (*send.Sender, error) {
	r, err := resolve.New(resolve.Config{})
	if err != nil {
		return nil, err
	}
	sc := send.Config{Name: "send", Hostname: c.Hostname, Host: c.Send.SmartHost,
		TLS: map[string]send.TLSPolicy{"opportunistic": send.Opportunistic, "required": send.Required, "none": send.NoTLS}[c.Send.TLS]}
	if _, port, err := net.SplitHostPort(c.Send.SmartHost); err == nil && port == "465" && sc.TLS == send.Required {
		sc.TLS = send.Implicit // RFC 8314 3.3
	}
	if c.Send.Username != "" {
		password, err := os.ReadFile(c.Send.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("send.password_file: %w", err)
		}
		sc.Auth = send.Plain{Username: c.Send.Username, Password: string(bytes.TrimRight(password, "\r\n"))}
	}
	return send.New(sc, r)
}

// receivers makes one SMTP server for each mail port.
func (a *Appliance) receivers() ([]*receive.Server, error) {
	s := a.cfg.SMTP
	rc := receive.Config{Hostname: a.cfg.Hostname, Senders: s.Senders, FaxDomains: a.cfg.FaxDomains, RequireTLS: s.RequireTLS,
		MaxSize: int64(s.MaxSizeMB) << 20, MaxRecipients: s.MaxRecipients, Trace: a.traceSMTP}
	for _, n := range s.Networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, fmt.Errorf("smtp.networks: %w", err)
		}
		rc.Networks = append(rc.Networks, p)
	}
	if s.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("smtp.tls_cert: %w", err)
		}
		rc.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	var list []*receive.Server
	for _, l := range a.smtp {
		rc.Name = l.Addr().String()
		srv, err := receive.New(rc, a.g.Backend())
		if err != nil {
			return nil, err
		}
		list = append(list, srv)
	}
	return list, nil
}

func (a *Appliance) traceSMTP(e receive.Event) {
	a.log.Debug("smtp", "connector", e.Connector, "client", e.Client, "dir", e.Dir, "text", e.Text)
}

// listen opens all ports, so that one in use is an error before any work begins.
func (a *Appliance) listen(ctx context.Context) error {
	var err error
	if a.socket, err = control.Listen(a.cfg.Data); err != nil {
		a.socket = nil
		return err
	}
	for _, addr := range a.cfg.SMTP.Listen {
		l, err := receive.Listen(ctx, addr)
		if err != nil {
			return portError("smtp.listen", addr, err)
		}
		a.smtp = append(a.smtp, l)
	}
	if a.cfg.Web.Listen != "" {
		l, err := net.Listen("tcp", a.cfg.Web.Listen)
		if err != nil {
			return portError("web.listen", a.cfg.Web.Listen, err)
		}
		a.web = l
	}
	return nil
}

// ErrPortInUse is returned by Run and Demo when another program listens on one of the ports.
var ErrPortInUse = errors.New("port in use")

func portError(key, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: %w: another program listens on %s already; stop it or choose another port", key, ErrPortInUse, addr)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: no permission for %s: ports below 1024 need root or the right to bind them (setcap cap_net_bind_service): %w", key, addr, err)
	}
	return fmt.Errorf("%s: %w", key, err)
}

// openModem opens the modem on a line's serial port.
func openModem(ctx context.Context, c LineConfig) (t30.Terminal, io.Closer, error) {
	m, err := modem.Open(ctx, c.Device, modem.Options{})
	if err != nil {
		return nil, nil, err
	}
	return m, m, nil
}

// euCountries share the pause and the number of tries of most European regulations.
var euCountries = strings.Fields("AT BE BG HR CY CZ DK EE FI FR DE GR HU IS IE IT LV LI LT LU MT NL NO PL PT RO SK SI ES SE CH")

// dialRule is the redial law of a country; of an unknown one the strictest we know.
func dialRule(country string) queue.DialRule {
	c := strings.ToUpper(country)
	if slices.Contains(euCountries, c) {
		return queue.DialRules["eu"]
	}
	if r, ok := queue.DialRules[strings.ToLower(c)]; ok {
		return r
	}
	return queue.DialRules["us"]
}

// retryPolicy is the built-in practice with the configuration's overrides.
func retryPolicy(c RetryConfig) queue.Policy {
	p := queue.DefaultPolicy()
	set := func(class queue.Class, tries int, after []Duration) {
		r := p.Retries[class]
		if tries > 0 {
			r.Tries = tries
		}
		if len(after) > 0 {
			r.After = nil
			for _, d := range after {
				r.After = append(r.After, time.Duration(d))
			}
		}
		p.Retries[class] = r
	}
	var interval []Duration
	if c.Interval > 0 {
		interval = []Duration{c.Interval}
	}
	set(queue.ClassBusy, c.BusyTries, c.BusyIntervals)
	set(queue.ClassNoAnswer, c.NoAnswerTries, interval)
	set(queue.ClassFailure, c.FailedTries, interval)
	set(queue.ClassNoFax, 0, interval)
	set(queue.ClassCannot, 0, interval)
	return p
}

func isMailAlarm(code string) bool { return strings.HasPrefix(code, "mail-") }
