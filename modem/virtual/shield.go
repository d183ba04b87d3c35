package virtual

// The DLE shielding of T.31 8.3.1 (and the two-DLE code of Class 1.0, T.31 B.2).

const (
	dle = 0x10
	etx = 0x03
	sub = 0x1A
	xon = 0x11
	xof = 0x13
	can = 0x18
)

// unshield takes the shielding from data of the DTE.
type unshield struct {
	class10 bool
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
	case u.class10 && b == sub:
		return append(out, dle, dle), false
	case u.class10 && b == 0x51:
		return append(out, xon), false
	case u.class10 && b == 0x53:
		return append(out, xof), false
	}
	return out, false
}

// shield appends data for the DTE to out.
func shield(out, data []byte, class10 bool) []byte {
	for i := 0; i < len(data); i++ {
		b := data[i]
		switch {
		case b != dle:
			out = append(out, b)
		case class10 && i+1 < len(data) && data[i+1] == dle:
			out = append(out, dle, sub)
			i++
		default:
			out = append(out, dle, dle)
		}
	}
	return out
}
