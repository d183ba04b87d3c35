//go:build peers

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// lineCases are the two ways every peer is met: the best that all of today's machines do, and the plainest.
var lineCases = []struct {
	name   string
	far    string // softline station options
	flags  []string
	scheme string
	rate   int
	ecm    bool
	coding string
}{
	{"V17-14400-ECM-MMR", "ecm=1,modems=v27+v29+v17", nil, "v17", 14400, true, "mmr"},
	{"V29-9600-MH", "ecm=0,modems=v27+v29,comp=mh", []string{"--no-ecm", "--coding", "mh", "--modulation", "v29"}, "v29", 9600, false, "mh"},
}

func checkCall(t *testing.T, r callResult, outcome, scheme string, rate int, ecm bool, coding string) {
	t.Helper()
	if r.Outcome != outcome || r.Code != 1 || r.Pages != 3 {
		t.Errorf("outcome %q code %d (%s), %d pages", r.Outcome, r.Code, r.Text, r.Pages)
	}
	if r.Modulation != scheme || r.Rate != rate || r.ECM != ecm || r.Coding != coding {
		t.Errorf("line was %s %d ecm=%v %s, want %s %d ecm=%v %s", r.Modulation, r.Rate, r.ECM, r.Coding, scheme, rate, ecm, coding)
	}
	least := 30.0 // what three pages take at the best, seconds
	if scheme == "v34" {
		least = 20
	}
	if r.Resolution != "fine" || r.Seconds < least {
		t.Errorf("resolution %q, %.1f s", r.Resolution, r.Seconds)
	}
}

func TestSend_ToSpandsp(t *testing.T) {
	t.Parallel()
	for _, c := range lineCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := filepath.Join(t.TempDir(), "got.tif")
			line := startSoftline(t, "fax:answer,out="+got+",ident=5550100,"+c.far)
			args := append([]string{"send", "--modem", line.pty, "--to", "5550100", "--header", "none", "--id", "5550199"}, c.flags...)
			r, status := callJSON(t, 6*time.Minute, append(args, repoFile(t, letter))...)
			if status != exitOK {
				t.Errorf("status %d", status)
			}
			checkCall(t, r, "sent", c.scheme, c.rate, c.ecm, c.coding)
			if strings.TrimSpace(r.RemoteID) != "5550100" {
				t.Errorf("remote id %q", r.RemoteID)
			}
			if rc := line.wait(20 * time.Second); rc != 0 {
				t.Errorf("softline ended with %d", rc)
			}
			samePages(t, repoFile(t, letter), got, 0)
		})
	}
}

func TestReceive_FromSpandsp(t *testing.T) {
	t.Parallel()
	for _, c := range lineCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := t.TempDir()
			line := startSoftline(t, "fax:call,in="+repoFile(t, letter)+",ident=5550100,"+c.far)
			args := []string{"receive", "--modem", line.pty, "--out", out, "--id", "5550199", "--count", "1"}
			if !c.ecm {
				args = append(args, "--no-ecm")
			}
			r, status := callJSON(t, 6*time.Minute, args...)
			if status != exitOK {
				t.Errorf("status %d", status)
			}
			checkCall(t, r, "received", c.scheme, c.rate, c.ecm, c.coding)
			if len(r.Files) != 1 {
				t.Fatalf("files %v", r.Files)
			}
			if rc := line.wait(20 * time.Second); rc != 0 {
				t.Errorf("softline ended with %d", rc)
			}
			samePages(t, repoFile(t, letter), r.Files[0], 0)
		})
	}
}

// efaxCaps is efax's -c: vertical resolution fine, rate (3: 9600, 5: 14400), A4 width and length, MH, no ECM.
func efaxCaps(scheme string) string {
	if scheme == "v17" {
		return "1,5,0,2,0,0,0,0"
	}
	return "1,3,0,2,0,0,0,0"
}

func TestSend_ToEfax(t *testing.T) {
	t.Parallel()
	need(t, "efax")
	for _, scheme := range []string{"v17", "v29"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			sl, efaxPTY := startTwoModems(t)
			dir := t.TempDir()
			efax := exec.Command("efax", "-d", efaxPTY, "-o1", "-vewin", "-c", efaxCaps(scheme), "-l", "222", "-r", "got", "-iS0=1", "-w")
			efax.Dir = dir
			p := &proc{t: t, name: "efax", cmd: efax, out: &lockedBuffer{}, done: make(chan struct{})}
			efax.Stdout, efax.Stderr = p.out, p.out
			p.run()
			time.Sleep(1500 * time.Millisecond) // efax has to be waiting before we dial
			r, status := callJSON(t, 7*time.Minute, "send", "--modem", sl.pty, "--to", "5550100", "--header", "none", repoFile(t, letter))
			if status != exitOK {
				t.Errorf("status %d", status)
			}
			checkCall(t, r, "sent", scheme, map[string]int{"v17": 14400, "v29": 9600}[scheme], false, "mh")
			p.wait(20 * time.Second)
			want := libtiffPages(t, repoFile(t, letter))
			for i, name := range []string{"got.001", "got.002", "got.003"} {
				g := libtiffPages(t, filepath.Join(dir, name))
				if len(g) != 1 {
					t.Fatalf("%s: %d pages", name, len(g))
				}
				if err := samePage(want[i], g[0], 0); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestReceive_FromEfax(t *testing.T) {
	t.Parallel()
	need(t, "efax", "pbmtog3", "tiffsplit", "tifftopnm")
	for _, scheme := range []string{"v17", "v29"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			sl, efaxPTY := startTwoModems(t)
			g3 := g3Pages(t, repoFile(t, letter))
			out := t.TempDir()
			rx := start(t, tipringBin, "receive", "--modem", sl.pty, "--out", out, "--count", "1", "--json")
			waitFor(t, 15*time.Second, "modem set-up", func() bool { return len(sl.events("rsp")) > 6 })
			time.Sleep(time.Second)
			args := []string{"-d", efaxPTY, "-o1", "-vewin", "-c", efaxCaps(scheme), "-h", "", "-l", "111", "-t", "T5551234"}
			tx := start(t, "efax", append(args, g3...)...)
			if rc := tx.wait(7 * time.Minute); rc != 0 {
				t.Errorf("efax ended with %d", rc)
			}
			if rc := rx.wait(20 * time.Second); rc != exitOK {
				t.Errorf("receive ended with %d", rc)
			}
			files, _ := filepath.Glob(filepath.Join(out, "*.tif"))
			if len(files) != 1 {
				t.Fatalf("files %v", files)
			}
			samePages(t, repoFile(t, letter), files[0], 40) // efax puts a header band of 20 rows or so on top
		})
	}
}

// startTwoModems is a softline with two modems; 20 ms of delay, without which efax answers before its caller listens.
func startTwoModems(t *testing.T) (*softline, string) {
	t.Helper()
	pty := filepath.Join(t.TempDir(), "ttyEfax")
	return startSoftline(t, "modem:"+pty, "--delay", "20"), pty
}

// g3Pages makes one bare T.4 file per page, ending in RTC, which is what efax wants.
func g3Pages(t *testing.T, tif string) []string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("tiffsplit", tif, filepath.Join(dir, "p")).CombinedOutput(); err != nil {
		t.Fatalf("tiffsplit: %v %s", err, out)
	}
	pages, _ := filepath.Glob(filepath.Join(dir, "p*.tif"))
	var files []string
	for _, p := range pages {
		out, err := exec.Command("sh", "-c", "tifftopnm "+p+" 2>/dev/null | pbmtog3").Output()
		if err != nil {
			t.Fatalf("pbmtog3: %v", err)
		}
		f := strings.TrimSuffix(p, ".tif") + ".g3"
		if err := os.WriteFile(f, out, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}
