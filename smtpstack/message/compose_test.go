package message

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/mail"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

func outgoing() *Outgoing {
	return &Outgoing{
		ID: "job-42.notice", Domain: "fax.example.com", Date: time.Date(2026, 11, 22, 9, 30, 0, 0, time.FixedZone("", 3600)),
		From:    mail.Address{Name: "Tipring", Address: "fax@example.com"},
		To:      []mail.Address{{Name: "Jäne, \"the\" boss", Address: "jane@example.com"}, {Address: "bob@example.com"}},
		Subject: "Fax received", Text: "Hello,\nthis is a fax.\n",
	}
}

func write(t *testing.T, o *Outgoing) string {
	t.Helper()
	var b bytes.Buffer
	n, err := o.WriteTo(&b)
	if err != nil {
		t.Fatal(err)
	}
	if size, err := o.Size(); err != nil || size != n || int(n) != b.Len() {
		t.Errorf("size %d, written %d, said %d, %v", size, b.Len(), n, err)
	}
	checkWire(t, b.String())
	return b.String()
}

// checkWire: 7-bit, CR LF only, lines of at most 998.
func checkWire(t *testing.T, s string) {
	t.Helper()
	if !isASCII(s) || strings.Contains(s, "\x00") {
		t.Error("not 7-bit clean")
	}
	if bare := strings.ReplaceAll(s, "\r\n", ""); strings.ContainsAny(bare, "\r\n") {
		t.Error("bare CR or LF")
	}
	for line := range strings.SplitSeq(s, "\r\n") {
		if len(line) > 998 {
			t.Errorf("line of %d octets", len(line))
		}
	}
}

func content(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

func TestWriteTo_FaxMail(t *testing.T) {
	o := outgoing()
	o.Generated = true
	o.Fax = &Fax{Pages: 3, Caller: "+49 30 123"}
	o.Text = "Grüße\r\n.\nFrom here\n--=_tipring\n" + strings.Repeat("long ", 400)
	pdf := strings.Repeat("%PDF\x00\xff", 1000)
	o.Attachments = []File{{Name: "fax.pdf", Type: "application/pdf", Open: content(pdf)}, {Name: "Füx \"1\".tif", Type: "image/tiff", Open: content("II*")}}
	wire := write(t, o)
	if again := write(t, o); again != wire {
		t.Error("two writings differ")
	}
	f := &files{}
	m, err := Parse(strings.NewReader(wire), Limits{}, f.open)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Message-ID": "<job-42.notice@fax.example.com>", "Date": "Sun, 22 Nov 2026 09:30:00 +0100", "Content-Class": "fax",
		"X-FaxNumberOfPages": "3", "X-CallingTelephoneNumber": "+49 30 123", "Subject": "Fax received", "Auto-Submitted": "auto-generated",
		"X-Auto-Response-Suppress": "All", "Mime-Version": "1.0",
	} {
		if got := m.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if list, err := m.Header.Addresses("To"); err != nil || len(list) != 2 || list[0].Name != o.To[0].Name || list[1].Address != "bob@example.com" {
		t.Errorf("To %+v, %v", list, err)
	}
	if want := strings.ReplaceAll(o.Text, "\r\n", "\n") + "\n"; m.Body[0].Text != want {
		t.Errorf("text %q", m.Body[0].Text)
	}
	if len(m.Attachments) != 2 || m.Attachments[0].Name != "fax.pdf" || f.content[0].String() != pdf ||
		m.Attachments[1].Name != "Füx 1.tif" || f.content[1].String() != "II*" || m.Attachments[1].Type != "image/tiff" {
		t.Errorf("attachments %+v", m.Attachments)
	}
	if len(m.Notes)+len(m.Skipped) != 0 {
		t.Errorf("notes %q, skipped %+v", m.Notes, m.Skipped)
	}
}

func TestWriteTo_Notice(t *testing.T) {
	o := outgoing()
	o.Auto = true
	o.InReplyTo = "<orig@example.com>"
	m, err := Parse(strings.NewReader(write(t, o)), Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if LoopReason(m.Header) == "" {
		t.Error("our own notice would be answered")
	}
	if m.Header.Get("In-Reply-To") != "<orig@example.com>" || m.Header.Get("X-Auto-Response-Suppress") != "All" || m.Header.Get("Auto-Submitted") != "auto-replied" {
		t.Errorf("header %+v", m.Header)
	}
	if m.Body[0].Text != o.Text {
		t.Errorf("text %q", m.Body[0].Text)
	}
}

// TestWriteTo_NoInjection puts line breaks everywhere: no field may appear that we did not write.
func TestWriteTo_NoInjection(t *testing.T) {
	for _, br := range []string{"\r\n", "\n", "\r", "\u0085", "\u2028", "\x00", "\r\n\r\n"} {
		evil := "x" + br + "Bcc: victim@example.com" + br + br + "--=_tipring"
		o := outgoing()
		o.Subject, o.From.Name, o.To[0].Name = evil, evil, "ü"+evil
		o.InReplyTo = "<a@b" + br + "Bcc: v@e>"
		o.Fax = &Fax{Pages: 1, Caller: evil, CallerName: evil, CallID: evil}
		o.Extra = []Field{{"X-Note", evil}}
		o.Attachments = []File{{Name: evil + ".pdf", Type: "application/pdf" + br + "Bcc: v@e", Open: content("x")}}
		m, err := Parse(strings.NewReader(write(t, o)), Limits{}, (&files{}).open)
		if err != nil {
			t.Fatal(err)
		}
		if m.Header.Has("Bcc") || len(m.Attachments) != 1 || m.Attachments[0].Type != "application/octet-stream" {
			t.Errorf("%q got through: %+v, %+v", br, m.Header, m.Attachments)
		}
		if want := "x Bcc: victim@example.com --=_tipring"; m.Subject != want || m.Header.Text("X-Note") != want || m.Header.Text("X-CallID") != want ||
			m.Header.Text("X-VoiceMessageSenderName") != want || m.Header.Text("X-CallingTelephoneNumber") != want {
			t.Errorf("%q: subject %q", br, m.Subject)
		}
	}
}

func TestWriteTo_Refuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Outgoing)
		want   error
	}{
		{"no recipient", func(o *Outgoing) { o.To = nil }, ErrAddress},
		{"no sender", func(o *Outgoing) { o.From.Address = "" }, ErrAddress},
		{"line break in address", func(o *Outgoing) { o.To[0].Address = "a@b\r\nBcc: c@d" }, ErrAddress},
		{"line break in local part", func(o *Outgoing) { o.To[0].Address = "\"a\r\nBcc: c\"@d" }, ErrAddress},
		{"beyond ASCII", func(o *Outgoing) { o.To[0].Address = "jäne@example.com" }, ErrAddress},
		{"bad ID", func(o *Outgoing) { o.ID = "a>b" }, ErrField},
		{"line break in ID", func(o *Outgoing) { o.ID = "a\r\nb" }, ErrField},
		{"empty domain", func(o *Outgoing) { o.Domain = "" }, ErrField},
		{"bad field", func(o *Outgoing) { o.Extra = []Field{{"X: y\r\nBcc", "v"}} }, ErrField},
		{"file", func(o *Outgoing) {
			o.Attachments = []File{{Name: "x", Open: func() (io.ReadCloser, error) { return nil, errDisk }}}
		}, errDisk},
		{"reading", func(o *Outgoing) {
			o.Attachments = []File{{Name: "x", Open: func() (io.ReadCloser, error) { return io.NopCloser(errReader{}), nil }}}
		}, errDisk},
	}
	for _, tt := range tests {
		o := outgoing()
		tt.change(o)
		if _, err := o.WriteTo(io.Discard); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := outgoing().WriteTo(brokenWriter{}); !errors.Is(err, errDisk) {
		t.Errorf("writer's error: %v", err)
	}
}

func TestWriteTo_InternationalDomain(t *testing.T) {
	o := outgoing()
	o.To[0].Address = `"odd name"@bücher.example`
	m, err := Parse(strings.NewReader(write(t, o)), Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := m.Header.Addresses("To"); err != nil || list[0].Address != "odd name@xn--bcher-kva.example" {
		t.Errorf("%+v, %v", list, err)
	}
}

// zeros is an endless picture.
type zeros struct{ left int64 }

func (z *zeros) Read(b []byte) (int, error) {
	if z.left <= 0 {
		return 0, io.EOF
	}
	n := min(int64(len(b)), z.left)
	z.left -= n
	return int(n), nil
}

func TestWriteTo_LargeSmallMemory(t *testing.T) {
	o := outgoing()
	o.Attachments = []File{{Name: "big.tif", Type: "image/tiff", Open: func() (io.ReadCloser, error) { return io.NopCloser(&zeros{150 << 20}), nil }}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := o.Size()
	runtime.ReadMemStats(&after)
	if err != nil || n < 200<<20 {
		t.Fatalf("%d, %v", n, err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d octets were allocated for a stream", grown)
	}
}

// TestPeer_Python reads our mail with the email package of Python.
func TestPeer_Python(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatal("python3 is not installed")
		}
		t.Skip("python3 is not installed")
	}
	o := outgoing()
	o.Subject = "Fäx " + strings.Repeat("von gegenüber ", 20)
	o.Text = "Grüße = schön\n"
	o.Fax = &Fax{Pages: 2}
	o.Attachments = []File{{Name: strings.Repeat("ü", 60) + ".pdf", Type: "application/pdf", Open: content(strings.Repeat("\x00\xfe", 5000))}}
	cmd := exec.Command(python, "-c", `
import sys, email, email.policy
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
parts = [m] + list(m.walk())
assert not any(p.defects for p in parts), [p.defects for p in parts]
a = next(m.iter_attachments())
print("|".join([m["Subject"], m["To"].addresses[0].display_name, m.get_body().get_content().strip(), a.get_filename(),
  a.get_content_type(), str(a.get_content() == b"\x00\xfe"*5000), m["Content-Class"], str(m["Date"].datetime)]))
`)
	cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8")
	cmd.Stdin = strings.NewReader(write(t, o))
	out, err := cmd.CombinedOutput()
	want := strings.Join([]string{strings.TrimSpace(o.Subject), o.To[0].Name, "Grüße = schön", o.Attachments[0].Name,
		"application/pdf", "True", "fax", "2026-11-22 09:30:00+01:00"}, "|")
	if err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("%v: got  %s\nwant %s", err, out, want)
	}
}

func FuzzWriteTo(f *testing.F) {
	f.Add("Subject", "Name", "a@b.example", "Text", "file.pdf", "application/pdf")
	f.Add("ü\r\nBcc: x", "\"\\", "\"a b\"@c", "=\n.\n--=_tipring", "ü/\r\n\".tif", "x/y; z=\"")
	f.Fuzz(func(t *testing.T, subject, name, addr, text, file, ctype string) {
		if len(subject)+len(name)+len(text)+len(file) > 10000 {
			return
		}
		o := outgoing()
		o.Subject, o.Text, o.To = subject, text, []mail.Address{{Name: name, Address: addr}}
		o.Attachments = []File{{Name: file, Type: ctype, Open: content("x")}}
		var b bytes.Buffer
		if _, err := o.WriteTo(&b); err != nil {
			if !errors.Is(err, ErrAddress) {
				t.Fatal(err)
			}
			return
		}
		checkWire(t, b.String())
		m, err := Parse(&b, Limits{}, (&files{}).open)
		if err != nil || len(m.Attachments) != 1 || m.Attachments[0].Size != 1 || len(m.Notes) != 0 {
			t.Fatalf("%v, %+v", err, m)
		}
		known := map[string]bool{"Date": true, "Message-Id": true, "From": true, "To": true, "Subject": true, "Mime-Version": true, "Content-Type": true}
		for fs := m.Header.h.Fields(); fs.Next(); {
			if !known[fs.Key()] {
				t.Errorf("field %q", fs.Key())
			}
		}
		if to, err := m.Header.Addresses("To"); err != nil || len(to) != 1 {
			t.Errorf("To %q: %v", m.Header.Get("To"), err)
		}
		if _, _, err := mime.ParseMediaType(m.Attachments[0].Type); err != nil {
			t.Errorf("type %q", m.Attachments[0].Type)
		}
	})
}

// A Message-ID with control characters, which a terminal would obey, is not answered to.
func TestWriteTo_ControlCharactersInMessageID(t *testing.T) {
	for _, id := range []string{"<a\x1b[2J@example.com>", "<a\x07@example.com>", "<a\x7f@example.com>", "<a\x00@example.com>"} {
		o := outgoing()
		o.InReplyTo = id
		if text := write(t, o); strings.Contains(text, "In-Reply-To") || strings.ContainsAny(text, "\x00\x07\x1b\x7f") {
			t.Errorf("%q: %q", id, text)
		}
	}
}
