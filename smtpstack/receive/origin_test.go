package receive

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/tipring/tipring/smtpstack"
)

func TestParseReceived(t *testing.T) {
	tests := []struct{ name, field, client, helo string }{ // client "": doubtful
		{"Postfix", "from mail.example.org (ptr.example.org [192.0.2.1])\r\n\tby edge.test (Postfix) with ESMTPS id 4F; Sun, 22 Nov 2026 10:00:00 +0000", "192.0.2.1", "mail.example.org"},
		{"Postfix, no PTR", "from mail.example.org (unknown [192.0.2.1]) by edge.test (Postfix) with ESMTP id 4F; x", "192.0.2.1", "mail.example.org"},
		{"Postfix, IPv6", "from mail.example.org (ptr.example.org [IPv6:2001:db8::1]) by edge.test; x", "2001:db8::1", "mail.example.org"},
		{"Tipring", "from mail.example.org ([192.0.2.1])\r\n\tby edge.test (Tipring) with ESMTPS id 1;\r\n\tx", "192.0.2.1", "mail.example.org"},
		{"Exchange", "from MAIL.example.org (192.0.2.1) by edge.test (10.0.0.1) with Microsoft SMTP Server (version=TLS1_2) id 15.1; x", "192.0.2.1", "MAIL.example.org"},
		{"Exchange, IPv6", "from mail.example.org (2001:db8::1) by edge.test (10.0.0.1) with Microsoft SMTP Server id 15.1; x", "2001:db8::1", "mail.example.org"},
		{"Exim", "from ptr.example.org ([192.0.2.1] helo=mail.example.org)\r\n\tby edge.test with esmtps (TLS1.3) id 1; x", "192.0.2.1", "mail.example.org"},
		{"Exim, HELO as PTR", "from mail.example.org ([192.0.2.1]) by edge.test with esmtp (Exim 4.96) id 1; x", "192.0.2.1", "mail.example.org"},
		{"Exim, no PTR", "from [192.0.2.1] (helo=mail.example.org) by edge.test with esmtp id 1; x", "192.0.2.1", "mail.example.org"},
		{"Exim, no PTR, no HELO", "from [192.0.2.1] () by edge.test with esmtp id 1; x", "192.0.2.1", ""},
		{"sendmail", "from mail.example.org (ptr.example.org [192.0.2.1]) by edge.test (8.17/8.17) with ESMTP id 1; x", "192.0.2.1", "mail.example.org"},
		{"sendmail, forged PTR", "from mail.example.org (ptr.example.org [192.0.2.1] (may be forged)) by edge.test (8.17/8.17) with ESMTP id 1; x", "192.0.2.1", "mail.example.org"},
		{"literal as HELO", "from [10.9.9.9] (unknown [192.0.2.1]) by edge.test; x", "192.0.2.1", "[10.9.9.9]"},
		{"literal as HELO, no PTR name", "from [10.9.9.9] ([192.0.2.1]) by edge.test; x", "192.0.2.1", "[10.9.9.9]"},
		{"literal as HELO at Exchange", "from [10.9.9.9] (192.0.2.1) by edge.test; x", "192.0.2.1", "[10.9.9.9]"},
		{"odd case and space", "FROM  mail.example.org\t(ptr [192.0.2.1])   BY edge.test; x", "192.0.2.1", "mail.example.org"},
		{"mapped", "from a (b [IPv6:::ffff:192.0.2.1]) by edge.test; x", "192.0.2.1", "a"},

		{"comment from the EHLO", "from a ([10.9.9.9]) (ptr [192.0.2.1]) by edge.test; x", "", ""},
		{"by from the EHLO", "from a (b [10.9.9.9]) by fake.test (unknown [192.0.2.1]) by edge.test; x", "", ""},
		{"two addresses", "from a (b [10.9.9.9] [192.0.2.1]) by edge.test; x", "", ""},
		{"address as PTR", "from a (10.9.9.9 [192.0.2.1]) by edge.test; x", "", ""},
		{"nested comment", "from a (b (c) [192.0.2.1]) by edge.test; x", "", ""},
		{"quote", `from a ("b" [192.0.2.1]) by edge.test; x`, "", ""},
		{"no comment", "from a by edge.test; x", "", ""},
		{"no by", "from a (b [192.0.2.1]); x", "", ""},
		{"no from", "by edge.test (Postfix, from userid 0) id 4F; x", "", ""},
		{"no address", "from a (b) by edge.test; x", "", ""},
		{"broken address", "from a (b [192.0.2.256]) by edge.test; x", "", ""},
		{"unclosed", "from a (b [192.0.2.1] by edge.test; x", "", ""},
		{"unclosed literal", "from a (b [192.0.2.1) by edge.test; x", "", ""},
		{"zone", "from a (b [IPv6:fe80::1%eth0]) by edge.test; x", "", ""},
		{"nobody", "from a (b [0.0.0.0]) by edge.test; x", "", ""},
		{"beyond ASCII", "from \xc3\xa9 (b [192.0.2.1]) by edge.test; x", "", ""},
		{"empty", "", "", ""}, {"from alone", "from", "", ""}, {"from and space", "from  ", "", ""},
	}
	for _, tt := range tests {
		o, ok := parseReceived(strings.ReplaceAll(tt.field, "\r\n", " "))
		if ok != (tt.client != "") || ok && (o.Client != netip.MustParseAddr(tt.client) || o.Helo != tt.helo) {
			t.Errorf("%s: %v, %+v", tt.name, ok, o)
		}
	}
}

func TestOrigin_Chain(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/24")}
	const (
		inner  = "Received: from localhost (localhost [127.0.0.1]) by edge.test; x\r\n"
		middle = "Received: from edge2.test (edge2.test [10.0.0.2])\r\n by edge.test; x\r\n"
		outer  = "Received: from out.example.org (out.example.org [192.0.2.1])\r\n\tby edge2.test; x\r\n"
		forged = "Received: from bank.test (bank.test [198.51.100.1]) by out.example.org; x\r\n"
	)
	for _, tt := range []struct{ name, header, client string }{
		{"one", outer + forged, "192.0.2.1"},
		{"scanner and two edges", inner + middle + outer + forged, "192.0.2.1"},
		{"other fields above", "X-Spam: no\r\nAuthentication-Results: edge.test;\r\n none\r\n" + outer, "192.0.2.1"},
		{"none", "Subject: x\r\nFrom: a@b.test\r\n", ""},
		{"only our own hops", inner + middle, ""},
		{"a loop of hops", strings.Repeat(inner, maxHops) + outer, ""},
		{"a field in the body", "Subject: x\r\n\r\n" + outer, ""},
		{"junk above", "not a field\r\n" + outer, ""},
		{"a doubtful one on the way", inner + "Received: from x by edge.test; x\r\n" + outer, ""},
		{"lower case", strings.ToLower(outer), "192.0.2.1"},
	} {
		tap := new(headerTap)
		for _, c := range []byte(tt.header + "\r\n" + forged) { // octet by octet
			tap.write([]byte{c})
		}
		o, ok := origin(tap.buf, trusted)
		if ok != (tt.client != "") || ok && o.Client != netip.MustParseAddr(tt.client) {
			t.Errorf("%s: %v, %+v", tt.name, ok, o)
		}
	}
}

func TestOrigin_HeaderIsBounded(t *testing.T) {
	tap := new(headerTap)
	line := []byte("X-Long: " + strings.Repeat("x", 100) + "\r\n")
	for range 10_000 {
		tap.write(line)
	}
	tap.write([]byte("Received: from out (b [192.0.2.1]) by edge2.test; x\r\n\r\n"))
	if len(tap.buf) > maxOriginHeader || !strings.HasSuffix(string(tap.buf), "\r\n") {
		t.Errorf("%d octets kept, end %q", len(tap.buf), tap.buf[len(tap.buf)-10:])
	}
	if _, ok := origin(tap.buf, nil); ok {
		t.Error("found beyond the bound")
	}
}

// originMemory is a backend whose spools want to know.
type originMemory struct {
	memory
	got []smtpstack.Origin
	err error
}

type originSpool struct {
	Spool
	b *originMemory
}

func (s originSpool) Origin(o smtpstack.Origin) error {
	s.b.got = append(s.b.got, o)
	return s.b.err
}

func TestTrustedRelay(t *testing.T) {
	const field = "Received: from out.example.org (out.example.org [192.0.2.1]) by edge.test; x\r\n"
	tests := []struct {
		name, rcpt, data string
		trusted          bool
		err              error
		want             string
		origin           string
	}{
		{"told", "1@fax.example.com", field + "Subject: x\r\n\r\nbody\r\n", true, nil, "250 2.0.0", "192.0.2.1"},
		{"not told by the relay", "1@fax.example.com", "Subject: x\r\n\r\n" + field, true, nil, "550 5.7.1 the topmost Received field", ""},
		{"postmaster anyway", "postmaster", "Subject: x\r\n\r\n", true, nil, "250 2.0.0", ""},
		{"refused for it", "1@fax.example.com", field + "\r\n", true, smtpstack.Refuse(550, "5.7.1", "not from there"), "550 5.7.1 not from there", "192.0.2.1"},
		{"trouble", "1@fax.example.com", field + "\r\n", true, errors.New("disk"), "451 4.3.0", "192.0.2.1"},
		{"no trusted relay", "1@fax.example.com", field + "\r\n", false, nil, "250 2.0.0", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.TrustedRelays = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			if tt.trusted {
				cfg.TrustedRelays = append(cfg.TrustedRelays, netip.MustParsePrefix("127.0.0.0/8"))
			}
			b := &originMemory{err: tt.err}
			_, addr := start(t, cfg, originBackend{b})
			c := dial(t, addr)
			c.expect("220 ")
			c.cmd("EHLO edge.test", "250 ")
			c.cmd("MAIL FROM:<jane@example.com>", "250")
			c.cmd("RCPT TO:<"+tt.rcpt+">", "250")
			c.cmd("DATA", "354")
			c.send(tt.data + ".\r\n")
			c.expect(tt.want)
			if taken := strings.HasPrefix(tt.want, "250"); len(b.all()) == 1 != taken || b.aborts() == 1 == taken {
				t.Errorf("%d taken, %d aborted", len(b.all()), b.aborts())
			}
			if tt.origin == "" != (len(b.got) == 0) || len(b.got) == 1 && b.got[0] != (smtpstack.Origin{Client: netip.MustParseAddr(tt.origin), Helo: "out.example.org"}) {
				t.Errorf("told %+v", b.got)
			}
		})
	}
}

func FuzzParseReceived(f *testing.F) {
	f.Add("from a (b [192.0.2.1]) by c; x")
	f.Add("from [192.0.2.1] (helo=x) by c")
	f.Add("from a ([192.0.2.1] (may be forged)) by c")
	f.Fuzz(func(t *testing.T, s string) {
		o, ok := parseReceived(s)
		if ok && (!o.Client.IsValid() || !strings.Contains(s, "by") || strings.ContainsAny(o.Helo, " \r\n\t()")) {
			t.Errorf("%q gave %+v", s, o)
		}
		origin([]byte("Received:"+s+"\r\n"+s), nil)
	})
}

type originBackend struct{ *originMemory }

func (b originBackend) Begin(ctx context.Context, env smtpstack.Envelope) (Spool, error) {
	s, err := b.memory.Begin(ctx, env)
	return originSpool{s, b.originMemory}, err
}
