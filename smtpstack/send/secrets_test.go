package send

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// TestMain looks for the tests' secrets in every transcript line of every test.
func TestMain(m *testing.M) {
	var mu sync.Mutex
	var lines, leaks []string
	observe = func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, e.String())
	}
	code := m.Run()
	for _, line := range lines {
		for _, s := range testSecrets() {
			if strings.Contains(line, s) {
				leaks = append(leaks, line)
			}
		}
	}
	if len(leaks) > 0 {
		fmt.Printf("FAIL: %d of %d transcript lines show a secret, the first: %.200s\n", len(leaks), len(lines), leaks[0])
		code = 1
	}
	os.Exit(code)
}

// testSecrets are the passwords and tokens of all tests, in the forms in which they go over the wire. Tokens of the
// peer all begin alike.
func testSecrets() []string {
	const tokenHead = `{"alg":"HS256","typ":"JWT"}`
	plain := []string{"geheim", password, appSecret, "stubborn-token-value", base64.RawURLEncoding.EncodeToString([]byte(tokenHead))}
	out := plain
	for _, p := range plain {
		for shift := range 3 { // base64 of a text that stands anywhere in another
			enc := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + p))
			skip := []int{0, 2, 3}[shift]
			out = append(out, enc[skip:len(enc)-len(enc)%4-4])
		}
	}
	return out
}

// TestSecrets_Echoed: a server that repeats what it was told gets nothing into transcript, reply or error.
func TestSecrets_Echoed(t *testing.T) {
	cert, pool := selfSigned(t, "mail.test")
	const sent = "AGphbmUAZ2VoZWlt" // \0jane\0geheim
	for _, answer := range []string{"535 5.7.8 refused: AUTH PLAIN " + sent, "535 5.7.8 wrong password geheim", "235-hello geheim\r\n235 " + sent,
		"535 5.7.8 " + base64.StdEncoding.EncodeToString([]byte("geheim"))} {
		s := newServer(t, map[string]string{"EHLO": "250-srv\r\n250-AUTH PLAIN\r\n250 STARTTLS", "STARTTLS": "TLS", "AUTH": answer, "MAIL": "550 5.7.1 no, geheim"})
		s.cert = cert
		rep := deliver(t, Config{Host: "mail.test", Auth: Plain{"jane", "geheim"}, TLSConfig: tlsRoots(pool), Dial: dialTo(s)}, message("a@x.example"))
		all := transcript(rep) + fmt.Sprintf("%+v", rep.Results)
		if strings.Contains(all, "geheim") || strings.Contains(all, sent) || strings.Contains(all, "Z2VoZWlt") {
			t.Errorf("%q shows:\n%s", answer, all)
		}
		if !strings.Contains(s.said(), sent) {
			t.Errorf("the secret was not sent: %q", s.said())
		}
	}
}
