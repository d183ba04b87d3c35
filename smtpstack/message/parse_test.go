package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// files is an OpenFunc that keeps contents in memory, by attachment order.
type files struct{ content []*bytes.Buffer }

func (f *files) open(p *Part) (io.WriteCloser, error) {
	b := new(bytes.Buffer)
	f.content = append(f.content, b)
	p.Path = fmt.Sprintf("file-%d", len(f.content)-1)
	return nopCloser{b}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func parse(t *testing.T, mail string) (*Message, *files) {
	t.Helper()
	f := &files{}
	m, err := Parse(strings.NewReader(crlf(mail)), Limits{}, f.open)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return m, f
}

func TestParse_Plain(t *testing.T) {
	m, _ := parse(t, "From: =?utf-8?q?J=C3=A4ne?= <jane@example.com>\nTo: 1@fax\nSubject: =?iso-8859-1?q?Gr=FC=DFe?=\n and\tmore\n"+
		"Message-ID: <abc@example.com>\nDate: Mon, 02 Nov 2026 10:00:00 +0100\nContent-Type: text/plain; charset=iso-8859-1\n"+
		"Content-Transfer-Encoding: quoted-printable\n\nSch=F6ne=20Gr=FC=DFe=\n!\n")
	if m.From == nil || m.From.Address != "jane@example.com" || m.From.Name != "Jäne" {
		t.Errorf("From %+v", m.From)
	}
	if m.Subject != "Grüße and more" || m.MessageID != "<abc@example.com>" || m.Date.Unix() != 1793610000 {
		t.Errorf("subject %q, id %q, date %v", m.Subject, m.MessageID, m.Date)
	}
	if want := []Text{{Text: "Schöne Grüße!\n"}}; !reflect.DeepEqual(m.Body, want) {
		t.Errorf("body %+v", m.Body)
	}
}

const mixed = `From: a@b.example
Subject: order
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/related; boundary=rel

--rel
Content-Type: multipart/alternative; boundary=alt

--alt
Content-Type: text/plain; charset=utf-8

Plain words.
--alt
Content-Type: text/html; charset=windows-1252
Content-Transfer-Encoding: base64

PGI+8jwvYj48aW1nIHNyYz0iY2lkOmxvZ28lNDBYIj4=
--alt
Content-Type: text/calendar

BEGIN:VCALENDAR
--alt--
--rel
Content-Type: image/png
Content-ID: <logo@x>
Content-Disposition: inline; filename=logo.png
Content-Transfer-Encoding: base64

iVBORw0K
--rel--
--outer
Content-Type: application/pdf; name="=?utf-8?q?Auftrag_=C3=A4.pdf?="
Content-Disposition: attachment; filename*=utf-8''Auftrag%20%C3%A4.pdf
Content-Transfer-Encoding: base64

JVBERi0xLjQ
--outer
Content-Type: image/tiff
Content-Disposition: inline; filename="..\..\scan/../evil.tif"

II*
--outer
Content-Type: application/ms-tnef; name=winmail.dat
Content-Transfer-Encoding: base64

eJ8+Ig==
--outer
Content-Type: application/pkcs7-signature; name=smime.p7s

x
--outer
Content-Type: application/x-unheard-of

who knows
--outer
Content-Type: text/plain

A footer.
--outer--
epilogue
`

func TestParse_Mixed(t *testing.T) {
	m, f := parse(t, mixed)
	if text, all := m.PlainText(); text != "Plain words.\nA footer." || !all {
		t.Errorf("text %q, %v", text, all)
	}
	type att struct {
		name, typ, content, unsupported string
		inline                          bool
	}
	want := []att{
		{"logo.png", "image/png", "\x89PNG\r\n", "", true},
		{"Auftrag ä.pdf", "application/pdf", "%PDF-1.4", "", false},
		{"evil.tif", "image/tiff", "II*", "", false},
		{"winmail.dat", "application/ms-tnef", "", "Outlook's own format (winmail.dat), damaged", false},
		{"part-9", "application/x-unheard-of", "who knows", "", false},
	}
	for i, a := range m.Attachments {
		got := att{a.Name, a.Type, f.content[i].String(), a.Unsupported, a.Inline}
		if i >= len(want) || got != want[i] {
			t.Errorf("attachment %d: %+v", i, got)
		}
		if a.Size != int64(f.content[i].Len()) || a.Damaged != (a.Name == "winmail.dat") || a.Path == "" {
			t.Errorf("attachment %d: %+v", i, a)
		}
	}
	if len(m.Attachments) != len(want) {
		t.Errorf("%d attachments, want %d", len(m.Attachments), len(want))
	}
	if len(m.Skipped) != 2 || m.Skipped[0].Type != "text/calendar" || m.Skipped[1].Unsupported != "signature" {
		t.Errorf("skipped %+v", m.Skipped)
	}
	if len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "winmail.dat") {
		t.Errorf("notes %q", m.Notes)
	}
	if got := m.Omitted(); len(got) != 1 || got[0] != "part-3.ics: appointment (iCalendar)" {
		t.Errorf("omitted %q", got)
	}
}

func TestParse_Alternatives(t *testing.T) {
	alt := func(parts ...string) string {
		return "From: a@b\nContent-Type: multipart/alternative; boundary=x\n\n--x\n" + strings.Join(parts, "\n--x\n") + "\n--x--\n"
	}
	plain, html, blank := "Content-Type: text/plain\n\nwords", "Content-Type: text/html\n\n<p>words", "Content-Type: text/plain\n\n \n"
	tests := []struct {
		name, mail string
		want       []Text
	}{
		{"both", alt(plain, html), []Text{{Text: "words"}}},
		{"both, turned", alt(html, plain), []Text{{Text: "words"}}},
		{"only HTML", alt(html), []Text{{HTML: true, Text: "<p>words"}}},
		{"blank plain", alt(blank, html), []Text{{HTML: true, Text: "<p>words"}}},
		{"two HTML", alt(html, "Content-Type: text/html\n\n<p>richer"), []Text{{HTML: true, Text: "<p>richer"}}},
	}
	for _, tt := range tests {
		m, _ := parse(t, tt.mail)
		if !reflect.DeepEqual(m.Body, tt.want) {
			t.Errorf("%s: %+v", tt.name, m.Body)
		}
	}
	m, _ := parse(t, alt(html))
	if text, all := m.PlainText(); text != "" || all {
		t.Errorf("HTML only: text %q, all %v", text, all)
	}
}

func TestParse_InlineOrDocument(t *testing.T) {
	const picture = "Content-Type: image/jpeg; name=a.jpg\nContent-ID: <A@x>\n"
	mail := func(kind, html, head string) string {
		return "From: a@b\nContent-Type: multipart/" + kind + "; boundary=x\n\n--x\nContent-Type: text/html\n\n" + html + "\n--x\n" + picture + head + "\nJ\n--x--\n"
	}
	for _, tt := range []struct {
		name, mail string
		inline     bool
	}{
		{"shown", mail("related", `<img src="cid:a@x">`, ""), true},
		{"shown, escaped", mail("related", `<img src='CID:A%40x'>`, ""), true},
		{"shown by a style", mail("related", `<p style="background:url(cid:A@x)">`, ""), true},
		{"shown, in mixed", mail("mixed", `<img src=cid:A@x>`, ""), true},
		{"shown, called an attachment", mail("mixed", `<img src=cid:A@x>`, "Content-Disposition: attachment\n"), true},
		{"not shown", mail("related", `<p>see the photo</p>`, ""), false},
		{"another is shown", mail("related", `<img src="cid:b@x">`, ""), false},
		{"not shown, in mixed", mail("mixed", `<p>`, "Content-Disposition: inline\n"), false},
	} {
		m, _ := parse(t, tt.mail)
		if len(m.Attachments) != 1 || m.Attachments[0].Inline != tt.inline {
			t.Errorf("%s: %+v", tt.name, m.Attachments)
		}
	}
	long := mail("related", strings.Repeat("<p>words", 100)+`<img src="cid:a@x">`, "")
	m, err := Parse(strings.NewReader(crlf(long)), Limits{TextBytes: 300}, (&files{}).open)
	if err != nil || !m.Attachments[0].Inline {
		t.Errorf("the HTML was cut before it: %+v, %v", m.Attachments, err)
	}
}

func TestParse_Forwarded(t *testing.T) {
	m, f := parse(t, "From: a@b\nSubject: Fwd\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nsee below\n--x\n"+
		"Content-Type: message/rfc822\n\nFrom: Boss <boss@example.com>\nSubject: =?utf-8?q?=C3=84?=\nContent-Type: multipart/mixed; boundary=y\n\n"+
		"--y\n\ninner words\n--y\nContent-Type: application/pdf\n\n%PDF\n--y--\n--x--\n")
	text, _ := m.PlainText()
	for _, want := range []string{"see below", "From: Boss <boss@example.com>", "Subject: Ä", "inner words"} {
		if !strings.Contains(text, want) {
			t.Errorf("text lacks %q: %q", want, text)
		}
	}
	if m.Subject != "Fwd" || m.Body[2].Forwarded != 1 || len(m.Attachments) != 1 || f.content[0].String() != "%PDF" {
		t.Errorf("%+v", m)
	}
}

func TestParse_Charsets(t *testing.T) {
	tests := []struct{ charset, in, want string }{
		{"utf-8", "\xc3\xa9", "é"}, {"", "\xc3\xa9", "é"}, {"us-ascii", "\xe9", "é"}, {"utf-8", "\xe9t\xe9", "été"},
		{"iso-8859-15", "\xa4", "€"}, {"windows-1251", "\xcf\xf0", "Пр"}, {"koi8-r", "\xf0", "П"},
		{"gb18030", "\xc4\xe3\xba\xc3", "你好"}, {"shift_jis", "\x82\xa0", "あ"}, {"iso-2022-jp", "\x1b$B$\"\x1b(B", "あ"},
		{"euc-kr", "\xb0\xa1", "가"}, {"big5", "\xa7\x41", "你"}, {"utf-16le", "h\x00i\x00", "hi"}, {"x-nobody", "\xe9", "é"},
		{"x-nobody", "\xc3\xa9", "é"}, {"utf-16", "\xff\xfeh\x00i\x00", "hi"}, {"utf-16", "\x00h\x00i", "hi"}, {"", "\xff\xfeh\x00i\x00", "hi"},
		{"iso-8859-1", "\x93hi\x94 \x80", "“hi” €"}, {"iso-8859-1", "\xef\xbb\xbf\xc3\xa9", "é"}, {"utf-8", "\xef\xbb\xbfx", "x"},
		{"utf-7", "Hi +AOk- +2D3eAA- 1+-1", "Hi é 😀 1+1"}, {"utf-7", "+2D0-x", "\uFFFDx"}, {"cp437", "\x82", "é"}, {"ibm850", "\x82", "é"},
		{"hz-gb-2312", "~{VP~}", "中"}, {"cp1252", "\x80", "€"}, {"macintosh", "\x8e", "é"}, {"\"windows-1252\"", "\x80", "€"}, {"gb2312", "\xc4\xe3", "你"},
		{"iso-8859-8-i", "\xe0", "א"}, {"windows-31j", "\x82\xa0", "あ"}, {"x-mac-cyrillic", "\x80", "А"}, {"utf-16be", "\x00h\x00i", "hi"},
	}
	for _, tt := range tests {
		ct := "Content-Type: text/plain"
		if tt.charset != "" {
			ct += "; charset=" + tt.charset
		}
		m, _ := parse(t, "From: a@b\n"+ct+"\nContent-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString([]byte(tt.in)))
		if got := m.Body[0].Text; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.charset, got, tt.want)
		}
		if noted := len(m.Notes) > 0; noted != (tt.charset == "x-nobody") {
			t.Errorf("%s: notes %q", tt.charset, m.Notes)
		}
	}
}

func TestParse_Damaged(t *testing.T) {
	part := func(head, body string) string {
		return "From: a@b\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: application/pdf\n" + head + "\n" + body
	}
	b64 := "Content-Transfer-Encoding: base64\n"
	tests := []struct {
		name, mail, want string
		damaged          bool
	}{
		{"no end", part(b64, "JVBERi0xLjQ="), "%PDF-1.4", true},
		{"no end inside a quantum", part(b64, "JVBERi0xLjQ"), "%PDF-1", true},
		{"padding missing", part(b64, "JVBERi0xLjQ\n--x--\n"), "%PDF-1.4", false},
		{"one character too many", part(b64, "JVBERi0xLjQ9A\n--x--\n"), "%PDF-1.4=", true},
		{"spaces and junk", part(b64, "JVBE\t Ri0x!\nLjQ=\n--x--\n"), "%PDF-1.4", false},
		{"data after the padding", part(b64, "JVBERi0xLjQ=\n\nThis mail was scanned\n--x--\n"), "%PDF-1.4", true},
		{"unknown coding", part("Content-Transfer-Encoding: x-uuencode\n", "begin\n--x--\n"), "begin", false},
	}
	for _, tt := range tests {
		m, f := parse(t, tt.mail)
		if len(m.Attachments) != 1 {
			t.Errorf("%s: %d attachments, notes %q", tt.name, len(m.Attachments), m.Notes)
			continue
		}
		if got := f.content[0].String(); got != tt.want || m.Attachments[0].Damaged != tt.damaged {
			t.Errorf("%s: %q, damaged %v", tt.name, got, m.Attachments[0].Damaged)
		}
		if (tt.damaged || tt.name == "unknown coding") != (len(m.Notes) > 0) {
			t.Errorf("%s: notes %q", tt.name, m.Notes)
		}
	}
}

func TestParse_Limits(t *testing.T) {
	many := "From: a@b\nContent-Type: multipart/mixed; boundary=x\n\n" + strings.Repeat("--x\n\nhi\n", 11) + "--x--\n"
	deep := "From: a@b\n"
	for i := range 12 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	deepMessage := "From: a@b\n" + strings.Repeat("Content-Type: message/rfc822\n\n", 12)
	longHeader := "From: a@b\nX: " + strings.Repeat("x", 20000) + "\n\nhi"
	longPart := "From: a@b\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nhi\n--x\nX: " + strings.Repeat("x", 20000) + "\n\nhi\n--x--\n"
	longInner := "From: a@b\nContent-Type: message/rfc822\n\nX: " + strings.Repeat("x", 20000) + "\n\nhi"
	tests := []struct {
		name, mail string
		limits     Limits
		want       error
	}{
		{"many parts", many, Limits{Parts: 10}, ErrTooManyParts},
		{"many empty wrappings", "From: a@b\nContent-Type: multipart/mixed; boundary=x\n\n" + strings.Repeat("--x\nContent-Type: multipart/mixed; boundary=y\n\n--y--\n", 60) + "--x--\n", Limits{Parts: 10}, ErrTooManyParts},
		{"just enough parts", many, Limits{Parts: 11}, nil},
		{"deep", deep, Limits{Depth: 10}, ErrTooDeep},
		{"deep messages", deepMessage, Limits{Depth: 10}, ErrTooDeep},
		{"long header", longHeader, Limits{HeaderBytes: 10000}, ErrHeaderTooLarge},
		{"long part header", longPart, Limits{HeaderBytes: 10000}, ErrHeaderTooLarge},
		{"long inner header", longInner, Limits{HeaderBytes: 10000}, ErrHeaderTooLarge},
		{"header within", longPart, Limits{HeaderBytes: 30000}, nil},
		{"bytes", "From: a@b\n\n0123456789", Limits{Bytes: 22}, ErrTooLarge},
		{"bytes exactly", "From: a@b\n\n0123456789", Limits{Bytes: 23}, nil},
		{"bytes in an attachment", "From: a@b\nContent-Type: application/pdf\n\n" + strings.Repeat("x", 5000), Limits{Bytes: 4000}, ErrTooLarge},
		{"bytes in a multipart", many, Limits{Bytes: 90}, ErrTooLarge},
		{"empty", "", Limits{}, ErrMalformed},
		{"no header", "\nhello\n", Limits{}, ErrMalformed},
		{"not a mail", "hello\nworld\n", Limits{}, ErrMalformed},
	}
	for _, tt := range tests {
		m, err := Parse(strings.NewReader(crlf(tt.mail)), tt.limits, (&files{}).open)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || m == nil {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestParse_TextIsCut(t *testing.T) {
	m, err := Parse(strings.NewReader("From: a@b\r\n\r\n"+strings.Repeat("ä", 100)), Limits{TextBytes: 101}, nil)
	if err != nil || m.Body[0].Text != strings.Repeat("ä", 50) || len(m.Notes) != 1 {
		t.Errorf("%v, %d octets, notes %q", err, len(m.Body[0].Text), m.Notes)
	}
}

type brokenWriter struct{ onClose bool }

var errDisk = errors.New("disk full")

func (b brokenWriter) Write(p []byte) (int, error) {
	if b.onClose {
		return len(p), nil
	}
	return 0, errDisk
}

func (b brokenWriter) Close() error {
	if b.onClose {
		return errDisk
	}
	return nil
}

func TestParse_ErrorsOfTheCaller(t *testing.T) {
	mail := crlf(mixed)
	for _, open := range []OpenFunc{
		func(*Part) (io.WriteCloser, error) { return nil, errDisk },
		func(*Part) (io.WriteCloser, error) { return brokenWriter{}, nil },
		func(*Part) (io.WriteCloser, error) { return brokenWriter{onClose: true}, nil },
	} {
		if _, err := Parse(strings.NewReader(mail), Limits{}, open); !errors.Is(err, errDisk) {
			t.Errorf("error %v", err)
		}
	}
	for _, cut := range []int{10, 100, 400, len(mail) - 5} {
		r := io.MultiReader(strings.NewReader(mail[:cut]), errReader{})
		if _, err := Parse(r, Limits{}, nil); !errors.Is(err, errDisk) {
			t.Errorf("read error at %d: %v", cut, err)
		}
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errDisk }

func TestLoopReason(t *testing.T) {
	tests := []struct {
		header string
		loop   bool
	}{
		{"Subject: hi", false}, {"Auto-Submitted: no", false}, {"Auto-Submitted: No; x=y", false},
		{"Auto-Submitted: auto-replied", true}, {"Auto-Submitted: auto-generated (rule)", true},
		{"Return-Path: <>", true}, {"Return-Path: <a@b>", false},
		{"Content-Type: multipart/report; boundary=x", true}, {"Content-Type: multipart/mixed; boundary=x", false},
		{"List-Id: <x>", true}, {"list-unsubscribe: <x>", true}, {"List-Price: 7", false},
		{strings.TrimSuffix(strings.Repeat("Received: x\n", 19), "\n"), false},
		{strings.TrimSuffix(strings.Repeat("Received: x\n", 20), "\n"), true},
	}
	for _, tt := range tests {
		m, _ := parse(t, "From: a@b\n"+tt.header+"\n\n--x--\n")
		if reason := LoopReason(m.Header); (reason != "") != tt.loop {
			t.Errorf("%.60q: %q", tt.header, reason)
		}
	}
}

// stream makes a mail of about size octets without holding it.
func stream(size int) io.Reader {
	line := strings.Repeat("QUJD", 19) + "\r\n"
	head := "From: a@b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhello\r\n--x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	return io.MultiReader(strings.NewReader(head), &repeater{line: line, left: size / len(line)}, strings.NewReader("\r\n--x--\r\n"))
}

type repeater struct {
	line      string
	left, pos int
}

func (r *repeater) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) && r.left > 0 {
		c := copy(b[n:], r.line[r.pos:])
		n += c
		if r.pos += c; r.pos == len(r.line) {
			r.pos = 0
			r.left--
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

type counter struct{ n int64 }

func (c *counter) Write(b []byte) (int, error) { c.n += int64(len(b)); return len(b), nil }
func (c *counter) Close() error                { return nil }

func TestParse_LargeSmallMemory(t *testing.T) {
	const size = 48 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := &counter{}
	m, err := Parse(stream(size), Limits{}, func(*Part) (io.WriteCloser, error) { return c, nil })
	runtime.ReadMemStats(&after)
	if err != nil || len(m.Attachments) != 1 || m.Attachments[0].Damaged {
		t.Fatalf("%v, %+v", err, m)
	}
	if want := int64(size / 78 * 57); c.n != want || m.Attachments[0].Size != want {
		t.Errorf("%d octets, want %d", c.n, want)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d octets were allocated for a stream", grown)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(crlf(mixed)))
	f.Add([]byte("From: a@b\nContent-Type: message/rfc822\n\nSubject: =?x?q?=?=\n\n\n"))
	f.Add([]byte("A: b\r\nContent-Type: multipart/alternative; boundary=\"=\"\r\n\r\n--=\r\nContent-Type: text/html; charset=utf-7\r\nContent-Disposition: attachment; filename*0*=utf-8''%00; filename*1=x\r\n\r\n+AGE-\r\n--=--"))
	f.Add([]byte(crlf(outlookMail("x", winmailFile("b", [2]string{"a", "c"})))))
	f.Add([]byte(crlf(opaqueMail("", signedData(indefinite(0x24, ber(4, "A: b\r\n\r\nx")))))))
	f.Add([]byte("From: a@b\nContent-Type: text/plain; charset=utf-7\n\n+2D3eAA-+1\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		limits := Limits{Bytes: 1 << 20, HeaderBytes: 4096, TextBytes: 1000, Parts: 20, Depth: 5}
		m, err := Parse(bytes.NewReader(in), limits, (&files{}).open)
		if m == nil {
			t.Fatalf("nil message, %v", err)
		}
		if strings.ContainsAny(m.Subject, "\r\n") {
			t.Errorf("subject %q", m.Subject)
		}
		for _, p := range append(m.Attachments, m.Skipped...) {
			if p.Name == "" || p.Name == ".." || strings.ContainsAny(p.Name, "/\\\x00\r\n") || len(p.Name) > 200 {
				t.Errorf("name %q", p.Name)
			}
		}
		total := 0
		for _, b := range m.Body {
			total += len(b.Text)
		}
		if total > 4000 {
			t.Errorf("%d octets of text at a limit of 1000", total)
		}
		LoopReason(m.Header)
	})
}
