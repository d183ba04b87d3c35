//go:build peers

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hits are line noise all along and one hit of 60 ms in each of three pages.
func hits(direction string) []string {
	args := []string{"--noise", "-65", "--seed", "7"}
	for page := 1; page <= 3; page++ {
		args = append(args, "--hit", fmt.Sprintf("p%d+2.5:60:noise:%s:-8", page, direction))
	}
	return args
}

// With error correction a bad line costs time, never a pel.
func TestNoise_ECMSendsEveryPel(t *testing.T) {
	t.Parallel()
	got := filepath.Join(t.TempDir(), "got.tif")
	line := startSoftline(t, "fax:answer,out="+got, hits("ab")...)
	r, status := callJSON(t, 6*time.Minute, "send", "--modem", line.pty, "--to", "5550100", "--header", "none", repoFile(t, letter))
	if status != exitOK || r.Outcome != "sent" || r.Pages != 3 || !r.ECM {
		t.Errorf("status %d: %+v", status, r)
	}
	samePages(t, repoFile(t, letter), got, 0)
	wantHits(t, line)
}

func TestNoise_ECMReceivesEveryPel(t *testing.T) {
	t.Parallel()
	line := startSoftline(t, "fax:call,in="+repoFile(t, letter), hits("ba")...)
	r, status := callJSON(t, 6*time.Minute, "receive", "--modem", line.pty, "--out", t.TempDir(), "--count", "1")
	if status != exitOK || r.Outcome != "received" || r.Pages != 3 || !r.ECM || len(r.Files) != 1 {
		t.Fatalf("status %d: %+v", status, r)
	}
	samePages(t, repoFile(t, letter), r.Files[0], 0)
	wantHits(t, line)
}

func wantHits(t *testing.T, line *softline) {
	t.Helper()
	if n := len(line.events("hit")); n == 0 {
		t.Error("the line was never hit: this proves nothing")
	}
}

// Without error correction a damaged page is sent again or told of: what is called good has at most a few wrong rows, a page
// confirmed as poor is told as poor, and what we report is what was said on the line.
func TestNoise_WithoutECMNothingIsSentSilentlyDamaged(t *testing.T) {
	t.Parallel()
	got := filepath.Join(t.TempDir(), "got.tif")
	line := startSoftline(t, "fax:answer,out="+got+",ecm=0,modems=v27+v29", hits("ab")...)
	r, status := callJSON(t, 8*time.Minute, "send", "--modem", line.pty, "--to", "5550100", "--header", "none", "--no-ecm", repoFile(t, letter))
	wantHits(t, line)
	line.wait(20 * time.Second)
	verdicts := line.verdicts("A")
	if (status == exitOK) != (r.Outcome == "sent") || r.Outcome == "sent" && confirmed(verdicts) != 3 || r.Pages > confirmed(verdicts) {
		t.Errorf("status %d, %+v; the far end said %v", status, r, verdicts)
	}
	wantPoorTold(t, r, verdicts)
	// The far end judges; what it calls good it has to have.
	for _, d := range damage(t, libtiffPages(t, repoFile(t, letter)), existing(got), verdicts) {
		if d.beyondCopyQuality() {
			t.Errorf("called good and sent: %+v", d)
		}
	}
}

func TestNoise_WithoutECMNothingIsReceivedSilentlyDamaged(t *testing.T) {
	t.Parallel()
	line := startSoftline(t, "fax:call,in="+repoFile(t, letter)+",ecm=0,modems=v27+v29", hits("ba")...)
	r, status := callJSON(t, 8*time.Minute, "receive", "--modem", line.pty, "--out", t.TempDir(), "--count", "1", "--no-ecm")
	wantHits(t, line)
	if len(r.Files) != 1 {
		t.Fatalf("status %d: %+v", status, r)
	}
	line.wait(20 * time.Second)
	verdicts := line.verdicts("B")
	if (status == exitOK) != (r.Outcome == "received") || r.Outcome == "received" && confirmed(verdicts) != 3 || r.Pages != confirmed(verdicts) {
		t.Errorf("status %d, %+v; we said %v", status, r, verdicts)
	}
	for _, d := range damage(t, libtiffPages(t, repoFile(t, letter)), r.Files, verdicts) {
		if d.beyondCopyQuality() {
			t.Errorf("called good by us: %+v", d)
		}
	}
}

// wantPoorTold fails unless the outcome's text tells how many pages were confirmed with RTP, and only then.
func wantPoorTold(t *testing.T, r callResult, list []verdict) {
	t.Helper()
	n := 0
	for _, v := range list {
		if v == poor {
			n++
		}
	}
	if told := strings.Contains(r.Text, "poor quality"); told != (n > 0) {
		t.Errorf("%d pages were confirmed with RTP, and the outcome is %q", n, r.Text)
	}
	if n > 0 && !strings.Contains(r.Text, fmt.Sprintf("%d of ", n)) {
		t.Errorf("%d pages were confirmed with RTP, not: %q", n, r.Text)
	}
}

// existing is file alone if it is there: a receiver that confirmed nothing may have written nothing.
func existing(file string) []string {
	if _, err := os.Stat(file); err != nil {
		return nil
	}
	return []string{file}
}
