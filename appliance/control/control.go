// Package control is the local face of a running appliance: what the status page, the console and the command line
// can see ([View]) and change ([Control]). The appliance implements both; [Serve] offers them as JSON over HTTP on a
// Unix socket in the data folder, and [Dial] returns a client that implements them on the other side.
package control

import (
	"context"
	"errors"
	"io"
	"time"
)

// IDs are the queue's: letters and digits, sorted by the time they were made.

var (
	// ErrNotFound is returned when no job, fax, page, line or route has the name given.
	ErrNotFound = errors.New("control: not found")
	// ErrInvalid is returned when a request cannot be carried out as it stands: its text says why.
	ErrInvalid = errors.New("control: invalid request")
	// ErrConflict is returned when the thing is not in a state that allows the change (a job on the line cannot be
	// canceled, an undelivered fax cannot be deleted without force).
	ErrConflict = errors.New("control: not possible now")
	// ErrNotRunning is returned by [Dial] when no appliance works in the data folder.
	ErrNotRunning = errors.New("control: no running appliance in this data folder")
)

// View shows the appliance. All of it is safe for concurrent use and cheap enough to be asked every second.
type View interface {
	// Status is the whole picture: lines with their live calls, counters, alarms.
	Status(ctx context.Context) (Status, error)
	// Jobs lists faxes to send, newest first.
	Jobs(ctx context.Context, f JobFilter) ([]Job, error)
	// Job returns one, ErrNotFound if there is none.
	Job(ctx context.Context, id string) (Job, error)
	// Faxes lists received faxes, newest first.
	Faxes(ctx context.Context, limit int) ([]Fax, error)
	// Fax returns one, ErrNotFound if there is none.
	Fax(ctx context.Context, id string) (Fax, error)
	// Mail lists what waits in the outbox: notices and received faxes not yet delivered, oldest first.
	Mail(ctx context.Context) ([]Mail, error)
	// MailItem returns one message of the outbox, also one that is delivered, with its newest attempts. ErrNotFound if there is none.
	MailItem(ctx context.Context, id string) (Mail, error)
	// SentMail lists the newest messages of the outbox, delivered ones too, newest first. limit 0: 100; at most 1000.
	SentMail(ctx context.Context, limit int) ([]Mail, error)
	// OpenFax returns a received fax as one file. The caller closes it.
	OpenFax(ctx context.Context, id string, as FileType) (io.ReadCloser, error)
	// OpenPage returns page n (from 1) of a received fax as PNG, scaled down to at most width pixels across; 0 is
	// full size. The caller closes it.
	OpenPage(ctx context.Context, id string, n, width int) (io.ReadCloser, error)
	// Transcript returns the last events of a line's running or last call, oldest first.
	Transcript(ctx context.Context, line string) ([]Event, error)
	// Calls lists the calls that have ended, newest first, without their signals and parts. limit 0: 100; at most 1000.
	Calls(ctx context.Context, limit int) ([]CallRecord, error)
	// CallRecord returns one with its signals and where its seconds went, and with its transcript if that is asked for.
	// ErrNotFound if there is none.
	CallRecord(ctx context.Context, id string, transcript bool) (CallRecord, error)
}

// Control changes the appliance.
type Control interface {
	// Submit hands over one fax job. It returns once the job is on disk.
	Submit(ctx context.Context, s Submission) (Job, error)
	// CancelJob ends a job that waits; its sender gets the final notice. ErrConflict when it has ended or is on the line.
	CancelJob(ctx context.Context, id string) error
	// RetryJob makes a waiting job due at once, as far as the redial rules allow.
	RetryJob(ctx context.Context, id string) error
	// DeleteFax removes a received fax. An undelivered one only with force: ErrConflict.
	DeleteFax(ctx context.Context, id string, force bool) error
	// RetryMail makes held and waiting mail due at once: after the configuration was mended.
	RetryMail(ctx context.Context) error
	// GiveUpMail ends a mail that waits to be passed on for a device; its sender is told. ErrConflict of other mail, and of one on its way.
	GiveUpMail(ctx context.Context, id string) error
	// Routes lists the routes of received faxes in the order they are tried.
	Routes(ctx context.Context) ([]Route, error)
	// AddRoute adds r and returns it with its ID.
	AddRoute(ctx context.Context, r Route) (Route, error)
	// RemoveRoute removes one, ErrNotFound if there is none.
	RemoveRoute(ctx context.Context, id string) error
	// TestRule says what the dial rules make of a number; nothing is dialed.
	TestRule(ctx context.Context, number string) (RuleResult, error)
	// TestRoute says where a received fax would go.
	TestRoute(ctx context.Context, dialed, caller string) (RouteResult, error)
	// ClearAlarm removes an alarm by its code; it comes back if its cause does. ErrNotFound if there is none.
	ClearAlarm(ctx context.Context, code string) error
}

// Appliance is all of it.
type Appliance interface {
	View
	Control
	Numbers
	People
	Rules
	Devices
	Connectors
}

// Status is the whole picture at one moment.
type Status struct {
	Version  string    `json:"version"`
	Hostname string    `json:"hostname"`
	Now      time.Time `json:"now"`
	Started  time.Time `json:"started"`
	Lines    []Line    `json:"lines"`
	Alarms   []Alarm   `json:"alarms"`
	Counters Counters  `json:"counters"`
	SMTP     []string  `json:"smtp"` // addresses mail is taken on
	Web      string    `json:"web"`  // address of the status page, "" for none
	// SignIns are those by device code that wait for a person.
	SignIns []SignIn `json:"sign_ins,omitempty"`
}

// LineState is what a line does.
type LineState string

// The states of a line.
const (
	LineOpening LineState = "opening" // modem being opened and probed, or gone: Error says why
	LineIdle    LineState = "idle"    // waits for a ring or a job
	LineRinging LineState = "ringing"
	LineCalling LineState = "calling"        // sending: dialing until the end of the call
	LineInCall  LineState = "in call"        // receiving
	LineOut     LineState = "out of service" // the modem failed again and again; it is tried again by itself, ever more rarely
	LineStopped LineState = "stopped"        // failed too often, or shut down
)

// Line is one telephone line.
type Line struct {
	Name    string    `json:"name"`
	Device  string    `json:"device"`
	Number  string    `json:"number"`
	Send    bool      `json:"send"`
	Receive bool      `json:"receive"`
	State   LineState `json:"state"`
	Since   time.Time `json:"since"`
	Error   string    `json:"error,omitempty"` // why it is opening or stopped
	Call    *Call     `json:"call,omitempty"`  // running call
	Last    *Call     `json:"last,omitempty"`  // the call before
}

// Call is one call, running or ended.
type Call struct {
	Direction  string    `json:"direction"` // "out", "in"
	Number     string    `json:"number"`    // dialed, or the caller's; "" unknown
	RemoteID   string    `json:"remote_id,omitempty"`
	JobID      string    `json:"job_id,omitempty"`
	FaxID      string    `json:"fax_id,omitempty"`
	Phase      string    `json:"phase"`           // what happens now, in words
	Page       int       `json:"page"`            // on the line, from 1; 0 before the first
	Pages      int       `json:"pages,omitempty"` // of the job; 0 unknown
	Rows       int       `json:"rows"`            // image lines of this page so far
	Octets     int64     `json:"octets"`          // coded image data of this page so far
	Modulation string    `json:"modulation,omitempty"`
	RateBPS    int       `json:"rate_bps,omitempty"`
	ECM        bool      `json:"ecm"`
	Start      time.Time `json:"start"`
	End        time.Time `json:"end,omitzero"`
	Code       int       `json:"code"` // t30.Code, 0 while it runs
	Text       string    `json:"text,omitempty"`
	Confirmed  int       `json:"confirmed"`            // pages confirmed so far
	Transcript []Event   `json:"transcript,omitempty"` // last few lines
}

// Event is one line of a call's transcript.
type Event struct {
	At    time.Time `json:"at"`
	Layer string    `json:"layer"`
	Dir   string    `json:"dir"`
	Text  string    `json:"text"`
}

// Alarm is something an operator must see to.
type Alarm struct {
	Code   string    `json:"code"`   // stable: "line-lost/east", "mail-held", "disk-full"
	Text   string    `json:"text"`   // what is wrong
	Remedy string    `json:"remedy"` // what to do
	Since  time.Time `json:"since"`
	Last   time.Time `json:"last"`  // seen last
	Count  int       `json:"count"` // times seen
}

// Counters count since the database was made.
type Counters struct {
	Queued      int `json:"queued"`  // jobs being rendered or waiting
	Sending     int `json:"sending"` // jobs on a line
	Sent        int `json:"sent"`
	Failed      int `json:"failed"`
	Unknown     int `json:"unknown"`
	Canceled    int `json:"canceled"`
	Received    int `json:"received"`     // faxes
	Undelivered int `json:"undelivered"`  // received faxes whose mail is not delivered yet
	MailWaiting int `json:"mail_waiting"` // outbox
	MailHeld    int `json:"mail_held"`    // outbox, held for the configuration
}

// JobState is where a job stands.
type JobState string

// The states of a job; the last four are final.
const (
	JobRendering JobState = "rendering"
	JobWaiting   JobState = "waiting"
	JobSending   JobState = "sending"
	JobSent      JobState = "sent"
	JobFailed    JobState = "failed"
	JobUnknown   JobState = "unknown" // may have been printed: the last confirmation is missing
	JobCanceled  JobState = "canceled"
)

// Final tells whether the job has ended.
func (s JobState) Final() bool {
	return s == JobSent || s == JobFailed || s == JobUnknown || s == JobCanceled
}

// JobFilter selects jobs. Zero values select all.
type JobFilter struct {
	Active bool `json:"active"` // only those not final
	Limit  int  `json:"limit"`  // 0: 100; at most 1000
}

// Job is one fax to one number.
type Job struct {
	ID        string    `json:"id"`
	Number    string    `json:"number"`
	From      string    `json:"from"` // who gets the notice; "" nobody
	Subject   string    `json:"subject"`
	State     JobState  `json:"state"`
	Pages     int       `json:"pages"`     // 0 until rendered
	Confirmed int       `json:"confirmed"` // pages the far end has confirmed
	Attempts  []Attempt `json:"attempts,omitempty"`
	Tries     int       `json:"tries"`
	Next      time.Time `json:"next,omitzero"` // not before
	Created   time.Time `json:"created"`
	Ended     time.Time `json:"ended,omitzero"`
	Text      string    `json:"text,omitempty"` // why it waits or how it ended, one sentence
	// Proofs are how its sender was proven, a line each; only of a single job, and only where the connector demands proof.
	Proofs []string `json:"proofs,omitempty"`
}

// Attempt is one call for a job.
type Attempt struct {
	Start      time.Time `json:"start"`
	End        time.Time `json:"end,omitzero"`
	Line       string    `json:"line"`
	Code       int       `json:"code"`
	Text       string    `json:"text"`
	Pages      int       `json:"pages"` // confirmed in this call
	RemoteID   string    `json:"remote_id,omitempty"`
	Modulation string    `json:"modulation,omitempty"`
	ECM        bool      `json:"ecm"`
	CallID     string    `json:"call_id,omitempty"` // its record, see View.CallRecord
}

// Fax is one received fax.
type Fax struct {
	ID        string    `json:"id"`
	Line      string    `json:"line"`
	Caller    string    `json:"caller"`    // calling number, "" unknown
	RemoteID  string    `json:"remote_id"` // TSI
	Dialed    string    `json:"dialed"`    // our number, as dialed
	Pages     int       `json:"pages"`
	Damaged   bool      `json:"damaged"` // cut short or with bad lines
	At        time.Time `json:"at"`
	Text      string    `json:"text,omitempty"` // how the call ended
	To        []string  `json:"to"`
	Delivered bool      `json:"delivered"`
	Fetch     bool      `json:"fetch,omitempty"` // a mail told of it and does not hold it: it has to be fetched from here
}

// FileType is a form of a received fax.
type FileType string

// The forms.
const (
	TIFF FileType = "tiff"
	PDF  FileType = "pdf"
)

// Mail is one message of the outbox.
type Mail struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // "notice", "fax"
	To      []string  `json:"to"`
	Subject string    `json:"subject"`
	Tries   int       `json:"tries"`
	Next    time.Time `json:"next,omitzero"`
	Held    bool      `json:"held"`
	Text    string    `json:"text,omitempty"` // last refusal
	Created time.Time `json:"created"`
	State   string    `json:"state"`          // "pending", "held", "done", "dropped"
	Done    []string  `json:"done,omitempty"` // recipients that were served
	Ended   time.Time `json:"ended,omitzero"`
	// Attempts are the newest ones, oldest first; only of a single message.
	Attempts []MailAttempt `json:"attempts,omitempty"`
}

// MailAttempt is one attempt to hand a message on. Its transcript has neither secrets nor the message itself.
type MailAttempt struct {
	At         time.Time `json:"at"`
	Seconds    float64   `json:"seconds"`
	Outcome    string    `json:"outcome"` // "delivered", "waits", "held"
	Reply      string    `json:"reply"`
	Remedy     string    `json:"remedy,omitempty"`
	Transcript []string  `json:"transcript,omitempty"`
}

// Submission is one fax handed over locally.
type Submission struct {
	To      string           `json:"to"`      // number
	From    string           `json:"from"`    // address of the notice, "" none
	Subject string           `json:"subject"` // shown in queue and notice
	Text    string           `json:"text"`    // cover text before the files, "" none
	Files   []SubmissionFile `json:"files"`
}

// SubmissionFile is one document. All files of a submission together hold at most [MaxSubmission] octets.
type SubmissionFile struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

// MaxSubmission is the most that a submission's files may hold together, in octets.
const MaxSubmission = 64 << 20

// Route sends received faxes to mail addresses. Empty Dialed and Caller fit everything.
type Route struct {
	ID     string   `json:"id"`
	Dialed string   `json:"dialed"` // our number as dialed, "*" at the end fits any rest
	Caller string   `json:"caller"` // the caller's number, likewise
	To     []string `json:"to"`
	// Warnings are about addresses that could not be looked up, in an answer to AddRoute.
	Warnings []string `json:"warnings,omitempty"`
}

// RuleResult is what the dial rules make of a number.
type RuleResult struct {
	Number  string `json:"number"`  // normalized
	Dial    string `json:"dial"`    // what would be dialed
	Allowed bool   `json:"allowed"` // true: it may be dialed
	Reason  string `json:"reason"`  // which rule decided
}

// RouteResult is where a received fax would go.
type RouteResult struct {
	To     []string `json:"to"`
	Reason string   `json:"reason"`
	// Mailboxes are where the addresses lead; empty when the appliance does not look them up.
	Mailboxes []Destination `json:"mailboxes,omitempty"`
}

// Destination is where an address of a route leads.
type Destination struct {
	Address   string   `json:"address"`
	Mailboxes []string `json:"mailboxes,omitempty"`
	Source    string   `json:"source,omitempty"`  // which directory knows it
	Trouble   string   `json:"trouble,omitempty"` // nobody knows it, or who should cannot be asked, and what becomes of a fax
}
