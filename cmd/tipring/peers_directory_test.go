//go:build peers

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/directorytest"
)

// The binary beside a directory like Active Directory, over StartTLS: who may fax, and in which mailboxes a fax ends.
func TestServe_ActiveDirectory(t *testing.T) {
	t.Parallel()
	ad := directorytest.StartSlapd(t, directorytest.Contoso())
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(directorytest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	line := startSoftlineAs(t, "nmbr=5550142", "fax:call,in="+repoFile(t, letter)+",ident=5550142,delay=15")
	s := newSink(t)
	b := newBox(t, line.pty, s.addr, fmt.Sprintf(`
[[directory]]
name = "ad"
kind = "ldap"
servers = ["ldap://%s"]
starttls = true
ca_file = %q
bind_dn = %q
password_file = %q
base_dn = "dc=contoso,dc=test"
[recipients]
verify = ["table", "directory"]
`, ad.Plain, ad.CAFile, directorytest.BindDN, secret))
	text, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), `senders = ["example.org"]`, `senders = ["contoso.test"]`, 1))
	if err := os.WriteFile(b.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	tell := func(status int, want string, args ...string) {
		t.Helper()
		out, errs, got := tipring(t, time.Minute, append(args, "--data", b.data)...)
		if got != status || !strings.Contains(out+errs, want) {
			t.Errorf("tipring %q: status %d, want %d and %q:\n%s%s", args, got, status, want, out, errs)
		}
	}
	tell(exitOK, "a.smith@contoso.test sales@contoso.test", "route", "add", "a.smith@contoso.test", "sales@contoso.test")
	tell(exitUsage, "nobody knows", "route", "add", "gone@contoso.test")
	tell(exitOK, "sales@contoso.test (ad): ", "route", "test")
	tell(exitOK, "ad: user ann.smith@contoso.test Ann Smith", "user", "lookup", "a.smith@contoso.test")
	tell(exitOK, "Sales", "user", "allow", "group:Sales", "--max-pages", "3")

	if out, taken := b.swaks("--to", "5550100@fax.example.org", "--from", "asmith@contoso.test", "--body", "hello"); taken || !strings.Contains(out, "550 5.7.1") {
		t.Errorf("a sender whom no directory has: %s", out)
	}
	tell(exitOK, "a.smith@contoso.test may fax there", "rule", "test", "5550100", "--user", "a.smith@contoso.test")
	ad.Stop()
	if out, taken := b.swaks("--to", "5550100@fax.example.org", "--from", "joerg@contoso.test", "--body", "hello"); taken || !strings.Contains(out, "451 4.3.0") {
		t.Errorf("while the directory is down: %s", out)
	}
	tell(exitOK, "ad: cannot be asked", "user", "lookup", "twin1@contoso.test", "--fresh")
	tell(exitOK, "ad: user ann.smith@contoso.test Ann Smith", "user", "lookup", "a.smith@contoso.test")
	ad.Start()
	waitFor(t, 2*time.Minute, "the directory is asked again", func() bool {
		out, _, _ := tipring(t, time.Minute, "rule", "test", "5550100", "--user", "joerg@contoso.test", "--data", b.data)
		return strings.Contains(out, "joerg@contoso.test may fax there")
	})

	line.wait(4 * time.Minute)
	boxes := []string{"ann.smith@contoso.test", "bob@contoso.test", "joerg@contoso.test"}
	var got []string
	waitFor(t, 2*time.Minute, "the fax in all mailboxes", func() bool {
		got = nil
		for _, m := range s.mails() {
			if len(m.files) == 0 {
				continue
			}
			for _, to := range m.header["X-Rcpt-Args"] { // one for each recipient
				got = append(got, strings.Trim(strings.Fields(to)[0], "<>"))
			}
		}
		return len(got) >= len(boxes)
	})
	if slices.Sort(got); !slices.Equal(got, boxes) {
		t.Errorf("the fax went to %q, want each mailbox once: %q", got, boxes)
	}
}
