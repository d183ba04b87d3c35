package receive

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/tipring/tipring/smtpstack"
)

func TestMail_Taken(t *testing.T) {
	b := &memory{}
	_, addr := start(t, testConfig(), b)
	c := dial(t, addr)
	c.expect("220 fax.test ESMTP")
	ehlo := c.cmd("EHLO client.test", "250 ")
	if !strings.HasPrefix(ehlo, "250-fax.test\n") {
		t.Errorf("EHLO answer does not begin with our name: %q", ehlo)
	}
	for _, want := range []string{"PIPELINING", "8BITMIME", "CHUNKING", "ENHANCEDSTATUSCODES", "SMTPUTF8", "DSN", "SIZE 100000"} {
		if !strings.Contains(ehlo, want) {
			t.Errorf("EHLO lacks %s: %q", want, ehlo)
		}
	}
	if strings.Contains(ehlo, "STARTTLS") {
		t.Error("STARTTLS offered without a certificate")
	}
	c.cmd("MAIL FROM:<jane@example.com> SIZE=500 BODY=8BITMIME", "250 2.1.0")
	c.cmd(`RCPT TO:<"+1 (555) 123-4567"@fax.example.com>`, "250 2.1.5")
	c.cmd("RCPT TO:<FAX=+4930123/T33S=7@FAX.example.com>", "250 2.1.5")
	c.cmd("DATA", "354 ")
	c.send("Subject: hi\r\n\r\n..dot\r\nend\r\n.\r\n")
	c.expect("250 2.0.0 taken as job-1")
	c.cmd("QUIT", "221 ")
	c.closed()

	got := b.all()
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	head, body, _ := strings.Cut(got[0].data, "Subject:")
	if body != " hi\r\n\r\n.dot\r\nend\r\n" {
		t.Errorf("body %q", body)
	}
	if !strings.HasPrefix(head, "Received: from client.test ([127.0.0.1])\r\n\tby fax.test (Tipring) with ESMTP id "+got[0].env.ID+";\r\n\t") {
		t.Errorf("Received field %q", head)
	}
	want := []smtpstack.FaxAddress{{Number: "+15551234567"}, {Number: "+4930123", Subaddress: "7"}}
	for i, r := range got[0].env.To {
		if r.Fax.Number != want[i].Number || r.Fax.Subaddress != want[i].Subaddress || r.Postmaster {
			t.Errorf("recipient %d: %+v", i, r)
		}
	}
	e := got[0].env
	if e.From != "jane@example.com" || e.Size != 500 || e.Connector != "test" || !e.ESMTP || e.Client != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("envelope %+v", e)
	}
	if b.aborts() != 0 {
		t.Error("Abort after Commit")
	}
}

// TestRefused covers each reason for which a recipient or sender is not taken.
func TestRefused(t *testing.T) {
	tests := []struct{ name, mail, mailWant, rcpt, rcptWant string }{
		{"relay", "<jane@example.com>", "250", "<bob@elsewhere.test>", "550 5.7.1 relaying denied"},
		{"relay by percent", "<jane@example.com>", "250", "<bob%elsewhere.test@fax.example.com>", "550 5.1.3 bad fax number"},
		{"relay by source route", "<jane@example.com>", "250", "<@fax.example.com:bob@elsewhere.test>", "550 5.7.1 relaying denied"},
		{"relay by quotes", "<jane@example.com>", "250", `<"bob@elsewhere.test"@fax.example.com>`, "550 5.1.3"},
		{"subdomain", "<jane@example.com>", "250", "<1@sub.fax.example.com>", "550 5.7.1"},
		{"no number", "<jane@example.com>", "250", "<jane@fax.example.com>", `550 5.1.3 bad fax number: not a telephone number: character 'j'`},
		{"no domain", "<jane@example.com>", "250", "<15551234567>", "553 5.1.3"},
		{"empty path", "<jane@example.com>", "250", "<>", "501 5.5.4"},
		{"sender domain", "<jane@other.test>", "250", "<1@fax.example.com>", "550 5.7.1 sender jane@other.test"},
		{"sender lookalike", "<jane@notexample.com>", "250", "<1@fax.example.com>", "550 5.7.1 sender"},
		{"sender subdomain", "<jane@sub.example.com>", "250", "<1@fax.example.com>", "550 5.7.1 sender"},
		{"null sender", "<>", "250", "<1@fax.example.com>", "550 5.7.1 bounces"},
		{"listed sender", "<Boss@Other.test>", "250", "<1@fax.example.com>", "250"},
		{"postmaster", "<x@nowhere.test>", "250", "<postmaster>", "250"},
		{"Postmaster at us, bounced", "<>", "250", "<PostMaster@fax.example.com>", "250"},
		{"postmaster at host", "<>", "250", "<postmaster@fax.test>", "250"},
		{"postmaster elsewhere", "<jane@example.com>", "250", "<postmaster@elsewhere.test>", "550 5.7.1 relaying denied"},
		{"beyond ASCII", "<jane@example.com>", "250", "<1\xc3\xa9@fax.example.com>", "553 5.6.7"},
		{"unknown RCPT parameter", "<jane@example.com>", "250", "<1@fax.example.com> XNOTIFY=NEVER", "555 5.5.4"},
		{"unknown MAIL parameter", "<jane@example.com> XUTF8", "555 5.5.4", "", ""},
		{"BODY not offered", "<jane@example.com> BODY=BINARYMIME", "504 5.5.4", "", ""},
		{"AUTH parameter", "<jane@example.com> AUTH=<>", "555 5.5.4", "", ""},
		{"bad BODY", "<jane@example.com> BODY=9BIT", "501 5.5.4", "", ""},
		{"bad SIZE", "<jane@example.com> SIZE=x", "501 5.5.4", "", ""},
		{"negative SIZE", "<jane@example.com> SIZE=-1", "501 5.5.4", "", ""},
		{"large SIZE", "<jane@example.com> SIZE=100001", "552 5.3.4", "", ""},
		{"absurd SIZE", "<jane@example.com> SIZE=99999999999999999999999", "552 5.3.4", "", ""},
		{"sender without domain", "<jane>", "501 5.1.7", "", ""},
		{"unclosed path", "<jane@example.com", "501 5.5.4", "", ""},
		{"two paths", "<a@example.com><b@example.com>", "501 5.5.4", "", ""},
		{"no brackets", "jane@example.com", "250", "1@fax.example.com", "250"},
		{"space after colon", " <jane@example.com>", "250", " <1@fax.example.com>", "250"},
	}
	b := &memory{}
	_, addr := start(t, testConfig(), b)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, addr)
			c.expect("220 ")
			c.cmd("EHLO client.test", "250 ")
			c.cmd("MAIL FROM:"+tt.mail, tt.mailWant)
			if tt.rcpt != "" {
				c.cmd("RCPT TO:"+tt.rcpt, tt.rcptWant)
			}
			if !strings.HasPrefix(tt.rcptWant, "250") {
				c.cmd("DATA", "503 5.5.1")
			}
		})
	}
	if n := len(b.all()); n != 0 {
		t.Errorf("%d messages taken", n)
	}
}

func TestRefused_Network(t *testing.T) {
	cfg := testConfig()
	cfg.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	_, addr := start(t, cfg, &memory{})
	c := dial(t, addr)
	c.expect("220 ")
	c.cmd("EHLO x", "250 ")
	c.cmd("MAIL FROM:<jane@example.com>", "250 ")
	c.cmd("RCPT TO:<1@fax.example.com>", "550 5.7.1 your address 127.0.0.1")
	c.cmd("RCPT TO:<postmaster>", "550 5.7.1")
}

func TestBackend_Errors(t *testing.T) {
	disk := fmt.Errorf("write: %w", syscall.ENOSPC)
	secret := errors.New("password=secret")
	tests := []struct {
		name    string
		b       *memory
		atRcpt  string
		atData  string
		atEnd   string
		aborted int
	}{
		{name: "recipient policy", b: &memory{rcptErr: fmt.Errorf("x: %w", smtpstack.Refuse(550, "5.7.1", "no permission to dial abroad"))}, atRcpt: "550 5.7.1 no permission to dial abroad"},
		{name: "recipient trouble", b: &memory{rcptErr: secret}, atRcpt: "451 4.3.0 local trouble"},
		{name: "begin", b: &memory{beginErr: disk}, atData: "452 4.3.1"},
		{name: "write", b: &memory{writeErr: disk}, atEnd: "452 4.3.1", aborted: 1},
		{name: "commit full", b: &memory{commitErr: disk}, atEnd: "452 4.3.1"},
		{name: "commit trouble", b: &memory{commitErr: secret}, atEnd: "451 4.3.0 local trouble"},
		{name: "commit refusal", b: &memory{commitErr: smtpstack.Refuse(554, "5.6.0", "no document in it")}, atEnd: "554 5.6.0 no document"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, addr := start(t, testConfig(), tt.b)
			c := dial(t, addr)
			c.expect("220 ")
			c.cmd("EHLO x", "250 ")
			c.cmd("MAIL FROM:<jane@example.com>", "250 ")
			if tt.atRcpt != "" {
				c.cmd("RCPT TO:<1@fax.example.com>", tt.atRcpt)
				return
			}
			c.cmd("RCPT TO:<1@fax.example.com>", "250 ")
			if tt.atData != "" {
				c.cmd("DATA", tt.atData)
				return
			}
			c.cmd("DATA", "354 ")
			c.send(strings.Repeat("x", 70000) + "\r\n.\r\n")
			c.expect(tt.atEnd)
			c.cmd("NOOP", "250 ") // still in step
			if tt.b.aborts() != tt.aborted || len(tt.b.all()) != 0 {
				t.Errorf("%d aborted, %d taken", tt.b.aborts(), len(tt.b.all()))
			}
		})
	}
}

func TestBackend_PanicEndsOneSession(t *testing.T) {
	b := &memory{}
	_, addr := start(t, testConfig(), b)
	for _, tt := range []struct {
		rcpt  string
		steps []string
	}{
		{"666", nil}, {"667", []string{"DATA"}}, {"667", []string{"BDAT 1 LAST\r\nx"}},
		{"668", []string{"BDAT 1 LAST\r\nx"}},
	} {
		c := dial(t, addr)
		c.begin()
		c.send("RCPT TO:<" + tt.rcpt + "@fax.example.com>\r\n")
		for _, step := range tt.steps {
			c.expect("250")
			c.send(step + "\r\n")
		}
		c.expect("421 4.")
		c.closed()
	}
	c := dial(t, addr)
	c.begin()
	if len(b.all()) != 0 {
		t.Errorf("%d taken", len(b.all()))
	}
}

func TestSize_DuringData(t *testing.T) {
	b := &memory{}
	cfg := testConfig()
	cfg.MaxSize = 1000
	_, addr := start(t, cfg, b)
	for _, tt := range []struct {
		octets int
		want   string
	}{{1000, "250 2.0.0"}, {1001, "552 5.3.4"}, {50_000, "552 5.3.4"}} {
		c := dial(t, addr)
		c.begin()
		c.cmd("DATA", "354 ")
		c.send(strings.Repeat("x", tt.octets-2) + "\r\n.\r\n")
		c.expect(tt.want)
		c.cmd("NOOP", "250 ")
	}
	if len(b.all()) != 1 || b.aborts() != 2 {
		t.Errorf("%d taken, %d aborted", len(b.all()), b.aborts())
	}
}

func TestSize_FloodIsCutOff(t *testing.T) {
	cfg := testConfig()
	cfg.MaxSize = 1000
	b := &memory{}
	_, addr := start(t, cfg, b)
	c := dial(t, addr)
	c.begin()
	c.cmd("DATA", "354 ")
	chunk := []byte(strings.Repeat("x", 64<<10))
	var err error
	for i := 0; i < 1000 && err == nil; i++ {
		_, err = c.nc.Write(chunk)
	}
	if err == nil {
		t.Error("64 MB taken at a limit of 1000 octets")
	}
}

// TestData_LineEnds: only CR LF . CR LF ends a message (SMTP smuggling, CVE-2023-51764 and its kin).
func TestData_LineEnds(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"LF dot LF", "a\n.\nb\r\n", "a\r\n.\r\nb\r\n"},
		{"LF dot CRLF", "a\n.\r\nb\r\n", "a\r\n.\r\nb\r\n"},
		{"CR dot CR", "a\r.\rb\r\n", "a . b\r\n"},
		{"CRLF dot LF", "a\r\n.\nb\r\n", "a\r\n\r\nb\r\n"},
		{"CRLF dot CR", "a\r\n.\rb\r\n", "a\r\n b\r\n"},
		{"CR CR LF", "a\r\r\nb\r\n", "a \r\nb\r\n"}, // the line does end, in a CR of its own
		{"CR CR LF before the end", "a\r\r\n", "a \r\n"},
		{"dot CR CR LF", "a\r\n.\r\r\nb\r\n", "a\r\n \r\nb\r\n"},
		{"dot stuffing", "..\r\n...\r\n.a\r\n", ".\r\n..\r\na\r\n"},
		{"CR at a buffer's end", strings.Repeat("x", 16<<10-1) + "\rb\r\n", strings.Repeat("x", 16<<10-1) + " b\r\n"},
		{"CR LF over a buffer's end", strings.Repeat("x", 16<<10-1) + "\r\n.b\r\n", strings.Repeat("x", 16<<10-1) + "\r\nb\r\n"},
		{"long line", strings.Repeat("y", 50000) + "\r\n", strings.Repeat("y", 50000) + "\r\n"},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &memory{}
			_, addr := start(t, testConfig(), b)
			c := dial(t, addr)
			c.begin()
			c.cmd("DATA", "354 ")
			c.send(tt.in + ".\r\n")
			c.expect("250 2.0.0")
			c.cmd("NOOP", "250 2.0.0")
			_, body, _ := strings.Cut(b.all()[0].data, ";\r\n\t")
			_, body, _ = strings.Cut(body, "\r\n")
			if body != tt.want {
				t.Errorf("stored %.80q, want %.80q", body, tt.want)
			}
		})
	}
}
