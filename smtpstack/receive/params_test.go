package receive

import (
	"strings"
	"testing"

	"github.com/tipring/tipring/smtpstack"
)

func TestDSN(t *testing.T) {
	b := &memory{}
	_, addr := start(t, testConfig(), b)
	c := dial(t, addr)
	c.expect("220 ")
	c.cmd("EHLO x", "250 ")
	c.cmd("MAIL FROM:<jane@example.com> RET=hdrs ENVID=QQ+2B314+3Dx SIZE=10 BODY=8bitmime", "250")
	c.cmd("RCPT TO:<1@fax.example.com> NOTIFY=SUCCESS,failure,DELAY ORCPT=rfc822;Bob+2B1@Example.com", "250")
	c.cmd("RCPT TO:<2@fax.example.com> notify=never", "250")
	c.cmd("RCPT TO:<3@fax.example.com> ORCPT=utf-8;b\\x{E9}@example.com", "250")
	c.cmd("RCPT TO:<4@fax.example.com>", "250") // nothing of the one before
	c.cmd("DATA", "354")
	c.send(".\r\n")
	c.expect("250")
	c.cmd("MAIL FROM:<jane@example.com>", "250")
	c.cmd("RCPT TO:<1@fax.example.com>", "250")
	c.cmd("DATA", "354")
	c.send(".\r\n")
	c.expect("250")
	e := b.all()[0].env
	if e.Return != "HDRS" || e.EnvelopeID != "QQ+314=x" || e.Size != 10 {
		t.Errorf("envelope %+v", e)
	}
	want := []smtpstack.Recipient{
		{Notify: smtpstack.NotifySuccess | smtpstack.NotifyFailure | smtpstack.NotifyDelay, OriginalRecipient: "rfc822;Bob+1@Example.com"},
		{Notify: smtpstack.NotifyNever}, {OriginalRecipient: `utf-8;b\x{E9}@example.com`}, {},
	}
	for i, r := range e.To {
		if r.Notify != want[i].Notify || r.OriginalRecipient != want[i].OriginalRecipient {
			t.Errorf("recipient %d: %v, %q", i+1, r.Notify, r.OriginalRecipient)
		}
	}
	if got := want[0].Notify.String() + " " + want[1].Notify.String() + want[3].Notify.String(); got != "SUCCESS,FAILURE,DELAY NEVER" {
		t.Errorf("as text %q", got)
	}
	if e := b.all()[1].env; e.Return != "" || e.EnvelopeID != "" || e.Size != 0 {
		t.Errorf("the next message has %+v", e)
	}
}

func TestParams_Refused(t *testing.T) {
	_, addr := start(t, testConfig(), &memory{})
	c := dial(t, addr)
	c.expect("220 ")
	c.cmd("EHLO x", "250 ")
	refused := 0
	check := func(line, want string) {
		t.Helper()
		if refused++; refused%15 == 0 { // before there are too many errors
			c.cmd("QUIT", "221")
			c = dial(t, addr)
			c.expect("220 ")
			c.cmd("EHLO x", "250 ")
		}
		c.cmd(line, want)
	}
	for _, p := range []string{
		"RET=", "RET=ALL", "RET", "RET=FULL RET=FULL", "ENVID=", "ENVID=a+b", "ENVID=a+0", "ENVID=a+0D+0AX", "ENVID=a+0a",
		"ENVID=a=b", "ENVID=" + strings.Repeat("x", maxEnvelopeID+1), "ENVID=\x7f", "ENVID=caf\xc3\xa9", "SMTPUTF8=1",
		"SIZE=1 SIZE=1", "size=1 SIZE=2", "SIZE", "SIZE=+1", "SIZE=0x10", "BODY", "=x",
	} {
		check("MAIL FROM:<jane@example.com> "+p, "501 5.5.4")
	}
	for _, p := range []string{"XRET=FULL", "NOTIFY=NEVER", "AUTH=<>", "REQUIRETLS", "BY=120;R", "MT-PRIORITY=3", "HOLDFOR=10", "TRANSID=x"} {
		check("MAIL FROM:<jane@example.com> "+p, "555 5.5.4")
	}
	c.cmd("MAIL FROM:<jane@example.com>", "250")
	rcpt := func(p, want string) {
		t.Helper()
		check("RSET", "250")
		check("MAIL FROM:<jane@example.com>", "250")
		check("RCPT TO:<1@fax.example.com> "+p, want)
	}
	c.cmd("RSET", "250")
	for _, p := range []string{
		"NOTIFY=", "NOTIFY", "NOTIFY=SOMETIMES", "NOTIFY=NEVER,SUCCESS", "NOTIFY=SUCCESS,SUCCESS", "NOTIFY=,", "NOTIFY=SUCCESS,",
		"NOTIFY=NEVER NOTIFY=NEVER", "NOTIFY=NEVER,NEVER", "ORCPT=", "ORCPT=rfc822", "ORCPT=rfc822;", "ORCPT=;a@b", "ORCPT=rfc822;a+0D+0AX-Injected:+20b",
		"ORCPT=rfc822;a+00b", "ORCPT=rf(c;a@b", "ORCPT=rfc822;a+4", "ORCPT=rfc822;+20", "ORCPT=utf-8;a\xc3\x28", "ORCPT=utf-8;a\xe2\x80\xa8b",
		"ORCPT=rfc822;" + strings.Repeat("x", maxOrcpt),
	} {
		rcpt(p, "501 5.5.4")
	}
	for _, p := range []string{"RET=FULL", "XORCPT=rfc822;a", "RRVS=2014-04-03T23:01:00Z"} {
		rcpt(p, "555 5.5.4")
	}
}

func TestSMTPUTF8(t *testing.T) {
	cfg := testConfig()
	cfg.FaxDomains = []string{"fax.bücher.example"}
	cfg.Senders = []string{"Bücher.example", "Jörg@xn--bcher-kva.test"}
	b := &memory{}
	_, addr := start(t, cfg, b)
	c := dial(t, addr)
	c.expect("220 ")
	c.cmd("EHLO x", "250 ")
	c.cmd("MAIL FROM:<jörg@bücher.example>", "553 5.6.7")
	c.cmd("MAIL FROM:<jörg@bücher.example> SMTPUTF8", "250")
	c.cmd("RCPT TO:<1@fax.xn--bcher-kva.example>", "250")
	c.cmd("RCPT TO:<2@FAX.BÜCHER.example>", "250")
	c.cmd("RCPT TO:<é@fax.bücher.example>", "550 5.1.3")
	c.cmd("RCPT TO:<1@fax.bücher.example.evil.test>", "550 5.7.1 relaying denied")
	c.cmd("DATA", "354")
	c.send("Subject: é\r\n\r\n.\r\n")
	c.expect("250")
	m := b.all()[0]
	if !m.env.UTF8 || m.env.From != "jörg@bücher.example" || len(m.env.To) != 2 || !strings.Contains(m.data, "with UTF8SMTP id") {
		t.Errorf("envelope %+v, stored %q", m.env, m.data)
	}
	c.cmd("MAIL FROM:<JÖRG@bücher.test> SMTPUTF8", "250")
	c.cmd("RCPT TO:<1@fax.xn--bcher-kva.example>", "250")
	c.cmd("RSET", "250")
	c.cmd("MAIL FROM:<\xc3\x28@bücher.example> SMTPUTF8", "553 5.6.7") // no UTF-8
	c.cmd("MAIL FROM:<a\xe2\x80\xa8b@bücher.example> SMTPUTF8", "553 5.6.7")
	c.cmd("MAIL FROM:<jane@bücher.example> SMTPUTF8", "250")
	c.cmd("RSET", "250")
	c.cmd("MAIL FROM:<jane@xn--bcher-kva.example>", "250")
	c.cmd("RCPT TO:<1@fax.bücher.example>", "553 5.6.7")
}

func FuzzParams(f *testing.F) {
	f.Add("jane@example.com> RET=FULL ENVID=x SIZE=1", "1@fax.example.com> NOTIFY=NEVER ORCPT=rfc822;a@b")
	f.Fuzz(func(t *testing.T, mail, rcpt string) {
		cfg := testConfig()
		cfg.MaxSize = 1000
		if _, params, ok := cutPath("FROM:<"+mail, "FROM:"); ok {
			m, refusal := cfg.mailParams(params)
			if refusal == nil && (!isPrintable(m.envid) || len(m.envid) > maxEnvelopeID || m.size < 0 || m.size > cfg.MaxSize) {
				t.Errorf("%q gave %+v", mail, m)
			}
		}
		if _, params, ok := cutPath("TO:<"+rcpt, "TO:"); ok {
			r, refusal := readRcptParams(params)
			if refusal == nil && (len(r.orcpt) > maxOrcpt || !isText(r.orcpt)) {
				t.Errorf("%q gave %+v", rcpt, r)
			}
			if again, ok := smtpstack.ParseNotify(r.notify.String()); refusal == nil && r.notify != 0 && (!ok || again != r.notify) {
				t.Errorf("%q: NOTIFY %v", rcpt, r.notify)
			}
		}
	})
}
