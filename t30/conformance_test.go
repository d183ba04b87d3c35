package t30_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

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
func TestConformance(t *testing.T) {
	cases, further := 0, 0
	for _, s := range scripts(t) {
		if s.Annex() {
			cases++
		} else {
			further++
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			playScript(t, s)
		})
	}
	t.Logf("%d TSB-85 / T.24 cases, %d further procedures", cases, further)
}

// playScript runs one script in virtual time.
func playScript(t *testing.T, s *t30test.Script) {
	var log []string
	var rep t30.Report
	var played error
	d := s.Device()
	synctest.Test(t, func(t *testing.T) {
		a, b := t30test.Pair(t30test.Config{}, t30test.All, t30test.All)
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
