package queue

import (
	"testing"
	"time"

	"github.com/tipring/tipring/t30"
)

func TestDecide(t *testing.T) {
	m := time.Minute
	tests := []struct {
		code  t30.Code
		after []time.Duration // pauses after the first, second, ... try; then it is final
	}{
		{t30.CodeBusy, []time.Duration{3 * m, 5 * m, 10 * m, 20 * m}},
		{t30.CodeNoAnswer, []time.Duration{10 * m}},
		{t30.CodeNoCarrier, []time.Duration{10 * m}},
		{t30.CodeVoice, []time.Duration{5 * m}},
		{t30.CodeNotInService, nil},
		{t30.CodePassword, nil},
		{t30.CodeCannotReceive, []time.Duration{5 * m, 15 * m}},
		{t30.CodeTraining, []time.Duration{m, 3 * m}},
		{t30.CodeNoReplyPage, []time.Duration{m, 3 * m}},
	}
	p := DefaultPolicy()
	for _, tt := range tests {
		for i, want := range tt.after {
			if d := p.Decide(tt.code, i+1, Hint{}); d.Final || d.After != want {
				t.Errorf("%v, try %d: %+v, want a pause of %v", tt.code, i+1, d, want)
			}
		}
		if d := p.Decide(tt.code, len(tt.after)+1, Hint{}); !d.Final {
			t.Errorf("%v, try %d: %+v, want final", tt.code, len(tt.after)+1, d)
		}
	}
}

// Two machines that found each other busy do not call again at the same moment.
func TestSpread(t *testing.T) {
	p, seen := DefaultPolicy(), map[time.Duration]bool{}
	for range 100 {
		d := p.spread(t30.CodeBusy, 3*time.Minute)
		if d < 3*time.Minute || d > 3*time.Minute+90*time.Second {
			t.Fatalf("pause %v", d)
		}
		seen[d.Round(time.Second)] = true
	}
	if len(seen) < 30 {
		t.Errorf("only %d different pauses", len(seen))
	}
	if d := p.spread(t30.CodeTraining, time.Minute); d != time.Minute {
		t.Errorf("after training: %v", d)
	}
}

func TestDecide_Hints(t *testing.T) {
	p := DefaultPolicy()
	if d := p.Decide(t30.CodeECMGivenUp, 1, Hint{}); d.Hint != (Hint{MaxRate: 9600}) {
		t.Errorf("after ECM gave up: %+v", d.Hint)
	}
	if d := p.Decide(t30.CodeECMGivenUp, 2, Hint{MaxRate: 9600}); d.Hint != (Hint{MaxRate: 4800, NoECM: true}) {
		t.Errorf("after ECM gave up twice: %+v", d.Hint)
	}
	if d := p.Decide(t30.CodeTraining, 2, Hint{MaxRate: 9600}); d.Hint != (Hint{MaxRate: 4800}) {
		t.Errorf("second failure: %+v", d.Hint)
	}
	if d := p.Decide(t30.CodeTraining, 1, Hint{MaxRate: 4800, NoECM: true}); d.Hint != (Hint{MaxRate: 4800, NoECM: true}) {
		t.Errorf("a hint must not get faster again: %+v", d.Hint)
	}
	if d := p.Decide(t30.CodeBusy, 1, Hint{MaxRate: 4800}); d.Hint.MaxRate != 4800 {
		t.Errorf("busy lost the hint: %+v", d.Hint)
	}
}

// TestPolicy_EveryCodeIsBounded: no way to end is retried for ever, and each has a sentence.
func TestPolicy_EveryCodeIsBounded(t *testing.T) {
	p := DefaultPolicy()
	for c := range t30.Code(64) {
		if d := p.Decide(c, 1000, Hint{}); !d.Final {
			t.Errorf("%v is retried after 1000 tries", c)
		}
		if s := Explain(c); len(s) < 10 || s[len(s)-1] != '.' {
			t.Errorf("%v: %q is no sentence", c, s)
		}
	}
}

func TestFaster(t *testing.T) {
	p := DefaultPolicy().Faster(60)
	if d := p.Decide(t30.CodeBusy, 1, Hint{}); d.After != 3*time.Second {
		t.Errorf("busy after %v, want 3 s", d.After)
	}
	if d := DefaultPolicy().Decide(t30.CodeBusy, 1, Hint{}); d.After != 3*time.Minute {
		t.Errorf("the default changed: %v", d.After)
	}
}
