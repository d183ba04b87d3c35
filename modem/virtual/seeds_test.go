package virtual_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

var (
	seeds    = flag.Uint64("seeds", 100, "random lines and modems to call over")
	seedFrom = flag.Uint64("seed", 1, "the first of them")
)

// pick picks one.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// randomFaults is the line of a seed; many have only a few kinds of faults.
func randomFaults(r *rand.Rand, seed uint64) virtual.Faults {
	f := virtual.Faults{
		Seed: seed, BER: pick(r, 0, 0, 1e-6, 1e-5, 5e-5, 2e-4), ControlBER: pick(r, 0, 0, 2e-4, 1e-3, 3e-3),
		TrainRate: pick(r, 0, 0, 0, 9600, 4800, 2400),
	}
	for range pick(r, 0, 0, 1, 3) {
		f.Hits = append(f.Hits, virtual.Hit{Page: r.IntN(4), At: time.Duration(r.IntN(5000)) * time.Millisecond, Length: time.Duration(r.IntN(1500)) * time.Millisecond})
	}
	switch r.IntN(8) {
	case 0:
		f.DropAfter = time.Duration(5+r.IntN(120)) * time.Second
	case 1:
		f.DropPage, f.DropPageAfter = 1+r.IntN(4), time.Duration(r.IntN(4000))*time.Millisecond
	}
	return f
}

// randomModem is a modem of a seed.
func randomModem(r *rand.Rand) virtual.ModemOptions {
	return virtual.ModemOptions{
		CallerID: true, MaxRate: pick(r, 0, 0, 0, 9600, 4800), NoV17: r.IntN(6) == 0, Buffer: pick(r, 0, 0, 512, 1024),
		OKAtCarrierEnd: r.IntN(2) == 0, ListenLimit: pick(r, 0, 0, 30*time.Second), FalseStarts: pick(r, 0, 0, 0, 5), RefuseFAR: r.IntN(3) == 0,
	}
}

// randomOffice is newOffice with the modems of a seed.
func randomOffice(t *testing.T, r *rand.Rand, seed uint64) *office {
	t.Helper()
	f := &office{t: t, ex: virtual.NewExchange(virtual.Options{Delay: time.Duration(r.IntN(6)) * 50 * time.Millisecond, Faults: randomFaults(r, seed)})}
	for i, number := range []string{callerNumber, calleeNumber} {
		f.vm[i] = f.ex.NewModem(number, randomModem(r))
		port, err := f.vm[i].Open()
		if err != nil {
			t.Fatal(err)
		}
		m, err := modem.New(t.Context(), port, modem.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			f.caller = m
		} else {
			f.callee = m
		}
	}
	return f
}

// TestDriver_RandomFaults holds the promises over lines and modems at their worst, AT layer and all, as t30's test of that name does over
// the simulated wire. More in `make soak`; a seed replays with go test -run RandomFaults -seed N -seeds 1.
func TestDriver_RandomFaults(t *testing.T) {
	whole, failed := 0, 0
	for seed := *seedFrom; seed < *seedFrom+*seeds && failed < 10; seed++ {
		ok := t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if randomDriverCall(t, seed) {
					whole++
				}
			})
		})
		if !ok {
			failed++
		}
	}
	t.Logf("%d of %d calls ended well", whole, *seeds)
	if *seeds >= 100 && uint64(whole) < *seeds/5 {
		t.Errorf("only %d of %d calls ended well", whole, *seeds)
	}
}

// randomDriverCall makes the call of a seed, and tells whether it ended well.
func randomDriverCall(t *testing.T, seed uint64) bool {
	r := rand.New(rand.NewPCG(seed, 0xfa48))
	f := randomOffice(t, r, seed)
	defer f.close()
	ecm := r.IntN(2) == 0
	docs := func(from uint64, n int) (out []*t30test.Document) {
		for i := range n {
			out = append(out, t30test.NewDocument(from+uint64(i), 1+r.IntN(3), pick(r, 5, 50, 200, 300, 1000)))
		}
		return out
	}
	there := docs(seed*100, 1+r.IntN(2))
	var back []*t30test.Document
	there2, back2 := &t30test.Sink{}, &t30test.Sink{}
	var log [2][]string
	start := time.Now()
	record := func(to *[]string) func(t30.Event) {
		return func(e t30.Event) {
			*to = append(*to, fmt.Sprintf("%7.2f %s %-5s %s", e.At.Sub(start).Seconds(), e.Dir, e.Layer, e.Text))
		}
	}
	out := t30.Session{Me: t30.Station{ID: "1"}, Send: t30test.Docs(there...), NoECM: !ecm, Trace: record(&log[0])}
	in := t30.Session{Me: t30.Station{ID: "2"}, Sink: there2, Trace: record(&log[1])}
	if r.IntN(4) == 0 {
		back = docs(seed*100+50, 1)
		out.Poll, out.Sink, in.Send = &t30.Poll{}, back2, t30test.Docs(back...)
	}
	sent, got := f.call(f.caller, f.callee, calleeNumber, out, in)
	for _, err := range (t30test.Passage{Docs: there, Sink: there2, Sent: sent, Got: got, ECM: ecm, Again: t30test.PhaseBAgain(log[0])}).Broken() {
		t.Errorf("sent: %v", err)
	}
	for _, err := range (t30test.Passage{Docs: back, Sink: back2, Sent: got, Got: sent, ECM: ecm, Again: t30test.PhaseBAgain(log[1])}).Broken() {
		t.Errorf("polled: %v", err)
	}
	if took := time.Since(start); took > 2*time.Hour {
		t.Errorf("the call took %v", took)
	}
	if t.Failed() {
		t.Logf("caller %v %q, answerer %v %q, ecm %v", sent.Code, sent.Text, got.Code, got.Text, ecm)
		t.Logf("caller:\n%s\nanswerer:\n%s", strings.Join(log[0], "\n"), strings.Join(log[1], "\n"))
	}
	// Whatever it was, the modems are good for another call.
	f.ex.SetFaults(virtual.Faults{})
	again := t30test.NewDocument(seed*100+99, 1, 50)
	if rep, _, kept := f.fax(again, 0, false); !rep.OK() || len(kept) != 1 {
		t.Errorf("the call after it: %v %q, %d pages kept", rep.Code, rep.Text, len(kept))
	}
	return sent.OK()
}
