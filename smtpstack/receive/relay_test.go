package receive

import (
	"context"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tipring/tipring/smtpstack"
)

// relayConfig is a connector for LAN devices: example.com's senders may mail to example.com.
func relayConfig() Config {
	cfg := testConfig()
	cfg.RelayTo = []string{"Example.COM", "*.branch.example"}
	return cfg
}

func TestRelay_TakesWhatIsPermitted(t *testing.T) {
	b := &memory{}
	_, addr := start(t, relayConfig(), b)
	c := dial(t, addr)
	c.expect("220 ")
	c.cmd("EHLO printer", "250 ")
	c.cmd("MAIL FROM:<scan@example.com> BODY=8BITMIME", "250 ")
	for _, to := range []string{"<Jane.Doe@EXAMPLE.com>", "<@gate.test:jo@example.com.>", `<"it"@example.com>`, "it@north.branch.example", "<15551234567@fax.example.com>"} {
		c.cmd("RCPT TO:"+to, "250 2.1.5")
	}
	c.cmd("DATA", "354")
	c.cmd("Subject: scan\r\n\r\nx\r\n.", "250 2.0.0")
	var got []string
	for _, r := range b.all()[0].env.To {
		got = append(got, r.Forward)
	}
	if want := []string{"Jane.Doe@example.com", "jo@example.com", "it@example.com", "it@north.branch.example", ""}; !slices.Equal(got, want) {
		t.Errorf("passed on to %q, want %q", got, want)
	}
}

// deviceProbes are recipients that a relay for example.com and *.branch.example must refuse from its own devices too.
var deviceProbes = []string{
	"<victim%elsewhere.test@example.com>", "<elsewhere.test!victim@example.com>", "<victim%40elsewhere.test@example.com>", "<a!b%c@example.com>",
	`<"victim@elsewhere.test"@example.com>`, `<"victim%elsewhere.test"@example.com>`, `<"elsewhere.test!victim"@example.com>`, `<"a b"@example.com>`,
	`<"|/bin/sh"@example.com>`, "<|/bin/sh@example.com>", "<-oQ/tmp@example.com>", `<"a\"b"@example.com>`, `<"a\\b"@example.com>`, `<"<victim@elsewhere.test>"@example.com>`,
	"<victim@elsewhere.test@example.com>", "<@example.com:victim@elsewhere.test>", "<@example.com,@fax.test:victim@elsewhere.test>", "<victim:x@example.com>",
	"<a..b@example.com>", "<.a@example.com>", "<a.@example.com>", "<victim@sub.example.com>", "<victim@branch.example>", "<victim@xbranch.example>",
	"<victim@example.com.elsewhere.test>", "<victim@example.co>", "<victim@exampleXcom>", "<victim@example.com..>", "<victim@[127.0.0.1]>", "<victim@[IPv6:::1]>",
	"<victim@127.0.0.1>", "<victim@localhost>", "<victim@example>", "<victim@com>", "<victim@fax.test>", "<root@>", "<@example.com>", "<example.com>",
	"<victim@ex\u0430mple.com>", "<victim@ｅｘａｍｐｌｅ.com>", "<victim@example。com>", "<victim@xn--exmple-4nf.com>", "<víctim@example.com>", "<victim@example.com\x00>",
	"<victim@example.com\x00.elsewhere.test>", "<victim@example.com> <victim@elsewhere.test>", "<victim@example.com>,<victim@elsewhere.test>", "<victim@example.com\r.elsewhere.test>",
	"<victim@-.branch.example>", "<victim@.branch.example>", "<victim@a_b.branch.example>",
}

func TestRelay_ProbesOfDevices(t *testing.T) {
	b := &memory{}
	cfg := relayConfig()
	cfg.Hostname, cfg.Limits.ErrorsPerHour, cfg.Limits.ConnsPerMinute = "fax.branch.example", -1, -1
	_, addr := start(t, cfg, b)
	refused := func(from, probe string) {
		c := dial(t, addr)
		defer c.nc.Close()
		c.expect("220 ")
		c.cmd("EHLO printer", "250 ")
		c.cmd("MAIL FROM:"+from, "250 ")
		c.cmd("RCPT TO:"+probe, "5")
	}
	for _, p := range append(slices.Clone(deviceProbes), "<victim@fax.branch.example>") {
		refused("<scan@example.com>", p)
		refused("<scan@example.com> SMTPUTF8", p)
	}
	for _, p := range relayProbes { // those of the fax domain
		if p != "<1@example.com>" { // here somebody's mailbox
			refused("<scan@example.com>", p)
		}
	}
	if n := len(b.all()); n != 0 {
		t.Errorf("%d messages taken", n)
	}
}

// Who is not a listed sender in an allowed network relays nothing, and no other client does.
func TestRelay_ProbesOfOthers(t *testing.T) {
	public := netip.MustParsePrefix("192.0.2.7/32")
	for _, c := range []struct {
		name   string
		change func(*Config)
		say    []string // before RCPT
		rcpt   string
		want   string
	}{
		{"network", func(c *Config) { c.Networks = []netip.Prefix{public} }, nil, "", "550 5.7.1 your address"},
		{"no relay configured", func(c *Config) { c.RelayTo = nil }, nil, "", "550 5.7.1 relaying denied"},
		{"stranger", nil, []string{"MAIL FROM:<mallory@elsewhere.test>"}, "", "550 5.7.1 sender"},
		{"bounce", nil, []string{"MAIL FROM:<>"}, "", "550 5.7.1 bounces"},
		{"sender below a listed domain", nil, []string{"MAIL FROM:<a@sub.example.com>"}, "", "550 5.7.1 sender"},
		{"sender that looks like it", nil, []string{"MAIL FROM:<a@example.com.elsewhere.test>"}, "", "550 5.7.1 sender"},
		{"sender with a quoted domain", nil, []string{`MAIL FROM:<"a@example.com"@elsewhere.test>`}, "", "550 5.7.1 sender"},
		{"sender by percent hack", nil, []string{"MAIL FROM:<a%example.com@elsewhere.test>"}, "", "550 5.7.1 sender"},
		{"sender by source route", nil, []string{"MAIL FROM:<@example.com:a@elsewhere.test>"}, "", "550 5.7.1 sender"},
		{"sender of a recipient's domain", nil, []string{"MAIL FROM:<a@north.branch.example>"}, "", "550 5.7.1 sender"},
		{"sender rewritten by somebody", nil, []string{"MAIL FROM:<SRS0=abcd=AB=example.com=scan@elsewhere.test>"}, "", "550 5.7.1 sender"},
		{"sender like the host", nil, []string{"MAIL FROM:<root@fax.test>"}, "", "550 5.7.1 sender"},
		{"sender in look-alikes", nil, []string{"MAIL FROM:<a@ex\u0430mple.com> SMTPUTF8"}, "", "553 5.6.7"},
		{"everybody, but nobody signed in", func(c *Config) {
			c.Senders, c.RequireAuth = []string{"*"}, true
			c.Authenticate = func(context.Context, string, string, netip.Addr) error { return ErrBadCredentials }
			c.AuthInClear = c.Networks
		}, []string{"AUTH PLAIN AGFkbWluAGFkbWlu", "MAIL FROM:<a@example.com>"}, "", "503 "},
		{"a forged proxy header", func(c *Config) { c.Networks = []netip.Prefix{public} },
			[]string{"PROXY TCP4 192.0.2.7 127.0.0.1 4000 25", "MAIL FROM:<scan@example.com>"}, "", "550 5.7.1 your address"},
		{"forged XCLIENT", func(c *Config) { c.Networks = []netip.Prefix{public} }, []string{"XCLIENT ADDR=192.0.2.7", "MAIL FROM:<scan@example.com>"}, "", "550 5.7.1 your address"},
		{"HELO of a listed host", func(c *Config) { c.Networks = []netip.Prefix{public} }, []string{"EHLO [192.0.2.7]", "MAIL FROM:<scan@example.com>"}, "", "550 5.7.1 your address"},
		{"parameter of a recipient", nil, nil, "<jane@example.com> ORCPT=rfc822;victim@elsewhere.test XRELAY=yes", "555"},
		{"a second recipient behind", nil, nil, "<jane@example.com> RCPT TO:<victim@elsewhere.test>", "555"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := relayConfig()
			if c.change != nil {
				c.change(&cfg)
			}
			b := &memory{}
			_, addr := start(t, cfg, b)
			cl := dial(t, addr)
			cl.expect("220 ")
			cl.cmd("EHLO printer", "250 ")
			say := c.say
			if say == nil {
				say = []string{"MAIL FROM:<scan@example.com>"}
			}
			for _, line := range say {
				cl.cmd(line, "") // refused or not: what counts comes now
			}
			rcpt := c.rcpt
			if rcpt == "" {
				rcpt = "<jane@example.com>"
			}
			cl.cmd("RCPT TO:"+rcpt, c.want)
			cl.cmd("DATA", "50")
			if len(b.all()) != 0 {
				t.Error("taken")
			}
		})
	}
}

func TestRelay_UnsafeSettingsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"everybody in the network": func(c *Config) { c.Senders = []string{"*"} },
		"the Internet":             func(c *Config) { c.Networks = append(c.Networks, netip.MustParsePrefix("0.0.0.0/0")) },
		"the Internet of IPv6":     func(c *Config) { c.Networks = append(c.Networks, netip.MustParsePrefix("::/0")) },
		"a public network":         func(c *Config) { c.Networks = append(c.Networks, netip.MustParsePrefix("192.0.2.0/24")) },
		"more than private":        func(c *Config) { c.Networks = append(c.Networks, netip.MustParsePrefix("172.16.0.0/11")) },
		"mapped addresses":         func(c *Config) { c.Networks = append(c.Networks, netip.MustParsePrefix("::ffff:0:0/96")) },
		"a provider's hosts":       func(c *Config) { c.NetworkSets = []NetworkSet{everyHost{}} },
		"an edge server":           func(c *Config) { c.TrustedRelays = c.Networks },
		"an address literal":       func(c *Config) { c.RelayTo = []string{"[127.0.0.1]"} },
		"half a wildcard":          func(c *Config) { c.RelayTo = []string{"*example.com"} },
	} {
		cfg := relayConfig()
		change(&cfg)
		if _, err := New(cfg, &memory{}); err == nil {
			t.Errorf("%s: may relay", name)
		}
	}
	for _, n := range []string{"10.0.0.0/8", "192.168.7.0/24", "172.16.0.0/12", "192.0.2.7/32", "2001:db8::7/128", "fd00::/8", "fe80::/10", "127.0.0.0/8"} {
		if !OwnNetwork(netip.MustParsePrefix(n)) {
			t.Errorf("%s is refused", n)
		}
	}
}

// everyHost is a provider's set of networks.
type everyHost struct{}

func (everyHost) Contains(netip.Addr) bool { return true }
func (everyHost) String() string           { return "every host" }

// "*" is every domain but nothing that is no name on the Internet.
func TestRelay_Everywhere(t *testing.T) {
	cfg := relayConfig()
	cfg.RelayTo = []string{"*"}
	_, addr := start(t, cfg, &memory{})
	c := dial(t, addr)
	c.expect("220 ")
	c.cmd("EHLO printer", "250 ")
	c.cmd("MAIL FROM:<scan@example.com>", "250 ")
	c.cmd("RCPT TO:<jane@elsewhere.test>", "250 ")
	for _, to := range []string{"<a@localhost>", "<a@[127.0.0.1]>", "<a@10.0.0.1>", "<a@fax.test>", "<a%b@elsewhere.test>", "<a@-x.test>"} {
		c.cmd("RCPT TO:"+to, "55")
	}
}

// Whatever a device says, what is passed on goes to a plain mailbox of a permitted domain, and comes from a listed sender.
func FuzzRelay(f *testing.F) {
	for _, p := range append(slices.Clone(deviceProbes), relayProbes...) {
		f.Add("<scan@example.com>", p)
	}
	f.Add("<scan@example.com>", "<Jane.Doe@example.com>")
	f.Add("<SRS0=a=b=example.com=x@evil.test>", "<a@example.com>")
	cfg := relayConfig()
	plain := regexp.MustCompile(`^[a-zA-Z0-9#$&'*+/=?^_{|}~.` + "`" + `-]+@(example\.com|([a-z0-9-]+\.)+branch\.example)$`)
	f.Fuzz(func(t *testing.T, from, to string) {
		if strings.ContainsAny(from+to, "\r\n") {
			return
		}
		b, _ := runScript(t, cfg, []byte("EHLO a\r\nMAIL FROM:"+from+"\r\nRCPT TO:"+to+"\r\nDATA\r\n.\r\nQUIT\r\n"))
		for _, m := range b.all() {
			if r := m.env.To[0]; r.Forward != "" && !plain.MatchString(r.Forward) {
				t.Errorf("%q is passed on to %q", to, r.Forward)
			}
			if _, domain, err := smtpstack.SplitAddress(m.env.From); m.env.To[0].Forward != "" && (err != nil || domain != "example.com" && m.env.From != "boss@other.test") {
				t.Errorf("passed on from %q", m.env.From)
			}
		}
	})
}
