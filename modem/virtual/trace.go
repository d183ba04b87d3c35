package virtual

import "time"

// Event is one thing that happened, as the exchange saw it; it marshals to one JSON object.
type Event struct {
	At   time.Time `json:"at"`             // wall time
	T    float64   `json:"t"`              // line time since the exchange was made, seconds
	Kind EventKind `json:"ev"`             //
	Call int       `json:"call,omitempty"` // number of the call, from 1
	// Modem is the number of the modem it is about.
	Modem string `json:"modem,omitempty"`
	// Text is the number dialed, the command line, the result code, the cause, the modulation.
	Text    string   `json:"text,omitempty"`
	Seconds float64  `json:"seconds,omitempty"` // length of a signal, line time
	Octets  int      `json:"octets,omitempty"`  // in a signal, training and preamble not counted
	Frames  []string `json:"frames,omitempty"`  // of a V.21 signal, in hex without FCS
	Page    int      `json:"page,omitempty"`    // number of an image in its call, from 1
}

// EventKind is the kind of an [Event].
type EventKind string

const (
	EventOpen    EventKind = "open"    // a DTE opened the port
	EventClose   EventKind = "close"   // a DTE closed the port
	EventCommand EventKind = "at"      // command line
	EventResult  EventKind = "result"  // result code or information text
	EventDial    EventKind = "dial"    // Text: number dialed
	EventOutcome EventKind = "outcome" // what became of the dialing, if not Normal
	EventRing    EventKind = "ring"    // one ring at Modem
	EventAnswer  EventKind = "answer"  // Modem went off hook
	EventSignal  EventKind = "signal"  // a signal of Modem ended; Text: modulation
	EventImage   EventKind = "image"   // a carrier of Modem turned out to be page data
	EventHangup  EventKind = "hangup"  // Modem went on hook, or a fault dropped the line
	EventUnder   EventKind = "underrun"
	EventFrame   EventKind = "frame" // a frame that Modem's firmware sent (Text ">") or heard ("<")
)

// trace reports e. The exchange is locked.
func (ex *Exchange) trace(e Event) {
	if ex.opts.Trace == nil {
		return
	}
	e.At = time.Now()
	e.T = ex.now().Seconds()
	ex.opts.Trace(e)
}
