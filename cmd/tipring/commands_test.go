package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/t30"
)

// TestCommands_AreNamedOnce: help lists each command once, and each is found by its name.
func TestCommands_AreNamedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range commands() {
		if seen[c.name] || !c.hidden && !strings.HasPrefix(c.usage, c.name) || c.run == nil {
			t.Errorf("command %q stands twice, or its usage begins with something else: %q", c.name, c.usage)
		}
		seen[c.name] = true
	}
}

// TestCommands_ExitStatus holds the contract: 2 for wrong usage or input, 3 for a local fault.
func TestCommands_ExitStatus(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"", exitUsage, ""},
		{"help", exitOK, ""},
		{"nonsense", exitUsage, "no command"},
		{"send --to 5551234 x", exitUsage, "--modem is missing"},
		{"send --modem /dev/none --to 5551234", exitUsage, "no file"},
		{"send --modem /dev/none --to 5551234 --sep 42 main.go", exitUsage, "there is no --poll"},
		{"send --modem /dev/none --to 5551234 --resolution odd main.go", exitUsage, "none of"},
		{"send --modem /dev/none --to 5551234 " + dir + "/none", exitUsage, "no such file"},
		{"send --modem /dev/none --to 112 main.go", exitUsage, "emergency"},
		{"send --modem " + dir + "/none --to 5551234 main.go", exitLocal, "no such file"},
		{"receive --modem /dev/none", exitUsage, "--out is missing"},
		{"receive --modem " + dir + "/none --out " + dir, exitLocal, "no such file"},
		{"convert -o x.xyz main.go", exitUsage, ".tif, .pdf or .png"},
		{"convert -o " + dir + "/x.pdf --profile s main.go", exitUsage, "--profile is for a TIFF"},
		{"convert -o " + dir + "/x.tif --profile s --resolution superfine main.go", exitUsage, "profile S has no pages of 1728 pels at 204 x 391"},
		{"inspect main.go", exitUsage, "not a TIFF"},
		{"queue --data " + dir, exitLocal, "no appliance runs"},
		{"queue fly", exitUsage, "cannot do"},
		{"numbers --data " + dir, exitLocal, "no appliance runs"},
		{"numbers fly", exitUsage, "cannot do"},
		{"submit --to 5551234", exitUsage, "at least one file"},
		{"serve --config " + dir + "/none", exitUsage, "configuration"},
	} {
		var out, errs bytes.Buffer
		got := run(context.Background(), strings.Fields(c.args), streams{nil, &out, &errs})
		if got != c.status || !strings.Contains(errs.String(), c.says) {
			t.Errorf("tipring %s: status %d, want %d, said %q", c.args, got, c.status, errs.String())
		}
	}
}

// TestSend_LedgerOfItsFolder: with --data the redial law is kept over one-off calls.
func TestSend_LedgerOfItsFolder(t *testing.T) {
	dir := t.TempDir()
	for n := 1; n <= 3; n++ {
		_, end, err := permit(dir, "5551234")
		if allowed := n <= 2; allowed != (err == nil) {
			t.Fatalf("call %d: %v", n, err)
		}
		if err == nil {
			end(noFax)
		}
	}
}

var noFax = queue.Outcome{Report: t30.Report{Code: t30.CodeNoFax, Connected: true}}

// TestSend_TellsOfPoorPages: a page confirmed with RTP is not passed over in silence.
func TestSend_TellsOfPoorPages(t *testing.T) {
	if c := resultOf(t30.Report{Code: t30.CodeOK, Sent: 3, SentPoor: 2}); !strings.Contains(c.Text, "2 of 3 pages were confirmed in poor quality") {
		t.Errorf("text %q", c.Text)
	}
	if c := resultOf(t30.Report{Code: t30.CodeOK, Sent: 3}); c.Text != "ok" {
		t.Errorf("text %q", c.Text)
	}
}

// TestNumbers_OfAFolder: what a one-off send learned is used by the next, listed and forgotten.
func TestNumbers_OfAFolder(t *testing.T) {
	dir := t.TempDir()
	_, end, err := permit(dir, "5551234")
	if err != nil {
		t.Fatal(err)
	}
	end(queue.Outcome{Report: t30.Report{Code: t30.CodeECMGivenUp, Trouble: t30.TroubleECM, FaxHeard: true, Start: time.Now()}})
	tell := func(args, want string) {
		t.Helper()
		var out, errs bytes.Buffer
		if got := run(t.Context(), strings.Fields(args+" --data "+dir), streams{nil, &out, &errs}); got != exitOK || !strings.Contains(out.String(), want) {
			t.Errorf("tipring %s: status %d, %s%s", args, got, out.String(), errs.String())
		}
	}
	how, end, err := permit(dir, "555-1234")
	if err != nil || how.hint != (queue.Hint{NoECM: true}) || how.since.IsZero() {
		t.Errorf("the second call begins at %+v, %v", how, err)
	}
	end(noFax)
	tell("numbers", "without error correction")
	tell("numbers list --json", `"no_ecm": true`)
	tell("numbers forget 5551234", "")
	var out, errs bytes.Buffer
	if got := run(t.Context(), []string{"numbers", "forget", "5551234", "--data", dir}, streams{nil, &out, &errs}); got != exitUsage {
		t.Errorf("forgotten twice: status %d, %s", got, errs.String())
	}
	if how, _, err := permit(dir, "5551234"); err != nil || how.hint != (queue.Hint{}) {
		t.Errorf("the third call begins at %+v, %v", how, err)
	}
}
