package at

// Characters of the data phase (T.31 7, 8).
const (
	dle = 0x10
	etx = 0x03
	sub = 0x1a
	bel = 0x07
	can = 0x18
	dc1 = 0x11
	dc2 = 0x12
	xon = dc1
)

// Shield appends p to dst with every DLE doubled, as T.31 wants it towards the modem.
func Shield(dst, p []byte) []byte {
	for _, c := range p {
		if c == dle {
			dst = append(dst, dle)
		}
		dst = append(dst, c)
	}
	return dst
}

// Mark is what ends a stretch of data from the modem.
type Mark int

const (
	NoMark Mark = iota // the data goes on
	End                // DLE ETX
	BadFCS             // DLE BEL: the frame's check was wrong (Class 1.0, T.31 Table B.1); it stands in place of DLE ETX
)

// Decoder takes the DLE shielding off data from the modem.
type Decoder struct {
	// KeepUnknown keeps a DLE and what follows it when the pair means nothing, for modems that do not double DLE. T.31
	// says to drop such pairs.
	KeepUnknown bool

	escaped bool // the last octet was a DLE
	dles    int  // DLEs still to be delivered, from DLE SUB
}

// Decode decodes src into dst until one of them ends or a mark was found: nd octets written, ns octets taken.
func (d *Decoder) Decode(dst, src []byte) (nd, ns int, m Mark) {
	put := func(c byte) { dst[nd] = c; nd++ }
	for nd < len(dst) {
		if d.dles > 0 {
			d.dles--
			put(dle)
			continue
		}
		if ns == len(src) {
			break
		}
		c := src[ns]
		if !d.escaped {
			ns++
			if c == dle {
				d.escaped = true
			} else {
				put(c)
			}
			continue
		}
		if d.KeepUnknown && !known(c) {
			d.escaped = false // leave c to the next round
			put(dle)
			continue
		}
		ns++
		d.escaped = false
		switch c {
		case dle:
			put(dle)
		case sub:
			d.dles = 2
		case 0x51: // shielded XON (Class 1.0)
			put(0x11)
		case 0x53: // shielded XOFF
			put(0x13)
		case etx:
			return nd, ns, End
		case bel:
			return nd, ns, BadFCS
		}
	}
	return nd, ns, NoMark
}

func known(c byte) bool {
	switch c {
	case dle, sub, etx, bel, 0x51, 0x53:
		return true
	}
	return false
}
