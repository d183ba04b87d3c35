//go:build peers && soak

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/modem/virtual"
)

// eightLines are the [[line]] tables of a box beside its first, which is not used: four that send and four that receive, on the line's
// modems from first on.
func eightLines(l *lineProc, first int) string {
	var b strings.Builder
	for n := range 8 {
		fmt.Fprintf(&b, "[[line]]\nname = \"l%d\"\ndevice = %q\nnumber = \"%d\"\nsend = %v\nreceive = %v\n", n, l.tty(first+n), firstNumber+first+n, n < 4, n >= 4)
	}
	return b.String()
}

// cpu is the processor time that serve has used.
func (b *box) cpu() time.Duration {
	b.t.Helper()
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(b.p.cmd.Process.Pid), "stat"))
	if err != nil {
		b.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// TestLine_EightLinesBothWays: two appliances of eight lines each fax each other, four calls each way at once, in real time: every fax
// arrives, and no modem runs dry.
func TestLine_EightLinesBothWays(t *testing.T) {
	t.Parallel()
	l := startLine(t, "--modems", "18")
	waitFor(t, time.Minute, "all ports", func() bool { _, err := os.Lstat(l.tty(17)); return err == nil })
	s := newSink(t)
	boxes := [2]*box{newBox(t, l.tty(16), s.addr, eightLines(l, 0)), newBox(t, l.tty(17), s.addr, eightLines(l, 8))}
	for _, b := range boxes {
		b.start()
	}
	for i, b := range boxes {
		for n := range 4 {
			to := strconv.Itoa(firstNumber + (1-i)*8 + 4 + n)
			if out, ok := b.swaks("--to", to+"@fax.example.org", "--body", " ", "--attach-type", "image/tiff", "--attach", "@"+repoFile(t, letter)); !ok {
				t.Fatalf("swaks: %s", out)
			}
		}
	}
	began := time.Now()
	for _, b := range boxes {
		waitFor(t, 15*time.Minute, "eight faxes", func() bool {
			jobs := b.jobs()
			for _, j := range jobs {
				if j.State.Final() && j.State != control.JobSent {
					t.Fatalf("job to %s: %s %s", j.Number, j.State, j.Text)
				}
				if !j.State.Final() {
					return false
				}
			}
			return len(jobs) == 4
		})
	}
	took := time.Since(began)
	under, most, now := 0, 0, map[int]bool{}
	for n := range 16 {
		under += len(l.events(virtual.EventUnder, strconv.Itoa(firstNumber+n)))
	}
	for _, e := range l.all() {
		switch e.Kind {
		case virtual.EventAnswer:
			now[e.Call] = true
		case virtual.EventHangup:
			delete(now, e.Call)
		}
		most = max(most, len(now))
	}
	if under > 0 {
		t.Errorf("modems ran dry %d times", under)
	}
	if most < 8 {
		t.Errorf("at most %d calls at once, want 8", most)
	}
	for i, b := range boxes {
		t.Logf("appliance %d: %.1f s of processor for 8 calls of 3 pages in %.0f s: %.2f %% of a core per line; %d MB resident at most", i+1, b.cpu().Seconds(), took.Seconds(),
			100*b.cpu().Seconds()/took.Seconds()/8, b.peakRSS()>>20)
	}
}
