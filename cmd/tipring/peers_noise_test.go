//go:build peers

package main

import (
	"fmt"
	"path/filepath"
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
func TestNoise_ECMDeliversEveryPel(t *testing.T) {
	t.Parallel()
	t.Run("Send", func(t *testing.T) {
		t.Parallel()
		got := filepath.Join(t.TempDir(), "got.tif")
		line := startSoftline(t, "fax:answer,out="+got, hits("ab")...)
		r, status := callJSON(t, 6*time.Minute, "send", "--modem", line.pty, "--to", "5550100", "--header", "none", repoFile(t, letter))
		if status != exitOK || r.Outcome != "sent" || r.Pages != 3 || !r.ECM {
			t.Errorf("status %d: %+v", status, r)
		}
		samePages(t, repoFile(t, letter), got, 0)
		wantHits(t, line)
	})
	t.Run("Receive", func(t *testing.T) {
		t.Parallel()
		line := startSoftline(t, "fax:call,in="+repoFile(t, letter), hits("ba")...)
		r, status := callJSON(t, 6*time.Minute, "receive", "--modem", line.pty, "--out", t.TempDir(), "--count", "1")
		if status != exitOK || r.Outcome != "received" || r.Pages != 3 || !r.ECM || len(r.Files) != 1 {
			t.Fatalf("status %d: %+v", status, r)
		}
		samePages(t, repoFile(t, letter), r.Files[0], 0)
		wantHits(t, line)
	})
}

func wantHits(t *testing.T, line *softline) {
	t.Helper()
	if n := len(line.events("hit")); n == 0 {
		t.Error("the line was never hit: this proves nothing")
	}
}

// Without error correction a damaged page is sent again or told of: what is called good has at most a few bad rows, and
// the far end's own count of bad rows agrees with the verdict.
func TestNoise_WithoutECMNothingIsSilentlyAccepted(t *testing.T) {
	t.Parallel()
	t.Run("Send", func(t *testing.T) {
		t.Parallel()
		got := filepath.Join(t.TempDir(), "got.tif")
		line := startSoftline(t, "fax:answer,out="+got+",ecm=0,modems=v27+v29", hits("ab")...)
		r, status := callJSON(t, 8*time.Minute, "send", "--modem", line.pty, "--to", "5550100", "--header", "none", "--no-ecm", repoFile(t, letter))
		wantHits(t, line)
		if status == exitOK {
			if r.Outcome != "sent" || r.Pages != 3 {
				t.Errorf("%+v", r)
			}
			return // spandsp confirmed each page by its own count of bad rows
		}
		if r.Outcome == "sent" || r.Text == "" {
			t.Errorf("status %d but %+v", status, r)
		}
	})
	t.Run("Receive", func(t *testing.T) {
		t.Parallel()
		line := startSoftline(t, "fax:call,in="+repoFile(t, letter)+",ecm=0,modems=v27+v29", hits("ba")...)
		r, status := callJSON(t, 8*time.Minute, "receive", "--modem", line.pty, "--out", t.TempDir(), "--count", "1", "--no-ecm")
		wantHits(t, line)
		if len(r.Files) != 1 {
			t.Fatalf("status %d: %+v", status, r)
		}
		if status != exitOK {
			if r.Outcome == "received" {
				t.Errorf("status %d but %+v", status, r)
			}
			return
		}
		want, g := libtiffPages(t, repoFile(t, letter)), libtiffPages(t, r.Files[0])
		if len(g) < 3 {
			t.Fatalf("%d pages called received", len(g))
		}
		for i := range want {
			if !anyGood(want[i], g) {
				t.Errorf("page %d was called received, but no copy of it has fewer than 5 %% bad rows", i+1)
			}
		}
	})
}

// anyGood tells whether some received page has at least 95 % of w's rows, in order.
func anyGood(w pbm, got []pbm) bool {
	for _, g := range got {
		if g.w == w.w && commonRows(w, g)*100 >= w.h*95 {
			return true
		}
	}
	return false
}

// commonRows counts rows of w found in g in order, looking ahead a little where rows are missing.
func commonRows(w, g pbm) int {
	stride, n, at := (w.w+7)/8, 0, 0
	for y := 0; y < w.h; y++ {
		row := string(w.rows[y*stride : (y+1)*stride])
		for d := 0; d < 40 && at+d < g.h; d++ {
			if string(g.rows[(at+d)*stride:(at+d+1)*stride]) == row {
				n, at = n+1, at+d+1
				break
			}
		}
	}
	return n
}
