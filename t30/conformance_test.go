package t30_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// annexCases are the cases of TSB-85 / ITU-T T.24 that are told in testdata/t30, by annex: A receive, B capability receive,
// C ECM receive, D exceptions, E polling receive, F to J the same for sending.
const annexCases = `
MRGN01 MRGN03 MRGN05 MRGN06b MRGN08 MRGN10 MRGN12 MRGN14 MRGN16 ORGC01 ORGC03 OREN02 OREN04 OREN06 OREN08 OREN10
MRGX02 MRGX04 MRGX06 MRGX08 MRGX10 MRGX12 MRGX14 MTGP01 OTGP03 MTGN02 MTGN04 MTGN06 MTGN08 MTGN10 MTGN12 MTGN14 MTGN16
MTGN18 MTGN20 MTGN22 MTGN24 MTGN26 MTGN28 OTGC02 OTGC04 OTGC06 OTGC08 OTGC09-02 OTGC09-04 OTGC09-06 OTGC09-08
OTGC09-10 OTGC09-12 OTGC11 OTEN02 OTEN04 OTEN06 MTGX02 MTGX04 MTGX06 MTGX08 MTGX10 MTGX12 MTGX14 MTGX16 MTGX18 MTGX20
MTGX22 MRGP01 MRGP03 MRGP05 MRGP07 ORGP09
`

// TestConformance_Whole: no case gets lost.
func TestConformance_Whole(t *testing.T) {
	told := map[string]bool{}
	for _, s := range scripts(t) {
		told[s.Name] = true
	}
	names := strings.Fields(annexCases)
	if len(names) != 69 {
		t.Errorf("%d cases", len(names))
	}
	for _, n := range names {
		if !told[n] {
			t.Errorf("case %s has no script", n)
		}
		delete(told, n)
	}
	for n := range told {
		if !strings.HasPrefix(n, "T30-") {
			t.Errorf("%s is neither a case nor named by clause", n)
		}
	}
}

// scripts are the conformance cases, told in testdata/t30/README.md.
func scripts(t *testing.T) []*t30test.Script {
	t.Helper()
	files, err := filepath.Glob("../testdata/t30/*.t30")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	var out []*t30test.Script
	for _, f := range files {
		in, err := os.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		s, err := t30test.ParseScript(filepath.Base(f), in)
		in.Close()
		if err != nil {
			t.Error(err)
			continue
		}
		if s.Name != strings.TrimSuffix(filepath.Base(f), ".t30") {
			t.Errorf("%s tells case %q", f, s.Name)
		}
		out = append(out, s)
	}
	return out
}

// TestConformance plays every script straight into the engine.
func TestConformance(t *testing.T) { playScripts(t, t30test.Config{}) }

// TestConformance_Delay plays them over a line with 100 ms each way.
func TestConformance_Delay(t *testing.T) {
	playScripts(t, t30test.Config{Delay: 100 * time.Millisecond})
}

func playScripts(t *testing.T, line t30test.Config) {
	var played, passed [2]atomic.Int32
	t.Cleanup(func() { // when all are over
		fmt.Printf("conformance: %d of %d TSB-85 / T.24 cases, %d of %d further procedures\n",
			passed[1].Load(), played[1].Load(), passed[0].Load(), played[0].Load())
	})
	for _, s := range scripts(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			kind := 0
			if s.Annex() {
				kind = 1
			}
			played[kind].Add(1)
			playScript(t, s, line)
			if !t.Failed() {
				passed[kind].Add(1)
			}
		})
	}
}

// playScript runs one script in virtual time.
func playScript(t *testing.T, s *t30test.Script, line t30test.Config) {
	var log []string
	var rep t30.Report
	var played error
	d := s.Device()
	synctest.Test(t, func(t *testing.T) {
		a, b := t30test.Pair(line, t30test.All, t30test.All)
		session, tester := d.Session, a.Tester()
		session.Trace = recorder(t, &log)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if s.Answers {
				rep, _ = t30.Answer(ctx, b, session)
			} else {
				rep, _ = t30.Originate(ctx, a, session)
			}
		}()
		if !s.Answers {
			tester = b.Tester()
		}
		if played = s.Play(ctx, tester, d); played != nil {
			cancel()
		}
		_ = tester.Hangup()
		<-done
		time.Sleep(time.Second)
	})
	err := played
	if err == nil {
		err = s.Judge(rep, d)
	}
	if err != nil {
		t.Errorf("%v\n%v %q\n%s", err, rep.Code, rep.Text, strings.Join(log, "\n"))
	}
}
