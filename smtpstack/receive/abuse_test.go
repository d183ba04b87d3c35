package receive

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// smuggled is what would be a second message if the server took the wrong end for the first one's.
const smuggled = "MAIL FROM:<boss@other.test>\r\nRCPT TO:<900@fax.example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n"

// TestSmuggling shows the server ends of data that others take for one (CVE-2023-51764 to 51766 and kin). Only CR LF . CR
// LF is one; and what is stored has no form that the next server could take for one.
func TestSmuggling(t *testing.T) {
	forms := []string{
		"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r", "\r.\n", "\r\n.\r\r\n", "\n\r.\n\r", "\n\r.\r\n",
		"\r\n.\x00\r\n", "\r\n\x00.\r\n", "\r\n.\x00\n", "\x00\r\n.\n", "\r\n..\r\n", "\r\n. \r\n", "\r\n .\r\n", "\r\n.\t\r\n", "\r\n.\x0b\r\n", "\r\n.\x0c\r\n",
		"\xc2\x85.\xc2\x85", "\xe2\x80\xa8.\xe2\x80\xa8", "\xe2\x80\xa9.\xe2\x80\xa9", "\x85.\x85", "\r\n\xef\xbb\xbf.\r\n", "\r\n.\xef\xbb\xbf\r\n",
		"\r\n\x08.\r\n", "\r\n.\x08\r\n", "\r\n.\x1a\r\n", "\r\n.\x04\r\n", "\\r\\n.\\r\\n", "\r\n=2E\r\n", "\r \n.\r \n", "\n\n.\n\n", "\r\r.\r\r", "\r\n.\r\x00\n",
		"\r\n\xff\xf4.\r\n", "\r\n.\r\nX"[:4], "\r\n.QUIT\r\n",
	}
	if len(forms) < 20 {
		t.Fatalf("only %d forms", len(forms))
	}
	for _, form := range forms {
		for _, slowly := range []bool{false, true} {
			b := &memory{}
			_, addr := start(t, testConfig(), b)
			c := dial(t, addr)
			c.begin()
			c.cmd("DATA", "354")
			text := "Subject: honest\r\n\r\nbody" + form + smuggled + ".\r\n"
			if slowly { // in pieces that end inside the form
				at := strings.Index(text, form)
				for i := range len(form) {
					c.send(text[:at+i+1])
					text, at = text[at+i+1:], -i-1
				}
			}
			c.send(text)
			c.expect("250 2.0.0 taken")
			c.cmd("QUIT", "221") // and so nothing else was answered
			got := b.all()
			if len(got) != 1 {
				t.Fatalf("%q: %d messages", form, len(got))
			}
			if !strings.Contains(got[0].data, "Subject: smuggled") {
				t.Errorf("%q: something of the message is missing: %q", form, got[0].data)
			}
			bare := strings.ReplaceAll(got[0].data, "\r\n", "")
			if strings.ContainsAny(bare, "\r\n") {
				t.Errorf("%q: stored with bare line ends: %q", form, got[0].data)
			}
		}
	}
}

// relayProbes are recipients that must never be taken by a server for fax.example.com at fax.test.
var relayProbes = []string{
	"<victim@elsewhere.test>", "victim@elsewhere.test", "<VICTIM@ELSEWHERE.TEST>", "<victim@elsewhere.test.>",
	// the percent hack, bang paths, both
	"<victim%elsewhere.test@fax.example.com>", "<victim%elsewhere.test@fax.test>", "<victim%elsewhere.test>", "<victim%elsewhere.test@[127.0.0.1]>",
	"<elsewhere.test!victim@fax.example.com>", "<elsewhere.test!victim>", "<fax.example.com!elsewhere.test!victim>", "<elsewhere.test!victim%x@fax.example.com>",
	"<1%elsewhere.test@fax.example.com>", "<elsewhere.test!1@fax.example.com>",
	// quoted locals, with and without a domain behind
	`<"victim@elsewhere.test">`, `<"victim@elsewhere.test"@fax.example.com>`, `<"victim%elsewhere.test"@fax.example.com>`, `<"victim"@elsewhere.test>`,
	`<"1@fax.example.com"@elsewhere.test>`, `<"1@fax.example.com>"@elsewhere.test>`, `<1"@fax.example.com>`, `<\"1\"@fax.example.com>`, `<"1\"@fax.example.com>`,
	`<victim\@elsewhere.test@fax.example.com>`, `"victim"@elsewhere.test`, `<"1@elsewhere.test\0"@fax.example.com>`,
	// source routes
	"<@fax.example.com:victim@elsewhere.test>", "<@fax.example.com,@fax.test:victim@elsewhere.test>", "<@elsewhere.test:1@elsewhere.test>",
	"<@fax.example.com>", "<@fax.example.com:>", "<@fax.example.com:@fax.example.com:victim@elsewhere.test>", "<@:victim@elsewhere.test>",
	// nested and many @
	"<victim@elsewhere.test@fax.example.com>", "<1@fax.example.com@elsewhere.test>", "<1@@fax.example.com>", "<@1@fax.example.com>", "<victim@elsewhere.test@>",
	// domains that look like ours
	"<1@sub.fax.example.com>", "<1@fax.example.com.elsewhere.test>", "<1@xfax.example.com>", "<1@example.com>", "<1@fax.example.co>", "<1@fax.example.com..>",
	"<1@.fax.example.com>", "<1@fax..example.com>", "<1@fax.example.com/elsewhere.test>", "<1@fax.example.com:25>", "<1@fax.example.com#elsewhere.test>",
	"<1@fax.test>", "<1@localhost>", "<1@fax_example.com>", "<1@fax.example.com;elsewhere.test>", "<1@fax.example.com elsewhere.test>",
	// literals
	"<victim@[192.0.2.1]>", "<victim@[127.0.0.1]>", "<1@[127.0.0.1]>", "<1@127.0.0.1>", "<1@[IPv6:::1]>", "<1@[fax.example.com]>", "<1@[192.0.2.1>", "<1@#2130706433>",
	// nothing, null, control characters, several
	"<>", "<@>", "<@fax.example.com:>", "< >", "<1>", "<1@>", "<@elsewhere.test>", "<1@fax.example.com\x00@elsewhere.test>", "<1\x00@fax.example.com>",
	"<1@fax.example.com\x00>", "<1\t@fax.example.com>", "<1@fax.example.com>,<victim@elsewhere.test>", "<1@fax.example.com><victim@elsewhere.test>",
	"<1@fax.example.com,victim@elsewhere.test>", "<<1@fax.example.com>>", "<1@fax.example.com> <victim@elsewhere.test>", "1@fax.example.com victim@elsewhere.test",
	"<\xef\xbc\x91@fax.example.com>", "<1@fax\xe3\x80\x82example\xe3\x80\x82com>", "<1\xff@fax.example.com>",
	// the postmaster of others, and others who call themselves so
	"<postmaster@elsewhere.test>", "<postmaster%elsewhere.test>", "<postmaster@sub.fax.example.com>", `<"postmaster@elsewhere.test">`, "<postmaster@[127.0.0.1]>",
	"<postmaster@elsewhere.test@fax.example.com>", "<postmaster.@fax.example.com>",
	// old and foreign address forms
	"<C=US;A=x;S=victim@fax.example.com>", "<SMTP:victim@elsewhere.test>", "<mailto:victim@elsewhere.test>", "<|/bin/sh@fax.example.com>", "</etc/passwd@fax.example.com>",
	"<IMCEASMTP-victim+40elsewhere+2Etest@fax.example.com>", "<victim+elsewhere.test@fax.example.com>", "<victim=elsewhere.test@fax.example.com>",
	"<SRS0=x=y=elsewhere.test=victim@fax.example.com>",
}

// TestOpenRelay_Probes: none is taken from a sender and a network that may send, whatever the sender.
func TestOpenRelay_Probes(t *testing.T) {
	if len(relayProbes) < 40 {
		t.Fatalf("only %d probes", len(relayProbes))
	}
	senders := []string{"<jane@example.com>", "<>", "<spammer@elsewhere.test>", "<jane@fax.example.com>", "<jane@[127.0.0.1]>"}
	b := &memory{}
	cfg := testConfig()
	cfg.Limits.ErrorsPerHour = -1
	_, addr := start(t, cfg, b)
	for i, probe := range relayProbes {
		c := dial(t, addr)
		c.expect("220 ")
		c.cmd("EHLO fax.example.com", "250 ")
		c.cmd("MAIL FROM:"+senders[0], "250")
		if got := c.cmd("RCPT TO:"+probe, "5"); strings.Contains(got, "\r") || strings.HasPrefix(got, "500") {
			t.Errorf("%q: %q", probe, got)
		}
		c.cmd("DATA", "503")
		c.cmd("RSET", "250")
		c.cmd("MAIL FROM:"+senders[1+i%(len(senders)-1)], "250")
		c.cmd("RCPT TO:"+probe, "5")
		c.cmd("DATA", "503")
		c.cmd("QUIT", "221")
	}
	if len(b.all()) != 0 {
		t.Errorf("%d taken", len(b.all()))
	}
}

// TestOpenRelay_Strangers: from another network not even our own numbers are taken, nor told from others.
func TestOpenRelay_Strangers(t *testing.T) {
	cfg := testConfig()
	cfg.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	cfg.Limits.ErrorsPerHour = -1
	_, addr := start(t, cfg, &memory{})
	for _, probe := range append([]string{"<1@fax.example.com>", "<postmaster>", "<postmaster@fax.example.com>"}, relayProbes...) {
		c := dial(t, addr)
		c.expect("220 ")
		c.cmd("EHLO [192.0.2.1]", "250 ")
		c.cmd("MAIL FROM:<jane@example.com>", "250")
		got := c.cmd("RCPT TO:"+probe, "5")
		if !strings.HasPrefix(got, "550 5.7.1 your address 127.0.0.1") && !strings.HasPrefix(got, "501 ") && !strings.HasPrefix(got, "553 5.6.7") && !strings.HasPrefix(got, "555 ") {
			t.Errorf("%q: %q", probe, got)
		}
		c.cmd("QUIT", "221")
	}
}

// TestBdat_Tricks: how long a chunk is decides what is text and what are commands, and nothing else does.
func TestBdat_Tricks(t *testing.T) {
	inner := ".\r\nRSET\r\nMAIL FROM:<boss@other.test>\r\nRCPT TO:<900@fax.example.com>\r\nBDAT 1 LAST\r\nx"
	for _, tt := range []struct {
		name, send string
		replies    []string
		bodies     []string // of the messages taken
		closed     bool
	}{
		{"commands in a chunk", fmt.Sprintf("BDAT %d LAST\r\n%s", len(inner), inner), []string{"250 2.0.0 taken"}, []string{strings.Replace(inner, "x", "x", 1)}, false},
		{"commands over two chunks", fmt.Sprintf("BDAT 5\r\n%sBDAT %d LAST\r\n%s", inner[:5], len(inner)-5, inner[5:]), []string{"250", "250 2.0.0 taken"}, []string{inner}, false},
		{"DATA inside", "BDAT 2\r\nabDATA\r\nBDAT 0 LAST\r\n", []string{"250", "503", "250 2.0.0 taken"}, []string{"ab"}, false},
		{"MAIL and RCPT inside", "BDAT 2\r\nabMAIL FROM:<boss@other.test>\r\nRCPT TO:<900@fax.example.com>\r\nBDAT 1 LAST\r\nc", []string{"250", "503", "503", "250 2.0.0 taken"}, []string{"abc"}, false},
		{"after the last", "BDAT 1 LAST\r\naBDAT 4 LAST\r\nQUIT", []string{"250 2.0.0 taken", "503"}, []string{"a"}, false},
		{"leading zeros", "BDAT 0000000003 LAST\r\nabc", []string{"250 2.0.0 taken"}, []string{"abc"}, false},
		{"sign", "BDAT +3 LAST\r\nabc", []string{"501"}, nil, true},
		{"negative", "BDAT -3 LAST\r\nabc", []string{"501"}, nil, true},
		{"hexadecimal", "BDAT 0x3 LAST\r\nabc", []string{"501"}, nil, true},
		{"octets with a separator", "BDAT 1_0 LAST\r\nabc", []string{"501"}, nil, true},
		{"a digit beyond ASCII", "BDAT \xd9\xa3 LAST\r\nabc", []string{"501"}, nil, true},
		{"overflow", "BDAT 18446744073709551619 LAST\r\nabc", []string{"501"}, nil, true},
		{"no size", "BDAT LAST\r\nabc", []string{"501"}, nil, true},
		{"too many words", "BDAT 3 LAST LAST\r\nabc", []string{"501"}, nil, true},
		{"another word", "BDAT 3 FIRST\r\nabc", []string{"501"}, nil, true},
		{"bare LF", "BDAT 3 LAST\nabc", []string{"500"}, nil, true},
		{"second announcement is bad", "BDAT 1\r\naBDAT x\r\n", []string{"250", "501"}, nil, true},
		{"a dot is no end", "BDAT 3\r\n.\r\nBDAT 2 LAST\r\n.\n", []string{"250", "250 2.0.0 taken"}, []string{".\r\n.\r\n"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &memory{}
			_, addr := start(t, testConfig(), b)
			c := dial(t, addr)
			c.begin()
			c.send(tt.send)
			for _, want := range tt.replies {
				c.expect(want)
			}
			if tt.closed {
				c.closed()
			} else {
				c.cmd("NOOP", "250 2.0.0")
			}
			var got []string
			for _, m := range b.all() {
				got = append(got, bodyOf(m.data))
			}
			if strings.Join(got, "|") != strings.Join(tt.bodies, "|") {
				t.Errorf("stored %q", got)
			}
		})
	}
}

// bodyOf is what the client sent, without our Received field.
func bodyOf(stored string) string {
	parts := strings.SplitN(stored, "\r\n", 4)
	return parts[3]
}

// TestStartTLS_WhatCameInTheClear is neither heard inside TLS nor before it.
func TestStartTLS_WhatCameInTheClear(t *testing.T) {
	cert, pool := selfSigned(t, "fax.test")
	cfg := testConfig()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	tlsClient := &tls.Config{RootCAs: pool, ServerName: "fax.test"}
	full := "MAIL FROM:<jane@example.com>\r\nRCPT TO:<900@fax.example.com>\r\nDATA\r\nsmuggled\r\n.\r\n"
	b := &memory{}
	_, addr := start(t, cfg, b)
	for _, behind := range []string{"E", "\r\n", "NOOP\r\n", "EHLO x\r\n", full, "EHLO x\r\n" + full, "STARTTLS\r\n", "\x16\x03\x01"} {
		c := dial(t, addr)
		c.expect("220 ")
		c.send("EHLO x\r\nSTARTTLS\r\n" + behind)
		c.expect("250 ")
		c.expect("501 5.5.1 STARTTLS must be the last command")
		c.closed()
	}
	// A transaction begun in the clear is gone.
	c := dial(t, addr)
	c.begin()
	c.startTLS(tlsClient)
	c.cmd("DATA", "503")
	c.cmd("RCPT TO:<1@fax.example.com>", "503")
	c.send("BDAT 1 LAST\r\nx")
	c.expect("503")
	c.cmd("EHLO x", "250 ")
	c.cmd("DATA", "503")
	c.cmd("MAIL FROM:<jane@example.com>", "250")
	c.cmd("QUIT", "221")
	// Plain text in the handshake's place ends the connection without another word.
	c = dial(t, addr)
	c.expect("220 ")
	c.cmd("STARTTLS", "220")
	c.send(full)
	if line, err := c.r.ReadString('\n'); err == nil && strings.HasPrefix(line, "2") {
		t.Errorf("heard: %q", line)
	}
	if len(b.all()) != 0 {
		t.Errorf("%d taken", len(b.all()))
	}
}

// TestHeaderInjection: nothing the client says makes a line of the header, or of a reply.
func TestHeaderInjection(t *testing.T) {
	b := &memory{}
	cfg := testConfig()
	cfg.Senders = []string{"*"}
	cfg.MaxConnsPerIP = 50
	cfg.Limits.ErrorsPerHour = -1
	_, addr := start(t, cfg, b)
	for _, helo := range []string{
		"a\rX-Injected: b", "a\x00b", "a\tb", "a(b", "a)b", "a (b [10.9.9.9])", "a;b", "a\\b", `a"b`, "a<b", "a>b", "a,b", "\xe2\x80\xa8a", "a\x0bb", "a\x7f",
		"[127.0.0.1]", "a b", "x;", strings.Repeat("a", 300),
	} {
		c := dial(t, addr)
		c.expect("220 ")
		c.send("EHLO " + helo + "\r\n")
		line, err := c.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "501") {
			continue
		}
		c.expect("250 ")
		c.cmd("MAIL FROM:<jane@example.com>", "250")
		c.cmd("RCPT TO:<1@fax.example.com>", "250")
		c.cmd("DATA", "354")
		c.send(".\r\n")
		c.expect("250")
		head := b.all()[len(b.all())-1].data
		if lines := strings.Split(head, "\r\n"); len(lines) != 4 || lines[3] != "" || !strings.HasPrefix(lines[0], "Received: from ") ||
			!strings.HasSuffix(lines[0], " ([127.0.0.1])") || strings.Count(lines[0], "(") != 1 || !strings.HasPrefix(lines[1], "\tby fax.test ") {
			t.Errorf("EHLO %q made the header %q", helo, head)
		}
		if o, ok := parseReceived(strings.ReplaceAll(strings.TrimPrefix(head, "Received:"), "\r\n", " ")); !ok || o.Client.String() != "127.0.0.1" {
			t.Errorf("EHLO %q: read back as %v", helo, o)
		}
	}
	for _, from := range []string{
		"<a\rb@example.com>", "<a\x00@example.com>", "<\"a\rRCPT TO:<x>\"@example.com>", "<a@example.com\x0b>", "<\"a\x7f\"@example.com>", "<a\x1b[2J@example.com>",
	} {
		c := dial(t, addr)
		c.expect("220 ")
		c.cmd("EHLO x", "250 ")
		c.cmd("MAIL FROM:"+from, "501")
		c.cmd("MAIL FROM:"+from+" SMTPUTF8", "501")
		c.cmd("QUIT", "221")
	}
}

// framed is what a DATA phase says, by the letter of RFC 5321 4.1.1.4 and 4.5.2: the oracle of the fuzz target.
func framed(raw []byte) (text []byte, ok bool) {
	raw = append([]byte("\r\n"), raw...) // the line end of DATA itself
	end := bytes.Index(raw, []byte("\r\n.\r\n"))
	if end < 0 {
		return nil, false
	}
	raw = bytes.ReplaceAll(raw[:end+2], []byte("\r\n."), []byte("\r\n"))
	return plainLines(raw[2:]), true
}

// plainLines is how we store: bare LF is a line's end, bare CR a space.
func plainLines(raw []byte) []byte {
	var out []byte
	for i, c := range raw {
		switch {
		case c == '\r' && i+1 < len(raw) && raw[i+1] == '\n':
		case c == '\r':
			out = append(out, ' ')
		case c == '\n':
			out = append(out, '\r', '\n')
		default:
			out = append(out, c)
		}
	}
	return out
}

// runScript lets a whole client script pass through one session.
func runScript(t *testing.T, cfg Config, in []byte) (b *memory, out string) {
	b = &memory{}
	srv, err := New(cfg, b)
	if err != nil {
		t.Fatal(err)
	}
	close(srv.closed) // failed sign-ins cost no time; the server does not shut down by this alone
	conn := &scriptConn{r: bytes.NewReader(in)}
	began := time.Now()
	newSession(srv, conn, clientAddr(conn)).serve(t.Context())
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("%d octets took %v", len(in), d)
	}
	if n := strings.Count(conn.out.String(), "250 2.0.0 taken as "); n != len(b.all()) {
		t.Errorf("%d acknowledged, %d committed", n, len(b.all()))
	}
	return b, conn.out.String()
}

const scriptBegin = "EHLO a\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<1@fax.example.com>\r\n"

// FuzzData: the first message taken is the one framed, whatever the octets.
func FuzzData(f *testing.F) {
	for _, s := range []string{"a\r\n.\r\n", ".\r\n", "\n.\n.\r\n", "..\r\n\r\n.\r\nQUIT\r\n", "a\r.\r\n\r\r\n.\r\n", "\r\n.\r\r\n.\r\n", "a\n\r\n.\n\r\n.\r\n"} {
		f.Add([]byte(s))
	}
	f.Add(append(bytes.Repeat([]byte("x"), 16<<10-2), "\r\n.\r\n"...))
	cfg := testConfig()
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, out := runScript(t, cfg, append([]byte(scriptBegin+"DATA\r\n"), raw...))
		want, ok := framed(raw)
		switch got := b.all(); {
		case ok && len(want) > 90_000:
		case !ok && len(got) > 0:
			t.Errorf("%q has no end, but %q was taken", raw, got[0].data)
		case ok && (len(got) == 0 || bodyOf(got[0].data) != string(want)):
			t.Errorf("%q is %q, but taken was %+v\n%s", raw, want, got, out)
		}
	})
}

// FuzzBdat: the chunks make the message, however it is cut.
func FuzzBdat(f *testing.F) {
	f.Add([]byte("a\r\n.\r\nb\rc\nd\r"), uint8(1), false)
	f.Add([]byte("\r\n\r\n"), uint8(3), true)
	cfg := testConfig()
	f.Fuzz(func(t *testing.T, raw []byte, size uint8, lastEmpty bool) {
		script := []byte(scriptBegin)
		rest := raw
		for n := int(size)%50 + 1; len(rest) > n; rest = rest[n:] {
			script = append(fmt.Appendf(script, "BDAT %d\r\n", n), rest[:n]...)
		}
		if lastEmpty {
			script = append(fmt.Appendf(script, "BDAT %d\r\n", len(rest)), rest...)
			script = append(script, "BDAT 0 LAST\r\n"...)
		} else {
			script = append(fmt.Appendf(script, "BDAT %d LAST\r\n", len(rest)), rest...)
		}
		if len(raw) > 40_000 {
			return
		}
		b, out := runScript(t, cfg, append(script, "QUIT\r\n"...))
		if got := b.all(); len(got) != 1 || bodyOf(got[0].data) != string(plainLines(raw)) {
			t.Errorf("%q became %+v\n%s", raw, got, out)
		}
	})
}
