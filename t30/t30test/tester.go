package t30test

import (
	"context"
	"time"

	"github.com/tipring/tipring/t30"
)

// SignalKind tells the signals of a fax call apart.
type SignalKind int

const (
	SignalV21     SignalKind = iota // frames at 300 bit/s (T.30 5.3)
	SignalCarrier                   // a high-speed carrier: TCF or a page without ECM
	SignalBlock                     // a high-speed carrier with HDLC frames: an ECM block (T.30 A.3)
	SignalCED                       // called station's tone (T.30 4.3.3.1)
	SignalCNG                       // calling tone (T.30 4.3.3.2)
	SignalNoise                     // what no modem trains on
)

func (k SignalKind) String() string {
	return [...]string{"V.21", "carrier", "block", "CED", "CNG", "noise"}[k]
}

// SignalFrame is one HDLC frame of a signal.
type SignalFrame struct {
	Frame t30.Frame
	// Bad: its FCS is wrong. A hearer may leave bad frames of a block out.
	Bad bool
	// Clip: the signal ends inside the frame's FCS. Only in signals that a tester sends, and only in the last frame.
	Clip bool
}

// Signal is one signal on the line, to be sent or as heard, from carrier on to carrier off.
type Signal struct {
	Kind SignalKind
	Mod  t30.Modulation // SignalCarrier and SignalBlock: scheme, rate, and whether V.17 trains short

	Frames []SignalFrame // SignalV21 and SignalBlock, RCP included
	Octets []byte        // SignalCarrier, first bit on the line lowest

	// Lead is the preamble or training. To be sent: 0 is the usual one (V.21: 1 s). Heard: 0 is not known.
	Lead time.Duration
	// Length is the time of a tone or of noise to be sent.
	Length time.Duration
	// Untrained: the carrier cannot be trained on. Cut, above 0: it is lost after this share of its data.
	Untrained bool
	Cut       float64

	Start, End time.Time // as heard
}

// Tester is the tester's end of an answered line: unlike a t30.Line it can put anything on the line, and it hears
// whatever the device sends without being told what to listen for. A Script is played on it. Signals cross a line in
// both directions at once: what the device sends while the tester sends is heard too.
type Tester interface {
	// Send puts s on the line at once and returns when it is over; t30.ErrHungUp when the device went on hook before.
	Send(ctx context.Context, s *Signal) error
	// Hear returns the device's next signal once it is over. t30.ErrTimeout: none began within wait. t30.ErrHungUp: the
	// device is on hook and all it had sent was returned; it comes at the moment of the hang-up, not some time later.
	Hear(ctx context.Context, wait time.Duration) (*Signal, error)
	// Tones tells whether CED and CNG are on this line; if not, a script's steps for them are passed over.
	Tones() bool
	// Grain is by how much the times of Hear may be wrong; the windows of a script are widened by it.
	Grain() time.Duration
	// Hangup goes on hook.
	Hangup() error
}
