package queue

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/tipring/tipring/appliance/store"
)

// Summary is the payload of a notice about several jobs of one mail. Each job is in exactly one.
type Summary struct {
	Mail      MailID    `json:"mail"`
	MessageID string    `json:"message_id,omitempty"` // of the mail it answers
	Subject   string    `json:"subject,omitempty"`
	Jobs      []Notice  `json:"jobs"`               // that ended, those that need a person first
	Open      []OpenJob `json:"open,omitempty"`     // not over yet: a later notice tells of them
	Before    int       `json:"before,omitempty"`   // jobs of the mail that earlier notices told of
	Repeated  []string  `json:"repeated,omitempty"` // recipients of the mail that no job was made for
}

// OpenJob is one recipient whose fax is still under way.
type OpenJob struct {
	Number string `json:"number"`
	Name   string `json:"name,omitempty"`
	State  State  `json:"state"`
	Text   string `json:"text,omitempty"` // what happened last, or why it is held
}

// DefaultReportAfter is Options.ReportAfter's default: so long a finished fax waits for the others of its mail.
const DefaultReportAfter = time.Hour

// unreported has the mails of which jobs have ended that no notice tells of yet, by their id.
var unreported = store.NewTable[waitingReport]("mails unreported")

type waitingReport struct {
	Since time.Time `json:"since"` // when the first of these jobs ended
}

// rank sorts the faxes of a summary: what the sender has to act on stands first.
var rank = map[State]int{Failed: 0, Unknown: 1, Canceled: 2, Sent: 3}

// report makes the notice of a job that has just ended, or leaves it for the summary of its mail, and stores the job.
func (q *Queue) report(tx *store.Tx, j *Job) error {
	if j.Sender == "" {
		return jobs.Put(tx, string(j.ID), *j)
	}
	m, err := mails.Get(tx, string(j.Mail))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	several, err := toldOf(tx, m)
	if err != nil {
		return err
	}
	if several < 2 {
		n := noticeOf(*j)
		n.Repeated = m.Repeated
		if j.Notice, err = q.addOut(tx, NewOut{Kind: KindNotice, To: []string{j.Sender}, Job: j.ID, Payload: n}); err != nil {
			return err
		}
		return jobs.Put(tx, string(j.ID), *j)
	}
	if err := jobs.Put(tx, string(j.ID), *j); err != nil {
		return err
	}
	j.Notice, err = q.reportMail(tx, m, j.Ended, false)
	return err
}

// toldOf counts the jobs of a mail that its sender is told of, those too that are purged by now.
func toldOf(tx *store.Tx, m Mail) (int, error) {
	n := 0
	for _, id := range m.Jobs {
		j, err := jobs.Get(tx, string(id))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return 0, err
		}
		if err != nil || j.Sender != "" {
			n++
		}
	}
	return n, nil
}

// reportMail makes the notice of all jobs of a mail that have ended and are in none yet. While another is under way that
// nobody holds, they wait for it unless due. It returns "" when there is nothing to tell, or not yet.
func (q *Queue) reportMail(tx *store.Tx, m Mail, now time.Time, due bool) (OutID, error) {
	s := Summary{Mail: m.ID, MessageID: m.MessageID, Repeated: m.Repeated}
	var ended []Job
	waits := false
	for _, id := range m.Jobs {
		j, err := jobs.Get(tx, string(id))
		switch {
		case errors.Is(err, ErrNotFound):
			s.Before++ // purged: it ended long ago
		case err != nil:
			return "", err
		case j.Sender == "":
		case !j.State.Final():
			s.Open = append(s.Open, OpenJob{Number: j.Number, Name: j.Name, State: j.State, Text: j.Text})
			waits = waits || j.State != Held
		case j.Notice != "":
			s.Before++
		default:
			ended = append(ended, j)
		}
	}
	switch {
	case len(ended) == 0:
		return "", unreported.Delete(tx, string(m.ID))
	case waits && !due && unreported.Has(tx, string(m.ID)):
		return "", nil
	case waits && !due:
		return "", unreported.Put(tx, string(m.ID), waitingReport{now})
	}
	return q.summarize(tx, s, ended)
}

// summarize puts the summary of ended jobs into the outbox.
func (q *Queue) summarize(tx *store.Tx, s Summary, ended []Job) (OutID, error) {
	slices.SortStableFunc(ended, func(a, b Job) int { return cmp.Compare(rank[a.State], rank[b.State]) })
	s.Subject = ended[0].Subject
	out := NewOut{Kind: KindSummary, To: []string{ended[0].Sender}}
	for _, j := range ended {
		s.Jobs = append(s.Jobs, noticeOf(j))
		out.Jobs = append(out.Jobs, j.ID)
	}
	out.Payload = s
	id, err := q.addOut(tx, out)
	if err != nil {
		return "", err
	}
	for _, j := range ended {
		j.Notice = id
		if err := jobs.Put(tx, string(j.ID), j); err != nil {
			return "", err
		}
	}
	return id, unreported.Delete(tx, string(s.Mail))
}

// reportBeside looks whether the other jobs of a job's mail are to be told of: this one, just held, is no longer waited for.
func (q *Queue) reportBeside(tx *store.Tx, j Job) error {
	m, err := mails.Get(tx, string(j.Mail))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = q.reportMail(tx, m, time.Now(), false)
	return err
}

// reportAt is when what has ended of a mail is told, whatever the rest does. A clock that went back is no reason to wait.
func (q *Queue) reportAt(w waitingReport, now time.Time) time.Time {
	if w.Since.After(now) {
		return now
	}
	return w.Since.Add(q.o.ReportAfter)
}

// ReportDue makes the summaries whose time has come: of mails with a fax that ended Options.ReportAfter ago and others that
// still go on. It returns how many it made.
func (q *Queue) ReportDue(now time.Time) (int, error) {
	made := 0
	find := func(tx *store.Tx) (due []string, err error) {
		err = unreported.Each(tx, func(id string, w waitingReport) error {
			if !now.Before(q.reportAt(w, now)) {
				due = append(due, id)
			}
			return nil
		})
		return due, err
	}
	var due []string
	// Looked for in a read transaction first: an empty write would cost a sync.
	err := q.view("report", func(tx *store.Tx) (err error) { due, err = find(tx); return err })
	if err != nil || len(due) == 0 {
		return 0, err
	}
	err = q.update("report", func(tx *store.Tx) error {
		made = 0
		due, err := find(tx)
		if err != nil {
			return err
		}
		for _, id := range due {
			m, err := mails.Get(tx, id)
			if err != nil {
				return err
			}
			out, err := q.reportMail(tx, m, now, true)
			if err != nil {
				return err
			}
			if out != "" {
				made++
			}
		}
		return nil
	})
	return made, err
}

// NextReportAt returns when ReportDue has something to do next; zero: nothing waits.
func (q *Queue) NextReportAt(now time.Time) (time.Time, error) {
	var next time.Time
	err := q.view("report", func(tx *store.Tx) error {
		return unreported.Each(tx, func(_ string, w waitingReport) error {
			if at := q.reportAt(w, now); next.IsZero() || at.Before(next) {
				next = at
			}
			return nil
		})
	})
	return next, err
}
