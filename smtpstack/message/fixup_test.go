package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

var testFixUp = FixUp{Date: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), MessageID: "<1.relay@box.example>", Sender: "scan@contoso.com"}

func fixUp(t testing.TB, f FixUp, mail string) string {
	t.Helper()
	var b bytes.Buffer
	err := f.Write(&b, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(mail)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func lines(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// A mail in order passes octet for octet.
func TestFixUp_LeavesWhatIsInOrder(t *testing.T) {
	mail := lines("Received: from a by b;\n\tx\nFrom: Scanner <scan@contoso.com>\nDate: Sun, 22 Nov 2026 09:00:00 +0000\nMessage-ID: <a@b>\nSubject: =?utf-8?Q?=C3=BC?=\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/mixed; boundary=\"x y\"\n\npreamble\n--x y\nContent-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\nhello\n.\n--x\n--x y\n" +
		"Content-Type: message/rfc822\n\nFrom: b@c\nContent-Type: multipart/mixed; boundary=in\n\n--in\n\n--in\n\nz\n--in--\n--x y\nContent-Type: application/pdf\n" +
		"Content-Transfer-Encoding: base64\n\nJVBERi0=\n--x y--\nepilogue\n")
	if got := fixUp(t, testFixUp, mail); got != mail {
		t.Errorf("changed:\n%q\n%q", mail, got)
	}
}

func TestFixUp_AddsWhatIsMissing(t *testing.T) {
	got := fixUp(t, testFixUp, lines("Received: from printer by box; x\nSubject: scan\nBcc: secret@contoso.com\nReturn-Path: <a@b>\n\nbody\n"))
	want := lines("Received: from printer by box; x\nSubject: scan\nMessage-ID: <1.relay@box.example>\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nFrom: <scan@contoso.com>\n\nbody\n")
	if got != want {
		t.Errorf("got\n%s", got)
	}
	for name, c := range map[string]struct{ mail, want string }{
		"date of nonsense":      {"Date: today\nFrom: a@b.c\n\nx", "\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"},
		"id of nonsense":        {"Message-Id: 17\nFrom: a@b.c\n\nx", "Message-ID: <1.relay@box.example>\r\n"},
		"From of nonsense":      {"From: Scanner 3rd floor\n\nx", "From: <scan@contoso.com>\r\nX-Original-From: Scanner 3rd floor\r\n"},
		"mime version":          {"From: a@b.c\nContent-Type: text/html\n\nx", "MIME-Version: 1.0\r\n"},
		"space before colon":    {"From : a@b.c\n\nx", "From: a@b.c\r\n"},
		"line of a mailbox":     {"From scan Mon Nov 22\nFrom: a@b.c\n\nx", "From: a@b.c\r\n"},
		"no empty line":         {"From: a@b.c\nThis is text\nmore\n", "\r\n\r\nThis is text\r\nmore\r\n"},
		"nothing but text":      {"This is text\n", "From: <scan@contoso.com>\r\n\r\nThis is text\r\n"},
		"twice the subject":     {"Subject: a\nsubject: b\nFrom: a@b.c\n\nx", "Subject: a\r\nFrom"},
		"umlaut in the subject": {"Subject: Pr\xfcfung\nFrom: a@b.c\n\nx", "Subject: =?utf-8?B?UHLDvGZ1bmc=?=\r\n"},
		"umlaut in a name":      {"From: M\xc3\xbcller <a@b.c>\n\nx", "From: =?utf-8?B?TcO8bGxlcg==?=\r\n <a@b.c>\r\n"},
		"NUL in a field":        {"Subject: a\x00b\nFrom: a@b.c\n\nx", "Subject: a b\r\n"},
		"8 bit, charset unsaid": {"From: a@b.c\n\nPr\xfcfung \xe2", "Content-Type: text/plain;\r\n charset=windows-1252\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nPr=FCfung =E2"},
		"8 bit in UTF-8":        {"From: a@b.c\nContent-Transfer-Encoding: 8bit\n\nPr\xc3\xbcfung\n", "charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nPr=C3=BCfung\r\n"},
		"file of another name": {"From: a@b.c\nContent-Type: application/pdf; name=\"\xfcber.pdf\"\nContent-Transfer-Encoding: base64\n\nJVBE\n",
			"Content-Type: application/pdf;\r\n name*=utf-8''%C3%BCber.pdf\r\n"},
		"garbage in base64":           {"From: a@b.c\nContent-Transfer-Encoding: base64\n\nJV\x80BE\x00Rg==\n", "\r\n\r\nJVBERg==\r\n"},
		"garbage in quoted-printable": {"From: a@b.c\nContent-Transfer-Encoding: quoted-printable\n\na=3Db\xfc=\nc\n", "\r\n\r\na=3Db=FC=\r\nc\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fixUp(t, testFixUp, lines(c.mail)); !strings.Contains(got, c.want) {
				t.Errorf("%q is not in\n%q", c.want, got)
			}
		})
	}
}

func TestFixUp_LongLines(t *testing.T) {
	long := strings.Repeat("0123456789", 20_000)
	for _, c := range []string{"", "base64", "quoted-printable", "8bit"} {
		mail := lines(fmt.Sprintf("From: a@b.c\nReferences: %s\nContent-Type: text/plain\nContent-Transfer-Encoding: %s\n\n%s\n%s\n", strings.Repeat("<0123456789@b> ", 500), c, long, long))
		got := fixUp(t, testFixUp, mail)
		for line := range strings.SplitSeq(got, "\r\n") {
			if len(line) > maxLine {
				t.Fatalf("coding %q: a line of %d octets: %.60s", c, len(line), line)
			}
		}
		m, err := Parse(strings.NewReader(got), Limits{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := m.PlainText(); c != "base64" && strings.TrimSpace(text) != long+"\n"+long {
			t.Errorf("coding %q: the text is another: %d octets", c, len(text))
		}
		if n := len(m.Header.Get("References")); n < 7000 {
			t.Errorf("References has %d octets", n)
		}
	}
}

// The mailbox that submits stands in From, the device in Reply-To.
func TestFixUp_From(t *testing.T) {
	f := testFixUp
	f.From = "relay@contoso.com"
	for name, c := range map[string]struct{ mail, want string }{
		"address": {"From: scan@contoso.com\nSender: x@y.z\n\nx", "Reply-To: <scan@contoso.com>\r\nFrom: \"scan@contoso.com\"\r\n <relay@contoso.com>\r\n"},
		"name":    {"From: \"Floor 3\" <scan@contoso.com>\nReply-To: it@contoso.com\n\nx", "Reply-To: it@contoso.com\r\nMessage-ID: <1.relay@box.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nFrom: \"Floor 3\"\r\n <relay@contoso.com>\r\n"},
		"none":    {"Subject: x\n\nx", "From: <relay@contoso.com>\r\n"},
		"several": {"From: a@b.c, d@e.f\n\nx", "From: <relay@contoso.com>\r\nX-Original-From: a@b.c, d@e.f\r\n"},
		"itself":  {"From: Relay <RELAY@contoso.com>\n\nx", "From: <relay@contoso.com>\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := fixUp(t, f, lines(c.mail))
			if !strings.Contains(got, c.want) || strings.Contains(got, "Sender:") || strings.Count(got, "Reply-To:") > 1 {
				t.Errorf("%q is not in\n%q", c.want, got)
			}
		})
	}
}

// A part in 8 bits is coded wherever it is, the others stay.
func TestFixUp_PartsWithinParts(t *testing.T) {
	mail := lines("From: a@b.c\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=out\nContent-Transfer-Encoding: 8bit\n\npr\xe9ambule\n--out\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n" +
		"From: \xfc <b@c.d>\nContent-Type: multipart/alternative; boundary=in\n\n--in\nContent-Type: text/html\nContent-Transfer-Encoding: 8BIT\n\n<p>\xfc\n--in\n\nplain\n--in--\n" +
		"--out\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\nJVBE\n--out--\n")
	got := fixUp(t, testFixUp, mail)
	if !isASCII(got) {
		t.Errorf("not in ASCII:\n%q", got)
	}
	wantLines := []string{"<p>=FC\r\n--in\r\n", "--in\r\n\r\nplain\r\n--in--", "--out\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nFrom:", "text/html;\r\n charset=windows-1252", "JVBE\r\n--out--"}
	for _, w := range wantLines {
		if !strings.Contains(got, w) {
			t.Errorf("%q is not in\n%q", w, got)
		}
	}
}

func TestFixUp_Limits(t *testing.T) {
	for name, c := range map[string]struct {
		mail string
		want error
	}{
		"header": {strings.Repeat("X: y\r\n", walkHeader/6+1), ErrHeaderTooLarge},
		"parts":  {"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", walkParts+1), ErrTooManyParts},
		"depth":  {strings.Repeat("Content-Type: message/rfc822\r\n\r\n", walkDepth+1), ErrTooDeep},
		"twice":  {"From: a@b.c\r\nfrom : d@e.f\r\n\r\n", ErrTwice},
	} {
		if _, err := CheckFixUp(strings.NewReader(c.mail)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What was mended is fit for every server, needs no mending any more, and has one sender.
func FuzzFixUp(f *testing.F) {
	f.Add([]byte(lines("From: a@b.c\nContent-Type: multipart/mixed; boundary=b\n\n\xfc\n--b\n\n\xfc\n--b--\n")), true)
	f.Add([]byte("Content-Type: message/rfc822\r\n\r\n--"), false)
	f.Add([]byte("From: \xfc\r\nContent-Transfer-Encoding: base64\r\n\r\n\xfc"), true)
	f.Add([]byte("A: b\r\n \r\n\tc\r\nContent-Disposition: x; filename=\"\x00\"\r\n"), true)
	f.Fuzz(func(t *testing.T, mail []byte, replace bool) {
		if bytes.ContainsAny(bytes.ReplaceAll(mail, []byte("\r\n"), nil), "\r\n") {
			return // the connector sees to that
		}
		if _, err := CheckFixUp(bytes.NewReader(mail)); err != nil {
			return
		}
		fx := testFixUp
		if replace {
			fx.From = "relay@contoso.com"
		}
		got := fixUp(t, fx, string(mail))
		for line := range strings.SplitSeq(got, "\r\n") {
			if len(line) > maxLine || !isASCII(line) || strings.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("a line not fit for every server: %d octets, %q", len(line), line)
			}
		}
		head, err := CheckFixUp(strings.NewReader(got))
		if err != nil {
			t.Fatalf("mended, then %v", err)
		}
		if from, err := head.Addresses("From"); err != nil || len(from) != 1 || replace && from[0].Address != fx.From {
			t.Fatalf("From is %q", head.Get("From"))
		}
		if head.Has("Bcc") || !head.Has("Date") || !head.Has("Message-ID") {
			t.Fatalf("header %q", got)
		}
		if again := fixUp(t, testFixUp, got); again != got {
			t.Fatalf("mended twice is another mail:\n%q\n%q", got, again)
		}
	})
}
