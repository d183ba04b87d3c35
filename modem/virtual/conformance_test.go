package virtual_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

const testerNumber, deviceNumber = "5550200", "5550201"

// linePlan is one kind of modem and line that the scripts are played over.
type linePlan struct {
	modem virtual.ModemOptions
	line  virtual.Options
	grain time.Duration // beyond the tester's own
	tail  int           // flags that the tester sends after a V.21 signal's last frame; 0: 2
	// annexes leaves the further procedures out, which such a modem or line makes no difference to.
	annexes bool
	// leave are scripts that such a modem or line cannot pass, and why.
	leave map[string]string
}

// TestConformance plays every script of testdata/t30 against the engine over the Class 1 driver over a virtual modem: the
// AT layer, CED and CNG, the pauses and the preambles are in the test, which they are not in t30's own.
func TestConformance(t *testing.T) {
	playScripts(t, linePlan{modem: virtual.ModemOptions{OKAtCarrierEnd: true}})
}

// TestConformance_OKAtFrameEnd has a modem that says OK while the far end may still send flags, so that the device's pauses
// seem shorter.
func TestConformance_OKAtFrameEnd(t *testing.T) {
	playScripts(t, linePlan{
		grain: 25 * time.Millisecond, tail: 5,
		leave: map[string]string{"T30-5.3.6.1.3-DCS-reserved-rate": "the DCN comes before the tester's TCF, as far as its line is concerned"},
	})
}

// TestConformance_NoAdaptiveReception has a modem that says +FCERROR where V.21 comes in place of a page.
func TestConformance_NoAdaptiveReception(t *testing.T) {
	playScripts(t, linePlan{modem: virtual.ModemOptions{OKAtCarrierEnd: true, RefuseFAR: true}, annexes: true})
}

// TestConformance_SlowPort has a serial port that is hardly faster than the line, and a small buffer in the modem.
func TestConformance_SlowPort(t *testing.T) {
	playScripts(t, linePlan{modem: virtual.ModemOptions{OKAtCarrierEnd: true, Baud: 19200, Buffer: 1024}, grain: 20 * time.Millisecond, annexes: true})
}

// TestConformance_RestlessModem has a modem that makes false starts and ends +FRH=3 by itself.
func TestConformance_RestlessModem(t *testing.T) {
	playScripts(t, linePlan{
		modem: virtual.ModemOptions{OKAtCarrierEnd: true, FalseStarts: 3, ListenLimit: 700 * time.Millisecond}, grain: 20 * time.Millisecond,
		leave: map[string]string{
			"T30-5.3.6.1.7-slow-disk": "the device listens again only in the repeated EOP's last flags, and a false start loses it",
		},
	})
}

// TestConformance_Delay has a line overseas: 150 ms each way.
func TestConformance_Delay(t *testing.T) {
	const delay = 150 * time.Millisecond
	playScripts(t, linePlan{
		modem: virtual.ModemOptions{OKAtCarrierEnd: true}, line: virtual.Options{Delay: delay}, grain: 2 * delay, annexes: true,
	})
}

func playScripts(t *testing.T, plan linePlan) {
	t.Helper()
	if testing.Short() && t.Name() != "TestConformance" {
		t.Skip("one kind of modem will do")
	}
	files, err := filepath.Glob("../../testdata/t30/*.t30")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	cases, further := 0, 0
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := t30test.ParseScript(filepath.Base(name), f)
		f.Close()
		if err != nil {
			t.Error(err)
			continue
		}
		if plan.annexes && !s.Annex() {
			continue
		}
		if s.Annex() {
			cases++
		} else {
			further++
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if why := plan.leave[s.Name]; why != "" {
				t.Skip(why)
			}
			playScript(t, s, plan)
		})
	}
	t.Logf("%d TSB-85 / T.24 cases, %d further procedures", cases, further)
}

// callLimit bounds one scripted call, line time.
const callLimit = time.Hour

// playScript runs one script in virtual time.
func playScript(t *testing.T, s *t30test.Script, plan linePlan) {
	var log transcript
	var rep t30.Report
	var played, failed error
	d := s.Device()
	synctest.Test(t, func(t *testing.T) {
		log.zero = time.Now()
		ex := virtual.NewExchange(plan.line)
		defer ex.Close()
		vm := ex.NewModem(deviceNumber, plan.modem)
		port, err := vm.Open()
		if err != nil {
			t.Fatal(err)
		}
		device, err := modem.New(t.Context(), port, modem.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer device.Close()
		tester := &tester{Tester: ex.NewTester(testerNumber), grain: plan.grain}
		if plan.tail > 0 {
			tester.SetTail(plan.tail)
		}
		d.Session.Trace = log.add
		ctx, cancel := context.WithTimeout(t.Context(), callLimit)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { rep, failed = call(ctx, device, s, d) })
		if err := tester.connect(ctx, s); err != nil {
			played = err
		} else {
			played = s.Play(ctx, tester, d)
		}
		if played != nil {
			cancel()
		}
		if err := tester.Hangup(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		time.Sleep(time.Second) // both are on hook
		if n := vm.Stats().Underruns; n > 0 {
			t.Errorf("%s: the driver let a carrier run dry %d times", s.Name, n)
		}
	})
	switch {
	case played != nil:
	case failed != nil && rep.Code == t30.CodeModem:
		played = fmt.Errorf("%s: the device's own side failed: %w", s.Name, failed)
	default:
		played = s.Judge(rep, d)
	}
	if played != nil {
		t.Errorf("%v\ndevice: %v %q\n%s", played, rep.Code, rep.Text, log.String())
	}
}

// call is the device's side.
func call(ctx context.Context, device t30.Terminal, s *t30test.Script, d *t30test.Device) (t30.Report, error) {
	if !s.Answers {
		return device.Call(ctx, testerNumber, d.Session)
	}
	ring, err := device.WaitCall(ctx)
	if err != nil {
		return t30.Report{}, fmt.Errorf("waiting for the call: %w", err)
	}
	return ring.Answer(ctx, t30.AnswerFax, d.Session)
}

// tester is a virtual tester that hears CNG once: a caller repeats it until it hears V.21 (T.30 4.3.3.2).
type tester struct {
	*virtual.Tester
	grain time.Duration
	cng   bool
}

func (t *tester) Grain() time.Duration { return t.Tester.Grain() + t.grain }

// connect makes the call, from whichever side.
func (t *tester) connect(ctx context.Context, s *t30test.Script) error {
	if s.Answers {
		return t.Dial(ctx, deviceNumber)
	}
	return t.Answer(ctx)
}

func (t *tester) Hear(ctx context.Context, wait time.Duration) (*t30test.Signal, error) {
	deadline := time.Now().Add(wait)
	for {
		s, err := t.Tester.Hear(ctx, time.Until(deadline))
		if err == nil && s.Kind == t30test.SignalCNG && t.cng {
			continue
		}
		t.cng = t.cng || err == nil && s.Kind == t30test.SignalCNG
		return s, err
	}
}

// transcript is what the device tells of a call: AT lines, frames, places.
type transcript struct {
	zero time.Time
	mu   sync.Mutex
	rows []string
}

func (l *transcript) add(e t30.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = append(l.rows, fmt.Sprintf("%9.3f %-5s %s %s", e.At.Sub(l.zero).Seconds(), e.Layer, e.Dir, e.Text))
}

// transcriptRows is how much of the end is shown of a call that failed.
const transcriptRows = 80

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.rows[max(0, len(l.rows)-transcriptRows):], "\n")
}
