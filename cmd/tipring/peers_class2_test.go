//go:build peers

package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/tipring/tipring/modem/virtual"
)

// TestLine_EveryClass: `tipring send` and `tipring receive` over real ptys with modems that run T.30 themselves: Class 2 as Rockwell made
// it, 2.0 and 2.1, with one another and with Class 1.
func TestLine_EveryClass(t *testing.T) {
	t.Parallel()
	need(t, "tiffsplit", "tifftopnm")
	for _, c := range []struct {
		from, fromClass, to, toClass string
		flags                        []string
		ecm                          bool
	}{
		{"rockwell", "2", "rockwell", "2", nil, false},
		{"class2.0", "2.0", "class2.1", "2.1", nil, true},
		{"multitech", "2.1", "generic", "1", []string{"--no-ecm"}, false},
		{"generic", "1", "class2.0", "2.0", nil, true},
		{"usr", "2.0", "multitech-early", "2", []string{"--max-rate", "9600"}, false},
	} {
		t.Run(c.from+" to "+c.to, func(t *testing.T) {
			t.Parallel()
			l := startLine(t, "--speed", "4", "--delay", "10ms", "--modem", "5550100:"+c.from, "--modem", "5550101:"+c.to)
			out := t.TempDir()
			rx := start(t, tipringBin, "receive", "--modem", l.tty(1), "--class", c.toClass, "--out", out, "--id", "5550101", "--count", "1", "--json")
			waitFor(t, 2*time.Minute, "modem set-up", func() bool { return len(l.events(virtual.EventCommand, "5550101")) > 15 })
			time.Sleep(time.Second)
			args := append([]string{"send", "--modem", l.tty(0), "--class", c.fromClass, "--to", "5550101", "--id", "5550100", "--header", "none"}, c.flags...)
			r, status := callJSON(t, 4*time.Minute, append(args, repoFile(t, letter))...)
			if status != exitOK || r.Outcome != "sent" || r.Pages != 3 || r.RemoteID != "5550101" || r.ECM != c.ecm {
				t.Errorf("status %d, %+v", status, r)
			}
			if rc := rx.wait(time.Minute); rc != exitOK {
				t.Errorf("receive ended with %d", rc)
			}
			files, _ := filepath.Glob(filepath.Join(out, "*.tif"))
			if len(files) != 1 {
				t.Fatalf("files %v", files)
			}
			samePages(t, repoFile(t, letter), files[0], 0)
			l.stop()
		})
	}
}
