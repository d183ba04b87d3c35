package queue

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

// aCall is a report with spans, and its events.
func aCall() (t30.Report, []t30.Event) {
	r := t30.Report{Code: t30.CodeOK, Sent: 1, Start: noon, Connect: noon.Add(time.Second), End: noon.Add(3 * time.Second)}
	r.Spans = []t30.Span{
		{Start: noon, Duration: time.Second, Dir: t30.Note, Kind: t30.KindDial, Shares: []t30.Share{{Part: t30.PartDial, Dir: t30.Note, Time: time.Second}}},
		{Start: noon.Add(time.Second), Duration: 2 * time.Second, Dir: t30.Out, Kind: t30.KindPage, Octets: 7, Modulation: t30.Modulation{Scheme: t30.V29, Rate: 9600},
			Shares: []t30.Share{{Part: t30.PartData, Dir: t30.Out, Time: 2 * time.Second, Least: time.Second}}},
	}
	return r, []t30.Event{{At: noon, Layer: t30.LayerFrame, Dir: t30.Out, Text: "DCS"}, {At: noon, Layer: t30.LayerFrame, Dir: t30.In, Text: "CFR"}}
}

// A one-off call keeps its record in the same list as the appliance's.
func TestCallLog_KeepsSpansAndEvents(t *testing.T) {
	r, events := aCall()
	q := open(t, eager())
	id, err := NewCallLog(q.st).Record(CallOf("", true, "5550100", r), events)
	must(t, err)
	q, _ = reopen(t, q)
	c, err := q.Call(id)
	must(t, err)
	spans, got, err := q.CallLog().Details(c)
	if err != nil || !reflect.DeepEqual(spans, r.Spans) || !reflect.DeepEqual(got, events) {
		t.Errorf("spans %v, events %v, %v", spans, got, err)
	}
	r.Start, r.End, r.Spans = c.Start, c.End, spans
	if list := t30.Breakdown(r); len(list) != 2 || list[0].Least != time.Second {
		t.Errorf("parts %v", list)
	}
}

// A clock that is set in the middle of a call changes nothing about how long it took.
func TestCallOf_ClockSetMeanwhile(t *testing.T) {
	start := time.Now() // with a monotonic reading, as a report has
	end := start.Add(7 * time.Second)
	c := CallOf("east", true, "1", t30.Report{Start: start, End: end})
	if c.End.Sub(c.Start) != 7*time.Second || strings.Contains(c.Start.String(), "m=") || strings.Contains(c.End.String(), "m=") {
		t.Errorf("%v to %v", c.Start, c.End)
	}
}

// What came to no call has a time all the same, and a call never ends before it began.
func TestCallLog_RecordWithoutTimes(t *testing.T) {
	q := open(t, eager())
	id, err := q.RecordCall(CallOf("east", true, "1", t30.Report{Code: t30.CodeSource}), nil)
	must(t, err)
	c, err := q.Call(id)
	if err != nil || c.Start.IsZero() || c.End.Before(c.Start) || c.Transcript != "" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestCallLog_TranscriptsAreBoundedTogether(t *testing.T) {
	q := open(t, eager())
	r, events := aCall()
	first, err := q.RecordCall(CallOf("east", true, "1", r), events)
	must(t, err)
	must(t, q.st.Update(func(tx *store.Tx) error {
		_, err := putCall(tx, Call{Size: maxTranscripts, Start: noon, End: noon})
		return err
	}))
	old, err := q.Call(first)
	must(t, err)
	second, err := q.RecordCall(CallOf("east", true, "1", r), events)
	must(t, err)
	c, err := q.Call(first)
	if err != nil || c.Transcript != "" || c.Size != 0 {
		t.Errorf("the oldest record: %+v, %v", c, err)
	}
	if _, err := q.st.ReadFile(old.Transcript, maxTranscript); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("its transcript: %v", err)
	}
	if spans, _, err := q.CallLog().Details(c); spans != nil || err != nil {
		t.Errorf("its details: %v, %v", spans, err)
	}
	if c, err := q.Call(second); err != nil || c.Transcript == "" {
		t.Errorf("the newest: %+v, %v", c, err)
	}
}

func TestPurge_OldCalls(t *testing.T) {
	q := open(t, eager())
	r, events := aCall()
	old, err := q.RecordCall(CallOf("east", true, "1", r), events)
	must(t, err)
	r.End = noon.Add(48 * time.Hour)
	young, err := q.RecordCall(CallOf("east", true, "1", r), events)
	must(t, err)
	c, _ := q.Call(old)
	must(t, q.Purge(noon.Add(72*time.Hour), Retention{Calls: 36 * time.Hour}))
	if _, err := q.Call(old); !errors.Is(err, ErrNotFound) {
		t.Errorf("the old call: %v", err)
	}
	if _, err := q.st.ReadFile(c.Transcript, maxTranscript); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("its transcript: %v", err)
	}
	if _, err := q.Call(young); err != nil {
		t.Errorf("the young call: %v", err)
	}
	must(t, q.Purge(noon.Add(1e6*time.Hour), Retention{}))
	if list, err := q.Calls(0); err != nil || len(list) != 1 {
		t.Errorf("kept for good: %v, %v", list, err)
	}
}

// A call that the program's end cut off has a record too, but only one.
func TestRecover_CutCallsAreRecorded(t *testing.T) {
	for _, recorded := range []bool{false, true} {
		q := open(t, eager())
		j := addJob(t, q, "5550100", 2)
		j = claim(t, q, "east")
		want := CallID("")
		if recorded { // killed between the record and the end of the attempt
			var err error
			want, err = q.RecordCall(Call{Line: "east", Outgoing: true, Job: j.ID, Start: j.LastAttempt().Start.Add(time.Millisecond), Code: t30.CodeOK}, nil)
			must(t, err)
		}
		q, _ = reopen(t, q)
		list, err := q.Calls(0)
		if err != nil || len(list) != 1 || list[0].Job != j.ID || want != "" && list[0].ID != want {
			t.Fatalf("recorded %v: %+v, %v", recorded, list, err)
		}
		if c := list[0]; !recorded && (!strings.Contains(c.Text, "stopped") || !c.Outgoing || c.Line != "east" || c.Number != "5550100" || c.Start.IsZero()) {
			t.Errorf("%+v", c)
		}
		if j, _ = q.Job(j.ID); j.LastAttempt().Call != list[0].ID {
			t.Errorf("the attempt names call %q", j.LastAttempt().Call)
		}
	}
}

// The second job of a call may be looked at before the first; a call without a job, cut twice, stays as it is.
func TestCutCall_JobsOfOneCall(t *testing.T) {
	q := open(t, eager())
	cut := func(c Call, j CallJob) (id CallID) {
		must(t, q.st.Update(func(tx *store.Tx) (err error) { id, err = cutCall(tx, c, j); return err }))
		return id
	}
	out := Call{Line: "east", Outgoing: true, Job: "1", Start: noon, End: noon}
	want := []CallJob{{Job: "1", Pages: 2}, {Job: "2", Pages: 1}, {Job: "3", Pages: 4}}
	id := cut(out, want[1])
	for _, j := range []CallJob{want[0], want[2], want[1]} {
		if got := cut(out, j); got != id {
			t.Errorf("job %s is in call %s, not %s", j.Job, got, id)
		}
	}
	if c, err := q.Call(id); err != nil || !slices.Equal(c.Jobs, want) || c.Pages != 7 {
		t.Errorf("%+v, %v; want %v", c, err, want)
	}
	in := Call{Line: "east", Fax: "9", Start: noon, End: noon}
	id = cut(in, CallJob{Pages: 3})
	if cut(in, CallJob{Pages: 3}) != id {
		t.Error("a cut call was recorded twice")
	}
	if c, err := q.Call(id); err != nil || c.AllJobs() != nil || c.Pages != 3 {
		t.Errorf("%+v, %v", c, err)
	}
}

// Records of before calls were shared name one job.
func TestCall_AllJobsOfAnOldRecord(t *testing.T) {
	var c Call
	must(t, json.Unmarshal([]byte(`{"id":"5","line":"east","outgoing":true,"code":1,"pages":2,"job":"7"}`), &c))
	if got := c.AllJobs(); !slices.Equal(got, []CallJob{{Job: "7", Code: t30.Code(1), Pages: 2}}) {
		t.Errorf("jobs %v", got)
	}
	b, err := json.Marshal(c)
	must(t, err)
	if strings.Contains(string(b), "jobs") {
		t.Errorf("a call for one job reads %s", b)
	}
}

func FuzzReadTranscript(f *testing.F) {
	f.Add(`{"span":{"start":"2026-11-22T12:00:00Z","duration":5,"kind":"page"}}` + "\n" + `{"at":"2026-11-22T12:00:00Z","layer":"at","dir":">","text":"ATZ"}`)
	f.Add(`{"span":null}` + "\n" + `{"span":{}}` + "\n" + `[`)
	f.Fuzz(func(t *testing.T, s string) {
		spans, events, err := readTranscript(strings.NewReader(s))
		if err == nil && len(spans)+len(events) > strings.Count(s, "{") {
			t.Errorf("%d spans, %d events from %q", len(spans), len(events), s)
		}
	})
}
