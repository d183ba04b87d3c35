package t30

import "time"

// Layer names the part that an event comes from.
type Layer string

const (
	LayerAT    Layer = "at"    // AT lines between host and modem
	LayerFrame Layer = "frame" // T.30 frames, decoded
	LayerPlace Layer = "place" // flow chart transitions
	LayerImage Layer = "image" // page data progress
	LayerCall  Layer = "call"  // dialing, ringing, hang-up
)

// Dir is an event's direction as seen from us.
type Dir string

const (
	Out  Dir = ">"
	In   Dir = "<"
	Note Dir = "-"
)

// Event is one line of a call's transcript: the one format for call log, live page, support bundle and fixtures.
type Event struct {
	At    time.Time `json:"at"`
	Layer Layer     `json:"layer"`
	Dir   Dir       `json:"dir"`
	Text  string    `json:"text"`
}
