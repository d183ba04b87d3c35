package appliance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/directory"
	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/routing"
	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/smtpstack/receive"
)

// wire makes the gateway and the lines.
func (a *Appliance) wire() error {
	deliver, render := a.d.Deliver, a.d.Render
	names, err := a.resolver()
	if err != nil {
		return err
	}
	a.names = names
	senders, err := a.openSenders(names)
	if err != nil {
		return err
	}
	a.clearStaleAlarms()
	if deliver == nil {
		deliver = senders.Deliver
	}
	if a.checks, err = a.cfg.senderChecks(names); err != nil {
		return err
	}
	if a.dialTable, err = routing.NewDialTable("dial", a.cfg.Dial.Allow, a.cfg.Dial.Deny); err != nil {
		return err
	}
	if a.exchange, err = receive.OpenExchangeOnline(filepath.Join(a.cfg.Data, "exchange-online.json"), names); err != nil {
		return err
	}
	if render == nil {
		r := a.cfg.Render
		child := raster.Child{CacheDir: filepath.Join(a.cfg.Data, "cache"), MemoryLimit: int64(r.MemoryMB) << 20, TimeLimit: time.Duration(r.Timeout)}
		render, a.warm = child.Render, child.WarmCache
	}
	if render, err = a.withConverter(render); err != nil {
		return err
	}
	keys, err := a.cfg.dkimKeys()
	if err != nil {
		return err
	}
	a.keys = keys
	if err := a.openDirectories(senders); err != nil {
		return err
	}
	if a.srs, err = a.openSRS(); err != nil {
		return err
	}
	if err := a.openACME(); err != nil {
		return err
	}
	a.devices = directory.NewDevices(a.st)
	letter, err := a.cfg.letterTemplate()
	if err != nil {
		return err
	}
	opt, err := a.cfg.renderOptions()
	if err != nil {
		return err
	}
	a.g = gateway.New(a.q, a.alarms, gateway.Options{
		Hostname: a.cfg.Hostname, From: a.cfg.Mail.From, Fallback: a.cfg.Mail.Fallback, FaxType: control.FileType(a.cfg.Routes.Format),
		CoverText: a.cfg.Cover.Body, Resolutions: resolutions, DialPrefix: a.cfg.Dial.Prefix, DialTable: a.dialTable,
		Render: render, RenderOptions: opt, ConverterWait: time.Duration(a.cfg.Render.GotenbergWait),
		SenderChecks: a.checks, MailsPerSender: a.cfg.Limits.MailsPerSender, Senders: a.cfg.senderLists(),
		Recipients: a.gatewayRecipients(), RecipientWait: time.Duration(a.cfg.Recipients.Wait), Route: a.routeOf, SRS: a.srs, People: a.people, DKIM: keys, Deliver: deliver, Log: a.log,
		Picture: a.cfg.Mail.Picture, NoContent: !a.cfg.Mail.Content, Receipts: a.cfg.Mail.Receipts, Letter: letter, MaxMail: int64(a.cfg.Mail.MaxSizeMB) << 20,
		Relays: a.cfg.relays(senders, a.d.Deliver), Devices: a.devices,
	})
	a.offers = &offers{list: a.cfg.Offers, dir: filepath.Join(a.cfg.Data, "offers"), render: render, alarms: a.alarms, log: a.log, ready: map[int]readyOffer{}, opt: opt}
	a.openLines()
	return nil
}

var resolutions = map[string]imaging.Resolution{
	"standard": imaging.Standard, "fine": imaging.Fine, "superfine": imaging.Superfine, "r16": imaging.R16,
	"200": imaging.Res200, "300": imaging.Res300, "400": imaging.Res400, "600": imaging.Res600,
}

// listen opens all ports, so that one in use is an error before any work begins.
func (a *Appliance) listen(ctx context.Context) error {
	var err error
	if a.socket, err = control.Listen(a.cfg.Data); err != nil {
		a.socket = nil
		return err
	}
	for _, r := range a.cfg.Receive {
		for _, addr := range r.Listen {
			l, err := receive.Listen(ctx, addr)
			if err != nil {
				return portError(fmt.Sprintf("receive %q: listen", r.Name), addr, err)
			}
			a.smtp = append(a.smtp, mailPort{l, r})
		}
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
