package appliance

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"strings"
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/gotenberg"
	"github.com/tipring/tipring/appliance/routing"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/modem"
)

// Validate checks what can be checked without touching anything; it returns every fault found, joined, each one
// naming its key and the remedy.
func (c Config) Validate() error {
	v := &faults{}
	v.need(c.Data != "", "data: name the folder for the database and the spool")
	v.need(validHost(c.Hostname), "hostname: %q is no host name", c.Hostname)
	for _, d := range c.FaxDomains {
		v.need(validHost(d), "fax_domains: %q is no domain", d)
	}
	v.need(oneOf(c.LogLevel, "debug", "info", "warn", "error"), "log_level: %q: use debug, info, warn or error", c.LogLevel)
	c.validateLines(v)
	c.validateOffers(v)
	c.validateReceive(v)
	c.validateACME(v)
	c.validateSend(v)
	c.validateDNS(v)
	c.validateMail(v)
	c.validateDirectories(v)
	c.validateSRS(v)
	c.validateRules(v)
	c.validateLimits(v)
	return errors.Join(v.all...)
}

type faults struct{ all []error }

func (v *faults) need(ok bool, format string, args ...any) {
	if !ok {
		v.all = append(v.all, fmt.Errorf(format, args...))
	}
}

func (c Config) validateLines(v *faults) {
	names, devices := map[string]bool{}, map[string]bool{}
	for i, l := range c.Lines {
		at := fmt.Sprintf("line %q", l.Name)
		if l.Name == "" {
			at = fmt.Sprintf("[[line]] number %d", i+1)
			v.need(false, "%s: give it a name", at)
		}
		v.need(!names[l.Name], "%s: the name is used twice", at)
		v.need(l.Device != "", "%s: device is missing (tipring modem list shows what is plugged in)", at)
		if l.Device != "" && l.Device != autoDevice && !strings.HasPrefix(l.Device, virtualDevice) {
			err := modem.CheckDevice(l.Device)
			v.need(err == nil, "%s: device: %v, or auto for the first free modem", at, err)
		}
		v.need(l.Device == "" || l.Device == autoDevice || !devices[l.Device], "%s: device %s belongs to another line already", at, l.Device)
		names[l.Name], devices[l.Device] = true, true
		v.need(l.Send || l.Receive, "%s: neither send nor receive: remove the line or switch one on", at)
		v.need(l.Rings >= 1 && l.Rings <= 20, "%s: rings = %d: use 1 to 20", at, l.Rings)
		v.need(validStation(l.StationID), "%s: station_id %q: up to 20 digits, + and spaces", at, l.StationID)
		v.need(len(l.Header) <= 60, "%s: header is longer than 60 octets", at)
		v.need(!l.V34 || l.MaxRate == 0 && !l.NoECM, "%s: v34 = true would never be used with max_rate or no_ecm: leave them out", at)
		v.need(oneOf(l.MaxRate, 0, 2400, 4800, 7200, 9600, 12000, 14400), "%s: max_rate = %d bit/s is no fax rate", at, l.MaxRate)
		v.need(resolutions[l.Resolution].X > 0, "%s: resolution %q: use standard, fine, superfine, r16, 200, 300, 400 or 600", at, l.Resolution)
		v.need(call.CodingsUpTo(l.Coding) != 0, "%s: coding %q: use mh, mr, mmr or jbig", at, l.Coding)
		l.PhoneConfig.validate(v, at)
		l.ModemConfig.validate(v, at)
		v.need(!l.Send || l.StationID != "", "%s: a line that sends needs number or station_id: it stands on every page", at)
	}
}

func (c Config) validateOffers(v *faults) {
	seen := map[string]bool{}
	for i, o := range c.Offers {
		at := fmt.Sprintf("[[offer]] number %d", i+1)
		v.need(o.File != "", "%s: file is missing", at)
		v.need(validPollAddress(o.Selective), "%s: selective %q: up to 20 digits, # and *", at, o.Selective)
		v.need(validPollAddress(o.Password), "%s: password: up to 20 digits, # and *", at)
		v.need(!seen[o.Selective], "%s: another document has selective = %q already", at, o.Selective)
		seen[o.Selective] = true
	}
}

// validPollAddress holds SEP and PWD against T.30 5.3.6.2.7-8.
func validPollAddress(s string) bool { return len(s) <= 20 && strings.Trim(s, "0123456789#*") == "" }

func (c Config) validateMail(v *faults) {
	v.need(validAddress(c.Mail.From), "mail.from: %q: name the address our mail comes from", c.Mail.From)
	v.need(c.Mail.DKIMKey == "" || validHost(c.Mail.DKIMSelector), "mail.dkim_selector: %q: name the record of the key in DNS, \"fax1\"", c.Mail.DKIMSelector)
	v.need(c.Mail.MaxSizeMB >= 0 && c.Mail.MaxSizeMB <= 1024, "mail.max_size_mb = %d: use 1 to 1024, or 0 to ask the servers", c.Mail.MaxSizeMB)
	v.need(c.Mail.Fallback == "" || validAddress(c.Mail.Fallback), "mail.fallback: %q is no address", c.Mail.Fallback)
	for _, a := range c.Routes.Default {
		v.need(validAddress(a), "routes.default: %q is no address", a)
	}
	receives := false
	for _, l := range c.Lines {
		receives = receives || l.Receive
	}
	v.need(!receives || len(c.Routes.Default) > 0, "routes.default: name the mailbox for received faxes that no route fits")
	v.need(oneOf(c.Routes.Format, "pdf", "tiff"), "routes.format: %q: use pdf or tiff", c.Routes.Format)
}

func (c Config) validateRules(v *faults) {
	sends := false
	for _, l := range c.Lines {
		sends = sends || l.Send
	}
	v.need(!sends || len(c.Dial.Allow) > 0, "dial.allow: no number could be dialed; list patterns, or \"*\" for all")
	v.need(len(c.Dial.Country) == 2, "dial.country: %q is no two-letter country code", c.Dial.Country)
	for _, p := range append(append([]string{}, c.Dial.Allow...), c.Dial.Deny...) {
		_, err := routing.ParsePrefix(p)
		v.need(err == nil, "dial: pattern %q: use first digits, +425 or 555*; or * for all numbers", p)
	}
	v.need(validPrefix(c.Dial.Prefix), "dial.prefix: %q: use digits, *, #, comma, w, !, t and p", c.Dial.Prefix)
	for _, n := range []struct {
		key string
		n   int
	}{{"busy_tries", c.Retry.BusyTries}, {"no_answer_tries", c.Retry.NoAnswerTries}, {"failed_tries", c.Retry.FailedTries}} {
		v.need(n.n >= 0 && n.n <= 20, "retry.%s = %d: use 1 to 20, or 0 for the built-in practice", n.key, n.n)
	}
}

func (c Config) validateLimits(v *faults) {
	c.Limits.validate(v)
	r := c.Render
	v.need(r.MemoryMB >= 64 && r.MemoryMB <= 4096, "render.memory_mb = %d: use 64 to 4096", r.MemoryMB)
	v.need(r.Timeout > 0, "render.timeout must be longer than 0")
	v.need(r.MaxPages >= 1 && r.MaxPages <= 2000, "render.max_pages = %d: use 1 to 2000", r.MaxPages)
	v.need(oneOf(r.Resolution, "standard", "fine", "superfine", "r16", "200", "300", "400", "600"), "render.resolution: %q is not known", r.Resolution)
	v.need(oneOf(r.Paper, "", "a4", "letter"), "render.paper: %q: use a4, letter, or \"\" for what [dial] country has", r.Paper)
	if r.Gotenberg != "" {
		_, err := gotenberg.ParseURL(r.Gotenberg)
		v.need(err == nil, "render.gotenberg: %v", err)
	}
	v.need(r.GotenbergTimeout >= Duration(time.Second) && r.GotenbergTimeout <= Duration(time.Hour), "render.gotenberg_timeout: use 1s to 1h")
	v.need(r.GotenbergWait >= 0 && r.GotenbergWait <= Duration(7*24*time.Hour), "render.gotenberg_wait: use 0s to 7d")
	v.need(oneOf(r.Photos, "screen", "diffusion"), "render.photos: %q: use screen or diffusion", r.Photos)
	v.need(oneOf(c.Cover.Language, raster.CoverLanguages...), "cover.language: %q: use %s", c.Cover.Language, strings.Join(raster.CoverLanguages, ", "))
	if c.Web.Listen != "" {
		v.need(validListen(c.Web.Listen), "web.listen: %q is no host:port", c.Web.Listen)
		v.need(loopback(c.Web.Listen), "web.listen: %q: the page has no sign-in, so it must stay on 127.0.0.1 or [::1]", c.Web.Listen)
	}
}

func oneOf[T comparable](x T, allowed ...T) bool {
	for _, a := range allowed {
		if x == a {
			return true
		}
	}
	return false
}

func validAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && a.Name == ""
}

// validHost accepts letter-digit-hyphen names (RFC 1123 2.1), one label or more.
func validHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if !(r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
				return false
			}
		}
	}
	return true
}

func validListen(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}

func loopback(s string) bool {
	host, _, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// validStation is the character set of CSI and TSI (T.30 5.3.6.2.4).
func validStation(s string) bool { return len(s) <= 20 && strings.Trim(s, "+0123456789 ") == "" }
