//go:build peers

package main

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/tipring/tipring/modem"
)

// The driver with each family's quirks against spandsp's T.31: what one modem needs must not break the call of one after the standard.
// Families whose Class 1 quirks are the same make one call each way.
func TestProfiles_OnSpandsp(t *testing.T) {
	t.Parallel()
	page := repoFile(t, "testdata/softline/pages/text.tif")
	seen := map[string]bool{}
	for _, p := range modem.Profiles() {
		key := fmt.Sprintf("%+v %+v", p.Quirks.Phone, p.Quirks.Class1)
		if seen[key] {
			continue
		}
		seen[key] = true
		for _, class := range []string{"1", "1.0"} {
			if class == "1.0" && p.Name != "silabs" { // one with all of 1.0 is enough
				continue
			}
			var clock []string
			if p.Quirks.Class1.HostSilence || p.Quirks.Phone.CommandGap > 0 {
				clock = []string{"--elastic", "0"} // pauses by our clock would vanish from a line that waits
			}
			flags := []string{"--profile", p.Name, "--class", class, "--id", "5550199"}
			t.Run("send "+p.Name+" class "+class, func(t *testing.T) {
				t.Parallel()
				inTime(t, func() error { return sendWithProfile(t, page, flags, clock) })
			})
			t.Run("receive "+p.Name+" class "+class, func(t *testing.T) {
				t.Parallel()
				inTime(t, func() error { return receiveWithProfile(t, page, flags, clock) })
			})
		}
	}
}

func sendWithProfile(t *testing.T, page string, flags, clock []string) error {
	got := filepath.Join(t.TempDir(), "got.tif")
	line := startSoftline(t, "fax:answer,out="+got+",ident=5550100,ecm=1,modems=v27+v29+v17", clock...)
	args := append([]string{"send", "--modem", line.pty, "--to", "5550100", "--header", "none"}, flags...)
	r, _ := callJSON(t, 6*time.Minute, append(args, page)...)
	if r.Outcome != "sent" || r.Pages != 1 || r.Rate != 14400 || !r.ECM {
		return fmt.Errorf("%+v", r)
	}
	line.wait(20 * time.Second)
	samePages(t, page, got, 0)
	return nil
}

func receiveWithProfile(t *testing.T, page string, flags, clock []string) error {
	line := startSoftline(t, "fax:call,in="+page+",ident=5550100,ecm=0,modems=v27+v29+v17", clock...)
	r, _ := callJSON(t, 6*time.Minute, append([]string{"receive", "--modem", line.pty, "--out", t.TempDir()}, flags...)...)
	if r.Outcome != "received" || r.Pages != 1 || r.Rate != 14400 || len(r.Files) != 1 {
		return fmt.Errorf("%+v", r)
	}
	line.wait(20 * time.Second)
	samePages(t, page, r.Files[0], 0)
	return nil
}
