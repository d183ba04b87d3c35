package hdlc

// Encoder turns frames into line octets. The zero value is ready and begins on an octet boundary.
type Encoder struct {
	acc  uint32 // bits not yet given out, the next to be sent lowest
	n    uint   // how many, below 8 between calls
	ones int    // ones in a row sent inside the frame
}

// Flags appends n flags to dst.
func (e *Encoder) Flags(dst []byte, n int) []byte {
	for range n {
		dst = e.raw(dst, flag)
	}
	return dst
}

// Frame appends frame, its FCS and one closing flag to dst. A flag must have come before: Flags, or the closing flag
// of the frame before.
func (e *Encoder) Frame(dst, frame []byte) []byte {
	e.ones = 0
	for _, c := range frame {
		dst = e.stuffed(dst, c)
	}
	f := FCS(frame)
	dst = e.stuffed(dst, byte(f))
	dst = e.stuffed(dst, byte(f>>8))
	return e.raw(dst, flag)
}

// Flush appends what is left of the last octet, filled up with the beginning of a flag. The encoder then stands on an octet
// boundary.
func (e *Encoder) Flush(dst []byte) []byte {
	if e.n == 0 {
		return dst
	}
	dst = append(dst, byte(e.acc|flag<<e.n))
	e.acc, e.n = 0, 0
	return dst
}

func (e *Encoder) raw(dst []byte, c byte) []byte {
	e.acc |= uint32(c) << e.n
	dst = append(dst, byte(e.acc))
	e.acc >>= 8
	return dst
}

// stuffed sends one octet with a zero after five ones (ISO/IEC 13239 4.3.1).
func (e *Encoder) stuffed(dst []byte, c byte) []byte {
	for range 8 {
		bit := uint32(c & 1)
		c >>= 1
		e.acc |= bit << e.n
		e.n++
		if bit == 0 {
			e.ones = 0
		} else if e.ones++; e.ones == 5 {
			e.n++
			e.ones = 0
		}
	}
	for e.n >= 8 {
		dst = append(dst, byte(e.acc))
		e.acc >>= 8
		e.n -= 8
	}
	return dst
}
