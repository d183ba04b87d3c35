package control

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// CallRecord is one ended call, connected or not.
type CallRecord struct {
	ID         string    `json:"id"`
	Line       string    `json:"line,omitempty"` // "" for a one-off call
	Direction  string    `json:"direction"`      // "out", "in"
	Number     string    `json:"number"`         // dialed, or the caller's; "" unknown
	RemoteID   string    `json:"remote_id,omitempty"`
	Start      time.Time `json:"start"` // off hook
	Seconds    float64   `json:"seconds"`
	Code       int       `json:"code"` // t30.Code; 0: the program ended during the call
	Text       string    `json:"text"` // how it ended
	Pages      int       `json:"pages"`
	Modulation string    `json:"modulation,omitempty"`
	RateBPS    int       `json:"rate_bps,omitempty"`
	ECM        bool      `json:"ecm,omitempty"`
	Coding     string    `json:"coding,omitempty"`
	Resolution string    `json:"resolution,omitempty"`
	JobID      string    `json:"job_id,omitempty"` // the one it was dialed for
	Jobs       []CallJob `json:"jobs,omitempty"`   // all that shared it, that one first
	FaxID      string    `json:"fax_id,omitempty"`

	// What follows is not in a list; empty when nothing was kept of the call but its outcome.
	Signals    []Signal `json:"signals,omitempty"`
	Parts      []Part   `json:"parts,omitempty"`      // their seconds add up to the call's
	Transcript []Event  `json:"transcript,omitempty"` // only when asked for
}

// CallJob is what a call brought one of the jobs that shared it.
type CallJob struct {
	ID    string `json:"id"`
	Code  int    `json:"code"` // t30.Code
	Text  string `json:"text"` // how its part ended
	Pages int    `json:"pages"`
}

// Signal is one stretch of a call: a signal of either side, a silence, a wait.
type Signal struct {
	At         float64 `json:"at"` // seconds since off hook
	Seconds    float64 `json:"seconds"`
	Dir        string  `json:"dir"`            // ">" ours, "<" theirs or waiting for it, "-" neither's
	Kind       string  `json:"kind"`           // t30.Kind
	Text       string  `json:"text,omitempty"` // the frames; how it failed
	Octets     int64   `json:"octets,omitempty"`
	Modulation string  `json:"modulation,omitempty"`
	Again      bool    `json:"again,omitempty"`  // repeats what was sent before
	Merged     int     `json:"merged,omitempty"` // so many in the middle of a long call
}

// Describe says what a signal is, in a line: its frames, or kind, modulation and size.
func (s Signal) Describe() string {
	text := s.Text
	switch s.Kind {
	case "frames", "waiting", "spoilt":
	case "merged":
		text = fmt.Sprintf("(%d signals and silences left out)", s.Merged)
	default:
		text = s.Kind
		if s.Kind == "tcf" {
			text = "TCF"
		}
		if s.Modulation != "" {
			text += ", " + s.Modulation
		}
		if s.Octets > 0 {
			text += fmt.Sprintf(", %d octets", s.Octets)
		}
		if s.Text != "" {
			text += ", " + s.Text
		}
	}
	if s.Again {
		text += " (again)"
	}
	return text
}

// Part is where some of a call's seconds went.
type Part struct {
	Name    string  `json:"name"`
	Side    Side    `json:"side"`
	Seconds float64 `json:"seconds"`
	Least   float64 `json:"least_seconds"` // what the recommendations demand at least, never measured
	Clause  string  `json:"clause,omitempty"`
}

// Side tells on whose account a part goes.
type Side string

// The sides.
const (
	Ours   Side = "ours"
	Theirs Side = "theirs"
	Nobody Side = "nobody" // the exchange, the ringing
)

// callRoutes offers the calls.
func callRoutes(mux *http.ServeMux, a View) {
	mux.Handle("GET /calls", answer(func(r *http.Request) (any, error) {
		limit, err := number(r, "limit")
		if err != nil {
			return nil, err
		}
		return a.Calls(r.Context(), int(limit))
	}))
	mux.Handle("GET /calls/{id}", byID(func(r *http.Request, id string) (any, error) {
		return a.CallRecord(r.Context(), id, r.FormValue("transcript") == "true")
	}))
}

// Calls implements [View].
func (c *Client) Calls(ctx context.Context, limit int) ([]CallRecord, error) {
	return call[[]CallRecord](ctx, c, http.MethodGet, "/calls", url.Values{"limit": {strconv.Itoa(limit)}}, nil)
}

// CallRecord implements [View].
func (c *Client) CallRecord(ctx context.Context, id string, transcript bool) (CallRecord, error) {
	q := url.Values{"transcript": {strconv.FormatBool(transcript)}}
	return call[CallRecord](ctx, c, http.MethodGet, item("calls", id), q, nil)
}
