package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/smtpstack/verify"
)

const (
	defaultList = 100
	maxList     = 1000
)

func listLimit(n int) int {
	if n <= 0 {
		return defaultList
	}
	return min(n, maxList)
}

// known makes the store's and the queue's sentinels those of control.
func known(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, queue.ErrNotFound), errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: %w", control.ErrNotFound, err)
	case errors.Is(err, queue.ErrState):
		return fmt.Errorf("%w: %w", control.ErrConflict, err)
	}
	return err
}

// Status implements [control.View].
func (a *Appliance) Status(context.Context) (control.Status, error) {
	c, err := a.q.Counters()
	if err != nil {
		return control.Status{}, err
	}
	s := control.Status{Version: a.d.Version, Hostname: a.cfg.Hostname, Now: time.Now(), Started: a.started, Alarms: a.alarms.List(),
		SMTP: a.SMTPAddrs(), Web: a.WebAddr(),
		Counters: control.Counters{Queued: c.Active - c.Calling, Sending: c.Calling, Sent: c.Sent, Failed: c.Failed, Unknown: c.Unknown,
			Canceled: c.Canceled, Received: c.Received, Undelivered: c.Undelivered, MailWaiting: c.OutWaiting, MailHeld: c.OutHeld}}
	for _, l := range a.lines {
		s.Lines = append(s.Lines, l.live.view())
	}
	for _, c := range a.connectors {
		if now := c.signIn.state(); now.State == control.SignInWaiting {
			s.SignIns = append(s.SignIns, now)
		}
	}
	return s, nil
}

// Jobs implements [control.View].
func (a *Appliance) Jobs(_ context.Context, f control.JobFilter) ([]control.Job, error) {
	limit := listLimit(f.Limit)
	var list []queue.Job
	var err error
	if f.Active {
		if list, err = a.q.ActiveJobs(); err == nil {
			for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
				list[i], list[j] = list[j], list[i]
			}
			list = list[:min(len(list), limit)]
		}
	} else {
		list, err = a.q.Jobs(limit)
	}
	out := make([]control.Job, 0, len(list))
	for _, j := range list {
		out = append(out, jobView(j))
	}
	return out, err
}

// Job implements [control.View].
func (a *Appliance) Job(_ context.Context, id string) (control.Job, error) {
	j, err := a.q.Job(queue.JobID(id))
	if err != nil {
		return control.Job{}, known(err)
	}
	v := jobView(j)
	v.Proofs, err = a.proofs(j)
	return v, err
}

// proofs are how a job's sender was proven.
func (a *Appliance) proofs(j queue.Job) ([]string, error) {
	m, err := a.q.Mail(j.Mail)
	if errors.Is(err, queue.ErrNotFound) || err == nil && m.Verdict == nil {
		return nil, nil // submitted here, purged, or of a connector that demands no proof
	}
	var d verify.Verdict
	if err == nil {
		err = json.Unmarshal(m.Verdict, &d)
	}
	return d.Lines(), err
}

var jobStates = map[queue.State]control.JobState{
	queue.Preparing: control.JobRendering, queue.Waiting: control.JobWaiting, queue.Held: control.JobWaiting, queue.Calling: control.JobSending,
	queue.Sent: control.JobSent, queue.Failed: control.JobFailed, queue.Unknown: control.JobUnknown, queue.Canceled: control.JobCanceled,
}

func jobView(j queue.Job) control.Job {
	v := control.Job{ID: string(j.ID), Number: j.Number, From: j.Sender, Subject: j.Subject, State: jobStates[j.State], Pages: j.Pages,
		Confirmed: len(j.Done), Tries: len(j.Attempts), Next: j.NotBefore, Created: j.Created, Ended: j.Ended, Text: j.Text}
	for _, t := range j.Attempts {
		at := control.Attempt{Start: t.Start, End: t.End, Line: t.Line, Code: int(t.Code), Text: t.Code.String(), Pages: t.Pages,
			RemoteID: t.RemoteID, ECM: t.ECM, CallID: string(t.Call)}
		if t.Text != "" {
			at.Text += ": " + t.Text
		}
		if known := queue.Remembered(t.Begun, t.Remembered); known != "" {
			at.Text += " (" + known + ")"
		}
		if t.Rode != "" {
			at.Text += " (in the same call as job " + string(t.Rode) + ")"
		}
		if t.Rate > 0 {
			at.Modulation = fmt.Sprintf("%s/%d", t.Modulation, t.Rate)
		}
		v.Attempts = append(v.Attempts, at)
	}
	return v
}

// Faxes implements [control.View].
func (a *Appliance) Faxes(_ context.Context, limit int) ([]control.Fax, error) {
	list, err := a.q.Faxes(listLimit(limit))
	out := make([]control.Fax, 0, len(list))
	for _, f := range list {
		if f.State != queue.FaxReceiving {
			out = append(out, a.faxView(f))
		}
	}
	return out, err
}

// Fax implements [control.View].
func (a *Appliance) Fax(_ context.Context, id string) (control.Fax, error) {
	f, err := a.q.Fax(queue.FaxID(id))
	if err != nil {
		return control.Fax{}, known(err)
	}
	return a.faxView(f), nil
}

func (a *Appliance) faxView(f queue.Fax) control.Fax {
	v := control.Fax{ID: string(f.ID), Line: f.Line, Caller: f.Caller, RemoteID: f.RemoteID, Dialed: f.Dialed, Pages: len(f.Pages),
		Damaged: f.State == queue.FaxPartial, At: f.Started, Text: f.Text, Delivered: !f.Delivered.IsZero(), Fetch: f.Delivered.IsZero() && !f.Told.IsZero()}
	for _, p := range f.Pages {
		v.Damaged = v.Damaged || p.BadLines > 0
	}
	if o, err := a.q.Out(f.Delivery); err == nil {
		v.To = slices.Concat(v.To, o.Done, o.Parted, o.To, o.Waiting)
	}
	return v
}

// OpenFax implements [control.View].
func (a *Appliance) OpenFax(_ context.Context, id string, as control.FileType) (io.ReadCloser, error) {
	f, err := a.g.OpenFax(queue.FaxID(id), as)
	return f, known(err)
}

// OpenPage implements [control.View].
func (a *Appliance) OpenPage(_ context.Context, id string, n, width int) (io.ReadCloser, error) {
	f, err := a.g.OpenPage(queue.FaxID(id), n, width)
	return f, known(err)
}

// Transcript implements [control.View].
func (a *Appliance) Transcript(_ context.Context, name string) ([]control.Event, error) {
	for _, l := range a.lines {
		if l.cfg.Name == name {
			return l.live.transcript(), nil
		}
	}
	return nil, fmt.Errorf("%w: line %q", control.ErrNotFound, name)
}
