package t30

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tipring/tipring/t30/hdlc"
)

// frameBits counts what the ECM encoder, another piece of code, puts on the line.
func TestFrameBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 0; n < 300; n++ {
		f := Frame{Address, ControlFinal, byte(n)}
		for range n % 260 {
			c := byte(rng.Uint32())
			if n%3 == 0 {
				c |= byte(rng.Uint32()>>8) | byte(rng.Uint32()>>16) // runs of ones
			}
			f = append(f, c)
		}
		var enc hdlc.Encoder
		octets := len(enc.Flush(enc.Frame(nil, f)))
		if bits := int(frameBits(f)); octets != (bits+7)/8 {
			t.Fatalf("%d octets: %d bits, the encoder makes %d octets of it", len(f), bits, octets)
		}
	}
}

func TestTrainingTime(t *testing.T) {
	for m, want := range map[Modulation]time.Duration{
		{Scheme: V27ter, Rate: 2400}:            943 * time.Millisecond,
		{Scheme: V27ter, Rate: 4800}:            708 * time.Millisecond,
		{Scheme: V29, Rate: 9600}:               253 * time.Millisecond,
		{Scheme: V17, Rate: 7200}:               1393 * time.Millisecond,
		{Scheme: V17, Rate: 14400, Short: true}: 142 * time.Millisecond,
	} {
		if got := trainingTime(m); got != want {
			t.Errorf("%v trains for %v, want %v", m, got, want)
		}
	}
}

// A call of thousands of pages keeps its beginning and end, and the sums of its middle.
func TestSpanList_IsBounded(t *testing.T) {
	var l spanList
	start := time.Unix(1e9, 0)
	const n, each = 50000, 100 * time.Millisecond
	for i := range n {
		d := Share{Part: PartData, Dir: Out, Time: each - time.Millisecond, Least: each / 2}
		p := Share{Part: PartPause, Dir: Out, Time: time.Millisecond}
		l.add(Span{Start: start.Add(time.Duration(i)*each + time.Millisecond), Before: time.Millisecond, Duration: each - time.Millisecond, Kind: KindPage,
			Octets: 7, Shares: []Share{d, p}})
	}
	list := l.all()
	if len(list) > maxSpans/2+maxSpans+1 {
		t.Fatalf("%d spans kept", len(list))
	}
	at, octets, merged := start, int64(0), 0
	for i, s := range list {
		if !s.Start.Add(-s.Before).Equal(at) {
			t.Fatalf("span %d begins at %v, the one before ended at %v", i, s.Start.Sub(start), at.Sub(start))
		}
		at = s.Start.Add(s.Duration)
		octets += s.Octets
		merged += max(1, s.Merged)
	}
	if merged != n || octets != 7*n {
		t.Errorf("%d spans with %d octets", merged, octets)
	}
	measured, least := SumParts(Breakdown(Report{Start: start, End: at, Spans: list}), Out)
	if measured != n*each || least != n*each/2 || at.Sub(start) != n*each {
		t.Errorf("%v measured, at least %v", measured, least)
	}
}

// A far end that sends frame after frame in one signal fills no memory.
func TestTimed_TextIsBounded(t *testing.T) {
	tl := newTimed(nil, time.Now())
	f := NewFrame(FcfNSF, false, false, make([]byte, 200)...)
	tl.add(time.Now(), Span{Dir: In, Kind: KindFrames}, func(s *Span) { tl.turn.gotFrame(s, f) })
	for range 1000 {
		if !tl.extend(f) {
			t.Fatal("not the same signal")
		}
	}
	_, list := tl.report()
	if len(list) != 1 || len(list[0].Text) > maxSpanText+300 {
		t.Errorf("%d spans, text of %d", len(list), len(list[0].Text))
	}
}

// Records of calls are read for years.
func TestSpan_JSON(t *testing.T) {
	s := Span{Start: time.Unix(1e9, 0).UTC(), Before: 1, Duration: 2, Dir: Out, Kind: KindTCF, Octets: 3, Modulation: Modulation{Scheme: V17, Rate: 14400},
		Shares: []Share{{Part: PartTCF, Dir: Out, Time: 2, Least: 1}}}
	const want = `{"start":"2001-09-09T01:46:40Z","before":1,"duration":2,"dir":"\u003e","kind":"tcf","octets":3,` +
		`"modulation":{"scheme":4,"rate":14400},"shares":[{"part":"TCF","dir":"\u003e","time":2,"least":1}]}`
	b, err := json.Marshal(s)
	if err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}
