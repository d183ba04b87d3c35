package queue

import (
	"errors"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func report(code t30.Code, fax bool) Outcome {
	return Outcome{Report: t30.Report{Code: code, FaxHeard: fax, Start: noon}}
}

// TestLedger_Rules dials until the rule says no and counts; each call is a second after the rule's gap.
func TestLedger_Rules(t *testing.T) {
	tests := []struct {
		country string
		codes   []t30.Code // repeated; the last stays
		calls   int        // until the lock
	}{
		{"us", []t30.Code{t30.CodeNoAnswer}, 2},
		{"us", []t30.Code{t30.CodeBusy}, 15},
		{"us", []t30.Code{t30.CodeBusy, t30.CodeBusy, t30.CodeBusy, t30.CodeNoAnswer}, 4},
		{"au", []t30.Code{t30.CodeNoAnswer}, 3},
		{"nz", []t30.Code{t30.CodeBusy}, 10},
		{"eu", []t30.Code{t30.CodeNoAnswer}, 15},
	}
	for _, tt := range tests {
		q := open(t, Options{})
		rule := DialRules[tt.country]
		l := NewLedger(q.st, rule, nil)
		now, calls := noon, 0
		for ; calls < 100; calls++ {
			if err := l.Begin(now, "5550100"); err != nil {
				var r *RedialError
				if !errors.As(err, &r) || !errors.Is(err, ErrRedial) {
					t.Fatalf("%s: %v", tt.country, err)
				}
				last := now.Add(-rule.Gap - time.Second)
				if want := last.Add(rule.Lock); !r.Until.Equal(want) {
					t.Errorf("%s: locked until %v, want %v", tt.country, r.Until, want)
				}
				if err := l.Begin(r.Until.Add(-1), "5550100"); !errors.Is(err, ErrRedial) {
					t.Errorf("%s: just before the lock ends: %v", tt.country, err)
				}
				if err := l.Begin(r.Until, "5550100"); err != nil {
					t.Errorf("%s: when the lock ends: %v", tt.country, err)
				}
				break
			}
			must(t, l.End("5550100", report(tt.codes[min(calls, len(tt.codes)-1)], false)))
			now = now.Add(rule.Gap + time.Second)
		}
		if calls != tt.calls {
			t.Errorf("%s %v: %d calls, want %d", tt.country, tt.codes, calls, tt.calls)
		}
	}
}

func TestLedger_GapAndSpelling(t *testing.T) {
	q := open(t, Options{})
	l := NewLedger(q.st, DialRules["nz"], nil)
	must(t, l.Begin(noon, "555 0100"))
	must(t, l.End("5550100", report(t30.CodeOK, true)))
	if err := l.Check(noon.Add(29*time.Second), "555,01-00"); !errors.Is(err, ErrRedial) {
		t.Errorf("within the gap, spelled otherwise: %v", err)
	}
	must(t, l.Check(noon.Add(30*time.Second), "5550100"))
	must(t, l.Check(noon, "5550101"))
}

func TestLedger_FaxEndsTheRowAndUndialedIsTakenBack(t *testing.T) {
	q := open(t, Options{})
	l := NewLedger(q.st, DialRules["us"], nil)
	now := noon
	call := func(o Outcome) {
		t.Helper()
		now = now.Add(time.Minute)
		must(t, l.Begin(now, "5550100"))
		must(t, l.End("5550100", o))
	}
	call(report(t30.CodeNoAnswer, false))
	for range 5 {
		call(report(t30.CodeNoDialTone, false))
		call(Outcome{Err: t30.ErrRinging})
		call(Outcome{Err: errors.New("port: gone")}) // never off hook
	}
	call(report(t30.CodeHungUpC, true))
	call(report(t30.CodeNoAnswer, false))
	call(report(t30.CodeNoAnswer, false))
	if err := l.Check(now.Add(time.Minute), "5550100"); !errors.Is(err, ErrRedial) {
		t.Errorf("after two in a row: %v", err)
	}
}

func TestLedger_ClockSetBack(t *testing.T) {
	q := open(t, Options{})
	l := NewLedger(q.st, DialRules["us"], nil)
	future := noon.AddDate(70, 0, 0)
	for range 2 {
		must(t, l.Begin(future, "5550100"))
		must(t, l.End("5550100", report(t30.CodeNoAnswer, false)))
	}
	var r *RedialError
	if err := l.Check(noon, "5550100"); !errors.As(err, &r) || r.Until.After(noon.Add(time.Hour)) {
		t.Errorf("%v: want a lock of an hour from now at most", err)
	}
}

// TestLedger_CountsOverJobsAndRestarts: promise 7.
func TestLedger_CountsOverJobsAndRestarts(t *testing.T) {
	o := eager()
	o.Dial = DialRules["us"]
	q := open(t, o)
	addJob(t, q, "5550100", 1)
	addJob(t, q, "5550100", 1)
	addJob(t, q, "5550100", 1)
	end(t, q, claim(t, q, "east").ID, t30.CodeNoAnswer)
	q, _ = reopen(t, q)
	end(t, q, claim(t, q, "west").ID, t30.CodeNoAnswer)
	q, _ = reopen(t, q)
	if j, ok, err := q.NextJob(time.Now().Add(time.Minute), "east"); ok || err != nil {
		t.Errorf("a third call within the hour: %v, %v", j, err)
	}
	at, err := q.NextJobAt(time.Now())
	if d := time.Until(at); err != nil || d < 55*time.Minute || d > 61*time.Minute {
		t.Errorf("NextJobAt in %v, %v", d, err)
	}
	if _, ok, err := q.NextJob(at.Add(2*time.Second), "east"); !ok || err != nil {
		t.Errorf("after the lock: %v, %v", ok, err)
	}
	// A call that a crash ended counts as well.
	q, _ = reopen(t, q)
	var r int
	q.st.View(func(tx *store.Tx) error {
		d, err := ledger.Get(tx, "5550100")
		r = d.Row
		return err
	})
	if r != 1 {
		t.Errorf("row of %d after a crash in the call, want 1", r)
	}
}

func TestNormalizeNumber(t *testing.T) {
	for in, want := range map[string]string{
		"5550100": "5550100", "+1 (555) 010-0": "+15550100", " 9w555.0100 ": "9w5550100", "0,5550100": "0,5550100", "*67#5550100": "*67#5550100",
		"": "", "+": "", "fax": "", "555o100": "", "55\n50": "", "1+1": "", "AT&F": "", "5550100;ATH": "", "12345678901234567890123456789012345678901": "",
	} {
		got, err := NormalizeNumber(in)
		if got != want || (err != nil) != (want == "") || (err != nil && !errors.Is(err, ErrNumber)) {
			t.Errorf("NormalizeNumber(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	if s := ShortNumber("+15550100"); s != "******100" {
		t.Errorf("ShortNumber: %q", s)
	}
}

func FuzzNormalizeNumber(f *testing.F) {
	f.Add("+1 (555) 010-0")
	f.Add("9w*#")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := NormalizeNumber(s)
		if err != nil {
			return
		}
		for i, r := range n {
			if !(r >= '0' && r <= '9' || r == '*' || r == '#' || r == ',' || r == 'w' || r == '+' && i == 0) {
				t.Fatalf("%q: %q can be dialed", s, n)
			}
		}
		if again, err := NormalizeNumber(n); err != nil || again != n {
			t.Fatalf("%q becomes %q, then %q, %v", s, n, again, err)
		}
	})
}
