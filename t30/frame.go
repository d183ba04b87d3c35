package t30

// Frame is one HDLC frame without flags and FCS: address (0xFF), control (0x03, final 0x13 — least significant bit
// first, T.30 5.3.5 writes them 1111 1111, 1100 X000), FCF, FIF. Octets have the first bit sent in the least
// significant bit.
type Frame []byte

// Final tells whether the control field has the final bit (T.30 5.3.5): the last frame of a signal.
func (f Frame) Final() bool { return len(f) > 1 && f[1]&0x10 != 0 }
