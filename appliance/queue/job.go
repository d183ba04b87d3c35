package queue

import (
	"slices"
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
	Resolution string `json:"resolution,omitempty"` // asked for by the sender: "fine", "300" ...; "": the appliance's
	Cover      string `json:"cover,omitempty"`      // asked for by the sender: "yes" or "no"; "": as the appliance does
	// Address, Notify, OriginalRecipient and EnvelopeID are what the sending server said for delivery reports (RFC 3461 4): RCPT
	// TO, NOTIFY= ("" when it said nothing), ORCPT= decoded and ENVID= decoded.
	Address           string `json:"address,omitempty"`
	Notify            string `json:"notify,omitempty"`
	OriginalRecipient string `json:"original_recipient,omitempty"`
	EnvelopeID        string `json:"envelope_id,omitempty"`
	// Receipt is who gets a receipt (RFC 8098) beside the notice when the fax is sent; "": nobody asked, or may have one.
	Receipt string `json:"receipt,omitempty"`

	Header    string `json:"header,omitempty"` // sender's text on the header line; "": the station's
	StationID string `json:"station_id,omitempty"`
	// Document and Pages: spool file of a multi-page TIFF and its number of pages; "" and 0: the job begins in
	// Preparing and SetDocument follows.
	Document  string    `json:"document,omitempty"`
	Pages     int       `json:"pages,omitempty"`
	NotBefore time.Time `json:"not_before,omitzero"` // zero: at once
	DeadLine  string    `json:"dead_line,omitempty"` // the line that could not dial it: others need not wait for NotBefore
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
	Notice  OutID     `json:"notice,omitempty"`  // of the final notice; "": it waits for others of its mail
	Omitted []string  `json:"omitted,omitempty"` // what of the mail is not on the fax, "name: reason" each

	Done    []PageDone `json:"done,omitempty"`     // the confirmed pages, in the order of their confirmation
	Refused []int      `json:"refused,omitempty"`  // pages refused (RTN) in this or the last attempt and not confirmed since
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
func (j Job) Next() int {
	if p := j.Pending(); len(p) > 0 {
		return p[0]
	}
	return j.Pages + 1
}

// Pending returns the pages that are not confirmed, in order, from 1: what the next attempt sends.
func (j Job) Pending() []int {
	done := map[int]bool{}
	for _, n := range j.Arrived() {
		done[n] = true
	}
	var list []int
	for n := 1; n <= j.Pages; n++ {
		if !done[n] {
			list = append(list, n)
		}
	}
	return list
}

// Arrived returns the pages that are confirmed, in order, from 1.
func (j Job) Arrived() []int {
	list := make([]int, len(j.Done))
	for i, p := range j.Done {
		if list[i] = p.Page; p.Page == 0 {
			list[i] = i + 1 // recorded before pages had numbers: they were confirmed in order
		}
	}
	slices.Sort(list)
	return list
}

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

// Calls returns how many attempts were dialed, or rode in a call and got something across.
func (j Job) Calls() int {
	n := 0
	for _, a := range j.Attempts {
		if !a.Undialed && !a.idle() {
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

// inDoubt returns the page that went out whole and was neither confirmed nor refused; 0: there is none.
func (j Job) inDoubt() int {
	if slices.Contains(j.Pending(), j.LastOut) && !slices.Contains(j.Refused, j.LastOut) {
		return j.LastOut
	}
	return 0
}

// lastInDoubt tells whether it cannot be known if the far end has the whole document.
func (j Job) lastInDoubt() bool { return j.inDoubt() > 0 && len(j.Pending()) == 1 }

// PageDone is one confirmed page.
type PageDone struct {
	Page    int       `json:"page,omitempty"` // from 1; 0 in old records: its place in the list
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
	// Begun is how the call began otherwise than at the best; Remembered: since when the far end's part of that is
	// known, zero if it is this job's alone.
	Begun      Hint      `json:"begun,omitzero"`
	Remembered time.Time `json:"remembered,omitzero"`
	// Rode is the job whose call this was: the document followed that job's in the same call. "": a call of its own.
	Rode JobID `json:"rode,omitempty"`
}

// idle tells whether the attempt rode in another job's call and nothing of it arrived: it counts for nothing.
func (a Attempt) idle() bool { return a.Rode != "" && a.Pages == 0 && a.Doubt == 0 }

// Hint is what the next attempt should do otherwise.
type Hint struct {
	MaxRate int  `json:"max_rate_bps,omitempty"` // 0: no limit
	NoECM   bool `json:"no_ecm,omitempty"`
}

// Tries counts attempts by class since the last progress.
type Tries map[Class]int
