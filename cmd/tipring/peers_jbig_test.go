//go:build peers

package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startWithJBIG is a line between our modem and that of a HylaFAX that sends and receives T.85. Debian's spandsp has none.
func startWithJBIG(t *testing.T) (*softline, *hylafax) {
	t.Helper()
	pty := filepath.Join(t.TempDir(), "ttyHyla")
	line := startSoftline(t, "modem:"+pty)
	return line, startHylafax(t, pty, "Class1JBIGSupport: true")
}

// TestSend_JBIGToHylafax: what libtiff decodes of the T.85 that HylaFAX received is the page that we sent.
func TestSend_JBIGToHylafax(t *testing.T) {
	t.Parallel()
	line, hyla := startWithJBIG(t)
	hyla.receive(line, "B")
	r, status := callJSON(t, 6*time.Minute, "send", "--modem", line.pty, "--to", "5550333", "--header", "none", "--id", "5550199",
		"--coding", "jbig", repoFile(t, letter))
	if status != exitOK {
		t.Errorf("status %d", status)
	}
	checkCall(t, r, "sent", "v17", 14400, true, "jbig")
	samePages(t, repoFile(t, letter), hyla.received(20*time.Second), 0)
}

// TestReceive_JBIGFromHylafax: jbigkit codes there, we decode.
func TestReceive_JBIGFromHylafax(t *testing.T) {
	t.Parallel()
	line, hyla := startWithJBIG(t)
	out := t.TempDir()
	rx := start(t, tipringBin, "receive", "--modem", line.pty, "--out", out, "--id", "5550100", "--count", "1", "--coding", "jbig", "--json")
	waitFor(t, 15*time.Second, "modem set-up", func() bool { return len(line.eventsOf("A", "rsp")) > 6 })
	time.Sleep(time.Second)
	if rc := hyla.send(repoFile(t, letter), 3, "desireddf:4").wait(5 * time.Minute); rc != faxsendDone {
		t.Errorf("faxsend ended with %d", rc)
	}
	if rc := rx.wait(20 * time.Second); rc != exitOK {
		t.Errorf("receive ended with %d", rc)
	}
	if said := rx.out.String(); !strings.Contains(said, `"coding":"jbig"`) {
		t.Errorf("receive says %s", said)
	}
	files, _ := filepath.Glob(filepath.Join(out, "*.tif"))
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	samePages(t, repoFile(t, letter), files[0], 0)
}
