package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tipring/tipring/appliance"
	"github.com/tipring/tipring/smtpstack/resolve"
)

// startAppliance runs an appliance without lines whose connector "in" wants SPF of example.org, and returns its folder.
func startAppliance(t *testing.T, more ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	cfg, err := appliance.Parse(fmt.Appendf(nil, `
data = %q
hostname = "fax.example.org"
fax_domains = ["fax.example.org"]
[[receive]]
name = "in"
listen = ["127.0.0.1:0"]
senders = ["example.org"]
require = ["spf"]
[mail]
from = "fax@example.org"
[dial]
allow = ["+1*"]
[web]
listen = ""
%s`, dir, strings.Join(more, "")))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan bool, 1), make(chan error, 1)
	dns := &resolve.Fake{TXTs: map[string][]string{"example.org": {"v=spf1 ip4:192.0.2.1 -all"}}}
	go func() {
		done <- appliance.Run(ctx, cfg, appliance.Deps{Resolver: dns, Cold: true, Ready: func(*appliance.Appliance) { ready <- true }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		done <- nil
		t.Fatalf("Run: %v", err)
	}
	return dir
}

// commandLine runs commands against a folder and looks for words in what they print.
func commandLine(t *testing.T, dir string) func(status int, want string, args ...string) {
	return func(status int, want string, args ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		got := run(t.Context(), append(args, "--data", dir), streams{nil, &out, &errs})
		if all := out.String() + errs.String(); got != status || !strings.Contains(all, want) {
			t.Errorf("tipring %s: status %d, want %d and %q:\n%s", strings.Join(args, " "), got, status, want, all)
		}
	}
}

func TestUser_Commands(t *testing.T) {
	tell := commandLine(t, startAppliance(t))
	tell(exitOK, "every sender that a connector takes may fax", "rule", "test", "+1 425 555 0100", "--user", "ann@example.org")
	tell(exitOK, "user", "user", "allow", "ann@example.org", "--to", "+1425*", "--hours", "Mon-Sun 00:00-24:00", "--max-pages", "20", "--group", "Sales")
	tell(exitOK, "no", "user", "deny", "group:Sales")
	tell(exitOK, "Ann@example.org may fax there", "rule", "test", "+1 425 555 0100", "--user", "Ann@example.org")
	tell(exitOK, "ann@example.org may not fax there", "rule", "test", "+1 206 555 0100", "--user", "ann@example.org")
	tell(exitOK, "may not fax there", "rule", "test", "+1 425 555 0100", "--user", "bob@example.org")
	tell(exitOK, "to +1425", "user", "list")
	tell(exitOK, `"max_pages": 20`, "user", "list", "--json")
	tell(exitUsage, "invalid", "user", "allow", "ann@example.org", "--hours", "whenever")
	tell(exitUsage, "not found", "user", "remove", "carl@example.org")

	file := filepath.Join(t.TempDir(), "people.csv")
	tell(exitOK, "ann@example.org", "user", "export")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("kind;name;fax\r\nuser;bob@example.org;yes\r\nuser;nobody;perhaps\r\n")
	tell(exitUsage, "line 3", "user", "import", file)
	write("kind;name;fax\r\nuser;bob@example.org;yes\r\n")
	tell(exitOK, "1 added", "user", "import", file, "--dry-run")
	tell(exitOK, "may not fax there", "rule", "test", "+1 425 555 0100", "--user", "bob@example.org")
	tell(exitOK, "1 added, 0 changed, 2 removed", "user", "import", file, "--replace")
	tell(exitOK, "bob@example.org may fax there", "rule", "test", "+1 425 555 0100", "--user", "bob@example.org")
	tell(exitUsage, "no such file", "user", "import", file+"x")
}

func TestUser_LookUp(t *testing.T) {
	tell := commandLine(t, startAppliance(t, "[recipients]\nverify = [\"table\"]\n"))
	tell(exitOK, "No directory names a mailbox for ann@example.org.", "user", "lookup", "ann@example.org")
	tell(exitOK, "user", "user", "member", "ann@example.org", "--alias", "a.smith@example.org", "--group", "Sales", "--name", "Ann Smith")
	tell(exitOK, "Mail for a.smith@example.org goes to ann@example.org.\ntable: user ann@example.org Ann Smith\n  mailboxes: ann@example.org\n  groups: Sales", "user", "lookup", "a.smith@example.org", "--fresh")
	tell(exitOK, `"known": true`, "user", "lookup", "ann@example.org", "--json")
	tell(exitUsage, "invalid", "user", "lookup", "ann")
	tell(exitUsage, "nobody knows the address bob@example.org", "route", "add", "bob@example.org", "--dialed", "100")
	tell(exitOK, "a.smith@example.org", "route", "add", "a.smith@example.org", "--dialed", "100")
	tell(exitOK, "a.smith@example.org (table): ann@example.org", "route", "test", "--dialed", "100")
	tell(exitOK, "user", "user", "member", "carl@example.org", "--alias", "a.smith@example.net")
	tell(exitOK, "carl@example.org", "route", "add", "carl@example.org", "--dialed", "200")
	tell(exitOK, "", "user", "remove", "carl@example.org")
	tell(exitOK, "nobody knows this address: the fax would be held", "route", "test", "--dialed", "200")
}

func TestRule_Commands(t *testing.T) {
	dir := startAppliance(t)
	tell := commandLine(t, dir)
	tell(exitOK, "dial.allow", "rule")
	tell(exitOK, "denied", "rule", "add", "+1900*", "--deny", "--note", "premium rate")
	tell(exitUsage, "invalid", "rule", "add", "+1900*", "--deny")
	tell(exitUsage, "invalid", "rule", "add", "premium")
	tell(exitOK, "+1900555 may not be dialed", "rule", "test", "+1 900 555")
	tell(exitOK, "+1425555 may be dialed", "rule", "test", "+1 425 555")
	var out bytes.Buffer
	if run(t.Context(), []string{"rule", "list", "--data", dir}, streams{nil, &out, &out}) != exitOK {
		t.Fatal(out.String())
	}
	for line := range strings.Lines(out.String()) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == "+1900*" {
			tell(exitOK, "", "rule", "remove", f[0])
		}
	}
	tell(exitOK, "+1900555 may be dialed", "rule", "test", "+1 900 555")
}

func TestConnector_CheckSender(t *testing.T) {
	tell := commandLine(t, startAppliance(t))
	file := filepath.Join(t.TempDir(), "mail.eml")
	if err := os.WriteFile(file, []byte("From: ann@example.org\r\nSubject: x\r\n\r\nhello\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(status int, want, client, from string) {
		t.Helper()
		tell(status, want, "connector", "check-sender", file, "--connector", "in", "--client", client, "--helo", "mx.example.org", "--from", from)
	}
	tell(exitOK, "our mail is not signed", "connector", "dkim")
	check(exitOK, "taken", "192.0.2.1", "ann@example.org")
	check(exitOK, "spf: pass", "192.0.2.1", "bounce@example.org")
	check(exitOK, "refused: 550", "192.0.2.2", "ann@example.org")
	check(exitUsage, "no IP address", "mx.example.org", "ann@example.org")
	tell(exitUsage, "demands proof", "connector", "check-sender", file, "--connector", "out", "--client", "192.0.2.1")
}
