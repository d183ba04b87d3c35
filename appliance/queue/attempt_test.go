package queue

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/t30"
)

func TestEndAttempt_Unknown(t *testing.T) {
	for _, tt := range []struct {
		pages int
		want  State
	}{{1, Unknown}, {2, Waiting}} {
		q := open(t, eager())
		id := addJob(t, q, "5550100", tt.pages).ID
		claim(t, q, "east")
		must(t, q.PageStarted(id, 1))
		must(t, q.PageSent(id, 1))
		j := endWith(t, q, id, Outcome{Report: t30.Report{Code: t30.CodeNoReplyPage, Unknown: true, FaxHeard: true}})
		if j.State != tt.want || j.LastAttempt().Doubt != 1 {
			t.Errorf("%d pages: %s, doubt %d; want %s, 1", tt.pages, j.State, j.LastAttempt().Doubt, tt.want)
		}
		if tt.want == Unknown {
			if n := wantFinal(t, q, id, Unknown); n.Doubt != 1 || n.Confirmed != 0 || !strings.Contains(n.Text, "not known") {
				t.Errorf("notice %+v", n)
			}
		}
	}
}

func TestEndAttempt_FailureOfAWholePageIsNotInDoubt(t *testing.T) {
	q := open(t, eager())
	id := addJob(t, q, "5550100", 1).ID
	claim(t, q, "east")
	must(t, q.PageSent(id, 1)) // read ahead by the engine, then training failed
	if j := end(t, q, id, t30.CodeTraining); j.State != Waiting || j.Hint.MaxRate != 9600 || j.LastAttempt().Doubt != 0 {
		t.Errorf("%s, hint %+v, doubt %d", j.State, j.Hint, j.LastAttempt().Doubt)
	}
}

func TestEndAttempt_RetriesByOutcome(t *testing.T) {
	tests := []struct {
		code  t30.Code
		calls int
		hints []int // MaxRate of the attempts after the first
	}{
		{t30.CodeBusy, 5, nil}, {t30.CodeNoAnswer, 2, nil}, {t30.CodeVoice, 2, nil}, {t30.CodeNoFax, 2, nil},
		{t30.CodeNotInService, 1, nil}, {t30.CodeIncompatible, 1, nil}, {t30.CodeSource, 1, nil},
		{t30.CodeTraining, 3, []int{9600, 4800}}, {t30.CodeHungUpC, 3, []int{9600, 4800}}, {t30.CodePageRefused, 3, []int{9600, 4800}},
	}
	for _, tt := range tests {
		t.Run(tt.code.String(), func(t *testing.T) {
			q := open(t, eager())
			id := addJob(t, q, "5550100", 3).ID
			for n := 1; n <= tt.calls; n++ {
				j := claim(t, q, "east")
				if n > 1 && tt.hints != nil && j.Hint.MaxRate != tt.hints[n-2] {
					t.Errorf("attempt %d limited to %d, want %d", n, j.Hint.MaxRate, tt.hints[n-2])
				}
				end(t, q, id, tt.code)
			}
			if n := wantFinal(t, q, id, Failed); n.Code != tt.code || n.Calls != tt.calls || !strings.HasSuffix(n.Text, ".") {
				t.Errorf("notice %+v, want %d calls", n, tt.calls)
			}
			check(t, q)
		})
	}
}

func TestEndAttempt_ProgressRenewsTheTries(t *testing.T) {
	q := open(t, eager())
	id := addJob(t, q, "5550100", 5).ID
	for n := 1; n <= 4; n++ {
		claim(t, q, "east")
		sendPage(t, q, id, n)
		end(t, q, id, t30.CodeHungUpC)
	}
	j := claim(t, q, "east")
	if j.LastAttempt().FirstPage != 5 || j.Tries[ClassFailure] != 1 {
		t.Errorf("page %d, tries %v", j.LastAttempt().FirstPage, j.Tries)
	}
	sendPage(t, q, id, 5)
	end(t, q, id, t30.CodeHungUpC) // after the last confirmation: sent all the same
	wantFinal(t, q, id, Sent)
}

func TestEndAttempt_MaxCallsIsTheBound(t *testing.T) {
	o := eager()
	o.Policy.MaxCalls = 4
	q := open(t, o)
	id := addJob(t, q, "5550100", 9).ID
	for n := 1; n <= 4; n++ {
		claim(t, q, "east")
		sendPage(t, q, id, n)
		end(t, q, id, t30.CodeHungUpC)
	}
	if n := wantFinal(t, q, id, Failed); n.Confirmed != 4 {
		t.Errorf("%d pages confirmed", n.Confirmed)
	}
}

func TestEndAttempt_NoDialToneSpendsNothing(t *testing.T) {
	o := eager()
	o.Dial = DialRule{Tries: 2, Lock: time.Hour}
	q := open(t, o)
	id := addJob(t, q, "5550100", 1).ID
	for range 3 * maxUndialed {
		claim(t, q, "east")
		end(t, q, id, t30.CodeNoDialTone)
	}
	if j, err := q.Job(id); err != nil || len(j.Attempts) != maxUndialed || j.Calls() != 0 {
		t.Errorf("%d attempts, %d calls, %v", len(j.Attempts), j.Calls(), err)
	}
	if len(notices(t, q, id)) != 0 {
		t.Errorf("%d notices", len(notices(t, q, id)))
	}
	claim(t, q, "east") // the ledger has not locked the number
}

// What one line cannot dial another takes at once; the line itself waits.
func TestNextJob_DeadLine(t *testing.T) {
	for _, code := range []t30.Code{t30.CodeNoDialTone, t30.CodeNoLine, t30.CodeLineInUse, t30.CodeGlare} {
		q := open(t, Options{})
		id := addJob(t, q, "5550100", 1).ID
		claim(t, q, "east")
		end(t, q, id, code)
		if _, ok, err := q.NextJob(time.Now(), "east"); ok || err != nil {
			t.Errorf("%v: the same line again, %v", code, err)
		}
		if j := claim(t, q, "west"); j.ID != id || j.Calls() != 1 {
			t.Errorf("%v: west got %s, %d calls", code, j.ID, j.Calls())
		}
		end(t, q, id, t30.CodeBusy)
		if _, ok, err := q.NextJob(time.Now(), "east"); ok || err != nil {
			t.Errorf("%v: east did not wait after busy, %v", code, err)
		}
	}
}

func TestEndAttempt_Errors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		o     Outcome
		class Class
	}{
		{"glare", Outcome{Err: t30.ErrRinging}, ClassGlare},
		{"pulled modem", Outcome{Err: errors.New("port: gone"), Report: t30.Report{Code: t30.CodeOK}}, ClassFault},
		{"modem code", Outcome{Err: errors.New("port: gone"), Report: t30.Report{Code: t30.CodeModem}}, ClassFault},
		{"shutdown", Outcome{Err: context.Canceled}, ClassCanceled},
		{"ok without pages", Outcome{Report: t30.Report{Code: t30.CodeOK}}, ClassOK},
		{"nothing", Outcome{}, ClassFailure},
	} {
		q := open(t, eager())
		id := addJob(t, q, "5550100", 1).ID
		claim(t, q, "east")
		j := endWith(t, q, id, tt.o)
		if tt.class != ClassOK && (j.State != Waiting || j.Tries[tt.class] != 1) {
			t.Errorf("%s: %s, tries %v", tt.name, j.State, j.Tries)
		}
		if tt.class == ClassOK && j.State == Sent {
			t.Errorf("%s: sent", tt.name)
		}
	}
}
