package srs

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/smtpstack/smtptest"
)

// postsrsd is a running one: its two tables of Postfix's tcp_table protocol.
type postsrsd struct{ forward, reverse int }

func startPostsrsd(t *testing.T, domain string, keys ...[]byte) postsrsd {
	t.Helper()
	prog, ports := smtptest.Program(t, "postsrsd"), []int{smtptest.FreePort(t), smtptest.FreePort(t)}
	secrets := filepath.Join(t.TempDir(), "secrets")
	text := ""
	for _, k := range keys {
		text += string(k) + "\n"
	}
	if err := os.WriteFile(secrets, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(prog, "-4", "-A", "-s"+secrets, "-d"+domain, fmt.Sprintf("-f%d", ports[0]), fmt.Sprintf("-r%d", ports[1]))
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 3000 {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[1])); err == nil {
			c.Close()
			return postsrsd{ports[0], ports[1]}
		}
		time.Sleep(20 * time.Millisecond)
	}
	cmd.Process.Kill()
	cmd.Wait()
	t.Fatalf("postsrsd does not listen: %s", out)
	return postsrsd{}
}

// ask returns what a table has for an address; "" is that it has nothing.
func ask(t *testing.T, port int, address string) string {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c, "get %s\n", strings.NewReplacer("%", "%25", " ", "%20").Replace(address))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	value, found := strings.CutPrefix(strings.TrimSpace(line), "200 ")
	if !found {
		return ""
	}
	if value, err = url.PathUnescape(value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestPeer_Postsrsd(t *testing.T) {
	const domain = "fax.example"
	p := startPostsrsd(t, domain, keyA, keyB)
	same, rotated := newRewriter(t, domain, keyA, keyB), newRewriter(t, domain, keyB, keyA)
	// postsrsd takes what has a hash of its own keys for rewritten already, at whatever domain: others need other keys.
	first, second := newRewriter(t, "first.example", []byte("a key of the first host")), newRewriter(t, "second.example", []byte("a key of the second host"))
	senders := []string{"u@contoso.com", "First.Last+tag@Sub.Contoso.COM", "a=b=c@x.example", "o'brien@x.example", "x/y&z@x.example", "SRS0x@x.example"}
	for i := range 20 {
		senders = append(senders, fmt.Sprintf("user%d@host%d.example", i*i, i))
	}
	firsts := []string{}
	for _, s := range senders {
		made, err := first.Forward(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := second.Forward(made)
		if err != nil {
			t.Fatal(err)
		}
		firsts = append(firsts, made, again)
	}
	for i, sender := range append(senders, firsts...) {
		want := sender
		if strings.HasPrefix(sender, "SRS1=") {
			want = firsts[i-len(senders)-1] // leads back to the first host
		}
		ours, err := same.Forward(sender)
		if err != nil {
			t.Fatal(err)
		}
		theirs := ask(t, p.forward, sender)
		if !strings.EqualFold(ours, theirs) { // our domains are in lower case
			t.Errorf("%s: %s, postsrsd %s", sender, ours, theirs)
		}
		for _, made := range []string{ours, theirs, strings.ToLower(theirs)} {
			back, err := same.Reverse(made)
			if other := ask(t, p.reverse, made); err != nil || !strings.EqualFold(back, other) || !strings.EqualFold(back, want) {
				t.Errorf("%s leads to %s (%v), by postsrsd to %q", made, back, err, other)
			}
		}
		if made, _ := rotated.Forward(sender); !strings.EqualFold(ask(t, p.reverse, made), want) || made == ours {
			t.Errorf("postsrsd does not take %s of the second key", made)
		}
	}
}

// TestPeer_PostsrsdRefusals: what one refuses the other does too.
func TestPeer_PostsrsdRefusals(t *testing.T) {
	const domain = "fax.example"
	p := startPostsrsd(t, domain, keyA)
	r, stranger := newRewriter(t, domain, keyA), newRewriter(t, domain, keyB)
	made, _ := r.Forward("user@contoso.com")
	forged, _ := stranger.Forward("user@contoso.com")
	chained, _ := stranger.Forward("SRS0=abcd=AA=x.example=u@one.example")
	tampered := func(old, to string) string { return strings.Replace(made, old, to, 1) }
	old := func(days int) string {
		stamp := stampOf(time.Now().Add(-time.Duration(days) * day))
		return "SRS0=" + r.hash(keyA, stamp, "contoso.com", "user") + "=" + stamp + "=contoso.com=user@" + domain
	}
	for address, taken := range map[string]bool{
		made: true, forged: false, chained: false, tampered("user", "usar"): false, tampered("contoso", "contosa"): false,
		"u@" + domain: false, "SRS0=abc@" + domain: false, "SRS0==AA=x.example=u@" + domain: false, "SRS1=abcd=one.example=x@" + domain: false,
		old(1): true, old(20): true, old(23): false, old(500): false, old(-2): false,
	} {
		_, err := r.Reverse(address)
		if theirs := ask(t, p.reverse, address); (err == nil) != taken || (theirs != "") != taken {
			t.Errorf("%s: we say %v, postsrsd %q, want taken %v", address, err, theirs, taken)
		}
	}
}
