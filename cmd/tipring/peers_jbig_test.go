//go:build peers

package main

import (
	"path/filepath"
	"testing"
	"time"
)

// jbigFar is a spandsp station that takes and sends T.85, in stripes of 128 lines and in longer ones.
const jbigFar = "ecm=1,modems=v27+v29+v17,comp=mh+mr+mmr+jbig+jbig-l0"

// TestSend_JBIGToSpandsp: its T.85 decoder reads our pages.
func TestSend_JBIGToSpandsp(t *testing.T) {
	t.Parallel()
	got := filepath.Join(t.TempDir(), "got.tif")
	line := startSoftline(t, "fax:answer,out="+got+",ident=5550100,"+jbigFar)
	r, status := callJSON(t, 6*time.Minute, "send", "--modem", line.pty, "--to", "5550100", "--header", "none", "--id", "5550199",
		"--coding", "jbig", repoFile(t, letter))
	if status != exitOK {
		t.Errorf("status %d", status)
	}
	checkCall(t, r, "sent", "v17", 14400, true, "jbig")
	if rc := line.wait(20 * time.Second); rc != 0 {
		t.Errorf("softline ended with %d", rc)
	}
	samePages(t, repoFile(t, letter), got, 0)
}

// TestReceive_JBIGFromSpandsp: we read its T.85.
func TestReceive_JBIGFromSpandsp(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	line := startSoftline(t, "fax:call,in="+repoFile(t, letter)+",ident=5550100,"+jbigFar)
	r, status := callJSON(t, 6*time.Minute, "receive", "--modem", line.pty, "--out", out, "--id", "5550199", "--count", "1", "--coding", "jbig")
	if status != exitOK {
		t.Errorf("status %d", status)
	}
	checkCall(t, r, "received", "v17", 14400, true, "jbig")
	if len(r.Files) != 1 {
		t.Fatalf("files %v", r.Files)
	}
	if rc := line.wait(20 * time.Second); rc != 0 {
		t.Errorf("softline ended with %d", rc)
	}
	samePages(t, repoFile(t, letter), r.Files[0], 0)
}
