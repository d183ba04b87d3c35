package verify

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/tipring/tipring/smtpstack/resolve"
)

// dkimpyScript signs or verifies with python3-dkim, as each case says.
const dkimpyScript = `
import base64, json, sys, dkim
job = json.load(sys.stdin)
keys = {k.encode(): v.encode() for k, v in job["keys"].items()}
def txt(name, timeout=5):
    return keys.get(name.rstrip(b"."))
out = []
for c in job["cases"]:
    m = base64.b64decode(c["message"])
    if c.get("sign"):
        algorithm = b"ed25519-sha256" if c["sign"] == "ed25519" else b"rsa-sha256"
        canon = tuple(c["canon"].encode().split(b"/"))
        sig = dkim.sign(m, c["sign"].encode(), b"contoso.com", c["key"].encode(), canonicalize=canon, signature_algorithm=algorithm)
        out.append({"message": base64.b64encode(sig + m).decode()})
        continue
    try:
        out.append({"good": bool(dkim.verify(m, dnsfunc=txt))})
    except Exception as e:
        out.append({"good": False, "why": str(e)})
json.dump(out, sys.stdout)
`

type dkimCase struct {
	Message []byte `json:"message"`
	Sign    string `json:"sign,omitempty"` // selector
	Key     string `json:"key,omitempty"`
	Canon   string `json:"canon,omitempty"`
}

type dkimAnswer struct {
	Message []byte `json:"message"`
	Good    bool   `json:"good"`
	Why     string `json:"why"`
}

// dkimKeys makes a key of each kind: the signers, the private keys as dkimpy wants them, and the records.
func dkimKeys(t *testing.T) (signers map[string]crypto.Signer, private, records map[string]string) {
	t.Helper()
	signers, private, records = map[string]crypto.Signer{}, map[string]string{}, map[string]string{}
	for name, bits := range map[string]int{"rsa1024": 1024, "rsa2048": 2048} {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := x509.MarshalPKIXPublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		signers[name] = k
		private[name] = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
		records[name+"._domainkey.contoso.com"] = "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(pub)
	}
	pub, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signers["ed25519"] = k
	private["ed25519"] = base64.StdEncoding.EncodeToString(k.Seed())
	records["ed25519._domainkey.contoso.com"] = "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub)
	return signers, private, records
}

var dkimMessages = map[string]string{
	"plain":     "From: U <u@contoso.com>\r\nTo: 5551234@fax.example\r\nSubject: order\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@contoso.com>\r\n\r\nHello\r\n",
	"no body":   "From: u@contoso.com\r\nSubject: x\r\n\r\n",
	"folded":    "from:  U\r\n\t<u@contoso.com>  \r\nSubject:\r\n  a \t b\r\nTo: a@b.example,\r\n c@d.example\r\n\r\n  two  blanks \t\r\n\r\nlines\t \r\n\r\n\r\n",
	"multipart": "From: u@contoso.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nSubject: =?utf-8?q?=C3=BC?=\r\n\r\n--b\r\n\r\n" + strings.Repeat("AAAAAAAAAAAAAAAAAAAAAAAA\r\n", 2000) + "--b--\r\n",
	"no end":    "From: u@contoso.com\r\nSubject: x\r\n\r\nlast line without end",
}

// dkimChanges are what can happen to a signed message; whether it still verifies may hang on the canonicalization.
var dkimChanges = map[string]func(string) string{
	"none":            func(m string) string { return m },
	"body":            func(m string) string { return m + "more\r\n" },
	"empty lines":     func(m string) string { return strings.TrimRight(m, "\r\n") + "\r\n\r\n\r\n" },
	"blanks at ends":  func(m string) string { return strings.TrimSuffix(m, "\r\n") + " \r\n" },
	"subject":         func(m string) string { return strings.Replace(m, "\nSubject:", "\nSubject: Re:", 1) },
	"name's case":     func(m string) string { return strings.Replace(m, "\nSubject:", "\nSUBJECT:", 1) },
	"blanks in field": func(m string) string { return strings.Replace(m, "\nSubject:", "\nSubject:  ", 1) },
	"other selector": func(m string) string {
		return strings.Replace(strings.Replace(m, "s=rsa1024", "s=rsa2048", 1), "s=rsa2048; ", "s=rsa2048; ", 1)
	},
	"no such key":    func(m string) string { return strings.NewReplacer("s=rsa", "s=xsa", "s=ed", "s=xd").Replace(m) },
	"other domain":   func(m string) string { return strings.Replace(m, "d=contoso.com", "d=fabrikam.com", 1) },
	"unsigned field": func(m string) string { return strings.Replace(m, "\r\n\r\n", "\r\nX-New: y\r\n\r\n", 1) },
	"trace on top":   func(m string) string { return "Received: from a by b; now\r\n" + m },
}

// ours verifies with the Verifier and gives the first signature's outcome.
func ours(t *testing.T, records map[string]string, message string) Signature {
	t.Helper()
	fake := &resolve.Fake{TXTs: map[string][]string{}}
	for name, txt := range records {
		fake.TXTs[name] = []string{txt}
	}
	v, err := New(Config{}, fake)
	if err != nil {
		t.Fatal(err)
	}
	d := v.Client(t.Context(), client(ownIP, "x.y", "u@contoso.com"))
	if err := v.Message(t.Context(), d, strings.NewReader(message)); err != nil {
		t.Fatal(err)
	}
	if len(d.Signatures) == 0 {
		t.Fatalf("no signature in %q: %+v", message, d.DKIM)
	}
	return d.Signatures[0]
}

// TestPeer_Dkimpy: what python3-dkim signs we verify, what go-msgauth signs it verifies, and of whatever happens to the
// messages on the way both say the same.
func TestPeer_Dkimpy(t *testing.T) {
	t.Parallel()
	prog := python(t, "dkim", "nacl")
	signers, private, records := dkimKeys(t)
	type made struct{ name, message string }
	var toSign []dkimCase
	var all []made
	for text, m := range dkimMessages {
		for selector := range signers {
			for _, canon := range []string{"simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"} {
				toSign = append(toSign, dkimCase{Message: []byte(m), Sign: selector, Key: private[selector], Canon: canon})
				all = append(all, made{name: fmt.Sprintf("dkimpy %s %s %s", text, selector, canon)})
			}
		}
	}
	var signed []dkimAnswer
	runPython(t, prog, dkimpyScript, map[string]any{"keys": records, "cases": toSign}, &signed)
	for i := range signed {
		all[i].message = string(signed[i].Message)
	}
	for _, c := range toSign {
		header, body, _ := strings.Cut(c.Canon, "/")
		o := &dkim.SignOptions{Domain: "contoso.com", Selector: c.Sign, Signer: signers[c.Sign], HeaderCanonicalization: dkim.Canonicalization(header), BodyCanonicalization: dkim.Canonicalization(body)}
		all = append(all, made{"msgauth " + c.Sign + " " + c.Canon, sign(t, string(c.Message), o)})
		o.Expiration = time.Now().Add(-24 * time.Hour) // dkimpy allows ten hours
		if c.Canon == "relaxed/relaxed" {
			all = append(all, made{"msgauth expired " + c.Sign, sign(t, string(c.Message), o)})
		}
	}
	var names []string
	var cases []dkimCase
	for _, m := range all {
		for what, change := range dkimChanges {
			names = append(names, m.name+", changed: "+what)
			cases = append(cases, dkimCase{Message: []byte(change(m.message))})
		}
	}
	var theirs []dkimAnswer
	runPython(t, prog, dkimpyScript, map[string]any{"keys": records, "cases": cases}, &theirs)
	good := 0
	for i, c := range cases {
		s := ours(t, records, string(c.Message))
		if (s.Result == Pass) != theirs[i].Good {
			t.Errorf("%s: we say %s (%s), dkimpy %v (%s)", names[i], s.Result, s.Reason, theirs[i].Good, theirs[i].Why)
		}
		if strings.HasSuffix(names[i], "changed: none") && (s.Result == Pass) == strings.Contains(names[i], "expired") {
			t.Errorf("%s: %+v", names[i], s)
		}
		if s.Result == Pass {
			good++
		}
	}
	t.Logf("%d messages, %d of them good", len(cases), good)
}
