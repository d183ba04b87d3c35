package t30

// Frame is one HDLC frame without flags and FCS: address (0xFF), control (0x03, final 0x13 — least significant bit
// first, T.30 5.3.5 writes them 1111 1111, 1100 X000), FCF, FIF. Octets have the first bit sent in the least
// significant bit.
type Frame []byte

// The address and control fields of T.30 5.3.4 and 5.3.5.
const (
	Address      = 0xff
	ControlMore  = 0x03
	ControlFinal = 0x13
)

// MaxV21Frame is the longest V.21 frame taken, in octets without FCS: T.30 5.3.3 and its 3 s limit give less than this.
const MaxV21Frame = 256

// NewFrame makes a frame. x is the X bit of the FCF (T.30 5.3.6.1), ignored where the FCF has none.
func NewFrame(fcf FCF, x, final bool, fif ...byte) Frame {
	f := make(Frame, 3, 3+len(fif))
	f[0], f[1], f[2] = Address, ControlMore, fcf.octet(x)
	if final {
		f[1] = ControlFinal
	}
	return append(f, fif...)
}

// Final tells whether the control field has the final bit (T.30 5.3.5): the last frame of a signal.
func (f Frame) Final() bool { return len(f) > 1 && f[1]&0x10 != 0 }

// Valid tells whether f has T.30's address and control fields and an FCF.
func (f Frame) Valid() bool {
	return len(f) >= 3 && f[0] == Address && f[1]&^0x10 == ControlMore
}

// FCF returns the facsimile control field with its X bit taken out; FcfNULL for a frame without one.
func (f Frame) FCF() FCF {
	if len(f) < 3 {
		return FcfNULL
	}
	return fcfOf(f[2])
}

// X returns the X bit, false for a field without one.
func (f Frame) X() bool { return len(f) >= 3 && hasX(f[2]) && f[2]&xBit != 0 }

// FIF returns the facsimile information field; it may be empty.
func (f Frame) FIF() []byte {
	if len(f) < 3 {
		return nil
	}
	return f[3:]
}
