package t30test

// Bits of DIS, DTC and DCS as a script names them, after T.30 Table 2. This table is the tester's own: it shares
// nothing with the engine's, so that a wrong bit there does not pass.

// fields is a FIF with T.30's bit numbers: bit 1 is the first on the line, the leftmost of the first octet.
type fields []byte

func (f fields) bit(n int) bool {
	i := (n - 1) / 8
	return i < len(f) && f[i]<<((n-1)%8)&0x80 != 0
}

func (f *fields) put(n int, v bool) {
	for len(*f) <= (n-1)/8 {
		if !v {
			return
		}
		*f = append(*f, 0)
	}
	mask := byte(0x80) >> ((n - 1) % 8)
	(*f)[(n-1)/8] &^= mask
	if v {
		(*f)[(n-1)/8] |= mask
	}
}

// run reads bits first to first+n-1, the first as the highest.
func (f fields) run(first, n int) (v byte) {
	for i := range n {
		v <<= 1
		if f.bit(first + i) {
			v |= 1
		}
	}
	return v
}

func (f *fields) putRun(first, n int, v byte) {
	for i := range n {
		f.put(first+i, v>>(n-1-i)&1 != 0)
	}
}

// extend sets the extend bits: bit 24 and each eighth after it says that another octet follows.
func (f *fields) extend() {
	for n := 24; n <= len(*f)*8; n += 8 {
		f.put(n, n < len(*f)*8)
	}
}

// extended tells whether the extend bits agree with the length.
func (f fields) extended() bool {
	for n := 24; n <= len(f)*8; n += 8 {
		if f.bit(n) != (n < len(f)*8) {
			return false
		}
	}
	return len(f) >= 3
}

// field is one word for a bit or some bits.
type field struct {
	set func(*fields)
	is  func(fields) bool
}

func oneBit(n int) field {
	return field{func(f *fields) { f.put(n, true) }, func(f fields) bool { return f.bit(n) }}
}

// bitRun is bits that have one exact value.
func bitRun(first, n int, v byte) field {
	return field{func(f *fields) { f.putRun(first, n, v) }, func(f fields) bool { return f.run(first, n) == v }}
}

// offers is bits 11-14 of DIS: v is sent, and each of any means that it is offered.
func offers(v byte, any ...byte) field {
	return field{func(f *fields) {
		f.putRun(11, 4, v)
	}, func(f fields) bool {
		for _, a := range any {
			if f.run(11, 4) == a {
				return true
			}
		}
		return false
	}}
}

// both is two fields together.
func both(a, b field) field {
	return field{func(f *fields) { a.set(f); b.set(f) }, func(f fields) bool { return a.is(f) && b.is(f) }}
}

// without is a, and bit n not.
func without(a field, n int) field {
	return field{func(f *fields) { a.set(f); f.put(n, false) }, func(f fields) bool { return a.is(f) && !f.bit(n) }}
}

// none of the bits.
func none(bits ...int) field {
	return field{func(f *fields) {
		for _, n := range bits {
			f.put(n, false)
		}
	}, func(f fields) bool {
		for _, n := range bits {
			if f.bit(n) {
				return false
			}
		}
		return true
	}}
}

var scanFields = map[string]field{
	"20ms": bitRun(21, 3, 0b000), "40ms": bitRun(21, 3, 0b001), "10ms": bitRun(21, 3, 0b010), "5ms": bitRun(21, 3, 0b100),
	"10/5ms": bitRun(21, 3, 0b011), "20/10ms": bitRun(21, 3, 0b110), "40/20ms": bitRun(21, 3, 0b101), "0ms": bitRun(21, 3, 0b111),
}

// disFields are the words of DIS and DTC.
var disFields = map[string]field{
	"v27ter/2400": offers(0b0000, 0b0000), "v27ter": offers(0b0100, 0b0000, 0b0100, 0b1100, 0b1101),
	"v29": offers(0b1100, 0b1000, 0b1100, 0b1101), "v17": offers(0b1101, 0b1101),
	"poll": oneBit(9), "receive": oneBit(10), "fine": oneBit(15), "MR": oneBit(16), "MMR": oneBit(31), "JBIG": oneBit(78),
	"B4": bitRun(17, 2, 0b10), "A3": bitRun(17, 2, 0b01), "length-B4": bitRun(19, 2, 0b10), "unlimited": bitRun(19, 2, 0b01),
	"ecm": oneBit(27), "frame64": oneBit(7), "superfine": oneBit(41), "300": oneBit(42), "R16": oneBit(43), "inch": oneBit(44),
	"metric": oneBit(45), "600": oneBit(105), "sep": oneBit(47), "sub": oneBit(49), "pwd": oneBit(50),
}

// dcsFields are the words of DCS. The modulations are added to them.
var dcsFields = map[string]field{
	"receive": oneBit(10), "MH": none(16, 31, 78), "MR": without(oneBit(16), 31), "MMR": without(oneBit(31), 16), "JBIG": oneBit(78),
	"standard": none(15, 41, 42, 43, 105), "fine": without(oneBit(15), 44), "superfine": oneBit(41), "300": oneBit(42),
	"R16": without(oneBit(43), 44), "200": both(oneBit(15), oneBit(44)), "400": both(oneBit(43), oneBit(44)), "600": oneBit(105),
	"A4": bitRun(17, 2, 0b00), "B4": bitRun(17, 2, 0b10), "A3": bitRun(17, 2, 0b01),
	"length-A4": bitRun(19, 2, 0b00), "length-B4": bitRun(19, 2, 0b10), "unlimited": bitRun(19, 2, 0b01),
	"ecm": without(oneBit(27), 28), "ecm/64": both(oneBit(27), oneBit(28)), "sub": oneBit(49), "sid": oneBit(50),
}

func init() {
	for name, f := range scanFields {
		disFields[name], dcsFields[name] = f, f
	}
	for _, m := range modulationTable {
		dcsFields[m.name] = bitRun(11, 4, m.bits)
	}
}
