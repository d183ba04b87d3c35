package t30_test

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

// slowDocument is a document on a slow disk.
type slowDocument struct {
	*t30test.Document
	d time.Duration
}

func (s slowDocument) Sent(n int) error {
	time.Sleep(s.d)
	return s.Document.Sent(n)
}

func (s slowDocument) Confirmed(n int, r t30.PageResult) error {
	time.Sleep(s.d)
	return s.Document.Confirmed(n, r)
}

func (s slowDocument) Refused(n int, r t30.PageResult) error {
	time.Sleep(s.d)
	return s.Document.Refused(n, r)
}

// oneSource yields its document once.
type oneSource struct {
	t30.PageSource
	done bool
}

func (o *oneSource) Next(context.Context, t30.Remote) (t30.PageSource, error) {
	if o.done {
		return nil, io.EOF
	}
	o.done = true
	return o.PageSource, nil
}

// A disk that takes no longer than the pause costs no line time.
func TestSend_DiskWorkPassesInThePause(t *testing.T) {
	for _, ecm := range []bool{false, true} {
		var took [2]time.Duration
		for i, d := range []time.Duration{0, 50 * time.Millisecond} {
			doc, sink := t30test.NewDocument(1, 4, 400), judged(goodPage, badPage, badPage, badPage, goodPage)
			k := sending(t30test.Config{}, sink)
			k.caller.Send, k.caller.NoECM = &oneSource{slowDocument{doc, d}, false}, !ecm
			o := k.run(t)
			if o.sent.Sent < 3 {
				o.dump(t)
			}
			took[i] = o.took
		}
		if took[0] != took[1] {
			t.Errorf("ecm %v: %v with a fast disk, %v with a slow one", ecm, took[0], took[1])
		}
	}
}

// silences returns the lengths of the silences that we made, and of the TCFs.
func silences(r t30.Report) (pauses []time.Duration, tcf []time.Duration) {
	for _, s := range r.Spans {
		switch {
		case s.Kind == t30.KindSilence:
			pauses = append(pauses, s.Duration)
		case s.Kind == t30.KindTCF && s.Dir == t30.Out:
			tcf = append(tcf, time.Duration(s.Octets)*8*time.Second/time.Duration(s.Modulation.Rate))
		}
	}
	return pauses, tcf
}

// Pauses are brisk until a signal is lost, somewhat longer before a carrier; then they are the nominal 75 ms.
func TestPauses_BriskUntilASignalIsLost(t *testing.T) {
	none := func(t30test.Item) t30test.Fault { return t30test.None }
	for _, c := range []struct {
		name      string
		noECM     bool
		choose    func(t30test.Item) t30test.Fault
		trains    int
		sent, got int // from this pause on they are nominal
	}{
		{"nothing lost", false, none, 1, 99, 99},
		{"nothing lost, without ECM", true, none, 1, 99, 99},
		{"training fails", false, carrier("tcf", 1, 1, t30test.Corrupt), 2, 2, 99},
		{"CFR lost", false, nth(t30.FcfCFR, 1, 1, t30test.Drop), 2, 2, 99},
		{"MCF lost", false, nth(t30.FcfMCF, 1, 1, t30test.Drop), 1, 4, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, sink := t30test.NewDocument(1, 3, 400), &t30test.Sink{}
			k := sending(t30test.Config{Choose: c.choose}, sink, doc)
			k.caller.NoECM = c.noECM
			o := k.run(t)
			wantOK(t, o)
			pauses, tcf := silences(o.sent)
			if want := slices.Repeat([]time.Duration{1500 * ms}, c.trains); !slices.Equal(tcf, want) {
				t.Errorf("TCF of %v, want %v", tcf, want)
			}
			wantPauses(t, "sender", pauses[:len(pauses)-1], c.sent) // the last is after DCN
			if pauses[0] != 57*ms || c.sent > 2 && (pauses[1] != 69*ms || pauses[2] != 69*ms || pauses[3] != 57*ms) {
				t.Errorf("pauses before DCS, TCF, page and command: %v", pauses)
			}
			pauses, _ = silences(o.got)
			wantPauses(t, "receiver", pauses, c.got)
		})
	}
}

// wantPauses wants pauses to be brisk, and nominal from one on.
func wantPauses(t *testing.T, who string, pauses []time.Duration, nominal int) {
	t.Helper()
	for i, d := range pauses {
		ok := d == 57*ms || d == 69*ms && who == "sender"
		if i >= nominal {
			ok = d == 75*ms
		}
		if !ok {
			t.Errorf("%s: pause %d of %v: %v", who, i, d, pauses)
		}
	}
}
