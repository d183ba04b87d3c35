package virtual

// The DLE shielding of T.31 8.3.1, and what Class 1.0 adds (T.31 Annex B, Table B.1).

const (
	dle = 0x10
	etx = 0x03
	sub = 0x1A
	xon = 0x11
	xof = 0x13
	can = 0x18

	bel    = 0x07 // in place of ETX, the frame's check sequence was wrong
	dleXON = 0x51
	dleXOF = 0x53
)

// shielding is what stands for octets that may not be in the data.
type shielding struct {
	pairs bool // DLE SUB for two DLE: Class 1.0, or +FDD=1
	flow  bool // DLE 0x51 and DLE 0x53 for XON and XOFF: Class 1.0, where +FLO=1 makes these the DTE's and the modem's
}

// shielding is that of the class, by the parameters of the DTE.
func (m *Modem) shielding() shielding {
	one := m.set.class == "1.0"
	return shielding{pairs: one || m.set.fdd, flow: one && m.set.flo == 1}
}

// unshielding is what the modem takes off the DTE's data.
func (m *Modem) unshielding() unshield {
	one := m.set.class == "1.0"
	return unshield{shielding: shielding{pairs: one || m.set.fdd, flow: one}}
}

// unshield takes the shielding from data of the DTE.
type unshield struct {
	shielding
	escaped bool
}

// octet takes one octet of the DTE and appends what it stands for to out; end tells that it completed DLE ETX.
// A DLE before anything else is dropped together with it (T.31 8.3.1).
func (u *unshield) octet(out []byte, b byte) (_ []byte, end bool) {
	if !u.escaped {
		if b == dle {
			u.escaped = true
			return out, false
		}
		return append(out, b), false
	}
	u.escaped = false
	switch {
	case b == etx:
		return out, true
	case b == dle:
		return append(out, dle), false
	case u.pairs && b == sub:
		return append(out, dle, dle), false
	case u.flow && b == dleXON:
		return append(out, xon), false
	case u.flow && b == dleXOF:
		return append(out, xof), false
	}
	return out, false
}

// shield appends data for the DTE to out.
func (s shielding) shield(out, data []byte) []byte {
	for i := 0; i < len(data); i++ {
		switch b := data[i]; {
		case b == dle && s.pairs && i+1 < len(data) && data[i+1] == dle:
			out = append(out, dle, sub)
			i++
		case b == dle:
			out = append(out, dle, dle)
		case b == xon && s.flow:
			out = append(out, dle, dleXON)
		case b == xof && s.flow:
			out = append(out, dle, dleXOF)
		default:
			out = append(out, b)
		}
	}
	return out
}
