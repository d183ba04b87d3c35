// Package hdlc is the bit-synchronous framing of T.30 (5.3) and its Annex A: flags, zero insertion and the 16-bit
// frame check sequence of ISO/IEC 13239. Octets have the first bit on the line in the least significant bit, as
// T.31 carries them. In ECM a Class 1 host does this work itself; on V.21 the modem does it.
package hdlc

// flag is the octet that parts frames: 0111 1110.
const flag = 0x7e

// goodResidue is what the FCS register holds after a whole frame with its own correct FCS (ISO/IEC 13239 4.2.5).
const goodResidue = 0xf0b8

var fcsTable = makeFCSTable()

// makeFCSTable builds the table of x^16 + x^12 + x^5 + 1 for octets sent least significant bit first.
func makeFCSTable() (t [256]uint16) {
	for i := range t {
		r := uint16(i)
		for range 8 {
			if r&1 != 0 {
				r = r>>1 ^ 0x8408
			} else {
				r >>= 1
			}
		}
		t[i] = r
	}
	return t
}

func register(b []byte) uint16 {
	r := uint16(0xffff)
	for _, c := range b {
		r = r>>8 ^ fcsTable[byte(r)^c]
	}
	return r
}

// FCS returns the frame check sequence of b (address to the end of the information field, T.30 5.3.7). It goes on
// the line low octet first.
func FCS(b []byte) uint16 { return ^register(b) }

// AppendFCS appends b's frame check sequence to b, in line order.
func AppendFCS(b []byte) []byte {
	f := FCS(b)
	return append(b, byte(f), byte(f>>8))
}

// Good tells whether b ends in its own correct frame check sequence.
func Good(b []byte) bool { return len(b) > 2 && register(b) == goodResidue }
