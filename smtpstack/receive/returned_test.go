package receive

import (
	"fmt"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack/srs"
)

// Bounces to senders that were rewritten here come in; nothing else does by those addresses.
func TestReturned_BouncesOnlyAndOnlyOfOurMail(t *testing.T) {
	for _, domain := range []string{"bounce.example.net", "fax.example.com"} {
		t.Run(domain, func(t *testing.T) {
			ring, err := srs.OpenRing(srs.Config{Domain: domain}, nil, func([]srs.Key) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			other, err := srs.OpenRing(srs.Config{Domain: domain}, nil, func([]srs.Key) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			ours, err := ring.Forward("scanner@contoso.test")
			if err != nil {
				t.Fatal(err)
			}
			forged, err := other.Forward("victim@example.org")
			if err != nil {
				t.Fatal(err)
			}
			cfg := testConfig()
			cfg.Returns, cfg.ReturnDomain = ring, domain
			back := &memory{}
			_, addr := start(t, cfg, back)
			c := dial(t, addr)
			c.expect("220")
			c.cmd("EHLO mx.example.org", "250")
			c.cmd("MAIL FROM:<>", "250")
			c.cmd("RCPT TO:<"+forged+">", "550 5.1.1")
			c.cmd("RCPT TO:<SRS0=aaaaaaaaaa=AA=example.org=victim@"+domain+">", "550 5.1.1")
			c.cmd("RCPT TO:<SRS0=a@"+domain+">", "550")
			c.cmd("RCPT TO:<someone@"+domain+">", "550")
			c.cmd("RCPT TO:<"+ours+">", "250")
			c.cmd("DATA", "354")
			c.send("Subject: Undeliverable\r\n\r\nno\r\n.\r\n")
			c.expect("250")
			c.cmd("MAIL FROM:<eve@example.org>", "250")
			c.cmd("RCPT TO:<"+ours+">", "550 5.7.1")
			c.cmd("RSET", "250")
			c.cmd("MAIL FROM:<>", "250")
			c.cmd("RCPT TO:<postmaster@"+domain+">", "250")
			got := back.all()
			if len(got) != 1 || len(got[0].env.To) != 1 || got[0].env.To[0].Forward != "scanner@contoso.test" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Without the hook the addresses are ordinary ones.
func TestReturned_OffByDefault(t *testing.T) {
	ring, err := srs.OpenRing(srs.Config{Domain: "bounce.example.net", MaxAge: 24 * time.Hour}, nil, func([]srs.Key) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := ring.Forward("scanner@contoso.test")
	_, addr := start(t, testConfig(), &memory{})
	c := dial(t, addr)
	c.expect("220")
	c.cmd("EHLO mx.example.org", "250")
	c.cmd("MAIL FROM:<>", "250")
	c.cmd("RCPT TO:<"+ours+">", "550 5.7.1")
}

// A sender whom a forwarder rewrote is held against the list by the name behind it, and the forwarder by its domain.
func TestSenders_RewrittenOnes(t *testing.T) {
	cfg := testConfig()
	cfg.Senders = []string{"contoso.test", "ann@fabrikam.test"}
	_, addr := start(t, cfg, &memory{})
	c := dial(t, addr)
	c.expect("220")
	c.cmd("EHLO mx.example.org", "250")
	for from, want := range map[string]string{
		"SRS0=aaaa=AA=contoso.test=bob@contoso.test":               "250",
		"SRS0=aaaa=AA=fabrikam.test=ann@contoso.test":              "250",
		"box+SRS=aaaa=AA=contoso.test=bob@contoso.test":            "250",
		"SRS1=aaaa=one.test==bbbb=AA=contoso.test=b@contoso.test":  "250",
		"SRS0=aaaa=AA=contoso.test=bob@evil.test":                  "550 5.7.1", // whose owner can write what he likes
		"box+SRS=aaaa=AA=contoso.test=bob@evil.test":               "550 5.7.1",
		"SRS1=aaaa=one.test==bbbb=AA=contoso.test=bob@evil.test":   "550 5.7.1",
		"SRS0=aaaa=AA=contoso.test=bob@fabrikam.test":              "550 5.7.1", // of which one address is listed
		"bounces+SRS=aaaa=AA@contoso.test":                         "250",       // the From field decides when it comes
		"SRS0=aaaa=AA=fabrikam.test=eve@contoso.test":              "550 5.7.1",
		"box+SRS=aaaa=AA=fabrikam.test=eve@contoso.test":           "550 5.7.1",
		"SRS1=aaaa=one.test==bbbb=AA=fabrikam.test=e@contoso.test": "550 5.7.1",
	} {
		c.cmd(fmt.Sprintf("MAIL FROM:<%s>", from), "250")
		c.cmd("RCPT TO:<5550100@fax.example.com>", want)
		c.cmd("RSET", "250")
	}
}
