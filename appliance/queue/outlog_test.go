package queue

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestOutLog_BoundedAndPurged(t *testing.T) {
	q := open(t, Options{AlarmTo: []string{"ops@example.org"}})
	id, err := q.AddOut(NewOut{Kind: KindAlarm, To: []string{"ops@example.org"}, Payload: Alarm{Subject: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 9 {
		o, ok, err := q.NextOut(time.Now())
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		var lines []string
		for i := range 3000 {
			lines = append(lines, fmt.Sprintf("line %d of attempt %d %s", i, n, strings.Repeat("é", 10*(i%50))))
		}
		a := &OutAttempt{At: time.Now(), Transcript: lines}
		err = q.SettleOut(o.ID, a, func(x *Out) error {
			a.Outcome = "waits"
			x.State = OutPending
			if n == 8 {
				x.State = OutDone
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	list, err := q.OutLog(id)
	if err != nil || len(list) != maxOutAttempts {
		t.Fatalf("%d attempts, %v", len(list), err)
	}
	size := 0
	for _, l := range list[4].Transcript {
		size += len(l)
	}
	text := strings.Join(list[4].Transcript, "\n")
	if size > maxOutTranscript+100 || !strings.HasPrefix(text, "line 0 of attempt 8") || !strings.Contains(text, "lines left out") || !strings.Contains(text, "line 2999 of attempt 8") || list[0].Outcome != "waits" {
		t.Errorf("%d octets: %.200s", size, text)
	}
	purge := func(after time.Duration) int {
		if err := q.Purge(time.Now().Add(after), Retention{}); err != nil {
			t.Fatal(err)
		}
		list, err := q.OutLog(id)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if purge(outLogLife-time.Hour) == 0 || purge(outLogLife+time.Hour) != 0 {
		t.Error("the attempts are not kept as long as they should be")
	}
}

// Nothing of a transcript is lost or doubled while it fits.
func TestShortTranscript(t *testing.T) {
	for n := range 6 {
		var lines []string
		for i := range n {
			lines = append(lines, fmt.Sprint(i))
		}
		if got := shortTranscript(lines); strings.Join(got, " ") != strings.Join(lines, " ") {
			t.Errorf("%q became %q", lines, got)
		}
	}
}
