//go:build peers

package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/modem/virtual"
)

// V.34 fax with an independent DTE: HylaFAX has spoken T.31's Annex B with modems of metal. The modems here are ours, and made from what HylaFAX
// and others do: what HylaFAX and we have in common in mistake shows in no test.

// hylafaxV34 are HylaFAX's own settings for a MultiTech with V.34 (config/lucent-mt-10).
var hylafaxV34 = []string{"ModemType: Class1.0", "ModemRate: 57600", "ModemFlowControl: rtscts", "Class1EnableV34Cmd: AT+F34=14,1,2"}

// startV34Line is a line with two modems that have V.34, the second HylaFAX's.
func startV34Line(t *testing.T) (*lineProc, *hylafax) {
	t.Helper()
	l := startLine(t, "--modem", "5550100:superg3", "--modem", "5550333:superg3")
	return l, startHylafax(t, l.tty(1), hylafaxV34...)
}

func TestV34_SendToHylafax(t *testing.T) {
	t.Parallel()
	l, hyla := startV34Line(t)
	hyla.run("faxgetty", "-q", hyla.spool, hyla.port)
	waitFor(t, 40*time.Second, "faxgetty that waits", func() bool {
		at := l.events(virtual.EventCommand, "5550333")
		return len(at) > 10 && time.Since(at[len(at)-1].At) > 3*time.Second
	})
	r, status := callJSON(t, 4*time.Minute, "send", "--modem", l.tty(0), "--v34", "--to", "5550333", "--header", "none", "--id", "5550199", repoFile(t, letter))
	if status != exitOK {
		t.Errorf("status %d", status)
	}
	checkCall(t, r, "sent", "v34", 33600, true, "mmr")
	if strings.TrimSpace(r.RemoteID) != "5550333" {
		t.Errorf("remote id %q", r.RemoteID)
	}
	samePages(t, repoFile(t, letter), hyla.received(20*time.Second), 0)
}

func TestV34_ReceiveFromHylafax(t *testing.T) {
	t.Parallel()
	l, hyla := startV34Line(t)
	out := t.TempDir()
	rx := start(t, tipringBin, "receive", "--modem", l.tty(0), "--v34", "--out", out, "--id", "5550100", "--count", "1", "--json")
	waitFor(t, 15*time.Second, "modem set-up", func() bool {
		at := l.events(virtual.EventCommand, "5550100")
		return len(at) > 10 && time.Since(at[len(at)-1].At) > 2*time.Second
	})
	if rc := hyla.send(repoFile(t, letter), 3, "desiredec:2", "desiredbr:13").wait(4 * time.Minute); rc != faxsendDone {
		t.Errorf("faxsend ended with %d", rc)
	}
	if rc := rx.wait(20 * time.Second); rc != exitOK {
		t.Errorf("receive ended with %d", rc)
	}
	files, _ := filepath.Glob(filepath.Join(out, "*.tif"))
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	samePages(t, repoFile(t, letter), files[0], 0)
	if log := strings.Join(texts(l.events(virtual.EventResult, "5550100")), "\n"); !strings.Contains(log, "+F34:") {
		t.Errorf("the call was none of V.34:\n%s", log)
	}
}

func texts(list []virtual.Event) (out []string) {
	for _, e := range list {
		out = append(out, e.Text)
	}
	return out
}
