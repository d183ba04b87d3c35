package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/recording"
)

// TestModem_TestSaysWhatIsThere: on a virtual modem behind a pty: findings, exit status, the support file; and a port that is in use.
func TestModem_TestSaysWhatIsThere(t *testing.T) {
	t.Parallel()
	l := runTestLine(t)
	device, support := filepath.Join(l.dir, "ttyF0"), filepath.Join(t.TempDir(), "support.rec")
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"modem", "test", device, "--json", "--record", support}, streams{out: &out, err: &errs}); status != exitOK {
		t.Errorf("status %d: %s", status, errs.String())
	}
	var got tested
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if got.Line != "dial tone" || got.Modem == nil || got.Modem.MaxRate != 14400 || got.Modem.FlowControl == "" || got.Modem.CallerID == "" || len(got.Modem.Modulations) != 3 {
		t.Errorf("%+v", got)
	}
	for _, f := range got.Findings {
		if !f.OK || f.Text == "" || f.Remedy != "" {
			t.Errorf("finding %+v", f)
		}
	}
	f, err := os.Open(support)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if rec, err := recording.Parse(f); err != nil || len(rec.Steps()) != 4 { // open, opened, test, tested
		t.Errorf("support file: %+v, %v", rec, err)
	}
	port, err := modem.OpenPort(device)
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	out.Reset()
	status := run(t.Context(), []string{"modem", "test", device}, streams{out: &out, err: &errs})
	if status != exitLocal || !strings.Contains(out.String(), "in use") || !strings.Contains(out.String(), "stop it") {
		t.Errorf("busy port: status %d, %s", status, out.String())
	}
	l.stop()
}

// Every state of the line has its sentence, and all but dial tone a remedy.
func TestModem_LineFindings(t *testing.T) {
	seen := map[string]bool{}
	for s := modem.LineUnclear; s <= modem.LineCongested; s++ {
		f := lineFinding(s, "WHAT")
		if f.Text == "" || seen[f.Text] || f.OK != (s == modem.LineTone) || (f.Remedy == "") != f.OK {
			t.Errorf("%v: %+v", s, f)
		}
		seen[f.Text] = true
	}
}

// TestModem_ProbeV34: a modem's V.34 fax is told, and that nobody has tried it on hardware.
func TestModem_ProbeV34(t *testing.T) {
	t.Parallel()
	l := runTestLine(t, "--modem", "5550100:generic", "--modem", "5550101:superg3")
	for i, want := range []string{"not offered by the modem", "off unless v34 = true in [[line]], and not yet tried on hardware"} {
		var out, errs bytes.Buffer
		device := filepath.Join(l.dir, "ttyF"+strconv.Itoa(i))
		if status := run(t.Context(), []string{"modem", "probe", device}, streams{out: &out, err: &errs}); status != exitOK || !strings.Contains(out.String(), want) {
			t.Errorf("status %d: %s%s", status, out.String(), errs.String())
		}
	}
	l.stop()
}
