//go:build peers && bench

package main

import (
	"path/filepath"
	"testing"
	"time"
)

// TestLineTime prints how long the line was in use for the same three page fax, sent by us and by efax to the same far
// end on the same line: make bench-line.
func TestLineTime(t *testing.T) {
	t.Parallel()
	need(t, "efax", "pbmtog3")
	const options = "modems=v27+v29+v17"
	for _, c := range []struct {
		name string
		far  string
		send func(t *testing.T, pty string)
	}{
		{"tipring V.17 ECM MMR", "", func(t *testing.T, pty string) { sendLetter(t, pty) }},
		{"tipring V.17 MH", ",ecm=0,comp=mh", func(t *testing.T, pty string) { sendLetter(t, pty, "--no-ecm", "--coding", "mh") }},
		{"efax V.17 MH", ",ecm=0,comp=mh", func(t *testing.T, pty string) {
			args := []string{"-d", pty, "-o1", "-vewin", "-c", efaxCaps("v17"), "-h", "", "-l", "111", "-t", "T5551234"}
			if rc := start(t, "efax", append(args, g3Pages(t, repoFile(t, letter))...)...).wait(6 * time.Minute); rc != 0 {
				t.Errorf("efax ended with %d", rc)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			line := startSoftline(t, "fax:answer,out="+filepath.Join(t.TempDir(), "got.tif")+","+options+c.far, "--elastic", "0")
			c.send(t, line.pty)
			line.wait(20 * time.Second)
			for _, e := range line.events("call_end") {
				t.Logf("%v s on the line, of these %v s of pages, phases %v", e["line_s"], e["image_s"], e["phase_s"])
			}
		})
	}
}

func sendLetter(t *testing.T, pty string, flags ...string) {
	t.Helper()
	args := append([]string{"send", "--modem", pty, "--to", "5550100", "--header", "none"}, flags...)
	if _, _, status := tipring(t, 6*time.Minute, append(args, repoFile(t, letter))...); status != exitOK {
		t.Errorf("send ended with %d", status)
	}
}
