package appliance

import (
	"context"
	"fmt"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/t30"
)

// Calls implements [control.View].
func (a *Appliance) Calls(_ context.Context, limit int) ([]control.CallRecord, error) {
	return CallRecords(a.q.CallLog(), limit)
}

// CallRecord implements [control.View].
func (a *Appliance) CallRecord(_ context.Context, id string, transcript bool) (control.CallRecord, error) {
	return CallRecord(a.q.CallLog(), id, transcript)
}

// CallRecords shows a list of calls, newest first, as [control.View]'s Calls does; for a data folder in which no appliance runs.
func CallRecords(l queue.CallLog, limit int) ([]control.CallRecord, error) {
	list, err := l.Calls(listLimit(limit))
	out := make([]control.CallRecord, 0, len(list))
	for _, c := range list {
		out = append(out, callView(c))
	}
	return out, err
}

// CallRecord shows one call of a list, likewise.
func CallRecord(l queue.CallLog, id string, transcript bool) (control.CallRecord, error) {
	c, err := l.Call(queue.CallID(id))
	if err != nil {
		return control.CallRecord{}, known(err)
	}
	v := callView(c)
	spans, list, err := l.Details(c)
	if err != nil {
		return v, fmt.Errorf("call %s: %w", id, err)
	}
	at := time.Duration(0) // by the durations: the clock may have been set in the middle
	for _, s := range spans {
		at += s.Before
		v.Signals = append(v.Signals, signalView(at, s))
		at += s.Duration
	}
	if len(spans) > 0 {
		v.Parts = partsView(t30.Breakdown(t30.Report{Start: c.Start, End: c.End, Spans: spans}))
	}
	if transcript {
		v.Transcript = events(list)
	}
	return v, nil
}

func callView(c queue.Call) control.CallRecord {
	v := control.CallRecord{ID: string(c.ID), Line: c.Line, Direction: "in", Number: c.Number, RemoteID: c.RemoteID, Start: c.Start,
		Seconds: c.End.Sub(c.Start).Seconds(), Code: int(c.Code), Text: c.Code.String(), Pages: c.Pages, Modulation: c.Modulation,
		RateBPS: c.Rate, ECM: c.ECM, JobID: string(c.Job), FaxID: string(c.Fax)}
	if c.Outgoing {
		v.Direction = "out"
	}
	if c.Text != "" {
		v.Text += ": " + c.Text
	}
	for _, j := range c.AllJobs() {
		v.Jobs = append(v.Jobs, control.CallJob{ID: string(j.Job), Code: int(j.Code), Text: j.Code.String(), Pages: j.Pages})
	}
	if c.Coding != 0 {
		v.Coding, v.Resolution = c.Coding.String(), c.Resolution.String()
	}
	return v
}

func signalView(at time.Duration, s t30.Span) control.Signal {
	v := control.Signal{At: at.Seconds(), Seconds: s.Duration.Seconds(), Dir: string(s.Dir), Kind: string(s.Kind), Text: s.Text,
		Octets: s.Octets, Again: s.Again, Merged: s.Merged}
	if s.Modulation.Rate > 0 {
		v.Modulation = s.Modulation.String()
	}
	return v
}

func partsView(list []t30.Part) []control.Part {
	sides := map[t30.Dir]control.Side{t30.Out: control.Ours, t30.In: control.Theirs, t30.Note: control.Nobody}
	var out []control.Part
	for _, p := range list {
		out = append(out, control.Part{Name: string(p.Name), Side: sides[p.Dir], Seconds: p.Time.Seconds(), Least: p.Least.Seconds(), Clause: p.Clause})
	}
	return out
}
