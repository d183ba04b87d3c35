package appliance

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

func newAlarms(t *testing.T) *gateway.Alarms {
	t.Helper()
	st, err := store.Open(t.TempDir(), store.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	a, err := gateway.OpenAlarms(st, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSupervisor_RestartsWithBackoffAndAlarms(t *testing.T) {
	alarms := newAlarms(t)
	synctest.Test(t, func(t *testing.T) {
		s := &supervisor{log: slog.New(slog.DiscardHandler), alarms: alarms}
		ctx, cancel := context.WithCancel(t.Context())
		var starts []time.Duration
		begin := time.Now()
		s.start(ctx, "w", func(ctx context.Context) error {
			starts = append(starts, time.Since(begin))
			switch len(starts) {
			case 1:
				panic("bug")
			case 2:
				return errors.New("fault")
			case 3:
				return nil // ended by itself: a fault too
			}
			<-ctx.Done()
			return ctx.Err()
		})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(starts) != 4 || starts[1] != firstRestart || starts[2] != 3*firstRestart || starts[3] != 7*firstRestart {
			t.Errorf("started at %v", starts)
		}
		if list := alarms.List(); len(list) != 1 || list[0].Code != "worker/w" {
			t.Errorf("alarms %+v", list)
		}
		time.Sleep(goodRun)
		if list := alarms.List(); len(list) != 0 {
			t.Errorf("alarms after a good while: %+v", list)
		}
		cancel()
		if !s.wait(time.Second) {
			t.Error("the worker does not end")
		}
	})
}

func TestRetryPolicy_Overrides(t *testing.T) {
	p := retryPolicy(RetryConfig{BusyTries: 7, BusyIntervals: []Duration{Duration(time.Second), Duration(time.Minute)}, FailedTries: 4, Interval: Duration(time.Hour)})
	if d := p.Decide(t30.CodeBusy, 2, queue.Hint{}); d.Final || d.After != time.Minute {
		t.Errorf("busy: %+v", d)
	}
	if !p.Decide(t30.CodeBusy, 7, queue.Hint{}).Final || p.Decide(t30.CodeBusy, 6, queue.Hint{}).Final {
		t.Error("busy tries are not 7")
	}
	if d := p.Decide(t30.CodeTraining, 3, queue.Hint{}); d.Final || d.After != time.Hour {
		t.Errorf("training: %+v", d)
	}
	built := queue.DefaultPolicy()
	if d := retryPolicy(RetryConfig{}).Decide(t30.CodeNoAnswer, 1, queue.Hint{}); d.After != built.Retries[queue.ClassNoAnswer].After[0] {
		t.Errorf("nothing overridden, but no answer waits %v", d.After)
	}
}

func TestDialRule_OfACountry(t *testing.T) {
	for country, want := range map[string]queue.DialRule{"US": queue.DialRules["us"], "de": queue.DialRules["eu"], "NZ": queue.DialRules["nz"], "ZZ": queue.DialRules["us"]} {
		if got := dialRule(country); got != want {
			t.Errorf("%s: %+v", country, got)
		}
	}
}

func TestLiveLine(t *testing.T) {
	l := newLiveLine(LineConfig{Name: "one"})
	l.begin(control.LineCalling, control.Call{Direction: "out", Number: "555"})
	for range keptEvents + 10 {
		l.trace(t30.Event{Layer: t30.LayerAT, Text: "AT"})
	}
	l.trace(t30.Event{Layer: t30.LayerFrame, Text: "DCS v17/14400"})
	v := l.view()
	if v.Call.Phase != "training" || len(v.Call.Transcript) != 1 || v.Call.Transcript[0].Layer != "frame" {
		t.Errorf("%+v", v.Call)
	}
	if n := len(l.transcript()); n > keptEvents || n < keptEvents/2 {
		t.Errorf("%d events kept", n)
	}
	l.end(t30.CodeBusy, "busy", t30.Report{Code: t30.CodeBusy})
	if v := l.view(); v.Call != nil || v.Last == nil || v.Last.Code != int(t30.CodeBusy) || v.State != control.LineIdle {
		t.Errorf("%+v", v)
	}
}
