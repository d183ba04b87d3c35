package queue

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

var (
	v17   = t30.Capabilities{Schemes: t30.Schemes(t30.V27ter | t30.V29 | t30.V17), MaxRate: 14400, ECM: true}
	v29   = t30.Capabilities{Schemes: t30.Schemes(t30.V27ter | t30.V29), MaxRate: 9600, ECM: true}
	fast  = t30.Modulation{Scheme: t30.V17, Rate: 14400}
	step  = t30.Modulation{Scheme: t30.V17, Rate: 12000}
	slow  = t30.Modulation{Scheme: t30.V29, Rate: 9600}
	crawl = t30.Modulation{Scheme: t30.V27ter, Rate: 4800}
)

// call is how one call to a fax machine ended.
func call(code t30.Code, sent int, m t30.Modulation, ecm bool, far t30.Capabilities) Outcome {
	return Outcome{Own: v17, Report: t30.Report{Code: code, Sent: sent, Modulation: m, ECM: ecm, FaxHeard: true, Start: noon, Remote: t30.Remote{Capabilities: far}}}
}

// vain is a call in which ECM came to nothing.
func vain(code t30.Code, m t30.Modulation) Outcome {
	o := call(code, 0, m, true, v17)
	o.Report.Trouble = t30.TroubleECM
	return o
}

// under limits our side of a call.
func under(rate int, o Outcome) Outcome {
	o.Own.MaxRate = rate
	return o
}

// super is a call that was to be one of V.34.
func super(code t30.Code, heard bool) Outcome {
	o := Outcome{Own: v17, Report: t30.Report{Code: code, FaxHeard: heard, Trouble: t30.TroubleV34}}
	if code == t30.CodeOK {
		o.Report.Sent, o.Report.ECM, o.Report.Trouble, o.Report.Modulation = 1, true, 0, t30.Modulation{Scheme: t30.V34, Rate: 28800}
	}
	return o
}

func TestMemory_Learns(t *testing.T) {
	good := call(t30.CodeOK, 1, fast, true, v17)
	tests := []struct {
		name  string
		calls []Outcome
		want  Hint
	}{
		{"all went well", []Outcome{good}, Hint{}},
		{"ECM in vain", []Outcome{vain(t30.CodeNoReplyPage, fast)}, Hint{NoECM: true}},
		{"ECM in vain, works without", []Outcome{vain(t30.CodeECMGivenUp, fast), call(t30.CodeOK, 1, fast, false, v17)}, Hint{NoECM: true}},
		{"ECM in vain, works again", []Outcome{vain(t30.CodeECMGivenUp, fast), good}, Hint{}},
		{"ECM gave up on a noisy line", []Outcome{call(t30.CodeECMGivenUp, 1, fast, true, v17)}, Hint{}},
		{"ECM gave up on a noisy line twice", []Outcome{call(t30.CodeECMGivenUp, 1, fast, true, v17), call(t30.CodeECMGivenUp, 1, fast, true, v17)}, Hint{MaxRate: 9600}},
		{"deaf after a page once", []Outcome{call(t30.CodeNoReplyPage, 0, fast, true, v29)}, Hint{}},
		{"deaf after a page twice", []Outcome{call(t30.CodeNoReplyPage, 0, slow, true, v29), call(t30.CodeNoReplyPage, 0, slow, true, v29)}, Hint{MaxRate: 4800}},
		{"V.17 in vain", []Outcome{{Own: v17, Report: t30.Report{Code: t30.CodeHungUpC, Modulation: fast, FaxHeard: true, Trouble: t30.TroubleV17}}}, Hint{MaxRate: 9600}},
		{"V.17 in vain, then V.29", []Outcome{{Own: v17, Report: t30.Report{Code: t30.CodeOK, Sent: 1, Modulation: slow, FaxHeard: true, Trouble: t30.TroubleV17}}}, Hint{MaxRate: 9600}},
		{"training failed", []Outcome{call(t30.CodeTraining, 0, crawl, true, v17)}, Hint{MaxRate: 9600}},
		{"deaf after V.17's TCF", []Outcome{call(t30.CodeNoReplyDCS, 0, fast, true, v17)}, Hint{MaxRate: 9600}},
		{"training failed at V.29 too", []Outcome{call(t30.CodeTraining, 0, crawl, true, v17), under(9600, call(t30.CodeTraining, 0, crawl, true, v17))}, Hint{MaxRate: 4800}},
		{"fell back to V.29", []Outcome{call(t30.CodeOK, 1, slow, true, v17)}, Hint{MaxRate: 9600}},
		{"V.29 is all it has", []Outcome{call(t30.CodeOK, 1, slow, true, v29)}, Hint{}},
		{"our own modem has no V.17", []Outcome{under(9600, call(t30.CodeOK, 1, slow, true, v17))}, Hint{}},
		{"two steps down, once", []Outcome{call(t30.CodeOK, 1, t30.Modulation{Scheme: t30.V17, Rate: 9600}, true, v17)}, Hint{MaxRate: 9600}},
		{"one step down, once", []Outcome{call(t30.CodeOK, 1, step, true, v17)}, Hint{}},
		{"one step down, twice", []Outcome{call(t30.CodeOK, 1, step, true, v17), call(t30.CodeOK, 1, step, true, v17)}, Hint{MaxRate: 12000}},
		{"one step down, then well", []Outcome{call(t30.CodeOK, 1, step, true, v17), good, call(t30.CodeOK, 1, step, true, v17)}, Hint{}},
		{"works at what is remembered", []Outcome{call(t30.CodeTraining, 0, crawl, true, v17), under(9600, call(t30.CodeOK, 1, slow, true, v17))}, Hint{MaxRate: 9600}},
		{"works at better than remembered", []Outcome{call(t30.CodeTraining, 0, crawl, true, v17), good}, Hint{}},
		{"a refused page at what is remembered", []Outcome{call(t30.CodeTraining, 0, crawl, true, v17), under(9600, call(t30.CodePageRefused, 0, slow, true, v17))}, Hint{MaxRate: 4800}},
		{"V.34 failed", []Outcome{super(t30.CodeHungUpC, true)}, Hint{MaxRate: 14400}},
		{"no carrier with V.34, once", []Outcome{super(t30.CodeNoCarrier, false)}, Hint{}},
		{"no carrier with V.34, twice", []Outcome{super(t30.CodeNoCarrier, false), super(t30.CodeNoCarrier, false)}, Hint{MaxRate: 14400}},
		{"no carrier with V.34, then it works", []Outcome{super(t30.CodeNoCarrier, false), super(t30.CodeOK, true), super(t30.CodeNoCarrier, false)}, Hint{}},
		{"V.34 failed, then it works", []Outcome{super(t30.CodeHungUpC, true), super(t30.CodeOK, true)}, Hint{}},
		{"V.34 failed, works without", []Outcome{super(t30.CodeHungUpC, true), good}, Hint{MaxRate: 14400}},
		{"V.34 failed, and V.17 does not train", []Outcome{super(t30.CodeHungUpC, true), under(14400, call(t30.CodeTraining, 0, crawl, true, v17))}, Hint{MaxRate: 9600}},
		{"busy", []Outcome{report(t30.CodeBusy, false)}, Hint{}},
		{"our modem failed", []Outcome{{Err: errors.New("gone"), Report: t30.Report{Code: t30.CodeTraining, FaxHeard: true}}}, Hint{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := NewMemory(open(t, eager()).st)
			for i, o := range tt.calls {
				must(t, m.Learn(noon.Add(time.Duration(i)*time.Hour), "5550100", o))
			}
			now := noon.Add(24 * time.Hour)
			if got, _, err := m.Begin(now, "555 0100"); err != nil || got != tt.want {
				t.Errorf("begins at %+v, %v; want %+v", got, err, tt.want)
			}
			if got, _, err := m.Begin(now, "5550101"); err != nil || got != (Hint{}) {
				t.Errorf("another number: %+v, %v", got, err)
			}
		})
	}
}

// TestMemory_EndsInItsTime: after its time the better setting is tried again; failing there renews it at once.
func TestMemory_EndsInItsTime(t *testing.T) {
	m := NewMemory(open(t, eager()).st)
	must(t, m.Learn(noon, "5550100", call(t30.CodeTraining, 0, crawl, true, v17)))
	must(t, m.Learn(noon, "5550100", vain(t30.CodeECMGivenUp, slow)))
	begin := func(at time.Time) Hint {
		h, since, err := m.Begin(at, "5550100")
		must(t, err)
		if (h != Hint{}) && since.After(at) {
			t.Errorf("remembered since %v at %v", since, at)
		}
		return h
	}
	for _, tt := range []struct {
		after time.Duration
		want  Hint
	}{{0, Hint{9600, true}}, {rateLife - 1, Hint{9600, true}}, {rateLife, Hint{0, true}}, {ecmLife - 1, Hint{0, true}}, {ecmLife, Hint{}}} {
		// A success at the limits in between does not prolong them.
		must(t, m.Learn(noon.Add(tt.after/2), "5550100", under(9600, call(t30.CodeOK, 2, slow, false, v17))))
		if got := begin(noon.Add(tt.after)); got != tt.want {
			t.Errorf("after %v: %+v, want %+v", tt.after, got, tt.want)
		}
	}
	again := noon.Add(ecmLife)
	must(t, m.Learn(again, "5550100", call(t30.CodeOK, 1, slow, false, v17)))
	if got := begin(again.Add(time.Hour)); got != (Hint{MaxRate: 9600}) {
		t.Errorf("failed again after its time: %+v", got)
	}
}

func TestMemory_ForgottenAndBounded(t *testing.T) {
	q := open(t, eager())
	m := q.Memory()
	must(t, m.Learn(noon, "+1 555 0100", call(t30.CodeTraining, 0, crawl, true, v17)))
	if err := m.Forget("5550199"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Forget of an unknown number: %v", err)
	}
	must(t, m.Forget("1-555-0100"))
	if list, err := m.List(); err != nil || len(list) != 0 {
		t.Errorf("left: %+v, %v", list, err)
	}
	must(t, q.st.Update(func(tx *store.Tx) error {
		for i := range maxFarEnds {
			n := fmt.Sprintf("%07d", i)
			if err := farEnds.Put(tx, n, FarEnd{Number: n, Last: noon.Add(time.Duration(i) * time.Second), ECM: Habit{Seen: firm, Since: noon}}); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, m.Learn(noon.Add(time.Hour*100), "5550100", call(t30.CodeTraining, 0, crawl, true, v17)))
	list, err := m.List()
	if err != nil || len(list) != maxFarEnds || list[0].Number == "0000000" {
		t.Errorf("%d numbers, the first %+v, %v", len(list), list[0], err)
	}
	must(t, q.Purge(noon.Add(lifetime+2*time.Hour), Retention{}))
	if list, err := m.List(); err != nil || len(list) != 1 || list[0].Number != "5550100" {
		t.Errorf("after half a year: %d left, %v", len(list), err)
	}
}

// TestNextJob_BeginsAsRemembered: over jobs, lines and restarts; the job's own hint joins.
func TestNextJob_BeginsAsRemembered(t *testing.T) {
	q := open(t, eager())
	first := addJob(t, q, "5550100", 1).ID
	claim(t, q, "east")
	endWith(t, q, first, vain(t30.CodeECMGivenUp, fast))
	q, _ = reopen(t, q)
	second := addJob(t, q, "555-0100", 1).ID
	other := addJob(t, q, "5550101", 1).ID
	seen := map[JobID]*Attempt{}
	for range 3 {
		j := claim(t, q, "west")
		seen[j.ID] = j.LastAttempt()
		endWith(t, q, j.ID, call(t30.CodeIncompatible, 0, t30.Modulation{}, false, v17))
	}
	if a := seen[first]; a.Begun != (Hint{9600, true}) || a.Remembered.IsZero() {
		t.Errorf("the job itself: %+v", a)
	}
	if a := seen[second]; a.Begun != (Hint{NoECM: true}) || a.Remembered.IsZero() {
		t.Errorf("another job to the number: %+v", a)
	} else if s := Remembered(a.Begun, a.Remembered); s != "begun without error correction as remembered since "+a.Remembered.Local().Format(time.DateOnly) {
		t.Errorf("%q", s)
	}
	if a := seen[other]; a.Begun != (Hint{}) || !a.Remembered.IsZero() {
		t.Errorf("another number: %+v", a)
	}
}

func TestHint_String(t *testing.T) {
	for h, want := range map[Hint]string{{}: "", {MaxRate: 9600}: "at V.29 9600", {12000, true}: "at V.17 12000, without error correction", {MaxRate: 4800}: "at V.27ter 4800"} {
		if got := h.String(); got != want {
			t.Errorf("%+v: %q, want %q", h, got, want)
		}
	}
}
