package t30

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrRinging is returned by Call and Dial when the line rang before dialing (glare): nothing was dialed.
	ErrRinging = errors.New("t30: line is ringing, nothing dialed")
	// ErrVoice is returned by Answer when a person, not a machine, is on the line.
	ErrVoice = errors.New("t30: voice call")
	// ErrData is returned by Answer when a data modem called.
	ErrData = errors.New("t30: data call")
)

// Terminal is a line that can make and take calls: [NewTerminal] over a Class 1 modem, or a Class 2 modem by itself.
// A nil error with a Report is the normal outcome, also for busy and for every kind of far-end misbehaviour;
// a Go error means our modem, disk or context, and the Report then still says how far the call came.
type Terminal interface {
	Capabilities() Capabilities
	// Call dials number and runs s. ErrRinging: glare, nothing was dialed.
	Call(ctx context.Context, number string, s Session) (Report, error)
	// WaitCall blocks until the line rings or ctx ends.
	WaitCall(ctx context.Context) (Incoming, error)
}

// Incoming is one ringing call.
type Incoming interface {
	// Rings delivers each ring; closed when the ringing stops.
	Rings() <-chan Ring
	// Answer answers and runs s. ErrVoice, ErrData.
	Answer(ctx context.Context, m AnswerMode, s Session) (Report, error)
	// Ignore lets it ring.
	Ignore() error
}

// Ring is one ring and what the exchange has told of the call so far.
type Ring struct {
	At      time.Time
	Caller  string // calling number, "" unknown
	Name    string // calling name, "" unknown
	Dialed  string // the digits dialed to reach us (DID, DTMF), "" unknown
	Pattern string // distinctive ring ("A", "2", "DRON=8/DROF=4"), "" plain
	// NoCaller is why there is no calling number: "withheld" by the caller, "unavailable" to the exchange; "" nobody said.
	NoCaller string
}

// AnswerMode says what a ringing call is taken for.
type AnswerMode int

const (
	AnswerFax      AnswerMode = iota // CED and DIS at once
	AnswerAdaptive                   // let the modem tell fax, data and voice apart
)

// Session says what one call is for; sending, being polled, polling and receiving can all happen in it.
type Session struct {
	Me    Station
	Limit Capabilities // the most to use; zero fields mean "all that the terminal can"
	NoECM bool         // do without error correction
	Send  Documents    // to send, or offered to a poller; nil: nothing
	Poll  *Poll        // poll the far end, also after sending; nil: do not
	Sink  PageSink     // takes received pages; nil: refuse to receive
	Trace func(Event)  // the transcript, one event at a time, from whatever goroutine; must not block; nil: none
	// NeedPassword, when set, is the PWD a poller or sender must give; "" accepts all.
	NeedPassword string
}

// Station is who we are in T.30's terms.
type Station struct {
	ID string // CSI, TSI, CIG: up to 20 digits, '+' and spaces (T.30 5.3.6.2.4-6)
	// Subaddress and Password go with DCS when sending (SUB, PWD: T.30 5.3.6.1.2).
	Subaddress string
	Password   string
}

// Poll asks the far end for its document.
type Poll struct {
	Selective string // SEP, "" for the default document
	Password  string // PWD
}

// Remote is what the far end told of itself: DIS or DTC when it receives, DCS and TSI when it sends.
type Remote struct {
	ID           string // CSI, CIG or TSI
	Capabilities Capabilities
	NSF          []byte // non-standard facilities, nil if none
	Subaddress   string // SUB that came with its DCS
	Selective    string // SEP that came with its DTC
	Password     string // PWD
	CanPoll      bool   // DIS bit 9: has a document to fetch
	// Dialed are the digits the caller dialed to reach us, where they were heard after the answer only; not the far end's word but the
	// exchange's.
	Dialed string
}
