//go:build peers

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// strip is a small page: at 2400 bit/s it takes a quarter of a minute.
const strip = "testdata/pages/strip.tif"

// rates are all that T.30's modulations have: as our report and softline name them, and what the far end can do.
var rates = []struct {
	scheme string
	rate   int
	modems string
	send   []string // our flags that make it the first choice
	ftt    int      // or how often the far end refuses training first
}{
	{"v27ter", 2400, "v27", []string{"--max-rate", "2400"}, 0},
	{"v27ter", 4800, "v27", nil, 0},
	{"v29", 7200, "v27+v29", []string{"--max-rate", "7200"}, 0},
	{"v29", 9600, "v27+v29+v17", []string{"--modulation", "v29"}, 0},
	{"v17", 7200, "v27+v29+v17", nil, -1}, // never sent: V.29 is in every DIS that has V.17, and 7200 is its there (t30's ladder)
	{"v17", 9600, "v27+v29+v17", nil, 2},
	{"v17", 12000, "v27+v29+v17", []string{"--max-rate", "12000"}, 0},
	{"v17", 14400, "v27+v29+v17", nil, 0},
}

// TestRates_EveryPel: every rate of every modulation, both directions, with and without ECM, through a modem that nobody here
// wrote: no pel is wrong, and the carrier that the line saw is the one that was meant.
func TestRates_EveryPel(t *testing.T) {
	t.Parallel()
	for _, c := range rates {
		for _, ecm := range []bool{true, false} {
			far, flags := ",ecm=1,modems="+c.modems, []string(nil)
			if !ecm {
				far, flags = ",ecm=0,modems="+c.modems, []string{"--no-ecm"}
			}
			name := fmt.Sprintf("%s-%d-ecm=%v", c.scheme, c.rate, ecm)
			check := func(t *testing.T, line *softline, r callResult, status int, outcome string) {
				t.Helper()
				if status != exitOK || r.Outcome != outcome || r.Pages != 1 || r.Modulation != c.scheme || r.Rate != c.rate || r.ECM != ecm {
					t.Errorf("status %d: %+v", status, r)
				}
				line.wait(20 * time.Second)
				line.wantImageAt(c.scheme, c.rate)
			}
			t.Run("Receive-"+name, func(t *testing.T) {
				t.Parallel()
				line := startSoftline(t, fmt.Sprintf("fax:call,in=%s,first=%s/%d%s", repoFile(t, strip), c.scheme, c.rate, far))
				r, status := callJSON(t, 4*time.Minute, "receive", "--modem", line.pty, "--out", t.TempDir(), "--count", "1")
				check(t, line, r, status, "received")
				if len(r.Files) != 1 {
					t.Fatalf("files %v", r.Files)
				}
				samePages(t, repoFile(t, strip), r.Files[0], 0)
			})
			if c.ftt < 0 {
				continue
			}
			t.Run("Send-"+name, func(t *testing.T) {
				t.Parallel()
				got := filepath.Join(t.TempDir(), "got.tif")
				line := startSoftline(t, "fax:answer,out="+got+far+strings.Repeat(",swap=CFR:FTT", c.ftt))
				args := append([]string{"send", "--modem", line.pty, "--to", "5550100", "--header", "none"}, append(flags, c.send...)...)
				r, status := callJSON(t, 4*time.Minute, append(args, repoFile(t, strip))...)
				check(t, line, r, status, "sent")
				samePages(t, repoFile(t, strip), got, 0)
			})
		}
	}
}

// wantImageAt fails unless one page was on the line, in that modulation.
func (s *softline) wantImageAt(scheme string, rate int) {
	s.t.Helper()
	want := fmt.Sprintf("%s/%d", scheme, rate)
	var seen []string
	for _, e := range s.events("carrier") {
		if e["use"] == "image" {
			seen = append(seen, fmt.Sprintf("%v/%v", e["kind"], e["rate"]))
		}
	}
	if strings.Join(seen, " ") != want {
		s.t.Errorf("pages on the line: %v, want one at %s", seen, want)
	}
}
