//go:build peers && bench

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// make bench-noise: the same three pages on ever worse lines, ours and HylaFAX in turn against the same spandsp station, with the
// same seeds. The table goes to docs/line-noise.md.

// badLine is one kind of bad line: softline's options for faults in the direction of the pages, ab or ba.
type badLine struct {
	name string
	seed int // tells the calls on this kind of line apart
	args func(direction string) []string
}

// noiseSeeds is on how many lines of each level a call is made: whether a receiver trains on a noisy line is a matter of luck, and
// with three of them HylaFAX once delivered 9 pages of 9 where we delivered 3, with twelve 25 of 36 where we delivered 23.
const noiseSeeds = 6

// noisePages is how many pages each call has.
const noisePages = 3

// lineLevel is a line that weakens both ends by loss dB, with noise at -48 dBm0: the most at which spandsp, which sends at
// -14 dBm0, still takes the pauses for silence.
func lineLevel(loss, seed int) badLine {
	return badLine{fmt.Sprintf("noise %d dB under the signal", 34-loss), seed, func(string) []string {
		return []string{"--noise", "-48", "--loss", fmt.Sprint(loss), "--seed", fmt.Sprint(100*seed + loss)}
	}}
}

// lineHits is a line with n hits of ms milliseconds in each image, evenly spread over its first eight seconds.
func lineHits(n, ms int) badLine {
	return badLine{fmt.Sprintf("%d hits of %d ms a page", n, ms), 1, func(direction string) []string {
		args := []string{"--noise", "-60", "--seed", fmt.Sprint(n)}
		for image := 1; image <= 60/n; image++ {
			for i := range n {
				at := 0.9 + 7*float64(i)/float64(n)
				args = append(args, "--hit", fmt.Sprintf("p%d+%.2f:%d:noise:%s:-12", image, at, ms, direction))
			}
		}
		return args
	}}
}

// badLines get worse from one to the next, twice.
func badLines() []badLine {
	lines := []badLine{{"quiet", 1, func(string) []string { return nil }}}
	for _, loss := range []int{4, 10, 15, 18} {
		for seed := range noiseSeeds {
			lines = append(lines, lineLevel(loss, seed+1))
		}
	}
	return append(lines, lineHits(1, 5), lineHits(1, 40), lineHits(2, 40), lineHits(4, 40), lineHits(6, 80))
}

// noiseRun is one call on a bad line.
type noiseRun struct {
	line, program, direction string
	ecm                      bool
	verdicts                 []verdict
	delivered                bool
	bad                      []pageDamage // of the pages called good
	seconds                  float64
}

func TestNoiseTable(t *testing.T) {
	need(t, "faxgetty", "tiffsplit", "tifftopnm")
	var mu sync.Mutex
	var runs []noiseRun
	t.Run("calls", func(t *testing.T) {
		for _, line := range badLines() {
			for _, ecm := range []bool{true, false} {
				for _, direction := range []string{"send", "receive"} {
					for _, program := range []string{"tipring", "HylaFAX"} {
						t.Run(fmt.Sprintf("%s seed %d ecm=%v %s %s", line.name, line.seed, ecm, direction, program), func(t *testing.T) {
							t.Parallel()
							r := noiseRun{line: line.name, program: program, direction: direction, ecm: ecm}
							noiseCall(t, line, &r)
							mu.Lock()
							defer mu.Unlock()
							runs = append(runs, r)
						})
					}
				}
			}
		}
	})
	if t.Failed() {
		return
	}
	report := noiseReport(runs)
	if err := os.WriteFile(repoFile(t, "docs/line-noise.md"), []byte(report), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + report)
}

// noiseCall runs r's call and judges it.
func noiseCall(t *testing.T, line badLine, r *noiseRun) {
	t.Helper()
	ecm := ",ecm=0"
	if r.ecm {
		ecm = ",ecm=1"
	}
	var s *softline
	var got []string
	told := callResult{}
	if r.direction == "send" {
		out := filepath.Join(t.TempDir(), "got.tif")
		s = startSoftline(t, "fax:answer,out="+out+lineModems+ecm, append(line.args("ab"), "--elastic", "0")...)
		switch r.program {
		case "tipring":
			told, _ = callJSON(t, 9*time.Minute, "send", "--modem", s.pty, "--to", "5550100", "--header", "none", repoFile(t, letter))
		default:
			startHylafax(t, s.pty).send(repoFile(t, letter), noisePages).wait(9 * time.Minute)
		}
		s.wait(30 * time.Second)
		got = existing(out)
	} else {
		s = startSoftline(t, "fax:call,delay=4,in="+repoFile(t, letter)+lineModems+ecm, append(line.args("ba"), "--elastic", "0")...)
		switch r.program {
		case "tipring":
			told, _ = callJSON(t, 9*time.Minute, "receive", "--modem", s.pty, "--out", t.TempDir(), "--count", "1")
			s.wait(30 * time.Second)
			got = told.Files
		default:
			h := startHylafax(t, s.pty)
			h.receive(s, "A")
			s.wait(9 * time.Minute)
			time.Sleep(3 * time.Second)
			got, _ = filepath.Glob(filepath.Join(h.spool, "recvq", "fax*.tif"))
		}
	}
	sender := map[string]string{"send": "A", "receive": "B"}[r.direction]
	r.verdicts = s.verdicts(sender)
	r.delivered = confirmed(r.verdicts) == noisePages
	for _, e := range s.events("call_end") {
		r.seconds, _ = e["line_s"].(float64)
	}
	r.bad = damage(t, libtiffPages(t, repoFile(t, letter)), got, r.verdicts)
	if r.program == "tipring" {
		judgeNoise(t, *r, told)
	}
}

// judgeNoise holds our own calls to what is promised.
func judgeNoise(t *testing.T, r noiseRun, told callResult) {
	t.Helper()
	whole := told.Outcome == "sent" || told.Outcome == "received"
	n := confirmed(r.verdicts)
	if whole && !r.delivered || told.Pages > n || told.Pages < n && r.direction == "receive" { // a sender may not have heard the last answer
		t.Errorf("told %s, %d pages; on the line: %v", told.Outcome, told.Pages, r.verdicts)
	}
	for _, d := range r.bad {
		switch {
		case r.ecm && d.pels != 0:
			t.Errorf("page %d was called good with ECM, and %d pels are wrong", d.page, d.pels)
		case r.direction == "receive" && d.beyondCopyQuality():
			t.Errorf("page %d was called good, and %d of %d rows are wrong, %d in a row", d.page, d.rows, d.of, d.run)
		}
	}
}

// noiseReport is docs/line-noise.md.
func noiseReport(runs []noiseRun) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Bad lines\n\nWritten by `make bench-noise` on %s; do not edit. %s.\n\n", time.Now().Format("2006-01-02"), peerVersions())
	b.WriteString("Three pages (testdata/pages/letter3.tif, 1728 x 2291 pels each) in each call, against the same spandsp station over the same softline with " +
		"the same seeds; a row is one call, or six where there is noise. Delivered: pages that the receiver confirmed. Pages by what the receiver answered on the line: good (MCF), poor (RTP), refused (RTN); a page sent again counts each time. " +
		"Wrong rows and pels are those of the pages called good, compared with what was sent, rows aligned. Seconds from connect to the end of the call, of all calls. " +
		"A page without ECM that *spandsp* calls good is judged by spandsp; the copy-quality limit is ours to keep when we receive.\n")
	for _, ecm := range []bool{true, false} {
		for _, direction := range []string{"send", "receive"} {
			fmt.Fprintf(&b, "\n## %s, ECM %s\n\n| line | program | delivered | good / poor / refused | wrong rows | wrong pels | seconds |\n|---|---|---|---|---|---|---|\n",
				direction, map[bool]string{true: "on", false: "off"}[ecm])
			for _, line := range badLines() {
				for _, program := range []string{"tipring", "HylaFAX"} {
					if line.seed == 1 {
						these := slices.DeleteFunc(slices.Clone(runs), func(r noiseRun) bool {
							return r.ecm != ecm || r.direction != direction || r.line != line.name || r.program != program
						})
						b.WriteString(noiseRow(line.name, program, these))
					}
				}
			}
		}
	}
	return b.String()
}

// noiseRow sums up the calls of one program on one kind of line.
func noiseRow(line, program string, runs []noiseRun) string {
	var n [3]int
	rows, pels, delivered, seconds := 0, 0, 0, 0.0
	for _, r := range runs {
		for _, v := range r.verdicts {
			n[v]++
		}
		for _, d := range r.bad {
			rows, pels = rows+d.rows, pels+d.pels
		}
		delivered += min(confirmed(r.verdicts), noisePages)
		seconds += r.seconds
	}
	return fmt.Sprintf("| %s | %s | %d of %d | %d / %d / %d | %d | %d | %.0f |\n",
		line, program, delivered, noisePages*len(runs), n[good], n[poor], n[refused], rows, pels, seconds)
}
