package message

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf16"
)

// winmailFile makes a TNEF stream with a body and files, as [MS-OXTNEF] describes it; smtpstack/tnef has the tests of
// the format itself.
func winmailFile(body string, files ...[2]string) string {
	var b bytes.Buffer
	put := func(v any) { binary.Write(&b, binary.LittleEndian, v) }
	attr := func(level byte, id uint32, data []byte) {
		put(level)
		put(id)
		put(uint32(len(data)))
		b.Write(data)
		var sum uint16
		for _, c := range data {
			sum += uint16(c)
		}
		put(sum)
	}
	put(uint32(0x223E9F78))
	put(uint16(1))
	attr(1, 0x00078008, []byte("IPM.Schedule.Meeting.Request\x00"))
	if body != "" {
		attr(1, 0x0002800C, []byte(body+"\x00"))
	}
	for _, f := range files {
		attr(2, 0x00069002, make([]byte, 14))
		attr(2, 0x00018010, []byte("SHORT~1.BIN\x00"))
		attr(2, 0x0006800F, []byte(f[1]))
		var p bytes.Buffer
		name := append(utf16.Encode([]rune(f[0])), 0)
		binary.Write(&p, binary.LittleEndian, []uint32{1, 0x3707001F, 1, uint32(2 * len(name))})
		binary.Write(&p, binary.LittleEndian, name)
		for p.Len()%4 != 0 {
			p.WriteByte(0)
		}
		attr(2, 0x00069005, p.Bytes())
	}
	return b.String()
}

func outlookMail(text, winmail string) string {
	return "From: a@b\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\n" + text + "\n--x\nContent-Type: application/ms-tnef; name=winmail.dat\n" +
		"Content-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(winmail)) + "\n--x--\n"
}

func TestParse_Winmail(t *testing.T) {
	dat := winmailFile("from Outlook", [2]string{"Größe.pdf", "%PDF-1.4"}, [2]string{"../evil/scan.TIFF", "II*"})
	m, f := parse(t, outlookMail("the words", dat))
	if text, all := m.PlainText(); text != "the words" || !all {
		t.Errorf("text %q", text)
	}
	want := []struct{ name, typ, content string }{{"Größe.pdf", "application/pdf", "%PDF-1.4"}, {"scan.TIFF", "image/tiff", "II*"}}
	if len(m.Attachments) != 2 {
		t.Fatalf("%+v", m.Attachments)
	}
	for i, w := range want {
		if a := m.Attachments[i]; a.Name != w.name || a.Type != w.typ || f.content[i].String() != w.content || a.Damaged || a.Unsupported != "" || a.Path != fmt.Sprint("file-", i) {
			t.Errorf("%+v, %q", a, f.content[i])
		}
	}
	if m.Attachments[0].Index == m.Attachments[1].Index || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "meeting") {
		t.Errorf("%+v, notes %q", m.Attachments, m.Notes)
	}
	m, _ = parse(t, outlookMail(" ", dat))
	if text, _ := m.PlainText(); strings.TrimSpace(text) != "from Outlook" {
		t.Errorf("the only words: %q", text)
	}
	alone := "From: a@b\nContent-Type: application/octet-stream; name=WINMAIL.DAT\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(dat))
	if m, _ = parse(t, alone); len(m.Body) != 1 || m.Body[0].Text != "from Outlook" || len(m.Attachments) != 2 {
		t.Errorf("alone: %+v", m)
	}
}

// TestParse_WinmailDamaged: what came out is there, and that something is missing is said.
func TestParse_WinmailDamaged(t *testing.T) {
	dat := winmailFile("", [2]string{"a.pdf", "%PDF"}, [2]string{"b.pdf", strings.Repeat("%PDF", 100)})
	m, _ := parse(t, outlookMail("hi", dat[:len(dat)-300]))
	names := ""
	for _, a := range m.Attachments {
		names += fmt.Sprintf("%s %v %v, ", a.Name, a.Damaged, a.Unsupported != "")
	}
	if want := "winmail.dat true true, a.pdf false false, SHORT~1.BIN true false, "; names != want || len(m.Notes) == 0 {
		t.Errorf("%q, want %q, notes %q", names, want, m.Notes)
	}
}

func TestParse_WinmailErrors(t *testing.T) {
	mail := crlf(outlookMail("hi", winmailFile("", [2]string{"a.pdf", strings.Repeat("x", 9000)})))
	for _, open := range []OpenFunc{
		func(*Part) (io.WriteCloser, error) { return nil, errDisk },
		func(*Part) (io.WriteCloser, error) { return brokenWriter{}, nil },
		func(*Part) (io.WriteCloser, error) { return brokenWriter{onClose: true}, nil },
	} {
		if _, err := Parse(strings.NewReader(mail), Limits{}, open); !errors.Is(err, errDisk) {
			t.Errorf("%v", err)
		}
	}
	if _, err := Parse(strings.NewReader(mail), Limits{Bytes: 5000}, (&files{}).open); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := Parse(io.MultiReader(strings.NewReader(mail[:6000]), errReader{}), Limits{}, (&files{}).open); !errors.Is(err, errDisk) {
		t.Errorf("reader's error: %v", err)
	}
	var many [][2]string
	for range 30 {
		many = append(many, [2]string{"x.pdf", "x"})
	}
	if _, err := Parse(strings.NewReader(crlf(outlookMail("hi", winmailFile("", many...)))), Limits{Parts: 20}, (&files{}).open); !errors.Is(err, ErrTooManyParts) {
		t.Errorf("too many: %v", err)
	}
}

func TestParse_FaxImage(t *testing.T) {
	tiff := func(ct string) string {
		return "Content-Type: " + ct + "\nContent-Transfer-Encoding: base64\n\nSUkqAA==\n"
	}
	both := func(a, b string) string {
		return "Content-Type: multipart/mixed; boundary=x\n\n--x\n" + a + "\n--x\n" + b + "\n--x--\n"
	}
	tests := []struct{ name, mail, profile string }{
		{"RFC 3965", tiff("image/tiff; application=faxbw"), "faxbw"},
		{"with blank text", both("\n \n", tiff("IMAGE/TIFF; Application=FaxBW; name=a.tif")), "faxbw"},
		{"colour", tiff("image/tiff; application=faxcolor"), "faxcolor"},
		{"TIFF-FX", tiff("image/tiff-fx"), "tiff-fx"},
		{"with words", both("\nwords\n", tiff("image/tiff; application=faxbw")), ""},
		{"two", both(tiff("image/tiff; application=faxbw"), tiff("image/tiff; application=faxbw")), ""},
		{"any TIFF", tiff("image/tiff"), ""},
		{"other use", tiff("image/tiff; application=photo"), ""},
		{"no TIFF", tiff("application/pdf; application=faxbw"), ""},
	}
	for _, tt := range tests {
		m, _ := parse(t, "From: a@b\n"+tt.mail)
		p, ok := m.FaxImage()
		if ok != (tt.profile != "") || p.FaxProfile != tt.profile || ok && (p.Type != "image/tiff" || p.Size != 4) {
			t.Errorf("%s: %+v, %v", tt.name, p, ok)
		}
	}
}

func TestHeader_RawOctets(t *testing.T) {
	m, _ := parse(t, "From: \xe4 <a@b>\nSubject: Gr\xfc\xdfe =?x-nobody?q?=E9?= =?utf-7?q?+AOk-?=\n\nhi")
	if m.From == nil || m.From.Name != "ä" || m.From.Address != "a@b" {
		t.Errorf("From %+v", m.From)
	}
	if m.Subject != "Grüße éé" {
		t.Errorf("subject %q", m.Subject)
	}
	m, _ = parse(t, "From: a@b\nSubject: Grüße =?gb2312?b?xOM=?=\n\nhi")
	if m.Subject != "Grüße 你" {
		t.Errorf("subject %q", m.Subject)
	}
}

func TestParse_HTMLCharsetOfItsOwn(t *testing.T) {
	m, _ := parse(t, "From: a@b\nContent-Type: text/html\nContent-Transfer-Encoding: 8bit\n\n<meta charset=windows-1251><p>\xcf\xf0")
	if !strings.Contains(m.Body[0].Text, "Пр") {
		t.Errorf("%q", m.Body[0].Text)
	}
	m, f := parse(t, "From: a@b\nContent-Type: text/csv; charset=utf-8\nContent-Disposition: attachment; filename=a.csv\n\n\xe9t\xe9")
	if f.content[0].String() != "été" || m.Attachments[0].Charset != "utf-8" {
		t.Errorf("mislabelled file: %q", f.content[0])
	}
}
