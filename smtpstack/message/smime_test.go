package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const signedInner = "Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\nsigned words\r\n--y\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\n%PDF\r\n--y--\r\n"

// ber is one element; a negative head means indefinite length.
func ber(tag byte, parts ...string) string {
	body := strings.Join(parts, "")
	switch n := len(body); {
	case n < 0x80:
		return string([]byte{tag, byte(n)}) + body
	case n < 0x10000:
		return string([]byte{tag, 0x82, byte(n >> 8), byte(n)}) + body
	default:
		return string([]byte{tag, 0x83, byte(n >> 16), byte(n >> 8), byte(n)}) + body
	}
}

func indefinite(tag byte, parts ...string) string {
	return string([]byte{tag, 0x80}) + strings.Join(parts, "") + "\x00\x00"
}

const (
	oidSigned    = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
	oidEnveloped = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"
	oidData      = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
	oidAuth      = "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17"
)

func signedData(content string) string {
	return ber(0x30, oidSigned, ber(0xA0, ber(0x30, ber(2, "\x01"), ber(0x31, ber(0x30, ber(6, "\x2a\x03"))), ber(0x30, oidData, ber(0xA0, content)), ber(0x31))))
}

func opaqueMail(params, cms string) string {
	return "From: a@b\nContent-Type: application/pkcs7-mime; " + params + "name=smime.p7m\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(cms)) + "\n"
}

func TestParse_OpaqueSigned(t *testing.T) {
	half := len(signedInner) / 2
	pieces := ber(4, signedInner[:half]) + ber(4) + ber(4, signedInner[half:])
	streamed := indefinite(0x30, oidSigned, indefinite(0xA0, indefinite(0x30, ber(2, "\x01"), indefinite(0x31, indefinite(0x30, ber(6, "\x2a\x03"))),
		indefinite(0x30, oidData, indefinite(0xA0, indefinite(0x24, pieces))), ber(0x31))))
	for name, cms := range map[string]string{
		"one string": signedData(ber(4, signedInner)), "pieces": signedData(ber(0x24, pieces)), "indefinite": streamed,
		"pieces in pieces": signedData(indefinite(0x24, ber(0x24, ber(4, signedInner[:half])), indefinite(0x24, ber(4, signedInner[half:])))),
	} {
		for _, params := range []string{"smime-type=signed-data; ", ""} {
			m, f := parse(t, opaqueMail(params, cms))
			if text, _ := m.PlainText(); text != "signed words" || len(m.Attachments) != 1 || f.content[0].String() != "%PDF" || len(m.Notes) != 0 {
				t.Errorf("%s: %q, %+v, %q", name, text, m.Attachments, m.Notes)
			}
		}
	}
}

func TestParse_OpaqueOthers(t *testing.T) {
	whole := signedData(ber(4, signedInner))
	tests := []struct {
		name, params, cms, unsupported string
		damaged                        bool
	}{
		{"encrypted", "smime-type=enveloped-data; ", ber(0x30, oidEnveloped, ber(0xA0, ber(0x30, "x"))), "encrypted mail (S/MIME)", false},
		{"encrypted, called signed", "smime-type=signed-data; ", ber(0x30, oidEnveloped, ber(0xA0, ber(0x30, "x"))), "encrypted mail (S/MIME)", false},
		{"authenticated and encrypted", "", ber(0x30, oidAuth, ber(0xA0, "x")), "encrypted mail (S/MIME)", false},
		{"unknown", "", ber(0x30, oidData, ber(0xA0, "x")), "protected mail (S/MIME) in an unknown form", false},
		{"no content", "", ber(0x30, oidSigned, ber(0xA0, ber(0x30, ber(2, "\x01"), ber(0x31), ber(0x30, oidData), ber(0x31)))), "signed mail (S/MIME), damaged or without content", true},
		{"noise", "", "hello", "signed mail (S/MIME), damaged or without content", true},
		{"empty", "", "", "signed mail (S/MIME), damaged or without content", true},
		{"long set", "", ber(0x30, oidSigned, ber(0xA0, ber(0x30, ber(2, "\x01"), ber(0x31, strings.Repeat("x", 70000))))), "signed mail (S/MIME), damaged or without content", true},
		{"cut in the head", "", whole[:30], "signed mail (S/MIME), damaged or without content", true},
	}
	for _, tt := range tests {
		m, _ := parse(t, opaqueMail(tt.params, tt.cms))
		if len(m.Attachments) != 1 || m.Attachments[0].Unsupported != tt.unsupported || m.Attachments[0].Damaged != tt.damaged || m.Attachments[0].Name != "smime.p7m" {
			t.Errorf("%s: %+v", tt.name, m.Attachments)
		}
	}
	m, _ := parse(t, opaqueMail("smime-type=certs-only; ", "x"))
	if len(m.Attachments) != 0 || len(m.Skipped) != 1 || len(m.Omitted()) != 0 {
		t.Errorf("certificates: %+v", m)
	}
}

// TestParse_OpaqueCut: a signed mail that ends too early is never taken for whole.
func TestParse_OpaqueCut(t *testing.T) {
	whole := signedData(ber(4, signedInner))
	for n := range len(whole) - 2 - len("--y--\r\n") {
		m, _ := parse(t, opaqueMail("", whole[:n]))
		if len(m.Notes) == 0 && (len(m.Attachments) == 0 || !m.Attachments[len(m.Attachments)-1].Damaged) {
			t.Fatalf("cut at %d of %d: %+v", n, len(whole), m)
		}
	}
}

func TestParse_OpaqueDeep(t *testing.T) {
	inner := signedInner
	for range 12 {
		inner = "Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: binary\r\n\r\n" + signedData(ber(4, inner))
	}
	if _, err := Parse(strings.NewReader("From: a@b\r\n"+inner), Limits{}, (&files{}).open); !errors.Is(err, ErrTooDeep) {
		t.Errorf("%v", err)
	}
	bomb := signedData(strings.Repeat("\x24\x80", 1000))
	if m, _ := parse(t, opaqueMail("", bomb)); len(m.Attachments) != 1 || !m.Attachments[0].Damaged {
		t.Errorf("%+v", m.Attachments)
	}
}

// TestPeer_OpenSSL reads mails that openssl signed, detached and opaque, in DER and streaming BER, and one it encrypted.
func TestPeer_OpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("TIPRING_PEERS") == "required" {
			t.Fatal("openssl is not installed")
		}
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	run := func(stdin string, args ...string) []byte {
		cmd := exec.Command(openssl, args...)
		cmd.Dir = dir
		cmd.Stdin = strings.NewReader(stdin)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("openssl %q: %v\n%s", args, err, stderr.String())
		}
		return out
	}
	run("", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=Jane")
	big := strings.Replace(signedInner, "%PDF", "%PDF"+strings.Repeat("\r\n0123456789", 20000), 1)
	if err := os.WriteFile(filepath.Join(dir, "in"), []byte(big), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-sign", "-binary"}, {"-sign", "-nodetach", "-binary"}, {"-sign", "-nodetach", "-stream", "-binary"},
		{"-sign", "-nodetach", "-binary", "-indef"},
	} {
		out := run("", append(append([]string{"cms"}, args...), "-signer", "cert.pem", "-inkey", "key.pem", "-in", "in", "-from", "jane@example.com")...)
		f := &files{}
		m, err := Parse(bytes.NewReader(out), Limits{}, f.open)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := m.PlainText(); text != "signed words" || len(m.Attachments) != 1 || len(m.Notes) != 0 ||
			strings.ReplaceAll(f.content[0].String(), "\r", "") != "%PDF"+strings.Repeat("\n0123456789", 20000) {
			t.Errorf("%q: %q, %+v, %q", args, text, m.Attachments, m.Notes)
		}
	}
	out := run("", "cms", "-encrypt", "-aes256", "-in", "in", "-from", "jane@example.com", "cert.pem")
	m, err := Parse(bytes.NewReader(out), Limits{}, (&files{}).open)
	if err != nil || len(m.Attachments) != 1 || m.Attachments[0].Unsupported != "encrypted mail (S/MIME)" {
		t.Errorf("encrypted: %v, %+v", err, m.Attachments)
	}
}

func TestParse_OpaqueErrorsOfTheCaller(t *testing.T) {
	mail := crlf(opaqueMail("", signedData(ber(4, signedInner))))
	if _, err := Parse(strings.NewReader(mail), Limits{}, func(*Part) (io.WriteCloser, error) { return brokenWriter{}, nil }); !errors.Is(err, errDisk) {
		t.Errorf("%v", err)
	}
	for n := 80; n < len(mail); n += 31 {
		if _, err := Parse(io.MultiReader(strings.NewReader(mail[:n]), errReader{}), Limits{}, (&files{}).open); !errors.Is(err, errDisk) {
			t.Errorf("read error at %d: %v", n, err)
		}
	}
}

func FuzzOpaque(f *testing.F) {
	f.Add([]byte(signedData(ber(4, "A: b\r\n\r\nx"))))
	f.Add([]byte(signedData(indefinite(0x24, ber(0x24, ber(4, "A: b\r\n")), indefinite(0x24, ber(4, "\r\nx"))))))
	f.Add([]byte(indefinite(0x30, oidSigned, indefinite(0xA0, indefinite(0x30, ber(2, "\x01"), indefinite(0x31), indefinite(0x30, oidData, indefinite(0xA0, ber(4, "A: b\n\nx"))))))))
	f.Fuzz(func(t *testing.T, cms []byte) {
		mail := "From: a@b\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n" + string(cms)
		m, err := Parse(strings.NewReader(mail), Limits{HeaderBytes: 4096, TextBytes: 1000, Parts: 20, Depth: 5}, (&files{}).open)
		if err != nil && !errors.Is(err, ErrTooManyParts) && !errors.Is(err, ErrTooDeep) && !errors.Is(err, ErrHeaderTooLarge) {
			t.Fatal(err)
		}
		var total int64
		for _, a := range m.Attachments {
			total += a.Size
		}
		if total > int64(10*len(mail)) {
			t.Errorf("%d octets out of %d", total, len(mail))
		}
	})
}
