package queue

import (
	"time"

	"github.com/tipring/tipring/t30"
)

// State is where a job is.
type State string

const (
	Preparing State = "preparing" // its document is not made yet
	Waiting   State = "waiting"   // for its time and a line
	Calling   State = "calling"   // a line has it
	Held      State = "held"      // by hand or by a fault in the configuration; Text says why
	Sent      State = "sent"      // final: every page was confirmed
	Failed    State = "failed"    // final; some pages may have been confirmed
	Unknown   State = "unknown"   // final: all went out, whether the last page was received is not known
	Canceled  State = "canceled"  // final: by hand
)

// Final tells whether a job in this state is over.
func (s State) Final() bool { return s == Sent || s == Failed || s == Unknown || s == Canceled }

// NewJob is what a job is made of.
type NewJob struct {
	Mail       MailID `json:"mail,omitempty"`       // "" for a local submission
	MessageID  string `json:"message_id,omitempty"` // of the mail: notices refer to it
	Sender     string `json:"sender,omitempty"`     // address for notices; "": nobody is told
	Number     string `json:"number"`               // as dialed: see NormalizeNumber
	Subaddress string `json:"subaddress,omitempty"`
	Password   string `json:"password,omitempty"`
	Name       string `json:"name,omitempty"` // of the recipient
	Subject    string `json:"subject,omitempty"`
	Header     string `json:"header,omitempty"` // sender's text on the header line; "": the station's
	StationID  string `json:"station_id,omitempty"`
	// Document and Pages: spool file of a multi-page TIFF and its number of pages; "" and 0: the job begins in
	// Preparing and SetDocument follows.
	Document  string    `json:"document,omitempty"`
	Pages     int       `json:"pages,omitempty"`
	NotBefore time.Time `json:"not_before,omitzero"` // zero: at once
}

// Job is one fax to one number.
type Job struct {
	ID JobID `json:"id"`
	NewJob
	Created time.Time `json:"created"`
	State   State     `json:"state"`
	Code    t30.Code  `json:"code,omitempty"` // of the last attempt
	Text    string    `json:"text,omitempty"` // what happened last, or why it is held, for people
	Ended   time.Time `json:"ended,omitzero"`
	Notice  OutID     `json:"notice,omitempty"` // of the final notice

	Done    []PageDone `json:"done,omitempty"`     // Done[i] is page i+1's confirmation
	LastOut int        `json:"last_out,omitempty"` // the last page that is out whole, its post-message command following
	Opened  int        `json:"opened,omitempty"`   // the last page opened for the line in this attempt

	Line        string    `json:"line,omitempty"` // while Calling
	Attempts    []Attempt `json:"attempts,omitempty"`
	Tries       Tries     `json:"tries"`
	Hint        Hint      `json:"hint"`
	Cancel      bool      `json:"cancel,omitempty"`       // asked for while Calling
	PrepareRuns int       `json:"prepare_runs,omitempty"` // times BeginPrepare was called
}

// Next returns the first page that is not confirmed, counted from 1; Pages+1 when all are.
func (j Job) Next() int { return len(j.Done) + 1 }

// PoorPages returns how many pages were confirmed with poor quality (RTP).
func (j Job) PoorPages() int {
	n := 0
	for _, p := range j.Done {
		if p.Poor {
			n++
		}
	}
	return n
}

// Calls returns how many attempts were dialed.
func (j Job) Calls() int {
	n := 0
	for _, a := range j.Attempts {
		if !a.Undialed {
			n++
		}
	}
	return n
}

// LastAttempt returns the attempt last made, or nil.
func (j *Job) LastAttempt() *Attempt {
	if len(j.Attempts) == 0 {
		return nil
	}
	return &j.Attempts[len(j.Attempts)-1]
}

// inDoubt tells whether the first unconfirmed page went out whole.
func (j Job) inDoubt() bool { return j.LastOut >= j.Next() }

// lastInDoubt tells whether it cannot be known if the far end has the whole document.
func (j Job) lastInDoubt() bool { return j.inDoubt() && j.Next() == j.Pages }

// PageDone is one confirmed page.
type PageDone struct {
	At      time.Time `json:"at"`
	Attempt int       `json:"attempt"` // index into Attempts
	Poor    bool      `json:"poor,omitempty"`
	Retries int       `json:"retries,omitempty"` // transmissions beyond the first, in that attempt
	Octets  int64     `json:"octets,omitempty"`
	Seconds float64   `json:"seconds,omitempty"`
}

// Attempt is one call for a job, recorded before the modem dials.
type Attempt struct {
	Start      time.Time `json:"start"`
	End        time.Time `json:"end,omitzero"` // zero: still calling
	Line       string    `json:"line"`
	FirstPage  int       `json:"first_page"` // the page it began at, from 1
	Code       t30.Code  `json:"code"`
	Text       string    `json:"text,omitempty"`
	Pages      int       `json:"pages"` // confirmed in it
	Modulation string    `json:"modulation,omitempty"`
	Rate       int       `json:"rate_bps,omitempty"`
	ECM        bool      `json:"ecm,omitempty"`
	RemoteID   string    `json:"remote_id,omitempty"`
	Seconds    float64   `json:"seconds,omitempty"` // off hook
	Call       CallID    `json:"call,omitempty"`
	Fault      string    `json:"fault,omitempty"`    // what failed on our side
	Undialed   bool      `json:"undialed,omitempty"` // the exchange saw no number: no dial tone, glare, a modem fault
	// Doubt is the page that may have arrived although it was not recorded as confirmed; it was or will be sent again
	// unless it is the last. 0: none.
	Doubt int `json:"doubt,omitempty"`
}

// Hint is what the next attempt should do otherwise.
type Hint struct {
	MaxRate int  `json:"max_rate_bps,omitempty"` // 0: no limit
	NoECM   bool `json:"no_ecm,omitempty"`
}

// Tries counts attempts by class since the last progress.
type Tries map[Class]int
