package message

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

func pemKey(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// testRSA is made once: that takes a second.
var testRSA = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// dkimKeys are an RSA key in PKCS #1 and an Ed25519 key in PKCS #8.
func dkimKeys(t *testing.T) []*DKIMKey {
	t.Helper()
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(testRSA())})
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var keys []*DKIMKey
	for selector, data := range map[string][]byte{"r1": append([]byte("some words\n"), pkcs1...), "e1": pemKey(t, ed)} {
		k, err := ParseDKIMKey("Example.com", selector, data)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	return keys
}

func signedMail(t *testing.T, keys []*DKIMKey, o *Outgoing) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mail")
	if err := os.WriteFile(path, []byte(write(t, o)), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(100, io.SeekStart); err != nil { // wherever it stands
		t.Fatal(err)
	}
	r, size, err := OpenSigned(f, keys...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != size {
		t.Fatalf("%d octets, said %d, %v", len(b), size, err)
	}
	open, again, err := SignedFile(path, keys...)
	if err != nil || again != size {
		t.Fatalf("SignedFile: %d octets instead of %d, %v", again, size, err)
	}
	for range 2 { // a retry reads it again
		rc, err := open()
		if err != nil {
			t.Fatal(err)
		}
		same, err := io.ReadAll(rc)
		if err != nil || rc.Close() != nil || int64(len(same)) != size || !bytes.HasSuffix(same, b[size-1000:]) {
			t.Fatalf("SignedFile: %d octets, %v", len(same), err)
		}
	}
	checkWire(t, string(b))
	return string(b)
}

func richMail() *Outgoing {
	o := outgoing()
	o.Generated = true
	o.Subject = "Fäx from " + strings.Repeat("far away ", 20)
	o.Text = "Hello  \n\n.\nlast line\n\n\n"
	o.HTML = "<p>Hello</p>"
	o.Fax = &Fax{Pages: 2, Caller: "+49 30 1"}
	o.Attachments = []File{{Name: "fax.pdf", Type: "application/pdf", Open: content(strings.Repeat("%PDF\x00", 3000))}}
	return o
}

func lookupRecords(t *testing.T, keys []*DKIMKey) map[string]string {
	t.Helper()
	records := map[string]string{}
	for _, k := range keys {
		name, text, err := k.Record()
		if err != nil {
			t.Fatal(err)
		}
		records[name] = text
	}
	return records
}

func TestSignDKIM_Verifies(t *testing.T) {
	keys := dkimKeys(t)
	wire := signedMail(t, keys, richMail())
	records := lookupRecords(t, keys)
	verify := func(s string) (good int) {
		v, err := dkim.VerifyWithOptions(strings.NewReader(s), &dkim.VerifyOptions{LookupTXT: func(d string) ([]string, error) { return []string{records[d]}, nil }})
		if err != nil || len(v) != 2 {
			t.Fatalf("%+v, %v", v, err)
		}
		for _, one := range v {
			if one.Domain != "example.com" {
				t.Errorf("domain %q", one.Domain)
			}
			if one.Err == nil {
				good++
			}
		}
		return good
	}
	if n := verify(wire); n != 2 {
		t.Errorf("%d of 2 signatures verify", n)
	}
	for name, changed := range map[string]string{
		"body":           strings.Replace(wire, "last line", "lost line", 1),
		"subject":        strings.Replace(wire, "\r\nSubject: ", "\r\nSubject: x", 1),
		"second From":    strings.Replace(wire, "\r\nDate:", "\r\nFrom: evil@example.com\r\nDate:", 1),
		"second Subject": strings.Replace(wire, "\r\nDate:", "\r\nSubject: pay\r\nDate:", 1),
		"Reply-To added": strings.Replace(wire, "\r\nDate:", "\r\nReply-To: evil@example.com\r\nDate:", 1),
		"type":           strings.Replace(wire, "Content-Type: multipart/mixed", "Content-Type: multipart/digest", 1),
	} {
		if changed == wire {
			t.Fatalf("%s: nothing changed", name)
		}
		if n := verify(changed); n != 0 {
			t.Errorf("%s changed, and %d signatures verify", name, n)
		}
	}
	if n := verify(strings.Replace(wire, "Subject: ", "Subject:\t ", 1)); n != 2 {
		t.Errorf("white space matters: %d verify", n)
	}
}

func TestSignDKIM_Refuses(t *testing.T) {
	key := dkimKeys(t)[0]
	for name, mail := range map[string]string{
		"no From": "To: a@b\r\n\r\nhi\r\n", "two From": "From: a@b\r\nFROM : c@d\r\n\r\nhi", "no end": "From: a@b\r\nTo: c",
		"long": "From: a@b\r\nX: " + strings.Repeat("x", 300<<10) + "\r\n\r\nhi", "empty": "",
	} {
		if _, err := SignDKIM(strings.NewReader(mail), key); !errors.Is(err, ErrDKIM) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := SignDKIM(io.MultiReader(strings.NewReader("From: a@b\r\n\r\nx"), errReader{}), key); !errors.Is(err, errDisk) {
		t.Errorf("reader's error: %v", err)
	}
	if _, _, err := SignedFile(filepath.Join(t.TempDir(), "none"), key); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if s, err := SignDKIM(strings.NewReader("From: a@b\r\n\r\nx")); s != "" || err != nil {
		t.Errorf("without a key: %q, %v", s, err)
	}
}

// heapWatch notes the highest heap in use while it is read.
type heapWatch struct {
	r         io.Reader
	n, looked int
	high      uint64
}

func (h *heapWatch) Read(b []byte) (int, error) {
	n, err := h.r.Read(b)
	if h.n += n; h.n-h.looked > 4<<20 {
		h.looked = h.n
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		h.high = max(h.high, m.HeapAlloc)
	}
	return n, err
}

func TestSignDKIM_LargeSmallMemory(t *testing.T) {
	keys := dkimKeys(t)[:1]
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	w := &heapWatch{r: io.MultiReader(strings.NewReader("From: a@b\r\n\r\n"), &repeater{line: strings.Repeat("x", 76) + "\r\n", left: 600_000})}
	if _, err := SignDKIM(w, keys...); err != nil {
		t.Fatal(err)
	}
	if w.high == 0 || w.high > before.HeapAlloc+16<<20 {
		t.Errorf("the heap went from %d to %d for a stream of %d", before.HeapAlloc, w.high, w.n)
	}
}

func TestParseDKIMKey_Refuses(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := pemKey(t, testRSA())
	damaged := append([]byte(nil), good...)
	copy(damaged[60:], "AAAAAAAAAAAAAAAA")
	tests := []struct {
		name, domain, selector string
		pem                    []byte
	}{
		{"nothing", "a.example", "s", nil}, {"words", "a.example", "s", []byte("hello")}, {"elliptic", "a.example", "s", pemKey(t, ec)},
		{"damaged", "a.example", "s", damaged}, {"domain", "a b", "s", good}, {"selector", "a.example", "s;x", good}, {"no selector", "a.example", "", good},
		{"certificate", "a.example", "s", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})},
	}
	for _, tt := range tests {
		if _, err := ParseDKIMKey(tt.domain, tt.selector, tt.pem); !errors.Is(err, ErrDKIMKey) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := ParseDKIMKey("a.example", "s", good); err != nil {
		t.Errorf("a good key: %v", err)
	}
}

// debianPython is a python3 that has the module, or the test is skipped.
func debianPython(t *testing.T, module, pkg string) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return python
		}
	}
	if os.Getenv("TIPRING_PEERS") == "required" {
		t.Fatalf("%s is not installed", pkg)
	}
	t.Skipf("%s is not installed", pkg)
	return ""
}

// TestPeer_PythonDKIM has our signatures checked by python3-dkim, and finds a changed mail bad there too.
func TestPeer_PythonDKIM(t *testing.T) {
	python := debianPython(t, "dkim, nacl", "python3-dkim with python3-nacl")
	keys := dkimKeys(t)
	wire := signedMail(t, keys, richMail())
	var b strings.Builder
	for name, text := range lookupRecords(t, keys) {
		fmt.Fprintf(&b, "%s. %s\n", name, text)
	}
	script := `
import sys, dkim
records = dict(l.split(" ", 1) for l in sys.argv[1].strip().split("\n"))
def txt(name, timeout=5):
    return records[name.decode() if isinstance(name, bytes) else name].encode()
mail = sys.stdin.buffer.read()
for m in (mail, mail.replace(b"last line", b"lost line")):
    d = dkim.DKIM(m)
    good = []
    for i in range(2):
        try:
            good.append(d.verify(idx=i, dnsfunc=txt))
        except dkim.ValidationError:
            good.append(False)
    print(good)
`
	cmd := exec.Command(python, "-c", script, b.String())
	cmd.Stdin = strings.NewReader(wire)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if want := "[True, True]\n[False, False]\n"; err != nil || string(out) != want {
		t.Errorf("%v: %q, want %q\n%s", err, out, want, stderr.String())
	}
}

// TestFrom_OneOnly: a name that looks like an address list stays a name.
func TestFrom_OneOnly(t *testing.T) {
	o := outgoing()
	o.From.Name = "boss@example.com>, Evil <evil@example.com"
	m, err := Parse(strings.NewReader(write(t, o)), Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := m.Header.Addresses("From"); err != nil || len(list) != 1 || *list[0] != (mail.Address{Name: o.From.Name, Address: "fax@example.com"}) {
		t.Errorf("%+v, %v", list, err)
	}
}
