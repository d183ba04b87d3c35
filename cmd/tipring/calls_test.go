package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance"
	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew")

// wantGolden holds output against testdata/calls/name.
func wantGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "calls", name)
	if *updateGolden {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", name, got)
	}
}

const ms = time.Millisecond

// aReport is a call of one page whose first MCF was lost.
func aReport(start time.Time) t30.Report {
	r := t30.Report{Code: t30.CodeOK, Sent: 1, Start: start, Connect: start.Add(9 * time.Second), ECM: true,
		Modulation: t30.Modulation{Scheme: t30.V17, Rate: 14400, Short: true}, Format: t30.PageFormat{Coding: t30.MMR, Resolution: t30.Fine},
		Remote: t30.Remote{ID: "+1 555 0142"}}
	at := start
	add := func(before, d time.Duration, s t30.Span, shares ...t30.Share) {
		s.Start, s.Before, s.Duration, s.Shares = at.Add(before), before, d, shares
		at = at.Add(before + d)
		r.Spans = append(r.Spans, s)
	}
	v21 := func(dir t30.Dir, frames time.Duration, rest t30.Share, again bool) []t30.Share {
		list := []t30.Share{{Part: t30.PartPreamble, Dir: dir, Time: 1000 * ms, Least: 850 * ms}, {Part: t30.PartFrames, Dir: dir, Time: frames, Least: frames}, rest}
		if again {
			list[0].Least, list[1].Least = 0, 0
		}
		return list
	}
	late := t30.Share{Part: t30.PartModem, Dir: t30.Out, Time: 13 * ms}
	idle := t30.Share{Part: t30.PartThinking, Dir: t30.In, Time: 100 * ms}
	pause := t30.Share{Part: t30.PartPause, Dir: t30.Out, Time: 57 * ms, Least: 55 * ms}
	fast := t30.Modulation{Scheme: t30.V17, Rate: 14400}
	short := t30.Modulation{Scheme: t30.V17, Rate: 14400, Short: true}
	add(0, 9*time.Second, t30.Span{Dir: t30.Note, Kind: t30.KindDial}, t30.Share{Part: t30.PartDial, Dir: t30.Note, Time: 9 * time.Second})
	add(0, 2167*ms, t30.Span{Dir: t30.In, Kind: t30.KindFrames, Text: "CSI +1 555 0142, DIS v27ter v29 v17 mr mmr standard fine ecm 0s/line"}, v21(t30.In, 1067*ms, idle, false)...)
	add(0, 57*ms, t30.Span{Dir: t30.Note, Kind: t30.KindSilence}, pause)
	add(0, 1990*ms, t30.Span{Dir: t30.Out, Kind: t30.KindFrames, Text: "TSI +49 30 5550100, DCS v17/14400 mmr fine ecm/256"}, v21(t30.Out, 977*ms, late, false)...)
	add(0, 57*ms, t30.Span{Dir: t30.Note, Kind: t30.KindSilence}, pause)
	add(0, 2906*ms, t30.Span{Dir: t30.Out, Kind: t30.KindTCF, Modulation: fast, Octets: 2700}, t30.Share{Part: t30.PartTraining, Dir: t30.Out, Time: 1393 * ms, Least: 1393 * ms},
		t30.Share{Part: t30.PartTCF, Dir: t30.Out, Time: 1500 * ms, Least: 1350 * ms}, late)
	add(0, 1270*ms, t30.Span{Dir: t30.In, Kind: t30.KindFrames, Text: "CFR"}, v21(t30.In, 170*ms, idle, false)...)
	add(2*ms, 5900*ms, t30.Span{Dir: t30.Out, Kind: t30.KindBlock, Modulation: short, Octets: 9728, Text: "38 frames"},
		t30.Share{Part: t30.PartThinking, Dir: t30.Out, Time: 2 * ms}, t30.Share{Part: t30.PartTraining, Dir: t30.Out, Time: 142 * ms, Least: 142 * ms},
		t30.Share{Part: t30.PartFraming, Dir: t30.Out, Time: 341 * ms, Least: 341 * ms}, t30.Share{Part: t30.PartData, Dir: t30.Out, Time: 5404 * ms, Least: 5404 * ms},
		t30.Share{Part: t30.PartModem, Dir: t30.Out, Time: 13 * ms})
	add(0, 1293*ms, t30.Span{Dir: t30.Out, Kind: t30.KindFrames, Text: "PPS-EOP page 0 block 0 frames 38"}, v21(t30.Out, 280*ms, late, false)...)
	add(0, 3100*ms, t30.Span{Dir: t30.In, Kind: t30.KindWait, Text: "nothing heard"}, t30.Share{Part: t30.PartWaiting, Dir: t30.In, Time: 3100 * ms})
	add(0, 1293*ms, t30.Span{Dir: t30.Out, Kind: t30.KindFrames, Text: "PPS-EOP page 0 block 0 frames 38", Again: true}, v21(t30.Out, 280*ms, late, true)...)
	add(0, 1267*ms, t30.Span{Dir: t30.In, Kind: t30.KindFrames, Text: "MCF"}, v21(t30.In, 167*ms, idle, false)...)
	add(0, 1183*ms, t30.Span{Dir: t30.Out, Kind: t30.KindFrames, Text: "DCN"}, v21(t30.Out, 170*ms, late, false)...)
	add(0, 20*ms, t30.Span{Dir: t30.Out, Kind: t30.KindHangup}, t30.Share{Part: t30.PartHangup, Dir: t30.Out, Time: 20 * ms})
	r.End = at.Add(5 * ms) // 5 ms that nobody measured
	return r
}

// folderWith makes a data folder with the calls of some reports and returns their ids.
func folderWith(t *testing.T, list ...queue.Call) (dir string, ids []string) {
	t.Helper()
	dir = t.TempDir()
	err := withFolder(dir, func(st *store.Store) error {
		for _, c := range list {
			id, err := queue.NewCallLog(st).Record(c, []t30.Event{{At: c.Start.Add(1500 * ms), Layer: t30.LayerAT, Dir: t30.Out, Text: "AT+FTH=3"}})
			if err != nil {
				return err
			}
			ids = append(ids, string(id))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, ids
}

// calls runs the command.
func callsCommand(args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	status = run(context.Background(), append([]string{"calls"}, args...), streams{nil, &o, &e})
	return status, o.String(), e.String()
}

func TestCallsShow_Golden(t *testing.T) {
	start := time.Date(2026, 11, 22, 15, 0, 0, 0, time.Local)
	c := queue.CallOf("east", true, "5550142", aReport(start))
	c.Job = "0job"
	busy := queue.CallOf("", true, "5550199", t30.Report{Code: t30.CodeBusy, Text: "BUSY", Start: start, End: start.Add(6 * time.Second)})
	shared := queue.CallOf("east", true, "5550142", t30.Report{Code: t30.CodeHungUpC, Sent: 3, Start: start, End: start.Add(90 * time.Second)})
	shared.Job, shared.Jobs = "0job", []queue.CallJob{{Job: "0job", Code: t30.CodeOK, Pages: 2}, {Job: "1job", Code: t30.CodeHungUpC, Pages: 1}}
	dir, ids := folderWith(t, c, busy, shared)
	var all bytes.Buffer
	for _, args := range [][]string{{"show", ids[0]}, {"show", ids[0], "--trace"}, {"show", ids[1]}, {"show", ids[2]}, {"list"}, {"list", "--limit", "1"}} {
		status, out, errs := callsCommand(append(args, "--data", dir)...)
		if status != exitOK || errs != "" {
			t.Fatalf("%q: status %d, %s", args, status, errs)
		}
		if len(args) == 3 && args[2] == "--trace" { // only the end of it
			out = out[strings.LastIndex(out, "\n\n"):]
		}
		all.WriteString("$ tipring calls " + strings.Join(args, " ") + "\n" + out + "\n")
	}
	text := strings.NewReplacer(ids[0], "000000001", ids[1], "000000002", ids[2], "000000003").Replace(all.String())
	wantGolden(t, "show.golden", []byte(text))
}

func TestCallJobs(t *testing.T) {
	for n, want := range []string{"", "1", "1,2", "1,2,3", "1,2,3,4", "1,2,3,+2", "1,2,3,+3"} {
		var c control.CallRecord
		for i := range n {
			c.Jobs = append(c.Jobs, control.CallJob{ID: fmt.Sprint(i + 1)})
		}
		if got := callJobs(c); got != want {
			t.Errorf("%d jobs: %q, want %q", n, got, want)
		}
	}
}

// The parts of the JSON add up to the call, and hold what the table shows.
func TestCallsShow_JSON(t *testing.T) {
	dir, ids := folderWith(t, queue.CallOf("east", true, "5550142", aReport(time.Now())))
	status, out, _ := callsCommand("show", ids[0], "--json", "--data", dir)
	var c control.CallRecord
	if err := json.Unmarshal([]byte(out), &c); err != nil || status != exitOK {
		t.Fatal(status, err, out)
	}
	sum := 0.0
	seen := map[string]control.Part{}
	for _, p := range c.Parts {
		sum += p.Seconds
		seen[string(p.Side)+" "+p.Name] = p
	}
	if math.Abs(sum-c.Seconds) > 1e-6 || c.ID != ids[0] || c.Direction != "out" || len(c.Signals) != 14 || c.Transcript != nil {
		t.Errorf("parts of %.6f s in %+v", sum, c)
	}
	if p := seen["ours page data"]; p.Seconds != 5.404 || p.Least != 5.404 || p.Clause == "" {
		t.Errorf("page data %+v", p)
	}
	if p := seen["nobody unexplained"]; math.Abs(p.Seconds-0.005) > 1e-9 {
		t.Errorf("the rest %+v", p)
	}
	if p := seen["ours V.21 preamble"]; math.Abs(p.Least-3*0.85) > 1e-9 {
		t.Errorf("preamble with one signal sent again %+v", p)
	}
}

func TestCalls_Errors(t *testing.T) {
	dir, ids := folderWith(t, queue.CallOf("east", true, "1", aReport(time.Now())))
	empty := t.TempDir()
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"show zzz --data " + dir, exitUsage, "not found"},
		{"show --data " + dir, exitUsage, "cannot do"},
		{"fly --data " + dir, exitUsage, "cannot do"},
		{"list extra --data " + dir, exitUsage, "cannot do"},
		{"--limit 0 --data " + dir, exitUsage, "--limit 0"},
		{"--data " + empty, exitLocal, "no appliance runs"},
		{"--data " + empty + "/none", exitLocal, "no appliance runs"},
	} {
		if status, out, errs := callsCommand(strings.Fields(c.args)...); status != c.status || !strings.Contains(errs, c.says) || out != "" {
			t.Errorf("calls %s: status %d, want %d, said %q %q", c.args, status, c.status, errs, out)
		}
	}
	if store.Exists(empty) {
		t.Error("looking for calls made a database")
	}
	// Another process that is no appliance has the folder open.
	st, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if status, _, errs := callsCommand("--data", dir); status != exitLocal || !strings.Contains(errs, "another process") {
		t.Errorf("locked: %d %q", status, errs)
	}
	// A transcript that is gone costs the details, not the rest of the list.
	c, err := queue.NewCallLog(st).Call(queue.CallID(ids[0]))
	if err == nil {
		err = st.Remove(c.Transcript)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := appliance.CallRecord(queue.NewCallLog(st), ids[0], false); err == nil {
		t.Error("a lost transcript is not told of")
	}
	st.Close()
	if status, out, _ := callsCommand("--data", dir); status != exitOK || !strings.Contains(out, ids[0]) {
		t.Errorf("list: %d %q", status, out)
	}
}

// A call between two modems leaves a record on both sides, whose parts add up.
func TestCalls_OneOffCallsAreRecorded(t *testing.T) {
	line := runTestLine(t, "--speed", "20", "--script", "5550199=busy")
	data := []string{t.TempDir(), t.TempDir()}
	out, page := t.TempDir(), filepath.Join("..", "..", "testdata", "pages", "letter3.tif")
	got := make(chan int, 1)
	var errs [3]bytes.Buffer
	go func() {
		args := []string{"receive", "--modem", filepath.Join(line.dir, "ttyF1"), "--out", out, "--id", "5550101", "--data", data[1]}
		got <- run(t.Context(), args, streams{nil, &bytes.Buffer{}, &errs[1]})
	}()
	send := func(to string, errs *bytes.Buffer) int {
		args := []string{"send", "--modem", filepath.Join(line.dir, "ttyF0"), "--to", to, "--id", "5550100", "--data", data[0], page}
		return run(t.Context(), args, streams{nil, &bytes.Buffer{}, errs})
	}
	if status := send("5550199", &errs[0]); status != exitLine {
		t.Errorf("busy: status %d: %s", status, errs[0].String())
	}
	if status := send("5550101", &errs[2]); status != exitOK {
		t.Errorf("send: status %d: %s", status, errs[2].String())
	}
	if status := <-got; status != exitOK {
		t.Errorf("receive: status %d: %s", status, errs[1].String())
	}
	for i, want := range []struct {
		codes []t30.Code // newest first
		says  []string
	}{
		{[]t30.Code{t30.CodeOK, t30.CodeBusy}, []string{"> TSI 5550100, DCS v17/14400", "< MCF", "dialing", "page data", "AT+FTH=3", "dcs -> train-reply", "place"}},
		{[]t30.Code{t30.CodeOK}, []string{"< TSI 5550100, DCS v17/14400", "> MCF", "answering", "page data", "AT+FRH=3", "settings -> tcf", "place"}},
	} {
		_, out, _ := callsCommand("--json", "--data", data[i])
		var list []control.CallRecord
		if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != len(want.codes) {
			t.Fatalf("%d: %v %s", i, err, out)
		}
		for n, c := range list {
			if c.Code != int(want.codes[n]) {
				t.Errorf("call %d of %d: %+v", n, i, c)
			}
		}
		_, out, _ = callsCommand("show", list[0].ID, "--trace", "--data", data[i])
		for _, s := range want.says {
			if !strings.Contains(out, s) {
				t.Errorf("%q is not in\n%s", s, out)
			}
		}
		if n := strings.Count(out, "AT+FTH=3"); n == 0 || n > 6 {
			t.Errorf("AT+FTH=3 stands there %d times", n) // once for each signal of ours, not twice
		}
		if strings.Contains(out, string(t30.PartRest)) {
			t.Errorf("unexplained seconds:\n%s", out)
		}
	}
}
