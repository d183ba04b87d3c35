package queue

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/tipring/tipring/t30"
)

func refusePage(t testing.TB, q *Queue, id JobID, n int) {
	t.Helper()
	must(t, q.PageStarted(id, n))
	must(t, q.PageSent(id, n))
	must(t, q.RefusePage(id, n, t30.PageResult{Retries: 2}))
}

// TestRefusePage_NextAttemptSendsWhatIsMissing: pages 2 and 4 of 5 are refused, the others arrive; the next call sends
// 2 and 4, and no confirmed page twice.
func TestRefusePage_NextAttemptSendsWhatIsMissing(t *testing.T) {
	q := open(t, eager())
	id := addJob(t, q, "5550100", 5).ID
	claim(t, q, "east")
	sendPage(t, q, id, 1)
	refusePage(t, q, id, 2)
	for _, n := range []int{1, 2, 4, 5} {
		if err := q.ConfirmPage(id, n, t30.PageResult{}); !errors.Is(err, ErrState) {
			t.Errorf("page %d confirmed out of turn: %v", n, err)
		}
	}
	if err := q.RefusePage(id, 4, t30.PageResult{}); !errors.Is(err, ErrState) {
		t.Errorf("page 4 refused out of turn: %v", err)
	}
	sendPage(t, q, id, 3)
	refusePage(t, q, id, 4)
	sendPage(t, q, id, 5)
	j := end(t, q, id, t30.CodePageRefused)
	if !slices.Equal(j.Pending(), []int{2, 4}) || j.State != Waiting || j.LastAttempt().Doubt != 0 || j.LastAttempt().Pages != 3 {
		t.Fatalf("%s, left %v, attempt %+v", j.State, j.Pending(), j.LastAttempt())
	}
	q, _ = reopen(t, q)
	if j = claim(t, q, "east"); !slices.Equal(j.Pending(), []int{2, 4}) || j.LastAttempt().FirstPage != 2 || j.Hint.MaxRate != 9600 {
		t.Fatalf("left %v, attempt %+v", j.Pending(), j.LastAttempt())
	}
	sendPage(t, q, id, 2)
	refusePage(t, q, id, 4)
	end(t, q, id, t30.CodePageRefused)
	for range 2 {
		claim(t, q, "east")
		refusePage(t, q, id, 4)
		end(t, q, id, t30.CodePageRefused)
	}
	n := wantFinal(t, q, id, Failed)
	if !slices.Equal(n.Arrived, []int{1, 2, 3, 5}) || n.Confirmed != 4 || n.Doubt != 0 || n.Code != t30.CodePageRefused {
		t.Errorf("notice %+v", n)
	}
	check(t, q)
}

// TestRecover_Refused: a crash after a refused page, with a later page out.
func TestRecover_Refused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		call  func(t *testing.T, q *Queue, id JobID)
		want  State
		left  []int
		doubt int
	}{
		{"page 1 refused", func(t *testing.T, q *Queue, id JobID) { refusePage(t, q, id, 1) }, Waiting, []int{1, 2, 3}, 0},
		{"page 2 out after it", func(t *testing.T, q *Queue, id JobID) {
			refusePage(t, q, id, 1)
			must(t, q.PageStarted(id, 2))
			must(t, q.PageSent(id, 2))
		}, Waiting, []int{1, 2, 3}, 2},
		{"last page out after it", func(t *testing.T, q *Queue, id JobID) {
			refusePage(t, q, id, 1)
			sendPage(t, q, id, 2)
			must(t, q.PageStarted(id, 3))
			must(t, q.PageSent(id, 3))
		}, Waiting, []int{1, 3}, 3},
		{"last page refused", func(t *testing.T, q *Queue, id JobID) {
			sendPage(t, q, id, 1)
			sendPage(t, q, id, 2)
			refusePage(t, q, id, 3)
		}, Waiting, []int{3}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := open(t, eager())
			id := addJob(t, q, "5550100", 3).ID
			claim(t, q, "east")
			tt.call(t, q, id)
			q, _ = reopen(t, q)
			j, err := q.Job(id)
			if err != nil || j.State != tt.want || !slices.Equal(j.Pending(), tt.left) || j.LastAttempt().Doubt != tt.doubt {
				t.Errorf("%s, left %v, doubt %d, %v; want %s, %v, %d", j.State, j.Pending(), j.LastAttempt().Doubt, err, tt.want, tt.left, tt.doubt)
			}
		})
	}
}

// TestEndAttempt_TheMissingPageInDoubt: only page 2 of 3 was left, and its confirmation was lost.
func TestEndAttempt_TheMissingPageInDoubt(t *testing.T) {
	q := open(t, eager())
	id := addJob(t, q, "5550100", 3).ID
	claim(t, q, "east")
	sendPage(t, q, id, 1)
	refusePage(t, q, id, 2)
	sendPage(t, q, id, 3)
	end(t, q, id, t30.CodePageRefused)
	claim(t, q, "east")
	must(t, q.PageStarted(id, 2))
	must(t, q.PageSent(id, 2))
	endWith(t, q, id, Outcome{Report: t30.Report{Code: t30.CodeNoReplyPage, Unknown: true, FaxHeard: true}})
	if n := wantFinal(t, q, id, Unknown); n.Doubt != 2 || !slices.Equal(n.Arrived, []int{1, 3}) || n.Text[:6] != "Page 2" {
		t.Errorf("notice %+v", n)
	}
}

// TestJob_OldRecord: a job stored before pages could be refused is read as it was meant.
func TestJob_OldRecord(t *testing.T) {
	var j Job
	must(t, json.Unmarshal([]byte(`{"id":"1","pages":4,"state":"waiting","done":[{"at":"2026-11-01T10:00:00Z","attempt":0},{"at":"2026-11-01T10:01:00Z","attempt":0,"poor":true}],"last_out":2,"attempts":[{"first_page":1,"pages":2}]}`), &j))
	if !slices.Equal(j.Arrived(), []int{1, 2}) || !slices.Equal(j.Pending(), []int{3, 4}) || j.Next() != 3 || j.PoorPages() != 1 || j.inDoubt() != 0 {
		t.Errorf("arrived %v, left %v, doubt %d", j.Arrived(), j.Pending(), j.inDoubt())
	}
	j.LastOut = 3 // crashed there
	if j.inDoubt() != 3 || j.lastInDoubt() {
		t.Errorf("doubt %d", j.inDoubt())
	}
}
