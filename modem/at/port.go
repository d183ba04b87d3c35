// Package at is the AT channel between host and modem: commands and result codes, DLE shielding, data phases, abort
// and the loss of the port. It knows no fax class; the classes are built on it.
package at

import (
	"errors"
	"io"
)

// Port is the serial line to a modem, 8 bit, with hardware flow control. Read blocks until octets arrive or the port is
// closed or lost; Write may block on flow control. Close ends both.
type Port interface {
	io.ReadWriteCloser
	// SetDTR raises or drops circuit 108 (V.24). A port without that circuit does nothing and returns nil.
	SetDTR(on bool) error
}

// Purger is a [Port] that can discard what it has accepted but not yet sent to the modem, so that an abort overtakes
// the page data in front of it.
type Purger interface {
	Purge() error
}

var (
	// ErrPortLost is returned by every running and later call once the port has failed, was unplugged or closed.
	ErrPortLost = errors.New("at: port lost")
	// ErrNoReply is returned when the modem said nothing final in the time it was given.
	ErrNoReply = errors.New("at: no reply from modem")
	// ErrCommand is returned when the modem refused a command with ERROR.
	ErrCommand = errors.New("at: command refused")
	// ErrTooLong is returned for a command line that no modem takes.
	ErrTooLong = errors.New("at: command line too long")
)
