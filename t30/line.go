package t30

import (
	"context"
	"errors"
	"io"
	"time"
)

// Errors of a [Line] that steer the flow charts. A Line wraps them with its operation; the engine tells them
// apart with errors.Is. Any other error is a fault of our own modem, port or context and ends the call at once.
var (
	// ErrTimeout is returned when nothing began within the time a receive call was given.
	ErrTimeout = errors.New("t30: nothing heard in time")
	// ErrFCS is returned by ReceiveFrame when a frame arrived with a bad frame check sequence.
	ErrFCS = errors.New("t30: frame check sequence wrong")
	// ErrCarrierLost is returned when a carrier went away before it was complete.
	ErrCarrierLost = errors.New("t30: carrier lost")
	// ErrHungUp is returned when the line was dropped by the far end or the exchange.
	ErrHungUp = errors.New("t30: line dropped")
	// ErrV21 is returned by ReceivePage and ReceiveBlock when a V.21 control signal came where a high-speed
	// carrier was expected (T.31 +FCERROR or +FRH:3): the next ReceiveFrame reads it.
	ErrV21 = errors.New("t30: V.21 signal in place of a page")
)

// Line is one answered half-duplex call: a Class 1 modem, a T.38 stream or a simulated wire.
//
// Octets are in line order with the first bit sent in the least significant bit, as T.31 carries them. Every method
// returns when its signal has ended on the line (a send: carrier off; a receive: carrier gone or what was asked for
// is complete), and at once with the context's error when ctx ends; the line is then only good for Hangup.
// Methods are called from one goroutine at a time, except Hangup.
type Line interface {
	// Capabilities tells the modulations (and ECM) that the modem can do in each direction.
	Capabilities() Capabilities
	// SendFrames sends one V.21 signal: preamble (T.30 5.3.1), then the frames without a gap. Only the last has the
	// final control bit; the Line takes frames as they are and adds FCS and flags.
	SendFrames(ctx context.Context, frames ...Frame) error
	// ReceiveFrame returns the next V.21 frame, FCS checked and removed. wait bounds the time until a frame's flags
	// begin; a frame already on the line may end. After a frame without the final bit the same signal goes on and
	// the next call reads on. Errors: ErrTimeout, ErrFCS, ErrCarrierLost, ErrHungUp.
	ReceiveFrame(ctx context.Context, wait time.Duration) (Frame, error)
	// SendTCF trains m and sends d of zeros (T.30 5.3.6.1.1: 1.5 s ±10 %).
	SendTCF(ctx context.Context, m Modulation, d time.Duration) error
	// SendPage trains m and sends r's octets until io.EOF. The Line reads ahead of the carrier; it never lets the
	// carrier run dry while r delivers.
	SendPage(ctx context.Context, m Modulation, r io.Reader) error
	// SendBlock trains m and sends the frames of one ECM block (FCD..., RCP, RCP, RCP) in HDLC.
	SendBlock(ctx context.Context, m Modulation, frames []Frame) error
	// ReceivePage receives one carrier of modulation m into w until the carrier ends: non-ECM page data or TCF.
	// wait bounds the time until the carrier is there. Errors: ErrTimeout, ErrV21, ErrCarrierLost, ErrHungUp; an
	// error of w is returned as it is.
	ReceivePage(ctx context.Context, m Modulation, wait time.Duration, w io.Writer) error
	// ReceiveBlock receives one carrier of HDLC frames, calling f for each with a good FCS, until the carrier ends
	// or RCP came. Errors as ReceivePage. f must not keep the frame.
	ReceiveBlock(ctx context.Context, m Modulation, wait time.Duration, f func(Frame)) error
	// Silence keeps the line quiet for d.
	Silence(ctx context.Context, d time.Duration) error
	// Hangup goes on hook; safe from any goroutine and more than once. It makes a running method return.
	Hangup() error
}

// Listener is a [Line] that can tell silence from a carrier that it cannot receive.
type Listener interface {
	// Quiet tells whether nothing is on the line now, within half a second.
	Quiet(ctx context.Context) (bool, error)
}

// Dialed is a [Line] that heard, after the answer, what the caller dialed: digits that the exchange sends by DTMF (DID).
type Dialed interface {
	Dialed() string // "" nothing
}

// Phone makes and takes calls and hands over each answered call as a [Line]: a Class 1 modem. NewTerminal runs T.30
// over it.
type Phone interface {
	// Capabilities tells the modulations of the modem.
	Capabilities() Capabilities
	// Dial dials and returns the Line once the far end has answered with a fax signal, its first frame waiting in
	// ReceiveFrame. *CallError tells why there is no Line (busy, no answer, ...); ErrRinging when a call came in
	// first and nothing was dialed. Other errors are faults of our modem.
	Dial(ctx context.Context, number string) (Line, error)
	// WaitRing blocks until the line rings or ctx ends. One WaitRing or Dial at a time.
	WaitRing(ctx context.Context) (Ringing, error)
}

// Ringing is one ringing call of a [Phone].
type Ringing interface {
	// Rings delivers each ring with what the exchange told so far; it is closed when the ringing stopped.
	Rings() <-chan Ring
	// Answer goes off hook and sends CED; the Line is ready to send DIS. *CallError, ErrVoice, ErrData.
	Answer(ctx context.Context, m AnswerMode) (Line, error)
	// Ignore lets it ring.
	Ignore() error
}

// CallError says why a call came to nothing before T.30 began.
type CallError struct {
	Code Code   // CodeBusy, CodeNoAnswer, CodeNoDialTone, CodeNoCarrier, ...
	Text string // what the modem said
}

func (e *CallError) Error() string { return "t30: " + e.Code.String() + ": " + e.Text }
