package virtual

// HDLC as T.30 5.3 uses it (ISO/IEC 13239): flags, zero insertion, a 16-bit FCS. Bits go least significant first.

const flagOctet = 0x7E

// fcs is the frame check sequence of b: x^16+x^12+x^5+1, preset to ones, inverted (T.30 5.3.7). It is sent low octet
// first in the least-significant-bit-first order used here.
func fcs(b []byte) uint16 {
	r := uint16(0xFFFF)
	for _, c := range b {
		r = fcsStep(r, c)
	}
	return ^r
}

// fcsStep takes one octet into the register, bit-reversed polynomial 0x8408.
func fcsStep(r uint16, c byte) uint16 {
	r ^= uint16(c)
	for range 8 {
		if r&1 != 0 {
			r = r>>1 ^ 0x8408
		} else {
			r >>= 1
		}
	}
	return r
}

// fcsGood is the register after a frame and its FCS without error.
const fcsGood = 0xF0B8

// bitPacker packs bits into octets, least significant first.
type bitPacker struct {
	full []byte // whole octets
	part byte
	n    uint // bits in part
}

func (p *bitPacker) bit(one bool) {
	if one {
		p.part |= 1 << p.n
	}
	if p.n++; p.n == 8 {
		p.full = append(p.full, p.part)
		p.part, p.n = 0, 0
	}
}

// octet appends eight bits as they are: a flag.
func (p *bitPacker) octet(b byte) {
	for i := range 8 {
		p.bit(b>>i&1 != 0)
	}
}

// frame appends frame, its FCS and a closing flag, with zeros inserted after five ones.
func (p *bitPacker) frame(frame []byte) { p.frameWith(frame, fcs(frame)) }

// frameWith is frame with a check sequence of the caller's.
func (p *bitPacker) frameWith(frame []byte, c uint16) {
	ones := 0
	put := func(b byte) {
		for i := range 8 {
			one := b>>i&1 != 0
			p.bit(one)
			if ones++; !one {
				ones = 0
			}
			if ones == 5 {
				p.bit(false)
				ones = 0
			}
		}
	}
	for _, b := range frame {
		put(b)
	}
	put(byte(c))
	put(byte(c >> 8))
	p.octet(flagOctet)
}

// deframer finds frames in a bit stream. It calls octet for each octet of a frame as it comes, FCS included, and end
// when the closing flag (good tells the FCS) or an abort came.
type deframer struct {
	octet func(b byte)
	end   func(good bool)

	last   byte // last eight bits, newest in the top bit
	synced bool // a flag was seen
	flags  int  // flags in a row since the last frame or loss
	ones   int
	part   byte
	n      uint
	count  int // octets in this frame
	crc    uint16
}

// reset forgets everything and hunts for a flag.
func (d *deframer) reset() { *d = deframer{octet: d.octet, end: d.end} }

func (d *deframer) push(b byte) {
	for i := range 8 {
		d.bit(b >> i & 1)
	}
}

func (d *deframer) bit(b byte) {
	d.last = d.last>>1 | b<<7
	if d.last == flagOctet {
		d.flag()
		return
	}
	if b == 1 {
		if d.ones++; d.ones >= 7 { // abort or idle
			if d.synced && d.count > 0 {
				d.end(false)
			}
			d.synced, d.flags, d.count = false, 0, 0
			return
		}
	} else {
		stuffed := d.ones == 5
		d.ones = 0
		if stuffed {
			return
		}
	}
	if !d.synced {
		return
	}
	d.part |= b << d.n
	if d.n++; d.n < 8 {
		return
	}
	if d.count == 0 {
		d.crc = 0xFFFF
	}
	d.crc = fcsStep(d.crc, d.part)
	d.count++
	d.flags = 0
	o := d.part
	d.part, d.n = 0, 0
	d.octet(o)
}

// flag handles a flag: its first seven bits are in part, if it stands at an octet's boundary.
func (d *deframer) flag() {
	if d.synced && d.count > 0 {
		d.end(d.n == 7 && d.count > 2 && d.crc == fcsGood)
	}
	d.flags++
	d.synced, d.ones, d.part, d.n, d.count = true, 0, 0, 0, 0
}
